//! Statements: keys, values, comments, and where each begins and ends.

use super::quoted::{self, Quote};
use super::template::{Scope, TemplateError};
use super::{DotEnv, Entry, MAX_BYTES, Style};
use crate::Process;
use crate::problem::{Problem, ProblemKind};

pub(super) fn run(text: &[u8], process: Process<'_>) -> (DotEnv, Vec<Problem>) {
    if text.len() > MAX_BYTES {
        return (DotEnv::default(), vec![Problem::new(None, "", ProblemKind::TooLarge)]);
    }
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let (text, stray) = match std::str::from_utf8(text) {
        Ok(text) => (text, None),
        // What stands before the stray byte is still read, to list its problems as well.
        Err(error) => {
            let valid = &text[..error.valid_up_to()];
            let line = valid.split(|&byte| byte == b'\n').count();
            let whole_lines = valid.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
            let readable = std::str::from_utf8(&valid[..whole_lines]).unwrap_or_default();
            (readable, Some(Problem::new(Some(line), "", ProblemKind::NotUtf8)))
        }
    };
    let mut parser = Parser {
        text,
        at: 0,
        counted: (0, 1),
        process,
        budget: MAX_BYTES,
        env: DotEnv::default(),
        problems: Vec::new(),
    };
    while parser.statement() {}
    parser.problems.extend(stray);
    (parser.env, parser.problems)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// An offset and its line: lines are counted onwards from here, once over the whole file.
    counted: (usize, usize),
    process: Process<'a>,
    budget: usize,
    env: DotEnv,
    problems: Vec<Problem>,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn line(&mut self) -> usize {
        let (from, line) = self.counted;
        let line = line + self.text[from..self.at].matches('\n').count();
        self.counted = (self.at, line);
        line
    }

    fn problem(&mut self, line: usize, key: &str, kind: ProblemKind) {
        if kind == ProblemKind::TooLarge {
            // Nothing behind it would fit either.
            self.at = self.text.len();
        }
        self.problems.push(Problem::new(Some(line), key, kind));
    }

    fn skip(&mut self, skipped: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(skipped).len();
    }

    fn skip_line(&mut self) {
        self.at += self.rest().find('\n').map_or(self.rest().len(), |end| end + 1);
    }

    /// Reads one statement; false at the end of the file.
    fn statement(&mut self) -> bool {
        self.skip(char::is_whitespace);
        if self.rest().is_empty() {
            return false;
        }
        if self.rest().starts_with('#') {
            self.skip_line();
            return true;
        }
        let line = self.line();
        match self.key() {
            Ok((key, b'\n')) => self.inherit(key, line),
            Ok(("", _)) => {
                self.problem(line, "", ProblemKind::NoKey);
                self.skip_line();
            }
            Ok((key, _)) => self.value(key, line),
            Err(kind) => {
                self.problem(line, "", kind);
                self.skip_line();
            }
        }
        true
    }

    /// The key and the byte that ended it, `=`, `:` or a line feed; `self.at` is behind it.
    fn key(&mut self) -> Result<(&'a str, u8), ProblemKind> {
        if let Some(after) = self.rest().strip_prefix("export")
            && after.starts_with(['\t', '\n', '\u{c}', '\r', ' '])
        {
            self.at += "export".len();
            self.skip(is_blank);
            if self.rest().is_empty() {
                return Err(ProblemKind::ExportAlone);
            }
        }
        let rest = self.rest();
        // A bare key on a last line without a line end is an error of Compose, too.
        let end = rest.find(|c| !is_blank(c) && !is_key_char(c)).ok_or(ProblemKind::EndOfFileInKey)?;
        let terminator = rest.as_bytes()[end];
        if !matches!(terminator, b'=' | b':' | b'\n') {
            return Err(ProblemKind::KeyCharacter);
        }
        let key = rest[..end].trim_end();
        if key.contains(' ') {
            return Err(ProblemKind::KeyBlank);
        }
        self.at += end + 1;
        Ok((key, terminator))
    }

    fn inherit(&mut self, key: &str, line: usize) {
        if key.is_empty() {
            return;
        }
        match (self.process)(key) {
            Some(value) if self.charge(value.len()) => {
                self.env.push(Entry { key: key.to_owned(), value, line, style: Style::Inherited });
            }
            Some(_) => self.problem(line, key, ProblemKind::TooLarge),
            None => self.env.warnings.push(Problem::new(Some(line), key, ProblemKind::NotInherited)),
        }
    }

    fn value(&mut self, key: &str, line: usize) {
        self.skip(is_blank);
        let rest = self.rest();
        let quote = match rest.as_bytes().first() {
            Some(b'"') => Some(Quote::Double),
            Some(b'\'') => Some(Quote::Single),
            _ => None,
        };
        let Some(quote) = quote else {
            let end = rest.find('\n').unwrap_or(rest.len());
            let plain = &rest[..end];
            let value = plain.find(" #").map_or(plain, |comment| &plain[..comment]).trim_end();
            self.at += end;
            return self.assign(key, value, line, Style::Plain);
        };
        let Some((inner, len)) = quoted::read(rest, quote) else {
            self.problem(line, key, ProblemKind::Unterminated);
            return self.skip_line();
        };
        self.at += len;
        match quote {
            Quote::Double => self.assign(key, &quoted::expand_escapes(&inner), line, Style::Quoted),
            Quote::Single => self.store(key, inner, line, Style::Quoted),
        }
    }

    fn assign(&mut self, key: &str, template: &str, line: usize, style: Style) {
        let (env, process) = (&self.env, self.process);
        // The file first: see the module's documentation.
        let lookup = |name: &str| env.get(name).map(|entry| entry.value.clone()).or_else(|| process(name));
        let mut scope = Scope::new(&lookup, self.budget);
        let value = scope.expand(template);
        self.budget = scope.budget();
        let unset = scope.into_unset();
        match value {
            Ok(value) => {
                for name in unset {
                    self.env.warnings.push(Problem::new(Some(line), key, ProblemKind::UnsetVariable { name }));
                }
                self.store(key, value, line, style);
            }
            Err(error) => self.problem(
                line,
                key,
                match error {
                    TemplateError::Invalid => ProblemKind::Template,
                    TemplateError::TooDeep => ProblemKind::TooDeep,
                    TemplateError::TooLarge => ProblemKind::TooLarge,
                    TemplateError::Required { name, message } => ProblemKind::RequiredVariable { name, message },
                },
            ),
        }
    }

    fn store(&mut self, key: &str, value: String, line: usize, style: Style) {
        if value.contains('\0') {
            self.problem(line, key, ProblemKind::Nul);
        } else if self.charge(value.len()) {
            self.env.push(Entry { key: key.to_owned(), value, line, style });
        } else {
            self.problem(line, key, ProblemKind::TooLarge);
        }
    }

    fn charge(&mut self, bytes: usize) -> bool {
        let left = self.budget.checked_sub(bytes);
        self.budget = left.unwrap_or(0);
        left.is_some()
    }
}

/// White space within a line, as Compose has it; other Unicode blanks are not.
fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}

/// Rust's letters include combining marks, which Compose refuses; no key of ours has either.
fn is_key_char(c: char) -> bool {
    c.is_alphanumeric() || "_.-[]".contains(c)
}
