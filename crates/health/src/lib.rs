//! What is known about a cluster at one moment, what is wrong with it, and how both are shown. Pure:
//! `pgstack-doctor` asks the questions and hands the answers over.

mod fact;
mod finding;
pub mod fix;
pub mod preflight;
mod rules;
mod snapshot;

pub use fact::Fact;
pub use finding::{Finding, Mend, Risk, Severity};
pub use rules::examine;
pub use snapshot::{
    Container, DbServer, Dcs, DcsMember, Disk, Etcd, EtcdAlarm, EtcdMember, FileState, Haproxy, Local, Node, OddFile,
    Patroni, Pgbouncer, Pool, Postgres, SCHEMA, Settings, Slot, Snapshot, Standby,
};
