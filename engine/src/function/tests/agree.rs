//! Both forms of every overload agree, on results and on errors.
//!
//! For each overload rows of random arguments, NULLs included, go through the array form at once
//! and through the scalar form one by one. Each argument in turn is also held constant.

use super::types_of;
use crate::function::cast::cast_value;
use crate::function::{CallTypes, EvalContext, Operand, Overload, Volatility, registry, text};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use remora_storage::value::{ColumnBuilder, PackedType, RangeBound, SqlRange, value_at};
use remora_storage::{DataType, Interval, Numeric, Value};
use std::cmp::Ordering;

const ROWS: usize = 12;

fn json() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "null",
        "1.5",
        "\"a\"",
        "[]",
        "{}",
        "[1, [2, null], {\"a\": 3}]",
        "{\"a\": {\"b\": [1, 2]}, \"year\": \"x\"}",
    ])
}

fn value(data_type: DataType) -> BoxedStrategy<Value> {
    let whole = prop_oneof![8 => -20..20_i64, 1 => Just(i64::MAX), 1 => Just(i64::MIN)];
    let float = prop_oneof![
        8 => -20.0..20.0_f64,
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(1e308),
        1 => Just(0.0),
    ];
    let moment = prop_oneof![
        8 => -1_000_000_000_000_000..1_000_000_000_000_000_i64,
        1 => Just(i64::MAX),
        1 => Just(i64::MIN),
    ];
    match data_type {
        DataType::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        DataType::SmallInt => whole
            .prop_map(|v| Value::SmallInt(v.clamp(-32_768, 32_767) as i16))
            .boxed(),
        DataType::Integer => whole
            .prop_map(|v| Value::Integer(v.clamp(i32::MIN.into(), i32::MAX.into()) as i32))
            .boxed(),
        DataType::BigInt => whole.prop_map(Value::BigInt).boxed(),
        DataType::Real => float.prop_map(|v| Value::Real(v as f32)).boxed(),
        DataType::Double => float.prop_map(Value::Double).boxed(),
        DataType::Numeric(_) => prop_oneof![
            8 => (-99_999..99_999_i128, 0..6_u8)
                .prop_map(|(m, s)| Numeric::new(m, s).expect("few digits")),
            1 => Just(Numeric::NAN),
            1 => Just(Numeric::new(Numeric::MANTISSA_LIMIT - 1, 0).expect("38 digits")),
        ]
        .prop_map(Value::Numeric)
        .boxed(),
        DataType::Bytea => proptest::collection::vec(any::<u8>(), 0..20)
            .prop_map(Value::Bytea)
            .boxed(),
        DataType::Date => (-100_000..100_000_i32).prop_map(Value::Date).boxed(),
        DataType::Time => (0..86_400_000_000_i64).prop_map(Value::Time).boxed(),
        DataType::Timestamp => moment.prop_map(Value::Timestamp).boxed(),
        DataType::TimestampTz => moment.prop_map(Value::TimestampTz).boxed(),
        DataType::Interval => (-50..50_i32, -50..50_i32, -100_000_000..100_000_000_i64)
            .prop_map(|(months, days, micros)| {
                Value::Interval(Interval {
                    months,
                    days,
                    micros,
                })
            })
            .boxed(),
        DataType::Json => json().prop_map(|text| Value::Text(text.to_owned())).boxed(),
        DataType::Packed(PackedType::Jsonb) => json()
            .prop_map(move |json| text::parse(json, data_type).expect("it is JSON"))
            .boxed(),
        DataType::Packed(PackedType::TimeTz) => (0..24_u32, 0..60_u32, -15..=15_i32)
            .prop_map(move |(hour, minute, zone)| {
                let text = format!("{hour:02}:{minute:02}:00{zone:+03}");
                text::parse(&text, data_type).expect("it is a time")
            })
            .boxed(),
        DataType::Packed(PackedType::Bit(_) | PackedType::VarBit(_)) => "[01]{0,12}"
            .prop_map(move |bits| text::parse(&bits, data_type).expect("they are bits"))
            .boxed(),
        DataType::Packed(PackedType::Array(element)) => {
            let elements = prop_oneof![4 => value(element.data_type()), 1 => Just(Value::Null)];
            proptest::collection::vec(elements, 0..4)
                .prop_map(move |values| Value::array(element, values.iter().map(Value::as_ref)))
                .boxed()
        }
        DataType::Packed(PackedType::Range(of)) => (value(of.subtype()), value(of.subtype()))
            .prop_map(move |(one, two)| {
                let [one, two] = [one.as_ref(), two.as_ref()];
                let of_bounds = |lower, upper| {
                    SqlRange::new(
                        RangeBound::lower(Some(lower), true),
                        RangeBound::upper(Some(upper), false),
                    )
                };
                match one.compare(two) {
                    Some(Ordering::Less) => of_bounds(one, two).value(of),
                    Some(Ordering::Greater) => of_bounds(two, one).value(of),
                    _ => SqlRange::EMPTY.value(of),
                }
            })
            .boxed(),
        DataType::Packed(PackedType::Multirange(of)) => value(of.range())
            .prop_map(move |range| {
                let context = EvalContext::default();
                cast_value(range.as_ref(), of.multirange(), true, &context).expect("a cast")
            })
            .boxed(),
        DataType::Uuid => any::<[u8; 16]>().prop_map(Value::Uuid).boxed(),
        _ => prop_oneof!["[aAbé%_\\\\ ,]{0,6}", "year|hour|dow|hex|base64|UTC|a"]
            .prop_map(Value::Text)
            .boxed(),
    }
}

/// The rows' arguments: NULL one time in five.
fn rows(types: &CallTypes, runner: &mut TestRunner) -> Vec<Vec<Value>> {
    let draw = |data_type: &DataType, runner: &mut TestRunner| {
        let value = prop_oneof![4 => value(*data_type), 1 => Just(Value::Null)];
        value
            .new_tree(runner)
            .expect("nothing is filtered")
            .current()
    };
    let row = |runner: &mut TestRunner| {
        types
            .arguments
            .iter()
            .map(|t| draw(t, runner))
            .collect::<Vec<_>>()
    };
    (0..ROWS).map(|_| row(runner)).collect()
}

/// What the scalar form answers for a row, or the error's text.
fn one(overload: &Overload, types: &CallTypes, row: &[Value]) -> Result<Option<String>, String> {
    if overload.strict && row.iter().any(Value::is_null) {
        return Ok(None);
    }
    let arguments: Vec<_> = row.iter().map(Value::as_ref).collect();
    match overload.call(&arguments, || types.clone(), &EvalContext::default()) {
        Ok(value) => Ok(text::format(value.as_ref(), types.returns)),
        Err(error) => Err(error.message().to_owned()),
    }
}

fn all(
    overload: &Overload,
    types: &CallTypes,
    operands: &[Operand],
) -> Result<Vec<Option<String>>, String> {
    let array = overload
        .call_over(operands, || types.clone(), ROWS, &EvalContext::default())
        .map_err(|error| error.message().to_owned())?;
    assert_eq!(array.data_type(), &types.returns.arrow(), "{overload:?}");
    assert_eq!(array.len(), ROWS, "{overload:?}");
    let shown = |row| text::format(value_at(array.as_ref(), types.returns, row), types.returns);
    Ok((0..ROWS).map(shown).collect())
}

/// Compares both forms, with argument `constant` the same in every row.
fn check(
    overload: &Overload,
    types: &CallTypes,
    mut rows: Vec<Vec<Value>>,
    constant: Option<usize>,
) {
    if let Some(n) = constant {
        let value = rows[0][n].clone();
        rows.iter_mut().for_each(|row| row[n] = value.clone());
    }
    let operand = |(n, data_type): (usize, &DataType)| {
        if constant == Some(n) {
            return Operand::Scalar(rows[0][n].clone());
        }
        let mut column = ColumnBuilder::new(*data_type, ROWS);
        rows.iter().for_each(|row| column.push(row[n].as_ref()));
        Operand::Array(column.finish())
    };
    let operands: Vec<_> = types.arguments.iter().enumerate().map(operand).collect();
    let expected: Result<Vec<_>, _> = rows.iter().map(|row| one(overload, types, row)).collect();
    assert_eq!(
        all(overload, types, &operands),
        expected,
        "{overload:?} on {rows:?}"
    );
}

#[test]
fn the_scalar_and_the_array_form_of_every_overload_agree() {
    let mut runner = TestRunner::deterministic();
    for overload in registry::all().filter(|o| o.volatility != Volatility::Volatile) {
        let Some(types) = types_of(overload, DataType::Integer) else {
            continue;
        };
        for _ in 0..6 {
            let rows = rows(&types, &mut runner);
            check(overload, &types, rows.clone(), None);
            (0..types.arguments.len()).for_each(|n| check(overload, &types, rows.clone(), Some(n)));
        }
    }
}
