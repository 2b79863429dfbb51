//! Referential actions: what follows from a statement by its foreign keys, in rounds, and then the checks of keys and the
//! triggers AFTER the statement.

use super::children;
use super::deferred;
use super::error;
use super::key_set::{FREE_BYTES, KeySet};
use super::link::Link;
use super::tracked_changes::{Referred, Referring, TrackedChanges};
use super::unique::{UniqueKeys, check_keys};
use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::Transaction;
use crate::exec::dml::{RowUpdate, RowWriter};
use crate::exec::eval::eval_constant;
use crate::exec::memory::Held;
use crate::exec::point::TableRow;
use crate::exec::trigger::{Firing, begin, fire_after};
use crate::function::cast::cast_value;
use crate::plan::Expr;
use crate::plan::statement::{Target, Update};
use remora_storage::catalog::{ForeignAction, TriggerEvent};
use remora_storage::{RowId, Value, ValueRef};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// Rounds of actions after which a statement is taken to have no end: tables that refer to each other can
/// send a change round for ever.
const ROUNDS_MAX: usize = 1 << 20;
/// Rows between two looks at the interrupt.
const CHECK_ROWS: usize = 128;

/// Actions that may wait before memory is asked for what they are in.
const ACTIONS_FREE: usize = 8;

/// Keys that are gone, of one foreign key.
struct Gone {
    link: Arc<Link>,
    keys: KeySet,
    action: ForeignAction,
}

/// What is to be done yet.
struct Actions {
    actions: VecDeque<Gone>,
    /// One for each foreign key, as are those that are not referred to.
    missing: Vec<Referring>,
    unreferenced: Vec<Gone>,
    /// One for each constraint that may be deferred.
    keys: Vec<UniqueKeys>,
    rounds: usize,
    /// For actions that wait.
    held: Held,
    /// The triggers that are to be fired at last: those of the statement, and then of each action.
    fired: Vec<Vec<Firing>>,
}

/// Does what follows from the changes of a statement.
///
/// # Errors
/// 23503, 23505, and those of the actions and triggers.
pub(in crate::exec) fn follow(
    changes: Vec<TrackedChanges>,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<()> {
    let mut pending = Actions::new(changes.iter().all(|changes| changes.shrinks));
    pending.fired.push(Vec::new());
    // What was changed is seen from here on.
    tx.begin_command();
    for changes in changes {
        pending.take(changes, context)?;
    }
    while let Some(gone) = pending.actions.pop_front() {
        context.check()?;
        pending.rounds += 1;
        if pending.rounds > ROUNDS_MAX {
            return Err(sql_error!(
                STATEMENT_TOO_COMPLEX,
                "the actions of foreign key \"{}\" go on after {ROUNDS_MAX} rounds",
                gone.link.key.name
            ));
        }
        let firing = pending.begin_action(&gone, tx, context)?;
        let changes = act(&gone, firing, tx, context)?;
        tx.begin_command();
        if let Some(changes) = changes {
            pending.fired.push(Vec::new());
            pending.take(*changes, context)?;
        }
    }
    let fired = std::mem::take(&mut pending.fired);
    pending.check(tx, context)?;
    fired
        .into_iter()
        .try_for_each(|fired| fire_after(fired, tx, context))
}

impl Actions {
    /// Of a statement that makes the database smaller, where `shrinks`.
    fn new(shrinks: bool) -> Self {
        Self {
            actions: VecDeque::new(),
            missing: Vec::new(),
            unreferenced: Vec::new(),
            keys: Vec::new(),
            rounds: 0,
            fired: Vec::new(),
            held: match shrinks {
                true => Held::for_emergency(),
                false => Held::default(),
            },
        }
    }

    /// The triggers of the table that an action is about to change, of which those BEFORE the statement are run
    /// once.
    fn begin_action(
        &self,
        gone: &Gone,
        tx: &mut Transaction,
        context: &ExecContext,
    ) -> Result<Option<Box<Firing>>> {
        let table = &gone.link.child;
        if table.def.triggers.is_empty() || gone.action == ForeignAction::Restrict {
            return Ok(None);
        }
        let event = match gone.deletes() {
            true => TriggerEvent::Delete,
            false => TriggerEvent::Update,
        };
        let columns = &gone.link.key.columns;
        let mut fired = self.fired.iter().flatten();
        let is_first = !fired.any(|firing| firing.is_of(table.def.id, event));
        begin(table, event, columns, is_first, tx, context)
    }

    /// Sorts what follows from the changes of a round by when it is due.
    fn take(&mut self, mut changes: TrackedChanges, context: &ExecContext) -> Result<()> {
        if let Some(firing) = changes.firing.take() {
            // Of what comes again by an action the triggers of the statement are fired once.
            let by_action = self.fired.len() > 1;
            let mut others = self.fired.iter_mut().flatten();
            match others.find(|other| by_action && other.is_like(&firing)) {
                Some(other) => other.absorb(*firing),
                None => {
                    if let Some(last) = self.fired.last_mut() {
                        last.push(*firing);
                    }
                }
            }
        }
        for keys in changes.keys.into_iter().filter(|keys| !keys.is_empty()) {
            let mut others = self.keys.iter_mut();
            match others.find(|other| other.index == keys.index) {
                Some(other) => other.append(keys, context)?,
                None => self.keys.push(keys),
            }
        }
        let missing = changes.referring.into_iter();
        for key in missing.filter(|key| !key.missing.is_empty()) {
            self.find_later(key, context)?;
        }
        let referred = changes.referred.into_iter();
        for Referred { link, gone } in referred.filter(|key| !key.gone.is_empty()) {
            let is_update = gone.entries().iter().any(|entry| entry.becomes.is_some());
            let action = match is_update {
                true => link.key.on_update,
                false => link.key.on_delete,
            };
            let gone = Gone {
                link,
                keys: gone,
                action,
            };
            match action {
                ForeignAction::NoAction => self.refuse_later(gone, context)?,
                ForeignAction::SetDefault => {
                    // The defaults may be one of the keys.
                    self.refuse_later(gone.copy(context)?, context)?;
                    self.actions.push_back(gone);
                }
                _ => self.actions.push_back(gone),
            }
        }
        let waiting = self.actions.len().saturating_sub(ACTIONS_FREE);
        let each = size_of::<Gone>() + size_of::<Link>() + FREE_BYTES;
        self.held.reach(waiting * each, context)
    }

    /// Keys that are to be there in the end.
    fn find_later(&mut self, key: Referring, context: &ExecContext) -> Result<()> {
        let mut others = self.missing.iter_mut();
        match others.find(|other| other.link.is_same(&key.link)) {
            Some(other) => other.missing.merge(&key.missing, context),
            None => {
                self.missing.push(key);
                Ok(())
            }
        }
    }

    /// Keys that nothing may refer to in the end.
    fn refuse_later(&mut self, gone: Gone, context: &ExecContext) -> Result<()> {
        let mut others = self.unreferenced.iter_mut();
        match others.find(|other| other.link.is_same(&gone.link)) {
            Some(other) => other.keys.merge(&gone.keys, context),
            None => {
                self.unreferenced.push(gone);
                Ok(())
            }
        }
    }

    /// Sees that nothing is broken at the end of the statement.
    fn check(self, tx: &mut Transaction, context: &ExecContext) -> Result<()> {
        for keys in self.keys {
            let constraint = (keys.table, keys.name.as_str(), keys.deferral);
            match deferred::is_deferred(tx, constraint) {
                true => deferred::put_off_keys(tx, keys, context)?,
                false => check_keys(&keys, tx, context)?,
            }
        }
        for gone in self.unreferenced {
            // What an action has led to is asked at once.
            let is_plain = gone.action == ForeignAction::NoAction;
            if is_plain && deferred::is_link_deferred(tx, &gone.link) {
                deferred::put_off_gone(tx, (&gone.link, &gone.keys), context)?;
                continue;
            }
            // Another row may have got the key.
            let tx = &*tx;
            gone.refuse(|key| gone.link.share(tx, key, context), tx, context)?;
        }
        for referring in self.missing {
            if deferred::is_link_deferred(tx, &referring.link) {
                deferred::put_off_missing(tx, &referring, context)?;
                continue;
            }
            let is_first = self.rounds == 0;
            check_missing(referring, is_first, tx, context)?;
        }
        Ok(())
    }
}

/// Fails where a key is not there still. `is_first` says that the rows which refer by it are there for
/// sure: else an action may have taken them away.
pub(super) fn check_missing(
    referring: Referring,
    is_first: bool,
    tx: &Transaction,
    context: &ExecContext,
) -> Result<()> {
    let (link, missing) = (&referring.link, &referring.missing);
    let mut left = KeySet::default();
    for entry in missing.entries() {
        let values = entry.key.iter().map(Value::as_ref);
        let Some(parent) = link.to_parent(values, &context.eval) else {
            return Err(error::missing(link, &entry.key));
        };
        if link.share(tx, &parent, context) {
            continue;
        }
        if is_first {
            return Err(error::missing(link, &entry.key));
        }
        left.add(&entry.bytes, parent, None, context)?;
    }
    if left.is_empty() {
        return Ok(());
    }
    children::each(link, left.keys(), tx, context, |_, place| {
        let parent = &left.entries()[place];
        let at = missing.keys().find(&parent.bytes);
        let key = at.map_or(&parent.key, |at| &missing.entries()[at].key);
        Err(error::missing(link, key))
    })
}

impl Gone {
    /// The same once more.
    fn copy(&self, context: &ExecContext) -> Result<Self> {
        let mut keys = KeySet::default();
        keys.merge(&self.keys, context)?;
        Ok(Self {
            link: Arc::clone(&self.link),
            keys,
            action: self.action,
        })
    }

    /// Fails where a row refers to one of the keys that is not back.
    fn refuse(
        &self,
        is_back: impl Fn(&[Value]) -> bool,
        tx: &Transaction,
        context: &ExecContext,
    ) -> Result<()> {
        let mut back = None;
        children::each(&self.link, self.keys.keys(), tx, context, |_, place| {
            let key = &self.keys.entries()[place].key;
            // Rows that refer to one key mostly come one after the other.
            if back == Some(place) || is_back(key) {
                back = Some(place);
                return Ok(true);
            }
            Err(error::referenced(&self.link, key))
        })
    }

    /// The rows that refer to the keys, and to which.
    fn rows(
        &self,
        held: &mut Held,
        tx: &Transaction,
        context: &ExecContext,
    ) -> Result<Vec<(RowId, usize)>> {
        let mut rows: Vec<(RowId, usize)> = Vec::new();
        children::each(&self.link, self.keys.keys(), tx, context, |row, place| {
            if rows.len() == rows.capacity() {
                let room = (2 * rows.capacity()).max(16);
                // They move: for a moment they are there twice.
                held.reach(size_of::<(RowId, usize)>() * (room + rows.len()), context)?;
                rows.reserve_exact(room - rows.len());
            }
            rows.push((row, place));
            Ok(true)
        })?;
        Ok(rows)
    }
}

impl Gone {
    /// Whether the rows go that refer to the keys.
    fn deletes(&self) -> bool {
        let mut entries = self.keys.entries().iter();
        self.action == ForeignAction::Cascade && entries.all(|entry| entry.becomes.is_none())
    }
}

/// Changes the rows that refer to keys that are gone, or fails where there are any; returns what that leads to.
fn act(
    gone: &Gone,
    firing: Option<Box<Firing>>,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Option<Box<TrackedChanges>>> {
    let deletes = gone.deletes();
    if gone.action == ForeignAction::Restrict {
        gone.refuse(|_| false, tx, context)?;
        return Ok(None);
    }
    let mut held = match deletes {
        true => Held::for_emergency(),
        false => Held::default(),
    };
    let rows = gone.rows(&mut held, tx, context)?;
    if rows.is_empty() && firing.is_none() {
        return Ok(None);
    }
    match deletes {
        true => delete(gone, &rows, firing, tx, context),
        false => update(gone, &rows, firing, tx, context),
    }
}

fn delete(
    gone: &Gone,
    rows: &[(RowId, usize)],
    firing: Option<Box<Firing>>,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Option<Box<TrackedChanges>>> {
    let change = (TriggerEvent::Delete, &[][..]);
    let mut writer = RowWriter::with_triggers(&gone.link.child, change, firing, tx)?;
    for (number, (row, _)) in rows.iter().enumerate() {
        if number.is_multiple_of(CHECK_ROWS) {
            context.check()?;
        }
        writer.delete(tx, *row, context)?;
    }
    Ok(writer.into_tracked())
}

fn update(
    gone: &Gone,
    rows: &[(RowId, usize)],
    firing: Option<Box<Firing>>,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Option<Box<TrackedChanges>>> {
    let table = &gone.link.child;
    let plan = plan(gone, tx, context)?;
    let columns: Vec<_> = plan.written().map(|(column, _)| *column).collect();
    let change = (TriggerEvent::Update, columns.as_slice());
    let mut writer = RowWriter::with_triggers(table, change, firing, tx)?;
    let update = RowUpdate::new(&plan, &writer, tx, context)?;
    for (number, (row, place)) in rows.iter().enumerate() {
        if number.is_multiple_of(CHECK_ROWS) {
            context.check()?;
        }
        let becomes = gone.keys.entries()[*place].becomes.as_deref();
        let mut new = new_values(gone, &plan, becomes, context)?;
        let completed = tx.row_to_change(table, *row, |old| {
            update.complete(&TableRow::of(&table.def, old), &mut new, None, context)
        });
        completed.unwrap_or(Ok(()))?;
        update.write(&mut writer, (*row, new), &mut [], (tx, context))?;
    }
    Ok(writer.into_tracked())
}

/// The action as an UPDATE of the columns that refer, with what they are set to where that is the same
/// for all rows.
fn plan(gone: &Gone, tx: &Transaction, context: &ExecContext) -> Result<Update> {
    let table = &gone.link.child;
    let key = &gone.link.key;
    let is_delete = gone
        .keys
        .entries()
        .iter()
        .all(|entry| entry.becomes.is_none());
    let columns = match is_delete && !key.set_columns.is_empty() {
        true => &key.set_columns,
        false => &key.columns,
    };
    let columns: BTreeSet<usize> = columns
        .iter()
        .filter_map(|column| table.def.position(*column))
        .collect();
    let planner = &context.planner;
    let rules = planner.table_rules(table, Some(&columns), tx.catalog())?;
    let columns = columns.iter().map(|position| &table.def.columns[*position]);
    let assignments = columns.zip(&rules.defaults).map(|(column, default)| {
        let value = match gone.action {
            ForeignAction::SetDefault => default.clone(),
            _ => Expr::literal(Value::Null, column.data_type),
        };
        (column.id, value)
    });
    let generated = rules.generated.iter();
    let generated = generated.map(|(at, expr)| (table.def.columns[*at].id, expr.clone()));
    Ok(Update {
        assignments: assignments.collect(),
        generated: generated.collect(),
        checks: rules.checks.clone(),
        table: Arc::clone(table),
        target: Target::nothing(),
        returning: None,
    })
}

/// What the columns of one row are set to.
fn new_values(
    gone: &Gone,
    plan: &Update,
    becomes: Option<&[Value]>,
    context: &ExecContext,
) -> Result<Vec<Value>> {
    let values = plan.assignments.iter().map(|(column, expr)| {
        let key = &gone.link.key;
        match (gone.action, becomes) {
            (ForeignAction::Cascade, Some(becomes)) => {
                let place = key.columns.iter().position(|id| id == column);
                let value = place.map_or(ValueRef::Null, |place| becomes[place].as_ref());
                cast_value(value, expr.data_type, false, &context.eval)
            }
            _ => Ok(eval_constant(expr, context)?.into_value()),
        }
    });
    values.collect()
}
