//! Tables, their columns, constraints and indexes, and sequences as SQL that makes them again; and the whole catalog.

use super::comment_sql::{comment_sql, comment_sql_of};
use super::export_order::in_order;
use super::function_sql::function_sql;
use super::trigger_sql;
use super::type_sql::type_sql;
use super::view_sql::{materialized_sql, view_sql};
use crate::error::Result;
use crate::function::{
    RelationName, collation_text, quoted, quoted_type, schema_name, written_modifier,
};
use crate::plan::sequence::default_text;
use remora_storage::catalog::{
    Catalog, CheckDef, ColumnDef, Constraint, Deferral, ForeignAction, ForeignKeyDef, Identity,
    IndexColumn, IndexDef, IndexKind, SchemaDef, SequenceDef, SequenceEntry, TableDef, TableEntry,
    key_name,
};
use remora_storage::{ColumnId, SchemaId};
use std::fmt::Write;
use std::sync::Arc;

/// The statements that make everything.
pub(crate) fn all_sql(catalog: &Catalog) -> Result<Vec<String>> {
    let entries: Vec<Arc<TableEntry>> = catalog.tables().map(Arc::clone).collect();
    let made = |schema: &Arc<SchemaDef>| format!("CREATE SCHEMA {};", quoted(&schema.name));
    let mut statements: Vec<String> = catalog.schemas().map(made).collect();
    statements.extend(type_sql(catalog));
    let (sequences, mut behind) = sequence_sql(catalog, &entries, true);
    statements.extend(sequences);
    let order = in_order(catalog);
    let mut triggers = Vec::new();
    for (at, id) in order.iter().enumerate() {
        if let Some(function) = catalog.function_by_id(*id) {
            statements.push(function_sql(function, catalog)?);
        } else if let Some(view) = catalog.view_by_id(*id) {
            statements.push(view_sql(view, catalog)?);
            triggers.extend(trigger_sql::of_view(view, catalog));
        } else if let Some(entry) = catalog.table_by_id(*id) {
            let coming = &order[at + 1..];
            let waits = |key: &ForeignKeyDef| coming.contains(&key.parent);
            match &entry.def.materialized {
                None => statements.push(table_sql(catalog, entry, waits)),
                Some(query) => statements.push(materialized_sql(&entry.def, query, catalog)?),
            }
            statements.extend(free_indexes_sql(catalog, entry));
            let name = qualified(catalog, entry.def.schema, &entry.def.name);
            let late = entry.def.foreign_keys.iter();
            let late = late.filter(|key| waits(key) && !key.not_valid);
            behind.extend(late.map(|key| {
                let key = foreign_key_sql(catalog, &entry.def, key);
                format!("ALTER TABLE {name} ADD {key};")
            }));
            behind.extend(untested_sql(catalog, &entry.def));
            triggers.extend(trigger_sql::of_table(entry, catalog));
        }
    }
    statements.append(&mut behind);
    // They may name anything.
    statements.append(&mut triggers);
    statements.extend(comment_sql(catalog));
    Ok(statements)
}

/// The statements that make some tables.
pub(crate) fn table_with_all(
    catalog: &Catalog,
    entries: &[Arc<TableEntry>],
) -> Result<Vec<String>> {
    let (mut statements, mut behind) = sequence_sql(catalog, entries, false);
    for entry in entries {
        match &entry.def.materialized {
            None => statements.push(table_sql(catalog, entry, |_| false)),
            Some(query) => statements.push(materialized_sql(&entry.def, query, catalog)?),
        }
        statements.extend(free_indexes_sql(catalog, entry));
        behind.extend(untested_sql(catalog, &entry.def));
    }
    statements.append(&mut behind);
    let triggers = entries.iter();
    statements.extend(triggers.flat_map(|entry| trigger_sql::of_table(entry, catalog)));
    let tables = entries.iter().map(|entry| entry.def.id);
    statements.extend(tables.flat_map(|table| comment_sql_of(catalog, table)));
    Ok(statements)
}

/// The indexes that stand for no constraint.
fn free_indexes_sql(catalog: &Catalog, entry: &TableEntry) -> impl Iterator<Item = String> {
    let free = entry.indexes.iter().filter(|i| i.def.constraint.is_none());
    free.map(|index| index_sql(catalog, &entry.def, &index.def))
}

/// Without the foreign keys that come `later`.
fn table_sql(
    catalog: &Catalog,
    entry: &TableEntry,
    later: impl Fn(&ForeignKeyDef) -> bool,
) -> String {
    let def = &entry.def;
    let mut parts: Vec<String> = def.shown().map(|(_, c)| column_sql(catalog, c)).collect();
    let constraints = entry.indexes.iter().filter(|i| i.def.constraint.is_some());
    parts.extend(constraints.map(|index| constraint_sql(def, &index.def)));
    let checks = def.checks.iter().filter(|check| !check.not_valid);
    parts.extend(checks.map(check_sql));
    let keys = def
        .foreign_keys
        .iter()
        .filter(|key| !key.not_valid && !later(key));
    parts.extend(keys.map(|key| foreign_key_sql(catalog, def, key)));
    let body = parts.join(",\n    ");
    let gap = if body.is_empty() { "" } else { "\n    " };
    let name = qualified(catalog, def.schema, &def.name);
    format!("CREATE TABLE {name} ({gap}{body}\n);")
}

fn check_sql(check: &CheckDef) -> String {
    let (name, condition) = (quoted(&check.name), &check.expression);
    format!("CONSTRAINT {name} CHECK ({condition})")
}

/// The constraints that rows were not tested for, which may be there beside them.
fn untested_sql(catalog: &Catalog, table: &TableDef) -> impl Iterator<Item = String> {
    let checks = table.checks.iter().filter(|check| check.not_valid);
    let keys = table.foreign_keys.iter().filter(|key| key.not_valid);
    let keys = keys.map(|key| foreign_key_sql(catalog, table, key));
    let name = qualified(catalog, table.schema, &table.name);
    let all = checks.map(check_sql).chain(keys);
    all.map(move |constraint| format!("ALTER TABLE {name} ADD {constraint} NOT VALID;"))
}

fn column_sql(catalog: &Catalog, column: &ColumnDef) -> String {
    let domain = column.domain.and_then(|id| catalog.type_by_id(id));
    let data_type = match domain {
        Some(domain) => qualified_type(catalog, domain.schema, &domain.name),
        None => written_modifier(column.data_type, column.time_modifier),
    };
    let collation = collation_text(column.collation);
    let mut sql = format!("{} {data_type}{collation}", quoted(&column.name));
    let own = column.sequences.first();
    let own = own.and_then(|id| catalog.sequence_by_id(*id));
    // Writing to a String cannot fail.
    let _ = match (&column.default, column.identity, own) {
        (_, Some(identity), Some(own)) => {
            let when = match identity {
                Identity::Always => "ALWAYS",
                Identity::ByDefault => "BY DEFAULT",
            };
            let options = sequence_options(&own.def, false);
            write!(sql, " GENERATED {when} AS IDENTITY ({options})")
        }
        // Under the name that it has now.
        (Some(default), _, Some(own)) if is_call(default) => {
            write!(sql, " DEFAULT {}", next_number(catalog, &own.def))
        }
        (Some(default), ..) => write!(sql, " DEFAULT {default}"),
        (None, ..) => Ok(()),
    };
    if let Some(expression) = &column.generated {
        let _ = write!(sql, " GENERATED ALWAYS AS ({expression}) STORED");
    }
    if column.not_null {
        sql.push_str(" NOT NULL");
    }
    sql
}

/// Whether a default is nothing but the next number of a sequence.
fn is_call(default: &str) -> bool {
    let name = default
        .strip_prefix("nextval('")
        .and_then(|rest| rest.strip_suffix("')"));
    name.is_some_and(|name| !name.contains('\''))
}

/// What makes sequences: before the tables that take numbers from them, and behind.
fn sequence_sql(
    catalog: &Catalog,
    tables: &[Arc<TableEntry>],
    all: bool,
) -> (Vec<String>, Vec<String>) {
    let is_used = |entry: &SequenceEntry| {
        let mut columns = tables.iter().flat_map(|table| &table.def.columns);
        columns.any(|column| column.sequences.contains(&entry.def.id))
    };
    let (mut before, mut behind) = (Vec::new(), Vec::new());
    for entry in catalog.sequences().filter(|entry| all || is_used(entry)) {
        let def = &entry.def;
        let name = qualified(catalog, def.schema, &def.name);
        let owner = def.owner.and_then(|(table, column)| {
            let table = &catalog.table_by_id(table)?.def;
            let column = &table.columns[table.position(column)?];
            Some((table, column))
        });
        let identity = owner.is_some_and(|(_, column)| column.identity.is_some());
        if !identity {
            before.push(format!(
                "CREATE SEQUENCE {name} {};",
                sequence_options(def, true)
            ));
        }
        let (position, has_moved) = {
            let position = entry.counter.state().position;
            (position, position != def.beginning())
        };
        let text = next_number(catalog, def);
        let text = text.trim_start_matches("nextval(").trim_end_matches(')');
        // An identity's sequence may have been given another name than it gets again.
        let made_up = owner.filter(|_| identity).map(|(table, column)| {
            let part = |name: &str| format!("'{}'", name.replace('\'', "''"));
            let table = part(&qualified(catalog, table.schema, &table.name));
            format!("pg_get_serial_sequence({table}, {})", part(&column.name))
        });
        if let Some((table, column)) = owner.filter(|_| !identity) {
            let table = qualified(catalog, table.schema, &table.name);
            let column = quoted(&column.name);
            behind.push(format!("ALTER SEQUENCE {name} OWNED BY {table}.{column};"));
        }
        if has_moved {
            let (last, called) = (position.last, position.is_called);
            let target = made_up.as_deref().unwrap_or(text);
            behind.push(format!("SELECT setval({target}, {last}, {called});"));
        }
    }
    (before, behind)
}

fn sequence_options(def: &SequenceDef, with_type: bool) -> String {
    let rule = &def.rule;
    let data_type = match with_type {
        true => format!("AS {} ", def.data_type),
        false => String::new(),
    };
    let cycle = if rule.cycle { " CYCLE" } else { "" };
    format!(
        "{data_type}START WITH {} INCREMENT BY {} MINVALUE {} MAXVALUE {} CACHE {}{cycle}",
        def.start, rule.increment, rule.min, rule.max, def.cache
    )
}

pub(crate) fn constraint_sql(table: &TableDef, index: &IndexDef) -> String {
    let kind = match index.constraint {
        Some(Constraint::PrimaryKey) => "PRIMARY KEY",
        Some(Constraint::Unique) | None => "UNIQUE",
    };
    let nulls = if index.nulls_not_distinct {
        " NULLS NOT DISTINCT"
    } else {
        ""
    };
    let using = match index.kind {
        IndexKind::Ordered => "",
        IndexKind::Hash => " USING HASH",
    };
    let columns = index.columns.iter().map(|c| column_name(table, c));
    format!(
        "CONSTRAINT {} {kind}{nulls}{using} ({}){}",
        quoted(&index.name),
        columns.collect::<Vec<_>>().join(", "),
        deferral_sql(index.deferral)
    )
}

fn foreign_key_sql(catalog: &Catalog, table: &TableDef, key: &ForeignKeyDef) -> String {
    let names = |table: &TableDef, columns: &[ColumnId]| {
        let columns = columns.iter().filter_map(|id| table.position(*id));
        let names = columns.map(|position| quoted(&table.columns[position].name));
        names.collect::<Vec<_>>().join(", ")
    };
    let mut sql = format!(
        "CONSTRAINT {} FOREIGN KEY ({})",
        quoted(&key.name),
        names(table, &key.columns)
    );
    // Writing to a String cannot fail.
    if let Some(parent) = catalog.table_by_id(key.parent) {
        let (name, columns) = (
            qualified(catalog, parent.def.schema, &parent.def.name),
            names(&parent.def, &key.referenced),
        );
        let _ = write!(sql, " REFERENCES {name} ({columns})");
    }
    if key.full {
        sql.push_str(" MATCH FULL");
    }
    for (event, action) in [("UPDATE", key.on_update), ("DELETE", key.on_delete)] {
        let action = match action {
            ForeignAction::NoAction => continue,
            ForeignAction::Restrict => "RESTRICT",
            ForeignAction::Cascade => "CASCADE",
            ForeignAction::SetNull => "SET NULL",
            ForeignAction::SetDefault => "SET DEFAULT",
        };
        let _ = write!(sql, " ON {event} {action}");
        if event == "DELETE" && !key.set_columns.is_empty() {
            let _ = write!(sql, " ({})", names(table, &key.set_columns));
        }
    }
    sql + deferral_sql(key.deferral)
}

/// When a constraint is checked, as it is written.
fn deferral_sql(deferral: Deferral) -> &'static str {
    match deferral {
        Deferral::Never => "",
        Deferral::Immediate => " DEFERRABLE",
        Deferral::Deferred => " DEFERRABLE INITIALLY DEFERRED",
    }
}

pub(crate) fn index_sql(catalog: &Catalog, table: &TableDef, index: &IndexDef) -> String {
    let unique = if index.unique { "UNIQUE " } else { "" };
    let using = match index.kind {
        IndexKind::Ordered => "",
        IndexKind::Hash => "USING HASH ",
    };
    let keys = index.columns.iter().skip(usize::from(index.partial));
    let columns = keys.map(|column| {
        let name = column_name(table, column);
        let order = match (column.descending, column.nulls_first) {
            (false, false) => "",
            (false, true) => " NULLS FIRST",
            (true, true) => " DESC",
            (true, false) => " DESC NULLS LAST",
        };
        name + order
    });
    let nulls = if index.nulls_not_distinct {
        " NULLS NOT DISTINCT"
    } else {
        ""
    };
    let condition = table.condition_of(index);
    let condition = condition.map_or_else(String::new, |text| format!(" WHERE {text}"));
    format!(
        "CREATE {unique}INDEX {} ON {} {using}({}){nulls}{condition};",
        quoted(&index.name),
        qualified(catalog, table.schema, &table.name),
        columns.collect::<Vec<_>>().join(", ")
    )
}

fn column_name(table: &TableDef, column: &IndexColumn) -> String {
    if let Some((column, said)) = table.key_column(column.column) {
        return quoted(&column.name) + &collation_text(said);
    }
    let def = table.columns.iter().find(|c| c.id == column.column);
    def.map_or_else(String::new, |column| key_name(column).into_owned())
}

/// The default that takes the next number of a sequence, as it is read back where only `public` is looked into.
fn next_number(catalog: &Catalog, def: &SequenceDef) -> String {
    let schema = (!def.schema.is_public()).then(|| schema_name(catalog, def.schema));
    let name = def.name.clone();
    default_text(&RelationName { schema, name })
}

/// A name that is read back where only `public` is looked into.
pub(crate) fn qualified(catalog: &Catalog, schema: SchemaId, name: &str) -> String {
    match schema.is_public() {
        true => quoted(name),
        false => format!("{}.{}", quoted(&schema_name(catalog, schema)), quoted(name)),
    }
}

/// Like [`qualified`], for the name of a type.
pub(crate) fn qualified_type(catalog: &Catalog, schema: SchemaId, name: &str) -> String {
    match schema.is_public() {
        true => quoted_type(name),
        false => format!(
            "{}.{}",
            quoted_type(&schema_name(catalog, schema)),
            quoted_type(name)
        ),
    }
}
