//! `list`: values separated by `|`, as they are; NULL is empty. For quick scripts.

use super::{Cell, Column, Renderer};
use std::io::{self, Write};

pub(super) struct ListRenderer;

impl Renderer for ListRenderer {
    fn begin(&mut self, out: &mut dyn Write, columns: &[Column]) -> io::Result<()> {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        writeln!(out, "{}", names.join("|"))
    }

    fn row(&mut self, out: &mut dyn Write, cells: Vec<Cell>) -> io::Result<()> {
        let values: Vec<&str> = cells.iter().map(|c| c.as_deref().unwrap_or("")).collect();
        writeln!(out, "{}", values.join("|"))
    }

    fn end(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}
