//! What an etcd says at the port for its peers. It answers there without a quorum, too, whereas a
//! member that waits for one keeps its client port closed.

use pgstack_topology::{Node, port};
use serde::Deserialize;

use crate::Observer;

/// An etcd process that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdProcess {
    /// The id of its cluster.
    pub cluster_id: u64,
    /// The members as it knows them, perhaps outdated.
    pub members: Vec<EtcdMember>,
}

/// A member on such a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EtcdMember {
    /// Its id.
    pub id: u64,
    /// Where the others reach it.
    #[serde(rename = "peerURLs", default)]
    pub peer_urls: Vec<String>,
    /// It has no vote.
    #[serde(default)]
    pub is_learner: bool,
    /// Empty until it has started, unless it stood in a static list.
    #[serde(default)]
    pub name: String,
    /// Where clients reach it; empty until it has started for the first time.
    #[serde(rename = "clientURLs", default)]
    pub client_urls: Vec<String>,
}

impl Observer {
    /// The etcd process of `node`; `None` where none answers.
    pub async fn etcd_process(&self, node: Node) -> Option<EtcdProcess> {
        let answer = self.get(&format!("http://{}:{}/members", node.ip(), port::ETCD_PEER)).await?;
        let id = answer.headers().get("x-etcd-cluster-id")?.to_str().ok()?;
        let cluster_id = u64::from_str_radix(id, 16).ok()?;
        Some(EtcdProcess { cluster_id, members: answer.json().await.ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_list_of_the_peer_port_is_read() {
        let members: Vec<EtcdMember> = serde_json::from_str(
            r#"[{"id":1514788396788848948,"peerURLs":["http://127.0.1.2:2380"],"name":"e2","clientURLs":[]},
                {"id":2,"peerURLs":["http://127.0.1.3:2380"],"isLearner":true}]"#,
        )
        .expect("a list");
        assert_eq!(members[0].id, 1_514_788_396_788_848_948);
        assert_eq!(members[0].peer_urls, ["http://127.0.1.2:2380"]);
        assert_eq!(members.iter().map(|member| member.is_learner).collect::<Vec<_>>(), [false, true]);
    }
}
