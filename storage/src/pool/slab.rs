//! The slab pool: memory of any size from the system, counted, shared, and given back.
//!
//! 1. A request of up to 64 KiB gets a slot of its size class (`class.rs`); the class takes slots
//!    from slabs, the slabs come from extents of 2 MiB (`extent.rs`).
//! 2. A larger request goes to the system whole.
//! 3. Every byte taken from the system is reserved in the ledger before it is taken: extents under
//!    [`Owner::Pool`], large requests under their owner. Slots are noted under their owner.
//!
//! Each class has its own latch, held for a few dozen instructions and never across a call to the
//! system except when the class needs a slab; one more latch guards the extents. The order is
//! class, then extents.
//!
//! Invariants
//! - A live slot is in no list; its slab's `used` counts it.
//! - A class lists exactly those of its slabs that have room and are not empty.
//! - When everything is freed, nothing is held: no extent, no reservation.

use super::class::{CLASSES, SLOT_BYTES_MAX, SLOT_BYTES_MIN, class_of, slot_bytes};
use super::extent::{Extents, SlabList, slab_of, system_refused};
use super::ledger::{Ledger, Owner};
use crate::error::{Error, Result};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

/// What one size class holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClassStats {
    /// Bytes of a slot; 0 for the large requests, which have no slots.
    pub slot_bytes: usize,
    /// Slots (or large requests) in use.
    pub slots_used: u64,
    /// Slabs the class has.
    pub slabs: u64,
    /// Bytes in use, as rounded up to slots.
    pub bytes_used: u64,
}

/// One size class.
struct Class {
    /// Slabs with room.
    open: SlabList,
    slabs: u64,
    used: u64,
}

/// The allocator.
pub struct Pool {
    ledger: Arc<Ledger>,
    classes: [Mutex<Class>; CLASSES],
    extents: Mutex<Extents>,
    large_count: AtomicU64,
    large_bytes: AtomicU64,
}

impl Pool {
    /// A pool that reserves from `ledger`.
    pub fn new(ledger: Arc<Ledger>) -> Arc<Self> {
        let class = |_| {
            Mutex::new(Class {
                open: SlabList::new(),
                slabs: 0,
                used: 0,
            })
        };
        Arc::new(Self {
            ledger,
            classes: std::array::from_fn(class),
            extents: Mutex::new(Extents::new()),
            large_count: AtomicU64::new(0),
            large_bytes: AtomicU64::new(0),
        })
    }

    /// The ledger that everything is reserved from.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// At least `bytes` bytes, zeroed, aligned to 16; or [`crate::Error::OutOfMemory`].
    pub fn allocate(&self, owner: Owner, bytes: usize) -> Result<NonNull<u8>> {
        self.allocate_within(owner, bytes, false)
    }

    /// Like [`Self::allocate`], but may dip into the emergency reserve of the ledger.
    pub fn allocate_emergency(&self, owner: Owner, bytes: usize) -> Result<NonNull<u8>> {
        self.allocate_within(owner, bytes, true)
    }

    /// Gives memory back.
    ///
    /// # Safety
    /// `pointer` came from this pool for the same `owner` and the same `bytes`, was not given back
    /// before, and nobody reads or writes through it any more.
    pub unsafe fn free(&self, owner: Owner, pointer: NonNull<u8>, bytes: usize) {
        if bytes > SLOT_BYTES_MAX {
            // SAFETY: by contract the pointer is a large allocation of that many bytes.
            return unsafe { self.free_large(owner, pointer, bytes) };
        }
        let class = class_of(bytes);
        {
            let mut held = self.classes[class].lock();
            held.used -= 1;
            // SAFETY: by contract the pointer is a live slot, so its extent is live.
            let slab = unsafe { slab_of(pointer) };
            // SAFETY: the slab is in use by this class (it has a live slot of it), whose latch is
            // held: nobody else reaches it. Lists are changed as the module's invariant says.
            unsafe {
                debug_assert_eq!(
                    (*slab).class(),
                    class,
                    "freed with the size it was taken with"
                );
                let was_open = (*slab).has_room();
                (*slab).give(pointer);
                if (*slab).is_empty() {
                    if was_open {
                        held.open.unlink(slab);
                    }
                    held.slabs -= 1;
                    self.extents.lock().give_slab(slab);
                } else if !was_open {
                    held.open.push(slab);
                }
            }
        }
        self.ledger.slot_given(owner, slot_bytes(class) as u64);
    }

    /// What the classes hold, a line a class, smallest first; the last line is the large requests.
    pub fn stats(&self) -> Vec<ClassStats> {
        let mut lines: Vec<_> = (0..CLASSES)
            .map(|class| {
                let held = self.classes[class].lock();
                ClassStats {
                    slot_bytes: slot_bytes(class),
                    slots_used: held.used,
                    slabs: held.slabs,
                    bytes_used: held.used * slot_bytes(class) as u64,
                }
            })
            .collect();
        lines.push(ClassStats {
            slot_bytes: 0,
            slots_used: self.large_count.load(Relaxed),
            slabs: 0,
            bytes_used: self.large_bytes.load(Relaxed),
        });
        lines
    }

    /// How many extents of [`super::EXTENT_BYTES`] the pool has from the system now.
    pub fn extents(&self) -> usize {
        self.extents.lock().count()
    }

    fn allocate_within(&self, owner: Owner, bytes: usize, emergency: bool) -> Result<NonNull<u8>> {
        if bytes > SLOT_BYTES_MAX {
            return self.allocate_large(owner, bytes, emergency);
        }
        let class = class_of(bytes);
        let slot = self.take_slot(class, emergency)?;
        self.ledger.slot_taken(owner, slot_bytes(class) as u64);
        // SAFETY: the slot has that many bytes and is ours alone now. It is cleared outside the
        // latch, so that a large slot does not keep others waiting.
        unsafe { slot.write_bytes(0, slot_bytes(class)) };
        Ok(slot)
    }

    fn take_slot(&self, class: usize, emergency: bool) -> Result<NonNull<u8>> {
        let mut held = self.classes[class].lock();
        let slab = match held.open.first() {
            Some(slab) => slab.as_ptr(),
            None => {
                let mut extents = self.extents.lock();
                let slab = extents.take_slab(&self.ledger, class, emergency)?;
                drop(extents);
                held.slabs += 1;
                // SAFETY: the slab is new to this class and in no list.
                unsafe { held.open.push(slab) };
                slab
            }
        };
        held.used += 1;
        // SAFETY: the slab is in this class's list, whose latch is held: nobody else reaches it.
        unsafe {
            let slot = (*slab).take();
            if !(*slab).has_room() {
                held.open.unlink(slab);
            }
            Ok(slot)
        }
    }

    fn allocate_large(&self, owner: Owner, bytes: usize, emergency: bool) -> Result<NonNull<u8>> {
        let layout = large_layout(bytes).ok_or(Error::LimitExceeded {
            what: "allocation",
            found: bytes as u64,
            limit: isize::MAX as u64,
        })?;
        let reservation = match emergency {
            true => self.ledger.reserve_emergency(owner, bytes as u64)?,
            false => self.ledger.reserve(owner, bytes as u64)?,
        };
        // SAFETY: the layout's size is above SLOT_BYTES_MAX, so not zero.
        let pointer = NonNull::new(unsafe { alloc_zeroed(layout) })
            .ok_or_else(|| system_refused(&self.ledger, bytes as u64))?;
        self.large_count.fetch_add(1, Relaxed);
        self.large_bytes.fetch_add(bytes as u64, Relaxed);
        // The bytes stay reserved until `free_large`; nobody has to carry the reservation.
        reservation.keep();
        Ok(pointer)
    }

    /// # Safety
    /// As for [`Self::free`], for `bytes` above [`SLOT_BYTES_MAX`].
    unsafe fn free_large(&self, owner: Owner, pointer: NonNull<u8>, bytes: usize) {
        let layout = large_layout(bytes).expect("it was allocated with this layout");
        // SAFETY: by contract the pointer was allocated with this layout and is given up.
        unsafe { dealloc(pointer.as_ptr(), layout) };
        self.large_count.fetch_sub(1, Relaxed);
        self.large_bytes.fetch_sub(bytes as u64, Relaxed);
        self.ledger.give(owner, bytes as u64);
    }
}

fn large_layout(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes, SLOT_BYTES_MIN).ok()
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("extents", &self.extents())
            .field("large_bytes", &self.large_bytes.load(Relaxed))
            .finish_non_exhaustive()
    }
}
