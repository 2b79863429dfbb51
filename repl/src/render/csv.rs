//! `csv`: as PostgreSQL's `COPY .. TO .. CSV HEADER` writes it.
//!
//! NULL is an empty field and the empty string is `""`, so that a round trip keeps them apart. (The
//! `csv` crate cannot quote one field and not another, which is why fields are written here.)

use super::{Cell, Column, Renderer};
use std::io::{self, Write};

pub(super) struct CsvRenderer;

impl Renderer for CsvRenderer {
    fn begin(&mut self, out: &mut dyn Write, columns: &[Column]) -> io::Result<()> {
        record(out, columns.iter().map(|column| Some(column.name.as_str())))
    }

    fn row(&mut self, out: &mut dyn Write, cells: Vec<Cell>) -> io::Result<()> {
        record(out, cells.iter().map(|cell| cell.as_deref()))
    }

    fn end(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

fn record<'a>(
    out: &mut dyn Write,
    fields: impl Iterator<Item = Option<&'a str>>,
) -> io::Result<()> {
    for (index, field) in fields.enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        match field {
            Some(text) if text.is_empty() || text.contains(['"', ',', '\n', '\r']) => {
                write!(out, "\"{}\"", text.replace('"', "\"\""))?;
            }
            Some(text) => out.write_all(text.as_bytes())?,
            None => {}
        }
    }
    out.write_all(b"\n")
}
