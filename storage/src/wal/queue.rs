//! The queue: frames that were appended and are not durable yet, in the order of commits.
//!
//! ```text
//!   append --> [ entries ] --take--> a leader's batch --written--> durable
//!                    ^                      |
//!                    '----- put back -------'   the medium is full
//! ```
//!
//! Invariants
//! - A frame keeps its position, however often it is written.
//! - A frame is dropped, and its memory given back, when it is durable or when the log has failed.

use super::writer::Entry;
use crate::ids::{Lsn, Timestamp};
use std::time::{Duration, Instant};

/// Frames that are queued between two looks at the clock, where nothing else is a reason for one.
pub(super) const FRAMES_PER_LOOK: usize = 64;

/// Frames that are appended and not durable.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) entries: Vec<Entry>,
    /// Bytes of the frames in it.
    pub(super) bytes: u64,
    /// Where the next frame goes.
    pub(super) end: Lsn,
    /// The timestamp of the last commit, logged or not.
    pub(super) timestamp: Timestamp,
    /// The log has failed: nothing that is queued will be written.
    pub(super) failed: bool,
    /// When the first of the frames came.
    pub(super) since: Option<Instant>,
    /// Frames that a leader is writing; after a failure, those it has lost.
    pub(super) on_its_way: Option<OnItsWay>,
    /// A leader has a batch, be it without frames.
    is_taken: bool,
    pub(super) flusher: FlusherState,
    /// Whether syncs take so long that the flusher writes without pause.
    pub(super) is_slow: bool,
}

/// Frames that left the queue and are not durable yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnItsWay {
    pub(super) since: Instant,
    pub(super) end: Lsn,
}

/// State of the flusher.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FlusherState {
    /// The flusher looks by itself, or there is none.
    Looks,
    /// The flusher sleeps until a frame comes.
    Sleeps,
    /// The flusher is to end.
    Ends,
}

impl Queue {
    /// An empty queue of a log that ends there.
    pub(super) fn new(end: Lsn, timestamp: Timestamp) -> Self {
        Self {
            entries: Vec::new(),
            bytes: 0,
            end,
            timestamp,
            failed: false,
            since: None,
            on_its_way: None,
            is_taken: false,
            flusher: FlusherState::Looks,
            is_slow: false,
        }
    }

    /// Adds a frame, or a new segment, unless nothing will be written any more.
    pub(super) fn push(&mut self, entry: Entry) {
        if !self.failed {
            self.bytes += entry.bytes();
            self.entries.push(entry);
        }
    }

    /// Whether everything that was appended is durable.
    pub(super) fn is_idle(&self) -> bool {
        self.entries.is_empty() && !self.is_taken && !self.failed
    }

    /// Gives a leader everything, and the timestamp of the last commit in it.
    pub(super) fn take(&mut self) -> (Vec<Entry>, Timestamp) {
        self.bytes = 0;
        self.is_taken = true;
        let end = self.end;
        self.on_its_way = self.since.take().map(|since| OnItsWay { since, end });
        (std::mem::take(&mut self.entries), self.timestamp)
    }

    /// Takes back what a leader could not write, before everything that came since.
    pub(super) fn put_back(&mut self, mut batch: Vec<Entry>) {
        self.bytes += batch.iter().map(Entry::bytes).sum::<u64>();
        batch.append(&mut self.entries);
        self.entries = batch;
        self.is_taken = false;
        if let Some(batch) = self.on_its_way.take() {
            self.since = Some(batch.since);
        }
    }

    /// Notes that what a leader took is durable; returns when the first frame of it came.
    pub(super) fn note_written(&mut self) -> Option<Instant> {
        self.is_taken = false;
        self.on_its_way.take().map(|batch| batch.since)
    }

    /// Drops everything: it will not be written.
    pub(super) fn fail(&mut self) {
        self.failed = true;
        self.bytes = 0;
        self.entries.clear();
    }

    /// The end of what has been at risk for too long, if anything has. The clock is not looked at for each
    /// commit, but where one can expect it.
    pub(super) fn late(&self, window: Duration, now: impl FnOnce() -> Instant) -> Option<Lsn> {
        let looks = self.is_slow || self.entries.len() % FRAMES_PER_LOOK == FRAMES_PER_LOOK - 1;
        let since = self.since.filter(|_| looks);
        let end = self.end;
        let queued = since.map(|since| OnItsWay { since, end });
        let oldest = self.on_its_way.or(queued)?;
        (now().saturating_duration_since(oldest.since) > window).then_some(oldest.end)
    }
}
