//! What an operator and an application see of a healthy cluster.

use std::time::{Duration, Instant};

use pgstack_lab::{Endpoint, Machine, STACK};
use pgstack_tests::cluster::{HOSTILE, eventually, held_by, leader, until_it_works, vip_holder, with_cluster};

use crate::{LAB, PATRONICTL};

/// Container ids, start times and the times of every file: what a deploy without changes leaves alone.
async fn footprint(machine: &Machine) -> String {
    let containers = "docker inspect --format '{{.Name}} {{.Id}} {{.State.StartedAt}} {{.RestartCount}}' \
                      etcd patroni haproxy pgbouncer keepalived";
    let files = format!(
        "cd {STACK}; find . -path ./data/etcd -prune -o -path ./data/pg -prune -o -type f -printf '%p %i %T@\\n' | sort"
    );
    let processes = "docker exec haproxy cat /proc/1/stat | cut -d' ' -f22";
    format!(
        "{}{}{}",
        machine.sh(containers).await.expect("containers"),
        machine.sh(&files).await.expect("files"),
        machine.sh(processes).await.expect("haproxy")
    )
}

#[test]
fn a_deploy_with_nothing_to_change_changes_nothing_within_three_seconds() {
    with_cluster(LAB, 3, async |lab| {
        for machine in lab.machines().await.expect("machines") {
            let before = footprint(&machine).await;
            let began = Instant::now();
            let output = machine.run(&[&format!("{STACK}/deploy.sh")]).await.expect("run");
            let took = began.elapsed();
            assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
            assert!(took < Duration::from_secs(3), "took {took:?}");
            assert_eq!(footprint(&machine).await, before, "node {}", machine.id());
            assert!(output.stdout.contains("leader") && output.stdout.contains(":6432/postgres"), "{}", output.stdout);
            let shown = output.stdout + &output.stderr;
            assert!(!shown.contains(HOSTILE), "no secret in what deploy says");
        }
    });
}

#[test]
fn a_role_made_with_sql_logs_in_through_the_pooler() {
    with_cluster(LAB, 3, async |lab| {
        let create =
            format!("DROP ROLE IF EXISTS app; CREATE ROLE app LOGIN PASSWORD '{}'", HOSTILE.replace('\'', "''"));
        until_it_works(lab, 5000, &create, Duration::from_secs(20)).await;
        let superuser = lab.endpoint(6432).await.expect("an endpoint");
        let app = Endpoint { user: "app".to_owned(), password: HOSTILE.to_owned(), ..superuser.clone() };
        let limit = Duration::from_secs(5);
        assert_eq!(app.query("SELECT current_user", limit).await.expect("logged in").as_deref(), Some("app"));
        let stranger = Endpoint { password: "wrong".to_owned(), ..app };
        assert!(stranger.query("SELECT 1", limit).await.is_err(), "a wrong password is refused");
        assert_eq!(
            superuser.query("SELECT current_user", limit).await.expect("logged in").as_deref(),
            Some("postgres")
        );
    });
}

#[test]
fn the_commands_of_existing_runbooks_work_as_written() {
    with_cluster(LAB, 3, async |lab| {
        let machines = lab.machines().await.expect("machines");
        let (first, endpoints) = (&machines[0], addresses(&machines, ":2379"));
        let list = first.sh(&format!("{PATRONICTL} list")).await.expect("list");
        assert!(list.contains("Leader") && list.matches("streaming").count() == 2, "{list}");
        first.sh("docker exec etcd etcdctl endpoint health").await.expect("healthy");
        let members =
            format!("docker exec etcd etcdctl --endpoints={endpoints} get /service/pg-cluster/members/ --prefix");
        let members = first.sh(&members).await.expect("members");
        for machine in &machines {
            assert!(
                members.contains(&format!("\"conn_url\":\"postgres://{}:5432/postgres\"", machine.address())),
                "{members}"
            );
            assert!(
                members.contains(&format!("\"api_url\":\"http://{}:8008/patroni\"", machine.address())),
                "{members}"
            );
        }
        let before = footprint(first).await;
        let up = format!("cd {STACK} && docker compose up -d && docker compose --profile with-vip up -d");
        first.sh(&up).await.expect("up");
        assert_eq!(footprint(first).await, before, "everything runs already");
        let env = first.sh("docker exec patroni env").await.expect("env");
        assert!(env.contains(&format!("PATRONI_POSTGRESQL_CONNECT_ADDRESS={}:5432", first.address())), "{env}");
        let code = "curl -s -o /dev/null -w '%{http_code}' http://";
        let leads = first.sh(&format!("{code}{}:8008/leader", leader(lab).await.address())).await.expect("asked");
        assert_eq!(leads, "200");
        let stats = first.sh(&format!("{code}{}:8404/stats", first.address())).await.expect("asked");
        assert_eq!(stats, "401", "the statistics want a password");
        let patch = format!("{code}{}:8008/config -X PATCH -d '{{\"ttl\": 31}}'", first.address());
        assert_eq!(first.sh(&patch).await.expect("asked"), "401", "nobody changes Patroni without a password");
    });
}

fn addresses(machines: &[Machine], suffix: &str) -> String {
    machines.iter().map(|machine| format!("{}{suffix}", machine.address())).collect::<Vec<_>>().join(",")
}

#[test]
fn a_changed_setting_reaches_haproxy_without_cutting_a_connection() {
    with_cluster(LAB, 3, async |lab| {
        let holder = vip_holder(lab).await;
        let before =
            holder.sh("docker inspect --format '{{.Id}} {{.State.StartedAt}}' haproxy").await.expect("haproxy");
        let client =
            lab.endpoint(5000).await.expect("an endpoint").connect(Duration::from_secs(5)).await.expect("connected");
        let change = format!(
            "cd {STACK} && sed -i '/^HAPROXY_STATS_PASSWORD=/d' .env && echo 'HAPROXY_STATS_PASSWORD=chosen-1' >> .env"
        );
        holder.sh(&change).await.expect("changed");
        let output = holder.run(&[&format!("{STACK}/deploy")]).await.expect("run");
        assert_eq!(output.code, 0, "{}", output.stderr);
        assert!(output.stderr.contains("reloaded haproxy"), "{}", output.stderr);
        let asked = "curl -s -o /dev/null -w '%{http_code}' -u admin:chosen-1 http://127.0.0.1:8404/stats";
        eventually("the new password counts", Duration::from_secs(5), async || {
            (holder.sh(asked).await.ok()? == "200").then_some(())
        })
        .await;
        let answer = client.simple_query("SELECT 1").await;
        assert!(answer.is_ok(), "the connection from before the reload lives: {answer:?}");
        let after = holder.sh("docker inspect --format '{{.Id}} {{.State.StartedAt}}' haproxy").await.expect("haproxy");
        assert_eq!(after, before);
        // by hand, as runbooks say: generate, then HUP
        let by_hand = format!(
            "cd {STACK} && sed -i '/^HAPROXY_STATS_PASSWORD=/d' .env && echo 'HAPROXY_STATS_PASSWORD=chosen-2' >> .env && \
             ./scripts/gen-haproxy.sh && docker compose exec -T haproxy kill -HUP 1"
        );
        holder.sh(&by_hand).await.expect("by hand");
        let asked = asked.replace("chosen-1", "chosen-2");
        eventually("the newer password counts", Duration::from_secs(5), async || {
            (holder.sh(&asked).await.ok()? == "200").then_some(())
        })
        .await;
    });
}

#[test]
fn no_secret_shows_in_docker_inspect_arguments_or_logs() {
    with_cluster(LAB, 3, async |lab| {
        for machine in lab.machines().await.expect("machines") {
            let shown = machine
                .sh("docker inspect etcd patroni haproxy pgbouncer keepalived; ps axww -o args; \
                     for c in etcd patroni haproxy pgbouncer keepalived; do docker logs $c 2>&1; done")
                .await
                .expect("shown");
            // JSON and logs may escape quotes, so parts are looked for that no escaping touches
            let derived = "cd /opt/patroni-stack; sed -n 's/.*stats auth \"admin:\\(.*\\)\"/\\1/p' haproxy/haproxy.cfg; \
                           sed -n 's/.*auth_pass \"\\(.*\\)\"/\\1/p' keepalived/keepalived.conf; \
                           sed 's/.*://' etcd/login etcd/token.key";
            let derived = machine.sh(derived).await.expect("secrets");
            assert_eq!(derived.lines().count(), 4, "the secrets to look for");
            for secret in derived.lines().chain(["w{o}r#d !%@:", "chosen-", "SCRAM-SHA-256$4096"]) {
                assert!(!shown.contains(secret), "a secret shows on node {}", machine.id());
            }
            let open = format!(
                "cd {STACK} && grep -rlF 'w{{o}}r' . --exclude-dir=data | xargs -r stat -c '%a %n' | grep -v '0 ' || true"
            );
            assert_eq!(machine.sh(&open).await.expect("modes"), "", "files with secrets are closed to others");
        }
    });
}

#[test]
fn clean_deletes_nothing_without_its_flag() {
    with_cluster(LAB, 3, async |lab| {
        let machine = &lab.machines().await.expect("machines")[2];
        let before = footprint(machine).await;
        let output = machine.run(&[&format!("{STACK}/clean.sh")]).await.expect("run");
        assert_eq!(output.code, 1, "{}", output.stdout);
        assert!(
            output.stdout.contains("data/pg") && output.stderr.contains("--yes-delete-all-data"),
            "{}",
            output.stdout
        );
        assert_eq!(footprint(machine).await, before);
    });
}

#[test]
fn a_copy_of_the_stack_directory_neither_takes_the_containers_over_nor_removes_them() {
    with_cluster(LAB, 3, async |lab| {
        let machine = &lab.machines().await.expect("machines")[1];
        let copy = format!("rm -rf /opt/copy; mkdir /opt/copy; cd {STACK}; cp -a .env deploy clean /opt/copy");
        machine.sh(&copy).await.expect("copied");
        let before = footprint(machine).await;
        for command in ["/opt/copy/deploy", "/opt/copy/clean --yes-delete-all-data"] {
            let output = machine.run(&["bash", "-c", command]).await.expect("run");
            assert_eq!(output.code, 1, "{command}: {}", output.stdout);
            assert!(output.stderr.contains(&format!("belongs to {STACK}")), "{command}: {}", output.stderr);
        }
        assert_eq!(footprint(machine).await, before);
    });
}

#[test]
fn only_one_deploy_at_a_time_changes_a_node() {
    with_cluster(LAB, 3, async |lab| {
        let machine = &lab.machines().await.expect("machines")[0];
        let held = format!("flock -n {STACK} -c '{STACK}/deploy; echo code $?' 2>&1");
        let output = machine.sh(&held).await.expect("run");
        assert!(output.contains("another command is changing") && output.contains("code 1"), "{output}");
    });
}

#[test]
fn a_node_with_another_password_is_told_so_and_the_vip_keeps_one_owner() {
    with_cluster(LAB, 3, async |lab| {
        let machine = &lab.machines().await.expect("machines")[2];
        let change = format!(
            "cd {STACK} && cp -a .env /tmp/env && sed -i 's/^KEEPALIVED_AUTH_PASS=.*/KEEPALIVED_AUTH_PASS=another1/' .env"
        );
        machine.sh(&change).await.expect("changed");
        let output = machine.run(&[&format!("{STACK}/deploy"), "--timeout", "5"]).await.expect("run");
        assert_eq!(output.code, 1, "{}", output.stdout);
        assert!(output.stderr.contains("node 1, 2 runs with other nodes, VIP or passwords"), "{}", output.stderr);
        let vip = lab.vip().await.expect("a VIP").to_string();
        assert_eq!(held_by(lab, &vip).await.len(), 1, "one owner");
        machine.sh(&format!("cp -a /tmp/env {STACK}/.env")).await.expect("put back");
        let output = machine.run(&[&format!("{STACK}/deploy")]).await.expect("run");
        assert_eq!(output.code, 0, "{}", output.stderr);
        assert_eq!(held_by(lab, &vip).await.len(), 1, "one owner");
    });
}

#[test]
fn an_interface_that_does_not_hold_the_nodes_address_is_refused() {
    with_cluster(LAB, 3, async |lab| {
        let machine = &lab.machines().await.expect("machines")[0];
        let before = footprint(machine).await;
        let change = format!(
            "cd {STACK} && cp -a .env /tmp/env && sed -i 's/^KEEPALIVED_INTERFACE=.*/KEEPALIVED_INTERFACE=docker0/' .env"
        );
        machine.sh(&change).await.expect("changed");
        let output = machine.run(&[&format!("{STACK}/deploy")]).await.expect("run");
        machine.sh(&format!("cp -a /tmp/env {STACK}/.env")).await.expect("put back");
        assert_eq!(output.code, 1, "{}", output.stdout);
        assert!(output.stderr.contains("set KEEPALIVED_INTERFACE=eth0"), "{}", output.stderr);
        assert_eq!(containers(&footprint(machine).await), containers(&before));
    });
}

/// The part of a footprint that tells of containers.
fn containers(footprint: &str) -> String {
    footprint.lines().filter(|line| line.starts_with('/')).collect()
}

#[test]
fn lost_postgresql_data_of_a_replica_is_cloned_anew() {
    with_cluster(LAB, 3, async |lab| {
        let leader = leader(lab).await.id();
        let machines = lab.machines().await.expect("machines");
        let replica = machines.iter().find(|machine| machine.id() != leader).expect("a replica");
        // again where PostgreSQL has just made another file
        replica.sh(&format!("until rm -rf {STACK}/data/pg; do sleep 0.1; done")).await.expect("lost");
        let output = replica.run(&[&format!("{STACK}/deploy")]).await.expect("run");
        assert_eq!(output.code, 0, "{}", output.stderr);
        assert!(output.stderr.contains("streaming from"), "{}", output.stderr);
    });
}
