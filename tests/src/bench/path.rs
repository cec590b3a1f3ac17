//! The ways from a client to PostgreSQL that `bench-path` compares, and its table.

use std::collections::BTreeMap;
use std::fmt;

use super::median;
use super::pgbench::Sample;

/// A way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// The leader's PostgreSQL.
    Direct,
    /// HAProxy at the VIP.
    Haproxy,
    /// PgBouncer at the VIP, then HAProxy.
    Pooler,
    /// The same with several PgBouncers behind one port.
    Poolers,
}

impl Way {
    /// All of them, the first is what the others are compared with.
    pub const ALL: [Self; 4] = [Self::Direct, Self::Haproxy, Self::Pooler, Self::Poolers];

    /// Where a client connects to.
    pub fn port(self) -> u16 {
        match self {
            Self::Direct => 5432,
            Self::Haproxy => 5000,
            Self::Pooler | Self::Poolers => 6432,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct 5432",
            Self::Haproxy => "VIP:5000",
            Self::Pooler => "VIP:6432",
            Self::Poolers => "VIP:6432, several PgBouncers",
        })
    }
}

/// What pgbench runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Script {
    /// One row is read by its key.
    SelectOnly,
    /// Five statements in a transaction, as in TPC-B.
    TpcbLike,
}

impl Script {
    /// Both.
    pub const ALL: [Self; 2] = [Self::SelectOnly, Self::TpcbLike];

    /// As pgbench calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SelectOnly => "select-only",
            Self::TpcbLike => "tpcb-like",
        }
    }
}

/// Everything that was measured.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    cells: BTreeMap<(Script, u16, Way), Vec<Sample>>,
}

impl Samples {
    /// One more round of a cell.
    pub fn push(&mut self, script: Script, clients: u16, way: Way, sample: Sample) {
        self.cells.entry((script, clients, way)).or_default().push(sample);
    }

    fn figure(&self, key: (Script, u16, Way), figure: fn(&Sample) -> f64) -> Option<f64> {
        let figures: Vec<f64> = self.cells.get(&key)?.iter().map(figure).collect();
        median(&figures)
    }

    /// The medians of all rounds; ratios are those of the first way's transactions per second.
    pub fn markdown(&self) -> String {
        let mut lines = vec![
            "| script | clients | way | transactions/s | ratio to direct | p50, ms | p99, ms |".to_owned(),
            "|---|---|---|---|---|---|---|".to_owned(),
        ];
        for key @ (script, clients, way) in self.cells.keys().copied() {
            let direct = self.figure((script, clients, Way::Direct), |sample| sample.tps);
            let [tps, p50, p99] =
                [|sample: &Sample| sample.tps, |sample: &Sample| sample.p50, |sample: &Sample| sample.p99]
                    .map(|figure| self.figure(key, figure));
            let ratio = tps.zip(direct).map(|(tps, direct)| tps / direct);
            let [ratio, p50, p99] =
                [ratio, p50, p99].map(|figure| figure.map_or_else(|| "–".to_owned(), |figure| format!("{figure:.2}")));
            let tps = tps.map_or_else(|| "–".to_owned(), |tps| format!("{tps:.0}"));
            lines.push(format!("| {} | {clients} | {way} | {tps} | {ratio} | {p50} | {p99} |", script.name()));
        }
        let rounds: Vec<usize> = self.cells.values().map(Vec::len).collect();
        let (least, most) = (rounds.iter().min().copied().unwrap_or(0), rounds.iter().max().copied().unwrap_or(0));
        let rounds = if least == most { most.to_string() } else { format!("{least} to {most}") };
        format!("{}\n\nMedians; rounds, in which the ways took turns: {rounds}.\n", lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_medians_and_ratios_are_to_the_direct_way() {
        let mut samples = Samples::default();
        let sample = |tps| Sample { tps, p50: 0.25, p99: 1.5 };
        for tps in [1000.0, 3000.0, 2000.0] {
            samples.push(Script::SelectOnly, 8, Way::Direct, sample(tps));
            samples.push(Script::SelectOnly, 8, Way::Pooler, sample(tps / 4.0));
        }
        samples.push(Script::TpcbLike, 1, Way::Haproxy, sample(100.0));
        let text = samples.markdown();
        assert!(text.contains("| select-only | 8 | direct 5432 | 2000 | 1.00 | 0.25 | 1.50 |\n"), "{text}");
        assert!(text.contains("| select-only | 8 | VIP:6432 | 500 | 0.25 | 0.25 | 1.50 |\n"), "{text}");
        assert!(text.contains("| tpcb-like | 1 | VIP:5000 | 100 | – | 0.25 | 1.50 |\n"), "{text}");
        assert!(text.contains("took turns: 1 to 3."), "{text}");
    }
}
