//! Running a trigger: its condition, and then its statements, over the values of one row.

use super::super::cursor::arrow_schema;
use super::super::eval::{eval_constant, is_true};
use super::super::{Cursor, ExecContext, dml, point};
use super::DEPTH_MAX;
use crate::error::{Error, Result, state};
use crate::exec::Transaction;
use crate::exec::batch::Batch;
use crate::exec::set::with::{Changing, OwnedParts, Parts};
use crate::function::cast::cast_value;
use crate::function::is_ignored;
use crate::plan::Statement;
use crate::plan::statement::Planned;
use crate::plan::trigger::{Action, NEW_ROWS, OLD_ROWS, Trigger};
use remora_storage::value::value_at;
use remora_storage::{DataType, Value};
use std::sync::Arc;

/// Bytes of stack that a statement of a trigger is not begun without, and how many are added otherwise.
const STACK_LEFT: usize = 768 << 10;
const STACK_MORE: usize = 4 << 20;

/// The row that fires a trigger: as it was, and as it will be.
pub(super) struct Fired<'r> {
    pub(super) old: Option<&'r [Value]>,
    pub(super) new: Option<&'r mut Vec<Value>>,
    /// How many columns it has.
    pub(super) width: usize,
}

/// The rows of a statement, as transition tables show them.
#[derive(Clone, Debug, Default)]
pub(super) struct Transition {
    pub(super) old: Option<Vec<Batch>>,
    pub(super) new: Option<Vec<Batch>>,
}

impl Transition {
    /// Bytes of its rows.
    pub(super) fn bytes(&self) -> usize {
        let batches = self.old.iter().chain(&self.new).flatten();
        batches.map(Batch::bytes).sum()
    }
}

/// Runs a trigger; `false` where it says that the row is to be skipped.
///
/// # Errors
/// Those of its statements; 54001.
pub(super) fn run(
    trigger: &Trigger,
    mut fired: Fired<'_>,
    transition: &Transition,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<bool> {
    let located = |error: Error| locate(error, trigger);
    let mut inner = context.within_trigger();
    if inner.trigger_depth > DEPTH_MAX {
        let message = "stack depth limit exceeded";
        let detail = format!("Triggers fire each other more than {DEPTH_MAX} deep.");
        let error = Error::new(state::STATEMENT_TOO_COMPLEX, message).with_detail(detail);
        return Err(located(error));
    }
    inner.parameters = fired.parameters();
    if let Some(condition) = &trigger.condition {
        let holds = eval_constant(condition, &inner).map_err(located)?;
        if !is_true(&holds) {
            return Ok(true);
        }
    }
    for action in &trigger.actions {
        // What the statements before have done is seen from here on.
        tx.begin_command();
        // Triggers within triggers take more of a stack than any thread has.
        let done = stacker::maybe_grow(STACK_LEFT, STACK_MORE, || match action {
            Action::Run(planned) => statement(planned, transition, tx, &inner),
            Action::Set(columns, planned) => {
                set(columns, planned, transition, &mut fired, (tx, &inner))
            }
        });
        if matches!(action, Action::Set(..)) {
            inner.parameters = fired.parameters();
        }
        match done {
            Ok(()) => {}
            Err(error) if is_ignored(&error) => return Ok(false),
            Err(error) => return Err(located(error)),
        }
    }
    Ok(true)
}

impl Fired<'_> {
    fn parameters(&self) -> Arc<[Value]> {
        let nulls = || vec![Value::Null; self.width];
        let new = self.new.as_ref().map_or_else(nulls, |row| row.to_vec());
        let old = self.old.map_or_else(nulls, <[Value]>::to_vec);
        new.into_iter().chain(old).collect()
    }
}

/// An error with where it happened, unless it says that already.
fn locate(error: Error, trigger: &Trigger) -> Error {
    let place = format!("trigger \"{}\" on \"{}\"", trigger.def.name, trigger.table);
    let detail = match error.detail() {
        None => place,
        Some(detail) if detail.lines().any(|line| line == place) => return error,
        Some(detail) => format!("{detail}\n{place}"),
    };
    // The place is one in the trigger's text, which nobody looks at.
    error.with_detail(detail).moved(None)
}

fn statement(
    planned: &Planned,
    transition: &Transition,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<()> {
    with_parts(planned, transition, tx, context, |tx, context| {
        run_statement(&planned.statement, tx, context, |_| Ok(()))
    })
}

/// Runs a statement beside its parts, among which transition tables are.
fn with_parts(
    planned: &Planned,
    transition: &Transition,
    tx: &mut Transaction,
    context: &ExecContext,
    run: impl FnOnce(&mut Transaction, &ExecContext) -> Result<()>,
) -> Result<()> {
    let has_tables = transition.old.is_some() || transition.new.is_some();
    if planned.with.is_none() && !has_tables {
        return run(tx, context);
    }
    let mut parts = Parts::new(planned.with.as_deref(), tx.view());
    for (id, rows) in [(OLD_ROWS, &transition.old), (NEW_ROWS, &transition.new)] {
        if let Some(rows) = rows {
            parts.give(id, rows.clone());
        }
    }
    let parts = OwnedParts::from(parts);
    let context = ExecContext {
        with: Some(parts.shared()),
        ..context.clone()
    };
    let Some(with) = &planned.with else {
        run(tx, &context)?;
        return parts.finish(tx, &context);
    };
    let mut changing = Changing::new(with, &parts);
    changing.before(tx, &context)?;
    run(tx, &context)?;
    changing.after(tx, &context)
}

/// Runs a statement to its end; `show` is given what a query shows.
fn run_statement(
    statement: &Statement,
    tx: &mut Transaction,
    context: &ExecContext,
    mut show: impl FnMut(&[Value]) -> Result<()>,
) -> Result<()> {
    let mut cursor = match statement {
        Statement::Insert(insert) => return dml::insert(insert, tx, context).map(drop),
        Statement::Update(update) => return dml::update(update, tx, context).map(drop),
        Statement::Delete(delete) => return dml::delete(delete, tx, context).map(drop),
        Statement::Merge(merge) => return dml::merge(merge, tx, context).map(drop),
        Statement::Notify(message) => return context.eval.notify(Arc::clone(message)),
        Statement::LockPoint(select, lock) => {
            let mut row = Vec::new();
            return point::lock_point(select, lock, tx, context, &mut row).map(drop);
        }
        Statement::PointSelect(select) => {
            let mut row = Vec::new();
            match (
                point::point_select(select, tx, context, &mut row)?,
                &select.otherwise,
            ) {
                (point::PointRows::One(true), _) => return show(&row),
                (point::PointRows::Many, Some(query)) => {
                    let schema = arrow_schema(&query.schema);
                    Cursor::new(query, schema, tx.view(), context)?
                }
                (point::PointRows::Few(rows), _) => {
                    return rows.iter().try_for_each(|row| show(row));
                }
                _ => return Ok(()),
            }
        }
        Statement::Query(query) => {
            Cursor::new(query, arrow_schema(&query.schema), tx.view(), context)?
        }
        Statement::Locking(query, _) => {
            Cursor::locking(query, arrow_schema(&query.schema), tx, context)?
        }
        _ => return Err(Error::unsupported("this statement in a trigger")),
    };
    let types: Vec<DataType> = match statement.schema() {
        Some(schema) => schema.iter().map(|field| field.data_type).collect(),
        None => Vec::new(),
    };
    while let Some(rows) = cursor.next()? {
        for row in 0..rows.num_rows() {
            let columns = rows.columns().iter().zip(&types);
            let values = columns.map(|(array, to)| value_at(array, *to, row).to_owned());
            show(&values.collect::<Vec<_>>())?;
        }
    }
    Ok(())
}

/// SET: gives columns of the new row other values.
fn set(
    columns: &[(usize, DataType)],
    planned: &Planned,
    transition: &Transition,
    fired: &mut Fired<'_>,
    (tx, context): (&mut Transaction, &ExecContext),
) -> Result<()> {
    let mut values = Vec::new();
    with_parts(planned, transition, tx, context, |tx, context| {
        run_statement(&planned.statement, tx, context, |row| {
            values = row.to_vec();
            Ok(())
        })
    })?;
    let Some(new) = fired.new.as_deref_mut() else {
        return Ok(());
    };
    for ((position, to), value) in columns.iter().zip(values) {
        if let Some(slot) = new.get_mut(*position) {
            *slot = cast_value(value.as_ref(), *to, false, &context.eval)?;
        }
    }
    Ok(())
}
