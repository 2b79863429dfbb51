//! Freezing: the rows of a block as of a horizon, encoded column by column.
//!
//! A full database is made smaller by it, so it takes little memory: rows are told by their slots and places, strings are
//! encoded from where they lie, and one column at a time has anything beside the rows. Of rows that are frozen already,
//! strings are decoded together, for one column.

use super::columns::Columns;
use super::frozen::{Encoder, Source};
use super::heads::Heads;
use super::layout::Field;
use super::row::{Image, fixed};
use super::slots::{Base, Block};
use super::switch::States;
use crate::error::Result;
use crate::ids::{Slot, Timestamp};
use crate::pool::{Claim, Owner, Reservation};
use crate::succinct::BitVector;
use crate::value::ValueRef;

/// Bytes that decoded strings reserve at a time.
const DECODED_AT_ONCE: u64 = 64 << 10;

impl Block {
    /// Builds the block that has these rows as encoded columns, and no heads.
    pub(super) fn freeze(
        &self,
        states: &States<'_>,
        claim: Claim,
        horizon: Timestamp,
    ) -> Result<Self> {
        let live = BitVector::from_words(states.live.clone(), self.slots());
        let live = live.expect("a bit for each slot");
        let mut fields: Vec<&Field> = self.layout.fields().iter().collect();
        fields.sort_by_key(|field| field.column);
        let ledger = self.pool.ledger();
        let _rows = ledger.reserve_for(claim, Owner::Table, states.bytes() as u64)?;
        let mut encoder = Encoder::new(ledger, claim, &live, fields.len())?;
        for field in fields {
            self.encode_column(states, field, claim, &mut encoder)?;
        }
        let frozen = encoder.finish().load(&self.pool)?;
        let base = Base::Frozen(Columns {
            heads: Heads::new(&self.pool, frozen.rows()),
            frozen,
            at: horizon,
        });
        self.built(claim, base, states, horizon)
    }

    fn encode_column(
        &self,
        states: &States<'_>,
        field: &Field,
        claim: Claim,
        encoder: &mut Encoder,
    ) -> Result<()> {
        let image = |bytes| Image {
            bytes,
            heap: self.heap.get().map(AsRef::as_ref),
        };
        let decoded = self.decode_strings(states, field, claim)?;
        let values = states.rows.iter().enumerate().map(|(at, row)| match row {
            Some(bytes) => image(*bytes).read(&self.layout, field),
            None if field.is_viewed() => decoded.value(at),
            None => fixed(self.frozen_value(states.slots[at], field, &mut Vec::new())),
        });
        encoder.add(field.column, &Source::new(field.data_type, values))
    }

    /// The strings of a column in the rows that are frozen, if it is one of strings.
    fn decode_strings(&self, states: &States<'_>, field: &Field, claim: Claim) -> Result<Decoded> {
        let mut decoded = Decoded {
            bytes: Vec::new(),
            places: Vec::new(),
            memory: self.pool.ledger().reserve_for(claim, Owner::Table, 0)?,
        };
        if !field.is_viewed() || states.rows.iter().all(Option::is_some) {
            return Ok(decoded);
        }
        let mut scratch = Vec::new();
        for (row, slot) in states.rows.iter().zip(&states.slots) {
            let value = match row {
                Some(_) => ValueRef::Null,
                None => self.frozen_value(*slot, field, &mut scratch),
            };
            decoded.push(value.bytes(), claim)?;
        }
        Ok(decoded)
    }

    /// The value of a column in a row of the frozen base.
    fn frozen_value<'a>(
        &'a self,
        slot: Slot,
        field: &Field,
        scratch: &'a mut Vec<u8>,
    ) -> ValueRef<'a> {
        match &self.base {
            Base::Frozen(columns) => {
                let position = columns.position(slot);
                columns.frozen.value(field.column, position, scratch)
            }
            Base::Hot(_) => unreachable!("a row of a hot block is an image"),
        }
    }
}

/// Decoded strings of a column, by the numbers of their rows.
struct Decoded {
    bytes: Vec<u8>,
    /// Where each begins and ends; `None` for NULL.
    places: Vec<Option<(usize, usize)>>,
    memory: Reservation,
}

impl Decoded {
    fn push(&mut self, string: Option<&[u8]>, claim: Claim) -> Result<()> {
        let more = string.map_or(0, <[u8]>::len);
        let bytes = (self.bytes.len() + more) * 2 + size_of_val(&*self.places) * 2;
        if bytes as u64 > self.memory.bytes() {
            let wanted = (bytes as u64).next_multiple_of(DECODED_AT_ONCE);
            self.memory.resize_for(claim, wanted)?;
        }
        self.places.push(string.map(|string| {
            self.bytes.extend_from_slice(string);
            (self.bytes.len() - more, self.bytes.len())
        }));
        Ok(())
    }

    /// As bytes, whatever strings these are: that is how they are encoded.
    fn value(&self, row: usize) -> ValueRef<'_> {
        match self.places[row] {
            Some((start, end)) => ValueRef::Bytea(&self.bytes[start..end]),
            None => ValueRef::Null,
        }
    }
}
