//! Arrays cast as their values do; the rules of common types.

use super::*;
use crate::function::EvalContext;
use proptest::prelude::*;
use remora_storage::value::{ColumnBuilder, NumericModifier, value_at};
use remora_storage::{Numeric, Value};

const PRICE: DataType = DataType::Numeric(Some(NumericModifier {
    precision: 9,
    scale: 2,
}));

const TYPES: [DataType; 15] = [
    DataType::Boolean,
    DataType::SmallInt,
    DataType::Integer,
    DataType::BigInt,
    DataType::Real,
    DataType::Double,
    DataType::Numeric(None),
    PRICE,
    DataType::Text,
    DataType::Varchar(Some(4)),
    DataType::Char(4),
    DataType::Date,
    DataType::Time,
    DataType::Timestamp,
    DataType::TimestampTz,
];

/// A value of one of [`TYPES`], made from a number.
fn value_of(data_type: DataType, n: i64) -> Value {
    match data_type {
        DataType::Boolean => Value::Boolean(n % 2 == 0),
        DataType::SmallInt => Value::SmallInt(n as i16),
        DataType::Integer => Value::Integer(n as i32),
        DataType::BigInt => Value::BigInt(n),
        DataType::Real => Value::Real(n as f32 / 8.0),
        DataType::Double => Value::Double(n as f64 / 8.0),
        DataType::Numeric(None) => Value::Numeric(Numeric::new(n.into(), 3).unwrap()),
        DataType::Numeric(_) => {
            Value::Numeric(Numeric::new((n % 1_000_000_000).into(), 2).unwrap())
        }
        DataType::Date => Value::Date((n % 1_000_000) as i32),
        DataType::Time => Value::Time(n.rem_euclid(86_400_000_000)),
        DataType::Timestamp => Value::Timestamp(n / 1000),
        DataType::TimestampTz => Value::TimestampTz(n / 1000),
        _ => Value::Text((n % 1000).to_string()),
    }
}

#[test]
fn branches_meet_in_the_wider_type() {
    let common = |types: &[DataType]| {
        let types: Vec<_> = types.iter().copied().map(Some).collect();
        common_type(&types, "CASE")
    };
    assert_eq!(
        common(&[DataType::Integer, DataType::BigInt]).unwrap(),
        DataType::BigInt
    );
    assert_eq!(
        common(&[DataType::BigInt, PRICE]).unwrap(),
        DataType::Numeric(None)
    );
    assert_eq!(common(&[PRICE, PRICE]).unwrap(), PRICE);
    assert_eq!(
        common(&[DataType::Date, DataType::Timestamp]).unwrap(),
        DataType::Timestamp
    );
    assert_eq!(
        common(&[DataType::Varchar(Some(3)), DataType::Text]).unwrap(),
        DataType::Varchar(None),
        "each can be the other"
    );
    let error = common(&[DataType::Integer, DataType::Text]).unwrap_err();
    assert_eq!(error.sqlstate(), "42804");
    assert_eq!(
        error.message(),
        "CASE types integer and text cannot be matched"
    );
}

#[test]
fn literals_alone_are_text_and_else_follow_the_others() {
    assert_eq!(common_type(&[None, None], "UNION").unwrap(), DataType::Text);
    assert_eq!(
        common_type(&[None, Some(DataType::Date)], "UNION").unwrap(),
        DataType::Date
    );
    assert_eq!(
        common_type(&[None, Some(DataType::Char(3))], "IN").unwrap(),
        DataType::Text
    );
}

#[test]
fn numbers_widen_by_themselves_and_narrow_into_columns_only() {
    use CastContext::{Assignment, Explicit, Implicit};
    for (from, to, expected) in [
        (DataType::Integer, DataType::BigInt, Some(Implicit)),
        (DataType::BigInt, DataType::Integer, Some(Assignment)),
        (DataType::Numeric(None), DataType::Real, Some(Implicit)),
        (DataType::Real, DataType::Numeric(None), Some(Assignment)),
        (DataType::Integer, DataType::Boolean, Some(Explicit)),
        (DataType::Date, DataType::Text, Some(Assignment)),
        (DataType::Text, DataType::Date, Some(Explicit)),
        (DataType::Date, DataType::Integer, None),
        (DataType::BigInt, DataType::Boolean, None),
    ] {
        assert_eq!(cast_context(from, to), expected, "{from} to {to}");
    }
}

proptest! {
    #[test]
    fn an_array_casts_as_its_values_do(
        numbers in proptest::collection::vec(proptest::option::of(any::<i64>()), 1..20),
        from in proptest::sample::select(&TYPES[..]),
        to in proptest::sample::select(&TYPES[..]),
        explicit in any::<bool>(),
    ) {
        prop_assume!(from == to || cast_context(from, to).is_some());
        let context = EvalContext::default();
        let values: Vec<Value> = numbers
            .into_iter()
            .map(|n| n.map_or(Value::Null, |n| value_of(from, n)))
            .collect();
        let mut column = ColumnBuilder::new(from, values.len());
        values.iter().for_each(|value| column.push(value.as_ref()));
        let one_by_one: Result<Vec<Value>, _> = values
            .iter()
            .map(|value| cast_value(value.as_ref(), to, explicit, &context))
            .collect();
        match (cast_array(&column.finish(), from, to, explicit, &context), one_by_one) {
            (Ok(array), Ok(expected)) => {
                prop_assert_eq!(array.data_type(), &to.arrow());
                for (row, value) in expected.iter().enumerate() {
                    prop_assert_eq!(&value_at(array.as_ref(), to, row).to_owned(), value);
                }
            }
            (Err(a), Err(b)) => prop_assert_eq!(a.message(), b.message()),
            (a, b) => prop_assert!(false, "{:?} but {:?}", a, b),
        }
    }
}
