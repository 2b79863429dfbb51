//! Size classes: which slot a request of some bytes gets.
//!
//! Four classes between two powers of two, so that a slot is at most a quarter larger than what
//! was asked for (beyond 64 bytes): 16 32 48 64 80 96 112 128 160 192 224 256 320 .. 14336 16384.
//! All are multiples of 16, which is the alignment that the pool promises.

use super::pages::PAGE_BYTES;
use super::slab::SLAB_BYTES;

/// The smallest slot, and the alignment of all.
pub(super) const SLOT_BYTES_MIN: usize = 16;
/// The largest slot; a larger request gets pages in a row, or memory of its own from the system.
pub const SLOT_BYTES_MAX: usize = 16 << 10;
/// How many classes there are.
pub(super) const CLASSES: usize = class_of(SLOT_BYTES_MAX) + 1;

/// The class of a request; `bytes` is at most [`SLOT_BYTES_MAX`].
pub(super) const fn class_of(bytes: usize) -> usize {
    if bytes <= 128 {
        return bytes.saturating_sub(1) / SLOT_BYTES_MIN;
    }
    // For 2^n < bytes <= 2^(n+1): the quarter of that octave that bytes falls into.
    let last = bytes - 1;
    let octave = last.ilog2() as usize;
    let quarter = (last >> (octave - 2)) & 3;
    8 + (octave - 7) * 4 + quarter
}

/// Bytes of a slot of the class.
pub(super) const fn slot_bytes(class: usize) -> usize {
    if class < 8 {
        return (class + 1) * SLOT_BYTES_MIN;
    }
    let (octave, quarter) = ((class - 8) / 4 + 7, (class - 8) % 4);
    (5 + quarter) << (octave - 2)
}

/// Slots of a slab of the class.
pub(super) const fn slab_slots(class: usize) -> usize {
    SLAB_BYTES / slot_bytes(class)
}

/// Pages of a slab of the class: its window may be longer than all of its slots.
pub(super) const fn slab_pages(class: usize) -> usize {
    (slab_slots(class) * slot_bytes(class)).div_ceil(PAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_gets_the_smallest_slot_that_holds_it() {
        for bytes in 1..=SLOT_BYTES_MAX {
            let class = class_of(bytes);
            assert!(slot_bytes(class) >= bytes, "{bytes} fits its slot");
            assert_eq!(slot_bytes(class) % SLOT_BYTES_MIN, 0);
            assert!(class == 0 || slot_bytes(class - 1) < bytes, "{bytes}");
        }
        assert_eq!(slot_bytes(CLASSES - 1), SLOT_BYTES_MAX);
        assert_eq!(class_of(0), 0);
    }

    #[test]
    fn a_slab_has_the_pages_that_its_slots_take_and_no_more() {
        for class in 0..CLASSES {
            let bytes = slab_slots(class) * slot_bytes(class);
            let pages = slab_pages(class) * PAGE_BYTES;
            assert!(bytes <= pages && pages < bytes + PAGE_BYTES && pages <= SLAB_BYTES);
        }
        assert_eq!((slab_slots(CLASSES - 1), slab_pages(CLASSES - 1)), (4, 16));
    }
}
