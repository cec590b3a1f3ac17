//! What operators do, and what strangers try.

use std::time::Duration;

use super::secrets;
use super::stage::Stage;
use crate::cluster::{switchover_to, vip_holder};

pub(super) async fn switchover(s: &mut Stage<'_>) {
    let leader = s.leader().await;
    let candidate = s.others(leader.id()).await.remove(0);
    let from = s.now();
    let output = leader.run(&["sh", "-c", &switchover_to(candidate.id())]).await.expect("run");
    s.check(output.code == 0, format!("switchover ended with {}", output.code));
    s.gap("gap", from, 3.0).await;
    let errors = s.errors(from);
    s.check(errors == 0, format!("{errors} errors at 6432"));
    s.check(s.leader().await.id() == candidate.id(), "the candidate leads");
}

pub(super) async fn tool_killed(s: &mut Stage<'_>) {
    let leader = s.leader().await;
    let candidate = s.others(leader.id()).await.remove(0);
    let holder = vip_holder(s.lab).await;
    // of all databases (PAUSE), or of one
    let console = "docker exec pgbouncer psql -h /tmp -p 6432 -U pgbouncer pgbouncer -At";
    let paused =
        format!("{{ {console} -c 'SHOW STATE'; {console}x -c 'SHOW DATABASES'; }} | grep -Eq '^paused.(yes|1)$'");
    // killed the moment that the pooler of the VIP's holder is paused
    leader.sh(&format!("nohup {} >/dev/null 2>&1 &", switchover_to(candidate.id()))).await.expect("begun");
    let from = s.now();
    s.until(from, 10.0, async || holder.sh(&paused).await.is_ok()).await;
    leader.sh("pkill -KILL -x switchover || true").await.expect("killed");
    s.gap("gap", from, 10.0 + s.times.switchover()).await;
    for machine in s.lab.machines().await.expect("machines") {
        let left = s.until(s.now(), 10.0, async || machine.sh(&paused).await.is_err()).await;
        s.check(left.is_some(), format!("no pooler is paused on node {}", machine.id()));
    }
}

pub(super) async fn strangers(s: &mut Stage<'_>) {
    let machine = s.leader().await;
    let address = machine.address();
    let code = |url: &str, rest: &str| {
        format!("curl -s -o /dev/null -w '%{{http_code}}' --noproxy '*' -m 5 {rest} http://{address}:{url}")
    };
    let attempts = [
        ("PATCH of Patroni's settings", code("8008/config", "-X PATCH -d '{}'")),
        ("restart by Patroni's API", code("8008/restart", "-X POST -d '{}'")),
        ("HAProxy's statistics", code("8404/stats", "")),
    ];
    for (what, command) in attempts {
        let said = machine.sh(&command).await.unwrap_or_default();
        s.check(said == "401", format!("{what}: {said}"));
    }
    let put = "docker exec etcd etcdctl --command-timeout 3s put /stranger x >/dev/null 2>&1 && docker exec etcd etcdctl del /stranger >/dev/null";
    let refused = machine.sh(put).await.is_err();
    s.check(refused, if refused { "etcd put: refused" } else { "etcd put: accepted" });
    for machine in s.lab.machines().await.expect("machines") {
        let shown = secrets::in_sight(&machine).await;
        s.check(shown.is_empty(), format!("L: node {} shows {shown:?}", machine.id()));
    }
    s.load.goes_on(Duration::from_secs(10)).await;
}
