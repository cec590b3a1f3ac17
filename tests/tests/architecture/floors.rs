//! The code map in ARCHITECTURE.md against `cargo metadata`: every crate, every edge, both ways.

use std::collections::{BTreeMap, BTreeSet};

use crate::{cargo, none, read, repository, sources};

/// A row of the code map.
struct Row {
    /// The number of its floor; none for what only tests use.
    floor: Option<u8>,
    uses: BTreeSet<String>,
}

/// The words in backticks.
fn quoted(cell: &str) -> impl Iterator<Item = String> + '_ {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// The rows below "## Code map", by folder: `crates/env`, `bins/deploy`.
fn code_map() -> BTreeMap<String, Row> {
    let text = read("ARCHITECTURE.md");
    let lines = text.lines().skip_while(|line| *line != "## Code map").skip(1);
    let mut rows = BTreeMap::new();
    let mut floor = None;
    for line in lines.take_while(|line| !line.starts_with("## ")) {
        if let Some(heading) = line.strip_prefix("### ") {
            floor = heading.strip_prefix('F').and_then(|rest| rest.split(' ').next()?.parse().ok());
        }
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        if let ([folder, _, uses], true) = (cells.as_slice(), line.starts_with("| `")) {
            let Some(folder) = quoted(folder).next() else { continue };
            let uses = quoted(uses).map(|name| format!("crates/{name}")).collect();
            rows.insert(folder, Row { floor, uses });
        }
    }
    assert!(!rows.is_empty(), "ARCHITECTURE.md has no table below `## Code map`");
    rows
}

/// Every package but the tests, by folder, with the folders that it uses. What only its tests
/// use is marked by `true`.
fn packages() -> BTreeMap<String, BTreeSet<(String, bool)>> {
    let text = cargo(&["metadata", "--format-version=1", "--no-deps", "--locked", "--offline"]);
    let metadata: serde_json::Value = serde_json::from_str(&text).expect("cargo metadata prints JSON");
    let root = repository().canonicalize().expect("the repository exists");
    let relative = |path: &str| {
        let path = std::path::Path::new(path).canonicalize().unwrap_or_else(|_| path.into());
        path.strip_prefix(&root).map(|path| path.display().to_string()).unwrap_or_default()
    };
    let mut packages = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let manifest = package["manifest_path"].as_str().expect("a path");
        let folder = relative(manifest.trim_end_matches("/Cargo.toml"));
        let mut uses = BTreeSet::new();
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            if let Some(path) = dependency["path"].as_str() {
                uses.insert((relative(path), dependency["kind"] == "dev"));
            }
        }
        packages.insert(folder, uses);
    }
    packages.remove("tests");
    packages
}

#[test]
fn the_crates_and_their_edges_are_those_of_the_code_map() {
    let (rows, packages) = (code_map(), packages());
    let mut problems = Vec::new();
    for (folder, uses) in &packages {
        let Some(row) = rows.get(folder) else {
            problems.push(format!("{folder} has no row"));
            continue;
        };
        let real: BTreeSet<String> = uses
            .iter()
            .filter(|(to, only_tests)| !(*only_tests && to == "crates/testing"))
            .map(|(to, _)| to.clone())
            .collect();
        problems
            .extend(real.difference(&row.uses).map(|to| format!("{folder} uses {to}, which its row does not list")));
        problems
            .extend(row.uses.difference(&real).map(|to| format!("{folder} does not use {to}, but its row lists it")));
    }
    problems.extend(rows.keys().filter(|row| !packages.contains_key(*row)).map(|row| format!("there is no {row}")));
    none("ARCHITECTURE.md, \"Code map\", and the Cargo.toml files differ:", &problems);
}

#[test]
fn arrows_only_go_down_and_no_generator_knows_another() {
    let rows = code_map();
    let mut problems = Vec::new();
    for (folder, row) in &rows {
        for to in &row.uses {
            let (from, to_floor) = (row.floor, rows.get(to).and_then(|row| row.floor));
            if to_floor.is_none() || (from.is_some() && (to_floor > from || (from == Some(2) && to_floor == from))) {
                problems.push(format!("{folder} -> {to}"));
            }
        }
    }
    none("these arrows go up, sideways between generators, or to what only tests may use:", &problems);
}

#[test]
fn every_crate_below_the_purity_line_bans_the_outside_world() {
    let pure = code_map().into_iter().filter(|(_, row)| row.floor.is_some_and(|floor| floor <= 2));
    let first = read("crates/topology/clippy.toml");
    for banned in ["std::fs::File", "std::fs::read", "std::env::var", "std::process::Command", "std::net::TcpStream"] {
        assert!(first.contains(banned), "crates/topology/clippy.toml does not ban {banned}");
    }
    for banned in ["std::time::Instant", "std::time::SystemTime"] {
        assert!(first.contains(banned), "crates/topology/clippy.toml does not ban {banned}");
    }
    let problems: Vec<String> = pure
        .map(|(folder, _)| format!("{folder}/clippy.toml"))
        .filter(|path| std::fs::read_to_string(repository().join(path)).ok().as_ref() != Some(&first))
        .map(|path| format!("{path} is not the same as crates/topology/clippy.toml"))
        .collect();
    none("purity:", &problems);
}

#[test]
fn every_invariant_names_a_test_that_exists() {
    let text = read("ARCHITECTURE.md");
    let sources: String = sources().iter().map(|path| read(path)).collect();
    let invariants: Vec<&str> = text.lines().filter(|line| line.contains("Invariant:")).collect();
    assert!(!invariants.is_empty(), "ARCHITECTURE.md names no invariant");
    let mut problems = Vec::new();
    for line in invariants {
        // the tests stand behind the last arrow
        let tests: Vec<String> = line.rsplit_once('→').map(|(_, tests)| quoted(tests).collect()).unwrap_or_default();
        if tests.is_empty() {
            problems.push(format!("no test behind `→`: {line}"));
        }
        let missing = tests.iter().filter(|test| !sources.contains(&format!("fn {test}(")));
        problems.extend(missing.map(|test| format!("there is no test {test}")));
    }
    none("invariants in ARCHITECTURE.md:", &problems);
}
