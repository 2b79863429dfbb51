//! Extents and slabs: how memory comes from the system and is cut up.
//!
//! ```text
//!  extent: 2 MiB, aligned to 2 MiB
//!  +--------+--------------+--------------+-- .. --+--------------+
//!  | header | rest of      | slab 1       |        | slab 15      |   slabs of 128 KiB
//!  |        | slab 0       |              |        |              |
//!  +--------+--------------+--------------+-- .. --+--------------+
//!     ^ found from any address within by clearing its low 21 bits
//! ```
//!
//! A slab serves one size class at a time; an extent serves them all. The header holds the
//! bookkeeping of the 16 slabs, so that freeing needs no look-up anywhere. A slab remembers its
//! freed slots in a list that runs through the slots themselves, and hands out slots that were
//! never used in order of address, so that memory is not touched before it is needed.
//!
//! Invariants
//! - A [`Slab`] is reached by one party at a time: the free list of [`Extents`] while it is free,
//!   the latch of its class while it is in use. Its `class` and `base` are constant meanwhile.
//! - `used == 0` exactly when the slab is free: a slab that becomes empty goes back at once.
//! - An extent whose slabs are all free goes back to the system at once, with its reservation.

use super::class::slot_bytes;
use super::ledger::{Ledger, Owner, Reservation};
use crate::error::{Error, Result};
use std::alloc::{Layout, alloc, dealloc};
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// What the pool takes from the system at a time.
pub const EXTENT_BYTES: usize = 2 << 20;
/// What a size class takes from an extent at a time.
const SLAB_BYTES: usize = 128 << 10;
const SLABS: usize = EXTENT_BYTES / SLAB_BYTES;
/// Bytes at the front of an extent that slab 0 does not have.
const HEADER_BYTES: usize = size_of::<Header>().next_multiple_of(64);

const EXTENT_LAYOUT: Layout = match Layout::from_size_align(EXTENT_BYTES, EXTENT_BYTES) {
    Ok(layout) => layout,
    Err(_) => panic!("a power of two"),
};

struct Header {
    free_slabs: usize,
    /// Held for the life of the extent; dropping it gives the bytes back.
    _reservation: Reservation,
    slabs: [Slab; SLABS],
}

/// A freed slot: its first bytes name the next one.
struct FreeSlot {
    next: *mut FreeSlot,
}

/// One slab's bookkeeping.
pub(super) struct Slab {
    next: *mut Slab,
    previous: *mut Slab,
    freed: *mut FreeSlot,
    base: *mut u8,
    room: u32,
    class: u32,
    /// Slots in use.
    used: u32,
    /// Slots that were ever in use; those beyond have not been touched.
    touched: u32,
}

impl Slab {
    fn capacity(&self) -> u32 {
        self.room / slot_bytes(self.class as usize) as u32
    }

    /// Whether a slot is left.
    pub(super) fn has_room(&self) -> bool {
        self.used < self.capacity()
    }

    /// Whether no slot is in use.
    pub(super) fn is_empty(&self) -> bool {
        self.used == 0
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
            // the slot lies within the slab's room.
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
    pub(super) unsafe fn give(&mut self, slot: NonNull<u8>) {
        debug_assert!(self.used > 0, "a slot is freed once");
        let slot: *mut FreeSlot = slot.as_ptr().cast();
        // SAFETY: the caller gave the slot up; it is at least 16 bytes, aligned to 16.
        unsafe { slot.write(FreeSlot { next: self.freed }) };
        self.freed = slot;
        self.used -= 1;
    }
}

/// The slab that an address belongs to.
///
/// # Safety
/// The address lies in a slab of a live extent.
pub(super) unsafe fn slab_of(slot: NonNull<u8>) -> *mut Slab {
    let address = slot.as_ptr();
    let offset = address.addr() % EXTENT_BYTES;
    // SAFETY: extents are aligned to their size, so the header is `offset` bytes before the
    // address, in the same allocation.
    let header: *mut Header = unsafe { address.sub(offset) }.cast();
    // SAFETY: the extent is live, so its header is initialised; the index is below SLABS. No
    // reference is made to what other parties may be changing.
    unsafe {
        (&raw mut (*header).slabs)
            .cast::<Slab>()
            .add(offset / SLAB_BYTES)
    }
}

/// The slab's extent.
fn header_of(slab: *mut Slab) -> *mut Header {
    slab.map_addr(|address| address - address % EXTENT_BYTES)
        .cast()
}

/// A list of slabs, linked through the slabs themselves.
pub(super) struct SlabList {
    first: *mut Slab,
}

// SAFETY: a list owns the right to reach its slabs (see the module's invariants), and a slab is
// plain data that no thread has a special claim on.
unsafe impl Send for SlabList {}

impl SlabList {
    pub(super) const fn new() -> Self {
        Self {
            first: ptr::null_mut(),
        }
    }

    /// Any slab of the list.
    pub(super) fn first(&self) -> Option<NonNull<Slab>> {
        NonNull::new(self.first)
    }

    /// Adds a slab that is in no list.
    ///
    /// # Safety
    /// The slab is live, in no list, and the caller may reach it.
    pub(super) unsafe fn push(&mut self, slab: *mut Slab) {
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
    pub(super) unsafe fn unlink(&mut self, slab: *mut Slab) {
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

/// All extents: those of their slabs that no class uses.
pub(super) struct Extents {
    free: SlabList,
    count: usize,
}

impl Extents {
    pub(super) const fn new() -> Self {
        Self {
            free: SlabList::new(),
            count: 0,
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// An empty slab for `class`, from a new extent if no slab is free.
    pub(super) fn take_slab(
        &mut self,
        ledger: &Arc<Ledger>,
        class: usize,
        emergency: bool,
    ) -> Result<*mut Slab> {
        let slab = match self.free.first() {
            Some(slab) => slab.as_ptr(),
            None => self.grow(ledger, emergency)?,
        };
        // SAFETY: the slab is in the free list of this value, which the caller holds exclusively.
        unsafe {
            self.free.unlink(slab);
            (*header_of(slab)).free_slabs -= 1;
            (*slab).class = class as u32;
            (*slab).freed = ptr::null_mut();
            (*slab).touched = 0;
            debug_assert!((*slab).is_empty(), "a free slab is empty");
        }
        Ok(slab)
    }

    /// Takes back a slab; the extent goes back to the system with its last one.
    ///
    /// # Safety
    /// The slab came from [`Self::take_slab`] of this value, is empty and in no list.
    pub(super) unsafe fn give_slab(&mut self, slab: *mut Slab) {
        let header = header_of(slab);
        // SAFETY: by contract the slab is live and the caller's; its extent's header belongs to
        // this value, held exclusively.
        unsafe {
            self.free.push(slab);
            (*header).free_slabs += 1;
            if (*header).free_slabs < SLABS {
                return;
            }
            for index in 0..SLABS {
                self.free.unlink(&raw mut (*header).slabs[index]);
            }
            // All slabs are free and out of every list: nothing points into the extent.
            ptr::drop_in_place(header);
            dealloc(header.cast(), EXTENT_LAYOUT);
        }
        self.count -= 1;
    }

    /// Takes an extent from the system; all its slabs become free.
    fn grow(&mut self, ledger: &Arc<Ledger>, emergency: bool) -> Result<*mut Slab> {
        let bytes = EXTENT_BYTES as u64;
        let reservation = match emergency {
            true => ledger.reserve_emergency(Owner::Pool, bytes)?,
            false => ledger.reserve(Owner::Pool, bytes)?,
        };
        // SAFETY: the layout's size is not zero.
        let base = unsafe { alloc(EXTENT_LAYOUT) };
        if base.is_null() {
            return Err(system_refused(ledger, bytes));
        }
        let slabs = std::array::from_fn(|index| {
            let header = if index == 0 { HEADER_BYTES } else { 0 };
            Slab {
                next: ptr::null_mut(),
                previous: ptr::null_mut(),
                freed: ptr::null_mut(),
                // SAFETY: the offset is below EXTENT_BYTES.
                base: unsafe { base.add(index * SLAB_BYTES + header) },
                room: (SLAB_BYTES - header) as u32,
                class: 0,
                used: 0,
                touched: 0,
            }
        });
        let header: *mut Header = base.cast();
        // SAFETY: the allocation is new, aligned to 2 MiB and larger than a header; afterwards
        // each slab is live and in no list.
        unsafe {
            header.write(Header {
                free_slabs: SLABS,
                _reservation: reservation,
                slabs,
            });
            for index in (0..SLABS).rev() {
                self.free.push(&raw mut (*header).slabs[index]);
            }
        }
        self.count += 1;
        Ok(self.free.first)
    }
}

/// The budget allowed it but the system did not.
pub(super) fn system_refused(ledger: &Ledger, wanted: u64) -> Error {
    Error::OutOfMemory {
        wanted,
        owner: "the system allocator",
        available: 0,
        budget: ledger.budget(),
    }
}
