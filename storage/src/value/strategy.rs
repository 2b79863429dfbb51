//! Random values for property tests, with those that code forgets at the front.

use super::{
    DataType, Dimension, ElementType, Interval, Numeric, PackedType, RangeBound, RangeType,
    SqlArray, SqlRange, Value, ValueRef,
};
use proptest::prelude::*;

/// The types that differ in how values are held.
pub(crate) const TYPES: [DataType; 19] = [
    DataType::Boolean,
    DataType::SmallInt,
    DataType::Integer,
    DataType::BigInt,
    DataType::Real,
    DataType::Double,
    DataType::Numeric(None),
    DataType::Text,
    DataType::Bytea,
    DataType::Date,
    DataType::Time,
    DataType::Timestamp,
    DataType::TimestampTz,
    DataType::Interval,
    DataType::Uuid,
    DataType::Packed(PackedType::Array(ELEMENT)),
    NUMRANGE.range(),
    NUMRANGE.multirange(),
    RangeType::of_system(DataType::Integer).range(),
];

/// Ranges whose equal values can be told apart.
const NUMRANGE: RangeType = RangeType::of_system(DataType::Numeric(None));
/// Elements whose equal values can be told apart.
const ELEMENT: ElementType = ElementType::new(DataType::Numeric(None)).expect("no array");

/// Any value of any type.
pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    prop::sample::select(TYPES.as_slice()).prop_flat_map(any_value_of)
}

/// Any value of one type, NULL in one of eight.
pub(crate) fn any_value_of(data_type: DataType) -> impl Strategy<Value = Value> {
    prop_oneof![1 => Just(Value::Null), 7 => not_null(data_type)]
}

/// A numeric of any kind; many are equal to others of another scale.
pub(crate) fn any_numeric() -> impl Strategy<Value = Numeric> {
    let limit = Numeric::MANTISSA_LIMIT - 1;
    let mantissa = prop_oneof![
        -20..=20_i128,
        (-9..=9_i128, 0..38_u32).prop_map(|(n, zeros)| n * 10_i128.pow(zeros)),
        -limit..=limit,
        Just(limit),
        Just(-limit),
        Just(i128::MAX),
        Just(i128::MIN),
        any::<i128>(),
    ];
    let finite = (mantissa, 0..=Numeric::SCALE_MAX)
        .prop_map(|(m, s)| Numeric::new(m, s).expect("within the limits"));
    let special = prop::sample::select(vec![
        Numeric::NAN,
        Numeric::INFINITY,
        Numeric::NEG_INFINITY,
        Numeric::ZERO,
    ]);
    prop_oneof![8 => finite, 1 => special]
}

fn any_interval() -> impl Strategy<Value = Interval> {
    let small = (-3..=3, -90..=90, -3..=3_i64).prop_map(|(months, days, days_more)| Interval {
        months,
        days,
        micros: days_more * 86_400_000_000,
    });
    let any =
        (any::<i32>(), any::<i32>(), any::<i64>()).prop_map(|(months, days, micros)| Interval {
            months,
            days,
            micros,
        });
    prop_oneof![small, any]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0), Just(1), Just(0xFE), Just(0xFF), any::<u8>()];
    prop::collection::vec(byte, 0..12)
}

fn text() -> impl Strategy<Value = String> {
    let char = prop_oneof![
        Just('\0'),
        Just('\u{1}'),
        Just('a'),
        Just('b'),
        any::<char>()
    ];
    prop::collection::vec(char, 0..10).prop_map(String::from_iter)
}

/// An array of up to two dimensions.
fn any_array(element: ElementType) -> impl Strategy<Value = Value> {
    let first = prop_oneof![3 => Just(1), 1 => -2..=2_i32];
    let dimensions = prop::collection::vec((1..=3_u32, first), 0..=2);
    dimensions.prop_flat_map(move |dimensions| {
        let dimensions: Vec<Dimension> = dimensions
            .into_iter()
            .map(|(length, first)| Dimension { length, first })
            .collect();
        let product: u32 = dimensions.iter().map(|one| one.length).product();
        let len = if dimensions.is_empty() {
            0
        } else {
            product as usize
        };
        let values = prop::collection::vec(any_value_of(element.data_type()), len);
        values.prop_map(move |values| {
            let values: Vec<ValueRef<'_>> = values.iter().map(Value::as_ref).collect();
            let bytes = SqlArray::encode(element, &dimensions, values);
            Value::Packed(PackedType::Array(element), bytes)
        })
    })
}

/// Any range, the empty one among them; bounds are turned round where they are not in order.
fn any_range(of: RangeType) -> impl Strategy<Value = Value> {
    let bound = || any_value_of(of.subtype());
    let inclusive = any::<(bool, bool)>();
    (bound(), bound(), inclusive, 0..8_u8).prop_map(move |(one, two, (a, b), kind)| {
        let (one, two) = (one.as_ref(), two.as_ref());
        let lower = RangeBound::lower((!one.is_null()).then_some(one), a);
        let upper = RangeBound::upper((!two.is_null()).then_some(two), b);
        let range = match (lower <= upper, kind) {
            (_, 0) => SqlRange::EMPTY,
            (true, _) => SqlRange::new(lower, upper),
            (false, _) => SqlRange::new(
                RangeBound::lower(Some(two), true),
                RangeBound::upper(Some(one), true),
            ),
        };
        match range.is_valid() {
            true => range.value(of),
            false => SqlRange::EMPTY.value(of),
        }
    })
}

/// One range or none, as a multirange.
fn any_multirange(of: RangeType) -> impl Strategy<Value = Value> {
    any_range(of).prop_map(move |range| {
        let range = Some(range.as_ref()).filter(|range| {
            let range = range.as_range();
            range.is_some_and(|range| !range.is_empty())
        });
        match Value::array(of.element(), range) {
            Value::Packed(_, bytes) => Value::Packed(PackedType::Multirange(of), bytes),
            other => other,
        }
    })
}

fn not_null(data_type: DataType) -> BoxedStrategy<Value> {
    let small = -2..=2_i64;
    match data_type {
        DataType::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        DataType::SmallInt => any::<i16>().prop_map(Value::SmallInt).boxed(),
        DataType::Integer => prop_oneof![any::<i32>(), -2..=2]
            .prop_map(Value::Integer)
            .boxed(),
        DataType::BigInt => prop_oneof![any::<i64>(), small]
            .prop_map(Value::BigInt)
            .boxed(),
        DataType::Real => prop_oneof![any::<f32>(), prop::num::f32::ANY, Just(0.0), Just(-0.0)]
            .prop_map(Value::Real)
            .boxed(),
        DataType::Double => prop_oneof![any::<f64>(), prop::num::f64::ANY, Just(0.0), Just(-0.0)]
            .prop_map(Value::Double)
            .boxed(),
        DataType::Numeric(_) => any_numeric().prop_map(Value::Numeric).boxed(),
        DataType::Text | DataType::Varchar(_) | DataType::Char(_) | DataType::Json => {
            text().prop_map(Value::Text).boxed()
        }
        DataType::Bytea => bytes().prop_map(Value::Bytea).boxed(),
        DataType::Date => prop_oneof![any::<i32>(), Just(i32::MIN), Just(i32::MAX)]
            .prop_map(Value::Date)
            .boxed(),
        DataType::Time => (0..=86_400_000_000_i64).prop_map(Value::Time).boxed(),
        DataType::Timestamp => prop_oneof![any::<i64>(), small, Just(i64::MAX)]
            .prop_map(Value::Timestamp)
            .boxed(),
        DataType::TimestampTz => prop_oneof![any::<i64>(), small, Just(i64::MIN)]
            .prop_map(Value::TimestampTz)
            .boxed(),
        DataType::Interval => any_interval().prop_map(Value::Interval).boxed(),
        DataType::Uuid => any::<[u8; 16]>().prop_map(Value::Uuid).boxed(),
        DataType::Packed(PackedType::Array(element)) => any_array(element).boxed(),
        DataType::Packed(PackedType::Range(of)) => any_range(of).boxed(),
        DataType::Packed(PackedType::Multirange(of)) => any_multirange(of).boxed(),
        DataType::Packed(packed @ (PackedType::Bit(_) | PackedType::VarBit(_))) => {
            let bits = prop::collection::vec(prop_oneof![Just(b'0'), Just(b'1')], 0..12);
            bits.prop_map(move |bits| Value::Packed(packed, bits))
                .boxed()
        }
        DataType::Packed(packed @ PackedType::TimeTz) => (any::<i32>(), -50_000..50_000_i32)
            .prop_map(move |(utc, behind)| {
                let utc = i64::from(utc) ^ i64::MIN;
                let behind = behind ^ i32::MIN;
                let bytes = [&utc.to_be_bytes()[..], &behind.to_be_bytes()[..]];
                Value::Packed(packed, bytes.concat())
            })
            .boxed(),
        DataType::Packed(packed) => bytes()
            .prop_map(move |bytes| Value::Packed(packed, bytes))
            .boxed(),
    }
}
