//! A column of strings: what all have in common once, and the rest one after the other.
//!
//! ```text
//!  "user0000017@example.com"    prefix "user00000" | middle "17" | suffix "@example.com"
//!
//!  middles   [17][18][19] ..    as they are, or as codes of a symbol table
//!  offsets   0  2  4  6  ..     packed: evenly growing offsets take few bits
//! ```
//!
//! A symbol table gives up to 255 short strings (of up to eight bytes) a code of one byte each; code
//! 255 says that the next byte stands for itself. Each string is compressed by itself, so one can
//! be read without the others (Boncz, Neumann, Leis, "FSST", VLDB 2020). The table is trained by
//! `fsst-rs`; reading is a loop over bytes that cannot leave its slices, whatever the bytes are.
//!
//! NULL rows have an empty middle.

use super::ints::Packed;
use crate::codec::{DecodeError, Decoder, put_bytes, put_varint};
use std::ops::Range;

/// The longest prefix or suffix that is taken out, so that hostile bytes cannot stand for much more
/// than they are.
const COMMON_BYTES_MAX: usize = 255;
/// The code that says: the next byte stands for itself.
const ESCAPE: u8 = 255;
/// Below so many bytes a symbol table cannot pay for itself.
const COMPRESSED_BYTES_MIN: usize = 1 << 10;
const PLAIN: u8 = 0;
const SYMBOLS: u8 = 1;

/// Strings, encoded; the bytes are in the image that is passed to each call.
#[derive(Clone, Debug)]
pub(super) struct Strings {
    prefix: Range<usize>,
    suffix: Range<usize>,
    /// One more than there are strings.
    offsets: Packed,
    middles: Range<usize>,
    symbols: Option<Box<Symbols>>,
}

/// What each code stands for: its bytes, least significant first, and how many.
#[derive(Clone, Debug)]
struct Symbols {
    bytes: [u64; 255],
    lengths: [u8; 255],
}

impl Strings {
    /// Appends strings; `None` is a NULL.
    pub(super) fn encode(strings: &[Option<&[u8]>], out: &mut Vec<u8>) {
        let (prefix, suffix) = common(strings);
        put_bytes(out, prefix);
        put_bytes(out, suffix);
        let cut = |string: &&'_ [u8]| prefix.len()..string.len() - suffix.len();
        let middles: Vec<&[u8]> = strings
            .iter()
            .map(|string| string.map_or(&[][..], |string| &string[cut(&string)]))
            .collect();
        let start = out.len();
        out.push(PLAIN);
        put_middles(&middles, out);
        if let Some(mut compressed) = compress(&middles)
            && compressed.len() * 8 < (out.len() - start) * 7
        {
            out.truncate(start);
            out.append(&mut compressed);
        }
    }

    /// Reads what `encode` wrote of `len` strings.
    pub(super) fn parse(decoder: &mut Decoder<'_>, len: usize) -> Result<Self, DecodeError> {
        let prefix = common_part(decoder)?;
        let suffix = common_part(decoder)?;
        let offset = decoder.offset();
        let symbols = match decoder.u8()? {
            PLAIN => None,
            SYMBOLS => Some(Box::new(Symbols::parse(decoder)?)),
            other => {
                return Err(DecodeError {
                    offset,
                    expected: "an encoding of strings",
                    found: other.to_string(),
                });
            }
        };
        let offsets = Packed::parse(decoder, len + 1)?;
        let bytes = decoder.bytes()?.len();
        Ok(Self {
            prefix,
            suffix,
            offsets,
            middles: decoder.offset() - bytes..decoder.offset(),
            symbols,
        })
    }

    /// Whether every middle lies within the bytes and is made of codes that there are.
    pub(super) fn is_valid(&self, image: &[u8]) -> bool {
        let mut start = 0;
        let in_order = (0..self.offsets.len).all(|at| {
            let offset = self.offsets.get(image, at);
            let before = std::mem::replace(&mut start, offset);
            offset >= before && (at > 0 || offset == 0)
        });
        let whole = start == self.middles.len() as i64;
        in_order && whole && self.escapes_are_whole(image)
    }

    fn escapes_are_whole(&self, image: &[u8]) -> bool {
        self.symbols.is_none()
            || (0..self.offsets.len - 1).all(|index| {
                let mut codes = self.middle(image, index).iter();
                while let Some(code) = codes.next() {
                    if *code == ESCAPE && codes.next().is_none() {
                        return false;
                    }
                }
                true
            })
    }

    /// Bytes of all middles as they are held.
    pub(super) fn bytes(&self) -> usize {
        self.middles.len()
    }

    fn middle<'i>(&self, image: &'i [u8], index: usize) -> &'i [u8] {
        let start = self.offsets.get(image, index) as usize;
        let end = self.offsets.get(image, index + 1) as usize;
        &image[self.middles.clone()][start..end]
    }

    /// String `index`, from the image where it is whole there, else made in `scratch`.
    pub(super) fn get<'a>(
        &self,
        image: &'a [u8],
        index: usize,
        scratch: &'a mut Vec<u8>,
    ) -> &'a [u8] {
        let bare = self.prefix.is_empty() && self.suffix.is_empty();
        if bare && self.symbols.is_none() {
            return self.middle(image, index);
        }
        scratch.clear();
        self.append(image, index, scratch);
        scratch
    }

    /// Appends string `index`.
    pub(super) fn append(&self, image: &[u8], index: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&image[self.prefix.clone()]);
        let middle = self.middle(image, index);
        match &self.symbols {
            None => out.extend_from_slice(middle),
            Some(symbols) => symbols.append(middle, out),
        }
        out.extend_from_slice(&image[self.suffix.clone()]);
    }

    /// Bytes that the parsed form takes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.symbols.as_deref().map_or(0, size_of_val)
    }
}

impl Symbols {
    fn parse(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut symbols = Self {
            bytes: [0; 255],
            lengths: [1; 255],
        };
        let offset = decoder.offset();
        let count = usize::from(decoder.u8()?);
        for code in 0..count {
            let symbol = decoder.bytes()?;
            if code == usize::from(ESCAPE) || !(1..=8).contains(&symbol.len()) {
                return Err(DecodeError {
                    offset,
                    expected: "up to 255 symbols of one to eight bytes",
                    found: format!("symbol {code} of {} bytes", symbol.len()),
                });
            }
            let mut bytes = [0; 8];
            bytes[..symbol.len()].copy_from_slice(symbol);
            symbols.bytes[code] = u64::from_le_bytes(bytes);
            symbols.lengths[code] = symbol.len() as u8;
        }
        Ok(symbols)
    }

    /// Appends what the codes stand for.
    fn append(&self, codes: &[u8], out: &mut Vec<u8>) {
        let mut at = out.len();
        // Eight bytes are written for each code, whatever its length: a copy without a branch.
        out.resize(at + codes.len() * 8, 0);
        let mut rest = codes.iter();
        while let Some(code) = rest.next() {
            if *code == ESCAPE {
                out[at] = rest.next().copied().unwrap_or(0);
                at += 1;
                continue;
            }
            let symbol = self.bytes[usize::from(*code)].to_le_bytes();
            out[at..at + 8].copy_from_slice(&symbol);
            at += usize::from(self.lengths[usize::from(*code)]);
        }
        out.truncate(at);
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

fn put_middles<T: AsRef<[u8]>>(middles: &[T], out: &mut Vec<u8>) {
    let mut end = 0;
    let ends = middles.iter().map(|middle| {
        end += middle.as_ref().len() as i64;
        end
    });
    let offsets: Vec<i64> = std::iter::once(0).chain(ends).collect();
    Packed::encode(&offsets, out);
    put_varint(out, end as u64);
    for middle in middles {
        out.extend_from_slice(middle.as_ref());
    }
}

/// The strings with a symbol table. `None` where that is not worth trying, or would not give back
/// what was put in.
fn compress(strings: &[&[u8]]) -> Option<Vec<u8>> {
    let bytes: usize = strings.iter().map(|string| string.len()).sum();
    if bytes < COMPRESSED_BYTES_MIN {
        return None;
    }
    let compressor = fsst::Compressor::train(&strings.to_vec());
    let compressed: Vec<Vec<u8>> = strings.iter().map(|s| compressor.compress(s)).collect();
    let mut out = vec![SYMBOLS];
    let table = compressor.symbol_table();
    out.push(table.len() as u8);
    for (symbol, len) in table.iter().zip(compressor.symbol_lengths()) {
        put_bytes(
            &mut out,
            &symbol.to_u64().to_le_bytes()[..usize::from(*len)],
        );
    }
    let symbols = Symbols::parse(&mut Decoder::new(&out[1..])).ok()?;
    let mut again = Vec::new();
    for (string, codes) in strings.iter().zip(&compressed) {
        again.clear();
        symbols.append(codes, &mut again);
        if again != *string {
            return None;
        }
    }
    put_middles(&compressed, &mut out);
    Some(out)
}
