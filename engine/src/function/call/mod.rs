//! A call of a function: the memory of values that it makes, and its work.
//!
//! [`MemoryTracker`] counts values that are made and that nobody keeps yet. [`Work`] is done over one long value, and
//! told to end.

mod memory_tracker;
mod work;

pub(crate) use memory_tracker::{BATCH_BYTES_MAX, MemoryTracker, owned_bytes};
pub(crate) use work::{PIECE_BYTES, Work, joined, joined_texts, pieces, pieces_from_end, sorted};

use crate::error::Result;

/// The most that one value may grow to: 1 GiB, as in PostgreSQL.
const VALUE_BYTES_MAX: usize = (1 << 30) - 1;

/// 54000 where a result would be longer than a value may be.
pub(crate) fn check_size(bytes: Option<usize>) -> Result<usize> {
    bytes
        .filter(|bytes| *bytes <= VALUE_BYTES_MAX)
        .ok_or_else(|| sql_error!(PROGRAM_LIMIT_EXCEEDED, "requested length too large"))
}
