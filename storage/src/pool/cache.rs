//! Slots that a thread keeps for its next requests, so that most of them touch no shared line.
//!
//! ```text
//!   thread --> its caches, one a pool        ThreadCache: entered | class 0 | class 1 | ..
//!                                                                   |
//!                                             slots: f-f-f-f        spare: f-f-f-f-f-f-f-f
//! ```
//!
//! 1. A freed slot goes on the list of its class; a request takes the last one from there, which is
//!    still in the processor's cache.
//! 2. An empty list is filled, and a full one given back, a *batch* at a time under the latch of
//!    the class. There are two lists a class, so that a thread that takes and gives around the edge
//!    of one does not fetch a batch each time (Bonwick and Adams, "Magazines and Vmem", 2001).
//! 3. Slots of more than 2 KiB are not kept: clearing them costs more than the latch. What a thread
//!    keeps is thereby bounded, by 256 KiB a pool.
//!
//! A cache is entered by one exchange of `entered`, on a line that no other thread touches
//! unless it empties the cache: when memory is short, or when an extent is evacuated, the slots of
//! idle threads must come back, too. Who finds the cache entered does without it.
//!
//! The cache belongs to its thread and to its pool; the first of them to go empties it. It holds
//! the pool weakly, so that a thread keeps no pool alive, and no memory of a pool that is gone.
//!
//! Order of latches: the pool's list of caches, a cache, a class, the extents.

use super::allocator::Pool;
use super::class::{CLASSES, class_of, slot_bytes};
use super::ledger::Owner;
use super::slab::FreeSlot;
use super::tally::Tally;
use crate::sync::atomic::AtomicBool;
use crate::sync::atomic::Ordering::{Acquire, Release};
use crate::sync::{per_thread, yield_now};
use std::cell::{Cell, RefCell, UnsafeCell};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Weak};

/// Requests of more bytes are not served from a cache.
pub(super) const CACHED_BYTES_MAX: usize = 2 << 10;
/// Classes below this one are cached.
pub(super) const CACHED_CLASSES: usize = class_of(CACHED_BYTES_MAX) + 1;
const _: () = assert!(CACHED_CLASSES <= CLASSES);

/// Slots that come and go together.
pub(super) const fn batch_of(class: usize) -> u32 {
    let slots = 4096 / slot_bytes(class);
    if slots < 4 {
        4
    } else if slots > 64 {
        64
    } else {
        slots as u32
    }
}

/// Free slots, linked through themselves.
#[derive(Debug)]
pub(super) struct SlotList {
    first: *mut FreeSlot,
    count: u32,
}

impl SlotList {
    pub(super) const fn new() -> Self {
        Self {
            first: ptr::null_mut(),
            count: 0,
        }
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Adds a slot.
    ///
    /// # Safety
    /// It is a slot that nobody uses and that is in no list.
    pub(super) unsafe fn push(&mut self, slot: NonNull<u8>) {
        let slot: NonNull<FreeSlot> = slot.cast();
        // SAFETY: by contract; a slot is at least 16 bytes, aligned to 16.
        unsafe { slot.write(FreeSlot { next: self.first }) };
        self.first = slot.as_ptr();
        self.count += 1;
    }

    pub(super) fn pop(&mut self) -> Option<NonNull<u8>> {
        let slot = NonNull::new(self.first)?;
        // SAFETY: the list has slots only that `push` wrote and nobody else uses.
        self.first = unsafe { slot.as_ref().next };
        self.count -= 1;
        Some(slot.cast())
    }
}

/// What a thread keeps of one class.
pub(super) struct Line {
    slots: SlotList,
    spare: SlotList,
    pub(super) counts: Counts,
}

/// What was done through a cache.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    /// Bytes asked for less those given back.
    pub(super) asked: i64,
    pub(super) hits: u64,
    pub(super) misses: u64,
}

impl Counts {
    pub(super) const fn new() -> Self {
        Self {
            asked: 0,
            hits: 0,
            misses: 0,
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.asked += other.asked;
        self.hits += other.hits;
        self.misses += other.misses;
    }
}

impl Line {
    const fn new() -> Self {
        Self {
            slots: SlotList::new(),
            spare: SlotList::new(),
            counts: Counts::new(),
        }
    }

    pub(super) fn count(&self) -> u32 {
        self.slots.count + self.spare.count
    }

    pub(super) fn pop(&mut self) -> Option<NonNull<u8>> {
        if self.slots.count == 0 {
            std::mem::swap(&mut self.slots, &mut self.spare);
        }
        self.slots.pop()
    }

    /// Adds a slot; returns the batch that is too much then.
    ///
    /// # Safety
    /// It is a slot of this class that nobody uses and that is in no list.
    pub(super) unsafe fn push(&mut self, class: usize, slot: NonNull<u8>) -> Option<SlotList> {
        let mut surplus = None;
        if self.slots.count == batch_of(class) {
            let full = std::mem::replace(&mut self.slots, SlotList::new());
            let before = std::mem::replace(&mut self.spare, full);
            surplus = (before.count > 0).then_some(before);
        }
        // SAFETY: by contract.
        unsafe { self.slots.push(slot) };
        surplus
    }

    /// All slots.
    pub(super) fn take(&mut self) -> [SlotList; 2] {
        [&mut self.slots, &mut self.spare].map(|list| std::mem::replace(list, SlotList::new()))
    }
}

/// What one thread keeps of one pool.
#[repr(align(128))]
pub(super) struct ThreadCache {
    entered: AtomicBool,
    lines: UnsafeCell<[Line; CACHED_CLASSES]>,
    pub(super) tally: Arc<Tally>,
    pool: Weak<Pool>,
}

// SAFETY: what is in the cell is reached by whoever set `entered` only; slots have no thread.
unsafe impl Send for ThreadCache {}
// SAFETY: as above.
unsafe impl Sync for ThreadCache {}

impl ThreadCache {
    pub(super) fn new(pool: Weak<Pool>, tally: Arc<Tally>) -> Arc<Self> {
        Arc::new(Self {
            entered: AtomicBool::new(false),
            lines: UnsafeCell::new([const { Line::new() }; CACHED_CLASSES]),
            tally,
            pool,
        })
    }

    /// Enters the cache, unless somebody is in it.
    pub(super) fn try_enter(&self) -> Option<Entered<'_>> {
        // Acquire: takes over what the last one to leave did.
        let was_entered = self.entered.swap(true, Acquire);
        // Not `then_some`: a value made in vain would let others in when it is dropped.
        (!was_entered).then(|| Entered {
            cache: NonNull::from(self),
            pool: PhantomData,
        })
    }

    /// Enters the cache, if need be after a while; not if that lasts.
    pub(super) fn enter(&self) -> Option<Entered<'_>> {
        const TRIES: usize = 1000;
        (0..TRIES).find_map(|_| {
            let entered = self.try_enter();
            if entered.is_none() {
                yield_now();
            }
            entered
        })
    }
}

/// The right to a cache's slots, until it is dropped.
pub(super) struct Entered<'a> {
    cache: NonNull<ThreadCache>,
    pool: PhantomData<&'a Pool>,
}

impl Entered<'_> {
    fn cache(&self) -> &ThreadCache {
        // SAFETY: the pool and the thread both keep the cache; see `of_this_thread`.
        unsafe { self.cache.as_ref() }
    }

    /// What the thread keeps of a class.
    pub(super) fn line(&mut self, class: usize) -> &mut Line {
        // SAFETY: `entered` is set by this value: nobody else reaches the lines.
        unsafe { &mut (*self.cache().lines.get())[class] }
    }

    /// Notes that an owner holds more, or less.
    pub(super) fn note(&self, owner: Owner, bytes: i64) {
        self.cache().tally.note_alone(owner, bytes);
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        // Release: hands over what was done to the lines.
        self.cache().entered.store(false, Release);
    }
}

/// The caches of a thread.
struct Caches {
    /// The one that was used last.
    last: Cell<(*const Pool, *const ThreadCache)>,
    all: RefCell<Vec<Arc<ThreadCache>>>,
}

per_thread! {
    static CACHES: Caches = const {
        Caches {
            last: Cell::new((ptr::null(), ptr::null())),
            all: RefCell::new(Vec::new()),
        }
    };
}

/// Enters this thread's cache of the pool. There is none when the thread is about to end, or when
/// the cache is being emptied.
pub(super) fn of_this_thread(pool: &Pool) -> Option<Entered<'_>> {
    let entered = CACHES.try_with(|caches| {
        let (last, cache) = caches.last.get();
        let cache = match last == ptr::from_ref(pool) {
            true => cache,
            false => caches.find(pool),
        };
        // SAFETY: the cache is among this thread's, which keep it until their pool goes; and
        // the pool is borrowed. It cannot be another pool at the place of a former one, because the
        // cache's weak pointer keeps the place.
        let cache = unsafe { &*cache };
        // The borrow of the cache may last as long as that of the pool, for the same reason.
        cache.try_enter().map(|entered| {
            let cache = entered.cache;
            std::mem::forget(entered);
            Entered {
                cache,
                pool: PhantomData,
            }
        })
    });
    entered.ok().flatten()
}

impl Caches {
    #[cold]
    fn find(&self, pool: &Pool) -> *const ThreadCache {
        let of_pool = |cache: &&Arc<ThreadCache>| cache.pool.as_ptr() == ptr::from_ref(pool);
        let found = self.all.borrow().iter().find(of_pool).map(Arc::as_ptr);
        let cache = found.unwrap_or_else(|| {
            let cache = pool.add_cache();
            let pointer = Arc::as_ptr(&cache);
            let mut all = self.all.borrow_mut();
            // Those of pools that are gone.
            all.retain(|cache| cache.pool.strong_count() > 0);
            all.push(cache);
            pointer
        });
        self.last.set((pool, cache));
        cache
    }
}

impl Drop for Caches {
    fn drop(&mut self) {
        for cache in self.all.get_mut().drain(..) {
            if let Some(pool) = cache.pool.upgrade() {
                pool.remove_cache(&cache);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_party_is_in_a_cache_at_a_time() {
        // Who is turned away must not open the door for the next one.
        let cache = ThreadCache::new(Weak::new(), Arc::default());
        let inside = cache.try_enter();
        assert!(inside.is_some());
        assert!(cache.try_enter().is_none());
        assert!(cache.try_enter().is_none());
        drop(inside);
        assert!(cache.try_enter().is_some());
    }

    #[test]
    fn what_a_thread_keeps_is_bounded() {
        let bytes: usize = (0..CACHED_CLASSES)
            .map(|class| 2 * batch_of(class) as usize * slot_bytes(class))
            .sum();
        assert!(bytes <= 256 << 10, "{bytes}");
    }
}
