//! `lab up`: machines, images, binaries, `.env`, and the real `deploy` on all of them at once.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::future::try_join_all;
use pgstack_diagnostics::Console;
use tokio::sync::mpsc;

use crate::layout::{BINARIES, places};
use crate::network::Network;
use crate::store::Store;
use crate::{Endpoint, Lab, LabError, Machine, STACK, settings};

/// The images that a node runs.
const IMAGES: [&str; 6] = [
    "patroni-stack/etcd:3.5.16",
    "patroni-stack/patroni:4.1.5",
    "patroni-stack/haproxy:3.0",
    "patroni-stack/pgbouncer:1.24",
    "patroni-stack/keepalived:2.3",
    "patroni-stack/agent:1",
];

/// The same as owned names.
pub(crate) fn images() -> Vec<String> {
    IMAGES.iter().map(|&image| image.to_owned()).collect()
}

/// What to bring up.
#[derive(Debug, Clone)]
pub struct Up {
    /// How many machines, 3 to 6.
    pub nodes: u8,
    /// Where the binaries lie.
    pub binaries: PathBuf,
    /// Settings that every machine gets beside the lab's own.
    pub settings: Vec<(String, String)>,
}

/// Which machine deploys when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeployOrder {
    /// All at the same time.
    AtOnce,
    /// One after the other in this order, each as soon as the one before has started its etcd.
    Staggered(Vec<u8>),
}

impl Lab {
    /// Makes the machines that are missing, switches on those that are off, and puts binaries and
    /// settings on them. Machines that are there keep their data and their settings.
    pub async fn prepare(&self, up: &Up, console: &dyn Console) -> Result<Vec<Machine>, LabError> {
        let existing = self.machines().await?;
        if !existing.is_empty() && existing.len() != usize::from(up.nodes) {
            return Err(LabError::OtherSize { lab: self.name().to_owned(), have: existing.len(), want: up.nodes });
        }
        let payload = payload(&up.binaries)?;
        if existing.is_empty() {
            crate::images::build(&up.binaries, console).await?;
            self.create(up, console).await?;
        }
        console.begin("machines");
        let machines = self.machines().await?;
        try_join_all(machines.iter().map(|machine| async {
            if machine.is_running() { machine.wait_for_engine().await } else { machine.power_on().await }
        }))
        .await?;
        console.end(&format!("{} with an engine each", machines.len()));
        console.begin("binaries");
        try_join_all(machines.iter().map(|machine| machine.upload(STACK, payload.clone()))).await?;
        console.end("copied");
        self.machines().await
    }

    async fn create(&self, up: &Up, console: &dyn Console) -> Result<(), LabError> {
        let store = Store::prepare(self, &images(), console).await?;
        let network = Network::ensure(self).await?;
        let ids: Vec<u8> = (1..=up.nodes).collect();
        store.clone_for(self, &ids).await?;
        let addresses: Vec<_> = ids.iter().map(|&id| network.address(id)).collect();
        let shared = settings::shared(&addresses, network.vip(), &up.settings);
        try_join_all(ids.iter().map(|&id| {
            let (store, shared) = (&store, &shared);
            async move {
                let machine = Machine::create(self, network, id, &store.data_root(self, id)).await?;
                machine.sh(&format!("mkdir -p {STACK}")).await?;
                let env = settings::of_machine(id, machine.address(), shared);
                machine.upload(STACK, archive(&[(PathBuf::from(".env"), Entry::File(env.into_bytes(), 0o600))])?).await
            }
        }))
        .await?;
        Ok(())
    }

    /// Runs the real `deploy` on every machine. Each line it says is told with the machine's number.
    pub async fn deploy(&self, order: &DeployOrder, console: &dyn Console) -> Result<(), LabError> {
        let machines = self.machines().await?;
        let (tell, mut told) = mpsc::unbounded_channel::<String>();
        let work = async {
            match order {
                DeployOrder::AtOnce => {
                    try_join_all(machines.iter().map(|machine| deploy_on(machine, tell.clone()))).await?;
                }
                DeployOrder::Staggered(ids) => {
                    let running = ids.iter().enumerate().map(|(place, id)| {
                        let (before, tell) = (ids[..place].last(), tell.clone());
                        let machines = &machines;
                        async move {
                            let find = |id: &u8| machines.iter().find(|machine| machine.id() == *id);
                            if let Some(before) = before.and_then(find) {
                                until_etcd_started(before).await;
                            }
                            match find(id) {
                                Some(machine) => deploy_on(machine, tell).await,
                                None => Err(LabError::NoMachine { lab: self.name().to_owned(), id: *id }),
                            }
                        }
                    });
                    try_join_all(running).await?;
                }
            }
            drop(tell);
            Ok(())
        };
        let listen = async {
            while let Some(line) = told.recv().await {
                console.note(&line);
            }
        };
        let (done, ()) = tokio::join!(work, listen);
        done
    }

    /// Where clients connect to at the VIP, as the superuser.
    pub async fn endpoint(&self, port: u16) -> Result<Endpoint, LabError> {
        let password = self.setting("POSTGRES_SUPERUSER_PASSWORD").await?;
        Ok(Endpoint { address: self.vip().await?, port, user: "postgres".to_owned(), password })
    }

    /// Writes a row through each writing port and reads it through all, within `limit`.
    pub async fn verify(&self, limit: Duration) -> Result<(), LabError> {
        let began = Instant::now();
        let [write, read, pooled] =
            [self.endpoint(5000).await?, self.endpoint(5001).await?, self.endpoint(6432).await?];
        let setup =
            "CREATE TABLE IF NOT EXISTS lab_check (id bigserial PRIMARY KEY, via text, at timestamptz DEFAULT now())";
        retry(began, limit, async || write.query(setup, ATTEMPT).await).await?;
        for endpoint in [&write, &pooled] {
            let insert = format!("INSERT INTO lab_check (via) VALUES ('{}') RETURNING id", endpoint.port);
            let id = retry(began, limit, async || endpoint.query(&insert, ATTEMPT).await).await?;
            let id = id.unwrap_or_default();
            let select = format!("SELECT via FROM lab_check WHERE id = {id}");
            for reader in [&write, &read, &pooled] {
                retry(began, limit, async || match reader.query(&select, ATTEMPT).await? {
                    Some(_) => Ok(()),
                    None => {
                        Err(LabError::Client { endpoint: reader.to_string(), detail: format!("row {id} is not there") })
                    }
                })
                .await?;
            }
        }
        Ok(())
    }

    /// A value of the first machine's `.env`, as written by [`Lab::prepare`].
    pub async fn setting(&self, key: &str) -> Result<String, LabError> {
        let machines = self.machines().await?;
        let Some(machine) = machines.iter().find(|machine| machine.is_running()) else {
            return Err(LabError::NotUp { lab: self.name().to_owned() });
        };
        let text = machine.read(&Path::new(STACK).join(".env")).await?;
        settings::value(&text, key).ok_or_else(|| LabError::Client {
            endpoint: format!("machine {}", machine.id()),
            detail: format!("its .env does not set {key}"),
        })
    }
}

/// How long one attempt to talk to the cluster may take.
const ATTEMPT: Duration = Duration::from_secs(3);

async fn retry<T>(
    began: Instant,
    limit: Duration,
    attempt: impl AsyncFn() -> Result<T, LabError>,
) -> Result<T, LabError> {
    loop {
        match attempt().await {
            Err(_) if began.elapsed() < limit => tokio::time::sleep(Duration::from_millis(200)).await,
            ended => return ended,
        }
    }
}

async fn deploy_on(machine: &Machine, tell: mpsc::UnboundedSender<String>) -> Result<(), LabError> {
    let command = format!("{STACK}/deploy");
    let mut last = String::new();
    let code = machine
        .watch(&[&command], &mut |line| {
            line.clone_into(&mut last);
            // the receiver lives as long as the deploys do
            let _ = tell.send(format!("node {} | {line}", machine.id()));
        })
        .await?;
    if code == 0 { Ok(()) } else { Err(LabError::Command { id: machine.id(), command, code, detail: last }) }
}

async fn until_etcd_started(machine: &Machine) {
    // an etcd that waits for its first quorum listens to its peers, but not to clients yet
    let peer_port = pgstack_topology::port::ETCD_PEER;
    let observer = pgstack_cluster_view::Observer::new();
    while !observer.is_listening(machine.address(), peer_port).await {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub(crate) enum Entry {
    File(Vec<u8>, u32),
    Link(String),
}

/// The stack directory without its settings, as a tar archive.
pub(crate) fn payload(binaries: &Path) -> Result<Vec<u8>, LabError> {
    let mut entries = vec![(PathBuf::from(".env.example"), Entry::File(crate::layout::ENV_EXAMPLE.into(), 0o644))];
    for (name, folder) in BINARIES {
        let source = binaries.join(name);
        if !source.is_file() {
            return Err(LabError::NoBinary { path: source });
        }
        let (program, old_name) = places(name, folder);
        entries.push((program, Entry::File(std::fs::read(&source).map_err(LabError::file(&source))?, 0o755)));
        entries.push((old_name, Entry::Link(name.to_owned())));
    }
    archive(&entries)
}

pub(crate) fn archive(entries: &[(PathBuf, Entry)]) -> Result<Vec<u8>, LabError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut builder = tar::Builder::new(Vec::new());
    for (path, entry) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(now);
        match entry {
            Entry::File(contents, mode) => {
                header.set_mode(*mode);
                header.set_size(contents.len() as u64);
                builder.append_data(&mut header, path, contents.as_slice()).map_err(LabError::file(path))?;
            }
            Entry::Link(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_mode(0o777);
                header.set_size(0);
                builder.append_link(&mut header, path, target).map_err(LabError::file(path))?;
            }
        }
    }
    builder.into_inner().map_err(LabError::file(Path::new("archive")))
}
