//! A lease: an item in the hands of one consumer, for a time.

use super::Queue;
use super::taken_item::{Leased, time};
use super::tally::Event;
use super::terms::{delay, lease_length};
use crate::error::{Error, Result};
use crate::kv::{FromBytes, Place};
use crate::session::{Connection, OptionalExtension};
use remora_storage::Interval;
use std::time::{Duration, SystemTime};

/// Why an item died that its consumers gave back each time.
const GIVEN_BACK: &str = "the last attempt was given back";

/// An item that this consumer alone has, until it says how the work has ended or the lease runs out. Dropped without that, as by a
/// panic, an early return or a future that is cancelled, the item is given back at once; the attempt counts.
///
/// ```
/// use remora::queue::QueueOptions;
/// use std::time::Duration;
///
/// let db = remora::Database::in_memory()?;
/// let jobs = db.queue_with("jobs", QueueOptions::new().max_attempts(3))?;
/// jobs.push("print")?;
///
/// let mut lease = jobs.lease::<String>()?.expect("it is there");
/// assert_eq!((lease.payload().as_str(), lease.attempts()), ("print", 1));
/// assert!(jobs.lease::<String>()?.is_none());
/// lease.extend(Duration::from_secs(300))?;
/// drop(lease);
///
/// let lease = jobs.lease::<String>()?.expect("it was given back");
/// assert_eq!(lease.attempts(), 2);
/// lease.retry_after(Duration::ZERO)?;
///
/// let lease = jobs.lease::<String>()?.expect("it was given back");
/// lease.fail("there is no paper")?;
/// assert_eq!(jobs.dead(1)?[0].attempts, 3);
/// # Ok::<(), remora::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "dropped, it gives the item back"]
pub struct Lease<T> {
    hold: Hold,
    payload: T,
    priority: i32,
    pushed_at: SystemTime,
    deadline: SystemTime,
}

/// The right to an item, which is given back when it is dropped.
#[derive(Debug)]
struct Hold {
    queue: Queue,
    id: i64,
    token: i64,
    attempts: i32,
    is_open: bool,
}

impl<T: FromBytes> Lease<T> {
    /// The lease of an item, which dies where its payload is none.
    pub(super) fn new(queue: &Queue, leased: Leased) -> Result<Self> {
        let Leased {
            item,
            token,
            deadline,
        } = leased;
        let hold = Hold {
            queue: queue.clone(),
            id: item.id,
            token,
            attempts: item.attempts,
            is_open: true,
        };
        match T::from_bytes(&item.payload) {
            Ok(payload) => Ok(Self {
                hold,
                payload,
                priority: item.priority,
                pushed_at: time(item.pushed_at),
                deadline,
            }),
            Err(error) => {
                hold.end(|hold| hold.bury(&error.to_string()))?;
                Err(error)
            }
        }
    }
}

impl<T> Lease<T> {
    /// The payload.
    pub fn payload(&self) -> &T {
        &self.payload
    }

    /// The id of the item.
    pub fn id(&self) -> i64 {
        self.hold.id
    }

    /// The priority of the item.
    pub fn priority(&self) -> i32 {
        self.priority
    }

    /// When the item was pushed.
    pub fn pushed_at(&self) -> SystemTime {
        self.pushed_at
    }

    /// How often the item was leased, this time included.
    pub fn attempts(&self) -> i32 {
        self.hold.attempts
    }

    /// The number of this lease: greater than that of each earlier one of the queue. A store that keeps the greatest number that
    /// it has seen can refuse what a consumer writes whose lease has run out.
    pub fn token(&self) -> i64 {
        self.hold.token
    }

    /// When the lease runs out, by the clock of the database.
    pub fn deadline(&self) -> SystemTime {
        self.deadline
    }

    /// Says that the work is done: the item leaves the queue.
    ///
    /// # Errors
    /// 55000 where the lease has run out, also where no other consumer has the item now.
    pub fn ack(self) -> Result<()> {
        self.hold.end(Hold::ack)
    }

    /// Says that the work is done, within the transaction of the work: the item leaves the queue if that is committed. Drop the lease
    /// behind the transaction: where that was undone, the item is given back.
    ///
    /// ```
    /// # let db = remora::Database::in_memory()?;
    /// # let mut conn = db.connect()?;
    /// let jobs = db.queue("jobs")?;
    /// jobs.push("print")?;
    /// let lease = jobs.lease::<String>()?.expect("it is there");
    /// let tx = conn.transaction()?;
    /// lease.ack_within(&tx)?;
    /// tx.rollback()?;
    /// drop(lease);
    /// assert_eq!(jobs.len()?, 1);
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Lease::ack`].
    pub fn ack_within(&self, connection: &Connection) -> Result<()> {
        let queue = self.hold.queue.within(connection);
        queue.ack_token(self.hold.id, self.hold.token)
    }

    /// Has the lease run out after this time from now, and not before.
    ///
    /// # Errors
    /// As for [`Lease::ack`]; 22023 where the time is zero.
    pub fn extend(&mut self, length: Duration) -> Result<()> {
        self.deadline = self.hold.extend(lease_length(length)?)?;
        Ok(())
    }

    /// Gives the item back, to be taken again after this time; to the dead letters where it has had all its attempts.
    ///
    /// # Errors
    /// As for [`Lease::ack`].
    pub fn retry_after(self, length: Duration) -> Result<()> {
        let delay = delay(length)?;
        self.hold.end(|hold| hold.give_back(delay))
    }

    /// Gives the item to the dead letters.
    ///
    /// # Errors
    /// As for [`Lease::ack`].
    pub fn fail(self, reason: &str) -> Result<()> {
        self.hold.end(|hold| hold.bury(reason))
    }

    /// Ends the guard and not the lease, for consumers that keep id and token elsewhere ([`Queue::ack_token`]).
    pub fn into_token(mut self) -> (i64, i64) {
        self.hold.is_open = false;
        (self.hold.id, self.hold.token)
    }
}

impl Hold {
    /// Ends it as `f` says. Where that fails for another reason than that it had ended, it is given back.
    fn end(mut self, f: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        let ended = f(&self);
        self.is_open = ended.is_err();
        ended
    }

    fn ack(&self) -> Result<()> {
        self.queue.ack_token(self.id, self.token)
    }

    fn extend(&self, length: Interval) -> Result<SystemTime> {
        let text = &self.queue.shared.texts.extend;
        let values = (self.id, self.token, length);
        let extend = |conn: &Connection| conn.query_row(text, values, |row| row.get(0));
        match self.queue.place.with(extend).optional()? {
            Some(until) => Ok(time(until)),
            None => Err(self.queue.ended(self.id, self.token)?),
        }
    }

    fn give_back(&self, delay: Option<Interval>) -> Result<()> {
        let shared = &self.queue.shared;
        if shared.board.terms().are_used_up(self.attempts) {
            return self.bury(GIVEN_BACK);
        }
        let values = (self.id, self.token, delay);
        let give_back = |conn: &Connection| conn.execute(&shared.texts.give_back, values);
        self.check(self.queue.place.with(give_back)?)?;
        shared.board.count(Event::Retried, 1);
        if delay.is_none() {
            shared.board.wake(1);
        }
        Ok(())
    }

    fn bury(&self, reason: &str) -> Result<()> {
        let shared = &self.queue.shared;
        let values = (self.id, self.token, reason);
        let bury = |conn: &Connection| conn.execute(&shared.texts.bury, values);
        self.check(self.queue.place.with(bury)?)?;
        shared.board.count(Event::Died, 1);
        Ok(())
    }

    /// That a statement has changed the row of the lease.
    fn check(&self, rows: usize) -> Result<()> {
        match rows {
            0 => Err(self.queue.ended(self.id, self.token)?),
            _ => Ok(()),
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.is_open {
            // Where that fails the lease runs out by itself.
            let _ = self.give_back(None);
        }
    }
}

impl<P: Place> Queue<P> {
    /// Acknowledges an item by its id and the token of its lease, as [`Lease::ack`] does.
    ///
    /// ```
    /// # let db = remora::Database::in_memory()?;
    /// let jobs = db.queue("jobs")?;
    /// jobs.push("print")?;
    /// let (id, token) = jobs.lease::<String>()?.expect("it is there").into_token();
    /// // Somewhere else, later:
    /// jobs.ack_token(id, token)?;
    /// assert_eq!(jobs.ack_token(id, token).unwrap_err().sqlstate(), "55000");
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// 55000 where the lease has run out or has ended.
    pub fn ack_token(&self, id: i64, token: i64) -> Result<()> {
        let ack = |conn: &Connection| conn.execute(&self.shared.texts.ack, (id, token));
        if self.place.with(ack)? == 0 {
            return Err(self.ended(id, token)?);
        }
        self.shared.board.count(Event::Acked, 1);
        Ok(())
    }

    /// The error of a lease that has ended, with what has become of its item.
    fn ended(&self, id: i64, token: i64) -> Result<Error> {
        let holder = |conn: &Connection| {
            conn.query_row(&self.shared.texts.holder, [id], |row| {
                Ok((
                    row.get::<_, Option<i64>>(0)?,
                    row.get::<_, Option<bool>>(1)?,
                ))
            })
        };
        let detail = match self.place.with(holder).optional()? {
            None => "The item is not in the queue any more.".to_owned(),
            Some((Some(holder), Some(true))) if holder != token => {
                format!("The item is leased again, with token {holder}.")
            }
            Some(_) => "No consumer has the item now: it is taken again.".to_owned(),
        };
        let name = &self.shared.texts.name;
        Ok(sql_error!(
            OBJECT_NOT_IN_PREREQUISITE_STATE,
            "the lease {token} of item {id} in queue \"{name}\" has run out or has ended"
        )
        .with_detail(detail)
        .with_hint("Extend a lease in time, or open the queue with longer ones; expect the work to be done again."))
    }
}
