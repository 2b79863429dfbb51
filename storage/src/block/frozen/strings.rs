//! A column of strings: what all have in common once, and the rest of each.
//!
//! ```text
//!  "user0000017@example.com"    prefix "user00000" | middle "17" | suffix "@example.com"
//!
//!  middles   plain      [17][18][19] ..   and where each begins, packed
//!            symbols    the same, as codes of a symbol table        symbols.rs
//!            numbered   17, 18, 19 ..     as integers               numbered.rs
//! ```
//!
//! The rest of a NULL is empty, or that of a neighbour.

use super::ints::{Ints, Packed};
use super::numbered::{Numbered, write_digits};
use super::symbols::Symbols;
use crate::codec::{DecodeError, Decoder, put_bytes, put_varint};
use std::ops::Range;

/// The longest prefix or suffix that is taken out, so that hostile bytes cannot stand for much more
/// than they are.
const COMMON_BYTES_MAX: usize = 255;
/// Bytes beside packed offsets and pieces, at most.
const OFFSETS_HEADER_BYTES: usize = 64;
const PLAIN: u8 = 0;
const SYMBOLS: u8 = 1;
const NUMBERED: u8 = 2;

/// Strings, encoded; the bytes are in the image that is passed to each call.
#[derive(Clone, Debug)]
pub(super) struct Strings {
    prefix: Range<usize>,
    suffix: Range<usize>,
    middles: Middles,
}

#[derive(Clone, Debug)]
enum Middles {
    Plain(Pieces),
    Symbols(Pieces, Box<Symbols>),
    Numbered(Numbered),
}

/// Bytes, and where each piece of them begins.
#[derive(Clone, Debug)]
struct Pieces {
    /// One more than there are pieces.
    offsets: Packed,
    bytes: Range<usize>,
}

impl Strings {
    /// Appends strings, which are UTF-8 if they are text; `None` is a NULL.
    pub(super) fn encode(strings: &[Option<&[u8]>], is_text: bool, out: &mut Vec<u8>) {
        let (mut prefix, mut suffix) = common(strings);
        if is_text {
            // A NULL is the two without a middle, and has to be text as well.
            (prefix, suffix) = whole_chars(prefix, suffix);
        }
        put_bytes(out, prefix);
        put_bytes(out, suffix);
        let middle = |string: &&'_ [u8]| prefix.len()..string.len() - suffix.len();
        let middles = strings.iter();
        let middles = middles.map(|string| string.as_ref().map(|s| &s[middle(s)]));
        let offsets = Pieces::offsets(middles.clone().map(Option::unwrap_or_default));
        let plain = Pieces::encoded_bytes(&offsets);
        let mut numbered = vec![NUMBERED];
        if Numbered::encode(middles.clone(), &mut numbered) && numbered.len() < plain {
            out.append(&mut numbered);
            return;
        }
        drop(numbered);
        let middles = middles.map(Option::unwrap_or_default);
        // Plain strings are read where they are: the table must pay.
        if let Some(compressed) = Symbols::compress(middles.clone(), plain * 7 / 8) {
            out.push(SYMBOLS);
            out.extend_from_slice(&compressed.table);
            Pieces::encode(&compressed.offsets, out);
            out.extend_from_slice(&compressed.codes);
            return;
        }
        out.push(PLAIN);
        Pieces::encode(&offsets, out);
        middles.for_each(|piece| out.extend_from_slice(piece));
    }

    /// Reads what `encode` wrote of `len` strings.
    pub(super) fn parse(decoder: &mut Decoder<'_>, len: usize) -> Result<Self, DecodeError> {
        let prefix = common_part(decoder)?;
        let suffix = common_part(decoder)?;
        let offset = decoder.offset();
        let middles = match decoder.u8()? {
            PLAIN => Middles::Plain(Pieces::parse(decoder, len)?),
            SYMBOLS => {
                let symbols = Box::new(Symbols::parse(decoder)?);
                Middles::Symbols(Pieces::parse(decoder, len)?, symbols)
            }
            NUMBERED => Middles::Numbered(Numbered::parse(decoder, len)?),
            other => {
                return Err(DecodeError {
                    offset,
                    expected: "an encoding of strings",
                    found: other.to_string(),
                });
            }
        };
        Ok(Self {
            prefix,
            suffix,
            middles,
        })
    }

    /// Whether each of `len` strings can be read.
    pub(super) fn is_valid(&self, image: &[u8], len: usize) -> bool {
        match &self.middles {
            Middles::Plain(pieces) => pieces.is_valid(image),
            Middles::Symbols(pieces, _) => {
                let is_valid = |index| Symbols::is_valid(pieces.get(image, index));
                pieces.is_valid(image) && (0..len).all(is_valid)
            }
            Middles::Numbered(numbered) => numbered.is_valid(image),
        }
    }

    /// Bits that a string takes, in the mean.
    pub(super) fn width(&self, rows: usize) -> usize {
        match &self.middles {
            Middles::Plain(pieces) | Middles::Symbols(pieces, _) => {
                pieces.bytes.len() * 8 / rows.max(1)
            }
            Middles::Numbered(_) => 0,
        }
    }

    /// String `index`, from the image where it is whole there, else made in `scratch`.
    pub(super) fn get<'a>(
        &self,
        image: &'a [u8],
        index: usize,
        scratch: &'a mut Vec<u8>,
    ) -> &'a [u8] {
        if let Middles::Plain(pieces) = &self.middles
            && self.prefix.is_empty()
            && self.suffix.is_empty()
        {
            return pieces.get(image, index);
        }
        scratch.clear();
        self.append(image, index, scratch);
        scratch
    }

    /// Appends string `index`.
    pub(super) fn append(&self, image: &[u8], index: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&image[self.prefix.clone()]);
        match &self.middles {
            Middles::Plain(pieces) => out.extend_from_slice(pieces.get(image, index)),
            Middles::Symbols(pieces, symbols) => symbols.append(pieces.get(image, index), out),
            Middles::Numbered(numbered) => numbered.append(image, index, out),
        }
        out.extend_from_slice(&image[self.suffix.clone()]);
    }

    /// Gives a run of the strings, one after the other.
    pub(super) fn each(&self, image: &[u8], run: &Range<usize>, mut each: impl FnMut(&[u8])) {
        let suffix = &image[self.suffix.clone()];
        let mut text = image[self.prefix.clone()].to_vec();
        let prefix = text.len();
        match &self.middles {
            Middles::Plain(pieces) if prefix == 0 && suffix.is_empty() => {
                pieces.each(image, run, each);
            }
            Middles::Plain(pieces) => pieces.each(image, run, |piece| {
                text.truncate(prefix);
                text.extend_from_slice(piece);
                text.extend_from_slice(suffix);
                each(&text);
            }),
            Middles::Symbols(pieces, symbols) => pieces.each(image, run, |piece| {
                text.truncate(prefix);
                symbols.append(piece, &mut text);
                text.extend_from_slice(suffix);
                each(&text);
            }),
            Middles::Numbered(numbered) if numbered.digits > 0 => {
                let digits = prefix..prefix + numbered.digits;
                text.resize(digits.end, b'0');
                text.extend_from_slice(suffix);
                for number in numbered.ints.run(image, run) {
                    write_digits(number, &mut text[digits.clone()]);
                    each(&text);
                }
            }
            Middles::Numbered(numbered) => {
                for number in numbered.ints.run(image, run) {
                    text.truncate(prefix);
                    numbered.append_number(number, &mut text);
                    text.extend_from_slice(suffix);
                    each(&text);
                }
            }
        }
    }

    /// Where strings are integers in the order of the strings: these, of which there can be
    /// `numbers`, and the string that each is.
    pub(super) fn as_ints<'s>(&'s self, image: &'s [u8]) -> Option<OrderedInts<'s>> {
        match &self.middles {
            Middles::Numbered(numbered) if numbered.digits > 0 => Some(OrderedInts {
                strings: self,
                numbered,
                image,
            }),
            _ => None,
        }
    }

    /// Bytes that the parsed form takes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        match &self.middles {
            Middles::Symbols(_, symbols) => size_of_val(&**symbols),
            _ => 0,
        }
    }
}

/// Strings as integers of the same order.
pub(super) struct OrderedInts<'s> {
    strings: &'s Strings,
    numbered: &'s Numbered,
    image: &'s [u8],
}

impl<'s> OrderedInts<'s> {
    /// The integer of each row.
    pub(super) fn ints(&self) -> &'s Ints {
        &self.numbered.ints
    }

    /// The integers there can be.
    pub(super) fn numbers(&self) -> std::ops::RangeInclusive<i64> {
        self.numbered.numbers()
    }

    /// The string of an integer.
    pub(super) fn string<'a>(&self, number: i64, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        scratch.clear();
        scratch.extend_from_slice(&self.image[self.strings.prefix.clone()]);
        self.numbered.append_number(number, scratch);
        scratch.extend_from_slice(&self.image[self.strings.suffix.clone()]);
        scratch
    }
}

impl Pieces {
    /// Where each piece begins, and where the last one ends.
    fn offsets<'p>(pieces: impl Iterator<Item = &'p [u8]>) -> Vec<i64> {
        let mut end = 0;
        let ends = pieces.map(|piece| {
            end += piece.len() as i64;
            end
        });
        std::iter::once(0).chain(ends).collect()
    }

    /// Roughly the bytes that pieces take with their offsets.
    fn encoded_bytes(offsets: &[i64]) -> usize {
        let bytes = offsets.last().map_or(0, |end| *end as usize);
        bytes + Packed::encoded_bytes(offsets)
    }

    /// Appends all but the bytes of the pieces, which are to follow.
    fn encode(offsets: &[i64], out: &mut Vec<u8>) {
        let bytes = offsets.last().map_or(0, |end| *end as usize);
        out.reserve_exact(Self::encoded_bytes(offsets) + OFFSETS_HEADER_BYTES);
        Packed::encode(offsets, out);
        put_varint(out, bytes as u64);
    }

    fn parse(decoder: &mut Decoder<'_>, len: usize) -> Result<Self, DecodeError> {
        let offsets = Packed::parse(decoder, len + 1)?;
        let bytes = decoder.bytes()?.len();
        Ok(Self {
            offsets,
            bytes: decoder.offset() - bytes..decoder.offset(),
        })
    }

    /// Whether the pieces follow each other and are all of the bytes.
    fn is_valid(&self, image: &[u8]) -> bool {
        let mut start = 0;
        let in_order = (0..self.offsets.len).all(|at| {
            let offset = self.offsets.get(image, at);
            let before = std::mem::replace(&mut start, offset);
            offset >= before && (at > 0 || offset == 0)
        });
        in_order && start == self.bytes.len() as i64
    }

    fn each(&self, image: &[u8], run: &Range<usize>, mut each: impl FnMut(&[u8])) {
        let bytes = &image[self.bytes.clone()];
        let offsets = self.offsets.run(image, &(run.start..run.end + 1));
        for piece in offsets.windows(2) {
            each(&bytes[piece[0] as usize..piece[1] as usize]);
        }
    }

    fn get<'i>(&self, image: &'i [u8], index: usize) -> &'i [u8] {
        let start = self.offsets.get(image, index) as usize;
        let end = self.offsets.get(image, index + 1) as usize;
        &image[self.bytes.clone()][start..end]
    }
}

fn common_part(decoder: &mut Decoder<'_>) -> Result<Range<usize>, DecodeError> {
    let offset = decoder.offset();
    let len = decoder.bytes()?.len();
    match len {
        0..=COMMON_BYTES_MAX => Ok(decoder.offset() - len..decoder.offset()),
        _ => Err(DecodeError {
            offset,
            expected: "a common part of up to 255 bytes",
            found: len.to_string(),
        }),
    }
}

/// The parts without the beginning and the end of a character that goes on in the middle.
fn whole_chars<'s>(prefix: &'s [u8], suffix: &'s [u8]) -> (&'s [u8], &'s [u8]) {
    let whole = match std::str::from_utf8(prefix) {
        Ok(_) => prefix.len(),
        Err(error) => error.valid_up_to(),
    };
    let goes_on = |byte: &&u8| **byte & 0b1100_0000 == 0b1000_0000;
    let rest = suffix.iter().take_while(goes_on).count();
    (&prefix[..whole], &suffix[rest..])
}

/// The longest prefix and suffix that all strings have and that do not overlap in any.
fn common<'s>(strings: &[Option<&'s [u8]>]) -> (&'s [u8], &'s [u8]) {
    let mut present = strings.iter().flatten();
    let Some(first) = present.next() else {
        return (&[], &[]);
    };
    let (mut prefix, mut suffix, mut shortest) = (*first, *first, first.len());
    for string in present {
        let same = |(a, b): &(&u8, &u8)| a == b;
        prefix = &prefix[..prefix.iter().zip(*string).take_while(same).count()];
        let tail = suffix.iter().rev().zip(string.iter().rev());
        suffix = &suffix[suffix.len() - tail.take_while(same).count()..];
        shortest = shortest.min(string.len());
    }
    prefix = &prefix[..prefix.len().min(COMMON_BYTES_MAX)];
    let room = (shortest - prefix.len()).min(COMMON_BYTES_MAX);
    (prefix, &suffix[suffix.len().saturating_sub(room)..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(strings: &[Option<String>]) -> (Vec<u8>, Strings) {
        let bytes: Vec<_> = strings
            .iter()
            .map(|s| s.as_ref().map(String::as_bytes))
            .collect();
        let mut out = Vec::new();
        Strings::encode(&bytes, true, &mut out);
        let mut decoder = Decoder::new(&out);
        let encoded = Strings::parse(&mut decoder, strings.len()).unwrap();
        decoder.finish().unwrap();
        assert!(encoded.is_valid(&out, strings.len()));
        let mut scratch = Vec::new();
        for (index, string) in strings.iter().enumerate() {
            if let Some(string) = string {
                assert_eq!(encoded.get(&out, index, &mut scratch), string.as_bytes());
            }
        }
        let mut rest = strings.iter().skip(1);
        encoded.each(&out, &(1..strings.len()), |bytes| {
            if let Some(string) = rest.next().expect("one each") {
                assert_eq!(bytes, string.as_bytes());
            }
        });
        assert!(rest.next().is_none());
        (out, encoded)
    }

    fn all(string: impl Fn(u64) -> String) -> Vec<Option<String>> {
        // Every seventh is NULL, the first one too.
        (0..3000)
            .map(|n| (n % 7 > 0).then(|| string(n * 7919 % 3000)))
            .collect()
    }

    #[test]
    fn prose_is_compressed_with_symbols() {
        let words = [
            "the", "shark", "rides", "under", "whale", "\0", "\0\u{1}", "été",
        ];
        let sentence = |n: u64| {
            let word = |at: u64| words[(n.pow(3) / 7_u64.pow(at as u32)) as usize % words.len()];
            (0..8).map(word).collect::<Vec<_>>().join(" ")
        };
        let strings = all(sentence);
        let plain: usize = strings.iter().flatten().map(String::len).sum();
        let (bytes, encoded) = encoded(&strings);
        assert!(matches!(encoded.middles, Middles::Symbols(..)));
        assert!(bytes.len() * 2 < plain, "{} of {plain} bytes", bytes.len());
    }

    #[test]
    fn numbers_between_common_parts_are_integers() {
        let (bytes, encoded) = encoded(&all(|n| format!("INV-{n:06}/x")));
        assert!(matches!(&encoded.middles, Middles::Numbered(n) if n.digits == 4));
        assert!(bytes.len() < 3000 * 13 / 8, "at most 13 bits each");
        let (_, encoded) = self::encoded(&all(|n| format!("{n}")));
        assert!(matches!(&encoded.middles, Middles::Numbered(n) if n.digits == 0));
    }

    #[test]
    fn what_looks_like_a_number_but_is_not_one_is_kept() {
        // A leading zero, too many digits, a sign, nothing at all.
        for odd in ["007", "1234567890123456789", "-5", "+5", "", "1 ", "１"] {
            let (_, encoded) = encoded(&all(|n| match n {
                5 => odd.to_owned(),
                _ => format!("{}", n % 1000 + 10),
            }));
            assert!(!matches!(encoded.middles, Middles::Numbered(_)), "{odd:?}");
        }
    }

    /// Two letters share their first byte, and a NULL has no middle: it was half a letter.
    #[test]
    fn common_parts_are_whole_characters() {
        let strings = ["é|à", "è|ā", "ê|\u{90a0}"].map(|s| Some(s.to_owned()));
        let (bytes, encoded) = encoded(&[strings.as_slice(), &[None]].concat());
        for part in [encoded.prefix.clone(), encoded.suffix.clone()] {
            assert!(std::str::from_utf8(&bytes[part]).is_ok());
        }
        let mut scratch = Vec::new();
        let null = encoded.get(&bytes, 3, &mut scratch);
        assert!(std::str::from_utf8(null).is_ok());
    }

    #[test]
    fn common_parts_do_not_overlap() {
        let strings = ["aaaa", "aa", "aaa"].map(|s| Some(s.to_owned()));
        let (bytes, encoded) = encoded(&strings);
        let common = (&bytes[encoded.prefix], &bytes[encoded.suffix]);
        assert_eq!(common, (&b"aa"[..], &b""[..]));
        self::encoded(&[Some("only".to_owned()), None]);
        self::encoded(&[Some(String::new()), Some("x".repeat(700)), None]);
        self::encoded(&[Some("y".repeat(700)), Some("y".repeat(900))]);
    }
}
