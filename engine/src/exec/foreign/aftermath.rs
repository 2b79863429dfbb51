//! What follows from a statement by its foreign keys: actions in rounds, then the checks.

use super::super::ExecContext;
use super::super::dml::{Changed, Constraints};
use super::super::eval::eval_constant;
use super::super::memory::Held;
use super::super::point::TableRow;
use super::children;
use super::error;
use super::key_set::KeySet;
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

/// Keys that are gone, of one foreign key.
#[derive(Clone)]
struct Gone {
    link: Arc<Link>,
    keys: Arc<KeySet>,
    action: ForeignAction,
}

/// What is to be done yet.
#[derive(Default)]
struct Aftermath {
    actions: VecDeque<Gone>,
    missing: Vec<Referring>,
    unreferenced: Vec<Gone>,
    rounds: usize,
}

/// Does what follows from what a statement has noted.
pub(super) fn follow(noted: Noted, tx: &mut Transaction, context: &ExecContext) -> Result<()> {
    let mut aftermath = Aftermath::default();
    // What was changed is seen from here on.
    tx.begin_command();
    aftermath.take(noted);
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
            aftermath.take(*noted);
        }
    }
    aftermath.check(tx, context)
}

impl Aftermath {
    /// Sorts what a round has noted by when it is due.
    fn take(&mut self, noted: Noted) {
        let missing = noted.referring.into_iter();
        self.missing
            .extend(missing.filter(|key| !key.missing.is_empty()));
        let referred = noted.referred.into_iter();
        for Referred { link, gone } in referred.filter(|key| !key.gone.is_empty()) {
            let is_update = gone.entries().iter().any(|entry| entry.becomes.is_some());
            let action = match is_update {
                true => link.key.on_update,
                false => link.key.on_delete,
            };
            let keys = Arc::new(gone);
            let gone = Gone { link, keys, action };
            match action {
                ForeignAction::NoAction => self.unreferenced.push(gone),
                ForeignAction::SetDefault => {
                    // The defaults may be one of the keys.
                    self.unreferenced.push(gone.clone());
                    self.actions.push_back(gone);
                }
                _ => self.actions.push_back(gone),
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
    let link = &referring.link;
    for entry in referring.missing.entries() {
        let values = entry.key.iter().map(Value::as_ref);
        let Some(parent) = link.to_parent(values, context) else {
            return Err(error::missing(link, &entry.key));
        };
        if link.share(tx, &parent) {
            continue;
        }
        let mut is_there = is_first;
        if !is_first {
            let mut key = KeySet::default();
            let bytes = link.encode(&parent);
            let sought = super::key_set::Entry {
                key: parent,
                becomes: None,
            };
            key.add(&bytes, sought, context)?;
            children::each(link, &Arc::new(key), tx, context, |_, _| {
                is_there = true;
                Ok(false)
            })?;
        }
        if is_there {
            return Err(error::missing(link, &entry.key));
        }
    }
    Ok(())
}

impl Gone {
    /// Fails where a row refers to one of the keys that is not back.
    fn refuse(
        &self,
        is_back: impl Fn(&[Value]) -> bool,
        tx: &Transaction,
        context: &ExecContext,
    ) -> Result<()> {
        let mut back = None;
        children::each(&self.link, &self.keys, tx, context, |_, place| {
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
        children::each(&self.link, &self.keys, tx, context, |row, place| {
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
