//! One value as bytes in a row.

use super::layout::VIEW_BYTES;
use crate::value::ValueRef;

/// Strings up to this length are inside their view.
pub(super) const INLINE_BYTES: usize = 12;

/// A string view, Arrow's ByteView: `length 4 | data 12`, or `length 4 | prefix 4 | buffer 4 |
/// offset 4`.
#[derive(Clone, Copy)]
pub(super) struct View(pub(super) [u8; VIEW_BYTES]);

impl View {
    /// # Panics
    /// When the string has more than [`INLINE_BYTES`] bytes.
    #[inline]
    pub(super) fn inline(string: &[u8]) -> Self {
        let view = string.len() as u128 | short(string) << 32;
        Self(view.to_le_bytes())
    }

    #[inline]
    pub(super) fn outside(string: &[u8], buffer: u32, offset: u32) -> Self {
        let prefix = short(&string[..4]) << 32;
        let place = u128::from(buffer) << 64 | u128::from(offset) << 96;
        Self((string.len() as u128 | prefix | place).to_le_bytes())
    }

    #[inline]
    fn word(self, number: usize) -> u32 {
        u32::from_le_bytes(self.0.as_chunks().0[number])
    }

    #[inline]
    pub(super) fn len(self) -> usize {
        self.word(0) as usize
    }

    #[inline]
    pub(super) fn is_inline(self) -> bool {
        self.len() <= INLINE_BYTES
    }

    #[inline]
    pub(super) fn buffer(self) -> u32 {
        self.word(2)
    }

    #[inline]
    pub(super) fn offset(self) -> u32 {
        self.word(3)
    }
}

/// The bytes of a short string as an integer, the first one lowest; without a call to copy them.
/// First and last parts may overlap: there, both say the same.
#[inline]
fn short(string: &[u8]) -> u128 {
    let len = string.len();
    assert!(len <= INLINE_BYTES, "short enough to be in its view");
    if let (Some(first), Some(last)) = (string.first_chunk(), string.last_chunk()) {
        let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
        return u128::from(first) | u128::from(last) << (8 * (len - 8));
    }
    if let (Some(first), Some(last)) = (string.first_chunk(), string.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return u128::from(first) | u128::from(last) << (8 * (len - 4));
    }
    let bytes = string.iter().rev();
    bytes.fold(0, |word, byte| word << 8 | u128::from(*byte))
}

/// The bytes of a value that is held as a string.
#[inline]
pub(super) fn string_of<'v>(value: &ValueRef<'v>) -> Option<&'v [u8]> {
    value.bytes()
}
