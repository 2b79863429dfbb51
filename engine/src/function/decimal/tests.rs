//! NUMERIC arithmetic against big integers that are easy to trust.

use super::*;
use proptest::prelude::*;

fn numeric() -> impl Strategy<Value = Numeric> {
    (any::<i64>(), 0..=18_u8).prop_map(|(m, s)| Numeric::new(m.into(), s).unwrap())
}

/// Numbers of all sizes, special ones included.
fn any_numeric() -> impl Strategy<Value = Numeric> {
    let limit = Numeric::MANTISSA_LIMIT;
    prop_oneof![
        8 => (1 - limit..limit, 0..=38_u8).prop_map(|(m, s)| Numeric::new(m, s).unwrap()),
        2 => (prop::sample::select(vec![i128::MIN, i128::MAX]), 0..=38_u8)
            .prop_map(|(m, s)| Numeric::new(m, s).unwrap()),
        8 => (-1000_i128..1000, 0..=38_u8).prop_map(|(m, s)| Numeric::new(m, s).unwrap()),
        1 => Just(Numeric::NAN),
        1 => Just(Numeric::INFINITY),
        1 => Just(Numeric::NEG_INFINITY),
    ]
}

/// A value of at most 18 digits behind the point, in units of 10^-18.
fn units(n: Numeric) -> i128 {
    n.mantissa() * pow10(18 - n.scale())
}

#[test]
fn a_quotient_shows_sixteen_significant_digits() {
    let three = Numeric::from(3);
    let third = divide(Numeric::from(1), three).unwrap();
    assert_eq!(
        (third.mantissa(), third.scale()),
        (33_333_333_333_333_333_333, 20)
    );
}

#[test]
fn a_product_keeps_its_whole_part_and_gives_up_digits_behind_the_point() {
    let third = Numeric::new(33_333_333_333_333_333_333, 20).unwrap();
    let product = multiply(third, third).unwrap();
    assert_eq!(product.scale(), 38);
    let large = Numeric::new(10_i128.pow(30), 0).unwrap();
    assert_eq!(multiply(large, large).unwrap_err().sqlstate(), "22003");
}

#[test]
fn what_128_bits_hold_is_exact_and_what_they_do_not_is_refused() {
    let whole = |n| Numeric::new(n, 0).unwrap();
    let (least, most, one) = (whole(i128::MIN), whole(i128::MAX), Numeric::from(1));
    assert_eq!(add(most, one).unwrap_err().sqlstate(), "22003");
    assert_eq!(negate(least).unwrap_err().sqlstate(), "22003");
    assert_eq!(subtract(Numeric::from(-1), least).unwrap(), most);
    assert_eq!(
        multiply(most, Numeric::from(-1)).unwrap(),
        negate(most).unwrap()
    );
    assert_eq!(remainder(least, most).unwrap(), Numeric::from(-1));
    assert_eq!(divide(least, least).unwrap(), one);
    assert_eq!(round(least, -1).unwrap_err().sqlstate(), "22003");
}

proptest! {
    #[test]
    fn sums_are_exact(a in numeric(), b in numeric()) {
        let sum = add(a, b).unwrap();
        prop_assert_eq!(sum.scale(), a.scale().max(b.scale()));
        prop_assert_eq!(units(sum), units(a) + units(b));
        prop_assert_eq!(subtract(sum, b).unwrap(), a);
    }

    #[test]
    fn products_are_exact(a in any::<i32>(), b in any::<i32>(), s in 0..=9_u8, t in 0..=9_u8) {
        let product =
            multiply(Numeric::new(a.into(), s).unwrap(), Numeric::new(b.into(), t).unwrap());
        let product = product.unwrap();
        prop_assert_eq!(product.scale(), s + t);
        prop_assert_eq!(product.mantissa(), i128::from(a) * i128::from(b));
    }

    #[test]
    fn a_quotient_times_the_divisor_is_the_dividend(a in any::<i32>(), b in 1..i32::MAX) {
        let (a, b) = (Numeric::from(i64::from(a)), Numeric::from(i64::from(b)));
        let back = multiply(divide(a, b).unwrap(), b).unwrap();
        prop_assert_eq!(round(back, 3).unwrap(), a);
    }

    #[test]
    fn quotient_and_remainder_make_the_dividend(a in numeric(), b in numeric()) {
        prop_assume!(b.mantissa() != 0);
        let (q, r) = (quotient(a, b), remainder(a, b).unwrap());
        if let Ok(product) = q.and_then(|q| multiply(q, b)) {
            prop_assert_eq!(add(product, r).unwrap(), a);
        }
        prop_assert!(r.mantissa().signum() * a.mantissa().signum() >= 0);
    }

    #[test]
    fn nothing_panics_whatever_the_size(
        a in any_numeric(), b in any_numeric(), n in -50..50_i32,
    ) {
        let results = [
            add(a, b), subtract(a, b), multiply(a, b), divide(a, b), remainder(a, b),
            quotient(a, b), round(a, n), truncate(a, n), whole(a, Ordering::Less),
            transcendental::exp(a), transcendental::ln(a), transcendental::log(a, b),
            transcendental::power(a, b),
            if signum(a) < 0 { Ok(a) } else { sqrt(a) },
        ];
        for value in results.into_iter().flatten() {
            prop_assert!(value.scale() <= Numeric::SCALE_MAX);
        }
    }

    #[test]
    fn a_root_squared_is_near_its_square(a in 0..1_000_000_000_i64) {
        let root = sqrt(Numeric::from(a)).unwrap();
        let back = multiply(root, root).unwrap();
        prop_assert_eq!(round(back, 5).unwrap(), Numeric::from(a));
    }

    #[test]
    fn exp_undoes_ln(a in 1..1_000_000_000_i64) {
        let a = Numeric::new(a.into(), 4).unwrap();
        let back = transcendental::exp(transcendental::ln(a).unwrap()).unwrap();
        let error = to_f64(subtract(back, a).unwrap()).abs();
        prop_assert!(error <= to_f64(a) * 1e-13, "{back:?} for {a:?}");
    }
}
