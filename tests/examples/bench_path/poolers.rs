//! Several PgBouncers behind one port, in the container of the one that is there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pgstack_lab::{Machine, STACK};
use pgstack_tests::bench::pooler::{several, socket_folder};
use pgstack_tests::cluster::eventually;

fn ini() -> PathBuf {
    Path::new(STACK).join("pgbouncer/pgbouncer.ini")
}

/// Starts them; the settings as they were.
pub(crate) async fn begin(machine: &Machine, of: u32) -> String {
    let original = machine.read(&ini()).await.expect("a generated file");
    restart(machine, &several(&original, 1, of)).await;
    for id in 2..=of {
        let folder = socket_folder(id);
        let write = format!("docker exec -i pgbouncer sh -c 'mkdir -p {folder} && cat >{folder}/pgbouncer.ini'");
        machine.sh(&here(&write, &several(&original, id, of))).await.expect("settings for one more");
        machine.sh(&format!("docker exec -d pgbouncer pgbouncer {folder}/pgbouncer.ini")).await.expect("one more");
    }
    eventually("all of them run and listen", Duration::from_secs(10), async || {
        for id in 1..=of {
            machine
                .sh(&format!(
                    "docker exec pgbouncer psql -h {} -p 6432 -U pgbouncer pgbouncer -Atc 'SHOW VERSION'",
                    socket_folder(id)
                ))
                .await
                .ok()?;
        }
        Some(())
    })
    .await;
    original
}

/// One again.
pub(crate) async fn end(machine: &Machine, original: &str) {
    restart(machine, original).await;
}

async fn restart(machine: &Machine, settings: &str) {
    machine.sh(&here(&format!("cat >{}", ini().display()), settings)).await.expect("settings");
    machine.sh("docker restart pgbouncer >/dev/null").await.expect("restarted");
}

/// A command that reads a text.
fn here(command: &str, text: &str) -> String {
    let end = "END-OF-THE-SETTINGS";
    format!("{command} <<'{end}'\n{}\n{end}\n", text.trim_end())
}
