//! The `.env` of each machine, with passwords made anew for each lab.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use rand::RngCore as _;

/// The lines that are the same on every machine. `extra` may override or add some.
pub(crate) fn shared(addresses: &[Ipv4Addr], vip: Ipv4Addr, extra: &[(String, String)]) -> Vec<(String, String)> {
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut set = |key: &str, value: String| match lines.iter_mut().find(|(known, _)| known == key) {
        Some((_, old)) => *old = value,
        None => lines.push((key.to_owned(), value)),
    };
    for (number, address) in (1..).zip(addresses) {
        set(&format!("NODE{number}_IP"), address.to_string());
    }
    set("VIP", vip.to_string());
    set("VIP_PREFIX", "24".to_owned());
    set("KEEPALIVED_INTERFACE", "eth0".to_owned());
    set("KEEPALIVED_AUTH_PASS", password(8));
    for key in ["POSTGRES_SUPERUSER_PASSWORD", "POSTGRES_REPLICATION_PASSWORD", "POSTGRESQL_PASSWORD"] {
        set(key, password(32));
    }
    for (key, value) in extra {
        set(key, value.clone());
    }
    lines
}

/// The whole `.env` of machine `id`.
pub(crate) fn of_machine(id: u8, address: Ipv4Addr, shared: &[(String, String)]) -> String {
    let mut text = format!("NODE_ID={id}\nNODE_IP={address}\n");
    for (key, value) in shared {
        // write! to a String cannot fail
        let _ = writeln!(text, "{key}=\"{}\"", escape(value));
    }
    text
}

/// Another machine's `.env`, with the number and the address of machine `id`.
pub(crate) fn for_machine(id: u8, address: Ipv4Addr, other: &str) -> String {
    let lines = other.lines().filter(|line| !line.starts_with("NODE_ID=") && !line.starts_with("NODE_IP="));
    lines.fold(format!("NODE_ID={id}\nNODE_IP={address}\n"), |text, line| text + line + "\n")
}

/// The value of a key in a text that [`of_machine`] wrote.
pub(crate) fn value(text: &str, key: &str) -> Option<String> {
    let quoted = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix("=\""))?.strip_suffix('"')?;
    let mut plain = String::new();
    let mut characters = quoted.chars();
    while let Some(c) = characters.next() {
        plain.push(if c == '\\' { characters.next()? } else { c });
    }
    Some(plain)
}

/// As Compose reads a double-quoted value.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$")
}

fn password(length: usize) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = vec![0; length];
    rand::rng().fill_bytes(&mut bytes);
    bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_value_is_read_back_as_it_was() {
        let value_in = r#"p'a"s\s$w{o}r#d !%@:"#;
        let text = of_machine(1, Ipv4Addr::LOCALHOST, &[("KEY".to_owned(), value_in.to_owned())]);
        assert_eq!(value(&text, "KEY").as_deref(), Some(value_in));
    }

    #[test]
    fn a_copied_env_gets_the_number_and_the_address_of_its_machine() {
        let text = of_machine(1, Ipv4Addr::LOCALHOST, &[("NODE1_IP".to_owned(), "10.0.0.1".to_owned())]);
        let copied = for_machine(2, Ipv4Addr::new(10, 0, 0, 2), &text);
        assert_eq!(copied, "NODE_ID=2\nNODE_IP=10.0.0.2\nNODE1_IP=\"10.0.0.1\"\n");
    }

    #[test]
    fn extra_settings_win_over_the_labs_own() {
        let extra = [("VIP_PREFIX".to_owned(), "25".to_owned()), ("X".to_owned(), "1".to_owned())];
        let lines = shared(&[Ipv4Addr::LOCALHOST], Ipv4Addr::LOCALHOST, &extra);
        assert_eq!(lines.iter().filter(|(key, _)| key == "VIP_PREFIX").collect::<Vec<_>>(), [&extra[0]]);
        assert!(lines.contains(&extra[1]));
    }
}
