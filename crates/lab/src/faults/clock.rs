//! A clock that is wrong. All machines share this host's clock, and a time namespace moves only the
//! monotonic one. So Patroni, PostgreSQL and the agent get theirs through libfaketime, which Compose's override
//! file brings into the container; time runs on, and only what it is called changes, as when an
//! operator or NTP sets a clock. etcd is one static program that asks the kernel itself: its clock
//! stays right (it uses the monotonic one for leases and elections anyway).

use crate::{LabError, Machine, STACK};

/// The folder on the machine that the container sees as well.
const FOLDER: &str = "/opt/faketime";
const OVERRIDE: &str = "docker-compose.override.yaml";

/// The cache's duration is what a change takes at most: one second.
const COMPOSE: &str = "services:\n  patroni: &own-clock\n    environment:\n      \
    LD_PRELOAD: /faketime/libfaketimeMT.so.1\n      \
    FAKETIME_TIMESTAMP_FILE: /faketime/offset\n      \
    FAKETIME_CACHE_DURATION: \"1\"\n      \
    FAKETIME_DONT_FAKE_MONOTONIC: \"1\"\n    \
    volumes:\n      - /opt/faketime:/faketime:ro\n  \
  agent: *own-clock\n";

impl Machine {
    /// Prepares the clock of Patroni, PostgreSQL and the agent; their containers are made anew. A second
    /// time does nothing.
    pub async fn own_clock(&self) -> Result<(), LabError> {
        let script = format!(
            "[ ! -e {FOLDER} ] || exit 0\n\
             library=$(ls /usr/lib/*/faketime/libfaketimeMT.so.1)\n\
             mkdir -p {FOLDER}; cp $library {FOLDER}/; echo +0 >{FOLDER}/offset\n\
             cd {STACK}\n\
             cat >{OVERRIDE} <<'YAML'\n{COMPOSE}YAML\n\
             docker compose up -d patroni agent >/dev/null 2>&1"
        );
        self.sh(&script).await.map(drop)
    }

    /// Sets the clock of Patroni, PostgreSQL and the agent off by so many seconds. See [`Machine::own_clock`].
    pub async fn clock(&self, seconds: i64) -> Result<(), LabError> {
        // replaced in one step, as it is read at any moment
        let script = format!("echo '{seconds:+}' >{FOLDER}/next; mv {FOLDER}/next {FOLDER}/offset");
        self.sh(&script).await.map(drop)
    }

    /// The clock is right, and without the library again; the containers are made anew.
    pub async fn plain_clock(&self) -> Result<(), LabError> {
        let script = format!(
            "[ -e {FOLDER} ] || exit 0\n\
             cd {STACK}; rm -rf {OVERRIDE} {FOLDER}; docker compose up -d patroni agent >/dev/null 2>&1"
        );
        self.sh(&script).await.map(drop)
    }
}
