//! Whether a store agrees with itself: every index with its table, and the account of memory with a
//! recount. It reads everything, and is for tests and for whoever has a doubt.

use super::Store;
use crate::catalog::{IndexEntry, TableEntry};
use crate::error::{Error, Result};
use crate::ids::RowId;
use crate::index::{Cursor, Entries, Key};
use crate::transaction::ReadView;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

/// Entries of an index that are looked at in one step.
const ENTRIES_STEP: usize = 256;

/// What [`Store::check`] has looked at, and what was wrong.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CheckReport {
    /// Tables read.
    pub tables: u64,
    /// Rows read.
    pub rows: u64,
    /// Indexes compared with their tables.
    pub indexes: u64,
    /// What does not agree, a line each; nothing where all is well.
    pub contradictions: Vec<String>,
}

impl Store {
    /// Reads all rows and all indexes and compares them, and recounts the memory. To be called while
    /// nothing else runs: what others are about to change does not agree yet.
    ///
    /// ```
    /// use remora_storage::{Store, StoreOptions};
    /// let store = Store::in_memory(StoreOptions::default())?;
    /// assert!(store.check()?.contradictions.is_empty());
    /// # Ok::<(), remora_storage::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Closed`, `TooManyTransactions`.
    pub fn check(&self) -> Result<CheckReport> {
        if self.inner.is_closed() {
            return Err(Error::Closed);
        }
        // Entries of dead versions go, and then there are none but those of rows.
        self.inner.core.collect_garbage();
        let mut report = CheckReport::default();
        let view = self.inner.core.view_latest()?;
        for table in self.inner.core.catalog().tables() {
            report.table(&view, table)?;
        }
        report.memory(self);
        Ok(report)
    }
}

impl CheckReport {
    fn is_wrong(&mut self, what: fmt::Arguments<'_>) {
        self.contradictions.push(what.to_string());
    }

    fn table(&mut self, view: &ReadView, table: &Arc<TableEntry>) -> Result<()> {
        self.tables += 1;
        for index in &table.indexes {
            self.indexes += 1;
            let with_key = self.rows_in_index(view, table, index)?;
            let entries = index.index.len();
            if entries != with_key {
                self.is_wrong(format_args!(
                    "index {} has {entries} entries, its table {} has {with_key} rows with a key",
                    index.def.name, table.def.name
                ));
            }
            if index.index.is_ordered() {
                self.order(index);
            }
        }
        view.for_each_row(table, |_, _| {
            self.rows += 1;
            Ok(())
        })
    }

    /// Looks for every row in the index, by its key; returns how many have one.
    fn rows_in_index(
        &mut self,
        view: &ReadView,
        table: &Arc<TableEntry>,
        index: &IndexEntry,
    ) -> Result<usize> {
        let mut with_key = 0;
        let (mut key, mut found) = (Key::new(), Vec::new());
        view.for_each_row(table, |id, row| {
            key.clear();
            // Rows with a NULL in the key have an entry, too.
            index.encode_row(&mut key, row);
            if index.leaves_out(&key) {
                return Ok(());
            }
            with_key += 1;
            found.clear();
            index.index.get(&key, &mut found);
            let times = found.iter().filter(|found| **found == id).count();
            if times != 1 {
                self.is_wrong(format_args!(
                    "index {} has {times} entries for {}",
                    index.def.name,
                    table.describe_row(id, Some(row))
                ));
            }
            Ok::<(), Error>(())
        })?;
        Ok(with_key)
    }

    /// Whether the entries come in order, each once.
    fn order(&mut self, index: &IndexEntry) {
        let mut cursor = Cursor::new(Bound::Unbounded, Bound::Unbounded, false);
        let mut entries = Entries::default();
        let mut last: Option<(Key, RowId)> = None;
        let mut count = 0;
        while !cursor.is_done() {
            index.index.scan(&mut cursor, ENTRIES_STEP, &mut entries);
            for (key, row) in entries.iter() {
                let here = (Key::from_slice(key), row);
                if last.as_ref().is_some_and(|last| *last >= here) {
                    let name = &index.def.name;
                    self.is_wrong(format_args!("index {name} gives {row} out of order"));
                }
                last = Some(here);
                count += 1;
            }
        }
        let length = index.index.len();
        if count != length {
            let name = &index.def.name;
            self.is_wrong(format_args!(
                "index {name} counts {length} entries and gives {count}"
            ));
        }
    }

    /// Compares what was accounted for with what there is.
    fn memory(&mut self, store: &Store) {
        let ledger = store.ledger();
        let sum: u64 = ledger.entries().iter().map(|entry| entry.bytes).sum();
        let used = ledger.used();
        if sum != used {
            self.is_wrong(format_args!(
                "{used} bytes are accounted for, {sum} by their owners"
            ));
        }
        let pool = store.inner.core.pool().stats();
        let mapped = store.mapped_bytes();
        if pool.bytes() != mapped {
            let bytes = pool.bytes();
            self.is_wrong(format_args!(
                "the pool has {mapped} bytes and its parts {bytes}"
            ));
        }
    }
}
