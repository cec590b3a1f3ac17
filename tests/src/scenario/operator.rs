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
    s.gap("gap", from, s.times.switchover()).await;
    let errors = s.errors(from);
    s.check(errors == 0, format!("{errors} errors at 6432"));
    s.check(s.leader().await.id() == candidate.id(), "the candidate leads");
}

pub(super) async fn tool_killed(s: &mut Stage<'_>) {
    let leader = s.leader().await;
    let candidate = s.others(leader.id()).await.remove(0);
    let holder = vip_holder(s.lab).await;
    let is = |paused: &str| {
        format!(
            "docker exec pgbouncer psql -h /tmp -p 6432 -U pgbouncer pgbouncer -Atc 'SHOW STATE' | grep -q '^paused.{paused}$'"
        )
    };
    // killed the moment that the pooler of the VIP's holder is paused
    leader.sh(&format!("nohup {} >/dev/null 2>&1 &", switchover_to(candidate.id()))).await.expect("begun");
    let from = s.now();
    let paused = s.until(from, 20.0, async || holder.sh(&is("yes")).await.is_ok()).await;
    let killed = leader.sh("pkill -KILL -x switchover").await;
    s.check(paused.is_some() && killed.is_ok(), "killed while the poolers were paused");
    s.gap("gap", from, s.times.switchover_unresumed()).await;
    for machine in s.lab.machines().await.expect("machines") {
        let left = s.until(s.now(), 10.0, async || machine.sh(&is("no")).await.is_ok()).await;
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
    // the program itself, which has no login, unlike the `etcdctl` that people call
    let stranger = format!("docker exec etcd /usr/bin/etcdctl --endpoints=http://{address}:2379 --command-timeout 3s");
    for (what, command) in
        [("put", "put /stranger x"), ("get", "get --prefix /service/"), ("user", "user add stranger:x")]
    {
        let said =
            machine.sh(&format!("{stranger} {command} 2>&1 || true")).await.unwrap_or_else(|error| error.to_string());
        let last = said.trim().lines().last().unwrap_or_default();
        s.check(last.contains("user name is empty"), format!("etcd {what}: {last}"));
    }
    for machine in s.lab.machines().await.expect("machines") {
        let shown = secrets::in_sight(&machine).await;
        s.check(shown.is_empty(), format!("L: node {} shows {shown:?}", machine.id()));
    }
    s.load.goes_on(Duration::from_secs(10)).await;
}
