//! Dead letters: items that were given up.

use super::Queue;
use super::taken_item::time;
use crate::error::Result;
use crate::kv::{FromBytes, Place};
use crate::session::{Connection, Row};
use std::time::SystemTime;

/// An item that was given up: its work failed for good, or it had all its attempts.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The id that it had in the queue.
    pub id: i64,
    /// Its priority.
    pub priority: i32,
    /// Its payload's bytes.
    pub payload: Vec<u8>,
    /// When it was pushed.
    pub pushed_at: SystemTime,
    /// How often it was leased.
    pub attempts: i32,
    /// When it was given up.
    pub died_at: SystemTime,
    /// Why.
    pub reason: String,
}

impl DeadLetter {
    fn of_row(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            priority: row.get(1)?,
            payload: row.get(2)?,
            pushed_at: time(row.get(3)?),
            attempts: row.get(4)?,
            died_at: time(row.get(5)?),
            reason: row.get(6)?,
        })
    }

    /// The payload as a text, or as what serde can read.
    ///
    /// # Errors
    /// 22021 where a text is asked for and it is none, 22P02 where it is not of the type.
    pub fn payload_as<T: FromBytes>(&self) -> Result<T> {
        T::from_bytes(&self.payload)
    }
}

impl<P: Place> Queue<P> {
    /// The dead letters that died first, up to `limit`.
    ///
    /// ```
    /// # let db = remora::Database::in_memory()?;
    /// let jobs = db.queue("jobs")?;
    /// let id = jobs.push("mail eve@example")?;
    /// let lease = jobs.lease::<String>()?.expect("it is there");
    /// lease.fail("no such address")?;
    /// let dead = jobs.dead(10)?;
    /// assert_eq!((dead[0].id, dead[0].reason.as_str()), (id, "no such address"));
    /// assert_eq!(dead[0].payload_as::<String>()?, "mail eve@example");
    ///
    /// assert!(jobs.revive(id)?);
    /// assert_eq!(jobs.pop::<String>()?.as_deref(), Some("mail eve@example"));
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Connection::prepare`].
    pub fn dead(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        self.place.with(|conn| {
            let mut statement = conn.prepare_cached(&self.shared.texts.dead)?;
            let rows = statement.query_map([limit], DeadLetter::of_row)?;
            rows.collect()
        })
    }

    /// Puts a dead letter back into the queue, under its id and without attempts; gives whether it was there. It waits for
    /// room as [`Queue::push`] does.
    ///
    /// # Errors
    /// As for [`Queue::push`].
    pub fn revive(&self, id: i64) -> Result<bool> {
        let _pushing = self.begin_push()?;
        let back = |conn: &Connection| conn.execute(&self.shared.texts.revive, [id]);
        let is_back = self.place.with(back)? > 0;
        if is_back {
            self.shared.board.wake(1);
        }
        Ok(is_back)
    }
}
