//! Relief of one request: what is refused for want of memory is tried again once some was freed.

use crate::error::Result;
use remora_storage::pool::Ledger;

/// How often memory is freed for one request.
const RELIEFS_MAX: u32 = 6;

/// Runs a change of a row, or a reservation, which fails without a trace; again once memory was freed for it.
#[inline]
pub(crate) fn relieved<T>(
    ledger: &Ledger,
    mut change: impl FnMut() -> remora_storage::Result<T>,
) -> Result<T> {
    match change() {
        Err(remora_storage::Error::OutOfMemory { wanted, .. }) => again(ledger, wanted, change),
        other => Ok(other?),
    }
}

#[cold]
fn again<T>(
    ledger: &Ledger,
    wanted: u64,
    mut change: impl FnMut() -> remora_storage::Result<T>,
) -> Result<T> {
    let (mut wanted, mut reliefs) = (wanted, Reliefs::default());
    while reliefs.free(ledger, wanted, |wanted| ledger.relieve(wanted)) {
        match change() {
            // Other threads took it.
            Err(remora_storage::Error::OutOfMemory { wanted: more, .. }) => wanted = more,
            other => return Ok(other?),
        }
    }
    Ok(change()?)
}

/// The times that memory was freed for one request.
#[derive(Default)]
pub(crate) struct Reliefs(u32);

impl Reliefs {
    /// Frees memory for a request that was refused. Returns whether it may be tried again.
    ///
    /// Each time more is freed than before, in the end all that can be: the collector and other threads take memory
    /// meanwhile, and the request must not depend on who is first.
    pub(crate) fn free(
        &mut self,
        ledger: &Ledger,
        wanted: u64,
        relieve: impl Fn(u64) -> bool,
    ) -> bool {
        let beside = match self.0 {
            0 => 0,
            RELIEFS_MAX.. => return false,
            times => ledger.budget() >> (RELIEFS_MAX - 1 - times),
        };
        self.0 += 1;
        relieve(wanted.saturating_add(beside)) || beside > 0 && relieve(wanted)
    }
}
