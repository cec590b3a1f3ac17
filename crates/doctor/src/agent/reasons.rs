//! Why the agent has to be started anew: what it was started with is not what is there now.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The engine's socket, which is mounted as it was when the container started.
const SOCKET: &str = "/var/run/docker.sock";

/// Which file it is, and in which state.
type Version = (u64, u64, u64, i64, i64);

/// What the agent was started with.
#[derive(Debug)]
pub(super) struct Reasons {
    program: PathBuf,
    started: Option<Version>,
    /// What it was at the last look: a new one may not be complete yet.
    last: Option<Version>,
    socket: PathBuf,
}

impl Reasons {
    pub(super) fn new() -> Self {
        Self::with(std::env::current_exe().unwrap_or_default(), PathBuf::from(SOCKET))
    }

    fn with(program: PathBuf, socket: PathBuf) -> Self {
        let started = version(&program);
        Self { program, started, last: started, socket }
    }

    /// Looks again.
    pub(super) fn look(&mut self) -> Option<&'static str> {
        let now = version(&self.program);
        let is_new = now.is_some() && now != self.started && now == self.last;
        self.last = now;
        if is_new {
            return Some("its program was replaced: ends, so that the new one is started");
        }
        // an engine that was restarted has made its socket anew: this one is gone, and stays open for nobody
        let is_gone = fs::metadata(&self.socket).is_ok_and(|meta| meta.nlink() == 0);
        is_gone.then_some("the Docker engine was restarted: ends, so that it is started with the engine's new socket")
    }
}

fn version(path: &Path) -> Option<Version> {
    let of = |meta: Metadata| (meta.dev(), meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec());
    fs::metadata(path).ok().map(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_program_is_a_reason_once_it_is_complete_and_a_missing_one_is_none() {
        let dir = tempfile::tempdir().expect("a folder");
        let program = dir.path().join("agent");
        fs::write(&program, "1").expect("written");
        let mut reasons = Reasons::with(program.clone(), dir.path().join("no-socket"));
        assert_eq!(reasons.look(), None);
        fs::remove_file(&program).expect("removed");
        assert_eq!(reasons.look(), None);
        assert_eq!(reasons.look(), None);
        fs::write(&program, "22").expect("written");
        assert_eq!(reasons.look(), None, "it may not be complete");
        fs::write(&program, "333").expect("written");
        assert_eq!(reasons.look(), None, "it was not");
        assert!(reasons.look().is_some_and(|reason| reason.contains("program")));
    }
}
