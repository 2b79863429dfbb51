//! Asking the processor for memory that will be looked at soon.

/// Has the processor fetch the cache line at an address, which need not be one of anything.
#[inline(always)]
pub(crate) fn prefetch(_at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing as far as the program can tell: any address will do.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(_at.cast()) };
    }
}
