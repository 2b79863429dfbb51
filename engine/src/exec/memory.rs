//! Held: the memory that one operator keeps across batches, reserved from the ledger.
//!
//! An operator says how much it holds by now; the reservation follows in steps, so that the
//! ledger's counter, which all threads share, is not touched for every batch. Where a statement only
//! reads, the first step may come from the part of the emergency reserve that is kept for that: small
//! queries work on a full database.

use super::ExecContext;
use crate::activity::relieved;
use crate::error::Result;
use remora_storage::pool::{Claim, Owner, Reservation};

/// The reservation grows by at least this much.
const STEP: usize = 64 << 10;

/// Memory held by one operator. Given back on drop.
#[derive(Debug, Default)]
pub(crate) struct Held {
    reservation: Option<Reservation>,
    /// Whether all of the emergency reserve may be taken.
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
        if let Some(profiling) = &context.profiling {
            profiling.holds(bytes);
        }
        let reserved = self.reservation.as_ref().map_or(0, Reservation::bytes);
        if bytes as u64 <= reserved {
            return Ok(());
        }
        let wanted = bytes.next_multiple_of(STEP) as u64;
        let reservation = match &mut self.reservation {
            Some(reservation) => reservation,
            none => none.insert(context.ledger.reserve(Owner::Query, 0)?),
        };
        let claim = match wanted <= STEP as u64 {
            _ if self.emergency => Claim::Emergency,
            true => context.claim,
            false => Claim::Ordinary,
        };
        relieved(&context.ledger, || reservation.resize_for(claim, wanted))
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

#[cfg(test)]
mod tests {
    use super::super::tests::context;
    use super::*;
    use remora_storage::pool::Ledger;

    #[test]
    fn on_a_full_database_only_what_reads_or_deletes_gets_memory() {
        let ledger = Ledger::new(32 << 20);
        let _full = ledger.reserve(Owner::Table, 28 << 20).unwrap();
        let writing = ExecContext {
            ledger,
            ..context()
        };
        let reading = writing.reading();
        let refused = |held: &mut Held, bytes, context: &ExecContext| {
            held.reach(bytes, context)
                .map_err(|error| error.sqlstate())
                .err()
        };
        let full = Some("53200");
        assert_eq!(refused(&mut Held::default(), 1, &writing), full);
        assert_eq!(refused(&mut Held::default(), STEP + 1, &reading), full);
        let mut many = Vec::new();
        loop {
            let mut held = Held::default();
            if refused(&mut held, STEP, &reading).is_some() {
                break;
            }
            many.push(held);
        }
        assert_eq!(many.len(), (1 << 20) / STEP, "a quarter of the reserve");
        assert_eq!(refused(&mut Held::for_emergency(), 3 << 20, &writing), None);
    }
}
