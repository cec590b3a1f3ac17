//! A disk that is full. The data directory moves to a small file system of its own (tmpfs: there
//! are no loop devices inside a container), which a file then fills to the last byte.

use crate::{LabError, Machine, STACK};

/// The file that fills the disk.
const BALLAST: &str = "/opt/patroni-stack/data/pg/ballast";
/// What the small disk has beside the data, MB.
const ROOM: u32 = 192;

impl Machine {
    /// Moves PostgreSQL's data to a small disk; its container is restarted. A second time does nothing.
    pub async fn small_disk(&self) -> Result<(), LabError> {
        let script = format!(
            "cd {STACK}/data\n\
             ! mountpoint -q pg || exit 0\n\
             docker stop patroni >/dev/null\n\
             mkdir -p small\n\
             mount -t tmpfs -o size=$(( $(du -sm pg | cut -f1) + {ROOM} ))m none small\n\
             cp -a pg/. small/\n\
             chown --reference=pg small; chmod --reference=pg small\n\
             mount --bind small pg; umount small\n\
             rmdir small\n\
             docker start patroni >/dev/null"
        );
        self.sh(&script).await.map(drop)
    }

    /// Not a byte is left where PostgreSQL writes. Its data must be on a small disk.
    pub async fn fill_disk(&self) -> Result<(), LabError> {
        let script = format!(
            "mountpoint -q {STACK}/data/pg\n\
             dd if=/dev/zero of={BALLAST} bs=64k status=none 2>/dev/null || true\n\
             [ \"$(stat -f -c %a {STACK}/data/pg)\" -lt 16 ]"
        );
        self.sh(&script).await.map(drop)
    }

    /// There is room again, as after an operator has deleted something.
    pub async fn free_disk(&self) -> Result<(), LabError> {
        self.sh(&format!("rm -f {BALLAST}")).await.map(drop)
    }

    /// Moves the data back to the machine's own disk; PostgreSQL's container is restarted.
    pub async fn large_disk(&self) -> Result<(), LabError> {
        let script = format!(
            "mountpoint -q {STACK}/data/pg || exit 0\n\
             cd {STACK}/data\n\
             docker stop patroni >/dev/null\n\
             rm -f {BALLAST}; rm -rf back; mkdir back\n\
             cp -a pg/. back/; chown --reference=pg back; chmod --reference=pg back\n\
             umount pg\n\
             rm -rf pg; mv back pg\n\
             docker start patroni >/dev/null"
        );
        self.sh(&script).await.map(drop)
    }
}
