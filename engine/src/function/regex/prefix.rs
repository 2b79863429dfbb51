//! What all texts begin with that match a pattern.

/// The text, for a pattern that begins with `^` and goes on with characters which stand for themselves; `None` for
/// others. That there are alternatives, or options, is not looked into: then nothing is said.
pub(crate) fn prefix(pattern: &str) -> Option<String> {
    let rest = pattern.strip_prefix('^')?;
    if rest.contains('|') {
        return None;
    }
    let mut text = String::new();
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        // With these behind it the character need not be there; a comment may stand before them.
        let behind = chars.as_str();
        let may_be_missing = behind.starts_with(['*', '?', '{']) || behind.starts_with("(?#");
        if may_be_missing || !stands_for_itself(c) {
            break;
        }
        text.push(c);
    }
    Some(text)
}

fn stands_for_itself(c: char) -> bool {
    c.is_alphanumeric()
        || matches!(
            c,
            ' ' | '_' | '-' | '/' | ':' | ',' | ';' | '@' | '=' | '%' | '&' | '!' | '"'
        )
}

#[cfg(test)]
mod tests {
    use super::prefix;

    #[test]
    fn only_what_must_be_there_is_a_prefix() {
        for (pattern, expected) in [
            ("^abc", Some("abc")),
            ("^ab.c", Some("ab")),
            ("^abc?", Some("ab")),
            ("^abc*d", Some("ab")),
            ("^abc+", Some("abc")),
            ("^ab{0,2}", Some("a")),
            ("^ab(?#c)*d", Some("a")),
            ("^a|b", None),
            ("^(ab)", Some("")),
            ("^a(?i)", Some("a")),
            ("abc", None),
            ("(?i)^abc", None),
        ] {
            assert_eq!(prefix(pattern).as_deref(), expected, "{pattern}");
        }
    }
}
