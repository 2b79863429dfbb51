//! Aggregate functions over groups.
//!
//! An [`Accumulator`] keeps the state of all groups of one operator in typed vectors, indexed by
//! group number, and takes a batch of rows at once. Where there is one group, most of them also take
//! rows where storage has them ([`Folder`]), which makes no arrays. Over the frames of a window they
//! slide (`frames`). One file a family: `sum` (sum, avg),
//! `extreme` (min, max), `fold` (count, bool and bit), `spread` (variance and its relatives),
//! `join` (string_agg), `collect` (array_agg), `json` (json_agg and its kin), `pairs` (correlation and
//! regression), `ordered` and `percentiles` (these, and mode), `range` (range_agg and range_intersect_agg). NULLs take part in none of them, but for `count(*)`; a group without
//! values is NULL, but for the counts.

mod collect;
mod extreme;
mod fold;
mod frames;
pub(crate) mod host;
mod join;
mod json;
mod ordered;
mod pairs;
mod percentiles;
mod range;
mod spread;
mod state;
mod sum;
#[cfg(test)]
mod tests;

pub(crate) use frames::{FrameContext, FrameRows};
pub(crate) use json::json_agg_of_lines;

use super::resolve::{Choice, Signature, base, choose, describe, no_such_function};
use super::{ArgumentType, CallTypes, EvalContext, Generic};
use crate::error::{Error, Result, state as sqlstate};
use arrow_array::ArrayRef;
use remora_storage::transaction::{Vector, VectorColumn};
use remora_storage::{DataType, Value};
use std::fmt;

/// One aggregate for one list of argument types.
pub(crate) struct Aggregate {
    /// Its name, lower case. `count(*)` is `count` with no arguments.
    pub name: &'static str,
    /// The types it takes.
    pub arguments: &'static [DataType],
    /// The type it gives.
    pub returns: DataType,
    /// Makes the state for all groups of one operator.
    pub accumulator: MakeAccumulator,
    /// What the order of its rows means to it.
    pub order: RowOrder,
    /// One line for the manual.
    pub doc: &'static str,
}

/// How an aggregate's state is made.
#[derive(Clone, Copy)]
pub(crate) enum MakeAccumulator {
    /// Of values of the aggregate's types.
    Typed(fn() -> Box<dyn Accumulator>),
    /// Of values of any types that fit these patterns; the aggregate's own types say nothing.
    Generic(Generic, fn(&CallTypes) -> Box<dyn Accumulator>),
}

impl Aggregate {
    /// Makes the state for all groups of one operator.
    pub(crate) fn start(&self, types: impl FnOnce() -> CallTypes) -> Box<dyn Accumulator> {
        match self.accumulator {
            MakeAccumulator::Typed(make) => make(),
            MakeAccumulator::Generic(_, make) => make(&types()),
        }
    }
}

/// An aggregate and the types of one call of it.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedAggregate {
    /// Which.
    pub aggregate: &'static Aggregate,
    /// On what types.
    pub types: CallTypes,
}

/// What the order of rows means to an aggregate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RowOrder {
    /// Nothing, but for the last digits of floats.
    Any,
    /// The result depends on it.
    Matters,
    /// It is of an ordered set: `WITHIN GROUP (ORDER BY ..)` gives its last arguments. It is given its rows in
    /// order, a group after the other.
    Set,
}

impl fmt::Debug for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.name, self.arguments)
    }
}

/// The state of one aggregate for all groups.
pub(crate) trait Accumulator: Send {
    /// Adds rows: row `i` goes to group `groups[i]`; there are `group_count` groups by now.
    fn update(
        &mut self,
        groups: &[u32],
        group_count: usize,
        arguments: &[ArrayRef],
        context: &EvalContext,
    ) -> Result<()>;
    /// Itself, if it can take rows where storage has them.
    fn folder(&mut self) -> Option<&mut dyn Folder> {
        None
    }
    /// One result a frame over these arguments; neither end of a frame lies before that of the one
    /// before. What was added to groups plays no part.
    fn over_frames(
        &self,
        frames: &[FrameRows],
        arguments: &[ArrayRef],
        context: &mut FrameContext<'_>,
    ) -> Result<ArrayRef>;
    /// One result a group, in order.
    fn finish(&mut self, group_count: usize, context: &EvalContext) -> Result<ArrayRef>;
    /// Bytes held, for the ledger.
    fn bytes(&self) -> usize;
}

/// An accumulator of one group that takes rows from storage without arrays of them.
pub(crate) trait Folder {
    /// Adds the rows of a vector; `argument` is the column that the aggregate is of, if it is of one.
    fn fold(&mut self, vector: &Vector<'_>, argument: Option<VectorColumn<'_>>) -> Result<()>;
    /// The result of all rows so far.
    fn value(&self) -> Result<Value>;
}

/// All aggregates.
pub(crate) fn all() -> impl Iterator<Item = &'static Aggregate> {
    [
        sum::AGGREGATES,
        extreme::AGGREGATES,
        extreme::PACKED,
        fold::FOLDS,
        fold::COUNTS,
        spread::AGGREGATES,
        pairs::AGGREGATES,
        join::AGGREGATES,
        json::AGGREGATES,
        ordered::AGGREGATES,
        percentiles::AGGREGATES,
        collect::AGGREGATES,
        range::AGGREGATES,
    ]
    .into_iter()
    .flatten()
}

/// The call of a generic aggregate, where the arguments fit it.
fn fit(aggregate: &'static Aggregate, arguments: &[ArgumentType]) -> Option<ResolvedAggregate> {
    let MakeAccumulator::Generic(generic, _) = &aggregate.accumulator else {
        return None;
    };
    let types = generic.fit(arguments, false)?;
    Some(ResolvedAggregate { aggregate, types })
}

/// Finds the aggregate that PostgreSQL would call; `None` where no aggregate has the name.
///
/// # Errors
/// 42883 where the name fits and the arguments do not.
pub(crate) fn resolve(name: &str, arguments: &[ArgumentType]) -> Result<Option<ResolvedAggregate>> {
    let named: Vec<&'static Aggregate> = all().filter(|a| a.name == name).collect();
    if named.is_empty() {
        return Ok(None);
    }
    let types: Vec<ArgumentType> = arguments.iter().map(|t| t.map(base)).collect();
    let (generic, named): (Vec<&'static Aggregate>, Vec<_>) = named
        .into_iter()
        .partition(|found| matches!(found.accumulator, MakeAccumulator::Generic(..)));
    // `min` of a time is one of TIME, although a cast leads to TIMETZ; that of NULL is one of TEXT, which is preferred.
    let is_typed = named.iter().any(|found| {
        let wanted = found.arguments.iter().copied().map(Some);
        wanted.eq(types.iter().copied())
            || found.arguments.len() == types.len() && types.iter().all(Option::is_none)
    });
    if !is_typed && let Some(found) = generic.into_iter().find_map(|found| fit(found, arguments)) {
        return Ok(Some(found));
    }
    let signatures: Vec<Signature> = named
        .iter()
        .map(|a| Signature {
            types: a.arguments,
            variadic: false,
        })
        .collect();
    let call = || describe(name, arguments);
    match choose(&types, &signatures) {
        Choice::One(index) => {
            let aggregate = named[index];
            let types = CallTypes {
                arguments: aggregate.arguments.to_vec(),
                returns: aggregate.returns,
            };
            Ok(Some(ResolvedAggregate { aggregate, types }))
        }
        Choice::None => Err(no_such_function(name, arguments)),
        Choice::Several => Err(Error::new(
            sqlstate::AMBIGUOUS_FUNCTION,
            format!("function {} is not unique", call()),
        )
        .with_hint(
            "Could not choose a best candidate function. You might need to add explicit type \
             casts.",
        )),
    }
}
