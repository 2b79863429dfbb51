//! Checkpoints that refer to earlier ones: what they leave out is what was not changed, whatever happened
//! in between. A block that is wrongly left out would be lost in silence.

use crate::catalog::{ColumnDef, TableDef};
use crate::checkpoint::image::ImageKind;
use crate::checkpoint::list::ImageRef;
use crate::checkpoint::manifest::{MANIFEST, Manifest};
use crate::disk::{Disk, SimDisk};
use crate::ids::{BlockNo, ColumnId};
use crate::store::testing::{Contents, contents, create_table, open, put, rewrite};
use crate::store::{CheckpointReport, Store};
use crate::transaction::Transaction;
use crate::value::{DataType, Value, ValueRef};
use proptest::prelude::*;

/// Enough for three blocks: of 64 slots, of 256, and of more.
const KEYS: i64 = 400;

struct Story {
    disk: SimDisk,
    store: Store,
    model: Contents,
}

impl Story {
    /// A table of so many rows, and nothing written of it yet.
    fn with_rows(keys: i64) -> Self {
        let disk = SimDisk::new();
        let store = open(disk.clone()).expect("a new database").0;
        create_table(&store).expect("a table");
        let mut story = Self {
            disk,
            store,
            model: Contents::new(),
        };
        story.write((0..keys).map(|key| (key, Some(text_of(key)))));
        story
    }

    fn write(&mut self, changes: impl IntoIterator<Item = (i64, Option<String>)>) {
        let mut transaction = self.store.begin().expect("a transaction");
        for (key, text) in changes {
            self.put(&mut transaction, key, text);
        }
        transaction.commit().expect("a commit");
    }

    fn put(&mut self, transaction: &mut Transaction, key: i64, text: Option<String>) {
        put(transaction, key, text.as_deref()).expect("a change");
        match text {
            Some(text) => self.model.insert(key, text),
            None => self.model.remove(&key),
        };
    }

    fn checkpoint(&self) -> CheckpointReport {
        let report = self.store.checkpoint().expect("a checkpoint");
        let (manifest, _) = Manifest::read(&self.disk, MANIFEST).expect("a manifest");
        assert_eq!(
            report.rows,
            crate::checkpoint::list::rows_of(&manifest.images)
        );
        report
    }

    /// The power fails; what is durable is opened.
    fn crash(&mut self) {
        self.disk = self.disk.crashed();
        self.store = open(self.disk.clone()).expect("recovery").0;
        self.check();
    }

    fn check(&self) {
        assert!(contents(&self.store) == self.model, "what was written");
    }

    fn data_files(&self) -> usize {
        self.disk.list("data").expect("a folder").len()
    }
}

/// A text that is not told in a few bytes by those beside it.
fn text_of(key: i64) -> String {
    let scattered = key.wrapping_mul(0x5851_F42D_4C95_7F2D);
    format!("the text of row {scattered:x}")
}

fn change(key: i64, text: &str) -> [(i64, Option<String>); 1] {
    [(key, Some(text.to_owned()))]
}

#[test]
fn only_the_block_that_was_changed_is_written() {
    let mut story = Story::with_rows(KEYS);
    let full = story.checkpoint();
    assert_eq!((full.blocks_written, full.blocks_kept), (3, 0));
    assert_eq!(full.rows, KEYS as u64);
    story.write(change(100, "changed, in the second block"));
    let next = story.checkpoint();
    assert_eq!((next.blocks_written, next.blocks_kept), (1, 2));
    assert_eq!(next.rows, KEYS as u64);
    assert!(next.bytes < full.bytes, "{next:?} after {full:?}");
    story.crash();
    // Also what an earlier process wrote is referred to.
    story.write(change(5, "changed, in the first block"));
    let again = story.checkpoint();
    assert_eq!((again.blocks_written, again.blocks_kept), (1, 2));
    story.crash();
}

#[test]
fn nothing_is_written_where_nothing_was_changed() {
    let mut story = Story::with_rows(KEYS);
    story.checkpoint();
    for _ in 0..4 {
        let idle = story.checkpoint();
        assert_eq!((idle.bytes, idle.blocks_kept), (0, 3));
        assert_eq!(story.data_files(), 1);
        story.crash();
    }
}

#[test]
fn what_is_rolled_back_changes_nothing() {
    let mut story = Story::with_rows(KEYS);
    story.checkpoint();
    let mut transaction = story.store.begin().expect("a transaction");
    put(&mut transaction, 7, Some("never")).expect("a change");
    put(&mut transaction, 8, None).expect("a change");
    // In between, and after it.
    assert_eq!(story.checkpoint().bytes, 0);
    transaction.rollback();
    assert_eq!(story.checkpoint().bytes, 0);
    story.crash();
}

#[test]
fn a_transaction_over_several_checkpoints_is_in_the_one_after_its_commit() {
    let mut story = Story::with_rows(KEYS);
    story.checkpoint();
    let mut long = story.store.begin().expect("a transaction");
    let before = story.model.clone();
    story.put(&mut long, 3, Some("of a long transaction".to_owned()));
    story.put(&mut long, 200, None);
    story.put(&mut long, KEYS + 1, Some("inserted by it".to_owned()));
    let after = std::mem::replace(&mut story.model, before);
    for round in 0..3 {
        story.write(change(100 + round, "of short ones meanwhile"));
        story.checkpoint();
    }
    story.model.extend(
        after
            .into_iter()
            .filter(|(key, _)| [3, KEYS + 1].contains(key)),
    );
    story.model.remove(&200);
    long.commit().expect("a commit");
    assert_eq!(story.checkpoint().blocks_written, 3);
    story.crash();
    // Nothing of it is left in the log: it is in the images.
    assert_eq!(story.checkpoint().bytes, 0);
    story.crash();
}

#[test]
fn rows_that_were_written_anew_are_not_taken_for_the_old_ones() {
    let mut story = Story::with_rows(KEYS);
    story.write((10..KEYS).step_by(2).map(|key| (key, None)));
    story.checkpoint();
    // The same id, other blocks, and fewer of them.
    rewrite(&story.store).expect("rewritten");
    let report = story.checkpoint();
    assert_eq!(report.blocks_kept, 0);
    assert_eq!(report.rows, story.model.len() as u64);
    story.crash();
    // And where the log says it, after the images of the old rows were loaded.
    rewrite(&story.store).expect("rewritten");
    story.crash();
    assert_eq!(story.checkpoint().blocks_kept, 0);
    story.crash();
}

#[test]
fn frozen_blocks_come_back_frozen_and_freezing_changes_nothing() {
    let mut story = Story::with_rows(KEYS);
    story.checkpoint();
    assert!(story.store.compact(None).expect("frozen").rows > 0);
    let kept = story.checkpoint();
    assert_eq!((kept.bytes, kept.blocks_kept), (0, 3));
    story.crash();
    // Both full blocks are encoded already.
    assert_eq!(story.store.compact(None).expect("nothing to do").rows, 0);
    // Changed when frozen, and written with what was changed.
    story.write((0..60).step_by(3).map(|key| (key, None)));
    story.write(change(
        1,
        "changed over encoded columns, and longer than it was",
    ));
    assert_eq!(story.checkpoint().blocks_written, 1);
    story.crash();
    assert_eq!(story.checkpoint().bytes, 0);
    story.write((64..320).map(|key| (key, None)));
    story.store.compact(None).expect("collected");
    let report = story.checkpoint();
    assert_eq!(report.rows, story.model.len() as u64);
    story.crash();
    story.write(change(2, "and changed again"));
    story.crash();
}

#[test]
fn a_block_that_vanishes_is_in_no_checkpoint_any_more() {
    let mut story = Story::with_rows(KEYS);
    story.checkpoint();
    story.write((0..320).map(|key| (key, None)));
    let report = story.checkpoint();
    assert_eq!((report.rows, report.blocks_kept), (KEYS as u64 - 320, 1));
    story.store.compact(None).expect("collected");
    assert_eq!(story.checkpoint().rows, KEYS as u64 - 320);
    assert_eq!(kinds(&story, 0), []);
    story.crash();
}

#[test]
fn commits_beside_checkpoints_are_in_one_of_them_or_in_the_log() {
    let mut story = Story::with_rows(KEYS);
    let texts = |round: i64, first: i64| (0..40).map(move |at| (first + at * 7 % 200, round));
    std::thread::scope(|scope| {
        let store = &story.store;
        let writer = |first: i64| {
            move || {
                for (key, round) in (0..25).flat_map(|round| texts(round, first)) {
                    let mut transaction = store.begin().expect("a transaction");
                    let text = format!("round {round} of {key}, with more than fits a view");
                    put(&mut transaction, key, Some(&text)).expect("a change");
                    transaction.commit().expect("nobody else changes it");
                }
            }
        };
        let writers = [0, 200].map(|first| scope.spawn(writer(first)));
        while writers.iter().any(|writer| !writer.is_finished()) {
            store.checkpoint().expect("a checkpoint");
        }
    });
    for (key, round) in [0, 200].into_iter().flat_map(|first| texts(24, first)) {
        let text = format!("round {round} of {key}, with more than fits a view");
        story.model.insert(key, text);
    }
    story.crash();
    story.checkpoint();
    story.crash();
}

/// The kinds of a block's images in the current manifest.
fn kinds(story: &Story, block: u32) -> Vec<ImageKind> {
    let (manifest, _) = Manifest::read(&story.disk, MANIFEST).expect("a manifest");
    let of_block = |image: &&ImageRef| image.block == BlockNo(block);
    let images = manifest.images.iter().filter(of_block);
    images.map(|image| image.kind).collect()
}

#[test]
fn tables_may_have_any_names() {
    let mut story = Story::with_rows(KEYS);
    let mut transaction = story.store.begin().expect("a transaction");
    let columns = vec![ColumnDef::new(ColumnId(0), "k", DataType::BigInt)];
    // Later than `t`, before and after it in the order of names.
    let ids = ["a", "z", "b"].map(|name| {
        let table = transaction.create_table(TableDef::new(name, columns.clone()));
        let id = table.expect("a table");
        let entry = transaction.catalog().table(name).expect("a table").clone();
        transaction
            .insert(&entry, &[ValueRef::BigInt(id.0.into())])
            .expect("a row");
        id
    });
    transaction.commit().expect("a commit");
    story.checkpoint();
    story.crash();
    story.write(change(1, "changed"));
    story.checkpoint();
    story.crash();
    let transaction = story.store.begin().expect("a transaction");
    for id in ids {
        let table = transaction
            .catalog()
            .table_by_id(id)
            .expect("a table")
            .clone();
        let mut rows = Vec::new();
        let noted = transaction.view().for_each_row(&table, |_, row| {
            rows.push(row.get(ColumnId(0)).to_owned());
            Ok::<(), crate::Error>(())
        });
        noted.expect("rows");
        assert_eq!(rows, [Value::BigInt(id.0.into())]);
    }
}

/// Rows enough for a fourth block, of 4,096 slots.
const MANY: i64 = 64 + 256 + 1024 + 3000;

#[test]
fn a_block_of_which_little_was_changed_gets_a_delta_over_its_first_image() {
    use ImageKind::{Delta, Frozen, Rows};
    // A full block is encoded, whatever it is in memory; one into which rows may come is not.
    let cases = [
        (true, 2, 1024, Frozen),
        (false, 2, 1024, Frozen),
        (false, 3, 3000, Rows),
    ];
    for (frozen, block, rows, first) in cases {
        let mut story = Story::with_rows(MANY);
        if frozen {
            assert!(story.store.compact(None).expect("frozen").rows > 0);
        }
        story.checkpoint();
        assert_eq!(kinds(&story, block), [first]);
        let key = |at: i64| {
            if block == 2 {
                64 + 256 + at
            } else {
                MANY - 3000 + at
            }
        };
        story.write(change(key(7), "changed, and longer than what fits a view"));
        story.write([(key(8), None), (key(1000), None)]);
        let one = story.checkpoint();
        assert_eq!(kinds(&story, block), [first, Delta]);
        story.crash();
        // Made anew over the first image, in another process as well: there is one at most.
        story.write(change(key(7), "changed again"));
        story.write(change(key(9), "changed"));
        story.write([(key(10), None)]);
        let two = story.checkpoint();
        assert_eq!(kinds(&story, block), [first, Delta]);
        assert!(two.bytes < 2 * one.bytes, "{one:?}, {two:?}");
        story.crash();
        // Rows that come have no slot in the first image.
        story.write((9000..9010).map(|key| (key, Some(format!("came late {key}")))));
        story.checkpoint();
        story.crash();
        // Until it is no longer worth it.
        let texts = (0..600).map(|at| (key(11 + at), Some(format!("changed too, number {at}"))));
        story.write(texts);
        story.checkpoint();
        assert_ne!(kinds(&story, block).len(), 0);
        assert_eq!(kinds(&story, block)[0], first);
        story.crash();
        story.write((0..rows).map(|at| (key(at), None)));
        story.write((9000..9010).map(|key| (key, None)));
        story.checkpoint();
        assert_eq!(kinds(&story, block), []);
        story.crash();
    }
}

#[test]
fn a_delta_over_a_block_that_was_built_anew_is_none() {
    // The block does not know any more which of its rows were changed after the first image.
    let mut story = Story::with_rows(MANY);
    story.checkpoint();
    story.write(change(64 + 256 + 7, "changed before it was frozen"));
    assert!(story.store.compact(None).expect("frozen").rows > 0);
    story.write(change(64 + 256 + 8, "changed after it was frozen"));
    story.checkpoint();
    assert_eq!(kinds(&story, 2)[0], ImageKind::Frozen);
    story.crash();
}

#[test]
fn data_files_of_which_little_is_needed_go() {
    let mut story = Story::with_rows(MANY);
    story.checkpoint();
    let files = |story: &Story| {
        let (manifest, _) = Manifest::read(&story.disk, MANIFEST).expect("a manifest");
        manifest.files()
    };
    let first = files(&story);
    // Nearly all is written anew; at the next checkpoint the rest of the first file comes along.
    story.write((300..MANY).map(|key| (key, Some(format!("written anew {key}")))));
    story.checkpoint();
    story.write(change(1, "so that there is another one"));
    let report = story.checkpoint();
    assert!(files(&story).is_disjoint(&first), "{report:?}");
    story.crash();
    // As soon as no checkpoint that is kept needs it, it goes.
    for _ in 0..3 {
        story.checkpoint();
    }
    let named = |name: &String| {
        first
            .iter()
            .any(|number| *name == format!("{number:010}.img"))
    };
    let names = story.disk.list("data").expect("a folder");
    assert!(!names.iter().any(named), "{names:?}");
    story.crash();
}

#[test]
fn a_data_file_that_is_gone_or_cut_is_written_anew() {
    for cut in [None, Some(100)] {
        let mut story = Story::with_rows(KEYS);
        story.checkpoint();
        let name = story.disk.list("data").expect("a folder").remove(0);
        let path = format!("data/{name}");
        match cut {
            None => story.disk.remove(&path).expect("gone"),
            Some(length) => {
                let file = story.disk.open(&path).expect("a file");
                file.truncate(length).expect("cut");
            }
        }
        story.write(change(100, "changed"));
        let report = story.checkpoint();
        assert_eq!((report.blocks_written, report.blocks_kept), (3, 0));
        story.crash();
    }
}

/// One step of a random story.
#[derive(Clone, Debug)]
enum Step {
    Put(i64, u8),
    Delete(i64),
    DeleteMany(i64, i64),
    RolledBack(i64),
    BeginLong(i64),
    EndLong(bool),
    Rewrite,
    Compact,
    Checkpoint,
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = || 0..KEYS;
    let step = prop_oneof![
        6 => (key(), any::<u8>()).prop_map(|(key, length)| Step::Put(key, length)),
        3 => key().prop_map(Step::Delete),
        1 => (key(), 1..150_i64).prop_map(|(key, count)| Step::DeleteMany(key, count)),
        1 => key().prop_map(Step::RolledBack),
        1 => key().prop_map(Step::BeginLong),
        1 => any::<bool>().prop_map(Step::EndLong),
        1 => Just(Step::Rewrite),
        2 => Just(Step::Compact),
        4 => Just(Step::Checkpoint),
        2 => Just(Step::Crash),
    ];
    proptest::collection::vec(step, 1..40)
}

fn text(key: i64, length: u8) -> Option<String> {
    Some(format!("{key}: {}", "x".repeat(length.into())))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_happens_between_checkpoints_nothing_is_lost(steps in steps()) {
        let mut story = Story::with_rows(KEYS);
        // Keys of its own, so that it is in nobody's way.
        let mut long: Option<(Transaction, Contents)> = None;
        for step in steps {
            match step {
                Step::Put(key, length) => story.write([(key, text(key, length))]),
                Step::Delete(key) => story.write([(key, None)]),
                Step::DeleteMany(key, count) => {
                    story.write((key..(key + count).min(KEYS)).map(|key| (key, None)));
                }
                Step::RolledBack(key) => {
                    let mut transaction = story.store.begin().expect("a transaction");
                    put(&mut transaction, key, Some("never")).expect("a change");
                    put(&mut transaction, key + 1000, Some("never")).expect("a change");
                }
                Step::BeginLong(key) if long.is_none() => {
                    let mut transaction = story.store.begin().expect("a transaction");
                    let mut own = Contents::new();
                    for key in [2000 + key, 3000 + key] {
                        put(&mut transaction, key, Some("of a long one")).expect("a change");
                        own.insert(key, "of a long one".to_owned());
                    }
                    long = Some((transaction, own));
                }
                Step::EndLong(commits) => {
                    if let Some((transaction, own)) = long.take() && commits {
                        transaction.commit().expect("a commit");
                        story.model.extend(own);
                    }
                }
                // Nobody writes to a table that is rewritten, or is written to by it.
                Step::Rewrite if long.is_none() => rewrite(&story.store).expect("rewritten"),
                Step::Rewrite | Step::BeginLong(_) => {}
                Step::Compact => drop(story.store.compact(None).expect("compacted")),
                Step::Checkpoint => drop(story.checkpoint()),
                Step::Crash => {
                    long = None;
                    story.crash();
                }
            }
        }
        drop(long);
        story.crash();
        story.checkpoint();
        story.crash();
    }
}
