//! Taking items: for good, or on a lease; now, or as soon as there is one.
//!
//! An item that is delayed, or whose lease has run out, comes back by a pass over those that are due. Takers make it: one of them
//! every [`LOOK`](super::board::LOOK), and each one that finds nothing. It is no part of a caller's transaction.

use super::Queue;
use super::lease::Lease;
use super::taken_item::{Item, Leased};
use super::tally::Event;
use crate::error::{Error, Result};
use crate::kv::{FromBytes, Place, Pooled};
use crate::session::{Connection, OptionalExtension};
use remora_storage::Interval;
use std::time::{Duration, Instant};

impl<P: Place> Queue<P> {
    /// Takes the next item for good, if one is ready: the first pushed of the greatest priority. Where the work then fails, it is
    /// lost; [`Queue::lease`] gives it back.
    ///
    /// # Errors
    /// 22021 where the payload is to be a text and is none, 22P02 where it is not of the type; the item is then a dead letter.
    pub fn pop<T: FromBytes>(&self) -> Result<Option<T>> {
        let texts = &self.shared.texts;
        let next = || {
            let pop = |conn: &Connection| conn.query_row(&texts.pop, [], Item::of_row);
            self.place.with(pop).optional()
        };
        let Some(item) = self.take(next)? else {
            return Ok(None);
        };
        match T::from_bytes(&item.payload) {
            Ok(payload) => {
                self.shared.board.count(Event::Popped, 1);
                Ok(Some(payload))
            }
            Err(error) => {
                self.bury_popped(&item, &error)?;
                Err(error)
            }
        }
    }

    fn bury_popped(&self, item: &Item, error: &Error) -> Result<()> {
        let pushed_at = Interval {
            months: 0,
            days: 0,
            micros: item.pushed_at,
        };
        let (id, priority, attempts) = (item.id, item.priority, item.attempts);
        let reason = error.to_string();
        let values = (id, priority, &*item.payload, pushed_at, attempts, reason);
        self.place
            .with(|conn| conn.execute(&self.shared.texts.bury_popped, values))?;
        self.shared.board.count(Event::Died, 1);
        Ok(())
    }

    /// Takes by `next`, and where it finds nothing once more, if items have come back.
    fn take<T>(&self, next: impl Fn() -> Result<Option<T>>) -> Result<Option<T>> {
        let is_searched = self.search_now_and_then()?;
        let found = next()?;
        if found.is_none() && !is_searched && self.search()? > 0 {
            return next();
        }
        Ok(found)
    }

    /// Looks for items that come back, if it is time to; whether it was.
    pub(super) fn search_now_and_then(&self) -> Result<bool> {
        let is_time = self.shared.board.is_time_to_search();
        if is_time {
            self.search()?;
        }
        Ok(is_time)
    }

    /// Lets items that are due come back, or die; gives how many are ready again.
    fn search(&self) -> Result<u64> {
        let (texts, board) = (&self.shared.texts, &self.shared.board);
        let attempts_max = board.terms().attempts_max;
        let (delayed, run_out, died) = self.shared.pool.with(|conn| {
            let due = conn.query_row(&texts.is_due, [], |_| Ok(())).optional()?;
            if due.is_none() {
                return Ok((0, 0, 0));
            }
            let delayed = conn.execute(&texts.delayed_are_ready, [])?;
            let run_out = conn.execute(&texts.run_out_are_ready, [attempts_max])?;
            let died = conn.execute(&texts.bury_run_out, [attempts_max])?;
            Ok((delayed as u64, run_out as u64, died as u64))
        })?;
        board.count(Event::RanOut, run_out + died);
        board.count(Event::Died, died);
        let ready = delayed + run_out;
        if ready > 0 {
            board.wake(ready);
        }
        Ok(ready)
    }
}

impl Queue<Pooled> {
    /// As [`Queue::pop`], waiting for an item as long as `timeout`; `None` also where the queue was closed.
    ///
    /// ```
    /// use std::time::Duration;
    /// # let db = remora::Database::in_memory()?;
    /// let jobs = db.queue("jobs")?;
    /// std::thread::scope(|scope| -> remora::Result<()> {
    ///     let consumer = scope.spawn(|| jobs.pop_wait::<String>(Duration::from_secs(10)));
    ///     jobs.push("a letter")?;
    ///     assert_eq!(consumer.join().expect("it ends")?.as_deref(), Some("a letter"));
    ///     Ok(())
    /// })?;
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Queue::pop`].
    pub fn pop_wait<T: FromBytes>(&self, timeout: Duration) -> Result<Option<T>> {
        self.wait_for(timeout, || self.pop())
    }

    /// Leases the next item, if one is ready: until it is acknowledged or given back, or the lease runs out, no other consumer gets
    /// it.
    ///
    /// # Errors
    /// As for [`Queue::pop`].
    pub fn lease<T: FromBytes>(&self) -> Result<Option<Lease<T>>> {
        let length = self.shared.board.terms().lease;
        let next = || {
            let text = &self.shared.texts.lease;
            let lease = |conn: &Connection| conn.query_row(text, [length], Leased::of_row);
            self.place.with(lease).optional()
        };
        let Some(leased) = self.take(next)? else {
            return Ok(None);
        };
        self.shared.board.count(Event::Leased, 1);
        Lease::new(self, leased).map(Some)
    }

    /// As [`Queue::lease`], waiting for an item as long as `timeout`; `None` also where the queue was closed.
    ///
    /// # Errors
    /// As for [`Queue::pop`].
    pub fn lease_wait<T: FromBytes>(&self, timeout: Duration) -> Result<Option<Lease<T>>> {
        self.wait_for(timeout, || self.lease())
    }

    /// Takes by `take` as soon as it gives something.
    fn wait_for<T>(
        &self,
        timeout: Duration,
        take: impl Fn() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        let board = &self.shared.board;
        let deadline = Instant::now().checked_add(timeout);
        let mut has_waited = false;
        loop {
            let seen = board.generation();
            if let Some(taken) = take()? {
                if has_waited {
                    // It may be one of several that none was woken for.
                    board.wake(1);
                }
                return Ok(Some(taken));
            }
            if !board.wait(seen, deadline) {
                return Ok(None);
            }
            has_waited = true;
        }
    }
}
