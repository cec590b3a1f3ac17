//! What is known about a cluster at one moment, what is wrong with it, and how both are shown. Pure:
//! `pgstack-doctor` asks the questions and hands the answers over.

mod fact;
mod finding;
pub mod fix;
pub mod preflight;
mod metrics;
mod page;
mod report;
mod rules;
mod screen;
mod snapshot;
mod view;

pub use fact::{Fact, NO_ANSWER, NO_TOKEN, REFUSED, TOKEN_REFUSED};
pub use finding::{Finding, Mend, Risk, Severity};
pub use metrics::{METRICS, metrics};
pub use page::{page, parts};
pub use report::Report;
pub use rules::examine;
pub use screen::{Look, changes, screen};
pub use snapshot::{
    Container, DbServer, Dcs, DcsMember, Disk, Etcd, EtcdAlarm, EtcdMember, FileState, Haproxy, Local, Node, OddFile,
    Patroni, Pgbouncer, Pool, Postgres, SCHEMA, Settings, Slot, Snapshot, Standby,
};
