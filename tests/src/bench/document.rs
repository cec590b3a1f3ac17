//! The part of a document that a benchmark writes, between two marks.

/// Puts `text` between the marks of `name`; what is around them stays.
pub fn put(document: &str, name: &str, text: &str) -> Result<String, String> {
    let (begin, end) = (format!("<!-- {name}: begin -->\n"), format!("<!-- {name}: end -->"));
    let missing = |mark: &str| format!("the document has no line {}", mark.trim_end());
    let (before, rest) = document.split_once(&begin).ok_or_else(|| missing(&begin))?;
    let (_, after) = rest.split_once(&end).ok_or_else(|| missing(&end))?;
    Ok(format!("{before}{begin}\n{}\n\n{end}{after}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let document = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n";
        let new = "a\n<!-- x: begin -->\n\nnew\n\n<!-- x: end -->\nb\n";
        assert_eq!(put(document, "x", "new\n").as_deref(), Ok(new));
        assert_eq!(put(new, "x", "new").as_deref(), Ok(new));
        assert!(put(document, "y", "new").is_err());
        assert!(put("<!-- x: begin -->\n", "x", "new").is_err());
    }
}
