//! `pg_constraint`: keys, checks and foreign keys.

use super::pg_catalog::attnum;
use super::table::{Names, system_table};
use crate::function::{constraint_oid, index_oid, schema_oid, table_oid};
use remora_storage::catalog::{Constraint, Deferral, ForeignAction, ForeignKeyDef, TableDef};
use remora_storage::{ColumnId, IndexId};

system_table! {
    CONSTRAINT = "pg_constraint", CATALOG;
    |context| let names = context.names(); for found in constraints(&names);
    let key = found.key;
    "oid" BigInt = found.oid(),
    "conname" Text = found.name,
    "connamespace" BigInt = schema_oid(found.table.schema),
    "contype" Text = found.kind,
    "condeferrable" Boolean = found.deferral != Deferral::Never,
    "condeferred" Boolean = found.deferral == Deferral::Deferred,
    "convalidated" Boolean = !found.not_valid,
    "conrelid" BigInt = table_oid(found.table.id),
    "conindid" BigInt = found.index.map_or(0, index_oid),
    "confrelid" BigInt = key.map_or(0, |key| table_oid(key.parent)),
    "confupdtype" Text = key.map_or(" ", |key| letter(key.on_update)),
    "confdeltype" Text = key.map_or(" ", |key| letter(key.on_delete)),
    "confmatchtype" Text = key.map_or(" ", |key| if key.full { "f" } else { "s" }),
    "conkey" Text = Some(numbers(&found.columns)).filter(|_| !found.columns.is_empty()),
    "confkey" Text = key.map(|key| numbers(&key.referenced)),
    "conbin" Text = found.condition,
}

system_table! {
    /// Columns of constraints, a row each; PostgreSQL has them as arrays.
    CONSTRAINT_COLUMN = "remora_constraint_columns", CATALOG;
    |context|
    let names = context.names();
    let all = constraints(&names);
    for (found, at, column) in all.iter().flat_map(|found| {
        found.columns.iter().enumerate().map(move |(at, column)| (found, at, *column))
    });
    "conoid" BigInt = found.oid(),
    "position" Integer = i32::try_from(at + 1).unwrap_or(i32::MAX),
    "conrelid" BigInt = table_oid(found.table.id),
    "attnum" SmallInt = attnum(column),
    "confrelid" BigInt = found.key.map(|key| table_oid(key.parent)),
    "confattnum" SmallInt = found.key.map(|key| attnum(key.referenced[at])),
}

/// A constraint of a table.
struct Found<'c> {
    table: &'c TableDef,
    name: &'c str,
    kind: &'static str,
    /// The index that it stands on.
    index: Option<IndexId>,
    columns: Vec<ColumnId>,
    key: Option<&'c ForeignKeyDef>,
    condition: Option<&'c str>,
    deferral: Deferral,
    not_valid: bool,
}

impl Found<'_> {
    fn oid(&self) -> i64 {
        constraint_oid(self.table.id, self.name)
    }
}

fn constraints(names: &Names) -> Vec<Found<'_>> {
    let mut found = Vec::new();
    for entry in names.tables() {
        let table = &entry.def;
        let bare = |name, kind| Found {
            table,
            name,
            kind,
            index: None,
            columns: Vec::new(),
            key: None,
            condition: None,
            deferral: Deferral::Never,
            not_valid: false,
        };
        for index in &entry.indexes {
            let kind = match index.def.constraint {
                Some(Constraint::PrimaryKey) => "p",
                Some(Constraint::Unique) => "u",
                None => continue,
            };
            let columns = index.def.columns.iter();
            let columns = columns.filter_map(|key| table.key_column(key.column));
            let columns = columns.map(|(column, _)| column.id);
            found.push(Found {
                index: Some(index.def.id),
                columns: columns.collect(),
                deferral: index.def.deferral,
                ..bare(&index.def.name, kind)
            });
        }
        found.extend(table.checks.iter().map(|check| Found {
            condition: Some(&check.expression),
            not_valid: check.not_valid,
            ..bare(&check.name, "c")
        }));
        found.extend(table.foreign_keys.iter().map(|key| Found {
            index: Some(key.index),
            columns: key.columns.clone(),
            key: Some(key),
            deferral: key.deferral,
            not_valid: key.not_valid,
            ..bare(&key.name, "f")
        }));
    }
    found
}

/// Returns numbers of columns as PostgreSQL writes an array.
fn numbers(columns: &[ColumnId]) -> String {
    let numbers = columns.iter().map(|column| attnum(*column).to_string());
    format!("{{{}}}", numbers.collect::<Vec<_>>().join(","))
}

fn letter(action: ForeignAction) -> &'static str {
    match action {
        ForeignAction::NoAction => "a",
        ForeignAction::Restrict => "r",
        ForeignAction::Cascade => "c",
        ForeignAction::SetNull => "n",
        ForeignAction::SetDefault => "d",
    }
}
