//! A cluster of three virtual machines with hostile passwords, shared by all tests, one at a time.
#![expect(clippy::print_stderr, reason = "a random test tells its seed")]

mod doctor;
mod durability;
mod faults;
mod hold;
mod operator;
mod orders;
mod page;
mod preflight;
mod profiles;
mod reclone;
mod removal;
mod repair;
mod scenarios;
mod settings;
mod status;
mod switchover;

/// Patroni's own tool, on any machine of the lab.
const PATRONICTL: &str = "docker exec patroni patronictl -c /config/patroni.yml";
/// The name of the shared lab.
const LAB: &str = "e2e";
