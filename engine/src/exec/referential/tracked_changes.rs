//! Tracked changes: keys and rows of one table that a statement has changed, as far as foreign keys, deferrable unique keys
//! and triggers depend on them.
//!
//! They are tracked while rows are written, and looked at when the statement ends ([`follow`](super::follow)). A key that
//! a row refers by is looked up at once: only one that is not there is kept.

use super::children::values;
use super::error;
use super::key_set::{Key, KeySet};
use super::link::Link;
use super::unique::{self, UniqueKeys};
use crate::activity::relieved;
use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::Transaction;
use crate::exec::trigger::Firing;
use hashbrown::HashSet;
use remora_storage::catalog::{Catalog, Deferral, TableEntry, TriggerEvent};
use remora_storage::{ColumnId, RowId, Value, ValueRef};
use std::sync::Arc;

/// Keys that are missing before a statement fails at once: one that loads a file need not go to its end.
const MISSING_MAX: usize = 1024;
/// Bytes of keys that are remembered as found.
const FOUND_BYTES_MAX: usize = 64 << 10;

/// Changes of a table's rows by a statement.
#[derive(Debug)]
pub(in crate::exec) struct TrackedChanges {
    /// Whether the statement makes the database smaller.
    pub(super) shrinks: bool,
    pub(super) referring: Vec<Referring>,
    pub(super) referred: Vec<Referred>,
    pub(super) keys: Vec<UniqueKeys>,
    /// The triggers that the change fires.
    pub(super) firing: Option<Box<Firing>>,
}

/// A foreign key of the table.
#[derive(Debug)]
pub(super) struct Referring {
    pub(super) link: Arc<Link>,
    pub(super) missing: KeySet,
    /// Whether nothing that the statement does yet can bring what is missing.
    fails_early: bool,
    /// Keys that were looked up and are there.
    found: HashSet<Box<[u8]>>,
    found_bytes: usize,
}

/// A foreign key that refers to the table.
#[derive(Debug)]
pub(super) struct Referred {
    pub(super) link: Arc<Link>,
    pub(super) gone: KeySet,
}

impl TrackedChanges {
    /// Whether anything may depend on changes of a table.
    #[inline]
    pub(in crate::exec) fn may_exist(table: &TableEntry) -> bool {
        let def = &table.def;
        let has_triggers = !def.triggers.is_empty();
        let has_keys = !def.foreign_keys.is_empty() || !table.references.is_empty();
        has_triggers || has_keys || unique::has_some(table)
    }

    /// Begins to track a change, of these columns if it is an UPDATE, that fires these triggers; `None` where nothing depends
    /// on it.
    pub(in crate::exec) fn new(
        table: &TableEntry,
        (event, set): (TriggerEvent, &[ColumnId]),
        firing: Option<Box<Firing>>,
        catalog: &Catalog,
    ) -> Result<Option<Box<Self>>> {
        // A trigger BEFORE a row may set any column.
        let sets_all = firing
            .as_ref()
            .is_some_and(|firing| firing.is_before_rows());
        let sets_all = sets_all || event != TriggerEvent::Update;
        let is_set = |columns: &[ColumnId]| sets_all || columns.iter().any(|id| set.contains(id));
        let adds = event == TriggerEvent::Insert;
        let shrinks = matches!(event, TriggerEvent::Delete | TriggerEvent::Truncate);
        let keys = table.def.foreign_keys.iter();
        let keys = keys.filter(|key| !shrinks && is_set(&key.columns));
        let referring = keys.map(|key| {
            let link = Link::new(catalog, table.def.id, key)?;
            // The key of another row may come by the same statement, or by what follows from it.
            let fails_early = adds && !link.is_own() && link.key.deferral == Deferral::Never;
            Ok(Referring::new(link, fails_early))
        });
        let references = table.references.iter();
        let references = references.filter(|reference| !adds && is_set(&reference.key.referenced));
        let referred = references.map(|reference| {
            let link = Link::new(catalog, reference.child, &reference.key)?;
            Ok(Referred {
                link: Arc::new(link),
                gone: KeySet::new(shrinks),
            })
        });
        let tracked = Self {
            shrinks,
            referring: referring.collect::<Result<_>>()?,
            referred: referred.collect::<Result<_>>()?,
            keys: match shrinks {
                true => Vec::new(),
                false => unique::of_table(table, is_set),
            },
            firing,
        };
        let is_needed = tracked.firing.is_some()
            || !tracked.referring.is_empty()
            || !tracked.referred.is_empty()
            || !tracked.keys.is_empty();
        Ok(is_needed.then(|| Box::new(tracked)))
    }

    /// The triggers that fire before each row, if there are any.
    #[inline]
    pub(in crate::exec) fn before_rows(&self) -> Option<&Firing> {
        self.firing
            .as_deref()
            .filter(|firing| firing.is_before_rows())
    }

    /// Tracks a row that was inserted.
    pub(in crate::exec) fn inserted(
        &mut self,
        table: &TableEntry,
        tx: &Transaction,
        (id, row): (RowId, &[ValueRef<'_>]),
        context: &ExecContext,
    ) -> Result<()> {
        for keys in &mut self.keys {
            keys.note(id, None, context)?;
        }
        for referring in &mut self.referring {
            let columns = referring.link.key.columns.iter();
            let columns = columns.filter_map(|column| table.def.position(*column));
            let key = columns.map(|position| row[position].to_owned()).collect();
            referring.refer(key, tx, context)?;
        }
        if let Some(firing) = &mut self.firing
            && firing.wants_rows()
        {
            let row = row.iter().map(|value| (*value).to_owned());
            firing.note(None, Some(row.collect()), context)?;
        }
        Ok(())
    }

    /// The row as it is, where a trigger AFTER it needs it.
    fn wanted(&self, table: &TableEntry, tx: &Transaction, row: RowId) -> Option<Vec<Value>> {
        let firing = self.firing.as_ref()?;
        match firing.wants_rows() {
            true => row_now(table, tx, row),
            false => None,
        }
    }

    /// Sets columns of a row; returns `false` where the command had changed the row already.
    pub(in crate::exec) fn update(
        &mut self,
        table: &Arc<TableEntry>,
        tx: &mut Transaction,
        row: RowId,
        changes: &[(ColumnId, ValueRef<'_>)],
        context: &ExecContext,
    ) -> Result<bool> {
        let before = tx.row_to_change(table, row, |row| {
            let referring = self.referring.iter();
            let referring = referring.map(|key| values(row, &key.link.key.columns));
            let referred = self.referred.iter();
            let referred = referred.map(|key| values(row, &key.link.key.referenced));
            (referring.collect::<Vec<_>>(), referred.collect::<Vec<_>>())
        });
        let old = self.wanted(table, tx, row);
        let changed = relieved(&context.ledger, || tx.update(table, row, changes))?;
        if let (Some(firing), Some(old), true) = (&mut self.firing, old, changed) {
            let mut new = old.clone();
            for (column, value) in changes {
                if let Some(slot) = table.def.position(*column).and_then(|at| new.get_mut(at)) {
                    *slot = (*value).to_owned();
                }
            }
            firing.note(Some(old), Some(new), context)?;
        }
        let (true, Some((referring, referred))) = (changed, before) else {
            return Ok(changed);
        };
        if !self.keys.is_empty() {
            let set: Vec<ColumnId> = changes.iter().map(|(id, _)| *id).collect();
            let mut keys = self.keys.iter_mut();
            keys.try_for_each(|keys| keys.note(row, Some(&set), context))?;
        }
        for (key, mut values) in self.referring.iter_mut().zip(referring) {
            let columns = &key.link.key.columns;
            // Who refers as before was asked when that began.
            if !changes.iter().any(|(id, _)| columns.contains(id)) {
                continue;
            }
            let before = values.clone();
            set(&mut values, columns, changes);
            if values != before {
                key.refer(values, tx, context)?;
            }
        }
        for (key, before) in self.referred.iter_mut().zip(referred) {
            let mut after = before.clone();
            set(&mut after, &key.link.key.referenced, changes);
            key.take_away(before, Some(after), context)?;
        }
        Ok(true)
    }

    /// Deletes a row; returns `false` where the command had deleted it already.
    pub(in crate::exec) fn delete(
        &mut self,
        table: &Arc<TableEntry>,
        tx: &mut Transaction,
        row: RowId,
        context: &ExecContext,
    ) -> Result<bool> {
        let keys = tx.row_to_change(table, row, |row| {
            let referred = self.referred.iter();
            let keys = referred.map(|key| values(row, &key.link.key.referenced));
            keys.collect::<Vec<_>>()
        });
        let old = self.wanted(table, tx, row);
        let deleted = relieved(&context.ledger, || tx.delete(table, row))?;
        if let (Some(firing), Some(old), true) = (&mut self.firing, old, deleted) {
            firing.note(Some(old), None, context)?;
        }
        if deleted && let Some(keys) = keys {
            for (referred, key) in self.referred.iter_mut().zip(keys) {
                referred.take_away(key, None, context)?;
            }
        }
        Ok(deleted)
    }
}

/// All values of a row that the transaction sees.
pub(in crate::exec) fn row_now(
    table: &TableEntry,
    tx: &Transaction,
    row: RowId,
) -> Option<Vec<Value>> {
    tx.row_to_change(table, row, |row| {
        let columns = table.def.columns.iter();
        columns
            .map(|column| row.get(column.id).to_owned())
            .collect()
    })
}

/// Puts what a row is set to in the place of what it was.
fn set(key: &mut Key, columns: &[ColumnId], changes: &[(ColumnId, ValueRef<'_>)]) {
    for (value, column) in key.iter_mut().zip(columns) {
        if let Some((_, new)) = changes.iter().find(|(id, _)| id == column) {
            *value = (*new).to_owned();
        }
    }
}

fn has_null(key: &Key) -> bool {
    key.iter().any(|value| value.as_ref().is_null())
}

impl Referring {
    /// Of a foreign key by which no row has been seen to refer.
    pub(super) fn new(link: Link, fails_early: bool) -> Self {
        Self::of(Arc::new(link), fails_early)
    }

    /// The same.
    pub(super) fn of(link: Arc<Link>, fails_early: bool) -> Self {
        Self {
            link,
            fails_early,
            missing: KeySet::default(),
            found: HashSet::new(),
            found_bytes: 0,
        }
    }

    /// Notes what a row refers by.
    pub(super) fn refer(
        &mut self,
        key: Key,
        tx: &Transaction,
        context: &ExecContext,
    ) -> Result<()> {
        if has_null(&key) {
            let is_whole = key.iter().all(|value| value.as_ref().is_null());
            return match self.link.key.full && !is_whole {
                true => Err(error::mixed(&self.link)),
                false => Ok(()),
            };
        }
        let values = key.iter().map(|value| value.as_ref());
        let Some(parent) = self.link.to_parent(values, &context.eval) else {
            return Err(error::missing(&self.link, &key));
        };
        let bytes = self.link.encode(&parent);
        if self.found.contains(bytes.as_slice()) {
            return Ok(());
        }
        if self.link.share(tx, &parent, context) {
            self.note_found(bytes);
            return Ok(());
        }
        let fails_early = self.fails_early && context.with.is_none();
        if fails_early && self.missing.entries().len() >= MISSING_MAX {
            return Err(error::missing(&self.link, &key));
        }
        self.missing.add(&bytes, key, None, context)
    }

    fn note_found(&mut self, key: Vec<u8>) {
        self.found_bytes += key.len() + size_of::<Box<[u8]>>();
        if self.found_bytes > FOUND_BYTES_MAX {
            self.found.clear();
            self.found_bytes = 0;
        }
        self.found.insert(key.into());
    }
}

impl Referred {
    /// Notes a key that a row had, and what it has become.
    fn take_away(&mut self, key: Key, becomes: Option<Key>, context: &ExecContext) -> Result<()> {
        if has_null(&key) {
            return Ok(());
        }
        let bytes = self.link.encode(&key);
        if let Some(after) = &becomes
            && !has_null(after)
            && self.link.encode(after) == bytes
        {
            return Ok(());
        }
        self.gone.add(&bytes, key, becomes, context)
    }
}
