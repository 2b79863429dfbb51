//! Ends of frames that lie so far away in what is ordered by: `RANGE BETWEEN '1 day' PRECEDING ..`.
//!
//! Of each row the *limit* is computed, its key and the offset together, and the place in the partition that
//! the limit has is looked for from where it was found for the row before: keys and limits both go only
//! forward. NULLs are peers of each other and far from everything else.

use super::super::ExecContext;
use super::super::eval::{Evaluator, eval_constant};
use super::super::memory::Held;
use super::section::Section;
use crate::error::{Error, Result, state};
use crate::function::decimal;
use crate::plan::SortKey;
use crate::plan::window::FrameOffset;
use remora_storage::value::value_at;
use remora_storage::{DataType, Numeric, Value, ValueRef};
use std::cmp::Ordering;

/// One end.
#[derive(Debug)]
pub(super) struct RangeEnd {
    key: Evaluator,
    offset: FrameOffset,
    limit: Option<Evaluator>,
    descending: bool,
    nulls_first: bool,
    is_start: bool,
}

/// Where something lies in the order of the rows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Place<T> {
    /// Before all values.
    First,
    /// At this value.
    At(T),
    /// Behind all values.
    Last,
}

impl RangeEnd {
    pub(super) fn new(offset: &FrameOffset, key: &SortKey, is_start: bool) -> Self {
        Self {
            key: Evaluator::new(key.expr.clone()),
            limit: offset.limit.clone().map(Evaluator::new),
            offset: offset.clone(),
            descending: key.descending,
            nulls_first: key.nulls_first,
            is_start,
        }
    }

    /// Where it is for each row: the first row of the frame, or the one behind the last.
    pub(super) fn positions(
        &self,
        section: &Section,
        held: &mut Held,
        context: &ExecContext,
    ) -> Result<Vec<u32>> {
        let amount = self.amount(context)?;
        let rows = section.batch.rows;
        held.grow(2 * rows * size_of::<Place<Numeric>>(), context)?;
        let keys = self.key.array(&section.batch, context)?;
        let of = self.key.data_type();
        let limits = match &self.limit {
            Some(limit) => Some((limit.array(&section.batch, context)?, limit.data_type())),
            None => None,
        };
        if let DataType::Numeric(_) = of {
            let key = |row| match value_at(&keys, of, row) {
                ValueRef::Numeric(value) => Some(value),
                _ => None,
            };
            let limit = |key| self.numeric_limit(key, amount.as_ref());
            return self.search(section, key, |_, key| limit(key));
        }
        let key = |row| order_of(value_at(&keys, of, row));
        let limit = |row: usize, key: i128| {
            let limit = limits.as_ref();
            match limit.and_then(|(array, of)| order_of(value_at(array, *of, row))) {
                Some(limit) => Ok(limit),
                None => Ok(self.plain_limit(value_at(&keys, of, row), key, amount.as_ref())),
            }
        };
        self.search(section, key, limit)
    }

    /// How far it is.
    ///
    /// # Errors
    /// 22004, 22013
    pub(super) fn amount(&self, context: &ExecContext) -> Result<Value> {
        let amount = eval_constant(&self.offset.amount, context)?.into_value();
        let negative = match (&amount, self.key.data_type()) {
            (Value::Null, _) => {
                let which = if self.is_start { "starting" } else { "ending" };
                let message = format!("frame {which} offset must not be null");
                return Err(Error::new(state::NULL_VALUE_NOT_ALLOWED, message));
            }
            (Value::Interval(amount), DataType::Time) => amount.micros < 0,
            (Value::Double(amount), _) => amount.is_nan() || *amount < 0.0,
            (Value::Numeric(amount), _) => *amount == Numeric::NAN || decimal::signum(*amount) < 0,
            (amount, _) => order_of(amount.as_ref()).is_some_and(|amount| amount < 0),
        };
        match negative {
            false => Ok(amount),
            true => Err(sql_error!(
                INVALID_PRECEDING_OR_FOLLOWING_SIZE,
                "invalid preceding or following size in window function"
            )),
        }
    }

    /// Whether the limit is the key and the offset, not the key less the offset.
    fn adds(&self) -> bool {
        self.offset.following != self.descending
    }

    /// Whether a limit that leaves out no value is below them.
    fn is_below(&self) -> bool {
        self.is_start != self.descending
    }

    /// The limit of a key that is no moment and no NUMERIC.
    fn plain_limit(&self, key: ValueRef<'_>, order: i128, amount: ValueRef<'_>) -> i128 {
        let float = |key: f64, amount: f64| {
            let limit = if self.adds() {
                key + amount
            } else {
                key - amount
            };
            match limit.is_nan() && !key.is_nan() {
                // From one infinity back by another: everything but NaN is near enough.
                true if self.is_below() => order_of_float(f64::NEG_INFINITY),
                true => order_of_float(f64::INFINITY),
                false => order_of_float(limit),
            }
        };
        let amount = match (key, amount) {
            (ValueRef::Double(key), ValueRef::Double(amount)) => return float(key, amount),
            (ValueRef::Real(key), ValueRef::Double(amount)) => return float(key.into(), amount),
            (ValueRef::Time(_), ValueRef::Interval(amount)) => i128::from(amount.micros),
            (_, amount) => order_of(amount).unwrap_or(0),
        };
        if self.adds() {
            order + amount
        } else {
            order - amount
        }
    }

    fn numeric_limit(&self, key: Numeric, amount: ValueRef<'_>) -> Result<Numeric> {
        let ValueRef::Numeric(amount) = amount else {
            return Ok(key);
        };
        let limit = if self.adds() {
            decimal::add(key, amount)?
        } else {
            decimal::subtract(key, amount)?
        };
        Ok(match limit == Numeric::NAN && key != Numeric::NAN {
            true if self.is_below() => Numeric::NEG_INFINITY,
            true => Numeric::INFINITY,
            false => limit,
        })
    }

    /// Looks for each row's limit among the keys of its partition.
    fn search<T: Ord + Copy>(
        &self,
        section: &Section,
        key: impl Fn(usize) -> Option<T>,
        limit: impl Fn(usize, T) -> Result<T>,
    ) -> Result<Vec<u32>> {
        let null = match self.nulls_first {
            true => Place::First,
            false => Place::Last,
        };
        let rows = section.batch.rows;
        let places: Vec<Place<T>> = (0..rows)
            .map(|row| key(row).map_or(null, Place::At))
            .collect();
        let mut out = Vec::with_capacity(rows);
        for partition in section.partitions() {
            let mut at = partition.rows.start;
            for row in partition.rows.clone() {
                let limit = match places[row as usize] {
                    Place::At(key) => Place::At(limit(row as usize, key)?),
                    null => null,
                };
                while at < partition.rows.end {
                    match self.compare(&places[at as usize], &limit) {
                        Ordering::Less => {}
                        Ordering::Equal if !self.is_start => {}
                        _ => break,
                    }
                    at += 1;
                }
                out.push(at);
            }
        }
        Ok(out)
    }

    fn compare<T: Ord>(&self, one: &Place<T>, two: &Place<T>) -> Ordering {
        match (one, two) {
            (Place::At(one), Place::At(two)) if self.descending => two.cmp(one),
            _ => one.cmp(two),
        }
    }
}

/// A number that is ordered as the value is; `None` for NULL. Of intervals it is the length.
fn order_of(value: ValueRef<'_>) -> Option<i128> {
    const DAY: i128 = 86_400_000_000;
    Some(match value {
        ValueRef::SmallInt(value) => value.into(),
        ValueRef::Integer(value) => value.into(),
        ValueRef::BigInt(value)
        | ValueRef::Time(value)
        | ValueRef::Timestamp(value)
        | ValueRef::TimestampTz(value) => value.into(),
        ValueRef::Date(i32::MAX) => i64::MAX.into(),
        ValueRef::Date(i32::MIN) => i64::MIN.into(),
        ValueRef::Date(days) => i128::from(days) * DAY,
        ValueRef::Real(value) => order_of_float(value.into()),
        ValueRef::Double(value) => order_of_float(value),
        ValueRef::Interval(value) => {
            let days = i128::from(value.months) * 30 + i128::from(value.days);
            days * DAY + i128::from(value.micros)
        }
        _ => return None,
    })
}

/// The bits of a float as a number that is ordered as floats are, NaN above all.
fn order_of_float(value: f64) -> i128 {
    if value.is_nan() {
        return i128::from(i64::MAX);
    }
    // Adding nothing makes -0 the 0 that it is equal to.
    let bits = (value + 0.0).to_bits() as i64;
    i128::from(if bits < 0 { bits ^ i64::MAX } else { bits })
}
