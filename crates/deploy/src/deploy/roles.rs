//! The stack's own roles in PostgreSQL, whose passwords `.env` decides.
//!
//! A changed password takes effect in PostgreSQL and in the poolers of all nodes at the same moment,
//! as near as can be: until every node has the same `.env`, the old one goes on everywhere.

use pgstack_containers::Service;
use pgstack_patroni::roles::{LOOK, MEND, RolesState};

use super::services::{self, States};
use crate::DeployError;
use crate::site::Site;

/// The services that log in to PostgreSQL with these passwords.
fn logs_in(service: Service) -> bool {
    matches!(service, Service::Patroni | Service::Pgbouncer)
}

/// The roles live in PostgreSQL, so the primary's node mends them and the others receive that. Then
/// the services of this node that log in with them hear of it.
pub(super) async fn ensure(site: &Site<'_>, before: &States, leader: &str) -> Result<(), DeployError> {
    site.console.begin("the stack's roles");
    let mut outcome = "as they should be".to_owned();
    loop {
        let detail = match look(site, &LOOK).await? {
            Ok(RolesState::Current) => break,
            Ok(RolesState::Outdated) => {
                let others = services::disagreeing(site).await;
                if others.is_empty() {
                    match look(site, &MEND).await? {
                        Ok(_) => {
                            "set up".clone_into(&mut outcome);
                            // seen before it is believed
                            continue;
                        }
                        Err(detail) => detail,
                    }
                } else {
                    services::told_to_agree(&others)
                }
            }
            Ok(RolesState::Standby | RolesState::Repaired) => {
                format!("not as this .env says; run `deploy` on the node of {leader}, the leader, with the same .env")
            }
            Err(detail) => detail,
        };
        site.console.progress(&detail);
        if !site.pause().await {
            let seconds = site.timeout_seconds();
            return Err(DeployError::NotReady { what: "the stack's roles", detail, seconds, log: None });
        }
    }
    let told = services::refresh(site, before, logs_in).await?;
    if !told.is_empty() {
        outcome = format!("{outcome}; reloaded {}", told.join(", "));
    }
    site.console.end(&outcome);
    Ok(())
}

/// What the SQL found, or what psql said instead.
async fn look(site: &Site<'_>, command: &[&str]) -> Result<Result<RolesState, String>, DeployError> {
    let output = site.engine.exec(Service::Patroni.name(), None, command).await?;
    Ok(match output.code {
        0 => output.stdout.parse::<RolesState>().map_err(|error| error.to_string()),
        _ => Err(output.stderr.trim().to_owned()),
    })
}
