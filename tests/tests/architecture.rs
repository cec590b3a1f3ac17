//! What ARCHITECTURE.md and the READMEs promise about the repository itself, held against it.

#[path = "architecture/docs.rs"]
mod docs;
#[path = "architecture/documents.rs"]
mod documents;
#[path = "architecture/floors.rs"]
mod floors;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const LONGEST_FILE: usize = 500;
const LONGEST_MAIN: usize = 60;

fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests/ lies in the repository").to_owned()
}

fn read(path: &str) -> String {
    let text = fs::read_to_string(repository().join(path));
    text.map_err(|error| format!("{path}: {error}")).expect("a file of this repository")
}

/// Every file below `folder` that `wanted` accepts, as paths relative to the repository.
fn files(folder: &str, wanted: impl Fn(&Path) -> bool + Copy) -> Vec<String> {
    let root = repository();
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() {
                if name != "target" && name != ".git" && name != "data" {
                    folders.push(path);
                }
            } else if wanted(&path) {
                found.push(path.strip_prefix(&root).unwrap_or(&path).display().to_string());
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<String> {
    let is_rust = |path: &Path| path.extension().is_some_and(|extension| extension == "rs");
    ["crates", "bins", "tests"].into_iter().flat_map(|folder| files(folder, is_rust)).collect()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(repository()).output().expect("cargo runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {} failed:\n{stderr}", arguments.join(" "));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

#[track_caller]
fn none(what: &str, problems: &[String]) {
    assert!(problems.is_empty(), "{what}\n  {}", problems.join("\n  "));
}

#[test]
fn every_source_file_says_what_it_is_and_stays_short() {
    let mut problems = Vec::new();
    for path in sources() {
        let text = read(&path);
        let (lines, limit) =
            (text.lines().count(), if path.ends_with("/main.rs") { LONGEST_MAIN } else { LONGEST_FILE });
        if !text.starts_with("//! ") {
            problems.push(format!("{path} does not begin with a `//! ` line"));
        }
        // a test that is a folder has a main.rs of its own, which is no program
        let limit = if path.starts_with("tests/") { LONGEST_FILE } else { limit };
        if lines > limit {
            problems.push(format!("{path} has {lines} lines, more than {limit}: split it"));
        }
    }
    none("source files:", &problems);
}

#[test]
fn the_generators_link_no_runtime_and_no_grpc() {
    for generator in ["gen-haproxy", "gen-keepalived", "gen-patroni", "gen-pgbouncer"] {
        let tree = cargo(&["tree", "--package", generator, "--edges=normal", "--prefix=none", "--locked", "--offline"]);
        let linked: Vec<String> = tree
            .lines()
            .filter(|line| ["tokio", "tonic", "bollard", "etcd-client"].contains(&line.split(' ').next().unwrap_or("")))
            .map(str::to_owned)
            .collect();
        none(&format!("{generator} is to stay small, but links"), &linked);
    }
}

/// Name and tag of every image that images/build.sh makes.
fn built_images() -> BTreeMap<String, String> {
    let script = read("images/build.sh");
    let list = script.lines().find_map(|line| line.strip_prefix("IMAGES=(")?.strip_suffix(')'));
    let list = list.expect("images/build.sh has a line IMAGES=(…)");
    list.split(' ').filter_map(|image| image.split_once(':')).map(|(n, t)| (n.to_owned(), t.to_owned())).collect()
}

#[test]
fn one_set_of_images_is_built_configured_and_documented() {
    let built = built_images();
    let named = |name: &str| format!("patroni-stack/{name}:{}", built.get(name).map_or("?", String::as_str));
    let env = "NODE_ID=1\nNODE_IP=10.0.0.1\nNODE1_IP=10.0.0.1\nNODE2_IP=10.0.0.2\nNODE3_IP=10.0.0.3\nVIP=10.0.0.9\n\
               POSTGRES_SUPERUSER_PASSWORD=0h9Xq2Lr7Tb4\nPOSTGRES_REPLICATION_PASSWORD=5vN8wKd3Yz1c\n\
               KEEPALIVED_AUTH_PASS=q7Rt2xLp\n";
    let images = pgstack_env::load(env.as_bytes(), &|_| None).expect("settings").env.images;
    let example = read(".env.example");
    for (key, name, default) in [
        ("ETCD_IMAGE", "etcd", images.etcd),
        ("PATRONI_IMAGE", "patroni", images.patroni),
        ("HAPROXY_IMAGE", "haproxy", images.haproxy),
        ("PGBOUNCER_IMAGE", "pgbouncer", images.pgbouncer),
        ("KEEPALIVED_IMAGE", "keepalived", images.keepalived),
        ("AGENT_IMAGE", "agent", images.agent),
    ] {
        assert_eq!(default.as_ref(), named(name), "crates/env (left) and images/build.sh (right) differ");
        let line = format!("# {key}={}", named(name));
        assert!(example.lines().any(|have| have == line), ".env.example has no line `{line}`");
    }

    let texts = ["crates", "bins", "tests", "images", "fixtures/clusters", "docs"]
        .into_iter()
        .flat_map(|folder| files(folder, |_| true))
        .chain(["README.md", "README.zh-CN.md", "ARCHITECTURE.md", "justfile", "dev"].map(str::to_owned));
    let mut problems = Vec::new();
    for path in texts {
        let Ok(text) = fs::read_to_string(repository().join(&path)) else { continue };
        for mention in text.split("patroni-stack/").skip(1) {
            let end = mention.find(|c: char| !c.is_ascii_alphanumeric() && !":.-".contains(c)).unwrap_or(mention.len());
            let Some((name, tag)) = mention[..end].split_once(':') else { continue };
            let tag = tag.trim_end_matches(['.', '-', ':']);
            if built.get(name).is_some_and(|built| built != tag) {
                problems.push(format!("{path} says patroni-stack/{name}:{tag}, built is {}", named(name)));
            }
        }
    }
    none("images/build.sh builds other images than these texts name:", &problems);
}
