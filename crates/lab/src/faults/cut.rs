//! Cuts between machines: which packets are dropped, as a script for iptables. Pure.
//!
//! This kernel has no netem, so there is no delay; a share of the packets is dropped by iptables.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

/// The chain that holds the lab's drops: in the table that sees every packet first, whether it is
/// for the machine itself or for a container on it, and in the one that sees which container.
const CHAIN: &str = "PGSTACK";

/// Which direction is cut, seen from the machine that is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Way {
    /// Nothing goes in or out.
    #[default]
    Both,
    /// It speaks and does not hear.
    In,
    /// It hears and does not speak.
    Out,
}

/// Which packets are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Traffic {
    /// All of them.
    #[default]
    All,
    /// Those to and from etcd, of its clients and among its members.
    Etcd,
    /// Those from one PostgreSQL to another.
    Replication,
}

/// A cut between one machine and all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Cut {
    /// Which direction. Of a replication it says who has connected: `In` are the machine's replicas.
    pub way: Way,
    /// Which packets.
    pub traffic: Traffic,
    /// Only so many of a hundred packets are dropped; without it, all.
    pub percent: Option<u8>,
}

/// Ends every cut.
pub(super) const HEAL: &str = "for table in raw mangle; do iptables -w -t $table -F PGSTACK 2>/dev/null || true; done";

/// What cuts this machine from `others`. `patroni` is the address of its Patroni's container, where
/// replication is cut.
pub(super) fn script(cut: Cut, others: &[Ipv4Addr], patroni: Option<Ipv4Addr>) -> String {
    let (table, hooks) = if patroni.is_some() { ("mangle", "FORWARD") } else { ("raw", "PREROUTING OUTPUT") };
    let mut script = format!(
        "iptables -w -t {table} -N {CHAIN} 2>/dev/null || true\n\
         for hook in {hooks}; do\n\
         iptables -w -t {table} -C $hook -j {CHAIN} 2>/dev/null || iptables -w -t {table} -I $hook -j {CHAIN}\n\
         done\n"
    );
    let share = cut.percent.map_or_else(String::new, |percent| {
        format!(" -m statistic --mode random --probability {:.2}", f64::from(percent.min(100)) / 100.0)
    });
    for other in others {
        for packets in packets(cut, *other, patroni) {
            // write! to a String cannot fail
            let _ = writeln!(script, "iptables -w -t {table} -A {CHAIN} {packets}{share} -j DROP");
        }
    }
    script
}

fn packets(cut: Cut, other: Ipv4Addr, patroni: Option<Ipv4Addr>) -> Vec<String> {
    if let Some(patroni) = patroni {
        return vec![
            format!("-s {patroni} -d {other} -p tcp --dport 5432"),
            format!("-s {other} -d {patroni} -p tcp --sport 5432"),
        ];
    }
    let ends: &[&str] = match cut.way {
        Way::Both => &["-s", "-d"],
        Way::In => &["-s"],
        Way::Out => &["-d"],
    };
    let ports: &[&str] = match cut.traffic {
        Traffic::Etcd => &[" -p tcp -m multiport --sports 2379,2380", " -p tcp -m multiport --dports 2379,2380"],
        Traffic::All | Traffic::Replication => &[""],
    };
    ends.iter().flat_map(|end| ports.iter().map(move |port| format!("{end} {other}{port}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    fn drops(cut: Cut, patroni: Option<Ipv4Addr>) -> Vec<String> {
        let script = script(cut, &[OTHER], patroni);
        script.lines().filter_map(|line| line.split_once("-A PGSTACK ")).map(|(_, rule)| rule.to_owned()).collect()
    }

    #[test]
    fn a_partition_drops_both_ways_and_a_one_way_cut_one() {
        assert_eq!(drops(Cut::default(), None), ["-s 10.0.0.2 -j DROP", "-d 10.0.0.2 -j DROP"]);
        assert_eq!(drops(Cut { way: Way::In, ..Cut::default() }, None), ["-s 10.0.0.2 -j DROP"]);
        assert_eq!(drops(Cut { way: Way::Out, ..Cut::default() }, None), ["-d 10.0.0.2 -j DROP"]);
    }

    #[test]
    fn a_cut_from_etcd_names_its_ports_at_either_end() {
        let drops = drops(Cut { traffic: Traffic::Etcd, ..Cut::default() }, None);
        assert_eq!(drops.len(), 4);
        assert!(drops.iter().all(|rule| rule.contains("2379,2380")), "{drops:?}");
    }

    #[test]
    fn replication_is_known_by_the_container_that_it_comes_from() {
        let cut = Cut { traffic: Traffic::Replication, ..Cut::default() };
        let drops = drops(cut, Some(Ipv4Addr::new(172, 30, 0, 4)));
        assert_eq!(
            drops,
            [
                "-s 172.30.0.4 -d 10.0.0.2 -p tcp --dport 5432 -j DROP",
                "-s 10.0.0.2 -d 172.30.0.4 -p tcp --sport 5432 -j DROP"
            ]
        );
    }

    #[test]
    fn a_loss_drops_a_share() {
        let drops = drops(Cut { percent: Some(5), ..Cut::default() }, None);
        assert!(drops.iter().all(|rule| rule.contains("--probability 0.05 -j DROP")), "{drops:?}");
    }
}
