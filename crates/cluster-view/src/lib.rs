//! What the running services say about the cluster, over the network, and what the kernel says
//! about this machine. Not answering is an answer here (`None`), never an error. What changes
//! something goes through [`Control`] and [`Postgres`].

mod control;
mod etcd;
mod kernel;
mod patroni;
mod ports;
mod postgres;
mod probe;
mod proxy;
mod vrrp;

use std::time::Duration;

pub use control::{Control, ControlError};
pub use etcd::{EtcdMember, EtcdProcess};
pub use kernel::{Interfaces, kernel_interfaces};
pub use patroni::{Difference, Instance, Member, Role, View, Xlog};
pub use ports::{Limits, Listener, Neighbour, limits, listeners, neighbours};
pub use postgres::{Login, Postgres, PostgresError, Sizes};
pub use probe::{Passage, VrrpProbe, tcp_passage};
pub use proxy::Proxy;
pub use vrrp::{Advert, AdvertListener};

/// How long one question may take. Everything asked is at most one network hop away.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Asks the services of any node.
#[derive(Debug, Clone)]
pub struct Observer {
    http: reqwest::Client,
}

impl Observer {
    /// A new one. It asks directly, whatever proxy the environment names, and connects anew for
    /// each question: a connection kept open to the VIP would go on asking its former holder.
    pub fn new() -> Self {
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build();
        Self { http: http.unwrap_or_default() }
    }

    async fn get(&self, url: &str) -> Option<reqwest::Response> {
        self.http.get(url).timeout(TIMEOUT).send().await.ok()
    }
}

impl Default for Observer {
    fn default() -> Self {
        Self::new()
    }
}
