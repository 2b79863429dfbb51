//! LIKE and ILIKE: `%` stands for any text, `_` for one character, the backslash takes what follows it
//! literally. A pattern with another escape character is rewritten first (`like_escape`). A pattern that is the same for
//! all rows of a batch is compiled ([`LikePattern`]), if it is one of literals and `%`.

use super::kernel::{function, overload, scalar2, vector2};
use super::like_pattern::LikePattern;
use super::string::lower;
use super::{EvalContext, Operand, Overload, Work, native};
use crate::error::{Error, Result};
use arrow_array::ArrayRef;
use remora_storage::Value;

fn dangling() -> Error {
    sql_error!(
        INVALID_ESCAPE_SEQUENCE,
        "LIKE pattern must not end with escape character"
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
    let work = Work::new(context);
    let (mut t, mut p) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        work.spend(1)?;
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
    matches(context, &lower(context, text)?, &lower(context, pattern)?)
}

/// How texts are compared with a pattern.
#[derive(Clone, Copy)]
struct Like {
    ignores_case: bool,
    is_negated: bool,
}

impl Like {
    /// Compares one text with one pattern.
    fn one(self, context: &EvalContext, text: &str, pattern: &str) -> Result<bool> {
        let found = match self.ignores_case {
            true => ilike(context, text, pattern),
            false => like(context, text, pattern),
        };
        found.map(|found| found != self.is_negated)
    }

    /// Compares the texts of a batch with their patterns, or with one that is compiled for all.
    fn batch(self, operands: &[Operand], rows: usize, context: &EvalContext) -> Result<ArrayRef> {
        type Compare<'c> = &'c dyn Fn(&str, &str) -> Result<bool>;
        let each = |compare: Compare<'_>| {
            vector2::<native::Text, native::Text, native::Boolean>(
                operands,
                rows,
                context,
                |text, pattern| compare(text, pattern),
            )
        };
        let pattern = match &operands[1] {
            Operand::Scalar(Value::Text(pattern)) if self.ignores_case => lower(context, pattern)?,
            Operand::Scalar(Value::Text(pattern)) => pattern.clone(),
            _ => return each(&|text, pattern| self.one(context, text, pattern)),
        };
        match LikePattern::new(&pattern) {
            None => each(&|text, pattern| self.one(context, text, pattern)),
            Some(compiled) if self.ignores_case => {
                each(&|text, _| Ok(compiled.matches(&lower(context, text)?) != self.is_negated))
            }
            Some(compiled) => each(&|text, _| Ok(compiled.matches(text) != self.is_negated)),
        }
    }
}

macro_rules! like {
    ($name:literal, $doc:literal, $like:expr) => {
        overload!(
            $name,
            [Text, Text],
            Boolean,
            $doc,
            |arguments, context| scalar2::<native::Text, native::Text, native::Boolean>(
                arguments,
                |text, pattern| $like.one(context, text, pattern)
            ),
            Some(|operands, rows, context| $like.batch(operands, rows, context))
        )
    };
}

const PLAIN: Like = Like {
    ignores_case: false,
    is_negated: false,
};
const NOT: Like = Like {
    is_negated: true,
    ..PLAIN
};
const ANY_CASE: Like = Like {
    ignores_case: true,
    ..PLAIN
};
const NOT_ANY_CASE: Like = Like {
    is_negated: true,
    ..ANY_CASE
};

/// The character of an ESCAPE clause; none in an empty text.
///
/// # Errors
/// 22025.
pub(super) fn escape_character(text: &str) -> Result<Option<char>> {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (first, None) => Ok(first),
        _ => Err(sql_error!(INVALID_ESCAPE_SEQUENCE, "invalid escape string")
            .with_hint("Escape string must be empty or one character.")),
    }
}

/// A pattern with another escape character as one with the backslash.
fn like_escape(context: &EvalContext, pattern: &str, escape: &str) -> Result<String> {
    let work = Work::new(context);
    let escape = escape_character(escape)?;
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        work.spend(c.len_utf8())?;
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

/// The work of a character behind an escape.
const ESCAPE_WORK: usize = 4;

/// What texts begin with that match a pattern.
pub(crate) struct Prefix<'p> {
    pub(crate) text: String,
    /// What is left of the pattern, from its first wildcard on.
    pub(crate) rest: &'p str,
}

/// The beginning of a pattern that stands for itself.
///
/// # Errors
/// Those of [`Work::spend`].
pub(crate) fn prefix<'p>(pattern: &'p str, work: &Work<'_>) -> Result<Prefix<'p>> {
    let (mut text, mut rest) = (String::new(), pattern);
    while let Some(at) = memchr::memchr3(b'%', b'_', b'\\', rest.as_bytes()) {
        work.spend(ESCAPE_WORK + at)?;
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let escaped = rest.strip_prefix('\\').and_then(|rest| rest.chars().next());
        let Some(escaped) = escaped else {
            return Ok(Prefix { text, rest });
        };
        text.push(escaped);
        rest = &rest[1 + escaped.len_utf8()..];
    }
    text.push_str(rest);
    Ok(Prefix { text, rest: "" })
}

/// What texts begin with that match a pattern.
pub(crate) const LIKE_PREFIX: &str = "like_prefix";

static LIKE: &[Overload] = &[
    like!("~~", "LIKE.", PLAIN),
    like!("!~~", "NOT LIKE.", NOT),
    like!("~~*", "ILIKE.", ANY_CASE),
    like!("!~~*", "NOT ILIKE.", NOT_ANY_CASE),
    function!(patient "like_escape"(Text, Text) -> Text,
        "A LIKE pattern with this escape character, rewritten for the backslash.", like_escape),
    function!(patient "like_prefix"(Text) -> Text, "What texts begin with that match a LIKE pattern.",
        |context, pattern| prefix(pattern, &Work::new(context)).map(|prefix| prefix.text)),
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

    /// A compiled pattern is the one that is read character by character.
    #[test]
    fn compiled_patterns_match_the_same_texts() {
        proptest::proptest!(|(text in "[abä]{0,9}", pattern in "[abä%_\\\\]{0,6}")| {
            if let Some(compiled) = LikePattern::new(&pattern) {
                let expected = like(&text, &pattern).expect("it has no escape character");
                proptest::prop_assert_eq!(compiled.matches(&text), expected);
            }
        });
        assert!(LikePattern::new("a_").is_none() && LikePattern::new("a\\%").is_none());
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
            let found = prefix(pattern, &Work::unasked()).unwrap();
            assert_eq!((found.text.as_str(), found.rest), (text, rest), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_must_not_end_with_its_escape() {
        assert_eq!(like("ab", "a\\").unwrap_err().sqlstate(), "22025");
    }

    #[test]
    fn an_empty_escape_switches_escaping_off() {
        let rewritten = |pattern, escape| like_escape(&EvalContext::default(), pattern, escape);
        let escaped = |text, pattern, escape| like(text, &rewritten(pattern, escape).unwrap());
        assert!(escaped("a\\b", "a\\b", "").unwrap());
        assert!(escaped("a%b", "a#%b", "#").unwrap());
        assert!(!escaped("axb", "a#%b", "#").unwrap());
        assert_eq!(rewritten("a", "xy").unwrap_err().sqlstate(), "22025");
    }
}
