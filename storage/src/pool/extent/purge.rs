//! Purging: pages that nobody has go back to the system, and their bytes to the ledger.
//!
//! ```text
//!   latched     pages that are free and resident are taken out of `free`: nobody gets them meanwhile
//!   unlatched   the system takes their memory back
//!   latched     they are free again, zero, and not resident; the reservation is smaller
//! ```

use super::super::pages::{PAGE_BYTES, PageSet};
use super::super::system;
use super::{EXTENT_BYTES, Extent, Extents};
use crate::sync::{Fault, is_left_out};
use std::ptr::NonNull;

/// Pages of one extent on their way back to the system.
pub(in super::super) struct Purge {
    extent: *mut Extent,
    pages: PageSet,
    /// Where the extent begins.
    start: NonNull<u8>,
}

impl Purge {
    /// Has the system take the memory back. Returns whether it does such a thing.
    pub(in super::super) fn run(&self) -> bool {
        // First, or the system might make a huge page of what is left and what is purged.
        system::advise_small(self.start, EXTENT_BYTES);
        let mut runs = self.pages.runs();
        runs.all(|run| {
            // SAFETY: the pages are within the extent, which stays while they are not free.
            let at = unsafe { self.start.add(run.start * PAGE_BYTES) };
            system::purge(at, run.len() * PAGE_BYTES)
        })
    }
}

impl Extents {
    /// Sets apart the idle pages of the next extent that has some, from the `from`th on, which becomes the place
    /// to go on from.
    pub(in super::super) fn begin_purge(&mut self, from: &mut usize) -> Option<Purge> {
        while let Some(extent) = self.all.get(*from).map(|extent| extent.as_ptr()) {
            *from += 1;
            // SAFETY: bookkeeping is alive, and guarded by the latch, which the caller holds.
            unsafe {
                let memory = &(*extent).memory;
                let Some(memory) = memory else { continue };
                let pages = (*extent).free.and(&(*extent).resident);
                if pages.is_empty() {
                    continue;
                }
                let start = memory.mapping.start();
                if !is_left_out(Fault::PurgedWhileFree) {
                    (*extent).free.remove_all(&pages);
                }
                self.list(extent);
                return Some(Purge {
                    extent,
                    pages,
                    start,
                });
            }
        }
        None
    }

    /// Makes the pages free again; where they are `gone`, they are not resident any more. Returns how many bytes
    /// that gave back.
    pub(in super::super) fn end_purge(&mut self, purge: &Purge, gone: bool) -> u64 {
        let extent = purge.extent;
        let bytes = (purge.pages.count() * PAGE_BYTES) as u64;
        // SAFETY: the extent has pages that are not free, so it is mapped still; the caller holds this value
        // exclusively.
        unsafe {
            (*extent).free.insert_all(&purge.pages);
            if gone {
                (*extent).resident.remove_all(&purge.pages);
                (*extent).zero.insert_all(&purge.pages);
                self.resident -= purge.pages.count();
                let memory = &mut (*extent).memory;
                let memory = memory.as_mut().expect("a used extent has memory");
                let left = memory.reservation.bytes() - bytes;
                memory.reservation.shrink(left);
            }
            self.list(extent);
        }
        if gone { bytes } else { 0 }
    }
}
