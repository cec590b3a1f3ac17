//! The times of the shell version, put into the files that this stack generates. What no time is stays
//! as it is: routes, passwords, who may hold the VIP.

/// A generated file that has times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum File {
    /// haproxy/haproxy.cfg
    Haproxy,
    /// pgbouncer/pgbouncer.ini
    Pgbouncer,
    /// keepalived/keepalived.conf
    Keepalived,
}

impl File {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Haproxy, Self::Pgbouncer, Self::Keepalived];

    /// Its place below the stack directory.
    pub fn path(self) -> &'static str {
        match self {
            Self::Haproxy => "haproxy/haproxy.cfg",
            Self::Pgbouncer => "pgbouncer/pgbouncer.ini",
            Self::Keepalived => "keepalived/keepalived.conf",
        }
    }

    /// Which lines go (`None`) or become others, by how they begin; each must be there.
    fn edits(self) -> &'static [(&'static str, Option<&'static str>)] {
        match self {
            // nothing else than `inter` is named, so that it counts for `fastinter` and `downinter`, and for an answer
            Self::Haproxy => &[
                ("    timeout connect ", Some("    timeout connect 5s")),
                ("    timeout client 24h", Some("    timeout client 1m")),
                ("    timeout server 24h", Some("    timeout server 1m")),
                ("    timeout check ", None),
                (
                    "    default-server port 8008 ",
                    Some("    default-server port 8008 inter 3s fall 3 rise 2 on-marked-down shutdown-sessions"),
                ),
            ],
            // they have defaults of their own: 15, 15 and 120 s
            Self::Pgbouncer => {
                &[("server_login_retry ", None), ("server_connect_timeout ", None), ("query_wait_timeout ", None)]
            }
            Self::Keepalived => &[
                ("    interval ", Some("    interval 2")),
                ("    fall ", Some("    fall 2")),
                ("    rise ", Some("    rise 2")),
                ("    advert_int ", Some("    advert_int 1")),
            ],
        }
    }

    /// The file with the shell version's times.
    ///
    /// # Errors
    /// Names a line that is not there: then the generators have changed, and this has to follow.
    pub fn edit(self, text: &str) -> Result<String, String> {
        let mut missing: Vec<&str> = self.edits().iter().map(|(begins, _)| *begins).collect();
        let mut lines = Vec::new();
        for line in text.lines() {
            match self.edits().iter().find(|(begins, _)| line.starts_with(begins)) {
                Some((begins, new)) => {
                    missing.retain(|begin| begin != begins);
                    lines.extend(new.map(str::to_owned));
                }
                None => lines.push(line.to_owned()),
            }
        }
        if let Some(line) = missing.first() {
            return Err(format!("{} has no line that begins with {line:?}", self.path()));
        }
        Ok(self.checks(lines).join("\n") + "\n")
    }

    /// What is asked of the others, too.
    fn checks(self, lines: Vec<String>) -> Vec<String> {
        match self {
            Self::Haproxy => leader_check(lines),
            // one way to the primary: this node's own HAProxy
            Self::Pgbouncer => lines.iter().map(|line| one_host(line)).collect(),
            Self::Keepalived => lines,
        }
    }
}

/// In the backend of the primary: whoever holds the leader key, whatever its PostgreSQL does.
fn leader_check(lines: Vec<String>) -> Vec<String> {
    let mut inside = false;
    let mut checked = Vec::new();
    for line in lines {
        if !line.starts_with(' ') && !line.is_empty() {
            inside = line == "backend primary";
        }
        if inside && line.starts_with("    option httpchk ") {
            checked.push("    option httpchk GET /leader".to_owned());
            checked.push("    http-check expect status 200".to_owned());
        } else if !inside || !line.starts_with("    http-check expect ") {
            checked.push(line);
        }
    }
    checked
}

/// `x = host=A,B port=5000 load_balance_hosts=disable` with A alone.
fn one_host(line: &str) -> String {
    let words = line.split(' ').filter(|word| !word.starts_with("load_balance_hosts="));
    let words = words.map(|word| match word.strip_prefix("host=") {
        Some(hosts) => format!("host={}", hosts.split(',').next().unwrap_or_default()),
        None => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generated(file: File) -> String {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/clusters/three-nodes/node1");
        std::fs::read_to_string(format!("{folder}/{}", file.path())).expect("a generated file")
    }

    fn edited(file: File) -> String {
        file.edit(&generated(file)).expect("all lines are there")
    }

    #[test]
    fn haproxy_gets_the_times_and_the_check_of_the_shell_version() {
        let text = edited(File::Haproxy);
        let server = "    default-server port 8008 inter 3s fall 3 rise 2 on-marked-down shutdown-sessions\n";
        assert!(text.contains(server) && !text.contains("fastinter 500ms") && !text.contains("timeout check 2s"));
        assert!(text.contains("timeout connect 5s\n") && text.contains("timeout client 1m\n"));
        let primary = text.split("\nbackend primary\n").nth(1).and_then(|rest| rest.split("\n\n").next());
        let primary = primary.expect("a backend");
        assert!(primary.starts_with("    option httpchk GET /leader\n    http-check expect status 200\n    server "));
        // the rest of the file does not change
        assert!(
            text.contains("    timeout client 10s\n") && text.contains("option httpchk OPTIONS /replica?lag=100MB")
        );
    }

    #[test]
    fn the_pooler_falls_back_to_its_own_defaults_and_has_one_way_to_the_primary() {
        let text = edited(File::Pgbouncer);
        for gone in ["\nserver_login_retry", "\nserver_connect_timeout", "\nquery_wait_timeout", "load_balance_hosts"] {
            assert!(!text.contains(gone), "{gone}");
        }
        assert!(text.contains("\npostgres = host=192.168.0.152 port=5000\n"));
        assert!(text.contains("\nmax_db_connections = "));
        let two = "* = host=10.0.0.1,10.0.0.9 port=5000 load_balance_hosts=disable";
        assert_eq!(one_host(two), "* = host=10.0.0.1 port=5000");
    }

    #[test]
    fn keepalived_asks_every_two_seconds() {
        let text = edited(File::Keepalived);
        for line in ["    interval 2\n", "    fall 2\n", "    rise 2\n", "    advert_int 1\n", "    nopreempt\n"] {
            assert!(text.contains(line), "{line}");
        }
    }

    #[test]
    fn a_line_that_is_not_there_is_named() {
        let without = generated(File::Pgbouncer).replace("server_login_retry", "something_else");
        let error = File::Pgbouncer.edit(&without).expect_err("it is missing");
        assert!(error.contains("server_login_retry"), "{error}");
    }

    #[test]
    fn an_expected_answer_of_the_primary_s_check_goes_with_it() {
        let check = "backend primary\n    option httpchk GET /primary\n    http-check expect status 200\n    \
                     http-check expect rstring \"role\"\n    server x\n\nbackend replicas\n    http-check expect status 200";
        let lines = leader_check(check.lines().map(str::to_owned).collect());
        let expected = "backend primary\n    option httpchk GET /leader\n    http-check expect status 200\n    \
                        server x\n\nbackend replicas\n    http-check expect status 200";
        assert_eq!(lines.join("\n"), expected);
    }
}
