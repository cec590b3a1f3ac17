//! Three nodes on a network of their own, where a script plays Patroni and PostgreSQL and the
//! proxies are real.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use pgstack_env::{NodeEnv, Profile};
use pgstack_keepalived::{CHECK_PATH, CONFIG_PATH};
use pgstack_testing::example_node;
use pgstack_topology::{NodeId, NodeIp, Topology, Vip};
use tempfile::TempDir;

use crate::{Container, HAPROXY, KEEPALIVED, PYTHON, docker, docker_ok, mount, shared_folder, write};

/// Patroni's answers follow from the word in /tmp/role; PostgreSQL says its node's name, then echoes.
const FAKE: &str = r#"
import http.server, socket, socketserver, threading
name = socket.gethostname().encode() + b"\n"
class Patroni(http.server.BaseHTTPRequestHandler):
    def do_OPTIONS(self, body=b""):
        role = open("/tmp/role").read().strip()
        fit = self.path in {"primary": ["/primary"], "promoting": ["/primary"], "replica": ["/replica?lag=100MB"]}.get(role, [])
        self.send_response(200 if fit else 503)
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        has = "primary" if open("/tmp/role").read().strip() in ("primary", "former") else "replica"
        self.do_OPTIONS(b'{"state": "running", "role": "%s", "timeline": 1}' % has.encode())
    def log_message(self, *_): pass
class Postgres(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(name)
        for line in self.rfile: self.wfile.write(line)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 128
open("/tmp/role", "a").close()
threading.Thread(target=Server(("", 5432), Postgres).serve_forever, daemon=True).start()
http.server.ThreadingHTTPServer(("", 8008), Patroni).serve_forever()
"#;

/// Sends each line of its input to a port, and says what comes back.
const CLIENT: &str = r#"
import socket, sys
try:
    server = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
    answers = server.makefile("rb")
    print(answers.readline().decode().strip() or "closed", flush=True)
    for line in sys.stdin:
        server.sendall(line.encode())
        print(answers.readline().decode().strip() or "closed", flush=True)
except OSError: print("closed", flush=True)
"#;

/// The network and the nodes on it, gone when dropped.
pub(crate) struct Nodes {
    // before the network, which goes when nobody is on it any more
    machines: Vec<Container>,
    pub(crate) envs: Vec<NodeEnv>,
    _network: Network,
}

struct Network(String);

impl Drop for Network {
    fn drop(&mut self) {
        docker(&["network", "rm", &self.0]);
    }
}

impl Nodes {
    pub(crate) fn start() -> Self {
        let name = format!("pgstack-test-{:?}", std::thread::current().id()).replace(['(', ')'], "-");
        let name = format!("{name}{}", std::process::id());
        docker_ok(&["network", "create", "--internal", &name]);
        let network = Network(name);
        let machine = |id: u8| {
            let host = format!("--hostname=node{id}");
            let on = format!("--network={}", network.0);
            Container::start(&["--cap-add=NET_ADMIN", "--user=0", &host, &on, PYTHON, "python3", "-c", FAKE])
        };
        let machines = (1..=3).map(machine).collect::<Vec<_>>();
        let address = |machine: &Container| {
            let format = "--format={{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
            docker_ok(&["inspect", format, &machine.0]).trim().parse().unwrap()
        };
        let addresses: Vec<NodeIp> = machines.iter().map(address).collect();
        // of the same network, which lets nothing else through
        let [a, b, c, _] = addresses[0].addr().octets();
        let vip = Vip::new(NodeIp::new([a, b, c, 250].into()).unwrap(), 24).unwrap();
        let topology = Topology::new(addresses, vip).unwrap();
        let env = |id: u8| {
            let mut env = example_node(1, 3);
            env.local = topology.clone().local(NodeId::new(id).unwrap()).unwrap();
            env
        };
        Self { machines, envs: (1..=3).map(env).collect(), _network: network }
    }

    pub(crate) fn machine(&self, id: usize) -> &Container {
        &self.machines[id - 1]
    }

    /// A command that succeeds on a node that has the VIP's address, and prints nothing.
    pub(crate) fn has_vip(&self) -> String {
        format!("ip -4 -o address show dev eth0 to {} | grep -q .", self.envs[0].local.topology().vip().ip())
    }

    /// The same where the address has a lease of 10 to 19 s left.
    pub(crate) fn has_leased_vip(&self) -> String {
        self.has_vip().replace("grep -q .", "grep -q 'valid_lft 1[0-9]sec'")
    }

    /// `primary`, `replica`, `promoting` (has the leader key and refuses writes), `former` (the other way
    /// round), or anything else for none of them.
    pub(crate) fn set_role(&self, id: usize, role: &str) {
        self.machine(id).exec_ok(&["sh", "-c", &format!("echo {role} >/tmp/role.new; mv /tmp/role.new /tmp/role")]);
    }

    /// Starts a container on the network of node `id`.
    pub(crate) fn start_on(&self, id: usize, args: &[&str]) -> Container {
        Container::start(&[&[self.network_of(id).as_str()], args].concat())
    }

    /// The same with one that is started again whenever it ends.
    pub(crate) fn start_service_on(&self, id: usize, args: &[&str]) -> Container {
        Container::service(&[&[self.network_of(id).as_str()], args].concat())
    }

    fn network_of(&self, id: usize) -> String {
        format!("--network=container:{}", self.machine(id).0)
    }

    /// HAProxy of node `id` with what is rendered for it, as docker-compose.yaml runs it.
    pub(crate) fn start_haproxy(&self, id: usize) -> (Container, TempDir) {
        let folder = shared_folder();
        for file in &pgstack_haproxy::render(&self.envs[id - 1]).unwrap() {
            write(folder.path(), file.path, &file.contents);
        }
        let mount = mount(&folder.path().join("haproxy"), "/usr/local/etc/haproxy");
        let hardened = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"];
        let haproxy = self.start_on(id, &[&hardened[..], &[&mount, HAPROXY]].concat());
        haproxy.wait_for("curl -fs http://127.0.0.1:8404/healthz");
        (haproxy, folder)
    }

    /// keepalived of node `id` in the fast profile, as docker-compose.yaml runs it, after `change` has seen its folder. The
    /// check lies beside its file as `check`: nothing answers here, so whoever takes its place has to say yes.
    pub(crate) fn start_keepalived(&self, id: usize, change: impl FnOnce(&Path)) -> (Container, TempDir) {
        let mut env = self.envs[id - 1].clone();
        env.profile = Profile::Fast;
        let files = pgstack_keepalived::render(&env).unwrap();
        let folder = shared_folder();
        write(folder.path(), "keepalived.conf", &files.get(CONFIG_PATH).unwrap().contents);
        write(folder.path(), "check", &files.get(CHECK_PATH).unwrap().contents);
        change(folder.path());
        let args = [
            "--cap-add=NET_ADMIN",
            "--cap-add=NET_BROADCAST",
            "--cap-add=NET_RAW",
            &mount(folder.path(), "/config"),
            KEEPALIVED,
            "keepalived",
            "--dont-fork",
            "--log-console",
            "--use-file",
            "/config/keepalived.conf",
        ];
        (self.start_service_on(id, &args), folder)
    }

    /// Connects to `port` on node `id`.
    pub(crate) fn connect(&self, id: usize, port: u16) -> Client {
        Client::connect(self.machine(id), port)
    }
}

/// The check in a keepalived's folder, whose verdict counts for nothing; everything else that it does is real.
pub(crate) fn check_that_says_yes(folder: &Path) {
    write(folder, "check_haproxy.sh", "bash /config/check \"$@\"\nexit 0\n");
}

/// A connection that stays open.
pub(crate) struct Client {
    process: Child,
    input: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// What the server said first: the name of its node, or `closed`.
    pub(crate) server: String,
}

impl Client {
    fn connect(machine: &Container, port: u16) -> Self {
        let mut process = Command::new("docker")
            .args(["exec", "--interactive", &machine.0, "python3", "-c", CLIENT, &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, answers) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut client = Self { process, input, answers, server: String::new() };
        client.server = client.answer();
        client
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// What comes back for `line`: the same, or `closed`.
    pub(crate) fn echo(&mut self, line: &str) -> String {
        // a client that has ended says nothing more
        if writeln!(self.input, "{line}").is_err() {
            return "closed".to_owned();
        }
        self.answer()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // it may have ended by itself
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
