//! TIME WITH TIME ZONE: a time of day and how far its clock is ahead.
//!
//! A value is twelve bytes that compare as such times do: first when it is in Greenwich, in microseconds, then
//! how far the clock is behind, in seconds; both with their sign turned and the most significant byte first.

use super::Volatility::{Immutable, Stable};
use super::calendar::{self, DAY, SECOND, TIMESTAMP_INFINITY, TIMESTAMP_NEG_INFINITY};
use super::kernel::function;
use super::text::Zone;
use super::{EvalContext, Overload, bins, cast};
use crate::error::Result;
use remora_storage::value::PackedType;
use remora_storage::{Interval, Value};

/// A time of day with its zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ZonedTime {
    /// Microseconds since midnight, by its own clock.
    pub(crate) micros: i64,
    /// How far that clock is ahead, in microseconds: whole seconds.
    pub(crate) ahead: i64,
}

impl ZonedTime {
    /// Of the bytes of a value; what is damaged is some time.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut utc = [0; 8];
        let mut behind = [0; 4];
        if let (Some(first), Some(second)) = (bytes.get(..8), bytes.get(8..12)) {
            utc.copy_from_slice(first);
            behind.copy_from_slice(second);
        }
        let utc = i64::from_be_bytes(utc) ^ i64::MIN;
        let behind = i64::from(i32::from_be_bytes(behind) ^ i32::MIN);
        let ahead = -behind * SECOND;
        let micros = utc.wrapping_add(ahead).clamp(0, DAY);
        Self { micros, ahead }
    }

    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let utc = (self.micros - self.ahead) ^ i64::MIN;
        let behind = (-self.ahead / SECOND) as i32 ^ i32::MIN;
        [&utc.to_be_bytes()[..], &behind.to_be_bytes()[..]].concat()
    }

    pub(crate) fn value(self) -> Value {
        Value::Packed(PackedType::TimeTz, self.to_bytes())
    }

    /// The same moment by a clock that is so far ahead.
    fn moved(self, ahead: i64) -> Self {
        let micros = (self.micros - self.ahead + ahead).rem_euclid(DAY);
        Self { micros, ahead }
    }

    fn plus(self, micros: i64) -> Self {
        let micros = (self.micros + micros % DAY).rem_euclid(DAY);
        Self { micros, ..self }
    }

    /// A time of day, as the session's clock shows it today.
    pub(crate) fn today(micros: i64, context: &EvalContext) -> Result<Self> {
        let zone = &context.style().zone;
        let (today, _) = calendar::split(zone.shown(context.clock.transaction_start())?);
        let ahead = zone.ahead_when(today * DAY + micros);
        Ok(Self { micros, ahead })
    }

    /// The time of day of a moment, by the session's clock; `None` for an infinite one.
    pub(crate) fn of_moment(moment: i64, context: &EvalContext) -> Result<Option<Self>> {
        if matches!(moment, TIMESTAMP_INFINITY | TIMESTAMP_NEG_INFINITY) {
            return Ok(None);
        }
        let zone = &context.style().zone;
        let micros = calendar::split(zone.shown(moment)?).1;
        let ahead = zone.ahead_at(moment);
        Ok(Some(Self { micros, ahead }))
    }
}

fn add(time: &[u8], span: Interval) -> Result<Vec<u8>> {
    Ok(ZonedTime::of(time).plus(span.micros).to_bytes())
}

fn subtract(time: &[u8], span: Interval) -> Result<Vec<u8>> {
    Ok(ZonedTime::of(time).plus(-(span.micros % DAY)).to_bytes())
}

/// A day and a time of it.
fn on_day(day: i32, time: &[u8]) -> Result<i64> {
    let midnight = cast::date_to_timestamp(day)?;
    if matches!(midnight, TIMESTAMP_INFINITY | TIMESTAMP_NEG_INFINITY) {
        return Ok(midnight);
    }
    let time = ZonedTime::of(time);
    calendar::join(day.into(), time.micros - time.ahead)
        .ok_or_else(calendar::timestamp_out_of_range)
}

fn in_zone(time: &[u8], zone: &Zone, context: &EvalContext) -> Vec<u8> {
    let ahead = zone.ahead_at(context.clock.transaction_start());
    ZonedTime::of(time).moved(ahead).to_bytes()
}

fn now(context: &EvalContext) -> Result<Vec<u8>> {
    let time = ZonedTime::of_moment(context.clock.transaction_start(), context)?;
    time.map(ZonedTime::to_bytes)
        .ok_or_else(|| sql_error!(DATETIME_FIELD_OVERFLOW, "the clock shows no time"))
}

static TIMES: &[Overload] = &[
    function!(context "current_time"() -> TimeTz, "The time of the transaction's start.", now)
        .volatility(Stable),
    function!("+"(TimeTz, Interval) -> TimeTz, "Later, around the clock.", add),
    function!("+"(Interval, TimeTz) -> TimeTz, "Later, around the clock.", |i, t| add(t, i)),
    function!("-"(TimeTz, Interval) -> TimeTz, "Earlier, around the clock.", subtract),
    function!("+"(Date, TimeTz) -> TimestampTz, "Date and time of day.", on_day),
    function!("+"(TimeTz, Date) -> TimestampTz, "Date and time of day.", |t, d| on_day(d, t)),
    function!(patient "timezone"(Text, TimeTz) -> TimeTz, "What a zone's clock shows then.",
        |context, zone, t| Ok(in_zone(t, &Zone::named(zone)?, context)))
    .volatility(Stable),
    function!(patient "timezone"(Interval, TimeTz) -> TimeTz, "What a zone's clock shows then.",
        |context, zone, t| Ok(in_zone(t, &bins::zone_of(zone)?, context)))
    .volatility(Immutable),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[TIMES];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_order_as_times_do(a in 0..=DAY, b in 0..=DAY, x in -15_i64..15, y in -15_i64..15) {
            let zoned = |micros, hours: i64| ZonedTime { micros, ahead: hours * calendar::HOUR };
            let (a, b) = (zoned(a, x), zoned(b, y));
            prop_assert_eq!(ZonedTime::of(&a.to_bytes()), a);
            let key = |t: ZonedTime| (t.micros - t.ahead, -t.ahead);
            prop_assert_eq!(a.to_bytes().cmp(&b.to_bytes()), key(a).cmp(&key(b)));
        }
    }
}
