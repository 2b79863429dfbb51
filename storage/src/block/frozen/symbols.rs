//! A symbol table: short strings that occur often, and the byte that stands for each.
//!
//! Up to 255 strings of one to eight bytes have a code; code 255 says that the next byte stands for
//! itself. Each string is compressed by itself, so one can be read without the others (Boncz,
//! Neumann, Leis, "FSST: Fast Random Access String Compression", VLDB 2020).
//!
//! The table is trained by `fsst-rs`. Reading is a loop over bytes of our own that cannot leave its
//! slices, whatever the bytes are; and what was compressed is read back before it is kept.

use crate::codec::{DecodeError, Decoder, put_bytes};

/// The code that says: the next byte stands for itself.
const ESCAPE: u8 = 255;
/// Below so many bytes a symbol table cannot pay for itself.
const COMPRESSED_BYTES_MIN: usize = 1 << 10;
/// Bytes that the table is trained on, roughly: it looks at fewer.
const SAMPLE_BYTES: usize = 128 << 10;
/// The most of one string that it is trained on.
const SAMPLE_STRING_BYTES: usize = 4 << 10;

/// What each code stands for: its bytes, least significant first, and how many.
#[derive(Clone, Debug)]
pub(super) struct Symbols {
    bytes: [u64; 255],
    lengths: [u8; 255],
}

/// Strings as codes, with the table that they are of.
pub(super) struct Compressed {
    /// As [`Symbols::parse`] reads it.
    pub(super) table: Vec<u8>,
    /// The codes of all strings, one after the other.
    pub(super) codes: Vec<u8>,
    /// Where those of each string begin, and where the last ones end.
    pub(super) offsets: Vec<i64>,
}

impl Symbols {
    /// Trains a table on strings and compresses them. `None` where that is not worth trying, or takes more than
    /// `most` bytes.
    pub(super) fn compress<'s>(
        strings: impl Iterator<Item = &'s [u8]> + Clone,
        most: usize,
    ) -> Option<Compressed> {
        let compressor = fsst::Compressor::train(&sample(strings.clone())?);
        let mut table = Vec::new();
        let symbols = compressor.symbol_table();
        table.push(symbols.len() as u8);
        for (symbol, len) in symbols.iter().zip(compressor.symbol_lengths()) {
            put_bytes(
                &mut table,
                &symbol.to_u64().to_le_bytes()[..usize::from(*len)],
            );
        }
        let symbols = Self::parse(&mut Decoder::new(&table)).ok()?;
        let (mut codes, mut offsets, mut again) = (Vec::new(), vec![0], Vec::new());
        for string in strings {
            let compressed = compressor.compress(string);
            again.clear();
            symbols.append(&compressed, &mut again);
            if again != string || table.len() + codes.len() + compressed.len() > most {
                return None;
            }
            codes.extend_from_slice(&compressed);
            offsets.push(codes.len() as i64);
        }
        Some(Compressed {
            table,
            codes,
            offsets,
        })
    }

    /// Reads the table that `compress` wrote.
    pub(super) fn parse(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut symbols = Self {
            bytes: [0; 255],
            lengths: [1; 255],
        };
        let offset = decoder.offset();
        let count = usize::from(decoder.u8()?);
        for code in 0..count {
            let symbol = decoder.bytes()?;
            if !(1..=8).contains(&symbol.len()) {
                return Err(DecodeError {
                    offset,
                    expected: "symbols of one to eight bytes",
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

    /// Whether the byte that an escape announces is there.
    pub(super) fn is_valid(codes: &[u8]) -> bool {
        let mut codes = codes.iter();
        while let Some(code) = codes.next() {
            if *code == ESCAPE && codes.next().is_none() {
                return false;
            }
        }
        true
    }

    /// Appends what the codes stand for.
    pub(super) fn append(&self, codes: &[u8], out: &mut Vec<u8>) {
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

/// Strings from all over the column, as many as a table is trained on; `None` where there is too little.
fn sample<'s>(strings: impl Iterator<Item = &'s [u8]> + Clone) -> Option<Vec<&'s [u8]>> {
    let bytes: usize = strings.clone().map(<[u8]>::len).sum();
    if bytes < COMPRESSED_BYTES_MIN {
        return None;
    }
    let step = bytes.div_ceil(SAMPLE_BYTES);
    let chosen = strings.filter(|string| !string.is_empty()).step_by(step);
    Some(
        chosen
            .map(|string| &string[..string.len().min(SAMPLE_STRING_BYTES)])
            .collect(),
    )
}
