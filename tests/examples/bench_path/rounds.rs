//! Round after round, in which the ways take turns.

use std::time::Duration;

use pgstack_lab::{Lab, Machine};
use pgstack_tests::bench::path::{Samples, Script, Way};
use pgstack_tests::cluster::{leader, vip_goes_to};

use crate::client::Client;
use crate::{Arguments, poolers};

/// The VIP lies on a machine that does not lead, as on two machines of three: the longer way.
pub(crate) async fn measure(lab: &Lab, arguments: &Arguments) -> Samples {
    let leader = leader(lab).await;
    let machines = lab.machines().await.expect("machines");
    let holder = machines.iter().find(|machine| machine.id() != leader.id()).expect("another machine");
    let client = Client::of(lab, &leader).await;
    client.fill(arguments.scale).await.expect("pgbench's tables");
    let mut samples = Samples::default();
    for round in 1..=arguments.rounds {
        for several in [false, true] {
            let original = if several { Some(poolers::begin(holder, arguments.poolers).await) } else { None };
            settled(lab, holder).await;
            for script in Script::ALL {
                for &clients in &arguments.clients {
                    for way in Way::ALL.into_iter().filter(|way| (*way == Way::Poolers) == several) {
                        let sample = client.run(way, script, clients, arguments.seconds).await.expect("pgbench");
                        eprintln!("round {round}, {}, {clients} clients, {way}: {sample:?}", script.name());
                        samples.push(script, clients, way, sample);
                    }
                }
            }
            if let Some(original) = original {
                poolers::end(holder, &original).await;
            }
        }
    }
    samples
}

/// A pooler that was started anew may have lost the VIP meanwhile.
async fn settled(lab: &Lab, holder: &Machine) {
    vip_goes_to(lab, holder.id()).await;
    lab.verify(Duration::from_secs(30)).await.expect("rows through every port");
}
