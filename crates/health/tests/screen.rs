//! The screen at 80 characters: goldens, and no line wider than the screen, whatever the snapshot says.

mod sample;

use pgstack_health::{Fact, Finding, Look, Severity, Snapshot, changes, screen};
use pgstack_testing::golden::assert_golden;
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr as _;

fn golden(name: &str, (snapshot, findings): &(Snapshot, Vec<Finding>)) {
    for (colour, ending) in [(false, "txt"), (true, "ansi")] {
        let text = screen(snapshot, findings, Look { colour, width: 80 });
        assert_golden(&format!("screens/{name}.{ending}"), &text);
        for line in plain(&text).lines() {
            assert!(line.width() <= 80, "{line}");
        }
    }
}

/// Without ANSI's sequences.
fn plain(text: &str) -> String {
    let mut parts = text.split('\x1b');
    let first = parts.next().unwrap_or_default().to_owned();
    first + &parts.map(|part| part.split_once('m').expect("a colour").1).collect::<String>()
}

#[test]
fn the_screen_says_at_once_what_is_so() {
    golden("healthy-3", &(sample::healthy(3), Vec::new()));
    golden("healthy-6", &(sample::healthy(6), Vec::new()));
    golden("leader-off", &sample::leader_off());
    golden("all-unknown", &sample::all_unknown());
    golden("two-troubles", &sample::two_troubles());
    let mut without_vip = sample::healthy(6);
    without_vip.with_vip = false;
    without_vip.vip_answers = Fact::unknown("keepalived does not run here");
    for node in &mut without_vip.nodes {
        if let Fact::Known(local) = &mut node.local {
            local.holds_vip = false;
        }
    }
    golden("no-vip", &(without_vip, Vec::new()));
}

#[test]
fn colour_only_repeats_what_the_words_say() {
    for (snapshot, findings) in [sample::leader_off(), sample::two_troubles(), sample::all_unknown()] {
        let look = |colour| screen(&snapshot, &findings, Look { colour, width: 80 });
        assert_eq!(plain(&look(true)), look(false));
        assert!(!look(false).contains('\x1b'));
    }
}

#[test]
fn what_changed_is_told() {
    let before = sample::healthy(3);
    let (after, findings) = sample::leader_off();
    assert_eq!(
        changes((&before, &[]), (&after, &findings)),
        [
            "leader: node 1 → nobody",
            "survives: the loss of 1 more node → nothing: it is broken now",
            "node 1 does not answer any more",
            "node 2: PostgreSQL streaming → no stream",
            "node 3: PostgreSQL streaming → no stream",
            "new: PGS-030 nobody leads: PostgreSQL takes no writes",
            "new: PGS-001 node 1 does not answer",
        ]
    );
    assert_eq!(
        changes((&after, &findings), (&before, &[])).last().map(String::as_str),
        Some("gone: PGS-001 node 1 does not answer")
    );
    assert_eq!(changes((&after, &findings), (&after, &findings)), Vec::<String>::new());
    let mut moved = sample::healthy(3);
    for node in &mut moved.nodes {
        if let Fact::Known(local) = &mut node.local {
            local.holds_vip = node.id == sample::id(3);
        }
    }
    assert_eq!(changes((&before, &[]), (&moved, &[])), ["VIP: node 2 → node 3"]);
}

/// Any text a service could answer with.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z ]{0,40}", "\\PC{0,30}", "(.|\n|\x1b|\t){0,20}", "[漢字😀]{0,40}"]
}

prop_compose! {
    fn snapshot()(
        size in 3u8..=6,
        texts in prop::collection::vec(text(), 8),
        numbers in prop::collection::vec(any::<u64>(), 4),
        silent in prop::collection::vec(any::<bool>(), 6),
        with_vip in any::<bool>(),
        lag_s in prop::option::of(any::<f64>()),
        leader in prop::option::of(text()),
    ) -> Snapshot {
        let mut snapshot = sample::healthy(size);
        snapshot.with_vip = with_vip;
        snapshot.taken_at_ms = numbers[0];
        snapshot.took_ms = numbers[1];
        if silent[4] {
            snapshot.vip_answers = Fact::unknown(texts[0].clone());
        }
        if let Some(leader) = leader && let Fact::Known(dcs) = &mut snapshot.dcs {
            dcs.leader = silent[5].then_some(leader);
        }
        for (node, silent) in snapshot.nodes.iter_mut().zip(&silent) {
            if *silent {
                sample::silence(node, &texts[1]);
                node.reachable = numbers[2] % 2 == 0;
            }
        }
        for node in snapshot.nodes.iter_mut().skip(1) {
            if let Fact::Known(patroni) = &mut node.patroni {
                patroni.role.clone_from(&texts[2]);
                patroni.state.clone_from(&texts[3]);
                patroni.timeline = Some(numbers[3]);
                patroni.lag_bytes = Some(numbers[2]);
            }
            if numbers[0] % 3 == 0 {
                node.local = Fact::unknown(texts[4].clone());
            }
        }
        if let Fact::Known(postgres) = &mut snapshot.nodes[0].postgres {
            for standby in &mut postgres.standbys {
                standby.lag_bytes = numbers[1];
                standby.lag_s = lag_s;
            }
        }
        snapshot
    }
}

proptest! {
    #[test]
    fn no_line_is_wider_than_the_screen(
        snapshot in snapshot(), what in text(), width in 40usize..=140, colour in any::<bool>(),
    ) {
        let findings = [sample::finding("PGS-042", Severity::Warning, Some(2), &what)];
        let text = screen(&snapshot, &findings, Look { colour, width });
        for line in plain(&text).lines() {
            prop_assert!(line.width() <= width, "{} > {width}: {line}", line.width());
            prop_assert!(!line.contains(char::is_control), "{line:?}");
        }
    }
}
