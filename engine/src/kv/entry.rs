//! A key with all that belongs to it.

use super::FromBytes;
use crate::error::Result;
use crate::session::Row;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A key with its value and all that belongs to it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// The key's bytes.
    pub key: Vec<u8>,
    /// The value's bytes.
    pub value: Vec<u8>,
    /// Another one each time that it is written: never given twice in the table.
    pub version: i64,
    /// When the key was written first, since it was not there.
    pub created_at: SystemTime,
    /// When it expires; `None` for never.
    pub expires_at: Option<SystemTime>,
}

impl Entry {
    /// The columns of an entry, in SQL.
    pub(super) const COLUMNS: &'static str = "key, value, version, created_at, expires_at";

    /// Reads [`Self::COLUMNS`].
    pub(super) fn of_row(row: &Row<'_>) -> Result<Self> {
        let expires_at: Option<i64> = row.get(4)?;
        Ok(Self {
            key: row.get(0)?,
            value: row.get(1)?,
            version: row.get(2)?,
            created_at: moment(row.get(3)?).unwrap_or(UNIX_EPOCH),
            expires_at: expires_at.and_then(moment),
        })
    }

    /// The value as a text, or as what serde can read.
    ///
    /// # Errors
    /// As for [`Kv::get`](super::Kv::get).
    pub fn value_as<T: FromBytes>(&self) -> Result<T> {
        T::from_bytes(&self.value)
    }
}

/// The moment of a TIMESTAMPTZ; `None` for one that is infinite or beyond what the system can tell.
pub(crate) fn moment(micros: i64) -> Option<SystemTime> {
    if micros == i64::MAX {
        return None;
    }
    let length = Duration::from_micros(micros.unsigned_abs());
    match micros < 0 {
        true => UNIX_EPOCH.checked_sub(length),
        false => UNIX_EPOCH.checked_add(length),
    }
}
