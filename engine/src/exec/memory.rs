//! Held: the memory that one operator keeps across batches, reserved from the ledger.
//!
//! An operator says how much it holds by now; the reservation follows in steps, so that the
//! ledger's counter, which all threads share, is not touched for every batch.

use super::ExecContext;
use crate::error::Result;
use remora_storage::pool::{Owner, Reservation};

/// The reservation grows by at least this much.
const STEP: usize = 64 << 10;

/// Memory held by one operator. Given back on drop.
#[derive(Debug, Default)]
pub(crate) struct Held {
    reservation: Option<Reservation>,
    /// What the operator holds; at most what is reserved.
    bytes: usize,
}

impl Held {
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
        match &mut self.reservation {
            Some(reservation) => reservation.resize(wanted)?,
            None => self.reservation = Some(context.ledger.reserve(Owner::Query, wanted)?),
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
