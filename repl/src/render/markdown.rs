//! `markdown`: a pipe table, for pasting into documents.

use super::{Cell, Column, Renderer, printable};
use std::io::{self, Write};

pub(super) struct MarkdownRenderer;

impl Renderer for MarkdownRenderer {
    fn begin(&mut self, out: &mut dyn Write, columns: &[Column]) -> io::Result<()> {
        line(out, columns.iter().map(|column| escape(&column.name)))?;
        line(
            out,
            columns.iter().map(|column| {
                let rule = if column.data_type.is_number() {
                    "---:"
                } else {
                    "---"
                };
                rule.to_owned()
            }),
        )
    }

    fn row(&mut self, out: &mut dyn Write, cells: Vec<Cell>) -> io::Result<()> {
        line(
            out,
            cells
                .iter()
                .map(|cell| cell.as_deref().map_or_else(|| "NULL".to_owned(), escape)),
        )
    }

    fn end(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

fn line(out: &mut dyn Write, cells: impl Iterator<Item = String>) -> io::Result<()> {
    let cells: Vec<String> = cells.collect();
    writeln!(out, "| {} |", cells.join(" | "))
}

/// A pipe would end the cell and a line break the row.
fn escape(text: &str) -> String {
    printable(text, true)
        .replace('|', "\\|")
        .replace('\n', "<br>")
}
