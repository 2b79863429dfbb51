//! MERGE: what is done with each row of the source is known before anything is done.
//!
//! The plan joins the source to the table. Row by row the first clause that applies is found and its values are
//! computed; then the changes are made, in the order of the rows. A row of the table that two rows of the source
//! would change is an error: which of them came first would decide what becomes of it.

use super::super::ExecContext;
use super::super::batch::Batch;
use super::super::compile::compile;
use super::super::eval::{Row, eval_scalar, is_true};
use super::super::memory::Held;
use super::super::trigger::begin;
use super::before_triggers::{Whole, before_insert, delete_guarded};
use super::returning::Returned;
use super::{Changed, Changes, Constraints, generated, ids_of, is_checkpoint};
use crate::error::{Error, Result};
use crate::exec::referential::{Writer, finish_all};
use crate::plan::merge::{Merge, MergeAction, MergeClause};
use crate::plan::statement::Update;
use crate::plan::{ExprKind, Schema};
use arrow_array::Array;
use hashbrown::HashSet;
use remora_storage::catalog::TriggerEvent;
use remora_storage::value::value_at;
use remora_storage::{ColumnId, ReadView, RowId, Transaction, Value, ValueRef};

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
    for (number, change) in changes.into_iter().enumerate() {
        if is_checkpoint(number) {
            context.check()?;
        }
        let is_changed = writers.write(plan, change, returned.as_mut(), (tx, context))?;
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
        for (row, id) in ids.into_iter().enumerate() {
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
            let action = &plan.clauses[clause];
            let Some(values) = values(action, writers, &row, context)? else {
                continue;
            };
            if matched && !changed.insert(id) {
                return Err(twice());
            }
            let shown = shown(plan, &action.action, &row);
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

/// What a clause writes, tested; `None` where it does nothing.
fn values(
    clause: &MergeClause,
    writers: &Writers<'_>,
    row: &BatchRow<'_>,
    context: &ExecContext,
) -> Result<Option<Vec<Value>>> {
    let value = |expr| Ok(eval_scalar(expr, row, context)?.into_value());
    match &clause.action {
        MergeAction::Nothing => Ok(None),
        MergeAction::Delete => Ok(Some(Vec::new())),
        MergeAction::Update(update) if writers.update.is_guarded() => {
            let new = update.assignments.iter().map(|(_, expr)| value(expr));
            new.collect::<Result<Vec<_>>>().map(Some)
        }
        MergeAction::Insert(_, exprs) if writers.insert.is_guarded() => exprs
            .iter()
            .map(value)
            .collect::<Result<Vec<_>>>()
            .map(Some),
        MergeAction::Update(update) => {
            let new = generated::new_values(update, row, row, context)?;
            let changed = Changed {
                plan: update,
                old: row,
                new: &new,
            };
            Constraints::of_update(update).test_row(&changed, context)?;
            Ok(Some(new))
        }
        MergeAction::Insert(insert, exprs) => {
            let mut new = exprs.iter().map(value).collect::<Result<Vec<_>>>()?;
            for (position, expr) in &insert.generated {
                let value = eval_scalar(expr, new.as_slice(), context)?.into_value();
                new[*position] = value;
            }
            Constraints::of_insert(insert).test_row(new.as_slice(), context)?;
            Ok(Some(new))
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

/// One for each kind of change.
struct Writers<'p> {
    insert: Writer<'p>,
    update: Writer<'p>,
    delete: Writer<'p>,
    /// The clauses whose rows triggers are asked about.
    whole: Vec<Option<Whole>>,
}

impl<'p> Writers<'p> {
    fn new(plan: &'p Merge, tx: &mut Transaction, context: &ExecContext) -> Result<Self> {
        let updates = plan
            .clauses
            .iter()
            .filter_map(|clause| match &clause.action {
                MergeAction::Update(update) => Some(update),
                _ => None,
            });
        let columns = updates.flat_map(|update| update.written().map(|(id, _)| *id));
        let columns: Vec<ColumnId> = columns.collect();
        let mut firing = |event, has: fn(&MergeAction) -> bool| {
            let columns = columns.iter().copied();
            match plan.clauses.iter().any(|clause| has(&clause.action)) {
                true => begin(&plan.table, event, columns, tx, context),
                false => Ok(None),
            }
        };
        use TriggerEvent as E;
        let inserts = firing(E::Insert, |action| {
            matches!(action, MergeAction::Insert(..))
        })?;
        let updates = firing(E::Update, |action| matches!(action, MergeAction::Update(_)))?;
        let deletes = firing(E::Delete, |action| matches!(action, MergeAction::Delete))?;
        let update = Writer::of_update(&plan.table, columns.iter().copied(), tx)?.firing(updates);
        let all = plan.table.def.columns.iter().map(|column| column.id);
        let update = match update.is_guarded() {
            true => {
                let all = Writer::of_update(&plan.table, all, tx)?;
                all.firing(update.into_firing())
            }
            false => update,
        };
        let whole = plan.clauses.iter().map(|clause| match &clause.action {
            MergeAction::Update(plan) if update.is_guarded() => {
                Whole::new(plan, tx, context).map(Some)
            }
            _ => Ok(None),
        });
        Ok(Self {
            insert: Writer::of_insert(&plan.table, tx)?.firing(inserts),
            delete: Writer::of_delete(&plan.table, tx)?.firing(deletes),
            whole: whole.collect::<Result<_>>()?,
            update,
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
            mut values,
            mut shown,
        } = change;
        match &plan.clauses[clause].action {
            MergeAction::Nothing => return Ok(false),
            MergeAction::Delete if self.delete.is_guarded() => {
                if !delete_guarded(&plan.table, &mut self.delete, row, tx, context)? {
                    return Ok(false);
                }
            }
            MergeAction::Delete => drop(self.delete.delete(tx, row, context)?),
            MergeAction::Update(update) => {
                if let Some(whole) = &self.whole[clause] {
                    let shown = returned.map(|returned| (returned, shown.as_mut_slice()));
                    return whole.update(&mut self.update, row, values, shown, (tx, context));
                }
                let changes = changes(update, &values);
                self.update.update(tx, row, &changes, context)?;
                if returned.is_some() {
                    put_written(update, values, &mut shown);
                }
            }
            MergeAction::Insert(insert, _) => {
                if let Some(guard) = self.insert.guard()
                    && !before_insert(insert, guard, &mut values, tx, context)?
                {
                    return Ok(false);
                }
                let new: Vec<_> = values.iter().map(Value::as_ref).collect();
                self.insert.insert(tx, &new, context)?;
                if returned.is_some() {
                    shown.splice(..values.len(), values);
                }
            }
        }
        if let Some(returned) = returned {
            returned.row(shown.as_slice(), context)?;
        }
        Ok(true)
    }
}

/// Copies the values that an UPDATE has written into the row for RETURNING.
fn put_written(update: &Update, values: Vec<Value>, shown: &mut [Value]) {
    for ((column, _), value) in update.written().zip(values) {
        if let Some(position) = update.table.def.position(*column) {
            shown[position] = value;
        }
    }
}

fn changes<'v>(update: &Update, new: &'v [Value]) -> Vec<(ColumnId, ValueRef<'v>)> {
    let changes = update.written().zip(new);
    changes
        .map(|((column, _), value)| (*column, value.as_ref()))
        .collect()
}
