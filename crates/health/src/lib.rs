//! What is known about a cluster at one moment, what is wrong with it, and how both are shown. Pure:
//! `pgstack-doctor` asks the questions and hands the answers over.

pub mod code;
mod fact;
mod finding;
pub mod fix;
mod json;
mod metrics;
mod page;
pub mod preflight;
mod report;
mod rules;
mod screen;
mod snapshot;
mod view;

pub use fact::{Fact, NO_ANSWER, NO_LOGIN, NO_TOKEN, REFUSED, TOKEN_REFUSED};
pub use finding::{Finding, Mend, Risk, Severity};
pub use json::Report;
pub use metrics::{METRICS, metrics};
pub use page::{page, parts};
pub use report::{report, unknown};
pub use rules::examine;
pub use screen::{Look, changes, screen};
pub use snapshot::{
    Container, DbServer, Dcs, DcsMember, Disk, Etcd, EtcdAlarm, EtcdMember, FileState, Haproxy, Local, Node, OddFile,
    Patroni, Pgbouncer, Pool, Postgres, SCHEMA, Settings, Slot, Snapshot, Standby,
};
pub use view::{moment, one_line};
