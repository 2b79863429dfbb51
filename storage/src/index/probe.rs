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
    // A copy of a fixed length is two instructions; what is too much of it goes again.
    let end = out.len() + len;
    out.extend_from_slice(&bytes);
    out.truncate(end);
    if bytes[HEAD_BYTES] == HAS_TAIL {
        out.extend_from_slice(tail.as_slice());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Keys that differ late, if at all: around the head's end, and by zeros.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![3 => Just(0), 1 => Just(1), 1 => Just(0xFF)];
        prop_oneof![
            prop::collection::vec(byte, 0..4),
            (13..18_usize, 0..2_u8, 0..2_u8).prop_map(|(len, byte, last)| {
                let mut key = vec![byte; len];
                key[len - 1] = last;
                key
            }),
            prop::collection::vec(any::<u8>(), 0..40),
        ]
    }

    fn order(a: &[u8], b: &[u8]) -> Ordering {
        let (a, b) = (Probe::new(a), Probe::new(b));
        a.head.cmp(&b.head).then_with(|| a.tail.cmp(b.tail))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn heads_and_tails_order_as_the_bytes(a in key(), b in key()) {
            prop_assert_eq!(order(&a, &b), a.cmp(&b));
        }

        #[test]
        fn a_key_is_put_together_again(key in key()) {
            let probe = Probe::new(&key);
            let mut out = Vec::new();
            put_key(&mut out, probe.head, &KeyBytes::new(probe.tail));
            prop_assert_eq!(out, key);
        }

        #[test]
        fn keys_are_found_where_they_are(keys in prop::collection::btree_set(key(), 0..40), other in key()) {
            let keys: Vec<_> = keys.into_iter().collect();
            let probes: Vec<_> = keys.iter().map(|k| Probe::new(k)).collect();
            let heads: Vec<_> = probes.iter().map(|p| p.head).collect();
            let tails: Vec<_> = probes.iter().map(|p| KeyBytes::new(p.tail)).collect();
            let found = Probe::new(&other).find(&heads, |at| &tails[at]);
            prop_assert_eq!(found, keys.binary_search(&other));
        }
    }
}
