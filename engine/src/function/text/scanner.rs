//! Scanner: a text that is read from its front, and what arrays, ranges and records have in common as texts.

use super::super::{Work, pieces};
use crate::error::Result;

/// What is left of a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scanner<'t> {
    pub(super) rest: &'t str,
}

impl<'t> Scanner<'t> {
    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Takes the next character.
    pub(super) fn take(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    /// Takes the next character if it is this one.
    pub(super) fn eat(&mut self, wanted: char) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Takes all characters up to one that does not belong.
    pub(super) fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    pub(super) fn skip_spaces(&mut self, work: &Work<'_>) -> Result<()> {
        for piece in pieces(self.rest) {
            let behind = piece.trim_start_matches(is_space);
            self.rest = &self.rest[piece.len() - behind.len()..];
            if !behind.is_empty() {
                break;
            }
            work.spend(piece.len())?;
        }
        Ok(())
    }

    /// Takes a part that may be quoted, with escapes, up to one of these characters outside of quotes; within quotes two
    /// quotation marks are one. `None` where the text ends before.
    pub(super) fn part(&mut self, ends: &[char], work: &Work<'_>) -> Result<Option<String>> {
        let (mut part, mut is_quoted) = (String::new(), false);
        while is_quoted || !self.rest.starts_with(ends) {
            work.spend(1)?;
            match self.take() {
                None => return Ok(None),
                Some('\\') => match self.take() {
                    None => return Ok(None),
                    Some(c) => part.push(c),
                },
                Some('"') if is_quoted && self.eat('"') => part.push('"'),
                Some('"') => is_quoted = !is_quoted,
                Some(c) => part.push(c),
            }
        }
        Ok(Some(part))
    }
}

/// The characters that C's `isspace` knows, and so PostgreSQL.
pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

/// Appends a part, in quotes where it is empty or has blanks or special characters; `escape` stands before a
/// quotation mark or a backslash, or nothing where these are doubled.
pub(super) fn write_part(
    out: &mut String,
    part: &str,
    special: &str,
    escape: Option<char>,
    work: &Work<'_>,
) -> Result<()> {
    let is_special = |c: char| matches!(c, '"' | '\\') || special.contains(c) || is_space(c);
    let mut is_quoted = part.is_empty();
    for piece in pieces(part) {
        work.spend(piece.len())?;
        is_quoted |= piece.contains(is_special);
    }
    if !is_quoted {
        out.push_str(part);
        return Ok(());
    }
    out.push('"');
    for piece in pieces(part) {
        work.spend(piece.len())?;
        for c in piece.chars() {
            if matches!(c, '"' | '\\') {
                out.push(escape.unwrap_or(c));
            }
            out.push(c);
        }
    }
    out.push('"');
    Ok(())
}
