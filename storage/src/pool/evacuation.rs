//! Evacuation: emptying sparse slabs, so that their pages can serve other requests.
//!
//! A slab serves one class until its last slot is free. After a burst, slabs may be left of which a few slots are
//! used: memory that is free, that the ledger counts, and that no other class can have. So the records that are
//! left there are moved:
//!
//! ```text
//!   begin_evacuation    closes the sparsest slabs of each class: nothing is taken from them any more,
//!                       a slot that is freed there goes to no thread's cache
//!   is_evacuating(p)    tells an owner that its record lies in one: it allocates anew,
//!                       swings its links, and frees the old record as always
//!   (the last slot)     the slab's pages are free
//!   end_evacuation      slabs that could not be emptied serve again
//! ```
//!
//! Emptying never costs memory that is needed: a request that could not be served otherwise takes a closed slab of
//! its class back.
//!
//! Slabs hold what can move: version records and index nodes. Blocks of rows and their pieces have pages of their
//! own, and pages need no emptying. A slab is closed only if what it holds finds room in others of its class: if
//! a new slab had to come for it, nothing would be won.

use super::allocator::{ClassState, Pool};
use super::class::{CLASSES, slab_pages};
use super::pages::PAGE_BYTES;
use super::slab::Slab;
use crate::sync::atomic::Ordering::Relaxed;

impl Pool {
    /// Closes the sparsest slabs of each class, of whose slots at most `percent` are used, as long as what they
    /// hold finds room in the others. Returns how many bytes their pages are.
    pub fn begin_evacuation(&self, percent: u32) -> u64 {
        // What threads keep would count as used.
        self.shed_caches();
        let mut bytes = 0;
        for class in 0..CLASSES {
            let mut held = self.classes[class].0.lock();
            for slab in sparse(&held, percent) {
                // SAFETY: an open slab of this class, whose latch is held.
                unsafe {
                    held.open.unlink(slab);
                    held.closed.push(slab);
                }
                self.evacuating.fetch_add(1, Relaxed);
                bytes += slab_bytes(class);
            }
        }
        // Whoever frees a slot from now on sees the mark; this takes out what was kept before.
        self.shed_caches();
        bytes
    }

    /// Returns how many bytes the slabs have that [`Self::begin_evacuation`] would close.
    pub fn evacuable_bytes(&self, percent: u32) -> u64 {
        let of_class = |class: usize| {
            let held = self.classes[class].0.lock();
            sparse(&held, percent).len() as u64 * slab_bytes(class)
        };
        (0..CLASSES).map(of_class).sum()
    }

    /// Lets all slabs that were closed serve again. Returns how many had not become empty.
    pub fn end_evacuation(&self) -> usize {
        let mut left = 0;
        for class in &self.classes {
            let mut held = class.0.lock();
            while self.reopen(&mut held) {
                left += 1;
            }
        }
        left
    }

    /// How many slabs are being emptied.
    pub fn evacuating(&self) -> usize {
        self.evacuating.load(Relaxed)
    }
}

fn slab_bytes(class: usize) -> u64 {
    (slab_pages(class) * PAGE_BYTES) as u64
}

/// Returns the sparsest slabs of a class, as many as find room in the others.
fn sparse(held: &ClassState, percent: u32) -> Vec<*mut Slab> {
    // SAFETY: the open slabs of a class are alive, and reached by who holds its latch.
    let figures = |slab: *mut Slab| unsafe { ((*slab).used(), (*slab).room(), slab) };
    let mut slabs: Vec<_> = held.open.all().map(figures).collect();
    slabs.sort_unstable_by_key(|(used, ..)| *used);
    let mut room: u32 = slabs.iter().map(|(_, room, _)| room).sum();
    let mut moved = 0;
    slabs.retain(|(used, of_slab, _)| {
        let is_sparse = used * 100 <= (used + of_slab) * percent;
        let fits = is_sparse && moved + used <= room - of_slab;
        if fits {
            moved += used;
            room -= of_slab;
        }
        fits
    });
    slabs.into_iter().map(|(.., slab)| slab).collect()
}
