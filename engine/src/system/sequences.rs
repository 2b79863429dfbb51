//! Where sequences stand.

use super::rows::{count, is_seen, text};
use crate::function::{EvalContext, schema_name};
use remora_storage::catalog::{Catalog, SequenceEntry};
use remora_storage::{SequenceId, Value};
use std::sync::Arc;

/// A row for each sequence.
pub(super) fn all(catalog: &Catalog, context: &EvalContext) -> Vec<Vec<Value>> {
    let row = |entry: &Arc<SequenceEntry>| {
        let (def, rule) = (&entry.def, &entry.def.rule);
        let position = entry.counter.state().position;
        let last = Some(position.last).filter(|_| position.is_called);
        vec![
            Value::Text(schema_name(catalog, def.schema)),
            text(&def.name),
            text("remora"),
            text(&def.data_type.to_string()),
            Value::BigInt(def.start),
            Value::BigInt(rule.min),
            Value::BigInt(rule.max),
            Value::BigInt(rule.increment),
            Value::Boolean(rule.cycle),
            Value::BigInt(def.cache),
            last.map_or(Value::Null, Value::BigInt),
        ]
    };
    let sequences = catalog.sequences();
    let shown = sequences.filter(|entry| is_seen(entry.def.schema, context));
    shown.map(row).collect()
}

/// The row of one that the statement sees.
pub(super) fn one(id: SequenceId, context: &EvalContext) -> Vec<Vec<Value>> {
    let scope = context.sequences.as_ref();
    let entry = scope.and_then(|scope| scope.catalog().sequence_by_id(id));
    let row = entry.map(|entry| {
        let state = entry.counter.state();
        vec![
            Value::BigInt(state.position.last),
            count(state.ahead.into()),
            Value::Boolean(state.position.is_called),
        ]
    });
    row.into_iter().collect()
}
