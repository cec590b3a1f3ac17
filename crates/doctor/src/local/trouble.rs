//! What the log of a service that does not serve says, in our words.

use pgstack_containers::Service;
use pgstack_deploy::data_trouble;

/// Words in a log, or in the engine's reason for not starting a container, with what they mean.
type Meanings = &'static [(&'static str, &'static str)];

/// Of any service.
const COMMON: Meanings = &[
    ("No space left on device", "the disk is full"),
    ("ddress already in use", "another program has taken a port that it needs"),
    ("port is already allocated", "another container has taken a port that it needs"),
    ("failed to open stdout fifo", "the Docker engine could not open its output: restarting Docker mends that"),
    ("Cannot allocate memory", "there is not enough memory"),
    ("Too many open files", "it may open too few files"),
    ("no such image", "its image is not on this machine"),
];

const ETCD: Meanings = &[
    ("member count is unequal", "it was told of another number of members than the cluster has"),
    ("unmatched member while checking PeerURLs", "it was told of other members than the cluster has"),
    (
        "the member has been permanently removed",
        "it was removed from the cluster, and its data is worth nothing any more",
    ),
    ("database space exceeded", "its database is full"),
    ("could not retrieve cluster information", "its data is gone, and it cannot make a member anew by itself"),
    ("has already been bootstrapped", "its data is gone, and the cluster still counts with it"),
    ("cluster ID mismatch", "its data belongs to another etcd cluster"),
    ("data-dir used by this member must be removed", "it was removed from the cluster, and its data must go"),
    ("failed to find database snapshot file", "its data is damaged"),
    ("crc mismatch", "its data is damaged"),
    ("tocommit", "its data has lost what it has already promised to the others: it is worth nothing any more"),
    ("permission denied", "its user may not read or write data/etcd (`chown -R 999:999 data/etcd`)"),
    ("error verifying flags", "its file etcd/etcd.yml is not valid"),
    ("error unmarshaling", "its file etcd/etcd.yml is not valid"),
];

const PATRONI: Meanings = &[
    ("No host specified", "the list of etcd's members in patroni.yml is not valid"),
    ("waiting for leader to bootstrap", "it waits for a leader to copy the data from"),
    ("Error parsing config file", "its file patroni/patroni.yml is not valid"),
    ("Config is empty", "its file patroni/patroni.yml is empty"),
    ("not a valid configuration", "its file patroni/patroni.yml is not valid"),
    ("could not map anonymous shared memory", "PostgreSQL does not get the memory that shared_buffers asks for"),
    ("password authentication failed", "PostgreSQL refuses the passwords of .env"),
    ("Failed to get list of machines from", "etcd does not answer"),
    ("Etcd is not ready", "etcd does not answer"),
];

const HAPROXY: Meanings = &[
    ("cannot bind", "another program has taken a port that it needs"),
    ("Fatal errors found in configuration", "its file haproxy/haproxy.cfg is not valid"),
    ("Error(s) found in configuration file", "its file haproxy/haproxy.cfg is not valid"),
    ("Could not open configuration file", "its file haproxy/haproxy.cfg is missing or closed to it"),
    ("Cannot open configuration file", "its file haproxy/haproxy.cfg is missing or closed to it"),
];

const PGBOUNCER: Meanings = &[
    ("cannot load config file", "its file pgbouncer/pgbouncer.ini is not valid"),
    ("could not open auth_file", "its file pgbouncer/userlist.txt is missing or closed to it"),
    ("syntax error in configuration", "its file pgbouncer/pgbouncer.ini is not valid"),
    ("invalid value", "its file pgbouncer/pgbouncer.ini is not valid"),
    ("cannot listen", "another program has taken a port that it needs"),
    ("cannot load", "its files below pgbouncer/ are missing or closed to it"),
];

const KEEPALIVED: Meanings = &[
    ("unable to load init file", "its file keepalived/keepalived.conf is missing"),
    ("Unable to find configuration file", "its file keepalived/keepalived.conf is missing"),
    ("Unknown keyword", "its file keepalived/keepalived.conf is not valid"),
    ("Non-existent interface", "the interface that KEEPALIVED_INTERFACE names does not exist"),
    ("doesn't exist", "the interface that KEEPALIVED_INTERFACE names does not exist"),
];

const AGENT: Meanings = &[
    ("GLIBC_", "scripts/agent was built for a newer C library than its image has"),
    ("xec format error", "scripts/agent is not a program for this machine"),
];

/// What is wrong with a service, from the last lines of its log or the engine's words.
pub(super) fn meaning(service: Service, log: &[String]) -> Option<String> {
    let own = match service {
        Service::Etcd => ETCD,
        Service::Patroni => PATRONI,
        Service::Haproxy => HAPROXY,
        Service::Pgbouncer => PGBOUNCER,
        Service::Agent => AGENT,
        Service::Keepalived => KEEPALIVED,
    };
    if service == Service::Patroni
        && let Some(trouble) = data_trouble(log)
    {
        return Some(trouble.to_owned());
    }
    // the last words count: what was said before may be over
    let said = |line: &String| {
        own.iter().chain(COMMON).find(|(words, _)| line.contains(words)).map(|(_, meaning)| (*meaning).to_owned())
    };
    log.iter().rev().find_map(said)
}

/// Whether a log says that the service has read its files again.
pub(super) fn has_reloaded(log: &[String]) -> bool {
    const WORDS: [&str; 5] = [
        "SIGHUP",
        "Reloading",
        "Loading success",
        "No local configuration items changed",
        "configuration items changed",
    ];
    log.iter().any(|line| WORDS.iter().any(|words| line.contains(words)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|&line| line.to_owned()).collect()
    }

    #[test]
    fn the_words_of_each_service_are_understood() {
        for (service, line, said) in [
            (
                Service::Etcd,
                r#"{"level":"fatal","error":"error validating peerURLs: member count is unequal"}"#,
                "number",
            ),
            (
                Service::Etcd,
                r#"{"level":"warn","msg":"the member has been permanently removed from the cluster"}"#,
                "removed",
            ),
            (Service::Patroni, "CRITICAL: system ID mismatch, node patroni3 belongs to …", "another cluster"),
            (Service::Patroni, "urllib3.exceptions.LocationValueError: No host specified.", "etcd's members"),
            (Service::Haproxy, "[ALERT]    (1) : config : Fatal errors found in configuration.", "not valid"),
            (
                Service::Etcd,
                r#""msg":"discovery failed","error":"member 7df1 has already been bootstrapped""#,
                "is gone",
            ),
            (Service::Keepalived, "Non-existent interface specified in configuration", "KEEPALIVED_INTERFACE"),
            (Service::Pgbouncer, "FATAL cannot load config file", "pgbouncer.ini"),
            (Service::Haproxy, "failed to create task: failed to open stdout fifo", "Docker"),
        ] {
            let told = meaning(service, &log(&["before", line, "after"]));
            assert!(told.as_ref().is_some_and(|told| told.contains(said)), "{line}: {told:?}");
        }
    }

    #[test]
    fn the_last_trouble_is_told_and_an_ordinary_log_tells_none() {
        let told = meaning(Service::Etcd, &log(&["cluster ID mismatch", "database space exceeded"]));
        assert_eq!(told.as_deref(), Some("its database is full"));
        for service in Service::ALL {
            let log =
                log(&["INFO: no action. I am (patroni1), the leader", "Configuration file /config/keepalived.conf"]);
            assert_eq!(meaning(service, &log), None);
        }
    }
}
