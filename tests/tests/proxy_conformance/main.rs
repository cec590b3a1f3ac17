//! haproxy.cfg, keepalived.conf, check_haproxy.sh and docker-compose.yaml, judged by the programs
//! that read them, in the stack's own images.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod check;
mod compose;
mod haproxy;
mod keepalived;
mod lease;
mod nodes;
mod standstill;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use tempfile::TempDir;

const HAPROXY: &str = "patroni-stack/haproxy:3.0";
const KEEPALIVED: &str = "patroni-stack/keepalived:2.3";
const MACHINE: &str = "patroni-stack/machine:13";
/// Its Python plays Patroni and PostgreSQL.
const PYTHON: &str = "patroni-stack/patroni:4.1.5";
const PGBOUNCER: &str = "patroni-stack/pgbouncer:1.24";

/// The goldens, as (case, node number).
fn goldens() -> Vec<(&'static str, u8)> {
    let case = |name, size| (1..=size).map(move |id| (name, id));
    case("three-nodes", 3).chain(case("six-nodes", 6)).collect()
}

/// The nodes of the fast profile, whose files for the proxies differ.
fn fast() -> [(&'static str, u8); 3] {
    [1, 2, 3].map(|id| ("three-nodes-fast", id))
}

fn golden(case: &str, id: u8, path: &str) -> String {
    let file = pgstack_testing::repository("fixtures/clusters").join(case).join(format!("node{id}")).join(path);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// `count` random values, other ones each time; a failing test shows the value itself.
fn samples<T: std::fmt::Debug>(count: usize, strategy: &impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::default();
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// A folder that a container may read whatever user it runs as.
fn shared_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn write(folder: &Path, name: &str, contents: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, contents).unwrap();
}

fn mount(folder: &Path, at: &str) -> String {
    format!("--volume={}:{at}:ro", folder.display())
}

fn docker(args: &[&str]) -> Output {
    Command::new("docker").args(args).output().unwrap()
}

/// The standard output of a Docker command that must succeed.
fn docker_ok(args: &[&str]) -> String {
    let output = docker(args);
    assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Standard output and standard error together.
fn all_output(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A running container that goes when it is dropped.
struct Container(String);

impl Container {
    fn start(args: &[&str]) -> Self {
        Self(docker_ok(&[&["run", "--detach", "--rm"], args].concat()).trim().to_owned())
    }

    /// Started again whenever it ends, as Docker Compose has it.
    fn service(args: &[&str]) -> Self {
        Self(docker_ok(&[&["run", "--detach", "--restart=unless-stopped"], args].concat()).trim().to_owned())
    }

    fn exec(&self, command: &[&str]) -> Output {
        docker(&[&["exec", &self.0], command].concat())
    }

    fn exec_ok(&self, command: &[&str]) -> String {
        docker_ok(&[&["exec", &self.0], command].concat())
    }

    /// Waits until `command` succeeds in the container.
    fn wait_for(&self, command: &str) {
        let script = format!("for _ in $(seq 200); do {command} >/dev/null 2>&1 && exit; sleep 0.05; done; exit 1");
        let output = self.exec(&["bash", "-c", &script]);
        assert!(output.status.success(), "`{command}` did not succeed within 10 s: {}", self.logs());
    }

    fn logs(&self) -> String {
        all_output(&docker(&["logs", &self.0]))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        docker(&["rm", "--force", "--volumes", &self.0]);
    }
}
