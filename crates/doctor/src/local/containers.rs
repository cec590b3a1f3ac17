//! The stack's containers: what the engine says of each, and whether that is what the files on disk ask for.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use futures_util::future::join_all;
use pgstack_cluster_view::Observer;
use pgstack_compose::COMPOSE_PATH;
use pgstack_containers::{Compose, Details, Engine, Service};
use pgstack_deploy::changed_since_loaded;
use pgstack_health::{Container, Disk};
use pgstack_workdir::{DATA_DIRS, StackDir};
use tokio::time::timeout;

use super::compose_file::ComposeFile;
use super::{Good, trouble};

/// Where the stack directory is mounted in the agent's own container.
const MOUNTED_AT: &str = "/stack";
/// How many lines of a log are read for their meaning.
const LOG_LINES: usize = 60;
/// How many are read for whether a service has read its files again.
const RELOAD_LINES: usize = 400;
/// How long one service is asked whether it serves.
const ASKED: Duration = Duration::from_millis(500);

/// What the engine says.
#[derive(Debug, Default)]
pub(super) struct FromEngine {
    pub(super) engine: String,
    pub(super) containers: BTreeMap<String, Container>,
    /// The disks that can only be seen from within a container.
    pub(super) disks: Vec<Disk>,
}

/// Everything that is asked for each container.
struct Asking<'a> {
    stack: &'a StackDir,
    engine: &'a Engine,
    good: Option<&'a Good>,
    details: &'a BTreeMap<Service, Details>,
    on_disk: OnDisk,
}

/// What the stack directory says about containers.
#[derive(Debug, Default)]
struct OnDisk {
    /// docker-compose.yaml.
    file: ComposeFile,
    /// What a user adds to it.
    additions: ComposeFile,
    /// Services whose files changed, and when.
    changed: BTreeMap<Service, i64>,
}

impl OnDisk {
    fn read(stack: &StackDir, good: Option<&Good>) -> Self {
        let parsed = |path: &str| ComposeFile::parse(&stack.read(path).ok().flatten().unwrap_or_default());
        let changed = good.and_then(|good| changed_since_loaded(stack, &good.env, &good.files).ok());
        Self {
            file: parsed(COMPOSE_PATH),
            additions: Compose::override_in(stack.root()).map(parsed).unwrap_or_default(),
            changed: changed.unwrap_or_default(),
        }
    }
}

pub(super) async fn look(stack: &StackDir, good: Option<Arc<Good>>) -> FromEngine {
    let on_disk = {
        let (stack, good) = (stack.clone(), good.clone());
        tokio::task::spawn_blocking(move || OnDisk::read(&stack, good.as_deref()))
    };
    let Ok(engine) = Engine::connect().await else { return FromEngine::default() };
    let asked = join_all(Service::ALL.map(|service| engine.details(service.name())));
    let (version, asked, on_disk) = tokio::join!(engine.version(), asked, on_disk);
    let Ok(version) = version else { return FromEngine::default() };
    let details: BTreeMap<Service, Details> =
        Service::ALL.into_iter().zip(asked).filter_map(|(service, answer)| Some((service, answer.ok()??))).collect();
    let on_disk = on_disk.unwrap_or_default();
    let asking = Asking { stack, engine: &engine, good: good.as_deref(), details: &details, on_disk };
    let containers = join_all(details.iter().map(|(&service, found)| asking.container(service, found))).await;
    let containers = details.keys().map(|service| service.name().to_owned()).zip(containers).collect();
    let disks = join_all(DATA_DIRS.map(|path| asking.disk_within(path))).await;
    FromEngine { engine: version, containers, disks: disks.into_iter().flatten().collect() }
}

impl Asking<'_> {
    async fn container(&self, service: Service, found: &Details) -> Container {
        let (made_elsewhere, outdated, unread, trouble) = tokio::join!(
            self.made_elsewhere(service, found),
            self.is_outdated(service, found),
            self.has_unread(service, found),
            self.trouble(service, found),
        );
        Container {
            status: found.status.clone(),
            health: found.health.clone().filter(|_| found.status == "running"),
            started_at_ms: milliseconds(&found.started_at),
            restarts: found.restarts,
            exit_code: found.exit_code.filter(|_| found.status != "created"),
            oom_killed: found.oom_killed,
            image: found.image.clone(),
            made_elsewhere,
            outdated,
            unread,
            trouble,
        }
    }

    /// Compose notes the folder as the shell called it, perhaps through a link, and the links of the machine
    /// cannot be seen from within a container. Two folders are the same where their inodes are.
    async fn made_elsewhere(&self, service: Service, found: &Details) -> Option<String> {
        let Some(made_in) = &found.made_in else { return Some("something else".to_owned()) };
        let is_here = match self.host_path() {
            Some(host_path) => made_in == host_path || self.shares_a_folder(service, found).await,
            None => StackDir::open(Path::new(made_in)).is_ok_and(|dir| dir == *self.stack),
        };
        (!is_here).then(|| made_in.clone())
    }

    /// What the machine calls the stack directory, where this runs in the agent's container.
    fn host_path(&self) -> Option<&str> {
        if self.stack.root() != Path::new(MOUNTED_AT) || !Path::new("/.dockerenv").exists() {
            return None;
        }
        let own = self.details.get(&Service::Agent)?;
        let (from, _) = own.made_with.mounts.iter().find(|(_, to)| to == MOUNTED_AT)?;
        Some(from)
    }

    /// Whether a folder of a running container is that of this stack directory.
    async fn shares_a_folder(&self, service: Service, found: &Details) -> bool {
        let Ok(here) = std::fs::metadata(self.stack.path(service.name())) else { return false };
        let mounted = found.made_with.mounts.iter().find(|(from, _)| from.ends_with(&format!("/{service}")));
        let Some((_, to)) = mounted else { return false };
        let asked = self.engine.exec(service.name(), None, &["stat", "-c", "%d:%i", to]).await;
        asked.is_ok_and(|said| said.code == 0 && said.stdout.trim() == format!("{}:{}", here.dev(), here.ino()))
    }

    async fn is_outdated(&self, service: Service, found: &Details) -> bool {
        // what a user adds is merged by rules that only Compose knows
        if !self.on_disk.additions.names(service.name())
            && self.on_disk.file.asks_for_another(service.name(), &found.image, &found.made_with)
        {
            return true;
        }
        self.engine.has_another_image(found).await.unwrap_or_default()
    }

    /// Whether its files are newer than what it has read: it neither started nor was told since.
    async fn has_unread(&self, service: Service, found: &Details) -> bool {
        let Some(&changed) = self.on_disk.changed.get(&service) else { return false };
        let started = i64::try_from(milliseconds(&found.started_at) / 1000).unwrap_or(i64::MAX);
        if found.status != "running" || started >= changed {
            return false;
        }
        let since = i32::try_from(changed).unwrap_or(i32::MAX);
        let log = self.engine.log_since(service.name(), RELOAD_LINES, since).await;
        log.is_ok_and(|log| !trouble::has_reloaded(&log))
    }

    async fn trouble(&self, service: Service, found: &Details) -> Option<String> {
        let is_well = found.status == "running" && found.health.as_deref().is_none_or(|health| health == "healthy");
        if is_well && (service != Service::Patroni || self.postgres_runs().await) {
            return None;
        }
        // what it said before somebody started it anew is over; where it restarts in a loop, the last run may have
        // said nothing yet
        let started = i32::try_from(milliseconds(&found.started_at) / 1000).unwrap_or_default();
        let since = if found.restarts == 0 { started } else { 0 };
        let mut log = self.engine.log_since(service.name(), LOG_LINES, since).await.unwrap_or_default();
        log.push(found.error.clone());
        trouble::meaning(service, &log)
    }

    /// Patroni can be well while its PostgreSQL is not.
    async fn postgres_runs(&self) -> bool {
        let Some(good) = self.good else { return true };
        let observer = Observer::new();
        let asked = timeout(ASKED, observer.instance(good.env.local.me())).await;
        asked.ok().flatten().is_some_and(|instance| instance.takes_writes() || instance.streams())
    }

    /// A data folder that is a link leads nowhere within the agent's container: the service that lives in it
    /// is asked then.
    async fn disk_within(&self, path: &'static str) -> Option<Disk> {
        if self.stack.path(path).exists() || self.stack.path(path).symlink_metadata().is_err() {
            return None;
        }
        let (service, folder) = match path {
            "data/etcd" => (Service::Etcd, "/var/lib/etcd"),
            _ => (Service::Patroni, "/home/postgres/pgdata"),
        };
        let asked = self.engine.exec(service.name(), None, &["stat", "-f", "-c", "%S %b %a", folder]).await.ok()?;
        let numbers: Vec<u64> = asked.stdout.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        let &[unit, size, free] = numbers.as_slice() else { return None };
        Some(Disk { path: path.to_owned(), size: size.saturating_mul(unit), free: free.saturating_mul(unit) })
    }
}

/// 0 for a container that has never run.
fn milliseconds(rfc3339: &str) -> u64 {
    let time = humantime::parse_rfc3339(rfc3339).ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    time.and_then(|since| u64::try_from(since.as_millis()).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_times_are_understood() {
        assert_eq!(milliseconds("2026-01-31T04:05:06.789123456Z"), 1_769_832_306_789);
        assert_eq!(milliseconds("0001-01-01T00:00:00Z"), 0);
        assert_eq!(milliseconds(""), 0);
    }
}
