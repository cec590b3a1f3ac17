//! Who holds the VIP, by the word of each machine's kernel, the moment that it changes.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use pgstack_lab::Machine;
use tokio::task::JoinHandle;

use crate::load::Recorder;

/// Listens first, then looks, so that nothing is missed between the two.
const SCRIPT: &str = "ip -o monitor address & ip -4 -o address; wait";

/// Watches one machine for as long as the recording goes on; a machine that is off holds nothing.
pub(crate) fn watch(machine: &Machine, vip: Ipv4Addr, recorder: Arc<Recorder>) -> JoinHandle<()> {
    let machine = machine.clone();
    tokio::spawn(async move {
        let mut held = false;
        while !recorder.is_over() {
            let mut tell = |line: &str| {
                if let Some(now) = reads(line, vip).filter(|now| *now != held) {
                    held = now;
                    recorder.vip(machine.id(), now);
                }
            };
            tokio::select! {
                _ = machine.watch(&["sh", "-c", SCRIPT], &mut tell) => {}
                () = over(&recorder) => {}
            }
            // the stream ends with the machine's power, and then with its memory of the address
            if held && !recorder.is_over() {
                held = false;
                recorder.vip(machine.id(), false);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // the listener does not notice that nobody hears it any more
        drop(machine.run(&["pkill", "-x", "ip"]).await);
    })
}

async fn over(recorder: &Recorder) {
    while !recorder.is_over() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether a line of `ip` says that the address is there (`true`) or went (`false`).
fn reads(line: &str, vip: Ipv4Addr) -> Option<bool> {
    line.contains(&format!("inet {vip}/")).then(|| !line.contains("Deleted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_ip_are_understood() {
        let vip = Ipv4Addr::new(10, 0, 0, 100);
        assert_eq!(
            reads("2: eth0    inet 10.0.0.100/24 scope global secondary eth0\\ valid_lft forever", vip),
            Some(true)
        );
        assert_eq!(reads("Deleted 2: eth0    inet 10.0.0.100/24 scope global eth0", vip), Some(false));
        assert_eq!(reads("2: eth0    inet 10.0.0.10/24 scope global eth0", vip), None);
    }
}
