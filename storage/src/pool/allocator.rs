//! The pool: memory of any size from the system, counted, shared, and given back.
//!
//! | bytes asked for | what serves it | latch |
//! |---|---|---|
//! | up to 2 KiB | a slot that the thread keeps (`cache.rs`), else a batch of them from the class | none, else as below |
//! | up to 16 KiB | a slot of its class (`class.rs`), in a slab (`slab.rs`) | the class's |
//! | up to 2 MiB | a run of pages (`run.rs`) in an extent (`extent.rs`) | the extents' |
//! | more | a *span*: memory of its own from the system (`span.rs`) | none |
//!
//! Blocks of tables and their strings come in pages however small they are, and so does a request for whole pages:
//! they do not move, and in a slab one piece that stays would keep all slots that were freed around it.
//!
//! Every byte taken from the system is reserved in the ledger before it is taken: resident pages of extents under
//! [`Owner::Pool`], spans under their owner. Slots and runs are noted under their owner (`tally.rs`).
//!
//! A latch is held for a few dozen instructions. The system is called without any, and so is whatever the ledger
//! does about pressure, so that neither can hold up others. The order is cache, class, extents.
//!
//! **Refusal.** Before a request is refused, and before it takes from the emergency reserve, all free memory that
//! needs nobody's help is looked through, whether it is the budget that has no more or the system:
//!
//! 1. a hole among extents of its kind; a new extent within what ordinary requests may take; any hole;
//! 2. addresses without memory, and for them pages that are free elsewhere, which are *purged*;
//! 3. once threads have given up the slots that they keep: the same, and then what the claim reaches.
//!
//! What is left then are free slots in slabs that other slots keep, fewer than a slab and its pages for each
//! class once sparse slabs were emptied (`evacuation.rs`): their records have to move, which is the affair of
//! whoever runs statements, and not of who wants memory in the middle of one.
//!
//! Invariants
//! - A live slot is in no list; its slab's `used` counts it, as it counts those that threads keep.
//! - A class lists exactly those of its slabs that have room, are not empty and not closed, and those that are
//!   closed.
//! - When everything is freed and the caches are shed, nothing is held: no extent, no reservation.

use super::cache::{
    self, CACHED_BYTES_MAX, CACHED_CLASSES, Counts, Entered, Line, SlotList, ThreadCache, batch_of,
};
use super::claim::Claim;
use super::class::{CLASSES, SLOT_BYTES_MAX, class_of, slot_bytes};
use super::extent::{EXTENT_BYTES, Extents, Memory, Place, Want, is_evacuating, slab_of};
use super::ledger::{Ledger, Owner};
use super::map::ExtentMap;
use super::pages::PAGE_BYTES;
use super::slab::{ClosedSlabs, OpenSlabs};
use super::span::{SPAN_UNIT, Spans};
use super::stats::LargeStats;
use crate::error::{Error, Result};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::fmt;
use std::ptr::NonNull;
use std::sync::{Arc, Weak};

/// How a pool works.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PoolOptions {
    /// Whether what is freed is cleared at once, so that no deleted value stays in memory.
    pub secure_delete: bool,
}

/// What serves a request.
enum Kind {
    Slot,
    Run,
    Span,
}

impl Kind {
    fn of(owner: Owner, bytes: usize) -> Self {
        let in_pages = owner == Owner::Table || (bytes.is_multiple_of(PAGE_BYTES) && bytes > 0);
        if bytes <= SLOT_BYTES_MAX && !in_pages {
            Self::Slot
        } else if bytes <= EXTENT_BYTES {
            Self::Run
        } else {
            Self::Span
        }
    }
}

/// Returns what a request of so many bytes takes; the caller may use all of it, at no cost to others, if
/// it asks for that much.
pub fn rounded_bytes(owner: Owner, bytes: usize) -> usize {
    match Kind::of(owner, bytes) {
        Kind::Slot => slot_bytes(class_of(bytes)),
        Kind::Run => bytes.max(1).next_multiple_of(PAGE_BYTES),
        Kind::Span => bytes.checked_next_multiple_of(SPAN_UNIT).unwrap_or(bytes),
    }
}

/// One size class.
#[repr(align(128))]
pub(super) struct Class(pub(super) Mutex<ClassState>);

/// What the latch of a class guards.
pub(super) struct ClassState {
    /// Slabs with room.
    pub(super) open: OpenSlabs,
    /// Slabs that are being emptied.
    pub(super) closed: ClosedSlabs,
    pub(super) slabs: u64,
    /// Slots in use or kept by threads.
    pub(super) used: u64,
    pub(super) counts: Counts,
}

/// What the latch over the extents guards.
#[repr(align(128))]
pub(super) struct Space(pub(super) Mutex<SpaceState>);

/// The extents, and what runs take of them.
pub(super) struct SpaceState {
    pub(super) extents: Extents,
    pub(super) runs: LargeStats,
}

/// The allocator.
pub struct Pool {
    pub(super) ledger: Arc<Ledger>,
    options: PoolOptions,
    itself: Weak<Self>,
    pub(super) map: ExtentMap,
    /// Slabs that are being emptied.
    pub(super) evacuating: AtomicUsize,
    pub(super) caches: Mutex<Vec<Arc<ThreadCache>>>,
    pub(super) classes: [Class; CLASSES],
    pub(super) space: Space,
    pub(super) spans: Spans,
}

impl Pool {
    /// A pool that reserves from `ledger`.
    pub fn new(ledger: Arc<Ledger>) -> Arc<Self> {
        Self::with_options(ledger, PoolOptions::default())
    }

    /// The same, with options.
    pub fn with_options(ledger: Arc<Ledger>, options: PoolOptions) -> Arc<Self> {
        let class = |_| {
            Class(Mutex::new(ClassState {
                open: OpenSlabs::new(),
                closed: ClosedSlabs::new(),
                slabs: 0,
                used: 0,
                counts: Counts::new(),
            }))
        };
        let pool = Arc::new_cyclic(|itself| Self {
            ledger: Arc::clone(&ledger),
            options,
            itself: Weak::clone(itself),
            map: ExtentMap::new(),
            evacuating: AtomicUsize::new(0),
            caches: Mutex::default(),
            classes: std::array::from_fn(class),
            space: Space(Mutex::new(SpaceState {
                extents: Extents::new(),
                runs: LargeStats::default(),
            })),
            spans: Spans::default(),
        });
        ledger.add_pool(Arc::downgrade(&pool));
        pool
    }

    /// How it works.
    pub fn options(&self) -> PoolOptions {
        self.options
    }

    /// The ledger that everything is reserved from.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// At least `bytes` bytes, zeroed, aligned to 16; or [`crate::Error::OutOfMemory`].
    pub fn allocate(&self, owner: Owner, bytes: usize) -> Result<NonNull<u8>> {
        self.allocate_for(Claim::Ordinary, owner, bytes)
    }

    /// Like [`Self::allocate`], but what was there before is still there: for who writes all of it
    /// before anybody reads.
    #[inline]
    pub fn allocate_unwritten(&self, owner: Owner, bytes: usize) -> Result<NonNull<u8>> {
        match self.cached_slot(owner, bytes) {
            Some(slot) => Ok(slot),
            None => self
                .allocate_within(Claim::Ordinary, owner, bytes)
                .map(|(at, _)| at),
        }
    }

    /// Gives memory back.
    ///
    /// # Safety
    /// `pointer` came from this pool for the same `owner` and the same `bytes`, was not given back
    /// before, and nobody reads or writes through it any more.
    pub unsafe fn free(&self, owner: Owner, pointer: NonNull<u8>, bytes: usize) {
        if self.options.secure_delete {
            // SAFETY: by contract the memory is the caller's, and as large as it was rounded to.
            unsafe { pointer.write_bytes(0, rounded_bytes(owner, bytes)) };
        }
        // SAFETY: by contract, and the sizes are those that `allocate_within` went by.
        unsafe {
            match Kind::of(owner, bytes) {
                Kind::Slot => self.free_slot(owner, pointer, bytes),
                Kind::Run => self.free_run(owner, pointer, bytes),
                Kind::Span => self.free_span(owner, pointer, bytes),
            }
        }
    }

    /// Bytes that the system has given and has not got back, counted where that is done and not in
    /// the ledger: at every moment they are reserved there.
    pub fn bytes(&self) -> u64 {
        let extents = self.space.0.lock().extents.bytes();
        extents + self.spans.bytes.load(Relaxed)
    }

    /// How many extents of [`super::EXTENT_BYTES`] the pool has from the system now.
    pub fn extents(&self) -> usize {
        self.space.0.lock().extents.count()
    }

    /// Like [`Self::allocate`], as far into the budget as the claim reaches.
    pub fn allocate_for(&self, claim: Claim, owner: Owner, bytes: usize) -> Result<NonNull<u8>> {
        let (pointer, is_zero) = match self.cached_slot(owner, bytes) {
            Some(slot) => (slot, false),
            None => self.allocate_within(claim, owner, bytes)?,
        };
        if !is_zero {
            // SAFETY: the memory is at least that large and ours alone now. It is cleared outside
            // all latches, so that a large piece does not keep others waiting.
            unsafe { pointer.write_bytes(0, bytes) };
        }
        Ok(pointer)
    }

    /// The memory, and whether it is zeroed.
    #[cold]
    fn allocate_within(
        &self,
        claim: Claim,
        owner: Owner,
        bytes: usize,
    ) -> Result<(NonNull<u8>, bool)> {
        let attempt = |claim| match Kind::of(owner, bytes) {
            Kind::Slot => self.allocate_slot(owner, bytes, claim),
            Kind::Run => self.allocate_run(owner, bytes, claim),
            Kind::Span => self.allocate_span(owner, bytes, claim),
        };
        match attempt(Claim::Ordinary) {
            Err(Error::OutOfMemory { .. }) => {
                self.shed_caches();
                attempt(claim)
            }
            other => other,
        }
    }

    /// A slot that the thread has at hand: the way of most requests.
    #[inline]
    fn cached_slot(&self, owner: Owner, bytes: usize) -> Option<NonNull<u8>> {
        if bytes > CACHED_BYTES_MAX || owner == Owner::Table {
            return None;
        }
        let class = class_of(bytes);
        let mut entered = cache::of_this_thread(self)?;
        let line = entered.line(class);
        let slot = line.pop()?;
        line.counts.hits += 1;
        line.counts.asked += bytes as i64;
        entered.note(owner, slot_bytes(class) as i64);
        Some(slot)
    }

    fn allocate_slot(
        &self,
        owner: Owner,
        bytes: usize,
        claim: Claim,
    ) -> Result<(NonNull<u8>, bool)> {
        let class = class_of(bytes);
        let slot_bytes = slot_bytes(class) as i64;
        if class < CACHED_CLASSES
            && let Some(mut entered) = cache::of_this_thread(self)
        {
            let line = entered.line(class);
            line.counts.misses += 1;
            let slot = self.refill(class, line, claim)?;
            line.counts.asked += bytes as i64;
            entered.note(owner, slot_bytes);
            return Ok((slot, false));
        }
        let mut slot = None;
        self.take_slots(class, 1, claim, |taken| slot = Some(taken))?;
        self.classes[class].0.lock().counts.asked += bytes as i64;
        self.ledger.slots().shared().note(owner, slot_bytes);
        Ok((slot.expect("a slot was taken"), false))
    }

    /// Fills what the thread keeps, unless there is some by now, and takes one of it.
    fn refill(&self, class: usize, line: &mut Line, claim: Claim) -> Result<NonNull<u8>> {
        if let Some(slot) = line.pop() {
            return Ok(slot);
        }
        self.take_slots(class, batch_of(class), claim, |slot| {
            // SAFETY: the slot was just taken for this line. It has none, so nothing is too much.
            let surplus = unsafe { line.push(class, slot) };
            debug_assert!(surplus.is_none(), "a batch fits an empty line");
        })?;
        Ok(line.pop().expect("at least one slot was taken"))
    }

    /// Takes at least one and at most `wanted` slots of a class.
    fn take_slots(
        &self,
        class: usize,
        wanted: u32,
        claim: Claim,
        mut take: impl FnMut(NonNull<u8>),
    ) -> Result<()> {
        let mut held = self.classes[class].0.lock();
        while held.open.fullest().is_none() {
            drop(held);
            let taken = self.take_pages(Want::Slab(class), claim);
            held = self.classes[class].0.lock();
            let place = match taken {
                Ok(place) => place,
                Err(_) if self.reopen(&mut held) => break,
                Err(refusal) => return Err(refusal),
            };
            if held.open.fullest().is_none() {
                held.slabs += 1;
                // SAFETY: the slab serves this class, whose latch is held: nobody else reaches it.
                unsafe { held.open.push(place.slab()) };
                break;
            }
            // Another thread was first: then this slab would be listed empty.
            drop(held);
            self.give_pages(place);
            held = self.classes[class].0.lock();
        }
        let mut left = u64::from(wanted);
        while left > 0 {
            let Some(slab) = held.open.fullest().map(NonNull::as_ptr) else {
                break;
            };
            // SAFETY: the slab is among this class's, whose latch is held: nobody else reaches it,
            // and it has room.
            unsafe {
                while left > 0 && (*slab).has_room() {
                    take((*slab).take());
                    held.used += 1;
                    left -= 1;
                }
                match (*slab).has_room() {
                    true => held.open.relist(slab),
                    false => held.open.unlink(slab),
                }
            }
        }
        Ok(())
    }

    /// Lets a slab that is being emptied serve again, for want of another. Returns whether there was one.
    pub(super) fn reopen(&self, held: &mut ClassState) -> bool {
        let Some(slab) = held.closed.pop() else {
            return false;
        };
        self.evacuating.fetch_sub(1, Relaxed);
        // SAFETY: a slab of the class whose latch the caller holds, in no list now. It was closed because it had
        // room, and nothing was taken from it since.
        unsafe { held.open.push(slab) };
        true
    }

    /// Pages for a slab or a run, in the order that the module's header gives. No latch of the extents may be
    /// held, and none should be of a class.
    pub(super) fn take_pages(&self, want: Want, claim: Claim) -> Result<Place> {
        let bytes = (want.pages() * PAGE_BYTES) as u64;
        let (mut any, mut reach) = (false, Claim::Ordinary);
        loop {
            let mut space = self.space.0.lock();
            let taken = space.extents.take(want, reach, any);
            let huge = space.extents.want_huge();
            drop(space);
            match taken {
                Ok(Some(place)) => return Ok(Self::begin(want, place)),
                Ok(None) if !any => {
                    if !self.add_extent(if huge { EXTENT_BYTES } else { 0 }) {
                        any = true;
                    }
                }
                Ok(None) => {
                    if !self.add_extent(0) {
                        return Err(self.ledger.refused_by_system(bytes));
                    }
                }
                Err(_) if self.purge(bytes) > 0 => any = true,
                Err(_) if reach != claim => reach = claim,
                Err(refusal) => return Err(refusal),
            }
        }
    }

    /// Makes the slab serve its class, if it is one.
    fn begin(want: Want, place: Place) -> Place {
        if let Want::Slab(class) = want {
            // SAFETY: the slab was free until now, and is the caller's.
            unsafe { (*place.slab()).begin(place.start().as_ptr(), class) };
        }
        place
    }

    /// Adds an extent of which so many bytes are resident, all or none. Returns whether budget and system have it.
    fn add_extent(&self, resident: usize) -> bool {
        let reservation = self.ledger.reserve(Owner::Pool, 0);
        let Ok(mut reservation) = reservation else {
            return false;
        };
        if reservation
            .extend(resident as u64, Claim::Ordinary)
            .is_err()
        {
            return false;
        }
        let Some(memory) = Memory::new(reservation) else {
            return false;
        };
        self.space.0.lock().extents.add(memory, &self.map);
        true
    }

    pub(super) fn give_pages(&self, place: Place) {
        // SAFETY: the callers took it with `take_pages` and give it up.
        let memory = unsafe { self.space.0.lock().extents.give(place, &self.map) };
        // The latch is not held any more.
        drop(memory);
    }

    /// # Safety
    /// As for [`Self::free`].
    unsafe fn free_slot(&self, owner: Owner, pointer: NonNull<u8>, bytes: usize) {
        let class = class_of(bytes);
        let slot_bytes = slot_bytes(class) as i64;
        let mut single = SlotList::new();
        if class < CACHED_CLASSES
            && let Some(mut entered) = cache::of_this_thread(self)
        {
            entered.note(owner, -slot_bytes);
            let line = entered.line(class);
            line.counts.asked -= bytes as i64;
            // Read while the cache is entered: whoever begins an evacuation empties the caches
            // afterwards, so that either this sees the mark or that finds the slot.
            if self.evacuating.load(Relaxed) == 0 || !self.is_evacuating(pointer) {
                // SAFETY: by contract the slot is nobody's now.
                if let Some(surplus) = unsafe { line.push(class, pointer) } {
                    self.give_slots(class, surplus);
                }
                return;
            }
        } else {
            self.ledger.slots().shared().note(owner, -slot_bytes);
            self.classes[class].0.lock().counts.asked -= bytes as i64;
        }
        // SAFETY: by contract the slot is nobody's now.
        unsafe { single.push(pointer) };
        self.give_slots(class, single);
    }

    /// Gives slots of a class back to their slabs.
    #[cold]
    fn give_slots(&self, class: usize, mut slots: SlotList) {
        let mut emptied = Vec::new();
        let mut held = self.classes[class].0.lock();
        held.used -= u64::from(slots.count());
        while let Some(slot) = slots.pop() {
            let slab = slab_of(&self.map, slot);
            // SAFETY: the slab is in use by this class (it has a live slot of it), whose latch is
            // held: nobody else reaches it. Lists are changed as the module's invariant says.
            unsafe {
                debug_assert_eq!(
                    (*slab).class(),
                    class,
                    "freed with the size it was taken with"
                );
                (*slab).give(slot.cast());
                if (*slab).is_empty() {
                    if (*slab).open {
                        held.open.unlink(slab);
                    } else if (*slab).is_closed_now() {
                        held.closed.unlink(slab);
                        self.evacuating.fetch_sub(1, Relaxed);
                    }
                    held.slabs -= 1;
                    let place = Extents::place_of(&self.map, slot, Want::Slab(class));
                    emptied.extend(self.space.0.lock().extents.give(place, &self.map));
                } else if (*slab).open {
                    held.open.relist(slab);
                } else if !(*slab).is_closed_now() {
                    held.open.push(slab);
                }
            }
        }
        drop(held);
        // Back to the system, without a latch.
        drop(emptied);
    }

    pub(super) fn empty(&self, entered: &mut Entered<'_>) {
        for class in 0..CACHED_CLASSES {
            for slots in entered.line(class).take() {
                if slots.count() > 0 {
                    self.give_slots(class, slots);
                }
            }
        }
    }

    /// A cache for the thread that calls.
    pub(super) fn add_cache(&self) -> Arc<ThreadCache> {
        let tally = self.ledger.slots().hand_out();
        let cache = ThreadCache::new(Weak::clone(&self.itself), tally);
        self.caches.lock().push(Arc::clone(&cache));
        cache
    }

    /// Takes over what is in the cache of a thread that ends.
    pub(super) fn remove_cache(&self, cache: &Arc<ThreadCache>) {
        let mut caches = self.caches.lock();
        caches.retain(|other| !Arc::ptr_eq(other, cache));
        // Others enter a cache only while they hold the list of caches.
        let mut entered = cache.try_enter().expect("nobody is in the cache");
        self.empty(&mut entered);
        for class in 0..CACHED_CLASSES {
            let counts = &mut self.classes[class].0.lock().counts;
            counts.add(&entered.line(class).counts);
        }
        self.ledger.slots().take_back(&cache.tally);
    }

    /// Whether the memory, which is live, lies in a slab that is being emptied: its owner
    /// should move what is there, because no new request is served from there.
    pub fn is_evacuating(&self, pointer: NonNull<u8>) -> bool {
        is_evacuating(&self.map, pointer.addr().get())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Nobody is in a cache: whoever is borrows the pool. What the caches point to goes with the
        // extents, and they are not entered again, for want of a pool.
        for cache in self.caches.get_mut().drain(..) {
            self.ledger.slots().take_back(&cache.tally);
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("extents", &self.extents())
            .field("span_bytes", &self.spans.bytes.load(Relaxed))
            .finish_non_exhaustive()
    }
}
