//! What scans look for, as text for EXPLAIN: keys of an index, and bounds of columns.

use super::show::{list, show};
use crate::plan::physical::{IndexKeys, KeyEnd, TableScan};
use crate::plan::{Expr, Field, Schema};
use remora_storage::catalog::{IndexEntry, TableEntry, key_name};
use std::ops::Bound;

/// The columns of a table.
pub(super) fn table_schema(table: &TableEntry) -> Schema {
    let field = |column: &remora_storage::catalog::ColumnDef| Field {
        name: key_name(column).into_owned(),
        data_type: column.data_type,
    };
    table.def.columns.iter().map(field).collect()
}

/// The bounds that storage keeps.
pub(super) fn bounds(scan: &TableScan) -> String {
    let schema = table_schema(&scan.table);
    let none = Schema::new();
    let mut parts = Vec::new();
    for range in &scan.bounds {
        let position = scan.table.def.position(range.column).unwrap_or_default();
        let name = &schema[position].name;
        let text = |bound: &Bound<Expr>, included, excluded| match bound {
            Bound::Included(value) => Some((included, show(value, &none))),
            Bound::Excluded(value) => Some((excluded, show(value, &none))),
            Bound::Unbounded => None,
        };
        let (low, high) = (text(&range.low, ">=", ">"), text(&range.high, "<=", "<"));
        let ends = match (low, high) {
            (Some((">=", low)), Some(("<=", high))) if low == high => vec![("=", low)],
            (low, high) => low.into_iter().chain(high).collect(),
        };
        parts.extend(
            ends.iter()
                .map(|(op, value)| format!("({name} {op} {value})")),
        );
    }
    parts.join(" AND ")
}

/// The keys of an index, whose values may name columns of an outer input.
pub(super) struct Keys<'a> {
    index: &'a IndexEntry,
    outer: &'a [Field],
    /// The names of the index's columns.
    names: Vec<String>,
}

impl<'a> Keys<'a> {
    pub(super) fn new(table: &TableEntry, index: &'a IndexEntry, outer: &'a [Field]) -> Self {
        let name = |id| {
            let position = table.def.position(id);
            position.map(|at| key_name(&table.def.columns[at]).into_owned())
        };
        let keys = Self {
            index,
            outer,
            names: Vec::new(),
        };
        let columns = keys.shown(&index.def.columns).iter();
        let names = columns.map(|key| name(key.column).unwrap_or_default());
        Self {
            names: names.collect(),
            ..keys
        }
    }

    /// Which of them are read.
    pub(super) fn read(&self, keys: &IndexKeys) -> String {
        match keys {
            IndexKeys::Points(keys) => match keys.as_slice() {
                [key] => self.equalities(key),
                keys => format!("{} keys", keys.len()),
            },
            IndexKeys::Elements(array) => {
                let (name, array) = (&self.names[0], show(array, self.outer));
                format!("({name} = ANY ({array}))")
            }
            IndexKeys::Range { low, high } => self.range(low, high),
            IndexKeys::Prefix(values) => self.prefix(values),
        }
    }

    /// The parts of a key, without that which says that a row is in a partial index.
    fn shown<'k, T>(&self, key: &'k [T]) -> &'k [T] {
        &key[usize::from(self.index.def.partial).min(key.len())..]
    }

    pub(super) fn equalities(&self, key: &[Expr]) -> String {
        self.compare(&self.names, "=", self.shown(key))
    }

    fn compare(&self, names: &[String], operator: &str, values: &[Expr]) -> String {
        let pairs = names.iter().zip(values);
        let pair = |(name, value)| format!("({name} {operator} {})", show(value, self.outer));
        pairs.map(pair).collect::<Vec<_>>().join(" AND ")
    }

    /// What keys between two ends have in common, and then the ends.
    fn range(&self, low: &KeyEnd, high: &KeyEnd) -> String {
        let is_closed = |end: &KeyEnd| matches!(end, KeyEnd::Included(_));
        let (from, to) = (self.shown(low.values()), self.shown(high.values()));
        let both = from.iter().zip(to);
        let common = both.take_while(|(low, high)| low.same(high)).count();
        let mut parts = vec![self.compare(&self.names, "=", &from[..common])];
        if let KeyEnd::Null(_) = low {
            parts.push(format!("({} IS NULL)", self.names[common]));
            return all(parts);
        }
        for (end, values, included, excluded) in [(low, from, ">=", ">"), (high, to, "<=", "<")] {
            let (names, values) = (&self.names[common..], &values[common..]);
            let operator = if is_closed(end) { included } else { excluded };
            parts.push(match values {
                [] if matches!(end, KeyEnd::Nulls(_)) && from.len().max(to.len()) == common => {
                    format!("({} IS NOT NULL)", names[0])
                }
                [] => continue,
                [_] => self.compare(names, operator, values),
                values => format!(
                    "(ROW({}) {operator} ROW({}))",
                    names[..values.len()].join(", "),
                    list(values, self.outer)
                ),
            });
        }
        all(parts)
    }

    /// What keys have in common, of whose last one only the beginning.
    fn prefix(&self, values: &[Expr]) -> String {
        let values = self.shown(values);
        let common = values.len() - 1;
        all(vec![
            self.compare(&self.names, "=", &values[..common]),
            self.compare(&self.names[common..], "^@", &values[common..]),
        ])
    }
}

fn all(mut parts: Vec<String>) -> String {
    parts.retain(|part| !part.is_empty());
    parts.join(" AND ")
}
