//! A column of floats that are decimals: integers and two powers of ten.
//!
//! ```text
//!  0.07, 12.5, 99.99  ->  7, 1250, 9999     value = integer * 10^factor * 10^-exponent
//! ```
//!
//! Floats that people enter or compute from money and measures are short decimals. For one pair of
//! powers, found by trying them all on a sample, the integer that is nearest gives back most of the
//! values *to the bit*; those that it does not (`-0`, NaN, infinities, thirds) are exceptions, kept
//! as they are beside their positions. Two multiplications take less time than a division, and a
//! large exponent keeps them exact (Afroozeh, Kuffo, Boncz, "ALP: Adaptive Lossless Floating-Point
//! Compression", SIGMOD 2024).
//!
//! Decoding never makes a greater integer a smaller value, so that a bound of values is a bound of
//! integers. Integers are below 2^52, so that every sum and conversion on the way is exact.

use super::ints::{Ints, Packed};
use super::pack::VECTOR;
use crate::codec::{DecodeError, Decoder, put_varint};
use std::ops::Range;

/// Powers of ten that are tried; all are exact.
const POWERS: [f64; 19] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18,
];
const INVERSE_POWERS: [f64; 19] = [
    1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14,
    1e-15, 1e-16, 1e-17, 1e-18,
];
/// Integers are within plus and minus this.
pub(super) const INTEGER_MAX: i64 = 1 << 52;
/// Values on which the powers are tried.
const SAMPLE: usize = 64;

/// The two powers of ten.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Scale {
    exponent: u8,
    factor: u8,
    /// Whether values are of 32 bits.
    is_real: bool,
}

/// Floats, encoded; the bytes are in the image that is passed to each call.
#[derive(Clone, Debug)]
pub(super) struct Decimal {
    pub(super) scale: Scale,
    pub(super) ints: Ints,
    /// Which values are not what their integers say, in order.
    positions: Packed,
    /// What these are.
    exceptions: Range<usize>,
}

impl Scale {
    /// The value of an integer. Of 32 bits it is exact as 64.
    pub(super) fn decode(self, n: i64) -> f64 {
        let value = n as f64 * self.power() * self.inverse();
        match self.is_real {
            true => f64::from(value as f32),
            false => value,
        }
    }

    /// Rounds values to 32 bits where the column is of such.
    pub(super) fn round(self, values: &mut [f64]) {
        if self.is_real {
            for value in values {
                *value = f64::from(*value as f32);
            }
        }
    }

    /// The integer that gives the value back to the bit.
    fn encode(self, value: f64) -> Option<i64> {
        let scaled =
            (value * POWERS[usize::from(self.exponent)] * INVERSE_POWERS[usize::from(self.factor)])
                .round_ties_even();
        let n = scaled as i64;
        let fits = (-INTEGER_MAX..=INTEGER_MAX).contains(&n);
        (fits && self.decode(n).to_bits() == value.to_bits()).then_some(n)
    }

    /// Ten to the factor.
    pub(super) fn power(self) -> f64 {
        POWERS[usize::from(self.factor)]
    }

    /// Ten to minus the exponent.
    pub(super) fn inverse(self) -> f64 {
        INVERSE_POWERS[usize::from(self.exponent)]
    }

    /// Bytes of a value that is an exception.
    fn width(self) -> usize {
        if self.is_real { 4 } else { 8 }
    }

    /// The pair of powers that costs the fewest bits on a sample. `None` where no pair helps.
    fn best(values: &[f64], is_real: bool) -> Option<Self> {
        // Places that the golden ratio spreads: no period of the values hides some of them.
        let place = |nth: usize| (nth as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let place = |nth| ((place(nth) * values.len() as u64) >> 32) as usize;
        let count = SAMPLE.min(values.len());
        let sample: Vec<f64> = (0..count).map(|nth| values[place(nth)]).collect();
        let pairs = (0..POWERS.len() as u8).flat_map(|exponent| {
            (0..=exponent).map(move |factor| Self {
                exponent,
                factor,
                is_real,
            })
        });
        let (cost, best) = pairs
            .map(|scale| (scale.cost(&sample), scale))
            .min_by_key(|(cost, _)| *cost)?;
        (cost < sample.len() * best.width() * 8).then_some(best)
    }

    /// Bits that the values take at this scale.
    fn cost(self, values: &[f64]) -> usize {
        let (mut low, mut high, mut exceptions) = (i64::MAX, i64::MIN, 0);
        for value in values {
            match self.encode(*value) {
                Some(n) => (low, high) = (low.min(n), high.max(n)),
                None => exceptions += 1,
            }
        }
        let width = match high.checked_sub(low) {
            Some(span @ 0..) => 64 - span.leading_zeros() as usize,
            _ => 0,
        };
        values.len() * width + exceptions * (self.width() * 8 + 16)
    }
}

impl Decimal {
    /// Appends the floats whose bits `bytes` are, of 4 or 8 bytes each. `false`, and nothing of
    /// use, where they are no decimals.
    pub(super) fn encode(bytes: &[u8], width: usize, out: &mut Vec<u8>) -> bool {
        let values: Vec<f64> = bytes.chunks_exact(width).map(float).collect();
        let Some(scale) = Scale::best(&values, width == 4) else {
            return false;
        };
        let encoded: Vec<Option<i64>> = values.iter().map(|value| scale.encode(*value)).collect();
        // Of 32 bits, a NaN that signals would come back as one that does not.
        let is_kept = |bytes: &[u8]| width == 8 || (float(bytes) as f32).to_le_bytes() == bytes;
        if !bytes.chunks_exact(width).all(is_kept) {
            return false;
        }
        let is_exception = |at: &usize| encoded[*at].is_none();
        let positions: Vec<usize> = (0..values.len()).filter(is_exception).collect();
        if positions.len() * 4 > values.len() {
            return false;
        }
        // An exception has the integer of a neighbour, which costs the least bits.
        let mut last = encoded.iter().flatten().next().copied().unwrap_or(0);
        let fill = |n: &Option<i64>| {
            last = n.unwrap_or(last);
            last
        };
        let ints: Vec<i64> = encoded.iter().map(fill).collect();
        out.extend([scale.exponent, scale.factor]);
        Ints::encode(&ints, out);
        put_varint(out, positions.len() as u64);
        let places: Vec<i64> = positions.iter().map(|at| *at as i64).collect();
        Packed::encode(&places, out);
        for at in positions {
            out.extend_from_slice(&bytes[at * width..][..width]);
        }
        true
    }

    /// Reads what `encode` wrote of `len` values.
    pub(super) fn parse(
        decoder: &mut Decoder<'_>,
        width: usize,
        len: usize,
    ) -> Result<Self, DecodeError> {
        let offset = decoder.offset();
        let scale = Scale {
            exponent: decoder.u8()?,
            factor: decoder.u8()?,
            is_real: width == 4,
        };
        let wrong = |found: String| DecodeError {
            offset,
            expected: "powers of ten and exceptions of a column of decimals",
            found,
        };
        if scale.exponent as usize >= POWERS.len() || scale.factor > scale.exponent {
            return Err(wrong(format!("{scale:?}")));
        }
        let ints = Ints::parse(decoder, len)?;
        let count = decoder.varint()?;
        if count > len as u64 {
            return Err(wrong(format!("{count} exceptions")));
        }
        let count = count as usize;
        let positions = Packed::parse(decoder, count)?;
        decoder.take(count * width)?;
        Ok(Self {
            scale,
            ints,
            positions,
            exceptions: decoder.offset() - count * width..decoder.offset(),
        })
    }

    /// Whether integers are within their limits, and exceptions in order and of this column.
    pub(super) fn is_valid(&self, image: &[u8], len: usize) -> bool {
        let mut least = 0;
        let in_order = (0..self.positions.len).all(|at| {
            let position = self.positions.get(image, at);
            let after = std::mem::replace(&mut least, position.saturating_add(1));
            (after..len as i64).contains(&position)
        });
        in_order && self.ints.is_within(image, &(-INTEGER_MAX..=INTEGER_MAX))
    }

    /// Value `index`.
    pub(super) fn get(&self, image: &[u8], index: usize) -> f64 {
        let nth = self.exceptions_before(image, index);
        if nth < self.positions.len && self.positions.get(image, nth) == index as i64 {
            return self.exception(image, nth);
        }
        self.scale.decode(self.ints.get(image, index))
    }

    /// Whether some values are not what their integers say.
    pub(super) fn has_exceptions(&self) -> bool {
        self.positions.len > 0
    }

    /// How many values a vector has.
    pub(super) fn vector_len(&self, vector: usize) -> usize {
        (self.ints.len() - vector * VECTOR).min(VECTOR)
    }

    /// Unpacks a vector into `out`, which is as long as the vector.
    pub(super) fn unpack(&self, image: &[u8], vector: usize, out: &mut [f64]) {
        self.ints.unpack_scaled(image, vector, self.scale, out);
        self.each_exception(image, vector, |at, value| out[at] = value);
    }

    /// The exceptions in a vector: where in it, and their values.
    pub(super) fn each_exception(
        &self,
        image: &[u8],
        vector: usize,
        mut each: impl FnMut(usize, f64),
    ) {
        let first = vector * VECTOR;
        for nth in self.exceptions_before(image, first)..self.positions.len {
            let at = self.positions.get(image, nth) as usize - first;
            if at >= VECTOR {
                break;
            }
            each(at, self.exception(image, nth));
        }
    }

    fn exceptions_before(&self, image: &[u8], index: usize) -> usize {
        let (mut low, mut high) = (0, self.positions.len);
        while low < high {
            let middle = (low + high) / 2;
            match self.positions.get(image, middle) < index as i64 {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    }

    fn exception(&self, image: &[u8], nth: usize) -> f64 {
        let width = self.scale.width();
        float(&image[self.exceptions.clone()][nth * width..][..width])
    }
}

/// The float whose bits the bytes are; of 32 bits it is exact as 64, but for what kind of NaN it is.
pub(super) fn float(bytes: &[u8]) -> f64 {
    match *bytes {
        [a, b, c, d] => f32::from_le_bytes([a, b, c, d]).into(),
        [a, b, c, d, e, f, g, h] => f64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => unreachable!("floats are of 4 or 8 bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(values: &[f64]) -> Option<(Vec<u8>, Decimal)> {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let mut out = Vec::new();
        if !Decimal::encode(&bytes, 8, &mut out) {
            return None;
        }
        let mut decoder = Decoder::new(&out);
        let decimal = Decimal::parse(&mut decoder, 8, values.len()).unwrap();
        decoder.finish().unwrap();
        assert!(decimal.is_valid(&out, values.len()));
        for (vector, values) in values.chunks(VECTOR).enumerate() {
            let mut unpacked = vec![0.0; values.len()];
            decimal.unpack(&out, vector, &mut unpacked);
            for (at, (value, unpacked)) in values.iter().zip(unpacked).enumerate() {
                assert_eq!(value.to_bits(), unpacked.to_bits(), "{value}");
                let one = decimal.get(&out, vector * VECTOR + at);
                assert_eq!(value.to_bits(), one.to_bits(), "{value}");
            }
        }
        Some((out, decimal))
    }

    #[test]
    fn hundredths_take_as_many_bits_as_their_integers() {
        let values: Vec<f64> = (0..5000)
            .map(|n| f64::from(n * 7919 % 10_000) / 100.0)
            .collect();
        let (bytes, decimal) = encoded(&values).unwrap();
        assert!(!decimal.has_exceptions());
        assert!(bytes.len() < 5000 * 14 / 8 + 100, "14 bits each");
    }

    #[test]
    fn what_is_no_decimal_is_an_exception_to_the_bit() {
        let odd = [
            -0.0,
            f64::NAN,
            -f64::NAN,
            f64::INFINITY,
            f64::MIN,
            1.0 / 3.0,
            5e-324,
        ];
        let value = |n: usize| match n % 50 {
            7 => odd[n / 50 % odd.len()],
            _ => n as f64 / 8.0,
        };
        let values: Vec<f64> = (0..3000).map(value).collect();
        let (bytes, decimal) = encoded(&values).unwrap();
        assert_eq!(decimal.positions.len, 60);
        assert!(bytes.len() < 3000 * 3);
    }

    #[test]
    fn what_is_mostly_no_decimal_is_left_alone() {
        let values: Vec<f64> = (1..3000).map(|n| f64::from(n).sqrt()).collect();
        assert!(encoded(&values).is_none());
        assert!(encoded(&[]).is_none());
    }

    /// A greater integer is never a smaller value: bounds of values are bounds of integers.
    #[test]
    fn decoding_is_monotone() {
        let numbers = (-2000..2000).chain((INTEGER_MAX - 2000)..=INTEGER_MAX);
        let numbers: Vec<i64> = numbers.collect();
        for (exponent, factor) in [(0, 0), (2, 0), (14, 12), (18, 18), (18, 0), (5, 1)] {
            for is_real in [false, true] {
                let scale = Scale {
                    exponent,
                    factor,
                    is_real,
                };
                let pairs = numbers.windows(2);
                let mut pairs = pairs.map(|pair| (scale.decode(pair[0]), scale.decode(pair[1])));
                assert!(pairs.all(|(low, high)| low <= high));
            }
        }
    }

    /// Damaged bytes may name a base that is far beyond what a float holds exactly, with numbers that
    /// lead back from it: a value is the same whichever way it is read.
    #[test]
    fn a_base_beyond_exact_floats_is_no_other_value() {
        let (base, width) = (-(1_i64 << 60), 61_usize);
        let mut bytes = vec![0];
        crate::codec::put_signed(&mut bytes, base);
        crate::codec::put_signed(&mut bytes, 0);
        bytes.push(width as u8);
        super::super::pack::pack(width, &[(1 << 60) + 5; 100], &mut bytes);
        let ints = Ints::parse(&mut Decoder::new(&bytes), 100).unwrap();
        assert!(ints.is_within(&bytes, &(-INTEGER_MAX..=INTEGER_MAX)));
        let scale = Scale {
            exponent: 0,
            factor: 0,
            is_real: false,
        };
        let mut floats = [0.0; 100];
        ints.unpack_scaled(&bytes, 0, scale, &mut floats);
        assert_eq!(ints.get(&bytes, 7), 5);
        assert_eq!(floats, [5.0; 100]);
    }
}
