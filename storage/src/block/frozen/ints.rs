//! A column of integers: packed around a line, or as runs.
//!
//! ```text
//!  packed   value i = base + step * i + the i-th packed number      (frame of reference, and a line)
//!  runs     where each run ends, packed; what its value is, packed  (run-end)
//! ```
//!
//! The step makes what grows evenly (numbers handed out one by one, times of arrival, offsets of
//! strings) as narrow as its unevenness: a sequence takes no bits at all. A constant is a base.
//! Which form a column gets is decided by the bytes it takes.

use super::decimal::{INTEGER_MAX, Scale};
use super::pack::{self, Plus, Scaled, VECTOR, Within};
use crate::codec::{DecodeError, Decoder, put_signed, put_varint};
use std::ops::{Range, RangeInclusive};

/// Integers, encoded; the bytes are in the image that is passed to each call.
#[derive(Clone, Debug)]
pub(super) enum Ints {
    Packed(Packed),
    Runs {
        ends: Packed,
        values: Packed,
        len: usize,
    },
}

/// Integers around a line.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    pub(super) len: usize,
    pub(super) base: i64,
    pub(super) step: i64,
    pub(super) width: usize,
    at: Range<usize>,
}

const PACKED: u8 = 0;
const RUNS: u8 = 1;

impl Packed {
    /// Appends the values.
    pub(super) fn encode(values: &[i64], out: &mut Vec<u8>) {
        let (base, step, width) = fit(values);
        put_signed(out, base);
        put_signed(out, step);
        out.push(width as u8);
        let rest = |(at, value): (usize, &i64)| {
            value.wrapping_sub(base.wrapping_add(step.wrapping_mul(at as i64))) as u64
        };
        let rests: Vec<u64> = values.iter().enumerate().map(rest).collect();
        pack::pack(width, &rests, out);
    }

    /// The bytes that the packed values take, without what describes them.
    pub(super) fn encoded_bytes(values: &[i64]) -> usize {
        let (_, _, width) = fit(values);
        pack::packed_bytes(width, values.len())
    }

    /// Reads what `encode` wrote of `len` values.
    pub(super) fn parse(decoder: &mut Decoder<'_>, len: usize) -> Result<Self, DecodeError> {
        let (base, step) = (decoder.signed()?, decoder.signed()?);
        let offset = decoder.offset();
        let width = usize::from(decoder.u8()?);
        if width > 64 {
            return Err(DecodeError {
                offset,
                expected: "a width of at most 64 bits",
                found: width.to_string(),
            });
        }
        let bytes = decoder.take(pack::packed_bytes(width, len))?.len();
        Ok(Self {
            len,
            base,
            step,
            width,
            at: decoder.offset() - bytes..decoder.offset(),
        })
    }

    /// Value `index`.
    #[inline]
    pub(super) fn get(&self, image: &[u8], index: usize) -> i64 {
        let rest = pack::get(&image[self.at.clone()], self.width, self.len, index);
        self.line(index).wrapping_add(rest as i64)
    }

    fn line(&self, index: usize) -> i64 {
        self.base.wrapping_add(self.step.wrapping_mul(index as i64))
    }

    /// The bytes of a vector and how many values it has.
    pub(super) fn vector<'i>(&self, image: &'i [u8], vector: usize) -> (&'i [u8], usize) {
        let (at, count) = pack::vector_at(self.width, self.len, vector);
        (&image[self.at.clone()][at], count)
    }

    fn unpack(&self, image: &[u8], vector: usize, out: &mut [i64; VECTOR]) -> usize {
        let (packed, count) = self.vector(image, vector);
        let out = &mut out[..count];
        let base = self.line(vector * VECTOR);
        pack::unpack(packed, self.width, out, Plus(base));
        if self.step != 0 {
            for (at, out) in out.iter_mut().enumerate() {
                *out = out.wrapping_add(self.step.wrapping_mul(at as i64));
            }
        }
        count
    }

    /// A run of the values.
    pub(super) fn run(&self, image: &[u8], run: &Range<usize>) -> Vec<i64> {
        let mut out = Vec::with_capacity(run.len());
        let mut values = [0; VECTOR];
        pack::each_vector(run, |vector, part| {
            self.unpack(image, vector, &mut values);
            out.extend_from_slice(&values[part]);
        });
        out
    }

    /// Sets a flag for each value of a vector that lies in the range.
    fn flags(&self, image: &[u8], vector: usize, range: &RangeInclusive<i64>, flags: &mut [u8]) {
        let (packed, count) = self.vector(image, vector);
        let flags = &mut flags[..count];
        if self.step == 0 {
            return match self.within(range) {
                Some(within) => pack::unpack(packed, self.width, flags, within),
                None => flags.fill(0),
            };
        }
        let mut values = [0; VECTOR];
        self.unpack(image, vector, &mut values);
        for (flag, value) in flags.iter_mut().zip(values) {
            *flag = u8::from(range.contains(&value));
        }
    }

    /// The range as one of packed numbers. `None` where none can be in it.
    fn within(&self, range: &RangeInclusive<i64>) -> Option<Within> {
        let (base, most) = (i128::from(self.base), u128::from(most(self.width)) as i128);
        let low = (i128::from(*range.start()) - base).max(0);
        let high = (i128::from(*range.end()) - base).min(most);
        (low <= high).then(|| Within {
            low: low as u64,
            span: (high - low) as u64,
        })
    }
}

/// The greatest number of a width.
fn most(width: usize) -> u64 {
    u64::MAX.checked_shr(64 - width as u32).unwrap_or(0)
}

/// The line around which the values take the fewest bits: base, step and width.
fn fit(values: &[i64]) -> (i64, i64, usize) {
    let (Some(first), Some(last)) = (values.first(), values.last()) else {
        return (0, 0, 0);
    };
    let steps = (values.len() as i128 - 1).max(1);
    let slope = (i128::from(*last) - i128::from(*first)) / steps;
    let flat = fit_step(values, 0);
    match i64::try_from(slope) {
        Ok(step) if step != 0 => match (flat, fit_step(values, step)) {
            (Some(flat), Some(sloped)) if flat.2 <= sloped.2 => flat,
            (_, Some(sloped)) => sloped,
            (flat, None) => flat.expect("a flat line always fits"),
        },
        _ => flat.expect("a flat line always fits"),
    }
}

/// Base, step and width with this step. `None` where the distances do not fit 64 bits.
fn fit_step(values: &[i64], step: i64) -> Option<(i64, i64, usize)> {
    let rest = |(at, value): (usize, &i64)| i128::from(*value) - i128::from(step) * at as i128;
    let (low, high) = values
        .iter()
        .enumerate()
        .map(rest)
        .fold((i128::MAX, i128::MIN), |(low, high), rest| {
            (low.min(rest), high.max(rest))
        });
    let base = i64::try_from(low).ok()?;
    let span = u64::try_from(high - low).ok()?;
    Some((base, step, 64 - span.leading_zeros() as usize))
}

impl Ints {
    /// Appends the values in the form that takes the fewest bytes.
    pub(super) fn encode(values: &[i64], out: &mut Vec<u8>) {
        let start = out.len();
        out.push(PACKED);
        Packed::encode(values, out);
        let runs = 1 + values.windows(2).filter(|pair| pair[0] != pair[1]).count();
        if values.is_empty() || runs * 2 > values.len() {
            return;
        }
        let (ends, of_runs) = runs_of(values);
        let mut other = vec![RUNS];
        put_varint(&mut other, ends.len() as u64);
        Packed::encode(&ends, &mut other);
        Packed::encode(&of_runs, &mut other);
        // Packed values are found at once, runs are searched for: they must pay.
        if other.len() * 8 < (out.len() - start) * 7 {
            out.truncate(start);
            out.append(&mut other);
        }
    }

    /// Reads what `encode` wrote of `len` values.
    pub(super) fn parse(decoder: &mut Decoder<'_>, len: usize) -> Result<Self, DecodeError> {
        let offset = decoder.offset();
        match decoder.u8()? {
            PACKED => Ok(Self::Packed(Packed::parse(decoder, len)?)),
            RUNS => {
                let runs = decoder.varint()?;
                if runs > len as u64 || (runs == 0) != (len == 0) {
                    return Err(DecodeError {
                        offset,
                        expected: "fewer runs than rows",
                        found: runs.to_string(),
                    });
                }
                let ends = Packed::parse(decoder, runs as usize)?;
                let values = Packed::parse(decoder, runs as usize)?;
                Ok(Self::Runs { ends, values, len })
            }
            other => Err(DecodeError {
                offset,
                expected: "an encoding of integers",
                found: other.to_string(),
            }),
        }
    }

    /// Whether all values are in the range, and none is beyond what 64 bits hold; whether runs end
    /// one after the other, the last one where the column does.
    pub(super) fn is_within(&self, image: &[u8], range: &RangeInclusive<i64>) -> bool {
        let mut least = *range.start();
        match self {
            Self::Packed(packed) if packed.step == 0 => least = least.max(packed.base),
            Self::Packed(_) => {}
            Self::Runs { ends, len, .. } => {
                if !are_ends(image, ends, *len) {
                    return false;
                }
            }
        }
        let range = least..=*range.end();
        let mut within = true;
        self.each(image, |_, values| {
            within &= values.iter().all(|n| range.contains(n))
        });
        within
    }

    /// Gives all values, a vector at a time.
    pub(super) fn each(&self, image: &[u8], mut each: impl FnMut(usize, &[i64])) {
        let mut values = [0; VECTOR];
        for vector in 0..self.len().div_ceil(VECTOR) {
            let count = self.unpack(image, vector, &mut values);
            each(vector, &values[..count]);
        }
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Packed(packed) => packed.len,
            Self::Runs { len, .. } => *len,
        }
    }

    /// Value `index`.
    #[inline]
    pub(super) fn get(&self, image: &[u8], index: usize) -> i64 {
        match self {
            Self::Packed(packed) => packed.get(image, index),
            Self::Runs { ends, values, .. } => values.get(image, run_of(image, ends, index)),
        }
    }

    /// Unpacks a vector and says how many values it has.
    pub(super) fn unpack(&self, image: &[u8], vector: usize, out: &mut [i64; VECTOR]) -> usize {
        match self {
            Self::Packed(packed) => packed.unpack(image, vector, out),
            Self::Runs { ends, values, len } => {
                let count = (len - vector * VECTOR).min(VECTOR);
                each_run(
                    image,
                    ends,
                    vector * VECTOR..vector * VECTOR + count,
                    |run, range| {
                        out[range].fill(values.get(image, run));
                    },
                );
                count
            }
        }
    }

    /// A run of the values.
    pub(super) fn run(&self, image: &[u8], run: &Range<usize>) -> Vec<i64> {
        match self {
            Self::Packed(packed) => packed.run(image, run),
            Self::Runs { ends, values, .. } => {
                let mut out = vec![0; run.len()];
                if !run.is_empty() {
                    each_run(image, ends, run.clone(), |of, rows| {
                        out[rows].fill(values.get(image, of));
                    });
                }
                out
            }
        }
    }

    /// Unpacks a vector as the floats that the integers are, into `out`, as long as the vector.
    pub(super) fn unpack_scaled(&self, image: &[u8], vector: usize, scale: Scale, out: &mut [f64]) {
        match self {
            // Of a base beyond that, which damaged bytes may have, a float would not be exact.
            Self::Packed(packed) if packed.step == 0 && is_exact(packed.base) => {
                let (bytes, _) = packed.vector(image, vector);
                let scaled = Scaled {
                    base: packed.base as f64,
                    power: scale.power(),
                    inverse: scale.inverse(),
                };
                pack::unpack(bytes, packed.width, out, scaled);
                scale.round(out);
            }
            _ => {
                let mut values = [0; VECTOR];
                self.unpack(image, vector, &mut values);
                for (out, value) in out.iter_mut().zip(values) {
                    *out = scale.decode(value);
                }
            }
        }
    }

    /// Sets a flag for each value of a vector that lies in the range.
    pub(super) fn flags(
        &self,
        image: &[u8],
        vector: usize,
        range: &RangeInclusive<i64>,
        flags: &mut [u8; VECTOR],
    ) {
        match self {
            Self::Packed(packed) => packed.flags(image, vector, range, flags),
            Self::Runs { ends, values, len } => {
                let count = (len - vector * VECTOR).min(VECTOR);
                each_run(
                    image,
                    ends,
                    vector * VECTOR..vector * VECTOR + count,
                    |run, rows| {
                        flags[rows].fill(u8::from(range.contains(&values.get(image, run))));
                    },
                );
            }
        }
    }
}

/// Whether sums of the integer and another one of a decimal are exact as floats.
fn is_exact(base: i64) -> bool {
    (-INTEGER_MAX..=INTEGER_MAX).contains(&base)
}

fn are_ends(image: &[u8], ends: &Packed, len: usize) -> bool {
    let mut before = 0;
    let rising = (0..ends.len).all(|run| {
        let end = ends.get(image, run);
        std::mem::replace(&mut before, end) < end
    });
    rising && before == len as i64
}

/// Where runs of equal values end, and their values.
fn runs_of(values: &[i64]) -> (Vec<i64>, Vec<i64>) {
    let mut end = 0;
    values
        .chunk_by(|a, b| a == b)
        .map(|run| {
            end += run.len() as i64;
            (end, run[0])
        })
        .unzip()
}

/// The run that a value is in: the first one that ends after it.
fn run_of(image: &[u8], ends: &Packed, index: usize) -> usize {
    let (mut low, mut high) = (0, ends.len - 1);
    while low < high {
        let middle = (low + high) / 2;
        match ends.get(image, middle) > index as i64 {
            true => high = middle,
            false => low = middle + 1,
        }
    }
    low
}

/// The runs within some values, each with where it lies among them.
fn each_run(
    image: &[u8],
    ends: &Packed,
    values: Range<usize>,
    mut each: impl FnMut(usize, Range<usize>),
) {
    let mut at = values.start;
    let mut run = run_of(image, ends, at);
    while at < values.end {
        let end = (ends.get(image, run) as usize).min(values.end);
        each(run, at - values.start..end - values.start);
        at = end;
        run += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(values: &[i64]) -> (Vec<u8>, Ints) {
        let mut bytes = Vec::new();
        Ints::encode(values, &mut bytes);
        let mut decoder = Decoder::new(&bytes);
        let ints = Ints::parse(&mut decoder, values.len()).unwrap();
        decoder.finish().unwrap();
        assert!(ints.is_within(&bytes, &(i64::MIN..=i64::MAX)));
        (bytes, ints)
    }

    fn columns() -> impl Strategy<Value = Vec<i64>> {
        let len = prop_oneof![0..50_usize, 1000..2100_usize];
        let mixed = len
            .clone()
            .prop_flat_map(|len| prop::collection::vec(any::<i64>(), len));
        let narrow = (len.clone(), any::<i64>()).prop_flat_map(|(len, base)| {
            prop::collection::vec(base..=base.saturating_add(99), len)
        });
        let line = (len.clone(), any::<i64>(), -9..9_i64).prop_map(|(len, base, step)| {
            let value = |at: usize| base.wrapping_add(step * at as i64);
            (0..len).map(value).collect()
        });
        let runs = (len, any::<i64>(), 1..400_usize).prop_map(|(len, base, run)| {
            let value = |at: usize| base.wrapping_mul((at / run) as i64);
            (0..len).map(value).collect()
        });
        prop_oneof![mixed, narrow, line, runs]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]
        #[test]
        fn values_come_back_and_ranges_find_them(values in columns(), low: i64, high: i64) {
            let (bytes, ints) = encoded(&values);
            for (index, value) in values.iter().enumerate() {
                prop_assert_eq!(ints.get(&bytes, index), *value);
            }
            let near = values.first().copied().unwrap_or(0);
            for range in [low..=high, high..=low, near..=near, near..=near.saturating_add(50)] {
                for (vector, chunk) in values.chunks(VECTOR).enumerate() {
                    let (mut out, mut flags) = ([0; VECTOR], [7; VECTOR]);
                    prop_assert_eq!(ints.unpack(&bytes, vector, &mut out), chunk.len());
                    prop_assert_eq!(&out[..chunk.len()], chunk);
                    ints.flags(&bytes, vector, &range, &mut flags);
                    for (value, flag) in chunk.iter().zip(flags) {
                        prop_assert_eq!(flag == 1, range.contains(value), "{} in {:?}", value, range);
                    }
                }
            }
        }
    }

    fn bytes_of(values: impl Iterator<Item = i64>) -> usize {
        encoded(&values.collect::<Vec<_>>()).0.len()
    }

    #[test]
    fn even_growth_and_constants_take_a_few_bytes() {
        assert!(bytes_of(std::iter::repeat_n(i64::MIN, 10_000)) < 20);
        assert!(bytes_of(1_000_000..1_010_000) < 20);
        assert!(bytes_of((0..10_000).map(|n| n / 1000)) < 40, "ten runs");
        let bits = bytes_of((0..10_000).map(|n| 500 + n * 7919 % 60));
        assert!(
            (7500..7700).contains(&bits),
            "six bits each, not {bits} bytes"
        );
    }
}
