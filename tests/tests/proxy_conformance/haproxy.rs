//! HAProxy reads its configuration, and does with connections what that promises.

use std::fmt::Write as _;

use pgstack_config::escape::HaproxyWord;
use pgstack_haproxy::{CONFIG_PATH, STATS_USER, render};
use pgstack_testing::{example_node, strategy};
use pgstack_tests::docker_or_skip;
use pgstack_topology::Secret;

use crate::nodes::Nodes;
use crate::{
    Container, HAPROXY, PYTHON, all_output, docker, fast, golden, goldens, mount, samples, shared_folder, write,
};

const HOSTILE: &[&str] =
    &["a:b", ":", "::", "\"", "\\", "a\\", "$HOME", "${HOME}", "a b", " ", "#", "a #b", "'", "p'a\"s\\s$w{o}r#d !%@:"];

fn hostile_passwords(count: usize) -> Vec<String> {
    let mut words = HOSTILE.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    words.extend(samples(count - words.len(), &strategy::password()));
    words
}

fn config_with(password: &str) -> String {
    let mut env = example_node(1, 3);
    env.stats_password = Secret::new(password);
    render(&env).unwrap().get(CONFIG_PATH).unwrap().contents.clone()
}

#[test]
fn goldens_and_hostile_passwords_are_valid_without_a_warning() {
    if !docker_or_skip(HAPROXY) {
        return;
    }
    let folder = shared_folder();
    for (case, id) in goldens().into_iter().chain(fast()) {
        write(folder.path(), &format!("{case}-{id}.cfg"), &golden(case, id, CONFIG_PATH));
    }
    // a few in the whole file; 200 of them have their line read and used below
    let passwords = hostile_passwords(30);
    for (at, password) in passwords.iter().enumerate() {
        write(folder.path(), &format!("password-{at}.cfg"), &config_with(password));
    }
    // -dW: a warning is an error
    let script = "for f in /all/*.cfg; do haproxy -c -q -dW -f $f 2>&1 || echo $f; done";
    let output = all_output(&docker(&["run", "--rm", &mount(folder.path(), "/all"), HAPROXY, "bash", "-c", script]));
    assert_eq!(output, "", "{passwords:?}");
}

#[test]
fn every_password_opens_the_statistics_and_no_other_does() {
    if !docker_or_skip(HAPROXY) {
        return;
    }
    let passwords = hostile_passwords(200);
    let mut config = String::from("global\n    maxconn 1000\ndefaults\n    mode http\n    timeout client 9s\n");
    let mut requests = String::new();
    for (port, password) in (20000..).zip(&passwords) {
        let auth = format!("{STATS_USER}:{password}");
        // the very line of the real file
        let line = config_with(password).lines().find(|line| line.contains("stats auth")).unwrap().to_owned();
        assert!(line.ends_with(&HaproxyWord(&auth).to_string()));
        writeln!(config, "frontend f{port}\n    bind :{port}\n    stats enable\n    stats uri /stats\n{line}").unwrap();
        for auth in [auth.clone(), auth + "x"] {
            let auth = auth.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t");
            let url = format!("http://127.0.0.1:{port}/stats");
            writeln!(
                requests,
                "next\nurl = {url}\nuser = \"{auth}\"\noutput = /dev/null\nwrite-out = \"%{{http_code}}\\n\""
            )
            .unwrap();
        }
    }
    let folder = shared_folder();
    write(folder.path(), "haproxy.cfg", &config);
    write(folder.path(), "requests", requests.trim_start_matches("next\n"));
    let haproxy = Container::start(&[&mount(folder.path(), "/usr/local/etc/haproxy"), HAPROXY]);
    haproxy.wait_for("curl -s http://127.0.0.1:20000/stats");
    let codes = haproxy.exec_ok(&["curl", "-s", "--config", "/usr/local/etc/haproxy/requests"]);
    let codes = codes.lines().collect::<Vec<_>>();
    assert_eq!(codes.len(), 2 * passwords.len());
    for (codes, password) in codes.chunks(2).zip(&passwords) {
        assert_eq!(codes, ["200", "401"], "{password:?}");
    }
}

#[test]
fn the_statistics_want_the_password_and_change_nothing_while_health_wants_none() {
    if !docker_or_skip(HAPROXY) {
        return;
    }
    let folder = shared_folder();
    write(folder.path(), "haproxy.cfg", &config_with("a:b c\"$x"));
    write(folder.path(), "auth", "user = \"admin:a:b c\\\"$x\"\n");
    let haproxy = Container::start(&[&mount(folder.path(), "/usr/local/etc/haproxy"), HAPROXY]);
    haproxy.wait_for("curl -fs http://127.0.0.1:8404/healthz");
    let get = |args: &str| {
        let command = format!("curl -s -w ' %{{http_code}}' --config /usr/local/etc/haproxy/{args}");
        haproxy.exec_ok(&["sh", "-c", &command])
    };
    // 192.168.0.152 and the others are not there, so no primary is
    haproxy.wait_for("curl -s http://127.0.0.1:8404/primary | grep 'no primary'");
    let none = "../../../../dev/null http://127.0.0.1:8404";
    let healthz = get(&format!("{none}/healthz"));
    assert!(healthz.starts_with("patroni-stack node 1 settings ") && healthz.ends_with("\n 200"), "{healthz}");
    assert_eq!(get(&format!("{none}/primary")), "no primary\n 503");
    assert!(get(&format!("{none}/stats")).ends_with(" 401"));
    assert!(get(&format!("{none}/else")).ends_with(" 404"));
    assert!(get("auth 'http://127.0.0.1:8404/stats;csv'").contains("primary,patroni1,"));
    // being an administrator would be a redirect to ;st=DONE
    let post = get("auth -i -d 's=patroni1&action=drain&b=primary' http://127.0.0.1:8404/stats");
    assert!(post.contains(";st=DENY"), "{post}");
}

#[test]
fn it_starts_where_few_open_files_are_allowed() {
    if !docker_or_skip(HAPROXY) {
        return;
    }
    let folder = shared_folder();
    write(folder.path(), "haproxy.cfg", &config_with("x"));
    let mount = mount(folder.path(), "/usr/local/etc/haproxy");
    let haproxy = Container::start(&["--ulimit=nofile=1024:1024", &mount, HAPROXY]);
    haproxy.wait_for("curl -fs http://127.0.0.1:8404/healthz");
}

/// The server behind `port` of node 1, asked until it is the wanted one.
fn wait_for_server(nodes: &Nodes, port: u16, wanted: &[&str]) {
    let mut server = String::new();
    for _ in 0..50 {
        server.clone_from(&nodes.connect(1, port).server);
        if wanted.contains(&server.as_str()) {
            return;
        }
    }
    panic!("port {port} leads to {server:?} instead of {wanted:?}");
}

#[test]
fn connections_go_where_they_belong_and_survive_a_reload() {
    if !docker_or_skip(HAPROXY) || !docker_or_skip(PYTHON) {
        return;
    }
    let nodes = Nodes::start();
    nodes.set_role(1, "replica");
    nodes.set_role(2, "primary");
    nodes.set_role(3, "replica");
    let (haproxy, _folder) = nodes.start_haproxy(1);

    haproxy.wait_for("curl -fs http://127.0.0.1:8404/primary");
    wait_for_server(&nodes, 5000, &["node2"]);
    let readers = (0..4).map(|_| nodes.connect(1, 5001)).collect::<Vec<_>>();
    let mut readers = readers.iter().map(|client| client.server.as_str()).collect::<Vec<_>>();
    readers.sort_unstable();
    assert_eq!(readers, ["node1", "node1", "node3", "node3"], "least connections first, the primary never");

    // Every connection made in the middle of a reload ends at the primary or not at all.
    let mut old = nodes.connect(1, 5000);
    assert_eq!(old.echo("before"), "before");
    haproxy.exec_ok(&["kill", "-HUP", "1"]);
    for _ in 0..5 {
        let server = nodes.connect(1, 5000).server.clone();
        assert!(["node2", "closed"].contains(&server.as_str()), "{server}");
    }
    haproxy.wait_for("[ $(pgrep -c haproxy) = 3 ]");
    assert_eq!(old.echo("after"), "after", "an established connection survives: {}", haproxy.logs());
    wait_for_server(&nodes, 5000, &["node2"]);

    // A primary that says that it is none any more loses its connections, however quiet they are.
    let mut quiet = nodes.connect(1, 5000);
    nodes.set_role(2, "former");
    // Whoever has the leader key and is not promoted yet refuses every write: nobody gets there.
    nodes.set_role(3, "promoting");
    wait_for_server(&nodes, 5000, &["closed"]);
    for _ in 0..5 {
        assert_eq!(nodes.connect(1, 5000).server, "closed");
    }
    nodes.set_role(3, "primary");
    wait_for_server(&nodes, 5000, &["node3"]);
    haproxy.wait_for(
        "curl -s -u admin:stats-secret-5 'http://127.0.0.1:8404/stats;csv' | grep '^primary,patroni2,.*,DOWN,'",
    );
    assert_eq!(quiet.echo("?"), "closed");

    // The primary serves readers where no replica is fit.
    nodes.set_role(1, "neither");
    wait_for_server(&nodes, 5001, &["node3"]);
}

/// HAProxy 3.0 forgets for ever whom it is still connecting to a server that it marks down.
#[test]
fn a_client_that_waits_for_a_server_is_let_go_when_that_is_marked_down() {
    if !docker_or_skip(HAPROXY) || !docker_or_skip(PYTHON) {
        return;
    }
    let nodes = Nodes::start();
    nodes.set_role(2, "primary");
    let (haproxy, _folder) = nodes.start_haproxy(1);
    haproxy.wait_for("curl -fs http://127.0.0.1:8404/primary");
    wait_for_server(&nodes, 5000, &["node2"]);
    let sessions =
        "curl -s -u admin:stats-secret-5 'http://127.0.0.1:8404/stats;csv' | grep '^write,FRONTEND,' | cut -d, -f5";
    // connections are answered, and the answers go nowhere
    nodes.machine(2).exec_ok(&["ip", "rule", "add", "ipproto", "tcp", "sport", "5432", "blackhole"]);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| nodes.connect(1, 5000).server.clone());
        haproxy.wait_for(&format!("[ $({sessions}) = 1 ]"));
        nodes.set_role(2, "neither");
        assert_eq!(client.join().unwrap(), "closed");
    });
    haproxy.wait_for(&format!("[ $({sessions}) = 0 ]"));
}
