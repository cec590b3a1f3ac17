//! The codes of `doctor`: each has its section in both languages of docs/troubleshooting.md, and none is left over.

use std::collections::BTreeSet;

use crate::{none, read, sources};

const DOCUMENTS: [(&str, [&str; 3]); 2] = [
    ("docs/troubleshooting.md", ["**What it means.**", "**Why.**", "**What to do.**"]),
    ("docs/troubleshooting.zh-CN.md", ["**含义。**", "**原因。**", "**处理。**"]),
];

/// Every code that stands in quotes in the library: `"PGS-042"`.
fn codes() -> BTreeSet<String> {
    let library = sources().into_iter().filter(|path| path.starts_with("crates/health/src/"));
    let mut codes = BTreeSet::new();
    for path in library {
        let text = read(&path);
        let quoted = text.split("\"PGS-").skip(1).filter_map(|rest| rest.split_once('"'));
        let digits = quoted.filter(|(code, _)| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit()));
        codes.extend(digits.filter(|(code, _)| *code != "999").map(|(code, _)| format!("PGS-{code}")));
    }
    assert!(codes.contains("PGS-042"), "no codes in crates/health");
    codes
}

/// The code and the text of every section that is about one.
fn sections(document: &str) -> Vec<(String, String)> {
    let sections = document.split("\n### ").skip(1).filter(|section| section.starts_with("PGS-"));
    let text = |section: &str| section.split("\n## ").next().unwrap_or_default().to_owned();
    sections.map(|section| (section.split([' ', '\n']).next().unwrap_or_default().to_owned(), text(section))).collect()
}

#[test]
fn every_code_has_one_section_in_both_languages_and_no_section_is_left_over() {
    let codes = codes();
    let mut problems = Vec::new();
    for (path, _) in DOCUMENTS {
        let told: Vec<String> = sections(&read(path)).into_iter().map(|(code, _)| code).collect();
        problems.extend(codes.iter().filter(|code| !told.contains(code)).map(|code| format!("{path}: no {code}")));
        problems
            .extend(told.iter().filter(|code| !codes.contains(*code)).map(|code| format!("{path}: {code} is none")));
        let in_order = told.windows(2).all(|pair| pair[0] < pair[1]);
        problems.extend((!in_order).then(|| format!("{path}: sections are not in the order of their codes, or twice")));
    }
    none("docs/troubleshooting.md and the codes in crates/health differ:", &problems);
}

#[test]
fn every_section_says_what_is_wrong_why_and_what_to_do() {
    let mut problems = Vec::new();
    for (path, parts) in DOCUMENTS {
        for (code, text) in sections(&read(path)) {
            let places: Vec<Option<usize>> = parts.iter().map(|part| text.find(part)).collect();
            let complete = places.iter().all(Option::is_some) && places.windows(2).all(|pair| pair[0] < pair[1]);
            problems.extend((!complete).then(|| format!("{path}: {code} lacks one of {}", parts.join(" "))));
        }
    }
    none("sections that are not complete:", &problems);
}
