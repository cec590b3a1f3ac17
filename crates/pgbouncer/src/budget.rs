//! How the poolers of all nodes share PostgreSQL's connections.

use pgstack_env::NodeEnv;

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
    pub fn of(env: &NodeEnv) -> Self {
        let max_connections = env.dcs.max_connections();
        let (shared, poolers) = (max_connections - KEPT, env.local.topology().size());
        let per_pooler = shared / poolers;
        let reserve = per_pooler / 3;
        let pool = per_pooler - reserve;
        Self { max_connections, kept: KEPT, shared, poolers, per_pooler, pool, reserve }
    }
}

#[cfg(test)]
mod tests {
    use pgstack_env::{dcs, key};

    use super::*;

    #[test]
    fn all_poolers_together_leave_room_in_postgresql() {
        for size in 3..=6 {
            let mut env = pgstack_testing::example_node(1, size);
            for (max_connections, reserve, pool) in [(None, 5, 10), (Some("50"), 2, 4), (Some("5000"), 276, 500)] {
                if let Some(value) = max_connections {
                    assert!(env.dcs.name(dcs::find(key::POSTGRES_MAX_CONNECTIONS).expect("a setting"), value));
                }
                let budget = Budget::of(&env);
                assert!(budget.per_pooler * budget.poolers + budget.kept <= budget.max_connections, "{budget:?}");
                assert_eq!(budget.pool + budget.reserve, budget.per_pooler);
                assert!(budget.reserve >= reserve && budget.pool >= pool, "{budget:?}");
                // what HAProxy lets through on one node
                assert!(budget.per_pooler <= 2000, "{budget:?}");
            }
        }
    }
}
