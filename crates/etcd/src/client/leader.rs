//! Moves etcd's own leadership.

use tokio::time::timeout;

use super::enter::{asks_who, log_in};
use super::{Timeouts, ask::connect, words};
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
    let mut moved = timeout(timeouts.request, client.move_leader(target.responder.0)).await;
    if matches!(&moved, Ok(Err(error)) if asks_who(error)) {
        log_in(&mut client, desired.logins(), timeouts.request).await.map_err(|barred| barred.to_string())?;
        moved = timeout(timeouts.request, client.move_leader(target.responder.0)).await;
    }
    moved.map_err(|_| "no answer in time".to_owned())?.map(drop).map_err(|error| words(&error))
}
