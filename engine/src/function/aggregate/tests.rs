//! Aggregates of small columns, with PostgreSQL 15's answers; groups of random rows against one
//! group each.

use super::*;
use crate::function::{Patience, text};
use proptest::prelude::*;
use remora_storage::Value;
use remora_storage::value::{ColumnBuilder, ElementType, PackedType, RangeType, value_at};

/// An array of these texts; `NULL` stands for itself.
fn column(texts: &[&str], data_type: DataType) -> ArrayRef {
    let mut column = ColumnBuilder::new(data_type, texts.len());
    for text in texts {
        let value = match *text {
            "NULL" => Value::Null,
            text => text::parse(text, data_type).unwrap(),
        };
        column.push(value.as_ref());
    }
    column.finish()
}

/// The aggregate of one group, as text.
fn aggregate(name: &str, data_type: DataType, texts: &[&str]) -> Result<String> {
    let aggregate = resolve(name, &[Some(data_type)])?.expect("an aggregate of that name");
    let rows = column(texts, aggregate.types.arguments[0]);
    let mut state = aggregate.aggregate.start(|| aggregate.types.clone());
    state.update(&vec![0; texts.len()], 1, &[rows], &EvalContext::default())?;
    let result = state.finish(1, &EvalContext::default())?;
    let value = value_at(result.as_ref(), aggregate.types.returns, 0);
    Ok(text::format(value, aggregate.types.returns).unwrap_or_else(|| "NULL".to_owned()))
}

#[test]
fn answers_are_those_of_postgresql() {
    use DataType as T;
    for (name, data_type, texts, expected) in [
        ("sum", T::Integer, &["1", "2", "NULL"][..], "3"),
        (
            "sum",
            T::Integer,
            &["2147483647", "2147483647"],
            "4294967294",
        ),
        (
            "sum",
            T::BigInt,
            &["9223372036854775807", "1"],
            "9223372036854775808",
        ),
        ("sum", T::Numeric(None), &["1.5", "2.25"], "3.75"),
        ("sum", T::Real, &["0.5", "0.25"], "0.75"),
        ("sum", T::Integer, &["NULL"], "NULL"),
        ("sum", T::Interval, &["1 day", "2 hours"], "1 day 02:00:00"),
        ("avg", T::Integer, &["1", "2"], "1.5000000000000000"),
        ("avg", T::Integer, &["1", "2", "2"], "1.6666666666666667"),
        (
            "avg",
            T::Integer,
            &["100000000", "200000001"],
            "150000000.50000000",
        ),
        (
            "avg",
            T::Numeric(None),
            &["1.10", "2.25"],
            "1.6750000000000000",
        ),
        ("avg", T::Double, &["1", "2"], "1.5"),
        ("avg", T::Integer, &["NULL"], "NULL"),
        ("avg", T::Interval, &["1 day", "2 days"], "1 day 12:00:00"),
        ("min", T::Text, &["b", "a", "NULL"], "a"),
        ("max", T::Text, &["b", "a"], "b"),
        ("max", T::Double, &["1", "NaN"], "NaN"),
        ("min", T::Date, &["2024-01-05", "2023-12-31"], "2023-12-31"),
        ("count", T::Text, &["a", "NULL"], "1"),
        ("bool_and", T::Boolean, &["t", "f", "NULL"], "f"),
        ("bool_or", T::Boolean, &["t", "f"], "t"),
        ("every", T::Boolean, &["t", "NULL"], "t"),
        ("bit_and", T::Integer, &["6", "3"], "2"),
        ("bit_or", T::Integer, &["6", "3"], "7"),
        (
            "variance",
            T::Integer,
            &["1", "2", "4"],
            "2.3333333333333333",
        ),
        (
            "var_pop",
            T::Integer,
            &["1", "2", "4"],
            "1.5555555555555556",
        ),
        ("stddev", T::Integer, &["1", "2", "4"], "1.5275252316519467"),
        (
            "stddev_pop",
            T::Integer,
            &["1", "2", "4"],
            "1.2472191289246471",
        ),
        ("variance", T::Integer, &["1"], "NULL"),
        ("var_pop", T::Integer, &["1"], "0"),
        (
            "variance",
            T::Double,
            &["1", "2", "4"],
            "2.3333333333333335",
        ),
        ("stddev", T::Double, &["1", "2", "4"], "1.5275252316519468"),
        (
            "stddev",
            T::Numeric(None),
            &["1.5", "2.5", "9.25"],
            "4.2155466233139129",
        ),
    ] {
        assert_eq!(
            aggregate(name, data_type, texts).unwrap(),
            expected,
            "{name} of {texts:?}"
        );
    }
}

#[test]
fn a_sum_that_does_not_fit_is_out_of_range() {
    let error = aggregate("sum", DataType::Real, &["3e38", "3e38"]).unwrap_err();
    assert_eq!(error.sqlstate(), "22003");
    let most = "170141183460469231731687303715884105727";
    let error = aggregate("sum", DataType::Numeric(None), &[most, "1"]).unwrap_err();
    assert_eq!(error.sqlstate(), "22003");
}

#[test]
fn a_missing_aggregate_is_named_with_its_types() {
    let error = resolve("sum", &[Some(DataType::Text)]).unwrap_err();
    assert_eq!(error.message(), "function sum(text) does not exist");
    assert!(resolve("no_such", &[]).unwrap().is_none());
    assert_eq!(
        resolve("min", &[Some(DataType::Uuid)])
            .unwrap_err()
            .sqlstate(),
        "42883"
    );
}

#[test]
fn the_delimiter_of_a_row_stands_before_its_text() {
    let found = resolve("string_agg", &[Some(DataType::Text), None])
        .unwrap()
        .unwrap();
    let texts = column(&["a", "NULL", "b", "c"], DataType::Text);
    let delimiters = column(&["-", ",", ", ", "NULL"], DataType::Text);
    let mut state = found.aggregate.start(|| found.types.clone());
    state
        .update(&[0; 4], 2, &[texts, delimiters], &EvalContext::default())
        .unwrap();
    let result = state.finish(2, &EvalContext::default()).unwrap();
    let at = |row| {
        text::format(
            value_at(result.as_ref(), DataType::Text, row),
            DataType::Text,
        )
    };
    assert_eq!((at(0), at(1)), (Some("a, bc".to_owned()), None));
}

proptest! {
    #[test]
    fn groups_do_not_disturb_each_other(
        rows in proptest::collection::vec((0..4_u32, proptest::option::of(-99..99_i32)), 1..60),
        name in proptest::sample::select(&["sum", "avg", "min", "max", "count", "stddev"][..]),
        cut in 0..60_usize,
    ) {
        let found = resolve(name, &[Some(DataType::Integer)]).unwrap().unwrap();
        let array = |rows: &[(u32, Option<i32>)]| {
            let mut column = ColumnBuilder::new(DataType::Integer, rows.len());
            rows.iter().for_each(|(_, v)| {
                column.push(v.map_or(Value::Null, Value::Integer).as_ref());
            });
            column.finish()
        };
        let run = |batches: &[&[(u32, Option<i32>)]], groups: usize| {
            let mut state = found.aggregate.start(|| found.types.clone());
            for batch in batches {
                let numbers: Vec<u32> = batch.iter().map(|(g, _)| *g).collect();
                state.update(&numbers, groups, &[array(batch)], &EvalContext::default()).unwrap();
            }
            let result = state.finish(groups, &EvalContext::default()).unwrap();
            (0..groups)
                .map(|row| value_at(result.as_ref(), found.types.returns, row).to_owned())
                .collect::<Vec<_>>()
        };
        let (first, second) = rows.split_at(cut.min(rows.len()));
        let together = run(&[first, second], 4);
        for group in 0..4 {
            let alone: Vec<_> =
                rows.iter().filter(|(g, _)| *g == group).map(|(_, v)| (0, *v)).collect();
            prop_assert_eq!(&run(&[&alone], 1)[0], &together[group as usize]);
        }
    }
}

/// A row's value may be long: within it they look whether the statement is to end, too.
#[test]
fn aggregates_of_long_values_end_when_told_to() {
    let bytes = 1 << 20;
    let key = format!("\"{}\"", "x".repeat(bytes));
    let elements = format!("{{1{}}}", ",2".repeat(bytes / 2));
    let ranges = (0..bytes / 16).map(|n| format!("[{},{})", n * 4, n * 4 + 1));
    let ranges = format!("{{{}}}", ranges.collect::<Vec<_>>().join(","));
    let json = DataType::Json;
    let array = ElementType::new(DataType::Integer).unwrap().array();
    let multirange = DataType::Packed(PackedType::Multirange(
        RangeType::new(DataType::Integer, None).unwrap(),
    ));
    for (name, types, text) in [
        ("json_object_agg", vec![json, json], &key),
        ("array_agg", vec![array], &elements),
        ("range_agg", vec![multirange], &ranges),
    ] {
        let types: Vec<_> = types.into_iter().map(Some).collect();
        let found = resolve(name, &types).unwrap().expect("an aggregate");
        let arguments: Vec<ArrayRef> = types
            .iter()
            .flatten()
            .map(|of| column(&[text], *of))
            .collect();
        let update = |patience| {
            let context = EvalContext {
                patience,
                ..EvalContext::default()
            };
            let mut state = found.aggregate.start(|| found.types.clone());
            state.update(&[0], 1, &arguments, &context)
        };
        update(Patience::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            update(Patience::short()).unwrap_err().sqlstate(),
            "57014",
            "{name}"
        );
    }
}
