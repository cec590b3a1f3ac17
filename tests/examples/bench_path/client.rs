//! pgbench in a container of its own on this host, outside of all machines.

use pgstack_lab::{Endpoint, Lab, Machine};
use pgstack_tests::bench::path::{Script, Way};
use pgstack_tests::bench::pgbench::{self, MARK, Sample};
use tokio::process::Command;

/// It has PostgreSQL's own pgbench.
const IMAGE: &str = "patroni-stack/patroni:4.1.5";
/// More threads than cores are of no use.
const THREADS: u16 = 2;

/// Where it connects to.
pub(crate) struct Client {
    vip: Endpoint,
    leader: Endpoint,
}

impl Client {
    pub(crate) async fn of(lab: &Lab, leader: &Machine) -> Self {
        let vip = lab.endpoint(6432).await.expect("an endpoint");
        let leader = Endpoint { address: leader.address(), port: 5432, ..vip.clone() };
        Self { vip, leader }
    }

    /// Makes pgbench's tables anew.
    pub(crate) async fn fill(&self, scale: u32) -> Result<(), String> {
        self.pgbench(Way::Direct, &format!("pgbench -i -q -s {scale} postgres")).await.map(drop)
    }

    /// One run, with every transaction's time in a log.
    pub(crate) async fn run(&self, way: Way, script: Script, clients: u16, seconds: u32) -> Result<Sample, String> {
        let (threads, script) = (clients.min(THREADS), script.name());
        let run =
            format!("pgbench -n -b {script} -c {clients} -j {threads} -T {seconds} -l --log-prefix=/tmp/log postgres");
        pgbench::read(&self.pgbench(way, &format!("{run} && echo '{MARK}' && cat /tmp/log.*")).await?)
    }

    /// The password goes by the environment, as anybody can read arguments.
    async fn pgbench(&self, way: Way, script: &str) -> Result<String, String> {
        let endpoint = if way == Way::Direct { &self.leader } else { &self.vip };
        let mut docker = Command::new("docker");
        docker.args([
            "run",
            "--rm",
            "--network=host",
            "--env=PGPASSWORD",
            "--env=PGHOST",
            "--env=PGPORT",
            "--env=PGUSER",
        ]);
        docker.env("PGPASSWORD", &endpoint.password).env("PGUSER", &endpoint.user);
        docker.env("PGHOST", endpoint.address.to_string()).env("PGPORT", way.port().to_string());
        let output = docker.args([IMAGE, "sh", "-euc", script]).output().await.map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(format!("{way}: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}
