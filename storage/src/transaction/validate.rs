//! Validation: whether what a transaction has read is still so when it commits.
//!
//! ```text
//!   snapshot S                                                     commit C
//!      |--------- others commit, each notes its rows ----------------|
//!      |         looked at before the section          | in it       |
//!                                                      ^ the clock when it was looked at last
//! ```
//!
//! 1. Transactions that commit have the order of their commits. So what one has read at S has to be what it
//!    would read just before C: for each row that others committed to between, in tables that it read,
//!    both states are compared ([`super::reads::Check`]).
//! 2. What was committed by the time the commit begins is looked at before the section, in rounds until
//!    little is new; only the rest of it inside, where the clock stands still. Nothing has happened yet then,
//!    so that it can fail.
//! 3. Each round reads the clock, and then the lists of changed rows. A commit adds to them before it moves
//!    the clock (Release), and whoever reads the clock (Acquire) finds them: so a round misses nothing up to
//!    the time that it has read. What the lists have beyond that is left to the next round: its state
//!    may not say *committed* yet.
//! 4. A state is resolved through its owner's slot where it is not stamped yet. So it does not matter that
//!    stamping is lazy.
//!
//! Who has written nothing has nothing to compare: it takes its place in the order at S. So do transactions
//! that hold row locks only.
//!
//! A row may be changed again after a round has looked at it. That is another entry in the list, which a
//! later round or the section finds: the last look is at the state just before C.

use super::Transaction;
use super::reads::{Check, ReadList};
use crate::catalog::Catalog;
use crate::error::Result;
use crate::ids::Timestamp;
use crate::sync::{Fault, is_left_out};
use std::sync::Arc;

/// Rounds before the section.
const ROUNDS: usize = 4;
/// Rows that may be left for the section.
const FEW_ROWS: usize = 32;
/// Reads that are made ready before the section even if nobody has committed.
const MANY_READS: usize = 64;

/// What is to be validated, and how far that has come.
#[derive(Debug)]
pub(super) struct Validation {
    reads: [ReadList; 2],
    check: Option<Check>,
    until: Timestamp,
}

impl Validation {
    /// Of all reads of a transaction, which are taken out of it; `None` if there are none.
    pub(super) fn of(transaction: &mut Transaction) -> Option<Self> {
        transaction.has_read().then(|| Self {
            until: transaction.snapshot(),
            reads: transaction.take_reads(),
            check: None,
        })
    }

    /// Looks at what was committed so far.
    pub(super) fn look_ahead(&mut self, transaction: &Transaction) -> Result<()> {
        for _ in 0..ROUNDS {
            let latest = transaction.core.latest();
            if latest == self.until {
                break;
            }
            if self.look(transaction, latest)? <= FEW_ROWS {
                break;
            }
        }
        if self.reads.iter().map(ReadList::len).sum::<usize>() > MANY_READS {
            self.check(transaction);
        }
        Ok(())
    }

    /// Looks at the rest, inside the commit section.
    pub(super) fn look_at_rest(
        &mut self,
        transaction: &Transaction,
        catalog: &Arc<Catalog>,
    ) -> Result<()> {
        let latest = transaction.core.latest();
        if latest > self.until && !is_left_out(Fault::RestNotValidated) {
            self.look(transaction, latest)?;
        }
        match Arc::ptr_eq(catalog, &transaction.base) {
            true => Ok(()),
            false => self.check(transaction).look_for_tables(catalog),
        }
    }

    fn look(&mut self, transaction: &Transaction, until: Timestamp) -> Result<usize> {
        let from = self.until;
        let looked = self
            .check(transaction)
            .look(&transaction.registration, from, until)?;
        self.until = until;
        Ok(looked)
    }

    /// The reads, made ready.
    fn check(&mut self, transaction: &Transaction) -> &Check {
        self.check.get_or_insert_with(|| {
            let reads = self.reads.iter_mut().map(std::mem::take);
            let reads = reads.flat_map(ReadList::into_reads);
            Check::new(reads, &transaction.base)
        })
    }
}
