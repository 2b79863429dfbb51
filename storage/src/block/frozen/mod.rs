//! Frozen blocks: the live rows of a block as encoded columns that never change.
//!
//! ```text
//!  Frozen   live     which slots hold a row: slot -> position (rank), position -> slot (select)
//!           columns  [ id | type | low .. high | bloom | encoding ] ..
//!           image    one allocation: the bytes of all columns, as they are on disk too
//! ```
//!
//! 1. *Build*: each column is written in the forms that suit its type, and the shortest is kept
//!    (`data.rs`): integers packed around a line or as runs, floats as decimals, strings with a
//!    symbol table, dictionaries; NULLs are a bitmap, where there are any.
//! 2. *Read one value*: rank gives the position, and each encoding finds one value without
//!    decoding the column.
//! 3. *Scan*: zone maps, bloom filters and dictionaries say that a block has nothing to find; if it
//!    may have, bounds are compared with packed numbers, 1,024 rows at a time (`select.rs`), and
//!    what passes is decoded into Arrow arrays (`array.rs`).
//! 4. *Encode and decode*: the image is what is written. Reading takes any bytes: every value is
//!    checked once, and zone maps and bloom filters are made anew.
//!
//! Invariants
//! - Every row of every column can be read; text is UTF-8. `Frozen` is made only by `decode`-ing
//!   bytes, also when it is built, so what is built is what can be read.
//! - Order and equality are those of index keys: NaN is above everything, `-0` equals `0`, NULL is
//!   within no bounds.

mod array;
mod column;
mod data;
mod decimal;
mod derive;
mod floats;
mod image;
mod ints;
mod mask;
mod numbered;
mod pack;
mod plain;
mod select;
mod simd;
mod source;
mod strings;
mod symbols;
mod vectors;

#[cfg(test)]
mod tests;

pub(super) use floats::key;
pub use mask::{Mask, extremes_i64, sum_f64, sum_i64};
pub(super) use plain::int_value;
pub use select::Filter;

use crate::codec::{DecodeError, Decoder, put_varint};
use crate::error::Result;
use crate::ids::{BLOCK_SLOTS, ColumnId, Slot};
use crate::limits::COLUMNS_MAX;
use crate::pool::{Claim, Ledger, Owner, Pool, Reservation, rounded_bytes};
use crate::succinct::BitVector;
use crate::value::{DataType, ValueRef};
use arrow_array::ArrayRef;
use column::Column;
use data::Data;
use image::Image;
pub(super) use source::Source;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// The first byte of the bytes: the version of their format.
const VERSION: u8 = 1;
const ALL_LIVE: u8 = 0;
const SOME_LIVE: u8 = 1;

/// The live rows of one block as encoded columns.
pub struct Frozen {
    live: BitVector,
    /// By id.
    columns: Box<[Column]>,
    image: Image,
    /// Of what is on the heap beside the image.
    _reservation: Reservation,
}

impl Frozen {
    /// Encodes columns: arrays of the rows of the live slots, in order, each of its type's
    /// `arrow()`.
    ///
    /// # Errors
    /// `OutOfMemory`.
    ///
    /// # Panics
    /// When an array is not of its type or has more or fewer rows than slots are live; when there
    /// are more slots than a block can have.
    pub fn build(
        pool: &Arc<Pool>,
        live: &BitVector,
        columns: &[(ColumnId, DataType, ArrayRef)],
    ) -> Result<Self> {
        Encoded::new(pool.ledger(), Claim::Ordinary, live, columns)?.load(pool)
    }

    /// Appends what [`Frozen::decode`] reads.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.encoded());
    }

    /// What [`Frozen::decode`] reads.
    pub fn encoded(&self) -> &[u8] {
        &self.image
    }

    /// Reads a frozen block from bytes that may be anything, and checks every value. They are said
    /// to begin at `offset` of the file at `path` if they are damaged.
    pub fn decode(pool: &Arc<Pool>, bytes: &[u8], path: &Path, offset: u64) -> Result<Self> {
        let parsed = Parsed::read(bytes).map_err(|error| error.in_file(path, offset))?;
        parsed.load(pool, Claim::Ordinary, bytes)
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.live.ones()
    }

    /// How many slots the block has or had, with rows or without.
    pub fn slots(&self) -> usize {
        self.live.len()
    }

    /// Bytes it takes, as the ledger counts them.
    pub fn bytes(&self) -> u64 {
        rounded_bytes(Owner::Table, self.image.len()) as u64 + self._reservation.bytes()
    }

    /// Which slots hold a row.
    pub fn live(&self) -> &BitVector {
        &self.live
    }

    /// Where the row of a slot is among the rows. `None` where the slot holds none.
    pub fn position(&self, slot: Slot) -> Option<u32> {
        let slot = usize::from(slot.0);
        self.live.get(slot).then(|| self.live.rank(slot) as u32)
    }

    /// The slot of a row.
    ///
    /// # Panics
    /// When there are fewer rows.
    pub fn slot_at(&self, position: u32) -> Slot {
        let slot = self.live.select(position as usize);
        Slot(slot.expect("a row of this block") as u16)
    }

    /// One value; NULL for a column that the block does not have. Strings that are not whole in the
    /// block are made in `scratch`.
    ///
    /// # Panics
    /// When there are fewer rows.
    pub fn value<'a>(
        &'a self,
        column: ColumnId,
        position: u32,
        scratch: &'a mut Vec<u8>,
    ) -> ValueRef<'a> {
        match self.column(column) {
            Some(column) => column.value(&self.image, position as usize, scratch),
            None => ValueRef::Null,
        }
    }

    /// The value of a row in a column that is held as integers, which may be NULL; `None` where the column is held in
    /// another way, or the block does not have it.
    ///
    /// # Panics
    /// When there are fewer rows.
    pub fn int(&self, column: ColumnId, position: u32) -> Option<Option<i64>> {
        let column = self.column(column)?;
        if !column.is_valid(&self.image, position as usize) {
            return Some(None);
        }
        match &column.data {
            Data::Ints(ints) => Some(Some(ints.get(&self.image, position as usize))),
            _ => None,
        }
    }

    /// The columns it has, by id, with the types they were frozen with.
    pub fn columns(&self) -> impl Iterator<Item = (ColumnId, DataType)> {
        self.columns
            .iter()
            .map(|column| (column.id, column.data_type))
    }

    fn column(&self, id: ColumnId) -> Option<&Column> {
        // Ids are mostly counted from 0 or 1 and none is missing.
        let near = id.0 as usize;
        let guess = [near, near.wrapping_sub(1)].into_iter();
        let guess = guess.filter_map(|at| self.columns.get(at));
        guess
            .into_iter()
            .find(|column| column.id == id)
            .or_else(|| {
                let at = self.columns.binary_search_by_key(&id, |column| column.id);
                at.ok().map(|at| &self.columns[at])
            })
    }
}

impl fmt::Debug for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frozen")
            .field("rows", &self.rows())
            .field("slots", &self.slots())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

/// Columns being encoded, one after the other, in the order of their ids.
#[derive(Debug)]
pub(super) struct Encoder {
    bytes: Vec<u8>,
    rows: usize,
    claim: Claim,
    /// Of the bytes, and of what encoding a column takes.
    scratch: Reservation,
}

impl Encoder {
    /// For so many columns of the rows of the live slots, with memory as far as the claim reaches.
    pub(super) fn new(
        ledger: &Arc<Ledger>,
        claim: Claim,
        live: &BitVector,
        columns: usize,
    ) -> Result<Self> {
        let mut bytes = vec![VERSION];
        put_live(live, &mut bytes);
        put_varint(&mut bytes, columns as u64);
        let scratch = ledger.reserve_for(claim, Owner::Table, bytes.capacity() as u64)?;
        Ok(Self {
            bytes,
            rows: live.ones(),
            claim,
            scratch,
        })
    }

    /// Adds the next column.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub(super) fn add(&mut self, id: ColumnId, source: &Source<'_>) -> Result<()> {
        let wanted = self.bytes.len() + source.scratch_bytes();
        self.scratch.resize_for(self.claim, wanted as u64)?;
        Column::encode(id, source, &mut self.bytes);
        self.bytes.shrink_to_fit();
        self.scratch.shrink(self.bytes.len() as u64);
        Ok(())
    }

    /// The bytes of all columns.
    pub(super) fn finish(self) -> Encoded {
        Encoded {
            bytes: self.bytes,
            rows: self.rows,
            claim: self.claim,
            _scratch: self.scratch,
        }
    }
}

/// The bytes of encoded columns, in memory of the moment.
#[derive(Debug)]
pub struct Encoded {
    bytes: Vec<u8>,
    rows: usize,
    claim: Claim,
    /// Of the bytes.
    _scratch: Reservation,
}

impl Encoded {
    /// Encodes columns, as [`Frozen::build`] says, with memory as far as a claim reaches: freezing makes
    /// tables smaller.
    ///
    /// # Errors
    /// `OutOfMemory`.
    ///
    /// # Panics
    /// As [`Frozen::build`].
    pub fn new(
        ledger: &Arc<Ledger>,
        claim: Claim,
        live: &BitVector,
        columns: &[(ColumnId, DataType, ArrayRef)],
    ) -> Result<Self> {
        let arrays = columns
            .iter()
            .map(|(.., array)| array.get_array_memory_size());
        let _arrays = ledger.reserve_for(claim, Owner::Table, arrays.sum::<usize>() as u64)?;
        let mut encoder = Encoder::new(ledger, claim, live, columns.len())?;
        let mut by_id: Vec<_> = columns.iter().collect();
        by_id.sort_by_key(|(id, ..)| *id);
        for (id, data_type, array) in by_id {
            assert_eq!(array.len(), live.ones(), "a value for each live slot");
            encoder.add(*id, &Source::of_array(*data_type, array))?;
        }
        Ok(encoder.finish())
    }

    /// What [`Frozen::decode`] reads.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The same in memory of the pool.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn load(self, pool: &Arc<Pool>) -> Result<Frozen> {
        let parsed = Parsed::read(&self.bytes).expect("what was encoded can be read");
        parsed.load(pool, self.claim, &self.bytes)
    }
}

/// Bytes that were understood and checked, before they are given memory of their own.
struct Parsed {
    live: BitVector,
    columns: Vec<Column>,
}

impl Parsed {
    fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        match decoder.u8()? {
            VERSION => {}
            other => return Err(damage(0, "version 1", other)),
        }
        let live = read_live(&mut decoder)?;
        let rows = live.ones();
        let offset = decoder.offset();
        let count = decoder.count(1)?;
        if count > COLUMNS_MAX {
            return Err(damage(offset, "columns of a table", count));
        }
        let mut columns: Vec<Column> = Vec::new();
        for _ in 0..count {
            let offset = decoder.offset();
            let mut column = Column::parse(&mut decoder, rows)?;
            if columns.last().is_some_and(|last| last.id >= column.id) {
                return Err(damage(
                    offset,
                    "columns in the order of their ids",
                    column.id,
                ));
            }
            if !column.derive(bytes, rows) {
                return Err(damage(
                    offset,
                    "values of the column's type",
                    column.data_type,
                ));
            }
            columns.push(column);
        }
        decoder.finish()?;
        Ok(Self { live, columns })
    }

    fn load(self, pool: &Arc<Pool>, claim: Claim, bytes: &[u8]) -> Result<Frozen> {
        let rows = self.live.ones();
        let columns = self.columns.into_boxed_slice();
        let of_columns: usize = columns.iter().map(|column| column.heap_bytes(rows)).sum();
        let heap = self.live.heap_bytes() + size_of_val(&*columns) + of_columns;
        let ledger = pool.ledger();
        Ok(Frozen {
            live: self.live,
            image: Image::copy_of(pool, claim, bytes)?,
            columns,
            _reservation: ledger.reserve_for(claim, Owner::Table, heap as u64)?,
        })
    }
}

/// Appends which slots are live, in a byte or two where all of them are.
pub fn put_live(live: &BitVector, out: &mut Vec<u8>) {
    assert!(live.len() <= BLOCK_SLOTS, "slots of one block");
    put_varint(out, live.len() as u64);
    if live.ones() == live.len() {
        out.push(ALL_LIVE);
        return;
    }
    out.push(SOME_LIVE);
    for word in live.words() {
        out.extend_from_slice(&word.to_le_bytes());
    }
}

/// Reads what [`put_live`] wrote: at most as many slots as a block can have.
///
/// # Errors
/// Where it is something else.
pub fn read_live(decoder: &mut Decoder<'_>) -> Result<BitVector, DecodeError> {
    let offset = decoder.offset();
    let slots = decoder.varint()?;
    if slots > BLOCK_SLOTS as u64 {
        return Err(damage(offset, "slots of one block", slots));
    }
    let slots = slots as usize;
    let offset = decoder.offset();
    match decoder.u8()? {
        ALL_LIVE => Ok(BitVector::ones_only(slots)),
        SOME_LIVE => {
            let words = (0..slots.div_ceil(64)).map(|_| decoder.u64());
            let words = words.collect::<Result<Vec<_>, _>>()?;
            let live = BitVector::from_words(words, slots);
            live.ok_or_else(|| damage(offset, "a bit for each slot", "more"))
        }
        other => Err(damage(offset, "how live slots are told", other)),
    }
}

fn damage(offset: usize, expected: &'static str, found: impl fmt::Display) -> DecodeError {
    DecodeError {
        offset,
        expected,
        found: found.to_string(),
    }
}
