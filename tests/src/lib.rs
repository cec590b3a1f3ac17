//! Shared by the tests of the whole stack.

pub mod bench;
pub mod browser;
pub mod chaos;
pub mod checker;
pub mod cluster;
pub mod doctor;
pub mod history;
pub mod late;
pub mod load;
pub mod scenario;
pub mod settings;
pub mod times;
mod vip_watch;
pub mod writer;

use std::process::{Command, Stdio};

/// Whether `image` can be used here. Where it cannot, the test says so loudly and passes, unless
/// `PGSTACK_REQUIRE_LAB=1` (as in CI) makes that a failure.
///
/// # Panics
/// When `PGSTACK_REQUIRE_LAB=1` is set and there is no engine or no such image.
#[expect(clippy::print_stderr, reason = "a test's verdict")]
pub fn docker_or_skip(image: &str) -> bool {
    let inspect =
        Command::new("docker").args(["image", "inspect", image]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if inspect.is_ok_and(|status| status.success()) {
        return true;
    }
    let missing = format!("no Docker engine answers, or it has no image {image} (images/build.sh makes it)");
    let required = std::env::var_os("PGSTACK_REQUIRE_LAB").is_some_and(|value| value == "1");
    assert!(!required, "PGSTACK_REQUIRE_LAB=1, but {missing}");
    eprintln!("SKIP: {missing}");
    false
}
