//! Tables with their columns, constraints and indexes as SQL that makes them again.

use super::key_sql::{Form, check_sql, foreign_key_sql, index_sql, key_sql, named};
use super::name_sql::{collation_sql, qualified, qualified_type};
use super::sequence_sql::{next_number, sequence_options};
use crate::function::{quoted, written_modifier};
use remora_storage::catalog::{
    Bound, Catalog, CheckDef, ColumnDef, Eviction, Expiry, ForeignKeyDef, Identity, TableDef,
    TableEntry,
};
use std::fmt::Write;

/// The indexes that stand for no constraint.
pub(super) fn free_indexes_sql(
    catalog: &Catalog,
    entry: &TableEntry,
) -> impl Iterator<Item = String> {
    let free = entry.indexes.iter().filter(|i| i.def.constraint.is_none());
    free.map(|index| index_sql(catalog, &entry.def, &index.def, Form::Export) + ";")
}

/// Without the foreign keys that come `later`.
pub(super) fn table_sql(
    catalog: &Catalog,
    entry: &TableEntry,
    later: impl Fn(&ForeignKeyDef) -> bool,
) -> String {
    let def = &entry.def;
    let expiry = def.expiry.as_deref();
    let columns = def.listed().map(|(_, column)| match expiry {
        // Its default follows from the parameter.
        Some(expiry) if expiry.column == column.id => {
            let bare = ColumnDef {
                default: None,
                ..column.clone()
            };
            column_sql(catalog, &bare)
        }
        _ => column_sql(catalog, column),
    });
    let mut parts: Vec<String> = columns.collect();
    let constraints = entry.indexes.iter().filter(|i| i.def.constraint.is_some());
    parts.extend(constraints.map(|index| named(&index.def.name, &key_sql(def, &index.def))));
    let checks = def.checks.iter().filter(|check| !check.not_valid);
    parts.extend(checks.map(named_check));
    let keys = def
        .foreign_keys
        .iter()
        .filter(|key| !key.not_valid && !later(key));
    parts.extend(keys.map(|key| named_foreign_key(catalog, def, key)));
    let body = parts.join(",\n    ");
    let gap = if body.is_empty() { "" } else { "\n    " };
    let name = qualified(catalog, def.schema, &def.name);
    let expiry = expiry.map(|expiry| expiry_sql(def, expiry));
    let mut parameters: Vec<String> = expiry.into_iter().collect();
    parameters.extend(def.eviction.as_deref().map(eviction_sql));
    parameters.extend(def.bound.map(bound_sql));
    let with = match parameters.is_empty() {
        true => String::new(),
        false => format!(" WITH ({})", parameters.join(", ")),
    };
    let unlogged = if def.unlogged { "UNLOGGED " } else { "" };
    format!("CREATE {unlogged}TABLE {name} ({gap}{body}\n){with};")
}

fn expiry_sql(table: &TableDef, expiry: &Expiry) -> String {
    let reset = if expiry.resets {
        ""
    } else {
        ", ttl_reset = 'insert'"
    };
    let pause = if expiry.paused {
        ", ttl_pause = true"
    } else {
        ""
    };
    let triggers = if expiry.triggers {
        ", ttl_triggers = true"
    } else {
        ""
    };
    let (name, value) = match &expiry.after {
        Some(after) => ("ttl_expire_after", after.as_str()),
        None => {
            let text = table.expiration_expression().unwrap_or_default();
            ("ttl_expiration_expression", text)
        }
    };
    format!(
        "{name} = '{}'{reset}{pause}{triggers}",
        value.replace('\'', "''")
    )
}

fn bound_sql(bound: Bound) -> String {
    let on_full = if bound.waits {
        ", on_full = 'wait'"
    } else {
        ""
    };
    format!("max_rows = {}{on_full}", bound.max_rows)
}

fn eviction_sql(eviction: &Eviction) -> String {
    let mut sql = format!("eviction = '{}'", eviction.policy.name());
    let bounds = [
        ("max_bytes", eviction.max_bytes),
        ("max_rows", eviction.max_rows),
    ];
    for (name, bound) in bounds {
        if let Some(bound) = bound {
            let _ = write!(sql, ", {name} = {bound}");
        }
    }
    if eviction.priority != 0 {
        let _ = write!(sql, ", eviction_priority = {}", eviction.priority);
    }
    sql
}

pub(super) fn named_check(check: &CheckDef) -> String {
    named(&check.name, &check_sql(check, Form::Export))
}

pub(super) fn named_foreign_key(
    catalog: &Catalog,
    table: &TableDef,
    key: &ForeignKeyDef,
) -> String {
    named(
        &key.name,
        &foreign_key_sql(catalog, table, key, Form::Export),
    )
}

/// The constraints that rows were not tested for, which may be there beside them.
pub(super) fn untested_sql(catalog: &Catalog, table: &TableDef) -> impl Iterator<Item = String> {
    let checks = table.checks.iter().filter(|check| check.not_valid);
    let keys = table.foreign_keys.iter().filter(|key| key.not_valid);
    let keys = keys.map(|key| named_foreign_key(catalog, table, key));
    let name = qualified(catalog, table.schema, &table.name);
    let all = checks.map(named_check).chain(keys);
    all.map(move |constraint| format!("ALTER TABLE {name} ADD {constraint} NOT VALID;"))
}

fn column_sql(catalog: &Catalog, column: &ColumnDef) -> String {
    let domain = column.domain.and_then(|id| catalog.type_by_id(id));
    let data_type = match domain {
        Some(domain) => qualified_type(catalog, domain.schema, &domain.name),
        None => written_modifier(column.data_type, column.time_modifier),
    };
    let collation = collation_sql(column.collation);
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
