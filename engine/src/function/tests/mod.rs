//! Stories about resolution.

mod agree;
mod golden;
mod lateness;
mod operands;

use super::*;
use remora_storage::value::{ElementType, RangeType};

const INT4RANGE: RangeType = RangeType::of_system(DataType::Integer);

/// The types of a call: those that the overload has, or some that fit it, with `any` where it takes any.
fn types_of(overload: &Overload, any: DataType) -> Option<CallTypes> {
    let Kernel::Generic(generic, _) = &overload.kernel else {
        return Some(CallTypes {
            arguments: overload.arguments.to_vec(),
            returns: overload.returns,
        });
    };
    let array = ElementType::new(any).map(ElementType::array);
    let fitting = |pattern: &Pattern| match pattern {
        Pattern::Is(data_type) => Some(*data_type),
        Pattern::Any | Pattern::Element => Some(any),
        Pattern::Array | Pattern::SameArray => array,
        Pattern::Range => Some(INT4RANGE.range()),
        Pattern::Multirange => Some(INT4RANGE.multirange()),
        Pattern::Subtype => Some(DataType::Integer),
        Pattern::Ranges => Some(INT4RANGE.element().array()),
        Pattern::Packed | Pattern::Enum | Pattern::Enums => None,
    };
    let given: Vec<_> = generic.arguments.iter().map(fitting).collect();
    generic.fit(&given, false)
}

#[test]
fn smallint_plus_bigint_is_a_bigint() {
    let found = resolve("+", &[Some(DataType::SmallInt), Some(DataType::BigInt)]).unwrap();
    assert_eq!(found.overload.returns, DataType::BigInt);
}

#[test]
fn bigint_plus_real_is_double_precision() {
    let found = resolve("+", &[Some(DataType::BigInt), Some(DataType::Real)]).unwrap();
    assert_eq!(found.overload.returns, DataType::Double);
}

#[test]
fn an_untyped_literal_takes_the_other_sides_type() {
    let found = resolve("=", &[Some(DataType::Date), None]).unwrap();
    assert_eq!(found.overload.arguments, [DataType::Date, DataType::Date]);
}

#[test]
fn a_missing_operator_is_named_with_its_types() {
    let error = resolve("+", &[Some(DataType::Integer), Some(DataType::Boolean)]).unwrap_err();
    assert_eq!(error.sqlstate(), "42883");
    assert_eq!(
        error.message(),
        "operator does not exist: integer + boolean"
    );
}

#[test]
fn two_literals_leave_plus_open() {
    let error = resolve("+", &[None, None]).unwrap_err();
    assert_eq!(error.sqlstate(), "42725");
    assert_eq!(error.message(), "operator is not unique: unknown + unknown");
}

#[test]
fn a_varchar_compares_as_text() {
    let found = resolve("=", &[Some(DataType::Varchar(Some(5))), None]).unwrap();
    assert_eq!(found.overload.arguments, [DataType::Text, DataType::Text]);
}

#[test]
fn a_misspelt_function_is_guessed() {
    let error = resolve("lenght", &[Some(DataType::Text)]).unwrap_err();
    assert_eq!(error.message(), "function lenght(text) does not exist");
    assert!(
        error
            .hint()
            .expect("a hint")
            .ends_with("Perhaps you meant \"length\".")
    );
}
