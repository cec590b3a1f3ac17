//! Every file of `fixtures/env/`, as it is, with CRLF and with a BOM; `BLESS=1` rewrites what is expected.
#![expect(clippy::disallowed_methods, reason = "tests read their fixtures; the library itself is pure")]

use std::fmt::Write as _;
use std::fs;

use pgstack_diagnostics::report;
use pgstack_env::{EnvErrors, Loaded, NodeEnv, dcs, fresh, key, load};
use pgstack_testing::golden::assert_golden;
use pgstack_testing::repository;
use pgstack_topology::Secret;

fn nothing(_: &str) -> Option<String> {
    None
}

fn read(text: &[u8]) -> Result<Loaded, EnvErrors> {
    load(text, &nothing)
}

/// The fixtures of a kind, without `.env`.
fn names(kind: &str) -> Vec<String> {
    let folder = fs::read_dir(repository("fixtures/env").join(kind)).expect("the fixtures");
    let file =
        |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name().into_string().expect("a name");
    let mut names: Vec<String> =
        folder.map(file).filter_map(|name| Some(name.strip_suffix(".env")?.to_owned())).collect();
    names.sort();
    assert!(names.len() > 5, "{names:?}");
    names
}

/// The file itself, with CRLF, with a BOM.
fn variants(kind: &str, name: &str) -> [Vec<u8>; 3] {
    let text = fs::read(repository("fixtures/env").join(kind).join(format!("{name}.env"))).expect("a fixture");
    let crlf = text.split(|&byte| byte == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..]);
    let bom = [b"\xef\xbb\xbf", text.as_slice()].concat();
    [text, crlf, bom]
}

/// The settings with the secrets in plain text, which `Debug` hides.
fn described(loaded: &Loaded) -> String {
    let NodeEnv { local, vrrp, images, etcd_state, etcd_initial_cluster, .. } = &loaded.env;
    let mut out = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| writeln!(out, "{name}: {value}").expect("a string");
    line("me", &format!("node {} at {}", local.me().id(), local.me().ip()));
    for node in local.topology().nodes() {
        line("node", &format!("{} {}", node.id(), node.ip()));
    }
    line("vip", &local.topology().vip());
    line("interface", &vrrp.interface);
    line("router id", &vrrp.router_id);
    line("preempt", &vrrp.preempt);
    line("state", &format!("{:?}", vrrp.state));
    line("priority", &format!("{:?}", vrrp.priority));
    let secrets: [(&str, &Secret); 6] = [
        ("vrrp password", &vrrp.password),
        ("superuser password", &loaded.env.superuser_password),
        ("replication password", &loaded.env.replication_password),
        ("pooler password", &loaded.env.pooler_password),
        ("restapi password", &loaded.env.restapi_password),
        ("stats password", &loaded.env.stats_password),
    ];
    for (name, secret) in secrets {
        line(name, &secret.expose());
    }
    for image in [&images.etcd, &images.patroni, &images.haproxy, &images.pgbouncer, &images.keepalived, &images.agent]
    {
        line("image", image);
    }
    line("profile", &loaded.env.profile.as_str());
    for (setting, value) in loaded.env.dcs.named() {
        line(setting.name, &value);
    }
    line("etcd state", &format!("{:?}", etcd_state.map(pgstack_env::EtcdState::as_str)));
    line("etcd initial cluster", &format!("{etcd_initial_cluster:?}"));
    for warning in &loaded.warnings {
        line("warning", warning);
        if let Some(hint) = warning.hint() {
            line("hint", &hint);
        }
    }
    out
}

#[test]
fn valid_files_mean_what_is_expected() {
    for name in names("valid") {
        for text in variants("valid", &name) {
            let loaded = read(&text).map_err(|errors| format!("{name}: {errors}")).expect("a valid file");
            assert_golden(&format!("env/valid/{name}.expected"), &described(&loaded));
        }
    }
}

#[test]
fn invalid_files_are_refused_with_every_problem() {
    for name in names("invalid") {
        for text in variants("invalid", &name) {
            let errors = read(&text).expect_err(&name);
            assert_golden(&format!("env/invalid/{name}.stderr"), &report(&errors));
        }
    }
}

#[test]
fn no_message_shows_a_secret() {
    for name in names("invalid") {
        let [text, ..] = variants("invalid", &name);
        let errors = read(&text).expect_err(&name);
        let text = String::from_utf8_lossy(&text).into_owned();
        let file = pgstack_env::dotenv::parse(text.as_bytes(), &nothing).unwrap_or_default();
        let message = format!("{}{errors:?}", report(&errors));
        for entry in file.entries().iter().filter(|entry| entry.key.contains("PASS") && entry.value.len() > 3) {
            assert!(!message.contains(&entry.value), "{name}: {} shows in {message}", entry.key);
        }
    }
}

fn example() -> String {
    fs::read_to_string(repository(".env.example")).expect(".env.example")
}

/// `KEY=` at the beginning of a line, also behind `# `.
fn keys_of(text: &str) -> Vec<&str> {
    let name = |line| str::trim_start_matches(line, "# ").split_once('=').map(|(name, _)| name);
    let is_key =
        |name: &&str| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    text.lines().filter_map(name).filter(is_key).filter(|name| *name != "KEY").collect()
}

#[test]
fn the_example_and_the_list_of_keys_are_the_same() {
    let example = example();
    let mut known: Vec<&str> = key::ALL.into_iter().map(|key| key.name).collect();
    let mut given = keys_of(&example);
    known.sort_unstable();
    given.sort_unstable();
    assert_eq!(given, known);
}

#[test]
fn the_example_ships_no_password_and_says_so_about_each() {
    let errors = read(example().as_bytes()).expect_err("no default password ships");
    let keys: Vec<&str> = errors.problems().iter().map(pgstack_env::Problem::key).collect();
    assert_eq!(keys, [key::POSTGRES_SUPERUSER_PASSWORD, key::POSTGRES_REPLICATION_PASSWORD, key::KEEPALIVED_AUTH_PASS]);
}

#[test]
fn a_fresh_example_loads_without_problems_also_after_its_addresses_were_edited() {
    let mut next = 0u32;
    let mut random = |buffer: &mut [u8]| {
        for byte in buffer {
            next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = next.to_be_bytes()[0];
        }
    };
    let text = fresh(&example(), &mut random);
    let loaded = read(text.as_bytes()).expect("a fresh file");
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.env.local.topology().size(), 3);

    let edited = text.replace("NODE_ID=1", "NODE_ID=4").replace("NODE_IP=192.168.0.152", "NODE_IP=192.168.0.155");
    let edited = edited.replace("# NODE4_IP", "NODE4_IP").replace("192.168.0.", "10.20.30.");
    let loaded = read(edited.as_bytes()).expect("an edited file");
    assert_eq!(loaded.warnings, []);
    assert_eq!((loaded.env.local.me().id().get(), loaded.env.local.topology().size()), (4, 4));
}

#[test]
fn the_defaults_of_the_example_are_the_defaults() {
    let fresh = fresh(&example(), &mut |buffer| buffer.fill(7)).replace("BBBBBBBB", "Vrrp1234");
    let text = fresh
        .replace(&"B".repeat(32), "some-password-1")
        .replace("Vrrp1234Vrrp1234Vrrp1234Vrrp1234", "some-password-1");
    let plain = read(text.as_bytes()).expect("a file");
    let named = read(format!("{text}\nRTO_PROFILE=balanced\nDURABILITY=async\n").as_bytes()).expect("a file").env;
    assert_eq!((named.profile, named.agreement()), (plain.env.profile, plain.env.agreement()));
    for (setting, value) in named.dcs.named() {
        assert_eq!(value, setting.default, "{}", setting.name);
    }
    for line in ["# RTO_PROFILE=balanced", "# DURABILITY=async"] {
        assert!(text.contains(line), "{line}");
    }
    // Everything that is commented out and has a value, except what another topology means.
    let with_defaults: String = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if keys_of(line).iter().any(|key| key.ends_with("_IMAGE")) => format!("{rest}\n"),
            Some(rest) if rest.starts_with(key::KEEPALIVED_ROUTER_ID) => format!("{rest}\n"),
            Some(rest) if rest.starts_with(key::KEEPALIVED_PREEMPT) => format!("{rest}\n"),
            Some(rest) if keys_of(line).iter().any(|key| dcs::find(key).is_some()) => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    assert_ne!(with_defaults.len(), text.len());
    let mut with_defaults = read(with_defaults.as_bytes()).expect("a file").env;
    assert_eq!(with_defaults.dcs.named().count(), dcs::ALL.len());
    for (setting, value) in with_defaults.dcs.named() {
        assert_eq!(value, setting.default, "{}", setting.key);
    }
    // naming a default is more than leaving it: it is enforced
    with_defaults.dcs = plain.env.dcs.clone();
    assert_eq!(with_defaults, plain.env);
}

#[test]
fn what_the_file_says_wins_over_the_environment() {
    let [text, ..] = variants("valid", "three-nodes");
    let process = |name: &str| match name {
        key::VIP => Some("10.0.0.1".to_owned()),
        key::KEEPALIVED_INTERFACE => Some("ens3".to_owned()),
        key::KEEPALIVED_STATE => Some(String::new()),
        _ => None,
    };
    let loaded = load(&text, &process).expect("a file");
    assert_eq!(loaded.env.local.topology().vip().to_string(), "192.168.0.161/24");
    assert_eq!(loaded.env.vrrp.interface.to_string(), "ens3");
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            ".env: `KEEPALIVED_INTERFACE` is not in the file; taken from the environment",
            ".env:6: `VIP` is different in the environment; the file counts",
        ]
    );
}
