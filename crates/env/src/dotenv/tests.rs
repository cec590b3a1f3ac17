//! The parser against tables; the comparison with the real Compose is in `tests/tests/env_conformance.rs`.

use proptest::prelude::*;

use super::*;
use crate::problem::ProblemKind;

fn process(name: &str) -> Option<String> {
    match name {
        "P" => Some("proc".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn value_of(key: &str, text: &str) -> Option<String> {
    parse(text.as_bytes(), &process).expect("a file").get(key).map(|entry| entry.value.clone())
}

fn kinds(text: &[u8]) -> Vec<(Option<usize>, ProblemKind)> {
    let problems = parse(text, &process).expect_err("problems");
    problems.iter().map(|problem| (problem.line(), problem.kind().clone())).collect()
}

#[test]
fn values_are_read_as_compose_reads_them() {
    for (text, want) in [
        ("A=1", "1"),
        ("A = 1", "1"),
        ("A: 1", "1"),
        ("export A=1", "1"),
        ("  \t export \t A=1", "1"),
        ("\u{feff}A=1", "1"),
        ("# B\n\n  # C\nA=1\r\n", "1"),
        ("A=\nB=2", ""),
        ("A=\r\nB=2", ""),
        ("A=a b # c", "a b"),
        ("A=a#b", "a#b"),
        ("A= # c", "# c"),
        ("A=a\t# c", "a\t# c"),
        ("A=a\\n\\$", "a\\n\\$"),
        ("A=a'b\"", "a'b\""),
        ("A='a # $P ${ \\n \\'b'", "a # $P ${ \\n 'b"),
        ("A='a\\\\'", "a\\\\"),
        ("A='a\nb' # c\n", "a\nb"),
        ("A=\"a # b\" # c", "a # b"),
        ("A=\"a\r\nb\"", "a\r\nb"),
        (r#"A="\a\b\f\n\r\t\v\"\\\$P""#, "\u{7}\u{8}\u{c}\n\r\t\u{b}\"\\$P"),
        (r#"A="\c\x\'\0\01\0101\0777\0888\0333""#, r"\c\x\'\\1A\777\888Û"),
        (r#"A="\\\"""#, "\\\""),
        ("A=1\nA=2", "2"),
        ("A=1\nA\n", "1"),
        ("A=\"x\"B=3", "x"),
    ] {
        assert_eq!(value_of("A", text).as_deref(), Some(want), "{text:?}");
    }
    assert_eq!(value_of("P", "P\n").as_deref(), Some("proc"));
    assert_eq!(value_of("P", "P=file").as_deref(), Some("file"), "the file wins");
    assert_eq!(value_of("B", "A=\"x\"B=3").as_deref(), Some("3"));
}

#[test]
fn variables_are_put_in_as_compose_puts_them_in() {
    for (template, want) in [
        ("$P", "proc"),
        ("${P}x", "procx"),
        ("$P-x", "proc-x"),
        ("$NO|${NO}|", "||"),
        ("$", "$"),
        ("$1 $ $-", "$1 $ $-"),
        ("$$P $$$P", "$P $proc"),
        ("${NO:-d} ${NO-d} ${EMPTY:-d} ${EMPTY-d}", "d d d "),
        ("${P:-d} ${P-d}", "proc proc"),
        ("${P:+a} ${P+a} ${EMPTY:+a} ${EMPTY+a} ${NO:+a} ${NO+a}", "a a  a  "),
        ("${P:?e} ${P?e} ${EMPTY?e}", "proc proc "),
        ("${NO:-${P}} ${NO:-${EMPTY:-${P:+x}}}y", "proc xy"),
        ("${NO:-{}}", "{}"),
        ("${NO:-{x}", "{x"),
        ("${NO:-x}}", "x}"),
        ("${NO:-{a: {b}}}z", "{a: {b}}z"),
        ("${NO:-}", ""),
        ("${NO:-:-?+}", ":-?+"),
        ("{$P}", "{proc}"),
    ] {
        assert_eq!(value_of("A", &format!("A={template}")).as_deref(), Some(want), "{template:?}");
        assert_eq!(value_of("A", &format!("A=\"{template}\"")).as_deref(), Some(want), "{template:?}");
    }
    assert_eq!(value_of("B", "P=file\nB=$P$A\nA=1").as_deref(), Some("file"), "only earlier keys, the file first");
}

#[test]
fn what_compose_refuses_is_a_problem_with_its_line() {
    for (text, line, kind) in [
        ("A=1\nB", 2, ProblemKind::EndOfFileInKey),
        ("A=1\na b=2", 2, ProblemKind::KeyBlank),
        ("A=1\n\n!=2\n", 3, ProblemKind::KeyCharacter),
        ("A=\"x\" \"y\"", 1, ProblemKind::KeyCharacter),
        ("=1", 1, ProblemKind::NoKey),
        ("export ", 1, ProblemKind::ExportAlone),
        ("A='x\n\nB=1\n", 1, ProblemKind::Unterminated),
        ("A='x\\'", 1, ProblemKind::Unterminated),
        ("A=\"\\0000\"", 1, ProblemKind::Nul),
        ("A=x\0", 1, ProblemKind::Nul),
        ("A=${", 1, ProblemKind::Template),
        ("A=${}", 1, ProblemKind::Template),
        ("A=${1}", 1, ProblemKind::Template),
        ("A=${P", 1, ProblemKind::Template),
        ("A=${P:}", 1, ProblemKind::Template),
        ("A=${P%x}", 1, ProblemKind::Template),
        ("A=${P:-${}", 1, ProblemKind::Template),
        ("A=\"${P:-x\ny}\"", 1, ProblemKind::Template),
    ] {
        assert_eq!(kinds(text.as_bytes()), [(Some(line), kind)], "{text:?}");
    }
    assert_eq!(kinds(b"A=1\nB=\xff\nC=2"), [(Some(2), ProblemKind::NotUtf8)]);
    let required = ProblemKind::RequiredVariable { name: "NO".to_owned(), message: "set proc".to_owned() };
    assert_eq!(kinds(b"A=${NO:?set $P}"), [(Some(1), required)]);
}

#[test]
fn all_problems_of_a_file_are_listed() {
    let found = kinds(b"A=${\n!\nB=1\n=2\nC='x\nD=${\n\xff");
    let lines: Vec<_> = found.iter().filter_map(|(line, _)| *line).collect();
    assert_eq!(lines, [1, 2, 4, 5, 6, 7]);
}

#[test]
fn what_compose_does_silently_is_a_warning() {
    let env = parse(b"B\nA=x$NO\nC=${NO:-d}${P-$NO}\n", &process).expect("a file");
    let warnings: Vec<_> = env.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            ".env:1: `B` has no `=value`, and the environment does not have it either",
            // A is no key of ours: the `$NO` may be a part of a secret.
            ".env:2: `A` uses a variable that is not set",
        ]
    );
}

#[test]
fn debug_shows_no_secret() {
    let env = parse(b"VIP=1\nPOSTGRES_SUPERUSER_PASSWORD=hunter2\nOTHER=hunter2\n", &process).expect("a file");
    assert!(!format!("{env:?}").contains("hunter2"));
}

#[test]
fn hostile_nesting_and_growth_are_refused_quickly() {
    let deep = |levels: usize| format!("A={}{}", "${A:-".repeat(levels), "}".repeat(levels));
    assert!(parse(deep(MAX_DEPTH).as_bytes(), &process).is_ok());
    assert_eq!(kinds(deep(MAX_DEPTH + 1).as_bytes()), [(Some(1), ProblemKind::TooDeep)]);
    assert_eq!(kinds(deep(100_000).as_bytes()), [(Some(1), ProblemKind::TooDeep)]);
    let wide = format!("A={}", "${A:-x}".repeat(100_000));
    assert_eq!(value_of("A", &wide).map(|value| value.len()), Some(100_000));
    let open = format!("A={}", "${A:-".repeat(200_000));
    assert_eq!(kinds(open.as_bytes()), [(Some(1), ProblemKind::Template)]);
    let laughs = (1..60).fold("A0=ha\n".to_owned(), |text, n| format!("{text}A{n}=$A{}$A{}\n", n - 1, n - 1));
    assert!(kinds(laughs.as_bytes()).iter().all(|(_, kind)| *kind == ProblemKind::TooLarge));
    let comments = "#\n".repeat(400_000);
    assert_eq!(parse(comments.as_bytes(), &process), Ok(DotEnv::default()));
    assert_eq!(kinds(&vec![b'#'; MAX_BYTES + 1]), [(None, ProblemKind::TooLarge)]);
}

/// As formats.md says that a value is written.
fn double_quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$"))
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes, &process);
    }

    #[test]
    fn no_odd_text_makes_it_panic(text in "[AP=:{}$'\"\\\\ #?+0-9\n\r\té-]{0,60}") {
        let _ = parse(text.as_bytes(), &process);
    }

    #[test]
    fn a_double_quoted_value_comes_back(value in "[^\0]{0,40}", hostile in pgstack_testing::strategy::password()) {
        for value in [value, hostile] {
            let text = format!("A={}\nB=1\n", double_quoted(&value));
            prop_assert_eq!(value_of("A", &text), Some(value));
            prop_assert_eq!(value_of("B", &text), Some("1".to_owned()));
        }
    }

    #[test]
    fn a_value_has_the_line_of_its_key(before in 0usize..5, lines in 0usize..4) {
        let text = format!("{}A=\"{}\"\nB=1", "\n".repeat(before), "x\n".repeat(lines));
        let env = parse(text.as_bytes(), &process).expect("a file");
        prop_assert_eq!(env.get("A").map(|entry| entry.line), Some(before + 1));
        prop_assert_eq!(env.get("B").map(|entry| entry.line), Some(before + lines + 2));
    }
}
