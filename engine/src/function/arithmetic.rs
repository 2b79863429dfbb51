//! Arithmetic on numbers: `+ - * / %`, unary `-` and `+`, `abs`, and the bit operators.
//!
//! Integers fail on overflow (22003) and on division by zero (22012), division truncates; floats
//! follow PostgreSQL in refusing to make an infinity out of finite numbers.

use super::kernel::function;
use super::native::out_of_range;
use super::{Overload, decimal};
use crate::error::{Error, Result};

#[cold]
fn overflow(type_name: &str) -> Error {
    out_of_range(type_name)
}

macro_rules! integers {
    ($table:ident, $sql:ident, $native:ty, $name:literal) => {
        static $table: &[Overload] = &[
    function!("+"($sql, $sql) -> $sql, "Sum.",
                |a, b| a.checked_add(b).ok_or_else(|| overflow($name))),
    function!("-"($sql, $sql) -> $sql, "Difference.",
                |a, b| a.checked_sub(b).ok_or_else(|| overflow($name))),
    function!("*"($sql, $sql) -> $sql, "Product.",
                |a, b| a.checked_mul(b).ok_or_else(|| overflow($name))),
            function!("/"($sql, $sql) -> $sql, "Quotient, cut towards zero.", |a, b| match b {
                0 => Err(decimal::division_by_zero()),
                _ => a.checked_div(b).ok_or_else(|| overflow($name)),
            }),
            function!("%"($sql, $sql) -> $sql, "Rest of the division.", |a, b| match b {
                0 => Err(decimal::division_by_zero()),
                // MIN % -1 is 0, though the quotient would overflow.
                _ => Ok(a.wrapping_rem(b)),
            }),
            function!("mod"($sql, $sql) -> $sql, "Rest of the division.", |a, b| match b {
                0 => Err(decimal::division_by_zero()),
                _ => Ok(a.wrapping_rem(b)),
            }),
    function!("-"($sql) -> $sql, "Negation.",
                |a| a.checked_neg().ok_or_else(|| overflow($name))),
    function!("+"($sql) -> $sql, "The number itself.", Ok),
    function!("abs"($sql) -> $sql, "Absolute value.",
                |a| a.checked_abs().ok_or_else(|| overflow($name))),
    function!("&"($sql, $sql) -> $sql, "Bits set in both.", |a, b| Ok(a & b)),
    function!("|"($sql, $sql) -> $sql, "Bits set in either.", |a, b| Ok(a | b)),
    function!("#"($sql, $sql) -> $sql, "Bits set in one of the two.", |a, b| Ok(a ^ b)),
    function!("~"($sql) -> $sql, "All bits flipped.", |a| Ok(!a)),
            // The shift count is taken modulo the width, as the hardware does.
    function!("<<"($sql, Integer) -> $sql, "Shift left.",
                |a, n| Ok(a.wrapping_shl(n as u32))),
    function!(">>"($sql, Integer) -> $sql, "Shift right.",
                |a, n| Ok(a.wrapping_shr(n as u32))),
        ];
    };
}

integers!(SMALLINT, SmallInt, i16, "smallint");
integers!(INTEGER, Integer, i32, "integer");
integers!(BIGINT, BigInt, i64, "bigint");

/// The float arithmetic of PostgreSQL: an infinity or a zero that the arguments do not explain is
/// an error.
pub(super) mod float {
    use super::{Error, Result, decimal};

    /// The bounds of a float type, so that REAL can compute in `f64` and still overflow as itself.
    pub(in crate::function) trait Width: Copy {
        fn widen(self) -> f64;
        fn narrow(wide: f64) -> Self;
    }
    impl Width for f32 {
        fn widen(self) -> f64 {
            self.into()
        }
        fn narrow(wide: f64) -> Self {
            wide as f32
        }
    }
    impl Width for f64 {
        fn widen(self) -> f64 {
            self
        }
        fn narrow(wide: f64) -> Self {
            wide
        }
    }

    #[cold]
    pub(in crate::function) fn overflow() -> Error {
        sql_error!(NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")
    }

    #[cold]
    pub(in crate::function) fn underflow() -> Error {
        sql_error!(NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow")
    }

    fn checked<T: Width>(result: T, finite: bool) -> Result<T> {
        if result.widen().is_infinite() && finite {
            Err(overflow())
        } else {
            Ok(result)
        }
    }

    fn finite<T: Width>(a: T, b: T) -> bool {
        a.widen().is_finite() && b.widen().is_finite()
    }

    pub(in crate::function) fn add<T: Width>(a: T, b: T) -> Result<T> {
        let sum = T::narrow(a.widen() + b.widen());
        // Of what can be wrong nothing is, where the sum is finite.
        if sum.widen().is_finite() {
            return Ok(sum);
        }
        checked(sum, finite(a, b))
    }

    pub(in crate::function) fn subtract<T: Width>(a: T, b: T) -> Result<T> {
        checked(T::narrow(a.widen() - b.widen()), finite(a, b))
    }

    pub(in crate::function) fn multiply<T: Width>(a: T, b: T) -> Result<T> {
        let product = T::narrow(a.widen() * b.widen());
        if product.widen() == 0.0 && a.widen() != 0.0 && b.widen() != 0.0 {
            return Err(underflow());
        }
        checked(product, finite(a, b))
    }

    pub(in crate::function) fn divide<T: Width>(a: T, b: T) -> Result<T> {
        if b.widen() == 0.0 && !a.widen().is_nan() {
            return Err(decimal::division_by_zero());
        }
        let quotient = T::narrow(a.widen() / b.widen());
        if quotient.widen() == 0.0 && a.widen() != 0.0 && b.widen().is_finite() {
            return Err(underflow());
        }
        checked(quotient, finite(a, b))
    }
}

macro_rules! floats {
    ($a:ident, $b:ident, $r:ident, $native:ty) => {
        [
            function!("+"($a, $b) -> $r, "Sum.",
                |a, b| float::add::<$native>(a.into(), b.into())),
            function!("-"($a, $b) -> $r, "Difference.",
                |a, b| float::subtract::<$native>(a.into(), b.into())),
            function!("*"($a, $b) -> $r, "Product.",
                |a, b| float::multiply::<$native>(a.into(), b.into())),
            function!("/"($a, $b) -> $r, "Quotient.",
                |a, b| float::divide::<$native>(a.into(), b.into())),
        ]
    };
}

static REAL: &[Overload] = &floats!(Real, Real, Real, f32);
static DOUBLE: &[Overload] = &floats!(Double, Double, Double, f64);
// The mixed forms exist so that BIGINT + REAL resolves to DOUBLE PRECISION, as in PostgreSQL.
static REAL_DOUBLE: &[Overload] = &floats!(Real, Double, Double, f64);
static DOUBLE_REAL: &[Overload] = &floats!(Double, Real, Double, f64);

static FLOAT_UNARY: &[Overload] = &[
    function!("-"(Real) -> Real, "Negation.", |a| Ok(-a)),
    function!("-"(Double) -> Double, "Negation.", |a| Ok(-a)),
    function!("+"(Real) -> Real, "The number itself.", Ok),
    function!("+"(Double) -> Double, "The number itself.", Ok),
    function!("abs"(Real) -> Real, "Absolute value.", |a: f32| Ok(a.abs())),
    function!("abs"(Double) -> Double, "Absolute value.", |a: f64| Ok(a.abs())),
];

static NUMERIC: &[Overload] = &[
    function!("+"(Numeric, Numeric) -> Numeric, "Sum.", decimal::add),
    function!("-"(Numeric, Numeric) -> Numeric, "Difference.", decimal::subtract),
    function!("*"(Numeric, Numeric) -> Numeric, "Product.", decimal::multiply),
    function!("/"(Numeric, Numeric) -> Numeric, "Quotient.", decimal::divide),
    function!("%"(Numeric, Numeric) -> Numeric, "Rest of the division.", decimal::remainder),
    function!("mod"(Numeric, Numeric) -> Numeric, "Rest of the division.", decimal::remainder),
    function!("-"(Numeric) -> Numeric, "Negation.", decimal::negate),
    function!("+"(Numeric) -> Numeric, "The number itself.", Ok),
    function!("abs"(Numeric) -> Numeric, "Absolute value.", decimal::absolute),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[
    SMALLINT,
    INTEGER,
    BIGINT,
    REAL,
    DOUBLE,
    REAL_DOUBLE,
    DOUBLE_REAL,
    FLOAT_UNARY,
    NUMERIC,
];
