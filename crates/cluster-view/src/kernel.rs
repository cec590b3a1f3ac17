//! The network interfaces of this machine, as the kernel lists them.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// The interfaces of this machine and their IPv4 addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interfaces {
    names: BTreeSet<String>,
    addresses: Vec<(String, Ipv4Addr)>,
}

impl Interfaces {
    /// Whether there is an interface of that name.
    pub fn has_interface(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// The interface that holds an address.
    pub fn holder_of(&self, address: Ipv4Addr) -> Option<&str> {
        self.addresses.iter().find(|(_, held)| *held == address).map(|(name, _)| name.as_str())
    }

    /// Every IPv4 address of this machine.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.addresses.iter().map(|(_, address)| *address)
    }

    /// Names and addresses for a message: `eth0 192.168.0.152, lo 127.0.0.1`.
    pub fn describe(&self) -> String {
        let held: Vec<String> = self.addresses.iter().map(|(name, address)| format!("{name} {address}")).collect();
        held.join(", ")
    }
}

/// Asks the kernel; `None` where it does not tell.
pub fn kernel_interfaces() -> Option<Interfaces> {
    let mut interfaces = Interfaces::default();
    for entry in nix::ifaddrs::getifaddrs().ok()? {
        interfaces.names.insert(entry.interface_name.clone());
        if let Some(address) = entry.address.as_ref().and_then(|address| address.as_sockaddr_in()) {
            interfaces.addresses.push((entry.interface_name, address.ip()));
        }
    }
    Some(interfaces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_there() {
        let interfaces = kernel_interfaces().expect("an answer");
        assert_eq!(interfaces.holder_of(Ipv4Addr::LOCALHOST), Some("lo"));
        assert!(interfaces.has_interface("lo") && !interfaces.has_interface("no-such-one"));
    }
}
