//! What is wrong in a snapshot. Each file below looks at one area and says everything that it finds;
//! [`explained`] then takes out what follows from something else.
//!
//! Two rules hold for all: what is not known is never a trouble by itself (but for the codes 001 to 004,
//! which are about not knowing), and it does not matter which node asked.

mod containers;
mod door;
mod etcd;
mod explained;
mod files;
pub(crate) mod machine;
mod nodes;
mod patroni;
mod postgres;
mod proxies;
mod replicas;
mod scene;
mod trouble;
mod vip;

use std::cmp::Reverse;

use scene::Scene;
use trouble::Trouble;

use crate::{Finding, Snapshot};

/// Everything that is wrong, the worst first.
pub fn examine(snapshot: &Snapshot) -> Vec<Finding> {
    let scene = Scene::new(snapshot);
    let troubles = trouble::merge(explained::causes(&scene, everything(&scene)));
    let mut findings: Vec<Finding> = troubles.into_iter().map(|trouble| trouble.finding).collect();
    findings.sort_by(|left, right| {
        let key = |finding: &Finding| (Reverse(finding.severity), finding.code, finding.node);
        key(left).cmp(&key(right)).then_with(|| left.what.cmp(&right.what))
    });
    findings
}

fn everything(scene: &Scene<'_>) -> Vec<Trouble> {
    let areas = [
        nodes::examine,
        containers::examine,
        etcd::examine,
        patroni::examine,
        postgres::examine,
        replicas::examine,
        proxies::examine,
        vip::examine,
        files::examine,
        door::examine,
        machine::examine,
    ];
    areas.iter().flat_map(|area| area(scene)).collect()
}
