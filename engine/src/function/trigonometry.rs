//! Functions on angles in degrees, and the inverse hyperbolic ones.
//!
//! In degrees the answers that a person knows are exact: `sind(30)` is 0.5. As in PostgreSQL the value
//! is divided by that of 30, 45 or 60 degrees, computed the same way, so that the error in both is one.

use super::Overload;
use super::kernel::function;
use super::math::domain;
use crate::error::Result;

const RADIANS: f64 = std::f64::consts::PI / 180.0;

/// Up to 30 degrees.
fn small_sine(x: f64) -> f64 {
    (x * RADIANS).sin() / (30.0 * RADIANS).sin() / 2.0
}

/// Up to 60 degrees.
fn small_cosine(x: f64) -> f64 {
    let below = 1.0 - (x * RADIANS).cos();
    1.0 - below / (1.0 - (60.0 * RADIANS).cos()) / 2.0
}

/// Up to 90 degrees.
fn quarter_sine(x: f64) -> f64 {
    match x <= 30.0 {
        true => small_sine(x),
        false => small_cosine(90.0 - x),
    }
}

/// Up to 90 degrees.
fn quarter_cosine(x: f64) -> f64 {
    match x <= 60.0 {
        true => small_cosine(x),
        false => small_sine(90.0 - x),
    }
}

/// An angle in the first quarter, and whether the quarter's sine, cosine or tangent (and cotangent) are
/// negated where the angle was.
struct Folded {
    angle: f64,
    sine: f64,
    cosine: f64,
}

fn fold(x: f64) -> Result<Folded> {
    if x.is_infinite() {
        return Err(domain());
    }
    let mut angle = x % 360.0;
    let (mut sine, mut cosine) = (1.0, 1.0);
    if angle < 0.0 {
        (angle, sine) = (-angle, -sine);
    }
    if angle > 180.0 {
        (angle, sine) = (360.0 - angle, -sine);
    }
    if angle > 90.0 {
        (angle, cosine) = (180.0 - angle, -cosine);
    }
    Ok(Folded {
        angle,
        sine,
        cosine,
    })
}

fn sind(x: f64) -> Result<f64> {
    let folded = fold(x)?;
    Ok(folded.sine * quarter_sine(folded.angle))
}

fn cosd(x: f64) -> Result<f64> {
    let folded = fold(x)?;
    Ok(folded.cosine * quarter_cosine(folded.angle))
}

fn tand(x: f64) -> Result<f64> {
    let folded = fold(x)?;
    let quotient = |x| quarter_sine(x) / quarter_cosine(x);
    let value = folded.sine * folded.cosine * (quotient(folded.angle) / quotient(45.0));
    // Without a sign at 0.
    Ok(if value == 0.0 { 0.0 } else { value })
}

fn cotd(x: f64) -> Result<f64> {
    let folded = fold(x)?;
    let quotient = |x| quarter_cosine(x) / quarter_sine(x);
    let value = folded.sine * folded.cosine * (quotient(folded.angle) / quotient(45.0));
    Ok(if value == 0.0 { 0.0 } else { value })
}

/// Of 0 to 1.
fn quarter_arc_sine(x: f64) -> f64 {
    match x <= 0.5 {
        true => x.asin() / 0.5_f64.asin() * 30.0,
        false => 90.0 - x.acos() / 0.5_f64.acos() * 60.0,
    }
}

fn asind(x: f64) -> Result<f64> {
    match x.abs() > 1.0 {
        true => Err(domain()),
        false if x < 0.0 => Ok(-quarter_arc_sine(-x)),
        false => Ok(quarter_arc_sine(x)),
    }
}

fn acosd(x: f64) -> Result<f64> {
    match x.abs() > 1.0 {
        true => Err(domain()),
        false if x < 0.0 => Ok(90.0 + quarter_arc_sine(-x)),
        false if x <= 0.5 => Ok(90.0 - x.asin() / 0.5_f64.asin() * 30.0),
        false => Ok(x.acos() / 0.5_f64.acos() * 60.0),
    }
}

/// Radians of an arc tangent in degrees.
fn degrees(arc: f64) -> f64 {
    arc / 1.0_f64.atan() * 45.0
}

static DEGREES: &[Overload] = &[
    function!("sind"(Double) -> Double, "Sine of degrees.", sind),
    function!("cosd"(Double) -> Double, "Cosine of degrees.", cosd),
    function!("tand"(Double) -> Double, "Tangent of degrees.", tand),
    function!("cotd"(Double) -> Double, "Cotangent of degrees.", cotd),
    function!("asind"(Double) -> Double, "Arc sine in degrees.", asind),
    function!("acosd"(Double) -> Double, "Arc cosine in degrees.", acosd),
    function!("atand"(Double) -> Double, "Arc tangent in degrees.", |x: f64| Ok(degrees(x.atan()))),
    function!("atan2d"(Double, Double) -> Double, "Arc tangent of a quotient, in degrees.",
        |y: f64, x| Ok(degrees(y.atan2(x)))),
];

static HYPERBOLIC: &[Overload] = &[
    function!("asinh"(Double) -> Double, "Inverse hyperbolic sine.", |x: f64| Ok(x.asinh())),
    function!("acosh"(Double) -> Double, "Inverse hyperbolic cosine.",
        |x: f64| if x < 1.0 { Err(domain()) } else { Ok(x.acosh()) }),
    function!("atanh"(Double) -> Double, "Inverse hyperbolic tangent.",
        |x: f64| if x.abs() > 1.0 { Err(domain()) } else { Ok(x.atanh()) }),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[DEGREES, HYPERBOLIC];
