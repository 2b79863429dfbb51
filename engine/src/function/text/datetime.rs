//! DATE, TIME, TIMESTAMP and TIMESTAMPTZ from text, in the forms that PostgreSQL reads; the session's zone and
//! the order of its fields say what a text leaves open.
//!
//! A text that is no date at all is 22007; one with a field out of its range (month 13) 22008.

use super::decode::{Decoded, Moment, Refusal};
use super::words::Special;
use super::{Reading, invalid};
use crate::error::{Error, Result, state};
use crate::function::calendar::{
    self, DATE_INFINITY, DATE_NEG_INFINITY, TIMESTAMP_INFINITY, TIMESTAMP_NEG_INFINITY,
};

fn refused(refusal: Refusal, text: &str, type_name: &str) -> Error {
    let field = || {
        sql_error!(
            DATETIME_FIELD_OVERFLOW,
            "date/time field value out of range: \"{text}\""
        )
    };
    match refusal {
        Refusal::Syntax => invalid(state::INVALID_DATETIME_FORMAT, type_name, text),
        Refusal::Field => field(),
        Refusal::MonthDay => {
            field().with_hint("Perhaps you need a different \"datestyle\" setting.")
        }
        Refusal::Zone(error) => error,
        Refusal::Displacement => sql_error!(
            INVALID_TIME_ZONE_DISPLACEMENT,
            "time zone displacement out of range: \"{text}\""
        ),
    }
}

fn out_of_range(what: &str, text: &str) -> Error {
    sql_error!(DATETIME_FIELD_OVERFLOW, "{what} out of range: \"{text}\"")
}

/// Reads a DATE; a time of day in the text is dropped.
pub(super) fn parse_date(text: &str, reading: Reading<'_>) -> Result<i32> {
    let moment = Moment::decode(text, reading).map_err(|why| refused(why, text, "date"))?;
    let days = match moment.as_special() {
        Some(Special::Infinity(true)) => return Ok(DATE_INFINITY),
        Some(Special::Infinity(false)) => return Ok(DATE_NEG_INFINITY),
        Some(_) => 0,
        None => moment.days(),
    };
    calendar::date(days).ok_or_else(|| out_of_range("date", text))
}

/// Reads a TIME; a date and a zone in the text are dropped.
pub(super) fn parse_time(text: &str, reading: Reading<'_>) -> Result<i64> {
    let decoded = decode_time(text, reading).map_err(|why| refused(why, text, "time"))?;
    Ok(decoded.0)
}

/// Reads a TIME WITH TIME ZONE: the time of day, and how far its clock is ahead.
pub(super) fn parse_timetz(text: &str, reading: Reading<'_>) -> Result<(i64, i64)> {
    decode_time(text, reading).map_err(|why| refused(why, text, "time with time zone"))
}

/// A time of day, and how far its clock is ahead.
fn decode_time(text: &str, reading: Reading<'_>) -> Decoded<(i64, i64)> {
    let moment = Moment::decode_time(text, reading)?;
    let micros = moment.micros();
    let session = &reading.style.zone;
    let day = |reading: Reading<'_>| {
        let now = session.shown(reading.now());
        calendar::split(now.unwrap_or_else(|_| reading.now())).0
    };
    let shown = match moment.has_date() {
        true => moment.days(),
        // What a zone shows today.
        false => match moment.ahead_always() {
            Some(ahead) => return Ok((micros, ahead)),
            None if moment.has_zone() => return Err(Refusal::Syntax),
            None => day(reading),
        },
    };
    let shown = calendar::join(shown, micros).ok_or(Refusal::Field)?;
    let ahead = moment.ahead_when(shown);
    Ok((micros, ahead.unwrap_or_else(|| session.ahead_when(shown))))
}

fn parse_moment(text: &str, reading: Reading<'_>, type_name: &str, zoned: bool) -> Result<i64> {
    let moment = Moment::decode(text, reading).map_err(|why| refused(why, text, type_name))?;
    match moment.as_special() {
        Some(Special::Infinity(true)) => return Ok(TIMESTAMP_INFINITY),
        Some(Special::Infinity(false)) => return Ok(TIMESTAMP_NEG_INFINITY),
        Some(_) => return Ok(0),
        None => {}
    }
    let out_of_range = || out_of_range("timestamp", text);
    let (days, micros) = (moment.days(), moment.micros());
    if !zoned {
        // TIMESTAMP without time zone reads over a zone.
        return calendar::join(days, micros).ok_or_else(out_of_range);
    }
    // What a clock shows may lie before the first day there is, if the moment does not.
    let added = |micros| {
        let begun = days.checked_mul(calendar::DAY);
        let moment = begun.and_then(|begun| begun.checked_add(micros));
        moment.ok_or_else(out_of_range)
    };
    let shown = || added(micros);
    let ahead = match moment.ahead_always() {
        Some(ahead) => ahead,
        None => match moment.ahead_when(shown()?) {
            Some(ahead) => ahead,
            None => reading.style.zone.ahead_when(shown()?),
        },
    };
    let (day, rest) = calendar::split(added(micros - ahead)?);
    calendar::join(day, rest).ok_or_else(out_of_range)
}

/// Reads a TIMESTAMP.
pub(super) fn parse_timestamp(text: &str, reading: Reading<'_>) -> Result<i64> {
    parse_moment(text, reading, "timestamp", false)
}

/// Reads a TIMESTAMPTZ; without a zone the text is taken to be of the session's.
pub(super) fn parse_timestamptz(text: &str, reading: Reading<'_>) -> Result<i64> {
    parse_moment(text, reading, "timestamp with time zone", true)
}
