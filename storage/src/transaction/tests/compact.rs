//! Blocks freeze and thaw under their readers and writers, who must not notice.

use super::*;
use crate::block::Block;
use crate::ids::Timestamp;
use crate::maintenance::Wish;
use crate::pool::Owner;
use crate::stop::Stop;
use crate::transaction::Compacted;

const LONG: &str = "a string that is longer than its view";

/// Makes the block that takes rows now full.
pub(super) fn close(core: &Arc<Core>) {
    let tx = core.begin().unwrap();
    let table = t(&tx);
    let next = table.rows.next_row();
    if next.slot().0 == 0 {
        return;
    }
    let last = RowId::new(next.block(), crate::ids::Slot(next.slot().0 - 1));
    let view = tx.view();
    if let Some((block, _)) = table.rows.place(last, &view.enter()) {
        block.close();
    }
}

/// Makes every frozen block hot again.
pub(super) fn thaw(core: &Arc<Core>) {
    core.compact_all(None, Wish::Thaw, Stop::NEVER).unwrap();
}

fn freeze(core: &Arc<Core>) {
    close(core);
    assert!(core.compact(None).unwrap().rows > 0);
}

fn with_block<T>(core: &Arc<Core>, row: RowId, read: impl FnOnce(&Block) -> T) -> T {
    let tx = core.begin().unwrap();
    let view = tx.view();
    let table = t(&tx);
    let operation = view.enter();
    let place = table.rows.place(row, &operation);
    read(place.expect("a block").0)
}

fn is_frozen(core: &Arc<Core>, row: RowId) -> bool {
    with_block(core, row, Block::is_frozen)
}

/// A core with ten rows `(k, 10 * k)` in a frozen block.
fn frozen() -> (Arc<Core>, Vec<RowId>) {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    let rows = (0..10).map(|k| insert(&mut tx, k, 10 * k).unwrap());
    let rows = rows.collect();
    tx.commit().unwrap();
    freeze(&core);
    (core, rows)
}

fn expected() -> Vec<(i32, i32)> {
    (0..10).map(|k| (k, 10 * k)).collect()
}

#[test]
fn a_frozen_block_says_what_it_said_and_rows_keep_their_ids() {
    let (core, rows) = frozen();
    assert!(rows.iter().all(|row| is_frozen(&core, *row)));
    let mut tx = core.begin().unwrap();
    assert_eq!(all(&mut tx), expected());
    for (k, row) in rows.iter().enumerate() {
        assert_eq!(find(&tx, k as i32), Some(*row));
    }
    assert_eq!(
        core.compact(None).unwrap(),
        Default::default(),
        "smaller it will not be"
    );
    // New rows go on in the next block.
    let next = insert(&mut tx, 10, 100).unwrap();
    assert!(next.block() > rows[0].block());
}

#[test]
fn frozen_rows_are_updated_and_deleted_and_both_are_taken_back() {
    let (core, rows) = frozen();
    let mut tx = core.begin().unwrap();
    assert!(update(&mut tx, 3, 7).unwrap());
    assert!(delete(&mut tx, 4).unwrap());
    assert_eq!((get(&mut tx, 3), get(&mut tx, 4)), (Some(7), None));
    let mut other = core.begin().unwrap();
    assert_eq!(all(&mut other), expected());
    assert_eq!(update(&mut other, 3, 8).unwrap_err().sqlstate(), "40001");
    assert_eq!(delete(&mut other, 4).unwrap_err().sqlstate(), "40001");
    tx.rollback();
    core.collect_garbage();
    assert_eq!(all(&mut core.begin().unwrap()), expected());
    assert!(with_block(&core, rows[0], |block| block.is_settled(0)));

    let mut tx = core.begin().unwrap();
    assert!(update(&mut tx, 3, 7).unwrap());
    assert!(delete(&mut tx, 4).unwrap());
    tx.commit().unwrap();
    assert_eq!(all(&mut other), expected(), "an older snapshot");
    drop(other);
    assert_eq!(core.collect_garbage(), 0);
    let mut changed = expected();
    changed[3].1 = 7;
    changed.remove(4);
    assert_eq!(all(&mut core.begin().unwrap()), changed);
    // Frozen again, the changed row is in the columns and the deleted one is in nothing.
    assert_eq!(core.compact(None).unwrap().rows, 9);
    assert!(with_block(&core, rows[0], |block| block.is_settled(0)));
    assert_eq!(all(&mut core.begin().unwrap()), changed);
}

#[test]
fn a_snapshot_from_before_sees_what_it_saw() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    let row = insert(&mut tx, 1, 10).unwrap();
    insert(&mut tx, 2, 20).unwrap();
    tx.commit().unwrap();
    let mut first = core.begin().unwrap();
    let mut tx = core.begin().unwrap();
    update(&mut tx, 1, 11).unwrap();
    delete(&mut tx, 2).unwrap();
    tx.commit().unwrap();
    let mut second = core.begin().unwrap();
    freeze(&core);
    assert!(is_frozen(&core, row));
    assert_eq!(all(&mut first), [(1, 10), (2, 20)]);
    assert_eq!(all(&mut second), [(1, 11)]);
    drop(first);
    freeze(&core);
    assert_eq!(all(&mut second), [(1, 11)]);
    drop(second);
    assert_eq!(core.collect_garbage(), 0);
    assert_eq!(all(&mut core.begin().unwrap()), [(1, 11)]);
}

#[test]
fn a_writer_whose_block_is_replaced_commits_or_rolls_back() {
    for commits in [true, false] {
        let (core, _) = frozen();
        let mut tx = core.begin().unwrap();
        update(&mut tx, 1, 11).unwrap();
        update(&mut tx, 1, 12).unwrap();
        delete(&mut tx, 2).unwrap();
        update(&mut tx, 3, 31).unwrap();
        delete(&mut tx, 3).unwrap();
        freeze(&core);
        thaw(&core);
        freeze(&core);
        assert_eq!(all(&mut core.begin().unwrap()), expected());
        assert_eq!(all(&mut tx)[..2], [(0, 0), (1, 12)]);
        let mut after = expected();
        if commits {
            tx.commit().unwrap();
            after.drain(2..4);
            after[1].1 = 12;
        } else {
            tx.rollback();
        }
        assert_eq!(all(&mut core.begin().unwrap()), after);
        assert_eq!(core.collect_garbage(), 0);
        assert_eq!(all(&mut core.begin().unwrap()), after);
    }
}

#[test]
fn a_row_that_is_not_committed_puts_freezing_off() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    let row = insert(&mut tx, 1, 10).unwrap();
    close(&core);
    assert_eq!(core.compact(None).unwrap().rows, 0);
    tx.commit().unwrap();
    assert_eq!(core.compact(None).unwrap().rows, 1);
    assert!(is_frozen(&core, row));
}

#[test]
fn a_key_in_a_frozen_block_is_taken() {
    let (core, _) = frozen();
    let mut tx = core.begin().unwrap();
    assert_eq!(insert(&mut tx, 3, 0).unwrap_err().sqlstate(), "23505");
    delete(&mut tx, 3).unwrap();
    insert(&mut tx, 3, 1).unwrap();
    let mut rival = core.begin().unwrap();
    assert_eq!(insert(&mut rival, 3, 0).unwrap_err().sqlstate(), "40001");
    tx.commit().unwrap();
    drop(rival);
    assert_eq!(core.collect_garbage(), 0);
    assert_eq!(get(&mut core.begin().unwrap(), 3), Some(1));
    for index in &t(&core.begin().unwrap()).indexes {
        assert_eq!(index.index.len(), 10);
    }
}

/// A version over a hot row names strings in the block's heap. The block is replaced while the
/// version is not committed; its strings must still be there afterwards.
#[test]
fn strings_of_a_carried_version_outlive_their_block() {
    let core = with_texts(256 << 20);
    let mut tx = core.begin().unwrap();
    let values = [1, 2].map(|k| [ValueRef::Integer(k), ValueRef::Text(LONG), ValueRef::Null]);
    for values in &values {
        tx.insert(&t(&tx), values).unwrap();
    }
    tx.commit().unwrap();
    let read = |tx: &mut Transaction, k: i32| {
        let row = find(tx, k).expect("a row");
        let text =
            |row: &crate::block::RowRef<'_>| [V, W].map(|column| format!("{:?}", row.get(column)));
        tx.view().row(&t(tx), row, text).expect("a visible row")
    };
    let whole = format!("{:?}", ValueRef::Text(LONG));
    let mut tx = core.begin().unwrap();
    // The first keeps its long string, which is in the heap.
    assert!(change(&mut tx, 1, &[(W, ValueRef::Text("w"))]).unwrap());
    for _ in 0..3 {
        freeze(&core);
        thaw(&core);
        assert_eq!(read(&mut tx, 1)[0], whole);
        assert_eq!(read(&mut core.begin().unwrap(), 1)[0], whole);
    }
    assert!(change(&mut tx, 1, &[(W, ValueRef::Text("x"))]).unwrap());
    tx.commit().unwrap();
    freeze(&core);
    assert_eq!(core.collect_garbage(), 0);
    let mut tx = core.begin().unwrap();
    assert_eq!(
        read(&mut tx, 1),
        [whole.clone(), format!("{:?}", ValueRef::Text("x"))]
    );
    assert_eq!(read(&mut tx, 2)[0], whole);
    assert_eq!(
        core.compact(None).unwrap().rows,
        0,
        "nothing of the past is left"
    );
}

#[test]
fn a_block_that_is_changed_all_the_time_thaws() {
    const ROWS: i32 = 50;
    let core = with_table();
    let mut tx = core.begin().unwrap();
    let rows: Vec<RowId> = (0..ROWS).map(|k| insert(&mut tx, k, 0).unwrap()).collect();
    tx.commit().unwrap();
    freeze(&core);
    for (changed, is_still_frozen) in [(15, true), (16, false)] {
        let mut tx = core.begin().unwrap();
        for k in 0..changed {
            update(&mut tx, k, 1).unwrap();
        }
        tx.commit().unwrap();
        core.collect_garbage();
        let quiet = core.latest();
        let wish = Wish::Due { quiet, cold: None };
        core.compact_all(None, wish, Stop::NEVER).unwrap();
        assert_eq!(
            is_frozen(&core, rows[0]),
            is_still_frozen,
            "30 % are not yet enough"
        );
    }
    assert!(with_block(&core, rows[0], |block| block.is_settled(0)));
    let mut tx = core.begin().unwrap();
    let after: Vec<(i32, i32)> = (0..ROWS).map(|k| (k, i32::from(k < 16))).collect();
    assert_eq!(all(&mut tx), after);
    // Hot again, it folds.
    update(&mut tx, 9, 2).unwrap();
    tx.commit().unwrap();
    assert_eq!(core.collect_garbage(), 0);
    assert!(with_block(&core, rows[0], |block| block.is_settled(0)));
}

/// A snapshot that stays: what was changed since is not known. The background must not build the same blocks
/// again and again meanwhile.
#[test]
fn blocks_are_left_alone_while_a_snapshot_is_old() {
    let (core, rows) = frozen();
    let old = core.begin().unwrap();
    let mut tx = core.begin().unwrap();
    for k in 0..4 {
        update(&mut tx, k, 1).unwrap();
    }
    tx.commit().unwrap();
    let quiet = core.latest();
    let due = Wish::Due {
        quiet,
        cold: Some(quiet),
    };
    for _ in 0..2 {
        assert_eq!(core.compact_all(None, due, Stop::NEVER).unwrap().rows, 0);
    }
    assert!(is_frozen(&core, rows[0]));
    drop(old);
    assert_eq!(core.compact_all(None, due, Stop::NEVER).unwrap().rows, 10);
    assert!(with_block(&core, rows[0], |block| block.is_settled(0)));
}

/// Memory for encoding is reserved before it is taken, for the strings of updated rows as well: they are in the versions,
/// and not in the block's heap.
#[test]
fn strings_of_versions_are_reserved_before_they_are_encoded() {
    let core = with_texts(256 << 20);
    let long = "x".repeat(200_000);
    let mut tx = core.begin().unwrap();
    let rows = (0..60).map(|k| {
        let values = [ValueRef::Integer(k), ValueRef::Null, ValueRef::Null];
        tx.insert(&t(&tx), &values).unwrap()
    });
    let row = rows.last().unwrap();
    tx.commit().unwrap();
    for k in 0..60 {
        let mut tx = core.begin().unwrap();
        assert!(change(&mut tx, k, &[(V, ValueRef::Text(&long))]).unwrap());
        tx.commit().unwrap();
    }
    core.collect_garbage();
    close(&core);
    // Twelve megabytes are in versions; there are not twelve more.
    let ledger = core.ledger();
    let room = ledger.budget() - ledger.used() - ledger.emergency();
    let taken = ledger.reserve(Owner::Query, room).unwrap();
    let refused = core.compact(None).unwrap();
    assert_eq!((refused.rows, refused.blocks_left), (0, 1));
    let wanted = refused.bytes_wanted;
    assert!((12_000_000..30_000_000).contains(&wanted), "{wanted}");
    assert!(!is_frozen(&core, row));
    drop(taken);
    assert_eq!(core.compact(None).unwrap().rows, 60);
    assert!(is_frozen(&core, row));
}

/// Who lends memory to a frozen block for its changed rows must not keep the pool for it: a
/// database that was closed would keep all it ever had from the system.
#[test]
fn a_closed_database_gives_its_pool_back() {
    let (core, _) = frozen();
    let mut tx = core.begin().unwrap();
    assert!(update(&mut tx, 3, 7).unwrap());
    assert!(delete(&mut tx, 4).unwrap());
    tx.commit().unwrap();
    let pool = Arc::downgrade(core.pool());
    drop(core);
    assert_eq!(pool.strong_count(), 0);
}

#[test]
fn a_frozen_block_whose_rows_all_die_goes() {
    let (core, rows) = frozen();
    let mut tx = core.begin().unwrap();
    for k in 0..10 {
        delete(&mut tx, k).unwrap();
    }
    tx.commit().unwrap();
    assert_eq!(core.collect_garbage(), 0);
    let tx = core.begin().unwrap();
    let view = tx.view();
    assert!(t(&tx).rows.place(rows[0], &view.enter()).is_none());
    assert_eq!(all(&mut core.begin().unwrap()), []);
}

/// Deleted rows and insertions that were taken back must not slow down scans of their neighbours.
#[test]
fn the_dead_do_not_unsettle_the_living() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    let rows: Vec<RowId> = (0..20).map(|k| insert(&mut tx, k, k).unwrap()).collect();
    tx.commit().unwrap();
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 20, 0).unwrap();
    tx.rollback();
    let mut tx = core.begin().unwrap();
    delete(&mut tx, 5).unwrap();
    update(&mut tx, 6, 60).unwrap();
    delete(&mut tx, 6).unwrap();
    tx.commit().unwrap();
    assert_eq!(core.collect_garbage(), 0);
    assert!(with_block(&core, rows[0], |block| block.is_settled(0)));
    let live: Vec<(i32, i32)> = (0..20)
        .filter(|k| ![5, 6].contains(k))
        .map(|k| (k, k))
        .collect();
    assert_eq!(all(&mut core.begin().unwrap()), live);
}

/// Memory is full. What is merely due waits: it would take what a DELETE needs.
#[test]
fn only_who_is_to_make_room_freezes_with_the_emergency_reserve() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 1, 10).unwrap();
    tx.commit().unwrap();
    close(&core);
    let ledger = core.ledger();
    let left = ledger.budget() - ledger.used() - ledger.emergency();
    let _full = ledger.reserve(Owner::Query, left).unwrap();
    let used = ledger.used();
    let due = Wish::Due {
        quiet: Timestamp(0),
        cold: Some(Timestamp(u64::MAX)),
    };
    let refused = core.compact_all(None, due, Stop::NEVER).unwrap();
    assert_eq!((refused.rows, refused.blocks_left), (0, 1));
    assert_eq!(ledger.used(), used);
    assert_eq!(core.compact(None).unwrap().rows, 1);
}

/// A table of a thousand rows never fills its last block. When most of it is deleted, COMPACT must not
/// leave the rest where it is.
#[test]
fn a_sparse_block_that_takes_rows_is_closed_and_frozen() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    let rows: Vec<RowId> = (0..1200).map(|k| insert(&mut tx, k, k).unwrap()).collect();
    tx.commit().unwrap();
    let last = rows[1199];
    assert!(core.compact(None).unwrap().rows > 0);
    assert!(
        !is_frozen(&core, last),
        "it is open, and nothing in it is dead"
    );
    let mut tx = core.begin().unwrap();
    for k in (320..1200).filter(|k| k % 10 != 9) {
        assert!(delete(&mut tx, k).unwrap());
    }
    tx.commit().unwrap();
    let bytes = core.compact(None).unwrap().bytes;
    assert!(is_frozen(&core, last));
    // 880 rows of 1,024 slots were there, of 32 bytes each.
    assert!(bytes > 20_000, "{bytes}");
    let mut tx = core.begin().unwrap();
    let kept = (0..1200).filter(|k| *k < 320 || k % 10 == 9);
    assert_eq!(all(&mut tx), kept.map(|k| (k, k)).collect::<Vec<_>>());
    let next = insert(&mut tx, 2000, 0).unwrap();
    assert!(next.block() > last.block());
    tx.commit().unwrap();
    assert_eq!(
        core.compact(None).unwrap(),
        Compacted::default(),
        "once is enough"
    );
}

/// When a block was changed last is only known once its changes are collected, which happens on the way
/// to replacing it. A block that turns out to be changed is left alone.
#[test]
fn a_block_whose_changes_were_not_collected_yet_is_not_cold() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    let row = insert(&mut tx, 1, 10).unwrap();
    tx.commit().unwrap();
    close(&core);
    core.collect_garbage();
    let before = core.latest();
    let mut tx = core.begin().unwrap();
    update(&mut tx, 1, 11).unwrap();
    tx.commit().unwrap();
    let table = core.catalog().table("t").cloned().unwrap();
    let compact = |since| {
        let wish = Wish::Due {
            quiet: since,
            cold: Some(since),
        };
        let mut sum = Compacted::default();
        let (rows, from) = (&table.rows, crate::ids::BlockNo(0));
        let mut collector = core.collector();
        let (_, result) =
            collector.compact_next(rows, from, wish, &core.garbage, &core.catalog, &mut sum);
        result.unwrap();
        sum.rows
    };
    assert_eq!(compact(before), 0);
    assert!(!is_frozen(&core, row));
    assert_eq!(compact(core.latest()), 1);
    assert!(is_frozen(&core, row));
}
