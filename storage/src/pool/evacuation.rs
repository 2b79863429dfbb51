//! Evacuation: emptying sparse extents, so that their memory can go back to the system.
//!
//! A slab serves one class until its last slot is free. After a burst, extents may be left of which
//! a few slots are used: memory that is free, that the ledger counts, and that no other class can
//! have. So maintenance moves what is left there:
//!
//! ```text
//!   begin_evacuation    marks the sparsest extents: nothing is taken from them any more,
//!                       what is freed there goes to no thread's cache
//!   is_evacuating(p)    tells an owner that its record lies in one: it allocates anew,
//!                       swings its links, and frees the old record as always
//!   (the last slot)     the extent goes back to the system
//!   end_evacuation      what could not be emptied serves again
//! ```
//!
//! Extents that hold runs, or slots of more than 16 KiB, are not chosen: row blocks and their pieces move
//! when their block is compacted, and not one by one. Set apart meanwhile, such an extent could not
//! take the pieces of the next block, which would lie in one more.
//!
//! Evacuation never costs memory that is needed: before a request is refused that it could serve, what is set
//! apart serves again.

use super::allocator::Pool;
use super::extent::Pinned;
use crate::sync::atomic::Ordering::Relaxed;

impl Pool {
    /// Sets apart up to `most` extents of which at most `percent` is used, if what they hold finds
    /// room in others, and none holds runs or large slots. Returns how many.
    pub fn begin_evacuation(&self, most: usize, percent: usize) -> usize {
        let deciding = self.evacuation.lock();
        // What threads keep would count as used.
        self.shed_caches();
        let pinned = {
            let extents = &mut self.space.0.lock().extents;
            let pinned = extents.pin_sparse(most, percent);
            self.evacuating.store(extents.evacuating(), Relaxed);
            pinned
        };
        for (class, slab) in pinned.iter().flat_map(|extent| &extent.slabs) {
            let mut held = self.classes[*class].0.lock();
            // SAFETY: the bookkeeping is alive. The slab serves this class, whose latch is held, or
            // has become free since; then nobody takes it, because its extent is set apart.
            unsafe {
                (**slab).closed = true;
                if (**slab).open {
                    held.open.unlink(*slab);
                }
            }
        }
        self.unpin(&pinned, false);
        // Whoever frees a slot from now on sees the mark; this takes out what was kept before.
        self.shed_caches();
        drop(deciding);
        pinned.len()
    }

    /// Lets all extents that were set apart serve again. Returns how many had not become empty.
    pub fn end_evacuation(&self) -> usize {
        let _deciding = self.evacuation.lock();
        let pinned = self.space.0.lock().extents.pin_evacuating();
        for (class, slab) in pinned.iter().flat_map(|extent| &extent.slabs) {
            let mut held = self.classes[*class].0.lock();
            // SAFETY: as above.
            unsafe {
                (**slab).closed = false;
                if !(**slab).is_empty() && (**slab).has_room() && !(**slab).open {
                    held.open.push(*slab);
                }
            }
        }
        self.unpin(&pinned, true);
        pinned.len()
    }

    /// How many extents are set apart.
    pub fn evacuating(&self) -> usize {
        self.evacuating.load(Relaxed)
    }

    fn unpin(&self, pinned: &[Pinned], serve: bool) {
        for extent in pinned {
            let mut space = self.space.0.lock();
            let memory = space.extents.unpin(extent, serve, &self.map);
            self.evacuating.store(space.extents.evacuating(), Relaxed);
            drop(space);
            drop(memory);
        }
    }
}
