//! `box`: a table drawn with lines, numbers to the right.
//!
//! The widths depend on all rows, so rows are held back. A result longer than a page is drawn as
//! several tables, which bounds the memory and lets a long answer begin to appear.

use super::{Cell, Column, Renderer, printable};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, ContentArrangement, ContentLineStyle, Table};
use std::io::{self, Write};

/// Rows drawn as one table.
const PAGE_ROWS_MAX: usize = 10_000;

#[derive(Default)]
pub(super) struct BoxRenderer {
    columns: Vec<Column>,
    page: Vec<Vec<Cell>>,
    rows: usize,
}

impl BoxRenderer {
    fn draw(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let solid = ContentLineStyle::new('│', '│', '│');
        let mut table = Table::new();
        table
            .load_style(UTF8_FULL_CONDENSED.header_lines(solid).content_lines(solid))
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(
                self.columns
                    .iter()
                    .map(|column| printable(&column.name, false)),
            );
        for row in self.page.drain(..) {
            table.add_row(row.iter().map(|cell| match cell {
                Some(text) => printable(text, true),
                None => "NULL".to_owned(),
            }));
        }
        for (index, column) in self.columns.iter().enumerate() {
            if let Some(drawn) = table.column_mut(index)
                && column.data_type.is_number()
            {
                drawn.set_cell_alignment(CellAlignment::Right);
            }
        }
        writeln!(out, "{table}")
    }
}

impl Renderer for BoxRenderer {
    fn begin(&mut self, _out: &mut dyn Write, columns: &[Column]) -> io::Result<()> {
        self.columns = columns.to_vec();
        Ok(())
    }

    fn row(&mut self, out: &mut dyn Write, cells: Vec<Cell>) -> io::Result<()> {
        self.rows += 1;
        self.page.push(cells);
        if self.page.len() == PAGE_ROWS_MAX {
            self.draw(out)?;
        }
        Ok(())
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if !self.page.is_empty() || self.rows == 0 {
            self.draw(out)?;
        }
        let unit = if self.rows == 1 { "row" } else { "rows" };
        writeln!(out, "({} {unit})", self.rows)
    }
}
