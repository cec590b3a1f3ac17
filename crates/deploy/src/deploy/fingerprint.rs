//! Which configuration a service would run with now: a fingerprint of its files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use pgstack_config::{ConfigSet, RenderedFile};
use pgstack_containers::Service;
use pgstack_env::NodeEnv;
use pgstack_workdir::{StackDir, WorkdirError};
use sha2::{Digest as _, Sha256};

/// The fingerprint of each service that has files. etcd reads the `initial-*` settings only on an empty data
/// directory, so they do not count; Patroni's start file and SQL are read when they are needed.
pub(super) fn of_services(env: &NodeEnv, files: &ConfigSet) -> BTreeMap<String, String> {
    let mut prints = BTreeMap::new();
    for service in Service::ALL {
        let print = match service {
            Service::Agent => continue,
            Service::Etcd => {
                let key = files.get(pgstack_etcd::TOKEN_KEY_PATH).map_or("", |file| file.contents.as_str());
                hash([pgstack_etcd::runtime_settings(&env.local).as_str(), key])
            }
            _ => hash(files.iter().filter(|file| is_read_by(service, file)).map(|file| file.contents.as_str())),
        };
        prints.insert(service.name().to_owned(), print);
    }
    prints
}

/// Whether what a running service has read of a file can be older than the file.
fn is_read_by(service: Service, file: &RenderedFile) -> bool {
    match service {
        Service::Patroni => file.path == "patroni/patroni.yml",
        _ => file.path.split('/').next() == Some(service.name()),
    }
}

/// The services whose files on disk are others than the last `deploy` knew them to run with, and when the
/// newest of these files came to be what it is, in seconds since 1970. Whether a service has read them all the
/// same, having started since or been told by hand, only the service can say. `files` are the generated ones.
pub fn changed_since_loaded(
    stack: &StackDir,
    env: &NodeEnv,
    files: &ConfigSet,
) -> Result<BTreeMap<Service, i64>, WorkdirError> {
    let loaded = stack.loaded()?;
    let mut changed = BTreeMap::new();
    for service in Service::ALL {
        let Some(known) = loaded.get(service.name()) else { continue };
        let (mut texts, mut newest) = (Vec::new(), None);
        for file in files.iter().filter(|file| is_read_by(service, file)) {
            // a file that is missing is told elsewhere, and nobody can have read it
            let text = stack.read(file.path)?;
            texts.extend(text.map(|text| if file.path == pgstack_etcd::PATH { obeyed(env, text) } else { text }));
            newest = newest.max(fs::metadata(stack.path(file.path)).ok().map(|meta| meta.ctime()));
        }
        let now = hash(texts.iter().map(String::as_str));
        if let Some(newest) = newest.filter(|_| now != *known) {
            changed.insert(service, newest);
        }
    }
    Ok(changed)
}

/// What a running etcd obeys of its file, where that is as generated; else all of it.
fn obeyed(env: &NodeEnv, text: String) -> String {
    let settings = pgstack_etcd::runtime_settings(&env.local);
    if text.contains(&settings) { settings } else { text }
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

#[cfg(test)]
mod tests {
    use pgstack_etcd::{Desired, Start};
    use pgstack_testing::example_node;

    use super::*;

    #[test]
    fn a_service_has_changed_where_its_files_are_not_those_that_it_was_told_of() {
        let dir = tempfile::tempdir().expect("a folder");
        let stack = StackDir::open(dir.path()).expect("a stack");
        let env = example_node(1, 3);
        let files = crate::render(&env, &Start::settled(&Desired::from(&env.local))).expect("rendered");
        // without a change of owner, which takes root
        for file in &files {
            fs::create_dir_all(stack.path(file.path).parent().expect("a folder")).expect("made");
            fs::write(stack.path(file.path), &file.contents).expect("written");
        }
        let changed = || changed_since_loaded(&stack, &env, &files).expect("read").into_keys().collect::<Vec<_>>();
        assert!(changed().is_empty(), "nothing is known of what they run with");
        fs::create_dir_all(stack.path("data")).expect("a folder");
        stack.record_loaded(&of_services(&env, &files)).expect("written");
        assert!(changed().is_empty());
        for (path, service) in [
            ("haproxy/haproxy.cfg", Service::Haproxy),
            ("patroni/patroni.yml", Service::Patroni),
            ("etcd/etcd.yml", Service::Etcd),
            ("keepalived/check_haproxy.sh", Service::Keepalived),
        ] {
            let text = fs::read_to_string(stack.path(path)).expect("read");
            fs::write(stack.path(path), text.replace('1', "7")).expect("written");
            assert_eq!(changed(), [service], "{path}");
            fs::write(stack.path(path), text).expect("written");
        }
        for path in ["patroni/roles.sql", "docker-compose.yaml"] {
            fs::write(stack.path(path), "").expect("written");
            assert!(changed().is_empty(), "{path}: nobody has read it");
        }
        let manual = crate::render(&env, &Start::first_boot(&Desired::from(&env.local))).expect("rendered");
        let etcd = manual.get("etcd/etcd.yml").expect("a file");
        fs::write(stack.path(etcd.path), &etcd.contents).expect("written");
        assert!(changed().is_empty(), "what a running etcd does not obey");
    }
}
