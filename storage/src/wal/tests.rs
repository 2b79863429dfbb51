//! Stories of the log: what is written, what one sync serves, what a failure leaves.

use super::queue::FRAMES_PER_LOOK;
use super::segment::{SEGMENT_HEADER_LEN, SegmentHeader};
use super::*;
use crate::codec::Decoder;
use crate::disk::{Disk, DiskFile, SimDisk};
use crate::error::{Error, Result};
use crate::format::DatabaseId;
use crate::ids::{ColumnId, Lsn, RowId, TableId, Timestamp};
use crate::mvcc::Timeline;
use crate::pool::{Ledger, Owner};
use crate::time::TimeSource;
use crate::value::ValueRef;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

pub(super) const DATABASE: DatabaseId = DatabaseId([5; 16]);

/// A disk whose syncs take a while, are counted, and fail or panic on demand. Its time is the system's, because
/// these tests have threads that wait for it; that of [`SimDisk`] stands still meanwhile.
#[derive(Debug, Default)]
struct SlowDisk {
    inner: SimDisk,
    control: Arc<Control>,
}

#[derive(Debug, Default)]
struct Control {
    syncs: AtomicU64,
    broken: AtomicBool,
    panics: AtomicBool,
    /// How long a sync takes; 2 ms at least.
    millis: AtomicU64,
    /// The longest that a file can be made before it is written to; nothing where the medium knows of no such
    /// thing.
    room: Option<u64>,
    /// The lengths that were asked for.
    asked: parking_lot::Mutex<Vec<u64>>,
}

#[derive(Debug)]
struct SlowFile(Arc<dyn DiskFile>, Arc<Control>);

impl DiskFile for SlowFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        self.0.read_at(offset, buffer)
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.0.write_at(offset, bytes)
    }
    fn len(&self) -> Result<u64> {
        self.0.len()
    }
    fn truncate(&self, len: u64) -> Result<()> {
        self.0.truncate(len)
    }
    fn allocate(&self, len: u64) -> Result<()> {
        self.1.asked.lock().push(len);
        let Some(room) = self.1.room else {
            return Err(Error::Io {
                operation: "allocate",
                path: "medium".into(),
                source: Arc::new(std::io::ErrorKind::Unsupported.into()),
            });
        };
        self.0.allocate(len.min(room))?;
        match len > room {
            true => Err(Error::DiskFull {
                path: "medium".into(),
                wanted: len,
            }),
            false => Ok(()),
        }
    }
    fn sync(&self) -> Result<()> {
        std::thread::sleep(Duration::from_millis(self.1.millis.load(Relaxed).max(2)));
        assert!(!self.1.panics.load(Relaxed), "the medium panics");
        self.1.syncs.fetch_add(1, Relaxed);
        if self.1.broken.load(Relaxed) {
            return Err(Error::DiskFull {
                path: "medium".into(),
                wanted: 0,
            });
        }
        self.0.sync()
    }
}

impl TimeSource for SlowDisk {}

impl Disk for SlowDisk {
    fn open(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        let file = self.inner.open(path)?;
        Ok(Arc::new(SlowFile(file, self.control.clone())))
    }
    fn create(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        let file = self.inner.create(path)?;
        Ok(Arc::new(SlowFile(file, self.control.clone())))
    }
    fn exists(&self, path: &str) -> Result<bool> {
        self.inner.exists(path)
    }
    fn list(&self, folder: &str) -> Result<Vec<String>> {
        self.inner.list(folder)
    }
    fn create_folder(&self, folder: &str) -> Result<()> {
        self.inner.create_folder(folder)
    }
    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.inner.rename(from, to)
    }
    fn remove(&self, path: &str) -> Result<()> {
        self.inner.remove(path)
    }
    fn sync_dir(&self, folder: &str) -> Result<()> {
        self.inner.sync_dir(folder)
    }
    fn lock(&self, path: &str) -> Result<Box<dyn Send + Sync>> {
        self.inner.lock(path)
    }
}

/// A clock that is ahead of all that the tests commit: the log alone says what is durable.
fn clock() -> Arc<Timeline> {
    let clock = Timeline::new();
    clock.start_at(Timestamp(1 << 40));
    clock
}

/// A log with one empty segment.
pub(super) fn new_log(disk: Arc<dyn Disk>, segment_bytes_max: u64) -> (Log, Arc<Ledger>) {
    new_log_with(disk, segment_bytes_max, None)
}

fn new_log_with(
    disk: Arc<dyn Disk>,
    segment_bytes_max: u64,
    loss_window: Option<Duration>,
) -> (Log, Arc<Ledger>) {
    log_on(disk, segment_bytes_max, loss_window, None)
}

/// A log whose first segment is made where there is none.
pub(super) fn log_on(
    disk: Arc<dyn Disk>,
    segment_bytes_max: u64,
    loss_window: Option<Duration>,
    unfinished: Option<UnfinishedRecovery>,
) -> (Log, Arc<Ledger>) {
    disk.create_folder(segment::FOLDER).unwrap();
    let header = SegmentHeader {
        database: DATABASE,
        number: 1,
        first: Lsn(0),
        timeline: 1,
    };
    if !disk.exists(&segment::path(1)).unwrap() {
        create_segment(&*disk, &header).unwrap();
    }
    let ledger = Ledger::new(1 << 30);
    let start = LogStart {
        database: DATABASE,
        timeline: 1,
        segments: vec![SegmentStart {
            number: 1,
            first: Lsn(0),
        }],
        end: Lsn(0),
        timestamp: Timestamp(0),
        segment_bytes_max,
        loss_window,
        clock: clock(),
        unfinished,
    };
    (Log::open(disk, ledger.clone(), start).unwrap(), ledger)
}

pub(super) fn frame_of(row: u64, text: &str) -> FrameBuilder {
    let mut frame = FrameBuilder::new();
    frame.insert(
        TableId(1),
        RowId(row),
        [(ColumnId(0), ValueRef::Text(text))],
    );
    frame
}

pub(super) fn commit(log: &Log, timestamp: u64, text: &str) -> Lsn {
    let mut frame = frame_of(timestamp, text);
    log.reserve(&mut frame).unwrap();
    log.append(frame, Timestamp(timestamp))
}

/// The timestamps of all frames of a segment, and how its frames end.
pub(super) fn frames_of(disk: &dyn Disk, number: u64) -> (Vec<u64>, u64) {
    let mut reader = SegmentReader::open(disk, number).unwrap();
    let mut timestamps = Vec::new();
    loop {
        match reader.advance().unwrap() {
            Next::Frame(header, body) => {
                let mut decoder = Decoder::new(body);
                let mut values = Vec::new();
                let operation = Operation::decode(&mut decoder, &mut values).unwrap();
                assert!(matches!(operation, Operation::Insert(..)));
                decoder.finish().unwrap();
                timestamps.push(header.timestamp.0);
            }
            Next::End => return (timestamps, reader.position().0),
            Next::Flaw(flaw) => panic!("{flaw:?}"),
        }
    }
}

#[test]
fn frames_come_back_in_order_and_memory_is_given_back() {
    let disk = SimDisk::new();
    let (log, ledger) = new_log(Arc::new(disk.clone()), 1 << 20);
    for timestamp in 1..=5 {
        commit(&log, timestamp, "waits");
    }
    let held = |ledger: &Ledger| {
        let entries = ledger.entries();
        entries
            .iter()
            .find(|e| e.owner == Owner::Log)
            .map_or(0, |e| e.bytes)
    };
    assert!(held(&ledger) > 0);
    assert_eq!(log.durable_timestamp(), Timestamp(0));
    let end = commit(&log, 6, "too long for one write ".repeat(100_000).as_str());
    log.wait_durable(end).unwrap();
    assert_eq!(log.durable_timestamp(), Timestamp(6));
    assert_eq!(held(&ledger), 0);
    assert_eq!(
        frames_of(&disk.crashed(), 1),
        (vec![1, 2, 3, 4, 5, 6], end.0)
    );
}

#[test]
fn one_sync_serves_many_commits() {
    let disk = Arc::new(SlowDisk::default());
    let control = disk.control.clone();
    let (log, _) = new_log(disk, 1 << 30);
    let clock = parking_lot::Mutex::new(0);
    let before = control.syncs.load(Relaxed);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let mut frame = frame_of(1, "x");
                    log.reserve(&mut frame).unwrap();
                    let (lsn, timestamp) = {
                        let mut clock = clock.lock();
                        *clock += 1;
                        (log.append(frame, Timestamp(*clock)), Timestamp(*clock))
                    };
                    log.wait_durable(lsn).unwrap();
                    assert!(log.durable() >= lsn);
                    log.wait_durable_timestamp(timestamp).unwrap();
                    assert!(log.durable_timestamp() >= timestamp);
                }
            });
        }
    });
    let syncs = control.syncs.load(Relaxed) - before;
    assert!(syncs < 120, "160 commits took {syncs} syncs");
}

#[test]
fn a_failed_sync_ends_the_log() {
    // Alice's commit is durable. Bob's sync fails: he cannot know. Carol is refused beforehand, and
    // that the medium is well again changes nothing.
    let disk = Arc::new(SlowDisk::default());
    let control = disk.control.clone();
    let (log, ledger) = new_log(disk, 1 << 30);
    let alice = commit(&log, 1, "alice");
    log.wait_durable(alice).unwrap();
    control.broken.store(true, Relaxed);
    let bob = commit(&log, 2, "bob");
    let error = log.wait_durable(bob).unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { lsn, .. } if lsn == bob));
    assert_eq!(error.sqlstate(), "08007");
    control.broken.store(false, Relaxed);
    let refused = log.reserve(&mut frame_of(3, "carol")).unwrap_err();
    assert!(matches!(refused, Error::LogFailed { .. }));
    assert!(log.wait_durable(bob).is_err());
    log.wait_durable(alice).unwrap();
    assert_eq!(log.durable_timestamp(), Timestamp(1));
    assert!(log.wait_durable_timestamp(Timestamp(2)).is_err());
    assert!(log.close().is_err());
    drop(log);
    assert_eq!(ledger.used(), 0);
}

/// A medium that gives no room ahead, or not as much as asked for, is written to all the same, is not asked at
/// every commit, and keeps none of it for bytes that may never come.
#[test]
fn who_is_given_no_room_goes_on_without() {
    for room in [None, Some(0), Some(9000), Some(u64::MAX)] {
        let control = Control {
            room,
            ..Control::default()
        };
        let disk = SlowDisk {
            control: Arc::new(control),
            ..SlowDisk::default()
        };
        let (medium, control) = (disk.inner.clone(), disk.control.clone());
        let (log, _) = new_log(Arc::new(disk), 100_000);
        let mut timestamps = Vec::new();
        for timestamp in 1..=200 {
            let end = commit(&log, timestamp, &"some text ".repeat(10));
            log.wait_durable(end).unwrap();
            timestamps.push(timestamp);
        }
        let end = SEGMENT_HEADER_LEN as u64 + log.end().0;
        let asked = control.asked.lock().clone();
        assert!(asked.len() <= 12, "{room:?}: {asked:?}");
        assert!(asked.iter().all(|length| *length <= 100_000), "{asked:?}");
        let length = || medium.open(&segment::path(1)).unwrap().len().unwrap();
        match room {
            Some(u64::MAX) => assert!(length() > end, "{asked:?}"),
            _ => assert_eq!(length(), end, "{room:?}"),
        }
        assert_eq!(frames_of(&medium.crashed(), 1).0, timestamps);
        log.close().unwrap();
        assert_eq!(length(), end);
    }
}

#[test]
fn segments_begin_where_they_are_full_or_told_to() {
    let disk = SimDisk::new();
    let (log, _) = new_log(Arc::new(disk.clone()), 200);
    for timestamp in 1..=6 {
        let end = commit(&log, timestamp, "a frame of some length");
        log.wait_durable(end).unwrap();
    }
    assert!(disk.list(segment::FOLDER).unwrap().len() > 1);
    let at = log.rotate();
    let again = log.rotate();
    assert_eq!(at, again);
    let start = log.segment_of(at).unwrap();
    assert_eq!(
        start.first, at,
        "an empty segment is not followed by another"
    );
    let end = commit(&log, 7, "seven");
    log.wait_durable(end).unwrap();
    let crashed = disk.crashed();
    let mut all = Vec::new();
    for number in 1..=start.number {
        all.extend(frames_of(&crashed, number).0);
    }
    assert_eq!(all, [1, 2, 3, 4, 5, 6, 7]);
    log.remove_before(at).unwrap();
    assert_eq!(disk.list(segment::FOLDER).unwrap().len(), 1);
    assert_eq!(frames_of(&disk, start.number).0, [7]);
}

#[test]
fn closing_waits_for_those_who_were_promised_room() {
    let disk = SimDisk::new();
    let (log, _) = new_log(Arc::new(disk.clone()), 1 << 20);
    let mut promised = frame_of(1, "promised");
    log.reserve(&mut promised).unwrap();
    let (closed, late) = std::thread::scope(|scope| {
        let closing = scope.spawn(|| log.close());
        while !matches!(log.reserve(&mut frame_of(2, "late")), Err(Error::Closed)) {
            std::thread::yield_now();
        }
        let late = log.reserve(&mut frame_of(2, "late"));
        log.append(promised, Timestamp(1));
        (closing.join().expect("no panic"), late)
    });
    assert!(matches!(late, Err(Error::Closed)));
    assert_eq!(closed.unwrap(), Some(log.end()));
    assert_eq!(frames_of(&disk.crashed(), 1).0, [1]);
}

#[test]
fn a_hostile_length_takes_no_memory_and_is_a_flaw() {
    let disk = SimDisk::new();
    let (log, _) = new_log(Arc::new(disk.clone()), 1 << 20);
    let end = commit(&log, 1, "x");
    log.wait_durable(end).unwrap();
    let file = disk.open(&segment::path(1)).unwrap();
    for length in [0_u32, 1, 39, 1 << 31, u32::MAX] {
        file.write_at(SEGMENT_HEADER_LEN as u64, &length.to_le_bytes())
            .unwrap();
        let mut reader = SegmentReader::open(&disk, 1).unwrap();
        assert!(
            matches!(reader.advance().unwrap(), Next::Flaw(_)),
            "{length}"
        );
    }
}

/// What nobody waits for is durable within the window, and between two batches commits gather.
#[test]
fn the_flusher_keeps_the_loss_window() {
    let disk = Arc::new(SlowDisk::default());
    let control = disk.control.clone();
    // Wide, because other tests run beside it.
    let window = Duration::from_millis(800);
    let (log, _) = new_log_with(disk, 1 << 30, Some(window));
    let log = Arc::new(log);
    let flusher = Flusher::start(&log).unwrap();
    let before = control.syncs.load(Relaxed);
    let mut end = Lsn(0);
    for timestamp in 1..=100 {
        std::thread::sleep(Duration::from_millis(1));
        end = commit(&log, timestamp, "nobody waits");
    }
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while log.durable() < end {
        assert!(std::time::Instant::now() < deadline, "{:?}", log.status());
        std::thread::sleep(Duration::from_millis(5));
    }
    let status = log.status();
    assert!(status.longest <= window, "{status:?}");
    assert!(control.syncs.load(Relaxed) - before < 20, "{status:?}");
    assert_eq!((status.transactions_at_risk(), status.oldest), (0, None));
    // While nothing is committed it sleeps, and it ends at once.
    drop(flusher);
    commit(&log, 101, "left to closing");
    log.close().unwrap();
    assert_eq!(log.durable_timestamp(), Timestamp(101));
}

/// A medium that is slower than the window: who commits then is held up, so that not more and more is at risk.
#[test]
fn what_is_at_risk_came_within_one_window() {
    let disk = Arc::new(SlowDisk::default());
    let control = disk.control.clone();
    let window = Duration::from_millis(50);
    let (log, _) = new_log_with(disk, 1 << 30, Some(window));
    let log = Arc::new(log);
    let _flusher = Flusher::start(&log).unwrap();
    control.millis.store(200, Relaxed);
    let (mut syncs, mut late) = (control.syncs.load(Relaxed), 0);
    let end = syncs + 4;
    for timestamp in 1.. {
        let oldest = log.status().oldest.unwrap_or_default();
        log.keep_window().unwrap();
        let now = control.syncs.load(Relaxed);
        // With no sync meanwhile, what was at risk before still is: it was let pass because nobody looked.
        late = match now == syncs {
            true => late + usize::from(oldest > window),
            false => 0,
        };
        assert!(late <= FRAMES_PER_LOOK, "{oldest:?}");
        commit(&log, timestamp, "x");
        if now >= end {
            break;
        }
        syncs = now;
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(
        log.status().longest > window,
        "the medium was too slow for it"
    );
}

#[test]
fn a_leader_that_panics_leaves_nobody_waiting() {
    let disk = Arc::new(SlowDisk::default());
    let control = disk.control.clone();
    let (log, _) = new_log(disk, 1 << 30);
    control.panics.store(true, Relaxed);
    control.millis.store(100, Relaxed);
    let lsn = commit(&log, 1, "unlucky");
    let outcomes = std::thread::scope(|scope| {
        let waiters: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| log.wait_durable(lsn)))
            .collect();
        waiters
            .into_iter()
            .map(|waiter| waiter.join())
            .collect::<Vec<_>>()
    });
    assert_eq!(
        outcomes.iter().filter(|outcome| outcome.is_err()).count(),
        1
    );
    for outcome in outcomes.into_iter().flatten() {
        assert!(matches!(outcome, Err(Error::OutcomeUnknown { .. })));
    }
    let cause = log.condition().cause();
    assert!(cause.is_some_and(|cause| cause.contains("panicked")));
}

/// What looks like a frame at every sixteenth byte, and is as long as a megabyte: read to its end each time it
/// would take minutes.
#[test]
fn beginnings_of_frames_without_end_are_not_read_for_ever() {
    const LONG: u32 = 1 << 20;
    let disk = SimDisk::new();
    disk.create_folder(segment::FOLDER).unwrap();
    let header = SegmentHeader {
        database: DATABASE,
        number: 1,
        first: Lsn(0),
        // It is where others have their length.
        timeline: LONG,
    };
    let mut bytes = Vec::new();
    while bytes.len() < 4 << 20 {
        let lsn = bytes.len() as u64;
        bytes.extend_from_slice(&LONG.to_le_bytes());
        bytes.extend_from_slice(&[7; 4]);
        bytes.extend_from_slice(&lsn.to_le_bytes());
    }
    let file = create_segment(&disk, &header).unwrap();
    file.write_at(SEGMENT_HEADER_LEN as u64, &bytes).unwrap();
    let mut reader = SegmentReader::open(&disk, 1).unwrap();
    let behind = reader.look_behind(Timestamp(0));
    assert!(matches!(behind, Err(Error::Corrupt { .. })), "{behind:?}");
}
