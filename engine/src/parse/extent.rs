//! Where a statement's text begins and ends in a text of several.

use super::around::is_space;
use crate::activity::TEXT_BYTES_MAX;
use sqlparser::tokenizer::{Location, TokenWithSpan};

/// Goes through a text once, from statement to statement.
pub(super) struct Extents<'a> {
    sql: &'a str,
    /// How far it has come, in bytes and as the tokenizer counts.
    at: usize,
    line: u64,
    column: u64,
}

impl<'a> Extents<'a> {
    pub(super) fn new(sql: &'a str) -> Self {
        Self {
            sql,
            at: 0,
            line: 1,
            column: 1,
        }
    }

    /// The text of the next statement, without blanks and comments around it, or its beginning.
    pub(super) fn of(&mut self, tokens: &[TokenWithSpan]) -> &'a str {
        let mut words = tokens.iter().filter(|token| !is_space(token));
        let Some(first) = words.next() else {
            return "";
        };
        let last = words.next_back().unwrap_or(first);
        let start = self.offset(first.span.start);
        let end = self.offset(last.span.end);
        let text = &self.sql[start..end];
        &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
    }

    /// The byte at a place, which is not before the last one that was asked for.
    pub(super) fn offset(&mut self, place: Location) -> usize {
        for character in self.sql[self.at..].chars() {
            if (self.line, self.column) >= (place.line, place.column) {
                break;
            }
            self.at += character.len_utf8();
            match character {
                '\n' => (self.line, self.column) = (self.line + 1, 1),
                _ => self.column += 1,
            }
        }
        self.at
    }
}
