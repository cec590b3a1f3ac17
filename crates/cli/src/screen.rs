//! What stdout is: a terminal of some width, with colour or without.

use std::env;
use std::io::{self, IsTerminal as _};

/// How the result may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Colour: only on a terminal, and not where `NO_COLOR` or a dumb terminal asks for none.
    pub colour: bool,
    /// In characters; 80 where it is no terminal.
    pub width: usize,
    /// In lines; none where it is no terminal.
    pub height: Option<usize>,
}

/// Looks at stdout.
pub fn screen() -> Screen {
    let is_terminal = io::stdout().is_terminal();
    let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || env::var_os("TERM").is_some_and(|term| term == "dumb");
    let (height, width) = if is_terminal { console::Term::stdout().size() } else { (0, 80) };
    Screen {
        colour: is_terminal && !plain,
        width: usize::from(width).max(40),
        height: is_terminal.then_some(usize::from(height)),
    }
}
