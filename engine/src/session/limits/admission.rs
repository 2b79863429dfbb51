//! Admission: so many statements run at a time, and the others wait for their turn.
//!
//! Turns are given in the order in which they were asked for; who leaves hands his place to the first
//! in the queue, so that nobody overtakes. A statement that waits looks at its interrupt once a
//! millisecond: whoever interrupts it, a signal handler for one, can wake nobody up. COMMIT, ROLLBACK
//! and settings do not wait: they let others go on.
//!
//! Who waits for something else than the processor gives his place back for that time: a statement that
//! pauses before it is tried again, and a COPY that waits for the caller's reader or writer.

use crate::activity::SessionRecord;
use crate::error::Result;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

/// Time between two looks at the interrupt.
const LOOK: Duration = Duration::from_millis(1);

/// The places of a database, and who waits for one.
#[derive(Debug)]
pub(crate) struct Admission {
    places: usize,
    turns: Mutex<Turns>,
}

#[derive(Debug, Default)]
struct Turns {
    taken: usize,
    /// The last number that was given to somebody who waits.
    last: u64,
    waiting: VecDeque<(u64, Arc<Condvar>)>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(in crate::session) struct Permit(Arc<Admission>);

impl Admission {
    pub(crate) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self {
            places: places.max(1),
            turns: Mutex::default(),
        })
    }

    pub(crate) fn places(&self) -> usize {
        self.places
    }

    /// Takes a place; waits for one where all are taken.
    ///
    /// # Errors
    /// What the session is asked to stop with.
    pub(in crate::session) fn enter(self: &Arc<Self>, record: &SessionRecord) -> Result<Permit> {
        let mut turns = self.turns.lock();
        if turns.taken < self.places {
            turns.taken += 1;
            return Ok(Permit(Arc::clone(self)));
        }
        turns.last += 1;
        let number = turns.last;
        let called = Arc::new(Condvar::new());
        turns.waiting.push_back((number, Arc::clone(&called)));
        record.wait_for_turn(true);
        let result = loop {
            called.wait_for(&mut turns, LOOK);
            let place = turns
                .waiting
                .iter()
                .position(|(waiting, _)| *waiting == number);
            let Some(place) = place else {
                // Somebody has handed his place over.
                break Ok(());
            };
            if let Err(error) = record.interrupt().check() {
                turns.waiting.remove(place);
                break Err(error);
            }
        };
        record.wait_for_turn(false);
        result.map(|()| Permit(Arc::clone(self)))
    }

    fn leave(&self) {
        let mut turns = self.turns.lock();
        match turns.waiting.pop_front() {
            Some((_, called)) => {
                called.notify_one();
            }
            None => turns.taken -= 1,
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// The place of a statement that now and then waits for somebody else.
#[derive(Debug)]
pub(in crate::session) struct Place {
    admission: Arc<Admission>,
    record: Arc<SessionRecord>,
    /// `None` while it waits, and where it was asked to stop meanwhile: then it ends at its next look.
    permit: Option<Permit>,
}

impl Place {
    pub(in crate::session) fn new(permit: Permit, record: &Arc<SessionRecord>) -> Self {
        Self {
            admission: Arc::clone(&permit.0),
            record: Arc::clone(record),
            permit: Some(permit),
        }
    }

    fn without<T>(&mut self, wait: impl FnOnce() -> T) -> T {
        self.permit = None;
        let result = wait();
        self.permit = self.admission.enter(&self.record).ok();
        result
    }
}

/// A reader or writer of the caller's; while it is waited for, others have the place.
pub(in crate::session) struct Waiting<'a, P: ?Sized> {
    pipe: &'a mut P,
    place: Place,
}

impl<'a, P: ?Sized> Waiting<'a, P> {
    pub(in crate::session) fn new(pipe: &'a mut P, place: Place) -> Self {
        Self { pipe, place }
    }
}

impl<P: Read + ?Sized> Read for Waiting<'_, P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.place.without(|| self.pipe.read(buffer))
    }
}

impl<P: Write + ?Sized> Write for Waiting<'_, P> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.place.without(|| self.pipe.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.place.without(|| self.pipe.flush())
    }
}
