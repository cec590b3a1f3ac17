//! 090, 091: clocks and disks.

use super::scene::Scene;
use super::trouble::Trouble;
use crate::{Disk, Local, Node, Severity, code};

const OFF_MS: i64 = 500;
const FAR_OFF_MS: i64 = 5_000;
const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

pub(super) fn examine(scene: &Scene<'_>) -> Vec<Trouble> {
    let mut troubles = clocks(scene);
    troubles.extend(scene.locals().filter_map(|(node, local)| disks(node, local)));
    troubles
}

/// Most clocks are right: the one in the middle is, whoever asked.
fn clocks(scene: &Scene<'_>) -> Vec<Trouble> {
    let mut offsets: Vec<(i64, &Node)> = scene
        .living()
        .filter_map(|node| {
            let offset = node.clock_offset_ms.known().copied();
            Some((if node.id == scene.snapshot.from { offset.unwrap_or(0) } else { offset? }, node))
        })
        .collect();
    offsets.sort_by_key(|(offset, node)| (*offset, node.id));
    let (Some(&(first, _)), Some(&(last, _))) = (offsets.first(), offsets.last()) else { return Vec::new() };
    let mends = |trouble: Trouble, node: Option<&Node>| {
        trouble
            .because("no time service runs there, or it reaches no server; leases and logs depend on clocks that agree")
            .by_hand(
                node.map(|node| node.id),
                "`timedatectl` shows whether it is synchronised; `timedatectl set-ntp true` switches it on",
            )
            .by_hand(
                node.map(|node| node.id),
                "with chrony: `chronyc tracking`, and `chronyc makestep` sets the clock at once",
            )
    };
    let severity = |off: i64| if off > FAR_OFF_MS { Severity::Critical } else { Severity::Warning };
    if offsets.len() == 2 {
        let apart = last.saturating_sub(first);
        return (apart > OFF_MS)
            .then(|| {
                let ids: Vec<_> = offsets.iter().map(|(_, node)| node.id).collect();
                let what = format!("the clocks of {} are {apart} ms apart", super::trouble::nodes(&ids));
                let trouble = Trouble::cluster(code::CLOCK, severity(apart), what).about(ids);
                mends(trouble.seen(format!("agents: their clocks differ by {apart} ms")), None)
            })
            .into_iter()
            .collect();
    }
    let middle = offsets[offsets.len() / 2].0;
    let off = offsets.iter().filter(|(offset, _)| offset.abs_diff(middle) > OFF_MS.unsigned_abs());
    off.map(|(offset, node)| {
        let off = offset.saturating_sub(middle);
        let way = if off < 0 { "behind" } else { "ahead" };
        let apart = off.saturating_abs();
        let id = node.id;
        let what = format!("the clock of node {id} is {apart} ms {way} of the others'");
        mends(
            Trouble::of(code::CLOCK, severity(apart), id, what)
                .seen(format!("agent on node {id}: its clock is {apart} ms {way} of the middle of all")),
            Some(node),
        )
    })
    .collect()
}

/// How bad it is that no more is free. A share alone would cry wolf on large disks: there 10 GiB take what a slot
/// may hold by default, and more.
pub(crate) fn level(disk: &Disk) -> Option<Severity> {
    let Disk { size, free, .. } = *disk;
    let less_than = |percent: u128, room: u64| u128::from(free) * 100 < u128::from(size) * percent && free < room;
    if size == 0 {
        None
    } else if free < 256 * MIB || less_than(3, 3 * GIB) {
        Some(Severity::Critical)
    } else if free < GIB || less_than(10, 10 * GIB) {
        Some(Severity::Warning)
    } else {
        None
    }
}

fn disks(node: &Node, local: &Local) -> Option<Trouble> {
    let id = node.id;
    let near = local.disks.iter().filter(|disk| level(disk).is_some());
    let lines: Vec<String> = near
        .map(|disk| {
            format!("agent on node {id}: {}: {} MiB of {} MiB free", disk.path, disk.free / MIB, disk.size / MIB)
        })
        .collect();
    let worst = local.disks.iter().filter_map(level).max()?;
    let what = format!("the disk of node {id} is nearly full");
    Some(
        Trouble::of(code::DISK, worst, id, what)
            .seen_all(lines)
            .because("data, WAL, old copies (data/pg.TIME, data/etcd.TIME) or something else on that machine grew")
            .by_hand(id, "`du -xsh data/*` and `docker system df`: what is big?")
            .by_hand(id, "old copies that nobody needs any more may be deleted: data/pg.TIME, data/etcd.TIME; never anything in data/pg")
            .by_hand(None, "WAL that a slot holds: see PGS-044"),
    )
}
