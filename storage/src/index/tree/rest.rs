//! What is left of a key on a look-up's way down.
//!
//! The key of one integer column, the most frequent one, is kept in registers: it was written just
//! now, and each look at its bytes would cost instructions that stand between this look-up's
//! waiting for memory and the next one's. All others are slices. The search is one function for
//! both.

use super::bucket::HEAD_BYTES;
use super::node::PREFIX_INLINE;

/// A key without the bytes that led to where the look-up is.
pub(super) trait Rest: Copy {
    fn len(self) -> usize;
    /// The first byte, if there is one.
    fn first(self) -> Option<u8>;
    /// Without so many first bytes, which there are.
    fn skip(self, bytes: usize) -> Self;
    /// The first bytes as a head of a bucket.
    fn head(self) -> u64;
    /// Whether it begins with the first `len` of these bytes; it is at least so long.
    fn begins_with(self, bytes: [u8; PREFIX_INLINE], len: usize) -> bool;
    /// Calls `look` with the bytes.
    fn with_bytes<T>(self, look: impl FnOnce(&[u8]) -> T) -> T;
}

impl Rest for &[u8] {
    #[inline(always)]
    fn len(self) -> usize {
        self.len()
    }

    #[inline(always)]
    fn first(self) -> Option<u8> {
        <[u8]>::first(self).copied()
    }

    #[inline(always)]
    fn skip(self, bytes: usize) -> Self {
        &self[bytes..]
    }

    #[inline(always)]
    fn head(self) -> u64 {
        match self.first_chunk::<HEAD_BYTES>() {
            Some(first) => u64::from_be_bytes(*first),
            None => {
                // Byte by byte: the key was written just now, and a load across two of those
                // stores would wait for the first to reach the cache, and so for all before it.
                let head = self
                    .iter()
                    .fold(0, |head, byte| head << 8 | u64::from(*byte));
                head.checked_shl(64 - 8 * self.len() as u32).unwrap_or(0)
            }
        }
    }

    #[inline(always)]
    fn begins_with(self, bytes: [u8; PREFIX_INLINE], len: usize) -> bool {
        // Byte by byte: see `head`.
        bytes[..len].iter().zip(self).all(|(a, b)| a == b)
    }

    #[inline(always)]
    fn with_bytes<T>(self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(self)
    }
}

/// At most nine bytes, the first one at the top, zeros behind the last.
#[derive(Clone, Copy)]
pub(super) struct Short {
    bytes: u128,
    len: usize,
}

impl Short {
    /// The key of one integer, as [`crate::index::key::KeyBuffer::put_word`] writes it.
    #[inline(always)]
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        let (mark, word) = key.split_first()?;
        let word = match *word {
            [a, b, c, d, e, f, g, h] => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            [a, b, c, d] => u64::from(u32::from_be_bytes([a, b, c, d])) << 32,
            _ => return None,
        };
        Some(Self {
            bytes: u128::from(*mark) << 120 | u128::from(word) << 56,
            len: key.len(),
        })
    }
}

impl Rest for Short {
    #[inline(always)]
    fn len(self) -> usize {
        self.len
    }

    #[inline(always)]
    fn first(self) -> Option<u8> {
        (self.len > 0).then_some((self.bytes >> 120) as u8)
    }

    #[inline(always)]
    fn skip(self, bytes: usize) -> Self {
        debug_assert!(bytes <= self.len, "there are so many");
        Self {
            bytes: self.bytes << (8 * bytes),
            len: self.len - bytes,
        }
    }

    #[inline(always)]
    fn head(self) -> u64 {
        (self.bytes >> 64) as u64
    }

    #[inline(always)]
    fn begins_with(self, bytes: [u8; PREFIX_INLINE], len: usize) -> bool {
        let differ = self.head() ^ u64::from_be_bytes(bytes);
        len == 0 || differ >> (64 - 8 * len) == 0
    }

    #[inline(always)]
    fn with_bytes<T>(self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(&self.bytes.to_be_bytes()[..self.len])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_alike(short: Short, slice: &[u8]) {
        assert_eq!(short.len(), slice.len());
        assert_eq!(Rest::first(short), Rest::first(slice));
        assert_eq!(short.head(), slice.head());
        assert!(short.with_bytes(|bytes| bytes == slice));
    }

    proptest! {
        #[test]
        fn a_short_key_is_read_as_its_bytes_are(
            nine in prop::array::uniform9(any::<u8>()),
            is_nine: bool,
            skipped in 0..=9_usize,
            prefix in prop::array::uniform8(0..2_u8),
            len in 0..=8_usize,
        ) {
            // Few values, so that some begin with the prefix.
            for key in [nine, nine.map(|byte| byte % 2)] {
                let key = if is_nine { &key[..] } else { &key[..5] };
                let short = Short::new(key).unwrap();
                let skipped = skipped.min(key.len());
                let (short, rest) = (short.skip(skipped), &key[skipped..]);
                is_alike(short, rest);
                let len = len.min(rest.len());
                for bytes in [prefix, rest.head().to_be_bytes()] {
                    let begins = rest.begins_with(bytes, len);
                    prop_assert_eq!(short.begins_with(bytes, len), begins);
                    prop_assert_eq!(begins, rest.starts_with(&bytes[..len]));
                }
            }
        }
    }
}
