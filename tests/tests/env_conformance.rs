//! Our `.env` parser against the real Compose, value by value.

#[path = "env_conformance/cases.rs"]
mod cases;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use cases::{HAND_PICKED, TEMPLATES};
use pgstack_env::dotenv;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const IMAGE: &str = "patroni-stack/machine:13";
/// What the process has. The cases that compare do not set these keys: there the two differ.
const PROCESS: [(&str, &str); 3] = [("P", "proc"), ("EMPTY", ""), ("Q", "a 'b' \"c\" $P \\ #")];
/// The keys whose values are compared.
const KEYS: [&str; 12] = ["A", "B", "C", "P", "EMPTY", "Q", "NO", "a.b", "d-e", "f[0]", "export", "é"];
const RANDOM_CASES: usize = 250;

/// What a file gives, `None` where it is refused.
type Values = Option<BTreeMap<String, String>>;

#[test]
fn the_parser_agrees_with_compose_value_by_value() {
    if !pgstack_tests::docker_or_skip(IMAGE) {
        return;
    }
    let mut cases: Vec<String> = HAND_PICKED.iter().map(|&case| case.to_owned()).collect();
    cases.extend(templates());
    cases.extend(HAND_PICKED.iter().filter(|case| case.contains('\n')).map(|case| case.replace('\n', "\r\n")));
    cases.extend(random_cases());

    let mut refused = 0;
    let mut differences = Vec::new();
    for (case, compose) in cases.iter().zip(compose_reads(&cases)) {
        refused += usize::from(compose.is_none());
        let ours = we_read(case.as_bytes());
        if ours != compose {
            differences.push(format!("{case:?}\n  compose: {compose:?}\n  ours:    {ours:?}"));
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {} files differ\n{}",
        differences.len(),
        cases.len(),
        differences[..differences.len().min(20)].join("\n")
    );
    // Otherwise the cases would show nothing.
    assert!(refused > 100 && cases.len() - refused > 300, "{refused} of {} are refused", cases.len());
}

#[test]
fn a_double_quoted_value_comes_back_from_compose() {
    if !pgstack_tests::docker_or_skip(IMAGE) {
        return;
    }
    let any_text = proptest::collection::vec(
        prop_oneof![
            3 => "[^\0]",
            2 => proptest::sample::select(vec!["\\", "\"", "'", "$", "#", " #", "${", "}", "\n", "\r\n", "\\n"])
                .prop_map(str::to_owned),
        ],
        0..24,
    )
    .prop_map(|parts| parts.concat());
    let values = generate(&any_text, 120);
    let escape = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
    let cases: Vec<String> = values.iter().map(|value| format!("A=\"{}\"\n", escape(value))).collect();
    for (value, compose) in values.iter().zip(compose_reads(&cases)) {
        let got = compose.and_then(|mut values| values.remove("A"));
        assert_eq!(got.as_ref(), Some(value));
    }
}

/// The differences that `pgstack_env::dotenv` documents.
#[test]
fn the_file_wins_here_and_the_process_there() {
    if !pgstack_tests::docker_or_skip(IMAGE) {
        return;
    }
    let cases = ["P=file\n", "P=file\nA=$P\n", "P=file\nP\n"].map(str::to_owned);
    let compose = compose_reads(&cases).into_iter().map(|values| values.expect("accepted"));
    let compose: Vec<_> = compose.map(|values| (values.get("P").cloned(), values.get("A").cloned())).collect();
    let proc = Some("proc".to_owned());
    assert_eq!(compose, [(proc.clone(), None), (proc.clone(), proc.clone()), (proc.clone(), None)]);

    let ours = cases.map(|case| we_read(case.as_bytes()).expect("accepted"));
    let ours: Vec<_> = ours.iter().map(|values| (values.get("P").cloned(), values.get("A").cloned())).collect();
    let file = Some("file".to_owned());
    assert_eq!(ours, [(file.clone(), None), (file.clone(), file), (proc, None)]);

    // Compose reads U+FFFD.
    assert!(we_read(b"A=\xff\n").is_none());
}

fn process(name: &str) -> Option<String> {
    PROCESS.iter().find(|(key, _)| *key == name).map(|&(_, value)| value.to_owned())
}

fn we_read(text: &[u8]) -> Values {
    let file = dotenv::parse(text, &process).ok()?;
    let value = |key: &str| file.get(key).map(|entry| entry.value.clone()).or_else(|| process(key));
    Some(KEYS.iter().filter_map(|&key| Some((key.to_owned(), value(key)?))).collect())
}

/// Runs the real Compose in one container over all cases, by turns as `--env-file` and as the
/// `.env` of the project's folder.
fn compose_reads(cases: &[String]) -> Vec<Values> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder");
    let environment = KEYS.map(|key| format!("      {key:?}:\n")).concat();
    let file = format!("services:\n  s:\n    image: x\n    environment:\n{environment}");
    for (at, case) in cases.iter().enumerate() {
        let case_folder = folder.path().join(at.to_string());
        fs::create_dir(&case_folder).expect("a folder");
        fs::write(case_folder.join(if at % 2 == 0 { "file" } else { ".env" }), case).expect("a case");
        fs::write(case_folder.join("compose.yaml"), &file).expect("a compose file");
        fs::write(case_folder.join("out"), "").expect("a file");
    }
    let process = PROCESS.map(|(key, value)| format!(" {key}='{}'", value.replace('\'', "'\\''"))).concat();
    let one = format!(
        "cd /cases/$1\nset --\n[ -e .env ] || set -- --env-file file\n\
         if env -i PATH=\"$PATH\" HOME=/tmp{process} docker-compose \"$@\" config --format json >out 2>err; then touch accepted; fi\n"
    );
    fs::write(folder.path().join("one.sh"), one).expect("a script");
    let all = format!("seq 0 {} | xargs -P 4 -n 1 bash /cases/one.sh; chmod -R a+rwX /cases", cases.len() - 1);
    let mount = format!("{}:/cases", folder.path().display());
    let run = Command::new("docker")
        .args(["run", "--rm", "--network", "none", "-v", &mount, "--entrypoint", "bash", IMAGE, "-c", &all])
        .output()
        .expect("docker runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    (0..cases.len()).map(|at| result(&folder.path().join(at.to_string()))).collect()
}

fn result(folder: &Path) -> Values {
    if !folder.join("accepted").exists() {
        let error = fs::read_to_string(folder.join("err")).expect("an error");
        // Anything else would be a mistake of this test.
        let known = ["failed to read", "setenv: invalid argument"];
        assert!(known.iter().any(|text| error.contains(text)), "{error}");
        return None;
    }
    let json = fs::read(folder.join("out")).expect("a result");
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    let environment = json["services"]["s"]["environment"].as_object().expect("an environment").clone();
    // `config` doubles every `$`, so that its output can be read by Compose again.
    let value = |value: &serde_json::Value| value.as_str().map(|text| text.replace("$$", "$"));
    Some(environment.iter().filter_map(|(key, json)| Some((key.clone(), value(json)?))).collect())
}

fn generate<T: std::fmt::Debug>(strategy: &impl Strategy<Value = T>, count: usize) -> Vec<T> {
    let seed = std::env::var("PGSTACK_SEED").unwrap_or_default();
    let mut bytes = [7; 32];
    bytes.iter_mut().zip(seed.bytes()).for_each(|(byte, seed)| *byte = seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let mut one = || strategy.new_tree(&mut runner).expect("a value").current();
    (0..count).map(|_| one()).collect()
}

fn random_cases() -> Vec<String> {
    const ATOMS: &[&str] = &[
        "a",
        "x y",
        " ",
        "\t",
        "#",
        " #",
        "=",
        ":",
        "$",
        "$$",
        "${",
        "}",
        "{",
        "{}",
        "$A",
        "${B}",
        "$P",
        "${P}",
        "${NO}",
        "${NO:-",
        "${NO-",
        "${A:-",
        "${A:+",
        "${P:+",
        "${P+",
        "${EMPTY:-",
        "${EMPTY?",
        "${P:?",
        "${NO?",
        ":-",
        "-",
        "?",
        "+",
        "\\",
        "\\\\",
        "\\\"",
        "\\'",
        "\"",
        "'",
        "\\n",
        "\\t",
        "\\c",
        "\\$",
        "\\0101",
        "\\044",
        "\\01",
        "1",
        "é",
        "😀",
        "\u{85}",
        "\u{a0}",
        "\u{2003}",
        "\r",
        "\u{b}",
    ];
    let atoms =
        |most| proptest::collection::vec(proptest::sample::select(ATOMS), 0..most).prop_map(|atoms| atoms.concat());
    let value = prop_oneof![
        3 => atoms(8),
        3 => atoms(8).prop_map(|inner| format!("\"{}\"", inner.replace('"', ""))),
        1 => atoms(8).prop_map(|inner| format!("'{}'", inner.replace('\'', ""))),
        1 => (atoms(5), atoms(5)).prop_map(|(one, two)| format!("\"{one}\n{two}\"")),
        1 => proptest::collection::vec(proptest::sample::select(&["${NO:-", "${A:-x", "}", "${P:+", "y", "${EMPTY-z"][..]), 2..9)
            .prop_map(|parts| parts.concat()),
    ];
    let key = proptest::sample::select(&["A", "B", "C", "export A", " B", "a.b"][..]);
    let equals = proptest::sample::select(&["=", "=", " = ", ": ", "=\t"][..]);
    let line = prop_oneof![
        12 => (key, equals, value).prop_map(|(key, equals, value)| format!("{key}{equals}{value}")),
        1 => proptest::sample::select(&["P", "NO", "Q", "", "# c", "export EMPTY"][..]).prop_map(str::to_owned),
        1 => atoms(4),
    ];
    let end = proptest::sample::select(&["\n", "\n", "\r\n", "\n\n"][..]);
    let file = proptest::collection::vec((line, end), 1..5)
        .prop_map(|lines| lines.into_iter().map(|(line, end)| line + end).collect::<String>());
    let count = std::env::var("PGSTACK_CASES").ok().and_then(|count| count.parse().ok());
    generate(&file, count.unwrap_or(RANDOM_CASES))
}

/// Every template without quotes and in double quotes.
fn templates() -> impl Iterator<Item = String> {
    TEMPLATES.iter().flat_map(|text| [format!("A={text}\n"), format!("B=x\nA=\"{text}\"\n")])
}
