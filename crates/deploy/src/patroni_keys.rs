//! The keys that Patroni keeps in etcd, and the ones beside them that these tools keep for each other.

use pgstack_etcd::ClusterId;
use pgstack_topology::Node;
use serde_json::Value;

/// Everything of the cluster lies below this: `namespace` and `scope` of patroni.yml.
pub(crate) const ALL: &str = "/service/pg-cluster/";
/// Every running Patroni's addresses.
pub(crate) const MEMBERS: &str = "/service/pg-cluster/members/";
/// The identifier of the database cluster: whoever has data with another one may not take part.
pub(crate) const INITIALIZE: &str = "/service/pg-cluster/initialize";
/// The name of the member that leads.
pub(crate) const LEADER: &str = "/service/pg-cluster/leader";
/// The configuration that all nodes share.
pub(crate) const CONFIG: &str = "/service/pg-cluster/config";
/// Which members the leader waits for before it acknowledges a row.
pub(crate) const SYNC: &str = "/service/pg-cluster/sync";
/// Where the leader's Patroni says, among others, which slots it keeps for members that are away.
pub(crate) const STATUS: &str = "/service/pg-cluster/status";

/// Says in a new etcd which cluster it took the place of: the data of that one, on another node, is
/// worth nothing any more.
pub(crate) fn given_up(cluster: ClusterId) -> String {
    format!("/patroni-stack/given-up/{cluster}")
}

/// Each node's own word that its disk holds no PostgreSQL data, by member name.
pub(crate) const NO_DATA: &str = "/patroni-stack/no-data/";

/// The addresses that a member key holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Registered {
    /// `postgres://192.168.0.152:5432/postgres`.
    pub(crate) conn_url: Option<String>,
    /// `http://192.168.0.152:8008/patroni`.
    pub(crate) api_url: Option<String>,
}

impl Registered {
    /// Reads a member key's value; `None` where it is no JSON object.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let json: Value = serde_json::from_str(value).ok()?;
        let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
        json.is_object().then(|| Self { conn_url: text("conn_url"), api_url: text("api_url") })
    }

    /// What is wrong with it as the addresses of `node`; empty where all is right.
    pub(crate) fn faults(&self, node: Node) -> Vec<Fault> {
        let checked = [
            ("conn_url", &self.conn_url, node.postgres_address()),
            ("api_url", &self.api_url, node.patroni_rest_address()),
        ];
        let fault = |(field, found, wanted): (&'static str, &Option<String>, String)| match found {
            None => Some(Fault::Missing { field }),
            Some(url) => match address(url) {
                found if found == wanted => None,
                found => Some(Fault::Elsewhere { field, found: found.to_owned(), wanted }),
            },
        };
        checked.into_iter().filter_map(fault).collect()
    }
}

/// Something wrong with a member key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A field is not there.
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// A field names another address than the node's.
    Elsewhere {
        /// Its name.
        field: &'static str,
        /// `172.18.0.3:5432`.
        found: String,
        /// What it should be.
        wanted: String,
    },
    /// The value cannot be understood.
    Unreadable,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing { field } => write!(f, "{field} is missing"),
            Self::Elsewhere { field, found, wanted } => write!(f, "{field} is {found}, not {wanted}"),
            Self::Unreadable => f.write_str("cannot be understood"),
        }
    }
}

/// `HOST:PORT` of a URL, without a user or a password that stands before it.
fn address(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    authority.rsplit_once('@').map_or(authority, |(_, address)| address)
}

#[cfg(test)]
mod tests {
    use pgstack_testing::example_node;

    use super::*;

    fn faults(value: &str) -> String {
        let node = example_node(1, 3).local.me();
        let faults = Registered::parse(value).map_or(vec![Fault::Unreadable], |found| found.faults(node));
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_member_key_is_right_where_both_addresses_are_the_nodes() {
        assert_eq!(
            faults(
                r#"{"conn_url":"postgres://192.168.0.152:5432/postgres","api_url":"http://192.168.0.152:8008/patroni",
                    "state":"running","role":"replica","version":"4.1.5","xlog_location":1,"timeline":1}"#
            ),
            ""
        );
    }

    #[test]
    fn every_fault_of_a_member_key_is_named() {
        for (value, want) in [
            (
                r#"{"conn_url":"postgres://172.18.0.3:5432/postgres","api_url":"http://172.18.0.3:8008/patroni"}"#,
                "conn_url is 172.18.0.3:5432, not 192.168.0.152:5432; api_url is 172.18.0.3:8008, not 192.168.0.152:8008",
            ),
            (
                r#"{"conn_url":"postgres://192.168.0.152:5432/postgres","api_url":"http://192.168.0.153:8008/patroni"}"#,
                "api_url is 192.168.0.153:8008, not 192.168.0.152:8008",
            ),
            (
                r#"{"conn_url":"postgres://192.168.0.152:6543/x","api_url":"http://192.168.0.152:8008/patroni"}"#,
                "conn_url is 192.168.0.152:6543, not 192.168.0.152:5432",
            ),
            (r#"{"api_url":"http://192.168.0.152:8008/patroni"}"#, "conn_url is missing"),
            (r#"{"conn_url":"postgres://u:p@192.168.0.152:5432/postgres","api_url":7}"#, "api_url is missing"),
            ("{}", "conn_url is missing; api_url is missing"),
            (
                r#"{"conn_url":"","api_url":"http://"}"#,
                "conn_url is , not 192.168.0.152:5432; api_url is , not 192.168.0.152:8008",
            ),
            ("", "cannot be understood"),
            ("[1]", "cannot be understood"),
            ("garbage {", "cannot be understood"),
        ] {
            assert_eq!(faults(value), want, "{value}");
        }
    }
}
