//! Moves etcd's own leadership.

use super::enter::ask_by_name;
use super::{Timeouts, ask::connect};
use crate::{Desired, Observed};
use pgstack_topology::NodeId;

/// Makes the member on node `to` etcd's leader. Only the leader itself takes the order. No key and no lease is lost;
/// why it did not happen, where it did not.
pub async fn move_leader(desired: &Desired, observed: &Observed, to: NodeId) -> Result<(), String> {
    let views: Vec<_> = observed.views().filter(|(_, view)| view.linearizable).collect();
    let (leads, _) = views.iter().find(|(_, view)| view.leader == Some(view.responder)).ok_or("nobody leads etcd")?;
    let (_, target) = views.iter().find(|(node, _)| *node == to).ok_or("its etcd does not serve")?;
    let seat = desired.seat(*leads).ok_or("its leader is not in .env")?;
    let timeouts = Timeouts::default();
    let mut client = connect(&seat.client_url, timeouts).await?;
    let to = target.responder.0;
    ask_by_name(&mut client, desired.logins(), timeouts, timeouts.request, async |client| client.move_leader(to).await)
        .await
        .map(drop)
        .map_err(|refused| refused.to_string())
}
