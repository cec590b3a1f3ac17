//! What `.env` says, read again when it changes: the last good settings are kept while it has problems.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use pgstack_config::ConfigSet;
use pgstack_env::{Loaded, NodeEnv};
use pgstack_etcd::{Desired, Start};
use pgstack_health::{Fact, Settings};
use pgstack_workdir::{ENV_FILE, StackDir};

/// Settings without a problem, and what follows from them; that takes a while to compute.
#[derive(Debug)]
pub(crate) struct Good {
    pub(crate) env: NodeEnv,
    /// Every file as `deploy` leaves it behind.
    pub(crate) files: ConfigSet,
    /// Warnings by key.
    pub(crate) warnings: BTreeMap<String, String>,
    settings: Settings,
}

/// What is known of `.env`.
#[derive(Debug, Default, Clone)]
pub(crate) struct Known {
    /// What it held when it was read last.
    text: Option<Vec<u8>>,
    good: Option<Arc<Good>>,
    /// What is wrong with it now.
    problem: Option<String>,
}

impl Known {
    /// Reads it again where it changed; says whether it did.
    pub(crate) fn refresh(&mut self, stack: &StackDir) -> bool {
        let text = fs::read(stack.path(ENV_FILE)).ok();
        if text == self.text && (text.is_some() || self.problem.is_some()) {
            return false;
        }
        self.problem = None;
        match stack.settings().map_err(|error| error.to_string()).and_then(good) {
            Ok(good) => self.good = Some(Arc::new(good)),
            Err(problem) => self.problem = Some(problem),
        }
        self.text = text;
        true
    }

    /// The last settings that had no problem.
    pub(crate) fn good(&self) -> Option<Arc<Good>> {
        self.good.clone()
    }

    /// What is wrong with it now.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// What it says now, or what is wrong with it.
    pub(crate) fn settings(&self) -> Fact<Settings> {
        match (&self.problem, &self.good) {
            (Some(problem), _) => Fact::unknown(problem.clone()),
            (None, Some(good)) => Fact::Known(good.settings.clone()),
            (None, None) => Fact::unknown("not read yet"),
        }
    }
}

fn good(loaded: Loaded) -> Result<Good, String> {
    let Loaded { env, warnings } = loaded;
    let settled = Start::settled(&Desired::from(&env.local));
    let files = pgstack_deploy::render(&env, &settled).map_err(|error| error.to_string())?;
    let mut by_key: BTreeMap<String, String> = BTreeMap::new();
    for warning in &warnings {
        let key = if warning.key().is_empty() { ENV_FILE } else { warning.key() };
        let told = by_key.entry(key.to_owned()).or_default();
        if !told.is_empty() {
            told.push_str("; ");
        }
        told.push_str(&warning.to_string());
    }
    let settings = Settings {
        agreement: env.agreement(),
        dcs: env.dcs.fingerprint(),
        shared: env.shared().into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
    };
    Ok(Good { env, files, warnings: by_key, settings })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENV: &str = "NODE_ID=1\nNODE_IP=10.0.0.1\nNODE1_IP=10.0.0.1\nNODE2_IP=10.0.0.2\nNODE3_IP=10.0.0.3\nVIP=10.0.0.9\n\
                       POSTGRES_SUPERUSER_PASSWORD=0h9Xq2Lr7Tb4\nPOSTGRES_REPLICATION_PASSWORD=5vN8wKd3Yz1c\n\
                       KEEPALIVED_AUTH_PASS=q7Rt2xLp\n";

    #[test]
    fn the_last_good_settings_outlive_a_mistake_which_is_told() {
        let dir = tempfile::tempdir().expect("a folder");
        let stack = StackDir::open(dir.path()).expect("a stack");
        let mut known = Known::default();
        assert!(known.refresh(&stack), "there is none");
        assert!(known.good().is_none() && known.settings().why().is_some_and(|why| why.contains("there is no")));
        assert!(!known.refresh(&stack), "nothing new");
        let write = |text: &str| fs::write(stack.path(ENV_FILE), text).expect("written");
        write(ENV);
        assert!(known.refresh(&stack) && !known.refresh(&stack));
        let settings = known.settings().known().cloned().expect("settings");
        assert_eq!((settings.shared["NODE2_IP"].as_str(), settings.agreement.len()), ("10.0.0.2", 16));
        write(&ENV.replace("VIP=10.0.0.9", "VIP=10.0.0.900"));
        assert!(known.refresh(&stack));
        assert!(known.settings().why().is_some_and(|why| why.contains("VIP")), "{:?}", known.settings());
        assert!(known.good().is_some_and(|good| good.env.local.topology().vip().ip().to_string() == "10.0.0.9"));
        fs::remove_file(stack.path(ENV_FILE)).expect("removed");
        assert!(known.refresh(&stack) && known.good().is_some());
        write(&ENV.replace("10.0.0.9", "10.0.0.8"));
        assert!(known.refresh(&stack));
        assert!(known.good().is_some_and(|good| good.env.local.topology().vip().ip().to_string() == "10.0.0.8"));
        let shown = format!("{:?}", known.settings());
        assert!(!shown.contains("0h9Xq2Lr7Tb4") && !shown.contains("q7Rt2xLp"), "{shown}");
    }
}
