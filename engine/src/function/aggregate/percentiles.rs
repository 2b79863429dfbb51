//! Percentiles at several fractions: of an array of them, `percentile_cont` and `percentile_disc` give an array.
//!
//! The values of a group are kept as for one fraction (`ordered`), and beside them what is asked of each group.

use super::ordered::{OrderedSet, Question, checked};
use super::{Accumulator, Aggregate, FrameContext, FrameRows, MakeAccumulator, RowOrder};
use crate::error::{Error, Result};
use crate::function::{CallTypes, EvalContext, Generic, Pattern, element_of};
use arrow_array::ArrayRef;
use remora_storage::value::{ColumnBuilder, ElementType, value_at};
use remora_storage::{DataType, Value, ValueRef};

const FRACTIONS: DataType = match ElementType::new(DataType::Double) {
    Some(double) => double.array(),
    None => DataType::Double,
};

const INTERVALS: DataType = match ElementType::new(DataType::Interval) {
    Some(interval) => interval.array(),
    None => DataType::Interval,
};

/// What is asked of a group; `None` of one whose fractions are NULL.
type Fractions = Option<Vec<Option<f64>>>;

struct Percentiles {
    set: OrderedSet,
    /// The type of its arrays.
    gives: DataType,
    asked: Vec<Option<Fractions>>,
}

impl Percentiles {
    fn asking(question: Question, types: &CallTypes) -> Box<dyn Accumulator> {
        let of = types.arguments.last().copied().unwrap_or(DataType::Double);
        Box::new(Self {
            set: OrderedSet::of(question, of),
            gives: types.returns,
            asked: Vec::new(),
        })
    }

    /// What is asked of a group, as an array.
    fn answers(&self, group: usize) -> Result<Value> {
        let fractions = self.asked.get(group).and_then(Option::as_ref);
        let element = element_of(self.gives).and_then(ElementType::new);
        let (Some(Some(fractions)), Some(element)) = (fractions, element) else {
            return Ok(Value::Null);
        };
        let mut answers = Vec::with_capacity(fractions.len());
        for fraction in fractions {
            match fraction
                .map(|fraction| self.set.at(group, fraction))
                .transpose()?
            {
                // A group without values gives no array.
                Some(None) => return Ok(Value::Null),
                answer => answers.push(answer.flatten().unwrap_or(Value::Null)),
            }
        }
        Ok(Value::array(element, answers.iter().map(Value::as_ref)))
    }
}

/// The fractions in an array.
///
/// # Errors
/// 22003, 0A000 for an array of arrays.
fn read(fractions: ValueRef<'_>) -> Result<Fractions> {
    let Some(array) = fractions.as_array() else {
        return Ok(None);
    };
    if array.dimensions().count() > 1 {
        return Err(Error::unsupported("an array of arrays of fractions"));
    }
    let fractions = array.iter().map(|fraction| match fraction {
        ValueRef::Double(fraction) => checked(fraction).map(Some),
        _ => Ok(None),
    });
    fractions.collect::<Result<_>>().map(Some)
}

impl Accumulator for Percentiles {
    fn update(
        &mut self,
        groups: &[u32],
        group_count: usize,
        arguments: &[ArrayRef],
        context: &EvalContext,
    ) -> Result<()> {
        self.asked
            .resize_with(group_count.max(self.asked.len()), || None);
        let [fractions, values] = arguments else {
            return Err(Error::internal("percentiles of other than two arguments"));
        };
        for (row, group) in groups.iter().enumerate() {
            let asked = &mut self.asked[*group as usize];
            if asked.is_none() {
                *asked = Some(read(value_at(fractions, FRACTIONS, row))?);
            }
        }
        let values = std::slice::from_ref(values);
        self.set.update(groups, group_count, values, context)
    }

    fn over_frames(
        &self,
        frames: &[FrameRows],
        arguments: &[ArrayRef],
        context: &mut FrameContext<'_>,
    ) -> Result<ArrayRef> {
        self.set.over_frames(frames, arguments, context)
    }

    fn finish(&mut self, group_count: usize, _: &EvalContext) -> Result<ArrayRef> {
        let mut results = ColumnBuilder::new(self.gives, group_count);
        for group in 0..group_count {
            results.push(self.answers(group)?.as_ref());
        }
        Ok(results.finish())
    }

    fn bytes(&self) -> usize {
        let asked = self.asked.iter().flatten().flatten();
        let fractions: usize = asked.map(Vec::capacity).sum();
        self.set.bytes()
            + self.asked.capacity() * size_of::<Option<Fractions>>()
            + fractions * size_of::<Option<f64>>()
    }
}

const fn aggregate(
    name: &'static str,
    generic: Generic,
    make: fn(&CallTypes) -> Box<dyn Accumulator>,
    doc: &'static str,
) -> Aggregate {
    Aggregate {
        name,
        arguments: &[],
        returns: DataType::Text,
        accumulator: MakeAccumulator::Generic(generic, make),
        order: RowOrder::Set,
        doc,
    }
}

pub(super) static AGGREGATES: &[Aggregate] = &[
    aggregate(
        "percentile_cont",
        Generic {
            arguments: &[Pattern::Is(FRACTIONS), Pattern::Is(DataType::Double)],
            returns: Pattern::Is(FRACTIONS),
        },
        |types| Percentiles::asking(Question::Continuous, types),
        "What lies these fractions of the way along the ordered values.",
    ),
    aggregate(
        "percentile_cont",
        Generic {
            arguments: &[Pattern::Is(FRACTIONS), Pattern::Is(DataType::Interval)],
            returns: Pattern::Is(INTERVALS),
        },
        |types| Percentiles::asking(Question::Continuous, types),
        "What lies these fractions of the way along the ordered values.",
    ),
    aggregate(
        "percentile_disc",
        Generic {
            arguments: &[Pattern::Is(FRACTIONS), Pattern::Element],
            returns: Pattern::Array,
        },
        |types| Percentiles::asking(Question::Discrete, types),
        "The first values that these fractions of all do not exceed.",
    ),
];
