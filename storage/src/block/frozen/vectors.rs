//! Columns a vector of 1,024 rows at a time, for aggregates that need no Arrow array: a filter gives
//! the mask of a vector, and values are decoded into an array on the stack that stays in the cache.
//!
//! ```
//! # use remora_storage::{block::{Frozen, frozen::sum_i64}, pool::{Ledger, Pool}};
//! # use remora_storage::{ColumnId, DataType, succinct::BitVector, value::ColumnBounds, Value};
//! # use std::{ops::Bound, sync::Arc};
//! # let pool = Pool::new(Ledger::new(1 << 26));
//! # let array = Arc::new(arrow_array::Int64Array::from_iter_values(0..5000));
//! # let column = ColumnId(1);
//! # let columns = [(column, DataType::BigInt, array as arrow_array::ArrayRef)];
//! # let block = Frozen::build(&pool, &BitVector::ones_only(5000), &columns)?;
//! let low = Bound::Included(Value::BigInt(4000));
//! let bounds = [ColumnBounds { column, low, high: Bound::Unbounded }];
//! let (mut values, mut sum) = ([0; Frozen::VECTOR_ROWS], 0);
//! if let Some(filter) = block.filter(&bounds) {
//!     for vector in 0..block.vectors() {
//!         let chosen = filter.mask(vector);
//!         if !chosen.is_empty() && block.read_i64(column, vector, &mut values) {
//!             sum += sum_i64(&values, &chosen);
//!         }
//!     }
//! }
//! assert_eq!(sum, (4000..5000).sum());
//! # Ok::<(), remora_storage::Error>(())
//! ```

use super::data::Data;
use super::mask::Mask;
use super::pack::VECTOR;
use super::plain;
use super::{Frozen, floats};
use crate::ids::ColumnId;
use crate::value::DataType;

impl Frozen {
    /// Rows of a vector; the last one of a block may have fewer.
    pub const VECTOR_ROWS: usize = VECTOR;

    /// How many vectors the rows make.
    pub fn vectors(&self) -> usize {
        self.rows().div_ceil(VECTOR)
    }

    /// Rows of a vector.
    pub fn vector_len(&self, vector: usize) -> usize {
        (self.rows() - vector * VECTOR).min(VECTOR)
    }

    /// The type that a column was frozen with; `None` where the block does not have it.
    pub fn data_type(&self, column: ColumnId) -> Option<DataType> {
        Some(self.column(column)?.data_type)
    }

    /// The rows of a vector whose column is not NULL.
    pub fn present(&self, column: ColumnId, vector: usize) -> Mask {
        match self.column(column) {
            None => Mask::first(0),
            Some(column) => column.present(&self.image, vector, self.vector_len(vector)),
        }
    }

    /// Decodes a vector of a column of REAL or DOUBLE. What stands where a row is NULL, and beyond
    /// the vector's rows, means nothing. `false`, and nothing decoded, where the block does not have
    /// the column or it is of another type.
    pub fn read_f64(&self, column: ColumnId, vector: usize, out: &mut [f64; VECTOR]) -> bool {
        let column = self.column(column);
        let is_float = |t: DataType| matches!(t, DataType::Real | DataType::Double);
        let Some(column) = column.filter(|column| is_float(column.data_type)) else {
            return false;
        };
        let out = &mut out[..self.vector_len(vector)];
        floats::unpack(&self.image, &column.data, vector, out);
        true
    }

    /// Decodes a vector of a column that is held as integers: SMALLINT to BIGINT, BOOLEAN (0, 1),
    /// DATE, TIME, TIMESTAMP, and NUMERIC(p,s) of which the mantissas fit. As for
    /// [`Frozen::read_f64`] otherwise.
    pub fn read_i64(&self, column: ColumnId, vector: usize, out: &mut [i64; VECTOR]) -> bool {
        let Some(column) = self.column(column) else {
            return false;
        };
        match &column.data {
            Data::Ints(ints) => {
                ints.unpack(&self.image, vector, out);
                true
            }
            Data::Dictionary(dictionary) if plain::int_range(column.data_type).is_some() => {
                let Data::Ints(values) = &dictionary.values else {
                    return false;
                };
                let count = dictionary.codes.unpack(&self.image, vector, out);
                for code in &mut out[..count] {
                    *code = values.get(&self.image, *code as usize);
                }
                true
            }
            _ => false,
        }
    }
}
