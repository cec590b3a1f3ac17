//! SCRAM-SHA-256 verifiers: what PostgreSQL and PgBouncer store instead of a password.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, Mac};
use pgstack_topology::Secret;
use sha2::{Digest, Sha256};

/// PostgreSQL's default number of rounds.
const ITERATIONS: u32 = 4096;

/// The verifier `SCRAM-SHA-256$4096:salt$stored:server` of a password.
///
/// The salt is derived from `salt_context`, which should name the cluster and the role: every
/// node then computes the same verifier, and a re-run changes nothing.
pub fn verifier(password: &Secret, salt_context: &str) -> String {
    let prepared = stringprep::saslprep(password.expose()).unwrap_or(Cow::Borrowed(password.expose()));
    let salt = &Sha256::digest(salt_context.as_bytes())[..16];
    let salted = pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(prepared.as_bytes(), salt, ITERATIONS);
    let stored_key = Sha256::digest(hmac_sha256(&salted, b"Client Key"));
    let server_key = hmac_sha256(&salted, b"Server Key");
    format!(
        "SCRAM-SHA-256${ITERATIONS}:{}${}:{}",
        BASE64.encode(salt),
        BASE64.encode(stored_key),
        BASE64.encode(server_key)
    )
}

/// Whether PostgreSQL and PgBouncer would take `text` for a stored hash instead of a password.
pub fn looks_like_a_hash(text: &str) -> bool {
    let md5 = text.strip_prefix("md5").is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
    md5 || text.starts_with("SCRAM-SHA-256$")
}

fn hmac_sha256(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    // a key of any length is taken, so this arm is never reached
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_password_has_the_same_verifier_and_another_context_another() {
        let secret = Secret::new("pencil");
        assert_eq!(verifier(&secret, "a"), verifier(&secret, "a"));
        assert_ne!(verifier(&secret, "a"), verifier(&secret, "b"));
        assert!(looks_like_a_hash(&verifier(&secret, "a")));
    }

    #[test]
    fn only_stored_hashes_look_like_one() {
        assert!(looks_like_a_hash("md50123456789abcdef0123456789abcdef"));
        for password in ["md5", "md5 is broken", "md50123456789abcdef0123456789abcdeg", "SCRAM", ""] {
            assert!(!looks_like_a_hash(password), "{password:?}");
        }
    }
}
