//! A rendered file, a set of them, and the one escaper of every file format.
//!
//! Generators return [`ConfigSet`]s; nothing in here or below touches the disk.

pub mod escape;
mod file;
pub mod scram;

pub use file::{Access, ConfigSet, RenderError, RenderedFile};

/// The uid and gid under which etcd, Patroni, PostgreSQL, HAProxy and PgBouncer run in their
/// containers. Secret files belong to this group, data folders to this user.
pub const SERVICE_ID: u32 = 999;
