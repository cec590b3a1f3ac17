//! Who may look: on loopback everybody on this machine (but no web site that got its name resolved to 127.0.0.1), elsewhere
//! whoever knows the token.

use std::net::SocketAddr;

use axum::http::header::{AUTHORIZATION, COOKIE, HOST};
use axum::http::{HeaderMap, Uri};
use pgstack_topology::Secret;
use rand::Rng as _;
use rand::distr::Alphanumeric;
use subtle::ConstantTimeEq as _;

use crate::DoctorError;

/// The variable that keeps the token stable. Never an argument, which everybody on the machine can read.
pub(super) const TOKEN_VARIABLE: &str = "PGSTACK_STATUS_TOKEN";
/// The cookie that carries the token, so that it does not stay in the address.
pub(super) const COOKIE_NAME: &str = "pgstack_status";
/// The fewest characters of a token that somebody chose.
const SHORTEST: usize = 16;

/// Who may look.
#[derive(Debug)]
pub(super) enum Guard {
    /// Programs on this machine.
    Loopback,
    /// Whoever knows it.
    Token {
        /// The token.
        token: Secret,
        /// It was made for this time, and nobody knows it yet.
        is_new: bool,
    },
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is answered.
    Welcome,
    /// The token was in the address: it goes into a cookie instead.
    Cookie,
    /// No token, or a wrong one.
    NoToken,
    /// It was meant for another host.
    WrongHost,
}

impl Guard {
    /// Loopback needs no token, unless one was chosen.
    pub(super) fn of(place: SocketAddr, chosen: Option<String>) -> Result<Self, DoctorError> {
        match chosen.filter(|token| !token.is_empty()) {
            Some(token) if token.len() < SHORTEST || !token.bytes().all(is_plain) => Err(DoctorError::Token),
            Some(token) => Ok(Self::Token { token: Secret::new(token), is_new: false }),
            None if place.ip().is_loopback() => Ok(Self::Loopback),
            None => {
                let token: String = rand::rng().sample_iter(Alphanumeric).take(32).map(char::from).collect();
                Ok(Self::Token { token: Secret::new(token), is_new: true })
            }
        }
    }

    /// Looks at a request.
    pub(super) fn judge(&self, uri: &Uri, headers: &HeaderMap) -> Verdict {
        let Self::Token { token, .. } = self else {
            let host = headers.get(HOST).and_then(|host| host.to_str().ok());
            return if host.is_some_and(is_loopback) { Verdict::Welcome } else { Verdict::WrongHost };
        };
        let is_right = |said: &str| bool::from(said.as_bytes().ct_eq(token.expose().as_bytes()));
        let texts = |name| headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        let bearer = texts(AUTHORIZATION).filter_map(|text| {
            let (scheme, said) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(said.trim())
        });
        let cookies = texts(COOKIE).flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let cookies = cookies.filter(|(name, _)| *name == COOKIE_NAME).map(|(_, said)| said);
        let query = uri.query().into_iter().flat_map(|query| query.split('&'));
        let mut query = query.filter_map(|pair| pair.strip_prefix("token="));
        // the token leaves the address even where the cookie is there already
        if uri.path() == "/" && query.any(is_right) {
            return Verdict::Cookie;
        }
        if bearer.chain(cookies).any(is_right) { Verdict::Welcome } else { Verdict::NoToken }
    }
}

/// Needs no escaping in an address, a header or a cookie.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Whether a Host header names this machine's loopback, with a port or without.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.ends_with(']') => name,
        _ => host,
    };
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_loopback_are_believed_there() {
        for good in ["localhost", "LOCALHOST:8406", "127.0.0.1:8406", "127.0.0.1", "[::1]:8406", "[::1]"] {
            assert!(is_loopback(good), "{good}");
        }
        for bad in
            ["", "example.com", "localhost.example.com", "10.0.0.1:8406", "127.0.0.1.example.com", "[::2]:1", ":80"]
        {
            assert!(!is_loopback(bad), "{bad}");
        }
    }

    #[test]
    fn another_address_than_loopback_takes_a_token_and_a_chosen_one_counts_everywhere() {
        let place = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let chosen = || Some("chosen-token-0123".to_owned());
        assert!(matches!(Guard::of(place("127.0.0.1:1"), None), Ok(Guard::Loopback)));
        assert!(matches!(Guard::of(place("[::1]:1"), None), Ok(Guard::Loopback)));
        for any in ["0.0.0.0:1", "10.0.0.1:1", "[::]:1"] {
            let Ok(Guard::Token { token, is_new: true }) = Guard::of(place(any), None) else {
                unreachable!("{any} takes a token");
            };
            assert_eq!(token.expose().len(), 32);
        }
        assert!(matches!(Guard::of(place("127.0.0.1:1"), chosen()), Ok(Guard::Token { is_new: false, .. })));
        for weak in ["short", "with a blank in it", "with;semicolon;in-it"] {
            assert!(Guard::of(place("10.0.0.1:1"), Some(weak.to_owned())).is_err(), "{weak}");
        }
    }
}
