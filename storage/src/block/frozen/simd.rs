//! Loops that are compiled for several instruction sets, of which the machine's best is taken.
//!
//! The compiler turns a loop without branches into vector instructions, but by default only into
//! those that every machine of a kind has. A *kernel* is such a loop in a function that is compiled
//! again for the wider ones; which one runs is asked when it is called, and the standard library
//! keeps the answer, so that asking costs a load and a test.

/// Makes a function that calls `$body`, which must be `#[inline(always)]`, compiled for this
/// machine.
macro_rules! kernel {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident $(<$generic:ident: $bound:ident>)? ($($arg:ident: $type:ty),* $(,)?)
            $(-> $result:ty)? = $body:path;
    ) => {
        $(#[$meta])*
        $vis fn $name $(<$generic: $bound>)? ($($arg: $type),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi1,bmi2")]
                fn wide $(<$generic: $bound>)? ($($arg: $type),*) $(-> $result)? {
                    $body($($arg),*)
                }
                #[target_feature(enable = "avx2,bmi1,bmi2")]
                fn middle $(<$generic: $bound>)? ($($arg: $type),*) $(-> $result)? {
                    $body($($arg),*)
                }
                if $crate::block::frozen::simd::has_avx512() {
                    // SAFETY: the machine has the instructions.
                    return unsafe { wide($($arg),*) };
                }
                if $crate::block::frozen::simd::has_avx2() {
                    // SAFETY: the machine has the instructions.
                    return unsafe { middle($($arg),*) };
                }
            }
            $body($($arg),*)
        }
    };
}
pub(super) use kernel;

/// Whether there are 512-bit vectors of all widths of integers.
#[cfg(target_arch = "x86_64")]
pub(super) fn has_avx512() -> bool {
    std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512bw")
        && std::arch::is_x86_feature_detected!("avx512dq")
        && std::arch::is_x86_feature_detected!("avx512vl")
        && has_avx2()
}

/// Whether there are 256-bit vectors of integers.
#[cfg(target_arch = "x86_64")]
pub(super) fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
        && std::arch::is_x86_feature_detected!("bmi1")
        && std::arch::is_x86_feature_detected!("bmi2")
}
