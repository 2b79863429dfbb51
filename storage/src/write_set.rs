//! Write sets: all changes of one transaction, in order.
//!
//! ```text
//!   entries    [ insert 3:7 ][ update 0:12 ][ delete 1:0 .. ][ delete 2:5 ]
//!                                                  |
//!   slot sets                                      +--> { 0, 1, 2, 5, .. }
//! ```
//!
//! Deletions that follow each other in one block are one entry with the set of their slots, so that a DELETE of all
//! rows takes 2 KiB a block and not 24 bytes a row: it must fit into the emergency reserve. Their order among
//! themselves is lost, and does not matter: a command deletes a row once. No entry is extended beyond the
//! mark of a command, so that going back to a mark undoes whole entries.
//!
//! Entries are told by *places*; readers get single writes, as if each row had an entry of its own.

use crate::catalog::TableEntry;
use crate::error::Result;
use crate::ids::{ColumnId, RowId, Slot};
use crate::pool::{Claim, Ledger, Owner, Reservation};
use crate::succinct::SlotSet;
use smallvec::SmallVec;
use std::sync::Arc;

/// Bytes of a write set, and of its log frame, that are not reserved one by one: every transaction
/// may have them.
const FREE_BYTES: usize = 4096;
/// Bytes of a set that waits in a queue, beside its lists.
const QUEUED_BYTES: usize = 2 * size_of::<WriteSet>();
/// What is reserved for the log frame grows by this much.
const FRAME_STEP: u64 = 64 << 10;
/// What is reserved for slot sets beyond what they take. One write adds less.
const SLOTS_STEP: usize = 16 << 10;

/// The table of a step of DDL that is about none.
pub const NO_TABLE: u32 = u32::MAX;

/// What was done to a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteKind {
    /// It came.
    Insert,
    /// These columns changed: a number into [`WriteSet::columns`].
    Update(u32),
    /// It went.
    Delete,
    /// Of an entry: the rows of its block went whose slots are in this set, a number that [`WriteSet::slots`]
    /// understands. Writes that are given one by one are none of these.
    DeleteSome(u32),
    /// It stays as it is, but nobody else may change it.
    Lock,
    /// It came, and its transaction has taken that back.
    TakenBack,
    /// No row, and perhaps no table ([`NO_TABLE`]): a step of DDL, a number that its transaction
    /// understands.
    Ddl(u32),
}

/// One change.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    /// The row.
    pub row: RowId,
    /// Which of [`WriteSet::touched`].
    pub table: u32,
    /// What was done.
    pub kind: WriteKind,
}

impl Write {
    /// Whether there is nothing to be done about a row.
    pub fn is_of_no_row(&self) -> bool {
        matches!(self.kind, WriteKind::Ddl(_) | WriteKind::TakenBack)
    }
}

/// A table that was written to.
#[derive(Clone, Debug)]
pub struct Touched {
    /// As the transaction saw it last.
    pub entry: Arc<TableEntry>,
    /// Whether rows were written, and not only its structure.
    pub rows: bool,
    /// Whether it is held until the transaction ends, whatever is undone.
    pub held: bool,
    /// Entries before this one have no insertion that may be taken back.
    taken_back_to: u32,
}

/// A place in a write set: before all of it, behind all of it, or between two rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Place {
    entry: usize,
    /// Of an entry with several rows, the first slot that is behind the place.
    slot: Slot,
}

/// What becomes of an entry.
#[derive(Debug)]
pub enum Kept {
    /// All of it stays.
    Whole,
    /// These slots of it stay.
    Some(SlotSet),
    /// Nothing of it does.
    Nothing,
}

/// All changes of one transaction. Those of a small one are in place, so that it allocates nothing.
#[derive(Debug, Default)]
pub struct WriteSet {
    entries: SmallVec<[Write; 2]>,
    /// Rows of all entries.
    len: usize,
    /// Entries before this one are not extended.
    sealed: usize,
    slots: Vec<SlotSet>,
    /// Bytes of slot sets, and how many may be.
    slot_bytes: usize,
    slot_bytes_reserved: usize,
    touched: SmallVec<[Touched; 1]>,
    columns: SmallVec<[ColumnId; 4]>,
    /// Sets of columns: which of `columns` they are.
    sets: SmallVec<[(u32, u32); 1]>,
    reservation: Option<Reservation>,
    /// The most bytes that the writes can take in a log frame, and what is reserved for them.
    frame_bytes: u64,
    frame: Option<Reservation>,
    grows: bool,
}

impl WriteSet {
    /// Makes room for one more write, so that [`Self::push`] cannot fail. A write that makes the
    /// database smaller (`shrinks`) may dip into the emergency reserve.
    #[inline]
    pub fn reserve(&mut self, ledger: &Arc<Ledger>, shrinks: bool) -> Result<()> {
        self.grows |= !shrinks;
        let has_room = self.entries.len() < self.entries.capacity();
        if has_room && self.slot_bytes <= self.slot_bytes_reserved {
            return Ok(());
        }
        self.grow(ledger, shrinks)
    }

    #[cold]
    fn grow(&mut self, ledger: &Arc<Ledger>, shrinks: bool) -> Result<()> {
        let mut wanted = self.entries.capacity();
        if self.entries.len() == wanted {
            wanted = (wanted * 2).max(16);
        }
        let bytes = wanted * size_of::<Write>() + self.slot_bytes;
        if bytes > FREE_BYTES || self.reservation.is_some() {
            let slots_reserved = self.slot_bytes_reserved;
            self.slot_bytes_reserved = self.slot_bytes + SLOTS_STEP;
            let reserved = self.reserve_all(ledger, wanted, Claim::of_change(shrinks));
            if reserved.is_err() {
                self.slot_bytes_reserved = slots_reserved;
            }
            reserved?;
        }
        self.entries.grow(wanted);
        Ok(())
    }

    /// Makes sure that the log frame of one more write, which takes `bytes` at most, has memory: a
    /// transaction that could write can commit, however full the database is by then.
    pub fn reserve_frame(
        &mut self,
        ledger: &Arc<Ledger>,
        bytes: usize,
        shrinks: bool,
    ) -> Result<()> {
        let wanted = self.frame_bytes + bytes as u64;
        if wanted > FREE_BYTES as u64 {
            let frame = match &mut self.frame {
                Some(frame) => frame,
                none => none.insert(ledger.reserve(Owner::Log, 0)?),
            };
            if wanted > frame.bytes() {
                let stepped = wanted.next_multiple_of(FRAME_STEP);
                frame.resize_for(Claim::of_change(shrinks), stepped)?;
            }
        }
        self.frame_bytes = wanted;
        Ok(())
    }

    /// Makes sure that all of it is reserved, with what its garbage will take in queues: it may have
    /// to wait for the horizon for as long as anybody likes. Where that is known before the first
    /// write, what grows the database is refused there, and not let through at its commit.
    pub fn reserve_to_wait(&mut self, ledger: &Arc<Ledger>, claim: Claim) -> Result<()> {
        self.reserve_all(ledger, self.entries.capacity(), claim)
    }

    fn reserve_all(&mut self, ledger: &Arc<Ledger>, entries: usize, claim: Claim) -> Result<()> {
        let bytes = self.waiting_bytes(entries);
        let reservation = match &mut self.reservation {
            Some(reservation) => reservation,
            none => none.insert(ledger.reserve(Owner::Transaction, 0)?),
        };
        reservation.resize_for(claim, bytes)
    }

    /// What a set with room for so many entries takes while it waits.
    fn waiting_bytes(&self, entries: usize) -> u64 {
        let touched = self.touched.capacity() * size_of::<Touched>();
        let slots = self.slots.capacity() * size_of::<SlotSet>();
        let slots = slots + self.slot_bytes.max(self.slot_bytes_reserved);
        (QUEUED_BYTES + touched + slots + entries * size_of::<Write>()) as u64
    }

    /// Whether anything but deletions is in it.
    pub fn grows(&self) -> bool {
        self.grows
    }

    /// What was reserved for the log frame, and the most bytes that it takes.
    pub fn take_frame(&mut self) -> (Option<Reservation>, usize) {
        (self.frame.take(), self.frame_bytes as usize)
    }

    /// The most bytes that one more deletion takes in a log frame.
    pub fn delete_bytes(&self, table: u32, row: RowId, alone: usize) -> usize {
        match self.extensible(table, row) {
            Some(at) => {
                let rows = self.rows_of(&self.entries[at]);
                SlotSet::encoded_bytes_max(rows + 1) - SlotSet::encoded_bytes_max(rows)
            }
            None => alone + SlotSet::encoded_bytes_max(1),
        }
    }

    /// The entry that a deletion of the row extends, if there is one.
    fn extensible(&self, table: u32, row: RowId) -> Option<usize> {
        let at = self.entries.len().checked_sub(1)?;
        let last = &self.entries[at];
        let is_deletion = matches!(last.kind, WriteKind::Delete | WriteKind::DeleteSome(_));
        let is_near = last.table == table && last.row.block() == row.block();
        (at >= self.sealed && is_deletion && is_near).then_some(at)
    }

    /// Adds a write of one row.
    pub fn push(&mut self, write: Write) {
        self.len += 1;
        let extends = match write.kind {
            WriteKind::Delete => self.extensible(write.table, write.row),
            _ => None,
        };
        let Some(at) = extends else {
            self.entries.push(write);
            return;
        };
        let set = match self.entries[at].kind {
            WriteKind::DeleteSome(set) => set as usize,
            _ => {
                let first = self.entries[at].row.slot();
                self.entries[at].kind = WriteKind::DeleteSome(self.slots.len() as u32);
                self.slots.push(SlotSet::from_iter([first]));
                self.slot_bytes += size_of::<SlotSet>();
                self.slots.len() - 1
            }
        };
        let slots = &mut self.slots[set];
        let before = slots.heap_bytes();
        let is_new = slots.insert(write.row.slot());
        debug_assert!(is_new, "a command deletes a row once");
        self.slot_bytes += slots.heap_bytes() - before;
    }

    /// From which entry on insertions into a table may be taken back.
    pub fn taken_back_to(&self, table: u32) -> usize {
        let to = self.touched[table as usize].taken_back_to as usize;
        to.min(self.entries.len())
    }

    /// Notes that insertions into a table before an entry are taken back, or stay.
    pub fn note_taken_back(&mut self, table: u32, to: usize) {
        // Behind so many entries none is taken back any more.
        self.touched[table as usize].taken_back_to = u32::try_from(to).unwrap_or(u32::MAX);
    }

    /// Notes that an insertion was taken back. Its entry stays, so that marks do.
    pub fn take_back(&mut self, entry: usize) {
        self.entries[entry].kind = WriteKind::TakenBack;
    }

    /// Lets no later write extend an entry that is there: what came until now can be gone back to.
    pub fn seal(&mut self) {
        self.sealed = self.entries.len();
    }

    /// Takes the last write out, a row at a time.
    pub fn pop(&mut self) -> Option<Write> {
        let last = self.entries.last()?;
        self.len -= 1;
        let WriteKind::DeleteSome(set) = last.kind else {
            return self.entries.pop();
        };
        let mut write = *last;
        write.kind = WriteKind::Delete;
        let slots = &mut self.slots[set as usize];
        if let Some(slot) = slots.pop() {
            write.row = RowId::new(write.row.block(), slot);
        }
        if slots.is_empty() {
            self.entries.pop();
        }
        Some(write)
    }

    /// How many rows were written, each as often as it was.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entries, in order.
    pub fn entries(&self) -> &[Write] {
        &self.entries
    }

    /// The slots of a [`WriteKind::DeleteSome`].
    pub fn slots(&self, set: u32) -> &SlotSet {
        &self.slots[set as usize]
    }

    /// How many rows an entry has.
    pub fn rows_of(&self, entry: &Write) -> usize {
        match entry.kind {
            WriteKind::DeleteSome(set) => self.slots(set).len(),
            _ => 1,
        }
    }

    /// The writes one by one, in order.
    pub fn iter(&self) -> impl Iterator<Item = Write> + Clone {
        let mut place = Place::default();
        std::iter::from_fn(move || self.next(&mut place))
    }

    /// The write behind a place, which moves behind it.
    #[inline]
    pub fn next(&self, place: &mut Place) -> Option<Write> {
        let write = self.entries.get(place.entry)?;
        if let WriteKind::DeleteSome(set) = write.kind {
            return self.next_of_some(*write, set, place);
        }
        place.entry += 1;
        Some(*write)
    }

    fn next_of_some(&self, mut write: Write, set: u32, place: &mut Place) -> Option<Write> {
        let Some(slot) = self.slots(set).at_or_after(place.slot) else {
            *place = Place {
                entry: place.entry + 1,
                slot: Slot(0),
            };
            return self.next(place);
        };
        place.slot = Slot(slot.0 + 1);
        write.kind = WriteKind::Delete;
        write.row = RowId::new(write.row.block(), slot);
        Some(write)
    }

    /// Whether nothing is behind a place.
    pub fn is_end(&self, mut place: Place) -> bool {
        self.next(&mut place).is_none()
    }

    /// Decides about the entries from one on, as many as there are decisions: what is not kept is forgotten. Only
    /// once the set waits to be collected.
    pub fn keep(&mut self, from: usize, kept: Vec<Kept>) {
        let mut decisions = kept.into_iter();
        let mut at = 0;
        let (slots, len) = (&mut self.slots, &mut self.len);
        self.entries.retain(|entry| {
            at += 1;
            let kept = if at > from { decisions.next() } else { None };
            let own = match entry.kind {
                WriteKind::DeleteSome(set) => Some(&mut slots[set as usize]),
                _ => None,
            };
            match (kept, own) {
                (None | Some(Kept::Whole), _) | (Some(Kept::Some(_)), None) => true,
                (Some(Kept::Some(left)), Some(slots)) => {
                    *len -= slots.len() - left.len();
                    *slots = left;
                    true
                }
                (Some(Kept::Nothing), own) => {
                    *len -= own.map_or(1, |slots| std::mem::take(slots).len());
                    false
                }
            }
        });
        self.entries.shrink_to_fit();
        let of_slots = self
            .slots
            .iter()
            .map(|slots| size_of::<SlotSet>() + slots.heap_bytes());
        self.slot_bytes = of_slots.sum();
        self.slot_bytes_reserved = 0;
        let bytes = self.waiting_bytes(self.entries.capacity());
        if let Some(reservation) = &mut self.reservation {
            reservation.shrink(bytes);
        }
    }

    /// The tables written to.
    pub fn touched(&self) -> &[Touched] {
        &self.touched
    }

    /// The table of a write.
    pub fn entry(&self, write: &Write) -> &Arc<TableEntry> {
        &self.touched[write.table as usize].entry
    }

    /// The table of a step of DDL, if it is about one.
    pub fn entry_of_step(&self, step: &Write) -> Option<&Arc<TableEntry>> {
        let touched = self.touched.get(step.table as usize);
        touched.map(|touched| &touched.entry)
    }

    /// The number of a table that was touched before; its entry becomes this one.
    pub fn find(&mut self, entry: &Arc<TableEntry>) -> Option<u32> {
        let same = |touched: &Touched| Arc::ptr_eq(&touched.entry.rows, &entry.rows);
        // Statements write to one table many times: it is the last one.
        let at = self.touched.iter().rposition(same)?;
        if !Arc::ptr_eq(&self.touched[at].entry, entry) {
            self.touched[at].entry = Arc::clone(entry);
        }
        Some(at as u32)
    }

    /// Notes a table that was not touched before.
    pub fn touch(&mut self, entry: &Arc<TableEntry>) -> u32 {
        self.touched.push(Touched {
            entry: Arc::clone(entry),
            rows: false,
            held: false,
            taken_back_to: 0,
        });
        self.touched.len() as u32 - 1
    }

    /// Notes that the table is held.
    pub fn hold(&mut self, table: u32) {
        self.touched[table as usize].held = true;
    }

    /// Notes that rows of the table are written; whether that is new.
    pub fn touch_rows(&mut self, table: u32) -> bool {
        !std::mem::replace(&mut self.touched[table as usize].rows, true)
    }

    /// Notes that they are not, after all.
    pub fn untouch_rows(&mut self, table: u32) {
        self.touched[table as usize].rows = false;
    }

    /// The number of a set of columns; rows of one statement share it.
    pub fn columns_number(&mut self, columns: impl Iterator<Item = ColumnId> + Clone) -> u32 {
        let last = self.sets.len().wrapping_sub(1) as u32;
        if self.sets.is_empty() || !self.columns(last).iter().copied().eq(columns.clone()) {
            let start = self.columns.len() as u32;
            self.columns.extend(columns);
            self.sets.push((start, self.columns.len() as u32));
        }
        self.sets.len() as u32 - 1
    }

    /// A set of columns by its number.
    pub fn columns(&self, number: u32) -> &[ColumnId] {
        let (start, end) = self.sets[number as usize];
        &self.columns[start as usize..end as usize]
    }
}
