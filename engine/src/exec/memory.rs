//! Held: the memory that one operator keeps across batches, reserved from the ledger.
//!
//! An operator says how much it holds by now; the reservation follows in steps, so that the
//! ledger's counter, which all threads share, is not touched for every batch. The first step may come
//! from the emergency reserve: small queries work on a full database.

use super::ExecContext;
use crate::error::Result;
use remora_storage::pool::{Owner, Reservation};

/// The reservation grows by at least this much.
const STEP: usize = 64 << 10;

/// Memory held by one operator. Given back on drop.
#[derive(Debug, Default)]
pub(crate) struct Held {
    reservation: Option<Reservation>,
    /// Whether the emergency reserve may be dipped into.
    emergency: bool,
    /// What the operator holds; at most what is reserved.
    bytes: usize,
}

impl Held {
    /// Memory of a statement that makes the database smaller: a full one grants it.
    pub(crate) fn for_emergency() -> Self {
        Self {
            emergency: true,
            ..Self::default()
        }
    }

    /// Makes sure that `bytes` are reserved in all; never gives back.
    ///
    /// # Errors
    /// 53200 where the budget does not allow it.
    pub(crate) fn reach(&mut self, bytes: usize, context: &ExecContext) -> Result<()> {
        self.bytes = bytes;
        let reserved = self.reservation.as_ref().map_or(0, Reservation::bytes);
        if bytes as u64 <= reserved {
            return Ok(());
        }
        let wanted = bytes.next_multiple_of(STEP) as u64;
        let reservation = match &mut self.reservation {
            Some(reservation) => reservation,
            none => none.insert(context.ledger.reserve(Owner::Query, 0)?),
        };
        match self.emergency || wanted <= STEP as u64 {
            true => reservation.resize_emergency(wanted)?,
            false => reservation.resize(wanted)?,
        }
        Ok(())
    }

    /// Makes sure that `more` bytes beside those held are reserved.
    pub(crate) fn grow(&mut self, more: usize, context: &ExecContext) -> Result<()> {
        self.reach(self.bytes.saturating_add(more), context)
    }

    /// Gives back all but `bytes`.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        self.bytes = bytes;
        if let Some(reservation) = &mut self.reservation {
            reservation.shrink(bytes.next_multiple_of(STEP) as u64);
        }
    }
}
