//! A table and an index in the catalog: the definition and the thing itself.

use super::Catalog;
use super::definition::{IndexDef, IndexKind, TableDef};
use super::describe;
use super::foreign::Reference;
use super::key_size::KeySizes;
use super::late::LateIndexes;
use super::notes::Notes;
use crate::block::{IntColumn, RowRef};
use crate::error::Result;
use crate::ids::{ColumnId, IndexId, RowId, TableId};
use crate::index::key::IntKeyBytes;
use crate::index::{
    Batch, Index, Key, KeyBuffer, KeyColumn, KeyGuard, KeyLatches, encode_column, encode_key,
    int_of_key, is_key_of_words,
};
use crate::index::{GoneRanges, IntEntries};
use crate::mvcc::Registration;
use crate::pool::{Claim, Ledger, Owner, Pool, Reservation};
use crate::table::{Found, Table};
use crate::value::ValueRef;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// A table in the catalog.
#[derive(Debug)]
pub struct TableEntry {
    /// What it is.
    pub def: TableDef,
    /// Its rows.
    pub rows: Arc<Table>,
    /// Its indexes, in order of creation; the primary key's is first.
    pub indexes: Vec<Arc<IndexEntry>>,
    /// The foreign keys that refer to it, by table; the catalog's affair ([`super::Catalog::set_table`]).
    pub references: Vec<Reference>,
    /// Those that others may not have among theirs.
    pub late: Arc<LateIndexes>,
}

/// An index in the catalog.
#[derive(Debug)]
pub struct IndexEntry {
    /// What it is.
    pub def: IndexDef,
    /// Its entries.
    pub index: Arc<Index>,
    columns: Vec<KeyColumn>,
    /// Of a partial index: what keys of rows begin with that are in it.
    within: Option<Box<[u8]>>,
    shared: Arc<Shared>,
}

/// What an index has in common with itself under another name.
#[derive(Debug)]
struct Shared {
    latches: KeyLatches,
    notes: Notes,
    key_sizes: KeySizes,
    gone: GoneRanges,
    /// For the latches.
    memory: Reservation,
}

/// A key that is one integer, in rows and in an index.
#[derive(Clone, Copy, Debug)]
pub struct IntKey {
    /// The column.
    pub id: ColumnId,
    /// Where it is in rows.
    pub column: IntColumn,
    order: KeyColumn,
}

impl IntKey {
    /// The value that a key of the index is of; `None` for NULL.
    #[inline(always)]
    pub fn value(&self, key: &[u8]) -> Option<i64> {
        int_of_key(key, self.order)
    }

    /// The key of a value that the column can hold.
    #[inline(always)]
    pub fn encode(&self, value: i64) -> IntKeyBytes {
        IntKeyBytes::new(value, self.column.is_wide(), self.order)
    }

    /// Place for the entries of a scan of the index.
    pub fn entries(&self) -> IntEntries {
        IntEntries::new(self.column.is_wide(), self.order)
    }

    /// A value that the column can hold, where its type is BIGINT or INTEGER.
    pub fn of(&self, value: i64) -> ValueRef<'static> {
        match self.column.is_wide() {
            true => ValueRef::BigInt(value),
            // It fits.
            false => ValueRef::Integer(value as i32),
        }
    }
}

/// Makes rows those of a table with the bounds of a definition, if it has any and they are not that yet.
fn begin_bounds(def: &TableDef, rows: &Table) {
    if let Some(eviction) = &def.eviction {
        rows.begin_cache(eviction.policy, eviction.max_bytes);
    }
    if def.bound.is_some() {
        rows.begin_count();
    }
}

impl TableEntry {
    /// A table without rows and indexes.
    pub fn new(def: TableDef, pool: &Arc<Pool>) -> Self {
        let columns = def.columns.iter().map(|c| (c.id, c.data_type));
        let rows = Arc::new(Table::new(pool, columns));
        begin_bounds(&def, &rows);
        Self {
            def,
            rows,
            indexes: Vec::new(),
            references: Vec::new(),
            late: Arc::default(),
        }
    }

    /// The same table with other indexes.
    #[must_use]
    pub fn with_indexes(&self, indexes: Vec<Arc<IndexEntry>>) -> Self {
        Self {
            indexes,
            ..self.with_def(self.def.clone())
        }
    }

    /// The same rows and indexes under another definition, of the same layout.
    #[must_use]
    pub fn with_def(&self, def: TableDef) -> Self {
        debug_assert!(def.has_layout_of(&self.def), "rows stay as they are");
        // Nothing to be done, except for a change that recovery makes again: it counts the rows when it ends.
        begin_bounds(&def, &self.rows);
        Self {
            def,
            rows: Arc::clone(&self.rows),
            indexes: self.indexes.clone(),
            references: self.references.clone(),
            late: Arc::clone(&self.late),
        }
    }

    /// The tables that its foreign keys refer to.
    pub fn parents(&self) -> impl Iterator<Item = TableId> {
        self.def.foreign_keys.iter().map(|key| key.parent)
    }

    /// The same table with another definition, and without rows and indexes.
    #[must_use]
    pub fn rewritten(&self, def: TableDef, pool: &Arc<Pool>) -> Self {
        Self {
            references: self.references.clone(),
            ..Self::new(def, pool)
        }
    }

    /// A copy of the table without rows, its indexes without entries.
    ///
    /// # Errors
    /// `OutOfMemory` where not even the reserve has the little that indexes take.
    pub fn emptied(&self, pool: &Arc<Pool>) -> Result<Self> {
        let indexes = self.indexes.iter().map(|index| {
            let empty = IndexEntry::with_claim(index.def.clone(), Claim::Emergency, pool)?;
            Ok(Arc::new(empty))
        });
        Ok(Self {
            indexes: indexes.collect::<Result<_>>()?,
            ..self.rewritten(self.def.clone(), pool)
        })
    }

    /// The same table with an index under another name.
    #[must_use]
    pub fn with_index_renamed(&self, id: IndexId, name: &str) -> Self {
        let renamed = |index: &Arc<IndexEntry>| match index.def.id == id {
            true => Arc::new(index.renamed(name)),
            false => Arc::clone(index),
        };
        self.with_indexes(self.indexes.iter().map(renamed).collect())
    }

    /// The entry of the same rows in a catalog, if they are there still.
    pub fn now_in<'c>(&self, catalog: &'c Catalog) -> Option<&'c Arc<Self>> {
        let now = catalog.table_by_id(self.def.id)?;
        Arc::ptr_eq(&now.rows, &self.rows).then_some(now)
    }

    /// Its indexes and those that came late: where the keys of its rows are to be.
    #[inline]
    pub fn all_indexes(&self) -> Cow<'_, [Arc<IndexEntry>]> {
        self.late.with(&self.indexes)
    }

    pub(super) fn with_index(
        self: &Arc<Self>,
        id: IndexId,
    ) -> Option<(&Arc<Self>, &Arc<IndexEntry>)> {
        let index = self.indexes.iter().find(|index| index.def.id == id)?;
        Some((self, index))
    }

    /// Its name and those of its indexes.
    pub(super) fn relations(&self) -> impl Iterator<Item = (&str, Option<IndexId>)> {
        let indexes = self.indexes.iter();
        let indexes = indexes.map(|index| (index.def.name.as_str(), Some(index.def.id)));
        std::iter::once((self.def.name.as_str(), None)).chain(indexes)
    }

    /// The entries that an index is to have for those of the rows that the registration's owner sees;
    /// `gathered` is told of so many more of them, again and again.
    pub fn gather_keys(
        &self,
        index: &IndexEntry,
        rows: Range<RowId>,
        registration: &Registration,
        ledger: &Arc<Ledger>,
        gathered: impl Fn(u64),
    ) -> Result<Batch> {
        let mut batch = Batch::new(ledger)?;
        let mut key = Vec::new();
        let mut at = rows.start;
        while at < rows.end {
            // An operation for each block, so that what others unlink meanwhile is freed.
            let operation = registration.enter();
            let viewpoint = operation.viewpoint(u64::MAX);
            let mut found = Found::default();
            at = self
                .rows
                .collect(&viewpoint, at, rows.end, usize::MAX, &mut found);
            for (id, row) in found.ids.iter().zip(&found.rows) {
                key.clear();
                let has_null = index.encode_row(&mut key, row);
                if !index.leaves_out(&key) {
                    batch.push(&key, *id, has_null)?;
                }
            }
            gathered(found.ids.len() as u64);
        }
        Ok(batch)
    }

    /// A row as conflicts name it: `k=1` by its primary key, or else its row id.
    pub fn describe_row(&self, id: RowId, row: Option<&RowRef<'_>>) -> String {
        let primary = self.indexes.iter().find(|index| index.is_primary());
        match (primary, row) {
            (Some(index), Some(row)) => describe::assignments(&self.def, &index.def, row),
            _ => format!("row {id}"),
        }
    }

    /// A key as uniqueness errors name it: `(a, b)=(1, x)`.
    pub fn describe_key(&self, index: &IndexEntry, row: &RowRef<'_>) -> String {
        describe::key(&self.def, &index.def, row)
    }
}

impl IndexEntry {
    /// An index without entries.
    pub fn new(def: IndexDef, pool: &Arc<Pool>) -> Result<Self> {
        Self::with_claim(def, Claim::Ordinary, pool)
    }

    fn with_claim(def: IndexDef, claim: Claim, pool: &Arc<Pool>) -> Result<Self> {
        let ledger = pool.ledger();
        let memory = ledger.reserve_for(claim, Owner::Index, KeyLatches::BYTES)?;
        let index = match def.kind {
            IndexKind::Ordered => Index::ordered_for(claim, pool)?,
            IndexKind::Hash => Index::hash_for(claim, pool)?,
        };
        let columns = def.columns.iter().map(|column| KeyColumn {
            descending: column.descending,
            nulls_first: column.nulls_first,
        });
        let columns: Vec<KeyColumn> = columns.collect();
        let within = def.partial.then(|| {
            let mut key = Vec::new();
            encode_key(&mut key, &columns, [ValueRef::Boolean(true)]);
            key.into_boxed_slice()
        });
        Ok(Self {
            columns,
            within,
            index: Arc::new(index),
            shared: Arc::new(Shared {
                latches: KeyLatches::new(),
                notes: Notes::default(),
                key_sizes: KeySizes::new(&def),
                gone: GoneRanges::default(),
                memory,
            }),
            def,
        })
    }

    /// The same index under another name.
    #[must_use]
    pub fn renamed(&self, name: &str) -> Self {
        Self {
            def: IndexDef {
                name: name.to_owned(),
                ..self.def.clone()
            },
            index: Arc::clone(&self.index),
            columns: self.columns.clone(),
            within: self.within.clone(),
            shared: Arc::clone(&self.shared),
        }
    }

    /// The parts of the index that later snapshots need not walk over.
    pub fn gone(&self) -> &GoneRanges {
        &self.shared.gone
    }

    /// Says, where that has to be said, that there is an entry which is the key of its row: behind adding it, within the same
    /// operation.
    #[inline(always)]
    pub fn note_added(&self, key: &[u8], row: RowId) {
        if self.shared.gone.is_watched() {
            self.shared.gone.added(key, row);
        }
    }

    /// From now on, until [`Self::end_filling`], the index is its builder's alone.
    pub fn begin_filling(&self, ledger: &Arc<Ledger>) -> Result<()> {
        self.shared.notes.open(ledger)
    }

    /// Leaves a key that came to a row, or went, to be looked at when the index is filled; `false`
    /// where it is, and the entry is to be added or removed at once. `may_repeat` as in [`Batch`].
    #[inline]
    pub fn note(&self, key: &[u8], row: RowId, may_repeat: bool) -> bool {
        self.shared.notes.add(key, row, may_repeat)
    }

    /// Opens the index to everybody; what was noted is to be looked at. Fails where not all could be.
    pub fn end_filling(&self) -> Result<Batch> {
        self.shared.notes.close()
    }

    /// Waits for the latch of a key, and of all keys of its entries ([`Index::same_entry`]). Whoever
    /// adds, removes or checks entries of a key holds it.
    pub fn latch(&self, key: &[u8]) -> KeyGuard<'_> {
        match self.index.identity_of(key) {
            Some(identity) => self.shared.latches.lock(&identity.to_ne_bytes()),
            None => self.shared.latches.lock(key),
        }
    }

    pub(super) fn orders(&self) -> &[KeyColumn] {
        &self.columns
    }

    pub(super) fn key_sizes(&self) -> &KeySizes {
        &self.shared.key_sizes
    }

    /// Bytes of its entries and latches, as the ledger counts them.
    pub fn bytes(&self) -> u64 {
        self.index.bytes() + self.shared.memory.bytes()
    }

    /// Whether it stands for the primary key.
    pub fn is_primary(&self) -> bool {
        self.def.constraint == Some(super::Constraint::PrimaryKey)
    }

    /// Whether a column is part of the key.
    pub fn covers(&self, column: ColumnId) -> bool {
        self.def.columns.iter().any(|key| key.column == column)
    }

    /// Appends the key, or its prefix, made of these values.
    pub fn encode(&self, out: &mut impl KeyBuffer, key: &[ValueRef<'_>]) {
        encode_key(out, &self.columns, key);
    }

    /// Appends the key of a row; says whether there is a NULL in it, so that other rows may have it, too.
    pub fn encode_row(&self, out: &mut impl KeyBuffer, row: &RowRef<'_>) -> bool {
        let mut has_null = false;
        let values = self.def.columns.iter().map(|key| row.get(key.column));
        let values = values.inspect(|value| has_null |= value.is_null());
        encode_key(out, &self.columns, values);
        has_null && !self.def.nulls_not_distinct
    }

    /// Appends the key of a row of these values, one for each of the table's columns; says what
    /// [`Self::encode_row`] says.
    pub fn encode_new(
        &self,
        out: &mut impl KeyBuffer,
        table: &TableDef,
        row: &[ValueRef<'_>],
    ) -> bool {
        let mut has_null = false;
        for (key, order) in self.def.columns.iter().zip(&self.columns) {
            let at = table
                .columns
                .iter()
                .position(|column| column.id == key.column);
            let value = at.map_or(ValueRef::Null, |at| row[at]);
            has_null |= value.is_null();
            encode_column(out, *order, &value);
        }
        has_null && !self.def.nulls_not_distinct
    }

    /// Whether rows with this key are not in the index, because it is one of a part of the rows.
    #[inline]
    pub fn leaves_out(&self, key: &[u8]) -> bool {
        let within = self.within.as_ref();
        within.is_some_and(|within| !key.starts_with(within))
    }

    /// Whether a row's key is exactly this one, given as values without NULL.
    #[inline]
    pub fn matches(&self, row: &RowRef<'_>, key: &[ValueRef<'_>]) -> bool {
        let mut columns = self.def.columns.iter().zip(key);
        columns.all(|(part, value)| match row.has_word(part.column, value) {
            Some(same) => same,
            None => row.get(part.column) == *value,
        })
    }

    /// How rows of its table are compared with its keys, if those are of one integer. All hot blocks of
    /// a table have one layout.
    pub fn int_key(&self, rows: &Table) -> Option<IntKey> {
        let ([part], [order]) = (self.def.columns.as_slice(), self.columns.as_slice()) else {
            return None;
        };
        Some(IntKey {
            id: part.column,
            column: rows.layout().int_column(part.column)?,
            order: *order,
        })
    }

    /// Whether two rows have one key, found without writing it.
    pub fn is_same_key(&self, one: &RowRef<'_>, other: &RowRef<'_>) -> bool {
        let mut columns = self.def.columns.iter().map(|key| key.column);
        columns
            .all(|column| one.has_same_bytes(other, column) || one.get(column) == other.get(column))
    }

    /// Whether a row's key is exactly these bytes.
    pub fn has_key(&self, row: &RowRef<'_>, key: &[u8]) -> bool {
        let parts = self.def.columns.iter().zip(&self.columns);
        let values = parts.map(|(part, column)| (*column, row.get(part.column)));
        if let Some(same) = is_key_of_words(key, values) {
            return same;
        }
        let mut found = Key::new();
        self.encode_row(&mut found, row);
        *found == *key
    }

    /// Whether a row's key has the entries of this key: it is that key, or the index does not tell
    /// the two apart.
    pub fn shares_entry(&self, row: &RowRef<'_>, key: &[u8]) -> bool {
        if self.has_key(row, key) {
            return true;
        }
        if self.index.is_ordered() {
            return false;
        }
        let mut found = Key::new();
        self.encode_row(&mut found, row);
        self.index.same_entry(&found, key)
    }
}
