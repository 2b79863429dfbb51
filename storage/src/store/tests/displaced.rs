//! Bytes of the log are inserted, deleted, doubled or moved after a crash: no frame that is still whole is taken for a
//! part of a torn tail, unless it stands where a crash may leave it.

use crate::disk::{Decay, Image, SimDisk};
use crate::error::Error;
use crate::store::testing::{commit, contents, create_table, model, open, prefix_of, put};
use crate::store::{Durability, RecoveryMode, Store, StoreOptions};
use crate::transaction::TransactionOptions;
use crate::wal::segment::SEGMENT_HEADER_LEN;
use std::ops::Range;
use std::sync::Arc;

const LOG: &str = "wal/0000000001.log";
/// Commits that were synced one by one, and those that then came together.
const ALONE: i64 = 4;
const TOGETHER: i64 = 4;

/// A directory that was not closed, and where the frame of each commit stands: the first one is that of the table.
struct Killed {
    image: Image,
    frames: Vec<Range<usize>>,
}

fn killed() -> Killed {
    let disk = SimDisk::new();
    let (store, _) = open(disk.clone()).expect("a store");
    create_table(&store).expect("a table");
    let mut ends = vec![0, store.log_end().0];
    for n in 0..ALONE + TOGETHER {
        match n < ALONE {
            true => commit(&store, n).expect("a commit"),
            false => commit_buffered(&store, n),
        }
        ends.push(store.log_end().0);
    }
    store.wait_logged().expect("durable");
    let place = |lsn: u64| SEGMENT_HEADER_LEN + lsn as usize;
    let frames = ends.windows(2).map(|ends| place(ends[0])..place(ends[1]));
    let mut image = disk.crashed().image();
    // Of the room ahead some is left, so that what moves stays in the file.
    let log = Arc::make_mut(image.files.get_mut(LOG).expect("the log"));
    log.truncate(place(ends[ends.len() - 1]) + 100);
    Killed {
        image,
        frames: frames.collect(),
    }
}

/// Commit number `n` of the script, without waiting.
fn commit_buffered(store: &Store, n: i64) {
    let before = model(n);
    let mut transaction = store
        .begin_with(TransactionOptions {
            durability: Some(Durability::Buffered),
            ..TransactionOptions::default()
        })
        .expect("a transaction");
    let after = model(n + 1);
    for key in before.keys().chain(after.keys()) {
        if before.get(key) != after.get(key) {
            let text = after.get(key).map(String::as_str);
            put(&mut transaction, *key, text).expect("a change");
        }
    }
    transaction.commit().expect("a commit");
}

fn salvage(image: &Image) -> (Store, crate::store::RecoveryReport) {
    let options = StoreOptions {
        recovery: RecoveryMode::Salvage,
        ..crate::store::testing::options()
    };
    let disk = Arc::new(SimDisk::with(image));
    Store::open_on(disk, options).expect("a salvage")
}

impl Killed {
    /// Whether a frame is whole somewhere in the damaged log; `Some(true)` where that is not its place.
    fn is_displaced(&self, log: &[u8], frame: &Range<usize>) -> Option<bool> {
        let bytes = &self.image.files[LOG][frame.clone()];
        if log.get(frame.clone()) == Some(bytes) {
            return Some(false);
        }
        let mut windows = log.windows(bytes.len());
        windows.any(|window| window == bytes).then_some(true)
    }

    /// Opens the directory with damage, and looks whether a frame was taken for a part of a torn tail that is whole,
    /// and not where a crash may leave it. Returns whether it was refused.
    fn check(&self, decay: Decay) -> bool {
        let mut image = self.image.clone();
        image.decay(LOG, decay);
        let log = image.files[LOG].to_vec();
        let disk = SimDisk::with(&image);
        let opened = open(disk.clone());
        let (store, report) = match opened {
            Ok(opened) => opened,
            Err(Error::Corrupt { path, offset, .. }) => {
                assert_eq!(path.to_str(), Some(LOG), "{decay:?}");
                assert!(offset <= log.len() as u64, "{decay:?}: byte {offset}");
                let mut left = disk.image();
                left.files.remove("LOCK");
                let mut before = image.clone();
                before.files.remove("LOCK");
                assert!(left == before, "{decay:?}: something was written");
                let (_, report) = salvage(&image);
                assert!(!report.losses.is_empty(), "{decay:?}");
                return true;
            }
            Err(other) => panic!("{decay:?}: {other}"),
        };
        // What was created is the first frame.
        let frames = match store.catalog().table("t") {
            Some(_) => 1 + prefix_of(&contents(&store), ALONE + TOGETHER) as usize,
            None => 0,
        };
        if frames < self.frames.len() && log != *self.image.files[LOG] {
            let is_said = report.bytes_dropped > 0 || log.len() <= self.frames[frames].start;
            assert!(
                is_said || is_blank(&log[self.frames[frames].start..]),
                "{decay:?}"
            );
        }
        for (number, frame) in self.frames.iter().enumerate().skip(frames) {
            let is_together = number > ALONE as usize;
            match self.is_displaced(&log, frame) {
                None => {}
                // A crash may take the first of a batch.
                Some(false) if is_together => {}
                Some(true) if self.is_within(&log, frames, frame) => {}
                is_displaced => panic!(
                    "{decay:?}: frame {number} is whole, displaced: {is_displaced:?}; {frames} are there"
                ),
            }
        }
        false
    }

    /// Whether a frame may be a value of the one before which the log ends, by what that says of its length.
    fn is_within(&self, log: &[u8], torn: usize, frame: &Range<usize>) -> bool {
        let bytes = &self.image.files[LOG][frame.clone()];
        let torn = &self.frames[torn];
        let header = torn.start..torn.start + 40;
        let has_header = log.get(header.clone()) == Some(&self.image.files[LOG][header]);
        let found = log.windows(bytes.len()).position(|window| window == bytes);
        has_header && found.is_some_and(|at| at > torn.start && at + bytes.len() <= torn.end)
    }
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// Places in the log: around the ends of frames and headers, and some between.
fn places(killed: &Killed) -> Vec<usize> {
    let mut places: Vec<usize> = (SEGMENT_HEADER_LEN..killed.frames.last().unwrap().end)
        .step_by(13)
        .collect();
    for frame in &killed.frames {
        places.extend([0, 1, 4, 8, 20, 36, 40, 41].map(|at| frame.start + at));
        places.extend([frame.end - 1, frame.end]);
    }
    places.sort_unstable();
    places.dedup();
    places
}

const LENGTHS: [usize; 5] = [1, 7, 50, 190, 400];

#[test]
fn inserted_bytes_are_no_torn_tail() {
    let killed = killed();
    assert!(!killed.check(Decay::Cut { len: usize::MAX }), "it is whole");
    let mut refused = 0;
    for at in places(&killed) {
        for len in LENGTHS {
            let seed = at as u64;
            refused += usize::from(killed.check(Decay::Insert { at, len, seed }));
        }
    }
    assert!(refused > 300, "{refused}");
}

#[test]
fn deleted_bytes_are_no_torn_tail() {
    let killed = killed();
    let mut refused = 0;
    for at in places(&killed) {
        for len in LENGTHS {
            refused += usize::from(killed.check(Decay::Delete { at, len }));
        }
    }
    assert!(refused > 300, "{refused}");
}

#[test]
fn doubled_and_moved_bytes_are_no_torn_tail() {
    let killed = killed();
    let mut refused = 0;
    let places = places(&killed);
    for (number, at) in places.iter().copied().enumerate() {
        for step in [1, 5, 11, 29] {
            let to = places[(number + step * 7) % places.len()];
            let len = LENGTHS[(number + step) % LENGTHS.len()];
            refused += usize::from(killed.check(Decay::Duplicate { at, len, to }));
            refused += usize::from(killed.check(Decay::Move { at, len, to }));
        }
        let frame = &killed.frames[number % killed.frames.len()];
        let (at, len) = (frame.start, frame.len());
        let to = places[number];
        refused += usize::from(killed.check(Decay::Duplicate { at, len, to }));
        refused += usize::from(killed.check(Decay::Move { at, len, to }));
    }
    assert!(refused > 600, "{refused}");
}

/// The error says which file, where, what was found and what should be there; a salvage says what is lost.
#[test]
fn fifty_inserted_bytes_are_told_with_their_place() {
    let killed = killed();
    let torn = &killed.frames[ALONE as usize];
    let next = &killed.frames[ALONE as usize + 1];
    let decay = Decay::Insert {
        at: torn.start + 60,
        len: 50,
        seed: 1,
    };
    let mut image = killed.image.clone();
    image.decay(LOG, decay);
    let error = open(SimDisk::with(&image)).expect_err("damage");
    let (expected, position) = (next.start + 50, next.start - SEGMENT_HEADER_LEN);
    assert_eq!(
        error.to_string(),
        format!(
            "{LOG} is damaged at byte {expected}: expected the log at position {}, found a whole frame of \
             position {position}",
            position + 50
        )
    );
    assert_eq!(error.sqlstate(), "XX001");
    let (store, report) = salvage(&image);
    assert_eq!(contents(&store), model(ALONE - 1));
    let losses: Vec<String> = report.losses.iter().map(ToString::to_string).collect();
    let start = torn.start - SEGMENT_HEADER_LEN;
    let text = format!("the log from position {start} to ");
    assert!(
        losses.iter().any(|loss| loss.starts_with(&text)),
        "{losses:?}"
    );
}

/// A value that looks like the log: the torn frame that holds it is torn, not damaged.
#[test]
fn a_log_that_is_a_value_is_no_damage() {
    let killed = killed();
    let log = killed.image.files[LOG].to_vec();
    let disk = SimDisk::with(&killed.image);
    let (store, _) = open(disk.clone()).unwrap();
    let begin = store.log_end().0 as usize + SEGMENT_HEADER_LEN;
    let frames = &killed.frames[2..4];
    let value = &log[frames[0].start..frames[1].end];
    // As text, since the table has no other column: its bytes are put in afterwards.
    let mut transaction = store.begin().unwrap();
    let text = "v".repeat(value.len());
    put(&mut transaction, 77, Some(&text)).unwrap();
    transaction.commit().unwrap();
    let end = store.log_end().0 as usize + SEGMENT_HEADER_LEN;
    let mut image = disk.crashed().image();
    let bytes = Arc::make_mut(image.files.get_mut(LOG).unwrap());
    let at = begin
        + bytes[begin..end]
            .windows(4)
            .position(|w| w == b"vvvv")
            .unwrap();
    bytes[at..at + value.len()].copy_from_slice(value);
    // The last bytes of it did not get to the medium; then the first ones.
    for torn in [end - 20..end, begin + 40..at] {
        let mut image = image.clone();
        Arc::make_mut(image.files.get_mut(LOG).unwrap())[torn].fill(0);
        let (store, report) = open(SimDisk::with(&image)).expect("a torn tail");
        assert_eq!(contents(&store), model(ALONE + TOGETHER));
        assert!(report.bytes_dropped > 0);
    }
    // Without its header nothing says that it is one.
    Arc::make_mut(image.files.get_mut(LOG).unwrap())[begin..at].fill(0);
    let refused = open(SimDisk::with(&image)).map(drop);
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
    let (store, report) = salvage(&image);
    assert_eq!(contents(&store), model(ALONE + TOGETHER));
    assert!(report.bytes_dropped > 0 && report.losses.len() == 1);
}

/// Bytes that were made to look like headers of frames, whole files of them: the search ends, and finds nothing.
#[test]
fn what_was_made_to_look_like_headers_is_not_read_for_ever() {
    const LONG: u32 = 1 << 20;
    let killed = killed();
    let mut image = killed.image.clone();
    let log = Arc::make_mut(image.files.get_mut(LOG).unwrap());
    let end = killed.frames.last().unwrap().end;
    log.truncate(end);
    let header = log[killed.frames[1].start..killed.frames[1].start + 40].to_vec();
    while log.len() < 8 << 20 {
        let at = log.len();
        log.extend_from_slice(&header);
        log[at..at + 4].copy_from_slice(&LONG.to_le_bytes());
    }
    let (store, report) = open(SimDisk::with(&image)).expect("a torn tail");
    assert_eq!(contents(&store), model(ALONE + TOGETHER));
    assert!(report.bytes_dropped > 7 << 20);
}
