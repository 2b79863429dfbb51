//! Aggregates of ordered sets: `percentile_cont`, `percentile_disc` and `mode`.
//!
//! Whoever calls them gives all rows of a group at once and in order, a group after the other. So nothing
//! is kept of a group but where its values begin and how many there are; the values stay as they came:
//!
//! ```text
//!   values    [ 3 5 5 9 | 1 2 ][ 2 7 ]      two arrays
//!   groups    0: from 0, 4     1: from 4, 4
//! ```

use super::{Accumulator, Aggregate, FrameContext, FrameRows, MakeAccumulator, RowOrder};
use crate::error::{Error, Result, state};
use crate::function::EvalContext;
use crate::function::interval;
use crate::function::native::{self, SqlType};
use arrow_array::{Array, ArrayRef, UInt32Array, new_null_array};
use remora_storage::value::{ColumnBuilder, value_at};
use remora_storage::{DataType, Value, ValueRef};
use std::cmp::Ordering;

/// What is asked of the ordered values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// What lies a fraction of the way from the first to the last, between two values if need be.
    Continuous,
    /// The first value that has at least a fraction of all before it or is one of them.
    Discrete,
    /// The value that comes most often, the first of those.
    Mode,
}

/// A group of ordered values.
#[derive(Clone, Copy, Default)]
struct Group {
    first: usize,
    count: usize,
    fraction: Option<f64>,
}

pub(super) struct OrderedSet {
    question: Question,
    data_type: DataType,
    values: Vec<ArrayRef>,
    /// Where each array begins.
    starts: Vec<usize>,
    rows: usize,
    groups: Vec<Group>,
}

impl OrderedSet {
    fn asking(question: Question, data_type: DataType) -> Box<dyn Accumulator> {
        Box::new(Self::of(question, data_type))
    }

    /// Of values of a type.
    pub(super) fn of(question: Question, data_type: DataType) -> Self {
        Self {
            question,
            data_type,
            values: Vec::new(),
            starts: Vec::new(),
            rows: 0,
            groups: Vec::new(),
        }
    }

    /// What is asked of a group at a fraction; `None` of one without values.
    pub(super) fn at(&self, group: usize, fraction: f64) -> Result<Option<Value>> {
        let group = self.groups.get(group).filter(|group| group.count > 0);
        let Some(group) = group else {
            return Ok(None);
        };
        match self.question {
            Question::Continuous => self.between(group, fraction).map(Some),
            _ => {
                let position = group.first + discrete(group.count, fraction);
                Ok(Some(self.value(position).to_owned()))
            }
        }
    }

    /// Where a value is: in which array, and there.
    fn place(&self, position: usize) -> (usize, usize) {
        let array = self.starts.partition_point(|start| *start <= position) - 1;
        (array, position - self.starts[array])
    }

    fn value(&self, position: usize) -> ValueRef<'_> {
        let (array, row) = self.place(position);
        value_at(&self.values[array], self.data_type, row)
    }

    /// The position of the value that comes most often.
    fn most_frequent(&self, group: &Group) -> usize {
        let (mut best, mut best_count) = (group.first, 0);
        let mut begin = group.first;
        let end = group.first + group.count;
        for position in group.first + 1..=end {
            let same = position < end
                && self.value(position).compare(self.value(begin)) == Some(Ordering::Equal);
            if !same {
                if position - begin > best_count {
                    (best, best_count) = (begin, position - begin);
                }
                begin = position;
            }
        }
        best
    }

    /// What lies between two values of a group.
    fn between(&self, group: &Group, fraction: f64) -> Result<Value> {
        let at = fraction * (group.count - 1) as f64;
        let (low, high) = (at.floor(), at.ceil());
        let value = |at: f64| self.value(group.first + at as usize);
        Ok(match (value(low), value(high)) {
            (ValueRef::Double(a), ValueRef::Double(b)) if low < high => {
                Value::Double(a + (at - low) * (b - a))
            }
            (ValueRef::Interval(a), ValueRef::Interval(b)) if low < high => {
                let way = interval::multiply(interval::subtract(b, a)?, at - low)?;
                Value::Interval(interval::add(a, way)?)
            }
            (value, _) => value.to_owned(),
        })
    }

    fn continuous(&self, groups: &[Group]) -> Result<ArrayRef> {
        let mut results = ColumnBuilder::new(self.data_type, groups.len());
        for group in groups {
            let result = match (group.count, group.fraction) {
                (0, _) | (_, None) => Value::Null,
                (_, Some(fraction)) => self.between(group, fraction)?,
            };
            results.push(result.as_ref());
        }
        Ok(results.finish())
    }

    fn picked(&self, groups: &[Group]) -> Result<ArrayRef> {
        let null = new_null_array(&self.data_type.arrow(), 1);
        let mut arrays: Vec<&dyn Array> = self.values.iter().map(AsRef::as_ref).collect();
        let of_null = (arrays.len(), 0);
        arrays.push(null.as_ref());
        let pick = |group: &Group| match (group.count, self.question, group.fraction) {
            (0, ..) => of_null,
            (_, Question::Mode, _) => self.place(self.most_frequent(group)),
            (_, _, None) => of_null,
            (count, _, Some(fraction)) => self.place(group.first + discrete(count, fraction)),
        };
        let picks: Vec<(usize, usize)> = groups.iter().map(pick).collect();
        arrow_select::interleave::interleave(&arrays, &picks)
            .map_err(|error| Error::new(state::INTERNAL_ERROR, error.to_string()))
    }
}

impl Accumulator for OrderedSet {
    fn update(
        &mut self,
        groups: &[u32],
        group_count: usize,
        arguments: &[ArrayRef],
        _: &EvalContext,
    ) -> Result<()> {
        self.groups
            .resize_with(group_count.max(self.groups.len()), Group::default);
        let (fractions, values) = match arguments {
            [fractions, values] => (Some(fractions), values),
            arguments => (None, &arguments[0]),
        };
        let valid = (0..values.len() as u32).filter(|row| values.is_valid(*row as usize));
        let valid: Vec<u32> = valid.collect();
        self.starts.push(self.rows);
        for (position, row) in valid.iter().enumerate() {
            let group = &mut self.groups[groups[*row as usize] as usize];
            if group.count == 0 {
                group.first = self.rows + position;
            }
            group.count += 1;
        }
        if let Some(fractions) = fractions {
            let column = native::Double::column(fractions.as_ref());
            for (row, group) in groups.iter().enumerate() {
                let group = &mut self.groups[*group as usize];
                if fractions.is_valid(row) && group.fraction.is_none() {
                    group.fraction = Some(checked(column[row])?);
                }
            }
        }
        self.rows += valid.len();
        let kept = arrow_select::take::take(values, &UInt32Array::from(valid), None);
        self.values
            .push(kept.map_err(|error| Error::new(state::INTERNAL_ERROR, error.to_string()))?);
        Ok(())
    }

    fn over_frames(
        &self,
        _: &[FrameRows],
        _: &[ArrayRef],
        _: &mut FrameContext<'_>,
    ) -> Result<ArrayRef> {
        Err(Error::unsupported("an ordered-set aggregate over a window"))
    }

    fn finish(&mut self, group_count: usize, _: &EvalContext) -> Result<ArrayRef> {
        self.groups
            .resize_with(group_count.max(self.groups.len()), Group::default);
        let groups = &self.groups[..group_count];
        match self.question {
            Question::Continuous => self.continuous(groups),
            Question::Discrete | Question::Mode => self.picked(groups),
        }
    }

    /// Long strings are those of the sorted rows, which are reserved.
    fn bytes(&self) -> usize {
        self.rows * 17 + self.groups.capacity() * size_of::<Group>()
    }
}

/// Which of so many values is the first that has at least a fraction of all before it or is one of them.
fn discrete(count: usize, fraction: f64) -> usize {
    let rank = (fraction * count as f64).ceil().max(1.0) as usize;
    rank.min(count) - 1
}

/// 22003 where it is no fraction.
pub(super) fn checked(fraction: f64) -> Result<f64> {
    match (0.0..=1.0).contains(&fraction) {
        true => Ok(fraction),
        false => Err(sql_error!(
            NUMERIC_VALUE_OUT_OF_RANGE,
            "percentile value {fraction} is not between 0 and 1"
        )),
    }
}

macro_rules! table {
    ($($sql:ident),*) => {
        &[
            $(
                Aggregate {
                    name: "mode",
                    arguments: &[native::$sql::TYPE],
                    returns: native::$sql::TYPE,
                    accumulator: MakeAccumulator::Typed(|| OrderedSet::asking(Question::Mode, native::$sql::TYPE)),
                    order: RowOrder::Set,
                    doc: "The value that comes most often.",
                },
                Aggregate {
                    name: "percentile_disc",
                    arguments: &[DataType::Double, native::$sql::TYPE],
                    returns: native::$sql::TYPE,
                    accumulator: MakeAccumulator::Typed(|| OrderedSet::asking(Question::Discrete, native::$sql::TYPE)),
                    order: RowOrder::Set,
                    doc: "The first value that a fraction of all does not exceed.",
                },
            )*
            Aggregate {
                name: "percentile_cont",
                arguments: &[DataType::Double, DataType::Double],
                returns: DataType::Double,
                accumulator: MakeAccumulator::Typed(|| OrderedSet::asking(Question::Continuous, DataType::Double)),
                order: RowOrder::Set,
                doc: "What lies a fraction of the way along the ordered values.",
            },
            Aggregate {
                name: "percentile_cont",
                arguments: &[DataType::Double, DataType::Interval],
                returns: DataType::Interval,
                accumulator: MakeAccumulator::Typed(|| OrderedSet::asking(Question::Continuous, DataType::Interval)),
                order: RowOrder::Set,
                doc: "What lies a fraction of the way along the ordered values.",
            },
        ]
    };
}

pub(super) static AGGREGATES: &[Aggregate] = table!(
    Boolean,
    SmallInt,
    Integer,
    BigInt,
    Real,
    Double,
    Numeric,
    Text,
    Char,
    Bytea,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Interval,
    Uuid
);
