//! Moments cut to spans of one length: `date_bin`; moments made and cut in a zone.

use super::calendar::{self, DAY, TIMESTAMP_INFINITY, TIMESTAMP_NEG_INFINITY};
use super::kernel::function;
use super::native::{SqlType, Text};
use super::text::Zone;
use super::{EvalContext, Overload, clock, part};
use crate::error::{Error, Result, state};
use remora_storage::{DataType, Interval, Value, ValueRef};

fn is_infinite(moment: i64) -> bool {
    matches!(moment, TIMESTAMP_INFINITY | TIMESTAMP_NEG_INFINITY)
}

/// The start of the span that a moment is in, of those that begin at the origin and before and after it.
fn date_bin(stride: Interval, moment: i64, origin: i64) -> Result<i64> {
    if is_infinite(moment) {
        return Ok(moment);
    }
    let out_of_range = |what: &str| Error::new(state::DATETIME_FIELD_OVERFLOW, what);
    if is_infinite(origin) {
        return Err(out_of_range("origin out of range"));
    }
    if stride.months != 0 {
        return Err(sql_error!(
            FEATURE_NOT_SUPPORTED,
            "timestamps cannot be binned into intervals containing months or years"
        ));
    }
    let length = i64::from(stride.days)
        .checked_mul(DAY)
        .and_then(|days| days.checked_add(stride.micros))
        .ok_or_else(calendar::interval_out_of_range)?;
    if length <= 0 {
        return Err(out_of_range("stride must be greater than zero"));
    }
    let behind = moment
        .checked_sub(origin)
        .ok_or_else(calendar::interval_out_of_range)?;
    behind
        .div_euclid(length)
        .checked_mul(length)
        .and_then(|whole| origin.checked_add(whole))
        .filter(|start| calendar::split(*start).0 >= calendar::FIRST_DAY)
        .ok_or_else(calendar::timestamp_out_of_range)
}

/// A span as a displacement.
pub(super) fn zone_of(span: Interval) -> Result<Zone> {
    if span.months != 0 || span.days != 0 {
        let mut text = String::new();
        super::text::write(&mut text, ValueRef::Interval(span), DataType::Interval);
        return Err(sql_error!(
            INVALID_PARAMETER_VALUE,
            "interval time zone \"{text}\" must not include months or days"
        ));
    }
    // So that the other way is there, too: no moment can be moved so far.
    Ok(Zone::Fixed(span.micros.max(-i64::MAX)))
}

fn truncate_in(unit: &str, moment: i64, zone: &str) -> Result<i64> {
    let zone = Zone::named(zone)?;
    part::truncate_in(unit, moment, &zone)
}

/// A zone of a name, or hours and minutes, which count eastwards here.
fn named_or_numeric(zone: &str) -> Result<Zone> {
    match zone.as_bytes().first() {
        Some(b'+' | b'-') => match Zone::of_displacement(zone)? {
            Some(zone) => Ok(zone),
            None => Zone::named(zone),
        },
        Some(b'0'..=b'9') => Err(sql_error!(
            INVALID_PARAMETER_VALUE,
            "invalid input syntax for type numeric time zone: \"{zone}\""
        )
        .with_hint("Numeric time zones must have \"-\" or \"+\" as first character.")),
        _ => Zone::named(zone),
    }
}

/// Seven arguments, the last a zone.
fn make_in(arguments: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    let zone = named_or_numeric(Text::of(arguments[6]))?;
    let made = clock::make_moment(&arguments[..6])?;
    zone.meant(made).map(Value::TimestampTz)
}

static BINS: &[Overload] = &[
    function!("date_bin"(Interval, Timestamp, Timestamp) -> Timestamp,
        "The start of the span it is in.", date_bin),
    function!("date_bin"(Interval, TimestampTz, TimestampTz) -> TimestampTz,
        "The start of the span it is in.", date_bin),
];

static ZONES: &[Overload] = &[
    function!("timezone"(Text, Timestamp) -> TimestampTz, "The moment that a zone calls so.",
        |zone, t| Zone::named(zone)?.meant(t)),
    function!("timezone"(Text, TimestampTz) -> Timestamp, "What a zone calls the moment.",
        |zone, t| Zone::named(zone)?.shown(t)),
    function!("timezone"(Interval, Timestamp) -> TimestampTz, "The moment that a zone calls so.",
        |zone, t| zone_of(zone)?.meant(t)),
    function!("timezone"(Interval, TimestampTz) -> Timestamp, "What a zone calls the moment.",
        |zone, t| zone_of(zone)?.shown(t)),
    function!("date_trunc"(Text, TimestampTz, Text) -> TimestampTz, "Cut to a unit in a zone.",
        truncate_in),
    function!(strict row "make_timestamptz"(Integer, Integer, Integer, Integer, Integer, Double, Text)
        -> TimestampTz, "The moment of its parts in a zone.", make_in),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[BINS, ZONES];
