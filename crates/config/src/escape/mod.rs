//! One escaper for every file format. Each type prints its value so that the format's real
//! reader gives the same value back; a template can only hold a free string through one of these.

mod haproxy;
mod keepalived;
mod pgbouncer;
mod sql;
mod yaml;

pub use haproxy::HaproxyWord;
pub use keepalived::{KeepalivedWord, KeepalivedWordError};
pub use pgbouncer::UserlistString;
pub use sql::SqlLiteral;
pub use yaml::{ComposeString, YamlString};
