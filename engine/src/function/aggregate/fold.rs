//! `count`, `bool_and`, `bool_or`, `every`, `bit_and`, `bit_or` and `bit_xor`.

use super::state::{Fold, collect, folding};
use super::{Accumulator, Aggregate, Folder, FrameContext, FrameRows, MakeAccumulator, RowOrder};
use crate::error::Result;
use crate::function::native::{self, SqlType};
use crate::function::{EvalContext, Generic, Pattern, bits};
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

    fn over_frames(
        &self,
        frames: &[FrameRows],
        arguments: &[ArrayRef],
        context: &mut FrameContext<'_>,
    ) -> Result<ArrayRef> {
        let nulls = arguments.first().and_then(|array| array.nulls());
        let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else {
            return collect::<native::BigInt, _>(frames, |frame| Ok(Some(frame.count() as i64)));
        };
        // How many values there are before each row.
        (context.reserve)((nulls.len() + 1) * size_of::<i64>())?;
        let mut before = Vec::with_capacity(nulls.len() + 1);
        let mut count = 0_i64;
        for is_valid in nulls.iter() {
            before.push(count);
            count += i64::from(is_valid);
        }
        before.push(count);
        let of =
            |rows: &std::ops::Range<u32>| before[rows.end as usize] - before[rows.start as usize];
        collect::<native::BigInt, _>(frames, |frame| {
            let own = frame.own.is_some_and(|row| nulls.is_valid(row as usize));
            Ok(Some(of(&frame.before) + i64::from(own) + of(&frame.after)))
        })
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
            fn merge(state: &mut Option<$native>, later: &Option<$native>) -> Result<()> {
                later.map_or(Ok(()), |value| Self::step(state, value))
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
operator_fold!(XorSmallInt, SmallInt, i16, |a, b| a ^ b);
operator_fold!(XorInteger, Integer, i32, |a, b| a ^ b);
operator_fold!(XorBigInt, BigInt, i64, |a, b| a ^ b);

/// Folds bit strings with an operator.
macro_rules! bits_fold {
    ($($fold:ident $combine:expr),*) => {
        $(struct $fold;
        impl Fold for $fold {
            type Input = native::Bit;
            type Output = native::Bit;
            type State = Option<Vec<u8>>;

            fn step(state: &mut Option<Vec<u8>>, bits: &[u8]) -> Result<()> {
                *state = Some(match state {
                    Some(before) => $combine(before, bits)?,
                    None => bits.to_vec(),
                });
                Ok(())
            }
            fn merge(state: &mut Option<Vec<u8>>, later: &Option<Vec<u8>>) -> Result<()> {
                later.as_ref().map_or(Ok(()), |bits| Self::step(state, bits))
            }
            fn result(state: &Option<Vec<u8>>) -> Result<Option<Vec<u8>>> {
                Ok(state.clone())
            }
            fn heap(state: &Option<Vec<u8>>) -> usize {
                state.as_ref().map_or(0, Vec::capacity)
            }
        })*
    };
}

bits_fold!(AndBits bits::and, OrBits bits::or, XorBits bits::xor);

/// PostgreSQL's `count("any")`.
pub(super) static COUNTS: &[Aggregate] = &[Aggregate {
    name: "count",
    arguments: &[],
    returns: DataType::BigInt,
    accumulator: MakeAccumulator::Generic(
        Generic {
            arguments: &[Pattern::Any],
            returns: Pattern::Is(DataType::BigInt),
        },
        |_| counting(),
    ),
    order: RowOrder::Any,
    doc: "How many values are not NULL.",
}];

macro_rules! table {
    ($($name:literal $fold:ident $sql:ident $doc:literal),* $(,)?) => {
        &[
            Aggregate {
                name: "count",
                arguments: &[],
                returns: DataType::BigInt,
                accumulator: MakeAccumulator::Typed(counting),
                order: RowOrder::Any,
                doc: "How many rows there are.",
            },
            $(Aggregate {
                name: $name,
                arguments: &[native::$sql::TYPE],
                returns: native::$sql::TYPE,
                accumulator: MakeAccumulator::Typed(folding::<$fold>),
                order: RowOrder::Any,
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
    "bit_and" AndBits Bit "Bits set in all.",
    "bit_or" OrBits Bit "Bits set in any.",
    "bit_xor" XorBits Bit "Bits set in an odd number.",
    "bit_or" OrSmallInt SmallInt "Bits set in any.",
    "bit_or" OrInteger Integer "Bits set in any.",
    "bit_or" OrBigInt BigInt "Bits set in any.",
    "bit_xor" XorSmallInt SmallInt "Bits set in an odd number.",
    "bit_xor" XorInteger Integer "Bits set in an odd number.",
    "bit_xor" XorBigInt BigInt "Bits set in an odd number.",
);
