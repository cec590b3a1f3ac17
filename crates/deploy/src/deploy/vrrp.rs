//! keepalived's start and its changed settings, without a second owner of the VIP at any moment.
//!
//! Nodes with another VRRP password, router id, version, interval or VIP do not hear each other, and a keepalived that
//! hears nobody takes the VIP. So a node that does not hold the VIP stops its keepalived before it
//! says that it has new settings; the holder takes them up when all nodes have said so; the others
//! start again when they hear it announce the VIP under the new settings, or hear nobody at all.
//! Whenever a deploy dies in between, there is one owner, and the next deploy goes on.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use pgstack_cluster_view::{Advert, AdvertListener, kernel_interfaces};
use pgstack_containers::Service;
use pgstack_env::{NodeEnv, Profile, VrrpVersion};
use sha2::{Digest as _, Sha256};

use super::services::{self, States};
use crate::DeployError;
use crate::site::Site;

/// In the record of what the services run with: the VIP, and a fingerprint of what must be the same
/// for two keepaliveds to hear each other.
const RECORD: &str = "vrrp";
/// Whoever holds the VIP is heard within this time: keepalived takes over after less than four of its own
/// intervals of silence, and one more is for luck. The interval may still be that of another profile.
fn silence() -> Duration {
    let slowest = Profile::ALL.into_iter().map(|profile| profile.vrrp().advert).max();
    5 * slowest.unwrap_or_default()
}

/// In version 3 nobody asks for the password, so that a new one changes nothing.
fn spoken(env: &NodeEnv) -> String {
    let vip = env.local.topology().vip().ip();
    let password = match env.profile.vrrp().version {
        VrrpVersion::V2 => env.vrrp.password.expose(),
        VrrpVersion::V3 => "",
    };
    let mut heard = format!("{vip} {} {password}", env.vrrp.router_id);
    if let Some(dialect) = env.vrrp_dialect() {
        heard.push(' ');
        heard.push_str(&dialect);
    }
    let digest = Sha256::digest(heard);
    format!("{vip} {}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// Whether keepalived runs, or ran last, with settings under which the new ones are not heard.
pub(super) async fn changes(site: &Site<'_>) -> Result<bool, DeployError> {
    let loaded = site.stack.loaded()?;
    if let Some(was) = loaded.get(RECORD) {
        return Ok(*was != spoken(&site.env));
    }
    // nothing is known of one that somebody else has started
    let name = Service::Keepalived.name();
    Ok(!loaded.contains_key(name) && site.engine.inspect(name).await?.is_some_and(|state| state.running))
}

/// Whether this machine holds the VIP, the one before the change or the new one.
fn holds_the_vip(site: &Site<'_>) -> Result<bool, DeployError> {
    let loaded = site.stack.loaded()?;
    let former = loaded.get(RECORD).and_then(|was| was.split(' ').next()?.parse::<Ipv4Addr>().ok());
    let vip = site.env.local.topology().vip().ip().addr();
    let held = |kernel: pgstack_cluster_view::Interfaces| {
        kernel.addresses().any(|address| address == vip || Some(address) == former)
    };
    // where the kernel does not tell, nothing is stopped
    Ok(kernel_interfaces().is_none_or(held))
}

/// Before this node says that it has new settings: a keepalived that would not hear the others under
/// them is stopped, unless it holds the VIP.
pub(super) async fn step_aside(site: &Site<'_>) -> Result<(), DeployError> {
    if changes(site).await? && !holds_the_vip(site)? {
        stop(site).await?;
    }
    Ok(())
}

async fn stop(site: &Site<'_>) -> Result<(), DeployError> {
    let state = site.engine.inspect(Service::Keepalived.name()).await?;
    if state.is_some_and(|state| state.running || state.status == "restarting") {
        site.compose.stop(Service::Keepalived).await?;
        site.console.note("  keepalived is stopped until the node that holds the VIP has these settings, too");
    }
    Ok(())
}

/// keepalived starts, and reads changed settings, only when all others agree with this node.
pub(super) async fn agreed(site: &Site<'_>, before: &States) -> Result<(), DeployError> {
    loop {
        let others = services::disagreeing(site).await;
        if others.is_empty() {
            break;
        }
        wait(site, services::told_to_agree(&others)).await?;
    }
    if changes(site).await? && !holds_the_vip(site)? {
        stop(site).await?;
        holder_follows(site).await?;
    }
    let running = site.engine.inspect(Service::Keepalived.name()).await?.is_some_and(|state| state.running);
    // recorded first: whatever it runs with after a crash in between, it has read these files
    if !running {
        record(site)?;
        services::up(site).await?;
    }
    services::refresh(site, before, |service| service == Service::Keepalived).await?;
    record(site)
}

/// Remembers what keepalived runs with: the settings of this deploy.
pub(super) fn record(site: &Site<'_>) -> Result<(), DeployError> {
    let mut loaded = site.stack.loaded()?;
    let now = spoken(&site.env);
    if loaded.insert(RECORD.to_owned(), now.clone()) != Some(now) {
        site.stack.record_loaded(&loaded)?;
    }
    Ok(())
}

/// Waits until the VIP's holder announces it under the new settings, or nobody announces anything.
async fn holder_follows(site: &Site<'_>) -> Result<(), DeployError> {
    let listener = AdvertListener::open().map_err(DeployError::Listen)?;
    let mut quiet_since = Instant::now();
    loop {
        let adverts: Vec<Advert> = listener.heard().into_iter().filter(|advert| of_a_peer(site, advert)).collect();
        let Some(last) = adverts.last() else {
            if quiet_since.elapsed() > silence() {
                return Ok(());
            }
            wait(site, "listening for the node that holds the VIP".to_owned()).await?;
            continue;
        };
        quiet_since = Instant::now();
        if adverts.iter().any(|advert| is_new(&site.env, advert)) {
            return Ok(());
        }
        let detail = format!("{} holds the VIP and still announces it as before: run deploy there", last.from);
        wait(site, detail).await?;
    }
}

fn of_a_peer(site: &Site<'_>, advert: &Advert) -> bool {
    advert.priority > 0 && site.env.local.peers().any(|peer| peer.ip().addr() == advert.from)
}

fn is_new(env: &NodeEnv, advert: &Advert) -> bool {
    let times = env.profile.vrrp();
    advert.version == times.version.number()
        && advert.interval == times.advert
        && advert.router_id == env.vrrp.router_id
        && advert.is_under(env.vrrp.password.expose())
        && advert.addresses.contains(&env.local.topology().vip().ip().addr())
}

async fn wait(site: &Site<'_>, detail: String) -> Result<(), DeployError> {
    site.console.progress(&detail);
    if site.pause().await {
        return Ok(());
    }
    Err(DeployError::NotReady { what: "the VIP", detail, seconds: site.timeout_seconds(), log: None })
}

#[cfg(test)]
mod tests {
    use pgstack_env::Profile;
    use pgstack_topology::Secret;

    use super::*;

    #[test]
    fn whatever_makes_two_keepaliveds_deaf_to_each_other_is_a_change() {
        let with = |profile: Profile, password: &str| {
            let mut env = pgstack_testing::example_node(1, 3);
            env.profile = profile;
            env.vrrp.password = Secret::new(password);
            spoken(&env)
        };
        let all = Profile::ALL.map(|profile| with(profile, "Vrrp1234"));
        assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2]);
        assert_ne!(with(Profile::Balanced, "another1"), all[1], "version 2 asks for the password");
        assert_eq!(with(Profile::Fast, "another1"), all[0], "version 3 does not");
        assert!(Profile::ALL.into_iter().all(|profile| 4 * profile.vrrp().advert < silence()));
    }
}
