//! Takes values out of the file and collects what is wrong with them.

use pgstack_diagnostics::nearest;

use crate::dotenv::{DotEnv, Style};
use crate::problem::{Problem, ProblemKind, Shown};
use crate::{Process, key};

/// A secret of fewer bytes turns up in harmless values by chance.
const SHORTEST_MASKED: usize = 4;

/// A value that is not empty, and where it comes from.
pub(super) struct Given {
    pub(super) key: &'static str,
    pub(super) text: String,
    line: Option<usize>,
}

pub(super) struct Reader<'a> {
    file: &'a DotEnv,
    process: Process<'a>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a DotEnv, process: Process<'a>, problems: Vec<Problem>) -> Self {
        let warnings = file.warnings().iter().filter(|warning| match warning.kind() {
            ProblemKind::NotInherited => key::find(warning.key()).is_some(),
            _ => true,
        });
        Self { file, process, problems, warnings: warnings.cloned().collect() }
    }

    /// What is wrong, and in the order of the file what is odd.
    pub(super) fn finish(mut self) -> (Vec<Problem>, Vec<Problem>) {
        self.warnings.sort_by_key(Problem::line);
        (self.problems, self.warnings)
    }

    /// Slips of the hand, keys that are set twice, and values that differ from the environment's.
    pub(super) fn look_at_names(&mut self) {
        let mut earlier = std::collections::HashMap::new();
        for entry in self.file.entries() {
            let Some(known) = key::find(&entry.key) else {
                if is_node_address(&entry.key) {
                    self.problems.push(Problem::new(Some(entry.line), &entry.key, ProblemKind::NoSuchNode));
                } else if let Some(known) = meant_by(&entry.key) {
                    self.warnings.push(Problem::new(Some(entry.line), &entry.key, ProblemKind::Unknown { known }));
                }
                continue;
            };
            if let Some(earlier) = earlier.insert(known.name, entry.line) {
                self.warnings.push(Problem::new(Some(entry.line), &entry.key, ProblemKind::Again { earlier }));
            }
            if entry.style == Style::Plain && entry.value.starts_with('#') {
                let found = Problem::new(Some(entry.line), &entry.key, ProblemKind::CommentAsValue);
                // `PASSWORD= # set me` would be a password that everybody can read in a manual.
                let is_comment = known.secret && entry.value.starts_with("# ");
                if is_comment { self.problems.push(found) } else { self.warnings.push(found) }
            }
        }
        for key in key::ALL {
            if let Some(entry) = self.file.get(key.name)
                && (self.process)(key.name).is_some_and(|value| value != entry.value)
            {
                self.warnings.push(Problem::new(Some(entry.line), key.name, ProblemKind::EnvironmentDiffers));
            }
        }
    }

    /// The value of `key`, unless it is missing or empty.
    pub(super) fn optional(&mut self, key: &'static str) -> Option<Given> {
        if let Some(entry) = self.file.get(key) {
            let given = Given { key, text: entry.value.clone(), line: Some(entry.line) };
            return (!given.text.is_empty()).then_some(given);
        }
        let text = (self.process)(key).filter(|text| !text.is_empty())?;
        self.warnings.push(Problem::new(None, key, ProblemKind::FromEnvironment));
        Some(Given { key, text, line: None })
    }

    pub(super) fn optional_or(&mut self, key: &'static str, default: &str) -> Given {
        self.optional(key).unwrap_or_else(|| Given { key, text: default.to_owned(), line: None })
    }

    /// The same where it must be there.
    pub(super) fn required(&mut self, key: &'static str) -> Option<Given> {
        let given = self.optional(key);
        // A line that could not be read has its problem already.
        if given.is_none() && !self.problems.iter().any(|problem| problem.key() == key) {
            let bare = self.warnings.iter().find(|it| it.key() == key && *it.kind() == ProblemKind::NotInherited);
            let bare = bare.and_then(Problem::line);
            let (line, kind) = match self.file.get(key) {
                Some(entry) => (Some(entry.line), ProblemKind::Empty),
                None => (bare, ProblemKind::Missing { meant: self.slip_for(key) }),
            };
            self.problems.push(Problem::new(line, key, kind));
        }
        given
    }

    fn slip_for(&self, key: &'static str) -> Option<(usize, String)> {
        let slip = self.file.entries().iter().find(|entry| {
            key::find(&entry.key).is_none() && !is_node_address(&entry.key) && meant_by(&entry.key) == Some(key)
        })?;
        Some((slip.line, slip.key.clone()))
    }

    pub(super) fn parse<T, E>(
        &mut self,
        given: &Given,
        parse: impl FnOnce(&str) -> Result<T, E>,
        kind: impl FnOnce(E, String) -> ProblemKind,
    ) -> Option<T> {
        match parse(&given.text) {
            Ok(value) => Some(value),
            Err(error) => {
                let got = self.shown(&given.text);
                self.refuse(given, kind(error, got));
                None
            }
        }
    }

    /// One of a few words or numbers; `pick` sees the text in lower case.
    pub(super) fn choose<T>(
        &mut self,
        given: &Given,
        expected: &'static str,
        pick: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let pick = |text: &str| pick(&text.to_ascii_lowercase()).ok_or(());
        self.parse(given, pick, |(), got| ProblemKind::NotOneOf { expected, got })
    }

    pub(super) fn refuse(&mut self, given: &Given, kind: ProblemKind) {
        self.problems.push(Problem::new(given.line, given.key, kind));
    }

    /// The same, unless something else is wrong already.
    pub(super) fn refuse_if_first(&mut self, given: &Given, kind: ProblemKind) {
        if self.problems.is_empty() {
            self.refuse(given, kind);
        }
    }

    /// A warning about a key that was read before.
    pub(super) fn warn_of(&mut self, key: &'static str, kind: ProblemKind) {
        let line = self.file.get(key).map(|entry| entry.line);
        self.warnings.push(Problem::new(line, key, kind));
    }

    pub(super) fn warn(&mut self, given: &Given, kind: ProblemKind) {
        self.warnings.push(Problem::new(given.line, given.key, kind));
    }

    /// `text` for a message: printable, and without any secret that was put into it by `${…}`.
    pub(super) fn shown(&self, text: &str) -> String {
        let is_secret = |name: &str| {
            key::find(name).map_or_else(
                || ["PASS", "SECRET", "TOKEN"].iter().any(|word| name.to_ascii_uppercase().contains(word)),
                |key| key.secret,
            )
        };
        let leaks = |value: &str| value.len() >= SHORTEST_MASKED && text.contains(value);
        if self.file.entries().iter().any(|entry| is_secret(&entry.key) && leaks(&entry.value)) {
            return "***".to_owned();
        }
        Shown(text).to_string()
    }
}

/// `NODE7_IP`, `NODE0_IP` and the like.
fn is_node_address(name: &str) -> bool {
    let number = name.strip_prefix("NODE").and_then(|rest| rest.strip_suffix("_IP"));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The key of ours that was probably meant.
fn meant_by(name: &str) -> Option<&'static str> {
    nearest(&name.to_ascii_uppercase(), key::ALL.into_iter().map(|key| key.name))
}
