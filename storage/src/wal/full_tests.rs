//! Stories of a medium without room: what finds room is durable, what does not stays queued, and is written at its
//! place when there is room.

use super::segment::{SEGMENT_HEADER_LEN, SegmentHeader};
use super::tests::{DATABASE, commit, frame_of, frames_of, log_on, new_log};
use super::*;
use crate::disk::{Disk, Event, Fault, Image, Medium, SimDisk, Tear};
use crate::error::Error;
use crate::ids::{Lsn, Timestamp};
use std::io::ErrorKind;
use std::sync::Arc;

/// A text that is not made shorter.
fn noise(seed: u64, length: usize) -> String {
    let mut state = seed + 1;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(33 + (state >> 57) as u8 % 90)
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// A medium with room for so many bytes more, none of which is taken ahead.
fn leave(disk: &SimDisk, bytes: u64) {
    disk.set_capacity(Some(disk.used() + bytes));
}

#[test]
fn what_finds_room_is_durable_and_the_rest_waits_in_order() {
    let disk = SimDisk::new();
    let (log, ledger) = new_log(Arc::new(disk.clone()), 1 << 20);
    let first = commit(&log, 1, &noise(1, 9000));
    log.wait_durable(first).unwrap();
    // The room ahead of the first frame is used up by the next ones, and some more.
    leave(&disk, 5000);
    let ends: Vec<Lsn> = (2..=9)
        .map(|timestamp| commit(&log, timestamp, &noise(timestamp, 3000)))
        .collect();
    let error = log.wait_durable(ends[7]).unwrap_err();
    assert!(matches!(
        error,
        Error::OutcomeUnknown {
            is_queued: true,
            ..
        }
    ));
    assert_eq!(error.sqlstate(), "08007");
    let durable = log.durable_timestamp();
    assert!(
        Timestamp(2) < durable && durable < Timestamp(9),
        "{durable}"
    );
    // Behind them stands as much of the next one as there was room for.
    let left = disk.crashed();
    let mut reader = SegmentReader::open(&left, 1).unwrap();
    for timestamp in 1..=durable.0 {
        let next = reader.advance().unwrap();
        assert!(matches!(next, Next::Frame(header, _) if header.timestamp.0 == timestamp));
    }
    assert_eq!(reader.position(), log.durable());
    assert!(matches!(reader.advance().unwrap(), Next::Flaw(_)));
    // Those are told so, and the others again that nobody knows.
    for (timestamp, end) in (2..).zip(&ends) {
        assert_eq!(log.wait_durable(*end).is_ok(), timestamp <= durable.0);
    }
    let refused = log.reserve(&mut frame_of(10, "refused")).unwrap_err();
    let waiting = ends[7].0 - log.durable().0;
    assert!(
        matches!(refused, Error::DiskFull { wanted, .. } if wanted > waiting),
        "{refused:?}, {waiting}"
    );
    assert!(ledger.used() >= waiting);
    // A little room: some more of them.
    leave(&disk, 4000);
    assert!(log.flush().is_err());
    assert!(log.durable_timestamp() > durable);
    disk.set_capacity(None);
    let last = commit(&log, 10, "there is room");
    log.wait_durable(last).unwrap();
    assert_eq!(ledger.used(), 0);
    let left = disk.crashed();
    assert_eq!(frames_of(&left, 1), ((1..=10).collect(), last.0));
}

/// Commits of a log with short segments, one of which the medium takes in part only, or not at all. All crashes of it
/// leave what was durable, in place.
#[test]
fn a_write_in_part_is_written_again_to_the_same_place() {
    for kind in [Fault::Once, Fault::InPart] {
        for at in 0.. {
            let disk = SimDisk::recording();
            let (log, _) = new_log(Arc::new(disk.clone()), 300);
            let start = disk.image();
            disk.take_events();
            disk.fail(at, kind(ErrorKind::StorageFull));
            let mut marks = vec![(0, 0)];
            let mut events: Vec<Event> = Vec::new();
            let mut is_failed = false;
            for timestamp in 1..=6 {
                let mut frame = frame_of(timestamp, &noise(timestamp, 90));
                if log.reserve(&mut frame).is_err() {
                    is_failed = true;
                    break;
                }
                let end = log.append(frame, Timestamp(timestamp));
                let told = log.wait_durable(end);
                events.extend(disk.take_events());
                if told.is_ok() {
                    marks.push((events.len(), timestamp));
                }
            }
            is_failed |= matches!(log.condition(), LogCondition::Failed(_));
            if !is_failed {
                log.flush().unwrap();
                assert_eq!(log.durable_timestamp(), Timestamp(6), "at {at}");
            }
            look_at_all(&start, &events, &marks);
            if !disk.has_failed() {
                break;
            }
        }
    }
}

/// Crashes after each event, with some choices of what the medium has kept: what was acknowledged by then is there,
/// each frame in its place, and nothing stands where another segment has begun.
fn look_at_all(start: &Image, events: &[Event], marks: &[(usize, u64)]) {
    let mut medium = Medium::new(start);
    for count in 0..=events.len() {
        if let Some(event) = count.checked_sub(1) {
            medium.apply(&events[event]);
        }
        let acknowledged = marks.iter().rev().find(|mark| mark.0 <= count);
        let acknowledged = acknowledged.map_or(0, |mark| mark.1);
        let loose = medium.loose(Tear::Sector(64));
        for choice in 0..4 {
            for earlier_on_top in [false, true] {
                let kept = |at: usize| match choice {
                    0 => false,
                    1 => true,
                    2 => at.is_multiple_of(2),
                    _ => at % 2 == 1,
                };
                let image = medium.image(&loose, kept, earlier_on_top);
                let found = walk(&SimDisk::with(&image));
                assert!(
                    found >= acknowledged,
                    "{found} of {acknowledged} after {count} events"
                );
            }
        }
    }
}

/// The last timestamp that can be read from the first segment on.
fn walk(disk: &SimDisk) -> u64 {
    let mut last = 0;
    let numbers = disk.list(segment::FOLDER).unwrap();
    let readers = (1..=numbers.len() as u64).map_while(|n| SegmentReader::open(disk, n).ok());
    let readers: Vec<SegmentReader> = readers.collect();
    let firsts: Vec<Lsn> = readers.iter().skip(1).map(|r| r.header().first).collect();
    for (at, mut reader) in readers.into_iter().enumerate() {
        let is_flawed = loop {
            match reader.advance().unwrap() {
                Next::Frame(header, _) => {
                    assert_eq!(header.timestamp, Timestamp(last + 1));
                    last += 1;
                }
                Next::End => break false,
                Next::Flaw(_) => break true,
            }
        };
        if let Some(next) = firsts.get(at) {
            assert!(!is_flawed && reader.position() == *next, "before a segment");
        }
    }
    last
}

#[test]
fn a_large_transaction_is_written_again_as_a_whole() {
    let disk = SimDisk::new();
    let (log, ledger) = new_log(Arc::new(disk.clone()), 1 << 20);
    let mut frame = FrameBuilder::new();
    for row in 0..40 {
        frame.cut_if_long(log.part_bytes(), &ledger);
        let text = noise(row, 1000);
        let values = [(crate::ids::ColumnId(0), crate::value::ValueRef::Text(&text))];
        frame.insert(crate::ids::TableId(1), crate::ids::RowId(row), values);
    }
    log.reserve(&mut frame).unwrap();
    leave(&disk, 10_000);
    let end = log.append(frame, Timestamp(1));
    for _ in 0..3 {
        assert!(log.wait_durable(end).is_err());
        assert_eq!(log.durable(), Lsn(0), "none of it");
    }
    disk.set_capacity(None);
    log.wait_durable(end).unwrap();
    let mut reader = SegmentReader::open(&disk.crashed(), 1).unwrap();
    let mut operations = 0;
    while let Next::Frame(header, _) = reader.advance().unwrap() {
        operations += header.operations;
    }
    assert_eq!((operations, reader.position()), (40, end));
    assert_eq!(ledger.used(), 0);
}

/// Nothing of it happens before the log can be written: what recovery had no room for comes first, once.
#[test]
fn what_recovery_has_left_comes_before_the_first_frame() {
    let disk = SimDisk::new();
    disk.create_folder(segment::FOLDER).unwrap();
    let header = SegmentHeader {
        database: DATABASE,
        number: 1,
        first: Lsn(0),
        timeline: 1,
    };
    create_segment(&disk, &header).unwrap();
    let torn = disk.open(&segment::path(1)).unwrap();
    torn.write_at(SEGMENT_HEADER_LEN as u64, b"torn").unwrap();
    let full = || Error::DiskFull {
        path: "MANIFEST.tmp".into(),
        wanted: 7,
    };
    let tries = Arc::new(parking_lot::Mutex::new(0));
    let counted = Arc::clone(&tries);
    let unfinished = UnfinishedRecovery {
        because: full(),
        finish: Box::new(move || {
            *counted.lock() += 1;
            if *counted.lock() < 3 {
                return Err(full());
            }
            torn.truncate(SEGMENT_HEADER_LEN as u64)?;
            Ok(vec![SegmentStart {
                number: 1,
                first: Lsn(0),
            }])
        }),
    };
    let log = log_on(Arc::new(disk.clone()), 1 << 20, None, Some(unfinished)).0;
    assert_eq!(log.condition().name(), "full");
    for tried in 1..=2 {
        let refused = log.reserve(&mut frame_of(1, "refused")).unwrap_err();
        assert_eq!(refused.sqlstate(), "53100");
        assert_eq!(*tries.lock(), tried);
    }
    let end = commit(&log, 1, "there is room");
    log.wait_durable(end).unwrap();
    assert_eq!((*tries.lock(), log.condition().name()), (3, "open"));
    assert_eq!(frames_of(&disk, 1), (vec![1], end.0));
}

/// A flusher goes on by itself, with nobody who writes.
#[test]
fn the_flusher_tries_until_there_is_room() {
    let disk = SimDisk::new();
    let window = std::time::Duration::from_millis(20);
    let (log, _) = log_on(Arc::new(disk.clone()), 1 << 20, Some(window), None);
    let log = Arc::new(log);
    leave(&disk, 0);
    let flusher = Flusher::start(&log).unwrap();
    let end = commit(&log, 1, "nobody waits");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while log.condition().name() == "open" {
        assert!(std::time::Instant::now() < until, "{:?}", log.status());
        std::thread::yield_now();
    }
    disk.set_capacity(None);
    while log.durable() < end {
        assert!(std::time::Instant::now() < until, "{:?}", log.status());
        std::thread::yield_now();
    }
    drop(flusher);
    assert_eq!(log.condition().name(), "open");
    log.close().unwrap();
}
