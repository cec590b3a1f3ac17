//! The template language of Compose: `$V`, `${V}`, `${V:-d}`, `${V-d}`, `${V:?e}`, `${V?e}`,
//! `${V:+a}`, `${V+a}`, nested, and `$$` for a plain `$`.
//!
//! Compose finds the end of `${V:-…}` in two steps: a pattern takes everything up to the last `}`
//! of the line, then braces are counted within that. Both show in odd texts, so both are here.

use super::MAX_DEPTH;

/// Why a text cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TemplateError {
    /// `${` without a name, without an end on its line, or with an unknown operator.
    Invalid,
    /// `${V:?message}` and V is not set.
    Required { name: String, message: String },
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// The values grow past the budget.
    TooLarge,
}

/// Where variables come from, and what expanding found.
pub(super) struct Scope<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    budget: usize,
    unset: Vec<String>,
}

impl<'a> Scope<'a> {
    /// `budget` is how many bytes of variables may still be put in.
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>, budget: usize) -> Self {
        Self { lookup, budget, unset: Vec::new() }
    }

    pub(super) fn budget(&self) -> usize {
        self.budget
    }

    /// The variables that had no value and no default.
    pub(super) fn into_unset(self) -> Vec<String> {
        self.unset
    }

    pub(super) fn expand(&mut self, text: &str) -> Result<String, TemplateError> {
        self.expand_at(text, 0)
    }

    fn expand_at(&mut self, text: &str, depth: usize) -> Result<String, TemplateError> {
        if depth > MAX_DEPTH {
            return Err(TemplateError::TooDeep);
        }
        let mut out = String::with_capacity(text.len());
        let mut line = Line::default();
        let mut at = 0;
        while let Some(dollar) = text[at..].find('$').map(|found| at + found) {
            out.push_str(&text[at..dollar]);
            let rest = &text[dollar + 1..];
            if rest.starts_with('$') {
                out.push('$');
                at = dollar + 2;
            } else if rest.starts_with('{') {
                at = self.braced(text, dollar, &mut line, depth, &mut out)?;
            } else {
                let name = name_at(rest);
                at = dollar + 1 + name.len();
                if name.is_empty() {
                    out.push('$');
                } else {
                    out.push_str(&self.plain(name)?);
                }
            }
        }
        out.push_str(&text[at..]);
        Ok(out)
    }

    /// Expands the `${…}` at `dollar` and says where it ends.
    fn braced(
        &mut self,
        text: &str,
        dollar: usize,
        line: &mut Line,
        depth: usize,
        out: &mut String,
    ) -> Result<usize, TemplateError> {
        let name = name_at(&text[dollar + 2..]);
        let behind = dollar + 2 + name.len();
        let rest = &text[behind..];
        if name.is_empty() {
            return Err(TemplateError::Invalid);
        }
        if rest.starts_with('}') {
            out.push_str(&self.plain(name)?);
            return Ok(behind + 1);
        }
        let unless_empty = rest.starts_with(':');
        let colon = usize::from(unless_empty);
        let operator = rest.as_bytes().get(colon).copied().filter(|byte| b"-+?".contains(byte));
        let operator = operator.ok_or(TemplateError::Invalid)?;
        let begin = behind + colon + 1;
        let last = line.last_brace(text, begin).ok_or(TemplateError::Invalid)?;
        let end = closing_brace(text, dollar, last);

        // Compose expands the operand also where it is not used, and its errors count.
        let unset_before = self.unset.len();
        let operand = self.expand_at(&text[begin..end], depth + 1)?;
        let value = self.get(name)?;
        let given = value.as_ref().is_some_and(|value| !unless_empty || !value.is_empty());
        let used = match operator {
            b'-' => !given,
            b'+' => given,
            _ if given => false,
            _ => return Err(TemplateError::Required { name: name.to_owned(), message: operand }),
        };
        if used {
            out.push_str(&operand);
        } else {
            self.unset.truncate(unset_before);
            out.push_str(&value.unwrap_or_default());
        }
        Ok(end + 1)
    }

    fn plain(&mut self, name: &str) -> Result<String, TemplateError> {
        let value = self.get(name)?;
        if value.is_none() && !self.unset.iter().any(|known| known == name) {
            self.unset.push(name.to_owned());
        }
        Ok(value.unwrap_or_default())
    }

    fn get(&mut self, name: &str) -> Result<Option<String>, TemplateError> {
        let value = (self.lookup)(name);
        let len = value.as_ref().map_or(0, String::len);
        self.budget = self.budget.checked_sub(len).ok_or(TemplateError::TooLarge)?;
        Ok(value)
    }
}

/// The last `}` of the line that was looked at last, so that a line with many variables is
/// searched once.
#[derive(Default)]
struct Line {
    end: usize,
    last_brace: Option<usize>,
}

impl Line {
    fn last_brace(&mut self, text: &str, from: usize) -> Option<usize> {
        if from >= self.end {
            self.end = text[from..].find('\n').map_or(text.len(), |at| from + at);
            self.last_brace = text[from..self.end].rfind('}').map(|at| from + at);
        }
        self.last_brace.filter(|&last| last >= from)
    }
}

/// Counts braces from the `${` at `dollar` on; `last` where they do not balance before it.
/// As in Compose, the character behind an opening brace is never looked at.
fn closing_brace(text: &str, dollar: usize, last: usize) -> usize {
    let bytes = text.as_bytes();
    let mut open = 0usize;
    let mut at = dollar + 1;
    while at < last {
        match bytes[at] {
            b'{' => {
                open += 1;
                at += 1;
            }
            b'}' if open == 1 => return at,
            b'}' => open -= 1,
            _ => {}
        }
        at += 1;
    }
    last
}

/// The variable name at the beginning of `text`, or nothing.
fn name_at(text: &str) -> &str {
    // The last two are what Go's case-insensitive [a-z] matches beyond ASCII.
    let begins = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '\u{17f}' | '\u{212a}');
    if !text.starts_with(begins) {
        return "";
    }
    let end = text.find(|c: char| !begins(c) && !c.is_ascii_digit()).unwrap_or(text.len());
    &text[..end]
}
