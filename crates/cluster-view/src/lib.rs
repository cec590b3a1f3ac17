//! What the running services say about the cluster, over the network, and what the kernel says
//! about this machine. Not answering is an answer here (`None`), never an error. What changes
//! something goes through [`Control`] and [`Postgres`].

mod control;
mod etcd;
mod kernel;
mod patroni;
mod pooler;
mod ports;
mod postgres;
mod probe;
mod proxy;
mod silence;
mod sql;
mod vrrp;

use std::time::Duration;

pub use control::{Control, ControlError};
pub use etcd::{EtcdMember, EtcdProcess};
pub use kernel::{Interfaces, kernel_interfaces};
pub use patroni::{About, Difference, Instance, Member, Role, View, Xlog};
use pgstack_topology::Secret;
pub use pooler::{NotPaused, PAUSE_NOTICE, PoolerConsole};
pub use ports::{Limits, Listener, Neighbour, limits, listeners, neighbours};
pub use postgres::{Login, Postgres, PostgresError, Sizes};
pub use probe::{Passage, VrrpProbe, tcp_passage};
pub use proxy::Proxy;
pub use silence::Silence;
pub use sql::{Row, Source, Sql};
pub use vrrp::{Advert, AdvertListener};

/// How long one question may take. Everything asked is at most one network hop away.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Asks the services of any node.
#[derive(Debug, Clone)]
pub struct Observer {
    http: reqwest::Client,
    limit: Duration,
}

impl Observer {
    /// A new one. It asks directly, whatever proxy the environment names, and connects anew for
    /// each question: a connection kept open to the VIP would go on asking its former holder.
    pub fn new() -> Self {
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build();
        Self { http: http.unwrap_or_default(), limit: TIMEOUT }
    }

    /// One that waits so long for a connection, and so long for a whole answer.
    pub fn with_limits(connect: Duration, answer: Duration) -> Self {
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).connect_timeout(connect).build();
        Self { http: http.unwrap_or_default(), limit: answer }
    }

    async fn get(&self, url: &str) -> Option<reqwest::Response> {
        self.http.get(url).timeout(self.limit).send().await.ok()
    }

    /// What comes from a URL, or why nothing did. A user and a password are for those who ask for them.
    pub async fn ask(&self, url: &str, login: Option<(&str, &Secret)>) -> Result<Answer, Silence> {
        let mut request = self.http.get(url).timeout(self.limit);
        if let Some((user, password)) = login {
            request = request.basic_auth(user, Some(password.expose()));
        }
        let answer = request.send().await.map_err(|error| Silence::from_http(&error))?;
        let code = answer.status();
        let date = answer.headers().get("date").and_then(|date| date.to_str().ok()).map(str::to_owned);
        match code.as_u16() {
            401 | 403 => Err(Silence::Password),
            _ if code.is_success() => {
                let text = answer.text().await.map_err(|error| Silence::from_http(&error))?;
                Ok(Answer { text, date })
            }
            code => Err(Silence::words(&format!("answers {code}"))),
        }
    }
}

/// An answer over HTTP.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Its text.
    pub text: String,
    /// The other side's clock, in full seconds, as HTTP writes it.
    pub date: Option<String>,
}

impl Default for Observer {
    fn default() -> Self {
        Self::new()
    }
}
