//! How a member starts: the `initial-*` settings, which only an empty data directory reads.

use pgstack_env::{EtcdState, NodeEnv};

use crate::{Desired, Member, Seat};

/// `initial-cluster-state` and `initial-cluster`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Form a cluster, or join one.
    pub state: EtcdState,
    /// `etcd1=http://…:2380,…`.
    pub initial_cluster: String,
}

/// What `bootstrap` can know about this machine without asking anybody: see [`Start::for_manual_procedure`].
impl Start {
    /// The first boot of the whole cluster: `new` with everybody, on every node, in any order.
    pub fn first_boot(desired: &Desired) -> Self {
        Self { state: EtcdState::New, initial_cluster: desired.static_list() }
    }

    /// What stands in the file of a member that has its data: `existing`, with itself alone.
    ///
    /// etcd ignores it as long as the data is there. When the data is lost and a restart policy
    /// starts etcd before anybody has thought about it, this list makes it give up: it has no
    /// peer to ask. With everybody in the list it would join under its old id and break Raft's
    /// promises; with `new` it could form an empty cluster with others that lost their data.
    pub fn settled(desired: &Desired) -> Self {
        let me = desired.me();
        Self { state: EtcdState::Existing, initial_cluster: format!("{}={}", me.name, me.peer_url) }
    }

    /// Joins a cluster: its own list, in which this machine must stand.
    ///
    /// etcd compares peer URLs and their number, so every member has to be in it; names must
    /// differ, else two members would be read as one with two URLs.
    pub fn join(desired: &Desired, members: &[Member]) -> Self {
        let me = desired.me();
        let mut taken = vec![me.name.clone()];
        let mut list = Vec::new();
        for member in members {
            let seat = desired.seats().iter().find(|seat| member.sits_at(seat));
            let name = match seat {
                Some(seat) if seat.node == me.node => me.name.clone(),
                _ => unique_name(member, seat, &taken),
            };
            list.extend(member.peer_urls.iter().map(|url| format!("{name}={url}")));
            taken.push(name);
        }
        Self { state: EtcdState::Existing, initial_cluster: list.join(",") }
    }

    /// What `bootstrap` writes, which asks nobody. `joined`: this machine has data or a mark.
    ///
    /// The shell version told nodes 2 and 3 to say `existing` without a list. Taken at its word that
    /// would keep the first boot waiting for ever, since nobody is there to join; a static list
    /// with `new` is what makes its procedure work in any order.
    pub fn for_manual_procedure(env: &NodeEnv, joined: bool) -> Self {
        let desired = Desired::from(&env.local);
        if joined {
            return Self::settled(&desired);
        }
        if let Some(list) = &env.etcd_initial_cluster {
            return Self { state: env.etcd_state.unwrap_or(EtcdState::Existing), initial_cluster: list.clone() };
        }
        let state = match env.etcd_state {
            Some(EtcdState::Existing) if env.local.me().id().get() > 3 => EtcdState::Existing,
            _ => EtcdState::New,
        };
        Self { state, initial_cluster: desired.static_list() }
    }
}

fn unique_name(member: &Member, seat: Option<&Seat>, taken: &[String]) -> String {
    let name = match seat {
        Some(seat) if member.name.is_empty() => &seat.name,
        _ => &member.name,
    };
    if name.is_empty() || taken.contains(name) { format!("member-{}", member.id) } else { name.clone() }
}
