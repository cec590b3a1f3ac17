//! Members that are removed by name: while machines deploy, die and come back.

use pgstack_etcd::{Change, Desired, MemberId, Plan, Seat, Step, Target, plan_removal};

use super::{Arbiter, FOREIGN, World};

/// Who is to go: a machine's member, or the one that no machine of the topology is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Gone {
    Machine(usize),
    Foreign,
}

impl World {
    fn target(&self, gone: Gone) -> Target {
        match gone {
            Gone::Machine(at) => Target::Node(self.desired[at].me().node),
            Gone::Foreign => Target::Member(MemberId(FOREIGN)),
        }
    }

    /// Looks and plans, and checks what every such plan has to keep. The target may live or not:
    /// whoever wants it silent has seen to that before.
    fn look_for_removal(&self, from: usize, gone: Gone) -> Option<Plan> {
        if !self.machines[from].powered {
            return None;
        }
        let plan = plan_removal(self.target(gone), &self.desired[from], &self.observe(from)).ok()?;
        assert!(gone != Gone::Machine(from), "a machine removes itself:\n{plan}");
        assert!(plan.steps.len() <= 1, "more than one change:\n{plan}");
        for step in &plan.steps {
            let Step::Change(Change::Remove { id, .. }) = step else { unreachable!("{step}") };
            let rest: Vec<_> = self.list().iter().filter(|entry| entry.id != id.0).cloned().collect();
            assert!(self.live_majority(&rest), "without a live majority afterwards:\n{plan}{self}");
        }
        Some(plan)
    }

    fn carry_removal_out(&mut self, from: usize, gone: Gone, plan: &Plan) {
        for step in &plan.steps {
            let Step::Change(change) = step else { unreachable!("{step}") };
            if self.machines[from].powered {
                let _: Arbiter = self.arbitrate(from, change, Some(gone));
            }
        }
    }

    /// The first half of a removal, which may be all of it: a killed one.
    pub(crate) fn removal_begins(&mut self, from: usize, gone: Gone) {
        self.machines[from].removing = self.look_for_removal(from, gone).map(|plan| (gone, plan));
    }

    /// The second half, however much later: the world may have moved on.
    pub(crate) fn removal_ends(&mut self, from: usize) {
        if let Some((gone, plan)) = self.machines[from].removing.take() {
            self.carry_removal_out(from, gone, &plan);
        }
    }

    /// Look, plan, execute, until there is nothing left. Whether that came.
    pub(crate) fn remove(&mut self, from: usize, gone: Gone) -> bool {
        for _ in 0..3 {
            let Some(plan) = self.look_for_removal(from, gone) else { return false };
            if plan.steps.is_empty() {
                return true;
            }
            self.carry_removal_out(from, gone, &plan);
        }
        false
    }

    /// The last machine is taken out, dead or alive, and the others' topology forgets it.
    pub(crate) fn shrink(&mut self, dead: bool) {
        let last = self.machines.len() - 1;
        if dead {
            self.power_off(last);
        }
        for desired in &mut self.desired {
            *desired = desired.clone().allow_wiping(false);
        }
        assert!(self.remove(0, Gone::Machine(last)), "at the goal the last node can go: {self}");
        assert!(self.remove(1, Gone::Machine(last)), "for everybody it is gone: {self}");
        self.machines.pop();
        let seats: Vec<Seat> = self.desired[..last].iter().map(|desired| desired.me().clone()).collect();
        self.desired = seats.iter().map(|me| Desired::new(seats.clone(), me.node).expect("a seat")).collect();
    }
}
