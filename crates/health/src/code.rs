//! The code of every trouble and its title, once: `doctor`, the documents' test, page and metrics share them.

/// Makes a constant of each code, and the list of all.
macro_rules! codes {
    ($($name:ident $code:literal $title:literal;)*) => {
        $(#[doc = $title] pub const $name: &str = $code;)*
        /// Every code with its title, in order. A code never changes its meaning.
        pub const ALL: &[(&str, &str)] = &[$(($code, $title)),*];
    };
}

codes! {
    NODE_SILENT "PGS-001" "a node does not answer";
    AGENT_SILENT "PGS-002" "the agent of a node does not answer";
    AGENT_REFUSES "PGS-003" "the agent of a node refuses the password";
    PORT_BLOCKED "PGS-004" "a service runs but cannot be reached";
    CONTAINER_DOWN "PGS-010" "a service does not run";
    CONTAINER_FAILS "PGS-011" "a service starts again and again, or is unhealthy";
    CONTAINER_OUTDATED "PGS-012" "a container was made from an older file or image";
    CONTAINER_FOREIGN "PGS-013" "a container belongs to another folder";
    OUT_OF_MEMORY "PGS-014" "a service was killed for its memory";
    FILES_UNREAD "PGS-015" "a service has not read its newer files";
    QUORUM_LOST "PGS-020" "etcd has no quorum";
    MEMBER_DOWN "PGS-021" "an etcd member does not serve";
    EVEN_VOTERS "PGS-022" "etcd has an even number of voters";
    LEARNER_STUCK "PGS-023" "an etcd member never got its vote";
    ETCD_FULL "PGS-024" "etcd is full";
    ETCD_CORRUPT "PGS-025" "etcd found its data damaged";
    MEMBER_FOREIGN "PGS-026" "etcd has a member that .env does not name";
    MEMBER_MISSING "PGS-027" "etcd does not know a node";
    ETCD_SPLIT "PGS-028" "a node is in another etcd cluster";
    ETCD_SLOW "PGS-029" "etcd is nearly full, or slow";
    NO_LEADER "PGS-030" "no node leads";
    ADDRESS_WRONG "PGS-031" "a wrong address is registered";
    INITIALIZE_STALE "PGS-032" "etcd remembers another database cluster";
    MAINTENANCE "PGS-033" "maintenance mode is on";
    FAILSAFE_ACTIVE "PGS-034" "Patroni has lost etcd";
    FAILSAFE_OFF "PGS-035" "failsafe mode is off";
    NO_SYNC_STANDBY "PGS-036" "there is no synchronous standby";
    MEMBER_KEY_FOREIGN "PGS-037" "Patroni knows a member that .env does not name";
    TWO_PRIMARIES "PGS-038" "there are two primaries";
    TIMES_DO_NOT_FIT "PGS-039" "Patroni's times do not fit together";
    OTHER_CLUSTER "PGS-040" "a node has the data of another cluster";
    OTHER_TIMELINE "PGS-041" "a replica is on another timeline";
    NOT_STREAMING "PGS-042" "a replica does not stream";
    LAGGING "PGS-043" "a replica is far behind";
    SLOT "PGS-044" "a replication slot holds WAL that nobody takes";
    RESTART_PENDING "PGS-045" "settings wait for a restart";
    NO_CHECKSUMS "PGS-046" "data checksums are off";
    POSTGRES_DOWN "PGS-047" "PostgreSQL does not run";
    CONNECTIONS "PGS-048" "connections are nearly used up";
    WAL_LOST "PGS-049" "a replica needs WAL that is gone";
    REPLAY_PAUSED "PGS-050" "a replica's replay is paused";
    NEVER_PRIMARY "PGS-051" "a node may never become the primary";
    WRITES_ASTRAY "PGS-060" "HAProxy does not send writes to the leader";
    PROXY_TWO_PRIMARIES "PGS-061" "HAProxy sees more than one primary";
    PROXY_MISSES_REPLICA "PGS-062" "HAProxy does not send reads to a good replica";
    POOLER_PAUSED "PGS-063" "a pooler is paused";
    CLIENTS_WAIT "PGS-064" "clients wait for a connection";
    PASSWORD_REFUSED "PGS-065" "a password of .env is refused";
    TWO_OWNERS "PGS-070" "two nodes hold the VIP";
    NO_OWNER "PGS-071" "no node holds the VIP";
    OWNER_DEAD "PGS-072" "the VIP leads to a dead service";
    VIP_FOREIGN "PGS-073" "a foreign machine answers at the VIP";
    NO_KEEPALIVED "PGS-074" "a node can never take the VIP over";
    FILE_ODD "PGS-080" "a generated file is not what .env would make";
    ENV_INVALID "PGS-081" "a node's .env is missing or invalid";
    SECRETS_READABLE "PGS-082" "everybody on a machine can read secrets";
    SECRETS_WEAK "PGS-083" "a password is weak";
    ENV_DIFFERS "PGS-084" "the nodes' .env files differ";
    DCS_ENV_DIFFERS "PGS-085" "the nodes' .env files name other settings";
    ADDRESS_NOT_HERE "PGS-086" "NODE_IP or the interface is wrong";
    VERSIONS_DIFFER "PGS-087" "the nodes run different versions";
    ETCD_DOOR "PGS-088" "etcd takes orders from everybody, or not from a node";
    CLOCK "PGS-090" "a clock is off";
    DISK "PGS-091" "a disk is nearly full";
}

/// The title of a code; empty where there is none such.
pub fn title(code: &str) -> &'static str {
    ALL.iter().find(|(known, _)| *known == code).map_or("", |(_, title)| title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_in_order() {
        assert!(ALL.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(title(CLOCK), "a clock is off");
        assert_eq!(title("PGS-999"), "");
    }
}
