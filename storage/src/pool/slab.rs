//! Slabs: up to 64 KiB of one extent that serve slots of one size.
//!
//! ```text
//!  [ slot ][ freed ][ slot ][ slot ][ freed ][ never touched ..            ]
//!             |                         ^          ^
//!             +---- next ---------------+          touched
//! ```
//!
//! A slab remembers its freed slots in a list that runs through the slots themselves, and hands out
//! slots that were never used in order of address, so that memory is not touched before it is
//! needed.
//!
//! Invariants
//! - A slab is reached by one party at a time: the latch over the extents while it is free, the
//!   latch of its class while it is in use. Its `class` and `base` are constant meanwhile. Only
//!   `closed` may be read by anybody.
//! - A slab is among its class's open slabs exactly while `open` is set, in the list of its `level`; among its
//!   closed ones, which hand out nothing, exactly while `closed` is set. It is never in both, nor in one of them
//!   while its pages are free.

use super::class::{slab_slots, slot_bytes};
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::ptr::{self, NonNull};

/// The window of an extent that a size class takes at a time.
pub(super) const SLAB_BYTES: usize = 64 << 10;

/// Lists of open slabs, by how full they are.
const LEVELS: usize = 8;
/// Slabs with so many slots are told apart by how full they are.
const SLOTS_MANY: usize = LEVELS;

/// A freed slot: its first bytes name the next one.
pub(super) struct FreeSlot {
    pub(super) next: *mut FreeSlot,
}

/// One slab's bookkeeping.
#[repr(align(64))]
pub(super) struct Slab {
    next: *mut Slab,
    previous: *mut Slab,
    freed: *mut FreeSlot,
    base: *mut u8,
    class: u32,
    /// Slots that were ever in use; those beyond have not been touched.
    touched: u32,
    /// Slots in use.
    used: u32,
    /// Whether it is among its class's slabs with room.
    pub(super) open: bool,
    /// In which of their lists it is, while it is open.
    level: u8,
    /// Whether it is being emptied and hands out nothing more. Written under the latch, read by anybody.
    closed: AtomicBool,
}

impl Slab {
    pub(super) fn new() -> Self {
        Self {
            next: ptr::null_mut(),
            previous: ptr::null_mut(),
            freed: ptr::null_mut(),
            base: ptr::null_mut(),
            class: 0,
            touched: 0,
            used: 0,
            open: false,
            level: 0,
            closed: AtomicBool::new(false),
        }
    }

    /// Begins to serve `class` with the memory at `base`.
    pub(super) fn begin(&mut self, base: *mut u8, class: usize) {
        debug_assert!(
            self.is_empty() && !self.open && !self.is_closed_now(),
            "a free slab is empty"
        );
        self.base = base;
        self.class = class as u32;
        self.freed = ptr::null_mut();
        self.touched = 0;
    }

    /// How many slots a slab of the class has.
    pub(super) fn capacity(class: usize) -> u32 {
        slab_slots(class) as u32
    }

    /// Slots in use.
    pub(super) fn used(&self) -> u32 {
        self.used
    }

    /// Slots that are left.
    pub(super) fn room(&self) -> u32 {
        Self::capacity(self.class()) - self.used()
    }

    /// Whether it is being emptied, for callers without the latch.
    ///
    /// # Safety
    /// The slab's bookkeeping is alive.
    pub(super) unsafe fn is_closed(slab: *const Self) -> bool {
        // SAFETY: by contract; no reference is made to what others may be changing.
        let closed = unsafe { &(*slab).closed };
        closed.load(Relaxed)
    }

    /// Whether it is being emptied.
    pub(super) fn is_closed_now(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// Whether a slot is left.
    pub(super) fn has_room(&self) -> bool {
        self.room() > 0
    }

    /// How full it is: the list that it belongs to while it is open. Slabs of few slots are in one list.
    fn fullness(&self) -> u8 {
        let capacity = Self::capacity(self.class()) as usize;
        match capacity < SLOTS_MANY {
            true => 0,
            false => (self.used() as usize * LEVELS / capacity).min(LEVELS - 1) as u8,
        }
    }

    /// Whether no slot is in use.
    pub(super) fn is_empty(&self) -> bool {
        self.used() == 0
    }

    /// The class the slab serves.
    pub(super) fn class(&self) -> usize {
        self.class as usize
    }

    /// Takes a slot; the caller saw that there is room.
    pub(super) fn take(&mut self) -> NonNull<u8> {
        debug_assert!(self.has_room(), "a slot is taken where there is room");
        self.used += 1;
        let slot = if self.freed.is_null() {
            let offset = self.touched as usize * slot_bytes(self.class());
            self.touched += 1;
            // SAFETY: touched < capacity, because no slot was freed and not all are in use; so
            // the slot lies within the slab's memory.
            unsafe { self.base.add(offset) }
        } else {
            let slot = self.freed;
            // SAFETY: the freed list holds free slots of this slab only, each written by `give`,
            // and this slab is reached by one party at a time.
            self.freed = unsafe { (*slot).next };
            slot.cast()
        };
        NonNull::new(slot).expect("a slot lies within an extent")
    }

    /// Puts a slot back.
    ///
    /// # Safety
    /// `take` of this slab returned the slot, and nobody uses it any more.
    pub(super) unsafe fn give(&mut self, slot: NonNull<FreeSlot>) {
        debug_assert!(self.used() > 0, "a slot is freed once");
        // SAFETY: the caller gave the slot up; it is at least 16 bytes, aligned to 16.
        unsafe { slot.write(FreeSlot { next: self.freed }) };
        self.freed = slot.as_ptr();
        self.used -= 1;
    }
}

/// The slabs of a class that have room, in lists by how full they are, so that slots are taken where
/// most are used already, and the last ones elsewhere can go.
pub(super) struct OpenSlabs {
    lists: [SlabList; LEVELS],
}

impl OpenSlabs {
    pub(super) const fn new() -> Self {
        Self {
            lists: [const { SlabList::new() }; LEVELS],
        }
    }

    /// One of the fullest: the one of these that was listed last.
    pub(super) fn fullest(&self) -> Option<NonNull<Slab>> {
        let mut lists = self.lists.iter().rev();
        lists.find_map(|list| NonNull::new(list.first))
    }

    /// Adds a slab.
    ///
    /// # Safety
    /// The slab is alive, in no list, and the caller may reach it.
    pub(super) unsafe fn push(&mut self, slab: *mut Slab) {
        // SAFETY: by contract.
        unsafe {
            debug_assert!(!(*slab).open, "a slab is in one list");
            (*slab).open = true;
            (*slab).level = (*slab).fullness();
            self.lists[usize::from((*slab).level)].push(slab);
        }
    }

    /// Takes a slab out.
    ///
    /// # Safety
    /// The slab is one of these.
    pub(super) unsafe fn unlink(&mut self, slab: *mut Slab) {
        // SAFETY: by contract.
        unsafe {
            (*slab).open = false;
            self.lists[usize::from((*slab).level)].unlink(slab);
        }
    }

    /// Puts a slab in the list that it belongs to by now.
    ///
    /// # Safety
    /// The slab is one of these.
    pub(super) unsafe fn relist(&mut self, slab: *mut Slab) {
        // SAFETY: by contract.
        unsafe {
            if (*slab).level != (*slab).fullness() {
                self.unlink(slab);
                self.push(slab);
            }
        }
    }
}

impl OpenSlabs {
    /// All of them. The caller may reach the slabs as long as it holds the latch of their class.
    pub(super) fn all(&self) -> impl Iterator<Item = *mut Slab> {
        self.lists.iter().flat_map(SlabList::all)
    }
}

/// The slabs of a class that are being emptied.
pub(super) struct ClosedSlabs(SlabList);

impl ClosedSlabs {
    pub(super) const fn new() -> Self {
        Self(SlabList::new())
    }

    /// Adds a slab.
    ///
    /// # Safety
    /// The slab is alive, in no list, and the caller may reach it.
    pub(super) unsafe fn push(&mut self, slab: *mut Slab) {
        // SAFETY: by contract.
        unsafe {
            (*slab).closed.store(true, Relaxed);
            self.0.push(slab);
        }
    }

    /// Takes a slab out.
    ///
    /// # Safety
    /// The slab is one of these.
    pub(super) unsafe fn unlink(&mut self, slab: *mut Slab) {
        // SAFETY: by contract.
        unsafe {
            (*slab).closed.store(false, Relaxed);
            self.0.unlink(slab);
        }
    }

    /// Takes some slab out.
    pub(super) fn pop(&mut self) -> Option<*mut Slab> {
        let slab = NonNull::new(self.0.first)?.as_ptr();
        // SAFETY: it is one of these.
        unsafe { self.unlink(slab) };
        Some(slab)
    }
}

/// A list of slabs, linked through the slabs themselves.
struct SlabList {
    first: *mut Slab,
}

// SAFETY: a list owns the right to reach its slabs (see the module's invariants), and a slab is
// plain data that no thread has a special claim on.
unsafe impl Send for SlabList {}

impl SlabList {
    const fn new() -> Self {
        Self {
            first: ptr::null_mut(),
        }
    }

    fn all(&self) -> impl Iterator<Item = *mut Slab> {
        let mut next = self.first;
        std::iter::from_fn(move || {
            let slab = NonNull::new(next)?.as_ptr();
            // SAFETY: a list owns the right to reach its slabs.
            next = unsafe { (*slab).next };
            Some(slab)
        })
    }

    /// Adds a slab that is in no list.
    ///
    /// # Safety
    /// The slab is alive, in no list, and the caller may reach it.
    unsafe fn push(&mut self, slab: *mut Slab) {
        // SAFETY: by contract the slab may be reached, and so may the slabs of this list.
        unsafe {
            (*slab).previous = ptr::null_mut();
            (*slab).next = self.first;
            if !self.first.is_null() {
                (*self.first).previous = slab;
            }
        }
        self.first = slab;
    }

    /// Takes a slab out.
    ///
    /// # Safety
    /// The slab is in this list.
    unsafe fn unlink(&mut self, slab: *mut Slab) {
        // SAFETY: by contract the slab and so its neighbours are in this list, whose slabs may be
        // reached.
        unsafe {
            let (previous, next) = ((*slab).previous, (*slab).next);
            if previous.is_null() {
                self.first = next;
            } else {
                (*previous).next = next;
            }
            if !next.is_null() {
                (*next).previous = previous;
            }
        }
    }
}
