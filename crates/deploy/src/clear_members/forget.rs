//! Forgetting a cluster that has no data anywhere: then Patroni waits for ever for a leader to clone from.

use std::path::Path;

use pgstack_cluster_view::Instance;
use pgstack_diagnostics::{Console, Ended, Hint};
use pgstack_env::NodeEnv;
use pgstack_etcd::client::{Entry, Store};
use pgstack_topology::{Node, Topology};
use pgstack_workdir::StackDir;

use super::classify::name;
use crate::files::PG_DATA;
use crate::patroni_keys::{ALL, INITIALIZE, LEADER, MEMBERS, NO_DATA};
use crate::{DeployError, consent};

/// How long a node's word holds that it has no data.
const WORD_SECONDS: i64 = 900;

/// How a Patroni without data waits; any other state means that it is getting some.
const IDLE: [&str; 3] = ["stopped", "crashed", "start failed"];

/// Why the cluster is not forgotten. Nothing has been changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForgetRefusal {
    /// Somebody leads.
    #[error("{leader} leads the cluster")]
    Led {
        /// The member's name.
        leader: String,
    },
    /// This node has data.
    #[error("this node has PostgreSQL data: {found}")]
    DataHere {
        /// Where it lies, or why that cannot be told.
        found: String,
    },
    /// Another node has data, or may have.
    #[error("{member} may have PostgreSQL data, or is about to: its Patroni says {role}, {state}")]
    DataThere {
        /// The member's name.
        member: String,
        /// Its role.
        role: String,
        /// Its state.
        state: String,
    },
    /// Nobody tells whether a node has data.
    #[error("Patroni of {member} does not answer, so nothing proves that it has no PostgreSQL data")]
    Silent {
        /// The member's name.
        member: String,
    },
    /// A member is registered that no node of `.env` is.
    #[error("{member} is registered, but not a node of this .env: nothing proves that it has no PostgreSQL data")]
    Stranger {
        /// The member's name.
        member: String,
    },
}

impl Hint for ForgetRefusal {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Led { .. } => vec!["the cluster works; there is nothing to forget".to_owned()],
            Self::DataHere { .. } | Self::DataThere { .. } => vec![
                "the cluster can be started from that data: see `docker logs patroni` there; to start over all the same, \
                 run `clean` on every node"
                    .to_owned(),
            ],
            Self::Silent { .. } => vec![
                "start Patroni there (`deploy`), so that it tells; for a machine that is gone for good put another one in its \
                 place first (docs/operations.md, Replace a machine)"
                    .to_owned(),
            ],
            Self::Stranger { member } => {
                vec![format!("put the node of {member} into .env, or stop its Patroni and wait half a minute")]
            }
        }
    }
}

/// Whether the proof is complete that no node has data. Pure.
///
/// `here` is what speaks for data on this machine's disk; `nodes` is each node of `.env` with what its
/// Patroni says.
fn prove(
    here: Option<String>,
    nodes: &[(String, Option<Instance>)],
    keys: &[(String, String)],
) -> Result<(), ForgetRefusal> {
    if let Some((_, leader)) = keys.iter().find(|(key, _)| key == LEADER) {
        return Err(ForgetRefusal::Led { leader: leader.clone() });
    }
    if let Some(found) = here {
        return Err(ForgetRefusal::DataHere { found });
    }
    for (member, instance) in nodes {
        let Some(instance) = instance else { return Err(ForgetRefusal::Silent { member: member.clone() }) };
        if instance.may_have_data() || !IDLE.contains(&instance.state.as_str()) {
            let (role, state) = (instance.role.clone(), instance.state.clone());
            return Err(ForgetRefusal::DataThere { member: member.clone(), role, state });
        }
    }
    let mut members = keys.iter().filter(|(key, _)| key.starts_with(MEMBERS)).map(|(key, _)| name(key));
    match members.find(|member| !nodes.iter().any(|(known, _)| known == member)) {
        Some(member) => Err(ForgetRefusal::Stranger { member: member.to_owned() }),
        None => Ok(()),
    }
}

/// Deletes everything that Patroni keeps in etcd, where that is proven to be worth nothing.
pub(super) async fn forget(
    stack: &StackDir,
    env: &NodeEnv,
    store: &mut Store,
    options: super::ClearMembers,
    console: &dyn Console,
) -> Result<Ended, DeployError> {
    let entries = proven(stack, env, store).await?;
    if entries.is_empty() {
        console.out("nothing to forget: etcd has no keys of this cluster");
        return Ok(Ended::Done);
    }
    console.out("Nobody leads, and Patroni waits for data that is gone. Once every node has said that it has none, this deletes:");
    for entry in &entries {
        console.out(&format!("  {}", entry.key));
    }
    if options.dry_run {
        return Ok(Ended::Done);
    }
    let question = "Forget the old cluster? A new, empty one is made right away.";
    if !consent::given(console, options.yes, question, "--yes") {
        return Ok(Ended::Unfinished);
    }
    // Patroni says of data that it cannot read that there is none, so each node looks for itself
    let me = env.local.me().patroni_name();
    store.put_for(&format!("{NO_DATA}{me}"), "looked", WORD_SECONDS).await?;
    let words = store.list(NO_DATA).await?;
    let is_silent = |node: &Node| !words.iter().any(|word| word.key == format!("{NO_DATA}{}", node.patroni_name()));
    let silent: Vec<String> =
        env.local.topology().nodes().filter(is_silent).map(|node| node.id().to_string()).collect();
    if !silent.is_empty() {
        let minutes = WORD_SECONDS / 60;
        console.out("this node has no PostgreSQL data, and has said so");
        console
            .out(&format!("run the same on node {} within {minutes} minutes: the last one deletes", silent.join(", ")));
        return Ok(Ended::Unfinished);
    }
    let mut entries = proven(stack, env, store).await?;
    // as soon as this one is gone, a node begins anew: it must find nothing else of the old cluster
    entries.sort_by_key(|entry| entry.key == INITIALIZE);
    let left = delete(store, &entries).await?;
    delete(store, &words).await?;
    for key in left.iter().filter(|key| !key.starts_with(MEMBERS)) {
        console.warn(&format!("{key} has changed meanwhile and stays"));
    }
    console.out("forgotten: the first Patroni to notice makes a new cluster; now run deploy on every node");
    Ok(Ended::Done)
}

/// Everything that Patroni keeps in etcd, where nothing speaks against deleting it.
async fn proven(stack: &StackDir, env: &NodeEnv, store: &mut Store) -> Result<Vec<Entry>, DeployError> {
    let entries = store.list(ALL).await?;
    if !entries.is_empty() {
        let nodes = ask(env.local.topology()).await;
        let keys: Vec<_> = entries.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect();
        prove(data_here(stack), &nodes, &keys)?;
    }
    Ok(entries)
}

/// Deletes what has not changed since it was listed; returns the rest. Members that run renew their
/// keys all the time.
async fn delete(store: &mut Store, entries: &[Entry]) -> Result<Vec<String>, DeployError> {
    let mut left = Vec::new();
    for entry in entries {
        if !store.delete(entry).await? {
            left.push(entry.key.clone());
        }
    }
    Ok(left)
}

async fn ask(topology: &Topology) -> Vec<(String, Option<Instance>)> {
    let observer = pgstack_cluster_view::Observer::new();
    let asked = topology.nodes().map(async |node| (node.patroni_name(), observer.instance(node).await));
    futures_util::future::join_all(asked).await
}

/// What speaks for data on this machine's disk, in the folder of this stack or of an older layout.
fn data_here(stack: &StackDir) -> Option<String> {
    let folder = stack.path(PG_DATA);
    for place in [folder.join("data"), folder.clone()] {
        match holds_data(&place) {
            Ok(false) => {}
            Ok(true) => return Some(place.display().to_string()),
            Err(error) => return Some(format!("{}: {error}", place.display())),
        }
    }
    None
}

fn holds_data(folder: &Path) -> std::io::Result<bool> {
    let found = |name: &str| folder.join(name).try_exists();
    Ok(found("PG_VERSION")? || found("global/pg_control")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Instance {
        serde_json::from_str(r#"{"state": "stopped", "role": "uninitialized", "dcs_last_seen": 1700000000}"#)
            .expect("JSON")
    }

    fn nodes() -> Vec<(String, Option<Instance>)> {
        ["patroni1", "patroni2", "patroni3"].map(|name| (name.to_owned(), Some(empty()))).to_vec()
    }

    fn keys(more: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut keys = vec![(INITIALIZE, "7"), ("/service/pg-cluster/members/patroni1", "{}")];
        keys.extend(more);
        keys.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn a_cluster_without_data_anywhere_is_forgotten() {
        assert_eq!(prove(None, &nodes(), &keys(&[])), Ok(()));
    }

    #[test]
    fn whatever_leaves_a_doubt_is_a_refusal_that_names_the_node() {
        let refused = |here: Option<&str>, nodes: &[(String, Option<Instance>)], more: &[(&str, &str)]| {
            prove(here.map(str::to_owned), nodes, &keys(more)).expect_err("refused").to_string()
        };
        assert_eq!(refused(None, &nodes(), &[(LEADER, "patroni2")]), "patroni2 leads the cluster");
        assert_eq!(refused(Some("/x/data/pg/data"), &nodes(), &[]), "this node has PostgreSQL data: /x/data/pg/data");
        let mut silent = nodes();
        silent[1].1 = None;
        assert!(refused(None, &silent, &[]).starts_with("Patroni of patroni2 does not answer"));
        let doubts = [
            Instance { role: "replica".to_owned(), ..empty() },
            Instance { database_system_identifier: Some("7".to_owned()), ..empty() },
            Instance { role: String::new(), ..empty() },
            Instance { state: "initializing new cluster".to_owned(), ..empty() },
            Instance { state: "creating replica".to_owned(), ..empty() },
        ];
        for doubt in doubts {
            let mut there = nodes();
            there[2].1 = Some(doubt);
            assert!(refused(None, &there, &[]).starts_with("patroni3 may have PostgreSQL data"));
        }
        assert!(refused(None, &nodes(), &[("/service/pg-cluster/members/old", "")]).starts_with("old is registered"));
    }

    #[test]
    fn data_of_this_and_of_an_older_layout_is_seen() {
        let dir = tempfile::tempdir().expect("a folder");
        let stack = StackDir::open(dir.path()).expect("a stack");
        assert_eq!(data_here(&stack), None);
        std::fs::create_dir_all(stack.path("data/pg/data/global")).expect("made");
        assert_eq!(data_here(&stack), None);
        for place in ["data/pg/data/global/pg_control", "data/pg/data/PG_VERSION", "data/pg/PG_VERSION"] {
            std::fs::write(stack.path(place), "17").expect("written");
            assert!(data_here(&stack).is_some(), "{place}");
            std::fs::remove_file(stack.path(place)).expect("removed");
        }
    }
}
