//! Stories of large transactions: they are runs of frames, and there as a whole or not at all.

use super::segment::SEGMENT_HEADER_LEN;
use super::tests::{commit, new_log};
use super::*;
use crate::codec::Decoder;
use crate::disk::{Disk, SimDisk};
use crate::ids::{ColumnId, Lsn, RowId, TableId, Timestamp};
use crate::pool::Ledger;
use crate::value::ValueRef;
use std::sync::Arc;

const ROWS: u64 = 300;

/// With segments so short that parts are.
const SEGMENT_BYTES: u64 = 1 << 20;

/// A transaction of many rows, of texts like that.
fn large(log: &Log, ledger: &Arc<Ledger>, text: impl Fn(u64) -> String) -> FrameBuilder {
    let mut frame = FrameBuilder::new();
    for row in 0..ROWS {
        frame.cut_if_long(log.part_bytes(), ledger);
        let text = text(row);
        let values = [(ColumnId(0), ValueRef::Text(&text))];
        frame.insert(TableId(1), RowId(row), values);
    }
    frame
}

fn alike(row: u64) -> String {
    format!("row {row} is like many others ").repeat(10)
}

/// Text that does not become shorter.
fn noise(row: u64) -> String {
    let mut state = row + 1;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(33 + (state >> 57) as u8 % 90)
    };
    std::iter::repeat_with(next).take(300).collect()
}

/// What stands in the first segment: for each frame its timestamp and how many rows; then where they end, and
/// the flaw there, if any.
fn read(disk: &SimDisk) -> (Vec<(u64, u32)>, Lsn, bool) {
    let mut reader = SegmentReader::open(disk, 1).unwrap();
    let mut found = Vec::new();
    loop {
        match reader.advance().unwrap() {
            Next::Frame(header, body) => {
                let (mut decoder, mut values) = (Decoder::new(body), Vec::new());
                for _ in 0..header.operations {
                    Operation::decode(&mut decoder, &mut values).unwrap();
                }
                decoder.finish().unwrap();
                found.push((header.timestamp.0, header.operations));
            }
            Next::End => return (found, reader.position(), false),
            Next::Flaw(_) => return (found, reader.position(), true),
        }
    }
}

fn rows_of(found: &[(u64, u32)], timestamp: u64) -> u64 {
    let of_it = found.iter().filter(|(of, _)| *of == timestamp);
    of_it.map(|(_, operations)| u64::from(*operations)).sum()
}

#[test]
fn a_large_transaction_is_a_run_and_comes_back_whole() {
    for (text, packs) in [(alike as fn(u64) -> String, true), (noise, false)] {
        let disk = SimDisk::new();
        let (log, ledger) = new_log(Arc::new(disk.clone()), SEGMENT_BYTES);
        commit(&log, 1, "before");
        let held = ledger.used();
        let mut frame = large(&log, &ledger, text);
        log.reserve(&mut frame).unwrap();
        let raw: u64 = (0..ROWS).map(|row| text(row).len() as u64).sum();
        assert_eq!((frame.len() as u64) < raw / 3, packs);
        assert_eq!(ledger.used(), held + frame.len() as u64);
        log.append(frame, Timestamp(2));
        commit(&log, 3, "after");
        log.flush().unwrap();
        assert_eq!(ledger.used(), 0, "given back");
        let (found, end, has_flaw) = read(&disk.crashed());
        assert_eq!((end, has_flaw), (log.end(), false));
        assert!(found.len() > 10, "{found:?}");
        assert!(found.is_sorted_by_key(|(timestamp, _)| *timestamp));
        assert_eq!((rows_of(&found, 1), rows_of(&found, 3)), (1, 1));
        assert_eq!(rows_of(&found, 2), ROWS);
    }
}

/// The power fails while the run is written. Whatever is missing of it, nothing of it is given, and the log
/// ends where it begins.
#[test]
fn a_run_that_is_not_whole_is_none() {
    let disk = SimDisk::new();
    let (log, ledger) = new_log(Arc::new(disk.clone()), SEGMENT_BYTES);
    let begin = commit(&log, 1, "before");
    let mut frame = large(&log, &ledger, alike);
    log.reserve(&mut frame).unwrap();
    let end = log.append(frame, Timestamp(2));
    log.flush().unwrap();
    let path = segment::path(1);
    let offset = |lsn: Lsn| SEGMENT_HEADER_LEN as u64 + lsn.0;
    for at in (begin.0..end.0).step_by(97) {
        let at = offset(Lsn(at));
        let cut = disk.crashed();
        cut.open(&path).unwrap().truncate(at).unwrap();
        let flipped = disk.crashed();
        let file = flipped.open(&path).unwrap();
        let mut byte = [0];
        file.read_at(at, &mut byte).unwrap();
        file.write_at(at, &[byte[0] ^ 1]).unwrap();
        for torn in [cut, flipped] {
            let (found, stopped, has_flaw) = read(&torn);
            assert_eq!((found, stopped), (vec![(1, 1)], begin), "{at}");
            let length = torn.open(&path).unwrap().len().unwrap();
            assert_eq!(has_flaw, length > offset(begin), "{at}");
        }
    }
}

/// Frames that are whole, and of two transactions: they do not make one commit.
#[test]
fn frames_of_two_commits_are_no_run() {
    let disk = SimDisk::new();
    let (log, ledger) = new_log(Arc::new(disk.clone()), SEGMENT_BYTES);
    let mut frame = large(&log, &ledger, alike);
    log.reserve(&mut frame).unwrap();
    log.append(frame, Timestamp(2));
    log.flush().unwrap();
    let file = disk.open(&segment::path(1)).unwrap();
    let mut bytes = vec![0; (SEGMENT_HEADER_LEN as u64 + log.end().0) as usize];
    file.read_at(0, &mut bytes).unwrap();
    // The second frame says that it is of the commit after.
    let first = u32::from_le_bytes(*bytes[SEGMENT_HEADER_LEN..].first_chunk().unwrap());
    let second = SEGMENT_HEADER_LEN + first as usize;
    let length = u32::from_le_bytes(*bytes[second..].first_chunk().unwrap()) as usize;
    let other = &mut bytes[second..second + length];
    other[24..32].copy_from_slice(&3_u64.to_le_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&other[..4]);
    hasher.update(&other[8..]);
    other[4..8].copy_from_slice(&hasher.finalize().to_le_bytes());
    file.write_at(0, &bytes).unwrap();
    let (found, stopped, has_flaw) = read(&disk);
    assert_eq!((found, stopped, has_flaw), (vec![], Lsn(0), true));
}

/// What was durable once and is damaged now: whoever wants all that is left gets the parts before the damage, and
/// finds those behind it.
#[test]
fn a_broken_run_can_be_taken_apart() {
    let disk = SimDisk::new();
    let (log, ledger) = new_log(Arc::new(disk.clone()), SEGMENT_BYTES);
    let mut frame = large(&log, &ledger, alike);
    log.reserve(&mut frame).unwrap();
    let end = log.append(frame, Timestamp(1));
    log.flush().unwrap();
    let (whole, ..) = read(&disk);
    let file = disk.open(&segment::path(1)).unwrap();
    file.write_at(SEGMENT_HEADER_LEN as u64 + end.0 / 2, b"bad")
        .unwrap();
    let mut reader = SegmentReader::open(&disk, 1).unwrap();
    assert!(matches!(reader.advance().unwrap(), Next::Flaw(_)));
    assert!(reader.take_run_apart());
    let mut found = 0;
    while let Next::Frame(..) = reader.advance().unwrap() {
        found += 1;
    }
    assert!(!reader.take_run_apart(), "nothing more before the damage");
    let behind = reader.whole_behind().unwrap().expect("whole frames");
    reader.seek(behind);
    while let Next::Frame(..) = reader.advance().unwrap() {
        found += 1;
    }
    assert_eq!((found, reader.position()), (whole.len() - 1, end));
}
