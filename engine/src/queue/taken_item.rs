//! Items as their takers read them.

use crate::error::Result;
use crate::kv::moment;
use crate::session::Row;
use std::time::{SystemTime, UNIX_EPOCH};

/// An item as a taker gets it.
pub(super) struct Item {
    pub(super) id: i64,
    pub(super) priority: i32,
    pub(super) payload: Vec<u8>,
    /// In microseconds since 1970.
    pub(super) pushed_at: i64,
    pub(super) attempts: i32,
}

impl Item {
    pub(super) fn of_row(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            priority: row.get(1)?,
            payload: row.get(2)?,
            pushed_at: row.get(3)?,
            attempts: row.get(4)?,
        })
    }
}

/// An item with its lease.
pub(super) struct Leased {
    pub(super) item: Item,
    pub(super) token: i64,
    pub(super) deadline: SystemTime,
}

impl Leased {
    pub(super) fn of_row(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            item: Item::of_row(row)?,
            token: row.get(5)?,
            deadline: time(row.get(6)?),
        })
    }
}

/// The moment of a TIMESTAMPTZ; 1970 for one that the system cannot tell.
pub(super) fn time(micros: i64) -> SystemTime {
    moment(micros).unwrap_or(UNIX_EPOCH)
}
