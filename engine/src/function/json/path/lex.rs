//! Tokens of a path's text.
//!
//! Names may be written with escapes, as strings are; a `$` before a name or a string makes a variable of it. Words
//! mean something only where the grammar has a place for them, so they are told apart there.

use super::syntax_error;
use crate::error::{Error, Result};

/// A token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Token {
    /// A name without quotes.
    Word(String),
    /// A string in quotes.
    String(String),
    /// `$name`
    Variable(String),
    /// A number as it is written.
    Number(String),
    /// Everything else.
    Mark(&'static str),
    End,
}

/// Marks, the longer before their beginnings.
const MARKS: [&str; 29] = [
    "**", "&&", "||", "==", "!=", "<>", "<=", ">=", "<", ">", "!", "$", "@", "*", "+", "-", "/",
    "%", "?", ".", ",", "(", ")", "[", "]", "{", "}", ":", "#",
];

/// Takes a text apart.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0C')
}

/// Whether a character ends a name.
fn is_special(c: char) -> bool {
    is_blank(c) || "?%$.[]{}()|&!=<>@#,*:-+/\"".contains(c)
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn near(&self, message: &str, start: usize) -> Error {
        complaint(message, &self.text[start..self.at])
    }

    /// The next token and where it begins.
    pub(super) fn next(&mut self) -> Result<(Token, usize)> {
        self.skip()?;
        let start = self.at;
        let token = match self.peek() {
            None => Token::End,
            Some('"') => Token::String(self.string(start)?),
            Some('0'..='9') => Token::Number(self.number(start)?),
            Some('.') if self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                Token::Number(self.number(start)?)
            }
            Some('$') => self.variable()?,
            Some(c) if !is_special(c) => Token::Word(self.word(start)?),
            Some(_) => match MARKS.iter().find(|mark| self.rest().starts_with(**mark)) {
                Some(mark) => {
                    self.at += mark.len();
                    Token::Mark(mark)
                }
                None => {
                    self.bump();
                    return Err(self.near("syntax error", start));
                }
            },
        };
        Ok((token, start))
    }

    /// What the text has between two places.
    pub(super) fn between(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    fn skip(&mut self) -> Result<()> {
        loop {
            let blanks = self.rest().trim_start_matches(is_blank);
            self.at = self.text.len() - blanks.len();
            let Some(comment) = blanks.strip_prefix("/*") else {
                return Ok(());
            };
            match comment.find("*/") {
                Some(end) => self.at += end + 4,
                None => {
                    return Err(syntax_error(
                        "unexpected end of comment at end of jsonpath input",
                    ));
                }
            }
        }
    }

    fn digits(&mut self) -> usize {
        let rest = self.rest();
        let count = rest.bytes().take_while(u8::is_ascii_digit).count();
        self.at += count;
        count
    }

    fn number(&mut self, start: usize) -> Result<String> {
        let whole = self.digits();
        let mut is_right = whole < 2 || !self.text[start..].starts_with('0');
        if self.rest().starts_with('.') {
            self.at += 1;
            self.digits();
        }
        let end = self.at;
        if self.rest().starts_with(['e', 'E']) {
            self.at += 1;
            if self.rest().starts_with(['+', '-']) {
                self.at += 1;
            }
            is_right &= self.digits() > 0;
        }
        if !is_right || self.peek().is_some_and(|c| !is_special(c)) {
            if is_right {
                self.bump();
            } else if whole < 2 {
                self.at = (end + 1).min(self.text.len());
            }
            return Err(self.near("trailing junk after numeric literal", start));
        }
        Ok(self.text[start..self.at].to_owned())
    }

    /// `$` alone, or with a name behind it.
    fn variable(&mut self) -> Result<Token> {
        self.at += 1;
        let start = self.at;
        Ok(match self.peek() {
            Some('"') => Token::Variable(self.string(start)?),
            Some(c) if !is_special(c) => Token::Variable(self.word(start)?),
            _ => Token::Mark("$"),
        })
    }

    fn word(&mut self, start: usize) -> Result<String> {
        let mut out = String::new();
        while let Some(c) = self.peek().filter(|c| !is_special(*c)) {
            self.at += c.len_utf8();
            match c {
                '\\' => self.escape(&mut out, start)?,
                _ => out.push(c),
            }
        }
        Ok(out)
    }

    fn string(&mut self, start: usize) -> Result<String> {
        self.at += 1;
        let mut out = String::new();
        loop {
            match self.bump() {
                Some('"') => return Ok(out),
                Some('\\') => self.escape(&mut out, start)?,
                Some(c) => out.push(c),
                None => {
                    return Err(syntax_error(
                        "unexpected end of quoted string at end of jsonpath input",
                    ));
                }
            }
        }
    }

    /// What stands behind a backslash.
    fn escape(&mut self, out: &mut String, start: usize) -> Result<()> {
        let Some(letter) = self.bump() else {
            return Err(syntax_error(
                "unexpected end after backslash at end of jsonpath input",
            ));
        };
        out.push(match letter {
            'b' => '\x08',
            'f' => '\x0C',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0B',
            'x' => {
                let code = self.hex(2, 2);
                let code =
                    code.ok_or_else(|| self.near("invalid hex character sequence", start))?;
                character(code)?
            }
            'u' => {
                let code = self.unit(start)?;
                match code {
                    0xD800..0xDC00 => self.surrogates(code, start)?,
                    0xDC00..0xE000 => return Err(low_surrogate()),
                    _ => character(code)?,
                }
            }
            other => other,
        });
        Ok(())
    }

    /// The second half of a character that `\u` has two for.
    fn surrogates(&mut self, high: u32, start: usize) -> Result<char> {
        if !self.rest().starts_with("\\u") {
            return Err(low_surrogate());
        }
        self.at += 2;
        match self.unit(start)? {
            low @ 0xDC00..0xE000 => character(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00)),
            _ => Err(low_surrogate()),
        }
    }

    /// `XXXX` or `{X..}` behind `\u`.
    fn unit(&mut self, start: usize) -> Result<u32> {
        let braced = self.rest().starts_with('{');
        self.at += usize::from(braced);
        let code = if braced {
            self.hex(1, 6)
        } else {
            self.hex(4, 4)
        };
        let closed = !braced || self.bump() == Some('}');
        match code {
            Some(code) if closed => Ok(code),
            _ => Err(self.near("invalid unicode sequence", start)),
        }
    }

    /// So many hexadecimal digits.
    fn hex(&mut self, least: usize, most: usize) -> Option<u32> {
        let rest = self.rest();
        let count = rest
            .bytes()
            .take_while(u8::is_ascii_hexdigit)
            .take(most)
            .count();
        self.at += count;
        match count >= least {
            true => u32::from_str_radix(&rest[..count], 16).ok(),
            false => None,
        }
    }
}

/// A complaint about what stands at a place, or at the end where nothing does.
pub(super) fn complaint(message: &str, near: &str) -> Error {
    match near {
        "" => syntax_error(format!("{message} at end of jsonpath input")),
        _ => syntax_error(format!("{message} at or near \"{near}\" of jsonpath input")),
    }
}

fn low_surrogate() -> Error {
    sql_error!(
        INVALID_TEXT_REPRESENTATION,
        "invalid input syntax for type jsonpath"
    )
    .with_detail("Unicode surrogates must come in pairs, the high one first.")
}

fn character(code: u32) -> Result<char> {
    match char::from_u32(code) {
        Some('\0') => Err(sql_error!(
            UNTRANSLATABLE_CHARACTER,
            "unsupported Unicode escape sequence"
        )
        .with_detail("\\u0000 cannot be converted to text.")),
        Some(character) => Ok(character),
        None => Err(sql_error!(
            INVALID_TEXT_REPRESENTATION,
            "invalid input syntax for type jsonpath"
        )),
    }
}
