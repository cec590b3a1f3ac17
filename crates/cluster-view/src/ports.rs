//! Who listens at this machine's ports, and its limits, as the kernel tells.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use procfs::net::{TcpState, tcp, tcp6};
use procfs::process::{FDTarget, Process, all_processes};
use procfs::{Current as _, Meminfo, ProcError};

/// A process that listens at a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    /// Its program: `nginx`.
    pub name: String,
    /// Its number.
    pub pid: i32,
    /// The processes that it descends from, the nearest first.
    pub ancestors: Vec<i32>,
}

/// The ports among `wanted` that somebody listens at, over IPv4 or IPv6, with whoever that is; nobody
/// where the kernel does not say, as to other users than root.
pub fn listeners(wanted: &[u16]) -> Result<BTreeMap<u16, BTreeSet<Listener>>, String> {
    let told = |error: ProcError| error.to_string();
    let mut sockets: BTreeMap<u64, u16> = BTreeMap::new();
    // a kernel without IPv6 has no second file
    for entry in tcp().map_err(told)?.into_iter().chain(tcp6().unwrap_or_default()) {
        let port = entry.local_address.port();
        if entry.state == TcpState::Listen && wanted.contains(&port) {
            sockets.insert(entry.inode, port);
        }
    }
    let mut found: BTreeMap<u16, BTreeSet<Listener>> = sockets.values().map(|port| (*port, BTreeSet::new())).collect();
    if sockets.is_empty() {
        return Ok(found);
    }
    // processes come and go meanwhile
    for process in all_processes().map_err(told)?.flatten() {
        let Ok(files) = process.fd() else { continue };
        for file in files.flatten() {
            let FDTarget::Socket(inode) = file.target else { continue };
            if let Some(holders) = sockets.get(&inode).and_then(|port| found.get_mut(port)) {
                holders.extend(listener(&process));
            }
        }
    }
    Ok(found)
}

fn listener(process: &Process) -> Option<Listener> {
    let stat = process.stat().ok()?;
    let (mut ancestors, mut parent) = (Vec::new(), stat.ppid);
    while parent > 0 && ancestors.len() < 32 {
        ancestors.push(parent);
        parent = Process::new(parent).and_then(|process| process.stat()).map_or(0, |stat| stat.ppid);
    }
    Some(Listener { name: stat.comm, pid: stat.pid, ancestors })
}

/// Limits of this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Its memory, in bytes.
    pub memory: Option<u64>,
    /// Where the kernel promises no more memory than it has: how much it still promises, in bytes.
    pub commit_left: Option<u64>,
    /// How many files a child of the Docker engine may be allowed to open at most.
    pub open_files: Option<u64>,
    /// The ports that outgoing connections may take.
    pub ephemeral: Option<(u16, u16)>,
    /// Those among them that they may not take.
    pub reserved: Vec<(u16, u16)>,
}

/// Asks the kernel.
pub fn limits() -> Limits {
    let memory = Meminfo::current().ok();
    let strict = read("vm/overcommit_memory").is_some_and(|mode| mode.trim() == "2");
    let commit_left = || {
        let memory = memory.as_ref()?;
        Some(memory.commit_limit?.saturating_sub(memory.committed_as))
    };
    Limits {
        memory: memory.as_ref().map(|memory| memory.mem_total),
        commit_left: strict.then(commit_left).flatten(),
        open_files: open_files(),
        ephemeral: read("net/ipv4/ip_local_port_range").and_then(|text| range(text.split_whitespace())),
        reserved: read("net/ipv4/ip_local_reserved_ports").map(|text| ranges(&text)).unwrap_or_default(),
    }
}

fn read(parameter: &str) -> Option<String> {
    std::fs::read_to_string(format!("/proc/sys/{parameter}")).ok()
}

/// What root may raise a limit to is bounded by the kernel alone, unless the engine was denied that right.
fn open_files() -> Option<u64> {
    let kernel = read("fs/nr_open")?.trim().parse::<u64>().ok()?;
    let is_engine = |process: &Process| process.stat().is_ok_and(|stat| stat.comm == "dockerd");
    let engine = all_processes().ok()?.flatten().find(is_engine);
    let may_raise = |process: &Process| {
        /// `CAP_SYS_RESOURCE`.
        const RESOURCE: u64 = 1 << 24;
        process.status().is_ok_and(|status| status.capeff & RESOURCE != 0)
    };
    match engine {
        Some(engine) if !may_raise(&engine) => match engine.limits().ok()?.max_open_files.hard_limit {
            procfs::process::LimitValue::Value(hard) => Some(hard.min(kernel)),
            procfs::process::LimitValue::Unlimited => Some(kernel),
        },
        _ => Some(kernel),
    }
}

fn range<'a>(mut ends: impl Iterator<Item = &'a str>) -> Option<(u16, u16)> {
    let first = ends.next()?.parse().ok()?;
    Some((first, ends.next().map_or(Some(first), |last| last.parse().ok())?))
}

fn ranges(text: &str) -> Vec<(u16, u16)> {
    text.trim().split(',').filter_map(|part| range(part.split('-'))).collect()
}

/// A machine of the network that this one has just spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its hardware address.
    pub hardware: String,
    /// It has answered within the last seconds.
    pub fresh: bool,
}

/// A neighbour that was confirmed longer ago may have gone since, in seconds.
const JUST_NOW: u64 = 2;

/// What the kernel knows about the network's machines, by `ip`; nothing where there is no such command.
pub async fn neighbours() -> Vec<Neighbour> {
    let mut command = tokio::process::Command::new("ip");
    command.args(["-s", "-4", "neigh", "show"]).stdin(std::process::Stdio::null()).kill_on_drop(true);
    let Ok(output) = command.output().await else { return Vec::new() };
    String::from_utf8_lossy(&output.stdout).lines().filter_map(neighbour).collect()
}

/// `10.0.0.2 dev eth0 lladdr 02:42:0a:00:00:02 used 3/0/3 probes 1 REACHABLE`: three times in seconds, since it was
/// used, confirmed, changed. The kernel calls one reachable for half a minute after it was confirmed.
fn neighbour(line: &str) -> Option<Neighbour> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let after = |name: &str| words.iter().skip_while(|word| **word != name).nth(1).copied();
    let address = words.first()?.parse().ok()?;
    let hardware = after("lladdr")?.to_owned();
    let confirmed: Option<u64> = after("used").and_then(|times| times.split('/').nth(1)?.parse().ok());
    let fresh = words.contains(&"REACHABLE") && confirmed.is_some_and(|seconds| seconds <= JUST_NOW);
    Some(Neighbour { address, hardware, fresh })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_found_by_its_name() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let found = listeners(&[port]).expect("an answer");
        let me = i32::try_from(std::process::id()).expect("a number");
        assert!(found[&port].iter().any(|listener| listener.pid == me && !listener.ancestors.is_empty()), "{found:?}");
        drop(listener);
        assert_eq!(listeners(&[port]).expect("an answer").len(), 0);
    }

    #[test]
    fn the_kernel_tells_its_limits() {
        let limits = limits();
        assert!(limits.memory.is_some_and(|bytes| bytes > 64 << 20), "{limits:?}");
        assert!(limits.open_files.is_some() && limits.ephemeral.is_some(), "{limits:?}");
    }

    #[test]
    fn ranges_are_read_as_the_kernel_writes_them() {
        assert_eq!(ranges("2379-2380,5432\n"), [(2379, 2380), (5432, 5432)]);
        assert_eq!(ranges("\n"), []);
        assert_eq!(range("32768\t60999\n".split_whitespace()), Some((32768, 60999)));
    }

    #[test]
    fn a_neighbour_has_a_hardware_address_and_may_have_gone() {
        let of = |rest: &str| neighbour(&format!("10.0.0.2 dev eth0 lladdr 02:42:0a:00:00:02 {rest}"));
        let known = of("used 3/0/3 probes 1 REACHABLE").expect("a neighbour");
        assert_eq!((known.hardware.as_str(), known.fresh), ("02:42:0a:00:00:02", true));
        assert!(!of("used 3/20/3 probes 1 REACHABLE").expect("a neighbour").fresh, "it may have gone since");
        assert!(!of("used 3/0/3 probes 1 STALE").expect("a neighbour").fresh);
        assert!(!of("REACHABLE").expect("a neighbour").fresh, "no times, no proof");
        assert_eq!(neighbour("10.0.0.9 dev eth0  used 3/3/0 probes 6 FAILED"), None);
    }
}
