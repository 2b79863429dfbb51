//! Results as text: one file a format.
//!
//! A renderer is told the columns, then each row as PostgreSQL's text forms (`None` is NULL), then
//! the end. Formats that need no look ahead write each row at once, so that a result of any size
//! passes in constant memory; `box` needs the widths and works in pages instead.

mod boxed;
mod csv;
mod json;
mod line;
mod list;
mod markdown;

use crate::args::Format;
use remora::DataType;
use std::io::{self, Write};

/// A column of a result.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// Its name.
    pub(crate) name: String,
    /// Its type.
    pub(crate) data_type: DataType,
}

/// One value of a row: its text form, or NULL.
pub(crate) type Cell = Option<String>;

/// Writes one result.
pub(crate) trait Renderer {
    /// Before the first row.
    fn begin(&mut self, out: &mut dyn Write, columns: &[Column]) -> io::Result<()>;
    /// One row, with as many cells as there are columns.
    fn row(&mut self, out: &mut dyn Write, cells: Vec<Cell>) -> io::Result<()>;
    /// After the last row; not called when the statement fails half-way.
    fn end(&mut self, out: &mut dyn Write) -> io::Result<()>;
}

/// A renderer for one result.
pub(crate) fn renderer(format: Format) -> Box<dyn Renderer> {
    match format {
        Format::Box => Box::new(boxed::BoxRenderer::default()),
        Format::Csv => Box::new(csv::CsvRenderer),
        Format::Json => Box::new(json::JsonRenderer::array()),
        Format::Jsonl => Box::new(json::JsonRenderer::lines()),
        Format::Markdown => Box::new(markdown::MarkdownRenderer),
        Format::Line => Box::new(line::LineRenderer::default()),
        Format::List => Box::new(list::ListRenderer),
    }
}

/// The text with control characters made visible, so that data cannot drive the terminal.
/// Line breaks stay where `keep_lines`.
fn printable(text: &str, keep_lines: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && !(keep_lines && c == '\n') {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests;
