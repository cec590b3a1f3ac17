//! Goldens: generated files that are kept under `fixtures/` and read by people when they change.

use std::fs;

/// Compares `contents` with the file at `path` below `fixtures/`. `BLESS=1 cargo test` writes the
/// file anew instead; the difference is then for `git diff` to show.
///
/// # Panics
/// When the two differ, with the first line that does.
#[expect(clippy::expect_used, clippy::panic, reason = "a test's assertion")]
pub fn assert_golden(path: &str, contents: &str) {
    let file = crate::repository("fixtures").join(path);
    if std::env::var_os("BLESS").is_some_and(|bless| bless == "1") {
        fs::create_dir_all(file.parent().expect("a path below fixtures/")).expect("the golden's folder");
        // an unchanged golden keeps its date, so that nothing is built anew because of it
        if fs::read_to_string(&file).ok().as_deref() != Some(contents) {
            fs::write(&file, contents).expect("the golden is written");
        }
        return;
    }
    let golden = fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("no golden fixtures/{path} ({error}): BLESS=1 cargo test makes it"));
    if golden == contents {
        return;
    }
    let (old, new): (Vec<_>, Vec<_>) = (golden.lines().collect(), contents.lines().collect());
    let at = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    panic!(
        "fixtures/{path} differs from line {} on (BLESS=1 cargo test accepts it)\n  golden: {:?}\n  now:    {:?}",
        at + 1,
        old.get(at).copied().unwrap_or("(end of file)"),
        new.get(at).copied().unwrap_or("(end of file)"),
    );
}
