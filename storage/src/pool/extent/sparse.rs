//! Which extents are worth emptying, and how they are set apart meanwhile.

use super::super::class::slot_bytes;
use super::super::map::ExtentMap;
use super::super::slab::{SLAB_BYTES, Slab};
use super::{Extent, Extents, Memory, SLABS, slab_at};
use crate::sync::atomic::Ordering::Relaxed;

/// An extent that stays while somebody goes through its slabs.
pub(in super::super) struct Pinned {
    extent: *mut Extent,
    /// The slabs that serve a class, and which. What is not used when it is pinned is not used
    /// while it is, because nothing is taken from an extent that is being evacuated.
    pub(in super::super) slabs: Vec<(usize, *mut Slab)>,
}

impl Extents {
    /// Sets apart up to `most` extents, the emptiest first, in each of which at most `percent`
    /// of the memory is used, and none of it by runs; as long as what they hold fits into what
    /// the others have left. Until [`Self::unpin`] they stay.
    pub(in super::super) fn pin_sparse(&mut self, most: usize, percent: usize) -> Vec<Pinned> {
        let mut room = 0;
        let mut sparse = Vec::new();
        for extent in self.mapped() {
            // SAFETY: the extent is alive; these fields are guarded by the latch.
            let (apart, runs) = unsafe { ((*extent).evacuating.load(Relaxed), (*extent).runs) };
            if apart {
                continue;
            }
            let used = used_bytes(extent);
            let free = super::EXTENT_BYTES - used;
            room += free;
            let is_sparse = used * 100 <= super::EXTENT_BYTES * percent;
            if is_sparse && used > 0 && runs == 0 {
                // SAFETY: as above.
                let stubborn = unsafe { (*extent).stubborn };
                sparse.push((stubborn, used, extent));
            }
        }
        // Those that could not be emptied before come last.
        sparse.sort_unstable_by_key(|(stubborn, used, _)| (*stubborn, *used));
        let mut chosen = Vec::new();
        for (_, used, extent) in sparse.into_iter().take(most) {
            // What moves takes room elsewhere, and its own extent is no room any more.
            let Some(left) = room.checked_sub(super::EXTENT_BYTES) else {
                break;
            };
            room = left;
            // SAFETY: an extent of this value, which the caller holds exclusively.
            unsafe {
                self.unlist(extent);
                (*extent).evacuating.store(true, Relaxed);
            }
            self.evacuating += 1;
            debug_assert!(used > 0, "an empty extent goes anyway");
            chosen.push(self.pin(extent));
        }
        chosen
    }

    /// All extents that are being evacuated.
    pub(in super::super) fn pin_evacuating(&mut self) -> Vec<Pinned> {
        let mut pinned = Vec::new();
        // SAFETY: the extents are alive; the caller holds this value exclusively.
        let apart = |extent: &*mut Extent| unsafe { (**extent).evacuating.load(Relaxed) };
        let extents: Vec<_> = self.mapped().filter(apart).collect();
        for extent in extents {
            pinned.push(self.pin(extent));
        }
        pinned
    }

    /// Lets go of an extent. If it is to `serve` again it is no longer evacuated. What became empty
    /// meanwhile is returned.
    pub(in super::super) fn unpin(
        &mut self,
        pinned: &Pinned,
        serve: bool,
        map: &ExtentMap,
    ) -> Option<Memory> {
        let extent = pinned.extent;
        // SAFETY: what is pinned is mapped; the caller holds this value exclusively.
        unsafe {
            (*extent).pinned = false;
            if (*extent).free == u16::MAX {
                return Some(self.release(extent, map));
            }
            if serve {
                (*extent).evacuating.store(false, Relaxed);
                (*extent).stubborn = true;
                self.evacuating -= 1;
                self.list(extent);
            }
        }
        None
    }

    fn pin(&mut self, extent: *mut Extent) -> Pinned {
        // SAFETY: an extent of this value, which the caller holds exclusively. A slab's class was
        // set under the same latch.
        unsafe {
            (*extent).pinned = true;
            let taken = !(*extent).free & !(*extent).runs;
            let of_classes = (0..SLABS).filter(|index| taken & 1 << index != 0);
            let slabs = of_classes.map(|index| slab_at(extent, index));
            Pinned {
                extent,
                slabs: slabs.map(|slab| (class_of(slab), slab)).collect(),
            }
        }
    }
}

/// # Safety
/// The slab serves a class, and the latch over the extents is held.
unsafe fn class_of(slab: *mut Slab) -> usize {
    // SAFETY: the class does not change while the slab is in use, and was set under the latch.
    unsafe { (*slab).class() }
}

/// Bytes of slots and runs; a rough figure, since slots come and go meanwhile.
fn used_bytes(extent: *mut Extent) -> usize {
    // SAFETY: the extent is alive, and these fields are guarded by the latch, which is held.
    let (free, runs) = unsafe { ((*extent).free, (*extent).runs) };
    let used = |index: usize| match (free >> index & 1, runs >> index & 1) {
        (1, _) => 0,
        (_, 1) => SLAB_BYTES,
        // SAFETY: the slab serves a class. Of what others change only the atomic is read.
        _ => unsafe {
            let slab = slab_at(extent, index);
            Slab::used_of(slab) as usize * slot_bytes(class_of(slab))
        },
    };
    (0..SLABS).map(used).sum()
}
