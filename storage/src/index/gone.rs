//! Gone ranges: parts of an ordered index that a scan need not walk over, because snapshots from some timestamp on see no row
//! by any entry in them.
//!
//! The index of a queue has such a part at its beginning as soon as an old snapshot keeps the rows that were taken since. Each
//! taker would walk over all of them.
//!
//! ```text
//!   keys        1  2  3  4  5 | 6  7  8 ..
//!   rows of     gone ........ | waiting          a taker whose snapshot is at `since` or later goes on behind 5
//!                 ^ added                        whoever adds an entry there takes its place out of the range
//! ```
//!
//! 1. A scan that has walked over [`WALKED`] entries in vain has the index *watched*: from then on whoever adds an entry, or
//!    makes one that is there the key of its row again, says so ([`GoneRanges::added`]) behind that. An index that is not watched
//!    costs those one word.
//! 2. Those who began before that may not know. So nothing is believed until a grace period is over: all their operations
//!    have ended then.
//! 3. A [`Look`] is a scan that finds ranges, one at a time. What is added while it is under way is noted, and left out.
//! 4. An entry is gone for a snapshot if the newest state of its row was committed by then and is a deletion, or has another
//!    key. It stays so for all later snapshots until the row gets the key again, which is said like any other.
//! 5. Takers run beside each other, and some have a snapshot that is a little older. So what is gone is told by the snapshot of
//!    an earlier look, and all who are not older than that go on behind it.
//!
//! Invariants
//! - No snapshot at `since` or later sees a row by an entry within a range: an entry is said to be added before its transaction
//!   commits, and so before there is a snapshot that sees its row and asks for the range.
//! - What was added since a look began is in none of its ranges, whenever the scan has read the entries around it.
//! - Ranges do not overlap.
//!
//! After [`TOLD_MAX`] additions the index is no longer watched, and begins anew if need be: mostly the old snapshot is gone.
//!
//! Shared by all versions of the index's definition. Not on disk.

use super::cursor::{Cursor, Cut};
use crate::error::Result;
use crate::ids::{RowId, Timestamp};
use crate::mvcc::Grace;
use crate::pool::{Ledger, Owner, Reservation};
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sync::{Fault, Mutex, is_left_out};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Entries that are walked over in vain before it is worth while to remember it.
pub const WALKED: usize = if cfg!(feature = "shuttle") { 2 } else { 32 };
/// Entries of a range that are found before it is put to the others.
const FOUND_AT_ONCE: usize = if cfg!(feature = "shuttle") { 2 } else { 1024 };
/// Additions after which an index is no longer watched.
const TOLD_MAX: u32 = 1 << 16;
/// Additions that a look may meet: with more it ends, and the next one goes on where its ranges end.
const ADDED_MAX: usize = 256;
const RANGES_MAX: usize = 256;
/// Bytes that the ranges of an index and the additions of a look take, about.
const BYTES: u64 = ((2 * RANGES_MAX + ADDED_MAX) * size_of::<(Cut, Cut)>()) as u64;

/// The gone ranges of an index.
#[derive(Debug, Default)]
pub struct GoneRanges {
    is_watched: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Where the index is watched: what is over when all who add entries say so, and the memory of the ranges.
    watch: Option<(Grace, Reservation)>,
    told: u32,
    /// Where each range begins and ends.
    ranges: BTreeMap<Cut, Cut>,
    since: Timestamp,
    /// By this snapshot the next look tells what is gone.
    next_since: Timestamp,
    /// The look that is under way: its number, and the places of entries that were added in the meantime.
    look: Option<(u64, Vec<(Cut, Cut)>)>,
    looks: u64,
}

impl State {
    /// Takes a place, from one cut to another, out of the ranges.
    fn take_out(&mut self, (before, behind): &(Cut, Cut)) {
        let last = self.ranges.range(..=before).next_back();
        let Some((from, to)) = last.map(|(from, to)| (from.clone(), to.clone())) else {
            return;
        };
        if to < *behind {
            return;
        }
        self.ranges.remove(&from);
        self.put(from, before.clone());
        self.put(behind.clone(), to);
    }

    /// Adds a range, unless it is empty or there are too many.
    fn put(&mut self, from: Cut, to: Cut) {
        if from < to && self.ranges.len() < RANGES_MAX {
            self.ranges.insert(from, to);
        }
    }

    /// Adds a range that was found, as one with those that it touches.
    fn join(&mut self, mut from: Cut, mut to: Cut) {
        if let Some((first, end)) = self.ranges.range(..=&from).next_back()
            && *end >= from
        {
            (from, to) = (first.clone(), to.max(end.clone()));
        }
        while let Some((next, end)) = self.ranges.range(&from..=&to).next() {
            let next = next.clone();
            to = to.max(end.clone());
            self.ranges.remove(&next);
        }
        self.put(from, to);
    }
}

/// The place of an entry: before it and behind it.
fn place(key: &[u8], row: RowId) -> (Cut, Cut) {
    let (mut before, mut behind) = (Cut::default(), Cut::default());
    before.move_to(key, row, true);
    behind.move_to(key, row, false);
    (before, behind)
}

impl GoneRanges {
    /// Whether whoever adds an entry has to say so, once it is there. Asked within the operation that adds it.
    #[inline(always)]
    pub fn is_watched(&self) -> bool {
        // Relaxed: an operation that began after the grace period had begun finds it set, one that began before has
        // ended before anything is believed.
        self.is_watched.load(Relaxed)
    }

    /// Says that there is an entry, or that one which was there is the key of its row again.
    #[cold]
    pub fn added(&self, key: &[u8], row: RowId) {
        let place = place(key, row);
        let mut state = self.state.lock();
        state.take_out(&place);
        if let Some((_, added)) = &mut state.look {
            added.push(place);
            if added.len() > ADDED_MAX {
                state.look = None;
            }
        }
        state.told += 1;
        if state.told >= TOLD_MAX {
            self.is_watched.store(false, Relaxed);
            *state = State {
                looks: state.looks,
                ..State::default()
            };
        }
    }

    /// Has the index watched from now on.
    ///
    /// # Errors
    /// `OutOfMemory`
    pub fn watch(&self, ledger: &Arc<Ledger>) -> Result<()> {
        let mut state = self.state.lock();
        if state.watch.is_none() {
            let memory = ledger.reserve(Owner::Index, BYTES)?;
            self.is_watched.store(true, Relaxed);
            state.watch = Some((Grace::begin(), memory));
        }
        Ok(())
    }

    /// Begins to look for ranges by a scan of this snapshot, if nobody else does.
    pub fn look(&self, snapshot: Timestamp) -> Option<Look<'_>> {
        if !self.is_watched() {
            return None;
        }
        let mut state = self.state.lock();
        let is_believed = state
            .watch
            .as_ref()
            .is_some_and(|(grace, _)| grace.is_over());
        if !is_believed || state.look.is_some() || snapshot < state.next_since {
            return None;
        }
        state.looks += 1;
        state.look = Some((state.looks, Vec::new()));
        Some(Look {
            ranges: self,
            number: state.looks,
            snapshot,
            as_of: state.next_since,
            run: None,
            at: None,
            others: 0,
            has_found: false,
        })
    }

    /// Moves a cursor in key order that stands in a range which is gone for the snapshot to its end; says whether it did.
    pub fn skip(&self, cursor: &mut Cursor, snapshot: Timestamp) -> bool {
        if !self.is_watched() {
            return false;
        }
        let state = self.state.lock();
        if snapshot < state.since {
            return false;
        }
        let (here, high) = cursor.cuts();
        let last = state.ranges.range(..=here).next_back();
        let Some(end) = last.map(|(_, end)| end).filter(|end| *end > here) else {
            return false;
        };
        match high.is_some_and(|high| high <= end) {
            true => cursor.finish(),
            false => cursor.go_on_at(end.clone()),
        }
        true
    }
}

/// A scan that looks for ranges, forward.
#[derive(Debug)]
pub struct Look<'r> {
    ranges: &'r GoneRanges,
    number: u64,
    snapshot: Timestamp,
    as_of: Timestamp,
    /// From where to where all entries that were passed last are gone, and how many they are.
    run: Option<(Cut, Cut, usize)>,
    /// Where the scan stands: behind the entry, or the range, that it has passed last.
    at: Option<Cut>,
    /// Entries that were passed and are not gone.
    others: usize,
    has_found: bool,
}

impl Look<'_> {
    /// The snapshot that tells what is gone.
    pub fn as_of(&self) -> Timestamp {
        self.as_of
    }

    /// Notes an entry that the scan has passed.
    pub fn pass(&mut self, key: &[u8], row: RowId, is_gone: bool) {
        if !is_gone {
            self.others += 1;
            self.end_run(false);
            self.at = Some(place(key, row).1);
            return;
        }
        let (before, behind) = place(key, row);
        // Nothing is between the two.
        let from = self.at.replace(behind.clone()).unwrap_or(before);
        let run = self.run.get_or_insert((from, Cut::default(), 0));
        run.1 = behind;
        run.2 += 1;
        if run.2 >= FOUND_AT_ONCE {
            self.end_run(false);
        }
    }

    /// Notes where the scan begins, or goes on behind a range.
    pub fn go_on_at(&mut self, cursor: &Cursor) {
        self.end_run(true);
        self.at = Some(cursor.cuts().0.clone());
    }

    /// Ends the range that is being found; `joins` says that the scan goes on behind a range which begins there.
    fn end_run(&mut self, joins: bool) {
        let Some((from, to, entries)) = self.run.take() else {
            return;
        };
        if entries < WALKED && !joins {
            return;
        }
        let mut state = self.ranges.state.lock();
        let Some((number, added)) = state.look.take_if(|(number, _)| *number == self.number) else {
            return;
        };
        state.since = self.as_of;
        state.join(from, to);
        if !is_left_out(Fault::AddedNotLeftOut) {
            added.iter().for_each(|place| state.take_out(place));
        }
        // They stay: the scan may have read entries in advance, and passes them later.
        state.look = Some((number, added));
        self.has_found = true;
    }
}

impl Drop for Look<'_> {
    fn drop(&mut self) {
        self.end_run(false);
        let mut state = self.ranges.state.lock();
        if state
            .look
            .take_if(|(number, _)| *number == self.number)
            .is_some()
            && (self.has_found || self.others >= WALKED)
        {
            state.next_since = self.snapshot;
        }
    }
}
