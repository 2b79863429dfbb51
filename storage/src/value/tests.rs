//! Orders are total and agree with what the values stand for; arrays give back what they got.

use super::*;
use proptest::prelude::*;
use std::cmp::Ordering;
use std::hash::{BuildHasher, RandomState};

/// The digits of a finite numeric to 38 places after the point, as text: a slow, obvious order.
fn digits(n: Numeric) -> (bool, String) {
    let padded = format!("{:0>77}", n.mantissa().unsigned_abs());
    let zeros = "0".repeat(usize::from(Numeric::SCALE_MAX - n.scale()));
    let all = format!("{:0>120}", padded + &zeros);
    (n.mantissa() < 0, all)
}

fn model_order(a: Numeric, b: Numeric) -> Ordering {
    if !a.is_finite() || !b.is_finite() {
        return a.kind().cmp(&b.kind());
    }
    match (digits(a), digits(b)) {
        ((true, a), (true, b)) => b.cmp(&a),
        ((false, a), (false, b)) => a.cmp(&b),
        ((a, _), (b, _)) => b.cmp(&a),
    }
}

proptest! {
    #[test]
    fn numerics_order_by_value(a in any_numeric(), b in any_numeric()) {
        prop_assert_eq!(a.cmp(&b), model_order(a, b));
        prop_assert_eq!(b.cmp(&a), model_order(a, b).reverse());
    }

    #[test]
    fn equal_numerics_hash_alike(n in any_numeric(), more in 0..38_u8) {
        let state = RandomState::new();
        let normal = n.normalized();
        prop_assert_eq!(n, normal);
        prop_assert_eq!(state.hash_one(n), state.hash_one(normal));
        let wider = 10_i128
            .checked_pow(more.into())
            .and_then(|unit| n.mantissa().checked_mul(unit))
            .and_then(|m| Numeric::new(m, n.scale() + more));
        if let (Some(wider), true) = (wider, n.is_finite()) {
            prop_assert_eq!(n, wider);
            prop_assert_eq!(state.hash_one(n), state.hash_one(wider));
        }
    }

    #[test]
    fn numerics_come_back_from_their_bytes(n in any_numeric(), other in any::<[u8; 17]>()) {
        let back = Numeric::from_bytes(&n.to_bytes()).unwrap();
        prop_assert_eq!((back.mantissa(), back.scale(), back.kind()), (n.mantissa(), n.scale(), n.kind()));
        // Any other bytes are a numeric or none, and never a panic.
        if let Some(n) = Numeric::from_bytes(&other) {
            prop_assert!(n.scale() <= Numeric::SCALE_MAX);
        }
    }

    #[test]
    fn the_order_of_values_is_total(
        (a, b, c) in prop::sample::select(TYPES.as_slice())
            .prop_flat_map(|t| (any_value_of(t), any_value_of(t), any_value_of(t)))
    ) {
        let order = |a: &Value, b: &Value| a.as_ref().compare(b.as_ref()).unwrap();
        prop_assert_eq!(order(&a, &a), Ordering::Equal);
        prop_assert_eq!(order(&a, &b), order(&b, &a).reverse());
        if order(&a, &b).is_le() && order(&b, &c).is_le() {
            prop_assert!(order(&a, &c).is_le());
        }
    }

    #[test]
    fn arrays_give_back_what_they_got(
        (data_type, values) in prop::sample::select(TYPES.as_slice())
            .prop_flat_map(|t| (Just(t), prop::collection::vec(any_value_of(t), 0..20)))
    ) {
        let mut builder = ColumnBuilder::new(data_type, values.len());
        values.iter().for_each(|v| builder.push(v.as_ref()));
        let array = builder.finish();
        prop_assert_eq!(array.data_type(), &data_type.arrow());
        for (row, value) in values.iter().enumerate() {
            prop_assert_eq!(value_at(&array, data_type, row), value.as_ref());
        }
    }
}

#[test]
fn numeric_keeps_any_128_bits_and_38_places() {
    assert!(Numeric::new(i128::MAX, 38).is_some());
    assert!(Numeric::new(i128::MIN, 0).is_some());
    assert!(Numeric::new(1, 39).is_none());
    // A declared precision ends at 38 digits.
    assert_eq!(Numeric::from_fixed(i128::MIN, 0), Numeric::NAN);
    assert_eq!(
        Numeric::from_fixed(Numeric::MANTISSA_LIMIT, 0),
        Numeric::NAN
    );
}

#[test]
fn a_fixed_numeric_column_keeps_nan_beside_its_numbers() {
    let data_type = DataType::Numeric(Some(NumericModifier {
        precision: 38,
        scale: 2,
    }));
    let most = Numeric::new(Numeric::MANTISSA_LIMIT - 1, 2).unwrap();
    let mut builder = ColumnBuilder::new(data_type, 2);
    builder.push(ValueRef::Numeric(most));
    builder.push(ValueRef::Numeric(Numeric::NAN));
    let array = builder.finish();
    assert_eq!(value_at(&array, data_type, 0), ValueRef::Numeric(most));
    assert_eq!(
        value_at(&array, data_type, 1),
        ValueRef::Numeric(Numeric::NAN)
    );
}

#[test]
fn specials_order_as_in_postgresql() {
    let double = ValueRef::Double;
    let less = Some(Ordering::Less);
    let equal = Some(Ordering::Equal);
    assert_eq!(double(f64::INFINITY).compare(double(f64::NAN)), less);
    assert_eq!(double(f64::NAN).compare(double(-f64::NAN)), equal);
    assert_eq!(double(-0.0).compare(double(0.0)), equal);
    assert_eq!(double(f64::NAN).compare(ValueRef::Null), less);
    let month = Interval {
        months: 1,
        ..Interval::default()
    };
    let days = Interval {
        days: 30,
        ..Interval::default()
    };
    assert_eq!(month, days);
    assert_eq!(ValueRef::Integer(1).compare(ValueRef::BigInt(1)), None);
    assert!(Numeric::NEG_INFINITY < Numeric::ZERO);
    assert!(Numeric::INFINITY < Numeric::NAN);
}
