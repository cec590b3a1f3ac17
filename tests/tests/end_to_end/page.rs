//! `status --serve` in a real browser: the page renews itself, and needs no script to be read.

use std::path::Path;
use std::time::Duration;

use pgstack_lab::{Lab, Machine, STACK};
use pgstack_tests::browser::{Page, chromium_or_skip};
use pgstack_tests::cluster::{all_streaming, eventually, leader, vip_holder, with_cluster};
use serde_json::json;

use crate::{LAB, PATRONICTL};

const TOKEN: &str = "a-token-for-the-tests-only";
/// One look takes up to three seconds, the page asks every two, and what it is shown may be five old.
const SOON: Duration = Duration::from_secs(30);

/// Starts the server there, and waits until it answers.
async fn serve(machine: &Machine) -> String {
    let start = format!(
        "pkill -xf '{STACK}/status --serve .*' || true; \
         PGSTACK_STATUS_TOKEN={TOKEN} setsid {STACK}/status --serve 0.0.0.0:8406 >/tmp/status.log 2>&1 </dev/null &"
    );
    machine.sh(&start).await.expect("started");
    let asked = "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8406/";
    eventually("the page is served", Duration::from_secs(10), async || {
        (machine.sh(asked).await.ok()? == "401").then_some(())
    })
    .await;
    let log = machine.sh("cat /tmp/status.log").await.expect("a log");
    assert!(log.contains("8406") && !log.contains(TOKEN), "{log}");
    format!("http://{}:8406/", machine.address())
}

async fn stop(machine: &Machine) {
    machine.sh(&format!("pkill -INT -xf '{STACK}/status --serve .*'")).await.expect("it still ran");
}

/// Who leads in the picture.
const LEADS: &str = "document.querySelector('svg.wide g.leads')?.dataset.node";
/// How many arrows are shown that stand for a stream.
const STREAMS: &str = "document.querySelectorAll('svg.wide .arrow.flows').length";

#[test]
fn the_page_shows_a_switchover_without_a_reload() {
    if !chromium_or_skip() {
        return;
    }
    with_cluster(LAB, 3, async |lab| {
        let machines = lab.machines().await.expect("machines");
        let url = serve(&machines[0]).await;
        let (old, owner) = (leader(lab).await, vip_holder(lab).await);
        let mut page = Page::open().await;
        page.look(1180, 1050, "light").await;
        page.go(&url).await;
        page.until("document.body?.textContent.includes('takes the token')", json!(true), SOON).await;
        page.go(&format!("{url}?token={TOKEN}")).await;
        page.until("location.href", json!(url), SOON).await;
        page.until(LEADS, json!(old.id().to_string()), SOON).await;
        page.until(STREAMS, json!(2), SOON).await;
        page.until("document.getElementById('verdict').className", json!("good"), SOON).await;
        let flag = "document.querySelector('svg.wide .flag')?.parentElement.dataset.node";
        assert_eq!(page.value(flag).await, json!(owner.id().to_string()));
        assert_eq!(page.value("document.cookie").await, json!(""), "scripts do not see the token");
        keep(&mut page, "page-healthy-light.png").await;
        page.look(1180, 1050, "dark").await;
        keep(&mut page, "page-healthy-dark.png").await;

        // what a reload would forget
        page.value("window.stays = 1; addEventListener('securitypolicyviolation', () => window.stays = 0)").await;
        let new = machines.iter().find(|machine| machine.id() != old.id()).expect("a replica");
        let switch = format!("{PATRONICTL} switchover --force --candidate patroni{}", new.id());
        old.sh(&switch).await.expect("switched over");
        page.until(LEADS, json!(new.id().to_string()), SOON).await;
        page.until(STREAMS, json!(2), SOON).await;
        assert_eq!(page.value("window.stays").await, json!(1), "the same document all the time");

        let lost = &machines[2];
        lost.power_off().await.expect("power off");
        page.until("!!document.querySelector('svg.wide g.silent[data-node=\"3\"]')", json!(true), SOON).await;
        assert_ne!(page.value("document.getElementById('verdict').className").await, json!("good"));
        page.look(1180, 1700, "dark").await;
        keep(&mut page, "page-broken-dark.png").await;
        page.look(1180, 1700, "light").await;
        keep(&mut page, "page-broken-light.png").await;
        page.look(390, 2600, "light").await;
        assert_eq!(page.value("getComputedStyle(document.querySelector('svg.wide')).display").await, json!("none"));
        let fits = "document.documentElement.scrollWidth <= innerWidth";
        assert_eq!(page.value(fits).await, json!(true), "a phone need not scroll sideways");
        keep(&mut page, "page-phone.png").await;
        lost.power_on().await.expect("power on");
        page.until("document.querySelectorAll('g.silent').length", json!(0), Duration::from_secs(90)).await;
        assert_eq!(page.value("window.stays").await, json!(1), "the same document all the time");

        stop(&machines[0]).await;
        page.until("document.body.classList.contains('lost')", json!(true), SOON).await;
        all_streaming(lab).await;
    });
}

#[test]
fn the_page_is_whole_and_renews_itself_without_any_script() {
    if !chromium_or_skip() {
        return;
    }
    with_cluster(LAB, 3, async |lab| {
        let machine = lab.machines().await.expect("machines")[1].clone();
        let url = serve(&machine).await;
        let mut page = Page::open().await;
        page.call("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
        page.go(&format!("{url}?token={TOKEN}")).await;
        page.until("location.href", json!(url), SOON).await;
        page.until(LEADS, json!(leader(lab).await.id().to_string()), SOON).await;
        let first = page.value("performance.timeOrigin").await;
        page.until(&format!("performance.timeOrigin > {first} && {STREAMS}"), json!(2), SOON).await;
        stop(&machine).await;
    });
}

/// Where `PGSTACK_PAGES` names a folder, pictures are kept there, to be looked at.
async fn keep(page: &mut Page, name: &str) {
    if let Some(folder) = std::env::var_os("PGSTACK_PAGES") {
        page.picture(&Path::new(&folder).join(name)).await;
    }
}

/// The metrics are those of the cluster that a client sees.
#[test]
fn prometheus_reads_what_the_page_shows() {
    with_cluster(LAB, 3, async |lab: &Lab| {
        let machine = lab.machines().await.expect("machines")[0].clone();
        serve(&machine).await;
        let asked = format!("curl -sf -H 'Authorization: Bearer {TOKEN}' http://127.0.0.1:8406/metrics");
        let leader = leader(lab).await.id();
        let series = format!("pgstack_leader{{node=\"{leader}\"}} 1");
        eventually("the leader is told", SOON, async || {
            machine.sh(&asked).await.ok()?.lines().any(|line| line == series).then_some(())
        })
        .await;
        stop(&machine).await;
    });
}
