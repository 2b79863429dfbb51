//! Views whose changes triggers stand in for.
//!
//! A statement that changes such a view is bound as one about a table that has the view's columns, no rows and no
//! constraints: a *stand-in*, whose id is the view's. What would be the rows of the table are those of the view.
//! Nothing is ever written to it: who runs the statement fires the triggers instead (`exec::dml`, `instead`).

use super::Binder;
use super::from::Source;
use super::scope::{Scope, ScopeColumn};
use crate::error::{Position, Result};
use crate::plan::Expr;
use crate::plan::logical::Logical;
use remora_storage::catalog::{
    ColumnDef, TableDef, TableEntry, TriggerEvent, TriggerTiming, ViewDef,
};
use remora_storage::pool::{Ledger, Pool};
use remora_storage::{ColumnId, DataType, Value};
use std::sync::Arc;

/// The stand-in of a view that has a trigger INSTEAD OF a change.
pub(super) fn stand_in(view: &ViewDef, event: TriggerEvent) -> Option<Arc<TableEntry>> {
    let mut triggers = view.triggers.iter();
    let instead = TriggerTiming::InsteadOf;
    if !triggers.any(|trigger| trigger.timing == instead && trigger.events.contains(&event)) {
        return None;
    }
    let columns = view.columns.iter().zip(0..);
    let columns = columns
        .map(|(column, at)| ColumnDef::new(ColumnId(at), column.name.clone(), column.data_type));
    let def = TableDef {
        id: view.id,
        schema: view.schema,
        triggers: view.triggers.clone(),
        ..TableDef::new(view.name.clone(), columns.collect())
    };
    // It never has a row.
    let pool = Pool::new(Ledger::new(0));
    Some(Arc::new(TableEntry::new(def, &pool)))
}

impl Binder<'_> {
    /// The rows of a view in the place of those of its stand-in: its columns are numbered first, and then comes
    /// what would be the RowId.
    pub(super) fn rows_of_stand_in(
        &mut self,
        view: &ViewDef,
        entry: &TableEntry,
        (shown, hides): (String, Option<String>),
        at: Option<Position>,
    ) -> Result<Source> {
        self.numbered_row(entry);
        let row_id = self.columns.add("", DataType::BigInt);
        let source = self.view(view, &shown, at)?;
        let columns = source.scope.columns.iter().enumerate();
        let exprs =
            columns.map(|(number, column)| (number, Expr::column(column.column, column.data_type)));
        let none = (row_id, Expr::literal(Value::Null, DataType::BigInt));
        let exprs = exprs.chain([none]).collect();
        let columns = source.scope.columns.into_iter().enumerate();
        let columns = columns.map(|(number, column)| ScopeColumn {
            column: number,
            ..column
        });
        Ok(Source::new(
            Logical::Project {
                input: Box::new(source.plan),
                exprs,
            },
            Scope::of(shown, hides, columns),
        ))
    }
}
