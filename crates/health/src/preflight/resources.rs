//! Clock, disk, kernel, memory.

use super::{Check, Clock, Fsync, Kernel, Machine, PORTS, by_hand, finding};
use crate::rules::machine::level;
use crate::{Disk, Finding, Severity};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// Clocks that differ more make logs hard to compare, and certificates and tokens with a time fail.
const OFFSET_MS: i64 = 500;
/// So far apart, the times that Patroni keeps in etcd mean nothing any more.
const FAR_OFFSET_MS: i64 = 5_000;

/// etcd's own guidance: 99 % of the writes of its log take less.
const SLOW_US: u64 = 10_000;
/// Half a heartbeat of etcd: the leader is lost again and again.
const TOO_SLOW_US: u64 = 50_000;

/// What HAProxy's and PgBouncer's containers ask for.
const OPEN_FILES: u64 = 16_384;
/// What everything but PostgreSQL's shared memory takes, roughly.
const BESIDE: u64 = 512 * MIB;

pub(super) fn checks(machine: &Machine) -> Vec<Check> {
    vec![clock(machine), disk(machine), fsync(machine), kernel(machine)]
}

fn clock(machine: &Machine) -> Check {
    let mut findings = Vec::new();
    if let Some(Clock { synchronised: false, by }) = machine.clock.known() {
        findings.push(Finding {
            evidence: vec![format!("{by}: the clock is not synchronised")],
            mends: vec![by_hand(machine, "apt-get install chrony", "or another time service, on every node")],
            ..finding(
                machine,
                "PGS-107",
                Severity::Warning,
                "nobody keeps this machine's clock right".to_owned(),
                "no time service runs, or it reaches no time server",
            )
        });
    }
    let mut near = Vec::new();
    for peer in machine.peers.known().into_iter().flatten() {
        let Some(&offset) = peer.clock_offset_ms.known() else { continue };
        if offset.abs() <= OFFSET_MS {
            near.push(peer.node.to_string());
            continue;
        }
        let (ahead, seconds) = (if offset > 0 { "ahead of" } else { "behind" }, offset.abs());
        let seconds = format!("{}.{} s", seconds / 1000, seconds % 1000 / 100);
        let severity = if offset.abs() > FAR_OFFSET_MS { Severity::Critical } else { Severity::Warning };
        findings.push(Finding {
            evidence: vec![format!("node {}: its clock is {seconds} {ahead} this machine's", peer.node)],
            mends: vec![by_hand(machine, "timedatectl status", "here and there: which of the two is wrong?")],
            ..finding(
                machine,
                "PGS-107",
                severity,
                format!("the clocks of this machine and node {} are {seconds} apart", peer.node),
                "one of the two is not kept right by a time service",
            )
        });
    }
    match machine.clock.known() {
        None if findings.is_empty() && near.is_empty() => {
            Check::unknown("clock", machine.clock.why().unwrap_or_default().to_owned())
        }
        Some(clock) if near.is_empty() => Check::known("clock", format!("synchronised, says {}", clock.by), findings),
        clock => {
            let kept = if clock.is_some() { "synchronised, and " } else { "" };
            Check::known("clock", format!("{kept}the same as on node {}", near.join(", ")), findings)
        }
    }
}

fn size(bytes: u64) -> String {
    let (unit, name) = if bytes >= GIB { (GIB, "GB") } else { (MIB, "MB") };
    format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit)
}

fn disk(machine: &Machine) -> Check {
    Check::of("disk space", &machine.disk, |disk| {
        let Disk { path, size: all, free } = disk;
        let detail = format!("{} free below {path}", size(*free));
        let Some(severity) = level(disk) else { return (detail, Vec::new()) };
        let what = format!("only {} are free where {path} lies, of {}", size(*free), size(*all));
        let found = Finding {
            evidence: vec![format!("file system of {path}: {} of {} free", size(*free), size(*all))],
            mends: vec![by_hand(
                machine,
                "df -h .",
                "make room, or put data/ onto a larger disk (a link or a mount) before the first deploy",
            )],
            ..finding(
                machine,
                "PGS-108",
                severity,
                what,
                "the disk is small or full; PostgreSQL keeps up to max_wal_size of WAL beside the data",
            )
        };
        (detail, vec![found])
    })
}

fn milliseconds(us: u64) -> String {
    format!("{}.{} ms", us / 1000, us % 1000 / 100)
}

fn fsync(machine: &Machine) -> Check {
    Check::of("disk latency", &machine.fsync, |&Fsync { median_us, worst_us }| {
        let detail = format!("fdatasync of 8 kB: median {}, worst {}", milliseconds(median_us), milliseconds(worst_us));
        if median_us <= SLOW_US {
            return (detail, Vec::new());
        }
        let severity = if median_us > TOO_SLOW_US { Severity::Critical } else { Severity::Warning };
        let found = Finding {
            evidence: vec![detail.clone()],
            mends: vec![by_hand(machine, "", "put data/ onto a local SSD, or a disk with a battery-backed cache")],
            ..finding(
                machine,
                "PGS-109",
                severity,
                format!("the disk takes {} to have 8 kB safe", milliseconds(median_us)),
                "a spinning or a network disk, or one that others keep busy; etcd wants less than 10 ms, and loses its \
                 leader when it takes much longer",
            )
        };
        (detail, vec![found])
    })
}

fn kernel(machine: &Machine) -> Check {
    Check::of("kernel, memory", &machine.kernel, |kernel| {
        let findings =
            [memory(machine, kernel), commit(machine, kernel), files(machine, kernel), range(machine, kernel)];
        let memory =
            kernel.memory.map_or_else(|| "as they should be".to_owned(), |bytes| format!("{} of memory", size(bytes)));
        (memory, findings.into_iter().flatten().collect())
    })
}

/// PostgreSQL does not start without its shared memory, and the kernel kills it when nothing is left beside it.
fn memory(machine: &Machine, kernel: &Kernel) -> Option<Finding> {
    let (memory, buffers) = (kernel.memory?, kernel.shared_buffers?);
    if buffers.saturating_add(BESIDE) <= memory && buffers <= memory / 2 {
        return None;
    }
    Some(Finding {
        evidence: vec![
            format!("kernel: {} of memory", size(memory)),
            format!(".env: POSTGRES_SHARED_BUFFERS is {}", size(buffers)),
        ],
        mends: vec![by_hand(
            machine,
            "",
            "set POSTGRES_SHARED_BUFFERS to a quarter of the memory, the same on every node",
        )],
        ..finding(
            machine,
            "PGS-110",
            Severity::Warning,
            format!("PostgreSQL's shared memory of {} is much for this machine's {}", size(buffers), size(memory)),
            "the value was made for a larger machine; when memory runs out, the kernel kills PostgreSQL",
        )
    })
}

/// With strict overcommit, shared memory that was not promised is refused at start.
fn commit(machine: &Machine, kernel: &Kernel) -> Option<Finding> {
    let (left, buffers) = (kernel.commit_left?, kernel.shared_buffers?);
    let needed = buffers.saturating_add(BESIDE);
    (left < needed).then(|| Finding {
        evidence: vec![
            "kernel: vm.overcommit_memory is 2".to_owned(),
            format!("kernel: CommitLimit leaves {}, the stack takes about {}", size(left), size(needed)),
        ],
        mends: vec![by_hand(machine, "sysctl -w vm.overcommit_ratio=90", "and into /etc/sysctl.d, or add swap")],
        ..finding(
            machine,
            "PGS-110",
            Severity::Warning,
            "the kernel will refuse PostgreSQL its memory".to_owned(),
            "vm.overcommit_memory=2 promises no more than CommitLimit, which counts half of the memory by default",
        )
    })
}

/// A container that asks for more than the engine may give does not start.
fn files(machine: &Machine, kernel: &Kernel) -> Option<Finding> {
    let open = kernel.open_files.filter(|open| *open < OPEN_FILES)?;
    Some(Finding {
        evidence: vec![format!(
            "kernel: the engine may give a container {open} open files, HAProxy asks for {OPEN_FILES}"
        )],
        mends: vec![by_hand(
            machine,
            "systemctl edit docker",
            "set LimitNOFILE=1048576 below [Service], and fs.nr_open in /etc/sysctl.d; then restart the engine",
        )],
        ..finding(
            machine,
            "PGS-110",
            Severity::Critical,
            format!("containers may open {open} files only"),
            "a limit of the engine's service or of the kernel (fs.nr_open)",
        )
    })
}

/// An outgoing connection that has a port by chance keeps the service from starting at the next boot.
fn range(machine: &Machine, kernel: &Kernel) -> Option<Finding> {
    let (first, last) = kernel.ephemeral?;
    let is_reserved = |port: u16| kernel.reserved.iter().any(|(from, to)| (*from..=*to).contains(&port));
    let within: Vec<String> = PORTS
        .iter()
        .map(|(port, _)| *port)
        .filter(|port| (first..=last).contains(port) && !is_reserved(*port))
        .map(|port| port.to_string())
        .collect();
    if within.is_empty() {
        return None;
    }
    let ports = within.join(",");
    Some(Finding {
        evidence: vec![format!("kernel: net.ipv4.ip_local_port_range is {first} {last}")],
        mends: vec![by_hand(
            machine,
            &format!("sysctl -w net.ipv4.ip_local_reserved_ports={ports}"),
            "and into /etc/sysctl.d, beside what is reserved there already",
        )],
        ..finding(
            machine,
            "PGS-110",
            Severity::Warning,
            format!("outgoing connections may take the stack's ports {ports}"),
            "net.ipv4.ip_local_port_range was widened; whoever gets such a port by chance keeps a service from \
             starting after a reboot",
        )
    })
}
