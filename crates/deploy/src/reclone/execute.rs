//! Carrying a plan out. No decisions here but one: whether the plan still holds.

use std::fs;
use std::io;

use pgstack_containers::Service;
use pgstack_topology::NodeId;
use pgstack_workdir::{Change, Pending, WorkdirError};

use super::error::RecloneError;
use super::local::{self, MARK, PG_HOME};
use super::observe::observe;
use super::plan::{Plan, Step, plan};
use super::wait;
use crate::DeployError;
use crate::bytes::Bytes;
use crate::deploy::door;
use crate::files::PG_DATA;
use crate::site::Site;

/// Patroni's files and the one that starts it, beside those on disk.
pub(super) fn files(site: &Site<'_>) -> Result<Vec<Pending>, DeployError> {
    let mut files = pgstack_compose::render(&site.env)?;
    files.extend(pgstack_patroni::render(&site.env)?);
    Ok(site.stack.compare(files)?)
}

/// Carries the plan out; `delete` as it was planned with.
pub(super) async fn execute(site: &Site<'_>, goal: &Plan, delete: bool) -> Result<(), DeployError> {
    let mut leader = goal.source.leader.id();
    for step in &goal.steps {
        match step {
            Step::Stop => {
                door::admit(site).await?;
                write(site)?;
                stop(site, goal, delete).await?;
            }
            Step::MoveAside { .. } => {
                let kept = site.stack.move_aside(PG_DATA)?;
                site.console.note(&format!("✓ the old data is kept in {}", kept.display()));
            }
            Step::Delete { .. } => {
                site.console.begin("the old data");
                site.stack.empty_folder(PG_DATA)?;
                site.console.end("deleted");
            }
            Step::DeleteCopy { .. } => site.stack.empty_folder(PG_HOME)?,
            Step::Prepare => prepare(site)?,
            Step::Start => site.compose.up_only(Service::Patroni, false).await?,
            Step::Await(source) => {
                leader = wait::streams(site, *source).await?;
                site.stack.remove_file(MARK)?;
            }
            Step::Finish => site.stack.remove_file(MARK)?,
        }
    }
    summary(site, leader)
}

fn write(site: &Site<'_>) -> Result<(), DeployError> {
    let files = files(site)?;
    site.stack.write(&files)?;
    for item in files.iter().filter(|item| item.change != Change::None) {
        site.console.note(&format!("  wrote {}", item.file.path));
    }
    Ok(())
}

/// From here on this node is no candidate, so what is seen now holds: a leader that died while a
/// person was thinking, or just now, is found out before its best replica is given up.
async fn stop(site: &Site<'_>, goal: &Plan, delete: bool) -> Result<(), DeployError> {
    let ran = site.engine.inspect(Service::Patroni.name()).await?;
    let ran = ran.is_some_and(|state| state.running || state.status == "restarting");
    site.console.begin("Patroni on this node");
    site.compose.stop(Service::Patroni).await?;
    site.console.end("stopped");
    let error = match observe(site).await {
        Ok(seen) => match plan(&seen, delete) {
            Ok(now) if is_like(&now, goal) => return Ok(()),
            Ok(_) => RecloneError::Changed.into(),
            Err(refusal) => refusal.into(),
        },
        Err(error) => error,
    };
    if ran {
        site.compose.up_only(Service::Patroni, false).await?;
    }
    Err(error)
}

fn is_like(now: &Plan, goal: &Plan) -> bool {
    now.steps.len() == goal.steps.len() && now.steps.iter().zip(&goal.steps).all(|(now, goal)| now.is_like(goal))
}

/// The mark comes before Patroni: whatever lies there from now on is a copy.
fn prepare(site: &Site<'_>) -> Result<(), DeployError> {
    site.stack.renew_folder(PG_DATA)?;
    let home = site.stack.path(PG_HOME);
    // an empty one of another owner would be in Patroni's way
    match fs::remove_dir(&home) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            return Err(WorkdirError::Write { path: home, source }.into());
        }
        _ => {}
    }
    Ok(site.stack.leave_mark(MARK)?)
}

fn summary(site: &Site<'_>, leader: NodeId) -> Result<(), DeployError> {
    site.console.out(&format!("node {} streams from node {leader}", site.env.local.me().id()));
    for (path, size) in local::inspect(site.stack)?.kept {
        site.console.out(&format!(
            "old data kept in {path} ({}); once nobody needs it: rm -rf {}",
            Bytes(size),
            quoted(&path)
        ));
    }
    Ok(())
}

/// For a shell, whatever the path holds.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if path.chars().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_to_be_deleted_is_one_word_to_a_shell() {
        for (path, word) in [
            ("/opt/patroni-stack/data/pg.17", "/opt/patroni-stack/data/pg.17"),
            ("/opt/my stack/pg.17", "'/opt/my stack/pg.17'"),
            ("/opt/it's/pg.17", r"'/opt/it'\''s/pg.17'"),
        ] {
            assert_eq!(quoted(path), word);
        }
    }
}
