//! How a value is written.

use super::texts::Texts;
use crate::error::Result;
use remora_storage::Interval;
use std::time::Duration;

/// How a value is written, for [`Kv::put_with`](super::Kv::put_with): whatever is there, and to stay, if nothing is said.
///
/// ```
/// use remora::kv::Put;
/// use std::time::Duration;
/// # let db = remora::Database::in_memory()?;
/// let locks = db.kv("lock")?;
/// let for_a_minute = Put::new().ttl(Duration::from_secs(60)).if_absent();
/// let taken = locks.put_with("door", "ann", for_a_minute)?;
/// assert!(taken.is_some());
/// assert!(locks.put_with("door", "bob", for_a_minute)?.is_none());
/// # Ok::<(), remora::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Put {
    time: Time,
    condition: Condition,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Time {
    #[default]
    Never,
    After(Duration),
    Kept,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Condition {
    #[default]
    None,
    Absent,
    Version(i64),
}

impl Put {
    /// Whatever is there, and to stay.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value expires after this time.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.time = Time::After(ttl);
        self
    }

    /// The value expires when the one did that it replaces; a new one stays.
    pub fn keep_ttl(mut self) -> Self {
        self.time = Time::Kept;
        self
    }

    /// Only where the key is not there.
    pub fn if_absent(mut self) -> Self {
        self.condition = Condition::Absent;
        self
    }

    /// Only where the key is there, at this version.
    pub fn if_version(mut self, version: i64) -> Self {
        self.condition = Condition::Version(version);
        self
    }

    /// The statement, whose parameters are key, value, time where there is one ([`Put::has_ttl`]), and version where one
    /// is asked for.
    pub(super) fn text(self, texts: &Texts) -> &str {
        match (self.condition, self.time) {
            (Condition::None, Time::Kept) => &texts.put_and_keep,
            (Condition::None, _) => &texts.put_for,
            (Condition::Absent, _) => &texts.insert,
            (Condition::Version(_), Time::Kept) => &texts.replace_and_keep,
            (Condition::Version(_), _) => &texts.replace,
        }
    }

    pub(super) fn has_ttl(self) -> bool {
        self.condition == Condition::Absent || self.time != Time::Kept
    }

    pub(super) fn interval(self) -> Result<Option<Interval>> {
        match self.time {
            Time::After(ttl) => interval(ttl).map(Some),
            Time::Never | Time::Kept => Ok(None),
        }
    }

    pub(super) fn version(self) -> Option<i64> {
        match self.condition {
            Condition::Version(version) => Some(version),
            Condition::None | Condition::Absent => None,
        }
    }
}

/// A time to live as an interval, in whole microseconds, at least one.
pub(crate) fn interval(ttl: Duration) -> Result<Interval> {
    if ttl.is_zero() {
        return Err(sql_error!(
            INVALID_PARAMETER_VALUE,
            "a value cannot expire after no time"
        )
        .with_hint("Give a time above zero."));
    }
    let micros = i64::try_from(ttl.as_micros()).map_err(|_| {
        sql_error!(
            DATETIME_FIELD_OVERFLOW,
            "interval out of range: {} seconds",
            ttl.as_secs()
        )
    })?;
    Ok(Interval {
        months: 0,
        days: 0,
        micros: micros.max(1),
    })
}
