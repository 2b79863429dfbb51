//! A slot that its owner keeps from read to read, so that a read by key claims nothing and counts no pointer.
//!
//! ```text
//!   slot       claimed ................................................................ released
//!   snapshot   IDLE | 17 | IDLE ......... | 23 | IDLE ................................. IDLE
//!                    a read                a read
//! ```
//!
//! Between its reads nothing is registered, so that a seat holds back no horizon, however long it stays. A read registers
//! its snapshot as a transaction does, so all who ask what is still seen find it: who folds, prunes, undoes, freezes or
//! frees needs to know nothing of seats. One who has a seat changes nothing, so no row ever has its mark.

use super::operation::Operation;
use super::registration::Registration;
use super::timeline::Timeline;
use std::ops::Deref;
use std::sync::Arc;

/// A slot that is kept. There is one read at a time.
#[derive(Debug)]
pub struct Seat(Registration);

impl Seat {
    /// Takes one; `None` where slots are counted or become scarce.
    pub fn take(timeline: &Arc<Timeline>) -> Option<Self> {
        timeline.claim_seat().map(Self)
    }

    /// Begins a read of the latest committed state; `None` where not all of that is durable.
    #[inline]
    pub fn read(&mut self) -> Option<SeatedRead<'_>> {
        let snapshot = self.0.timeline().sit_down(self.0.owner())?;
        self.0.set_snapshot(snapshot);
        let seat = Seated(&self.0);
        Some(SeatedRead {
            operation: seat.0.enter(),
            _seat: seat,
        })
    }
}

/// A read, which is one operation.
#[derive(Debug)]
pub struct SeatedRead<'s> {
    // Dropped in this order, though any would do: nothing is read any more.
    operation: Operation<'s>,
    _seat: Seated<'s>,
}

impl<'s> Deref for SeatedRead<'s> {
    type Target = Operation<'s>;

    fn deref(&self) -> &Operation<'s> {
        &self.operation
    }
}

/// A snapshot that is registered in a seat.
#[derive(Debug)]
struct Seated<'s>(&'s Registration);

impl Drop for Seated<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.timeline().get_up(self.0.owner());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Timestamp;

    #[test]
    fn a_seat_holds_the_horizon_back_only_while_somebody_reads() {
        let timeline = Timeline::new();
        let mut seat = Seat::take(&timeline).unwrap();
        let commit = |at| {
            let writer = timeline.register().unwrap();
            timeline.commit(&writer, Timestamp(at));
        };
        commit(1);
        assert_eq!(timeline.horizon(), Timestamp(1));
        let read = seat.read().unwrap();
        assert_eq!(read.snapshot(), Timestamp(1));
        commit(2);
        assert_eq!(timeline.horizon(), Timestamp(1));
        drop(read);
        assert_eq!(timeline.horizon(), Timestamp(2));
        assert_eq!(seat.read().unwrap().snapshot(), Timestamp(2));
    }

    #[test]
    fn what_may_be_lost_is_not_read_from_a_seat() {
        let timeline = Timeline::new();
        let mut seat = Seat::take(&timeline).unwrap();
        timeline.set_durable(Timestamp(0));
        assert!(seat.read().is_some());
        let writer = timeline.register().unwrap();
        timeline.commit(&writer, Timestamp(1));
        drop(writer);
        assert!(seat.read().is_none());
        assert!(timeline.held().is_empty());
        timeline.set_durable(Timestamp(1));
        assert!(seat.read().is_some());
    }

    #[test]
    fn where_slots_are_counted_there_is_none() {
        let timeline = Timeline::new();
        timeline.limit_transactions(4);
        assert!(Seat::take(&timeline).is_none());
    }
}
