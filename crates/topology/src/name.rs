//! Names that end up in files and commands: network interfaces and container images.

use std::fmt;
use std::str::FromStr;

/// Why a name cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a name that the Linux kernel gives to an interface.
    #[error("not a network interface name: 1-15 of A-Z a-z 0-9 . _ -, as `ip link` shows it before an `@`")]
    Interface,
    /// Not an image reference.
    #[error("not an image reference such as registry.example/name:tag")]
    Image,
}

/// The name of a network interface, at most 15 bytes (IFNAMSIZ − 1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InterfaceName(String);

impl FromStr for InterfaceName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=15).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            && !text.starts_with('-')
            && text != "."
            && text != "..";
        if fits { Ok(Self(text.to_owned())) } else { Err(NameError::Interface) }
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A container image: `[registry/]name[:tag][@digest]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageRef(String);

impl FromStr for ImageRef {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=255).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/:@".contains(&b))
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && !text.contains("//");
        if fits { Ok(Self(text.to_owned())) } else { Err(NameError::Image) }
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for ImageRef {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_names_are_those_that_the_kernel_gives() {
        for good in ["eth0", "enp3s0f1", "bond0.100", "br-lan", "wg_0"] {
            assert!(good.parse::<InterfaceName>().is_ok(), "{good:?}");
        }
        for bad in ["", "eth 0", "eth0\n", "-x", "sixteen-letters-", "eth0;", "..", "é0", "a/b", "eth0@if2"] {
            assert!(bad.parse::<InterfaceName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn image_references_hold_nothing_that_a_file_could_trip_over() {
        for good in ["patroni:v4.1.0", "reg.example:5000/a/b:1", "a@sha256:0123abcd", "osixia/keepalived:stable"] {
            assert!(good.parse::<ImageRef>().is_ok(), "{good:?}");
        }
        for bad in ["", "a b", "a:", "/a", "a//b", "a\nb", "a$b", "\"a\""] {
            assert!(bad.parse::<ImageRef>().is_err(), "{bad:?}");
        }
    }
}
