//! What each station between a client and PostgreSQL costs: pgbench directly, through HAProxy, through
//! PgBouncer, and through several PgBouncers behind one port. `just bench-path [--help]`
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

mod client;
mod poolers;

use std::path::PathBuf;
use std::{fs, io};

use clap::Parser;
use client::Client;
use pgstack_lab::{Lab, Machine};
use pgstack_tests::bench::document;
use pgstack_tests::bench::path::{Samples, Script, Way};
use pgstack_tests::cluster::{Telling, leader, serving, up, vip_goes_to};
use pgstack_tests::settings::Settings;

#[derive(Debug, Parser)]
#[command(about = "Measures the ways from a client to PostgreSQL with pgbench, and writes docs/performance.md")]
struct Arguments {
    /// How often each way is measured
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// How long pgbench runs each time, in seconds
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Numbers of clients
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32])]
    clients: Vec<u16>,
    /// pgbench's scale: 100,000 accounts each
    #[arg(long, default_value_t = 32)]
    scale: u32,
    /// How many PgBouncers share the port where there are several
    #[arg(long, default_value_t = 2)]
    poolers: u32,
    /// Where the table goes
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/performance.md"))]
    out: PathBuf,
    /// Use the lab if it is there, and leave it there
    #[arg(long)]
    keep: bool,
    /// The name of the lab
    #[arg(long, default_value = "path")]
    lab: String,
    #[command(flatten)]
    settings: Settings,
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let lab = Lab::open(&arguments.lab).await.expect("a Docker engine");
    if !arguments.keep {
        lab.down().await.expect("what an earlier run left is removed");
    }
    let mut machines = up(3);
    machines.settings.extend(arguments.settings.of_env());
    lab.prepare(&machines, &Telling).await.expect("machines");
    serving(&lab).await;
    let samples = measure(&lab, &arguments).await;
    if !arguments.keep {
        lab.down().await.expect("removed");
    }
    let table = samples.markdown();
    println!("{table}");
    write(&arguments.out, &table).expect("the report is written");
}

/// The VIP lies on a machine that does not lead, as on two machines of three: the longer way.
async fn measure(lab: &Lab, arguments: &Arguments) -> Samples {
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
    lab.verify(std::time::Duration::from_secs(30)).await.expect("rows through every port");
}

fn write(out: &PathBuf, table: &str) -> io::Result<()> {
    let text = document::put(&fs::read_to_string(out)?, "just bench-path", table).map_err(io::Error::other)?;
    fs::write(out, text)
}
