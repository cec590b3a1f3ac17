//! A primary whose container is made anew would stop under its clients: another node takes over first, with every pooler paused.

use pgstack_compose::COMPOSE_PATH;
use pgstack_containers::Service;
use pgstack_workdir::{Change, Pending};

use crate::site::Site;
use crate::{DeployError, switchover};

/// Makes another node lead where this one does and Compose is about to make its Patroni anew. Where nobody can take over,
/// says so, and PostgreSQL restarts here.
pub(super) async fn before_up(site: &Site<'_>) -> Result<(), DeployError> {
    if !leads(site).await || !is_made_anew(site).await? {
        return Ok(());
    }
    site.console.note("  Patroni's container is made anew: another node takes over from this primary");
    // a large future, which every deploy would carry along
    if let Err(error) = Box::pin(switchover::move_leadership(site, None)).await {
        site.console.warn(&format!("nobody takes over, so PostgreSQL restarts here: {error}"));
    }
    Ok(())
}

/// Whether [`before_up`] may have something to do once these files are written. What Compose makes of a file it tells only then.
pub(super) async fn may_come(site: &Site<'_>, files: &[Pending]) -> Result<bool, DeployError> {
    let is_changed = files.iter().any(|item| item.file.path == COMPOSE_PATH && item.change != Change::None);
    Ok(leads(site).await && (is_changed || is_made_anew(site).await?))
}

/// Whether this node is the primary.
async fn leads(site: &Site<'_>) -> bool {
    site.observer.instance(site.env.local.me()).await.is_some_and(|me| me.takes_writes())
}

/// Compose goes by its fingerprint of the file and by the image.
async fn is_made_anew(site: &Site<'_>) -> Result<bool, DeployError> {
    let Some(made) = site.engine.details(Service::Patroni.name()).await? else { return Ok(false) };
    Ok(made.fingerprint != Some(site.compose.fingerprint(Service::Patroni).await?)
        || site.engine.has_another_image(&made).await?)
}
