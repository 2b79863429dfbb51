//! Key bytes as an index keeps them: short ones in place, long ones on the heap.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;

/// Keys up to this long need no allocation.
const INLINE_BYTES: usize = 22;

/// The bytes of one key, 24 bytes in place. Ordered and compared as the slice they are.
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

impl Borrow<[u8]> for KeyBytes {
    fn borrow(&self) -> &[u8] {
        self.as_slice()
    }
}

impl Ord for KeyBytes {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

impl PartialOrd for KeyBytes {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for KeyBytes {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for KeyBytes {}

impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}
