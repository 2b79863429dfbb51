//! A session's turn to do work that others wait for ([`SingleFlight`]).

use super::connection::Connection;
use crate::error::Result;
use crate::session::single_flight::{SingleFlight, Turn};
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Connection {
    /// A turn to do the work of this name, once those of others have ended: until `lock_timeout`, if there is one.
    ///
    /// # Errors
    /// 55P03 where that is over, 55000 where this thread would wait for itself, 57014 where the session was asked to stop.
    pub(crate) fn turn(&self, name: &[u8]) -> Result<Turn> {
        let (flight, limit) = self.single_flight()?;
        let begun = Instant::now();
        flight.enter(name, || {
            self.check_interrupt()?;
            match limit.is_some_and(|limit| begun.elapsed() >= limit) {
                true => Err(sql_error!(
                    LOCK_NOT_AVAILABLE,
                    "canceling statement due to lock timeout"
                )),
                false => Ok(()),
            }
        })
    }

    /// Work that one thread does while others wait for it, and how long this session is willing to.
    fn single_flight(&self) -> Result<(Arc<SingleFlight>, Option<Duration>)> {
        let session = self.session()?;
        let flight = Arc::clone(&session.sessions.single_flight);
        Ok((flight, session.settings.lock_timeout()))
    }
}
