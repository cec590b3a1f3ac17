//! 030 to 039: Patroni, and what it keeps in etcd.

use super::scene::{Scene, as_number, container, is_young};
use super::trouble::{Trouble, nodes};
use crate::{Dcs, DcsMember, Haproxy, Node, Patroni, Risk, Severity, code};

pub(super) const EDIT: &str = "docker exec patroni patronictl -c /config/patroni.yml edit-config --quiet --force";

/// So long two elections may take, etcd's and Patroni's.
const ELECTION_S: u64 = 10;

pub(super) fn examine(scene: &Scene<'_>) -> Vec<Trouble> {
    let mut troubles: Vec<Trouble> = two_primaries(scene).into_iter().collect();
    troubles.extend(maintenance(scene));
    troubles.extend(failsafe(scene));
    if let Some(dcs) = scene.dcs() {
        troubles.extend(no_leader(scene, dcs));
        troubles.extend(addresses(scene, dcs));
        troubles.extend(initialize(scene, dcs));
        troubles.extend(failsafe_off(scene));
        troubles.extend(sync(scene, dcs));
        troubles.extend(strangers(scene, dcs));
        troubles.extend(times(dcs));
    }
    troubles
}

/// A member that could be elected, as far as its own words go.
fn could_lead(patroni: &Patroni) -> bool {
    let barred = patroni.tags.get("nofailover").is_some_and(|value| is_on(value));
    patroni.state == "running" && !barred
}

pub(super) fn is_on(value: &str) -> bool {
    matches!(value.to_lowercase().as_str(), "true" | "yes" | "on" | "1")
}

fn no_leader(scene: &Scene<'_>, dcs: &Dcs) -> Option<Trouble> {
    if dcs.leader.is_some() {
        return None;
    }
    let candidates: Vec<_> = scene.patronis().filter(|(_, patroni)| could_lead(patroni)).collect();
    let paused = scene.patronis().any(|(_, patroni)| patroni.paused);
    // For how long HAProxy has had no primary. Most of them count: one alone may be blind, or see what is not there.
    let without = |proxy: &Haproxy| {
        let servers = || proxy.servers.iter().filter(|server| server.backend == "primary");
        if servers().any(|server| server.is_up) { Some(0) } else { servers().map(|server| server.since_s).min() }
    };
    // One that has just started knows nothing of the time before, unless all have.
    let told = |(node, proxy)| Some((is_young(node, "haproxy"), without(proxy)?));
    let mut times: Vec<(bool, u64)> = scene.proxies().filter_map(told).collect();
    let all_young = times.iter().all(|(young, _)| *young);
    times.retain(|(young, _)| all_young || !young);
    times.sort_unstable();
    let since = times.get(times.len() / 2).map(|(_, since)| *since);
    // the leader key runs out, etcd and Patroni elect: that takes some seconds however short loop_wait is
    let patience = scene.number("ttl", 30) + scene.number("loop_wait", 10).max(ELECTION_S);
    if !paused && !candidates.is_empty() && since.is_some_and(|since| since < patience) {
        // a failover takes so long
        return None;
    }
    let mut trouble = Trouble::cluster(code::NO_LEADER, Severity::Critical, "no node leads: nobody takes writes")
        .seen("etcd: Patroni's leader key is not there")
        .seen_all(
            scene
                .patronis()
                .map(|(node, patroni)| format!("Patroni on node {}: {}, {}", node.id, patroni.role, patroni.state)),
        )
        .seen_all(since.map(|since| format!("HAProxy: no primary for {since} s")));
    if paused {
        return Some(trouble.because("maintenance mode is on, so nobody is elected").mend(
            None,
            Risk::Disturbing,
            RESUME,
            "Patroni takes over again and elects a leader",
        ));
    }
    trouble = if candidates.is_empty() {
        trouble
            .because("no PostgreSQL that runs may become the primary: each is down, starting, or barred (nofailover)")
    } else {
        let max = scene.number("maximum_lag_on_failover", 1_048_576);
        trouble.because(format!(
            "the replicas that run are more than maximum_lag_on_failover ({max} bytes) behind, or cannot reach each \
             other's Patroni"
        ))
    };
    let down = scene.patronis().filter(|(_, patroni)| !could_lead(patroni)).map(|(node, _)| node.id);
    for id in down {
        trouble = trouble.safe(id, "./deploy", "starts what does not run, and says what its log says");
    }
    Some(trouble.by_hand(
        None,
        "when the old leader will not come back: `docker exec -it patroni patronictl -c /config/patroni.yml failover`, and \
         pick the replica with the newest data; what it lacks is lost",
    ))
}

pub(super) const RESUME: &str = "docker exec patroni patronictl -c /config/patroni.yml resume --wait";

fn addresses(scene: &Scene<'_>, dcs: &Dcs) -> Vec<Trouble> {
    let wrong = |member: &DcsMember| {
        let node = scene.snapshot.node_of_member(&member.name)?;
        let mut lines = Vec::new();
        for (what, url, port) in [("conn_url", &member.conn_url, 5432), ("api_url", &member.api_url, 8008)] {
            let right = format!("{}:{port}", node.address);
            if let Some(found) = place(url).filter(|found| *found != right) {
                lines.push(format!("etcd: {what} of {} is {found}, not {right}", member.name));
            }
        }
        (!lines.is_empty()).then(|| address_trouble(scene, node, lines))
    };
    dcs.members.iter().filter_map(wrong).collect()
}

/// Host and port of a URL.
fn place(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1;
    let rest = rest.split(['/', '?']).next()?;
    Some(rest.rsplit_once('@').map_or(rest, |(_, place)| place)).filter(|place| !place.is_empty())
}

fn address_trouble(scene: &Scene<'_>, node: &Node, lines: Vec<String>) -> Trouble {
    let id = node.id;
    let severity = if scene.leads(id) { Severity::Critical } else { Severity::Warning };
    Trouble::of(code::ADDRESS_WRONG, severity, id, format!("Patroni on node {id} has registered a wrong address"))
        .service("patroni")
        .seen_all(lines)
        .because(
            "its container was started without NODE_IP (from another folder or by hand), or NODE_IP has changed: \
                  the others cannot reach it there",
        )
        .mend(
            id,
            Risk::Disturbing,
            "./scripts/fix-patroni-connect-address",
            "makes the container anew with the right address: PostgreSQL there restarts; the leader's node last",
        )
        .mend(
            None,
            Risk::Destructive,
            "./scripts/clear-etcd-patroni-members --yes",
            "where the key is still wrong: deletes wrong member keys and no other; each Patroni registers itself again",
        )
}

fn initialize(scene: &Scene<'_>, dcs: &Dcs) -> Option<Trouble> {
    let remembered = dcs.initialize.as_deref().filter(|id| !id.is_empty())?;
    // a Patroni that ends because of its data has no answer, but says so in its log
    let other = |node: &Node| {
        let trouble = container(node, "patroni").and_then(|container| container.trouble.as_deref());
        trouble.is_some_and(|said| said.contains("belongs to another cluster")).then_some("that of another cluster")
    };
    let id = |node: &'_ Node| -> Option<String> {
        let known = node.patroni.known().map(|patroni| patroni.system_id.as_deref().unwrap_or(""));
        known.or_else(|| other(node)).map(str::to_owned)
    };
    let ids: Vec<_> = scene.snapshot.nodes.iter().map(|node| (node, id(node))).collect();
    let seen: Vec<String> = ids
        .iter()
        .filter_map(|(node, id)| {
            let id = id.as_deref()?;
            Some(format!("data of node {}: {}", node.id, if id.is_empty() { "none" } else { id }))
        })
        .collect();
    let led = scene.leader().and_then(|leader| leader.patroni.known()?.system_id.as_deref());
    let stale = if let Some(id) = led {
        id != remembered
    } else {
        let is_empty = |node: &Node| node.patroni.known().is_some_and(|patroni| patroni.role == "uninitialized");
        let elsewhere = |node: &Node, id: &str| id != remembered && (!id.is_empty() || is_empty(node));
        ids.iter().all(|(node, id)| id.as_deref().is_some_and(|id| elsewhere(node, id)))
    };
    if !stale {
        return None;
    }
    let severity = if led.is_some() { Severity::Warning } else { Severity::Critical };
    let what = "etcd remembers another database cluster than the one whose data is there";
    let trouble = Trouble::cluster(code::INITIALIZE_STALE, severity, what)
        .seen(format!("etcd: initialize is {remembered}"))
        .seen_all(seen);
    Some(if led.is_some() {
        trouble.because("etcd's keys come from an older life of this cluster (a restored or kept data/etcd)").mend(
            None,
            Risk::Manual,
            "",
            "the data that runs is right? Then set the key to it: `docker exec etcd etcdctl put \
                 /service/pg-cluster/initialize ID`, with the leader's identifier from above",
        )
    } else {
        trouble
            .because("PostgreSQL's data was deleted or exchanged on every node while etcd's was kept")
            .by_hand(None, "first make sure that no machine has the data, not even one that is switched off; bring that one back if so")
            .mend(
                None,
                Risk::Destructive,
                "./scripts/clear-etcd-patroni-members --forget-cluster --yes",
                "on every node within 15 minutes: forgets the cluster; then ./deploy on each begins an empty one, \
                 into which a backup is restored",
            )
    })
}

fn maintenance(scene: &Scene<'_>) -> Option<Trouble> {
    let paused: Vec<_> = scene.patronis().filter(|(_, patroni)| patroni.paused).map(|(node, _)| node.id).collect();
    let by_dcs = scene.switch("pause") == Some(true);
    if paused.is_empty() && !by_dcs {
        return None;
    }
    let what = "maintenance mode is on: Patroni looks on and elects nobody";
    let mut trouble = Trouble::cluster(code::MAINTENANCE, Severity::Warning, what);
    if !paused.is_empty() {
        trouble = trouble.seen(format!("Patroni on {}: paused", nodes(&paused)));
    }
    if by_dcs {
        trouble = trouble.seen("etcd: pause is true in Patroni's configuration");
    }
    let stopped = scene.patronis().filter(|(_, patroni)| patroni.paused && patroni.state == "stopped");
    trouble =
        trouble
            .seen_all(stopped.map(|(node, _)| {
                format!("Patroni on node {}: PostgreSQL is stopped, and is not started now", node.id)
            }));
    Some(
        trouble
            .because("somebody ran `patronictl pause` and has not resumed; a primary that dies now is not replaced")
            // only a person knows whether somebody is at work on data that PostgreSQL must not touch now
            .mend(None, Risk::Disturbing, RESUME, "when the maintenance is over, and not before"),
    )
}

fn failsafe(scene: &Scene<'_>) -> Vec<Trouble> {
    // Patroni asks etcd once per loop_wait, and gives up after retry_timeout.
    let patience = scene.number("ttl", 30) + scene.number("loop_wait", 10);
    let lost = scene.patronis().filter_map(|(node, patroni)| {
        let id = node.id;
        let clock = node.local.known().map_or(0, |local| local.clock_ms / 1000);
        let silent_for = clock.saturating_sub(patroni.dcs_last_seen);
        let silent = patroni.dcs_last_seen > 0 && clock > 0 && silent_for > patience;
        if !patroni.failsafe && !silent {
            return None;
        }
        let mut trouble = Trouble::of(
            code::FAILSAFE_ACTIVE,
            Severity::Warning,
            id,
            format!("Patroni on node {id} has lost etcd"),
        )
        .several("Patroni has lost etcd")
        .service("patroni")
        .because(
            "Patroni cannot reach any etcd (port 2379), or etcd does not answer in time; the primary goes on only \
                  as long as all members still see each other",
        )
        .safe(id, "./deploy", "mends an etcd that does not run, and Patroni's list of etcd's addresses")
        .by_hand(
            id,
            "`docker exec patroni curl -m 2 http://NODE:2379/version` for each node: which ones does Patroni reach?",
        );
        if patroni.failsafe {
            trouble = trouble.seen(format!("Patroni on node {id}: failsafe mode is active"));
        }
        if silent {
            trouble = trouble.seen(format!("Patroni on node {id}: last heard of etcd {silent_for} s ago"));
        }
        Some(trouble)
    });
    lost.collect()
}

fn failsafe_off(scene: &Scene<'_>) -> Option<Trouble> {
    let dcs = scene.dcs()?;
    // without the configuration nothing is known
    dcs.config.as_object().filter(|config| !config.is_empty())?;
    let value = dcs.config.get("failsafe_mode");
    (scene.switch("failsafe_mode") != Some(true)).then(|| {
        let value = value.map_or_else(|| "not set".to_owned(), ToString::to_string);
        let what = "failsafe mode is off: without etcd the primary stops taking writes";
        Trouble::cluster(code::FAILSAFE_OFF, Severity::Notice, what)
            .seen(format!("etcd: failsafe_mode is {value} in Patroni's configuration"))
            .because("it was switched off with edit-config, or the cluster was made by something older")
            .safe(None, format!("{EDIT} -s failsafe_mode=true"), "switches it on for all nodes")
    })
}

fn sync(scene: &Scene<'_>, dcs: &Dcs) -> Option<Trouble> {
    let wanted = scene.switch("synchronous_mode") == Some(true);
    // a new leader needs a round to choose one
    if !wanted || !dcs.sync_standbys.is_empty() || dcs.leader.is_none() || scene.settling() {
        return None;
    }
    let strict = scene.switch("synchronous_mode_strict") == Some(true);
    let (severity, what) = if strict {
        (Severity::Critical, "no synchronous standby is there, and strict mode holds every commit back until one is")
    } else {
        (
            Severity::Warning,
            "no synchronous standby is there: commits are on the primary alone, and nobody may take over",
        )
    };
    let mode = dcs.config.get("synchronous_mode").map(ToString::to_string).unwrap_or_default();
    Some(
        Trouble::cluster(code::NO_SYNC_STANDBY, severity, what)
            .seen(format!("etcd: synchronous_mode is {mode}, and the list of synchronous standbys is empty"))
            .because("no replica streams closely enough, or each has the tag nosync")
            .by_hand(
                None,
                "mend the replicas that this doctor names; `patronictl list` shows a Sync Standby or a Quorum Standby when \
                 all is well",
            )
            .mend(
                None,
                if strict { Risk::Disturbing } else { Risk::Manual },
                if strict { format!("{EDIT} -s synchronous_mode_strict=false") } else { String::new() },
                if strict {
                    "lets commits through without a standby, when writing matters more than losing nothing; where .env \
                     says DURABILITY=strict, the next deploy sets it back: write DURABILITY=sync in every .env"
                } else {
                    "replicas that stream and are still not chosen: look for the tag nosync in patroni.yml"
                },
            ),
    )
}

fn strangers(scene: &Scene<'_>, dcs: &Dcs) -> Vec<Trouble> {
    let strange = dcs.members.iter().filter(|member| scene.snapshot.node_of_member(&member.name).is_none());
    strange
        .map(|member| {
            let name = member.name.as_str();
            // anybody who reaches etcd can name a key, and a command goes through a shell
            let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
            let what = format!("Patroni's keys name a member that .env does not: {name}");
            let trouble = Trouble::cluster(code::MEMBER_KEY_FOREIGN, Severity::Notice, what)
                .seen(format!("etcd: member {name} ({}, {}) at {}", member.role, member.state, member.conn_url))
                .because(
                    "a node was taken out of .env while its Patroni still runs, or somebody named a member otherwise",
                )
                .by_hand(None, "does that machine still run? ./clean on it, or put it back into every .env");
            if !plain {
                return trouble
                    .by_hand(None, "when it is gone, delete its key below /service/pg-cluster/members/ in etcd");
            }
            trouble.mend(
                None,
                Risk::Destructive,
                format!("docker exec etcd etcdctl del /service/pg-cluster/members/{name}"),
                "when it is gone; a Patroni that runs would write its key anew",
            )
        })
        .collect()
}

fn two_primaries(scene: &Scene<'_>) -> Option<Trouble> {
    let mut lines = Vec::new();
    let mut who = Vec::new();
    for node in scene.living() {
        let (id, patroni, postgres) = (node.id, node.patroni.known(), node.postgres.known());
        let writes = match postgres {
            Some(postgres) => !postgres.in_recovery,
            None => patroni.is_some_and(Patroni::takes_writes),
        };
        if !writes {
            continue;
        }
        who.push(id);
        if let Some(patroni) = patroni {
            lines.push(format!(
                "Patroni on node {id}: {}, {}, timeline {}",
                patroni.role,
                patroni.state,
                timeline(patroni)
            ));
        }
        if let Some(postgres) = postgres {
            lines.push(format!("PostgreSQL on node {id}: takes writes, timeline {}", postgres.timeline));
        }
    }
    if who.len() < 2 {
        return None;
    }
    let leader = scene.dcs().and_then(|dcs| dcs.leader.clone());
    let mut trouble =
        Trouble::cluster(code::TWO_PRIMARIES, Severity::Critical, format!("{} all take writes", nodes(&who)))
            .seen_all(lines)
            .because("one was promoted by hand, runs without its Patroni, or belongs to another etcd");
    let lead = leader.as_deref().and_then(|name| scene.snapshot.node_of_member(name)).map(|node| node.id);
    if let Some(lead) = lead {
        trouble = trouble.seen(format!("etcd: the leader is node {lead}"));
    }
    let wrong: Vec<_> = who.iter().copied().filter(|id| lead.is_some() && Some(*id) != lead).collect();
    trouble = trouble.about(who);
    for id in wrong {
        trouble = trouble
            .mend(
                id,
                Risk::Disturbing,
                "docker compose stop patroni",
                "at once: stops this PostgreSQL, which is not the leader's",
            )
            .mend(
                id,
                Risk::Destructive,
                "./scripts/reclone --yes",
                "then: what was written only here is kept aside, in data/pg.TIME",
            );
    }
    if lead.is_none() {
        trouble = trouble.by_hand(
            None,
            "decide which one is right; on the other: `docker compose stop patroni`, and later ./scripts/reclone",
        );
    }
    Some(trouble)
}

fn timeline(patroni: &Patroni) -> String {
    patroni.timeline.map_or_else(|| "unknown".to_owned(), |timeline| timeline.to_string())
}

fn times(dcs: &Dcs) -> Option<Trouble> {
    let of = |name: &str, default: u64| dcs.config.get(name).and_then(as_number).unwrap_or(default);
    let (ttl, loop_wait, retry) = (of("ttl", 30), of("loop_wait", 10), of("retry_timeout", 10));
    let fits = loop_wait.saturating_add(retry.saturating_mul(2)) <= ttl && ttl >= 20 && loop_wait >= 1 && retry >= 3;
    (!fits).then(|| {
        let what = "ttl, loop_wait and retry_timeout do not fit together: Patroni shortens them without a word";
        Trouble::cluster(code::TIMES_DO_NOT_FIT, Severity::Warning, what)
            .seen(format!("etcd: ttl {ttl}, loop_wait {loop_wait}, retry_timeout {retry}"))
            .because("loop_wait + 2 * retry_timeout must be at most ttl, with ttl 20, loop_wait 1 and retry_timeout 3 at least")
            .by_hand(None, "does .env name them (RTO_PROFILE, PATRONI_TTL, PATRONI_LOOP_WAIT, PATRONI_RETRY_TIMEOUT)? Correct them there, then ./deploy")
            .safe(None, format!("{EDIT} -s ttl=30 -s loop_wait=5 -s retry_timeout=10"), "else: sets what a new cluster gets")
    })
}
