//! MERGE: what is done with each row of the source is known before anything is done.
//!
//! The plan joins the source to the table. Row by row the first clause that applies is found and its values are
//! computed; then the changes are made, in the order of the rows. A row of the table that two rows of the source
//! would change is an error: which of them came first would decide what becomes of it.

use super::insert::complete;
use super::returning::{Changes, Returned};
use super::row_writer::{RowWriter, finish_all};
use super::update::RowUpdate;
use super::{ids_of, is_checkpoint};
use crate::error::{Error, Result};
use crate::exec::ExecContext;
use crate::exec::Transaction;
use crate::exec::batch::Batch;
use crate::exec::compile::compile;
use crate::exec::eval::{Datum, Row, eval_scalar, is_true, with_refs};
use crate::exec::memory::Held;
use crate::plan::merge::{Merge, MergeAction};
use crate::plan::statement::Update;
use crate::plan::{ExprKind, Schema};
use arrow_array::Array;
use hashbrown::HashSet;
use remora_storage::catalog::TriggerEvent;
use remora_storage::value::value_at;
use remora_storage::{ReadView, RowId, Value, ValueRef};

/// Something that is to be done: by which clause, with which row of the table, and the values.
#[derive(Debug)]
struct Change {
    clause: usize,
    row: RowId,
    values: Vec<Value>,
    /// The row of the plan, which RETURNING is evaluated over; empty without RETURNING.
    shown: Vec<Value>,
}

/// Bytes of a change without its strings: in the list, and in the set of rows.
const CHANGE_BYTES: usize = 2 * size_of::<Change>() + 4 * size_of::<RowId>();

/// A row of a batch.
struct BatchRow<'b> {
    batch: &'b Batch,
    schema: &'b Schema,
    row: usize,
}

impl Row for BatchRow<'_> {
    fn value(&self, position: usize) -> ValueRef<'_> {
        let data_type = self.schema[position].data_type;
        value_at(&self.batch.columns[position], data_type, self.row)
    }
}

/// Runs a MERGE.
///
/// # Errors
/// 21000 where a row would be changed twice, and those of INSERT, UPDATE and DELETE. The caller rolls back to
/// its mark.
pub(crate) fn merge(plan: &Merge, tx: &mut Transaction, context: &ExecContext) -> Result<Changes> {
    let mut held = Held::default();
    let view = tx.view();
    let mut writers = Writers::new(plan, tx, context)?;
    let changes = collect(plan, &writers, &view, &mut held, context)?;
    let returning = plan.returning.as_ref();
    let mut returned = Returned::of(returning.map(|returning| &returning.shown));
    let mut count = 0;
    let level = context.eval.memory.level();
    for (number, change) in changes.into_iter().enumerate() {
        context.eval.memory.back_to(level);
        if is_checkpoint(number) {
            context.check()?;
        }
        let is_changed = writers.write(plan, change, returned.as_deref_mut(), (tx, context))?;
        count += u64::from(is_changed);
    }
    let Writers {
        insert,
        update,
        delete,
        ..
    } = writers;
    finish_all([insert, update, delete], tx, context)?;
    Changes::new(count, returned, context)
}

/// What is to be done, in the order of the source.
fn collect(
    plan: &Merge,
    writers: &Writers<'_>,
    view: &ReadView,
    held: &mut Held,
    context: &ExecContext,
) -> Result<Vec<Change>> {
    let mut pipeline = compile(&plan.rows, view, context)?;
    let row_id = plan.table.def.columns.len();
    let mut changes = Vec::new();
    let mut changed = HashSet::new();
    while let Some(batch) = pipeline.next(context)? {
        let ids = ids_of(&batch, row_id);
        let is_absent = |row: usize| batch.columns[row_id].is_null(row);
        let level = context.eval.memory.level();
        for (row, id) in ids.into_iter().enumerate() {
            context.eval.memory.back_to(level);
            if is_checkpoint(row) {
                context.check()?;
            }
            let matched = !is_absent(row);
            let row = BatchRow {
                batch: &batch,
                schema: &plan.rows.schema,
                row,
            };
            let Some(clause) = clause_of(plan, matched, &row, context)? else {
                continue;
            };
            let Some(values) = values(plan, clause, writers, &row, context)? else {
                continue;
            };
            if matched && !changed.insert(id) {
                return Err(twice());
            }
            let shown = shown(plan, &plan.clauses[clause].action, &row);
            held.grow(CHANGE_BYTES + bytes(&values) + bytes(&shown), context)?;
            changes.push(Change {
                clause,
                row: id,
                values,
                shown,
            });
        }
    }
    Ok(changes)
}

/// The first clause that applies to a row.
fn clause_of(
    plan: &Merge,
    matched: bool,
    row: &BatchRow<'_>,
    context: &ExecContext,
) -> Result<Option<usize>> {
    for (number, clause) in plan.clauses.iter().enumerate() {
        if clause.matched != matched {
            continue;
        }
        let applies = match &clause.condition {
            Some(condition) => is_true(&eval_scalar(condition, row, context)?),
            None => true,
        };
        if applies {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

/// Returns the values that a clause writes, complete and tested unless triggers fire before each row; `None` where it does
/// nothing.
fn values(
    plan: &Merge,
    clause: usize,
    writers: &Writers<'_>,
    row: &BatchRow<'_>,
    context: &ExecContext,
) -> Result<Option<Vec<Value>>> {
    let rows = writers.updates[clause].as_ref();
    match &plan.clauses[clause].action {
        MergeAction::Nothing => Ok(None),
        MergeAction::Delete => Ok(Some(Vec::new())),
        MergeAction::Update(_) => rows
            .map(|rows| rows.values(row, row, None, context))
            .transpose(),
        MergeAction::Insert(insert, exprs) => {
            let new = exprs.iter().map(|expr| eval_scalar(expr, row, context));
            let mut new = new.collect::<Result<Vec<_>>>()?;
            if !writers.insert.fires_before_rows() {
                complete(insert, &mut new, context)?;
            }
            Ok(Some(new.into_iter().map(Datum::into_value).collect()))
        }
    }
}

/// Returns the row of the plan with the action filled in, for RETURNING; an empty one without RETURNING.
fn shown(plan: &Merge, action: &MergeAction, row: &BatchRow<'_>) -> Vec<Value> {
    let Some(returning) = &plan.returning else {
        return Vec::new();
    };
    let positions = 0..plan.rows.schema.len();
    let mut shown: Vec<Value> = positions.map(|at| row.value(at).to_owned()).collect();
    if let ExprKind::Column(position) = returning.action.kind {
        shown[position] = Value::Text(action.name().to_owned());
    }
    shown
}

fn bytes(values: &[Value]) -> usize {
    let apart = values.iter().map(|value| match value {
        Value::Text(text) => text.len(),
        Value::Bytea(bytes) => bytes.len(),
        _ => 0,
    });
    apart.sum::<usize>() + size_of_val(values)
}

fn twice() -> Error {
    sql_error!(
        CARDINALITY_VIOLATION,
        "MERGE command cannot affect row a second time"
    )
    .with_hint("Ensure that not more than one source row matches any one target row.")
}

/// A writer for each kind of change, and what each clause that updates writes with.
struct Writers<'p> {
    insert: RowWriter<'p>,
    update: RowWriter<'p>,
    delete: RowWriter<'p>,
    /// One for each clause.
    updates: Vec<Option<RowUpdate<'p>>>,
}

impl<'p> Writers<'p> {
    fn new(plan: &'p Merge, tx: &mut Transaction, context: &ExecContext) -> Result<Self> {
        let table = &plan.table;
        let actions = || plan.clauses.iter().map(|clause| &clause.action);
        let mut insert = RowWriter::plain(table);
        if actions().any(|action| matches!(action, MergeAction::Insert(..))) {
            insert = RowWriter::begin(table, TriggerEvent::Insert, [], tx, context)?;
        }
        let updates = || actions().filter_map(updated);
        let mut update = RowWriter::plain(table);
        if updates().next().is_some() {
            let columns = updates().flat_map(Update::written).map(|(id, _)| *id);
            update = RowWriter::begin(table, TriggerEvent::Update, columns, tx, context)?;
        }
        let mut delete = RowWriter::plain(table);
        if actions().any(|action| matches!(action, MergeAction::Delete)) {
            delete = RowWriter::begin(table, TriggerEvent::Delete, [], tx, context)?;
        }
        let rows = |update_plan| RowUpdate::new(update_plan, &update, tx, context);
        let updates = actions().map(|action| updated(action).map(rows).transpose());
        Ok(Self {
            updates: updates.collect::<Result<_>>()?,
            insert,
            update,
            delete,
        })
    }

    /// Performs a change and evaluates RETURNING; returns whether a row was changed.
    fn write(
        &mut self,
        plan: &Merge,
        change: Change,
        returned: Option<&mut Returned<'_>>,
        (tx, context): (&mut Transaction, &ExecContext),
    ) -> Result<bool> {
        let Change {
            clause,
            row,
            values,
            mut shown,
        } = change;
        match &plan.clauses[clause].action {
            MergeAction::Nothing => return Ok(false),
            MergeAction::Delete => {
                let deleted = self.delete.delete(tx, row, context)?;
                if !deleted && self.delete.fires_before_rows() {
                    return Ok(false);
                }
            }
            MergeAction::Update(_) => {
                if let Some(rows) = &self.updates[clause] {
                    let target = (row, values);
                    let written =
                        rows.write(&mut self.update, target, &mut shown, (tx, context))?;
                    if !written && rows.shows_written_rows() {
                        return Ok(false);
                    }
                }
            }
            MergeAction::Insert(insert, _) => {
                let mut new: Vec<_> = values.into_iter().map(Datum::Owned).collect();
                if self.insert.fires_before_rows() {
                    if !self.insert.before_insert(&mut new, tx, context)? {
                        return Ok(false);
                    }
                    complete(insert, &mut new, context)?;
                }
                with_refs(&new, |new| self.insert.insert(tx, new, context))?;
                for (slot, value) in shown.iter_mut().zip(new) {
                    *slot = value.into_value();
                }
            }
        }
        if let Some(returned) = returned {
            returned.row(shown.as_slice(), context)?;
        }
        Ok(true)
    }
}

/// The UPDATE that an action is.
fn updated(action: &MergeAction) -> Option<&Update> {
    match action {
        MergeAction::Update(update) => Some(update),
        _ => None,
    }
}
