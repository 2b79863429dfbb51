//! What is written reads back; what is read is a value or an error, never a panic.

use super::*;
use crate::function::calendar::{FIRST_DAY, LAST_DAY};
use proptest::prelude::*;
use remora_storage::value::{ElementType, NumericModifier};
use remora_storage::{Interval, Numeric};

const TYPES: [DataType; 19] = [
    DataType::Boolean,
    DataType::SmallInt,
    DataType::Integer,
    DataType::BigInt,
    DataType::Real,
    DataType::Double,
    DataType::Numeric(None),
    DataType::Numeric(Some(NumericModifier {
        precision: 5,
        scale: 2,
    })),
    DataType::Text,
    DataType::Varchar(Some(3)),
    DataType::Char(3),
    DataType::Bytea,
    DataType::Date,
    DataType::Time,
    DataType::Timestamp,
    DataType::TimestampTz,
    DataType::Interval,
    DataType::Uuid,
    DataType::Varchar(None),
];

/// Any value and its type.
fn typed() -> impl Strategy<Value = (Value, DataType)> {
    let limit = Numeric::MANTISSA_LIMIT;
    // From 4714 BC, which all timestamps reach, to the last microsecond.
    let moment = -210_866_803_200_000_000..i64::MAX;
    prop_oneof![
        any::<bool>().prop_map(|v| (Value::Boolean(v), DataType::Boolean)),
        any::<i16>().prop_map(|v| (Value::SmallInt(v), DataType::SmallInt)),
        any::<i64>().prop_map(|v| (Value::BigInt(v), DataType::BigInt)),
        any::<f32>().prop_map(|v| (Value::Real(v), DataType::Real)),
        any::<f64>().prop_map(|v| (Value::Double(v), DataType::Double)),
        (1 - limit..limit, 0..=38_u8).prop_map(|(m, s)| {
            (
                Value::Numeric(Numeric::new(m, s).unwrap()),
                DataType::Numeric(None),
            )
        }),
        proptest::collection::vec(any::<u8>(), 0..20)
            .prop_map(|v| (Value::Bytea(v), DataType::Bytea)),
        (FIRST_DAY..=LAST_DAY).prop_map(|v| (Value::Date(v as i32), DataType::Date)),
        (0..=86_400_000_000_i64).prop_map(|v| (Value::Time(v), DataType::Time)),
        moment
            .clone()
            .prop_map(|v| (Value::Timestamp(v), DataType::Timestamp)),
        moment.prop_map(|v| (Value::TimestampTz(v), DataType::TimestampTz)),
        (any::<i32>(), any::<i32>(), i64::MIN..=i64::MAX).prop_map(|(months, days, micros)| {
            (
                Value::Interval(Interval {
                    months,
                    days,
                    micros,
                }),
                DataType::Interval,
            )
        }),
        any::<[u8; 16]>().prop_map(|v| (Value::Uuid(v), DataType::Uuid)),
    ]
}

#[test]
fn errors_name_the_type_and_the_text() {
    for (text, data_type, sqlstate, message) in [
        (
            "x",
            DataType::Integer,
            "22P02",
            "invalid input syntax for type integer: \"x\"",
        ),
        (
            "99999",
            DataType::SmallInt,
            "22003",
            "value \"99999\" is out of range for type smallint",
        ),
        (
            "x",
            DataType::Boolean,
            "22P02",
            "invalid input syntax for type boolean: \"x\"",
        ),
        (
            "x",
            DataType::Numeric(None),
            "22P02",
            "invalid input syntax for type numeric: \"x\"",
        ),
        (
            "1e400",
            DataType::Double,
            "22003",
            "\"1e400\" is out of range for type double precision",
        ),
        (
            "x",
            DataType::Date,
            "22007",
            "invalid input syntax for type date: \"x\"",
        ),
        (
            "x",
            DataType::Timestamp,
            "22007",
            "invalid input syntax for type timestamp: \"x\"",
        ),
        (
            "x",
            DataType::Interval,
            "22007",
            "invalid input syntax for type interval: \"x\"",
        ),
        (
            "x",
            DataType::Uuid,
            "22P02",
            "invalid input syntax for type uuid: \"x\"",
        ),
        (
            "2024-13-01",
            DataType::Date,
            "22008",
            "date/time field value out of range: \"2024-13-01\"",
        ),
        (
            "abcd",
            DataType::Varchar(Some(3)),
            "22001",
            "value too long for type character varying(3)",
        ),
        (
            "abcd",
            DataType::Char(3),
            "22001",
            "value too long for type character(3)",
        ),
    ] {
        let error = parse(text, data_type).unwrap_err();
        assert_eq!((error.sqlstate(), error.message()), (sqlstate, message));
    }
}

#[test]
fn a_numeric_that_overflows_its_column_says_what_fits() {
    let column = DataType::Numeric(Some(NumericModifier {
        precision: 5,
        scale: 2,
    }));
    let error = parse("1000", column).unwrap_err();
    assert_eq!(error.message(), "numeric field overflow");
    assert_eq!(
        error.detail(),
        Some("A field with precision 5, scale 2 must round to an absolute value less than 10^3.")
    );
}

#[test]
fn char_is_shown_with_the_blanks_that_it_is_held_without() {
    let value = parse("ab ", DataType::Char(4)).unwrap();
    assert_eq!(value, Value::Text("ab".to_owned()));
    assert_eq!(format(value.as_ref(), DataType::Char(4)).unwrap(), "ab  ");
}

proptest! {
    #[test]
    fn what_is_written_reads_back((value, data_type) in typed()) {
        let shown = format(value.as_ref(), data_type).unwrap();
        let back = parse(&shown, data_type);
        prop_assert!(back.is_ok(), "{shown}: {back:?}");
        let back = back.unwrap();
        prop_assert_eq!(&back, &value, "{}", shown);
        prop_assert_eq!(format(back.as_ref(), data_type).unwrap(), shown);
    }

    #[test]
    fn no_text_panics(text in ".{0,30}") {
        for data_type in TYPES {
            let _ = parse(&text, data_type);
        }
    }

    #[test]
    fn no_nearly_right_text_panics(text in "[0-9:./ +-]{0,24}( ?(BC|PM|T|Z|mon|day|s|e|J|P|ago))?[0-9]{0,25}") {
        for data_type in TYPES {
            let _ = parse(&text, data_type);
        }
    }
}

/// Blanks around a value mean nothing, however many; what is read in one go is not as long.
#[test]
fn long_texts_are_read_without_their_blanks() {
    let blanks = " \n\t".repeat(1_000_000);
    for (inner, data_type) in [
        ("true", DataType::Boolean),
        ("-17", DataType::SmallInt),
        ("1.5", DataType::Double),
        ("1.50", DataType::Numeric(None)),
        ("2024-01-05", DataType::Date),
        (
            "{1,NULL}",
            ElementType::new(DataType::Integer).unwrap().array(),
        ),
    ] {
        let long = format!("{blanks}{inner}{blanks}");
        assert_eq!(
            parse(&long, data_type).unwrap(),
            parse(inner, data_type).unwrap()
        );
    }
    let digits = "1".repeat(3_000_000);
    for data_type in [
        DataType::Boolean,
        DataType::Integer,
        DataType::Numeric(None),
        DataType::Uuid,
    ] {
        let error = parse(&digits, data_type).unwrap_err();
        assert_eq!(error.sqlstate(), "54000", "{error}");
    }
    let error = parse(&format!("[{digits}x]"), DataType::Json).unwrap_err();
    let detail = error.detail().expect("which token is wrong");
    assert!(
        detail.len() <= 8 << 10 && detail.ends_with("..."),
        "{}",
        detail.len()
    );
}
