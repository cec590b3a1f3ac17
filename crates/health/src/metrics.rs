//! The same facts for Prometheus, in its text format. What is unknown has no series, and `pgstack_up` says so.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::view::{lag_bytes, lag_seconds, streams, survival};
use crate::{Finding, Node, Severity, Snapshot};

/// Every metric that there can be: name and help. All are gauges.
pub const METRICS: &[(&str, &str)] = &[
    ("pgstack_up", "1 if that service of that node answers, 0 if not."),
    ("pgstack_snapshot_timestamp_seconds", "When these facts were gathered, since 1970."),
    ("pgstack_snapshot_duration_seconds", "How long the gathering took."),
    ("pgstack_leader", "1 for the node that holds the leader key."),
    ("pgstack_vip_owner", "1 for a node whose kernel holds the VIP."),
    ("pgstack_postgres_losses_survived", "How many more nodes may be lost before nobody can lead PostgreSQL."),
    ("pgstack_etcd_losses_survived", "How many more nodes may be lost before etcd loses its quorum."),
    ("pgstack_findings", "Findings by code, severity and node; node is empty for the whole cluster."),
    ("pgstack_findings_by_severity", "Findings by severity."),
    ("pgstack_postgres_primary", "1 if PostgreSQL takes writes there, by Patroni's word."),
    ("pgstack_postgres_streaming", "1 if PostgreSQL streams from another one."),
    ("pgstack_postgres_timeline", "PostgreSQL's timeline."),
    ("pgstack_postgres_replication_lag_bytes", "How much a replica has yet to replay."),
    ("pgstack_postgres_replication_lag_seconds", "The same as a time."),
    ("pgstack_postgres_connections", "Client connections."),
    ("pgstack_postgres_max_connections", "How many there may be."),
    ("pgstack_postgres_slot_active", "1 if somebody uses the replication slot."),
    ("pgstack_postgres_slot_retained_bytes", "How much WAL the slot holds."),
    ("pgstack_patroni_paused", "1 in maintenance mode."),
    ("pgstack_patroni_failsafe", "1 if Patroni goes on without etcd."),
    ("pgstack_patroni_pending_restart", "How many settings wait for a restart."),
    ("pgstack_etcd_serves", "1 if etcd serves clients."),
    ("pgstack_etcd_has_quorum", "1 if a read that takes a quorum succeeded."),
    ("pgstack_etcd_leader", "1 for etcd's leader."),
    ("pgstack_etcd_learner", "1 for a member without a vote."),
    ("pgstack_etcd_db_size_bytes", "The size of etcd's database file."),
    ("pgstack_etcd_db_quota_bytes", "The size at which etcd stops to write."),
    ("pgstack_etcd_read_latency_seconds", "How long the read that takes a quorum took."),
    ("pgstack_etcd_alarms", "Raised alarms."),
    ("pgstack_haproxy_server_up", "1 if that HAProxy sends connections there."),
    ("pgstack_pgbouncer_paused", "How many databases are paused."),
    ("pgstack_pgbouncer_clients_active", "Clients with a connection to PostgreSQL."),
    ("pgstack_pgbouncer_clients_waiting", "Clients that wait for one."),
    ("pgstack_pgbouncer_max_wait_seconds", "For how long the first of them has waited."),
    ("pgstack_container_running", "1 if the container runs."),
    ("pgstack_container_restarts", "How often the engine restarted it by itself."),
    ("pgstack_clock_offset_seconds", "How far the node's clock is ahead of the asking node's."),
    ("pgstack_disk_size_bytes", "The size of the file system."),
    ("pgstack_disk_free_bytes", "What a service may still write there."),
];

/// The whole answer to a scrape.
pub fn metrics(snapshot: &Snapshot, findings: &[Finding]) -> String {
    let mut series = Series::default();
    of_cluster(snapshot, findings, &mut series);
    for node in &snapshot.nodes {
        let id = node.id.to_string();
        let labels = [("node", id.as_str())];
        up(node, &id, &mut series);
        patroni_and_postgres(snapshot, node, labels, &mut series);
        etcd(node, labels, &mut series);
        proxies(node, &id, &mut series);
        machine(node, &id, &mut series);
    }
    series.print()
}

/// The series by metric.
#[derive(Default)]
struct Series(BTreeMap<&'static str, Vec<String>>);

impl Series {
    fn add(&mut self, metric: &'static str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        self.0.entry(metric).or_default().push(format!("{metric}{labels} {value}"));
    }

    fn flag(&mut self, metric: &'static str, labels: &[(&str, &str)], value: bool) {
        self.add(metric, labels, u8::from(value));
    }

    /// In the order of [`METRICS`].
    fn print(&self) -> String {
        let mut text = String::new();
        for (name, help) in METRICS {
            if let Some(lines) = self.0.get(name) {
                // write! to a String cannot fail
                let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{}", lines.join("\n"));
            }
        }
        text
    }
}

/// As the text format wants the value of a label.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Milliseconds as seconds, exactly.
fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

fn of_cluster(snapshot: &Snapshot, findings: &[Finding], series: &mut Series) {
    series.add("pgstack_snapshot_timestamp_seconds", &[], seconds(snapshot.taken_at_ms));
    series.add("pgstack_snapshot_duration_seconds", &[], seconds(snapshot.took_ms));
    let survival = survival(snapshot);
    if let Some(count) = survival.postgres.count() {
        series.add("pgstack_postgres_losses_survived", &[], count);
    }
    if let Some(count) = survival.etcd.count() {
        series.add("pgstack_etcd_losses_survived", &[], count);
    }
    let word = |severity| match severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
        Severity::Notice => "notice",
    };
    for severity in [Severity::Critical, Severity::Warning, Severity::Notice] {
        let count = findings.iter().filter(|finding| finding.severity == severity).count();
        series.add("pgstack_findings_by_severity", &[("severity", word(severity))], count);
    }
    let mut counts: BTreeMap<(&str, &str, String), usize> = BTreeMap::new();
    for finding in findings {
        let node = finding.node.map_or_else(String::new, |node| node.to_string());
        *counts.entry((finding.code, word(finding.severity), node)).or_default() += 1;
    }
    for ((code, severity, node), count) in counts {
        series.add("pgstack_findings", &[("code", code), ("severity", severity), ("node", &node)], count);
    }
}

fn up(node: &Node, id: &str, series: &mut Series) {
    let services = [
        ("agent", node.local.known().is_some()),
        ("etcd", node.etcd.known().is_some()),
        ("patroni", node.patroni.known().is_some()),
        ("postgres", node.postgres.known().is_some()),
        ("haproxy", node.haproxy.known().is_some()),
        ("pgbouncer", node.pgbouncer.known().is_some()),
    ];
    for (service, answers) in services {
        series.flag("pgstack_up", &[("node", id), ("service", service)], answers);
    }
}

fn patroni_and_postgres(snapshot: &Snapshot, node: &Node, labels: [(&str, &str); 1], series: &mut Series) {
    // who leads is unknown without the keys, unless Patroni itself says who does
    if snapshot.dcs.known().is_some() || snapshot.leader().is_some() {
        series.flag("pgstack_leader", &labels, snapshot.leader().is_some_and(|leader| leader.id == node.id));
    }
    let id = labels[0].1;
    if let Some(patroni) = node.patroni.known() {
        series.flag("pgstack_postgres_primary", &labels, patroni.takes_writes());
        series.flag("pgstack_postgres_streaming", &labels, streams(snapshot, node));
        series.flag("pgstack_patroni_paused", &labels, patroni.paused);
        series.flag("pgstack_patroni_failsafe", &labels, patroni.failsafe);
        series.add("pgstack_patroni_pending_restart", &labels, patroni.pending_restart.len());
    }
    let timeline = node.patroni.known().and_then(|patroni| patroni.timeline);
    if let Some(timeline) = timeline.or_else(|| Some(node.postgres.known()?.timeline)) {
        series.add("pgstack_postgres_timeline", &labels, timeline);
    }
    if let Some(bytes) = lag_bytes(snapshot, node) {
        series.add("pgstack_postgres_replication_lag_bytes", &labels, bytes);
    }
    if let Some(lag) = lag_seconds(snapshot, node).filter(|lag| lag.is_finite()) {
        series.add("pgstack_postgres_replication_lag_seconds", &labels, lag);
    }
    if let Some(postgres) = node.postgres.known() {
        series.add("pgstack_postgres_connections", &labels, postgres.connections);
        series.add("pgstack_postgres_max_connections", &labels, postgres.max_connections);
        for slot in &postgres.slots {
            let labels = [("node", id), ("slot", slot.name.as_str())];
            series.flag("pgstack_postgres_slot_active", &labels, slot.active);
            series.add("pgstack_postgres_slot_retained_bytes", &labels, slot.holds_bytes);
        }
    }
}

fn etcd(node: &Node, labels: [(&str, &str); 1], series: &mut Series) {
    let Some(etcd) = node.etcd.known() else {
        return;
    };
    series.flag("pgstack_etcd_serves", &labels, etcd.serves);
    series.flag("pgstack_etcd_has_quorum", &labels, etcd.has_quorum);
    if !etcd.serves {
        // it told nothing of itself
        return;
    }
    series.flag("pgstack_etcd_leader", &labels, etcd.leader.as_ref() == Some(&etcd.member_id));
    series.flag("pgstack_etcd_learner", &labels, etcd.is_learner);
    series.add("pgstack_etcd_db_size_bytes", &labels, etcd.db_size);
    series.add("pgstack_etcd_db_quota_bytes", &labels, etcd.db_quota);
    series.add("pgstack_etcd_alarms", &labels, etcd.alarms.len());
    if etcd.has_quorum {
        series.add("pgstack_etcd_read_latency_seconds", &labels, seconds(etcd.latency_ms));
    }
}

fn proxies(node: &Node, id: &str, series: &mut Series) {
    if let Some(haproxy) = node.haproxy.known() {
        for server in &haproxy.servers {
            let labels = [("node", id), ("backend", server.backend.as_str()), ("server", server.name.as_str())];
            series.flag("pgstack_haproxy_server_up", &labels, server.is_up);
        }
    }
    if let Some(pooler) = node.pgbouncer.known() {
        series.add("pgstack_pgbouncer_paused", &[("node", id)], pooler.paused.len());
        for pool in &pooler.pools {
            let labels = [("node", id), ("database", pool.database.as_str()), ("user", pool.user.as_str())];
            series.add("pgstack_pgbouncer_clients_active", &labels, pool.clients_active);
            series.add("pgstack_pgbouncer_clients_waiting", &labels, pool.clients_waiting);
            series.add("pgstack_pgbouncer_max_wait_seconds", &labels, seconds(pool.max_wait_ms));
        }
    }
}

fn machine(node: &Node, id: &str, series: &mut Series) {
    if let Some(offset) = node.clock_offset_ms.known() {
        let sign = if *offset < 0 { "-" } else { "" };
        series.add("pgstack_clock_offset_seconds", &[("node", id)], sign.to_owned() + &seconds(offset.unsigned_abs()));
    }
    let Some(local) = node.local.known() else {
        return;
    };
    series.flag("pgstack_vip_owner", &[("node", id)], local.holds_vip);
    for (service, container) in &local.containers {
        let labels = [("node", id), ("service", service.as_str())];
        series.flag("pgstack_container_running", &labels, container.status == "running");
        series.add("pgstack_container_restarts", &labels, container.restarts);
    }
    for disk in &local.disks {
        let labels = [("node", id), ("path", disk.path.as_str())];
        series.add("pgstack_disk_size_bytes", &labels, disk.size);
        series.add("pgstack_disk_free_bytes", &labels, disk.free);
    }
}
