//! The pool: memory of any size from the system, counted, shared, and given back.
//!
//! | bytes asked for | what serves it | latch |
//! |---|---|---|
//! | up to 2 KiB | a slot that the thread keeps (`cache.rs`), else a batch of them from the class | none, else as below |
//! | up to 64 KiB | a slot of its class (`class.rs`), in a slab (`slab.rs`) | the class's |
//! | up to 2 MiB | a run of slabs (`run.rs`) in an extent (`extent.rs`) | the extents' |
//! | more | a *span*: memory of its own from the system (`span.rs`) | none |
//!
//! Every byte taken from the system is reserved in the ledger before it is taken: extents under
//! [`Owner::Pool`], spans under their owner. Slots and runs are noted under their owner
//! (`tally.rs`).
//!
//! A latch is held for a few dozen instructions. The system and the ledger are called without any,
//! so that neither a slow system nor what the ledger does about pressure can hold up others. The
//! order is cache, class, extents.
//!
//! **Refusal.** What threads keep, an empty extent that was kept, and what evacuation (see
//! `evacuation.rs`) sets apart are free memory; so is a hole among extents of the other kind. Before
//! a request is refused, and before it takes from the emergency reserve, all of it that could serve is looked
//! through, whether it is the budget that has no more or the system:
//!
//! 1. an extent within what ordinary requests may take, else any hole;
//! 2. once everything was taken back: the same, and for an emergency an extent from the reserve.
//!
//! Invariants
//! - A live slot is in no list; its slab's `used` counts it, as it counts those that threads keep.
//! - A class lists exactly those of its slabs that have room, are not empty and not closed.
//! - When everything is freed and the caches are shed, nothing is held: no extent, no reservation.

use super::cache::{
    self, CACHED_BYTES_MAX, CACHED_CLASSES, Counts, Entered, Line, SlotList, ThreadCache, batch_of,
};
use super::claim::Claim;
use super::class::{CLASSES, SLOT_BYTES_MAX, class_of, slot_bytes};
use super::extent::{EXTENT_BYTES, Extents, Memory, Place, Purpose, is_evacuating, slab_of};
use super::ledger::{Ledger, Owner};
use super::map::ExtentMap;
use super::slab::{OpenSlabs, SLAB_BYTES};
use super::span::{SPAN_UNIT, Spans};
use super::stats::LargeStats;
use crate::error::{Error, Result};
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::sync::{Fault, Mutex, is_left_out};
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
    fn of(bytes: usize) -> Self {
        if bytes <= SLOT_BYTES_MAX {
            Self::Slot
        } else if bytes <= EXTENT_BYTES {
            Self::Run
        } else {
            Self::Span
        }
    }
}

/// What a request of so many bytes takes; the caller may use all of it, at no cost to others, if
/// it asks for that much.
pub fn rounded_bytes(bytes: usize) -> usize {
    match Kind::of(bytes) {
        Kind::Slot => slot_bytes(class_of(bytes)),
        Kind::Run => bytes.next_multiple_of(SLAB_BYTES),
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
    /// Extents that are being evacuated; changed under the latch over them.
    pub(super) evacuating: AtomicUsize,
    /// Held while it is decided what is evacuated.
    pub(super) evacuation: Mutex<()>,
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
                slabs: 0,
                used: 0,
                counts: Counts::new(),
            }))
        };
        Arc::new_cyclic(|itself| Self {
            ledger,
            options,
            itself: Weak::clone(itself),
            map: ExtentMap::new(),
            evacuating: AtomicUsize::new(0),
            evacuation: Mutex::new(()),
            caches: Mutex::default(),
            classes: std::array::from_fn(class),
            space: Space(Mutex::new(SpaceState {
                extents: Extents::new(),
                runs: LargeStats::default(),
            })),
            spans: Spans::default(),
        })
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

    /// Like [`Self::allocate`], but may take all of the emergency reserve of the ledger.
    pub fn allocate_emergency(&self, owner: Owner, bytes: usize) -> Result<NonNull<u8>> {
        self.allocate_for(Claim::Emergency, owner, bytes)
    }

    /// Gives memory back.
    ///
    /// # Safety
    /// `pointer` came from this pool for the same `owner` and the same `bytes`, was not given back
    /// before, and nobody reads or writes through it any more.
    pub unsafe fn free(&self, owner: Owner, pointer: NonNull<u8>, bytes: usize) {
        if self.options.secure_delete {
            // SAFETY: by contract the memory is the caller's, and as large as it was rounded to.
            unsafe { pointer.write_bytes(0, rounded_bytes(bytes)) };
        }
        // SAFETY: by contract, and the sizes are those that `allocate_within` went by.
        unsafe {
            match Kind::of(bytes) {
                Kind::Slot => self.free_slot(owner, pointer, bytes),
                Kind::Run => self.free_run(owner, pointer, bytes),
                Kind::Span => self.free_span(owner, pointer, bytes),
            }
        }
    }

    /// Bytes that the system has given and has not got back, counted where that is done and not in
    /// the ledger: at every moment they are reserved there.
    pub fn bytes(&self) -> u64 {
        let extents = self.extents() * EXTENT_BYTES;
        extents as u64 + self.spans.bytes.load(Relaxed)
    }

    /// How many extents of [`super::EXTENT_BYTES`] the pool has from the system now.
    pub fn extents(&self) -> usize {
        self.space.0.lock().extents.count()
    }

    /// Takes back what threads keep for their next requests, and gives the system what is empty
    /// then. Threads that are at work meanwhile may begin anew at once.
    pub fn shed_caches(&self) {
        {
            let caches = self.caches.lock();
            for mut entered in caches.iter().filter_map(|cache| cache.enter()) {
                self.empty(&mut entered);
            }
        }
        loop {
            // The latch is given back before the memory goes to the system.
            let empty = self.space.0.lock().extents.take_empty(&self.map);
            if empty.is_none() {
                break;
            }
        }
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
        let attempt = |claim| match Kind::of(bytes) {
            Kind::Slot => self.allocate_slot(owner, bytes, claim),
            Kind::Run => self.allocate_run(owner, bytes, claim),
            Kind::Span => self.allocate_span(owner, bytes, claim),
        };
        match attempt(Claim::Ordinary) {
            Err(Error::OutOfMemory { .. }) => {
                self.regain(bytes);
                attempt(claim)
            }
            other => other,
        }
    }

    /// A slot that the thread has at hand: the way of most requests.
    #[inline]
    fn cached_slot(&self, owner: Owner, bytes: usize) -> Option<NonNull<u8>> {
        if bytes > CACHED_BYTES_MAX {
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

    /// Takes back all memory that is free and out of reach of a request. What is set apart and could not serve it
    /// stays so: who asks in vain again and again would keep it from ever becoming empty, and so from going where it
    /// can serve.
    #[cold]
    fn regain(&self, bytes: usize) {
        if self.evacuating.load(Relaxed) > 0 && self.could_serve_apart(bytes) {
            self.end_evacuation();
        }
        self.shed_caches();
    }

    /// Whether a request could be served from what is set apart.
    fn could_serve_apart(&self, bytes: usize) -> bool {
        match Kind::of(bytes) {
            // What is set apart has few slots in use: one of its size, or a whole slab, will be free.
            Kind::Slot => true,
            Kind::Run => {
                let hole = self.space.0.lock().extents.longest_hole_apart();
                hole * SLAB_BYTES >= bytes
            }
            // Memory of its own comes from the budget, which has no more of it for that.
            Kind::Span => false,
        }
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
            let place = self.take_slabs(1, claim, Some(class))?;
            held = self.classes[class].0.lock();
            let slab = place.slab();
            // SAFETY: the slab serves this class, whose latch is held: nobody else reaches it.
            unsafe {
                let serves = !(*slab).closed || is_left_out(Fault::ClosedSlabListed);
                if serves && held.open.fullest().is_none() {
                    held.slabs += 1;
                    held.open.push(slab);
                    break;
                }
            }
            // Its extent was chosen for evacuation meanwhile, or another thread was first: then
            // this slab would be listed empty.
            drop(held);
            self.give_slabs(place);
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

    /// Slabs in a row: from extents of their kind, else from a new one, else wherever there is a
    /// hole; and only then from a new one that the emergency reserve pays. No latch of the extents
    /// may be held, and none should be of a class.
    pub(super) fn take_slabs(
        &self,
        count: usize,
        claim: Claim,
        class: Option<usize>,
    ) -> Result<Place> {
        let purpose = Purpose::of(class);
        // Under the latch: whoever looks for sparse extents finds the class of each slab in use.
        let begin = |place: Place| {
            if let Some(class) = class {
                // SAFETY: the slab was free until now, and is ours.
                unsafe { (*place.slab()).begin(place.start().as_ptr(), class) };
            }
            place
        };
        loop {
            let mut space = self.space.0.lock();
            if let Some(place) = space.extents.take(count, purpose) {
                return Ok(begin(place));
            }
            let huge = space.extents.want_huge();
            drop(space);
            let memory = match self.new_extent(Claim::Ordinary, huge) {
                Ok(memory) => memory,
                Err(refusal) => {
                    if let Some(place) = self.space.0.lock().extents.take_any(count, purpose) {
                        return Ok(begin(place));
                    }
                    match claim {
                        Claim::Ordinary => return Err(refusal),
                        claim => self.new_extent(claim, huge)?,
                    }
                }
            };
            self.space.0.lock().extents.add(memory, &self.map);
        }
    }

    fn new_extent(&self, claim: Claim, huge: bool) -> Result<Memory> {
        let bytes = EXTENT_BYTES as u64;
        let reservation = self.ledger.reserve_for(claim, Owner::Pool, bytes)?;
        let memory = Memory::new(reservation, huge);
        memory.ok_or_else(|| self.ledger.refused_by_system(bytes))
    }

    pub(super) fn give_slabs(&self, place: Place) {
        // SAFETY: the callers took it with `take_slabs` and give it up.
        let memory = unsafe { self.give_place(place) };
        // The latch is not held any more.
        drop(memory);
    }

    /// # Safety
    /// The place came from [`Self::take_slabs`], was not given back, and nobody uses its memory.
    unsafe fn give_place(&self, place: Place) -> Option<Memory> {
        let extents = &mut self.space.0.lock().extents;
        // SAFETY: by contract.
        let memory = unsafe { extents.give(place, &self.map) };
        if memory.is_some() {
            self.evacuating.store(extents.evacuating(), Relaxed);
        }
        memory
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
                    }
                    held.slabs -= 1;
                    let place = Extents::place_of(&self.map, slot, 1);
                    emptied.extend(self.give_place(place));
                } else if (*slab).open {
                    held.open.relist(slab);
                } else if !(*slab).closed {
                    held.open.push(slab);
                }
            }
        }
        drop(held);
        // Back to the system, without a latch.
        drop(emptied);
    }

    fn empty(&self, entered: &mut Entered<'_>) {
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

    /// Whether the memory, which is live, lies in an extent that is being evacuated: its owner
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
