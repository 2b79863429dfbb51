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

/// What is larger may be refused: nearly 2^127.
const LARGEST: f64 = 1.701e38;

/// Whether a result is the expected one, as exactly as a float of this size and the result's own scale tell; or is
/// refused, being too large.
fn is_near(result: Result<Numeric>, expected: f64, size: f64) -> Result<(), TestCaseError> {
    let result = match result {
        Ok(result) => result,
        Err(error) => {
            prop_assert_eq!(error.sqlstate(), "22003");
            prop_assert!(expected.abs() > LARGEST, "{expected} is not too large");
            return Ok(());
        }
    };
    let found = to_f64(result);
    if !expected.is_finite() || !result.is_finite() {
        prop_assert!(
            found == expected || found.is_nan() && expected.is_nan(),
            "{found} {expected}"
        );
        return Ok(());
    }
    prop_assert!(result.scale() <= Numeric::SCALE_MAX);
    let slack = size.abs() * 1e-13 + 10_f64.powi(-i32::from(result.scale()));
    prop_assert!((found - expected).abs() <= slack, "{found} {expected}");
    Ok(())
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
    fn results_of_every_size_are_near_those_of_floats(a in any_numeric(), b in any_numeric()) {
        let (x, y) = (to_f64(a), to_f64(b));
        let size = x.abs() + y.abs();
        let digits = size * 10_f64.powi(a.scale().max(b.scale()).into());
        if digits < LARGEST || !size.is_finite() {
            is_near(add(a, b), x + y, size)?;
            is_near(subtract(a, b), x - y, size)?;
        }
        is_near(multiply(a, b), x * y, x * y)?;
        match divide(a, b) {
            Err(error) if y == 0.0 => prop_assert_eq!(error.sqlstate(), "22012"),
            quotient => is_near(quotient, x / y, x / y)?,
        }
        if signum(a) > 0 {
            is_near(sqrt(a), x.sqrt(), x.sqrt())?;
            is_near(transcendental::ln(a), x.ln(), x.ln())?;
        }
        if x.abs() < 1e3 {
            is_near(transcendental::exp(a), x.exp(), x.exp())?;
        }
    }

    #[test]
    fn a_remainder_of_every_size_is_less_than_the_divisor(a in any_numeric(), b in any_numeric()) {
        prop_assume!(a.is_finite() && b.is_finite());
        match remainder(a, b) {
            Err(error) => prop_assert_eq!((error.sqlstate(), b.mantissa()), ("22012", 0)),
            Ok(rest) => {
                prop_assert!(rest.mantissa() == 0 || signum(rest) == signum(a));
                prop_assert!(to_f64(rest).abs() <= to_f64(b).abs().min(to_f64(a).abs()));
            }
        }
    }

    #[test]
    fn rounding_numbers_of_every_size_goes_to_a_neighbour(a in any_numeric(), n in -50..50_i32) {
        prop_assume!(a.is_finite());
        let (x, unit) = (to_f64(a), 10_f64.powi(-n));
        let slack = x.abs() * 1e-15;
        match round(a, n) {
            Err(error) => {
                prop_assert_eq!(error.sqlstate(), "22003");
                prop_assert!(x.abs() + unit / 2.0 > LARGEST);
            }
            Ok(rounded) => prop_assert!((to_f64(rounded) - x).abs() <= unit / 2.0 + slack),
        }
        let cut = x.abs() - to_f64(truncate(a, n).unwrap()).abs();
        prop_assert!((-slack..=unit + slack).contains(&cut), "{cut}");
        let below = x - to_f64(whole(a, Ordering::Less).unwrap());
        prop_assert!((-slack..=1.0 + slack).contains(&below), "{below}");
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
