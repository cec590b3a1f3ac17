//! Where a scenario plays: a cluster under load, its clock, what it must show and what it cost.

use std::time::Duration;

use pgstack_cluster_view::Observer;
use pgstack_diagnostics::Console as _;
use pgstack_lab::{Endpoint, Lab, LabError, Machine};

use crate::cluster::{self, Telling};
use crate::history::{History, Outcome, Span, Via};
use crate::load::{Load, Plan};
use crate::times::Times;

use super::judge::{self, Check, Played, all_stream, timeline};

/// How long the members may take to stream on one timeline after everything has been healed.
pub const HEALED: Duration = Duration::from_secs(120);

/// A scenario at play.
pub struct Stage<'a> {
    /// The machines.
    pub lab: &'a Lab,
    /// What the cluster is set to.
    pub times: Times,
    /// How long faults last that are to show that nothing happens.
    pub hold: Duration,
    /// The clients.
    pub load: Load,
    checks: Vec<Check>,
    timeline: Option<u64>,
    cut_off: Vec<Span>,
    cut_since: Option<Duration>,
    observer: Observer,
}

impl<'a> Stage<'a> {
    /// Begins the load on a cluster that serves.
    pub async fn set(lab: &'a Lab, table: &str, plan: Plan, hold: Duration) -> Self {
        let times = Times::of(lab).await;
        let load = Load::start(lab, table, plan).await;
        let observer = Observer::new();
        let timeline = timeline(lab, &observer).await;
        Self { lab, times, hold, load, checks: Vec::new(), timeline, cut_off: Vec::new(), cut_since: None, observer }
    }

    /// The moment.
    pub fn now(&self) -> Duration {
        self.load.now()
    }

    /// Tells what happens.
    pub fn say(&self, what: &str) {
        Telling.note(&format!("  {:6.1} s  {what}", self.now().as_secs_f64()));
    }

    /// From a moment until now.
    pub fn since(&self, from: Duration) -> Span {
        Span { from, to: self.now() }
    }

    /// Something that had to be so.
    pub fn check(&mut self, holds: bool, what: impl Into<String>) {
        let what = what.into();
        self.say(&format!("{} {what}", if holds { "ok  " } else { "FAIL" }));
        self.checks.push(Check { what, holds });
    }

    /// A figure that must not be above a bound, in seconds.
    pub fn at_most(&mut self, what: &str, figure: f64, bound: f64) {
        self.check(figure <= bound, format!("{what} {figure:.1} s (≤ {bound:.1})"));
    }

    /// A figure for the record.
    pub fn figure(&mut self, what: impl Into<String>) {
        self.check(true, what);
    }

    /// The leader's machine.
    pub async fn leader(&self) -> Machine {
        cluster::leader(self.lab).await
    }

    /// All machines but that.
    ///
    /// # Panics
    /// When there are no machines.
    pub async fn others(&self, id: u8) -> Vec<Machine> {
        let machines = self.lab.machines().await.expect("machines");
        machines.into_iter().filter(|machine| machine.id() != id).collect()
    }

    /// The machine whose etcd leads.
    pub async fn etcd_leader(&self) -> Option<u8> {
        cluster::etcd_leader(&self.lab.machines().await.ok()?).await
    }

    /// Makes the etcd of a machine lead.
    ///
    /// # Panics
    /// When it cannot.
    pub async fn etcd_leads(&self, id: u8) {
        let Some(leader) = self.etcd_leader().await else { return };
        if leader == id {
            return;
        }
        let wanted = self.lab.machine(id).await.expect("a machine");
        let status = wanted.sh("docker exec etcd etcdctl endpoint status").await.expect("its status");
        let member = status.split(", ").nth(1).expect("its id").to_owned();
        let leader = self.lab.machine(leader).await.expect("a machine");
        leader.sh(&format!("docker exec etcd etcdctl move-leader {member}")).await.expect("moved");
    }

    /// Writes go on; the longest gap since `from` at each port must not be above `bound` seconds.
    pub async fn gap(&mut self, what: &str, from: Duration, bound: f64) {
        // a fault takes a moment to be felt, and what is on its way may still be acknowledged
        tokio::time::sleep(Duration::from_secs(3).saturating_sub(self.since(from).length())).await;
        // far beyond the bound, so that the figure is known
        let limit = Duration::from_secs_f64(bound * 2.0 + 60.0);
        let went_on = self.load.went_on(limit).await;
        let span = self.since(from);
        let [pooled, direct] =
            [6432, 5000].map(|port| self.load.look(|history| history.longest_gap(Via::Vip(port), span)).length());
        let worst = pooled.max(direct).as_secs_f64();
        let figures =
            format!("{what}: 6432 {:.1} s, 5000 {:.1} s (≤ {bound:.1})", pooled.as_secs_f64(), direct.as_secs_f64());
        self.check(went_on && worst <= bound, figures);
    }

    /// What failed and what stayed unknown through the pooler since `from`.
    pub fn errors(&self, from: Duration) -> usize {
        let span = self.since(from);
        let count = |outcome| self.load.look(|history| history.ended_so(Via::Vip(6432), outcome, span));
        count(Outcome::Failed) + count(Outcome::Unknown)
    }

    /// How many writes through the VIP were begun and acknowledged since `from`.
    pub fn acknowledged(&self, from: Duration) -> usize {
        let span = self.since(from);
        let count = |port| self.load.look(|history| history.ended_so(Via::Vip(port), Outcome::Acknowledged, span));
        count(6432) + count(5000)
    }

    /// How many timelines have begun since the start: each is a promotion.
    pub async fn promotions(&self) -> Option<u64> {
        timeline(self.lab, &self.observer).await?.checked_sub(self.timeline?)
    }

    /// Waits for a promotion; seconds since `from`.
    pub async fn promoted(&self, from: Duration, limit: f64) -> Option<f64> {
        self.until(from, limit, async || self.promotions().await.is_some_and(|count| count > 0)).await
    }

    /// There were at most so many promotions.
    pub async fn at_most_promotions(&mut self, most: u64) {
        self.at_most_promotions_after(0, most).await;
    }

    /// There were at most so many promotions beside the `own` that the scenario asked for.
    pub async fn at_most_promotions_after(&mut self, own: u64, most: u64) {
        let promotions = self.promotions().await.and_then(|count| count.checked_sub(own));
        let figure = promotions.map_or_else(|| "unknown".to_owned(), |count| count.to_string());
        self.check(promotions.is_some_and(|count| count <= most), format!("promotions {figure} (≤ {most})"));
    }

    /// From here on machines cannot hear each other, which excuses a second owner of the VIP.
    pub fn cut_begins(&mut self) {
        let now = self.now();
        self.cut_since.get_or_insert(now);
    }

    /// They hear each other again; the adverts that tell need a moment.
    pub fn cut_ends(&mut self) {
        if let Some(from) = self.cut_since.take() {
            self.cut_off.push(Span { from, to: self.now() });
        }
    }

    /// Looks until it is so; seconds since `from`, or `None` where it never was within `limit`.
    pub async fn until(&self, from: Duration, limit: f64, look: impl AsyncFn() -> bool) -> Option<f64> {
        let end = self.now() + Duration::from_secs_f64(limit);
        loop {
            if look().await {
                return Some(self.now().saturating_sub(from).as_secs_f64());
            }
            if self.now() > end {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// It is so within `bound` seconds of `from`.
    pub async fn within(&mut self, what: &str, from: Duration, bound: f64, look: impl AsyncFn() -> bool) -> bool {
        let took = self.until(from, bound * 2.0 + 30.0, look).await;
        let figure = took.map_or_else(|| "never".to_owned(), |took| format!("{took:.1} s"));
        let holds = took.is_some_and(|took| took <= bound);
        self.check(holds, format!("{what}: {figure} (≤ {bound:.1})"));
        holds
    }

    /// When, by the kernels' word, another node than `old` had the VIP; seconds since `from`.
    pub async fn vip_moved(&self, old: u8, from: Duration, limit: f64) -> Option<f64> {
        let moved = |history: &History| {
            let newer = history.vip.iter().filter(|change| change.at >= from && change.held && change.node != old);
            newer.map(|change| change.at).next()
        };
        self.until(from, limit, async || self.load.look(moved).is_some()).await?;
        self.load.look(moved).map(|at| at.saturating_sub(from).as_secs_f64())
    }

    /// The VIP goes to another node within `bound` seconds.
    pub async fn vip_moves(&mut self, old: u8, from: Duration, bound: f64) {
        let took = self.vip_moved(old, from, bound * 2.0 + 20.0).await;
        let figure = took.map_or_else(|| "never".to_owned(), |took| format!("{took:.2} s"));
        self.check(took.is_some_and(|took| took <= bound), format!("VIP moved after {figure} (≤ {bound:.1})"));
    }

    /// A connection straight to a node.
    ///
    /// # Panics
    /// When no machine is on.
    pub async fn straight_to(&self, machine: &Machine) -> Endpoint {
        let pooled = self.lab.endpoint(6432).await.expect("an endpoint");
        Endpoint { address: machine.address(), port: 5432, ..pooled }
    }

    /// All members lead or stream, on one timeline.
    pub async fn all_stream(&self) -> bool {
        all_stream(self.lab, &self.observer).await
    }

    /// Switches everything on and lets it go on as if nothing had been done. A machine that is busy may take more than
    /// one attempt.
    pub async fn heal(&self) -> Result<(), LabError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match heal(self.lab).await {
                Err(error) if tries < 3 => self.say(&format!("  {error}")),
                outcome => return outcome,
            }
        }
    }

    /// Heals everything, waits for H, ends the load, and judges.
    ///
    /// # Panics
    /// When a machine cannot be switched on or healed.
    pub async fn finish(mut self) -> Played {
        self.say("everything is healed");
        let from = self.now();
        self.heal().await.expect("healed");
        self.cut_ends();
        let bound = HEALED.as_secs_f64();
        let (lab, observer) = (self.lab, self.observer.clone());
        let whole = async || all_stream(lab, &observer).await;
        let healthy = self.within("H: all stream on one timeline", from, bound, whole).await;
        let went_on = self.load.went_on(Duration::from_secs(60)).await;
        if !went_on {
            self.check(false, "writes go on at the end");
        }
        // the owner of the VIP has settled as well
        tokio::time::sleep(Duration::from_secs_f64(self.times.owner_silent())).await;
        let end = self.now();
        let Self { lab, times, load, checks, cut_off, .. } = self;
        let table = load.table().to_owned();
        let history = load.stop().await;
        let found = if healthy { Some(judge::found(lab, &table).await) } else { None };
        judge::judge(checks, history, found.as_ref(), &times, end, &cut_off)
    }
}

async fn heal(lab: &Lab) -> Result<(), LabError> {
    for machine in lab.machines().await? {
        if !machine.is_running() && !machine.is_frozen() {
            machine.power_on().await?;
        }
    }
    lab.heal().await
}
