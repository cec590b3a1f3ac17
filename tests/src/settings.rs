//! The lab of `just faults`, `just chaos` and the benchmarks, and what it is set to, on their command lines.

use std::fmt;

use pgstack_lab::Lab;

use crate::cluster::{Telling, serving, up};

/// Whether a lab outlives the tool, and settings for every machine's `.env`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Settings {
    /// Use the lab if it is there, and leave it there
    #[arg(long)]
    keep: bool,
    /// DURABILITY: async, sync, strict
    #[arg(long, value_name = "MODE")]
    durability: Option<String>,
    /// `RTO_PROFILE`: fast, balanced, tolerant
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
    /// Any other setting
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Settings {
    /// The lab of that name with three machines that serve; without `--keep` a new one.
    ///
    /// # Panics
    /// When there is no Docker engine, or the cluster does not come to serve.
    pub async fn lab(&self, name: &str) -> Lab {
        let lab = Lab::open(name).await.expect("a Docker engine");
        if !self.keep {
            lab.down().await.expect("what an earlier run left is removed");
        }
        let mut machines = up(3);
        machines.settings.extend(self.of_env());
        lab.prepare(&machines, &Telling).await.expect("machines");
        serving(&lab).await;
        lab
    }

    /// Removes the lab, unless `--keep` says otherwise.
    ///
    /// # Panics
    /// When it cannot be removed.
    pub async fn leave(&self, lab: &Lab) {
        if !self.keep {
            lab.down().await.expect("removed");
        }
    }

    /// As lines of `.env`.
    ///
    /// # Panics
    /// When one is not of the form KEY=VALUE.
    pub fn of_env(&self) -> Vec<(String, String)> {
        let named = [("DURABILITY", &self.durability), ("RTO_PROFILE", &self.profile)];
        let named = named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)));
        let others = self.set.iter().map(|line| {
            let (key, value) = line.split_once('=').expect("--set takes KEY=VALUE");
            (key.to_owned(), value.to_owned())
        });
        named.chain(others).collect()
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.of_env().iter().map(|(key, value)| format!("{key}={value}")).collect();
        if lines.is_empty() { f.write_str("the defaults") } else { f.write_str(&lines.join(" ")) }
    }
}
