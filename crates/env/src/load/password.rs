//! Passwords: which are refused, and how the optional ones follow from the superuser's.

use hmac::{Hmac, Mac};
use pgstack_config::escape::KeepalivedWord;
use pgstack_config::scram;
use pgstack_topology::Secret;
use sha2::Sha256;

use super::reader::Reader;
use crate::key;
use crate::problem::ProblemKind;

const MAX_BYTES: usize = 256;
const DERIVED_LENGTH: usize = 32;
/// Fewer characters are worth a warning.
const SHORT: usize = 8;

/// Why a password is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// Everybody tries it first.
    #[error("is one of the well-known passwords that everybody tries first")]
    WellKnown,
    /// Some of the files cannot hold it.
    #[error("holds a line break or a NUL")]
    LineBreak,
    /// PostgreSQL would store it as it is.
    #[error("looks like a stored hash (`md5…` or `SCRAM-SHA-256$…`)")]
    LooksLikeAHash,
    /// Patroni puts it between two `$$` when it makes the role.
    #[error("holds `$$`, on which Patroni's statement that makes the role ends")]
    DollarQuote,
    /// Patroni's server and `patronictl` spell other characters differently.
    #[error("holds a character outside ASCII, which Patroni and patronictl spell differently")]
    NotAscii,
    /// Some client would cut it.
    #[error("has {0} bytes, more than 256")]
    TooLong(usize),
}

/// The words that are refused, also with other case, digits behind them, or `_`, `-` and `.` in between.
const WELL_KNOWN: &str = "abc adm admin administrator changeit changeme changethis default demo example guest haproxy iloveyou \
    keepalive keepalived letmein login master pass passwd password passwort patroni patronistack \
    pgbouncer pgsql postgre postgres postgrespassword postgresql pw pwd qwerty repl replica \
    replicapassword replicate replication replicator replicatorpassword root secret stats superuser \
    test todo user welcome yourpassword passw0rd p@ssw0rd p@ssword mysecretpassword";

pub(super) struct Passwords {
    pub(super) superuser: Secret,
    pub(super) replication: Secret,
    pub(super) pooler: Secret,
    pub(super) restapi: Secret,
    pub(super) stats: Secret,
    pub(super) agent: Secret,
}

/// `None` where a problem was reported.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Passwords> {
    let superuser = required(reader, key::POSTGRES_SUPERUSER_PASSWORD, set_by_patroni);
    let replication = required(reader, key::POSTGRES_REPLICATION_PASSWORD, set_by_patroni);
    let restapi = optional(reader, key::PATRONI_RESTAPI_PASSWORD, ascii);
    let [pooler, older, stats] = [key::POSTGRESQL_PASSWORD, key::PGBOUNCER_AUTH_PASSWORD, key::HAPROXY_STATS_PASSWORD]
        .map(|key| optional(reader, key, |_| Ok(())));

    if let (Ok(Some(pooler)), Ok(Some(older))) = (&pooler, &older)
        && pooler != older
    {
        reader.warn_of(key::PGBOUNCER_AUTH_PASSWORD, ProblemKind::TwoPoolerPasswords);
    }
    let superuser = superuser?;
    let replication = replication?;
    if superuser == replication {
        let other = key::POSTGRES_SUPERUSER_PASSWORD;
        reader.warn_of(key::POSTGRES_REPLICATION_PASSWORD, ProblemKind::SamePassword { other });
    }
    Some(Passwords {
        pooler: pooler.ok()?.or(older.ok()?).unwrap_or_else(|| superuser.clone()),
        restapi: restapi.ok()?.unwrap_or_else(|| derive(&superuser, "patroni-restapi")),
        stats: stats.ok()?.unwrap_or_else(|| derive(&superuser, "haproxy-stats")),
        agent: derive(&superuser, "agent"),
        superuser,
        replication,
    })
}

/// The VRRP password, which is no PostgreSQL password: at most 8 bytes.
pub(super) fn read_vrrp(reader: &mut Reader<'_>) -> Option<Secret> {
    let given = reader.required(key::KEEPALIVED_AUTH_PASS)?;
    if let Err(error) = KeepalivedWord::new(&given.text) {
        reader.refuse(&given, ProblemKind::VrrpPassword(error));
        return None;
    }
    if is_well_known(&given.text) {
        reader.refuse(&given, ProblemKind::Password(PasswordError::WellKnown));
        return None;
    }
    Some(Secret::new(given.text))
}

/// A problem was reported.
struct Refused;

/// What one password must be beside what all must be.
type Rule = fn(&str) -> Result<(), PasswordError>;

fn set_by_patroni(text: &str) -> Result<(), PasswordError> {
    if text.contains("$$") { Err(PasswordError::DollarQuote) } else { Ok(()) }
}

fn ascii(text: &str) -> Result<(), PasswordError> {
    if text.is_ascii() { Ok(()) } else { Err(PasswordError::NotAscii) }
}

fn required(reader: &mut Reader<'_>, key: &'static str, rule: Rule) -> Option<Secret> {
    let given = reader.required(key)?;
    check(reader, &given, rule).ok()
}

fn optional(reader: &mut Reader<'_>, key: &'static str, rule: Rule) -> Result<Option<Secret>, Refused> {
    match reader.optional(key) {
        Some(given) => check(reader, &given, rule).map(Some),
        None => Ok(None),
    }
}

fn check(reader: &mut Reader<'_>, given: &super::reader::Given, rule: Rule) -> Result<Secret, Refused> {
    if let Err(error) = refusal(&given.text).and_then(|()| rule(&given.text)) {
        reader.refuse(given, ProblemKind::Password(error));
        return Err(Refused);
    }
    let characters = given.text.chars().count();
    if characters < SHORT {
        reader.warn(given, ProblemKind::ShortPassword(characters));
    }
    Ok(Secret::new(given.text.as_str()))
}

fn refusal(text: &str) -> Result<(), PasswordError> {
    if text.len() > MAX_BYTES {
        Err(PasswordError::TooLong(text.len()))
    } else if text.contains(['\n', '\r', '\0']) {
        Err(PasswordError::LineBreak)
    } else if scram::looks_like_a_hash(text) {
        Err(PasswordError::LooksLikeAHash)
    } else if is_well_known(text) {
        Err(PasswordError::WellKnown)
    } else {
        Ok(())
    }
}

fn is_well_known(text: &str) -> bool {
    let text = text.to_lowercase();
    let bytes = text.as_bytes();
    // 123456, 654321, 1111: every character is the one before it, or the next or previous one.
    let runs =
        |step: i16| bytes.len() > 2 && bytes.windows(2).all(|pair| i16::from(pair[1]) - i16::from(pair[0]) == step);
    if runs(0) || runs(1) || runs(-1) || text == "1234567890" {
        return true;
    }
    let word: String =
        text.trim_end_matches(|c: char| c.is_ascii_digit() || c == '!').replace(['_', '-', '.', ' '], "");
    WELL_KNOWN.split(' ').any(|known| known == word)
}

/// 32 letters and digits that are the same on every node and from which the password cannot be
/// computed: one HMAC block after the other, without the bytes that would favour some letters.
fn derive(superuser: &Secret, label: &str) -> Secret {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let limit = u8::MAX - u8::MAX % 62;
    let block = |counter: u8| -> [u8; 32] {
        // a key of any length is taken, so this arm is never reached
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(superuser.expose().as_bytes()) else { return [0; 32] };
        mac.update(b"patroni-stack ");
        mac.update(label.as_bytes());
        mac.update(&[0, counter]);
        mac.finalize().into_bytes().into()
    };
    let letters = (0..=u8::MAX).flat_map(block).filter(|&byte| byte < limit);
    let text: String = letters.map(|byte| char::from(ALPHABET[usize::from(byte) % 62])).take(DERIVED_LENGTH).collect();
    Secret::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_tries_first_is_refused() {
        for bad in [
            "postgres",
            "Postgres",
            "postgres123",
            "POSTGRES_123!",
            "password",
            "admin",
            "changeme",
            "change_me",
            "Change-Me",
            "secret",
            "123456",
            "12345678",
            "1234567890",
            "654321",
            "aaaaaaaa",
            "0000",
            "replicator",
            "replicator_password",
            "repl123",
            "abcdef",
        ] {
            assert_eq!(refusal(bad), Err(PasswordError::WellKnown), "{bad:?}");
        }
    }

    #[test]
    fn odd_passwords_are_passwords() {
        for good in [
            "super-secret-1",
            "yes",
            "p'a\"s\\s$w{o}r#d !%@:",
            "12:30",
            "é😀",
            "\u{85}\u{2028}",
            "md5x",
            "a:b",
            "8675309",
        ] {
            assert_eq!(refusal(good), Ok(()), "{good:?}");
        }
    }

    #[test]
    fn what_a_file_or_the_server_cannot_hold_is_refused() {
        for (bad, why) in [
            ("a\nb", PasswordError::LineBreak),
            ("a\r", PasswordError::LineBreak),
            ("a\0", PasswordError::LineBreak),
            ("md50123456789abcdef0123456789abcdef", PasswordError::LooksLikeAHash),
            ("SCRAM-SHA-256$4096:", PasswordError::LooksLikeAHash),
        ] {
            assert_eq!(refusal(bad), Err(why), "{bad:?}");
        }
        assert_eq!(refusal(&"ab".repeat(128)), Ok(()));
        assert_eq!(refusal(&"é".repeat(129)), Err(PasswordError::TooLong(258)));
    }

    #[test]
    fn derived_passwords_differ_by_label_and_by_password_and_stay_as_they_are() {
        let derived = |password: &str, label: &str| derive(&Secret::new(password), label).expose().to_owned();
        // Changing these breaks clusters whose nodes are upgraded one by one.
        assert_eq!(derived("a password", "patroni-restapi"), "HltUWk5qvF9CQHMlvDjCByi80abULeDk");
        assert_eq!(derived("a password", "haproxy-stats"), "1vBbYHRkl6dij0cIadEsKCHTfW7yByc4");
        assert_ne!(derived("a password", "haproxy-stats"), derived("a passwore", "haproxy-stats"));
        for text in [derived("a", "b"), derived("", "b")] {
            assert!(text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text:?}");
        }
    }
}
