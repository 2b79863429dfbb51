//! UUIDs: new ones of versions 4 and 7, and what one says of itself.
//!
//! Version 7 as PostgreSQL 18 makes it:
//!
//! ```text
//!   48 bits: milliseconds since 1970 | 4: version | 12: part of the millisecond | 2: variant | 62: random
//! ```
//!
//! A session's UUIDs of version 7 rise: each takes the next tick of the session's clock, a 4,096th of a millisecond.

use crate::error::Result;
use crate::function::Volatility::Volatile;
use crate::function::kernel::function;
use crate::function::native::{self, SqlType};
use crate::function::{EvalContext, Overload, moment};
use ::uuid::{Builder, Uuid, Variant};
use remora_storage::time::Tick;
use remora_storage::{Interval, Value, ValueRef};

pub(super) static FUNCTIONS: &[Overload] = &[
    function!(context "gen_random_uuid"() -> Uuid, "A new UUID of version 4.", |_| Ok(random()))
        .volatility(Volatile),
    function!(context "uuidv4"() -> Uuid, "A new UUID of version 4.", |_| Ok(random()))
        .volatility(Volatile),
    function!(context "uuidv7"() -> Uuid, "A new UUID of version 7: those of a session rise.",
        |context| of_time(context, None))
    .volatility(Volatile),
    function!(strict row "uuidv7"(Interval) -> Uuid,
    "A new UUID of version 7, of a moment so much later.",
    |arguments, context| {
        let shift = native::Interval::of(arguments[0]);
        of_time(context, Some(shift)).map(Value::Uuid)
    })
    .volatility(Volatile),
    function!(strict row "uuid_extract_timestamp"(Uuid) -> TimestampTz,
        "The moment of a UUID of version 1 or 7; NULL of others.",
        |arguments, _| Ok(moment_of(uuid(arguments)).map_or(Value::Null, Value::TimestampTz))),
    function!(strict row "uuid_extract_version"(Uuid) -> SmallInt,
        "The version of a UUID of RFC 9562; NULL of others.",
        |arguments, _| Ok(version_of(uuid(arguments)).map_or(Value::Null, Value::SmallInt))),
];

/// Microseconds from the first day of the Gregorian calendar, 1582-10-15, to 1970.
const GREGORIAN_MICROS: i64 = 12_219_292_800_000_000;

fn random() -> [u8; 16] {
    Uuid::new_v4().into_bytes()
}

fn uuid(arguments: &[ValueRef<'_>]) -> Uuid {
    Uuid::from_bytes(native::Uuid::of(arguments[0]))
}

/// A UUID of version 7, of this moment or one that is so far from it.
fn of_time(context: &EvalContext, shift: Option<Interval>) -> Result<[u8; 16]> {
    let now = || context.clock.now();
    let tick = match &context.session {
        Some(session) => super::ticks(context, || {
            session.uuids().take(Tick::of_microsecond(now()), 1)
        })?,
        None => Tick::of_microsecond(now()),
    };
    let tick = match shift {
        None => tick,
        Some(shift) => {
            let now = now();
            let moved = moment::add_zoned(now, shift, &context.style().zone)?;
            tick.moved(moved.saturating_sub(now))
        }
    };
    let Ok(millis @ 0..=MILLIS_MAX) = u64::try_from(tick.millis()) else {
        return Err(sql_error!(
            DATETIME_FIELD_OVERFLOW,
            "timestamp out of range for UUID version 7"
        ));
    };
    let mut rest = [0; 10];
    rest.copy_from_slice(&random()[6..]);
    rest[..2].copy_from_slice(&(tick.sequence() as u16).to_be_bytes());
    Ok(Builder::from_unix_timestamp_millis(millis, &rest)
        .into_uuid()
        .into_bytes())
}

/// The largest number of milliseconds in 48 bits.
const MILLIS_MAX: u64 = (1 << 48) - 1;

fn version_of(uuid: Uuid) -> Option<i16> {
    let is_known = uuid.get_variant() == Variant::RFC4122;
    is_known.then(|| uuid.get_version_num() as i16)
}

fn moment_of(uuid: Uuid) -> Option<i64> {
    let bits = uuid.as_u128();
    match version_of(uuid)? {
        1 => {
            let low = (bits >> 96) as i64;
            let middle = (bits >> 80) as i64 & 0xffff;
            let high = (bits >> 64) as i64 & 0x0fff;
            let ticks = high << 48 | middle << 32 | low;
            Some(ticks / 10 - GREGORIAN_MICROS)
        }
        7 => Some((bits >> 80) as i64 * 1000),
        _ => None,
    }
}
