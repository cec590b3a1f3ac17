//! The facts, all asked for at once.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use pgstack_cluster_view::{Listener, limits, listeners};
use pgstack_containers::{Compose, ContainersError, Engine, Running};
use pgstack_deploy::{DeployError, check_address};
use pgstack_diagnostics::Hint;
use pgstack_env::NodeEnv;
use pgstack_health::Fact;
use pgstack_health::preflight::{Clock, Holder, Kernel, Machine, PORTS, Place, Tool, Wrong};
use pgstack_workdir::StackDir;
use tokio::process::Command;
use tokio::time::timeout;

use super::{disk, reach, vip};

/// An engine or a command that says nothing for so long does not answer.
const PATIENCE: Duration = Duration::from_secs(4);
/// Why what needs `.env` is not known.
const NO_SETTINGS: &str = "needs a .env that is right";

pub(super) async fn machine(stack: &StackDir, env: Option<&NodeEnv>) -> Machine {
    let engine = async {
        let engine = timeout(PATIENCE, Engine::connect()).await.map_err(|_| no_answer("the Docker engine"));
        let engine = engine.and_then(|engine| engine.map_err(|error| broken(&error)));
        let running = match &engine {
            Ok(engine) => timeout(PATIENCE, engine.running()).await.ok().and_then(Result::ok),
            Err(_) => None,
        };
        (engine, running)
    };
    let docker = async {
        let (engine, running) = engine.await;
        let (version, images) = tokio::join!(version(&engine), images(&engine, env));
        (version, images, running)
    };
    let (docker, compose, fsync, clock, ports, peers) = tokio::join!(
        docker,
        compose(stack),
        disk::fsync(stack),
        clock(),
        tokio::task::spawn_blocking(|| listeners(&PORTS.map(|(port, _)| port))),
        async {
            match env {
                Some(env) => Fact::Known(tokio::join!(reach::peers(env), vip::ask(env))),
                None => Fact::unknown(NO_SETTINGS),
            }
        },
    );
    let (engine, images, running) = docker;
    let ports = ports.map_err(|error| error.to_string()).and_then(|found| found);
    let running = running.unwrap_or_default();
    let (peers, vip) = match (env, peers) {
        (Some(env), Fact::Known(((peers, announced), answers))) => {
            let vip = vip::in_use(stack, env, &running, &announced, &answers).await;
            (Fact::Known(peers), Fact::Known(vip))
        }
        _ => (Fact::unknown(NO_SETTINGS), Fact::unknown(NO_SETTINGS)),
    };
    Machine {
        node: env.map(|env| env.local.me().id()),
        is_root: nix::unistd::geteuid().is_root(),
        unusable: Fact::Known(unusable(stack)),
        engine,
        compose,
        ports: Fact::from(ports).map(|ports| holders(stack, &ports, &running)),
        place: env.map_or_else(|| Fact::unknown(NO_SETTINGS), place),
        peers,
        clock,
        disk: disk::room(stack),
        fsync,
        kernel: Fact::Known(kernel(env)),
        images,
        vip,
    }
}

fn broken(error: &ContainersError) -> Tool {
    let source = std::error::Error::source(error).map(ToString::to_string);
    Tool::Broken { what: error.to_string(), detail: source, hint: error.hints().join("; ") }
}

fn no_answer(who: &str) -> Tool {
    Tool::Broken {
        what: format!("{who} does not answer"),
        detail: Some(format!("no answer within {} s", PATIENCE.as_secs())),
        hint: "`journalctl -u docker -e` says more; systemctl restart docker".to_owned(),
    }
}

async fn version(engine: &Result<Engine, Tool>) -> Fact<Tool> {
    Fact::Known(match engine {
        Err(broken) => broken.clone(),
        Ok(engine) => match timeout(PATIENCE, engine.version()).await {
            Ok(Ok(version)) => Tool::Answers(version),
            Ok(Err(error)) => broken(&error),
            Err(_) => no_answer("the Docker engine"),
        },
    })
}

async fn compose(stack: &StackDir) -> Fact<Tool> {
    Fact::Known(match timeout(PATIENCE, Compose::find(stack.root())).await {
        Ok(Ok(compose)) => Tool::Answers(compose.version().to_owned()),
        Ok(Err(error)) => broken(&error),
        Err(_) => no_answer("`docker compose version`"),
    })
}

async fn images(engine: &Result<Engine, Tool>, env: Option<&NodeEnv>) -> Fact<BTreeMap<String, bool>> {
    let Some(env) = env else { return Fact::unknown(NO_SETTINGS) };
    let Ok(engine) = engine else { return Fact::unknown("no Docker engine answers") };
    let images = &env.images;
    let named = [&images.etcd, &images.patroni, &images.haproxy, &images.pgbouncer, &images.keepalived, &images.agent];
    let mut found = BTreeMap::new();
    for image in named {
        match timeout(PATIENCE, engine.has_image(image.as_ref())).await {
            Ok(Ok(there)) => drop(found.insert(image.to_string(), there)),
            Ok(Err(error)) => return Fact::unknown(error.to_string()),
            Err(_) => return Fact::unknown("the Docker engine does not answer"),
        }
    }
    Fact::Known(found)
}

/// What would stop a deploy in the stack directory.
fn unusable(stack: &StackDir) -> Vec<String> {
    let mut found: Vec<String> = stack.check_data_dirs().err().map(|error| error.to_string()).into_iter().collect();
    let agent = stack.path("scripts/agent");
    let runs = std::fs::metadata(&agent).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
    if !runs {
        found.push(format!("{} is not there, or cannot be run", agent.display()));
    }
    // another user than root may write nowhere, which is said already
    if nix::unistd::geteuid().is_root() {
        found.extend(disk::read_only(stack));
    }
    found
}

fn place(env: &NodeEnv) -> Fact<Place> {
    let Err(error) = check_address(env, true) else {
        let interface = env.vrrp.interface.to_string();
        return Fact::Known(Place::Right { address: env.local.me().ip().addr(), interface });
    };
    let wrong = Wrong { what: error.to_string(), hint: error.hints().join("; ") };
    Fact::Known(match error {
        DeployError::NoInterface { .. } | DeployError::OtherInterface { .. } => Place::WrongInterface(wrong),
        _ => Place::WrongAddress(wrong),
    })
}

/// Who has which port: a container that publishes it or runs the listener, else the process.
fn holders(stack: &StackDir, ports: &BTreeMap<u16, BTreeSet<Listener>>, running: &[Running]) -> BTreeMap<u16, Holder> {
    let within = |container: &Running, listener: &Listener| {
        let pids = listener.ancestors.iter().chain([&listener.pid]);
        container.pid.is_some_and(|first| pids.copied().map(i64::from).any(|pid| pid == first))
    };
    let holder = |port: u16, found: &BTreeSet<Listener>| {
        let of_port = running.iter().find(|container| container.ports.contains(&port));
        let of_process = || running.iter().find(|c| found.iter().any(|listener| within(c, listener)));
        if let Some(container) = of_port.or_else(of_process) {
            return Holder { name: format!("the container {}", container.name), ours: is_ours(stack, container) };
        }
        let names: Vec<String> = found.iter().map(|l| format!("{} (pid {})", l.name, l.pid)).collect();
        let name = if names.is_empty() { "a process that only root can see".to_owned() } else { names.join(", ") };
        Holder { name, ours: false }
    };
    // an engine may lead a port on without listening there itself
    let published =
        running.iter().flat_map(|container| &container.ports).filter(|port| PORTS.iter().any(|(p, _)| p == *port));
    let nobody = BTreeSet::new();
    let mut found: BTreeMap<u16, Holder> = published.map(|port| (*port, holder(*port, &nobody))).collect();
    found.extend(ports.iter().map(|(port, listeners)| (*port, holder(*port, listeners))));
    found
}

/// Whether Compose made a container in this very stack directory.
pub(super) fn is_ours(stack: &StackDir, container: &Running) -> bool {
    container.made_in.as_deref().is_some_and(|dir| StackDir::open(dir).is_ok_and(|dir| dir == *stack))
}

fn kernel(env: Option<&NodeEnv>) -> Kernel {
    let limits = limits();
    let buffers = env.and_then(|env| {
        let setting = pgstack_env::dcs::find("POSTGRES_SHARED_BUFFERS")?;
        let kilobytes = u64::try_from(setting.meaning(env.dcs.at_birth(setting))?).ok()?;
        kilobytes.checked_mul(1024)
    });
    Kernel {
        memory: limits.memory,
        shared_buffers: buffers,
        commit_left: limits.commit_left,
        open_files: limits.open_files,
        ephemeral: limits.ephemeral,
        reserved: limits.reserved,
    }
}

/// Whether a time service has the clock in hand; the two that are common tell.
async fn clock() -> Fact<Clock> {
    let (systemd, chrony) = tokio::join!(
        said("timedatectl", &["show", "--property=NTPSynchronized", "--value"]),
        said("chronyc", &["-n", "-c", "tracking"]),
    );
    let by_chrony = chrony.and_then(|line| {
        // the last field is the leap status
        let status = line.trim().rsplit(',').next()?.to_owned();
        Some(Clock { synchronised: status != "Not synchronised", by: "chronyc".to_owned() })
    });
    let by_systemd = systemd.and_then(|word| match word.trim() {
        "yes" => Some(Clock { synchronised: true, by: "timedatectl".to_owned() }),
        "no" => Some(Clock { synchronised: false, by: "timedatectl".to_owned() }),
        _ => None,
    });
    match by_chrony.or(by_systemd) {
        Some(clock) => Fact::Known(clock),
        None => Fact::unknown("neither timedatectl nor chronyc tells whether it is synchronised"),
    }
}

/// What a command prints, where it is there and works.
async fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
