//! One machine of the test: a loopback address, a folder, an etcd process, and a small `deploy`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pgstack_etcd::client::{ChangeError, Timeouts, ask_all, execute};
use pgstack_etcd::{DataDir, Desired, Mark, Observed, Plan, Refusal, Seat, Start, Step, data_dir, plan, render};
use pgstack_testing::example_node;
use pgstack_topology::NodeId;

/// Long enough for a loaded machine; nothing waits for it unless it fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(40);
const PAUSE: Duration = Duration::from_millis(50);
const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_millis(500), request: Duration::from_secs(2) };

/// The addresses of one test: 127.A.B.0/24, so that every member has the stack's own ports.
#[derive(Clone, Copy)]
pub(crate) struct Net(u8, u8);

impl Net {
    /// `test` numbers the tests of this file; processes that run at the same time differ by id.
    pub(crate) fn new(test: u8) -> Self {
        let process = std::process::id() % 16_000;
        Self(u8::try_from(50 + process / 80).expect("small"), u8::try_from(process % 80 * 3).expect("small") + test % 3)
    }

    fn address(self, node: u8) -> String {
        format!("127.{}.{}.{node}", self.0, self.1)
    }

    pub(crate) fn seat(self, node: u8) -> Seat {
        let address = self.address(node);
        Seat {
            node: NodeId::new(node).expect("a number"),
            name: format!("etcd{node}"),
            peer_url: format!("http://{address}:2380"),
            client_url: format!("http://{address}:2379"),
        }
    }
}

/// Why a round ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    Refusal(Refusal),
    Change(ChangeError),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refusal(refusal) => refusal.fmt(f),
            Self::Change(error) => error.fmt(f),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

impl From<ChangeError> for Failure {
    fn from(error: ChangeError) -> Self {
        Self::Change(error)
    }
}

pub(crate) struct Site {
    pub(crate) desired: Desired,
    pub(crate) mark: Option<Mark>,
    node: u8,
    net: Net,
    etcd: PathBuf,
    folder: PathBuf,
    child: Option<Child>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Site {
    pub(crate) fn new(etcd: &Path, folder: &Path, net: Net, node: u8, nodes: u8) -> Self {
        let folder = folder.join(format!("n{node}"));
        std::fs::create_dir_all(folder.join("data")).expect("a folder");
        let mut site = Self {
            desired: Desired::new(vec![net.seat(node)], net.seat(node).node)
                .expect("a seat")
                .with_logins(vec![example_node(node, 6).etcd_login()]),
            mark: None,
            node,
            net,
            etcd: etcd.to_owned(),
            folder,
            child: None,
        };
        site.resize(nodes);
        site
    }

    /// The topology names so many nodes from now on.
    pub(crate) fn resize(&mut self, size: u8) {
        let seats = (1..=size).map(|node| self.net.seat(node)).collect();
        let logins = self.desired.logins().to_vec();
        self.desired = Desired::new(seats, self.desired.me().node).expect("a seat").with_logins(logins);
    }

    pub(crate) fn data(&self) -> DataDir {
        data_dir::inspect(&self.folder.join("data"))
    }

    /// Whether the process is there.
    pub(crate) fn running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().expect("a status").is_none())
    }

    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // it may have ended by itself
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The data directory is lost.
    pub(crate) fn wipe(&mut self) {
        self.stop();
        std::fs::remove_dir_all(self.folder.join("data")).expect("removed");
    }

    /// Starts etcd on the file as it is, as a restart policy does.
    pub(crate) fn boot(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.folder.join("log")).expect("a log");
        let child = Command::new(&self.etcd)
            .arg("--config-file")
            .arg(self.folder.join("etcd.yml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("etcd starts");
        self.child = Some(child);
    }

    /// The stack's own file, with the places of this test. Whether it has changed.
    fn write(&self, start: &Start) -> bool {
        let env = example_node(self.node, 6);
        let address = self.net.address(self.node);
        let rendered = render(&env, start).expect("files");
        let file = |path| &rendered.get(path).expect("the file").contents;
        let key = self.folder.join("token.key");
        std::fs::write(&key, file(pgstack_etcd::TOKEN_KEY_PATH)).expect("written");
        let text = file(pgstack_etcd::PATH)
            .replace("0.0.0.0", &address)
            .replace(&env.local.me().ip().to_string(), &address)
            .replace("/var/lib/etcd", &self.folder.join("data").display().to_string())
            .replace("/config/token.key", &key.display().to_string());
        let path = self.folder.join("etcd.yml");
        let changed = std::fs::read_to_string(&path).ok().as_deref() != Some(&text);
        std::fs::write(path, text).expect("written");
        changed
    }

    pub(crate) async fn observe(&mut self) -> Observed {
        let peers = ask_all(&self.desired, TIMEOUTS).await;
        Observed { my_data: self.data(), mark: self.mark.clone(), running: self.running(), peers }
    }

    /// One round of `deploy`.
    pub(crate) async fn round(&mut self) -> Result<Plan, Failure> {
        let observed = self.observe().await;
        let plan = plan(&self.desired, &observed)?;
        for step in &plan.steps {
            match step {
                Step::Stop { .. } => self.stop(),
                Step::MoveDataAside { .. } => {
                    let aside = (0..99).map(|n| self.folder.join(format!("aside-{n}"))).find(|path| !path.exists());
                    std::fs::rename(self.folder.join("data"), aside.expect("a name")).expect("moved");
                }
                Step::Start(start) => {
                    if self.write(start) || !self.running() {
                        self.stop();
                        self.boot();
                    }
                }
                Step::Change(change) => {
                    let short = Duration::from_millis(500);
                    match execute(change, &self.desired, &observed, TIMEOUTS, short, &mut |_| {}).await {
                        // the 5 s rule: the next round tries again
                        Ok(_) | Err(ChangeError::Refused { .. }) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Step::Await(_) => tokio::time::sleep(PAUSE).await,
                Step::Remember(mark) => self.mark = Some(mark.clone()),
            }
        }
        if plan.start().is_none() && matches!(self.data(), DataDir::Initialised { .. }) {
            self.write(&Start::settled(&self.desired));
        }
        Ok(plan)
    }

    /// The end of etcd's log, for a failing test.
    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }
}

/// Rounds on all of these sites until none has anything left to do.
pub(crate) async fn deploy(sites: &mut [&mut Site]) {
    let began = Instant::now();
    loop {
        let mut open = Vec::new();
        for site in sites.iter_mut() {
            match site.round().await {
                Ok(plan) if plan.is_done() => {}
                Ok(plan) => open.push(format!("node {}:\n{plan}{}", site.node, site.log())),
                Err(failure) => open.push(format!("node {}: {failure}", site.node)),
            }
        }
        if open.is_empty() {
            return;
        }
        assert!(began.elapsed() < DEADLINE, "does not converge:\n{}", open.join("\n"));
    }
}
