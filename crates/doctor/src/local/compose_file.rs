//! Whether a container is what docker-compose.yaml asks for now. Compose itself is not at hand where the agent
//! runs, and its own fingerprint differs from version to version; but every value in the file is literal, so
//! what a container was made with can be held against it.

use std::collections::BTreeSet;

use pgstack_containers::MadeWith;
use serde_yaml::Value;

/// The file as far as it can be understood.
#[derive(Debug, Default)]
pub(super) struct ComposeFile(Value);

impl ComposeFile {
    /// Reads it; one that cannot be understood asks for nothing.
    pub(super) fn parse(text: &str) -> Self {
        Self(serde_yaml::from_str(text).unwrap_or_default())
    }

    /// Whether it says anything about a service.
    pub(super) fn names(&self, service: &str) -> bool {
        self.service(service).is_some()
    }

    /// Whether the file asks for something else than a container of that service was made with.
    pub(super) fn asks_for_another(&self, service: &str, image: &str, made: &MadeWith) -> bool {
        self.service(service).is_some_and(|wanted| differs(wanted, image, made))
    }

    fn service(&self, name: &str) -> Option<&Value> {
        self.0.get("services")?.get(name)
    }
}

/// What the file does not say, or says in a way that this does not know, is no difference.
fn differs(wanted: &Value, image: &str, made: &MadeWith) -> bool {
    let other = |name: &str, is: &str| wanted.get(name).and_then(Value::as_str).is_some_and(|text| text != is);
    let other_set = |name: &str, is: &BTreeSet<String>| {
        strings(wanted.get(name)).is_some_and(|list| list.into_iter().collect::<BTreeSet<_>>() != *is)
    };
    let health_check = wanted.get("healthcheck").and_then(|check| strings(check.get("test")));
    let variables = wanted.get("environment").and_then(Value::as_mapping);
    let set = |(name, value): (&Value, &Value)| Some(format!("{}={}", name.as_str()?, value.as_str()?));
    let mounts = strings(wanted.get("volumes")).unwrap_or_default();
    let is_mounted = |volume: &String| {
        let to = volume.split(':').nth(1);
        to.is_none_or(|to| made.mounts.iter().any(|(_, mounted)| mounted == to))
    };
    other("image", image)
        || other("hostname", &made.hostname)
        || strings(wanted.get("command")).is_some_and(|command| command != made.command)
        || health_check.is_some_and(|check| check != made.health_check)
        || wanted.get("read_only").and_then(Value::as_bool).unwrap_or_default() != made.read_only
        || other_set("cap_add", &made.cap_add)
        || other_set("cap_drop", &made.cap_drop)
        || other_set("ports", &made.ports)
        || !mounts.iter().all(is_mounted)
        || variables.into_iter().flatten().filter_map(set).any(|variable| !made.environment.contains(&variable))
}

fn strings(list: Option<&Value>) -> Option<Vec<String>> {
    list?.as_sequence()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use pgstack_testing::example_node;

    use super::*;

    fn list(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    fn set(words: &[&str]) -> BTreeSet<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    /// What an engine says of a Patroni that Compose made from the generated file.
    fn patroni() -> (String, MadeWith) {
        let url = "http://127.0.0.1:8008/liveness";
        let made = MadeWith {
            command: list(&["/bin/sh", "-c", "set -a; . /config/patroni.env; exec patroni /config/patroni.yml"]),
            environment: list(&[
                "PATRONI_RESTAPI_CONNECT_ADDRESS=192.168.0.152:8008",
                "PATRONI_POSTGRESQL_CONNECT_ADDRESS=192.168.0.152:5432",
                "PATH=/bin",
            ]),
            hostname: "patroni1".to_owned(),
            health_check: list(&["CMD", "curl", "-fs", "--noproxy", "*", "-m", "4", "-o", "/dev/null", url]),
            cap_drop: set(&["ALL"]),
            ports: set(&["5432:5432", "8008:8008"]),
            mounts: vec![
                ("/opt/stack/patroni".to_owned(), "/config".to_owned()),
                ("/opt/stack/data/pg".to_owned(), "/home/postgres/pgdata".to_owned()),
            ],
            ..MadeWith::default()
        };
        ("patroni-stack/patroni:4.1.5".to_owned(), made)
    }

    fn file() -> String {
        let files = pgstack_compose::render(&example_node(1, 3)).expect("rendered");
        files.get(pgstack_compose::COMPOSE_PATH).expect("a file").contents.clone()
    }

    #[test]
    fn a_container_of_the_generated_file_is_what_it_asks_for() {
        let (image, made) = patroni();
        assert!(!ComposeFile::parse(&file()).asks_for_another("patroni", &image, &made));
    }

    #[test]
    fn whatever_would_make_compose_make_it_anew_is_seen() {
        let (image, made) = patroni();
        for (from, to) in [
            ("/patroni:4", "/patroni:5"),
            ("CONNECT_ADDRESS: \"192.168.0.152:5432\"", "CONNECT_ADDRESS: \"192.168.0.77:5432\""),
            ("\"5432:5432\"", "\"5433:5432\""),
            ("hostname: patroni1", "hostname: patroni2"),
            ("\"4\"", "\"5\""),
            ("exec patroni", "exec nice patroni"),
            (":/home/postgres/pgdata", ":/home/postgres/data"),
        ] {
            let text = file();
            let changed = text.replace(from, to);
            assert_ne!(text, changed, "{from}");
            assert!(ComposeFile::parse(&changed).asks_for_another("patroni", &image, &made), "{from} -> {to}");
        }
    }

    #[test]
    fn what_makes_no_difference_or_cannot_be_understood_is_none() {
        let (image, made) = patroni();
        let text = file();
        for text in [
            text.replace("# Patroni runs", "# It runs"),
            text.replace("retries: 3", "retries: 4"),
            "services: [".to_owned(),
            String::new(),
            "services: {patroni: {image: 7, ports: [5432], command: x}}".to_owned(),
        ] {
            let made = MadeWith { read_only: false, ..made.clone() };
            assert!(!ComposeFile::parse(&text).asks_for_another("patroni", &image, &made), "{text}");
        }
    }
}
