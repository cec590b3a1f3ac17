//! The programs in odd places: pipes, links, files and folders in each other's place, full disks, held locks.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use pgstack_tests::cluster::binaries;
use pgstack_tests::docker_or_skip;
use tempfile::TempDir;

const ENV: &str = "NODE_ID=1\nNODE_IP=10.250.0.1\nNODE1_IP=10.250.0.1\nNODE2_IP=10.250.0.2\nNODE3_IP=10.250.0.3\n\
                   VIP=10.250.0.100\nKEEPALIVED_AUTH_PASS=q8x7w2mz\nPOSTGRES_SUPERUSER_PASSWORD=7d1f0c3b9a5e\n\
                   POSTGRES_REPLICATION_PASSWORD=0b4e6d8c2f1a\nPOSTGRESQL_PASSWORD=5a9c7e1d3b2f\n";

fn stack() -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let env = dir.path().join(".env");
    fs::write(&env, ENV).expect("settings");
    fs::set_permissions(&env, Permissions::from_mode(0o600)).expect("a mode");
    dir
}

fn run(program: &str, dir: &Path, arguments: &[&str]) -> Output {
    // a program that waits for ever fails the test instead of hanging it
    let mut command = Command::new("timeout");
    command.arg("60").arg(binaries().join(program)).arg("--stack-dir").arg(dir).args(arguments);
    command.stdin(Stdio::null()).output().expect("run")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_result_that_does_not_fit_on_the_disk_is_a_failure_and_a_closed_pipe_is_none() {
    let dir = stack();
    let full = File::options().write(true).open("/dev/full").expect("a full disk");
    let mut command = Command::new(binaries().join("gen-haproxy"));
    let output = command.arg("--stack-dir").arg(dir.path()).arg("--stdout").stdout(full).output().expect("run");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cannot write the result to stdout"), "{}", text(&output.stderr));
    let script = "set -o pipefail; \"$0\" --stack-dir \"$1\" --stdout | true";
    let mut command = Command::new("bash");
    let status =
        command.args(["-c", script]).arg(binaries().join("gen-haproxy")).arg(dir.path()).status().expect("run");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn settings_that_are_no_file_are_refused_and_never_waited_for() {
    for make in ["mkfifo", "mkdir"] {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(Command::new(make).arg(dir.path().join(".env")).status().expect("run").success());
        for program in ["gen-haproxy", "bootstrap"] {
            let output = run(program, dir.path(), &["--check"]);
            assert_eq!(output.status.code(), Some(1), "{make} {program}");
            assert!(text(&output.stderr).contains(".env is in the way"), "{}", text(&output.stderr));
        }
    }
}

#[test]
fn something_in_the_place_of_the_data_is_found_before_anything_is_written() {
    for (place, is_link) in [("data/pg", true), ("data/pg", false), ("data", false)] {
        let dir = stack();
        let path = dir.path().join(place);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        if is_link {
            symlink("/nowhere/at/all", &path).expect("a link");
        } else {
            fs::write(&path, "x").expect("a file");
        }
        for arguments in [&[][..], &["--check"]] {
            let output = run("bootstrap", dir.path(), arguments);
            assert_eq!(output.status.code(), Some(1), "{place} {arguments:?}");
            assert!(text(&output.stderr).contains(&format!("{place} must be a folder")), "{}", text(&output.stderr));
        }
        assert!(!dir.path().join("docker-compose.yaml").exists(), "{place}: nothing was written");
    }
}

#[test]
fn clean_names_the_folder_behind_a_link_and_takes_no_lock_to_look() {
    if !docker_or_skip("patroni-stack/machine:13") {
        return;
    }
    let (dir, other) = (stack(), tempfile::tempdir().expect("a folder"));
    let disk = fs::canonicalize(other.path()).expect("its path");
    fs::write(disk.join("precious"), "x").expect("a file");
    fs::create_dir(dir.path().join("data")).expect("a folder");
    symlink(&disk, dir.path().join("data/pg")).expect("a link");
    let held = File::open(dir.path()).expect("the folder");
    held.lock().expect("the lock");
    let output = run("clean", dir.path(), &["--dry-run"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains(&format!("which is {}", disk.display())), "{}", text(&output.stdout));
    assert!(disk.join("precious").exists());
}
