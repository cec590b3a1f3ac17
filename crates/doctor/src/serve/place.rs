//! Where to serve: `8406`, `:8406`, `localhost:8406`, `10.0.0.1:8406`, `[::1]:8406`, `10.0.0.1`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::DoctorError;

/// The port, where none is named.
const PORT: u16 = 8406;

/// Reads the address. Without one it is this machine's own loopback.
pub(super) fn parse(text: &str) -> Result<SocketAddr, DoctorError> {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let text = text.trim();
    let local = text.strip_prefix("localhost").unwrap_or(text);
    if text == "localhost" {
        return Ok(SocketAddr::new(loopback, PORT));
    }
    if let Ok(port) = local.strip_prefix(':').unwrap_or(local).parse() {
        return Ok(SocketAddr::new(loopback, port));
    }
    let address = text.parse().or_else(|_| text.parse().map(|ip| SocketAddr::new(ip, PORT)));
    address.map_err(|_| DoctorError::Place { address: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_port_is_served_to_this_machine_only() {
        for (text, place) in [
            ("8406", "127.0.0.1:8406"),
            (":9000", "127.0.0.1:9000"),
            ("localhost", "127.0.0.1:8406"),
            ("localhost:1", "127.0.0.1:1"),
            ("10.0.0.1:80", "10.0.0.1:80"),
            ("0.0.0.0", "0.0.0.0:8406"),
            ("[::1]:8406", "[::1]:8406"),
            ("::", "[::]:8406"),
        ] {
            assert_eq!(parse(text).map(|place| place.to_string()).ok().as_deref(), Some(place), "{text}");
        }
        for wrong in ["", "example.com:80", "10.0.0.1:99999", "localhost:", "10.0.0.1:"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
