//! Bounds of a column, made ready to be tested against many rows.
//!
//! Values of most types become 64-bit *words* in the order of the values (`word`), so that two
//! bounds are one comparison: `low <= word <= high`. What has no such word (strings, numerics,
//! intervals, UUIDs) is compared as a value. A NULL passes no test.

use super::frozen::{Frozen, Mask, key};
use super::images::{Images, Reader, Spot};
use super::layout::{Field, Layout};
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
        let Some((layout, field, spot)) = self.place(images) else {
            return chosen.clear();
        };
        match &self.kind {
            Kind::Nothing => chosen.clear(),
            Kind::Words { low, high } => {
                let mut narrower = Narrower {
                    images,
                    spot,
                    chosen,
                };
                words(field.data_type, spot, (*low, *high), &mut narrower);
            }
            Kind::Values(bounds) => {
                chosen.retain(|at| {
                    let image = images.image(usize::from(*at));
                    bounds.admits(image.read(layout, field))
                });
            }
        }
    }

    /// Leaves those rows of a mask that pass.
    pub(super) fn keep<I: Images + ?Sized>(&self, images: &I, mask: &mut Mask) {
        let Some((layout, field, spot)) = self.place(images) else {
            return *mask = Mask::first(0);
        };
        match &self.kind {
            Kind::Nothing => *mask = Mask::first(0),
            Kind::Words { low, high } => {
                let mut flags = [0; Frozen::VECTOR_ROWS];
                let flags = &mut flags[..images.len().next_multiple_of(64)];
                let mut flagger = Flagger {
                    images,
                    spot,
                    flags,
                };
                words(field.data_type, spot, (*low, *high), &mut flagger);
                mask.keep_flagged(flags);
            }
            Kind::Values(bounds) => {
                let chosen = *mask;
                for at in chosen.iter() {
                    if !bounds.admits(images.image(at).read(layout, field)) {
                        mask.remove(at);
                    }
                }
            }
        }
    }

    /// Where the column is; `None` where the rows are without it, so that it is NULL in all of them.
    fn place<'i, I: Images + ?Sized>(
        &self,
        images: &'i I,
    ) -> Option<(&'i Layout, &'i Field, Spot)> {
        let layout = images.layout()?;
        let field = layout.field(self.column)?;
        Some((layout, field, Spot::new(layout, field)))
    }
}

/// What is done with a comparison of words, once the type says how to read them.
trait Compare {
    fn compare<const N: usize>(&mut self, passes: impl Fn([u8; N], u8) -> bool);
}

/// Has rows compared whose word lies between both ends.
fn words(data_type: DataType, spot: Spot, (low, high): (i64, i64), with: &mut impl Compare) {
    use DataType as T;
    let span = high.wrapping_sub(low) as u64;
    let is_between =
        |word: i64, null: u8| (word.wrapping_sub(low) as u64 <= span) & !spot.is_null(null);
    match data_type {
        T::Boolean => with.compare(|[b]: [u8; 1], null| is_between(b.into(), null)),
        T::SmallInt => with.compare(|b, null| is_between(i16::from_le_bytes(b).into(), null)),
        T::Integer | T::Date => {
            with.compare(|b, null| is_between(i32::from_le_bytes(b).into(), null));
        }
        T::Real => with.compare(|b, null| is_between(key(f32::from_le_bytes(b).into()), null)),
        T::Double => with.compare(|b, null| is_between(key(f64::from_le_bytes(b)), null)),
        T::BigInt | T::Time | T::Timestamp | T::TimestampTz => {
            with.compare(|b, null| is_between(i64::from_le_bytes(b), null));
        }
        other => panic!("bounds of a {other} column are no words"),
    }
}

/// Leaves those of some positions that pass.
struct Narrower<'n, I: ?Sized> {
    images: &'n I,
    spot: Spot,
    chosen: &'n mut Vec<u16>,
}

impl<I: Images + ?Sized> Compare for Narrower<'_, I> {
    /// Without a branch on what was read: which rows pass is what nobody can predict.
    fn compare<const N: usize>(&mut self, passes: impl Fn([u8; N], u8) -> bool) {
        let reader = Reader::new(self.images, self.spot);
        let mut kept = 0;
        for n in 0..self.chosen.len() {
            let at = self.chosen[n];
            let (bytes, null) = reader.at(usize::from(at));
            self.chosen[kept] = at;
            kept += usize::from(passes(bytes, null));
        }
        self.chosen.truncate(kept);
    }
}

/// Sets the flags of all rows that pass.
struct Flagger<'f, I: ?Sized> {
    images: &'f I,
    spot: Spot,
    flags: &'f mut [u8],
}

impl<I: Images + ?Sized> Compare for Flagger<'_, I> {
    fn compare<const N: usize>(&mut self, passes: impl Fn([u8; N], u8) -> bool) {
        let reader = Reader::new(self.images, self.spot);
        let rows = self.images.len();
        for (at, flag) in self.flags[..rows].iter_mut().enumerate() {
            self.images.fetch_after(at);
            let (bytes, null) = reader.at(at);
            *flag = u8::from(passes(bytes, null));
        }
    }
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
        ValueRef::Real(v) => Some(key(v.into())),
        ValueRef::Double(v) => Some(key(v)),
        _ => None,
    }
}
