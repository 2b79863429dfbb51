//! Indexes and constraints as SQL: for `pg_get_indexdef` and `pg_get_constraintdef`, and for export.

use super::name_sql::{collation_sql, column_list, qualified, qualified_always};
use crate::function::quoted;
use remora_storage::catalog::{
    Catalog, CheckDef, Constraint, Deferral, ForeignAction, ForeignKeyDef, IndexColumn, IndexDef,
    IndexKind, TableDef, key_name,
};

/// Purpose of a text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// What PostgreSQL shows: with schema and access method, and expressions in parentheses of their own.
    Postgres,
    /// What makes the object again, without what goes without saying.
    Export,
}

/// Returns a column or an expression of an index. Only a call stands without parentheses.
pub(super) fn key_text(table: &TableDef, key: &IndexColumn, form: Form) -> String {
    if let Some((column, collation)) = table.key_column(key.column) {
        return quoted(&column.name) + &collation_sql(collation);
    }
    let column = table.position(key.column).map(|at| &table.columns[at]);
    let text = column.map_or_else(String::new, |column| key_name(column).into_owned());
    match form == Form::Postgres && text.starts_with('(') {
        true => format!("({text})"),
        false => text,
    }
}

/// Returns the statement that makes an index, without a semicolon.
pub(super) fn index_sql(
    catalog: &Catalog,
    table: &TableDef,
    index: &IndexDef,
    form: Form,
) -> String {
    let keys = index.columns.iter().skip(usize::from(index.partial));
    let keys = keys.map(|key| {
        let order = match (key.descending, key.nulls_first) {
            (false, false) => "",
            (false, true) => " NULLS FIRST",
            (true, true) => " DESC",
            (true, false) => " DESC NULLS LAST",
        };
        key_text(table, key, form) + order
    });
    let keys = keys.collect::<Vec<_>>().join(", ");
    let unique = if index.is_unique() { "UNIQUE " } else { "" };
    let (name, nulls) = (quoted(&index.name), nulls_sql(index));
    let condition = table.condition_of(index).map(|text| match form {
        Form::Postgres => format!(" WHERE ({text})"),
        Form::Export => format!(" WHERE {text}"),
    });
    let condition = condition.unwrap_or_default();
    let on = match form {
        Form::Postgres => qualified_always(catalog, table.schema, &table.name),
        Form::Export => qualified(catalog, table.schema, &table.name),
    };
    let method = match (index.kind, form) {
        (IndexKind::Ordered, Form::Postgres) => "USING btree ",
        (IndexKind::Ordered, Form::Export) => "",
        (IndexKind::Hash, Form::Postgres) => "USING hash ",
        (IndexKind::Hash, Form::Export) => "USING HASH ",
    };
    format!("CREATE {unique}INDEX {name} ON {on} {method}({keys}){nulls}{condition}")
}

fn nulls_sql(index: &IndexDef) -> &'static str {
    match index.nulls_not_distinct {
        true => " NULLS NOT DISTINCT",
        false => "",
    }
}

/// Returns a constraint with its name.
pub(super) fn named(name: &str, constraint: &str) -> String {
    format!("CONSTRAINT {} {constraint}", quoted(name))
}

/// Returns the constraint that an index enforces.
pub(super) fn key_sql(table: &TableDef, index: &IndexDef) -> String {
    let kind = match index.constraint {
        Some(Constraint::PrimaryKey) => "PRIMARY KEY",
        Some(Constraint::Unique) | None => "UNIQUE",
    };
    let using = match index.kind {
        IndexKind::Ordered => "",
        IndexKind::Hash => " USING HASH",
    };
    let columns = index.columns.iter();
    let columns = columns.map(|key| key_text(table, key, Form::Export));
    let columns = columns.collect::<Vec<_>>().join(", ");
    let (nulls, deferral) = (nulls_sql(index), deferral_sql(index.deferral));
    format!("{kind}{nulls}{using} ({columns}){deferral}")
}

pub(super) fn check_sql(check: &CheckDef, form: Form) -> String {
    match form {
        Form::Postgres => format!("CHECK (({}))", check.expression),
        Form::Export => format!("CHECK ({})", check.expression),
    }
}

pub(super) fn foreign_key_sql(
    catalog: &Catalog,
    table: &TableDef,
    key: &ForeignKeyDef,
    form: Form,
) -> String {
    let mut sql = format!("FOREIGN KEY ({})", column_list(table, &key.columns));
    if let Some(parent) = catalog.table_by_id(key.parent) {
        let parent = &parent.def;
        let name = qualified(catalog, parent.schema, &parent.name);
        let gap = if form == Form::Postgres { "" } else { " " };
        let columns = column_list(parent, &key.referenced);
        sql += &format!(" REFERENCES {name}{gap}({columns})");
    }
    if key.full {
        sql += " MATCH FULL";
    }
    for (event, action) in [("UPDATE", key.on_update), ("DELETE", key.on_delete)] {
        let action = match action {
            ForeignAction::NoAction => continue,
            ForeignAction::Restrict => "RESTRICT",
            ForeignAction::Cascade => "CASCADE",
            ForeignAction::SetNull => "SET NULL",
            ForeignAction::SetDefault => "SET DEFAULT",
        };
        sql += &format!(" ON {event} {action}");
        if event == "DELETE" && !key.set_columns.is_empty() {
            sql += &format!(" ({})", column_list(table, &key.set_columns));
        }
    }
    sql + deferral_sql(key.deferral)
}

fn deferral_sql(deferral: Deferral) -> &'static str {
    match deferral {
        Deferral::Never => "",
        Deferral::Immediate => " DEFERRABLE",
        Deferral::Deferred => " DEFERRABLE INITIALLY DEFERRED",
    }
}
