//! Which folder is the stack directory.

use std::path::{Path, PathBuf};

use crate::{ENV_EXAMPLE, ENV_FILE, StackDir, WorkdirError};

/// `explicit` (`--stack-dir`), else the folder in which the program lies or whose `scripts/` it
/// lies in, when a `.env` or `.env.example` is there, else the current folder.
///
/// `program` holds the places under which the program is known, best first: as it was called
/// (so that a link in a stack directory counts), then as the kernel resolves it.
pub fn locate(explicit: Option<&Path>, program: &[PathBuf], current: &Path) -> Result<StackDir, WorkdirError> {
    let explicit = explicit.map(|dir| current.join(dir));
    let own_place = || program.iter().find_map(|path| own_place(&current.join(path)));
    StackDir::open(&explicit.or_else(own_place).unwrap_or_else(|| current.to_owned()))
}

fn own_place(program: &Path) -> Option<PathBuf> {
    let folder = program.parent()?;
    let is_stack = |dir: &&Path| dir.join(ENV_FILE).is_file() || dir.join(ENV_EXAMPLE).is_file();
    let of_scripts = folder.file_name().is_some_and(|name| name == "scripts").then(|| folder.parent()).flatten();
    of_scripts.into_iter().chain([folder]).find(is_stack).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn stack() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a folder");
        let root = fs::canonicalize(dir.path()).expect("its path");
        fs::create_dir(root.join("scripts")).expect("a folder");
        fs::create_dir(root.join("elsewhere")).expect("a folder");
        (dir, root)
    }

    #[test]
    fn a_program_finds_the_stack_that_it_lies_in() {
        let (_keep, root) = stack();
        fs::write(root.join(".env.example"), "").expect("a file");
        let elsewhere = root.join("elsewhere");
        for program in ["deploy.sh", "scripts/bootstrap.sh"] {
            let found = locate(None, &[root.join(program)], &elsewhere).expect("a stack");
            assert_eq!(found.root(), root, "{program}");
        }
    }

    #[test]
    fn without_settings_beside_the_program_the_current_folder_counts() {
        let (_keep, root) = stack();
        let elsewhere = root.join("elsewhere");
        assert_eq!(locate(None, &[root.join("deploy")], &elsewhere).expect("a stack").root(), elsewhere);
    }

    #[test]
    fn the_option_wins_and_is_relative_to_the_current_folder() {
        let (_keep, root) = stack();
        fs::write(root.join(".env"), "").expect("a file");
        let found = locate(Some(Path::new("elsewhere")), &[root.join("deploy")], &root).expect("a stack");
        assert_eq!(found.root(), root.join("elsewhere"));
        assert!(locate(Some(Path::new("nowhere")), &[], &root).is_err());
    }
}
