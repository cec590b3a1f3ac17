//! The documents: the same commands in both languages, links that lead somewhere, names that exist.

use std::collections::BTreeSet;
use std::path::Path;

use crate::{files, none, read, repository};

/// Each document beside its translation.
const PAIRS: [[&str; 2]; 3] = [
    ["README.md", "README.zh-CN.md"],
    ["docs/operations.md", "docs/operations.zh-CN.md"],
    ["docs/troubleshooting.md", "docs/troubleshooting.zh-CN.md"],
];

fn documents() -> Vec<String> {
    files("", |path| path.extension().is_some_and(|extension| extension == "md"))
}

/// The fenced blocks of a document: the word behind the fence, and the lines.
fn blocks(document: &str) -> Vec<(String, Vec<String>)> {
    let mut blocks: Vec<(String, Vec<String>)> = Vec::new();
    let mut open = false;
    for line in document.lines() {
        if let Some(word) = line.trim_start().strip_prefix("```") {
            open = !open;
            if open {
                blocks.push((word.to_owned(), Vec::new()));
            }
        } else if let (true, Some((_, lines))) = (open, blocks.last_mut()) {
            lines.push(line.to_owned());
        }
    }
    blocks
}

/// Without the comment, which is in the document's language.
fn command(line: &str) -> &str {
    let comment = |mark: &str| if line.starts_with(mark) { Some(0) } else { line.find(&format!(" {mark}")) };
    let end = [comment("# "), comment("// ")].into_iter().flatten().min().unwrap_or(line.len());
    line[..end].trim_end()
}

/// The lines of everything that is no picture and no output.
fn commands(document: &str) -> Vec<String> {
    let blocks = blocks(document).into_iter().filter(|(word, _)| word != "text");
    blocks
        .flat_map(|(word, lines)| std::iter::once(format!("```{word}")).chain(lines))
        .map(|line| command(&line).to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

#[test]
fn both_languages_tell_the_same_commands() {
    for pair in PAIRS {
        let [english, chinese] = pair.map(|path| commands(&read(path)));
        let first = english.iter().zip(&chinese).position(|(left, right)| left != right);
        let at = first.unwrap_or(english.len().min(chinese.len()));
        let shown = |commands: &[String]| commands.get(at).cloned().unwrap_or_else(|| "(nothing more)".to_owned());
        assert!(
            english == chinese,
            "the code blocks differ from here on\n  {}: {}\n  {}: {}",
            pair[0],
            shown(&english),
            pair[1],
            shown(&chinese)
        );
    }
}

#[test]
fn the_documents_call_only_programs_that_are_installed() {
    let installed: BTreeSet<String> = pgstack_lab::BINARIES
        .iter()
        .map(|(name, folder)| if folder.is_empty() { format!("./{name}") } else { format!("./{folder}/{name}") })
        .chain(["./dev".to_owned()])
        .collect();
    let mut problems = Vec::new();
    for path in PAIRS.concat() {
        for line in commands(&read(path)) {
            let called = line.split([' ', '\'', '"', '(', ')', ';']).filter(|word| word.starts_with("./"));
            let called = called.map(|word| word.trim_end_matches(".sh"));
            problems.extend(called.filter(|word| !installed.contains(*word)).map(|word| format!("{path}: {word}")));
        }
    }
    none("nothing of that name is installed:", &problems);
}

/// As GitHub makes an anchor out of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(document: &str) -> BTreeSet<String> {
    document.lines().filter(|line| line.starts_with('#')).map(|line| anchor(line.trim_start_matches('#'))).collect()
}

/// The targets of `[…](target)` outside of code.
fn links(document: &str) -> Vec<String> {
    let mut in_code = false;
    let mut links = Vec::new();
    for line in document.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        links.extend(targets.map(str::to_owned));
    }
    links
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut problems = Vec::new();
    for path in documents() {
        let folder = repository().join(Path::new(&path).parent().unwrap_or(Path::new("")));
        let text = read(&path);
        for link in links(&text).into_iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = folder.join(file);
            if !file.is_empty() && !target.exists() {
                problems.push(format!("{path}: {link}"));
                continue;
            }
            let there =
                if file.is_empty() { text.clone() } else { std::fs::read_to_string(target).unwrap_or_default() };
            if !anchor.is_empty() && !anchors(&there).contains(anchor) {
                problems.push(format!("{path}: {link} (no such heading)"));
            }
        }
    }
    none("these links lead nowhere:", &problems);
}

#[test]
fn the_changelog_knows_this_version() {
    let version = env!("CARGO_PKG_VERSION");
    assert!(read("CHANGELOG.md").contains(&format!("## [{version}]")), "CHANGELOG.md has no section [{version}]");
}

// README.md shows this function word for word.
fn haproxy_cfg(path: &str) -> Result<pgstack_config::ConfigSet, Box<dyn std::error::Error>> {
    let loaded = pgstack_env::load(&std::fs::read(path)?, &|name| std::env::var(name).ok())?;
    Ok(pgstack_haproxy::render(&loaded.env)?)
}

#[test]
fn the_readmes_library_example_is_compiled_and_runs() {
    let env = repository().join("fixtures/env/valid/three-nodes.env");
    let files = haproxy_cfg(&env.display().to_string()).expect("a rendered file");
    assert_eq!(files.iter().map(|file| file.path).collect::<Vec<_>>(), ["haproxy/haproxy.cfg"]);
    let source = include_str!("documents.rs");
    for path in PAIRS[0] {
        let rust: Vec<String> =
            blocks(&read(path)).into_iter().filter(|(word, _)| word == "rust").flat_map(|(_, lines)| lines).collect();
        assert!(!rust.is_empty(), "{path} shows no Rust");
        assert!(source.contains(&rust.join("\n")), "{path} shows other code than this test runs");
    }
}
