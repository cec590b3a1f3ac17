//! Plays a schedule on a lab under load, heals, and judges.

use std::time::Duration;

use pgstack_lab::{Cut, Lab, Machine};

use super::schedule::{Blow, Fault, Round, Schedule, Target};
use crate::cluster::{leader, switchover_to, vip_holder};
use crate::load::Plan;
use crate::scenario::judge::Played;
use crate::scenario::stage::Stage;

/// How long it may take to find out who leads or has the VIP before somebody else is hit.
const ASK: Duration = Duration::from_secs(3);

/// Plays all of it.
pub async fn play(lab: &Lab, schedule: &Schedule, clients: u16) -> Played {
    let rest = Duration::from_millis(20 + 5 * u64::from(clients));
    let mut stage = Stage::set(lab, "chaos", Plan { clients, rest, ..Plan::default() }, Duration::ZERO).await;
    let mut struck = 0;
    for round in &schedule.rounds {
        struck += self::round(&mut stage, round).await;
    }
    stage.check(struck > 0, format!("{struck} faults of {} rounds took effect", schedule.rounds.len()));
    let promotions = stage.promotions().await;
    stage.figure(format!("{} promotions", promotions.map_or_else(|| "?".to_owned(), |count| count.to_string())));
    stage.finish().await
}

/// How many of its faults took effect.
async fn round(stage: &mut Stage<'_>, round: &Round) -> usize {
    let began = stage.now();
    let mut struck = 0;
    for blow in &round.blows {
        until(stage, began + Duration::from_millis(blow.after)).await;
        struck += usize::from(self::blow(stage, blow).await);
    }
    until(stage, began + Duration::from_millis(round.lasts)).await;
    stage.say("heal");
    if let Err(error) = stage.heal().await {
        // the next round tries again, and so does the end
        stage.say(&format!("  {error}"));
    }
    // what was killed just now is started in a moment, and its successor's adverts need another one
    stage.cut_ends();
    tokio::time::sleep(Duration::from_millis(round.rest)).await;
    struck
}

async fn until(stage: &Stage<'_>, moment: Duration) {
    tokio::time::sleep(moment.saturating_sub(stage.now())).await;
}

/// Whether it took effect.
async fn blow(stage: &mut Stage<'_>, blow: &Blow) -> bool {
    let Some(machine) = find(stage.lab, blow.target).await else {
        stage.say(&format!("{} {}: there is none now", blow.target, blow.fault));
        return false;
    };
    stage.say(&format!("{} {}: node {}", blow.target, blow.fault, machine.id()));
    if blow.fault.silences() {
        stage.cut_begins();
    }
    let done = match blow.fault {
        Fault::Kill(process) => machine.kill(process).await,
        Fault::Freeze(process) => machine.freeze_process(process).await,
        Fault::PowerOff => machine.power_off().await,
        Fault::FreezeMachine => machine.freeze().await,
        Fault::Cut(way, traffic) => stage.lab.cut(machine.id(), Cut { way, traffic, percent: None }).await,
        Fault::Loss(percent) => stage.lab.cut(machine.id(), Cut { percent: Some(percent), ..Cut::default() }).await,
        Fault::Switchover => return switchover(&machine).await,
    };
    if let Err(error) = &done {
        // it may have been dead already
        stage.say(&format!("  {error}"));
    }
    done.is_ok()
}

async fn switchover(machine: &Machine) -> bool {
    // killed when it takes too long, and then its pauses have to end by themselves
    let command = format!("timeout -s KILL 20 {}", switchover_to(machine.id()));
    // refused where the cluster is not whole, as it should be
    machine.sh(&command).await.is_ok()
}

/// Who is meant, among those that are on.
async fn find(lab: &Lab, target: Target) -> Option<Machine> {
    let machines = lab.machines().await.ok()?;
    let mut on = machines.into_iter().filter(Machine::is_running);
    // `leader` and `vip_holder` wait for one, which here is no good: then the first is hit
    let leads = tokio::time::timeout(ASK, leader(lab)).await.ok();
    let leading = leads.as_ref().map(Machine::id);
    match target {
        Target::Leader => leads.filter(Machine::is_running).or_else(|| on.next()),
        Target::Holder => {
            let holder = tokio::time::timeout(ASK, vip_holder(lab)).await.ok();
            holder.filter(Machine::is_running).or_else(|| on.next())
        }
        Target::First => on.find(|machine| Some(machine.id()) != leading),
        Target::Last => on.filter(|machine| Some(machine.id()) != leading).last(),
    }
}
