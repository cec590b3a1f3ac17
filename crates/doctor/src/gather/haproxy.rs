//! One HAProxy: its fingerprints, and how it sees the servers.

use std::collections::BTreeMap;

use pgstack_cluster_view::{Proxy, Silence};
use pgstack_health::{DbServer, Haproxy};

/// What a HAProxy said, of which the statistics take a password.
pub(super) fn told(proxy: Proxy, statistics: Result<String, Silence>) -> Haproxy {
    let (servers, servers_unknown) = match statistics.map(|csv| servers(&csv)) {
        Ok(Some(servers)) => (servers, None),
        Ok(None) => (Vec::new(), Some("its statistics cannot be read".to_owned())),
        Err(silence) => (Vec::new(), Some(silence.to_string())),
    };
    Haproxy { settings: proxy.agreement, dcs_settings: proxy.dcs, servers, servers_unknown }
}

/// The servers of the backends `primary` and `replicas`; `None` where that is no such CSV.
fn servers(csv: &str) -> Option<Vec<DbServer>> {
    let mut lines = csv.lines();
    let header = split(lines.next()?.strip_prefix("# ")?);
    let rows = lines.map(|line| header.iter().cloned().zip(split(line)).collect::<BTreeMap<_, _>>());
    header.iter().any(|name| name == "svname").then_some(())?;
    Some(rows.filter_map(|row| server(&row)).collect())
}

fn server(row: &BTreeMap<String, String>) -> Option<DbServer> {
    let text = |name: &str| row.get(name).map(String::as_str).unwrap_or_default();
    let (backend, name, status) = (text("pxname"), text("svname"), text("status"));
    if !matches!(backend, "primary" | "replicas") || matches!(name, "FRONTEND" | "BACKEND" | "") {
        return None;
    }
    // a star says that a check is on its way
    let check = text("check_status").trim_start_matches("* ");
    let check = match text("check_code") {
        "" => check.to_owned(),
        code => format!("{check}/{code}"),
    };
    Some(DbServer {
        backend: backend.to_owned(),
        name: name.to_owned(),
        is_up: status.starts_with("UP") || status == "no check",
        status: status.to_owned(),
        check,
        since_s: text("lastchg").parse().unwrap_or_default(),
    })
}

/// The fields of one line; quotes hold what has a comma in it, and are doubled within.
fn split(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut signs = line.chars().peekable();
    while let Some(sign) = signs.next() {
        let field = fields.len() - 1;
        match sign {
            '"' if quoted && signs.next_if_eq(&'"').is_some() => fields[field].push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            sign => fields[field].push(sign),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use pgstack_topology::NodeId;

    use super::*;

    /// The first columns of what HAProxy 3.0 said, and the check's.
    const CSV: &str = "\
# pxname,svname,qcur,status,lastchg,check_status,check_code,last_chk,mode,
write,FRONTEND,,OPEN,,,,,tcp,
primary,patroni1,0,DOWN,12,L7STS,503,\"Service, \"\"Unavailable\"\"\",tcp,
primary,patroni2,0,UP 1/3,3,* L7OK,200,,tcp,
primary,patroni3,0,UP,7,L7OK,200,,tcp,
primary,BACKEND,0,UP,7,,,,tcp,
replicas,patroni1,0,DOWN,4,L4TOUT,,,tcp,
replicas,patroni2,0,MAINT,9,,,,tcp,
replicas,BACKEND,0,UP,2,,,,tcp,
stats,FRONTEND,,OPEN,,,,,http,
";

    #[test]
    fn servers_are_as_this_proxy_sees_them() {
        let servers = servers(CSV).expect("a table");
        let shown: Vec<String> = servers
            .iter()
            .map(|s| format!("{} {} {} {} {} {}", s.backend, s.name, s.is_up, s.status, s.check, s.since_s))
            .collect();
        assert_eq!(
            shown,
            [
                "primary patroni1 false DOWN L7STS/503 12",
                "primary patroni2 true UP 1/3 L7OK/200 3",
                "primary patroni3 true UP L7OK/200 7",
                "replicas patroni1 false DOWN L4TOUT 4",
                "replicas patroni2 false MAINT  9",
            ]
        );
    }

    #[test]
    fn a_refused_password_leaves_the_fingerprint() {
        let proxy = || Proxy { node: NodeId::new(1).expect("1"), agreement: "0123".to_owned(), dcs: None };
        let haproxy = told(proxy(), Err(Silence::Password));
        assert_eq!((haproxy.settings.as_str(), haproxy.servers.len()), ("0123", 0));
        assert_eq!(haproxy.servers_unknown.as_deref(), Some("the password is refused"));
        let other = told(proxy(), Ok("<html>".to_owned()));
        assert_eq!(other.servers_unknown.as_deref(), Some("its statistics cannot be read"));
        assert_eq!(told(proxy(), Ok(CSV.to_owned())).servers_unknown, None);
    }
}
