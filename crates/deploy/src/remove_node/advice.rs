//! What is left for a person to do: the lines of every `.env`, and the removed machine itself.

use pgstack_topology::{MIN_NODES, NodeId, Topology};

/// The last words of a removal. Empty where .env no longer names the node.
pub(super) fn advice(node: NodeId, topology: &Topology) -> Vec<String> {
    let Some(gone) = topology.node(node) else { return Vec::new() };
    let line = format!("NODE{node}_IP={}", gone.ip());
    let others = topology.nodes().filter(|other| other.id() != node);
    let others: Vec<String> = others.map(|other| other.id().to_string()).collect();
    let others = others.join(", ");
    let clean = format!("Before its old machine runs again: ./clean on it, else it comes back as node {node}.");
    if usize::from(node.get()) == topology.size() && topology.size() > MIN_NODES {
        return vec![
            format!("Now delete the line {line} from .env on the nodes {others}, and run ./deploy on each of them."),
            clean,
        ];
    }
    let why = if topology.size() == MIN_NODES {
        "A cluster has at least three nodes".to_owned()
    } else {
        "The numbers have no gaps".to_owned()
    };
    vec![
        format!("{why}, so another machine has to become node {node}:"),
        format!("  at the same address: run ./deploy on it, with node {node}'s .env and an empty data folder;"),
        format!(
            "  at another address: put it in place of the old one in the line {line} of .env on every node, then run \
             ./deploy on the new machine and on the nodes {others}."
        ),
        clean,
    ]
}

#[cfg(test)]
mod tests {
    use pgstack_topology::Vip;

    use super::*;

    fn topology(size: u8) -> Topology {
        let ip = |last: u8| format!("10.0.0.{last}").parse().expect("an address");
        Topology::new((1..=size).map(ip), Vip::new(ip(100), 24).expect("a prefix")).expect("a topology")
    }

    fn text(node: u8, size: u8) -> String {
        advice(NodeId::new(node).expect("1 to 6"), &topology(size)).join("\n")
    }

    #[test]
    fn the_highest_number_goes_from_every_env() {
        let text = text(4, 4);
        assert!(text.contains("delete the line NODE4_IP=10.0.0.4 from .env on the nodes 1, 2, 3"), "{text}");
        assert!(text.contains("./clean"), "{text}");
    }

    #[test]
    fn a_number_that_has_to_stay_gets_another_machine() {
        for (node, size, why) in [(2, 4, "no gaps"), (3, 3, "at least three"), (1, 3, "at least three")] {
            let text = text(node, size);
            assert!(text.contains(why) && !text.contains("delete"), "{text}");
            assert!(text.contains(&format!("NODE{node}_IP=10.0.0.{node}")), "{text}");
        }
    }

    #[test]
    fn a_node_that_env_does_not_name_leaves_nothing_to_edit() {
        assert_eq!(text(5, 4), "");
    }
}
