//! What can be done to a machine: power off, power on, cut off from the others.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use crate::{Lab, LabError, Machine};

/// The chain that holds the lab's drops, in the table that sees every packet first, whether it is
/// for the machine itself or for a container on it.
const CHAIN: &str = "PGSTACK";

impl Machine {
    /// Drops everything between this machine and `others`, in both directions.
    pub async fn cut_off(&self, others: &[Ipv4Addr]) -> Result<(), LabError> {
        let mut script = format!(
            "iptables -t raw -N {CHAIN} 2>/dev/null || true\n\
             for hook in PREROUTING OUTPUT; do\n\
             iptables -t raw -C $hook -j {CHAIN} 2>/dev/null || iptables -t raw -I $hook -j {CHAIN}\n\
             done\n"
        );
        for other in others {
            for end in ["-s", "-d"] {
                // write! to a String cannot fail
                let _ = writeln!(script, "iptables -t raw -A {CHAIN} {end} {other} -j DROP");
            }
        }
        self.sh(&script).await.map(drop)
    }

    /// Ends every cut.
    pub async fn heal(&self) -> Result<(), LabError> {
        self.sh(&format!("iptables -t raw -F {CHAIN} 2>/dev/null || true")).await.map(drop)
    }
}

impl Lab {
    /// Cuts a machine off from all others; this host still reaches it.
    pub async fn partition(&self, id: u8) -> Result<(), LabError> {
        let machines = self.machines().await?;
        let others: Vec<Ipv4Addr> =
            machines.iter().filter(|machine| machine.id() != id).map(Machine::address).collect();
        self.machine(id).await?.cut_off(&others).await
    }

    /// Ends every partition.
    pub async fn heal(&self) -> Result<(), LabError> {
        for machine in self.machines().await?.iter().filter(|machine| machine.is_running()) {
            machine.heal().await?;
        }
        Ok(())
    }
}
