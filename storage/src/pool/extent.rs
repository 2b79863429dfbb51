//! Extents: how memory comes from the system, is cut up, and goes back.
//!
//! ```text
//!  extent: 2 MiB at a multiple of 2 MiB             bookkeeping (elsewhere)
//!  +--------+--------+--------+-- .. --+--------+   free      0110..1  pages that nobody has
//!  | page 0 | page 1 | page 2 |        | 511    |   resident  1101..1  pages that are charged
//!  +--------+--------+--------+-- .. --+--------+   zero      0010..1  pages that were never written
//!    slab of 16 pages   | run of n pages | ..       slabs[32]
//! ```
//!
//! 1. An extent serves all sizes at a time: a *slab* of 64 KiB serves a size class, and a large request gets a
//!    *run* of neighbouring pages.
//! 2. **The ledger is charged for pages that are resident, and an address costs nothing.** A page that nobody has
//!    can be *purged*: the system takes its memory back, the ledger its bytes, and the address stays. So free
//!    pages anywhere serve a request anywhere: a run that finds no hole long enough gets new addresses, and the
//!    memory of pages that are free elsewhere. No arrangement of pieces can strand whole pages.
//! 3. Extents are listed by their longest hole, and a request for n pages takes the smallest hole that has them.
//!    So small holes fill first, and large ones stay.
//!
//!    Once a pool has four extents, large pieces and small ones are kept apart: runs are blocks of rows and their
//!    strings, which go by the block when it is compacted; slabs are index nodes and the like, which stay. So
//!    whole extents come free, and with them huge pages. Where memory is short, any hole will do.
//! 4. An extent without a used page goes back to the system. One of them is kept while the pool has several, so
//!    that a load that swings around a limit does not map and unmap; it goes when
//!    [`super::Pool::shed_caches`] is called.
//!
//! **Huge pages.** With one, the first byte written makes 2 MiB resident, and the system clears them. That is
//! what a large database wants, which fills its extents and misses the address translation of every random read:
//! 1,500 entries of small pages reach 6 MiB. A small database lies within that reach, and should not pay 2 MiB
//! for a few rows. So the first extents of a pool are charged page by page; those beyond are charged as a whole
//! and advised to be huge, as long as the budget has that much. A purged extent is never huge again: the system
//! would make resident what was given back.
//!
//! Invariants
//! - All of this is guarded by one latch (`Pool` holds [`Extents`] in it), except the slabs that are in use. No
//!   call to the system is made under the latch.
//! - A page in use is resident; a page that is not resident is zero. The extent's reservation is of its resident
//!   pages.
//! - An extent's bookkeeping lives until its pool goes, whether the extent does or not: a look-up never finds
//!   something freed.

mod purge;

use super::claim::Claim;
use super::class::slab_pages;
use super::ledger::Reservation;
use super::map::ExtentMap;
use super::pages::{PAGE_BYTES, PAGES, PageSet, SLAB_PAGES};
use super::slab::{SLAB_BYTES, Slab};
use super::system::Mapping;
use crate::error::Result;
use std::ops::Range;
use std::ptr::{self, NonNull};

/// The unit in which the pool takes addresses from the system.
pub const EXTENT_BYTES: usize = 2 << 20;
/// Slabs of an extent.
const SLABS: usize = EXTENT_BYTES / SLAB_BYTES;
/// Extents that a pool has without asking for huge pages.
const SMALL_PAGE_EXTENTS: usize = 4;
/// Extents that a pool has before large pieces and small ones are kept apart.
const SHARED_EXTENTS: usize = 4;
/// Extents that a pool has before it keeps an empty one.
const KEEP_FROM: usize = 4;
/// The list of extents without a used page; lists are by the longest hole, in slabs.
const EMPTY: usize = PAGES / SLAB_PAGES;
/// Extents of a list that are looked at for a hole before a longer one is taken.
const TRIES: usize = 16;

/// An extent's bookkeeping.
pub(super) struct Extent {
    next: *mut Extent,
    previous: *mut Extent,
    memory: Option<Memory>,
    free: PageSet,
    resident: PageSet,
    zero: PageSet,
    /// Whether it was taken for large pieces, and not for small ones.
    for_large: bool,
    /// The list it is in: for large pieces or not, and the longest hole in slabs.
    listed: Option<(usize, usize)>,
    slabs: [Slab; SLABS],
}

/// An extent's addresses, and the right to its resident pages. Dropped, both are given back.
pub(super) struct Memory {
    mapping: Mapping,
    // Given back after the mapping is gone: fields are dropped in order.
    reservation: Reservation,
}

impl Memory {
    /// Takes an extent from the system; `None` where it has none. A reservation of all its bytes makes all of it
    /// resident, an empty one nothing.
    pub(super) fn new(reservation: Reservation) -> Option<Self> {
        let mapping = Mapping::new(EXTENT_BYTES, EXTENT_BYTES)?;
        mapping.advise(reservation.bytes() > 0);
        let reaches = ExtentMap::reaches(mapping.start().addr().get());
        reaches.then_some(Self {
            mapping,
            reservation,
        })
    }

    /// Bytes of its resident pages.
    pub(super) fn bytes(&self) -> u64 {
        self.reservation.bytes()
    }
}

/// The pages that a request needs.
#[derive(Clone, Copy)]
pub(super) enum Want {
    /// A slab for a size class.
    Slab(usize),
    /// So many pages in a row.
    Run(usize),
}

impl Want {
    pub(super) fn pages(self) -> usize {
        match self {
            Self::Slab(class) => slab_pages(class),
            Self::Run(pages) => pages,
        }
    }

    fn is_large(self) -> bool {
        matches!(self, Self::Run(_))
    }

    fn kind(self) -> usize {
        usize::from(self.is_large())
    }

    fn hole_in(self, free: &PageSet) -> Option<usize> {
        match self {
            Self::Slab(class) => free.window(slab_pages(class)),
            Self::Run(pages) => free.tightest(pages),
        }
    }
}

/// Some pages in a row.
#[derive(Clone, Copy)]
pub(super) struct Place {
    extent: *mut Extent,
    first: usize,
    count: usize,
    /// Whether they are zero.
    pub(super) zero: bool,
}

impl Place {
    fn pages(self) -> Range<usize> {
        self.first..self.first + self.count
    }

    /// Where the memory begins.
    pub(super) fn start(self) -> NonNull<u8> {
        // SAFETY: a place is in a mapped extent, whose pages are within its memory; `memory` does
        // not change while one of them is used.
        unsafe {
            let memory = &(*self.extent).memory;
            let memory = memory.as_ref().expect("a used extent has memory");
            memory.mapping.start().add(self.first * PAGE_BYTES)
        }
    }

    /// The bookkeeping of the slab that it is.
    pub(super) fn slab(self) -> *mut Slab {
        slab_at(self.extent, self.first / SLAB_PAGES)
    }
}

fn slab_at(extent: *mut Extent, index: usize) -> *mut Slab {
    debug_assert!(index < SLABS, "an extent has so many slabs");
    // SAFETY: the bookkeeping is alive (the module's invariant), and the index within the array.
    // No reference is made to what other parties may be changing.
    unsafe { (&raw mut (*extent).slabs).cast::<Slab>().add(index) }
}

/// Returns the slab that a live slot is in.
pub(super) fn slab_of(map: &ExtentMap, slot: NonNull<u8>) -> *mut Slab {
    let address = slot.addr().get();
    let extent = map.get(address);
    assert!(!extent.is_null(), "a slot of this pool");
    slab_at(extent, address % EXTENT_BYTES / SLAB_BYTES)
}

/// Returns whether the address is in a slab that is being emptied.
pub(super) fn is_evacuating(map: &ExtentMap, address: usize) -> bool {
    let extent = map.get(address);
    // SAFETY: the bookkeeping that the map leads to is alive as long as the pool.
    !extent.is_null()
        && unsafe { Slab::is_closed(slab_at(extent, address % EXTENT_BYTES / SLAB_BYTES)) }
}

/// What the extents hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExtentStats {
    /// Extents of [`EXTENT_BYTES`] addresses taken from the system.
    pub extents: u64,
    /// Of them, those in which nothing is used.
    pub empty: u64,
    /// Bytes of resident pages: what the ledger is charged for.
    pub bytes: u64,
    /// Of them, bytes of pages that nobody has.
    pub idle_bytes: u64,
}

/// All extents of a pool.
pub(super) struct Extents {
    /// Those for small pieces and those for large ones, by the longest hole in slabs. Empty ones are for either,
    /// and in the first.
    lists: [[*mut Extent; EMPTY + 1]; 2],
    /// All bookkeeping there is, of extents that are gone, too.
    all: Vec<NonNull<Extent>>,
    /// Bookkeeping without memory, linked.
    spare: *mut Extent,
    count: usize,
    /// Resident pages of all.
    resident: usize,
}

// SAFETY: it owns its extents, whose bookkeeping is plain data.
unsafe impl Send for Extents {}

impl Extents {
    pub(super) const fn new() -> Self {
        Self {
            lists: [[ptr::null_mut(); EMPTY + 1]; 2],
            all: Vec::new(),
            spare: ptr::null_mut(),
            count: 0,
            resident: 0,
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Bytes of resident pages.
    pub(super) fn bytes(&self) -> u64 {
        (self.resident * PAGE_BYTES) as u64
    }

    /// Whether the next one should be of huge pages.
    pub(super) fn want_huge(&self) -> bool {
        self.count >= SMALL_PAGE_EXTENTS
    }

    /// Takes pages for one slab or a run, charging those that are not resident as far as the claim reaches;
    /// `None` where no hole is long enough, or only among extents of the other kind, the pool is not small, and
    /// it must not be `any` hole.
    ///
    /// # Errors
    /// `OutOfMemory` where the pages cannot be charged.
    pub(super) fn take(&mut self, want: Want, claim: Claim, any: bool) -> Result<Option<Place>> {
        let found = match any || self.is_small() {
            true => {
                let own = self.find(want, want.kind(), usize::MAX);
                own.or_else(|| self.find(want, 1 - want.kind(), usize::MAX))
            }
            false => self.find(want, want.kind(), TRIES),
        };
        match found {
            Some((extent, first)) => self.take_at(extent, first, want, claim).map(Some),
            None => Ok(None),
        }
    }

    /// Whether large pieces and small ones share extents.
    fn is_small(&self) -> bool {
        self.count < SHARED_EXTENTS
    }

    /// Finds an extent of the kind with a hole that is long enough, but hardly longer.
    fn find(&self, want: Want, kind: usize, tries: usize) -> Option<(*mut Extent, usize)> {
        let levels = want.pages() / SLAB_PAGES..EMPTY;
        let lists = levels.map(|level| self.lists[kind][level]);
        lists.chain([self.lists[0][EMPTY]]).find_map(|first| {
            let mut extent = first;
            for _ in 0..tries {
                if extent.is_null() {
                    break;
                }
                // SAFETY: a listed extent is alive, and its bookkeeping guarded by the latch.
                let (free, next) = unsafe { ((*extent).free, (*extent).next) };
                if let Some(hole) = want.hole_in(&free) {
                    return Some((extent, hole));
                }
                extent = next;
            }
            None
        })
    }

    fn take_at(
        &mut self,
        extent: *mut Extent,
        first: usize,
        want: Want,
        claim: Claim,
    ) -> Result<Place> {
        let count = want.pages();
        let pages = first..first + count;
        // SAFETY: the extent is in a list of this value, which the caller holds exclusively.
        unsafe {
            let missing = count - (*extent).resident.count_in(pages.clone());
            if missing > 0 {
                let memory = &mut (*extent).memory;
                let memory = memory.as_mut().expect("a listed extent has memory");
                let reservation = &mut memory.reservation;
                reservation.extend((missing * PAGE_BYTES) as u64, claim)?;
                (*extent).resident.insert(pages.clone());
                self.resident += missing;
            }
            if (*extent).free == PageSet::ALL {
                (*extent).for_large = want.is_large();
            }
            let zero = (*extent).zero.contains(pages.clone());
            (*extent).zero.remove(pages.clone());
            (*extent).free.remove(pages);
            self.list(extent);
            Ok(Place {
                extent,
                first,
                count,
                zero,
            })
        }
    }

    /// Returns the place of a run that [`Self::take`] gave, or of the slab that a slot is in.
    pub(super) fn place_of(map: &ExtentMap, start: NonNull<u8>, want: Want) -> Place {
        let extent = map.get(start.addr().get());
        assert!(!extent.is_null(), "memory of this pool");
        let page = start.addr().get() % EXTENT_BYTES / PAGE_BYTES;
        let first = match want {
            Want::Slab(_) => page - page % SLAB_PAGES,
            Want::Run(_) => page,
        };
        Place {
            extent,
            first,
            count: want.pages(),
            zero: false,
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
            (*extent).free.insert(place.pages());
            self.list(extent);
            let is_empty = (*extent).free == PageSet::ALL;
            let keep = self.count > KEEP_FROM && self.empty() == 1;
            (is_empty && !keep).then(|| self.release(extent, map))
        }
    }

    /// Adds an extent, whose pages are all free.
    pub(super) fn add(&mut self, memory: Memory, map: &ExtentMap) {
        let extent = self.bookkeeping();
        let start = memory.mapping.start().addr().get();
        let resident = match memory.reservation.bytes() {
            0 => PageSet::NONE,
            _ => PageSet::ALL,
        };
        self.resident += resident.count();
        // SAFETY: the bookkeeping is alive and nobody's.
        unsafe {
            (*extent).memory = Some(memory);
            (*extent).free = PageSet::ALL;
            (*extent).resident = resident;
            (*extent).zero = PageSet::ALL;
            self.list(extent);
        }
        self.count += 1;
        map.set(start, extent);
    }

    /// Takes out the memory of an empty extent, if there is one.
    pub(super) fn take_empty(&mut self, map: &ExtentMap) -> Option<Memory> {
        let extent = self.lists[0][EMPTY];
        // SAFETY: an extent of the list of those without a used page.
        (!extent.is_null()).then(|| unsafe { self.release(extent, map) })
    }

    pub(super) fn stats(&self) -> ExtentStats {
        // SAFETY: the extents are alive, and guarded by the latch.
        let idle = |extent: *mut Extent| unsafe { (*extent).free.and(&(*extent).resident).count() };
        let idle: usize = self.mapped().map(idle).sum();
        ExtentStats {
            extents: self.count as u64,
            empty: self.empty() as u64,
            bytes: self.bytes(),
            idle_bytes: (idle * PAGE_BYTES) as u64,
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
        let mut extent = self.lists[0][EMPTY];
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
            free: PageSet::NONE,
            resident: PageSet::NONE,
            zero: PageSet::NONE,
            for_large: false,
            listed: None,
            slabs: std::array::from_fn(|_| Slab::new()),
        }));
        self.all.push(NonNull::new(extent).expect("a box"));
        extent
    }

    /// # Safety
    /// The extent is mapped, belongs to this value, and none of its pages is used.
    unsafe fn release(&mut self, extent: *mut Extent, map: &ExtentMap) -> Memory {
        // SAFETY: by contract.
        unsafe {
            debug_assert_eq!((*extent).free, PageSet::ALL, "nobody has a page of it");
            self.unlist(extent);
            let memory = (*extent).memory.take().expect("a mapped extent");
            map.set(memory.mapping.start().addr().get(), ptr::null_mut());
            (*extent).next = self.spare;
            self.spare = extent;
            self.count -= 1;
            self.resident -= (*extent).resident.count();
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
            let level = (*extent).free.longest() / SLAB_PAGES;
            let kind = usize::from((*extent).for_large && level < EMPTY);
            if (*extent).listed == Some((kind, level)) {
                return;
            }
            self.unlist(extent);
            let first = self.lists[kind][level];
            (*extent).listed = Some((kind, level));
            (*extent).previous = ptr::null_mut();
            (*extent).next = first;
            if !first.is_null() {
                (*first).previous = extent;
            }
            self.lists[kind][level] = extent;
        }
    }

    /// # Safety
    /// The extent belongs to this value.
    unsafe fn unlist(&mut self, extent: *mut Extent) {
        // SAFETY: by contract; neighbours in a list are extents of this value, too.
        unsafe {
            let Some((kind, level)) = (*extent).listed.take() else {
                return;
            };
            let (previous, next) = ((*extent).previous, (*extent).next);
            if previous.is_null() {
                self.lists[kind][level] = next;
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
