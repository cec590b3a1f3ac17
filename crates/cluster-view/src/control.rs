//! The few requests that change something, all to Patroni's REST API. They need its password.

use std::time::Duration;

use pgstack_topology::{Node, NodeId, Secret, port};
use reqwest::Method;
use serde_json::{Value, json};

use crate::Observer;

/// A switchover answers when it is over: stop, race and promotion.
const SLOW: Duration = Duration::from_secs(120);

/// One node's Patroni, with the right to change things.
#[derive(Debug, Clone)]
pub struct Control {
    observer: Observer,
    node: NodeId,
    base: String,
    password: Secret,
}

/// Patroni did not do it.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It did not answer.
    #[error("Patroni on node {node} does not answer")]
    Silent {
        /// The node that was asked.
        node: NodeId,
        /// What happened.
        source: reqwest::Error,
    },
    /// It refused.
    #[error("Patroni on node {node} refused ({code}): {reason}")]
    Refused {
        /// The node that was asked.
        node: NodeId,
        /// The HTTP status.
        code: u16,
        /// Its words.
        reason: String,
    },
    /// The leadership went to another node than the one that was asked for.
    #[error("Patroni on node {node}: {said}")]
    Elsewhere {
        /// The node that was asked.
        node: NodeId,
        /// Its words.
        said: String,
    },
}

impl ControlError {
    /// Whether etcd did not take the order, as while it elects a leader: nothing has begun, and it may be given again.
    pub fn not_written(&self) -> bool {
        matches!(self, Self::Refused { code: 503, reason, .. } if reason.starts_with("failed to write"))
    }
}

impl Observer {
    /// The Patroni of `node`, for its user `patroni` with this password.
    pub fn control(&self, node: Node, password: &Secret) -> Control {
        let base = format!("http://{}:{}", node.ip(), port::PATRONI_REST);
        Control { observer: self.clone(), node: node.id(), base, password: password.clone() }
    }
}

impl Control {
    /// Moves the leadership from `leader` to `candidate`, both by member name; ends when it is done.
    pub async fn switchover(&self, leader: &str, candidate: &str) -> Result<(), ControlError> {
        let body = json!({ "leader": leader, "candidate": candidate });
        let said = self.send(Method::POST, "switchover", &body, SLOW).await?;
        // which to Patroni is a success
        if said.contains("instead of") {
            return Err(ControlError::Elsewhere { node: self.node, said: said.trim().to_owned() });
        }
        Ok(())
    }

    /// The configuration that lives in the DCS, the same for all nodes.
    pub async fn config(&self) -> Result<Value, ControlError> {
        let text = self.send(Method::GET, "config", &Value::Null, crate::TIMEOUT).await?;
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// Merges `patch` into it: a key with null goes away.
    pub async fn patch_config(&self, patch: &Value) -> Result<(), ControlError> {
        self.send(Method::PATCH, "config", patch, Duration::from_secs(10)).await.map(drop)
    }

    /// Makes a Patroni that leads look at once for what has changed, instead of after up to loop_wait. Best
    /// effort, and nothing changes: the patch takes a key out that is not there.
    pub async fn wake_up(&self) {
        let nothing = json!({ "patroni_stack_wake_up": null });
        drop(self.send(Method::PATCH, "config", &nothing, crate::TIMEOUT).await);
    }

    /// Makes a Patroni read its file again and compare what PostgreSQL runs with, at once.
    pub async fn reload(&self) -> Result<(), ControlError> {
        self.send(Method::POST, "reload", &json!({}), crate::TIMEOUT).await?;
        self.wake_up().await;
        Ok(())
    }

    /// Restarts this node's PostgreSQL if a changed setting waits for it and it is what it was taken
    /// for, `primary` or `replica`; ends when it is up again.
    pub async fn restart_if_pending(&self, role: &str) -> Result<(), ControlError> {
        let body = json!({ "restart_pending": true, "role": role });
        self.send(Method::POST, "restart", &body, SLOW).await.map(drop)
    }

    async fn send(&self, method: Method, path: &str, body: &Value, limit: Duration) -> Result<String, ControlError> {
        let silent = |source| ControlError::Silent { node: self.node, source };
        let mut request = self.observer.http.request(method, format!("{}/{path}", self.base)).timeout(limit);
        if !body.is_null() {
            request = request.basic_auth("patroni", Some(self.password.expose())).json(body);
        }
        let answer = request.send().await.map_err(silent)?;
        let code = answer.status();
        let text = answer.text().await.map_err(silent)?;
        if code.is_success() {
            return Ok(text);
        }
        Err(ControlError::Refused { node: self.node, code: code.as_u16(), reason: text.trim().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_order_that_etcd_did_not_take_may_be_given_again() {
        let refused = |code, reason: &str| ControlError::Refused {
            node: NodeId::new(1).expect("a node"),
            code,
            reason: reason.to_owned(),
        };
        assert!(refused(503, "failed to write failover key into DCS").not_written());
        assert!(!refused(503, "Switchover failed").not_written());
        assert!(!refused(503, "Switchover status unknown").not_written());
        assert!(!refused(412, "leader name does not match").not_written());
    }
}
