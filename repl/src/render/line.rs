//! `line`: one `name = value` a line, rows apart by a blank line; for rows wider than the screen.

use super::{Cell, Column, Renderer, printable};
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

#[derive(Default)]
pub(super) struct LineRenderer {
    /// Names, padded on the left to one width.
    names: Vec<String>,
    started: bool,
}

impl Renderer for LineRenderer {
    fn begin(&mut self, _out: &mut dyn Write, columns: &[Column]) -> io::Result<()> {
        let names: Vec<String> = columns.iter().map(|c| printable(&c.name, false)).collect();
        let width = names.iter().map(|name| name.width()).max().unwrap_or(0);
        self.names = names
            .into_iter()
            .map(|name| format!("{}{name}", " ".repeat(width - name.width())))
            .collect();
        Ok(())
    }

    fn row(&mut self, out: &mut dyn Write, cells: Vec<Cell>) -> io::Result<()> {
        if self.started {
            writeln!(out)?;
        }
        self.started = true;
        for (name, cell) in self.names.iter().zip(&cells) {
            let text = cell.as_deref().map(|text| printable(text, true));
            writeln!(out, "{name} = {}", text.as_deref().unwrap_or("NULL"))?;
        }
        Ok(())
    }

    fn end(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}
