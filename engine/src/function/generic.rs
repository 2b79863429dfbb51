//! Functions of any type: arrays of whatever, elements that fit them, anything at all.
//!
//! Such an overload has [`Pattern`]s where others have types. A call is fitted to them: all arrays and elements of
//! a call come to one element type, that which PostgreSQL would find for `UNION` (its `anycompatible` family). The
//! kernel is told the types of this call beside its values, since a text and a JSON document look alike.

use super::cast::{CastContext, cast_context, common_type};
use super::range::range_type;
use super::record::RECORD;
use super::resolve::base;
use super::{ArgumentType, EvalContext};
use crate::error::Result;
use remora_storage::value::{ElementType, PackedType, RangeType};
use remora_storage::{DataType, Value, ValueRef};

/// What an argument or a result may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pattern {
    /// One type.
    Is(DataType),
    /// Any type; what has none is text.
    Any,
    /// An element of the call's arrays.
    Element,
    /// An array.
    Array,
    /// A packed type that is no array, the same throughout the call.
    Packed,
    /// An enumeration, the same throughout the call.
    Enum,
    /// An array of it.
    Enums,
    /// A type of arrays, the same throughout the call.
    SameArray,
    /// A range. The ranges, multiranges and values of a call are of one type of ranges.
    Range,
    /// A multirange.
    Multirange,
    /// A value of what the call's ranges are of.
    Subtype,
    /// An array of such ranges.
    Ranges,
}

/// What a generic overload takes and gives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Generic {
    /// What it takes; the last repeats where the overload is variadic.
    pub arguments: &'static [Pattern],
    /// What it gives.
    pub returns: Pattern,
}

/// A call of a generic function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GenericCall<'a> {
    /// The arguments.
    pub values: &'a [ValueRef<'a>],
    /// Their types.
    pub types: &'a [DataType],
    /// The type of the result.
    pub returns: DataType,
    /// What else may be asked.
    pub context: &'a EvalContext,
}

/// The only form of a generic function.
pub(crate) type GenericKernel = fn(&GenericCall<'_>) -> Result<Value>;

/// The types of one call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CallTypes {
    /// Each argument must be cast to its type where it is not of it.
    pub arguments: Vec<DataType>,
    /// The type of the result.
    pub returns: DataType,
}

impl Generic {
    /// The types of a call with such arguments; `None` where it does not fit.
    pub(super) fn fit(&self, given: &[ArgumentType], variadic: bool) -> Option<CallTypes> {
        let count = self.arguments.len();
        if given.len() != count && !(variadic && given.len() >= count) {
            return None;
        }
        let pattern = |at: usize| self.arguments[at.min(count - 1)];
        let mut elements: Vec<ArgumentType> = Vec::new();
        let mut packed = None;
        let ranges = self.ranges(given, &pattern)?;
        for (at, known) in given.iter().enumerate() {
            match (pattern(at), known) {
                (Pattern::Is(wanted), Some(known)) if !reaches(*known, wanted) => return None,
                (Pattern::Array, Some(known)) => elements.push(Some(base(element_of(*known)?))),
                (Pattern::Element, Some(known)) => elements.push(Some(base(*known))),
                (wanted @ (Pattern::Packed | Pattern::Enum), Some(known)) => {
                    let known = known.without_modifier();
                    let is_packed = match (wanted, known) {
                        (_, DataType::Packed(PackedType::Enum(_))) => true,
                        (Pattern::Enum, _) => false,
                        _ => matches!(known, DataType::Packed(_)) && element_of(known).is_none(),
                    };
                    let before = *packed.get_or_insert(known);
                    if before.is_record() && known.is_record() && before != known {
                        packed = Some(RECORD);
                    } else if !is_packed || before != known {
                        return None;
                    }
                }
                (Pattern::SameArray, Some(known)) => {
                    let known = base(*known);
                    if element_of(known).is_none() || *packed.get_or_insert(known) != known {
                        return None;
                    }
                }
                _ => {}
            }
        }
        let element = match elements.is_empty() {
            true => None,
            false => Some(base(common_type(&elements, "ARRAY").ok()?)),
        };
        let of = |pattern: Pattern, known: ArgumentType| match pattern {
            Pattern::Is(wanted) => Some(wanted),
            Pattern::Any => Some(known.unwrap_or(DataType::Text)),
            Pattern::Element => element,
            Pattern::Array => Some(ElementType::new(element?)?.array()),
            Pattern::Packed | Pattern::Enum | Pattern::SameArray => packed,
            Pattern::Enums => Some(ElementType::new(packed?)?.array()),
            Pattern::Range => Some(ranges?.range()),
            Pattern::Multirange => Some(ranges?.multirange()),
            Pattern::Subtype => Some(ranges?.subtype()),
            Pattern::Ranges => Some(ranges?.element().array()),
        };
        let arguments = given.iter().enumerate();
        let arguments = arguments.map(|(at, known)| of(pattern(at), *known));
        Some(CallTypes {
            arguments: arguments.collect::<Option<_>>()?,
            returns: of(self.returns, None)?,
        })
    }
}

impl Generic {
    /// The type of ranges of a call, if it has some; `None` where the arguments do not go together.
    fn ranges(
        &self,
        given: &[ArgumentType],
        pattern: &impl Fn(usize) -> Pattern,
    ) -> Option<Option<RangeType>> {
        let is_of_ranges = |pattern: &Pattern| {
            matches!(
                pattern,
                Pattern::Range | Pattern::Multirange | Pattern::Ranges
            )
        };
        if !self.arguments.iter().any(is_of_ranges) {
            return Some(None);
        }
        let mut found = None;
        for (at, known) in given.iter().enumerate() {
            let of = match (pattern(at), known) {
                (Pattern::Range, Some(DataType::Packed(PackedType::Range(of))))
                | (Pattern::Multirange, Some(DataType::Packed(PackedType::Multirange(of)))) => *of,
                (Pattern::Ranges, Some(known)) => match element_of(*known)? {
                    DataType::Packed(PackedType::Range(of)) => of,
                    _ => return None,
                },
                (Pattern::Range | Pattern::Multirange, Some(_)) => return None,
                _ => continue,
            };
            if *found.get_or_insert(of) != of {
                return None;
            }
        }
        let subtype = base(found?.subtype());
        let fits = given
            .iter()
            .enumerate()
            .all(|(at, known)| match pattern(at) {
                Pattern::Subtype => known.is_none_or(|known| base(known) == subtype),
                _ => true,
            });
        fits.then_some(found)
    }
}

/// The type of what a value holds within: an array's elements, a range's bounds.
pub(crate) fn innermost(data_type: DataType) -> DataType {
    let element = element_of(data_type).unwrap_or(data_type);
    match range_type(element) {
        Some(of) => innermost(of.subtype()),
        None => element,
    }
}

/// The type of the elements of an array type.
pub(crate) fn element_of(data_type: DataType) -> Option<DataType> {
    match data_type {
        DataType::Packed(PackedType::Array(element)) => Some(element.data_type()),
        _ => None,
    }
}

fn reaches(from: DataType, to: DataType) -> bool {
    cast_context(from, to) == Some(CastContext::Implicit)
}
