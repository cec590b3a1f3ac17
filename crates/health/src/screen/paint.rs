//! Lines of styled words that never get wider than the screen.

use textwrap::{Options, wrap};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::Look;
use crate::view::one_line;

/// How a word looks where there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Strong,
    Good,
    Bad,
    Unknown,
}

impl Style {
    /// The parameter of ANSI's SGR sequence.
    fn sgr(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("1"),
            Self::Good => Some("32"),
            Self::Bad => Some("1;31"),
            Self::Unknown => Some("33"),
        }
    }
}

/// One line.
#[derive(Debug, Clone, Default)]
pub(super) struct Line(Vec<(String, Style)>);

impl Line {
    /// With one more piece of text.
    pub(super) fn add(mut self, text: impl Into<String>, style: Style) -> Self {
        self.0.push((text.into(), style));
        self
    }

    /// Cut off at the screen's width, without blanks at its end.
    pub(super) fn print(&self, look: Look) -> String {
        let whole: String = self.0.iter().map(|(text, _)| one_line(text)).collect();
        let mut left = if whole.trim_end().width() > look.width { look.width.saturating_sub(1) } else { look.width };
        let is_cut = left < look.width;
        let visible = whole.trim_end().len();
        let (mut out, mut at) = (String::new(), 0);
        'pieces: for (text, style) in &self.0 {
            let text = one_line(text);
            let mut piece = String::new();
            for character in text.chars() {
                let width = character.width().unwrap_or(0);
                if width > left || at >= visible {
                    out += &paint(&piece, *style, look.colour);
                    break 'pieces;
                }
                left -= width;
                at += character.len_utf8();
                piece.push(character);
            }
            out += &paint(&piece, *style, look.colour);
        }
        if is_cut { out + "…" } else { out }
    }
}

/// Blanks at either end keep no colour.
fn paint(text: &str, style: Style, colour: bool) -> String {
    let core = text.trim();
    match style.sgr() {
        Some(sgr) if colour && !core.is_empty() => {
            let start = text.len() - text.trim_start().len();
            let end = start + core.len();
            format!("{}\x1b[{sgr}m{core}\x1b[0m{}", &text[..start], &text[end..])
        }
        _ => text.to_owned(),
    }
}

/// A word at the left, a text beside it that goes on below itself where it is too long for one line.
pub(super) fn hang(word: (&str, Style), text: (&str, Style), margin: usize, width: usize) -> Vec<Line> {
    // a line break in a text from elsewhere is a blank
    let body = one_line(text.0);
    let parts = wrap(&body, Options::new(width.saturating_sub(margin).max(1)));
    let lines = parts.into_iter().enumerate().map(|(at, part)| {
        let left = if at == 0 { word.0 } else { "" };
        Line::default().add(pad(left, margin), word.1).add(part.into_owned(), text.1)
    });
    lines.collect()
}

/// Filled up with blanks.
pub(super) fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// As wide as the screen shows it.
pub(super) fn width(text: &str) -> usize {
    one_line(text).width()
}

/// No wider than `room`.
pub(super) fn shorten(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let mut short = String::new();
    for character in text.chars() {
        if width(&short) + character.width().unwrap_or(0) >= room {
            break;
        }
        short.push(character);
    }
    short + "…"
}
