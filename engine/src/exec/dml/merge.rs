//! MERGE: what is done with each row of the source is known before anything is done.
//!
//! The plan joins the source to the table. Row by row the first clause that applies is found and its values are
//! computed; then the changes are made, in the order of the rows. A row of the table that two rows of the source
//! would change is an error: which of them came first would decide what becomes of it.

use super::super::ExecContext;
use super::super::batch::Batch;
use super::super::compile::compile;
use super::super::eval::{Row, eval_scalar, is_true};
use super::super::foreign::{Writer, finish_all};
use super::super::memory::Held;
use super::{Changed, Changes, Constraints, ids_of, is_checkpoint};
use crate::error::{Error, Result, state};
use crate::plan::Schema;
use crate::plan::merge::{Merge, MergeAction, MergeClause};
use crate::plan::statement::Update;
use arrow_array::Array;
use hashbrown::HashSet;
use remora_storage::value::value_at;
use remora_storage::{ColumnId, RowId, Transaction, Value, ValueRef};

/// Something that is to be done: by which clause, with which row of the table, and the values.
#[derive(Debug)]
struct Change {
    clause: usize,
    row: RowId,
    values: Vec<Value>,
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
pub fn merge(plan: &Merge, tx: &mut Transaction, context: &ExecContext) -> Result<Changes> {
    let mut held = Held::default();
    let changes = collect(plan, tx, &mut held, context)?;
    let mut writers = Writers::new(plan, tx)?;
    let count = changes.len() as u64;
    for (number, change) in changes.into_iter().enumerate() {
        if is_checkpoint(number) {
            context.check()?;
        }
        writers.write(plan, change, tx, context)?;
    }
    let Writers {
        insert,
        update,
        delete,
    } = writers;
    finish_all([insert, update, delete], tx, context)?;
    Changes::new(count, None, context)
}

/// What is to be done, in the order of the source.
fn collect(
    plan: &Merge,
    tx: &Transaction,
    held: &mut Held,
    context: &ExecContext,
) -> Result<Vec<Change>> {
    let mut pipeline = compile(&plan.rows, &tx.view(), context)?;
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
            let Some(values) = values(&plan.clauses[clause], &row, context)? else {
                continue;
            };
            if matched && !changed.insert(id) {
                return Err(twice());
            }
            held.grow(CHANGE_BYTES + bytes(&values), context)?;
            changes.push(Change {
                clause,
                row: id,
                values,
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
    row: &BatchRow<'_>,
    context: &ExecContext,
) -> Result<Option<Vec<Value>>> {
    let value = |expr| Ok(eval_scalar(expr, row, context)?.into_value());
    match &clause.action {
        MergeAction::Nothing => Ok(None),
        MergeAction::Delete => Ok(Some(Vec::new())),
        MergeAction::Update(update) => {
            let new = update.assignments.iter().map(|(_, expr)| value(expr));
            let new = new.collect::<Result<Vec<_>>>()?;
            let changed = Changed {
                plan: update,
                old: row,
                new: &new,
            };
            Constraints::of_update(update).test_row(&changed, context)?;
            Ok(Some(new))
        }
        MergeAction::Insert(insert, exprs) => {
            let new = exprs.iter().map(value).collect::<Result<Vec<_>>>()?;
            Constraints::of_insert(insert).test_row(new.as_slice(), context)?;
            Ok(Some(new))
        }
    }
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
    Error::new(
        state::CARDINALITY_VIOLATION,
        "MERGE command cannot affect row a second time",
    )
    .with_hint("Ensure that not more than one source row matches any one target row.")
}

/// One for each kind of change.
struct Writers<'p> {
    insert: Writer<'p>,
    update: Writer<'p>,
    delete: Writer<'p>,
}

impl<'p> Writers<'p> {
    fn new(plan: &'p Merge, tx: &Transaction) -> Result<Self> {
        let updates = plan
            .clauses
            .iter()
            .filter_map(|clause| match &clause.action {
                MergeAction::Update(update) => Some(update),
                _ => None,
            });
        let columns = updates.flat_map(|update| update.assignments.iter().map(|(id, _)| *id));
        Ok(Self {
            insert: Writer::of_insert(&plan.table, tx)?,
            update: Writer::of_update(&plan.table, columns, tx)?,
            delete: Writer::of_delete(&plan.table, tx)?,
        })
    }

    fn write(
        &mut self,
        plan: &Merge,
        change: Change,
        tx: &mut Transaction,
        context: &ExecContext,
    ) -> Result<()> {
        match &plan.clauses[change.clause].action {
            MergeAction::Nothing => Ok(()),
            MergeAction::Delete => self.delete.delete(tx, change.row, context).map(drop),
            MergeAction::Update(update) => {
                let changes = changes(update, &change.values);
                self.update
                    .update(tx, change.row, &changes, context)
                    .map(drop)
            }
            MergeAction::Insert(..) => {
                let values: Vec<_> = change.values.iter().map(Value::as_ref).collect();
                self.insert.insert(tx, &values, context)
            }
        }
    }
}

fn changes<'v>(update: &Update, new: &'v [Value]) -> Vec<(ColumnId, ValueRef<'v>)> {
    let changes = update.assignments.iter().zip(new);
    changes
        .map(|((column, _), value)| (*column, value.as_ref()))
        .collect()
}
