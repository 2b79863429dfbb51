//! A short slice of the adversary of memory; the lab's `stranding` gives it more.

use remora_tests::stranding::{PATTERNS, attempt};

#[test]
fn what_was_freed_of_sixteen_mebibytes_can_be_used() {
    PATTERNS
        .iter()
        .for_each(|pattern| attempt(*pattern, 16 << 20));
}

#[test]
fn what_was_freed_of_forty_eight_mebibytes_can_be_used() {
    PATTERNS
        .iter()
        .for_each(|pattern| attempt(*pattern, 48 << 20));
}
