//! LIKE and ILIKE: `%` stands for any text, `_` for one character, the backslash takes what follows it
//! literally. A pattern with another escape character is rewritten first (`like_escape`).

use super::kernel::function;
use super::{EvalContext, Overload};
use crate::error::{Error, Result, state};

/// Bytes of a pattern that are compared in vain between two looks at the interrupt.
const CHECK_STEPS: usize = 1 << 16;

fn dangling() -> Error {
    Error::new(
        state::INVALID_ESCAPE_SEQUENCE,
        "LIKE pattern must not end with escape character",
    )
}

/// Length in bytes of the character that starts with `first`.
fn width(first: u8) -> usize {
    match first {
        0..0x80 => 1,
        0x80..0xE0 => 2,
        0xE0..0xF0 => 3,
        _ => 4,
    }
}

/// Whether `text` matches `pattern`.
///
/// On a mismatch only the last `%` need be tried again, one character further: what stood before
/// it has matched as early as it could.
///
/// # Errors
/// 22025 where the match comes to an escape character that nothing follows.
fn matches(context: &EvalContext, text: &str, pattern: &str) -> Result<bool> {
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let (mut t, mut p) = (0, 0);
    let mut lost = 0;
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let rest = &pattern[p..];
        let escaped = usize::from(rest.first() == Some(&b'\\'));
        if escaped > 0 && rest.len() == escaped && t < text.len() {
            return Err(dangling());
        }
        if escaped == 0 && rest.first() == Some(&b'%') {
            p += 1;
            if p == pattern.len() {
                return Ok(true);
            }
            retry = Some((t, p));
            continue;
        }
        if t == text.len() {
            return Ok(rest.is_empty());
        }
        let wide = width(text[t]);
        if escaped == 0 && rest.first() == Some(&b'_') {
            (t, p) = (t + wide, p + 1);
            continue;
        }
        let literal = &rest[escaped..];
        if literal.starts_with(&text[t..t + wide]) {
            (t, p) = (t + wide, p + escaped + wide);
            continue;
        }
        match &mut retry {
            Some((from, after)) => {
                // What is tried again for each character of a long text may take hours.
                lost += p - *after;
                if lost > CHECK_STEPS {
                    lost = 0;
                    context.check()?;
                }
                *from += width(text[*from]);
                (t, p) = (*from, *after);
            }
            None => return Ok(false),
        }
    }
}

fn like(context: &EvalContext, text: &str, pattern: &str) -> Result<bool> {
    matches(context, text, pattern)
}

fn ilike(context: &EvalContext, text: &str, pattern: &str) -> Result<bool> {
    matches(context, &text.to_lowercase(), &pattern.to_lowercase())
}

fn not_like(context: &EvalContext, text: &str, pattern: &str) -> Result<bool> {
    like(context, text, pattern).map(|matches| !matches)
}

fn not_ilike(context: &EvalContext, text: &str, pattern: &str) -> Result<bool> {
    ilike(context, text, pattern).map(|matches| !matches)
}

/// The one character of an ESCAPE clause; none where it is empty.
fn escape_character(escape: &str) -> Result<Option<char>> {
    let mut chars = escape.chars();
    let first = chars.next();
    match chars.next() {
        None => Ok(first),
        Some(_) => Err(
            Error::new(state::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
                .with_hint("Escape string must be empty or one character."),
        ),
    }
}

/// A pattern with another escape character as one with the backslash.
fn like_escape(pattern: &str, escape: &str) -> Result<String> {
    let escape = escape_character(escape)?;
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            out.push('\\');
            out.extend(chars.next());
        } else {
            if c == '\\' {
                out.push('\\');
            }
            out.push(c);
        }
    }
    Ok(out)
}

/// What texts begin with that match a pattern.
pub(crate) struct Prefix<'p> {
    pub(crate) text: String,
    /// What is left of the pattern, from its first wildcard on.
    pub(crate) rest: &'p str,
}

/// The beginning of a pattern that stands for itself.
pub(crate) fn prefix(pattern: &str) -> Prefix<'_> {
    let mut text = String::new();
    let mut chars = pattern.char_indices();
    while let Some((at, c)) = chars.next() {
        let literal = match c {
            '%' | '_' => None,
            '\\' => chars.next().map(|(_, escaped)| escaped),
            c => Some(c),
        };
        match literal {
            Some(c) => text.push(c),
            None => {
                let rest = &pattern[at..];
                return Prefix { text, rest };
            }
        }
    }
    Prefix { text, rest: "" }
}

/// What texts begin with that match a pattern.
pub(crate) const LIKE_PREFIX: &str = "like_prefix";

static LIKE: &[Overload] = &[
    function!(patient "~~"(Text, Text) -> Boolean, "LIKE.", like),
    function!(patient "!~~"(Text, Text) -> Boolean, "NOT LIKE.", not_like),
    function!(patient "~~*"(Text, Text) -> Boolean, "ILIKE.", ilike),
    function!(patient "!~~*"(Text, Text) -> Boolean, "NOT ILIKE.", not_ilike),
    function!("like_escape"(Text, Text) -> Text,
        "A LIKE pattern with this escape character, rewritten for the backslash.", like_escape),
    function!("like_prefix"(Text) -> Text, "What texts begin with that match a LIKE pattern.",
        |pattern: &str| Ok(prefix(pattern).text)),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[LIKE];

#[cfg(test)]
mod tests {
    use super::*;

    fn like(text: &str, pattern: &str) -> Result<bool> {
        super::like(&EvalContext::default(), text, pattern)
    }

    #[test]
    fn wildcards_match_what_they_stand_for() {
        for (text, pattern, expected) in [
            ("abc", "abc", true),
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abc", "a_c", true),
            ("äbc", "_bc", true),
            ("abc", "_", false),
            ("", "%", true),
            ("", "_", false),
            ("aab", "%ab", true),
            ("a%c", "a\\%c", true),
            ("abc", "a\\%c", false),
            ("mississippi", "%iss%pi", true),
            ("mississippi", "%issx%", false),
        ] {
            assert_eq!(
                like(text, pattern).unwrap(),
                expected,
                "{text} LIKE {pattern}"
            );
        }
    }

    #[test]
    fn texts_that_match_begin_with_what_stands_for_itself() {
        for (pattern, text, rest) in [
            ("abc", "abc", ""),
            ("ab%", "ab", "%"),
            ("ab_d%", "ab", "_d%"),
            ("a\\%b%", "a%b", "%"),
            ("%a", "", "%a"),
            ("", "", ""),
            ("a\\", "a", "\\"),
        ] {
            let found = prefix(pattern);
            assert_eq!((found.text.as_str(), found.rest), (text, rest), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_must_not_end_with_its_escape() {
        assert_eq!(like("ab", "a\\").unwrap_err().sqlstate(), "22025");
    }

    #[test]
    fn an_empty_escape_switches_escaping_off() {
        let escaped = |text, pattern, escape| like(text, &like_escape(pattern, escape).unwrap());
        assert!(escaped("a\\b", "a\\b", "").unwrap());
        assert!(escaped("a%b", "a#%b", "#").unwrap());
        assert!(!escaped("axb", "a#%b", "#").unwrap());
        assert_eq!(like_escape("a", "xy").unwrap_err().sqlstate(), "22025");
    }
}
