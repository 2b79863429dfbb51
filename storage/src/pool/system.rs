//! Memory straight from the system, aligned as asked, zeroed, and gone at once when dropped.
//!
//! The allocator of the language's library is not used for it where that can be helped: it keeps
//! what was freed for later, so that a database which shrank would not be smaller for its host.
//! Elsewhere than on Linux it is used all the same.

use std::ptr::NonNull;

/// Zeroed memory that belongs to whoever has this value.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
    align: usize,
}

// SAFETY: memory has no thread.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Takes `bytes` bytes at a multiple of `align`, both of them multiples of the page's size and
    /// not zero; `None` where the system has none.
    pub(super) fn new(bytes: usize, align: usize) -> Option<Self> {
        #[cfg(test)]
        if IS_EXHAUSTED.get() {
            return None;
        }
        let start = imp::map(bytes, align)?;
        Some(Self {
            start,
            bytes,
            align,
        })
    }

    /// Where it starts.
    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Asks for huge pages, or for none; it is only advice.
    pub(super) fn advise(&self, huge: bool) {
        imp::advise(self.start, self.bytes, huge);
    }

    /// Lets the memory stay taken without the value.
    pub(super) fn keep(self) {
        std::mem::forget(self);
    }

    /// The value of a mapping that was [kept](Self::keep).
    ///
    /// # Safety
    /// A mapping of these bytes and this alignment starts there, was kept, and nobody else takes it
    /// up again.
    pub(super) unsafe fn kept(start: NonNull<u8>, bytes: usize, align: usize) -> Self {
        Self {
            start,
            bytes,
            align,
        }
    }
}

#[cfg(test)]
thread_local! {
    static IS_EXHAUSTED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Does something while the system has no memory for this thread.
#[cfg(test)]
pub(super) fn while_exhausted<T>(run: impl FnOnce() -> T) -> T {
    IS_EXHAUSTED.set(true);
    let result = run();
    IS_EXHAUSTED.set(false);
    result
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and nobody has a pointer into it: who handed out
        // parts of it drops it when all have come back.
        unsafe { imp::unmap(self.start, self.bytes, self.align) }
    }
}

/// Asks for small pages from now on, in a mapping that is in use.
pub(super) fn advise_small(start: NonNull<u8>, bytes: usize) {
    imp::advise(start, bytes, false);
}

/// Has the system take the memory of whole pages back; the addresses stay, and are zero when they are used again.
/// Returns whether it does so: not on all systems, nor where its pages are larger than ours.
pub(super) fn purge(start: NonNull<u8>, bytes: usize) -> bool {
    imp::purge(start, bytes)
}

/// Bytes of a huge page where it matters: nowhere is anything wrong where they are others.
const HUGE_BYTES: usize = 2 << 20;

/// Has a vector hold that many elements without growing; where that is much, they come into huge pages. Memory
/// that is filled once and read once costs more to be made resident, page by page, than what is done with it.
pub fn reserve_huge<T>(vector: &mut Vec<T>, capacity: usize) {
    vector.reserve_exact(capacity.saturating_sub(vector.len()));
    let spare = vector.spare_capacity_mut();
    let start: *mut u8 = spare.as_mut_ptr().cast();
    let before = start.align_offset(HUGE_BYTES);
    let whole = size_of_val(spare).saturating_sub(before) / HUGE_BYTES * HUGE_BYTES;
    if let Some(first) = NonNull::new(start.wrapping_add(before)).filter(|_| whole > 0) {
        imp::advise(first, whole, true);
    }
}

/// Has the allocator of Rust's collections give the system what it keeps for its next requests: the ledger does not
/// count that. glibc keeps tens of megabytes once large pieces were freed.
pub fn trim_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the function may be called at any time, by any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
    use std::ptr::{self, NonNull};

    pub(super) fn map(bytes: usize, align: usize) -> Option<NonNull<u8>> {
        // The system places mappings side by side, so that one of a round size mostly follows
        // another one at a round place.
        let start = anonymous(bytes)?;
        if start.addr().get().is_multiple_of(align) {
            return Some(start);
        }
        // SAFETY: just mapped, and not handed out.
        unsafe { unmap(start, bytes, align) };
        let wide = bytes.checked_add(align)?;
        let start = anonymous(wide)?;
        let before = start.addr().get().next_multiple_of(align) - start.addr().get();
        // SAFETY: both offsets are within the mapping, which is `align` longer than what stays; the
        // ends that are cut off were not handed out.
        unsafe {
            let inner = start.add(before);
            if before > 0 {
                unmap(start, before, align);
            }
            if align > before {
                unmap(inner.add(bytes), align - before, align);
            }
            Some(inner)
        }
    }

    fn anonymous(bytes: usize) -> Option<NonNull<u8>> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new private mapping at a place of the system's choice replaces nothing.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), bytes, access, MapFlags::PRIVATE) };
        NonNull::new(start.ok()?.cast())
    }

    pub(super) fn advise(start: NonNull<u8>, bytes: usize, huge: bool) {
        let advice = match huge {
            true => Advice::LinuxHugepage,
            false => Advice::LinuxNoHugepage,
        };
        // SAFETY: the advice changes what pages the mapping is made of, not what it holds.
        let advised = unsafe { madvise(start.as_ptr().cast(), bytes, advice) };
        // A system without huge pages says so; small ones do.
        let _ = advised;
    }

    pub(super) fn purge(start: NonNull<u8>, bytes: usize) -> bool {
        // SAFETY: the caller has these pages for itself and wants nothing of what is in them. Where they are no
        // whole pages of the system, it refuses.
        let advised = unsafe { madvise(start.as_ptr().cast(), bytes, Advice::LinuxDontNeed) };
        advised.is_ok()
    }

    /// # Safety
    /// The bytes are mapped, the caller's own, and nobody has a pointer to them.
    pub(super) unsafe fn unmap(start: NonNull<u8>, bytes: usize, _align: usize) {
        // SAFETY: by contract.
        let unmapped = unsafe { munmap(start.as_ptr().cast(), bytes) };
        // It fails where cutting a mapping in two needs more of them than the system allows. Then
        // the pages stay mapped, unused.
        debug_assert!(unmapped.is_ok(), "what is unmapped was mapped");
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::alloc::{Layout, alloc_zeroed, dealloc};
    use std::ptr::NonNull;

    pub(super) fn map(bytes: usize, align: usize) -> Option<NonNull<u8>> {
        let layout = Layout::from_size_align(bytes, align).ok()?;
        // SAFETY: by the contract of `Mapping::new` the size is not zero.
        NonNull::new(unsafe { alloc_zeroed(layout) })
    }

    pub(super) fn advise(_start: NonNull<u8>, _bytes: usize, _huge: bool) {}

    pub(super) fn purge(_start: NonNull<u8>, _bytes: usize) -> bool {
        false
    }

    /// # Safety
    /// `map` gave the memory for these bytes and this alignment, and nobody has a pointer to it.
    pub(super) unsafe fn unmap(start: NonNull<u8>, bytes: usize, align: usize) {
        let layout = Layout::from_size_align(bytes, align).expect("it was allocated with it");
        // SAFETY: by contract.
        unsafe { dealloc(start.as_ptr(), layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_aligned_and_zeroed_and_can_be_written_to_its_end() {
        for (bytes, align) in [(2 << 20, 2 << 20), (64 << 10, 4096), (6 << 20, 4 << 20)] {
            let held: Vec<_> = (0..3)
                .map(|_| Mapping::new(bytes, align).unwrap())
                .collect();
            for mapping in &held {
                mapping.advise(true);
                let start = mapping.start();
                assert!(start.addr().get().is_multiple_of(align));
                // SAFETY: the mapping has that many bytes and is ours alone.
                let all = unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), bytes) };
                assert!(all.iter().step_by(512).all(|byte| *byte == 0));
                all[bytes - 1] = 1;
            }
        }
    }

    #[test]
    fn a_vector_of_huge_pages_is_one_like_any_other() {
        for wanted in [0, 1, 300_000, 3_000_000] {
            let mut vector: Vec<u64> = vec![7];
            reserve_huge(&mut vector, wanted);
            assert!(vector.capacity() >= wanted);
            let room = vector.as_ptr();
            vector.extend(1..wanted as u64);
            assert_eq!(vector.as_ptr(), room);
            assert!(vector.iter().skip(1).copied().eq(1..wanted as u64));
        }
    }

    #[test]
    fn more_than_the_system_has_is_refused() {
        assert!(Mapping::new(isize::MAX as usize & !0xffff, 4096).is_none());
    }
}
