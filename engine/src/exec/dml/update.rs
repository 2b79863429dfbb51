//! UPDATE: rows by key, or those of a plan; and [`RowUpdate`], with which ON CONFLICT, MERGE and the actions of foreign
//! keys update rows as well.

use super::before_triggers::{before_update, compute, row_of};
use super::distinct_rows::DistinctRows;
use super::generated::{Changed, Generated, add_generated};
use super::returning::{Changes, Returned};
use super::row_writer::RowWriter;
use super::{Constraints, instead_of, is_checkpoint, row_ids};
use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::Transaction;
use crate::exec::batch::Batch;
use crate::exec::compile::compile;
use crate::exec::cut::{Pieces, is_cut_for};
use crate::exec::eval::{Evaluator, Row, eval_scalar};
use crate::exec::memory::Held;
use crate::exec::planner::TableRules;
use crate::exec::point::find_to_change;
use crate::plan::physical::PhysicalPlan;
use crate::plan::statement::{Lookup, Target, Update};
use remora_storage::catalog::TriggerEvent;
use remora_storage::value::value_at;
use remora_storage::{ColumnId, ReadView, RowId, Value, ValueRef};
use std::sync::Arc;

/// Runs an UPDATE.
///
/// # Errors
/// 23502, 23514, 23505, 40001, 53200, and those of the statement's functions. The caller rolls
/// back to its mark.
pub(crate) fn update(
    plan: &Update,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Changes> {
    context.check()?;
    if !plan.table.def.triggers.is_empty() && instead_of::is_stand_in(&plan.table) {
        return instead_of::update(plan, tx, context);
    }
    match &plan.target {
        Target::Point(lookup) => update_point(plan, lookup, tx, context),
        Target::Scan(scan) => update_scan(plan, scan, None, tx, context),
        Target::Joined(scan) => {
            let distinct = DistinctRows::new(Held::default());
            update_scan(plan, scan, Some(distinct), tx, context)
        }
    }
}

/// Changes of one row that are held on the stack.
const INLINE: usize = 4;

/// Updates rows of a table as an UPDATE says.
///
/// A row is updated in two steps: first its values are computed, tested and shown ([`Self::values`]), and when those of all
/// rows are known, they are written ([`Self::write`]). Where triggers fire before each row, only the assignments are
/// evaluated in the first step: a trigger may set any column, so all that is computed is computed in the second step,
/// all constraints are tested, and RETURNING is evaluated by the caller over the row as it was written.
#[derive(Debug)]
pub(in crate::exec) struct RowUpdate<'p> {
    plan: &'p Update,
    /// Constraints of the written columns, or the check options of views alone where `rules` has the others.
    constraints: Option<Constraints<'p>>,
    /// The rules of all columns, where triggers fire before each row.
    rules: Option<Arc<TableRules>>,
}

impl<'p> RowUpdate<'p> {
    /// Returns the updates that a writer performs.
    #[inline]
    pub(in crate::exec) fn new(
        plan: &'p Update,
        writer: &RowWriter<'_>,
        tx: &Transaction,
        context: &ExecContext,
    ) -> Result<Self> {
        if !writer.fires_before_rows() {
            return Ok(Self {
                plan,
                constraints: Some(Constraints::of_update(plan).asking(tx)),
                rules: None,
            });
        }
        let planner = &context.planner;
        Ok(Self {
            plan,
            constraints: Constraints::of_views(&plan.table, &plan.checks, tx),
            rules: Some(planner.table_rules(&plan.table, None, tx.catalog())?),
        })
    }

    /// Returns the values of assigned columns, over `row`, which has those of the table's `old` row; and completes them
    /// ([`Self::complete`]).
    #[inline]
    pub(super) fn values<R: Row + ?Sized, O: Row>(
        &self,
        row: &R,
        old: &O,
        returned: Option<&mut Returned<'_>>,
        context: &ExecContext,
    ) -> Result<Vec<Value>> {
        let new = self.plan.assignments.iter();
        let new = new.map(|(_, expr)| Ok(eval_scalar(expr, row, context)?.into_value()));
        let mut new = new.collect::<Result<Vec<_>>>()?;
        self.complete(old, &mut new, returned, context)?;
        Ok(new)
    }

    /// Adds the values of generated columns to those of assigned ones, tests the row and evaluates RETURNING; nothing of
    /// this where triggers fire before each row.
    ///
    /// # Errors
    /// 23502, 23514, and those of the expressions.
    #[inline]
    pub(in crate::exec) fn complete<O: Row>(
        &self,
        old: &O,
        new: &mut Vec<Value>,
        returned: Option<&mut Returned<'_>>,
        context: &ExecContext,
    ) -> Result<()> {
        if self.rules.is_some() {
            return Ok(());
        }
        add_generated(self.plan, old, new, context)?;
        let row = Changed {
            plan: self.plan,
            old,
            new,
        };
        if let Some(constraints) = &self.constraints {
            constraints.test_row(&row, context)?;
        }
        match returned {
            Some(returned) => returned.row(&row, context),
            None => Ok(()),
        }
    }

    /// Writes the values of a row, after the triggers BEFORE it; returns `false` where the row is skipped, or was changed by
    /// the command already. The new values are copied to `shown`, a row that begins with the table's columns, unless it is
    /// empty.
    ///
    /// # Errors
    /// 23505, 40001, 53200; where triggers fire before the row, theirs, 27000, 23502 and 23514.
    #[inline]
    pub(in crate::exec) fn write(
        &self,
        writer: &mut RowWriter<'_>,
        (row, new): (RowId, Vec<Value>),
        shown: &mut [Value],
        (tx, context): (&mut Transaction, &ExecContext),
    ) -> Result<bool> {
        if let Some(rules) = &self.rules {
            return self.write_after_triggers(rules, writer, (row, new), shown, (tx, context));
        }
        let changes = self.plan.written().zip(&new);
        let changes = changes.map(|((column, _), value)| (*column, value.as_ref()));
        let changed = if new.len() <= INLINE {
            let mut inline = [(ColumnId::default(), ValueRef::Null); INLINE];
            for (slot, change) in inline.iter_mut().zip(changes) {
                *slot = change;
            }
            writer.update(tx, row, &inline[..new.len()], context)?
        } else {
            writer.update(tx, row, &changes.collect::<Vec<_>>(), context)?
        };
        if !shown.is_empty() {
            for ((column, _), value) in self.plan.written().zip(new) {
                if let Some(position) = self.plan.table.def.position(*column) {
                    shown[position] = value;
                }
            }
        }
        Ok(changed)
    }

    #[cold]
    fn write_after_triggers(
        &self,
        rules: &TableRules,
        writer: &mut RowWriter<'_>,
        (row, values): (RowId, Vec<Value>),
        shown: &mut [Value],
        (tx, context): (&mut Transaction, &ExecContext),
    ) -> Result<bool> {
        let table = &self.plan.table;
        let assigned = self.plan.assignments.iter().map(|(column, _)| *column);
        let assigned: Vec<(ColumnId, Value)> = assigned.zip(values).collect();
        let Some((old, mut new)) =
            before_update(writer.before_rows(), table, (row, &assigned), tx, context)?
        else {
            return Ok(false);
        };
        compute(&rules.generated, &mut new, context)?;
        Constraints::of_table(table, &rules.checks).test_row(new.as_slice(), context)?;
        if let Some(views) = &self.constraints {
            views.test_row(new.as_slice(), context)?;
        }
        let columns = table.def.columns.iter().zip(&old).zip(&new);
        // Values that are equal may differ all the same (1.0 and 1.00).
        let changes = columns.filter(|((column, old), new)| {
            let is_assigned = || assigned.iter().any(|(assigned, _)| *assigned == column.id);
            !old.as_ref().is_identical(new.as_ref()) || is_assigned()
        });
        let changes: Vec<(ColumnId, ValueRef<'_>)> = changes
            .map(|((column, _), new)| (column.id, new.as_ref()))
            .collect();
        if !writer.update(tx, row, &changes, context)? {
            return Ok(false);
        }
        for (slot, value) in shown.iter_mut().zip(new) {
            *slot = value;
        }
        Ok(true)
    }

    /// Whether RETURNING is evaluated when a row is written, and not before.
    pub(super) fn shows_written_rows(&self) -> bool {
        self.rules.is_some()
    }
}

/// Begins an UPDATE; fires the triggers BEFORE it.
#[inline]
pub(super) fn begin<'p>(
    plan: &'p Update,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<(RowWriter<'p>, RowUpdate<'p>)> {
    let columns = plan.written().map(|(column, _)| *column);
    let writer = RowWriter::begin(&plan.table, TriggerEvent::Update, columns, tx, context)?;
    let rows = RowUpdate::new(plan, &writer, tx, context)?;
    Ok((writer, rows))
}

fn update_point(
    plan: &Update,
    lookup: &Lookup,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Changes> {
    let mut returned = Returned::of(plan.returning.as_ref());
    let (mut writer, rows) = begin(plan, tx, context)?;
    let target = find_to_change(lookup, tx, context, |id, old| {
        Ok((id, rows.values(old, old, returned.as_deref_mut(), context)?))
    })?;
    let mut count = 0;
    if let Some(target) = target {
        let returned = returned
            .as_deref_mut()
            .filter(|_| rows.shows_written_rows());
        let mut shown = match returned {
            Some(_) => vec![Value::Null; plan.table.def.columns.len()],
            None => Vec::new(),
        };
        let changed = rows.write(&mut writer, target, &mut shown, (tx, context))?;
        count = u64::from(changed);
        if let (Some(returned), true) = (returned, changed) {
            returned.row(shown.as_slice(), context)?;
        }
    }
    writer.finish(tx, context)?;
    Changes::new(count, returned, context)
}

/// Rows and their new values, one array for each column that is written.
struct Targets {
    ids: Vec<RowId>,
    new: Batch,
    /// The rows of the plan, for RETURNING of rows as they are written.
    found: Option<Batch>,
}

fn update_scan(
    plan: &Update,
    scan: &PhysicalPlan,
    distinct: Option<DistinctRows>,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Changes> {
    let mut held = Held::default();
    let mut returned = Returned::of(plan.returning.as_ref());
    let view = tx.view();
    let (mut writer, rows) = begin(plan, tx, context)?;
    let all = collect(
        (plan, &rows),
        (scan, distinct),
        (tx, &view),
        (&mut held, &mut returned),
        context,
    )?;
    let mut count = 0;
    let mut left_alone = Vec::new();
    let mut before = 0;
    let mut changes = Vec::with_capacity(plan.written().count());
    let level = context.eval.memory.level();
    for targets in &all {
        for (row, id) in targets.ids.iter().enumerate() {
            context.eval.memory.back_to(level);
            if is_checkpoint(row) {
                context.check()?;
            }
            let columns = plan.written().zip(&targets.new.columns);
            let values = columns
                .map(|((column, expr), array)| (*column, value_at(array, expr.data_type, row)));
            if rows.shows_written_rows() {
                let values = values.map(|(_, value)| value.to_owned()).collect();
                let found = targets.found.as_ref();
                let mut shown = found.map_or(Vec::new(), |found| row_of(found, &scan.schema, row));
                let changed = rows.write(&mut writer, (*id, values), &mut shown, (tx, context))?;
                count += u64::from(changed);
                if let (Some(returned), true) = (&mut returned, changed) {
                    returned.row(shown.as_slice(), context)?;
                }
                continue;
            }
            changes.clear();
            changes.extend(values);
            match writer.update(tx, *id, &changes, context)? {
                true => count += 1,
                false => left_alone.push(before + row),
            }
        }
        before += targets.ids.len();
    }
    writer.finish(tx, context)?;
    if let Some(returned) = &mut returned {
        returned.leave_out(&left_alone)?;
    }
    Changes::new(count, returned, context)
}

/// Finds the rows of an UPDATE and computes their new values; completes and tests them, and evaluates RETURNING, unless
/// triggers fire before each row.
fn collect(
    (plan, rows): (&Update, &RowUpdate<'_>),
    (scan, mut distinct): (&PhysicalPlan, Option<DistinctRows>),
    (tx, view): (&Transaction, &ReadView),
    (held, returned): (&mut Held, &mut Option<Box<Returned<'_>>>),
    context: &ExecContext,
) -> Result<Vec<Targets>> {
    let constraints = Constraints::of_update(plan).asking(tx).for_batches();
    let exprs = plan.assignments.iter();
    let exprs: Vec<_> = exprs
        .map(|(_, expr)| Evaluator::new(expr.clone()))
        .collect();
    let is_cut = (plan.assignments.iter()).all(|(_, expr)| expr.is_stable())
        && (plan.assignments.iter()).any(|(_, expr)| is_cut_for(expr));
    let position = |id: &ColumnId| plan.table.def.position(*id);
    let computed = plan.generated.iter();
    let generated =
        Generated::of(computed.filter_map(|(id, expr)| Some((position(id)?, expr.clone()))));
    let written = plan.written().filter_map(|(id, _)| position(id));
    let written: Vec<usize> = written.collect();
    let mut pipeline = compile(scan, view, context)?;
    let mut all = Vec::new();
    while let Some(mut batch) = pipeline.next(context)? {
        if let Some(distinct) = &mut distinct {
            let ids = row_ids(&batch, &plan.table);
            batch = distinct.first(batch, &ids, context)?;
        }
        if batch.rows == 0 {
            continue;
        }
        let mut pieces = Pieces::of(batch, is_cut, context);
        while let Some((batch, new)) =
            pieces.next(context, |batch| Evaluator::arrays(&exprs, batch, context))?
        {
            let ids = row_ids(&batch, &plan.table);
            let row_bytes = size_of::<RowId>() * batch.rows;
            if rows.shows_written_rows() {
                let new = Batch::new(new, batch.rows).compact();
                let found = returned.is_some().then(|| batch.compact());
                let found_bytes = found.as_ref().map_or(0, Batch::bytes);
                held.grow(found_bytes + new.bytes() + row_bytes, context)?;
                all.push(Targets { ids, new, found });
                continue;
            }
            let mut changed = batch;
            for (position, array) in written.iter().zip(new) {
                changed.columns[*position] = array;
            }
            generated.fill(&mut changed, context)?;
            let new = written.iter().map(|at| changed.columns[*at].clone());
            let new = Batch::new(new.collect(), changed.rows).compact();
            held.grow(new.bytes() + row_bytes, context)?;
            for (position, array) in written.iter().zip(&new.columns) {
                changed.columns[*position] = array.clone();
            }
            constraints.test_batch(&changed, context)?;
            if let Some(returned) = returned {
                returned.batch(&changed, context)?;
            }
            let found = None;
            all.push(Targets { ids, new, found });
        }
    }
    Ok(all)
}
