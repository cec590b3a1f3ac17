//! `--restart-pending`: restarts what waits for it, replicas first, one at a time, the primary last, after another node
//! has taken over from it where that helps.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pgstack_cluster_view::{ControlError, Instance};
use pgstack_containers::Service;
use pgstack_topology::NodeId;

use super::{dynamic, held_back, ready, services};
use crate::DeployError;
use crate::site::Site;
use crate::switchover;

/// How long everything may take to be in order before the first restart.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a Patroni is made to compare again. A value that it does not allow stays another one for ever.
const REMINDED: Duration = Duration::from_secs(20);

/// One node at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    node: NodeId,
    standing: Standing,
    pending: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    Leads,
    Streams,
    Away(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Next {
    /// Nothing waits for a restart.
    Done,
    /// This one now, if it is still what it was taken for.
    Restart { node: NodeId, role: &'static str },
    /// The primary's turn: another node takes over, so that it is restarted as a replica.
    TakeOver,
    /// No restart while something is missing.
    Wait(String),
    /// Restarted, and still pending.
    Stuck(Vec<NodeId>),
}

/// What comes next. `restarted` counts how often each was restarted in this run. Where a setting
/// becomes smaller, PostgreSQL lets no replica have less than the primary: such a replica is
/// restarted once more after the primary, which is then restarted where it is: whoever took over from
/// it would wait for a restart as well. So it is, too, where taking over was `tried` in vain.
fn next(seen: &[Seen], restarted: &BTreeMap<NodeId, u8>, tried: bool) -> Next {
    let times = |node: NodeId| restarted.get(&node).copied().unwrap_or(0);
    let leaders: Vec<&Seen> = seen.iter().filter(|seen| seen.standing == Standing::Leads).collect();
    let [leader] = leaders[..] else {
        return Next::Wait(if leaders.is_empty() { "nobody leads".to_owned() } else { "two nodes lead".to_owned() });
    };
    let away: Vec<String> = seen
        .iter()
        .filter_map(|seen| match &seen.standing {
            Standing::Away(how) => Some(format!("node {} {how}", seen.node)),
            _ => None,
        })
        .collect();
    if !away.is_empty() {
        return Next::Wait(away.join(", "));
    }
    let replicas = || seen.iter().filter(|seen| seen.pending && seen.node != leader.node);
    let leader_due = leader.pending && times(leader.node) == 0;
    let allowed = if times(leader.node) == 0 { 1 } else { 2 };
    if let Some(replica) = replicas().find(|replica| times(replica.node) < allowed) {
        return Next::Restart { node: replica.node, role: "replica" };
    }
    if leader_due && !tried && replicas().next().is_none() {
        return Next::TakeOver;
    }
    if leader_due {
        return Next::Restart { node: leader.node, role: "primary" };
    }
    let stuck: Vec<NodeId> = seen.iter().filter(|seen| seen.pending).map(|seen| seen.node).collect();
    if stuck.is_empty() { Next::Done } else { Next::Stuck(stuck) }
}

/// Restarts every PostgreSQL that waits for it. Killed at any moment, it can be run again: it goes
/// by what the nodes say.
pub(super) async fn restart_pending(site: &Site<'_>) -> Result<(), DeployError> {
    site.console.begin("pending restarts");
    let began = Instant::now();
    let mut restarted = BTreeMap::new();
    let mut tried = false;
    let mut reminded = None;
    loop {
        let detail = match next(&look(site).await, &restarted, tried) {
            Next::Done => match held_back::unsaid(site).await {
                Some(detail) if reminded.get_or_insert_with(Instant::now).elapsed() < REMINDED => detail,
                left => {
                    let count: u8 = restarted.values().sum();
                    site.console.end(&if count == 0 { "none".to_owned() } else { format!("done, {count} restarts") });
                    if let Some(detail) = left {
                        site.console.warn(&detail);
                    }
                    return Ok(());
                }
            },
            Next::Stuck(nodes) => {
                let detail = format!("node {} was restarted and still waits for a restart", services::listed(&nodes));
                return Err(DeployError::CannotRestart { detail });
            }
            Next::Restart { node, role } => {
                site.console.note(&format!("  restarting PostgreSQL on node {node} ({role})"));
                match restart(site, node, role).await {
                    Ok(()) => {
                        *restarted.entry(node).or_insert(0_u8) += 1;
                        continue;
                    }
                    Err(error) => error.to_string(),
                }
            }
            Next::TakeOver => {
                site.console.note("  another node takes over from the primary");
                tried = true;
                if let Err(error) = switchover::move_leadership(site, None).await {
                    site.console.warn(&format!("nobody takes over from the primary: {error}"));
                }
                continue;
            }
            Next::Wait(detail) if restarted.is_empty() && began.elapsed() > PATIENCE => {
                return Err(DeployError::CannotRestart { detail });
            }
            Next::Wait(detail) => detail,
        };
        site.console.progress(&detail);
        if !site.pause().await {
            return Err(ready::not_ready(site, "pending restarts", detail, Service::Patroni).await);
        }
    }
}

/// What [`restart_pending`] would do first, as lines.
pub(super) async fn planned(site: &Site<'_>) -> Vec<String> {
    let seen = look(site).await;
    let role =
        |seen: &Seen| if seen.standing == Standing::Leads { "primary, once another node leads" } else { "replica" };
    let mut pending: Vec<&Seen> = seen.iter().filter(|seen| seen.pending).collect();
    pending.sort_by_key(|seen| seen.standing == Standing::Leads);
    pending.iter().map(|seen| format!("restart PostgreSQL on node {} ({})", seen.node, role(seen))).collect()
}

async fn restart(site: &Site<'_>, node: NodeId, role: &str) -> Result<(), ControlError> {
    let found = site.env.local.topology().nodes().find(|found| found.id() == node);
    let Some(node) = found else { return Ok(()) };
    site.observer.control(node, &site.env.restapi_password).restart_if_pending(role).await
}

async fn look(site: &Site<'_>) -> Vec<Seen> {
    let seen = dynamic::instances(site).await.into_iter().map(|(node, instance)| Seen {
        node: node.id(),
        pending: instance.as_ref().is_some_and(|instance| instance.pending_restart),
        standing: standing(instance.as_ref()),
    });
    seen.collect()
}

fn standing(instance: Option<&Instance>) -> Standing {
    match instance {
        None => Standing::Away("does not answer".to_owned()),
        Some(instance) if instance.takes_writes() => Standing::Leads,
        Some(instance) if instance.streams() => Standing::Streams,
        Some(instance) => Standing::Away(format!("does not stream ({})", instance.state.escape_debug())),
    }
}

#[cfg(test)]
mod tests {
    use pgstack_topology::NodeId;
    use proptest::prelude::*;

    use super::*;

    fn id(number: u8) -> NodeId {
        NodeId::new(number).expect("a number")
    }

    fn seen(number: u8, leads: bool, pending: bool) -> Seen {
        let standing = if leads { Standing::Leads } else { Standing::Streams };
        Seen { node: id(number), standing, pending }
    }

    #[test]
    fn nothing_is_restarted_while_a_node_is_away_or_nobody_leads() {
        let mut nodes = vec![seen(1, true, true), seen(2, false, true), seen(3, false, false)];
        nodes[2].standing = Standing::Away("does not answer".to_owned());
        assert_eq!(next(&nodes, &BTreeMap::new(), false), Next::Wait("node 3 does not answer".to_owned()));
        let nodes = [seen(1, false, true), seen(2, false, true)];
        assert_eq!(next(&nodes, &BTreeMap::new(), false), Next::Wait("nobody leads".to_owned()));
    }

    #[test]
    fn what_stays_pending_after_its_restart_is_told() {
        let nodes = [seen(1, true, false), seen(2, false, true), seen(3, false, false)];
        assert_eq!(next(&nodes, &BTreeMap::new(), false), Next::Restart { node: id(2), role: "replica" });
        assert_eq!(next(&nodes, &BTreeMap::from([(id(2), 1)]), false), Next::Stuck(vec![id(2)]));
    }

    /// A cluster in which a restart helps at once, or, where the setting becomes smaller, on a
    /// replica only after the primary's.
    fn rolled(nodes: &mut [Seen], smaller: bool, fit: bool) -> (Vec<NodeId>, bool) {
        let mut restarted = BTreeMap::new();
        let mut order = Vec::new();
        let mut tried = false;
        loop {
            match next(nodes, &restarted, tried) {
                Next::Done => return (order, tried),
                Next::TakeOver => {
                    assert!(!tried && !smaller, "once, and only where it helps");
                    assert_eq!(nodes.iter().filter(|seen| seen.pending).count(), 1, "the primary alone is left");
                    tried = true;
                    if fit {
                        let old = nodes.iter().position(|seen| seen.standing == Standing::Leads).expect("a leader");
                        nodes[old].standing = Standing::Streams;
                        let new = (old + 1) % nodes.len();
                        nodes[new].standing = Standing::Leads;
                    }
                }
                Next::Restart { node, role } => {
                    let leader_pending = nodes.iter().any(|seen| seen.standing == Standing::Leads && seen.pending);
                    let found = nodes.iter_mut().find(|seen| seen.node == node).expect("a node of the cluster");
                    assert_eq!(role == "primary", found.standing == Standing::Leads);
                    found.pending = smaller && role == "replica" && leader_pending;
                    *restarted.entry(node).or_insert(0) += 1;
                    order.push(node);
                    assert!(order.len() <= 12, "it ends: {order:?}");
                }
                other => unreachable!("{other:?}"),
            }
        }
    }

    proptest! {
        #[test]
        fn replicas_first_the_primary_last_and_it_ends_with_nothing_pending(
            pending in prop::collection::vec(any::<bool>(), 3..=6),
            leader in any::<prop::sample::Index>(),
            smaller in any::<bool>(),
            fit in any::<bool>(),
        ) {
            let leader = leader.index(pending.len());
            let mut nodes: Vec<Seen> =
                (1..).zip(&pending).map(|(number, &pending)| seen(number, usize::from(number) == leader + 1, pending)).collect();
            let due: Vec<NodeId> = nodes.iter().filter(|seen| seen.pending).map(|seen| seen.node).collect();
            let led = nodes[leader].node;
            let others = pending.iter().enumerate().any(|(at, &pending)| pending && at != leader);
            let smaller = smaller && pending[leader] && others;
            let (order, tried) = rolled(&mut nodes, smaller, fit);
            prop_assert_eq!(tried, pending[leader] && !smaller);
            prop_assert!(nodes.iter().all(|seen| !seen.pending));
            prop_assert!(due.iter().all(|node| order.contains(node)) && order.iter().all(|node| due.contains(node)));
            if let Some(place) = order.iter().position(|&node| node == led) {
                prop_assert_eq!(place, due.len() - 1, "every replica comes before the primary");
            }
        }
    }
}
