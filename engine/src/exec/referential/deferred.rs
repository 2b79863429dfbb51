//! Deferred constraints: what a transaction has put off until it commits, or says SET CONSTRAINTS .. IMMEDIATE.
//!
//! ```text
//!   statement     rows refer by keys that are missing    put off    COMMIT    what is missing is there by now,
//!                 keys are gone that rows may refer to   ------->             what is gone is back, or nothing
//!                 rows have keys that others may have                         refers to it, or 23503, 23505
//! ```
//!
//! Only what is checked is put off: actions (`CASCADE`, `SET NULL`, ..) follow their statement. What is noted says
//! where to look, and is looked at anew when it is due: rows may be others by then, undone by a savepoint, or gone
//! with their table. So nothing has to be taken back from here: what SET CONSTRAINTS has checked is checked at the
//! end once more, since a savepoint may bring back what was put right. What SET CONSTRAINTS says, a savepoint keeps
//! ([`Said`]).
//!
//! It belongs to the transaction and goes with it ([`Transaction`]).

use super::actions::check_missing;
use super::children;
use super::error;
use super::key_set::KeySet;
use super::link::Link;
use super::tracked_changes::Referring;
use super::unique::{UniqueKeys, check_keys};
use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::Transaction;
use crate::plan::statement::SetConstraints;
use remora_storage::catalog::Deferral;
use remora_storage::{RowId, TableId};
use std::sync::Arc;

/// A constraint: its table and its name.
type Named = (TableId, String);

/// What a transaction says of constraints.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    /// SET CONSTRAINTS ALL: whether they are deferred.
    all: Option<bool>,
    /// SET CONSTRAINTS of some since then.
    named: Vec<(Named, bool)>,
}

impl Said {
    /// What a transaction has said so far, if anything.
    pub(crate) fn of(tx: &Transaction) -> Option<Box<Self>> {
        let said = &tx.deferred.as_ref()?.said;
        (said.all.is_some() || !said.named.is_empty()).then(|| Box::new(said.clone()))
    }

    /// The bytes that it takes.
    pub(crate) fn bytes(&self) -> u64 {
        let names = self.named.iter().map(|((_, name), _)| name.len());
        (size_of::<Self>() + size_of::<(Named, bool)>() * self.named.len() + names.sum::<usize>())
            as u64
    }

    /// Has a transaction say what it said then.
    pub(crate) fn say_again(then: Option<&Self>, tx: &mut Transaction) {
        match (&mut tx.deferred, then) {
            (Some(deferred), then) => deferred.said = then.cloned().unwrap_or_default(),
            (none, Some(then)) => none.insert(Box::default()).said = then.clone(),
            (None, None) => {}
        }
    }
}

/// What a transaction has put off, and what it says of constraints.
#[derive(Debug, Default)]
pub(in crate::exec) struct Deferred {
    said: Said,
    pending: Vec<Pending>,
}

/// What is to be checked for one constraint.
#[derive(Debug)]
struct Pending {
    constraint: Named,
    missing: KeySet,
    gone: KeySet,
    keys: Option<UniqueKeys>,
}

impl Deferred {
    fn is_deferred(&self, table: TableId, name: &str, deferral: Deferral) -> bool {
        let mut named = self.said.named.iter();
        let named = named.find(|((of, other), _)| *of == table && other == name);
        let said = named.map(|(_, deferred)| *deferred).or(self.said.all);
        said.unwrap_or(deferral == Deferral::Deferred)
    }

    fn of(&mut self, table: TableId, name: &str) -> &mut Pending {
        let mut pending = self.pending.iter();
        let is_it = |pending: &Pending| {
            let (of, other) = &pending.constraint;
            *of == table && other == name
        };
        let at = pending.position(is_it).unwrap_or_else(|| {
            self.pending.push(Pending {
                constraint: (table, name.to_owned()),
                missing: KeySet::default(),
                gone: KeySet::default(),
                keys: None,
            });
            self.pending.len() - 1
        });
        &mut self.pending[at]
    }
}

/// Whether the checks of a constraint are put off by now.
pub(super) fn is_deferred(
    tx: &Transaction,
    (table, name, deferral): (TableId, &str, Deferral),
) -> bool {
    let known = match deferral {
        Deferral::Never => return false,
        _ => tx.deferred.as_ref(),
    };
    known.map_or(deferral == Deferral::Deferred, |known| {
        known.is_deferred(table, name, deferral)
    })
}

/// Whether the checks of a foreign key are.
pub(super) fn is_link_deferred(tx: &Transaction, link: &Link) -> bool {
    is_deferred(tx, (link.child.def.id, &link.key.name, link.key.deferral))
}

/// Puts off keys that have to be there.
pub(super) fn put_off_missing(
    tx: &mut Transaction,
    referring: &Referring,
    context: &ExecContext,
) -> Result<()> {
    let link = &referring.link;
    let pending = tx.deferred.get_or_insert_default();
    let pending = pending.of(link.child.def.id, &link.key.name);
    pending.missing.merge(&referring.missing, context)
}

/// Puts off keys that nothing may refer to.
pub(super) fn put_off_gone(
    tx: &mut Transaction,
    (link, gone): (&Link, &KeySet),
    context: &ExecContext,
) -> Result<()> {
    let pending = tx.deferred.get_or_insert_default();
    let pending = pending.of(link.child.def.id, &link.key.name);
    pending.gone.merge(gone, context)
}

/// Puts off rows whose keys nobody else may have.
pub(super) fn put_off_keys(
    tx: &mut Transaction,
    keys: UniqueKeys,
    context: &ExecContext,
) -> Result<()> {
    let pending = tx.deferred.get_or_insert_default();
    let pending = pending.of(keys.table, &keys.name);
    match &mut pending.keys {
        Some(there) => there.append(keys, context),
        none => {
            *none = Some(keys);
            Ok(())
        }
    }
}

/// Checks what a transaction has put off, because it is about to commit.
///
/// # Errors
/// 23503, 23505, 40001, 57014 and its like.
pub(crate) fn check_deferred(tx: &mut Transaction, context: &ExecContext) -> Result<()> {
    let Some(deferred) = &mut tx.deferred else {
        return Ok(());
    };
    let pending = std::mem::take(&mut deferred.pending);
    check(&pending, tx, context)
}

/// SET CONSTRAINTS: what becomes immediate is checked at once.
///
/// # Errors
/// As for [`check_deferred`].
pub(crate) fn set_constraints(
    plan: &SetConstraints,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<()> {
    let known = tx.deferred.get_or_insert_default();
    let said = &mut known.said;
    match &plan.named {
        None => {
            said.all = Some(plan.deferred);
            said.named.clear();
        }
        Some(named) => {
            said.named.retain(|(other, _)| !named.contains(other));
            let named = named.iter().cloned();
            said.named.extend(named.map(|named| (named, plan.deferred)));
        }
    }
    if plan.deferred {
        return Ok(());
    }
    let is_due = |pending: &Pending| {
        let named = plan.named.as_ref();
        named.is_none_or(|named| named.contains(&pending.constraint))
    };
    let all = std::mem::take(&mut known.pending);
    let (due, left): (Vec<_>, Vec<_>) = all.into_iter().partition(is_due);
    known.pending = left;
    let checked = check(&due, tx, context);
    tx.deferred.get_or_insert_default().pending.extend(due);
    checked
}

fn check(pending: &[Pending], tx: &mut Transaction, context: &ExecContext) -> Result<()> {
    if pending.is_empty() {
        return Ok(());
    }
    // What was changed is seen from here on.
    tx.begin_command();
    for pending in pending {
        let (table, name) = &pending.constraint;
        if let Some(keys) = &pending.keys {
            check_keys(keys, tx, context)?;
        }
        let child = tx.catalog().table_by_id(*table);
        let keys = child.iter().flat_map(|child| &child.def.foreign_keys);
        let key = keys.into_iter().find(|key| key.name == *name);
        // It may have been dropped since.
        let Some(link) = key.map(|key| Link::new(tx.catalog(), *table, key)) else {
            continue;
        };
        let link = Arc::new(link?);
        check_gone(&link, &pending.gone, tx, context)?;
        let mut referring = Referring::of(link, false);
        for entry in pending.missing.entries() {
            context.check()?;
            referring.refer(entry.key.clone(), tx, context)?;
        }
        check_missing(referring, false, tx, context)?;
    }
    Ok(())
}

/// Fails where rows refer to keys that are gone and not back.
fn check_gone(
    link: &Arc<Link>,
    gone: &KeySet,
    tx: &Transaction,
    context: &ExecContext,
) -> Result<()> {
    let mut left = KeySet::default();
    for entry in gone.entries() {
        if !link.share(tx, &entry.key, context) {
            left.add(&link.encode(&entry.key), entry.key.clone(), None, context)?;
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    children::each(link, left.keys(), tx, context, |_: RowId, place| {
        Err(error::referenced(link, &left.entries()[place].key))
    })
}
