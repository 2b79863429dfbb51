//! What follows from a statement by its foreign keys: actions in rounds, then the checks.

use super::super::ExecContext;
use super::super::dml::{Changed, Constraints};
use super::super::eval::eval_constant;
use super::super::memory::Held;
use super::super::point::TableRow;
use super::children;
use super::error;
use super::key_set::{FREE_BYTES, KeySet};
use super::link::Link;
use super::writer::{Noted, Referred, Referring, Writer};
use crate::bind::{checks_of, default_of};
use crate::error::{Error, Result, state};
use crate::function::cast::cast_value;
use crate::plan::Expr;
use crate::plan::statement::{Target, Update};
use remora_storage::catalog::{ColumnDef, ForeignAction};
use remora_storage::{RowId, Transaction, Value, ValueRef};
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
struct Aftermath {
    actions: VecDeque<Gone>,
    /// One for each foreign key, as are those that are not referred to.
    missing: Vec<Referring>,
    unreferenced: Vec<Gone>,
    rounds: usize,
    /// For actions that wait.
    held: Held,
}

/// Does what follows from what a statement has noted.
pub(super) fn follow(noted: Vec<Noted>, tx: &mut Transaction, context: &ExecContext) -> Result<()> {
    let mut aftermath = Aftermath::new(noted.iter().all(|noted| noted.shrinks));
    // What was changed is seen from here on.
    tx.begin_command();
    for noted in noted {
        aftermath.take(noted, context)?;
    }
    while let Some(gone) = aftermath.actions.pop_front() {
        context.check()?;
        aftermath.rounds += 1;
        if aftermath.rounds > ROUNDS_MAX {
            return Err(Error::new(
                state::STATEMENT_TOO_COMPLEX,
                format!(
                    "the actions of foreign key \"{}\" go on after {ROUNDS_MAX} rounds",
                    gone.link.key.name
                ),
            ));
        }
        let noted = act(&gone, tx, context)?;
        tx.begin_command();
        if let Some(noted) = noted {
            aftermath.take(*noted, context)?;
        }
    }
    aftermath.check(tx, context)
}

impl Aftermath {
    /// Of a statement that makes the database smaller, where `shrinks`.
    fn new(shrinks: bool) -> Self {
        Self {
            actions: VecDeque::new(),
            missing: Vec::new(),
            unreferenced: Vec::new(),
            rounds: 0,
            held: match shrinks {
                true => Held::for_emergency(),
                false => Held::default(),
            },
        }
    }

    /// Sorts what a round has noted by when it is due.
    fn take(&mut self, noted: Noted, context: &ExecContext) -> Result<()> {
        let missing = noted.referring.into_iter();
        for key in missing.filter(|key| !key.missing.is_empty()) {
            self.find_later(key, context)?;
        }
        let referred = noted.referred.into_iter();
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
    fn check(self, tx: &Transaction, context: &ExecContext) -> Result<()> {
        for gone in self.unreferenced {
            // Another row may have got the key.
            gone.refuse(|key| gone.link.share(tx, key), tx, context)?;
        }
        for referring in self.missing {
            let is_first = self.rounds == 0;
            check_missing(referring, is_first, tx, context)?;
        }
        Ok(())
    }
}

/// Fails where a key is not there still. `is_first` says that the rows which refer by it are there for
/// sure: else an action may have taken them away.
fn check_missing(
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
        if link.share(tx, &parent) {
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

/// Changes the rows that refer to keys that are gone, or fails where there are any; returns what that leads to.
fn act(gone: &Gone, tx: &mut Transaction, context: &ExecContext) -> Result<Option<Box<Noted>>> {
    let deletes = gone.action == ForeignAction::Cascade
        && gone
            .keys
            .entries()
            .iter()
            .all(|entry| entry.becomes.is_none());
    if gone.action == ForeignAction::Restrict {
        gone.refuse(|_| false, tx, context)?;
        return Ok(None);
    }
    let mut held = match deletes {
        true => Held::for_emergency(),
        false => Held::default(),
    };
    let rows = gone.rows(&mut held, tx, context)?;
    if rows.is_empty() {
        return Ok(None);
    }
    match deletes {
        true => delete(gone, &rows, tx, context),
        false => update(gone, &rows, tx, context),
    }
}

fn delete(
    gone: &Gone,
    rows: &[(RowId, usize)],
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Option<Box<Noted>>> {
    let mut writer = Writer::of_delete(&gone.link.child, tx)?;
    for (number, (row, _)) in rows.iter().enumerate() {
        if number.is_multiple_of(CHECK_ROWS) {
            context.check()?;
        }
        writer.delete(tx, *row, context)?;
    }
    Ok(writer.into_noted())
}

fn update(
    gone: &Gone,
    rows: &[(RowId, usize)],
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<Option<Box<Noted>>> {
    let table = &gone.link.child;
    let plan = plan(gone, tx)?;
    let constraints = Constraints::of_update(&plan);
    let columns = plan.assignments.iter().map(|(column, _)| *column);
    let mut writer = Writer::of_update(table, columns, tx)?;
    for (number, (row, place)) in rows.iter().enumerate() {
        if number.is_multiple_of(CHECK_ROWS) {
            context.check()?;
        }
        let becomes = gone.keys.entries()[*place].becomes.as_deref();
        let new = new_values(gone, &plan, becomes, context)?;
        let tested = tx.row_to_change(table, *row, |old| {
            let old = TableRow::of(&table.def, old);
            let changed = Changed {
                plan: &plan,
                old: &old,
                new: &new,
            };
            constraints.test_row(&changed, context)
        });
        tested.unwrap_or(Ok(()))?;
        let changes = plan.assignments.iter().zip(&new);
        let changes: Vec<(_, ValueRef<'_>)> = changes
            .map(|((column, _), value)| (*column, value.as_ref()))
            .collect();
        writer.update(tx, *row, &changes, context)?;
    }
    Ok(writer.into_noted())
}

/// The action as an UPDATE of the columns that refer, with what they are set to where that is the same
/// for all rows.
fn plan(gone: &Gone, tx: &Transaction) -> Result<Update> {
    let (catalog, table) = (tx.catalog(), &gone.link.child);
    let columns: BTreeSet<usize> = gone
        .link
        .key
        .columns
        .iter()
        .filter_map(|column| table.def.position(*column))
        .collect();
    let value = |column: &ColumnDef| match gone.action {
        ForeignAction::SetDefault => default_of(catalog, column),
        _ => Ok(Expr::literal(Value::Null, column.data_type)),
    };
    let assignments = columns.iter().map(|position| {
        let column = &table.def.columns[*position];
        Ok((column.id, value(column)?))
    });
    Ok(Update {
        assignments: assignments.collect::<Result<_>>()?,
        checks: checks_of(catalog, &table.def, Some(&columns))?,
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
