//! What a generator returns: files with their place, their access and their contents.

use std::fmt::Write as _;

use similar::{ChangeTag, TextDiff};

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Holds no secret: mode 0644.
    World,
    /// A script without secrets: mode 0755.
    Script,
    /// Holds secrets that a container reads as [`crate::SERVICE_ID`]: mode 0640, that group.
    Service,
    /// Holds secrets that only root reads: mode 0600.
    Root,
}

impl Access {
    /// The permission bits.
    pub fn mode(self) -> u32 {
        match self {
            Self::World => 0o644,
            Self::Script => 0o755,
            Self::Service => 0o640,
            Self::Root => 0o600,
        }
    }

    /// The group that the file must belong to, where it matters.
    pub fn group(self) -> Option<u32> {
        (self == Self::Service).then_some(crate::SERVICE_ID)
    }

    /// Whether the file may hold a secret.
    pub fn is_secret(self) -> bool {
        matches!(self, Self::Service | Self::Root)
    }
}

/// One generated file.
#[derive(Clone, PartialEq, Eq)]
pub struct RenderedFile {
    /// Relative to the stack directory, with `/`: `haproxy/haproxy.cfg`.
    pub path: &'static str,
    /// Who may read it.
    pub access: Access,
    /// The whole text, ending with a line break.
    pub contents: String,
    /// What stands before a secret in this file's lines (`password:`). Whatever follows it is
    /// masked wherever the file is shown.
    pub secret_markers: &'static [&'static str],
}

/// The contents may hold secrets, so only the place and the access are shown.
impl std::fmt::Debug for RenderedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RenderedFile").field("path", &self.path).field("access", &self.access).finish_non_exhaustive()
    }
}

impl RenderedFile {
    /// A file without secrets.
    pub fn world(path: &'static str, contents: String) -> Self {
        Self { path, access: Access::World, contents, secret_markers: &[] }
    }

    /// The contents with every secret masked.
    pub fn masked(&self) -> String {
        self.contents.lines().map(|line| self.mask(line) + "\n").collect()
    }

    /// A unified diff from `old` to this file, secrets masked; empty where nothing differs.
    /// A line that differs in its secret alone shows up as such.
    pub fn diff_from(&self, old: &str) -> String {
        if old == self.contents {
            return String::new();
        }
        // what others wrote may hold a secret anywhere
        let hide_old = self.access.is_secret() || !old.lines().next().is_some_and(|line| line.contains("ade by "));
        let diff = TextDiff::from_lines(old, &self.contents);
        let mut out = format!("--- {0} (on disk)\n+++ {0} (generated)\n", self.path);
        for hunk in diff.unified_diff().iter_hunks() {
            // write! to a String cannot fail
            let _ = writeln!(out, "{}", hunk.header());
            for change in hunk.iter_changes() {
                let line = change.value().trim_end_matches(['\n', '\r']);
                let line = match change.tag() {
                    ChangeTag::Delete if hide_old => first_word_of(line),
                    _ => self.mask(line),
                };
                let _ = writeln!(out, "{}{line}", change.tag());
            }
        }
        out
    }

    fn mask(&self, line: &str) -> String {
        let end = |marker: &&str| line.find(marker).map(|at| at + marker.len());
        match self.secret_markers.iter().filter_map(end).min() {
            Some(end) if !line[end..].trim().is_empty() => format!("{} ***", &line[..end]),
            _ => line.to_owned(),
        }
    }
}

/// The line without anything that could be a secret.
fn first_word_of(line: &str) -> String {
    let trimmed = line.trim_start();
    let end = trimmed.find(|c: char| c.is_whitespace() || ":=\"'".contains(c)).unwrap_or(trimmed.len());
    let rest = if trimmed.is_empty() { "" } else { " ***" };
    let word = if end == trimmed.len() { "" } else { &trimmed[..end] };
    format!("{}{word}{rest}", &line[..line.len() - trimmed.len()])
}

/// A template that could not be rendered.
#[derive(Debug, thiserror::Error)]
#[error("cannot render {path}")]
pub struct RenderError {
    /// The file that was to be.
    pub path: &'static str,
    /// The template engine's own words.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl pgstack_diagnostics::Hint for RenderError {}

/// Files in a fixed order, each place once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigSet(Vec<RenderedFile>);

impl ConfigSet {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The files in order.
    pub fn iter(&self) -> std::slice::Iter<'_, RenderedFile> {
        self.0.iter()
    }

    /// The file at `path`.
    pub fn get(&self, path: &str) -> Option<&RenderedFile> {
        self.0.iter().find(|file| file.path == path)
    }
}

/// A file whose place is taken replaces the one that was there.
impl Extend<RenderedFile> for ConfigSet {
    fn extend<I: IntoIterator<Item = RenderedFile>>(&mut self, files: I) {
        for file in files {
            match self.0.iter_mut().find(|known| known.path == file.path) {
                Some(known) => *known = file,
                None => self.0.push(file),
            }
        }
    }
}

impl FromIterator<RenderedFile> for ConfigSet {
    fn from_iter<I: IntoIterator<Item = RenderedFile>>(files: I) -> Self {
        let mut set = Self::new();
        set.extend(files);
        set
    }
}

impl<'a> IntoIterator for &'a ConfigSet {
    type Item = &'a RenderedFile;
    type IntoIter = std::slice::Iter<'a, RenderedFile>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for ConfigSet {
    type Item = RenderedFile;
    type IntoIter = std::vec::IntoIter<RenderedFile>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(contents: &str) -> RenderedFile {
        RenderedFile {
            path: "patroni/patroni.yml",
            access: Access::Service,
            contents: contents.to_owned(),
            secret_markers: &["password:"],
        }
    }

    #[test]
    fn a_diff_shows_that_a_secret_changed_but_not_the_secret() {
        let diff = file("user: a\npassword: \"new\"\n").diff_from("user: a\npassword: \"old\"\n");
        assert!(diff.contains("-password ***\n+password: ***\n"), "{diff}");
        assert!(!diff.contains("old\"") && !diff.contains("new"), "{diff}");
    }

    #[test]
    fn nothing_of_a_file_that_others_wrote_is_shown_but_how_its_lines_begin() {
        let old = "# by hand\n\"app\" \"hunter2\"\n  other=hunter2\nhunter2\nuser: a\n";
        for access in [Access::Service, Access::World] {
            let diff = RenderedFile { access, ..file("user: a\npassword: \"new\"\n") }.diff_from(old);
            assert!(!diff.contains("hunter2") && diff.contains("-  other ***") && diff.contains(" user: a"), "{diff}");
        }
    }

    #[test]
    fn no_difference_is_an_empty_diff() {
        assert_eq!(file("a\n").diff_from("a\n"), "");
    }

    #[test]
    fn a_place_is_in_a_set_once_and_the_later_file_wins() {
        let set: ConfigSet = [file("a\n"), file("b\n")].into_iter().collect();
        assert_eq!(set.iter().map(|file| file.contents.as_str()).collect::<Vec<_>>(), ["b\n"]);
    }
}
