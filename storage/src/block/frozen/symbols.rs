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

/// What each code stands for: its bytes, least significant first, and how many.
#[derive(Clone, Debug)]
pub(super) struct Symbols {
    bytes: [u64; 255],
    lengths: [u8; 255],
}

impl Symbols {
    /// Trains a table on strings, appends it, and compresses them. `None`, and nothing of use
    /// appended, where that is not worth trying.
    pub(super) fn compress(strings: &[&[u8]], out: &mut Vec<u8>) -> Option<Vec<Vec<u8>>> {
        let bytes: usize = strings.iter().map(|string| string.len()).sum();
        if bytes < COMPRESSED_BYTES_MIN {
            return None;
        }
        let compressor = fsst::Compressor::train(&strings.to_vec());
        let compressed: Vec<Vec<u8>> = strings.iter().map(|s| compressor.compress(s)).collect();
        let start = out.len();
        let table = compressor.symbol_table();
        out.push(table.len() as u8);
        for (symbol, len) in table.iter().zip(compressor.symbol_lengths()) {
            put_bytes(out, &symbol.to_u64().to_le_bytes()[..usize::from(*len)]);
        }
        let symbols = Self::parse(&mut Decoder::new(&out[start..])).ok()?;
        let mut again = Vec::new();
        let is_same = |(string, codes): (&&[u8], &Vec<u8>)| {
            again.clear();
            symbols.append(codes, &mut again);
            again == *string
        };
        strings
            .iter()
            .zip(&compressed)
            .all(is_same)
            .then_some(compressed)
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
