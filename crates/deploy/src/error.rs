//! What can stop a use case.

use std::io;
use std::net::Ipv4Addr;

use pgstack_cluster_view::{ControlError, PostgresError};
use pgstack_config::RenderError;
use pgstack_containers::{ContainersError, Service};
use pgstack_diagnostics::Hint;
use pgstack_etcd::client::{ChangeError, StoreError};
use pgstack_etcd::{MarkError, Overdue, Refusal};
use pgstack_patroni::dynamic::TimesDoNotFit;
use pgstack_workdir::{SettingsError, WorkdirError};

use crate::clear_members::ForgetRefusal;
use crate::deploy::trouble;
use crate::reclone::RecloneError;
use crate::remove_node::RemovalRefusal;
use crate::reset_etcd::ResetRefusal;
use crate::switchover::SwitchoverRefusal;

/// How many lines of a failing service's log are shown.
const SHOWN: usize = 8;

/// What can stop a use case. Everything it had to leave undone is done by the next run.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// `.env` is missing or wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The stack directory.
    #[error(transparent)]
    Workdir(#[from] WorkdirError),
    /// A template.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The engine or Compose.
    #[error(transparent)]
    Containers(#[from] ContainersError),
    /// etcd's membership may not be changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// etcd's membership could not be changed.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// etcd's keys could not be read or changed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Patroni did not do it.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// PostgreSQL did not do it.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// The node may not be removed.
    #[error(transparent)]
    Removal(#[from] RemovalRefusal),
    /// The leadership may not be moved.
    #[error(transparent)]
    Switchover(#[from] SwitchoverRefusal),
    /// Others did not come in time.
    #[error(transparent)]
    Overdue(#[from] Overdue),
    /// The mark beside etcd's data is damaged.
    #[error("cannot understand {path}")]
    Mark {
        /// Where it lies, relative to the stack directory.
        path: &'static str,
        /// What is wrong with it.
        source: MarkError,
    },
    /// NODE_IP is not an address of this machine.
    #[error("`NODE_IP` {address} is not an address of this machine, which has {held}")]
    NotMyAddress {
        /// The configured address.
        address: Ipv4Addr,
        /// What the kernel lists: `eth0 10.0.0.5, lo 127.0.0.1`.
        held: String,
    },
    /// NODE_IP belongs to one of Docker's own networks.
    #[error("`NODE_IP` {address} is the address of {interface}, a network inside this machine")]
    DockerAddress {
        /// The configured address.
        address: Ipv4Addr,
        /// `docker0` or `br-…`.
        interface: String,
    },
    /// The interface for the VIP does not exist.
    #[error("`KEEPALIVED_INTERFACE` {name} does not exist on this machine, which has {held}")]
    NoInterface {
        /// The configured name.
        name: String,
        /// What the kernel lists.
        held: String,
    },
    /// The interface for the VIP is not the one that holds NODE_IP.
    #[error("`KEEPALIVED_INTERFACE` is {name}, but `NODE_IP` {address} is on {holder}")]
    OtherInterface {
        /// The configured name.
        name: String,
        /// NODE_IP.
        address: Ipv4Addr,
        /// The interface that holds it.
        holder: String,
    },
    /// A container of that name is there, and not from this stack directory.
    #[error("the container `{service}` on this machine belongs to {owner}, not to this stack directory")]
    OtherStack {
        /// The container.
        service: Service,
        /// The folder that it was made in, or `something else`.
        owner: String,
    },
    /// Images are missing and could not be fetched.
    #[error("image {image} ({service}) is missing on this machine: {detail}")]
    NoImage {
        /// The image.
        image: String,
        /// Who needs it.
        service: Service,
        /// What fetching it said.
        detail: String,
    },
    /// A service did not become what it should in time.
    #[error("after {seconds} s still waiting for {what}: {detail}")]
    NotReady {
        /// What was waited for.
        what: &'static str,
        /// How it stood at the end.
        detail: String,
        /// How long, in seconds.
        seconds: u64,
        /// The service whose log tells more, and its last lines; fewer of them are shown.
        log: Option<(Service, Vec<String>)>,
    },
    /// Patroni's maintenance mode keeps PostgreSQL as it is.
    #[error("maintenance mode is on: Patroni starts no PostgreSQL and elects no leader")]
    Maintenance,
    /// Patroni's times in `.env` do not fit with those in the DCS.
    #[error("what .env names does not fit with what the DCS has: {0}")]
    Times(#[from] TimesDoNotFit),
    /// PostgreSQL cannot be restarted as things stand.
    #[error("no restart now: {detail}")]
    CannotRestart {
        /// Why.
        detail: String,
    },
    /// This node may not be given a fresh copy.
    #[error(transparent)]
    Reclone(#[from] RecloneError),
    /// etcd may not be reset.
    #[error(transparent)]
    Reset(#[from] ResetRefusal),
    /// The data of the new etcd cluster could not be made.
    #[error("cannot make the new etcd cluster's data: {detail}")]
    EtcdCopy {
        /// Why, in etcd's words.
        detail: String,
    },
    /// The cluster may not be forgotten.
    #[error(transparent)]
    Forget(#[from] ForgetRefusal),
    /// etcd remembers a cluster whose data is gone.
    #[error(
        "after {seconds} s no node leads: etcd remembers the cluster with identifier {identifier}, and no Patroni that \
         answers has its data"
    )]
    NoDataAnywhere {
        /// PostgreSQL's system identifier, as etcd holds it.
        identifier: String,
        /// How long it was waited, in seconds.
        seconds: u64,
    },
    /// Patroni does not register the right address.
    #[error("after {seconds} s the registered address is still not right: {detail}")]
    NotRegistered {
        /// How it stood at the end.
        detail: String,
        /// How long it was waited, in seconds.
        seconds: u64,
        /// The user's own addition to the Compose file, where there is one.
        additions: Option<&'static str>,
        /// The last lines of Patroni's log.
        log: Vec<String>,
    },
    /// What other nodes announce could not be heard.
    #[error("cannot listen to what keepalived on the other nodes announces")]
    Listen(#[source] io::Error),
    /// The asynchronous runtime did not start.
    #[error("cannot start")]
    Runtime(#[source] io::Error),
}

impl Hint for DeployError {
    fn hints(&self) -> Vec<String> {
        let one = |hint: &str| vec![hint.to_owned()];
        match self {
            Self::Settings(error) => error.hints(),
            Self::Workdir(error) => error.hints(),
            Self::Containers(error) => error.hints(),
            Self::Refused(refusal) => refusal.hints(),
            Self::Change(error) => error.hints(),
            Self::Store(error) => error.hints(),
            Self::Removal(refusal) => refusal.hints(),
            Self::Switchover(refusal) => refusal.hints(),
            Self::Control(ControlError::Refused { code: 401, .. }) | Self::Postgres(PostgresError::Password { .. }) => {
                one("the passwords in .env must be those that the cluster runs with, the same on every node")
            }
            Self::Postgres(_) => one("open TCP 5432 between the nodes; `docker logs patroni` on that node says more"),
            Self::Control(_) => one("`docker logs patroni` on that node says more; run this again to go on"),
            Self::Overdue(overdue) => overdue.hints(),
            Self::Reclone(error) => error.hints(),
            Self::Mark { path, .. } => vec![format!(
                "{path} says that this node has been an etcd member; put it back from a copy, or, when etcd runs on \
                 this node, delete it: the next deploy writes it anew"
            )],
            Self::NotMyAddress { .. } => one("set NODE_ID and NODE_IP in .env to those of this machine"),
            Self::DockerAddress { .. } => one(
                "use the address under which the other machines reach this one; a Docker network's address (172.18.x) \
                 would be registered and no replica could connect",
            ),
            Self::OtherInterface { holder, .. } => vec![format!(
                "set KEEPALIVED_INTERFACE={holder}: keepalived speaks to the other nodes from NODE_IP, through that interface \
                 alone; through another one no node would hear it, and two would hold the VIP"
            )],
            Self::NoInterface { .. } => one("`ip -br addr` lists the interfaces; take the one that holds NODE_IP. `./doctor --preflight` looks at the \
                 rest of this machine, too"),
            Self::OtherStack { service, .. } => vec![format!(
                "one stack per machine: run it in that folder, or remove the container first (docker rm -f {service}), \
                 knowing what it is"
            )],
            Self::NoImage { .. } => {
                one("build the images with images/build.sh, or copy them from a machine that has them: \
                 docker save IMAGE | ssh NODE docker load")
            }
            Self::NotReady { log, .. } => match log {
                None => one("run it again to go on waiting; nothing that was done is lost"),
                Some((service, lines)) => {
                    let last = &lines[lines.len().saturating_sub(SHOWN)..];
                    let mut hints =
                        vec![format!("`docker logs {service}` says why; its last lines:\n  {}", last.join("\n  "))];
                    hints.extend(trouble::hint(lines).filter(|_| *service == Service::Patroni));
                    hints.push("run it again to go on; nothing that was done is lost".to_owned());
                    hints
                }
            },
            Self::Reset(refusal) => refusal.hints(),
            Self::EtcdCopy { .. } => one("the old data is as it was, in data/etcd or data/etcd.TIME; run it again"),
            Self::Forget(refusal) => refusal.hints(),
            Self::Maintenance => one("the services run; when the maintenance is over: \
                 docker exec patroni patronictl -c /config/patroni.yml resume --wait; then run this again"),
            Self::NoDataAnywhere { .. } => vec![
                "when a machine that has the data is switched off, switch it on".to_owned(),
                "when a node's data cannot be read (`ls -ln data/pg data/pg/data`: it belongs to 999:999), \
                 `chown -R 999:999 data/pg` there, and run this again"
                    .to_owned(),
                "when the data is gone for good: `clear-etcd-patroni-members --forget-cluster` on every node looks for it \
                 once more and begins anew"
                    .to_owned(),
            ],
            Self::NotRegistered { additions, log, .. } => {
                let mut hints = Vec::new();
                if let Some(file) = additions {
                    hints.push(format!("{file} may set another address or another command for patroni: look at it"));
                }
                hints.push(format!("`docker logs patroni` says more; its last lines:\n  {}", log.join("\n  ")));
                hints
            }
            Self::Times(_) => one("Patroni would shorten them without a word: set PATRONI_TTL, PATRONI_LOOP_WAIT and \
                     PATRONI_RETRY_TIMEOUT in .env, all three, the same on every node"),
            Self::CannotRestart { .. } => one("one node leads and all others stream before anything is restarted: \
                     `docker exec patroni patronictl -c /config/patroni.yml list` shows it; then run it again"),
            Self::Listen(_) => one("run deploy as root"),
            Self::Render(_) | Self::Runtime(_) => Vec::new(),
        }
    }
}
