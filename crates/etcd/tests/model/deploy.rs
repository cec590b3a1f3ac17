//! What happens to the machines: `deploy`, in pieces, and misfortune.

use pgstack_etcd::{Change, Plan, Refusal, Start, Step, plan};

use super::{Arbiter, Data, FOREIGN, World};

impl World {
    /// A machine whose data and mark are both gone, and which cannot ask anybody, looks like one
    /// before the first boot. Nobody can tell; such a machine is left alone here.
    fn undecidable(&self, at: usize) -> bool {
        let machine = &self.machines[at];
        let asks_nobody =
            (0..self.machines.len()).all(|to| matches!(self.answer(at, to), pgstack_etcd::Answer::Unreachable { .. }));
        let url = &self.desired[at].me().peer_url;
        let lost = self.lists.iter().flatten().any(|entry| entry.peer_url == *url && self.served.contains(&entry.id));
        machine.mark.is_none() && lost && asks_nobody
    }

    /// Looks and plans, and checks what every plan has to keep.
    pub(crate) fn look(&mut self, at: usize) -> Option<Result<Plan, Refusal>> {
        if !self.machines[at].powered || self.undecidable(at) {
            return None;
        }
        let planned = plan(&self.desired[at], &self.observe(at));
        if let Ok(plan) = &planned {
            let last = plan.steps.len().saturating_sub(1);
            for (n, step) in plan.steps.iter().enumerate() {
                if matches!(step, Step::Change(_) | Step::Await(_)) {
                    assert_eq!(n, last, "something follows a change or a wait:\n{plan}");
                }
                if let Step::Change(Change::Remove { id, .. }) = step {
                    assert_ne!(id.0, FOREIGN, "the foreign member is touched:\n{plan}");
                }
            }
        }
        Some(planned)
    }

    /// Carries a plan out, killed before step `kill`.
    pub(crate) fn carry_out(&mut self, at: usize, plan: &Plan, kill: usize) {
        if !self.machines[at].powered {
            return;
        }
        for step in plan.steps.iter().take(kill) {
            match step {
                Step::Stop { .. } => self.stop(at),
                Step::MoveDataAside { .. } => {
                    assert!(!self.machines[at].running, "the data is moved while etcd runs:\n{plan}");
                    if let Data::Member { id, .. } = self.machines[at].data {
                        assert!(self.entry(id).is_none(), "data of a member on the list is moved aside:\n{plan}");
                    }
                    self.machines[at].data = Data::Empty;
                }
                Step::Start(start) => {
                    if !self.machines[at].running || self.machines[at].file.as_ref() != Some(start) {
                        let machine = &mut self.machines[at];
                        machine.first_file = !matches!(machine.data, Data::Member { .. });
                        machine.file = Some(start.clone());
                        self.boot(at);
                    }
                }
                Step::Change(change) => {
                    let _: Arbiter = self.arbitrate(at, change, None);
                }
                Step::Await(_) => {}
                Step::Remember(mark) => self.machines[at].mark = Some(mark.clone()),
            }
        }
        let has_data = matches!(self.machines[at].data, Data::Member { .. });
        if kill >= plan.steps.len() && plan.start().is_none() && has_data {
            self.machines[at].file = Some(Start::settled(&self.desired[at]));
            self.machines[at].first_file = false;
        }
        self.settle();
    }

    /// One round of `deploy`, killed before step `kill`. Whether there was nothing left to do.
    pub(crate) fn deploy(&mut self, at: usize, kill: usize) -> bool {
        self.machines[at].pending = None;
        match self.look(at) {
            Some(Ok(plan)) => {
                self.carry_out(at, &plan, kill);
                plan.is_done()
            }
            Some(Err(_)) | None => false,
        }
    }

    /// The first half of a slow round: later, the world may have moved on.
    pub(crate) fn deploy_begins(&mut self, at: usize) {
        self.machines[at].pending = self.look(at).and_then(Result::ok);
    }

    /// The second half.
    pub(crate) fn deploy_ends(&mut self, at: usize) {
        if let Some(plan) = self.machines[at].pending.take() {
            self.carry_out(at, &plan, usize::MAX);
        }
    }

    fn stop(&mut self, at: usize) {
        self.machines[at].running = false;
        self.machines[at].open = false;
    }

    /// The machine goes down.
    pub(crate) fn power_off(&mut self, at: usize) {
        self.stop(at);
        self.machines[at].powered = false;
        self.machines[at].pending = None;
        self.machines[at].removing = None;
    }

    /// The machine comes back, and its restart policy starts etcd.
    pub(crate) fn power_on(&mut self, at: usize) {
        if !self.machines[at].powered {
            self.machines[at].powered = true;
            self.boot_as_written(at);
        }
    }

    /// The network forgets one machine, or remembers it.
    pub(crate) fn isolate(&mut self, at: usize, isolated: bool) {
        self.machines[at].isolated = isolated;
        self.settle();
    }

    /// The data is destroyed; what the restart policy makes of it is part of the story.
    pub(crate) fn wipe(&mut self, at: usize, leave: bool) {
        self.stop(at);
        if let Data::Member { id, .. } = self.machines[at].data {
            self.lost.insert(id);
        }
        self.machines[at].pending = None;
        self.machines[at].data = if leave { Data::Remains } else { Data::Empty };
        if self.machines[at].powered {
            self.boot_as_written(at);
        }
    }

    /// Another machine takes the place: no data, no mark, no file.
    pub(crate) fn replace(&mut self, at: usize) {
        self.machines[at].file = None;
        self.machines[at].first_file = false;
        self.machines[at].mark = None;
        self.wipe(at, false);
    }

    /// A data directory from another life turns up.
    pub(crate) fn stale(&mut self, at: usize) {
        self.wipe(at, false);
        self.stop(at);
        self.machines[at].data = Data::Foreign;
        self.machines[at].file = None;
    }

    /// As a restart policy does. Between the first start and the next look the file still says
    /// how to join; losing the data in that very moment is left out.
    fn boot_as_written(&mut self, at: usize) {
        let machine = &self.machines[at];
        if matches!(machine.data, Data::Member { .. }) || !machine.first_file {
            self.boot(at);
        }
    }

    /// Everything is repaired that is not lost; then everybody deploys, round after round.
    pub(crate) fn recover(&mut self, leave_to_wipe: bool) {
        for at in 0..self.machines.len() {
            self.machines[at].pending = None;
            self.machines[at].removing = None;
            self.machines[at].isolated = false;
            self.desired[at] = self.desired[at].clone().allow_wiping(leave_to_wipe);
        }
        for at in 0..self.machines.len() {
            self.power_on(at);
        }
        for _ in 0..8 * self.machines.len() {
            let mut done = true;
            for at in 0..self.machines.len() {
                done &= self.deploy(at, usize::MAX);
            }
            if done {
                return;
            }
        }
    }

    /// Whether a majority of the voters still has its data, and one of them can be asked: of the foreign one alone, nobody
    /// knows the address.
    pub(crate) fn can_recover(&self) -> bool {
        let with_data = |id: u64| {
            self.machines.iter().any(|machine| matches!(machine.data, Data::Member { id: mine, .. } if mine == id))
        };
        let voters: Vec<u64> = Self::voters(self.list()).map(|entry| entry.id).collect();
        let ours = voters.iter().filter(|id| with_data(**id)).count();
        let intact = ours + usize::from(voters.contains(&FOREIGN));
        // before the first quorum, data from another life in too many places keeps it from coming
        let stale = self.machines.iter().filter(|machine| machine.data == Data::Foreign).count();
        if self.formed {
            ours > 0 && intact > voters.len() / 2
        } else {
            self.machines.len() - stale > self.machines.len() / 2
        }
    }

    /// Every machine is a voter that serves, the foreign member is untouched unless somebody asked
    /// for its removal, nothing else is there.
    pub(crate) fn is_at_the_goal(&self, foreign: bool) -> bool {
        let foreign = foreign && !self.asked.contains(&FOREIGN);
        let seats = self.desired.iter().enumerate().all(|(at, desired)| {
            let machine = &self.machines[at];
            let Data::Member { id, .. } = machine.data else { return false };
            let listed = self.entry(id).is_some_and(|entry| entry.peer_url == desired.me().peer_url && !entry.learner);
            let marked = machine.mark.as_ref().is_some_and(|mark| mark.member_id.0 == id);
            listed && marked && machine.open && machine.file == Some(Start::settled(desired))
        });
        seats && self.list().len() == self.machines.len() + usize::from(foreign)
    }
}
