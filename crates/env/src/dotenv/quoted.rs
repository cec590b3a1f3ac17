//! Quoted values and the escapes of double quotes.

/// Which quote a value is in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Quote {
    Single,
    Double,
}

/// What stands between the quotes, with `\"` (or `\'`) resolved and every other backslash kept,
/// and how long the whole is. `None` where the quote is never closed. `text` begins with the quote.
pub(super) fn read(text: &str, quote: Quote) -> Option<(String, usize)> {
    let quote = match quote {
        Quote::Single => '\'',
        Quote::Double => '"',
    };
    let mut inner = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
            if c != quote {
                inner.push('\\');
            }
            inner.push(c);
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return Some((inner, at + 1));
        } else {
            inner.push(c);
        }
    }
    None
}

/// Resolves the escapes that Compose knows; any other backslash stays. `\$` becomes `$$`, which
/// the interpolation that follows turns into a plain `$`.
pub(super) fn expand_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(c) = rest.chars().next() else {
            out.push('\\');
            break;
        };
        match c {
            '0' => {
                let digits = rest[1..].bytes().take(3).take_while(u8::is_ascii_digit).count();
                let (number, behind) = rest[1..].split_at(digits);
                rest = behind;
                match u8::from_str_radix(number, 8) {
                    Ok(byte) if digits == 3 => out.push(char::from(byte)),
                    // The 0 gets lost: Compose removes it before it finds out that this is no number.
                    _ => {
                        out.push('\\');
                        out.push_str(number);
                    }
                }
                continue;
            }
            'a' => out.push('\u{7}'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\u{b}'),
            '"' | '\\' => out.push(c),
            '$' => out.push_str("$$"),
            _ => {
                out.push('\\');
                out.push(c);
            }
        }
        rest = &rest[c.len_utf8()..];
    }
    out.push_str(rest);
    out
}
