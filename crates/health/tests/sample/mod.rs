//! Example snapshots.

#![allow(dead_code, unreachable_pub, reason = "each test uses some of them")]

use std::collections::BTreeMap;

use pgstack_health::{
    Container, DbServer, Dcs, DcsMember, Disk, Etcd, EtcdAlarm, EtcdMember, Fact, FileState, Finding, Haproxy, Local,
    Mend, Node, OddFile, Patroni, Pgbouncer, Pool, Postgres, Risk, SCHEMA, Settings, Severity, Slot, Snapshot, Standby,
};
use pgstack_topology::NodeId;

pub fn id(number: u8) -> NodeId {
    NodeId::new(number).expect("a number from 1 to 6")
}

/// `size` nodes with the longest addresses there are; node 1 leads, node 2 holds the VIP.
pub fn healthy(size: u8) -> Snapshot {
    Snapshot {
        schema: SCHEMA,
        taken_at_ms: 1_769_832_306_999,
        took_ms: 312,
        from: id(1),
        vip: [192, 168, 100, 200].into(),
        with_vip: true,
        vip_answers: Fact::Known(id(2)),
        nodes: (1..=size).map(|number| node(number, size)).collect(),
        dcs: Fact::Known(dcs(size)),
    }
}

fn node(number: u8, size: u8) -> Node {
    Node {
        id: id(number),
        address: [192, 168, 100, 100 + number].into(),
        reachable: true,
        local: Fact::Known(local(number)),
        clock_offset_ms: Fact::Known(i64::from(number) - 1),
        etcd: Fact::Known(etcd(number, size)),
        patroni: Fact::Known(patroni(number)),
        postgres: Fact::Known(postgres(number, size)),
        haproxy: Fact::Known(haproxy(size)),
        pgbouncer: Fact::Known(pgbouncer()),
    }
}

fn local(number: u8) -> Local {
    let container = |service: &str| {
        let container = Container {
            status: "running".to_owned(),
            health: Some("healthy".to_owned()),
            started_at_ms: 1_769_800_000_000,
            image: format!("patroni-stack/{service}:1"),
            ..Container::default()
        };
        (service.to_owned(), container)
    };
    Local {
        version: "0.1.0".to_owned(),
        clock_ms: 1_769_832_306_999,
        containers: ["agent", "etcd", "patroni", "haproxy", "pgbouncer", "keepalived"].map(container).into(),
        holds_vip: number == 2,
        disks: vec![Disk { path: "data/pg".to_owned(), size: 500_000_000_000, free: 350_000_000_000 }],
        settings: Fact::Known(Settings { agreement: "a1b2".to_owned(), ..Settings::default() }),
        engine: "28.3.3".to_owned(),
        ..Local::default()
    }
}

fn etcd(number: u8, size: u8) -> Etcd {
    let member = |number: u8| EtcdMember {
        id: format!("{number:016x}"),
        name: id(number).etcd_name(),
        peer_urls: vec![format!("http://192.168.100.{}:2380", 100 + number)],
        node: Some(id(number)),
        is_learner: false,
        has_started: true,
    };
    Etcd {
        serves: true,
        has_quorum: true,
        door: Some("closed".to_owned()),
        cluster_id: "cdf818194e3a8c32".to_owned(),
        member_id: format!("{number:016x}"),
        leader: Some(format!("{:016x}", 3)),
        members: (1..=size).map(member).collect(),
        db_size: 20_480,
        db_in_use: 16_384,
        db_quota: 2_147_483_648,
        latency_ms: 2,
        version: "3.5.16".to_owned(),
        ..Etcd::default()
    }
}

fn patroni(number: u8) -> Patroni {
    let leads = number == 1;
    let position = 83_886_080;
    Patroni {
        version: "4.1.5".to_owned(),
        role: if leads { "primary" } else { "replica" }.to_owned(),
        state: "running".to_owned(),
        replication_state: (!leads).then(|| "streaming".to_owned()),
        timeline: Some(3),
        system_id: Some("7549999999999999999".to_owned()),
        dcs_last_seen: 1_769_832_300,
        wal_position: Some(position),
        replayed: (!leads).then_some(position),
        lag_bytes: (!leads).then_some(0),
        ..Patroni::default()
    }
}

fn postgres(number: u8, size: u8) -> Postgres {
    let leads = number == 1;
    let others = || (2..=size).filter(|_| leads).map(|number| id(number).patroni_name());
    Postgres {
        version: "17.6".to_owned(),
        in_recovery: !leads,
        timeline: 3,
        system_id: "7549999999999999999".to_owned(),
        data_checksums: true,
        connections: 12,
        max_connections: 500,
        standbys: others()
            .map(|name| Standby {
                name,
                state: "streaming".to_owned(),
                sync_state: "async".to_owned(),
                lag_bytes: 0,
                lag_s: Some(0.001),
            })
            .collect(),
        slots: others()
            .map(|name| Slot { name, active: true, holds_bytes: 0, wal_status: "reserved".to_owned() })
            .collect(),
        ..Postgres::default()
    }
}

fn haproxy(size: u8) -> Haproxy {
    let server = |backend: &str, number: u8| {
        let is_up = (backend == "primary") == (number == 1);
        DbServer {
            backend: backend.to_owned(),
            name: id(number).patroni_name(),
            is_up,
            status: if is_up { "UP" } else { "DOWN" }.to_owned(),
            check: if is_up { "L7OK/200" } else { "L7STS/503" }.to_owned(),
            since_s: 3_600,
        }
    };
    let servers = ["primary", "replicas"].iter().flat_map(|backend| (1..=size).map(move |id| server(backend, id)));
    Haproxy { settings: "a1b2".to_owned(), servers: servers.collect(), ..Haproxy::default() }
}

fn pgbouncer() -> Pgbouncer {
    Pgbouncer {
        version: "1.24.1".to_owned(),
        pools: vec![Pool {
            database: "postgres".to_owned(),
            user: "app".to_owned(),
            clients_active: 3,
            servers_active: 3,
            servers_idle: 1,
            ..Pool::default()
        }],
        ..Pgbouncer::default()
    }
}

fn dcs(size: u8) -> Dcs {
    let member = |number: u8| DcsMember {
        name: id(number).patroni_name(),
        conn_url: format!("postgres://192.168.100.{}:5432/postgres", 100 + number),
        api_url: format!("http://192.168.100.{}:8008/patroni", 100 + number),
        role: if number == 1 { "primary" } else { "replica" }.to_owned(),
        state: "running".to_owned(),
        tags: BTreeMap::new(),
    };
    Dcs {
        leader: Some("patroni1".to_owned()),
        initialize: Some("7549999999999999999".to_owned()),
        members: (1..=size).map(member).collect(),
        timelines: 2,
        history: vec!["2: patroni1 at 2026-01-30T22:00:00+00:00".to_owned()],
        config: serde_json::json!({"ttl": 30, "loop_wait": 10, "maximum_lag_on_failover": 1_048_576}),
        ..Dcs::default()
    }
}

/// Every fact of a node is unknown.
pub fn silence(node: &mut Node, why: &str) {
    node.reachable = false;
    node.local = Fact::unknown(why);
    node.clock_offset_ms = Fact::unknown(why);
    node.etcd = Fact::unknown(why);
    node.patroni = Fact::unknown(why);
    node.postgres = Fact::unknown(why);
    node.haproxy = Fact::unknown(why);
    node.pgbouncer = Fact::unknown(why);
}

/// The leader's machine is off, and nobody has taken over yet.
pub fn leader_off() -> (Snapshot, Vec<Finding>) {
    let mut snapshot = healthy(3);
    silence(&mut snapshot.nodes[0], "no answer in time");
    snapshot.from = id(2);
    if let Fact::Known(dcs) = &mut snapshot.dcs {
        dcs.leader = None;
    }
    for node in &mut snapshot.nodes[1..] {
        if let Fact::Known(patroni) = &mut node.patroni {
            patroni.replication_state = Some("in archive recovery".to_owned());
        }
    }
    let findings = vec![
        finding("PGS-030", Severity::Critical, None, "nobody leads: PostgreSQL takes no writes"),
        finding("PGS-001", Severity::Critical, Some(1), "node 1 does not answer"),
    ];
    (snapshot, findings)
}

/// Nobody answers.
pub fn all_unknown() -> (Snapshot, Vec<Finding>) {
    let mut snapshot = healthy(3);
    for node in &mut snapshot.nodes {
        silence(node, "no answer in time");
    }
    snapshot.dcs = Fact::unknown("no member of etcd answers");
    snapshot.vip_answers = Fact::unknown("no answer in time");
    let findings =
        (1..=3).map(|node| finding("PGS-001", Severity::Critical, Some(node), &format!("node {node} does not answer")));
    let findings = findings.collect();
    (snapshot, findings)
}

/// A paused pooler on node 2, and a replica without a stream on node 3, whose agent is away.
pub fn two_troubles() -> (Snapshot, Vec<Finding>) {
    let mut snapshot = healthy(3);
    if let Fact::Known(pooler) = &mut snapshot.nodes[1].pgbouncer {
        pooler.paused.push("*".to_owned());
    }
    if let Fact::Known(patroni) = &mut snapshot.nodes[2].patroni {
        patroni.replication_state = None;
        patroni.lag_bytes = Some(77_777_777);
        patroni.replayed = Some(6_108_303);
    }
    if let Fact::Known(leader) = &mut snapshot.nodes[0].postgres {
        leader.standbys.retain(|standby| standby.name != "patroni3");
    }
    snapshot.nodes[2].local = Fact::unknown("the agent refuses the token");
    snapshot.nodes[2].clock_offset_ms = Fact::unknown("the agent refuses the token");
    let findings = vec![
        finding(
            "PGS-042",
            Severity::Critical,
            Some(3),
            "the replica on node 3 does not stream from the leader, node 1, and is 74 MiB behind",
        ),
        Finding {
            mends: vec![
                Mend {
                    node: Some(id(2)),
                    command: "docker exec pgbouncer psql -p 6432 pgbouncer -c 'RESUME'".to_owned(),
                    note: "lets the clients go on".to_owned(),
                    risk: Risk::Safe,
                },
                Mend {
                    node: None,
                    command: String::new(),
                    note: "find out who paused it, <b>& why</b>".to_owned(),
                    risk: Risk::Manual,
                },
            ],
            ..finding("PGS-063", Severity::Warning, Some(2), "the pooler of node 2 is paused")
        },
    ];
    (snapshot, findings)
}

pub fn finding(code: &'static str, severity: Severity, node: Option<u8>, what: &str) -> Finding {
    Finding {
        code,
        severity,
        node: node.map(id),
        what: what.to_owned(),
        evidence: vec!["PgBouncer on node 2: database \"*\" is paused".to_owned()],
        cause: "somebody paused it for maintenance and did not come back".to_owned(),
        mends: Vec::new(),
    }
}

/// Every field has something in it.
pub fn full() -> (Snapshot, Vec<Finding>) {
    let (mut snapshot, findings) = two_troubles();
    let pairs = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    let node = &mut snapshot.nodes[0];
    if let Fact::Known(local) = &mut node.local {
        local.vip_heard_from = vec![[192, 168, 100, 102].into()];
        local.odd_files = vec![OddFile { path: "haproxy/haproxy.cfg".to_owned(), state: FileState::Differs }];
        local.readable_by_all = vec![".env".to_owned()];
        local.warnings = pairs("POSTGRES_SUPERUSER_PASSWORD", "is short");
        local.address_problem = Some("NODE_IP is not on this machine".to_owned());
        let settings = Settings {
            agreement: "a1b2".to_owned(),
            dcs: Some("c3".to_owned()),
            shared: pairs("VIP", "192.168.100.200"),
        };
        local.settings = Fact::Known(settings);
        if let Some(container) = local.containers.get_mut("etcd") {
            container.exit_code = Some(1);
            container.made_elsewhere = Some("/opt/old".to_owned());
            container.trouble = Some("its data is damaged".to_owned());
        }
    }
    if let Fact::Known(etcd) = &mut node.etcd {
        etcd.alarms = vec![EtcdAlarm { member: "1".to_owned(), alarm: "NOSPACE".to_owned() }];
    }
    if let Fact::Known(patroni) = &mut node.patroni {
        patroni.pending_restart = pairs("max_connections", "100 -> 200");
        patroni.tags = pairs("nofailover", "true");
    }
    if let Fact::Known(haproxy) = &mut node.haproxy {
        haproxy.dcs_settings = Some("c3".to_owned());
        haproxy.servers_unknown = Some("the password is refused".to_owned());
    }
    if let Fact::Known(pooler) = &mut node.pgbouncer {
        pooler.paused = vec!["*".to_owned()];
        pooler.disabled = vec!["app".to_owned()];
    }
    if let Fact::Known(dcs) = &mut snapshot.dcs {
        dcs.sync_standbys = vec!["patroni2".to_owned()];
        dcs.failsafe = vec!["patroni1".to_owned()];
        dcs.members[0].tags = pairs("nofailover", "true");
    }
    (snapshot, findings)
}
