//! Decoding into Arrow arrays.

use super::Frozen;
use super::column::Column;
use super::data::{Data, Dictionary};
use super::decimal::Decimal;
use super::ints::Ints;
use super::pack::{VECTOR, each_vector};
use super::strings::Strings;
use crate::ids::ColumnId;
use crate::value::{ColumnBuilder, DataType, Value};
use arrow_array::builder::make_view;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use arrow_array::{
    ArrayRef, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, PrimitiveArray, StringViewArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use std::ops::Range;
use std::sync::Arc;

/// A view names a place in a buffer with 32 bits: a buffer ends before that.
const BUFFER_BYTES_MAX: usize = 1 << 30;

/// Rows that are decoded as fast one by one as the vectors that they are in.
const RUN_MIN: usize = 64;

/// A view has strings up to this long in itself.
const VIEW_BYTES_MAX: usize = 12;

/// Which rows are decoded.
#[derive(Clone)]
enum Rows<'r> {
    Run(Range<usize>),
    List(&'r [u32]),
}

impl Rows<'_> {
    fn len(&self) -> usize {
        match self {
            Rows::Run(run) => run.len(),
            Rows::List(list) => list.len(),
        }
    }

    fn at(&self, index: usize) -> usize {
        match self {
            Rows::Run(run) => run.start + index,
            Rows::List(list) => list[index] as usize,
        }
    }

    fn each(&self, mut each: impl FnMut(usize)) {
        match self {
            Rows::Run(run) => run.clone().for_each(each),
            Rows::List(list) => list.iter().for_each(|row| each(*row as usize)),
        }
    }
}

/// Values in the plain form of their class.
enum Decoded {
    Nothing,
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Fixed {
        bytes: Vec<u8>,
        width: usize,
    },
    Views {
        views: Vec<u128>,
        buffers: Vec<Buffer>,
    },
}

impl Frozen {
    /// A run of a column as a plain Arrow array of `data_type.arrow()`. All NULL for a column that
    /// the block does not have.
    ///
    /// # Panics
    /// When there are fewer rows, or the column has values of another type.
    pub fn array(&self, column: ColumnId, data_type: DataType, positions: Range<u32>) -> ArrayRef {
        assert!(positions.end as usize <= self.rows(), "rows of this block");
        let run = positions.start as usize..positions.end as usize;
        self.decode_rows(column, data_type, &Rows::Run(run))
    }

    /// The rows at some positions of a column, as [`Frozen::array`].
    ///
    /// # Panics
    /// When there is no such position, or the column has values of another type.
    pub fn array_of(&self, column: ColumnId, data_type: DataType, positions: &[u32]) -> ArrayRef {
        let last = positions.iter().max();
        assert!(
            last.is_none_or(|last| (*last as usize) < self.rows()),
            "rows of this block"
        );
        let rows = run_of(positions).map_or(Rows::List(positions), Rows::Run);
        self.decode_rows(column, data_type, &rows)
    }

    fn decode_rows(&self, column: ColumnId, data_type: DataType, rows: &Rows<'_>) -> ArrayRef {
        match self.column(column) {
            None => ColumnBuilder::repeat(data_type, &Value::Null, rows.len()),
            Some(column) => {
                // What was checked when the block was read holds for its own type only.
                let is_text = column.data_type.is_text() && data_type.is_text();
                let frozen = column.data_type;
                assert!(
                    is_text || frozen == data_type,
                    "a column of {frozen} is none of {data_type}"
                );
                let nulls = nulls(&self.image, column, rows);
                let decoded = decode(&self.image, &column.data, rows);
                array(decoded, data_type, nulls, rows.len())
            }
        }
    }
}

/// The run that positions are, where it is worth decoding whole vectors.
fn run_of(positions: &[u32]) -> Option<Range<usize>> {
    let (first, last) = (*positions.first()? as usize, *positions.last()? as usize);
    let follow = |pair: &[u32]| pair[1] == pair[0] + 1;
    let is_run = positions.len() >= RUN_MIN && positions.windows(2).all(follow);
    is_run.then_some(first..last + 1)
}

fn nulls(image: &[u8], column: &Column, rows: &Rows<'_>) -> Option<NullBuffer> {
    column.has_nulls().then(|| {
        let is_valid = |index| column.is_valid(image, rows.at(index));
        NullBuffer::new(BooleanBuffer::collect_bool(rows.len(), is_valid))
    })
}

fn decode(image: &[u8], data: &Data, rows: &Rows<'_>) -> Decoded {
    match data {
        Data::Nothing => Decoded::Nothing,
        Data::Ints(ints) => Decoded::Ints(decode_ints(image, ints, rows)),
        Data::Decimal(decimal) => Decoded::Floats(decode_floats(image, decimal, rows)),
        Data::Fixed { at, width } => {
            let (all, width) = (&image[at.clone()], *width);
            let mut bytes = Vec::with_capacity(rows.len() * width);
            rows.each(|row| bytes.extend_from_slice(&all[row * width..][..width]));
            Decoded::Fixed { bytes, width }
        }
        Data::Strings(strings) => decode_strings(image, strings, rows),
        Data::Dictionary(dictionary) => decode_dictionary(image, dictionary, rows),
    }
}

fn decode_ints(image: &[u8], ints: &Ints, rows: &Rows<'_>) -> Vec<i64> {
    match rows {
        Rows::List(list) => list
            .iter()
            .map(|row| ints.get(image, *row as usize))
            .collect(),
        Rows::Run(run) => ints.run(image, run),
    }
}

fn decode_floats(image: &[u8], decimal: &Decimal, rows: &Rows<'_>) -> Vec<f64> {
    match rows {
        Rows::List(list) => {
            let get = |row: &u32| decimal.get(image, *row as usize);
            list.iter().map(get).collect()
        }
        Rows::Run(run) => {
            let mut out = Vec::with_capacity(run.len());
            let mut values = [0.0; VECTOR];
            each_vector(run, |vector, part| {
                let count = decimal.vector_len(vector);
                decimal.unpack(image, vector, &mut values[..count]);
                out.extend_from_slice(&values[part]);
            });
            out
        }
    }
}

fn decode_strings(image: &[u8], strings: &Strings, rows: &Rows<'_>) -> Decoded {
    let mut views = Views::with_capacity(rows.len());
    match rows {
        Rows::Run(run) => strings.each(image, run, |string| views.push(string)),
        Rows::List(list) => {
            let mut scratch = Vec::new();
            for row in *list {
                views.push(strings.get(image, *row as usize, &mut scratch));
            }
        }
    }
    views.finish()
}

/// Strings as Arrow has them: a view each, and buffers of those that are too long for a view.
struct Views {
    views: Vec<u128>,
    buffers: Vec<Buffer>,
    bytes: Vec<u8>,
}

impl Views {
    fn with_capacity(strings: usize) -> Self {
        Self {
            views: Vec::with_capacity(strings),
            buffers: Vec::new(),
            bytes: Vec::new(),
        }
    }

    fn push(&mut self, string: &[u8]) {
        if string.len() <= VIEW_BYTES_MAX {
            self.views.push(make_view(string, 0, 0));
            return;
        }
        if self.bytes.len() >= BUFFER_BYTES_MAX {
            let full = std::mem::take(&mut self.bytes);
            self.buffers.push(Buffer::from_vec(full));
        }
        let (buffer, offset) = (self.buffers.len() as u32, self.bytes.len() as u32);
        self.bytes.extend_from_slice(string);
        self.views.push(make_view(string, buffer, offset));
    }

    fn finish(mut self) -> Decoded {
        self.buffers.push(Buffer::from_vec(self.bytes));
        Decoded::Views {
            views: self.views,
            buffers: self.buffers,
        }
    }
}

fn decode_dictionary(image: &[u8], dictionary: &Dictionary, rows: &Rows<'_>) -> Decoded {
    let codes = decode_ints(image, &dictionary.codes, rows);
    if codes.len() < dictionary.entries {
        let codes: Vec<u32> = codes.iter().map(|code| *code as u32).collect();
        return decode(image, &dictionary.values, &Rows::List(&codes));
    }
    let codes = codes.iter().map(|code| *code as usize);
    match decode(image, &dictionary.values, &Rows::Run(0..dictionary.entries)) {
        Decoded::Nothing => Decoded::Nothing,
        Decoded::Floats(values) => Decoded::Floats(codes.map(|code| values[code]).collect()),
        Decoded::Ints(values) => Decoded::Ints(codes.map(|code| values[code]).collect()),
        Decoded::Fixed {
            bytes: values,
            width,
        } => {
            let mut bytes = Vec::with_capacity(codes.len() * width);
            codes.for_each(|code| bytes.extend_from_slice(&values[code * width..][..width]));
            Decoded::Fixed { bytes, width }
        }
        Decoded::Views {
            views: values,
            buffers,
        } => Decoded::Views {
            views: codes.map(|code| values[code]).collect(),
            buffers,
        },
    }
}

/// The array of decoded values.
fn array(
    decoded: Decoded,
    data_type: DataType,
    nulls: Option<NullBuffer>,
    rows: usize,
) -> ArrayRef {
    match decoded {
        Decoded::Nothing => ColumnBuilder::repeat(data_type, &Value::Null, rows),
        Decoded::Floats(floats) => match data_type {
            DataType::Real => {
                let values = floats.iter().map(|value| *value as f32).collect();
                primitive::<Float32Type>(values, data_type, nulls)
            }
            _ => primitive::<Float64Type>(floats, data_type, nulls),
        },
        Decoded::Ints(ints) => array_of_ints(ints, data_type, nulls),
        Decoded::Fixed { bytes, width } => array_of_fixed(bytes, width, data_type, nulls),
        Decoded::Views { views, buffers } => match data_type {
            DataType::Bytea | DataType::Packed(_) => {
                // SAFETY: each view was made of bytes at the place in the buffer that it names.
                Arc::new(unsafe { BinaryViewArray::new_unchecked(views.into(), buffers, nulls) })
            }
            _ => {
                // SAFETY: as above; and the strings of a column of text are UTF-8, which was
                // checked of each when the block was built or read, and rows that are NULL have
                // the empty string or that of another row between prefix and suffix.
                Arc::new(unsafe { StringViewArray::new_unchecked(views.into(), buffers, nulls) })
            }
        },
    }
}

fn array_of_ints(ints: Vec<i64>, data_type: DataType, nulls: Option<NullBuffer>) -> ArrayRef {
    match data_type {
        DataType::Boolean => {
            let bits = BooleanBuffer::collect_bool(ints.len(), |at| ints[at] != 0);
            Arc::new(BooleanArray::new(bits, nulls))
        }
        DataType::SmallInt => cast::<Int16Type>(&ints, data_type, nulls, |n| n as i16),
        DataType::Integer => cast::<Int32Type>(&ints, data_type, nulls, |n| n as i32),
        DataType::Date => cast::<Date32Type>(&ints, data_type, nulls, |n| n as i32),
        DataType::Numeric(Some(_)) => cast::<Decimal128Type>(&ints, data_type, nulls, i128::from),
        DataType::BigInt => primitive::<Int64Type>(ints, data_type, nulls),
        DataType::Time => primitive::<Time64MicrosecondType>(ints, data_type, nulls),
        DataType::Timestamp | DataType::TimestampTz => {
            primitive::<TimestampMicrosecondType>(ints, data_type, nulls)
        }
        other => unreachable!("{other} is not held as integers"),
    }
}

fn array_of_fixed(
    bytes: Vec<u8>,
    width: usize,
    data_type: DataType,
    nulls: Option<NullBuffer>,
) -> ArrayRef {
    match data_type {
        DataType::Real => {
            let values = bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b));
            primitive::<Float32Type>(values.collect(), data_type, nulls)
        }
        DataType::Double => {
            let values = bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b));
            primitive::<Float64Type>(values.collect(), data_type, nulls)
        }
        DataType::Numeric(Some(_)) => {
            let values = bytes.as_chunks().0.iter().map(|b| i128::from_le_bytes(*b));
            primitive::<Decimal128Type>(values.collect(), data_type, nulls)
        }
        DataType::Interval => {
            let values = bytes.as_chunks().0.iter().map(|bytes: &[u8; 16]| {
                let [a, b, c, d] = *bytes.as_chunks::<4>().0 else {
                    unreachable!("four times four bytes");
                };
                let micros =
                    u64::from(u32::from_le_bytes(d)) << 32 | u64::from(u32::from_le_bytes(c));
                IntervalMonthDayNano {
                    months: i32::from_le_bytes(a),
                    days: i32::from_le_bytes(b),
                    nanoseconds: micros as i64,
                }
            });
            primitive::<IntervalMonthDayNanoType>(values.collect(), data_type, nulls)
        }
        _ => {
            let width = width as i32;
            Arc::new(FixedSizeBinaryArray::new(
                width,
                Buffer::from_vec(bytes),
                nulls,
            ))
        }
    }
}

fn cast<T: ArrowPrimitiveType>(
    ints: &[i64],
    data_type: DataType,
    nulls: Option<NullBuffer>,
    cast: impl Fn(i64) -> T::Native,
) -> ArrayRef {
    let values = ints.iter().map(|n| cast(*n)).collect();
    primitive::<T>(values, data_type, nulls)
}

fn primitive<T: ArrowPrimitiveType>(
    values: Vec<T::Native>,
    data_type: DataType,
    nulls: Option<NullBuffer>,
) -> ArrayRef {
    let array = PrimitiveArray::<T>::new(values.into(), nulls);
    Arc::new(array.with_data_type(data_type.arrow()))
}
