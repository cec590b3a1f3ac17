//! What only this machine knows about itself: its containers, files, disks, kernel.

mod compose_file;
mod containers;
mod files;
mod known;
mod trouble;

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pgstack_cluster_view::kernel_interfaces;
use pgstack_deploy::check_address;
use pgstack_health::Local;
use pgstack_workdir::StackDir;
use tokio::time::timeout;

pub(crate) use known::{Good, Known};

/// How long the engine, and the disks, may take. Together with the way there and back it has to be less than
/// what askers wait.
const LIMIT: Duration = Duration::from_secs(1);

/// Looks at this machine, without having listened for the VIP's owner before. What cannot be found out is left empty.
pub(crate) async fn look(stack: &StackDir) -> Local {
    let mut known = Known::default();
    known.refresh(stack);
    look_with(stack, &known, Vec::new()).await
}

/// The same with what is known of `.env` already, and with who announced itself as the VIP's owner lately.
pub(crate) async fn look_with(stack: &StackDir, known: &Known, vip_heard_from: Vec<Ipv4Addr>) -> Local {
    let good = known.good();
    let from_files = {
        let (stack, good) = (stack.clone(), good.clone());
        // a disk that hangs keeps one thread waiting, and nobody else
        timeout(LIMIT, tokio::task::spawn_blocking(move || files::look(&stack, good.as_deref())))
    };
    let (from_files, containers) = tokio::join!(from_files, timeout(LIMIT, containers::look(stack, good.clone())));
    let files = from_files.ok().and_then(Result::ok).unwrap_or_default();
    let containers = containers.unwrap_or_default();
    let mut disks = files.disks;
    disks.extend(containers.disks);
    disks.sort_by(|left, right| left.path.cmp(&right.path));
    let with_vip = containers.containers.contains_key("keepalived");
    Local {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        clock_ms: clock_ms(),
        holds_vip: good.as_deref().is_some_and(holds_vip),
        containers: containers.containers,
        vip_heard_from,
        disks,
        settings: known.settings(),
        odd_files: files.odd_files,
        readable_by_all: files.readable_by_all,
        warnings: good.as_deref().map(|good| good.warnings.clone()).unwrap_or_default(),
        address_problem: good
            .as_deref()
            .and_then(|good| check_address(&good.env, with_vip).err())
            .map(|error| error.to_string()),
        // only the agent knows what it was ordered
        pooler_leased: false,
        engine: containers.engine,
    }
}

fn holds_vip(good: &Good) -> bool {
    let vip = good.env.local.topology().vip().ip().addr();
    kernel_interfaces().is_some_and(|kernel| kernel.addresses().any(|address| address == vip))
}

/// This machine's clock, in milliseconds since 1970.
pub(crate) fn clock_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
