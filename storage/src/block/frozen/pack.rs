//! Bit packing: numbers of a few bits each, in vectors of 1,024.
//!
//! ```text
//!  width 6, words of 8 bits, 128 lanes                     row 0: values 0 .. 127
//!  word 0   lane 0 [v128 v0]  lane 1 [v129 v1]  ..         row 1: values 128 .. 255
//!  word 1   lane 0 [v256 v128] ..                          a lane holds one value of each row
//! ```
//!
//! The values of a row lie side by side in as many lanes, at the same shift: to unpack a row is to
//! load, shift and mask whole registers, without a table, a gather or a branch in the loop (Afroozeh
//! and Boncz, "The FastLanes Compression Layout", VLDB 2023; our rows are in the order of the
//! values). Words are the narrowest that hold a value, so that a register holds as many as it can.
//! One value is found by two loads.
//!
//! The last vector of a column has fewer values and as many lanes as it takes; its words are fewer.
//!
//! The loops are compiled three times, for the instruction sets that the machine may have, and the
//! one for this machine is chosen at run time.

use super::simd::kernel;
use std::ops::Range;

/// Values in a vector.
pub(super) const VECTOR: usize = 1024;

/// An unsigned integer that holds packed bits.
pub(super) trait Word: Copy {
    /// Its bits.
    const BITS: usize;
    /// Its bytes.
    type Bytes: Copy;
    /// The bytes cut into words; a rest is left out.
    fn words(bytes: &[u8]) -> &[Self::Bytes];
    /// The word that the bytes are.
    fn read(bytes: Self::Bytes) -> Self;
    /// The low bits of a number.
    fn truncate(n: u64) -> Self;
    /// The number that the word is.
    fn widen(self) -> u64;
    /// The number as a float, exact below 2^53.
    fn to_f64(self) -> f64;
    /// Bits `shift ..` of the word, at most those of `mask`.
    fn low_part(self, shift: usize, mask: Self) -> Self;
    /// Bits from `shift` of the word and on from the next one, at most those of `mask`.
    fn joined(self, next: Self, shift: usize, mask: Self) -> Self;
    /// Whether `low <= self <= low + span`, modulo the word.
    fn within(self, low: Self, span: Self) -> bool;
}

macro_rules! word {
    ($($word:ty, $bytes:literal, $float:ty;)*) => {$(
        impl Word for $word {
            const BITS: usize = <$word>::BITS as usize;
            type Bytes = [u8; $bytes];

            #[inline(always)]
            fn words(bytes: &[u8]) -> &[Self::Bytes] {
                bytes.as_chunks().0
            }

            #[inline(always)]
            fn read(bytes: Self::Bytes) -> Self {
                Self::from_le_bytes(bytes)
            }

            #[inline(always)]
            fn truncate(n: u64) -> Self {
                n as Self
            }

            #[inline(always)]
            fn widen(self) -> u64 {
                self as u64
            }

            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as $float as f64
            }

            #[inline(always)]
            fn low_part(self, shift: usize, mask: Self) -> Self {
                self >> shift & mask
            }

            #[inline(always)]
            fn joined(self, next: Self, shift: usize, mask: Self) -> Self {
                (self >> shift | next << (Self::BITS as usize - shift)) & mask
            }

            #[inline(always)]
            fn within(self, low: Self, span: Self) -> bool {
                self.wrapping_sub(low) <= span
            }
        }
    )*};
}

word! {
    u8, 1, i32;
    u16, 2, i32;
    u32, 4, u32;
    u64, 8, i64;
}

/// What is made of each number while it is unpacked.
pub(super) trait Visit: Copy {
    /// What it becomes.
    type Out: Copy;
    /// Makes it.
    fn visit<W: Word>(self, word: W) -> Self::Out;
}

/// The number plus another, modulo 2^64.
#[derive(Clone, Copy)]
pub(super) struct Plus(pub(super) i64);

impl Visit for Plus {
    type Out = i64;

    #[inline(always)]
    fn visit<W: Word>(self, word: W) -> i64 {
        self.0.wrapping_add(word.widen() as i64)
    }
}

/// The number plus another, times one power of ten, times another; exact while below 2^53.
#[derive(Clone, Copy)]
pub(super) struct Scaled {
    pub(super) base: f64,
    pub(super) power: f64,
    pub(super) inverse: f64,
}

impl Visit for Scaled {
    type Out = f64;

    #[inline(always)]
    fn visit<W: Word>(self, word: W) -> f64 {
        (self.base + word.to_f64()) * self.power * self.inverse
    }
}

/// 1 where `low <= number <= low + span`, else 0; both fit the width.
#[derive(Clone, Copy)]
pub(super) struct Within {
    pub(super) low: u64,
    pub(super) span: u64,
}

impl Visit for Within {
    type Out = u8;

    #[inline(always)]
    fn visit<W: Word>(self, word: W) -> u8 {
        u8::from(word.within(W::truncate(self.low), W::truncate(self.span)))
    }
}

/// Bits of the words that numbers of a width are packed in.
fn word_bits(width: usize) -> usize {
    width.next_power_of_two().max(8)
}

/// Bytes of `len` numbers of `width` bits; vectors follow each other.
pub(super) fn packed_bytes(width: usize, len: usize) -> usize {
    len / VECTOR * vector_bytes(width) + tail_bytes(width, len % VECTOR)
}

fn vector_bytes(width: usize) -> usize {
    width * VECTOR / 8
}

fn tail_bytes(width: usize, len: usize) -> usize {
    let bits = word_bits(width);
    width * len.div_ceil(bits) * bits / 8
}

/// Where a vector of `len` numbers in all lies among the packed bytes, and how many it has.
pub(super) fn vector_at(width: usize, len: usize, vector: usize) -> (Range<usize>, usize) {
    let start = vector * vector_bytes(width);
    let count = (len - vector * VECTOR).min(VECTOR);
    let bytes = match count {
        VECTOR => vector_bytes(width),
        fewer => tail_bytes(width, fewer),
    };
    (start..start + bytes, count)
}

/// The vectors that a run of values lies in: which, and which part of each.
pub(super) fn each_vector(run: &Range<usize>, mut each: impl FnMut(usize, Range<usize>)) {
    for vector in run.start / VECTOR..run.end.div_ceil(VECTOR) {
        let first = vector * VECTOR;
        let start = run.start.max(first) - first;
        each(vector, start..(run.end - first).min(VECTOR));
    }
}

/// Appends numbers, of which each fits `width` bits.
pub(super) fn pack(width: usize, numbers: &[u64], out: &mut Vec<u8>) {
    let bits = word_bits(width);
    for vector in numbers.chunks(VECTOR) {
        let lanes = vector.len().div_ceil(bits);
        let mut words = vec![0_u64; width * lanes];
        for (index, number) in vector.iter().enumerate() {
            let (row, lane) = (index / lanes, index % lanes);
            let (word, shift) = (row * width / bits, row * width % bits);
            if width > 0 {
                words[word * lanes + lane] |= number << shift;
            }
            if shift + width > bits {
                words[(word + 1) * lanes + lane] |= number >> (bits - shift);
            }
        }
        for word in words {
            out.extend_from_slice(&word.to_le_bytes()[..bits / 8]);
        }
    }
}

/// Number `index` of `len`.
pub(super) fn get(packed: &[u8], width: usize, len: usize, index: usize) -> u64 {
    if width == 0 {
        return 0;
    }
    let vector = index / VECTOR;
    let packed = &packed[vector * vector_bytes(width)..];
    let count = (len - vector * VECTOR).min(VECTOR);
    let index = index % VECTOR;
    match width {
        1..=8 => get_word::<u8>(packed, width, count, index),
        9..=16 => get_word::<u16>(packed, width, count, index),
        17..=32 => get_word::<u32>(packed, width, count, index),
        _ => get_word::<u64>(packed, width, count, index),
    }
}

#[inline(always)]
fn get_word<W: Word>(packed: &[u8], width: usize, count: usize, index: usize) -> u64 {
    let full = VECTOR / W::BITS;
    let (lanes, row) = match count {
        // Written apart, so that this division is a shift.
        VECTOR => (full, index / full),
        fewer => {
            let lanes = fewer.div_ceil(W::BITS);
            (lanes, index / lanes)
        }
    };
    let lane = index - row * lanes;
    let words = W::words(packed);
    let mask = W::truncate(u64::MAX >> (64 - width));
    let (word, shift) = (row * width / W::BITS, row * width % W::BITS);
    let low = W::read(words[word * lanes + lane]);
    if shift + width <= W::BITS {
        return low.low_part(shift, mask).widen();
    }
    let high = W::read(words[(word + 1) * lanes + lane]);
    low.joined(high, shift, mask).widen()
}

kernel! {
    /// Unpacks one vector, whose bytes these are, into `out`, which is as long as the vector.
    pub(super) fn unpack<V: Visit>(
        packed: &[u8],
        width: usize,
        out: &mut [<V as Visit>::Out],
        visit: V,
    ) = unpack_any;
}

#[inline(always)]
fn unpack_any<V: Visit>(packed: &[u8], width: usize, out: &mut [V::Out], visit: V) {
    match width {
        0 => out.fill(visit.visit(0_u8)),
        1..=8 => unpack_words::<u8, V>(packed, width, out, visit),
        9..=16 => unpack_words::<u16, V>(packed, width, out, visit),
        17..=32 => unpack_words::<u32, V>(packed, width, out, visit),
        _ => unpack_words::<u64, V>(packed, width, out, visit),
    }
}

#[inline(always)]
fn unpack_words<W: Word, V: Visit>(packed: &[u8], width: usize, out: &mut [V::Out], visit: V) {
    let lanes = VECTOR / W::BITS;
    if out.len() == VECTOR {
        for (row, out) in out.chunks_exact_mut(lanes).enumerate() {
            unpack_row::<W, V>(packed, width, lanes, row, out, visit);
        }
        return;
    }
    let lanes = out.len().div_ceil(W::BITS);
    for (row, out) in out.chunks_mut(lanes.max(1)).enumerate() {
        unpack_row::<W, V>(packed, width, lanes, row, out, visit);
    }
}

#[inline(always)]
fn unpack_row<W: Word, V: Visit>(
    packed: &[u8],
    width: usize,
    lanes: usize,
    row: usize,
    out: &mut [V::Out],
    visit: V,
) {
    let words = W::words(packed);
    let mask = W::truncate(u64::MAX >> (64 - width));
    let (word, shift) = (row * width / W::BITS, row * width % W::BITS);
    let low = &words[word * lanes..][..out.len()];
    if shift + width <= W::BITS {
        for (out, low) in out.iter_mut().zip(low) {
            *out = visit.visit(W::read(*low).low_part(shift, mask));
        }
    } else {
        let high = &words[(word + 1) * lanes..][..out.len()];
        for ((out, low), high) in out.iter_mut().zip(low).zip(high) {
            *out = visit.visit(W::read(*low).joined(W::read(*high), shift, mask));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn what_is_packed_is_unpacked(
            width in 0..=64_usize,
            len in prop_oneof![0..70_usize, 1000..1100_usize, 2040..2060_usize],
            seed: u64,
        ) {
            let mask = u64::MAX.checked_shr(64 - width as u32).unwrap_or(0);
            let number = |n: usize| (seed ^ n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask;
            let numbers: Vec<u64> = (0..len).map(number).collect();
            let mut packed = Vec::new();
            pack(width, &numbers, &mut packed);
            prop_assert_eq!(packed.len(), packed_bytes(width, len));
            prop_assert!(packed.len() * 8 <= width * (len + 64));
            for (index, number) in numbers.iter().enumerate() {
                prop_assert_eq!(get(&packed, width, len, index), *number);
            }
            for vector in 0..len.div_ceil(VECTOR) {
                let (bytes, count) = vector_at(width, len, vector);
                let (mut out, mut flags) = (vec![0_i64; count], vec![0_u8; count]);
                unpack(&packed[bytes.clone()], width, &mut out, Plus(7));
                let within = Within { low: mask / 4, span: mask / 2 };
                unpack(&packed[bytes], width, &mut flags, within);
                for (at, (out, flag)) in out.iter().zip(flags).enumerate() {
                    let number = numbers[vector * VECTOR + at];
                    prop_assert_eq!(*out, 7_i64.wrapping_add(number as i64));
                    let inside = (mask / 4..=mask / 4 + mask / 2).contains(&number);
                    prop_assert_eq!(flag == 1, inside);
                }
            }
        }
    }
}
