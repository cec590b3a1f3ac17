//! What a lab for faults is set to, on the command line of `just faults` and `just chaos`.

use std::fmt;

/// Settings for every machine's `.env`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Settings {
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
