//! Who has announced itself as the VIP's owner lately.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use pgstack_cluster_view::{Advert, AdvertListener};

/// An owner is not forgotten sooner, however often it announces itself.
const LEAST: Duration = Duration::from_secs(4);
/// And not later, whatever interval an announcement names: none of ours has a longer one than 2 s.
const MOST: Duration = Duration::from_secs(10);

/// Until when an announcement counts: keepalived takes an owner for dead after less than four of its intervals.
fn good_until(advert: &Advert, now: Instant) -> Instant {
    now + (4 * advert.interval).clamp(LEAST, MOST)
}

/// Hears the announcements that reach this machine.
#[derive(Debug)]
pub(super) struct Heard {
    listener: Option<AdvertListener>,
    /// By sender, until when it counts as the owner.
    until: BTreeMap<Ipv4Addr, Instant>,
}

impl Heard {
    /// Begins to listen, where it may.
    pub(super) fn new() -> Self {
        Self { listener: AdvertListener::open().ok(), until: BTreeMap::new() }
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
                self.until.remove(&advert.from);
            } else {
                self.until.insert(advert.from, good_until(advert, now));
            }
        }
        self.until.retain(|_, until| now < *until);
    }

    /// Everybody who has announced itself lately.
    pub(super) fn lately(&self, now: Instant) -> Vec<Ipv4Addr> {
        let lately = self.until.iter().filter(|(_, until)| now < **until);
        lately.map(|(from, _)| *from).collect()
    }
}
