//! keepalived reads its configuration.

use std::fmt::Write as _;
use std::path::Path;

use pgstack_config::escape::KeepalivedWord;
use pgstack_keepalived::{CHECK_PATH, CONFIG_PATH, render};
use pgstack_testing::example_node;
use pgstack_tests::docker_or_skip;
use pgstack_topology::{Node, NodeIp, Topology, Vip};

use proptest::strategy::Strategy as _;

use crate::{
    Container, KEEPALIVED, all_output, docker, docker_ok, fast, golden, goldens, mount, samples, shared_folder, write,
};

/// A configuration with one instance per word, as it would stand behind `auth_pass`.
fn many_instances(words: &[String]) -> String {
    let mut config = String::from("global_defs {\n    router_id test\n}\n");
    for (id, word) in (1..=255).zip(words) {
        write!(
            config,
            "vrrp_instance i{id} {{\n state BACKUP\n interface eth0\n virtual_router_id {id}\n priority 100\n \
             authentication {{\n auth_type PASS\n auth_pass {word}\n }}\n \
             virtual_ipaddress {{\n 10.99.0.{id}/24\n }}\n}}\n"
        )
        .unwrap();
    }
    config
}

/// The passwords that keepalived holds after it has read `config`, in order; `None` where its own
/// test finds fault.
fn held(config: &str) -> Option<Vec<String>> {
    let folder = shared_folder();
    write(folder.path(), "keepalived.conf", config);
    // it says what it has read right after the start; the heading behind the last one is waited for
    let script = "keepalived -t -f /config/keepalived.conf >/dev/null 2>&1 || exit 3; \
                  keepalived -n -l -D -d -f /config/keepalived.conf >/tmp/log 2>&1 & \
                  for _ in $(seq 100); do grep -q 'Interfaces >-' /tmp/log && break; sleep 0.05; done; cat /tmp/log";
    let log = docker(&[
        "run",
        "--rm",
        "--cap-add=NET_ADMIN",
        &mount(folder.path(), "/config"),
        KEEPALIVED,
        "bash",
        "-c",
        script,
    ]);
    if log.status.code() == Some(3) {
        return None;
    }
    let log = all_output(&log);
    assert!(log.contains("VRRP Topology >-"), "{log}");
    Some(log.lines().filter_map(|line| Some(line.split_once("   Password = ")?.1.to_owned())).collect())
}

#[test]
fn the_goldens_pass_keepaliveds_own_test_without_a_word() {
    if !docker_or_skip(KEEPALIVED) {
        return;
    }
    let folder = shared_folder();
    let preempt = (1..=3).map(|id| ("three-nodes-preempt", id));
    for (case, id) in goldens().into_iter().chain(preempt).chain(fast()) {
        write(folder.path(), &format!("{case}-{id}/keepalived.conf"), &golden(case, id, CONFIG_PATH));
        write(folder.path(), &format!("{case}-{id}/check_haproxy.sh"), &golden(case, id, CHECK_PATH));
    }
    let script = "for f in /all/*; do ln -sfn $f /config; echo $f; keepalived --config-test -f /config/keepalived.conf || echo failed: $?; \
                  bash -n /config/check_haproxy.sh; done";
    let output = all_output(&docker(&["run", "--rm", &mount(folder.path(), "/all"), KEEPALIVED, "bash", "-c", script]));
    assert_eq!(output.lines().count(), 15, "{output}");
    assert!(output.lines().all(|line| line.starts_with("/all/")), "{output}");
}

#[test]
fn keepalived_holds_every_password_that_is_allowed() {
    if !docker_or_skip(KEEPALIVED) {
        return;
    }
    let allowed = |word: &String| KeepalivedWord::new(word).is_ok();
    let chars = (' '..='~').flat_map(|c| [format!("a{c}b"), format!("{c}"), format!("b{c}")]).filter(allowed);
    let chars = chars.collect::<Vec<_>>();
    let random = "[ !#%-\\[\\]-~]{1,8}".prop_filter("allowed", allowed);
    for words in chars.chunks(200).map(<[_]>::to_vec).chain([samples(200, &random)]) {
        let quoted = words.iter().map(|word| KeepalivedWord::new(word).unwrap().to_string()).collect::<Vec<_>>();
        assert_eq!(held(&many_instances(&quoted)), Some(words));
    }
}

#[test]
fn what_is_refused_would_really_be_mangled() {
    if !docker_or_skip(KEEPALIVED) {
        return;
    }
    for word in ["a\"b", "a\\", "${_PWD}", "}", "123456789"] {
        assert!(KeepalivedWord::new(word).is_err(), "{word}");
        assert_ne!(held(&many_instances(&[format!("\"{word}\"")])), Some(vec![word.to_owned()]), "{word}");
    }
}

/// Node 1's keepalived as it is rendered, with a check that asks for a file; beside it the true checks, as `check`
/// and, of a node with another VIP, as `check-other-vip`.
fn start_node_1(folder: &Path) -> Container {
    let mut env = example_node(1, 3);
    let files = render(&env).unwrap();
    write(folder, "keepalived.conf", &files.get(CONFIG_PATH).unwrap().contents);
    let stub = "[ $# = 0 ] || exec bash /config/check \"$@\"\n[ -e /tmp/healthy ]\n";
    write(folder, "check_haproxy.sh", stub);
    write(folder, "check", &files.get(CHECK_PATH).unwrap().contents);
    let vip = Vip::new(NodeIp::new([192, 168, 0, 162].into()).unwrap(), 24).unwrap();
    env.local =
        Topology::new(env.local.topology().nodes().map(Node::ip), vip).unwrap().local(env.local.me().id()).unwrap();
    write(folder, "check-other-vip", &render(&env).unwrap().get(CHECK_PATH).unwrap().contents);
    let mount = mount(folder, "/config");
    docker_ok(&["run", "--rm", &mount.replace(":ro", ""), KEEPALIVED, "chown", "-R", "1000:1000", "/config"]);
    let caps =
        ["--cap-add=NET_ADMIN", "--cap-add=NET_BROADCAST", "--cap-add=NET_RAW", "--security-opt=no-new-privileges"];
    let command = [
        &mount,
        KEEPALIVED,
        "bash",
        "-c",
        "ip addr add 192.168.0.152/24 dev eth0; touch /tmp/healthy; exec keepalived -n -l -f /config/keepalived.conf",
    ];
    Container::start(&[&caps[..], &command].concat())
}

const HAS_VIP: &str = "ip -4 addr show eth0 | grep -q 192.168.0.161/24";

#[test]
fn the_check_leases_the_vip_while_keepalived_owns_it_and_no_longer() {
    if !docker_or_skip(KEEPALIVED) {
        return;
    }
    let folder = shared_folder();
    let node = start_node_1(folder.path());
    node.wait_for(HAS_VIP);
    let lifetime = |check: &str| {
        // it runs here as seldom as on a machine that stood still
        node.exec_ok(&["rm", "-f", pgstack_keepalived::LAST_PATH]);
        // its verdict is that nothing answers here, which is none of this test's business
        node.exec(&["bash", &format!("/config/{check}")]);
        node.exec_ok(&["ip", "-4", "-o", "address", "show", "dev", "eth0", "to", "192.168.0.161"])
    };
    // of the 16 s of the default profile
    let leased = |shown: &str| shown.contains("valid_lft 1") && !shown.contains("forever");
    assert!(node.exec_ok(&["ip", "-4", "addr", "show", "eth0"]).contains("forever"), "keepalived sets it for good");
    assert!(leased(&lifetime("check")), "{}", lifetime("check"));
    // `deploy` has written the next VIP, and keepalived holds the former one until all nodes agree
    let shorten =
        ["ip", "address", "change", "192.168.0.161/24", "dev", "eth0", "valid_lft", "8", "preferred_lft", "8"];
    node.exec_ok(&shorten);
    assert!(leased(&lifetime("check-other-vip")), "{}", lifetime("check-other-vip"));
    node.exec_ok(&["rm", "/tmp/healthy"]);
    node.wait_for(&format!("! {HAS_VIP}"));
    assert_eq!(lifetime("check"), "", "what keepalived has dropped is not set again");
    // added in the moment of dropping, by a run that was killed then: the next one takes it away
    let added = ["ip", "address", "change", "192.168.0.161/24", "dev", "eth0", "noprefixroute", "valid_lft", "99"];
    node.exec_ok(&[&added[..], &["preferred_lft", "99"]].concat());
    node.wait_for(HAS_VIP);
    assert_eq!(lifetime("check"), "", "what is left of a lease goes");
    // and keepalived owns it again
    node.exec_ok(&["rm", "-f", pgstack_keepalived::LAST_PATH]);
    node.exec_ok(&["touch", "/tmp/healthy"]);
    node.wait_for(HAS_VIP);
    assert!(leased(&lifetime("check")), "{}", lifetime("check"));
}

#[test]
fn a_failed_check_gives_the_vip_away_even_where_the_folder_does_not_belong_to_root() {
    if !docker_or_skip(KEEPALIVED) {
        return;
    }
    let folder = shared_folder();
    let node = start_node_1(folder.path());
    let has_vip = HAS_VIP;
    node.wait_for(has_vip);
    node.exec_ok(&["rm", "/tmp/healthy", pgstack_keepalived::LAST_PATH]);
    node.wait_for(&format!("! {has_vip}"));
    node.exec_ok(&["touch", "/tmp/healthy"]);
    node.wait_for(has_vip);
    // a new configuration is read without giving the VIP away in between
    node.exec_ok(&["kill", "-HUP", "1"]);
    let flickers = format!("for _ in $(seq 20); do {has_vip} || exit 1; sleep 0.05; done");
    assert!(node.exec(&["bash", "-c", &flickers]).status.success(), "{}", node.logs());
}
