//! A machine that stands still: nothing on it runs, and it answers nothing, not even ARP.

use std::time::Duration;

use crate::{LabError, Machine};

/// How often it is tried, and how long after the last time.
const PAUSES: u8 = 10;
const AGAIN: Duration = Duration::from_millis(300);

/// The kernel is this host's and would go on answering for the frozen machine.
const SILENCE: &str = "ip link set eth0 arp off\n\
    iptables -w -t raw -I PREROUTING -i eth0 -m comment --comment frozen -j DROP\n\
    iptables -w -t raw -I OUTPUT -o eth0 -m comment --comment frozen -j DROP\n\
    iptables -w -t mangle -I FORWARD -o eth0 -m comment --comment frozen -j DROP";

/// Whatever is there of it, be it from two attempts.
const SPEECH: &str = "while iptables -w -t raw -D PREROUTING -i eth0 -m comment --comment frozen -j DROP 2>/dev/null; do :; done\n\
    while iptables -w -t raw -D OUTPUT -o eth0 -m comment --comment frozen -j DROP 2>/dev/null; do :; done\n\
    while iptables -w -t mangle -D FORWARD -o eth0 -m comment --comment frozen -j DROP 2>/dev/null; do :; done\n\
    ip link set eth0 arp on";

impl Machine {
    /// Freezes the whole machine, as a virtual machine that is being moved or whose host swaps.
    pub async fn freeze(&self) -> Result<(), LabError> {
        self.sh(SILENCE).await?;
        let mut left = PAUSES;
        loop {
            left -= 1;
            match self.docker().pause_container(self.container()).await {
                Ok(()) => return Ok(()),
                // on a busy host, processes come faster than the kernel gets hold of them
                Err(_) if left > 0 => tokio::time::sleep(AGAIN).await,
                Err(error) => {
                    self.speak().await?;
                    return Err(LabError::engine(&format!("freeze machine {}", self.id()))(error));
                }
            }
        }
    }

    /// Lets it go on: it does not know that time has passed.
    pub async fn thaw(&self) -> Result<(), LabError> {
        self.docker()
            .unpause_container(self.container())
            .await
            .map_err(LabError::engine(&format!("thaw machine {}", self.id())))?;
        self.speak().await
    }

    /// What could not be frozen, or not be thawed to the end, answers again.
    pub(super) async fn speak(&self) -> Result<(), LabError> {
        self.sh(SPEECH).await.map(drop)
    }
}
