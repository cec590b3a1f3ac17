//! Waiting until this node streams, with the bytes that have been copied.

use std::time::{Duration, Instant};

use pgstack_cluster_view::Instance;
use pgstack_containers::Service;
use pgstack_topology::NodeId;

use super::local::{self, Data, MARK, PG_HOME, PG_WAL};
use super::plan::Source;
use crate::DeployError;
use crate::bytes::Bytes;
use crate::deploy::ready::not_ready;
use crate::site::Site;

/// Adding up what has been copied may cost at most this part of the time.
const SHARE: u32 = 20;
const SELDOM: Duration = Duration::from_secs(1);

/// Waits until this node streams from the leader on its timeline; returns the leader's node.
pub(super) async fn streams(site: &Site<'_>, source: Source) -> Result<NodeId, DeployError> {
    let me = site.env.local.me();
    let topology = site.env.local.topology();
    let mut copied = Copied::new(source.size);
    site.console.begin("the copy");
    loop {
        let (view, mine) = tokio::join!(site.observer.patroni_view(me), site.observer.instance(me));
        let name = view.as_ref().and_then(|view| view.leader()).map(|leader| leader.name.clone());
        // it may have moved since the copy began
        let leader = topology.nodes().find(|node| name.as_deref() == Some(node.patroni_name().as_str()));
        let leading = match leader {
            Some(node) => site.observer.instance(node).await,
            None => None,
        };
        let detail = match standing(mine.as_ref(), leading.as_ref()) {
            Standing::Streams => {
                let id = leader.unwrap_or(source.leader).id();
                site.console.end(&format!("streaming from node {id}"));
                return Ok(id);
            }
            Standing::Copies => copied.look(site),
            Standing::Not(why) => why,
        };
        site.console.progress(&detail);
        if !site.pause().await {
            // PostgreSQL runs on it and does not get there: no longer an unfinished copy, and the
            // next run may put it aside
            if local::inspect(site.stack)?.data == Data::Old {
                site.stack.remove_file(MARK)?;
            }
            return Err(not_ready(site, "the copy", detail, Service::Patroni).await);
        }
    }
}

/// How far this node is.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Streams,
    Copies,
    Not(String),
}

fn standing(mine: Option<&Instance>, leader: Option<&Instance>) -> Standing {
    let Some(mine) = mine else { return Standing::Not("Patroni on this node does not answer yet".to_owned()) };
    if mine.pause {
        return Standing::Not(
            "Patroni is in maintenance mode and copies nothing: docker exec patroni patronictl -c /config/patroni.yml \
             resume"
                .to_owned(),
        );
    }
    if mine.state == "creating replica" {
        return Standing::Copies;
    }
    let Some(leader) = leader else { return Standing::Not("no leader answers".to_owned()) };
    match (mine.timeline, leader.timeline) {
        _ if !mine.streams() => Standing::Not(format!("PostgreSQL on this node is {}, not streaming yet", mine.state)),
        (Some(here), Some(there)) if here != there => {
            Standing::Not(format!("streams on timeline {here}, the leader is on {there}"))
        }
        _ => Standing::Streams,
    }
}

/// What has been copied, looked at now and then.
struct Copied {
    total: u64,
    text: String,
    percent: Option<u64>,
    next: Instant,
}

impl Copied {
    fn new(total: u64) -> Self {
        Self { total, text: "Patroni copies".to_owned(), percent: None, next: Instant::now() }
    }

    /// `34 % copied (1.2 GB of 3.4 GB)`. It changes a hundred times at most, so that a log stays readable.
    fn look(&mut self, site: &Site<'_>) -> String {
        let began = Instant::now();
        if began >= self.next {
            // best effort: files come and go while they are copied
            if let (Ok(all), Ok(wal)) = (site.stack.size_of(PG_HOME), site.stack.size_of(PG_WAL)) {
                self.tell(all.saturating_sub(wal));
            }
            self.next = began + (began.elapsed() * SHARE).max(SELDOM);
        }
        self.text.clone()
    }

    fn tell(&mut self, size: u64) {
        // the leader goes on writing, so there may be more than was counted
        let percent = (u128::from(size) * 100 / u128::from(self.total.max(1))).min(99);
        let percent = u64::try_from(percent).unwrap_or(99);
        if self.percent != Some(percent) {
            self.percent = Some(percent);
            self.text = format!("{percent} % copied ({} of {})", Bytes(size), Bytes(self.total.max(size)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(state: &str, replication: Option<&str>, timeline: Option<u64>) -> Instance {
        let replication_state = replication.map(str::to_owned);
        let (role, state) = ("replica".to_owned(), state.to_owned());
        Instance { role, state, replication_state, timeline, ..Instance::default() }
    }

    #[test]
    fn a_node_is_there_when_it_streams_on_the_leaders_timeline() {
        let leader = instance("running", None, Some(3));
        let streams = instance("running", Some("streaming"), Some(3));
        assert_eq!(standing(Some(&streams), Some(&leader)), Standing::Streams);
        assert_eq!(standing(Some(&instance("creating replica", None, None)), Some(&leader)), Standing::Copies);
        let behind = instance("running", Some("streaming"), Some(2));
        let paused = Instance { pause: true, ..streams.clone() };
        for (mine, leader, why) in [
            (None, Some(&leader), "does not answer"),
            (Some(&streams), None, "no leader"),
            (Some(&behind), Some(&leader), "timeline 2"),
            (Some(&instance("starting", None, None)), Some(&leader), "is starting"),
            (Some(&paused), Some(&leader), "resume"),
        ] {
            let said = standing(mine, leader);
            assert!(matches!(&said, Standing::Not(said) if said.contains(why)), "{why}: {said:?}");
        }
    }

    #[test]
    fn progress_is_told_in_bytes_of_bytes_and_only_when_a_percent_is_done() {
        let mut copied = Copied::new(400 << 20);
        copied.tell(100 << 20);
        assert_eq!(copied.text, "25 % copied (100.0 MB of 400.0 MB)");
        copied.tell(101 << 20);
        assert_eq!(copied.text, "25 % copied (100.0 MB of 400.0 MB)");
        copied.tell(500 << 20);
        assert_eq!(copied.text, "99 % copied (500.0 MB of 500.0 MB)");
        Copied::new(0).tell(u64::MAX);
    }
}
