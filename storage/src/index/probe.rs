//! Keys cut in two, so that most comparisons are of one integer.
//!
//! The *head* holds the first 15 bytes of a key, zero-padded, and in its lowest byte how many of
//! them are the key's (16: all, and there are more). The *tail* is what follows the 15 bytes. Keys
//! compare as their heads do; only where heads are equal and end in 16 do the tails decide.
//!
//! ```text
//!  "cat"    63 61 74 00 00 .. 00 | 03
//!  "cat\0"  63 61 74 00 00 .. 00 | 04      padding alone would not tell these apart
//! ```
//!
//! The key of one number, date or timestamp, or of two integers, is all head.

use super::bytes::KeyBytes;
use std::cmp::Ordering;

/// Bytes of the key in its head.
const HEAD_BYTES: usize = 15;
/// The lowest byte of a head whose key has a tail.
const HAS_TAIL: u8 = 16;

/// The first bytes of a key with their number, as an integer that orders as they do.
pub(super) type Head = u128;

/// A key to look for.
#[derive(Clone, Copy)]
pub(super) struct Probe<'a> {
    pub(super) head: Head,
    /// Empty exactly where the head does not say that there is one.
    pub(super) tail: &'a [u8],
}

impl<'a> Probe<'a> {
    pub(super) fn new(key: &'a [u8]) -> Self {
        let mut bytes = [0; 16];
        match key.split_at_checked(HEAD_BYTES) {
            Some((first, tail)) if !tail.is_empty() => {
                bytes[..HEAD_BYTES].copy_from_slice(first);
                bytes[HEAD_BYTES] = HAS_TAIL;
                Self {
                    head: Head::from_be_bytes(bytes),
                    tail,
                }
            }
            _ => {
                bytes[..key.len()].copy_from_slice(key);
                bytes[HEAD_BYTES] = key.len() as u8;
                Self {
                    head: Head::from_be_bytes(bytes),
                    tail: &[],
                }
            }
        }
    }

    /// Where the key is among ascending keys, or where it belongs. Tails are asked for only where
    /// heads are equal; the search among heads is one that compiles without branches.
    pub(super) fn find<'t>(
        &self,
        heads: &[Head],
        tail_at: impl Fn(usize) -> &'t KeyBytes,
    ) -> Result<usize, usize> {
        let mut low = heads.partition_point(|&head| head < self.head);
        if heads.get(low) != Some(&self.head) {
            return Err(low);
        }
        if self.tail.is_empty() {
            return Ok(low);
        }
        let mut high = low + heads[low..].partition_point(|&head| head == self.head);
        while low < high {
            let middle = (low + high) / 2;
            match tail_at(middle).as_slice().cmp(self.tail) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Ok(middle),
                Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }
}

/// Appends the key's bytes to `out`.
pub(super) fn put_key(out: &mut Vec<u8>, head: Head, tail: &KeyBytes) {
    let bytes = head.to_be_bytes();
    let len = usize::from(bytes[HEAD_BYTES]).min(HEAD_BYTES);
    out.extend_from_slice(&bytes[..len]);
    out.extend_from_slice(tail.as_slice());
}
