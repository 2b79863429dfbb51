//! Notes: what happened to the keys of an index while it was being filled.
//!
//! A tree is built in one go from what was gathered, and nobody else can change it meanwhile. Who adds
//! or removes a key notes it instead, whichever it was: the builder looks at each noted row once the
//! tree stands, and adds or removes the entry as the row's states ask for then.
//!
//! Who notes is never refused: where the notes find no memory, the building fails.

use crate::error::{Error, Result};
use crate::ids::RowId;
use crate::index::Batch;
use crate::pool::Ledger;
use crate::sync::Mutex;
use crate::sync::atomic::AtomicBool;
use crate::sync::atomic::Ordering::{Acquire, Release};
use std::sync::Arc;

/// The notes of one index; at first, and after it was filled, they are closed.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Whether there is something in `open`: asked at every change of a late index.
    is_open: AtomicBool,
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    noted: Batch,
    failure: Option<Error>,
}

impl Notes {
    /// From now on, keys are noted.
    pub(super) fn open(&self, ledger: &Arc<Ledger>) -> Result<()> {
        *self.open.lock() = Some(Open {
            noted: Batch::new(ledger)?,
            failure: None,
        });
        // Release, as below: a hint, for the mutex orders.
        self.is_open.store(true, Release);
        Ok(())
    }

    /// Notes a key that came to a row or went; `false` where notes are closed, and the entry is to be
    /// added or removed at once.
    #[inline]
    pub(super) fn add(&self, key: &[u8], row: RowId, may_repeat: bool) -> bool {
        // Acquire: who finds it closed finds the index filled.
        self.is_open.load(Acquire) && self.add_open(key, row, may_repeat)
    }

    #[cold]
    fn add_open(&self, key: &[u8], row: RowId, may_repeat: bool) -> bool {
        let mut open = self.open.lock();
        let Some(open) = &mut *open else {
            return false;
        };
        if open.failure.is_none() {
            open.failure = open.noted.push(key, row, may_repeat).err();
        }
        true
    }

    /// Ends noting, and hands out what was noted.
    pub(super) fn close(&self) -> Result<Batch> {
        let open = self.open.lock().take();
        self.is_open.store(false, Release);
        let open = open.expect("notes are open while the index is filled");
        open.failure.map_or(Ok(open.noted), Err)
    }
}
