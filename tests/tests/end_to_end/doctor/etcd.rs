//! etcd's members and its quorum.

use std::net::SocketAddr;
use std::time::Duration;

use pgstack_lab::STACK;
use pgstack_tests::cluster::etcd_leader;
use pgstack_tests::late::Late;
use tokio::net::TcpStream;

use super::trouble;

const ETCDCTL: &str = "docker exec etcd etcdctl";

/// etcd takes no change of its members within five seconds of the last.
fn patiently(command: &str) -> String {
    format!("for try in $(seq 20); do {command} && break; sleep 1; [ $try != 20 ]; done")
}

/// The same alarm as etcd raises.
fn alarm(name: &str) -> String {
    format!(
        "id=$(docker exec etcd etcdctl endpoint status --write-out=json | sed 's/.*\"member_id\":\\([0-9]*\\).*/\\1/'); \
         curl -fsS -m 5 http://$(hostname -i | cut -d' ' -f1):2379/v3/maintenance/alarm \
         -d '{{\"action\":\"ACTIVATE\",\"memberID\":\"'$id'\",\"alarm\":\"{name}\"}}'"
    )
}

#[test]
fn a_quorum_that_is_lost() {
    trouble(async |patients| {
        for machine in patients.but(patients.leader()) {
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
        patients.breaks(patients.replica(), &alarm("NOSPACE"), &["024"]).await;
    });
}

#[test]
fn a_member_that_nobody_knows() {
    trouble(async |patients| {
        let script = patiently(&format!("{ETCDCTL} member add ghost --learner --peer-urls=http://10.99.99.99:2380"));
        patients.breaks(patients.replica(), &script, &["026"]).await;
    });
}

#[test]
fn a_node_that_etcd_does_not_know() {
    trouble(async |patients| {
        let (leader, replica) = (patients.leader(), patients.replica());
        let id = format!("{ETCDCTL} member list | grep {}:2380 | cut -d, -f1", replica.address());
        let script = format!("cd {STACK}; {}", patiently(&format!("{ETCDCTL} member remove $({id})")));
        leader.sh(&script).await.expect("removed");
        patients.show(&["027"]).await;
        patients.mend().await;
    });
}

#[test]
fn a_member_whose_data_is_damaged() {
    trouble(async |patients| {
        patients.breaks(patients.replica(), &alarm("CORRUPT"), &["025"]).await;
        patients.replica().sh(&format!("rm -rf {STACK}/data/etcd.[0-9]*")).await.expect("tidied");
    });
}

#[test]
fn a_damaged_member_that_was_replaced_by_hand() {
    trouble(async |patients| {
        let replica = patients.replica();
        let script = "docker compose stop etcd; rm -rf data/etcd; ./deploy";
        replica.sh(&format!("cd {STACK}; {}; {script}", alarm("CORRUPT"))).await.expect("replaced");
        // all that is left is the alarm, which keeps everybody from etcd
        patients.show(&["025"]).await;
        patients.mend().await;
    });
}

#[test]
fn a_door_that_is_open() {
    trouble(async |patients| {
        patients.breaks(patients.replica(), &format!("{ETCDCTL} auth disable"), &["088"]).await;
        let stranger = "docker exec etcd /usr/bin/etcdctl put /stranger x 2>&1 || true";
        let said = patients.replica().sh(stranger).await.expect("asked");
        assert!(said.contains("user name is empty"), "{said}");
    });
}

#[test]
fn a_learner_that_never_got_its_vote() {
    trouble(async |patients| {
        let (leader, replica) = (patients.leader(), patients.replica());
        let peer = |machine: &pgstack_lab::Machine| format!("etcd{}=http://{}:2380", machine.id(), machine.address());
        let all: Vec<String> = patients.machines.iter().map(peer).collect();
        replica.sh("docker stop etcd").await.expect("stopped");
        let address = replica.address();
        let add = format!("{ETCDCTL} member add etcd{} --learner --peer-urls=http://{address}:2380", replica.id());
        let script = format!(
            "id=$({ETCDCTL} member list | grep {address}:2380 | cut -d, -f1); {}; {}",
            patiently(&format!("{ETCDCTL} member remove $id")),
            patiently(&add)
        );
        leader.sh(&script).await.expect("added");
        let script = format!(
            "cd {STACK}; rm -rf data/etcd/member
             sed -i 's#^initial-cluster:.*#initial-cluster: \"{}\"#' etcd/etcd.yml; docker start etcd",
            all.join(",")
        );
        replica.sh(&script).await.expect("joined");
        patients.show(&["023"]).await;
        patients.mend().await;
    });
}

#[test]
fn a_member_that_began_a_cluster_of_its_own() {
    trouble(async |patients| {
        let replica = patients.replica();
        let script = format!(
            "docker stop patroni etcd; rm -rf data/etcd/member
             sed -i 's#^initial-cluster:.*#initial-cluster: \"etcd{id}=http://{address}:2380\"#
                     s/^initial-cluster-state:.*/initial-cluster-state: \"new\"/
                     s/^initial-cluster-token:.*/initial-cluster-token: \"another\"/' etcd/etcd.yml
             docker start etcd",
            id = replica.id(),
            address = replica.address()
        );
        patients.breaks(replica, &script, &["028"]).await;
        replica.sh(&format!("rm -rf {STACK}/data/etcd.[0-9]*")).await.expect("tidied");
    });
}

/// How late the other members' words come. It must be shorter than etcd's election (1 s) and longer than what counts as slow.
const LATE: Duration = Duration::from_millis(700);

#[test]
fn an_etcd_that_is_slow() {
    trouble(async |patients| {
        // one that leads neither etcd nor Patroni, so that nobody else notices
        let led = etcd_leader(&patients.machines).await.expect("etcd has a leader");
        let slow = patients.but(patients.leader()).find(|machine| machine.id() != led).expect("a follower");
        let mut relays = Vec::new();
        for other in patients.but(slow) {
            let peer = SocketAddr::from((other.address(), 2380));
            let relay = Late::answers(peer, LATE).await;
            let here = TcpStream::connect(peer).await.and_then(|peer| peer.local_addr()).expect("reached");
            let to = format!("-j DNAT --to-destination {}:{}", here.ip(), relay.port());
            let rule = format!("PREROUTING -p tcp -d {} --dport 2380 {to}", other.address());
            slow.sh(&format!("iptables -t nat -I {rule}")).await.expect("late");
            relays.push((rule, relay));
        }
        // what is connected stays so: it has to connect anew
        slow.sh("docker restart etcd").await.expect("restarted");
        patients.show(&["029"]).await;
        for (rule, _) in &relays {
            slow.sh(&format!("iptables -t nat -D {rule}")).await.expect("in time");
        }
        slow.sh("docker restart etcd").await.expect("restarted");
    });
}
