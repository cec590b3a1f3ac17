//! The page: whatever services answer, it stays text.
#![expect(clippy::disallowed_methods, reason = "tests read their fixtures; the library itself is pure")]

mod sample;

use pgstack_health::{Fact, Severity, page, parts};

#[test]
fn whatever_a_service_answers_stays_text_in_the_page() {
    let evil = "</title><script>alert(1)</script>\"'&";
    let mut snapshot = sample::healthy(3);
    if let Fact::Known(patroni) = &mut snapshot.nodes[1].patroni {
        evil.clone_into(&mut patroni.role);
        evil.clone_into(&mut patroni.state);
    }
    snapshot.nodes[2].etcd = Fact::unknown(evil);
    let findings = [sample::finding("PGS-001", Severity::Critical, Some(1), evil)];
    let html = page(&snapshot, &findings, "nonce1").expect("a page");
    assert!(html.matches("alert(1)").count() >= 4, "it is shown");
    assert!(!html.contains("<script>") && !html.contains("</title><script"), "and stays text");
    assert_eq!(html.matches("<script").count(), 1);
    assert_eq!(html.matches("nonce=\"nonce1\"").count(), 2, "the script and the style");
}

#[test]
fn the_page_needs_nothing_from_elsewhere_and_tells_the_picture_in_words() {
    let (snapshot, findings) = sample::two_troubles();
    let html = page(&snapshot, &findings, "n").expect("a page");
    for foreign in ["http://", "https://", " src=", "@import", "style=\"", "onclick", "onload"] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    for words in [
        "Node 1 leads. Node 2 streams from the leader, 0 B behind, and owns the VIP. Node 3 does not stream.",
        "PGS-063",
        "RESUME",
        "3 of 3 voters serve, 2 are needed",
        "<b>&amp; why</b>".replace('<', "&#60;").replace('>', "&#62;").replace("&amp;", "&#38;").as_str(),
        "<meta http-equiv=\"refresh\"",
        "role=\"img\"",
    ] {
        assert!(html.contains(words), "{words}");
    }
    assert!(html.contains(&parts(&snapshot, &findings).expect("parts")), "the script gets what the page was made of");
}

/// Where `PGSTACK_PAGES` names a folder, the sample pages are written there, to be looked at.
#[test]
fn every_sample_has_a_page() {
    let samples = [
        ("healthy-3", (sample::healthy(3), Vec::new())),
        ("healthy-6", (sample::healthy(6), Vec::new())),
        ("leader-off", sample::leader_off()),
        ("all-unknown", sample::all_unknown()),
        ("two-troubles", sample::two_troubles()),
    ];
    for (name, (snapshot, findings)) in samples {
        let html = page(&snapshot, &findings, "n").expect("a page");
        assert!(html.ends_with("</html>"), "{name}");
        if let Some(folder) = std::env::var_os("PGSTACK_PAGES") {
            std::fs::write(std::path::Path::new(&folder).join(format!("{name}.html")), html).expect("written");
        }
    }
}
