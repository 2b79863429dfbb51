//! Sequences as SQL that makes them again.

use super::name_sql::{literal, qualified};
use crate::function::{RelationName, quoted, schema_name};
use crate::plan::sequence::default_text;
use remora_storage::catalog::{Catalog, SequenceDef, SequenceEntry, TableEntry};
use std::sync::Arc;

/// What makes sequences: before the tables that take numbers from them, and behind.
pub(super) fn sequence_sql(
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
        let owner = catalog.owner_of(def);
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
            let table = literal(&qualified(catalog, table.schema, &table.name));
            format!("pg_get_serial_sequence({table}, {})", literal(&column.name))
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

pub(super) fn sequence_options(def: &SequenceDef, with_type: bool) -> String {
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

/// The default that takes the next number of a sequence, as it is read back where only `public` is looked into.
pub(super) fn next_number(catalog: &Catalog, def: &SequenceDef) -> String {
    let schema = (!def.schema.is_public()).then(|| schema_name(catalog, def.schema));
    let name = def.name.clone();
    default_text(&RelationName { schema, name })
}
