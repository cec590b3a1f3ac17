//! `clear-etcd-patroni-members`: deletes Patroni's member keys whose address is wrong.

mod classify;
mod forget;

use pgstack_diagnostics::{Console, Ended};
use pgstack_env::NodeEnv;
use pgstack_etcd::Desired;
use pgstack_etcd::client::{Store, Timeouts};
use pgstack_workdir::StackDir;

use crate::patroni_keys::MEMBERS;
use crate::{DeployError, consent, etcd_logins, settings};
use classify::{Verdict, goes, line, name, verdict};
pub use forget::ForgetRefusal;

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct ClearMembers {
    /// Every member key, also those whose address is right.
    pub all: bool,
    /// Everything that Patroni keeps, where no node has data.
    pub forget_cluster: bool,
    /// Show the plan, change nothing.
    pub dry_run: bool,
    /// Do not ask.
    pub yes: bool,
}

/// Deletes Patroni's member keys in etcd whose address is wrong.
pub async fn clear_members(
    stack: &StackDir,
    options: ClearMembers,
    console: &dyn Console,
) -> Result<Ended, DeployError> {
    let env = settings::read(stack, console)?;
    let desired = Desired::from(&env.local).with_logins(etcd_logins(stack, &env));
    let mut store = Store::open(&desired, Timeouts::default()).await?;
    if options.forget_cluster {
        return forget::forget(stack, &env, &mut store, options, console).await;
    }
    members(&env, &mut store, options, console).await
}

async fn members(
    env: &NodeEnv,
    store: &mut Store,
    options: ClearMembers,
    console: &dyn Console,
) -> Result<Ended, DeployError> {
    let topology = env.local.topology();
    let entries = store.list(MEMBERS).await?;
    let judged: Vec<_> = entries.iter().map(|entry| (entry, verdict(topology, &entry.key, &entry.value))).collect();
    for (entry, verdict) in &judged {
        console.out(&line(&entry.key, &entry.value, verdict));
    }
    let going: Vec<_> = judged.iter().filter(|(_, verdict)| goes(verdict, options.all)).collect();
    if going.is_empty() {
        console.out(if entries.is_empty() { "no member is registered" } else { "nothing to delete" });
        return Ok(Ended::Done);
    }
    let names: Vec<&str> = going.iter().map(|(entry, _)| name(&entry.key)).collect();
    console.out(&format!("This deletes the member keys of {}.", names.join(", ")));
    if options.dry_run {
        return Ok(Ended::Done);
    }
    if !consent::given(console, options.yes, "Delete them?", "--yes") {
        return Ok(Ended::Unfinished);
    }
    for (entry, verdict) in going {
        let member = name(&entry.key);
        if store.delete(entry).await? {
            console.out(&format!("deleted  {member}"));
        } else {
            console.warn(&format!("{member} was registered anew meanwhile and stays; run this again to see how"));
        }
        if matches!(verdict, Verdict::Wrong(_)) {
            console
                .out(&format!("  run fix-patroni-connect-address on the node of {member}, unless it is right by now"));
        }
    }
    console.out("Each Patroni that runs registers itself again within loop_wait (5 s in a new cluster).");
    Ok(Ended::Done)
}
