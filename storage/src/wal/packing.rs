//! The operations of long frames, compressed.
//!
//! ```text
//!   | header, with the bit | length before | lz4 block |
//!   | 40                   | 4             |
//! ```
//!
//! Short frames gain little and would pay the most for a byte. A frame that would not become an eighth shorter
//! stays as it is, and so does a very long one, or any where memory is scarce: to compress takes as much
//! again, for a moment. It is done by the committing transaction, before the commit section.

use super::frame::{FRAME_HEADER_LEN, Flaw};
use crate::format::u32_at;
use crate::pool::{Ledger, Owner};
use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};
use std::sync::Arc;

/// Frames are compressed from this length on.
pub(super) const PACKED_FROM: usize = 4 << 10;
/// Frames are compressed up to this length: a hostile frame takes no more memory to be read.
const PACKED_UP_TO: usize = 16 << 20;
/// What a byte of an lz4 block can stand for, at most.
const TIMES_MAX: usize = 255;
/// Bytes before the lz4 block.
const PREFIX_LEN: usize = 4;

/// The same frame, shorter; `None` where that is not to be had. The header is left as it is.
pub(super) fn pack(frame: &[u8], ledger: &Arc<Ledger>) -> Option<Vec<u8>> {
    if !(PACKED_FROM..=PACKED_UP_TO).contains(&frame.len()) {
        return None;
    }
    let (header, operations) = frame.split_at(FRAME_HEADER_LEN);
    let most = FRAME_HEADER_LEN + PREFIX_LEN + get_maximum_output_size(operations.len());
    let _memory = ledger.reserve(Owner::Log, most as u64).ok()?;
    let mut packed = vec![0; most];
    packed[..FRAME_HEADER_LEN].copy_from_slice(header);
    let (prefix, block) = packed[FRAME_HEADER_LEN..].split_at_mut(PREFIX_LEN);
    prefix.copy_from_slice(&(operations.len() as u32).to_le_bytes());
    let length = compress_into(operations, block).ok()?;
    packed.truncate(FRAME_HEADER_LEN + PREFIX_LEN + length);
    if packed.len() > frame.len() - frame.len() / 8 {
        return None;
    }
    // It is kept, and as much memory is reserved as it has bytes.
    packed.shrink_to_fit();
    Some(packed)
}

/// The operations that `body` stands for, into `out`. Their length is not believed where no block
/// of that size could stand for as much.
pub(super) fn unpack(body: &[u8], out: &mut Vec<u8>) -> Result<(), Flaw> {
    let at = FRAME_HEADER_LEN as u64;
    if body.len() < PREFIX_LEN {
        return Err(Flaw::new(at, "compressed operations", "nothing"));
    }
    let (length, block) = (u32_at(body, 0) as usize, &body[PREFIX_LEN..]);
    let most = block.len().saturating_mul(TIMES_MAX).min(PACKED_UP_TO);
    if length > most {
        let expected = format!("up to {most} bytes of operations");
        return Err(Flaw::new(at, expected, length.to_string()));
    }
    out.resize(length, 0);
    match decompress_into(block, out) {
        Ok(found) if found == length => Ok(()),
        Ok(found) => {
            let expected = format!("{length} bytes of operations");
            Err(Flaw::new(at, expected, found.to_string()))
        }
        Err(error) => Err(Flaw::new(at, "an lz4 block", error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(operations: usize, text: &str) -> Vec<u8> {
        let mut frame = vec![7; FRAME_HEADER_LEN];
        frame.extend(text.bytes().cycle().take(operations));
        frame
    }

    #[test]
    fn what_was_packed_is_unpacked_as_it_was() {
        let ledger = Ledger::new(1 << 30);
        let long = frame(100_000, "a row like many others; ");
        let packed = pack(&long, &ledger).expect("it pays");
        assert!(packed.len() < long.len() / 10);
        let mut out = Vec::new();
        unpack(&packed[FRAME_HEADER_LEN..], &mut out).expect("whole");
        assert!(out == long[FRAME_HEADER_LEN..]);
        assert_eq!(ledger.used(), 0);
        assert!(pack(&frame(2_000, "short"), &ledger).is_none());
        assert!(pack(&frame(PACKED_UP_TO, "long"), &ledger).is_none());
        let mut state = 1_u64;
        let noise = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        });
        let noise: Vec<u8> = noise.take(100_000).collect();
        assert!(pack(&noise, &ledger).is_none(), "nothing is gained");
        let scarce = Ledger::new(1 << 16);
        assert!(pack(&long, &scarce).is_none(), "no room to do it in");
    }

    #[test]
    fn a_hostile_block_is_a_flaw_and_takes_no_more_than_it_may() {
        let long = frame(50_000, "a row like many others; ");
        let packed = pack(&long, &Ledger::new(1 << 30)).expect("it pays");
        let body = &packed[FRAME_HEADER_LEN..];
        let mut out = Vec::new();
        for at in 0..body.len() {
            let mut bad = body.to_vec();
            bad[at] ^= 0x55;
            // Some flips give other bytes of the same length: the checksum is for those.
            let _ = unpack(&bad, &mut out);
            assert!(out.len() <= body.len() * TIMES_MAX);
            assert!(unpack(&body[..at], &mut out).is_err(), "cut at {at}");
        }
        for length in [0, 1, u32::MAX, 1 << 31] {
            let mut bad = body.to_vec();
            bad[..4].copy_from_slice(&length.to_le_bytes());
            assert!(unpack(&bad, &mut out).is_err(), "{length}");
        }
    }
}
