//! A new `.env` out of `.env.example`.

use crate::key;

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// Letters and digits that every format agrees on, about 190 bits.
const PASSWORD_LENGTH: usize = 32;
/// All that VRRP keeps.
const VRRP_LENGTH: usize = 8;

/// `example` with a generated password behind every `SECRET=` that has no value, all else byte
/// for byte. `random` fills a buffer; pass the operating system's generator.
///
/// ```
/// let text = pgstack_env::fresh("# mine\nKEEPALIVED_AUTH_PASS=\n", &mut |buffer| buffer.fill(7));
/// assert_eq!(text, "# mine\nKEEPALIVED_AUTH_PASS=BBBBBBBB\n");
/// ```
pub fn fresh(example: &str, random: &mut dyn FnMut(&mut [u8])) -> String {
    let mut out = String::with_capacity(example.len() + 256);
    for line in example.split_inclusive('\n') {
        match line.split_once('=') {
            Some((name, rest)) if rest.trim().is_empty() && key::find(name).is_some_and(|key| key.secret) => {
                let length = if name == key::KEEPALIVED_AUTH_PASS { VRRP_LENGTH } else { PASSWORD_LENGTH };
                out.push_str(name);
                out.push('=');
                out.push_str(&password(length, random));
                out.push_str(rest);
            }
            _ => out.push_str(line),
        }
    }
    out
}

fn password(length: usize, random: &mut dyn FnMut(&mut [u8])) -> String {
    // Two bytes for each character, so that the remainder favours none by more than one in a thousand.
    let mut bytes = vec![0; 2 * length];
    random(&mut bytes);
    let pick = |pair: &[u8]| char::from(ALPHABET[(usize::from(pair[0]) << 8 | usize::from(pair[1])) % ALPHABET.len()]);
    bytes.chunks_exact(2).map(pick).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter() -> impl FnMut(&mut [u8]) {
        let mut next = 1u32;
        move |buffer| {
            for byte in buffer {
                next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = (next >> 24) as u8;
            }
        }
    }

    #[test]
    fn only_blank_secrets_are_filled_in() {
        let example = "\u{feff}# POSTGRESQL_PASSWORD=\r\nVIP=\r\nPOSTGRES_SUPERUSER_PASSWORD=\r\n\
                       POSTGRES_REPLICATION_PASSWORD=mine\r\nKEEPALIVED_AUTH_PASS= \t";
        let text = fresh(example, &mut counter());
        let lines: Vec<&str> = text.split('\n').collect();
        assert_eq!(lines[..2], ["\u{feff}# POSTGRESQL_PASSWORD=\r", "VIP=\r"]);
        let superuser = lines[2].strip_prefix("POSTGRES_SUPERUSER_PASSWORD=").expect("the key").trim_end();
        assert_eq!(superuser.len(), 32);
        assert!(superuser.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert!(lines[2].ends_with('\r'));
        assert_eq!(lines[3], "POSTGRES_REPLICATION_PASSWORD=mine\r");
        let vrrp = lines[4].strip_prefix("KEEPALIVED_AUTH_PASS=").expect("the key");
        assert_eq!((vrrp.len(), vrrp.trim().len()), (10, 8));
    }

    #[test]
    fn every_secret_is_another_one_and_a_second_run_changes_nothing() {
        let once = fresh("POSTGRES_SUPERUSER_PASSWORD=\nPOSTGRES_REPLICATION_PASSWORD=\n", &mut counter());
        let values: Vec<&str> = once.lines().filter_map(|line| line.split('=').nth(1)).collect();
        assert_ne!(values[0], values[1]);
        assert_eq!(fresh(&once, &mut counter()), once);
    }
}
