//! The stack directory as an operator has it: the binaries where the scripts were, also under
//! their old `.sh` names.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::LabError;

/// Each binary and the folder of the stack directory that it belongs in.
pub const BINARIES: [(&str, &str); 18] = [
    ("deploy", ""),
    ("clean", ""),
    ("status", ""),
    ("doctor", ""),
    ("agent", "scripts"),
    ("bootstrap", "scripts"),
    ("gen-patroni", "scripts"),
    ("gen-haproxy", "scripts"),
    ("gen-keepalived", "scripts"),
    ("gen-pgbouncer", "scripts"),
    ("gen-compose", "scripts"),
    ("build-etcd-initial-cluster", "scripts"),
    ("switchover", "scripts"),
    ("remove-node", "scripts"),
    ("reclone", "scripts"),
    ("reset-etcd-node1", "scripts"),
    ("clear-etcd-patroni-members", "scripts"),
    ("fix-patroni-connect-address", "scripts"),
];

pub(crate) const ENV_EXAMPLE: &str = include_str!("../../../.env.example");

/// Where a binary and its old name lie: `scripts/bootstrap`, `scripts/bootstrap.sh`.
pub(crate) fn places(name: &str, folder: &str) -> (PathBuf, PathBuf) {
    let folder = Path::new(folder);
    (folder.join(name), folder.join(format!("{name}.sh")))
}

/// Lays a stack directory out in `to` with the binaries that lie in `from`. What is in `to`
/// already and does not belong to the layout stays; an existing `.env` is never touched.
pub fn install(from: &Path, to: &Path) -> Result<(), LabError> {
    for (name, folder) in BINARIES {
        let source = from.join(name);
        if !source.is_file() {
            return Err(LabError::NoBinary { path: source });
        }
        let (program, old_name) = places(name, folder);
        let (program, old_name) = (to.join(program), to.join(old_name));
        let parent = program.parent().unwrap_or(to);
        fs::create_dir_all(parent).map_err(LabError::file(parent))?;
        // a running program cannot be overwritten, but it can be replaced
        let fresh = program.with_extension("new");
        fs::copy(&source, &fresh).map_err(LabError::file(&fresh))?;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).map_err(LabError::file(&fresh))?;
        fs::rename(&fresh, &program).map_err(LabError::file(&program))?;
        if fs::symlink_metadata(&old_name).is_ok() {
            fs::remove_file(&old_name).map_err(LabError::file(&old_name))?;
        }
        symlink(name, &old_name).map_err(LabError::file(&old_name))?;
    }
    let example = to.join(".env.example");
    fs::write(&example, ENV_EXAMPLE).map_err(LabError::file(&example))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_lies_where_its_script_was_under_both_names() {
        let (from, to) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        for (name, _) in BINARIES {
            fs::write(from.path().join(name), name).expect("a file");
        }
        fs::write(to.path().join(".env"), "mine").expect("a file");
        for _ in 0..2 {
            install(from.path(), to.path()).expect("installed");
            assert_eq!(fs::read_to_string(to.path().join("deploy.sh")).expect("a file"), "deploy");
            assert_eq!(fs::read_to_string(to.path().join("scripts/gen-haproxy.sh")).expect("a file"), "gen-haproxy");
            assert_eq!(fs::read_to_string(to.path().join(".env")).expect("a file"), "mine");
            assert!(to.path().join(".env.example").is_file());
        }
    }
}
