//! The three ways from nothing to a cluster.

use std::fmt;

use futures_util::future::join_all;
use pgstack_lab::{Lab, Machine, STACK};
use tokio::sync::watch;

/// A way from nothing to a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// `docker compose --profile with-vip up -d` on all machines at once, with the files in place.
    Compose,
    /// `deploy` on all machines at once; it makes the files itself.
    Deploy,
    /// The shell version's order: node 1's etcd alone, then one member after the other, PostgreSQL
    /// on node 1 first. Without the pauses of the person who had to start each node.
    OneByOne,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Compose, Self::Deploy, Self::OneByOne];
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compose => "(a) Compose, all at once",
            Self::Deploy => "(b) `deploy`, all at once",
            Self::OneByOne => "(c) one node after the other",
        })
    }
}

/// Back to nothing, and what is not to be timed.
pub(crate) async fn make_ready(lab: &Lab, way: Way) {
    let machines = lab.machines().await.expect("machines");
    join_all(machines.iter().map(async |machine| {
        let forget = "sed -i '/^ETCD_INITIAL_CLUSTER/d' .env; rm -rf docker-compose.yaml etcd patroni haproxy pgbouncer keepalived";
        run(machine, &format!("./clean --yes-delete-all-data; {forget}")).await;
        if way == Way::OneByOne {
            // each member joins the members before it
            let joins = if machine.id() == 1 { "new" } else { "existing" };
            let list = format!(
                "./scripts/build-etcd-initial-cluster | head -1 | cut -d, -f1-{} >> .env; \
                 echo ETCD_INITIAL_CLUSTER_STATE={joins} >> .env",
                machine.id()
            );
            run(machine, &list).await;
        }
        if way != Way::Deploy {
            run(machine, "./scripts/bootstrap").await;
        }
    }))
    .await;
}

/// The way itself.
pub(crate) async fn go(lab: &Lab, way: Way) {
    let machines = lab.machines().await.expect("machines");
    match way {
        Way::Compose => {
            join_all(machines.iter().map(|machine| run(machine, "docker compose --profile with-vip up -d"))).await;
        }
        Way::Deploy => {
            join_all(machines.iter().map(|machine| run(machine, "./deploy"))).await;
        }
        Way::OneByOne => {
            // the highest node whose member is on the list; its etcd may start
            let listed = watch::Sender::new(1);
            join_all(machines.iter().map(|machine| one_by_one(machine, &machines, &listed))).await;
        }
    }
}

async fn one_by_one(me: &Machine, all: &[Machine], listed: &watch::Sender<u8>) {
    const HEALTHY: &str = "until docker exec etcd etcdctl endpoint health >/dev/null 2>&1; do sleep 0.2; done";
    if me.id() == 1 {
        run(me, &format!("docker compose up -d etcd; {HEALTHY}")).await;
        for other in &all[1..] {
            let (name, address) = (format!("etcd{}", other.id()), other.address());
            // refused until all members so far have been connected for a while
            let add = format!("docker exec etcd etcdctl member add {name} --peer-urls=http://{address}:2380");
            run(me, &format!("until {add}; do sleep 0.2; done")).await;
            listed.send_replace(other.id());
            run(me, &format!("until (echo >/dev/tcp/{address}/2379); do sleep 0.2; done")).await;
        }
        let leads = "until curl -s http://127.0.0.1:8008/cluster | grep -q '\"leader\"'; do sleep 0.2; done";
        run(me, &format!("docker compose up -d patroni; {leads}")).await;
    } else {
        let mut turn = listed.subscribe();
        turn.wait_for(|listed| *listed >= me.id()).await.expect("node 1 goes on");
        run(me, &format!("docker compose up -d etcd; {HEALTHY}; docker compose up -d patroni")).await;
    }
    run(me, "docker compose up -d haproxy pgbouncer; docker compose --profile with-vip up -d keepalived").await;
}

async fn run(machine: &Machine, script: &str) {
    machine.sh(&format!("cd {STACK}; {{ {script}; }} >/dev/null 2>&1")).await.expect("the machine did it");
}
