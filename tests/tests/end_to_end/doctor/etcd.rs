//! etcd's members and its quorum.

use pgstack_lab::STACK;

use super::trouble;

const ETCDCTL: &str = "docker exec etcd etcdctl";

#[test]
fn a_quorum_that_is_lost() {
    trouble(async |patients| {
        let replicas: Vec<_> = patients.machines.iter().filter(|machine| machine.id() != patients.leader).collect();
        for machine in replicas {
            machine.sh("docker stop etcd").await.expect("stopped");
        }
        patients.show(&["010", "020"]).await;
        patients.mend().await;
    });
}

#[test]
fn an_etcd_that_hangs() {
    trouble(async |patients| {
        let replica = patients.replica();
        let pid = "$(docker inspect --format '{{.State.Pid}}' etcd)";
        replica.sh(&format!("kill -STOP {pid}")).await.expect("frozen");
        patients.show(&["021"]).await;
        patients.mend().await;
        replica.sh(&format!("kill -CONT {pid} || true")).await.expect("freed");
    });
}

#[test]
fn a_database_that_is_full() {
    trouble(async |patients| {
        let script = "id=$(docker exec etcd etcdctl endpoint status --write-out=json | sed 's/.*\"member_id\":\\([0-9]*\\).*/\\1/'); \
                      curl -fsS -m 5 http://$(hostname -i | cut -d' ' -f1):2379/v3/maintenance/alarm \
                      -d '{\"action\":\"ACTIVATE\",\"memberID\":\"'$id'\",\"alarm\":\"NOSPACE\"}'";
        patients.breaks(patients.replica(), script, &["024"]).await;
    });
}

#[test]
fn a_member_that_nobody_knows() {
    trouble(async |patients| {
        let script = format!("{ETCDCTL} member add ghost --learner --peer-urls=http://10.99.99.99:2380");
        patients.breaks(patients.replica(), &script, &["026"]).await;
    });
}

#[test]
fn a_node_that_etcd_does_not_know() {
    trouble(async |patients| {
        let (leader, replica) = (patients.leader(), patients.replica());
        let id = format!("{ETCDCTL} member list | grep {}:2380 | cut -d, -f1", replica.address());
        let script = format!("cd {STACK}; {ETCDCTL} member remove $({id})");
        leader.sh(&script).await.expect("removed");
        patients.show(&["027"]).await;
        patients.mend().await;
    });
}
