//! Which member keys are wrong. Pure.

use pgstack_topology::Topology;

use crate::patroni_keys::{Fault, MEMBERS, Registered};

/// What is to be thought of a member key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Both addresses are those of its node.
    Right,
    /// They are not.
    Wrong(Vec<Fault>),
    /// `.env` has no node of that name, so nothing tells what would be right.
    Stranger,
}

/// Judges a member key by its node's addresses in `.env`.
pub(crate) fn verdict(topology: &Topology, key: &str, value: &str) -> Verdict {
    let name = name(key);
    let Some(node) = topology.nodes().find(|node| node.patroni_name() == name) else { return Verdict::Stranger };
    let faults = Registered::parse(value).map_or_else(|| vec![Fault::Unreadable], |found| found.faults(node));
    if faults.is_empty() { Verdict::Right } else { Verdict::Wrong(faults) }
}

/// The member's name.
pub(crate) fn name(key: &str) -> &str {
    key.strip_prefix(MEMBERS).unwrap_or(key)
}

/// Whether the key is to be deleted.
pub(crate) fn goes(verdict: &Verdict, all: bool) -> bool {
    all || matches!(verdict, Verdict::Wrong(_))
}

/// One line for people.
pub(crate) fn line(key: &str, value: &str, verdict: &Verdict) -> String {
    let registered = Registered::parse(value).unwrap_or_default();
    let shown = |url: &Option<String>| url.clone().unwrap_or_else(|| "-".to_owned());
    let judged = match verdict {
        Verdict::Right => "right".to_owned(),
        Verdict::Stranger => "not a node of this .env".to_owned(),
        Verdict::Wrong(faults) => {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            format!("WRONG: {}", faults.join("; "))
        }
    };
    format!("{}  {}  {}  {judged}", name(key), shown(&registered.conn_url), shown(&registered.api_url))
}

#[cfg(test)]
mod tests {
    use pgstack_testing::example_node;
    use proptest::prelude::*;

    use super::*;

    fn value(address: &str) -> String {
        format!(r#"{{"conn_url":"postgres://{address}:5432/postgres","api_url":"http://{address}:8008/patroni"}}"#)
    }

    fn judged(name: &str, value: &str) -> Verdict {
        verdict(example_node(1, 3).local.topology(), &format!("{MEMBERS}{name}"), value)
    }

    #[test]
    fn only_wrong_keys_go_unless_all_are_to() {
        let right = judged("patroni2", &value("192.168.0.153"));
        let wrong = judged("patroni2", &value("172.18.0.3"));
        let other_nodes = judged("patroni2", &value("192.168.0.152"));
        let garbage = judged("patroni3", "garbage");
        let stranger = judged("patroni4", &value("172.18.0.3"));
        assert_eq!(right, Verdict::Right);
        assert_eq!(garbage, Verdict::Wrong(vec![Fault::Unreadable]));
        assert_eq!(stranger, Verdict::Stranger);
        let verdicts = [right, wrong, other_nodes, garbage, stranger];
        assert_eq!(verdicts.iter().map(|one| goes(one, false)).collect::<Vec<_>>(), [false, true, true, true, false]);
        assert!(verdicts.iter().all(|one| goes(one, true)));
    }

    #[test]
    fn each_key_is_shown_with_both_addresses_and_what_is_wrong() {
        let key = format!("{MEMBERS}patroni1");
        let text = value("172.18.0.3");
        let line = line(&key, &text, &judged("patroni1", &text));
        assert_eq!(
            line,
            "patroni1  postgres://172.18.0.3:5432/postgres  http://172.18.0.3:8008/patroni  \
             WRONG: conn_url is 172.18.0.3:5432, not 192.168.0.152:5432; api_url is 172.18.0.3:8008, not 192.168.0.152:8008"
        );
    }

    proptest! {
        #[test]
        fn no_value_makes_it_panic_and_only_a_nodes_own_address_is_right(name in "patroni[0-9]|.{0,9}", text in ".{0,60}") {
            let _ = line(&format!("{MEMBERS}{name}"), &text, &judged(&name, &text));
            prop_assert_ne!(judged(&name, &text), Verdict::Right);
        }

        #[test]
        fn a_key_is_right_for_one_node_only(of in 1u8..4, at in 1u8..4) {
            let found = judged(&format!("patroni{of}"), &value(&format!("192.168.0.{}", 151 + at)));
            prop_assert_eq!(found == Verdict::Right, of == at);
        }
    }
}
