//! What scans look for, as text for EXPLAIN: keys of an index, and bounds of columns.

use super::show::{list, show};
use crate::plan::physical::{KeyEnd, TableScan};
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

/// The names of an index's columns.
fn key_names(table: &TableEntry, index: &IndexEntry) -> Vec<String> {
    let name = |id| {
        let position = table.def.position(id);
        position.map(|at| key_name(&table.def.columns[at]).into_owned())
    };
    let columns = shown_keys(index, &index.def.columns).iter();
    columns
        .map(|key| name(key.column).unwrap_or_default())
        .collect()
}

/// The parts of a key, without that which says that a row is in a partial index.
fn shown_keys<'k, T>(index: &IndexEntry, key: &'k [T]) -> &'k [T] {
    &key[usize::from(index.def.partial).min(key.len())..]
}

pub(super) fn equalities(table: &TableEntry, index: &IndexEntry, key: &[Expr]) -> String {
    compare(&key_names(table, index), "=", shown_keys(index, key))
}

fn compare(names: &[String], operator: &str, values: &[Expr]) -> String {
    let none = Schema::new();
    let pairs = names.iter().zip(values);
    let pairs = pairs.map(|(name, value)| format!("({name} {operator} {})", show(value, &none)));
    pairs.collect::<Vec<_>>().join(" AND ")
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

/// What keys between two ends have in common, and then the ends.
pub(super) fn range(table: &TableEntry, index: &IndexEntry, low: &KeyEnd, high: &KeyEnd) -> String {
    let names = key_names(table, index);
    let is_closed = |end: &KeyEnd| matches!(end, KeyEnd::Included(_));
    let (from, to) = (
        shown_keys(index, low.values()),
        shown_keys(index, high.values()),
    );
    let both = from.iter().zip(to);
    let common = both.take_while(|(low, high)| low.same(high)).count();
    let mut parts = vec![compare(&names, "=", &from[..common])];
    for (end, values, included, excluded) in [(low, from, ">=", ">"), (high, to, "<=", "<")] {
        let (names, values) = (&names[common..], &values[common..]);
        let operator = if is_closed(end) { included } else { excluded };
        parts.push(match values {
            [] if matches!(end, KeyEnd::Nulls(_)) && from.len().max(to.len()) == common => {
                format!("({} IS NOT NULL)", names[0])
            }
            [] => continue,
            [_] => compare(names, operator, values),
            values => format!(
                "(ROW({}) {operator} ROW({}))",
                names[..values.len()].join(", "),
                list(values, &Schema::new())
            ),
        });
    }
    parts.retain(|part| !part.is_empty());
    parts.join(" AND ")
}

/// What keys have in common, of whose last one only the beginning.
pub(super) fn prefix(table: &TableEntry, index: &IndexEntry, values: &[Expr]) -> String {
    let names = key_names(table, index);
    let values = shown_keys(index, values);
    let common = values.len() - 1;
    let parts = [
        compare(&names, "=", &values[..common]),
        compare(&names[common..], "^@", &values[common..]),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" AND ")
}
