//! Which extents are worth emptying, and how they are set apart meanwhile.
//!
//! An extent is emptied only if what it holds finds room in others as the pool hands out room. If
//! a new extent had to come for it, nothing would be won, and the same be done again, for ever.
//!
//! An extent that was evacuated in vain holds what does not move. It is passed over for a while: set
//! apart again at once it would serve nobody, and what it could have held would spread further.

use super::super::class::{CLASSES, slot_bytes};
use super::super::map::ExtentMap;
use super::super::slab::{SLAB_BYTES, Slab};
use super::{Extent, Extents, Memory, Purpose, SLABS, longest_hole, slab_at};
use crate::sync::atomic::Ordering::Relaxed;

/// How often an extent is passed over that was evacuated in vain.
const RESTS: u8 = 16;

/// An extent that stays while somebody goes through its slabs.
pub(in super::super) struct Pinned {
    extent: *mut Extent,
    /// The slabs that serve a class, and which. What is not used when it is pinned is not used
    /// while it is, because nothing is taken from an extent that is being evacuated.
    pub(in super::super) slabs: Vec<(usize, *mut Slab)>,
}

/// Where records could go: slots in slabs that serve their class, and slabs of extents that such are
/// taken from. For small records there is no room among large ones, nor the other way round
/// (`Extents::take`).
#[derive(Clone)]
struct Room {
    slots: [usize; CLASSES],
    /// By kind.
    slabs: [usize; 2],
}

impl Room {
    fn new() -> Self {
        Self {
            slots: [0; CLASSES],
            slabs: [0; 2],
        }
    }

    fn add(&mut self, other: &Self) {
        for (sum, slabs) in self.slabs.iter_mut().zip(other.slabs) {
            *sum += slabs;
        }
        for (sum, slots) in self.slots.iter_mut().zip(other.slots) {
            *sum += slots;
        }
    }

    /// What is left when so many slots of each class are taken, and what `gone` has is gone, too;
    /// `None` where they do not fit.
    fn without(&self, used: &[usize; CLASSES], gone: &Self) -> Option<Self> {
        let mut left = self.clone();
        for (slabs, gone) in left.slabs.iter_mut().zip(gone.slabs) {
            *slabs = slabs.checked_sub(gone)?;
        }
        for (class, used) in used.iter().enumerate() {
            let slots = left.slots[class].checked_sub(gone.slots[class])?;
            let capacity = Slab::capacity(class) as usize;
            let slabs = used.saturating_sub(slots).div_ceil(capacity);
            let kind = Purpose::of(Some(class)).kind();
            left.slabs[kind] = left.slabs[kind].checked_sub(slabs)?;
            left.slots[class] = slots + slabs * capacity - used;
        }
        Some(left)
    }
}

/// What is in an extent; rough figures, since slots come and go meanwhile.
struct Content {
    room: Room,
    /// Slots in use by class, and the bytes of all of them.
    used: [usize; CLASSES],
    used_bytes: usize,
}

impl Content {
    /// Whether there are large slots in use: pieces of blocks, most likely, which do not move.
    fn has_large(&self) -> bool {
        let mut used = self.used.iter().enumerate();
        used.any(|(class, used)| *used > 0 && Purpose::of(Some(class)).is_large())
    }
}

impl Extents {
    /// Sets apart up to `most` extents, the emptiest first, in each of which at most `percent`
    /// of the memory is used, and none of it by runs or large slots; as long as what they hold finds room in the
    /// others without a new extent. Until [`Self::unpin`] they stay.
    pub(in super::super) fn pin_sparse(&mut self, most: usize, percent: usize) -> Vec<Pinned> {
        let mut room = Room::new();
        let mut sparse = Vec::new();
        for extent in self.mapped() {
            // SAFETY: the extent is alive; these fields are guarded by the latch.
            let (apart, runs) = unsafe { ((*extent).evacuating.load(Relaxed), (*extent).runs) };
            if apart {
                continue;
            }
            let content = self.content(extent);
            room.add(&content.room);
            let used = content.used_bytes;
            let is_sparse = used * 100 <= super::EXTENT_BYTES * percent;
            let may_move = runs == 0 && !content.has_large();
            if is_sparse && used > 0 && may_move {
                // SAFETY: as above; the caller holds this value exclusively.
                let rests = unsafe { &mut (*extent).rests };
                match rests.checked_sub(1) {
                    Some(left) => *rests = left,
                    None => sparse.push((extent, content)),
                }
            }
        }
        sparse.sort_unstable_by_key(|(_, content)| content.used_bytes);
        let mut chosen = Vec::new();
        for (extent, content) in sparse {
            if chosen.len() == most {
                break;
            }
            let Some(left) = room.without(&content.used, &content.room) else {
                continue;
            };
            room = left;
            // SAFETY: an extent of this value, which the caller holds exclusively.
            unsafe {
                self.unlist(extent);
                (*extent).evacuating.store(true, Relaxed);
            }
            self.evacuating += 1;
            chosen.push(self.pin(extent));
        }
        chosen
    }

    fn content(&self, extent: *mut Extent) -> Content {
        // SAFETY: the extent is alive, and these fields are guarded by the latch, which is held.
        let (free, runs) = unsafe { ((*extent).free, (*extent).runs) };
        let mut content = Content {
            room: Room::new(),
            used: [0; CLASSES],
            used_bytes: runs.count_ones() as usize * SLAB_BYTES,
        };
        for (kind, slabs) in content.room.slabs.iter_mut().enumerate() {
            if self.serves(kind, extent) {
                *slabs = free.count_ones() as usize;
            }
        }
        for index in (0..SLABS).filter(|index| (free | runs) >> index & 1 == 0) {
            // SAFETY: the slab serves a class. Of what others change only the atomic is read.
            let (class, used) = unsafe {
                let slab = slab_at(extent, index);
                (class_of(slab), Slab::used_of(slab) as usize)
            };
            content.used[class] += used;
            content.used_bytes += used * slot_bytes(class);
            content.room.slots[class] += Slab::capacity(class) as usize - used;
        }
        content
    }

    /// The extents that are being evacuated.
    fn apart(&self) -> impl Iterator<Item = *mut Extent> {
        // SAFETY: the extents are alive, and the mark is an atomic.
        let is_apart = |extent: &*mut Extent| unsafe { (**extent).evacuating.load(Relaxed) };
        self.mapped().filter(is_apart)
    }

    /// The longest hole in an extent that is being evacuated, in slabs.
    pub(in super::super) fn longest_hole_apart(&self) -> usize {
        // SAFETY: the extents are alive, and the field is guarded by the latch, which is held.
        let holes = self
            .apart()
            .map(|extent| unsafe { longest_hole((*extent).free) });
        holes.max().unwrap_or(0)
    }

    /// All extents that are being evacuated, which stay until [`Self::unpin`].
    pub(in super::super) fn pin_evacuating(&mut self) -> Vec<Pinned> {
        let mut pinned = Vec::new();
        let extents: Vec<_> = self.apart().collect();
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
                (*extent).rests = RESTS;
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
