//! ON CONFLICT: a row whose key is there already changes the row that has it, or is left out.
//!
//! 1. Before a row is inserted, the row that has its key is looked for, by each of the unique indexes that the
//!    clause is about, in the latest state, as the unique check does.
//! 2. Where there is none the row is inserted. A rival who has come between is met by the insertion, which
//!    fails with 40001; nobody's key comes twice.
//! 3. Where there is one that this transaction sees, `DO UPDATE` changes it, and `DO NOTHING` relies on it: a
//!    commit that has read it fails where it is there no more.
//! 4. Where a rival has it who has not committed, or has since the snapshot, that is a conflict like any
//!    other: 40001. A statement of its own is run again, and then sees what the rival has left.
//! 5. A row that this statement has written itself is left out by `DO NOTHING`; to `DO UPDATE` it is 21000, since which
//!    of the two came first would decide what becomes of it.

use super::super::ExecContext;
use super::super::eval::{Row, eval_scalar, is_true};
use super::super::foreign::{Writer, finish_all};
use super::super::point::TableRow;
use super::returned::{Changes, Returned};
use super::{Changed, Constraints};
use crate::error::{Error, Result, state};
use crate::plan::statement::{DoUpdate, Insert, OnConflict};
use remora_storage::catalog::IndexEntry;
use remora_storage::transaction::KeyHolder;
use remora_storage::{ColumnId, RowId, Transaction, Value, ValueRef};

/// What an INSERT writes its rows with.
#[derive(Debug)]
pub(super) struct Inserter<'p> {
    plan: &'p Insert,
    writer: Writer<'p>,
    conflict: Option<Upsert<'p>>,
    pub(super) returned: Option<Returned<'p>>,
    /// Rows that were inserted or changed.
    pub(super) count: u64,
}

#[derive(Debug)]
struct Upsert<'p> {
    plan: &'p OnConflict,
    update: Option<(&'p DoUpdate, Writer<'p>, Constraints<'p>)>,
}

/// The row that is there, and behind it the one that was to be inserted.
struct Both<'a, R> {
    old: &'a R,
    excluded: &'a [ValueRef<'a>],
}

impl<R: Row> Row for Both<'_, R> {
    fn value(&self, position: usize) -> ValueRef<'_> {
        let columns = self.excluded.len();
        match position < columns {
            true => self.old.value(position),
            false => self.excluded[position - columns],
        }
    }
}

impl<'p> Inserter<'p> {
    pub(super) fn new(plan: &'p Insert, tx: &Transaction) -> Result<Self> {
        let conflict = match &plan.on_conflict {
            Some(conflict) => Some(Upsert::new(conflict, tx)?),
            None => None,
        };
        Ok(Self {
            plan,
            writer: Writer::of_insert(&plan.table, tx)?,
            conflict,
            returned: Returned::of(plan.returning.as_ref()),
            count: 0,
        })
    }

    /// Whether rows may be shown as they were to be inserted.
    pub(super) fn inserts_all(&self) -> bool {
        self.conflict.is_none()
    }

    /// Inserts a row, or does what the clause says; shows what comes of it.
    pub(super) fn row(
        &mut self,
        tx: &mut Transaction,
        values: &[ValueRef<'_>],
        context: &ExecContext,
    ) -> Result<()> {
        if let Some(upsert) = &mut self.conflict
            && let Some((index, holder)) = upsert.holder(self.plan, tx, values)?
        {
            let returned = self.returned.as_mut();
            self.count += u64::from(upsert.meet(
                self.plan,
                (index, holder),
                tx,
                values,
                returned,
                context,
            )?);
            return Ok(());
        }
        self.insert(tx, values, context)?;
        match &mut self.returned {
            Some(returned) => returned.row(values, context),
            None => Ok(()),
        }
    }

    /// Inserts a row; it is shown by somebody else.
    #[inline]
    pub(super) fn insert(
        &mut self,
        tx: &mut Transaction,
        values: &[ValueRef<'_>],
        context: &ExecContext,
    ) -> Result<()> {
        self.count += 1;
        self.writer.insert(tx, values, context)
    }

    /// Ends the statement.
    pub(super) fn finish(self, tx: &mut Transaction, context: &ExecContext) -> Result<Changes> {
        match self.conflict.and_then(|upsert| upsert.update) {
            Some((_, updates, _)) => finish_all([self.writer, updates], tx, context)?,
            None => self.writer.finish(tx, context)?,
        }
        Changes::new(self.count, self.returned, context)
    }
}

impl<'p> Upsert<'p> {
    fn new(plan: &'p OnConflict, tx: &Transaction) -> Result<Self> {
        let update = match &plan.update {
            None => None,
            Some(update) => {
                let columns = update.update.assignments.iter().map(|(column, _)| *column);
                let writer = Writer::of_update(&update.update.table, columns, tx)?;
                Some((update, writer, Constraints::of_update(&update.update)))
            }
        };
        Ok(Self { plan, update })
    }

    /// The row that has a key of the row to be inserted, and by which index.
    fn holder(
        &self,
        plan: &Insert,
        tx: &Transaction,
        values: &[ValueRef<'_>],
    ) -> Result<Option<(&'p IndexEntry, KeyHolder)>> {
        for index in &self.plan.arbiters {
            if let Some(holder) = tx.key_holder(&plan.table, index, values)? {
                return Ok(Some((index, holder)));
            }
        }
        Ok(None)
    }

    /// Does what is to be done where a row has the key; returns whether it was changed.
    fn meet(
        &mut self,
        plan: &Insert,
        (index, holder): (&IndexEntry, KeyHolder),
        tx: &mut Transaction,
        values: &[ValueRef<'_>],
        returned: Option<&mut Returned<'_>>,
        context: &ExecContext,
    ) -> Result<bool> {
        let Some((update, writer, constraints)) = &mut self.update else {
            if !holder.is_of_command {
                tx.note_holder(&plan.table, index, holder.row, false);
            }
            return Ok(false);
        };
        if holder.is_of_command {
            return Err(twice());
        }
        let Some(new) = new_values(
            update,
            constraints,
            holder.row,
            tx,
            values,
            returned,
            context,
        )?
        else {
            tx.note_holder(&plan.table, index, holder.row, true);
            return Ok(false);
        };
        let changes = update.update.assignments.iter().zip(&new);
        let changes: Vec<(ColumnId, ValueRef<'_>)> = changes
            .map(|((column, _), value)| (*column, value.as_ref()))
            .collect();
        match writer.update(tx, holder.row, &changes, context)? {
            true => Ok(true),
            false => Err(twice()),
        }
    }
}

/// What DO UPDATE sets a row to, tested and shown; `None` where its condition is not true.
fn new_values(
    plan: &DoUpdate,
    constraints: &Constraints<'_>,
    row: RowId,
    tx: &Transaction,
    excluded: &[ValueRef<'_>],
    returned: Option<&mut Returned<'_>>,
    context: &ExecContext,
) -> Result<Option<Vec<Value>>> {
    let update = &plan.update;
    let read = tx.row_to_change(&update.table, row, |old| {
        let old = &TableRow::of(&update.table.def, old);
        let both = Both { old, excluded };
        if let Some(filter) = &plan.filter
            && !is_true(&eval_scalar(filter, &both, context)?)
        {
            return Ok(None);
        }
        let new = update.assignments.iter();
        let new = new.map(|(_, expr)| Ok(eval_scalar(expr, &both, context)?.into_value()));
        let new = new.collect::<Result<Vec<_>>>()?;
        let changed = Changed {
            plan: update,
            old,
            new: &new,
        };
        constraints.test_row(&changed, context)?;
        if let Some(returned) = returned {
            returned.row(&changed, context)?;
        }
        Ok(Some(new))
    });
    // What this command has changed it does not see.
    read.unwrap_or_else(|| Err(twice()))
}

fn twice() -> Error {
    Error::new(
        state::CARDINALITY_VIOLATION,
        "ON CONFLICT DO UPDATE command cannot affect row a second time",
    )
    .with_hint(
        "Ensure that no rows proposed for insertion within the same command have duplicate \
         constrained values.",
    )
}
