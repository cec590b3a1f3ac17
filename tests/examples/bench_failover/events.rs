//! What happens, and what is recorded meanwhile.

use std::time::Duration;

use pgstack_containers::Service;
use pgstack_lab::{Lab, Machine, Process};
use pgstack_tests::bench::event::{Event, Set};
use pgstack_tests::bench::figures::{BEFORE, Figures, Moments, figures};
use pgstack_tests::cluster::{switch_with, switchover_to, vip_goes_to};
use pgstack_tests::load::Plan;
use pgstack_tests::scenario::stage::Stage;

/// How long is looked for a second gap after the first has ended.
const AFTERWARDS: Duration = Duration::from_secs(10);
/// How long each client rests between two writes: 10 clients notice a gap of hundredths of a second, and
/// 100 clients write about as much.
const RESTS: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(200)];

/// Who is what when it happens.
struct Cast {
    leader: Machine,
    /// Takes over where one is named.
    candidate: Machine,
    holder: Machine,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) figures: Figures,
    pub(crate) promotions: Option<u64>,
    pub(crate) troubles: Vec<String>,
}

/// One repeat, on a cluster that serves; it is whole again afterwards.
pub(crate) async fn play(lab: &Lab, event: Event, set: Set) -> Outcome {
    let rest = RESTS[usize::from(event.clients() > 20)];
    let plan = Plan { clients: event.clients(), rest, ports: &[6432] };
    let mut stage = Stage::set(lab, "bench_failover", plan, Duration::ZERO).await;
    let cast = cast(&mut stage, event).await;
    stage.say(&format!("{event}, {set}: node {} leads, {} holds the VIP", cast.leader.id(), cast.holder.id()));
    let from = stage.now();
    act(&mut stage, event, set, &cast).await;
    let limit = stage.times.node_gone(true) * 2.0 + 60.0;
    if !stage.load.went_on(Duration::from_secs_f64(limit)).await {
        stage.check(false, format!("no write within {limit:.0} s"));
    }
    tokio::time::sleep(AFTERWARDS).await;
    let promotions = stage.promotions().await;
    let healed = stage.now();
    let played = stage.finish().await;
    let end = played.history.operations.last().map_or(healed, |operation| operation.ended);
    let figures = figures(&played.history, &played.violations, Moments { event: from, healed, end });
    let failed = played.checks.iter().filter(|check| !check.holds);
    let troubles = failed.map(|check| check.what.clone()).collect();
    Outcome { figures, promotions, troubles }
}

/// Puts the roles where the event wants them: etcd leads on neither the leader's nor the holder's machine, and the
/// VIP is where its loss costs most.
async fn cast(stage: &mut Stage<'_>, event: Event) -> Cast {
    let leader = stage.leader().await;
    let mut others = stage.others(leader.id()).await;
    let (holder, candidate) = (others.pop().expect("a third machine"), others.pop().expect("a second machine"));
    let holder = if event.hits_both() { leader.clone() } else { holder };
    stage.etcd_leads(candidate.id()).await;
    vip_goes_to(stage.lab, holder.id()).await;
    stage.load.goes_on(Duration::from_secs(30)).await;
    // the others' keepalived may take the VIP once its check has passed often enough; then what the picture begins with
    tokio::time::sleep(Duration::from_secs_f64(stage.times.check_fails) + BEFORE).await;
    Cast { leader, candidate, holder }
}

/// Lets it happen, and returns when the gap has begun or is over.
async fn act(stage: &mut Stage<'_>, event: Event, set: Set, cast: &Cast) {
    let from = stage.now();
    let Cast { leader, candidate, holder } = cast;
    match event {
        Event::Switchover => switchover(stage, set, cast).await,
        Event::Kill9 => leader.kill(Process::Postgres).await.expect("killed"),
        Event::Haproxy => holder.kill_for_good(Service::Haproxy).await.expect("killed"),
        Event::HolderOff => holder.power_off().await.expect("off"),
        Event::LeaderOff => leader.power_off().await.expect("off"),
        Event::Shutdown => {
            leader.shut_down().await.expect("told");
            let off = async || stage.lab.machine(leader.id()).await.is_ok_and(|machine| !machine.is_running());
            assert!(stage.until(from, 90.0, off).await.is_some(), "node {} shuts down", leader.id());
        }
        Event::Partition => {
            stage.cut_begins();
            stage.lab.partition(leader.id()).await.expect("cut off");
        }
    }
    if event.hits_both() {
        // before that the old leader may still take writes
        let promoted = stage.promoted(from, stage.times.node_gone(true) * 2.0).await;
        assert!(promoted.is_some(), "node {} or another one takes over", candidate.id());
    }
    // what was on its way may still be acknowledged
    tokio::time::sleep(Duration::from_secs(3).saturating_sub(stage.since(from).length())).await;
}

/// The shell version's users had Patroni's own tool.
async fn switchover(stage: &Stage<'_>, set: Set, cast: &Cast) {
    if set == Set::Seed {
        let to = cast.candidate.id();
        let command = |from| {
            format!(
                "docker exec patroni patronictl -c /config/patroni.yml switchover --leader patroni{from} --candidate patroni{to} --force"
            )
        };
        return switch_with(stage.lab, to, command).await;
    }
    cast.leader.sh(&switchover_to(cast.candidate.id())).await.expect("switched over");
}
