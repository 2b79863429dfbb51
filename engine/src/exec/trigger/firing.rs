//! The triggers that a change of one table fires, and the rows that those AFTER it are to see.

use super::super::BATCH_ROWS;
use super::super::ExecContext;
use super::super::batch::Batch;
use super::super::memory::Held;
use super::body::{Fired, Transition, run};
use crate::error::Result;
use crate::exec::Transaction;
use crate::plan::trigger::Trigger;
use remora_storage::catalog::{TableEntry, TriggerEvent, TriggerTiming};
use remora_storage::value::ColumnBuilder;
use remora_storage::{ColumnId, TableId, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Gives all changes of all tables numbers, by which those of one statement are put in order.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// Bytes of a change without its strings.
const CHANGE_BYTES: usize = 2 * size_of::<Change>();

/// The triggers that one kind of change of a table fires.
#[derive(Debug)]
pub(in crate::exec) struct Firing {
    table: Arc<TableEntry>,
    event: TriggerEvent,
    before_row: Vec<Arc<Trigger>>,
    instead: Vec<Arc<Trigger>>,
    after_row: Vec<Arc<Trigger>>,
    after_statement: Vec<Arc<Trigger>>,
    changes: Vec<Change>,
    /// For changes.
    held: Held,
    /// For those of others that it has taken.
    taken: Vec<Held>,
}

/// A row that was changed.
#[derive(Debug)]
struct Change {
    number: u64,
    old: Option<Vec<Value>>,
    new: Option<Vec<Value>>,
}

/// The triggers that a change of a table fires, after those BEFORE the statement have been run, unless another change by
/// the statement has run them (`is_first`). `columns` are those that an UPDATE sets.
///
/// # Errors
/// Those of the triggers.
pub(in crate::exec) fn begin(
    table: &Arc<TableEntry>,
    event: TriggerEvent,
    columns: &[ColumnId],
    is_first: bool,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Option<Box<Firing>>> {
    if table.def.triggers.is_empty() {
        return Ok(None);
    }
    let mut firing = Firing {
        table: Arc::clone(table),
        event,
        before_row: Vec::new(),
        instead: Vec::new(),
        after_row: Vec::new(),
        after_statement: Vec::new(),
        changes: Vec::new(),
        held: Held::default(),
        taken: Vec::new(),
    };
    let mut before_statement = Vec::new();
    for def in &table.def.triggers {
        let sets = || def.of.is_empty() || def.of.iter().any(|column| columns.contains(column));
        let fires = !def.disabled
            && def.events.contains(&event)
            && (event != TriggerEvent::Update || sets());
        if !fires {
            continue;
        }
        let list = match (def.timing, def.for_each_row) {
            (TriggerTiming::Before, false) => &mut before_statement,
            (TriggerTiming::Before, true) => &mut firing.before_row,
            (TriggerTiming::After, false) => &mut firing.after_statement,
            (TriggerTiming::After, true) => &mut firing.after_row,
            (TriggerTiming::InsteadOf, _) => &mut firing.instead,
        };
        let path = context
            .eval
            .statement
            .as_ref()
            .map(|scope| scope.path().clone());
        let names = (tx.catalog(), &path.unwrap_or_default());
        list.push(context.planner.trigger(table, def, names)?);
    }
    if is_first {
        for trigger in &before_statement {
            firing.once(trigger, &Transition::default(), tx, context)?;
        }
    }
    let wants = !firing.before_row.is_empty()
        || !firing.instead.is_empty()
        || !firing.after_row.is_empty()
        || !firing.after_statement.is_empty();
    Ok(wants.then(|| Box::new(firing)))
}

impl Firing {
    /// Whether triggers fire before each row.
    pub(in crate::exec) fn is_before_rows(&self) -> bool {
        !self.before_row.is_empty()
    }

    /// Whether somebody wants to know which rows have changed.
    pub(in crate::exec) fn wants_rows(&self) -> bool {
        !self.after_row.is_empty()
            || self.shows(|trigger| &trigger.def.old_table)
            || self.shows(|trigger| &trigger.def.new_table)
    }

    fn shows(&self, table: impl Fn(&Trigger) -> &Option<String>) -> bool {
        let mut all = self.after_row.iter().chain(&self.after_statement);
        all.any(|trigger| table(trigger).is_some())
    }

    /// Runs the triggers BEFORE a row; `false` where one says that it is to be skipped.
    ///
    /// # Errors
    /// Those of the triggers.
    pub(in crate::exec) fn before_row(
        &self,
        old: Option<&[Value]>,
        new: Option<&mut Vec<Value>>,
        tx: &mut Transaction,
        context: &ExecContext,
    ) -> Result<bool> {
        self.ask(&self.before_row, (old, new), tx, context)
    }

    /// Runs the triggers INSTEAD OF a change of a row; `false` where one says that it is to be skipped.
    ///
    /// # Errors
    /// Those of the triggers.
    pub(in crate::exec) fn instead_of(
        &self,
        old: Option<&[Value]>,
        new: Option<&mut Vec<Value>>,
        tx: &mut Transaction,
        context: &ExecContext,
    ) -> Result<bool> {
        self.ask(&self.instead, (old, new), tx, context)
    }

    fn ask(
        &self,
        triggers: &[Arc<Trigger>],
        (old, mut new): (Option<&[Value]>, Option<&mut Vec<Value>>),
        tx: &mut Transaction,
        context: &ExecContext,
    ) -> Result<bool> {
        for trigger in triggers {
            let fired = Fired {
                old,
                new: new.as_deref_mut(),
                width: self.table.def.columns.len(),
            };
            if !run(trigger, fired, &Transition::default(), tx, context)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Notes that a row was changed.
    ///
    /// # Errors
    /// 53200
    pub(in crate::exec) fn note(
        &mut self,
        old: Option<Vec<Value>>,
        new: Option<Vec<Value>>,
        context: &ExecContext,
    ) -> Result<()> {
        let values = old.iter().chain(&new).flatten();
        let bytes: usize = values.map(value_bytes).sum();
        self.held.grow(CHANGE_BYTES + bytes, context)?;
        self.changes.push(Change {
            number: CHANGES.fetch_add(1, Ordering::Relaxed),
            old,
            new,
        });
        Ok(())
    }

    /// Whether it is about the same kind of change of a table.
    pub(in crate::exec) fn is_of(&self, table: TableId, event: TriggerEvent) -> bool {
        self.table.def.id == table && self.event == event
    }

    /// The same of another one.
    pub(in crate::exec) fn is_like(&self, other: &Self) -> bool {
        self.is_of(other.table.def.id, other.event)
    }

    /// Takes the rows of another one of the same kind.
    pub(in crate::exec) fn absorb(&mut self, other: Self) {
        for (own, others) in [
            (&mut self.after_row, other.after_row),
            (&mut self.after_statement, other.after_statement),
        ] {
            // It may have set other columns.
            let is_new =
                |trigger: &Arc<Trigger>| own.iter().all(|own| own.def.name != trigger.def.name);
            let new: Vec<_> = others.into_iter().filter(is_new).collect();
            own.extend(new);
            own.sort_by(|one, other| one.def.name.cmp(&other.def.name));
        }
        self.changes.extend(other.changes);
        self.taken.push(other.held);
    }

    /// Runs a trigger that is about the statement.
    fn once(
        &self,
        trigger: &Trigger,
        transition: &Transition,
        tx: &mut Transaction,
        context: &ExecContext,
    ) -> Result<()> {
        let fired = Fired {
            old: None,
            new: None,
            width: self.table.def.columns.len(),
        };
        run(trigger, fired, transition, tx, context).map(drop)
    }

    /// The rows that were changed, as a trigger's transition tables show them.
    fn transition(&self, trigger: &Trigger) -> Transition {
        let rows = |wanted: bool, of: fn(&Change) -> Option<&Vec<Value>>| {
            wanted.then(|| batches(&self.table, self.changes.iter().filter_map(of)))
        };
        Transition {
            old: rows(trigger.def.old_table.is_some(), |change| {
                change.old.as_ref()
            }),
            new: rows(trigger.def.new_table.is_some(), |change| {
                change.new.as_ref()
            }),
        }
    }
}

/// Rows as batches.
fn batches<'r>(table: &TableEntry, rows: impl Iterator<Item = &'r Vec<Value>>) -> Vec<Batch> {
    let columns = &table.def.columns;
    let new = || -> Vec<ColumnBuilder> {
        let columns = columns.iter();
        columns
            .map(|column| ColumnBuilder::new(column.data_type, 64))
            .collect()
    };
    let (mut found, mut builders, mut count) = (Vec::new(), new(), 0);
    for row in rows {
        for (builder, value) in builders.iter_mut().zip(row) {
            builder.push(value.as_ref());
        }
        count += 1;
        if count == BATCH_ROWS {
            let columns = builders.iter_mut().map(ColumnBuilder::finish).collect();
            found.push(Batch::new(columns, count));
            (builders, count) = (new(), 0);
        }
    }
    if count > 0 {
        let columns = builders.iter_mut().map(ColumnBuilder::finish).collect();
        found.push(Batch::new(columns, count));
    }
    found
}

/// Bytes of a value that is kept.
fn value_bytes(value: &Value) -> usize {
    let apart = match value {
        Value::Text(text) => text.len(),
        Value::Bytea(bytes) => bytes.len(),
        Value::Packed(_, bytes) => bytes.len(),
        _ => 0,
    };
    size_of::<Value>() + apart
}

/// Runs the triggers AFTER the changes of one statement: those of each row in the order of the changes, and then
/// those of the statement, of its last kind of change first.
///
/// # Errors
/// Those of the triggers.
pub(in crate::exec) fn fire_after(
    mut fired: Vec<Firing>,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<()> {
    let mut changes: Vec<(usize, Change)> = Vec::new();
    let mut tables: Vec<Vec<Transition>> = Vec::new();
    let mut held = Held::default();
    for (at, firing) in fired.iter_mut().enumerate() {
        for triggers in [&firing.after_row, &firing.after_statement] {
            let shown: Vec<_> = triggers
                .iter()
                .map(|trigger| firing.transition(trigger))
                .collect();
            held.grow(shown.iter().map(Transition::bytes).sum(), context)?;
            tables.push(shown);
        }
        changes.extend(
            std::mem::take(&mut firing.changes)
                .into_iter()
                .map(|change| (at, change)),
        );
    }
    changes.sort_by_key(|(_, change)| change.number);
    for (at, mut change) in changes {
        context.check()?;
        let firing = &fired[at];
        for (trigger, transition) in firing.after_row.iter().zip(&tables[2 * at]) {
            let row = Fired {
                old: change.old.as_deref(),
                new: change.new.as_mut(),
                width: firing.table.def.columns.len(),
            };
            run(trigger, row, transition, tx, context)?;
        }
    }
    // Table by table, as they were first changed; of one table the last kind of change first.
    let first = |firing: &Firing| {
        let table = firing.table.def.id;
        fired.iter().position(|other| other.table.def.id == table)
    };
    let mut order: Vec<usize> = (0..fired.len()).rev().collect();
    order.sort_by_key(|at| first(&fired[*at]));
    for at in order {
        let firing = &fired[at];
        for (trigger, transition) in firing.after_statement.iter().zip(&tables[2 * at + 1]) {
            firing.once(trigger, transition, tx, context)?;
        }
    }
    Ok(())
}
