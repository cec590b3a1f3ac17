//! The files of Patroni and PgBouncer, judged by their real readers: PyYAML, Patroni, PostgreSQL,
//! PgBouncer.

#![expect(clippy::panic, clippy::unwrap_used, reason = "tests")]

#[path = "patroni_pgbouncer_conformance/logins.rs"]
mod logins;
#[path = "patroni_pgbouncer_conformance/pooler.rs"]
mod pooler;
#[path = "patroni_pgbouncer_conformance/repair.rs"]
mod repair;

use pgstack_config::escape::YamlString;
use pgstack_env::NodeEnv;
use pgstack_patroni::{PATRONI_ENV, PATRONI_YML};
use pgstack_testing::{example_node, strategy};
use pgstack_tests::docker_or_skip;
use pgstack_topology::Secret;
use pooler::must;
use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

/// What a DBA would have to quote everywhere, in one password.
const HOSTILE: &str = "p'a\"s\\s$w{o}r#d !%@:";

/// The same values on every run.
fn sample<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>, count: usize) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// At least 200 different passwords.
fn passwords() -> Vec<String> {
    let mut all = sample(strategy::password(), 300);
    all.extend(
        [HOSTILE, "pa$$word", "null", "1_000", "0x1f", "0o17", "1:2:3", ".inf", "<<", "=", "? a", "%YAML 1.1"]
            .map(str::to_owned),
    );
    all.sort();
    all.dedup();
    assert!(all.len() >= 200, "{}", all.len());
    all
}

fn with_passwords([superuser, replication, pooler, restapi]: [&str; 4]) -> NodeEnv {
    let mut env = example_node(1, 3);
    env.superuser_password = Secret::new(superuser);
    env.replication_password = Secret::new(replication);
    env.pooler_password = Secret::new(pooler);
    env.restapi_password = Secret::new(restapi);
    env
}

fn file(env: &NodeEnv, path: &str) -> String {
    pgstack_patroni::render(env).unwrap().get(path).unwrap().contents.clone()
}

/// Runs Python in Patroni's container; `input` and the answer are JSON.
fn python(options: &[&str], program: &str, input: &Value) -> Value {
    let image = example_node(1, 3).images.patroni.to_string();
    let docker = ["docker", "run", "--rm", "-i", "--network", "none"];
    let answer = must(&[&docker[..], options, &[&image, "python3", "-c", program]].concat(), &input.to_string());
    serde_json::from_str(&answer).unwrap()
}

#[test]
fn pyyaml_reads_every_password_back_from_patroni_yml() {
    if !docker_or_skip(example_node(1, 3).images.patroni.as_ref()) {
        return;
    }
    let all = passwords();
    let envs: Vec<_> =
        all.chunks(3).map(|of| with_passwords([&of[0], of.last().unwrap(), "x", &of[of.len() / 2]])).collect();
    let scalars: String = all.iter().map(|password| format!("- {}\n", YamlString(password))).collect();
    let texts = envs.iter().map(|env| file(env, PATRONI_YML)).chain([scalars]).collect::<Vec<_>>();
    let program = "import json, sys, yaml; print(json.dumps([yaml.safe_load(t) for t in json.load(sys.stdin)]))";
    let mut read = python(&[], program, &json!(texts));
    let read = read.as_array_mut().unwrap();

    assert_eq!(read.pop().unwrap(), json!(all));
    for (env, read) in envs.iter().zip(&*read) {
        let roles = &read["postgresql"]["authentication"];
        assert_eq!(roles["superuser"]["password"], env.superuser_password.expose());
        assert_eq!(roles["replication"]["password"], env.replication_password.expose());
        assert_eq!(read["restapi"]["authentication"]["password"], env.restapi_password.expose());
        assert_eq!(read["etcd3"]["hosts"][2], "192.168.0.154:2379");
        assert_eq!(read["bootstrap"]["dcs"]["postgresql"]["parameters"]["wal_log_hints"], "on");
        assert_eq!(read["watchdog"]["mode"], "off");
    }
}

/// Every address of the cluster is put on the loopback interface, with a listener where Patroni
/// expects an etcd; then Patroni validates its files as the container's start command loads them.
const VALIDATE: &str = r"
import concurrent.futures, json, os, socket, subprocess, sys, tempfile, yaml
files = json.load(sys.stdin)
listeners = []
for address in {a for f in files for a in f['addresses']}:
    subprocess.run(['ip', 'address', 'add', address + '/32', 'dev', 'lo'], check=True)
    listeners.append(socket.create_server((address, 2379), backlog=1000))
def validate(f):
    folder = tempfile.mkdtemp()
    for name in ('yml', 'env'):
        open(os.path.join(folder, name), 'w').write(f[name])
    done = subprocess.run(
        ['sh', '-c', 'set -a; . ./env; exec patroni --validate-config --ignore-listen-port --print ./yml'],
        cwd=folder, capture_output=True, text=True)
    return {'code': done.returncode, 'stderr': done.stderr, 'config': yaml.safe_load(done.stdout)}
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(json.dumps(list(pool.map(validate, files))))
";

#[test]
fn patroni_accepts_the_files_of_every_node_and_takes_the_addresses_of_patroni_env() {
    if !docker_or_skip(example_node(1, 3).images.patroni.as_ref()) {
        return;
    }
    let mut envs: Vec<_> = [3, 6].iter().flat_map(|size| (1..=*size).map(|id| example_node(id, *size))).collect();
    let hostile = sample(strategy::password(), 15);
    envs.extend(hostile.chunks(3).map(|of| with_passwords([&of[0], &of[1], HOSTILE, &of[2]])));
    let described = |env: &NodeEnv| {
        let addresses = env.local.topology().nodes().map(|node| node.ip().to_string()).collect::<Vec<_>>();
        // wrong addresses in the yml, which patroni.env must beat
        let yml = file(env, PATRONI_YML);
        let me = env.local.me();
        let yml = yml.replace(&format!("connect_address: {}", me.ip()), "connect_address: 172.18.0.3");
        json!({ "yml": yml, "env": file(env, PATRONI_ENV), "addresses": addresses })
    };
    let input = envs.iter().map(described).collect::<Vec<_>>();
    let read = python(&["--user", "0", "--cap-add", "NET_ADMIN"], VALIDATE, &json!(input));
    for (env, read) in envs.iter().zip(read.as_array().unwrap()) {
        assert_eq!(read["code"], 0, "{}", read["stderr"]);
        let (me, config) = (env.local.me(), &read["config"]);
        let hosts = env.local.topology().nodes().map(pgstack_topology::Node::etcd_endpoint).collect::<Vec<_>>();
        assert_eq!(config["etcd3"]["hosts"], json!(hosts));
        assert_eq!(config["postgresql"]["connect_address"], me.postgres_address());
        assert_eq!(config["restapi"]["connect_address"], me.patroni_rest_address());
        assert_eq!(config["restapi"]["authentication"]["password"], env.restapi_password.expose());
        let superuser = &config["postgresql"]["authentication"]["superuser"];
        assert_eq!(superuser["password"], env.superuser_password.expose());
    }
}
