//! What the log of a Patroni that does not come up says about its data.

/// Words of Patroni and PostgreSQL that name data which only a fresh copy mends, with what they mean.
const TROUBLES: [(&str, &str); 19] = [
    ("system ID mismatch", "the data here belongs to another cluster"),
    ("system ID is invalid", "the data here is damaged or incomplete"),
    (
        "wrong ownership",
        "the data here belongs to another user than the container's (`chown -R 999:999 data/pg`, then `deploy`, may be enough)",
    ),
    ("invalid permissions", "the data here is open to others, which PostgreSQL refuses"),
    (
        "data directory is not accessible",
        "the container's user cannot read the data here (`chown -R 999:999 data/pg`, then `deploy`, may be enough)",
    ),
    (
        "Permission denied: '/home/postgres/pgdata",
        "the container's user cannot read the data here (`chown -R 999:999 data/pg`, then `deploy`, may be enough)",
    ),
    ("postmaster.opts", "the data here is not where Patroni looks for it, as in an older layout"),
    ("requested WAL segment", "this replica was away for so long that the leader has dropped the WAL that it needs"),
    ("is behind recovery timeline", "the data here has gone another way than the leader's"),
    ("is ahead of the WAL flush position", "the data here has gone another way than the leader's"),
    ("forked off current database system timeline", "the data here has gone another way than the leader's"),
    ("Failed to rewind", "the data here has gone another way than the leader's, and could not be rewound"),
    ("Error when calling pg_controldata", "the data here is damaged"),
    ("is not a valid data directory", "the data here is damaged"),
    ("could not open file \"base/", "the data here is damaged"),
    ("invalid page in block", "the data here is damaged"),
    ("could not locate a valid checkpoint record", "the data here is damaged"),
    ("could not locate required checkpoint record", "the data here is damaged"),
    ("invalid checkpoint record", "the data here is damaged"),
];

/// What is wrong with the data, from the last lines of Patroni's log; `None` where a copy mends nothing.
pub fn data_trouble(log: &[String]) -> Option<&'static str> {
    // the last words count, and what was said before is over where the data was taken back
    let over = log.iter().rposition(|line| line.contains("pg_rewind exit code=0")).unwrap_or(0);
    log[over..]
        .iter()
        .rev()
        .find_map(|line| TROUBLES.iter().find(|(words, _)| line.contains(words)).map(|(_, meaning)| *meaning))
}

/// What to do about it.
pub(crate) fn hint(log: &[String]) -> Option<String> {
    let meaning = data_trouble(log)?;
    Some(format!(
        "{meaning}: when another node leads, run ./scripts/reclone on this node; it copies the leader's data and keeps \
         what is here aside"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|&line| line.to_owned()).collect()
    }

    #[test]
    fn data_that_only_a_copy_mends_leads_to_reclone() {
        for line in [
            "CRITICAL: system ID mismatch, node patroni3 belongs to a different cluster: 7576 != 7577",
            "FATAL:  data directory \"/home/postgres/pgdata/data\" has wrong ownership",
            "FATAL:  data directory \"/home/postgres/pgdata/data\" has invalid permissions",
            "FileNotFoundError: [Errno 2] No such file or directory: '/home/postgres/data/postmaster.opts'",
            "FATAL:  could not receive data from WAL stream: ERROR:  requested WAL segment 000000010000000000000003 has \
             already been removed",
            "INFO: data dir for the cluster is not empty, but system ID is invalid; consider doing reinitialize",
            "PANIC:  could not locate a valid checkpoint record at 0/3000060",
            "ERROR: Failed to rewind from healthy primary: patroni1",
            "FATAL:  highest timeline 2 of the primary is behind recovery timeline 3",
        ] {
            let said = hint(&log(&["INFO: no action", line, "INFO: Lock owner: patroni1; I am patroni3"]));
            assert!(said.as_ref().is_some_and(|said| said.contains("run ./scripts/reclone on this node")), "{line}");
        }
    }

    #[test]
    fn the_last_trouble_is_the_one_that_is_told() {
        let said = hint(&log(&["has wrong ownership", "system ID mismatch, node patroni3 …"]));
        assert!(said.expect("a hint").starts_with("the data here belongs to another cluster"));
    }

    #[test]
    fn data_that_was_taken_back_is_no_trouble() {
        let said = [
            "FATAL:  highest timeline 2 of the primary is behind recovery timeline 3",
            "INFO: pg_rewind exit code=0",
            "INFO:  stderr=pg_rewind: servers diverged at WAL location 0/3000148 on timeline 1",
            "pg_rewind: Done!",
            "FATAL:  the database system is starting up",
        ];
        assert_eq!(data_trouble(&log(&said)), None);
    }

    #[test]
    fn any_other_log_leads_nowhere() {
        for lines in [&[][..], &["INFO: no action. I am (patroni3), a secondary, and following a leader (patroni1)"]] {
            assert_eq!(hint(&log(lines)), None);
        }
    }
}
