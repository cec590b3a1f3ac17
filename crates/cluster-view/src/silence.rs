//! Why somebody who was asked did not tell.

use std::error::Error;
use std::io;

use tokio_postgres::error::SqlState;

/// The longest text of another machine that is passed on.
const LONGEST: usize = 160;

/// Why somebody who was asked did not tell, in a few words for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Silence {
    /// Not even the connection stood in time: the machine is off, cut off, or its firewall drops packets.
    #[error("no answer in time")]
    Late,
    /// The connection stood, and then came nothing.
    #[error("connected, but no answer in time")]
    Mute,
    /// The machine is there, and nobody listens.
    #[error("connection refused")]
    Refused,
    /// Something on the way says that the machine is not to be reached.
    #[error("no route")]
    NoRoute,
    /// It knows another password.
    #[error("the password is refused")]
    Password,
    /// The connection was ended by the other side.
    #[error("the connection was cut")]
    Cut,
    /// It said something else.
    #[error("{0}")]
    Words(String),
    /// This machine could not ask.
    #[error("{0}")]
    Here(String),
}

impl Silence {
    /// Words of the other side, made fit for one line.
    pub fn words(text: &str) -> Self {
        Self::Words(one_line(text))
    }

    /// Whether anything came back from the machine, be it a refusal.
    pub fn came_back(&self) -> bool {
        !matches!(self, Self::Late | Self::NoRoute | Self::Here(_))
    }

    /// What an error of HTTP means.
    pub(crate) fn from_http(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            return if error.is_connect() { Self::Late } else { Self::Mute };
        }
        from_chain(error).unwrap_or(Self::Cut)
    }

    /// What an error of PostgreSQL's protocol means.
    pub(crate) fn from_sql(error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(db) if *db.code() == SqlState::INVALID_PASSWORD => Self::Password,
            // PgBouncer says the same with the code of any other trouble
            Some(db) if db.message() == "SASL authentication failed" => Self::Password,
            Some(db) => Self::words(db.message()),
            None => from_chain(error).unwrap_or(Self::Cut),
        }
    }
}

impl From<&io::Error> for Silence {
    fn from(error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::ConnectionRefused => Self::Refused,
            Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => Self::NoRoute,
            Kind::TimedOut => Self::Late,
            Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe | Kind::UnexpectedEof => Self::Cut,
            // EHOSTDOWN has no kind of its own
            _ if error.raw_os_error() == Some(nix::errno::Errno::EHOSTDOWN as i32) => Self::NoRoute,
            _ => Self::Here(one_line(&error.to_string())),
        }
    }
}

/// What the system said, somewhere behind an error of a library.
fn from_chain(error: &(dyn Error + 'static)) -> Option<Silence> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(system) = error.downcast_ref::<io::Error>() {
            // an error of a library may travel inside one of the system's
            if system.raw_os_error().is_some() || system.get_ref().is_none() {
                return Some(system.into());
            }
        }
        next = error.source();
    }
    None
}

/// Without line breaks and other control characters, and not too long.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split(|c: char| c.is_control() || c == ' ').filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    if line.chars().count() <= LONGEST {
        return line;
    }
    line.chars().take(LONGEST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;

    #[test]
    fn a_refusal_came_back_and_a_missing_route_did_not() {
        let of = |code: Errno| Silence::from(&io::Error::from_raw_os_error(code as i32));
        for (code, want, words, came_back) in [
            (Errno::ECONNREFUSED, Silence::Refused, "connection refused", true),
            (Errno::EHOSTUNREACH, Silence::NoRoute, "no route", false),
            (Errno::ENETUNREACH, Silence::NoRoute, "no route", false),
            (Errno::EHOSTDOWN, Silence::NoRoute, "no route", false),
            (Errno::ETIMEDOUT, Silence::Late, "no answer in time", false),
            (Errno::ECONNRESET, Silence::Cut, "the connection was cut", true),
            (Errno::EPIPE, Silence::Cut, "the connection was cut", true),
        ] {
            let silence = of(code);
            assert_eq!((silence.to_string().as_str(), silence.came_back()), (words, came_back), "{code}");
            assert_eq!(silence, want);
        }
        assert!(!of(Errno::EMFILE).came_back(), "this machine's own trouble says nothing about the other");
    }

    #[test]
    fn foreign_words_fit_on_one_line() {
        assert_eq!(
            Silence::words("the database\n system\tis \u{1b}[31mstarting up ").to_string(),
            "the database system is [31mstarting up"
        );
        assert_eq!(Silence::words(&"x".repeat(1000)).to_string().chars().count(), LONGEST);
    }

    #[tokio::test]
    async fn a_library_hides_neither_a_refusal_nor_a_cut() {
        let observer = crate::Observer::new();
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = free.local_addr().expect("its number").port();
        let url = format!("http://127.0.0.1:{port}/");
        let cutting = tokio::spawn(async move {
            drop(free.accept().await.expect("a client"));
            free
        });
        assert_eq!(observer.ask(&url, None).await.expect_err("cut"), Silence::Cut);
        drop(cutting.await.expect("the listener"));
        assert_eq!(observer.ask(&url, None).await.expect_err("refused"), Silence::Refused);
    }

    #[tokio::test]
    async fn whoever_accepts_and_says_nothing_is_mute() {
        let observer =
            crate::Observer::with_limits(std::time::Duration::from_millis(100), std::time::Duration::from_millis(200));
        let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", mute.local_addr().expect("its number"));
        assert_eq!(observer.ask(&url, None).await.expect_err("mute"), Silence::Mute);
    }
}
