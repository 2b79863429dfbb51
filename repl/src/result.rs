//! The way of a result from the engine to a renderer.

use crate::args::Format;
use crate::render::{Column, Renderer, renderer};
use crate::scan::{TokenKind, tokens};
use remora::internal::text::{self, Style};
use remora::{Error, Field, Row};
use std::io::{self, Write};
use std::sync::Arc;

/// Why a result was not shown to its end.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The statement failed.
    Sql(Error),
    /// The output did.
    Output(io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Sql(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// How a statement is best run, by its first words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StatementKind {
    /// Its rows are shown as they come.
    Query,
    /// `COPY .. TO STDOUT`: the output is the result.
    CopyOut,
    /// All others: run to the end, then shown.
    Other,
}

impl StatementKind {
    /// The kind of a statement.
    pub(crate) fn of(sql: &str) -> Self {
        let mut words = tokens(sql)
            .filter(|token| !matches!(token.kind, TokenKind::Space | TokenKind::Comment))
            .map(|token| token.text);
        let is = |word: &str, wanted: &str| word.eq_ignore_ascii_case(wanted);
        match words.next() {
            Some(first)
                if ["select", "values", "with", "table", "("]
                    .iter()
                    .any(|w| is(first, w)) =>
            {
                Self::Query
            }
            Some(first) if is(first, "copy") => {
                let mut before = "";
                for word in words {
                    if is(before, "to") && is(word, "stdout") {
                        return Self::CopyOut;
                    }
                    before = word;
                }
                Self::Other
            }
            _ => Self::Other,
        }
    }
}

/// Shows one result.
pub(crate) struct ResultWriter<'a> {
    renderer: Box<dyn Renderer>,
    out: &'a mut dyn Write,
    columns: Vec<Column>,
    style: Arc<Style>,
    /// Whether the columns were shown. A query that fails before its first row shows nothing.
    begun: bool,
}

impl<'a> ResultWriter<'a> {
    /// A writer for a result of these columns.
    pub(crate) fn new(
        format: Format,
        out: &'a mut dyn Write,
        fields: &[Field],
        style: Arc<Style>,
    ) -> Self {
        let column = |field: &Field| Column {
            name: field.name.clone(),
            data_type: field.data_type,
        };
        Self {
            renderer: renderer(format),
            out,
            columns: fields.iter().map(column).collect(),
            style,
            begun: false,
        }
    }

    fn begin(&mut self) -> Result<(), Failure> {
        if !self.begun {
            self.begun = true;
            self.renderer.begin(self.out, &self.columns)?;
        }
        Ok(())
    }

    /// Shows a row.
    pub(crate) fn row(&mut self, row: &Row<'_>) -> Result<(), Failure> {
        self.begin()?;
        let values = row.values().zip(&self.columns);
        let cells = values
            .map(|(value, column)| text::format_in(value, column.data_type, &self.style))
            .collect();
        Ok(self.renderer.row(self.out, cells)?)
    }

    /// Shows the end.
    pub(crate) fn end(mut self) -> Result<(), Failure> {
        self.begin()?;
        Ok(self.renderer.end(self.out)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_words_tell_the_kind() {
        for (sql, kind) in [
            ("SELECT 1", StatementKind::Query),
            ("-- note\n values (1)", StatementKind::Query),
            ("((SELECT 1))", StatementKind::Query),
            ("COPY t TO STDOUT", StatementKind::CopyOut),
            ("copy t to stdout with csv", StatementKind::CopyOut),
            ("COPY t TO 'stdout'", StatementKind::Other),
            ("INSERT INTO t SELECT 1", StatementKind::Other),
            ("", StatementKind::Other),
        ] {
            assert_eq!(StatementKind::of(sql), kind, "{sql}");
        }
    }
}
