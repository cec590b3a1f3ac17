//! Which configuration a service would run with now: a fingerprint of its files.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use pgstack_config::ConfigSet;
use pgstack_containers::Service;
use pgstack_env::NodeEnv;
use sha2::{Digest as _, Sha256};

/// The fingerprint of each service. etcd reads the `initial-*` settings only on an empty data
/// directory, so they do not count; Patroni's start file and SQL are read when they are needed.
pub(super) fn of_services(env: &NodeEnv, files: &ConfigSet) -> BTreeMap<String, String> {
    let mut prints = BTreeMap::new();
    for service in Service::ALL {
        let print = match service {
            Service::Etcd => hash([pgstack_etcd::runtime_settings(&env.local).as_str()]),
            Service::Patroni => hash(contents(files, |path| path == "patroni/patroni.yml")),
            _ => hash(contents(files, |path| path.split('/').next() == Some(service.name()))),
        };
        prints.insert(service.name().to_owned(), print);
    }
    prints
}

fn contents(files: &ConfigSet, wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = &str> {
    files.iter().filter(move |file| wanted(file.path)).map(|file| file.contents.as_str())
}

fn hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_bytes());
    }
    hasher.finalize().iter().fold(String::new(), |mut hex, byte| {
        // write! to a String cannot fail
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
