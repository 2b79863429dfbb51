//! Keys of rows, for grouping, DISTINCT and joins: columns made comparable, and a table that
//! numbers distinct keys from 0 in order of first appearance.
//!
//! A single key of an integer-like type stays an integer. Everything else is encoded into bytes
//! by storage's order-preserving key encoding, the same that indexes use, so that what is
//! equal here is exactly what is equal there (`1.0` and `1.00`, `-0` and `0`, NaN and NaN).
//! Equal NULLs make equal keys; a join, for which they must not, skips keys with a NULL
//! ([`Keys::has_null`]).
//!
//! The byte keys of a table lie one after the other in one arena: no allocation a key.

use super::ExecContext;
use super::batch::Batch;
use super::eval::Evaluator;
use crate::error::{Error, Result, state};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Int16Type, Int32Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};
use remora_storage::DataType;
use remora_storage::index::{KeyColumn, encode_key};
use remora_storage::value::value_at;
use std::hash::BuildHasher;

/// The number of a key that a table does not have.
pub(super) const MISSING: u32 = u32::MAX;

/// The keys of a batch, one a row.
#[derive(Debug)]
pub(super) enum Keys {
    /// One integer-like column.
    Integers {
        values: ScalarBuffer<i64>,
        nulls: Option<NullBuffer>,
    },
    /// Encoded columns.
    Bytes { bytes: ByteKeys, nulls: Vec<bool> },
}

/// Byte strings in one arena.
#[derive(Debug, Default)]
pub(super) struct ByteKeys {
    arena: Vec<u8>,
    ends: Vec<usize>,
}

impl ByteKeys {
    /// How many.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The key at `position`.
    pub(super) fn get(&self, position: usize) -> &[u8] {
        let start = position
            .checked_sub(1)
            .map_or(0, |before| self.ends[before]);
        &self.arena[start..self.ends[position]]
    }

    /// Appends a key that `write` appends to the arena.
    pub(super) fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.arena);
        self.ends.push(self.arena.len());
    }

    /// Appends a key.
    pub(super) fn push(&mut self, key: &[u8]) {
        self.push_with(|arena| arena.extend_from_slice(key));
    }

    /// The keys at the set bits.
    pub(super) fn filter(&self, keep: &BooleanBuffer) -> Self {
        let mut kept = Self::default();
        for position in keep.set_indices() {
            kept.push(self.get(position));
        }
        kept
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.arena.capacity() + self.ends.capacity() * size_of::<usize>()
    }
}

/// Whether keys of these types are integers.
fn is_integer(types: &[DataType]) -> bool {
    use DataType as T;
    matches!(
        types,
        [
            T::SmallInt
                | T::Integer
                | T::BigInt
                | T::Date
                | T::Time
                | T::Timestamp
                | T::TimestampTz
        ]
    )
}

impl Keys {
    /// The keys that `columns` of these types make; each column has `rows` values.
    pub(super) fn of(columns: &[ArrayRef], types: &[DataType], rows: usize) -> Self {
        if is_integer(types) {
            let (column, data_type) = (&columns[0], types[0]);
            return Self::Integers {
                values: integers(column, data_type),
                nulls: column
                    .logical_nulls()
                    .filter(|nulls| nulls.null_count() > 0),
            };
        }
        let order = vec![KeyColumn::default(); types.len()];
        let mut bytes = ByteKeys::default();
        encode(columns, types, &order, rows, &mut bytes);
        let mut nulls = vec![false; rows];
        for column in columns.iter().filter(|column| column.null_count() > 0) {
            for (row, null) in nulls.iter_mut().enumerate() {
                *null |= column.is_null(row);
            }
        }
        Self::Bytes { bytes, nulls }
    }

    /// The keys that expressions make of a batch.
    pub(super) fn evaluate(
        exprs: &[Evaluator],
        batch: &Batch,
        context: &ExecContext,
    ) -> Result<Self> {
        let columns = exprs.iter().map(|expr| expr.array(batch, context));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let types: Vec<_> = exprs.iter().map(Evaluator::data_type).collect();
        Ok(Self::of(&columns, &types, batch.rows))
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Integers { values, .. } => values.len(),
            Self::Bytes { bytes, .. } => bytes.len(),
        }
    }

    /// Whether a part of the row's key is NULL.
    pub(super) fn has_null(&self, row: usize) -> bool {
        match self {
            Self::Integers { nulls, .. } => nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)),
            Self::Bytes { nulls, .. } => nulls[row],
        }
    }
}

/// Appends the key bytes of each row.
pub(super) fn encode(
    columns: &[ArrayRef],
    types: &[DataType],
    order: &[KeyColumn],
    rows: usize,
    out: &mut ByteKeys,
) {
    for row in 0..rows {
        let values = columns.iter().zip(types);
        let values = values.map(|(column, data_type)| value_at(column, *data_type, row));
        out.push_with(|arena| encode_key(arena, order, values));
    }
}

/// The values of an integer-like array as 64-bit integers.
fn integers(array: &ArrayRef, data_type: DataType) -> ScalarBuffer<i64> {
    match data_type {
        DataType::SmallInt => widen(array.as_primitive::<Int16Type>().values()),
        DataType::Integer => widen(array.as_primitive::<Int32Type>().values()),
        DataType::Date => widen(array.as_primitive::<Date32Type>().values()),
        DataType::Time => array
            .as_primitive::<Time64MicrosecondType>()
            .values()
            .clone(),
        DataType::Timestamp | DataType::TimestampTz => array
            .as_primitive::<TimestampMicrosecondType>()
            .values()
            .clone(),
        _ => array.as_primitive::<Int64Type>().values().clone(),
    }
}

fn widen<T: Copy + Into<i64>>(values: &[T]) -> ScalarBuffer<i64> {
    values.iter().map(|value| (*value).into()).collect()
}

/// Numbers distinct keys.
#[derive(Debug)]
pub(super) struct KeyTable {
    hasher: DefaultHashBuilder,
    kind: Kind,
    /// Keys so far.
    count: u32,
}

#[derive(Debug)]
enum Kind {
    Integers {
        table: HashTable<(i64, u32)>,
        null: Option<u32>,
    },
    /// Hash and number; the key itself is in `keys` at its number.
    Bytes {
        table: HashTable<(u64, u32)>,
        keys: ByteKeys,
    },
}

impl KeyTable {
    /// An empty table for keys of these types.
    pub(super) fn new(types: &[DataType]) -> Self {
        let kind = match is_integer(types) {
            true => Kind::Integers {
                table: HashTable::new(),
                null: None,
            },
            false => Kind::Bytes {
                table: HashTable::new(),
                keys: ByteKeys::default(),
            },
        };
        Self {
            hasher: DefaultHashBuilder::default(),
            kind,
            count: 0,
        }
    }

    /// How many keys it has.
    pub(super) fn len(&self) -> usize {
        self.count as usize
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        match &self.kind {
            Kind::Integers { table, .. } => table.allocation_size(),
            Kind::Bytes { table, keys } => table.allocation_size() + keys.bytes(),
        }
    }

    /// Bytes that `more` keys may take beside [`Self::bytes`], to be reserved before they come:
    /// tables and arenas double when they grow.
    pub(super) fn growth(&self, keys: &Keys) -> usize {
        let (capacity, arena) = match (&self.kind, keys) {
            (Kind::Integers { table, .. }, _) => (table.capacity(), 0),
            (Kind::Bytes { table, keys: own }, Keys::Bytes { bytes, .. }) => {
                let free = own.arena.capacity() - own.arena.len();
                let grows = bytes.arena.len() > free;
                let arena = if grows {
                    own.bytes() + bytes.bytes()
                } else {
                    0
                };
                (table.capacity(), arena)
            }
            (Kind::Bytes { table, .. }, _) => (table.capacity(), 0),
        };
        let full = self.len() + keys.len() > capacity;
        let table = if full {
            40 * (self.len() + keys.len())
        } else {
            0
        };
        table + arena
    }

    /// The number of each key, in `numbers`; new keys get the next numbers.
    ///
    /// # Errors
    /// 54000 beyond 2^32 - 1 keys.
    pub(super) fn insert(&mut self, keys: &Keys, numbers: &mut Vec<u32>) -> Result<()> {
        if self.len() + keys.len() >= MISSING as usize {
            return Err(too_many());
        }
        numbers.clear();
        numbers.reserve(keys.len());
        let (hasher, count) = (&self.hasher, &mut self.count);
        let mut next = || {
            *count += 1;
            *count - 1
        };
        match (&mut self.kind, keys) {
            (Kind::Integers { table, null }, Keys::Integers { values, nulls }) => {
                for (row, value) in values.iter().enumerate() {
                    if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                        numbers.push(*null.get_or_insert_with(&mut next));
                        continue;
                    }
                    let hash = hasher.hash_one(value);
                    let same = |entry: &(i64, u32)| entry.0 == *value;
                    let rehash = |entry: &(i64, u32)| hasher.hash_one(entry.0);
                    let entry = table.entry(hash, same, rehash);
                    numbers.push(entry.or_insert_with(|| (*value, next())).get().1);
                }
            }
            (Kind::Bytes { table, keys: own }, Keys::Bytes { bytes, .. }) => {
                for row in 0..bytes.len() {
                    let key = bytes.get(row);
                    let hash = hasher.hash_one(key);
                    let same =
                        |entry: &(u64, u32)| entry.0 == hash && own.get(entry.1 as usize) == key;
                    numbers.push(match table.entry(hash, same, |entry| entry.0) {
                        Entry::Occupied(entry) => entry.get().1,
                        Entry::Vacant(entry) => {
                            own.push(key);
                            entry.insert((hash, next())).get().1
                        }
                    });
                }
            }
            _ => return Err(mixed()),
        }
        Ok(())
    }

    /// The number of each key, in `numbers`; [`MISSING`] where the table does not have it.
    pub(super) fn find(&self, keys: &Keys, numbers: &mut Vec<u32>) -> Result<()> {
        numbers.clear();
        numbers.reserve(keys.len());
        match (&self.kind, keys) {
            (Kind::Integers { table, .. }, Keys::Integers { values, .. }) => {
                numbers.extend(values.iter().map(|value| {
                    table
                        .find(self.hasher.hash_one(value), |entry| entry.0 == *value)
                        .map_or(MISSING, |entry| entry.1)
                }));
            }
            (Kind::Bytes { table, keys: own }, Keys::Bytes { bytes, .. }) => {
                numbers.extend((0..bytes.len()).map(|row| {
                    let key = bytes.get(row);
                    let hash = self.hasher.hash_one(key);
                    table
                        .find(hash, |entry| {
                            entry.0 == hash && own.get(entry.1 as usize) == key
                        })
                        .map_or(MISSING, |entry| entry.1)
                }));
            }
            _ => return Err(mixed()),
        }
        Ok(())
    }
}

/// More distinct keys or rows than an operator can number.
pub(super) fn too_many() -> Error {
    Error::new(
        state::PROGRAM_LIMIT_EXCEEDED,
        format!("more than {} rows in one sort, join or group", MISSING - 1),
    )
}

/// The planner gives both sides of a key one type; were it wrong, this is reported.
fn mixed() -> Error {
    Error::new(
        state::INTERNAL_ERROR,
        "internal error: keys of two types were compared",
    )
}
