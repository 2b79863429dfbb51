//! `count`, `bool_and`, `bool_or`, `every`, `bit_and`, `bit_or` and `bit_xor`.

use super::state::{ColumnFold, collect, folding};
use super::{Accumulator, Aggregate, Folder, FrameContext, FrameRows, MakeAccumulator, RowOrder};
use crate::error::Result;
use crate::function::native::{self, SqlType};
use crate::function::{EvalContext, Generic, Pattern, Work, bits};
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
            let counts = frames.iter().map(|frame| Some(frame.count() as i64));
            return collect::<native::BigInt>(counts.collect());
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
        let counts = frames.iter().map(|frame| {
            let own = frame.own.is_some_and(|row| nulls.is_valid(row as usize));
            Some(of(&frame.before) + i64::from(own) + of(&frame.after))
        });
        collect::<native::BigInt>(counts.collect())
    }

    fn finish(&mut self, group_count: usize, _: &EvalContext) -> Result<ArrayRef> {
        self.counts.resize(group_count.max(self.counts.len()), 0);
        collect::<native::BigInt>(
            self.counts[..group_count]
                .iter()
                .copied()
                .map(Some)
                .collect(),
        )
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

/// Folds values of a fixed width with an operator.
struct Operator<T: SqlType>(fn(T::Owned, T::Owned) -> T::Owned);

impl<T, N: Copy + Send> ColumnFold for Operator<T>
where
    T: for<'a> SqlType<Ref<'a> = N, Owned = N>,
{
    type Input = T;
    type Output = T;
    type State = Option<N>;

    fn step(&self, state: &mut Option<N>, value: N) -> Result<()> {
        *state = Some(state.map_or(value, |before| (self.0)(before, value)));
        Ok(())
    }
    fn merge(&self, state: &mut Option<N>, later: &Option<N>) -> Result<()> {
        later.map_or(Ok(()), |value| self.step(state, value))
    }
    fn result(&self, state: &Option<N>) -> Result<Option<N>> {
        Ok(*state)
    }
}

/// Makes one bit string of two.
type OfTwo = fn(&[u8], &[u8], &Work<'_>) -> Result<Vec<u8>>;

/// Folds bit strings with an operator, which takes some milliseconds for ten million of them.
struct BitsOperator(OfTwo);

impl ColumnFold for BitsOperator {
    type Input = native::Bit;
    type Output = native::Bit;
    type State = Option<Vec<u8>>;

    fn step(&self, state: &mut Option<Vec<u8>>, bits: &[u8]) -> Result<()> {
        *state = Some(match state {
            Some(before) => (self.0)(before, bits, &Work::unasked())?,
            None => bits.to_vec(),
        });
        Ok(())
    }
    fn merge(&self, state: &mut Option<Vec<u8>>, later: &Option<Vec<u8>>) -> Result<()> {
        (later.as_ref()).map_or(Ok(()), |bits| self.step(state, bits))
    }
    fn result(&self, state: &Option<Vec<u8>>) -> Result<Option<Vec<u8>>> {
        Ok(state.clone())
    }
    fn heap(&self, state: &Option<Vec<u8>>) -> usize {
        state.as_ref().map_or(0, Vec::capacity)
    }
}

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
    ($($name:literal $sql:ident $fold:expr, $doc:literal;)*) => {
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
                accumulator: MakeAccumulator::Typed(|| folding($fold)),
                order: RowOrder::Any,
                doc: $doc,
            }),*
        ]
    };
}

pub(super) static FOLDS: &[Aggregate] = table!(
    "bool_and" Boolean Operator::<native::Boolean>(|a, b| a && b), "Whether all are true.";
    "every" Boolean Operator::<native::Boolean>(|a, b| a && b), "Whether all are true.";
    "bool_or" Boolean Operator::<native::Boolean>(|a, b| a || b), "Whether any is true.";
    "bit_and" SmallInt Operator::<native::SmallInt>(|a, b| a & b), "Bits set in all.";
    "bit_and" Integer Operator::<native::Integer>(|a, b| a & b), "Bits set in all.";
    "bit_and" BigInt Operator::<native::BigInt>(|a, b| a & b), "Bits set in all.";
    "bit_and" Bit BitsOperator(bits::and), "Bits set in all.";
    "bit_or" Bit BitsOperator(bits::or), "Bits set in any.";
    "bit_xor" Bit BitsOperator(bits::xor), "Bits set in an odd number.";
    "bit_or" SmallInt Operator::<native::SmallInt>(|a, b| a | b), "Bits set in any.";
    "bit_or" Integer Operator::<native::Integer>(|a, b| a | b), "Bits set in any.";
    "bit_or" BigInt Operator::<native::BigInt>(|a, b| a | b), "Bits set in any.";
    "bit_xor" SmallInt Operator::<native::SmallInt>(|a, b| a ^ b), "Bits set in an odd number.";
    "bit_xor" Integer Operator::<native::Integer>(|a, b| a ^ b), "Bits set in an odd number.";
    "bit_xor" BigInt Operator::<native::BigInt>(|a, b| a ^ b), "Bits set in an odd number.";
);
