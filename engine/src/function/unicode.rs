//! Unicode: characters that are written by their numbers (`unistr`, and `U&'..'` and `U&".."` of SQL), and the
//! forms in which one text can be written (`normalize`, Unicode Standard Annex 15).

use super::kernel::function;
use super::{EvalContext, Overload, Work};
use crate::error::{Error, Result, state};
use unicode_normalization::UnicodeNormalization;

/// Who writes characters by their numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notation {
    /// `U&'..'`: the mark and four digits, or the mark, a plus and six.
    Literal(char),
    /// `unistr`: those behind a backslash, and `\uXXXX` and `\UXXXXXXXX`.
    Unistr,
}

impl Notation {
    fn mark(self) -> char {
        match self {
            Self::Literal(mark) => mark,
            Self::Unistr => '\\',
        }
    }

    /// How many digits follow, and how many characters stand before them.
    fn digits(self, rest: &str) -> Option<(usize, usize)> {
        match rest.chars().next()? {
            '+' => Some((1, 6)),
            'u' if self == Self::Unistr => Some((1, 4)),
            'U' if self == Self::Unistr => Some((1, 8)),
            first => first.is_ascii_hexdigit().then_some((0, 4)),
        }
    }

    fn invalid(self) -> Error {
        let hint = match self {
            Self::Literal(_) => "Unicode escapes must be \\XXXX or \\+XXXXXX.",
            Self::Unistr => "Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.",
        };
        sql_error!(SYNTAX_ERROR, "invalid Unicode escape").with_hint(hint)
    }

    fn no_character(self, number: u32) -> Error {
        match self {
            Self::Literal(_) => sql_error!(SYNTAX_ERROR, "invalid Unicode escape value"),
            Self::Unistr => {
                let message = format!("invalid Unicode code point: {number:04X}");
                Error::new(state::INVALID_PARAMETER_VALUE, message)
            }
        }
    }
}

/// The text with its characters in place of their numbers.
///
/// # Errors
/// 42601 where digits are missing or one half of a surrogate pair is; 22023 where there is no such character.
pub(crate) fn unescape(text: &str, notation: Notation) -> Result<String> {
    unescape_long(text, notation, &Work::unasked())
}

/// Like [`unescape`], for a text of any length.
fn unescape_long(text: &str, notation: Notation, work: &Work<'_>) -> Result<String> {
    let mark = notation.mark();
    let mut out = String::with_capacity(text.len());
    let mut high = None;
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        work.spend(character.len_utf8())?;
        rest = &rest[character.len_utf8()..];
        if character != mark || rest.starts_with(mark) {
            if high.is_some() {
                return Err(half_a_pair());
            }
            if character == mark {
                rest = &rest[mark.len_utf8()..];
            }
            out.push(character);
            continue;
        }
        let (before, digits) = notation.digits(rest).ok_or_else(|| notation.invalid())?;
        let written = rest.get(before..before + digits);
        let number = written.filter(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()));
        let number = number.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let number = number.ok_or_else(|| notation.invalid())?;
        rest = &rest[before + digits..];
        let number = match (high.take(), number) {
            (None, 0xD800..0xDC00) => {
                high = Some(number);
                continue;
            }
            (Some(high), 0xDC00..0xE000) => 0x10000 + ((high - 0xD800) << 10) + (number - 0xDC00),
            (Some(_), _) | (None, 0xDC00..0xE000) => return Err(half_a_pair()),
            (None, number) => number,
        };
        let character = char::from_u32(number).filter(|character| *character != '\0');
        out.push(character.ok_or_else(|| notation.no_character(number))?);
    }
    match high {
        Some(_) => Err(half_a_pair()),
        None => Ok(out),
    }
}

fn half_a_pair() -> Error {
    sql_error!(SYNTAX_ERROR, "invalid Unicode surrogate pair")
}

/// A text in one of the four forms.
fn normalize(context: &EvalContext, text: &str, form: &str) -> Result<String> {
    let work = Work::new(context);
    let mut stopped = None;
    // A text that is given up ends here: the form takes no more of it.
    let characters = text.chars().map_while(|c| {
        let spent = work.spend(c.len_utf8());
        spent
            .map_err(|error| stopped = Some(error))
            .ok()
            .map(|()| c)
    });
    let written = match form.to_ascii_uppercase().as_str() {
        "NFC" => characters.nfc().collect(),
        "NFD" => characters.nfd().collect(),
        "NFKC" => characters.nfkc().collect(),
        "NFKD" => characters.nfkd().collect(),
        _ => {
            let message = format!("invalid normalization form: {form}");
            return Err(Error::new(state::INVALID_PARAMETER_VALUE, message));
        }
    };
    stopped.map_or(Ok(written), Err)
}

static WRITTEN: &[Overload] = &[
    function!(patient "unistr"(Text) -> Text, "The text, characters in place of their numbers.",
        |context, text| unescape_long(text, Notation::Unistr, &Work::new(context))),
    function!(patient "normalize"(Text) -> Text, "The text in the form NFC.",
        |context, text| normalize(context, text, "NFC")),
    function!(patient "normalize"(Text, Text) -> Text, "The text in a form: NFC, NFD, NFKC or NFKD.",
        normalize),
    function!(patient "is_normalized"(Text) -> Boolean, "Whether the text is in the form NFC.",
        |context, text: &str| Ok(normalize(context, text, "NFC")? == text)),
    function!(patient "is_normalized"(Text, Text) -> Boolean, "Whether the text is in the form.",
        |context, text: &str, form| Ok(normalize(context, text, form)? == text)),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[WRITTEN];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_may_be_written_by_its_number() {
        let read = |text| unescape(text, Notation::Unistr).unwrap();
        assert_eq!(read("d\\0061t\\+000061"), "data");
        assert_eq!(read("\\u0041\\U0001F600\\\\"), "A😀\\");
        assert_eq!(read("\\D83D\\DE00"), "😀");
        assert_eq!(unescape("d!0061!!", Notation::Literal('!')).unwrap(), "da!");
        assert_eq!(unescape("ä€0061", Notation::Literal('€')).unwrap(), "äa");
    }

    #[test]
    fn what_is_no_character_is_refused() {
        let state = |text, notation| unescape(text, notation).unwrap_err().sqlstate().to_owned();
        for text in [
            "\\", "\\1", "\\00g1", "\\xyz", "\\+00006", "\\D83D", "\\DE00", "\\D83Da",
        ] {
            assert_eq!(state(text, Notation::Unistr), "42601", "{text}");
        }
        assert_eq!(state("\\UFFFFFFFF", Notation::Unistr), "22023");
        assert_eq!(state("\\0000", Notation::Unistr), "22023");
        assert_eq!(state("\\u0041", Notation::Literal('\\')), "42601");
    }
}
