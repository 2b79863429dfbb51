//! Tokens of JSON text, and PostgreSQL's complaints about what is none.

use crate::error::{Error, Result};
use crate::function::{PIECE_BYTES, Work};
use std::borrow::Cow;

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    ObjectStart,
    ObjectEnd,
    ArrayStart,
    ArrayEnd,
    Comma,
    Colon,
    String,
    Number,
    True,
    False,
    Null,
    End,
}

/// A token and its place in the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// What escapes in strings are held to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Escapes {
    /// To the grammar: the text is only kept.
    Form,
    /// To standing for a character that a text can hold.
    Meaning,
}

/// Takes a text apart.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    escapes: Escapes,
    work: &'a Work<'a>,
}

/// The work of a token beside that over its bytes.
const TOKEN_WORK: usize = 8;

/// `invalid input syntax for type json`, and why.
pub(super) fn invalid(detail: impl Into<String>) -> Error {
    sql_error!(
        INVALID_TEXT_REPRESENTATION,
        "invalid input syntax for type json"
    )
    .with_detail(detail)
}

pub(super) fn ended_early() -> Error {
    invalid("The input string ended unexpectedly.")
}

/// What belongs to a word, as far as complaints go.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str, escapes: Escapes, work: &'a Work<'a>) -> Self {
        Self {
            text,
            at: 0,
            escapes,
            work,
        }
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_while(&mut self, belongs: impl Fn(u8) -> bool) -> Result<()> {
        for piece in self.text.as_bytes()[self.at..].chunks(PIECE_BYTES) {
            let count = piece.iter().take_while(|byte| belongs(**byte)).count();
            self.at += count;
            if count < piece.len() {
                break;
            }
            self.work.spend(count)?;
        }
        Ok(())
    }

    /// The next token.
    pub(super) fn next(&mut self) -> Result<Token> {
        self.skip_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))?;
        let start = self.at;
        let punctuation = |kind| Ok((kind, start + 1));
        let (kind, end) = match self.peek() {
            None => Ok((Kind::End, start)),
            Some(b'{') => punctuation(Kind::ObjectStart),
            Some(b'}') => punctuation(Kind::ObjectEnd),
            Some(b'[') => punctuation(Kind::ArrayStart),
            Some(b']') => punctuation(Kind::ArrayEnd),
            Some(b',') => punctuation(Kind::Comma),
            Some(b':') => punctuation(Kind::Colon),
            Some(b'"') => self.string(start).map(|end| (Kind::String, end)),
            Some(b'-' | b'0'..=b'9') => self.number(start).map(|end| (Kind::Number, end)),
            Some(_) => self.word(start),
        }?;
        self.at = end;
        self.work.spend(TOKEN_WORK + end - start)?;
        Ok(Token { kind, start, end })
    }

    fn bad_token(&self, start: usize, end: usize) -> Error {
        invalid(format!("Token \"{}\" is invalid.", &self.text[start..end]))
    }

    fn word(&mut self, start: usize) -> Result<(Kind, usize)> {
        self.skip_while(is_word)?;
        let kind = match &self.text[start..self.at] {
            "true" => Kind::True,
            "false" => Kind::False,
            "null" => Kind::Null,
            // A mark of punctuation that JSON has no use for: one byte, or it were a word.
            "" => return Err(self.bad_token(start, start + 1)),
            _ => return Err(self.bad_token(start, self.at)),
        };
        Ok((kind, self.at))
    }

    fn digits(&mut self) -> Result<bool> {
        let before = self.at;
        self.skip_while(|byte| byte.is_ascii_digit())?;
        Ok(self.at > before)
    }

    fn number(&mut self, start: usize) -> Result<usize> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let mut valid = true;
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => valid &= self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            valid &= self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            valid &= self.digits()?;
        }
        // What follows without a blank is part of what is complained about.
        let end = self.at;
        self.skip_while(is_word)?;
        if valid && end == self.at {
            return Ok(end);
        }
        Err(self.bad_token(start, self.at))
    }

    /// Where a string that begins here ends.
    fn string(&mut self, start: usize) -> Result<usize> {
        self.at = start + 1;
        let mut surrogate = None;
        loop {
            if surrogate.is_some() && self.peek() != Some(b'\\') {
                return Err(lone_high());
            }
            match self.peek() {
                None => return Err(self.bad_token(start, self.at)),
                Some(b'"') => return Ok(self.at + 1),
                Some(b'\\') => surrogate = self.escape(start, surrogate)?,
                Some(control @ 0..0x20) => {
                    return Err(invalid(format!(
                        "Character with value 0x{control:02x} must be escaped."
                    )));
                }
                Some(_) => self.plain()?,
            }
        }
    }

    /// Passes over characters of a string that stand for themselves.
    fn plain(&mut self) -> Result<()> {
        let rest = &self.text.as_bytes()[self.at..];
        let piece = &rest[..rest.len().min(PIECE_BYTES)];
        let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
        let count = piece.iter().position(ends).unwrap_or(piece.len());
        self.at += count;
        self.work.spend(count)
    }

    /// Passes over an escape in the string that began at `start`; gives the high surrogate that it is, if it is
    /// one and that matters.
    fn escape(&mut self, start: usize, before: Option<u32>) -> Result<Option<u32>> {
        self.work.spend(TOKEN_WORK)?;
        let rest = &self.text[self.at + 1..];
        let Some(kind) = rest.chars().next() else {
            return Err(self.bad_token(start, self.at + 1));
        };
        self.at += 1 + kind.len_utf8();
        let unit = match kind {
            'u' => self.four_digits()?,
            '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' if before.is_some() => {
                return Err(lone_high());
            }
            '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' => return Ok(None),
            other => {
                return Err(invalid(format!(
                    "Escape sequence \"\\{other}\" is invalid."
                )));
            }
        };
        if self.escapes == Escapes::Form {
            return Ok(None);
        }
        match unit {
            0xD800..0xDC00 if before.is_some() => Err(invalid(
                "Unicode high surrogate must not follow a high surrogate.",
            )),
            0xD800..0xDC00 => Ok(Some(unit)),
            0xDC00..0xE000 if before.is_none() => Err(lone_high()),
            0xDC00..0xE000 => Ok(None),
            _ if before.is_some() => Err(lone_high()),
            0 => Err(zero()),
            _ => Ok(None),
        }
    }

    fn four_digits(&mut self) -> Result<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let unit = digits
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .map(hexadecimal);
        self.at += 4;
        unit.ok_or_else(|| invalid("\"\\u\" must be followed by four hexadecimal digits."))
    }
}

fn lone_high() -> Error {
    invalid("Unicode low surrogate must follow a high surrogate.")
}

fn zero() -> Error {
    sql_error!(
        UNTRANSLATABLE_CHARACTER,
        "unsupported Unicode escape sequence"
    )
    .with_detail("\\u0000 cannot be converted to text.")
}

fn hexadecimal(digits: &[u8]) -> u32 {
    digits
        .iter()
        .fold(0, |n, d| n << 4 | char::from(*d).to_digit(16).unwrap_or(0))
}

/// The work of an escape beside that over the bytes.
const ESCAPE_WORK: usize = 16;

/// What a string token stands for. Its escapes were held to their meaning, or this is an error.
pub(super) fn unescape<'t>(token: &'t str, work: &Work<'_>) -> Result<Cow<'t, str>> {
    let inner = &token[1..token.len() - 1];
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner));
    }
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        work.spend(ESCAPE_WORK + at)?;
        out.push_str(&rest[..at]);
        let kind = rest.as_bytes()[at + 1];
        rest = &rest[at + 2..];
        match kind {
            b'b' => out.push('\x08'),
            b'f' => out.push('\x0C'),
            b'n' => out.push('\n'),
            b'r' => out.push('\r'),
            b't' => out.push('\t'),
            b'u' => rest = push_unicode(&mut out, rest)?,
            other => out.push(char::from(other)),
        }
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

/// Appends the character whose four digits come next, or eight where it takes a pair.
fn push_unicode<'a>(out: &mut String, rest: &'a str) -> Result<&'a str> {
    let (digits, mut rest) = rest.split_at(4);
    let mut point = hexadecimal(digits.as_bytes());
    if let 0xD800..0xDC00 = point {
        let low = rest.strip_prefix("\\u").and_then(|after| after.get(..4));
        let low = low.map_or(0, |digits| hexadecimal(digits.as_bytes()));
        if !(0xDC00..0xE000).contains(&low) {
            return Err(lone_high());
        }
        point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
        rest = &rest[6..];
    }
    match char::from_u32(point) {
        Some('\0') => Err(zero()),
        Some(c) => {
            out.push(c);
            Ok(rest)
        }
        None => Err(lone_high()),
    }
}
