//! What `doctor --fix` runs, and what it leaves to people.

use std::collections::{BTreeMap, BTreeSet};

use pgstack_topology::NodeId;

use crate::{Finding, Mend, Risk};

/// What brings a node to where its `.env` says: it comes after whatever mends one thing.
const DEPLOY: &str = "./deploy";

/// What is to be done about all findings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Run here, in this order.
    pub here: Vec<Job>,
    /// Left to a person: on another node, disturbing, deleting, by hand, or after such a step.
    pub left: Vec<Left>,
}

/// A command that is run on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The command, as it is typed in the stack directory.
    pub command: String,
    /// What it does.
    pub note: String,
    /// The codes of the findings that it mends, each once.
    pub codes: Vec<&'static str>,
    /// The places in [`Plan::here`] of those that must have worked before, as some finding has it.
    pub after: Vec<usize>,
}

/// A step that is left to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The step itself.
    pub mend: Mend,
    /// Why.
    pub why: Why,
    /// The codes of the findings that it mends, each once.
    pub codes: Vec<&'static str>,
}

/// Why a step is left to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Safe, but to be run on another node.
    OtherNode,
    /// It cuts clients off, deletes something, or is nothing to type.
    NotSafe,
    /// Safe and to be run here, but after a step that is left to a person.
    Later,
}

impl Mend {
    /// Whether it may be run on this node.
    fn is_for(&self, me: NodeId) -> bool {
        self.node.is_none_or(|node| node == me)
    }
}

/// Sorts the mends of all findings. `me` is this node.
///
/// A finding's mends are steps in their order: one that is left to a person leaves those behind it
/// to that person, too, unless another finding has the same command free.
pub fn plan(findings: &[Finding], me: NodeId) -> Plan {
    let mut graph = Graph::default();
    let mut left: Vec<Left> = Vec::new();
    // what disturbs for one finding's sake disturbs for every other's, too
    let mends = findings.iter().flat_map(|finding| &finding.mends).filter(|mend| mend.is_for(me));
    let disturbing: BTreeSet<&str> =
        mends.filter(|mend| mend.risk != Risk::Safe).map(|mend| mend.command.trim()).collect();
    for finding in findings {
        let (mut before, mut blocked) = (None, false);
        for mend in &finding.mends {
            let command = mend.command.trim();
            let why = if mend.risk != Risk::Safe || command.is_empty() || command.chars().any(char::is_control) {
                Why::NotSafe
            } else if !mend.is_for(me) {
                Why::OtherNode
            } else if disturbing.contains(command) {
                Why::NotSafe
            } else if blocked {
                Why::Later
            } else {
                before = Some(graph.add(mend, finding.code, before));
                continue;
            };
            blocked = true;
            leave(&mut left, mend, why, finding.code);
        }
    }
    // what runs here for another finding's sake is not left to anybody
    left.retain(|step| step.why != Why::Later || !graph.knows(&step.mend.command));
    Plan { here: graph.in_order(), left }
}

/// Whether one of the findings may yet go by what has been run on this node: a command was run for its code, and there
/// is still something to be run here for it.
pub fn is_settling(findings: &[Finding], me: NodeId, ran: &[Job]) -> bool {
    findings.iter().any(|finding| {
        let is_here = |mend: &Mend| mend.risk == Risk::Safe && mend.is_for(me);
        finding.mends.iter().any(is_here) && ran.iter().any(|job| job.codes.contains(&finding.code))
    })
}

fn leave(left: &mut Vec<Left>, mend: &Mend, why: Why, code: &'static str) {
    let same = |step: &&mut Left| {
        let is_same = (step.mend.node, &step.mend.command) == (mend.node, &mend.command);
        is_same && step.why == why && (!mend.command.is_empty() || step.mend.note == mend.note)
    };
    match left.iter_mut().find(same) {
        Some(step) if step.codes.contains(&code) => {}
        Some(step) => step.codes.push(code),
        None => left.push(Left { mend: mend.clone(), why, codes: vec![code] }),
    }
}

/// The commands, each once, and which of them comes before which.
#[derive(Default)]
struct Graph<'a> {
    jobs: Vec<(&'a str, &'a str, Vec<&'static str>)>,
    before: BTreeMap<usize, BTreeSet<usize>>,
}

impl<'a> Graph<'a> {
    fn add(&mut self, mend: &'a Mend, code: &'static str, before: Option<usize>) -> usize {
        let command = mend.command.trim();
        let at = self.jobs.iter().position(|(known, ..)| *known == command).unwrap_or_else(|| {
            self.jobs.push((command, &mend.note, Vec::new()));
            self.jobs.len() - 1
        });
        let codes = &mut self.jobs[at].2;
        if !codes.contains(&code) {
            codes.push(code);
        }
        if let Some(before) = before.filter(|before| *before != at) {
            self.before.entry(at).or_default().insert(before);
        }
        at
    }

    fn knows(&self, command: &str) -> bool {
        self.jobs.iter().any(|(known, ..)| *known == command.trim())
    }

    /// Whatever waits for nothing comes next, by the findings' order, but deploys last. Where two
    /// findings disagree about the order, the first one's counts.
    fn in_order(mut self) -> Vec<Job> {
        let mut places: BTreeMap<usize, usize> = BTreeMap::new();
        let mut order = Vec::new();
        while order.len() < self.jobs.len() {
            let open = || (0..self.jobs.len()).filter(|at| !places.contains_key(at));
            let is_free = |at: &usize| {
                let before = self.before.get(at).into_iter().flatten();
                before.into_iter().all(|before| places.contains_key(before))
            };
            let rank = |at: &usize| (self.jobs[*at].0.starts_with(DEPLOY), *at);
            let next = open().filter(is_free).min_by_key(rank).or_else(|| open().min_by_key(rank));
            let Some(next) = next else { break };
            places.insert(next, order.len());
            order.push(next);
        }
        let mut jobs = Vec::new();
        for (place, at) in order.into_iter().enumerate() {
            let before = self.before.get(&at).into_iter().flatten();
            let after = before.filter_map(|before| places.get(before)).copied().filter(|at| *at < place).collect();
            let (command, note, codes) = &mut self.jobs[at];
            let (command, note) = ((*command).to_owned(), (*note).to_owned());
            jobs.push(Job { command, note, codes: std::mem::take(codes), after });
        }
        jobs
    }
}

#[cfg(test)]
mod tests;
