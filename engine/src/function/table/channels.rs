//! `pg_listening_channels()`: the channels that the session listens to.

use super::super::EvalContext;
use super::{TableFunction, TableRows};
use crate::error::Result;
use remora_storage::value::ColumnBuilder;
use remora_storage::{DataType, ValueRef};
use std::sync::Arc;

pub(super) const FUNCTIONS: &[TableFunction] = &[TableFunction {
    name: "pg_listening_channels",
    arguments: &[],
    returns: DataType::Text,
    columns: &[],
    generic: None,
    strict: true,
    start: |_, _| Ok(Box::new(Channels(None))),
    doc: "The channels that the session listens to",
}];

/// Names that are left; `None` before the first is asked for.
#[derive(Debug)]
struct Channels(Option<std::vec::IntoIter<Arc<str>>>);

impl TableRows for Channels {
    fn next(
        &mut self,
        wanted: usize,
        rows: &mut [ColumnBuilder],
        context: &EvalContext,
    ) -> Result<usize> {
        let all = || {
            let listener = context
                .session
                .as_ref()
                .and_then(|session| session.listener());
            listener
                .map_or_else(Vec::new, |listener| listener.channels())
                .into_iter()
        };
        let names = self.0.get_or_insert_with(all);
        let mut count = 0;
        for name in names.take(wanted) {
            rows[0].push(ValueRef::Text(&name));
            count += 1;
        }
        Ok(count)
    }
}
