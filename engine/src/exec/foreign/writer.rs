//! Changes of one table's rows, noted for the foreign keys that they may break.

use super::super::ExecContext;
use super::aftermath;
use super::children::values;
use super::error;
use super::key_set::{Key, KeySet};
use super::link::Link;
use crate::error::Result;
use hashbrown::HashSet;
use remora_storage::catalog::{Catalog, TableEntry};
use remora_storage::{ColumnId, RowId, Transaction, ValueRef};
use std::sync::Arc;

/// Keys that are missing before a statement fails at once: one that loads a file need not go to its end.
const MISSING_MAX: usize = 1024;
/// Bytes of keys that are remembered as found.
const FOUND_BYTES_MAX: usize = 64 << 10;

/// What a statement writes rows of a table with.
#[derive(Debug)]
pub(in crate::exec) struct Writer<'t> {
    table: &'t Arc<TableEntry>,
    noted: Option<Box<Noted>>,
}

/// What a statement has come to, as far as foreign keys are concerned.
#[derive(Debug)]
pub(super) struct Noted {
    /// Whether it makes the database smaller.
    pub(super) shrinks: bool,
    pub(super) referring: Vec<Referring>,
    pub(super) referred: Vec<Referred>,
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

/// What a statement does to rows.
#[derive(Clone, Copy, Debug)]
enum Change<'c> {
    Insert,
    Update(&'c [ColumnId]),
    Delete,
}

impl<'t> Writer<'t> {
    /// Of a statement that adds rows.
    pub(in crate::exec) fn of_insert(table: &'t Arc<TableEntry>, tx: &Transaction) -> Result<Self> {
        Self::new(table, Change::Insert, tx.catalog())
    }

    /// Of one that sets these columns.
    pub(in crate::exec) fn of_update(
        table: &'t Arc<TableEntry>,
        columns: impl Iterator<Item = ColumnId>,
        tx: &Transaction,
    ) -> Result<Self> {
        if has_none(table) {
            return Ok(Self { table, noted: None });
        }
        let columns: Vec<ColumnId> = columns.collect();
        Self::new(table, Change::Update(&columns), tx.catalog())
    }

    /// Of one that removes rows.
    pub(in crate::exec) fn of_delete(table: &'t Arc<TableEntry>, tx: &Transaction) -> Result<Self> {
        Self::new(table, Change::Delete, tx.catalog())
    }

    fn new(table: &'t Arc<TableEntry>, change: Change<'_>, catalog: &Catalog) -> Result<Self> {
        let noted = match has_none(table) {
            true => None,
            false => Noted::new(table, change, catalog)?.map(Box::new),
        };
        Ok(Self { table, noted })
    }

    /// Adds a row.
    #[inline]
    pub(in crate::exec) fn insert(
        &mut self,
        tx: &mut Transaction,
        row: &[ValueRef<'_>],
        context: &ExecContext,
    ) -> Result<()> {
        tx.insert(self.table, row)?;
        match &mut self.noted {
            None => Ok(()),
            Some(noted) => noted.inserted(self.table, tx, row, context),
        }
    }

    /// Changes a row; `false` where the command had changed it already.
    #[inline]
    pub(in crate::exec) fn update(
        &mut self,
        tx: &mut Transaction,
        row: RowId,
        changes: &[(ColumnId, ValueRef<'_>)],
        context: &ExecContext,
    ) -> Result<bool> {
        match &mut self.noted {
            None => Ok(tx.update(self.table, row, changes)?),
            Some(noted) => noted.update(self.table, tx, row, changes, context),
        }
    }

    /// Removes a row; `false` where the command had removed it already.
    #[inline]
    pub(in crate::exec) fn delete(
        &mut self,
        tx: &mut Transaction,
        row: RowId,
        context: &ExecContext,
    ) -> Result<bool> {
        match &mut self.noted {
            None => Ok(tx.delete(self.table, row)?),
            Some(noted) => noted.delete(self.table, tx, row, context),
        }
    }

    /// What was noted, for who goes on with it.
    pub(super) fn into_noted(self) -> Option<Box<Noted>> {
        self.noted
    }

    /// Ends the statement: does what its foreign keys say, and sees that none is broken.
    ///
    /// # Errors
    /// 23503, and those of the actions.
    #[inline]
    pub(in crate::exec) fn finish(self, tx: &mut Transaction, context: &ExecContext) -> Result<()> {
        match self.noted {
            None => Ok(()),
            Some(noted) => aftermath::follow(vec![*noted], tx, context),
        }
    }
}

/// Ends a statement that has changed rows in several ways.
///
/// # Errors
/// As for [`Writer::finish`].
pub(in crate::exec) fn finish_all<'t>(
    writers: impl IntoIterator<Item = Writer<'t>>,
    tx: &mut Transaction,
    context: &ExecContext,
) -> Result<()> {
    let noted = writers.into_iter().filter_map(|writer| writer.noted);
    let noted: Vec<Noted> = noted.map(|noted| *noted).collect();
    match noted.is_empty() {
        true => Ok(()),
        false => aftermath::follow(noted, tx, context),
    }
}

fn has_none(table: &TableEntry) -> bool {
    table.def.foreign_keys.is_empty() && table.references.is_empty()
}

impl Noted {
    /// `None` where the change breaks no foreign key, whatever the rows are.
    fn new(table: &TableEntry, change: Change<'_>, catalog: &Catalog) -> Result<Option<Self>> {
        let is_set = |columns: &[ColumnId]| match change {
            Change::Insert | Change::Delete => true,
            Change::Update(set) => columns.iter().any(|column| set.contains(column)),
        };
        let shrinks = matches!(change, Change::Delete);
        let adds = matches!(change, Change::Insert);
        let keys = table.def.foreign_keys.iter();
        let keys = keys.filter(|key| !shrinks && is_set(&key.columns));
        let referring = keys.map(|key| {
            let link = Link::new(catalog, table.def.id, key)?;
            // The key of another row may come by the same statement, or by what follows from it.
            let fails_early = adds && !link.is_own();
            Ok(Referring {
                link: Arc::new(link),
                fails_early,
                missing: KeySet::default(),
                found: HashSet::new(),
                found_bytes: 0,
            })
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
        let noted = Self {
            shrinks,
            referring: referring.collect::<Result<_>>()?,
            referred: referred.collect::<Result<_>>()?,
        };
        let is_concerned = !noted.referring.is_empty() || !noted.referred.is_empty();
        Ok(is_concerned.then_some(noted))
    }

    fn inserted(
        &mut self,
        table: &TableEntry,
        tx: &Transaction,
        row: &[ValueRef<'_>],
        context: &ExecContext,
    ) -> Result<()> {
        for referring in &mut self.referring {
            let columns = referring.link.key.columns.iter();
            let columns = columns.filter_map(|column| table.def.position(*column));
            let key = columns.map(|position| row[position].to_owned()).collect();
            referring.refer(key, tx, context)?;
        }
        Ok(())
    }

    fn update(
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
        let changed = tx.update(table, row, changes)?;
        let (true, Some((referring, referred))) = (changed, before) else {
            return Ok(changed);
        };
        for (key, mut values) in self.referring.iter_mut().zip(referring) {
            set(&mut values, &key.link.key.columns, changes);
            key.refer(values, tx, context)?;
        }
        for (key, before) in self.referred.iter_mut().zip(referred) {
            let mut after = before.clone();
            set(&mut after, &key.link.key.referenced, changes);
            key.take_away(before, Some(after), context)?;
        }
        Ok(true)
    }

    fn delete(
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
        let deleted = tx.delete(table, row)?;
        if deleted && let Some(keys) = keys {
            for (referred, key) in self.referred.iter_mut().zip(keys) {
                referred.take_away(key, None, context)?;
            }
        }
        Ok(deleted)
    }
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
    /// Notes what a row refers by.
    fn refer(&mut self, key: Key, tx: &Transaction, context: &ExecContext) -> Result<()> {
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
        if self.link.share(tx, &parent) {
            self.note_found(bytes);
            return Ok(());
        }
        if self.fails_early && self.missing.entries().len() >= MISSING_MAX {
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
