//! What the line editor asks: whether a line is at its end, what a word may become, what colour
//! things have.

use crate::command;
use crate::scan::{self, TokenKind, tokens};
use remora::Connection;
use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Cmd, ConditionalEventHandler, Context, Event, EventContext, Helper, RepeatCount};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

/// Words that are coloured and completed.
const KEYWORDS: &[&str] = &[
    "ALL",
    "AND",
    "AS",
    "ASC",
    "BEGIN",
    "BETWEEN",
    "BIGINT",
    "BOOLEAN",
    "BY",
    "BYTEA",
    "CASE",
    "CAST",
    "CHECK",
    "CHECKPOINT",
    "COMMIT",
    "COMPACT",
    "CONSTRAINT",
    "COPY",
    "CREATE",
    "CROSS",
    "DATE",
    "DEFAULT",
    "DELETE",
    "DESC",
    "DISTINCT",
    "DOUBLE",
    "DROP",
    "ELSE",
    "END",
    "EXISTS",
    "EXPLAIN",
    "FALSE",
    "FIRST",
    "FROM",
    "GROUP",
    "HAVING",
    "HEADER",
    "IF",
    "IN",
    "INDEX",
    "INNER",
    "INSERT",
    "INTEGER",
    "INTERVAL",
    "INTO",
    "IS",
    "JOIN",
    "KEY",
    "LAST",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NOT",
    "NULL",
    "NULLS",
    "NUMERIC",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "PRECISION",
    "PRIMARY",
    "READ",
    "REAL",
    "RELEASE",
    "ROLLBACK",
    "SAVEPOINT",
    "SELECT",
    "SET",
    "SHOW",
    "SMALLINT",
    "TABLE",
    "TEXT",
    "THEN",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMPTZ",
    "TO",
    "TRANSACTION",
    "TRUE",
    "UNION",
    "UNIQUE",
    "UPDATE",
    "USING",
    "UUID",
    "VALUES",
    "VARCHAR",
    "WHEN",
    "WHERE",
    "WITH",
];

/// Tables whose columns are offered for completion; more would make the prompt slow.
const TABLES_LEARNT_MAX: usize = 200;

/// The names of functions.
fn function_names() -> &'static [&'static str] {
    static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(remora::internal::manual::names);
    &NAMES
}

/// The editor's helper.
#[derive(Default)]
pub(crate) struct SqlHelper {
    /// Names of tables, columns and indexes.
    names: BTreeSet<String>,
    files: FilenameCompleter,
}

impl SqlHelper {
    /// Takes in the names that the connection's next statement could use.
    pub(crate) fn learn(&mut self, connection: &Connection) {
        self.names.clear();
        let mut tables = connection.tables().unwrap_or_default();
        tables.extend(connection.views().unwrap_or_default());
        for table in tables.into_iter().take(TABLES_LEARNT_MAX) {
            let columns = connection.columns(&table).unwrap_or_default();
            self.names
                .extend(columns.into_iter().map(|column| column.name));
            self.names.insert(table);
        }
    }

    fn words(&self, start: &str) -> Vec<Pair> {
        let lower = start.to_lowercase();
        let shout = start.starts_with(|c: char| c.is_uppercase());
        let names = self
            .names
            .iter()
            .filter(|name| name.starts_with(&lower))
            .cloned();
        let keywords = KEYWORDS
            .iter()
            .map(|word| {
                if shout {
                    (*word).to_owned()
                } else {
                    word.to_lowercase()
                }
            })
            .filter(|word| word.to_lowercase().starts_with(&lower));
        // With the bracket that a call has.
        let functions = function_names()
            .iter()
            .filter(|name| name.starts_with(&lower))
            .map(|name| format!("{name}("));
        names
            .chain(keywords)
            .chain(functions)
            .map(|word| Pair {
                display: word.clone(),
                replacement: word,
            })
            .collect()
    }
}

impl Completer for SqlHelper {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        ctx: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = &line[..pos];
        if before.starts_with('.') {
            if before.contains(' ') {
                return self.files.complete(line, pos, ctx);
            }
            let names = command::names().filter(|name| name.starts_with(before));
            let pair = |name: &str| Pair {
                display: name.to_owned(),
                replacement: name.to_owned(),
            };
            return Ok((0, names.map(pair).collect()));
        }
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let start = before.rfind(|c| !is_part(c)).map_or(0, |at| {
            at + before[at..].chars().next().map_or(1, char::len_utf8)
        });
        if start == pos {
            return Ok((pos, Vec::new()));
        }
        Ok((start, self.words(&before[start..])))
    }
}

impl Highlighter for SqlHelper {
    fn highlight<'l>(&self, line: &'l str, _pos: usize) -> Cow<'l, str> {
        if line.starts_with('.') {
            return Cow::Borrowed(line);
        }
        let mut coloured = String::with_capacity(line.len() * 2);
        for token in tokens(line) {
            let colour = match token.kind {
                TokenKind::Word if is_keyword(token.text) => "1;34",
                TokenKind::String => "32",
                TokenKind::Number => "36",
                TokenKind::Comment => "2",
                _ => {
                    coloured.push_str(token.text);
                    continue;
                }
            };
            coloured.push_str(&format!("\x1b[{colour}m{}\x1b[0m", token.text));
        }
        Cow::Owned(coloured)
    }

    fn highlight_char(&self, _line: &str, _pos: usize, kind: CmdKind) -> bool {
        kind != CmdKind::MoveCursor
    }
}

fn is_keyword(word: &str) -> bool {
    KEYWORDS
        .binary_search(&word.to_ascii_uppercase().as_str())
        .is_ok()
}

impl Validator for SqlHelper {
    /// A line with line breaks in it (recalled, pasted, or brought back by *Up*) ends where its
    /// statement ends; a plain line always does, and the prompt asks for more.
    fn validate(&self, ctx: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let input = ctx.input();
        if input.contains('\n') && !input.starts_with('.') && !scan::is_complete(input) {
            return Ok(ValidationResult::Incomplete);
        }
        Ok(ValidationResult::Valid(None))
    }
}

impl Hinter for SqlHelper {
    type Hint = String;
}

impl Helper for SqlHelper {}

/// The key that brings all lines of an unfinished statement back for editing.
#[derive(Clone, Default)]
pub(crate) struct EditAll(Arc<EditAllState>);

#[derive(Default)]
struct EditAllState {
    enabled: AtomicBool,
    asked: AtomicBool,
}

impl EditAll {
    /// Whether there are lines to bring back.
    pub(crate) fn enable(&self, enabled: bool) {
        self.0.enabled.store(enabled, Ordering::Relaxed);
    }

    /// Whether the line ended because of the key.
    pub(crate) fn take(&self) -> bool {
        self.0.asked.swap(false, Ordering::Relaxed)
    }
}

impl ConditionalEventHandler for EditAll {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, _: &EventContext<'_>) -> Option<Cmd> {
        if !self.0.enabled.load(Ordering::Relaxed) {
            return None;
        }
        self.0.asked.store(true, Ordering::Relaxed);
        Some(Cmd::AcceptLine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_sorted_for_the_search() {
        assert!(KEYWORDS.is_sorted());
        assert!(is_keyword("select") && !is_keyword("selects"));
    }

    #[test]
    fn words_complete_in_the_case_that_was_begun() {
        let mut helper = SqlHelper::default();
        helper.names.insert("selection".to_owned());
        let words = |start: &str| -> Vec<String> {
            helper
                .words(start)
                .into_iter()
                .map(|pair| pair.replacement)
                .collect()
        };
        assert_eq!(words("sel"), ["selection", "select"]);
        assert_eq!(words("SELEC"), ["selection", "SELECT"]);
        assert!(words("xyz").is_empty());
    }

    #[test]
    fn colours_change_no_character() {
        let helper = SqlHelper::default();
        let line = "SELECT 'a' || \"é\", 1.5 -- note";
        let coloured = helper.highlight(line, 0).into_owned();
        let mut plain = String::new();
        let mut rest = coloured.as_str();
        while let Some((before, after)) = rest.split_once('\x1b') {
            plain.push_str(before);
            rest = after.split_once('m').unwrap().1;
        }
        plain.push_str(rest);
        assert_eq!(plain, line);
    }
}
