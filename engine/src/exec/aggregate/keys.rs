//! Keys of rows, for sorting, grouping, DISTINCT and joins: columns made comparable.
//!
//! A single key of an integer-like type stays an integer. Everything else is encoded into bytes
//! by storage's order-preserving key encoding, the same that indexes use, so that what is
//! equal here is exactly what is equal there (`1.0` and `1.00`, `-0` and `0`, NaN and NaN).
//! Equal NULLs make equal keys; a join, for which they must not, skips keys with a NULL
//! ([`Keys::has_null`]).
//!
//! Byte keys lie one after the other in one arena: no allocation a key.

use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::batch::Batch;
use crate::exec::eval::Evaluator;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Int16Type, Int32Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use remora_storage::DataType;
use remora_storage::index::{KeyColumn, encode_key};
use remora_storage::value::value_at;

/// The keys of a batch, one a row.
#[derive(Debug)]
pub(in crate::exec) enum Keys {
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
pub(in crate::exec) struct ByteKeys {
    arena: Vec<u8>,
    ends: Vec<usize>,
}

impl ByteKeys {
    /// How many.
    pub(in crate::exec) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The key at `position`.
    pub(in crate::exec) fn get(&self, position: usize) -> &[u8] {
        let start = position
            .checked_sub(1)
            .map_or(0, |before| self.ends[before]);
        &self.arena[start..self.ends[position]]
    }

    /// Appends a key that `write` appends to the arena.
    pub(in crate::exec) fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.arena);
        self.ends.push(self.arena.len());
    }

    /// Appends a key.
    pub(in crate::exec) fn push(&mut self, key: &[u8]) {
        self.push_with(|arena| arena.extend_from_slice(key));
    }

    /// The keys at the set bits.
    pub(in crate::exec) fn filter(&self, keep: &BooleanBuffer) -> Self {
        let mut kept = Self::default();
        for position in keep.set_indices() {
            kept.push(self.get(position));
        }
        kept
    }

    /// Bytes that appending `more` keys may take beside [`Self::bytes`]: the arena doubles when
    /// it grows, and holds both sizes meanwhile.
    pub(in crate::exec) fn growth(&self, more: &Self) -> usize {
        let free = self.arena.capacity() - self.arena.len();
        match more.arena.len() > free {
            true => self.bytes() + more.bytes(),
            false => 0,
        }
    }

    /// Bytes held.
    pub(in crate::exec) fn bytes(&self) -> usize {
        self.arena.capacity() + self.ends.capacity() * size_of::<usize>()
    }
}

/// Whether keys of these types are integers.
pub(in crate::exec) fn is_integer(types: &[DataType]) -> bool {
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
    pub(in crate::exec) fn of(columns: &[ArrayRef], types: &[DataType], rows: usize) -> Self {
        if is_integer(types) {
            let (column, data_type) = (&columns[0], types[0]);
            return Self::Integers {
                values: integers(column, data_type),
                nulls: column
                    .logical_nulls()
                    .filter(|nulls| nulls.null_count() > 0),
            };
        }
        Self::bytes(columns, types, rows, |_| true)
    }

    /// The same as bytes; a NULL in a column counts where `counts` says so.
    fn bytes(
        columns: &[ArrayRef],
        types: &[DataType],
        rows: usize,
        counts: impl Fn(usize) -> bool,
    ) -> Self {
        let order = vec![KeyColumn::default(); types.len()];
        let mut bytes = ByteKeys::default();
        encode(columns, types, &order, rows, &mut bytes);
        let mut nulls = vec![false; rows];
        let columns = columns.iter().enumerate();
        for (_, column) in columns.filter(|(at, column)| column.null_count() > 0 && counts(*at)) {
            for (row, null) in nulls.iter_mut().enumerate() {
                *null |= column.is_null(row);
            }
        }
        Self::Bytes { bytes, nulls }
    }

    /// The keys that expressions make of a batch.
    pub(in crate::exec) fn evaluate(
        exprs: &[Evaluator],
        batch: &Batch,
        context: &ExecContext,
    ) -> Result<Self> {
        let (columns, types) = arrays(exprs, batch, context)?;
        Ok(Self::of(&columns, &types, batch.rows))
    }

    /// The same where NULL is a value like others of those that are `matching`: [`Self::has_null`] is about the rest.
    pub(in crate::exec) fn evaluate_matching(
        exprs: &[Evaluator],
        matching: &[bool],
        batch: &Batch,
        context: &ExecContext,
    ) -> Result<Self> {
        let (columns, types) = arrays(exprs, batch, context)?;
        Ok(Self::bytes(&columns, &types, batch.rows, |at| {
            !matching[at]
        }))
    }

    /// The same where there may be no expressions: all keys are alike then.
    pub(in crate::exec) fn evaluate_any(
        exprs: &[Evaluator],
        batch: &Batch,
        context: &ExecContext,
    ) -> Result<Self> {
        match exprs {
            [] => Ok(Self::Integers {
                values: vec![0; batch.rows].into(),
                nulls: None,
            }),
            exprs => Self::evaluate(exprs, batch, context),
        }
    }

    /// Whether two rows' keys are equal, NULLs being alike.
    pub(in crate::exec) fn same(&self, row: usize, other: &Self, other_row: usize) -> bool {
        match (self, other) {
            (Self::Integers { values, .. }, Self::Integers { values: others, .. }) => {
                match (self.has_null(row), other.has_null(other_row)) {
                    (false, false) => values[row] == others[other_row],
                    (one, two) => one == two,
                }
            }
            (Self::Bytes { bytes, .. }, Self::Bytes { bytes: others, .. }) => {
                bytes.get(row) == others.get(other_row)
            }
            _ => false,
        }
    }

    /// How many.
    pub(in crate::exec) fn len(&self) -> usize {
        match self {
            Self::Integers { values, .. } => values.len(),
            Self::Bytes { bytes, .. } => bytes.len(),
        }
    }

    /// Whether a part of the row's key is NULL.
    pub(in crate::exec) fn has_null(&self, row: usize) -> bool {
        match self {
            Self::Integers { nulls, .. } => nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)),
            Self::Bytes { nulls, .. } => nulls[row],
        }
    }
}

fn arrays(
    exprs: &[Evaluator],
    batch: &Batch,
    context: &ExecContext,
) -> Result<(Vec<ArrayRef>, Vec<DataType>)> {
    let columns = Evaluator::arrays(exprs, batch, context)?;
    Ok((columns, exprs.iter().map(Evaluator::data_type).collect()))
}

/// Appends the key bytes of each row.
pub(in crate::exec) fn encode(
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
