//! A finding in the making, with what is needed to tell causes from consequences.

use pgstack_topology::NodeId;

use crate::{Finding, Mend, Risk, Severity};

/// A finding in the making.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    pub(super) finding: Finding,
    /// The nodes that it is about, which decide what explains it.
    pub(super) about: Vec<NodeId>,
    /// The services that it is about.
    pub(super) services: Vec<String>,
    /// What several of these are told as, in one finding: `settings wait for a restart`.
    pub(super) several: Option<&'static str>,
}

impl Trouble {
    /// Something that is wrong with a node.
    pub(super) fn of(code: &'static str, severity: Severity, node: NodeId, what: impl Into<String>) -> Self {
        let mut trouble = Self::cluster(code, severity, what);
        trouble.finding.node = Some(node);
        trouble.about.push(node);
        trouble
    }

    /// Something that is wrong with the cluster.
    pub(super) fn cluster(code: &'static str, severity: Severity, what: impl Into<String>) -> Self {
        let finding = Finding {
            code,
            severity,
            node: None,
            what: what.into(),
            evidence: Vec::new(),
            cause: String::new(),
            mends: Vec::new(),
        };
        Self { finding, about: Vec::new(), services: Vec::new(), several: None }
    }

    pub(super) fn seen(mut self, line: impl Into<String>) -> Self {
        self.finding.evidence.push(line.into());
        self
    }

    pub(super) fn seen_all(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.finding.evidence.extend(lines);
        self
    }

    pub(super) fn because(mut self, cause: impl Into<String>) -> Self {
        self.finding.cause = cause.into();
        self
    }

    pub(super) fn about(mut self, nodes: impl IntoIterator<Item = NodeId>) -> Self {
        self.about.extend(nodes);
        self
    }

    pub(super) fn service(mut self, service: &str) -> Self {
        self.services.push(service.to_owned());
        self
    }

    pub(super) fn several(mut self, what: &'static str) -> Self {
        self.several = Some(what);
        self
    }

    /// A command on a node; `None`: on any.
    pub(super) fn mend(
        mut self,
        node: impl Into<Option<NodeId>>,
        risk: Risk,
        command: impl Into<String>,
        words: impl Into<String>,
    ) -> Self {
        self.finding.mends.push(Mend { node: node.into(), command: command.into(), note: words.into(), risk });
        self
    }

    pub(super) fn safe(
        self,
        node: impl Into<Option<NodeId>>,
        command: impl Into<String>,
        words: impl Into<String>,
    ) -> Self {
        self.mend(node, Risk::Safe, command, words)
    }

    /// Something that only a person can do.
    pub(super) fn by_hand(self, node: impl Into<Option<NodeId>>, words: impl Into<String>) -> Self {
        self.mend(node, Risk::Manual, "", words)
    }
}

/// Several troubles of one code that are told as one.
pub(super) fn merge(troubles: Vec<Trouble>) -> Vec<Trouble> {
    let mut merged: Vec<Trouble> = Vec::new();
    for trouble in troubles {
        let same = |other: &&mut Trouble| {
            trouble.several.is_some() && other.finding.code == trouble.finding.code && other.several == trouble.several
        };
        let Some(first) = merged.iter_mut().find(same) else {
            merged.push(trouble);
            continue;
        };
        first.finding.severity = first.finding.severity.max(trouble.finding.severity);
        first.finding.node = None;
        first.about.extend(trouble.about);
        for line in trouble.finding.evidence {
            if !first.finding.evidence.contains(&line) {
                first.finding.evidence.push(line);
            }
        }
        for mend in trouble.finding.mends {
            if !first.finding.mends.contains(&mend) {
                first.finding.mends.push(mend);
            }
        }
        first.about.sort();
        first.about.dedup();
        if let Some(several) = first.several.filter(|_| first.about.len() > 1) {
            first.finding.what = format!("{several} ({})", nodes(&first.about));
        }
    }
    merged
}

/// `node 1`, `nodes 1, 2`.
pub(super) fn nodes(ids: &[NodeId]) -> String {
    let list: Vec<String> = ids.iter().map(ToString::to_string).collect();
    format!("node{} {}", if list.len() == 1 { "" } else { "s" }, list.join(", "))
}
