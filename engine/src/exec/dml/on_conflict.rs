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
//! 5. A row that this statement has written itself is left out by `DO NOTHING`; to `DO UPDATE` it is 21000,
//!    since which of the two came first would decide what becomes of it.

use super::super::ExecContext;
use super::super::eval::{Row, eval_scalar, is_true};
use super::super::point::TableRow;
use super::super::trigger::begin;
use super::before_triggers::{Whole, before_insert, guarded};
use super::correlated::ask;
use super::returning::{Changes, Returned};
use super::update::writer;
use super::{Changed, Constraints, generated};
use crate::error::{Error, Result};
use crate::exec::referential::{Writer, finish_all, row_now};
use crate::plan::statement::{Asked, DoUpdate, Insert, OnConflict};
use hashbrown::HashSet;
use remora_storage::catalog::{IndexEntry, TriggerEvent};
use remora_storage::transaction::KeyHolder;
use remora_storage::{ColumnId, RowId, Transaction, Value, ValueRef};

/// What an INSERT writes its rows with.
#[derive(Debug)]
pub(super) struct Inserter<'p> {
    plan: &'p Insert,
    writer: Writer<'p>,
    conflict: Option<Upsert<'p>>,
    /// What rows are asked that are stored.
    options: Option<Constraints<'p>>,
    pub(super) returned: Option<Returned<'p>>,
    /// Rows that were inserted or changed.
    pub(super) count: u64,
    /// Whether triggers fire: they may begin commands in between.
    fires: bool,
    /// Rows that it has changed, where triggers begin commands in between.
    written: HashSet<RowId>,
}

#[derive(Debug)]
struct Upsert<'p> {
    plan: &'p OnConflict,
    update: Option<(&'p DoUpdate, Writer<'p>, Constraints<'p>)>,
    /// For rows that triggers are asked about.
    whole: Option<Whole>,
}

/// The row that is there, and behind it the one that was to be inserted.
struct Both<'a, R: ?Sized> {
    old: &'a R,
    excluded: &'a [ValueRef<'a>],
}

impl<R: Row + ?Sized> Row for Both<'_, R> {
    fn value(&self, position: usize) -> ValueRef<'_> {
        let columns = self.excluded.len();
        match position < columns {
            true => self.old.value(position),
            false => self.excluded[position - columns],
        }
    }
}

impl<'p> Inserter<'p> {
    pub(super) fn new(
        plan: &'p Insert,
        tx: &mut Transaction,
        context: &ExecContext,
    ) -> Result<Self> {
        let none = std::iter::empty();
        let firing = begin(&plan.table, TriggerEvent::Insert, none, tx, context)?;
        let conflict = match &plan.on_conflict {
            Some(conflict) => Some(Upsert::new(conflict, tx, context)?),
            None => None,
        };
        Ok(Self {
            plan,
            written: HashSet::new(),
            fires: !plan.table.def.triggers.is_empty(),
            writer: Writer::of_insert(&plan.table, tx)?.firing(firing),
            conflict,
            options: Constraints::of_views(plan, tx),
            returned: Returned::of(plan.returning.as_ref()),
            count: 0,
        })
    }

    /// Whether rows may be shown as they were to be inserted.
    pub(super) fn inserts_all(&self) -> bool {
        self.conflict.is_none() && !self.is_guarded()
    }

    /// Whether triggers are to be asked about each row, and then what follows from its values.
    pub(super) fn is_guarded(&self) -> bool {
        self.writer.is_guarded()
    }

    /// Inserts a row that triggers are asked about first.
    pub(super) fn guarded(
        &mut self,
        tx: &mut Transaction,
        mut row: Vec<Value>,
        context: &ExecContext,
    ) -> Result<()> {
        if let Some(guard) = self.writer.guard()
            && !before_insert(self.plan, guard, &mut row, tx, context)?
        {
            return Ok(());
        }
        let values: Vec<ValueRef<'_>> = row.iter().map(Value::as_ref).collect();
        self.row(tx, &values, context)
    }

    /// Inserts a row, or does what the clause says; shows what comes of it.
    pub(super) fn row(
        &mut self,
        tx: &mut Transaction,
        values: &[ValueRef<'_>],
        context: &ExecContext,
    ) -> Result<()> {
        if let Some(upsert) = &mut self.conflict
            && let Some((index, mut holder)) = upsert.holder(self.plan, tx, values)?
        {
            holder.is_of_command |= self.written.contains(&holder.row);
            let row = holder.row;
            let returned = self.returned.as_mut();
            let changed = upsert.meet(self.plan, (index, holder), tx, values, returned, context)?;
            self.count += u64::from(changed);
            if changed && self.fires {
                self.written.insert(row);
            }
            return Ok(());
        }
        self.insert(tx, values, context)?;
        if self.fires
            && let Some(upsert) = &self.conflict
            && let Some((_, holder)) = upsert.holder(self.plan, tx, values)?
        {
            self.written.insert(holder.row);
        }
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
        self.writer.insert(tx, values, context)?;
        match &self.options {
            None => Ok(()),
            Some(options) => options.test_row(values, context),
        }
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
    fn new(plan: &'p OnConflict, tx: &mut Transaction, context: &ExecContext) -> Result<Self> {
        let mut whole = None;
        let update = match &plan.update {
            None => None,
            Some(update) => {
                let writer = writer(&update.update, tx, context)?;
                let (writer, found) = guarded(writer, &update.update, tx, context)?;
                whole = found;
                let constraints = Constraints::of_update(&update.update).asking(tx);
                Some((update, writer, constraints))
            }
        };
        Ok(Self {
            plan,
            update,
            whole,
        })
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
        let asking = match &update.asked {
            Some(asked) => Some(answers(asked, update, holder.row, tx, values, context)?),
            None => None,
        };
        if let Some(whole) = &self.whole {
            let context = asking.as_ref().unwrap_or(context);
            let Some((old, new)) = assigned(update, holder.row, tx, values, context)? else {
                tx.note_holder(&plan.table, index, holder.row, true);
                return Ok(false);
            };
            let mut given = old;
            let shown = returned.map(|returned| (returned, given.as_mut_slice()));
            return whole.update(writer, holder.row, new, shown, (tx, context));
        }
        let Some(new) = new_values(
            update,
            constraints,
            holder.row,
            tx,
            values,
            returned,
            asking.as_ref().unwrap_or(context),
        )?
        else {
            tx.note_holder(&plan.table, index, holder.row, true);
            return Ok(false);
        };
        let changes = update.update.written().zip(&new);
        let changes: Vec<(ColumnId, ValueRef<'_>)> = changes
            .map(|((column, _), value)| (*column, value.as_ref()))
            .collect();
        match writer.update(tx, holder.row, &changes, context)? {
            true => Ok(true),
            false => Err(twice()),
        }
    }
}

/// The context with what DO UPDATE asks of subqueries for a row.
fn answers(
    asked: &Asked,
    update: &DoUpdate,
    row: RowId,
    tx: &Transaction,
    excluded: &[ValueRef<'_>],
    context: &ExecContext,
) -> Result<ExecContext> {
    let table = &update.update.table;
    let columns = table.def.columns.len();
    let old = tx.row_to_change(table, row, |old| {
        let old = TableRow::of(&table.def, old);
        let values = (0..columns).map(|position| old.value(position).to_owned());
        values.collect::<Vec<Value>>()
    });
    let Some(old) = old else {
        return Err(twice());
    };
    let old: Vec<ValueRef<'_>> = old.iter().map(Value::as_ref).collect();
    let both = Both {
        old: old.as_slice(),
        excluded,
    };
    ask(asked, &both, &tx.view(), context)
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
        let new = generated::new_values(update, &both, old, context)?;
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

/// The row that is there, and what DO UPDATE assigns to it; `None` where its condition is not true.
fn assigned(
    plan: &DoUpdate,
    row: RowId,
    tx: &Transaction,
    excluded: &[ValueRef<'_>],
    context: &ExecContext,
) -> Result<Option<(Vec<Value>, Vec<Value>)>> {
    let Some(old) = row_now(&plan.update.table, tx, row) else {
        return Err(twice());
    };
    let refs: Vec<ValueRef<'_>> = old.iter().map(Value::as_ref).collect();
    let both = Both {
        old: refs.as_slice(),
        excluded,
    };
    if let Some(filter) = &plan.filter
        && !is_true(&eval_scalar(filter, &both, context)?)
    {
        return Ok(None);
    }
    let new = plan.update.assignments.iter();
    let new = new.map(|(_, expr)| Ok(eval_scalar(expr, &both, context)?.into_value()));
    let new = new.collect::<Result<Vec<_>>>()?;
    Ok(Some((old, new)))
}

fn twice() -> Error {
    sql_error!(
        CARDINALITY_VIOLATION,
        "ON CONFLICT DO UPDATE command cannot affect row a second time"
    )
    .with_hint(
        "Ensure that no rows proposed for insertion within the same command have duplicate \
         constrained values.",
    )
}
