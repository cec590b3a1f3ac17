//! This node's PostgreSQL data: is there any, whose is it, is it merely an unfinished copy?

use std::fs::File;
use std::io::Read as _;

use pgstack_workdir::{StackDir, WorkdirError};

use crate::files::PG_DATA;

/// Says that whatever lies in `data/pg/data` was copied from a leader by a `reclone` that has not
/// yet seen it stream. It lies in the folder that it speaks of, and goes wherever that goes.
pub(super) const MARK: &str = "data/pg/.reclone";
/// Where Patroni has PostgreSQL's data, relative to the stack directory.
pub(super) const PG_HOME: &str = "data/pg/data";
/// The write-ahead log in it.
pub(super) const PG_WAL: &str = "data/pg/data/pg_wal";
/// The postmaster writes it when it starts, and base backups leave it out.
const RAN: &str = "data/pg/data/postmaster.opts";
/// Where PostgreSQL keeps its identifier, in this layout and in an older one.
const CONTROLS: [&str; 2] = ["data/pg/data/global/pg_control", "data/pg/global/pg_control"];
/// No data: the mark itself, and what the file system makes on a disk of its own.
const NOT_DATA: [&str; 2] = [".reclone", "lost+found"];

/// This node's data and its disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Local {
    pub(super) data: Data,
    /// An earlier `reclone` has begun a copy here.
    pub(super) marked: bool,
    /// The system identifier of the data, where it can be read.
    pub(super) identity: Option<String>,
    /// What lies in `data/pg`, each with its size.
    pub(super) entries: Vec<(String, u64)>,
    /// `data/pg` cannot be moved: a link, or a disk of its own.
    pub(super) apart: bool,
    /// The bytes that may still be written.
    pub(super) room: u64,
    /// What earlier runs have moved aside, with its size.
    pub(super) kept: Vec<(String, u64)>,
}

/// What lies in `data/pg`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    /// Nothing.
    None,
    /// A copy that an earlier `reclone` began. No PostgreSQL has run on it, so nothing is in it that
    /// the leader does not have.
    Copy,
    /// Data on which PostgreSQL may have run, or that somebody else put there.
    Old,
}

impl Local {
    /// The size of all that lies there.
    pub(super) fn size(&self) -> u64 {
        self.entries.iter().map(|(_, size)| size).sum()
    }
}

pub(super) fn inspect(stack: &StackDir) -> Result<Local, WorkdirError> {
    let path = stack.path(PG_DATA);
    if path.symlink_metadata().is_ok() && !path.is_dir() {
        return Err(WorkdirError::NoFolder { path });
    }
    let marked = stack.path(MARK).exists();
    let mut entries = Vec::new();
    for name in stack.names_in(PG_DATA)?.into_iter().filter(|name| !NOT_DATA.contains(&name.as_str())) {
        let inner = format!("{PG_DATA}/{name}");
        let size = if stack.path(&inner).is_dir() {
            stack.size_of(&inner)?
        } else {
            stack.path(&inner).symlink_metadata().map_or(0, |meta| meta.len())
        };
        entries.push((name, size));
    }
    let only_data = matches!(entries.as_slice(), [(name, _)] if name == "data");
    let data = if entries.is_empty() || (only_data && stack.names_in(PG_HOME)?.is_empty()) {
        Data::None
    } else if marked && only_data && !stack.path(RAN).exists() {
        Data::Copy
    } else {
        Data::Old
    };
    let mut kept = Vec::new();
    for path in stack.kept_aside(PG_DATA) {
        let name = path.strip_prefix(stack.root()).unwrap_or(&path).to_string_lossy().into_owned();
        let size = stack.size_of(&name)?;
        kept.push((path.display().to_string(), size));
    }
    let (identity, apart, room) = (identity(stack), stack.is_apart(PG_DATA), stack.free_room(PG_DATA)?);
    Ok(Local { data, marked, identity, entries, apart, room, kept })
}

/// The system identifier is the first thing in `pg_control`.
fn identity(stack: &StackDir) -> Option<String> {
    let control = CONTROLS.into_iter().find_map(|control| File::open(stack.path(control)).ok());
    let mut head = [0; 8];
    control?.read_exact(&mut head).ok()?;
    Some(u64::from_ne_bytes(head).to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn look(made: impl FnOnce(&StackDir)) -> Local {
        let dir = tempfile::tempdir().expect("a folder");
        let stack = StackDir::open(dir.path()).expect("a stack");
        made(&stack);
        inspect(&stack).expect("looked at")
    }

    fn put(stack: &StackDir, path: &str) {
        let path = stack.path(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, "x").expect("a file");
    }

    #[test]
    fn no_folder_an_empty_one_and_one_with_nothing_but_marks_hold_no_data() {
        assert_eq!(look(|_| {}).data, Data::None);
        assert_eq!(look(|stack| fs::create_dir_all(stack.path("data/pg")).expect("a folder")).data, Data::None);
        let marked = look(|stack| {
            put(stack, MARK);
            fs::create_dir_all(stack.path("data/pg/data")).expect("a folder");
            fs::create_dir_all(stack.path("data/pg/lost+found")).expect("a folder");
        });
        assert_eq!((marked.data, marked.marked), (Data::None, true));
    }

    #[test]
    fn only_what_a_reclone_began_and_no_postgresql_has_run_on_is_an_unfinished_copy() {
        let begun = |stack: &StackDir| {
            put(stack, MARK);
            put(stack, "data/pg/data/PG_VERSION");
        };
        assert_eq!(look(begun).data, Data::Copy);
        assert_eq!(look(|stack| put(stack, "data/pg/data/PG_VERSION")).data, Data::Old, "no reclone began it");
        let ran = look(|stack| {
            begun(stack);
            put(stack, RAN);
        });
        assert_eq!((ran.data, ran.marked), (Data::Old, true), "PostgreSQL has run on it");
        let beside = look(|stack| {
            begun(stack);
            put(stack, "data/pg/backup.tar");
        });
        assert_eq!(beside.data, Data::Old, "somebody put something beside it");
    }

    #[test]
    fn the_layout_of_an_older_version_is_data() {
        let old = look(|stack| {
            put(stack, "data/pg/PG_VERSION");
            put(stack, "data/pg/base/1/1259");
        });
        assert_eq!(old.data, Data::Old);
        assert_eq!(old.entries, [("PG_VERSION".to_owned(), 1), ("base".to_owned(), 1)]);
        assert_eq!((old.size(), old.identity), (2, None));
        let identified = look(|stack| {
            put(stack, "data/pg/global/pg_control");
            let bytes = [7_576_000_000_000_000_001_u64.to_ne_bytes(), [0; 8]].concat();
            fs::write(stack.path("data/pg/global/pg_control"), bytes).expect("a file");
        });
        assert_eq!(identified.identity.as_deref(), Some("7576000000000000001"));
    }

    #[test]
    fn a_file_or_a_dangling_link_in_its_place_is_an_error() {
        let dir = tempfile::tempdir().expect("a folder");
        let stack = StackDir::open(dir.path()).expect("a stack");
        fs::create_dir(stack.path("data")).expect("a folder");
        std::os::unix::fs::symlink("/nowhere/at/all", stack.path(PG_DATA)).expect("a link");
        assert!(matches!(inspect(&stack), Err(WorkdirError::NoFolder { .. })));
        fs::remove_file(stack.path(PG_DATA)).expect("removed");
        put(&stack, PG_DATA);
        assert!(matches!(inspect(&stack), Err(WorkdirError::NoFolder { .. })));
    }
}
