//! Bounds of a column, made ready to be tested against many rows.
//!
//! Values of most types become 64-bit *words* in the order of the values (`word`), so that two
//! bounds are one comparison: `low <= word <= high`. What has no such word (strings, numerics,
//! intervals, UUIDs) is compared as a value. A NULL passes no test.

use super::images::{Images, Reader, Spot};
use crate::ids::ColumnId;
use crate::value::{ColumnBounds, DataType, Value, ValueRef};
use std::ops::Bound;

/// The bounds of one column.
#[derive(Debug)]
pub(super) struct Test {
    column: ColumnId,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Nothing lies between the bounds.
    Nothing,
    /// Both ends included.
    Words {
        low: i64,
        high: i64,
    },
    Values(ColumnBounds),
}

impl Test {
    pub(super) fn new(bounds: &ColumnBounds) -> Self {
        Self {
            column: bounds.column,
            kind: kind(bounds),
        }
    }

    /// Leaves those of the `chosen` positions whose rows pass.
    pub(super) fn narrow<I: Images + ?Sized>(&self, images: &I, chosen: &mut Vec<u16>) {
        let layout = images.layout();
        let field = layout.and_then(|layout| Some((layout, layout.field(self.column)?)));
        let Some((layout, field)) = field else {
            // A column that the rows are without is NULL in all of them.
            return chosen.clear();
        };
        let spot = Spot::new(layout, field);
        match &self.kind {
            Kind::Nothing => chosen.clear(),
            Kind::Words { low, high } => {
                words(images, spot, field.data_type, (*low, *high), chosen);
            }
            Kind::Values(bounds) => {
                chosen.retain(|at| {
                    let image = images.image(usize::from(*at));
                    bounds.admits(image.read(layout, field))
                });
            }
        }
    }
}

/// Leaves those rows whose word lies between both ends.
fn words<I: Images + ?Sized>(
    images: &I,
    spot: Spot,
    data_type: DataType,
    ends: (i64, i64),
    chosen: &mut Vec<u16>,
) {
    use DataType as T;
    match data_type {
        T::Boolean => keep(images, spot, ends, chosen, |[byte]: [u8; 1]| {
            i64::from(byte)
        }),
        T::SmallInt => keep(images, spot, ends, chosen, |b| i16::from_le_bytes(b).into()),
        T::Integer | T::Date => keep(images, spot, ends, chosen, |b| i32::from_le_bytes(b).into()),
        T::Real => keep(images, spot, ends, chosen, |b| {
            ordered(f32::from_le_bytes(b).into())
        }),
        T::Double => keep(images, spot, ends, chosen, |b| {
            ordered(f64::from_le_bytes(b))
        }),
        T::BigInt | T::Time | T::Timestamp | T::TimestampTz => {
            keep(images, spot, ends, chosen, i64::from_le_bytes);
        }
        other => panic!("bounds of a {other} column are no words"),
    }
}

/// Without a branch on what was read: which rows pass is what nobody can predict.
fn keep<I: Images + ?Sized, const N: usize>(
    images: &I,
    spot: Spot,
    (low, high): (i64, i64),
    chosen: &mut Vec<u16>,
    word: impl Fn([u8; N]) -> i64,
) {
    let span = high.wrapping_sub(low) as u64;
    let passes = |bytes: [u8; N], null: u8| {
        let is_between = word(bytes).wrapping_sub(low) as u64 <= span;
        is_between & !spot.is_null(null)
    };
    let reader = Reader::new(images, spot);
    let mut kept = 0;
    for n in 0..chosen.len() {
        let at = chosen[n];
        let (bytes, null) = reader.at(usize::from(at));
        chosen[kept] = at;
        kept += usize::from(passes(bytes, null));
    }
    chosen.truncate(kept);
}

fn kind(bounds: &ColumnBounds) -> Kind {
    let values = || Kind::Values(bounds.clone());
    match (
        end(&bounds.low, i64::MIN, 1),
        end(&bounds.high, i64::MAX, -1),
    ) {
        // Of which type nobody said: any value will do.
        _ if (&bounds.low, &bounds.high) == (&Bound::Unbounded, &Bound::Unbounded) => values(),
        (End::Word(low), End::Word(high)) if low <= high => Kind::Words { low, high },
        (End::None, _) | (_, End::None) => values(),
        _ => Kind::Nothing,
    }
}

/// One end of the words that a bound lets pass.
enum End {
    Word(i64),
    /// No word is beyond the bound.
    Nothing,
    /// Its type has no words, or it is NULL.
    None,
}

fn end(bound: &Bound<Value>, unbounded: i64, step: i64) -> End {
    let (value, step) = match bound {
        Bound::Unbounded => return End::Word(unbounded),
        Bound::Included(value) => (value, 0),
        Bound::Excluded(value) => (value, step),
    };
    match word(value.as_ref()).map(|word| word.checked_add(step)) {
        Some(Some(word)) => End::Word(word),
        Some(None) => End::Nothing,
        None => End::None,
    }
}

/// A value's place among the values of its type.
fn word(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Boolean(v) => Some(v.into()),
        ValueRef::SmallInt(v) => Some(v.into()),
        ValueRef::Integer(v) | ValueRef::Date(v) => Some(v.into()),
        ValueRef::BigInt(v)
        | ValueRef::Time(v)
        | ValueRef::Timestamp(v)
        | ValueRef::TimestampTz(v) => Some(v),
        ValueRef::Real(v) => Some(ordered(v.into())),
        ValueRef::Double(v) => Some(ordered(v)),
        _ => None,
    }
}

/// A float's bits, turned so that they ascend with the value: one zero, and one NaN above all.
#[inline(always)]
fn ordered(value: f64) -> i64 {
    if value.is_nan() {
        return i64::MAX;
    }
    // -0 + 0 is 0.
    let bits = (value + 0.0).to_bits() as i64;
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}
