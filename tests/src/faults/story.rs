//! What the faults are put into: a directory, and what is known of how it came about.

use super::files;
use remora_storage::catalog::{ColumnDef, IndexDef, TableDef, TableEntry};
use remora_storage::checkpoint::image;
use remora_storage::checkpoint::list::ImageRef;
use remora_storage::checkpoint::manifest::{MANIFEST, Manifest};
use remora_storage::disk::RealDisk;
use remora_storage::wal::segment::{self, SEGMENT_HEADER_LEN, SegmentHeader};
use remora_storage::{
    ColumnId, DataType, Error, Lsn, Result, RowId, Store, StoreOptions, Transaction, Value,
    ValueRef,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// What the table holds: key to text.
pub type Contents = BTreeMap<i64, String>;
/// Files by path.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Commits of the story.
const COMMITS: i64 = 60;
/// Rows that a commit adds, those that it changes, and those that it deletes.
const ADDED: i64 = 30;
const CHANGED: i64 = 8;
/// Commits between two checkpoints, and between two closings.
const CHECKPOINT_EVERY: i64 = 12;
const CLOSE_EVERY: i64 = 17;
/// The commit after which the process might be killed: some after a checkpoint, and some after a closing.
const KILLED_AFTER: i64 = 57;

const KEY: ColumnId = ColumnId(0);
const TEXT: ColumnId = ColumnId(1);

/// States of a directory in the course of time.
#[derive(Debug)]
pub struct Story {
    /// The database was closed cleanly.
    closed: Moment,
    /// Its process was killed when all was durable.
    killed: Moment,
    /// The files at earlier moments at which it was closed.
    pub moments: Vec<Files>,
    /// All texts that a row has ever had.
    texts: BTreeMap<i64, BTreeSet<String>>,
}

/// A directory at one moment.
#[derive(Debug)]
pub struct Moment {
    /// Its files.
    pub files: Files,
    /// Rows of the table.
    pub contents: Contents,
    /// The commits after the last checkpoint.
    commits: Vec<Commit>,
    /// Where each row is.
    places: BTreeMap<i64, RowId>,
    manifest: Manifest,
}

/// A commit of the story.
#[derive(Clone, Debug)]
struct Commit {
    /// Which part of the log it takes.
    range: Range<Lsn>,
    /// Whose rows it touched.
    keys: BTreeSet<i64>,
    /// Rows of the table before.
    before: Contents,
}

/// How the story's database is opened.
pub(super) fn options() -> StoreOptions {
    StoreOptions {
        manual_maintenance: true,
        max_memory: Some(256 << 20),
        segment_bytes: Some(6 << 10),
        ..StoreOptions::default()
    }
}

impl Story {
    /// Makes the directory, on the file system.
    ///
    /// # Errors
    /// Those of the store.
    pub fn tell() -> Result<Self> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let disk = RealDisk::new(directory.path());
        let open = || Store::open(directory.path(), options()).map(|(store, _)| store);
        let mut store = open()?;
        create_table(&store)?;
        let (mut moments, mut texts) = (Vec::new(), BTreeMap::<i64, BTreeSet<String>>::new());
        let (mut commits, mut killed) = (Vec::new(), None);
        for n in 0..COMMITS {
            if n % CHECKPOINT_EVERY == CHECKPOINT_EVERY - 1 {
                store.checkpoint()?;
                commits.clear();
            }
            if n % CLOSE_EVERY == CLOSE_EVERY - 1 {
                store.close()?;
                drop(store);
                moments.push(files(&disk));
                store = open()?;
            }
            let (start, before) = (store.log_end(), contents(&store)?);
            let changed = commit(&store, n)?;
            for (key, text) in &changed {
                texts.entry(*key).or_default().extend(text.clone());
            }
            commits.push(Commit {
                range: start..store.log_end(),
                keys: changed.into_iter().map(|(key, _)| key).collect(),
                before,
            });
            if n == KILLED_AFTER {
                killed = Some(Moment::of(&store, &disk, &commits)?);
            }
        }
        let mut closed = Moment::of(&store, &disk, &commits)?;
        store.close()?;
        closed.files = files(&disk);
        Ok(Self {
            closed,
            killed: killed.expect("the story is longer"),
            moments,
            texts,
        })
    }

    /// The directory that was closed cleanly, or that of a process that was killed.
    pub fn moment(&self, is_killed: bool) -> &Moment {
        match is_killed {
            true => &self.killed,
            false => &self.closed,
        }
    }

    /// Whether a row was like that at any time.
    pub fn was_there(&self, (key, text): (&i64, &String)) -> bool {
        self.texts
            .get(key)
            .is_some_and(|texts| texts.contains(text))
    }
}

impl Moment {
    fn of(store: &Store, disk: &RealDisk, commits: &[Commit]) -> Result<Self> {
        Ok(Self {
            files: files(disk),
            contents: contents(store)?,
            commits: commits.to_vec(),
            places: places(store)?,
            manifest: Manifest::read(disk, MANIFEST)?.0,
        })
    }

    /// The segment that was written to last.
    pub fn last_segment(&self) -> Files {
        let mut segments = self
            .files
            .iter()
            .filter(|(path, _)| path.starts_with("wal/"));
        let last = segments.next_back().expect("a log has a segment");
        Files::from([(last.0.clone(), last.1.clone())])
    }

    /// Whether these contents are what a crash may have left, with this in the log: those before some commit, of
    /// which, and of all later ones, no frame is whole any more, wherever it is.
    pub fn may_be_torn(&self, found: &Contents, damaged: &Files) -> bool {
        let mut commits = self.commits.iter();
        if !commits.by_ref().any(|commit| commit.before == *found) {
            return false;
        }
        let from = self.commits.len() - commits.len() - 1;
        let lost = self.commits[from..].iter();
        let mut frames = lost.filter_map(|commit| self.frame(&commit.range));
        let logs = damaged.iter().filter(|(path, _)| path.starts_with("wal/"));
        frames.all(|frame| {
            let mut logs = logs.clone();
            !logs.any(|(_, log)| log.windows(frame.len()).any(|bytes| bytes == frame))
        })
    }

    /// The bytes of a frame, as they were written.
    fn frame(&self, range: &Range<Lsn>) -> Option<&[u8]> {
        let (path, first) = self.holder(range)?;
        let at = |lsn: Lsn| SEGMENT_HEADER_LEN + (lsn.0 - first.0) as usize;
        self.files[path].get(at(range.start)..at(range.end))
    }

    /// The segment that has a frame, and its first position.
    fn holder(&self, frame: &Range<Lsn>) -> Option<(&String, Lsn)> {
        let segments = self.files.iter().filter_map(|(path, bytes)| {
            segment::number_of(path.strip_prefix("wal/")?)?;
            let header = SegmentHeader::decode(path, bytes).ok()?;
            Some((path, header.first))
        });
        let holder = segments.filter(|(_, first)| *first <= frame.start);
        holder.max_by_key(|(_, first)| *first)
    }

    /// The rows all of whose bytes are as they were written: those of the block's images, and of all
    /// commits since that touched them.
    pub fn recoverable(&self, damaged: &Files) -> Contents {
        if damaged.get(MANIFEST) != self.files.get(MANIFEST) {
            return match damaged.len() == self.files.len() && self.is_all_but_manifests(damaged) {
                true => self.contents.clone(),
                false => Contents::new(),
            };
        }
        let lost: BTreeSet<i64> = self
            .commits
            .iter()
            .filter(|commit| !self.is_whole_frame(&commit.range, damaged))
            .flat_map(|commit| commit.keys.iter().copied())
            .collect();
        let is_kept = |key: &i64| {
            let block = self.places[key].block();
            let mut images = self.manifest.images.iter();
            let is_here = |image: &&ImageRef| image.block == block;
            !lost.contains(key)
                && images
                    .by_ref()
                    .filter(is_here)
                    .all(|i| self.is_whole(i, damaged))
        };
        let rows = self.contents.iter().filter(|(key, _)| is_kept(key));
        rows.map(|(key, text)| (*key, text.clone())).collect()
    }

    /// Whether nothing but manifests and the closing mark differs.
    fn is_all_but_manifests(&self, damaged: &Files) -> bool {
        let mut needed = self.files.iter().filter(|(path, _)| path.contains('/'));
        needed.all(|(path, bytes)| damaged.get(path) == Some(bytes))
    }

    fn is_whole(&self, image: &ImageRef, damaged: &Files) -> bool {
        let path = image::path(image.file);
        let range = image.offset as usize..(image.offset + image.length) as usize;
        same(&self.files, damaged, &path, range)
    }

    fn is_whole_frame(&self, frame: &Range<Lsn>, damaged: &Files) -> bool {
        let Some((path, first)) = self.holder(frame) else {
            return false;
        };
        let at = |lsn: Lsn| SEGMENT_HEADER_LEN + (lsn.0 - first.0) as usize;
        // A segment whose header is of another history is not read.
        let header = 0..SEGMENT_HEADER_LEN;
        let is_read = same(&self.files, damaged, path, header.clone())
            || SegmentHeader::decode(path, &damaged.get(path).cloned().unwrap_or_default())
                .is_err();
        is_read && same(&self.files, damaged, path, at(frame.start)..at(frame.end))
    }
}

fn same(good: &Files, damaged: &Files, path: &str, range: Range<usize>) -> bool {
    let part = |files: &Files| {
        files
            .get(path)
            .and_then(|bytes| bytes.get(range.clone()).map(<[u8]>::to_vec))
    };
    part(good).is_some() && part(good) == part(damaged)
}

fn create_table(store: &Store) -> Result<()> {
    let mut transaction = store.begin()?;
    let columns = vec![
        ColumnDef::new(KEY, "k", DataType::BigInt),
        ColumnDef::new(TEXT, "v", DataType::Text),
    ];
    let table = transaction.create_table(TableDef::new("t", columns))?;
    transaction.create_index(IndexDef::primary_key("t_pkey", table, [KEY]))?;
    transaction.create_index(IndexDef::new("t_v", table, [TEXT]))?;
    transaction.commit()?;
    Ok(())
}

fn table(transaction: &Transaction) -> Arc<TableEntry> {
    let table = transaction.catalog().table("t");
    Arc::clone(table.expect("the story's table"))
}

/// Commit number `n`: rows come, older ones change, some go. What it made of each.
fn commit(store: &Store, n: i64) -> Result<Vec<(i64, Option<String>)>> {
    let mut transaction = store.begin()?;
    transaction.begin_command();
    let table = table(&transaction);
    let mut done = Vec::new();
    for key in n * ADDED..(n + 1) * ADDED {
        let text = text(key, n);
        transaction.insert(&table, &[ValueRef::BigInt(key), ValueRef::Text(&text)])?;
        done.push((key, Some(text)));
    }
    transaction.begin_command();
    for change in 0..CHANGED * i64::from(n > 0) {
        let key = (n * 97 + change * 31) % (n * ADDED);
        let found =
            transaction
                .view()
                .lookup(&table, &table.indexes[0], &[ValueRef::BigInt(key)])?;
        let Some(row) = found.first().copied() else {
            continue;
        };
        if done.iter().any(|(touched, _)| *touched == key) {
            continue;
        }
        let text = (change % 3 > 0).then(|| text(key, n));
        match &text {
            Some(text) => {
                transaction.update(&table, row, &[(TEXT, ValueRef::Text(text))])?;
            }
            None => {
                transaction.delete(&table, row)?;
            }
        }
        done.push((key, text));
    }
    transaction.commit()?;
    Ok(done)
}

/// A text that says whose it is, longer than what a row holds itself.
fn text(key: i64, n: i64) -> String {
    format!("row {key} as commit {n} has left it")
}

/// All rows, each of which its indexes find.
pub(super) fn contents(store: &Store) -> Result<Contents> {
    let mut contents = Contents::new();
    each(store, |key, text, _| {
        contents.insert(key, text);
    })?;
    Ok(contents)
}

fn places(store: &Store) -> Result<BTreeMap<i64, RowId>> {
    let mut places = BTreeMap::new();
    each(store, |key, _, row| {
        places.insert(key, row);
    })?;
    Ok(places)
}

fn each(store: &Store, mut visit: impl FnMut(i64, String, RowId)) -> Result<()> {
    let transaction = store.begin()?;
    let Some(table) = transaction.catalog().table("t").cloned() else {
        return Ok(());
    };
    let view = transaction.view();
    let mut rows = Vec::new();
    view.for_each_row(&table, |row, values| {
        rows.push((row, values.get(KEY).to_owned(), values.get(TEXT).to_owned()));
        Ok::<(), Error>(())
    })?;
    for (row, key, text) in rows {
        let found = |at: usize, value: &Value| {
            let index = table.indexes.get(at);
            index.is_none_or(|index| {
                let found = view.lookup(&table, index, &[value.as_ref()]);
                found.is_ok_and(|rows| rows.contains(&row))
            })
        };
        assert!(
            found(0, &key) && found(1, &text),
            "indexes have row {key:?}"
        );
        let (Value::BigInt(key), Value::Text(text)) = (key, text) else {
            panic!("a row of other types");
        };
        visit(key, text, row);
    }
    Ok(())
}
