//! What a statement is told that would break a foreign key, in PostgreSQL's words.

use super::link::Link;
use crate::error::Error;
use crate::function::text;
use remora_storage::catalog::TableEntry;
use remora_storage::{ColumnId, Value};

/// A row refers to what is not there.
pub(super) fn missing(link: &Link, key: &[Value]) -> Error {
    let key = shown(&link.child, &link.key.columns, key);
    let parent = &link.parent.def.name;
    of_child(link).with_detail(format!("Key {key} is not present in table \"{parent}\"."))
}

/// A key is NULL in part, which MATCH FULL does not allow.
pub(super) fn mixed(link: &Link) -> Error {
    of_child(link).with_detail("MATCH FULL does not allow mixing of null and nonnull key values.")
}

/// Rows refer to a key that is gone.
pub(super) fn referenced(link: &Link, key: &[Value]) -> Error {
    let (child, parent) = (&link.child.def.name, &link.parent.def.name);
    let shown = shown(&link.parent, &link.key.referenced, key);
    sql_error!(
        FOREIGN_KEY_VIOLATION,
        "update or delete on table \"{parent}\" violates foreign key constraint \"{}\" \
             on table \"{child}\"",
        link.key.name
    )
    .with_detail(format!(
        "Key {shown} is still referenced from table \"{child}\"."
    ))
}

fn of_child(link: &Link) -> Error {
    sql_error!(
        FOREIGN_KEY_VIOLATION,
        "insert or update on table \"{}\" violates foreign key constraint \"{}\"",
        link.child.def.name,
        link.key.name
    )
}

/// `(a, b)=(1, x)`
fn shown(table: &TableEntry, columns: &[ColumnId], key: &[Value]) -> String {
    let columns = columns.iter().filter_map(|id| table.def.position(*id));
    let columns = columns.map(|position| &table.def.columns[position]);
    let parts = columns.zip(key).map(|(column, value)| {
        let value = text::format(value.as_ref(), column.data_type);
        (column.name.as_str(), value.unwrap_or_else(|| "null".into()))
    });
    let (names, values): (Vec<&str>, Vec<String>) = parts.unzip();
    format!("({})=({})", names.join(", "), values.join(", "))
}
