//! Reads made ready to be compared with what others committed.
//!
//! A row that somebody changed is looked at twice: as the snapshot shows it, and as it is now. The answer
//! to a read is the same if neither was part of it, or if both were and agree in the columns that it was made
//! of. States between the two do not count, and may be gone: the order of transactions is that of
//! their commits, so what counts is whether the reads would give the same just before this one.

use super::{Columns, KeyRange, Read, RowScan, RowTest, What};
use crate::block::RowRef;
use crate::catalog::{Catalog, IndexEntry, TableEntry};
use crate::error::{Conflict, Error, Result, Rule};
use crate::ids::{IndexId, RowId, TableId, Timestamp, TransactionId};
use crate::index::Key;
use crate::mvcc::{Operation, Registration, Resolved};
use crate::table::{ChangedRows, Forgotten};
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

/// Rows that are looked at in one operation.
const ROWS_AT_ONCE: usize = 256;

/// The reads of a transaction by table.
#[derive(Debug)]
pub(in crate::transaction) struct Check {
    tables: Vec<TableCheck>,
}

#[derive(Debug)]
struct TableCheck {
    entry: Arc<TableEntry>,
    rows: Points<RowId>,
    keys: Vec<(Arc<IndexEntry>, Keys)>,
    ranges: Vec<(Arc<IndexEntry>, Columns, Box<KeyRange>)>,
    scans: Vec<(Columns, Box<RowScan>)>,
    whole: bool,
}

/// Keys of one index.
type Keys = Points<Box<[u8]>>;

/// Sorted, each once, with the columns that were read.
#[derive(Debug)]
struct Points<T>(Vec<(T, Columns)>);

impl<T> Default for Points<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Ord> Points<T> {
    fn sort(&mut self) {
        self.0
            .sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        self.0.dedup_by(|again, first| {
            let same = again.0 == first.0;
            if same {
                first.1 = first.1.with(again.1);
            }
            same
        });
    }

    fn find(&self, order: impl Fn(&T) -> std::cmp::Ordering) -> Option<Columns> {
        let at = self.0.binary_search_by(|(point, _)| order(point)).ok()?;
        Some(self.0[at].1)
    }
}

/// A row that was changed: what the snapshot shows, and what it has become.
struct Pair<'a> {
    before: Option<RowRef<'a>>,
    now: Option<RowRef<'a>>,
    since: Timestamp,
}

impl Check {
    /// Of reads of tables in a transaction's catalog. What it created itself nobody else knows.
    pub(in crate::transaction) fn new(
        reads: impl Iterator<Item = Read>,
        catalog: &Catalog,
    ) -> Self {
        let mut check = Self { tables: Vec::new() };
        for read in reads {
            check.add(read, catalog);
        }
        for table in &mut check.tables {
            table.rows.sort();
            table.keys.iter_mut().for_each(|(_, keys)| keys.sort());
        }
        check
    }

    fn add(&mut self, read: Read, catalog: &Catalog) {
        let at = self.tables.iter().position(|table| table.is(read.table));
        let table = match (at, catalog.table_by_id(read.table)) {
            (Some(at), _) => &mut self.tables[at],
            (None, Some(entry)) => {
                self.tables.push(TableCheck::new(entry));
                let last = self.tables.len() - 1;
                &mut self.tables[last]
            }
            (None, None) => return,
        };
        table.add(read);
    }

    /// Looks at what was committed after `from`, up to `until`; returns how many rows that were. The
    /// caller has seen the clock at `until`.
    ///
    /// # Errors
    /// `Conflict` where something that was read is not so any more, or nobody can tell.
    pub(in crate::transaction) fn look(
        &self,
        registration: &Registration,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<usize> {
        let mut rows = 0;
        for table in &self.tables {
            // Acquire: the list of what was changed is older than this note of it.
            if table.entry.rows.last_commit() > from {
                rows += table.look(registration, from, until)?;
            }
        }
        Ok(rows)
    }

    /// Fails where a table that was read is gone, or has rows of another layout now.
    pub(in crate::transaction) fn look_for_tables(&self, latest: &Catalog) -> Result<()> {
        let gone = |table: &&TableCheck| table.entry.now_in(latest).is_none();
        match self.tables.iter().find(gone) {
            Some(table) => Err(Error::SchemaConflict {
                table: table.entry.def.name.clone(),
            }),
            None => Ok(()),
        }
    }
}

impl TableCheck {
    fn new(entry: &Arc<TableEntry>) -> Self {
        Self {
            entry: Arc::clone(entry),
            rows: Points::default(),
            keys: Vec::new(),
            ranges: Vec::new(),
            scans: Vec::new(),
            whole: false,
        }
    }

    fn is(&self, id: TableId) -> bool {
        self.entry.def.id == id
    }

    fn add(&mut self, read: Read) {
        match read.what {
            What::Row(row) => self.rows.0.push((row, read.columns)),
            What::Key(index, key) => {
                let at = self
                    .keys
                    .iter()
                    .position(|(entry, _)| entry.def.id == index);
                match (at, self.index(index)) {
                    (Some(at), _) => self.keys[at].1.0.push((key, read.columns)),
                    (None, Some(entry)) => {
                        self.keys.push((entry, Points(vec![(key, read.columns)])));
                    }
                    // By an index of its own.
                    (None, None) => self.whole = true,
                }
            }
            What::Range(range) => match self.index(range.index) {
                Some(entry) => self.ranges.push((entry, read.columns, range)),
                None => self.whole = true,
            },
            What::Scan(scan) => self.scans.push((read.columns, scan)),
            What::Table => self.whole = true,
        }
    }

    fn index(&self, id: IndexId) -> Option<Arc<IndexEntry>> {
        let mut indexes = self.entry.indexes.iter();
        indexes.find(|index| index.def.id == id).cloned()
    }

    fn look(
        &self,
        registration: &Registration,
        mut from: Timestamp,
        until: Timestamp,
    ) -> Result<usize> {
        let mut looked = 0;
        let (mut part, mut chunk) = (Vec::new(), Vec::new());
        while from < until {
            let recent = self.entry.rows.recent();
            from = recent
                .after(from, until, &mut part)
                .map_err(|Forgotten| self.too_old())?;
            let mut rows = part.iter().flat_map(ChangedRows::iter).peekable();
            while rows.peek().is_some() {
                chunk.clear();
                chunk.extend(rows.by_ref().take(ROWS_AT_ONCE));
                looked += chunk.len();
                self.look_at(registration, &chunk)?;
            }
        }
        Ok(looked)
    }

    fn look_at(&self, registration: &Registration, rows: &[RowId]) -> Result<()> {
        let is_any = self.whole
            || !(self.keys.is_empty() && self.ranges.is_empty() && self.scans.is_empty());
        let read = |row: RowId| self.rows.find(|read| read.cmp(&row));
        // Mostly nobody has read the row, and only rows were read.
        let mut rows = rows.iter().map(|row| (*row, read(*row)));
        let Some(first) = rows.find(|(_, read)| is_any || read.is_some()) else {
            return Ok(());
        };
        let operation = registration.enter();
        for (row, read) in std::iter::once(first).chain(rows) {
            if (is_any || read.is_some())
                && let Some(pair) = self.pair(row, &operation)
                && let Some(what) = self.differs(row, read, &pair)
            {
                return Err(self.conflict(what, pair.since, registration));
            }
        }
        Ok(())
    }

    /// Both states of a row; `None` where it is what it was. Neither changes nor goes while the
    /// operation lasts: one is seen by a registered snapshot, and the other is the newest committed one to
    /// an operation under way (see `prune` in maintenance).
    fn pair<'a>(&'a self, row: RowId, operation: &'a Operation<'a>) -> Option<Pair<'a>> {
        let (block, slot) = self.entry.rows.place(row, operation)?;
        // Of no command: its own changes are nobody's affair.
        let viewpoint = operation.viewpoint(0);
        let mut now = None;
        for link in block.chain(slot, operation) {
            // Asked anew for each state. One that was committed when the clock was read says so, by its stamp
            // or through its owner's slot, in whatever order both change: `resolve` looks at the word again.
            let Resolved::Committed(at) = viewpoint.resolve(|| link.stamp()) else {
                continue;
            };
            let is_seen = at <= operation.snapshot();
            match &now {
                None if is_seen => return None,
                None => now = Some((link.image(), at)),
                Some(_) if is_seen => {
                    let (now, since) = now?;
                    let before = link.image();
                    return Some(Pair { before, now, since });
                }
                Some(_) => {}
            }
        }
        let (now, since) = now?;
        let before = None;
        Some(Pair { before, now, since })
    }

    /// What was read and is not so any more.
    fn differs(&self, row: RowId, read: Option<Columns>, pair: &Pair<'_>) -> Option<String> {
        let table = || format!("table \"{}\"", self.entry.def.name);
        if let Some(columns) = read
            && self.is_changed(columns, pair, |_| true)
        {
            let shown = pair.before.as_ref().or(pair.now.as_ref());
            let key = self.entry.describe_row(row, shown);
            return Some(format!("row {key} of {}", table()));
        }
        for (index, keys) in &self.keys {
            if let Some(image) = self.differing_key(index, keys, pair) {
                let key = self.entry.describe_key(index, image);
                return Some(format!("key {key} of {}", table()));
            }
        }
        let by_range = |(index, columns, range): &&(Arc<IndexEntry>, Columns, Box<KeyRange>)| {
            self.is_changed(*columns, pair, |row| is_in_range(index, range, row))
        };
        if let Some((index, ..)) = self.ranges.iter().find(by_range) {
            return Some(format!(
                "a range of index \"{}\" of {}",
                index.def.name,
                table()
            ));
        }
        let by_scan = |(columns, scan): &(Columns, Box<RowScan>)| {
            row < scan.end && self.is_changed(*columns, pair, |row| is_in_scan(scan, row))
        };
        let is_changed = self.scans.iter().any(by_scan)
            || self.whole && self.is_changed(Columns::ALL, pair, |_| true);
        is_changed.then(|| format!("a scan of {}", table()))
    }

    fn is_changed(
        &self,
        columns: Columns,
        pair: &Pair<'_>,
        is_part: impl Fn(&RowRef<'_>) -> bool,
    ) -> bool {
        let before = pair.before.as_ref().filter(|row| is_part(row));
        let now = pair.now.as_ref().filter(|row| is_part(row));
        match (before, now) {
            (None, None) => false,
            (Some(before), Some(now)) => !columns.agree(&self.entry.def, before, now),
            _ => true,
        }
    }

    /// The state of the row that has a key which was read, if that is not so any more.
    fn differing_key<'p>(
        &self,
        index: &IndexEntry,
        keys: &Keys,
        pair: &'p Pair<'p>,
    ) -> Option<&'p RowRef<'p>> {
        let find = |row: &RowRef<'_>| {
            let mut key = Key::new();
            index.encode_row(&mut key, row);
            keys.find(|read| (**read).cmp(&*key))
        };
        let (before, now) = (pair.before.as_ref(), pair.now.as_ref());
        let is_same_key = |one, other| index.is_same_key(one, other);
        match (before.and_then(find), now.and_then(find)) {
            (None, None) => None,
            (Some(columns), Some(_)) => {
                let (one, other) = (before?, now?);
                let same = is_same_key(one, other) && columns.agree(&self.entry.def, one, other);
                (!same).then_some(one)
            }
            (Some(_), None) => before,
            (None, Some(_)) => now,
        }
    }

    fn conflict(&self, what: String, at: Timestamp, registration: &Registration) -> Error {
        Conflict {
            table: self.entry.def.name.clone(),
            key: what,
            rule: Rule::Read,
            rival: registration.timeline().transaction_at(at),
            has_committed: true,
        }
        .error()
    }

    fn too_old(&self) -> Error {
        Conflict {
            table: self.entry.def.name.clone(),
            key: String::new(),
            rule: Rule::TooOld,
            rival: TransactionId(0),
            has_committed: true,
        }
        .error()
    }
}

fn may_match(test: Option<&Arc<dyn RowTest>>, row: &RowRef<'_>) -> bool {
    test.is_none_or(|test| test.may_match(row))
}

fn is_in_range(index: &IndexEntry, range: &KeyRange, row: &RowRef<'_>) -> bool {
    let mut key = Key::new();
    index.encode_row(&mut key, row);
    let ends = (borrowed(&range.low), borrowed(&range.high));
    RangeBounds::<[u8]>::contains(&ends, &*key) && may_match(range.test.as_ref(), row)
}

fn borrowed(bound: &Bound<Box<[u8]>>) -> Bound<&[u8]> {
    bound.as_ref().map(|key| &**key)
}

fn is_in_scan(scan: &RowScan, row: &RowRef<'_>) -> bool {
    let mut bounds = scan.bounds.iter();
    bounds.all(|bounds| bounds.admits(row.get(bounds.column))) && may_match(scan.test.as_ref(), row)
}
