//! Asks endpoints what they know.

use std::time::Duration;

use etcd_client::{Client, ConnectOptions};
use pgstack_env::EtcdLogin;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::enter::{Refused, ask_by_name, knock};
use crate::{Alarm, Answer, ClusterId, Desired, Member, MemberId, Peer, Seat, View};

/// How long an endpoint may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For the connection.
    pub connect: Duration,
    /// For each request. A quorum read without a quorum takes all of it.
    pub request: Duration,
}

/// One second for the connection, two for each request.
impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(1), request: Duration::from_secs(2) }
    }
}

/// Asks every seat at the same time. Takes at most the connect and three request timeouts.
pub async fn ask_all(desired: &Desired, timeouts: Timeouts) -> Vec<Peer> {
    let one =
        |seat: Seat| async move { Peer { node: seat.node, answer: ask(&seat, desired.logins(), timeouts).await } };
    futures_util::future::join_all(desired.seats().iter().cloned().map(one)).await
}

/// Asks one seat, and logs in only where it tells strangers nothing: a log-in goes through etcd's log, nothing else does.
pub async fn ask(seat: &Seat, logins: &[EtcdLogin], timeouts: Timeouts) -> Answer {
    match view(&seat.client_url, logins, timeouts).await {
        Ok(answer) => answer,
        Err(reason) => Answer::Unreachable { reason },
    }
}

/// Whether a quorum read succeeds on this endpoint (`http://ADDRESS:2379`).
pub async fn healthy(client_url: &str, timeouts: Timeouts) -> bool {
    match connect(client_url, timeouts).await {
        Ok(mut client) => knock(&mut client, timeouts.request).await.is_ok(),
        Err(_) => false,
    }
}

/// A client of one endpoint that has just accepted a connection. The etcd client itself connects
/// lazily and would hide a closed port behind the request's timeout.
pub(super) async fn connect(client_url: &str, timeouts: Timeouts) -> Result<Client, String> {
    let address = client_url.split_once("://").map_or(client_url, |(_, address)| address).trim_end_matches('/');
    match timeout(timeouts.connect, TcpStream::connect(address)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err("no answer to the connection in time".to_owned()),
    }
    let options = ConnectOptions::new().with_connect_timeout(timeouts.connect);
    Client::connect([client_url], Some(options)).await.map_err(|error| error.to_string())
}

async fn view(client_url: &str, logins: &[EtcdLogin], timeouts: Timeouts) -> Result<Answer, String> {
    const LATE: &str = "connected, but no answer in time";
    let mut client = connect(client_url, timeouts).await?;
    // etcd 3.5.28 and later tells strangers nothing at all
    let status = match ask_by_name(&mut client, logins, timeouts, timeouts.request, async |client| {
        client.status().await
    })
    .await
    {
        Ok(status) => status,
        Err(Refused::Barred(barred)) => return Ok(Answer::Guarded { reason: barred.to_string() }),
        Err(Refused::Late) => return Err(LATE.to_owned()),
        Err(Refused::Said(error)) => return Err(error.to_string()),
    };
    let header = status.header().ok_or("an answer without a header")?;
    let (cluster_id, responder) = (ClusterId(header.cluster_id()), MemberId(header.member_id()));
    if status.is_learner() {
        return Ok(Answer::Learner { cluster_id, member_id: responder });
    }
    // The list is what this member has applied. Once it has passed a quorum read, that is
    // everything that had been committed before.
    let linearizable = knock(&mut client, timeouts.request).await.is_ok();
    let list = timeout(timeouts.request, client.member_list()).await.map_err(|_| LATE.to_owned())?;
    let list = list.map_err(|error| error.to_string())?;
    Ok(Answer::Serving(View {
        cluster_id,
        responder,
        members: list.members().iter().map(member).collect(),
        leader: (status.leader() != 0).then(|| MemberId(status.leader())),
        linearizable,
        alarms: status.errors().iter().filter_map(|text| alarm(text)).collect(),
    }))
}

pub(super) fn member(member: &etcd_client::Member) -> Member {
    Member {
        id: MemberId(member.id()),
        name: member.name().to_owned(),
        peer_urls: member.peer_urls().to_vec(),
        client_urls: member.client_urls().to_vec(),
        is_learner: member.is_learner(),
    }
}

/// `memberID:1234 alarm:NOSPACE `, one of the errors in a status. (The alarm request would write
/// to etcd's log each time.)
pub(super) fn alarm(text: &str) -> Option<(MemberId, Alarm)> {
    let mut words = text.split_whitespace();
    let id = words.next()?.strip_prefix("memberID:")?.parse().ok()?;
    let alarm = match words.next()?.strip_prefix("alarm:")? {
        "NOSPACE" => Alarm::NoSpace,
        "CORRUPT" => Alarm::Corrupt,
        _ => return None,
    };
    Some((MemberId(id), alarm))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_are_read_from_the_errors_of_a_status() {
        assert_eq!(
            alarm("memberID:10276657743932975437 alarm:NOSPACE "),
            Some((MemberId(10_276_657_743_932_975_437), Alarm::NoSpace))
        );
        assert_eq!(alarm("memberID:1 alarm:CORRUPT"), Some((MemberId(1), Alarm::Corrupt)));
        for other in ["", "etcdserver: no leader", "memberID:1", "memberID:x alarm:NOSPACE", "memberID:1 alarm:NONE"] {
            assert_eq!(alarm(other), None, "{other:?}");
        }
    }
}
