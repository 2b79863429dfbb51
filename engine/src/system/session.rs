//! Cursors and prepared statements of the session.

use super::table::system_table;
use crate::function::{SessionScope, StatementShown};
use remora_storage::Value;

system_table! {
    /// Cursors that are open.
    CURSORS = "pg_cursors", SESSION;
    |context| for cursor in context.eval.scope.as_deref().map_or(&[][..], SessionScope::cursors);
    "name" Text = &cursor.name,
    "statement" Text = &cursor.statement,
    "is_holdable" Boolean = cursor.is_holdable,
    "is_binary" Boolean = false,
    "is_scrollable" Boolean = cursor.is_scrollable,
    "creation_time" TimestampTz = Value::TimestampTz(cursor.created),
}

system_table! {
    /// Statements that have a name.
    PREPARED_STATEMENTS = "pg_prepared_statements", SESSION;
    |context| for statement in context.eval.scope.as_deref().map_or(&[][..], SessionScope::statements);
    "name" Text = &statement.name,
    "statement" Text = &statement.statement,
    "prepare_time" TimestampTz = Value::TimestampTz(statement.prepared),
    "parameter_types" Text = parameter_types(statement),
    "from_sql" Boolean = true,
    "generic_plans" BigInt = 0_i64,
    "custom_plans" BigInt = 0_i64,
}

/// Returns the types as PostgreSQL writes an array.
fn parameter_types(statement: &StatementShown) -> String {
    let types = statement.parameters.iter().map(|found| {
        let name = found.without_modifier().to_string();
        match name.contains(' ') {
            true => format!("\"{name}\""),
            false => name,
        }
    });
    format!("{{{}}}", types.collect::<Vec<_>>().join(","))
}
