//! The rows of a block on their way to encoded columns: gathered part by part, as whoever asks sees them.
//!
//! Freezing sees them as of its horizon, all at once; a checkpoint as of its own timestamp, and a range at a
//! time, so that it does not hold up what frees memory. Arrays and what the encoder needs beside them are
//! copies: their memory is reserved before they are made.

use super::frozen::Encoded;
use super::gather::Gatherer;
use super::images::Take;
use super::row::RowRef;
use super::slots::Block;
use crate::error::Result;
use crate::ids::{ColumnId, Slot, Timestamp};
use crate::mvcc::Stamp;
use crate::pool::{Claim, Owner, Reservation};
use crate::succinct::BitVector;
use crate::value::DataType;

/// Rows that are gathered, of one block, in order of their slots.
#[derive(Debug)]
pub struct Gathering<'b> {
    block: &'b Block,
    claim: Claim,
    columns: Vec<(ColumnId, DataType)>,
    gatherer: Gatherer,
    /// A bit for each slot: whether it has a row.
    live: Vec<u64>,
    memory: Reservation,
}

impl<'b> Gathering<'b> {
    /// Of the columns that are wanted, with memory as far as the claim reaches.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(block: &'b Block, claim: Claim, wanted: impl Fn(ColumnId) -> bool) -> Result<Self> {
        let fields = block.layout.fields().iter();
        let fields = fields.filter(|field| wanted(field.column));
        let columns: Vec<_> = fields
            .map(|field| (field.column, field.data_type))
            .collect();
        Ok(Self {
            claim,
            gatherer: Gatherer::new(&columns, &[]),
            live: vec![0; block.slots().div_ceil(64)],
            memory: block.pool.ledger().reserve_for(claim, Owner::Table, 0)?,
            block,
            columns,
        })
    }

    /// Adds the rows of these slots, which come behind those that were added before; `false`, and nothing is
    /// added, where all would take more than `most` bytes.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn take(&mut self, slots: &[Slot], rows: &[RowRef<'_>], most: u64) -> Result<bool> {
        let of_row = self.block.layout.stride() + size_of::<RowRef<'_>>();
        let more = rows.len() * of_row + string_bytes(rows);
        let wanted = self.memory.bytes() + more as u64;
        if wanted > most {
            return Ok(false);
        }
        self.memory.resize_for(self.claim, wanted)?;
        for slot in slots {
            self.live[usize::from(slot.0) / 64] |= 1 << (slot.0 % 64);
        }
        self.gatherer.take_rows(&[], rows);
        Ok(true)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.live.iter().all(|word| *word == 0)
    }

    /// Encodes what was gathered.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn encode(mut self) -> Result<Encoded> {
        let live = BitVector::from_words(self.live, self.block.slots());
        let live = live.expect("a bit for each slot");
        let (arrays, _) = self.gatherer.finish();
        let columns = self.columns.into_iter().zip(arrays);
        let columns: Vec<_> = columns.map(|((id, ty), array)| (id, ty, array)).collect();
        // The encoder counts the arrays from now on.
        drop(self.memory);
        Encoded::new(self.block.pool.ledger(), self.claim, &live, &columns)
    }
}

impl Block {
    /// Whether all rows that it will ever have were there at `at`: no slot is free, or being filled. Only of
    /// such a block can the rows as of then be encoded columns, over which later changes are chained.
    pub fn is_complete(&self, at: Timestamp) -> bool {
        let began = |slot| {
            let begin = self.begin(Slot(slot as u16));
            begin == Stamp::ABORTED || begin.is_committed_by(at)
        };
        self.is_full() && (0..self.capacity()).all(began)
    }
}

/// What long strings take in arrays. Strings of frozen rows may be kept by these as well, once they are
/// read.
fn string_bytes(rows: &[RowRef<'_>]) -> usize {
    let bytes = |row: &RowRef<'_>| match row.as_image() {
        Some(_) => row.long_string_bytes(),
        None => 2 * row.long_string_bytes(),
    };
    rows.iter().map(bytes).sum()
}
