//! What a transaction did, row by row, in order.

use crate::catalog::TableEntry;
use crate::error::Result;
use crate::ids::{ColumnId, RowId};
use crate::pool::{Claim, Ledger, Owner, Reservation};
use smallvec::SmallVec;
use std::sync::Arc;

/// Bytes of a write set, and of its log frame, that are not reserved one by one: every transaction
/// may have them.
const FREE_BYTES: usize = 4096;
/// Bytes of a set that waits in a queue, beside its lists.
const QUEUED_BYTES: usize = 2 * size_of::<WriteSet>();
/// What is reserved for the log frame grows by this much.
const FRAME_STEP: u64 = 64 << 10;

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
    /// It stays as it is, but nobody else may change it.
    Lock,
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

/// A table that was written to.
#[derive(Clone, Debug)]
pub struct Touched {
    /// As the transaction saw it last.
    pub entry: Arc<TableEntry>,
    /// Whether rows were written, and not only its structure.
    pub rows: bool,
    /// Whether it is held until the transaction ends, whatever is undone.
    pub held: bool,
}

/// All changes of one transaction. Those of a small one are in place, so that it allocates nothing.
#[derive(Debug, Default)]
pub struct WriteSet {
    writes: SmallVec<[Write; 2]>,
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
        if self.writes.len() < self.writes.capacity() {
            return Ok(());
        }
        self.grow(ledger, shrinks)
    }

    #[cold]
    fn grow(&mut self, ledger: &Arc<Ledger>, shrinks: bool) -> Result<()> {
        let wanted = (self.writes.capacity() * 2).max(16);
        if wanted * size_of::<Write>() > FREE_BYTES || self.reservation.is_some() {
            self.reserve_all(ledger, wanted, Claim::of_change(shrinks))?;
        }
        self.writes.grow(wanted);
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
        self.reserve_all(ledger, self.writes.capacity(), claim)
    }

    fn reserve_all(&mut self, ledger: &Arc<Ledger>, writes: usize, claim: Claim) -> Result<()> {
        let bytes = self.waiting_bytes(writes);
        let reservation = match &mut self.reservation {
            Some(reservation) => reservation,
            none => none.insert(ledger.reserve(Owner::Transaction, 0)?),
        };
        reservation.resize_for(claim, bytes)
    }

    /// What a set with room for so many writes takes while it waits.
    fn waiting_bytes(&self, writes: usize) -> u64 {
        let touched = self.touched.capacity() * size_of::<Touched>();
        (QUEUED_BYTES + touched + writes * size_of::<Write>()) as u64
    }

    /// Whether anything but deletions is in it.
    pub fn grows(&self) -> bool {
        self.grows
    }

    /// What was reserved for the log frame, and the most bytes that it takes.
    pub fn take_frame(&mut self) -> (Option<Reservation>, usize) {
        (self.frame.take(), self.frame_bytes as usize)
    }

    /// Adds a write.
    pub fn push(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// Forgets writes that are not to be kept, once the set waits to be collected.
    pub fn retain(&mut self, mut keep: impl FnMut(&Write) -> bool) {
        self.writes.retain(|write| keep(write));
        self.writes.shrink_to_fit();
        let bytes = self.waiting_bytes(self.writes.capacity());
        if let Some(reservation) = &mut self.reservation
            && reservation.bytes() > bytes
        {
            reservation.shrink(bytes);
        }
    }

    /// Takes the last write out.
    pub fn pop(&mut self) -> Option<Write> {
        self.writes.pop()
    }

    /// All writes, in order.
    pub fn writes(&self) -> &[Write] {
        &self.writes
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
