//! `count`, `bool_and`, `bool_or`, `every`, `bit_and`, `bit_or` and `string_agg`.

use super::state::{Fold, collect, folding};
use super::{Accumulator, Aggregate, Folder};
use crate::error::Result;
use crate::function::EvalContext;
use crate::function::native::{self, SqlType};
use arrow_array::{Array, ArrayRef};
use remora_storage::transaction::{Vector, VectorColumn};
use remora_storage::{DataType, Value};

/// `count(*)` and `count(x)`: only the null mask of `x` matters.
#[derive(Default)]
struct Count {
    counts: Vec<i64>,
}

fn counting() -> Box<dyn Accumulator> {
    Box::<Count>::default()
}

impl Accumulator for Count {
    fn update(
        &mut self,
        groups: &[u32],
        group_count: usize,
        arguments: &[ArrayRef],
        _: &EvalContext,
    ) -> Result<()> {
        self.counts.resize(group_count.max(self.counts.len()), 0);
        let nulls = arguments.first().and_then(|array| array.nulls());
        match nulls.filter(|nulls| nulls.null_count() > 0) {
            // All rows in one group, as where nothing is grouped by.
            None if group_count == 1 => self.counts[0] += groups.len() as i64,
            None => groups
                .iter()
                .for_each(|group| self.counts[*group as usize] += 1),
            Some(nulls) => {
                nulls
                    .valid_indices()
                    .for_each(|row| self.counts[groups[row] as usize] += 1);
            }
        }
        Ok(())
    }

    fn folder(&mut self) -> Option<&mut dyn Folder> {
        Some(self)
    }

    fn finish(&mut self, group_count: usize) -> Result<ArrayRef> {
        self.counts.resize(group_count.max(self.counts.len()), 0);
        collect::<native::BigInt, _>(&self.counts[..group_count], |count| Ok(Some(*count)))
    }

    fn bytes(&self) -> usize {
        self.counts.capacity() * size_of::<i64>()
    }
}

impl Folder for Count {
    fn fold(&mut self, vector: &Vector<'_>, argument: Option<VectorColumn<'_>>) -> Result<()> {
        let rows = match argument {
            Some(column) => column.count(),
            None => vector.rows(),
        };
        self.counts.resize(self.counts.len().max(1), 0);
        self.counts[0] += rows as i64;
        Ok(())
    }

    fn value(&self) -> Result<Value> {
        Ok(Value::BigInt(self.counts.first().copied().unwrap_or(0)))
    }
}

/// Folds values of one type with an operator.
macro_rules! operator_fold {
    ($fold:ident, $sql:ident, $native:ty, |$a:ident, $b:ident| $combine:expr) => {
        struct $fold;
        impl Fold for $fold {
            type Input = native::$sql;
            type Output = native::$sql;
            type State = Option<$native>;

            fn step(state: &mut Option<$native>, $b: $native) -> Result<()> {
                *state = Some(match *state {
                    Some($a) => $combine,
                    None => $b,
                });
                Ok(())
            }
            fn result(state: &Option<$native>) -> Result<Option<$native>> {
                Ok(*state)
            }
        }
    };
}

operator_fold!(BoolAnd, Boolean, bool, |a, b| a && b);
operator_fold!(BoolOr, Boolean, bool, |a, b| a || b);
operator_fold!(AndSmallInt, SmallInt, i16, |a, b| a & b);
operator_fold!(AndInteger, Integer, i32, |a, b| a & b);
operator_fold!(AndBigInt, BigInt, i64, |a, b| a & b);
operator_fold!(OrSmallInt, SmallInt, i16, |a, b| a | b);
operator_fold!(OrInteger, Integer, i32, |a, b| a | b);
operator_fold!(OrBigInt, BigInt, i64, |a, b| a | b);

/// `string_agg(text, delimiter)`: the delimiter of a row stands before that row's text.
#[derive(Default)]
struct StringAgg {
    texts: Vec<Option<String>>,
}

fn joining() -> Box<dyn Accumulator> {
    Box::<StringAgg>::default()
}

impl Accumulator for StringAgg {
    fn update(
        &mut self,
        groups: &[u32],
        group_count: usize,
        arguments: &[ArrayRef],
        _: &EvalContext,
    ) -> Result<()> {
        self.texts
            .resize_with(group_count.max(self.texts.len()), || None);
        let (array, delimiters) = (&arguments[0], &arguments[1]);
        let text = native::Text::column(array.as_ref());
        let delimiter = native::Text::column(delimiters.as_ref());
        for (row, group) in groups
            .iter()
            .enumerate()
            .filter(|(row, _)| array.is_valid(*row))
        {
            match &mut self.texts[*group as usize] {
                Some(joined) => {
                    if delimiters.is_valid(row) {
                        joined.push_str(delimiter.value(row));
                    }
                    joined.push_str(text.value(row));
                }
                first => *first = Some(text.value(row).to_owned()),
            }
        }
        Ok(())
    }

    fn finish(&mut self, group_count: usize) -> Result<ArrayRef> {
        self.texts
            .resize_with(group_count.max(self.texts.len()), || None);
        collect::<native::Text, _>(&self.texts[..group_count], |text| Ok(text.clone()))
    }

    fn bytes(&self) -> usize {
        let heap: usize = self.texts.iter().flatten().map(String::capacity).sum();
        self.texts.capacity() * size_of::<Option<String>>() + heap
    }
}

/// PostgreSQL's `count("any")`: one entry a type, so that no argument is cast. VARCHAR counts as
/// text.
macro_rules! count_of {
    ($($sql:ident),*) => {
        &[$(Aggregate {
            name: "count",
            arguments: &[native::$sql::TYPE],
            returns: DataType::BigInt,
            accumulator: counting,
            doc: "How many values are not NULL.",
        }),*]
    };
}

pub(super) static COUNTS: &[Aggregate] = count_of!(
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

macro_rules! table {
    ($($name:literal $fold:ident $sql:ident $doc:literal),* $(,)?) => {
        &[
            Aggregate {
                name: "count",
                arguments: &[],
                returns: DataType::BigInt,
                accumulator: counting,
                doc: "How many rows there are.",
            },
            Aggregate {
                name: "string_agg",
                arguments: &[DataType::Text, DataType::Text],
                returns: DataType::Text,
                accumulator: joining,
                doc: "The texts, joined with a delimiter.",
            },
            $(Aggregate {
                name: $name,
                arguments: &[native::$sql::TYPE],
                returns: native::$sql::TYPE,
                accumulator: folding::<$fold>,
                doc: $doc,
            }),*
        ]
    };
}

pub(super) static FOLDS: &[Aggregate] = table!(
    "bool_and" BoolAnd Boolean "Whether all are true.",
    "every" BoolAnd Boolean "Whether all are true.",
    "bool_or" BoolOr Boolean "Whether any is true.",
    "bit_and" AndSmallInt SmallInt "Bits set in all.",
    "bit_and" AndInteger Integer "Bits set in all.",
    "bit_and" AndBigInt BigInt "Bits set in all.",
    "bit_or" OrSmallInt SmallInt "Bits set in any.",
    "bit_or" OrInteger Integer "Bits set in any.",
    "bit_or" OrBigInt BigInt "Bits set in any.",
);
