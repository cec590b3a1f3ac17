//! `fix-patroni-connect-address`: makes this node's Patroni register the right address.

mod plan;

use std::time::Duration;

use pgstack_containers::{Service, Up};
use pgstack_diagnostics::{Console, Ended};
use pgstack_etcd::client::{Store, Timeouts};
use pgstack_workdir::{Change, StackDir};

use crate::deploy::{door, preflight, services};
use crate::files::{only_ours, start_without_asking};
use crate::patroni_keys::{MEMBERS, Registered};
use crate::site::Site;
use crate::{DeployError, settings};
use plan::{Action, Seen, plan};

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixAddress {
    /// Show the plan, change nothing.
    pub dry_run: bool,
    /// How long to wait, in all.
    pub timeout: Duration,
}

/// Makes this node's Patroni register NODE_IP.
pub async fn fix_address(stack: &StackDir, options: FixAddress, console: &dyn Console) -> Result<Ended, DeployError> {
    let _lock = if options.dry_run { None } else { Some(stack.lock()?) };
    let env = settings::read(stack, console)?;
    let site = Site::open(stack, env, Up::WithoutVip, options.timeout, console).await?;
    preflight::this_machine(&site)?;
    only_ours(stack, &services::states(&site).await?)?;
    let action = plan(site.env.local.me(), &observe(&site).await?);
    let start = start_without_asking(stack, &site.env)?;
    let due = services::compare(&site, &start)?.iter().any(|item| item.change != Change::None);
    if action == Action::Leave && !due {
        console.out("nothing to do: the registered address is right");
        prove(&site).await?;
        return Ok(Ended::Done);
    }
    tell(&site, &action).await;
    if options.dry_run {
        for item in services::compare(&site, &start)?.iter().filter(|item| item.change != Change::None) {
            console.out(&format!("- write {}", item.file.path));
        }
        return Ok(Ended::Done);
    }
    if action != Action::Leave {
        preflight::image(&site, Service::Patroni).await?;
    }
    stack.ensure_data_dirs()?;
    door::admit(&site).await?;
    services::write(&site, &start)?;
    match action {
        Action::Leave | Action::Await => {}
        Action::Start => site.compose.up_only(Service::Patroni, false).await?,
        Action::Recreate(_) => site.compose.up_only(Service::Patroni, true).await?,
    }
    wait(&site).await?;
    prove(&site).await?;
    Ok(Ended::Done)
}

async fn observe(site: &Site<'_>) -> Result<Seen, DeployError> {
    let name = Service::Patroni.name();
    let running = site.engine.inspect(name).await?.is_some_and(|state| state.running);
    Ok(Seen { registered: registered(site).await?, environment: site.engine.environment(name).await?, running })
}

/// The value of this node's member key.
async fn registered(site: &Site<'_>) -> Result<Option<String>, DeployError> {
    let key = format!("{MEMBERS}{}", site.env.local.me().patroni_name());
    let mut store = Store::open(&site.desired, Timeouts::default()).await?;
    Ok(store.one(&key).await?.map(|entry| entry.value))
}

/// What is going to happen, and what it costs.
async fn tell(site: &Site<'_>, action: &Action) {
    match action {
        Action::Leave => site.console.out("the registered address is right; only files are written"),
        Action::Await => site.console.out("- wait until Patroni registers"),
        Action::Start => site.console.out("- start Patroni"),
        Action::Recreate(reasons) => {
            for reason in reasons {
                site.console.out(&reason.to_string());
            }
            site.console.out("- make the container patroni anew: PostgreSQL on this node restarts");
            if site.observer.instance(site.env.local.me()).await.is_some_and(|instance| instance.is_primary()) {
                site.console
                    .warn("this node is the leader: writes stop for some seconds, and another node may take the lead");
            }
        }
    }
}

/// Until both addresses in etcd are this node's, and Patroni answers there.
async fn wait(site: &Site<'_>) -> Result<(), DeployError> {
    let me = site.env.local.me();
    site.console.begin("the registered address");
    loop {
        let value = registered(site).await?;
        let found = value.as_deref().map(|value| Registered::parse(value).unwrap_or_default());
        let (detail, settled) = match &found {
            None => ("not registered yet".to_owned(), false),
            Some(found) => {
                let faults: Vec<String> = found.faults(me).iter().map(ToString::to_string).collect();
                (faults.join("; "), faults.is_empty())
            }
        };
        if settled && site.observer.instance(me).await.is_some() {
            site.console.end("right");
            return Ok(());
        }
        let detail = if settled { "Patroni does not answer yet".to_owned() } else { detail };
        site.console.progress(&detail);
        if !site.pause().await {
            let log = site.engine.last_log_lines(Service::Patroni.name(), 8).await.unwrap_or_default();
            let additions = site.compose.override_file();
            return Err(DeployError::NotRegistered { detail, seconds: site.timeout_seconds(), additions, log });
        }
    }
}

/// What etcd holds, for people to see.
async fn prove(site: &Site<'_>) -> Result<(), DeployError> {
    let value = registered(site).await?.unwrap_or_default();
    let found = Registered::parse(&value).unwrap_or_default();
    site.console.out(&format!("conn_url  {}", found.conn_url.unwrap_or_default()));
    site.console.out(&format!("api_url   {}", found.api_url.unwrap_or_default()));
    Ok(())
}
