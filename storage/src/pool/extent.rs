//! Extents: how memory comes from the system, is cut up, and goes back.
//!
//! ```text
//!  extent: 2 MiB at a multiple of 2 MiB             bookkeeping (elsewhere)
//!  +--------+--------+--------+-- .. --+--------+   free   0110..1  which slabs nobody has
//!  | slab 0 | slab 1 | slab 2 |        | slab 15|   runs   1000..0  which are large requests
//!  +--------+--------+--------+-- .. --+--------+   fresh  0010..1  which were never written
//!    run      (free)   (free)            class     slabs[16]
//! ```
//!
//! 1. An extent serves all sizes at a time: a slab of 128 KiB serves a size class, and a large
//!    request gets a *run* of neighbouring slabs, so that two blocks of 1 MiB fill an extent.
//! 2. Extents are listed by their longest hole, and whoever wants n slabs gets the smallest hole
//!    that has them. So small holes fill first, and large ones stay.
//!
//!    Once a pool has four extents, large pieces and small ones are kept apart: runs, and slots of
//!    more than 16 KiB, are blocks of rows and their strings, which go by the block when it is
//!    compacted; small slots are index nodes and the like, which stay. Mixed, a slab of nodes in
//!    each extent would keep all of them. Before a request is refused, any hole will do.
//! 3. An extent without a used slab goes back to the system. One of them is kept while the pool
//!    has several, so that a load that swings around a limit does not map and unmap; it goes when
//!    [`super::Pool::shed_caches`] is called.
//!
//! **Huge pages.** With one, the first byte written makes 2 MiB resident, and the system clears
//! them. That is what a large database wants, which fills its extents and misses the address
//! translation of every random read: 1,500 entries of small pages reach 6 MiB. A small database
//! lies within that reach, and should not pay 2 MiB for a few rows; so the first extents of a pool
//! are left alone, and those beyond are advised. The ledger is right in both cases: it
//! reserves extents whole.
//!
//! Invariants
//! - All of this is guarded by one latch (`Pool` holds [`Extents`] in it), except `evacuating`,
//!   and the slabs that are in use. No call to the system is made under the latch.
//! - An extent's bookkeeping lives until its pool goes, whether the extent does or not: a look-up
//!   never finds something freed.
//! - An extent that is evacuated is in no list, so nothing is taken from it.

mod sparse;

pub(super) use sparse::Pinned;

use super::class::slot_bytes;
use super::ledger::Reservation;
use super::map::ExtentMap;
use super::slab::{SLAB_BYTES, Slab};
use super::system::Mapping;
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::ptr::{self, NonNull};

/// What the pool takes from the system at a time.
pub const EXTENT_BYTES: usize = 2 << 20;
/// Slabs of an extent.
pub(super) const SLABS: usize = EXTENT_BYTES / SLAB_BYTES;
/// Extents that a pool has without asking for huge pages.
const SMALL_PAGE_EXTENTS: usize = 4;
/// Extents that a pool has before large pieces and small ones are kept apart.
const SHARED_EXTENTS: usize = 4;
/// Slots up to this size are small: index nodes and versions. Blocks have larger ones, for strings and
/// columns.
const SMALL_BYTES_MAX: usize = 16 << 10;
/// Extents that a pool has before it keeps an empty one.
const KEEP_FROM: usize = 4;

/// An extent's bookkeeping.
pub(super) struct Extent {
    next: *mut Extent,
    previous: *mut Extent,
    memory: Option<Memory>,
    /// Which slabs nobody has.
    free: u16,
    /// Which are parts of runs.
    runs: u16,
    /// Which nobody ever had: they are zero.
    fresh: u16,
    /// Whether it was taken for large pieces, and not for small ones.
    for_large: bool,
    /// The list it is in: for large pieces or not, and the longest hole.
    listed: Option<(usize, usize)>,
    /// Whether somebody goes through its slabs, so that it must stay.
    pinned: bool,
    evacuating: AtomicBool,
    /// How often it is passed over when extents are chosen to be evacuated, after that was in vain.
    rests: u8,
    slabs: [Slab; SLABS],
}

/// An extent's memory, and the right to it. Dropped, both are given back.
pub(super) struct Memory {
    mapping: Mapping,
    // Given back after the mapping is gone: fields are dropped in order.
    _reservation: Reservation,
}

impl Memory {
    /// Takes what an extent needs from the system; `None` where it has none.
    pub(super) fn new(reservation: Reservation, huge: bool) -> Option<Self> {
        let mapping = Mapping::new(EXTENT_BYTES, EXTENT_BYTES)?;
        if huge {
            mapping.advise_huge();
        }
        let reaches = ExtentMap::reaches(mapping.start().addr().get());
        reaches.then_some(Self {
            mapping,
            _reservation: reservation,
        })
    }
}

/// What slabs are wanted for.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Run,
    LargeSlots,
    SmallSlots,
}

impl Purpose {
    /// For slots of a class, or for a run.
    pub(super) fn of(class: Option<usize>) -> Self {
        match class {
            None => Self::Run,
            Some(class) if slot_bytes(class) > SMALL_BYTES_MAX => Self::LargeSlots,
            Some(_) => Self::SmallSlots,
        }
    }

    fn is_large(self) -> bool {
        !matches!(self, Self::SmallSlots)
    }

    fn kind(self) -> usize {
        usize::from(self.is_large())
    }
}

/// Some slabs in a row.
#[derive(Clone, Copy)]
pub(super) struct Place {
    extent: *mut Extent,
    first: usize,
    count: usize,
    /// Whether they are zero.
    pub(super) fresh: bool,
}

impl Place {
    fn mask(self) -> u16 {
        (((1_u32 << self.count) - 1) << self.first) as u16
    }

    /// Where the memory begins.
    pub(super) fn start(self) -> NonNull<u8> {
        // SAFETY: a place is in a mapped extent, whose slabs are within its memory; `memory` does
        // not change while one of them is used.
        unsafe {
            let memory = &(*self.extent).memory;
            let memory = memory.as_ref().expect("a used extent has memory");
            memory.mapping.start().add(self.first * SLAB_BYTES)
        }
    }

    /// The bookkeeping of its first slab.
    pub(super) fn slab(self) -> *mut Slab {
        slab_at(self.extent, self.first)
    }
}

fn slab_at(extent: *mut Extent, index: usize) -> *mut Slab {
    debug_assert!(index < SLABS, "an extent has so many slabs");
    // SAFETY: the bookkeeping is alive (the module's invariant), and the index within the array.
    // No reference is made to what other parties may be changing.
    unsafe { (&raw mut (*extent).slabs).cast::<Slab>().add(index) }
}

/// The slab that a live slot is in.
pub(super) fn slab_of(map: &ExtentMap, slot: NonNull<u8>) -> *mut Slab {
    let address = slot.addr().get();
    let extent = map.get(address);
    assert!(!extent.is_null(), "a slot of this pool");
    slab_at(extent, address % EXTENT_BYTES / SLAB_BYTES)
}

/// Whether the address is in an extent that is being evacuated.
pub(super) fn is_evacuating(map: &ExtentMap, address: usize) -> bool {
    let extent = map.get(address);
    // SAFETY: the bookkeeping that the map leads to is alive as long as the pool; only the atomic
    // is looked at.
    !extent.is_null() && unsafe { (*extent).evacuating.load(Relaxed) }
}

/// What the extents hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExtentStats {
    /// Extents of [`EXTENT_BYTES`] taken from the system.
    pub extents: u64,
    /// Of them, those in which nothing is used.
    pub empty: u64,
}

/// All extents of a pool.
pub(super) struct Extents {
    /// Those for small pieces and those for large ones, by the longest hole in slabs. Empty ones are for either,
    /// and in the first.
    lists: [[*mut Extent; SLABS + 1]; 2],
    /// All bookkeeping there is, of extents that are gone, too.
    all: Vec<NonNull<Extent>>,
    /// Bookkeeping without memory, linked.
    spare: *mut Extent,
    count: usize,
    evacuating: usize,
}

// SAFETY: it owns its extents, whose bookkeeping is plain data.
unsafe impl Send for Extents {}

impl Extents {
    pub(super) const fn new() -> Self {
        Self {
            lists: [[ptr::null_mut(); SLABS + 1]; 2],
            all: Vec::new(),
            spare: ptr::null_mut(),
            count: 0,
            evacuating: 0,
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whether the next one should be of huge pages.
    pub(super) fn want_huge(&self) -> bool {
        self.count >= SMALL_PAGE_EXTENTS
    }

    /// How many of them are being evacuated.
    pub(super) fn evacuating(&self) -> usize {
        self.evacuating
    }

    /// Takes so many slabs in a row, for one class or a run; `None` where no hole is long enough, or
    /// only among extents of the other kind and the pool is not small.
    pub(super) fn take(&mut self, count: usize, purpose: Purpose) -> Option<Place> {
        if self.is_small() {
            return self.take_any(count, purpose);
        }
        let extent = self.tightest(count, purpose.kind())?;
        Some(self.take_of(extent, count, purpose))
    }

    /// The same from any extent, for want of another.
    pub(super) fn take_any(&mut self, count: usize, purpose: Purpose) -> Option<Place> {
        let kind = purpose.kind();
        let extent = self.tightest(count, kind);
        let extent = extent.or_else(|| self.tightest(count, 1 - kind))?;
        Some(self.take_of(extent, count, purpose))
    }

    /// Whether large pieces and small ones share extents.
    fn is_small(&self) -> bool {
        self.count < SHARED_EXTENTS
    }

    /// Whether [`Self::take`] takes slabs of that kind from that extent.
    fn serves(&self, kind: usize, extent: *mut Extent) -> bool {
        // SAFETY: an extent of this value, whose latch is held.
        let (large, free) = unsafe { ((*extent).for_large, (*extent).free) };
        self.is_small() || usize::from(large) == kind || free == u16::MAX
    }

    /// An extent of the kind with a hole that is long enough, but hardly longer.
    fn tightest(&self, count: usize, kind: usize) -> Option<*mut Extent> {
        let lists = self.lists[kind][count..].iter();
        let empty = self.lists[0][SLABS];
        lists.copied().chain([empty]).find(|first| !first.is_null())
    }

    fn take_of(&mut self, extent: *mut Extent, count: usize, purpose: Purpose) -> Place {
        // SAFETY: the extent is in a list of this value, which the caller holds exclusively.
        unsafe {
            let first =
                smallest_hole((*extent).free, count).expect("its longest hole is that long");
            let mut place = Place {
                extent,
                first,
                count,
                fresh: false,
            };
            let mask = place.mask();
            if (*extent).free == u16::MAX {
                (*extent).for_large = purpose.is_large();
            }
            place.fresh = (*extent).fresh & mask == mask;
            (*extent).fresh &= !mask;
            (*extent).free &= !mask;
            if matches!(purpose, Purpose::Run) {
                (*extent).runs |= mask;
            }
            self.list(extent);
            place
        }
    }

    /// The place of a run that [`Self::take`] gave.
    pub(super) fn place_of(map: &ExtentMap, start: NonNull<u8>, count: usize) -> Place {
        let extent = map.get(start.addr().get());
        assert!(!extent.is_null(), "memory of this pool");
        Place {
            extent,
            first: start.addr().get() % EXTENT_BYTES / SLAB_BYTES,
            count,
            fresh: false,
        }
    }

    /// Takes back what [`Self::take`] gave. If that was the last the extent held, its memory may
    /// be returned, to be dropped once the latch is not held any more.
    ///
    /// # Safety
    /// The place was taken from this value and not given back; nobody uses its memory.
    pub(super) unsafe fn give(&mut self, place: Place, map: &ExtentMap) -> Option<Memory> {
        let extent = place.extent;
        // SAFETY: by contract the extent is mapped and belongs to this value, held exclusively.
        unsafe {
            (*extent).free |= place.mask();
            (*extent).runs &= !place.mask();
            if (*extent).free == u16::MAX && (*extent).evacuating.load(Relaxed) {
                return self.release_unless_pinned(extent, map);
            }
            self.list(extent);
            let keep = self.count > KEEP_FROM && self.empty() == 1;
            if (*extent).free == u16::MAX && !keep {
                return self.release_unless_pinned(extent, map);
            }
        }
        None
    }

    /// Adds an extent, whose slabs are all free.
    pub(super) fn add(&mut self, memory: Memory, map: &ExtentMap) {
        let extent = self.bookkeeping();
        let start = memory.mapping.start().addr().get();
        // SAFETY: the bookkeeping is alive and nobody's.
        unsafe {
            (*extent).memory = Some(memory);
            (*extent).free = u16::MAX;
            (*extent).runs = 0;
            (*extent).fresh = u16::MAX;
            (*extent).evacuating.store(false, Relaxed);
            (*extent).rests = 0;
            self.list(extent);
        }
        self.count += 1;
        map.set(start, extent);
    }

    /// The memory of an empty extent, if there is one.
    pub(super) fn take_empty(&mut self, map: &ExtentMap) -> Option<Memory> {
        let extent = self.lists[0][SLABS];
        // SAFETY: an extent of the list of those without a used slab, which nobody pins: pinned
        // ones are in no list.
        (!extent.is_null()).then(|| unsafe { self.release(extent, map) })
    }

    pub(super) fn stats(&self) -> ExtentStats {
        ExtentStats {
            extents: self.count as u64,
            empty: self.empty() as u64,
        }
    }

    fn mapped(&self) -> impl Iterator<Item = *mut Extent> {
        let all = self.all.iter().map(|extent| extent.as_ptr());
        // SAFETY: bookkeeping is alive, and the field guarded by the latch.
        all.filter(|extent| unsafe {
            let memory = &(**extent).memory;
            memory.is_some()
        })
    }

    fn empty(&self) -> usize {
        let mut count = 0;
        let mut extent = self.lists[0][SLABS];
        while !extent.is_null() {
            count += 1;
            // SAFETY: a listed extent is alive, and its links are guarded by the latch.
            extent = unsafe { (*extent).next };
        }
        count
    }

    fn bookkeeping(&mut self) -> *mut Extent {
        if !self.spare.is_null() {
            let extent = self.spare;
            // SAFETY: spare bookkeeping is alive, and guarded by the latch.
            self.spare = unsafe { (*extent).next };
            return extent;
        }
        let extent = Box::into_raw(Box::new(Extent {
            next: ptr::null_mut(),
            previous: ptr::null_mut(),
            memory: None,
            free: 0,
            runs: 0,
            fresh: 0,
            for_large: false,
            listed: None,
            pinned: false,
            evacuating: AtomicBool::new(false),
            rests: 0,
            slabs: std::array::from_fn(|_| Slab::new()),
        }));
        self.all.push(NonNull::new(extent).expect("a box"));
        extent
    }

    /// # Safety
    /// The extent is mapped, belongs to this value, and none of its slabs is used.
    unsafe fn release_unless_pinned(
        &mut self,
        extent: *mut Extent,
        map: &ExtentMap,
    ) -> Option<Memory> {
        // SAFETY: by contract.
        unsafe { (!(*extent).pinned).then(|| self.release(extent, map)) }
    }

    /// # Safety
    /// As above, and it is not pinned.
    unsafe fn release(&mut self, extent: *mut Extent, map: &ExtentMap) -> Memory {
        // SAFETY: by contract.
        unsafe {
            debug_assert_eq!((*extent).free, u16::MAX, "nobody has a slab of it");
            self.unlist(extent);
            if (*extent).evacuating.load(Relaxed) {
                (*extent).evacuating.store(false, Relaxed);
                self.evacuating -= 1;
            }
            let memory = (*extent).memory.take().expect("a mapped extent");
            map.set(memory.mapping.start().addr().get(), ptr::null_mut());
            (*extent).next = self.spare;
            self.spare = extent;
            self.count -= 1;
            memory
        }
    }

    /// Puts an extent into the list that it belongs to by its holes.
    ///
    /// # Safety
    /// The extent is mapped and belongs to this value.
    unsafe fn list(&mut self, extent: *mut Extent) {
        // SAFETY: by contract; neighbours in a list are extents of this value, too.
        unsafe {
            if (*extent).evacuating.load(Relaxed) {
                return;
            }
            let hole = longest_hole((*extent).free);
            let kind = usize::from((*extent).for_large && hole < SLABS);
            if (*extent).listed == Some((kind, hole)) {
                return;
            }
            self.unlist(extent);
            let first = self.lists[kind][hole];
            (*extent).listed = Some((kind, hole));
            (*extent).previous = ptr::null_mut();
            (*extent).next = first;
            if !first.is_null() {
                (*first).previous = extent;
            }
            self.lists[kind][hole] = extent;
        }
    }

    /// # Safety
    /// The extent belongs to this value.
    unsafe fn unlist(&mut self, extent: *mut Extent) {
        // SAFETY: by contract; neighbours in a list are extents of this value, too.
        unsafe {
            let Some((kind, hole)) = (*extent).listed.take() else {
                return;
            };
            let (previous, next) = ((*extent).previous, (*extent).next);
            if previous.is_null() {
                self.lists[kind][hole] = next;
            } else {
                (*previous).next = next;
            }
            if !next.is_null() {
                (*next).previous = previous;
            }
        }
    }
}

impl Drop for Extents {
    fn drop(&mut self) {
        for extent in self.all.drain(..) {
            // SAFETY: the bookkeeping came from a box and is dropped here only. Its pool is gone,
            // and with it everybody who could have memory of it.
            drop(unsafe { Box::from_raw(extent.as_ptr()) });
        }
    }
}

/// The length of the longest row of ones.
fn longest_hole(mut free: u16) -> usize {
    let mut length = 0;
    while free != 0 {
        free &= free << 1;
        length += 1;
    }
    length
}

/// Where the shortest row of at least `count` ones begins.
fn smallest_hole(free: u16, count: usize) -> Option<usize> {
    let mut best: Option<(usize, usize)> = None;
    let mut at = 0;
    while at < SLABS {
        let rest = free >> at;
        let length = (rest.trailing_ones() as usize).min(SLABS - at);
        if length >= count && best.is_none_or(|(shortest, _)| length < shortest) {
            best = Some((length, at));
        }
        at += length.max(1);
    }
    best.map(|(_, at)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_hole_that_fits_is_taken() {
        let free = 0b0111_0011_1110_0100;
        assert_eq!(longest_hole(free), 5);
        assert_eq!(smallest_hole(free, 1), Some(2));
        assert_eq!(smallest_hole(free, 2), Some(12));
        assert_eq!(smallest_hole(free, 4), Some(5));
        assert_eq!(smallest_hole(free, 6), None);
        assert_eq!(smallest_hole(u16::MAX, 16), Some(0));
        assert_eq!((longest_hole(0), longest_hole(u16::MAX)), (0, 16));
        assert_eq!(smallest_hole(0, 1), None);
    }
}
