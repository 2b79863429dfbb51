//! Functions in SQL whose parameters take many types: `anyelement`, `anyarray`, `anycompatible` and their kin.
//!
//! Such a function is kept as it is written. A call makes one of it whose types are known ([`concrete`]), which is
//! then matched and bound as any other; the body says what is wrong with these types.
//!
//! All of the first family in one call stand for one type, that of the known arguments, which must be alike. All of
//! the second stand for the type that `UNION` would find for them; its ranges are not brought to other ones.

use super::coerce::plain;
use super::routine::invalid;
use crate::error::Result;
use crate::function::cast::common_type;
use crate::function::{ArgumentType, element_of, range_type};
use remora_storage::DataType;
use remora_storage::catalog::{FunctionDef, FunctionResult};
use remora_storage::value::{AnyType, ElementType, PackedType, RangeType};
use std::sync::Arc;

/// The type that a type stands for, if it does.
pub(super) fn any_type(data_type: DataType) -> Option<AnyType> {
    match data_type {
        DataType::Packed(PackedType::Any(any)) => Some(any),
        _ => None,
    }
}

/// Whether a type stands for arrays.
pub(super) fn is_any_array(data_type: DataType) -> bool {
    matches!(
        any_type(data_type),
        Some(AnyType::Array | AnyType::CompatibleArray)
    )
}

/// Whether a function takes values of many types.
pub(super) fn is_polymorphic(def: &FunctionDef) -> bool {
    def.types().any(|data_type| any_type(data_type).is_some())
}

/// What one family stands for in a call.
#[derive(Clone, Copy, Default)]
struct Found {
    element: Option<DataType>,
    ranges: Option<RangeType>,
}

impl Found {
    fn stands_for(&self, any: AnyType) -> Option<DataType> {
        use AnyType as A;
        match any {
            A::Element | A::NonArray | A::Enum | A::Compatible | A::CompatibleNonArray => {
                self.element
            }
            A::Array | A::CompatibleArray => Some(ElementType::new(self.element?)?.array()),
            A::Range | A::CompatibleRange => Some(self.ranges?.range()),
            A::Multirange | A::CompatibleMultirange => Some(self.ranges?.multirange()),
        }
    }
}

/// The function that a call of a polymorphic one means: `given` are the types of the arguments, each with the
/// position of its parameter. `None` where they do not fit.
pub(super) fn concrete(
    def: &Arc<FunctionDef>,
    given: &[(usize, ArgumentType)],
) -> Option<Arc<FunctionDef>> {
    let wanted = |position: usize| any_type(def.parameters[position].data_type);
    let of_family = |compatible: bool| {
        let known = given.iter().filter_map(|(position, known)| {
            let any = wanted(*position).filter(|any| any.is_compatible() == compatible)?;
            Some((any, known.map(DataType::without_modifier)))
        });
        found(&known.collect::<Vec<_>>(), compatible)
    };
    let families = [of_family(false)?, of_family(true)?];
    let known = |data_type: DataType| match any_type(data_type) {
        Some(any) => families[usize::from(any.is_compatible())].stands_for(any),
        None => Some(data_type),
    };
    let mut def = FunctionDef::clone(def);
    for parameter in &mut def.parameters {
        parameter.data_type = known(parameter.data_type)?;
    }
    match &mut def.returns {
        FunctionResult::Nothing => {}
        FunctionResult::Value(given) | FunctionResult::Values(given) => *given = known(*given)?,
        FunctionResult::Row { columns, .. } | FunctionResult::Rows { columns, .. } => {
            for column in columns {
                column.data_type = known(column.data_type)?;
            }
        }
    }
    Some(Arc::new(def))
}

/// What the arguments of a family say that it stands for; `None` where they do not go together.
fn found(given: &[(AnyType, ArgumentType)], compatible: bool) -> Option<Found> {
    use AnyType as A;
    let mut ranges: Option<RangeType> = None;
    let mut elements: Vec<ArgumentType> = Vec::new();
    for (any, known) in given {
        let Some(known) = *known else {
            elements.push(None);
            continue;
        };
        match any {
            A::Array | A::CompatibleArray => elements.push(Some(element_of(known)?)),
            A::NonArray | A::CompatibleNonArray if element_of(known).is_some() => return None,
            A::Enum if !matches!(known, DataType::Packed(PackedType::Enum(_))) => return None,
            A::Range | A::CompatibleRange | A::Multirange | A::CompatibleMultirange => {
                let of = range_type(known)?;
                let is_range = matches!(any, A::Range | A::CompatibleRange);
                let is_alike = known
                    == if is_range {
                        of.range()
                    } else {
                        of.multirange()
                    };
                if !is_alike || *ranges.get_or_insert(of) != of {
                    return None;
                }
                elements.push(Some(of.subtype()));
            }
            _ => elements.push(Some(known)),
        }
    }
    let mut known = elements.iter().flatten();
    let element = match known.next() {
        None if elements.is_empty() || compatible => {
            (!elements.is_empty()).then_some(DataType::Text)
        }
        None => return None,
        Some(first) if !compatible => known.all(|other| other == first).then_some(Some(*first))?,
        Some(_) => Some(common_type(&elements, "ARRAY").ok()?),
    };
    let fits = ranges.is_none_or(|of| element == Some(of.subtype()));
    fits.then_some(Found { element, ranges })
}

/// Refuses results whose type no parameter tells.
///
/// # Errors
/// 42P13
pub(super) fn check_result(def: &FunctionDef) -> Result<()> {
    let given: Vec<DataType> = match &def.returns {
        FunctionResult::Nothing => Vec::new(),
        FunctionResult::Value(given) | FunctionResult::Values(given) => vec![*given],
        FunctionResult::Row { columns, .. } | FunctionResult::Rows { columns, .. } => {
            columns.iter().map(|column| column.data_type).collect()
        }
    };
    for result in given.into_iter().filter_map(any_type) {
        let takes = |any: AnyType| {
            let of_ranges = |any: AnyType| {
                use AnyType as A;
                matches!(
                    any,
                    A::Range | A::Multirange | A::CompatibleRange | A::CompatibleMultirange
                )
            };
            any.is_compatible() == result.is_compatible() && (!of_ranges(result) || of_ranges(any))
        };
        if def.types().filter_map(any_type).any(takes) {
            continue;
        }
        let needed = match (result, result.is_compatible()) {
            (AnyType::Range | AnyType::Multirange, _) => "anyrange or anymultirange",
            (AnyType::CompatibleRange | AnyType::CompatibleMultirange, _) => {
                "anycompatiblerange or anycompatiblemultirange"
            }
            (_, false) => "anyelement, anyarray, anynonarray, anyenum, anyrange, or anymultirange",
            (_, true) => {
                "anycompatible, anycompatiblearray, anycompatiblenonarray, anycompatiblerange, or \
                 anycompatiblemultirange"
            }
        };
        let result = plain(DataType::Packed(PackedType::Any(result)));
        return Err(
            invalid("cannot determine result data type").with_detail(format!(
                "A result of type {result} requires at least one input of type {needed}."
            )),
        );
    }
    Ok(())
}
