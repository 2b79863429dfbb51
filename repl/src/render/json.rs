//! `json` and `jsonl`: rows as objects, in one array or one a line.
//!
//! A value is a JSON number only where JSON's readers hold it exactly; NUMERIC, BIGINT beyond 2^53
//! and everything else that is not a boolean is a string in PostgreSQL's text form.

use super::{Cell, Column, Renderer};
use remora::DataType;
use serde_json::Value;
use std::io::{self, Write};

/// The greatest integer up to which a double holds all.
const EXACT_INTEGER_MAX: u64 = 1 << 53;

pub(super) struct JsonRenderer {
    columns: Vec<(String, DataType)>,
    array: bool,
    first: bool,
}

impl JsonRenderer {
    /// One array of objects.
    pub(super) fn array() -> Self {
        Self {
            columns: Vec::new(),
            array: true,
            first: true,
        }
    }

    /// One object a line.
    pub(super) fn lines() -> Self {
        Self {
            array: false,
            ..Self::array()
        }
    }
}

impl Renderer for JsonRenderer {
    fn begin(&mut self, out: &mut dyn Write, columns: &[Column]) -> io::Result<()> {
        self.columns = columns
            .iter()
            .map(|column| (string(&column.name), column.data_type))
            .collect();
        if self.array {
            out.write_all(b"[")
        } else {
            Ok(())
        }
    }

    fn row(&mut self, out: &mut dyn Write, cells: Vec<Cell>) -> io::Result<()> {
        if self.array && !self.first {
            out.write_all(b",\n")?;
        }
        self.first = false;
        for (index, (cell, (name, data_type))) in cells.iter().zip(&self.columns).enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            write!(out, "{open}{name}:{}", value(cell.as_deref(), *data_type))?;
        }
        let open = if cells.is_empty() { "{" } else { "" };
        let close = if self.array { "}" } else { "}\n" };
        write!(out, "{open}{close}")
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.array {
            out.write_all(b"]\n")
        } else {
            Ok(())
        }
    }
}

/// One value as JSON.
pub(super) fn value(cell: Option<&str>, data_type: DataType) -> String {
    let Some(text) = cell else {
        return "null".to_owned();
    };
    let bare = match data_type {
        DataType::Boolean => return if text == "t" { "true" } else { "false" }.to_owned(),
        DataType::SmallInt | DataType::Integer => true,
        DataType::BigInt => text
            .parse::<i64>()
            .is_ok_and(|number| number.unsigned_abs() <= EXACT_INTEGER_MAX),
        DataType::Real | DataType::Double => text.parse::<f64>().is_ok_and(f64::is_finite),
        _ => false,
    };
    if bare { text.to_owned() } else { string(text) }
}

fn string(text: &str) -> String {
    Value::from(text).to_string()
}
