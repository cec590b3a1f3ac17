//! Who has announced itself as the VIP's owner lately.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use pgstack_cluster_view::{Advert, AdvertListener};

/// An owner announces itself each second, and is taken for dead after a bit more than three.
const LATELY: Duration = Duration::from_secs(4);

/// Hears the announcements that reach this machine.
#[derive(Debug)]
pub(super) struct Heard {
    listener: Option<AdvertListener>,
    last: BTreeMap<Ipv4Addr, Instant>,
}

impl Heard {
    /// Begins to listen, where it may.
    pub(super) fn new() -> Self {
        Self { listener: AdvertListener::open().ok(), last: BTreeMap::new() }
    }

    /// Takes in what was announced since; `vip` and this node's own address decide what counts.
    pub(super) fn listen(&mut self, vip: Ipv4Addr, me: Ipv4Addr, now: Instant) {
        let adverts = self.listener.as_ref().map(AdvertListener::heard).unwrap_or_default();
        self.note(&adverts, vip, me, now);
    }

    fn note(&mut self, adverts: &[Advert], vip: Ipv4Addr, me: Ipv4Addr, now: Instant) {
        for advert in adverts.iter().filter(|advert| advert.from != me && advert.addresses.contains(&vip)) {
            // 0 is a farewell
            if advert.priority == 0 {
                self.last.remove(&advert.from);
            } else {
                self.last.insert(advert.from, now);
            }
        }
        self.last.retain(|_, at| now.duration_since(*at) < LATELY);
    }

    /// Everybody who has announced itself lately.
    pub(super) fn lately(&self, now: Instant) -> Vec<Ipv4Addr> {
        let lately = self.last.iter().filter(|(_, at)| now.duration_since(**at) < LATELY);
        lately.map(|(from, _)| *from).collect()
    }
}
