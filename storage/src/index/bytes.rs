//! Bytes of keys as an index keeps them: short ones in place, long ones on the heap.

use std::fmt;

/// Keys up to this long need no allocation.
const INLINE_BYTES: usize = 22;

/// The bytes of one key, 24 bytes in place.
pub(super) enum KeyBytes {
    Inline { len: u8, bytes: [u8; INLINE_BYTES] },
    Heap(Box<[u8]>),
}

const _: () = assert!(size_of::<KeyBytes>() == 24, "a key is three words");

impl KeyBytes {
    pub(super) fn new(key: &[u8]) -> Self {
        if key.len() > INLINE_BYTES {
            return Self::Heap(key.into());
        }
        let mut bytes = [0; INLINE_BYTES];
        bytes[..key.len()].copy_from_slice(key);
        Self::Inline {
            len: key.len() as u8,
            bytes,
        }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Self::Heap(bytes) => bytes,
        }
    }

    /// Upper bound of the heap bytes of a key of `len` bytes, the allocator's own included.
    pub(super) fn heap_bytes(len: usize) -> u64 {
        match len {
            0..=INLINE_BYTES => 0,
            _ => (len as u64 + 16).next_multiple_of(16),
        }
    }
}

impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}
