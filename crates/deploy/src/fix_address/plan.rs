//! What `fix-patroni-connect-address` has to do, from what was seen. Pure.

use std::fmt;

use pgstack_topology::Node;

use crate::patroni_keys::{Fault, Registered};

/// Everything that the plan rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// The value of this node's member key.
    pub(super) registered: Option<String>,
    /// The environment that the container was made with; `None` where there is no container.
    pub(super) environment: Option<Vec<String>>,
    /// Whether the container runs.
    pub(super) running: bool,
}

/// What has to happen to the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing: all is right.
    Leave,
    /// It is started, or made where there is none.
    Start,
    /// Nothing but waiting: it runs, and has not registered yet.
    Await,
    /// It is made anew.
    Recreate(Vec<Reason>),
}

/// Why the container is made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reason {
    /// etcd holds a wrong address.
    Registered(Fault),
    /// The container was made with a wrong address.
    Environment {
        /// The variable.
        variable: &'static str,
        /// Its value; `None` where it is not set.
        found: Option<String>,
        /// What it should be.
        wanted: String,
    },
}

/// What has to happen to the container of `me`.
pub(super) fn plan(me: Node, seen: &Seen) -> Action {
    let Some(environment) = &seen.environment else { return Action::Start };
    let mut reasons: Vec<Reason> = match &seen.registered {
        None => Vec::new(),
        Some(value) => {
            let faults = Registered::parse(value).map_or_else(|| vec![Fault::Unreadable], |found| found.faults(me));
            faults.into_iter().map(Reason::Registered).collect()
        }
    };
    let wanted = [
        ("PATRONI_POSTGRESQL_CONNECT_ADDRESS", me.postgres_address()),
        ("PATRONI_RESTAPI_CONNECT_ADDRESS", me.patroni_rest_address()),
    ];
    for (variable, wanted) in wanted {
        let value = |line: &String| line.strip_prefix(variable)?.strip_prefix('=').map(str::to_owned);
        let found = environment.iter().find_map(value);
        if found.as_deref() != Some(wanted.as_str()) {
            reasons.push(Reason::Environment { variable, found, wanted });
        }
    }
    match (reasons.is_empty(), seen.running, &seen.registered) {
        (false, _, _) => Action::Recreate(reasons),
        (true, false, _) => Action::Start,
        (true, true, None) => Action::Await,
        (true, true, Some(_)) => Action::Leave,
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registered(fault) => write!(f, "in etcd, {fault}"),
            Self::Environment { variable, found: Some(found), wanted } => {
                write!(f, "in the container, {variable} is {found}, not {wanted}")
            }
            Self::Environment { variable, found: None, .. } => write!(f, "in the container, {variable} is not set"),
        }
    }
}

#[cfg(test)]
mod tests {
    use pgstack_testing::example_node;

    use super::*;

    fn environment(address: &str) -> Vec<String> {
        vec![
            "PATH=/bin".to_owned(),
            format!("PATRONI_POSTGRESQL_CONNECT_ADDRESS={address}:5432"),
            format!("PATRONI_RESTAPI_CONNECT_ADDRESS={address}:8008"),
        ]
    }

    fn value(address: &str) -> String {
        format!(r#"{{"conn_url":"postgres://{address}:5432/x","api_url":"http://{address}:8008/patroni"}}"#)
    }

    const MINE: &str = "192.168.0.152";
    const BRIDGE: &str = "172.18.0.3";

    fn planned(registered: Option<String>, environment: Option<Vec<String>>, running: bool) -> Action {
        plan(example_node(1, 3).local.me(), &Seen { registered, environment, running })
    }

    fn reasons(action: &Action) -> Vec<String> {
        match action {
            Action::Recreate(reasons) => reasons.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn where_all_is_right_nothing_is_restarted() {
        assert_eq!(planned(Some(value(MINE)), Some(environment(MINE)), true), Action::Leave);
        assert_eq!(planned(None, Some(environment(MINE)), true), Action::Await);
    }

    #[test]
    fn what_does_not_run_is_started() {
        assert_eq!(planned(Some(value(MINE)), Some(environment(MINE)), false), Action::Start);
        assert_eq!(planned(Some(value(BRIDGE)), None, false), Action::Start);
        assert_eq!(planned(None, None, false), Action::Start);
    }

    #[test]
    fn a_wrong_address_in_etcd_or_in_the_container_makes_it_anew() {
        assert_eq!(
            reasons(&planned(Some(value(BRIDGE)), Some(environment(MINE)), true)),
            [
                "in etcd, conn_url is 172.18.0.3:5432, not 192.168.0.152:5432",
                "in etcd, api_url is 172.18.0.3:8008, not 192.168.0.152:8008"
            ]
        );
        assert_eq!(
            reasons(&planned(Some(value(MINE)), Some(environment(BRIDGE)), false)),
            [
                "in the container, PATRONI_POSTGRESQL_CONNECT_ADDRESS is 172.18.0.3:5432, not 192.168.0.152:5432",
                "in the container, PATRONI_RESTAPI_CONNECT_ADDRESS is 172.18.0.3:8008, not 192.168.0.152:8008"
            ]
        );
        assert_eq!(
            reasons(&planned(
                Some("garbage".to_owned()),
                Some(vec!["PATRONI_POSTGRESQL_CONNECT_ADDRESS=".to_owned()]),
                true
            )),
            [
                "in etcd, cannot be understood",
                "in the container, PATRONI_POSTGRESQL_CONNECT_ADDRESS is , not 192.168.0.152:5432",
                "in the container, PATRONI_RESTAPI_CONNECT_ADDRESS is not set"
            ]
        );
    }
}
