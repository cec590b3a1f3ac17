//! How the poolers of all nodes share PostgreSQL's connections.

use pgstack_topology::Topology;

/// What patroni.yml gives a new cluster.
const MAX_CONNECTIONS: usize = 100;
/// 3 that PostgreSQL keeps for superusers, 7 for Patroni and for those who come past the pooler.
const KEPT: usize = 10;

/// Connections to PostgreSQL, for one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// All that PostgreSQL has.
    pub max_connections: usize,
    /// Never the poolers'.
    pub kept: usize,
    /// For all poolers together.
    pub shared: usize,
    /// One on each node.
    pub poolers: usize,
    /// What one pooler may open.
    pub per_pooler: usize,
    /// What one role gets of that at once.
    pub pool: usize,
    /// What it gets on top when it has waited.
    pub reserve: usize,
}

impl Budget {
    /// Equal shares: any node can come to hold the VIP, and right after it moved two poolers have
    /// open connections.
    pub fn of(topology: &Topology) -> Self {
        let (shared, poolers) = (MAX_CONNECTIONS - KEPT, topology.size());
        let per_pooler = shared / poolers;
        let reserve = per_pooler / 3;
        let pool = per_pooler - reserve;
        Self { max_connections: MAX_CONNECTIONS, kept: KEPT, shared, poolers, per_pooler, pool, reserve }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_poolers_together_leave_room_in_postgresql() {
        for size in 3..=6 {
            let budget = Budget::of(pgstack_testing::example_node(1, size).local.topology());
            assert!(budget.per_pooler * budget.poolers + budget.kept <= budget.max_connections, "{budget:?}");
            assert_eq!(budget.pool + budget.reserve, budget.per_pooler);
            assert!(budget.reserve >= 5 && budget.pool >= 10, "{budget:?}");
        }
    }
}
