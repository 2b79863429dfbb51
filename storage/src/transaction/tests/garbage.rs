//! What nobody can see goes.

use super::*;
use crate::maintenance::ROWS_PRUNED;
use crate::pool::Owner;

/// Rows, versions and write sets; indexes reserve in steps, and have tests of their own.
fn used(core: &Core) -> u64 {
    let owners = [Owner::Table, Owner::Version, Owner::Transaction];
    let lines = core.ledger().entries().into_iter();
    let lines = lines.filter(|line| owners.contains(&line.owner));
    lines.map(|line| line.bytes).sum()
}

#[test]
fn updates_do_not_pile_up() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    for k in 0..100 {
        insert(&mut tx, k, 0).unwrap();
    }
    tx.commit().unwrap();
    core.collect_garbage();
    let baseline = used(&core);
    for round in 1..50 {
        let mut tx = core.begin().unwrap();
        for k in 0..100 {
            assert!(update(&mut tx, k, round).unwrap());
        }
        tx.commit().unwrap();
    }
    assert!(used(&core) > baseline);
    assert_eq!(core.collect_garbage(), 0);
    assert_eq!(used(&core), baseline);
}

#[test]
fn long_strings_that_change_again_and_again_do_not_pile_up() {
    let core = core();
    create(&core, DataType::Text);
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    tx.insert(&t(&tx), &[ValueRef::Integer(1), ValueRef::Text("short")])
        .unwrap();
    tx.commit().unwrap();
    let round = |at: usize| {
        let long = format!("{at:0>1000}");
        let mut tx = core.begin().unwrap();
        assert!(change(&mut tx, 1, &[(V, ValueRef::Text(&long))]).unwrap());
        tx.commit().unwrap();
        assert_eq!(core.collect_garbage(), 0);
    };
    round(0);
    let baseline = used(&core);
    for at in 1..100 {
        round(at);
    }
    assert_eq!(used(&core), baseline);
}

#[test]
fn an_emptied_table_gives_its_blocks_back() {
    let core = with_table();
    let empty = used(&core);
    for round in 0..2 {
        let mut tx = core.begin().unwrap();
        for k in 0..5440 {
            insert(&mut tx, k, k).unwrap();
        }
        tx.commit().unwrap();
        let mut old = core.begin().unwrap();
        let mut tx = core.begin().unwrap();
        for k in 0..5440 {
            assert!(delete(&mut tx, k).unwrap());
        }
        tx.commit().unwrap();
        core.collect_garbage();
        assert_eq!(all(&mut old).len(), 5440, "the past is still there");
        drop(old);
        assert_eq!(core.collect_garbage(), 0);
        // 64 + 256 + 1024 + 4096 rows filled four blocks. In the second round they are a third of
        // one, which is given up with the slots that are left.
        assert_eq!(used(&core), empty, "round {round}");
        let tx = core.begin().unwrap();
        assert!(t(&tx).indexes.iter().all(|index| index.index.is_empty()));
    }
}

#[test]
fn a_rolled_back_load_leaves_nothing() {
    let core = with_table();
    let empty = used(&core);
    let mut tx = core.begin().unwrap();
    for k in 0..5440 {
        insert(&mut tx, k, k).unwrap();
    }
    assert!(used(&core) > empty);
    tx.rollback();
    assert_eq!(core.collect_garbage(), 0);
    // 64 + 256 + 1024 + 4096 rows filled four blocks, all of whose slots are dead.
    assert_eq!(used(&core), empty);
    assert_eq!(all(&mut core.begin().unwrap()), []);
}

/// The strings of one row may be longer than the heap of a block usually grows: an empty block takes
/// them.
#[test]
fn a_row_of_strings_longer_than_a_heap_is_inserted() {
    let core = with_texts(256 << 20);
    let mut tx = core.begin().unwrap();
    let long = "x".repeat(9 << 20);
    for k in 0..2 {
        let values = [
            ValueRef::Integer(k),
            ValueRef::Text(&long),
            ValueRef::Text(&long),
        ];
        let row = tx.insert(&t(&tx), &values).unwrap();
        tx.begin_command();
        let length = |row: &crate::block::RowRef<'_>| match row.get(W) {
            ValueRef::Text(text) => text.len(),
            _ => 0,
        };
        assert_eq!(tx.view().row(&t(&tx), row, length), Some(9 << 20));
    }
}

#[test]
fn a_full_memory_refuses_and_changes_nothing() {
    let core = core_with(32 << 20);
    create(&core, DataType::Text);
    let long = "x".repeat(100_000);
    let mut tx = core.begin().unwrap();
    let table = t(&tx);
    let failure = (0..10_000).find_map(|k| {
        tx.begin_command();
        let values = [ValueRef::Integer(k), ValueRef::Text(&long)];
        // The text is too long to be a key, so it goes without its index.
        let bare = Arc::new(table.with_indexes(table.indexes[..1].to_vec()));
        tx.insert(&bare, &values).err().map(|error| (k, error))
    });
    let (rows, error) = failure.expect("the budget holds");
    assert_eq!(error.sqlstate(), "53200");
    let mut count = 0;
    tx.begin_command();
    tx.view()
        .for_each_row(&table, |_, _| {
            count += 1;
            Ok::<(), ()>(())
        })
        .unwrap();
    assert_eq!(count, rows);
}

#[test]
fn a_settled_table_stays_settled_through_updates() {
    // After collection a scan takes the fast path again: no chain is left.
    let core = with_table();
    let mut tx = core.begin().unwrap();
    let rows: Vec<RowId> = (0..64).map(|k| insert(&mut tx, k, k).unwrap()).collect();
    tx.commit().unwrap();
    let is_settled = |core: &Arc<Core>| {
        let tx = core.begin().unwrap();
        let view = tx.view();
        let table = t(&tx);
        let operation = view.enter();
        let place = table.rows.place(rows[0], &operation);
        place.is_some_and(|(block, slot)| block.is_settled(slot.0.into()))
    };
    assert!(!is_settled(&core));
    core.collect_garbage();
    assert!(is_settled(&core));
    let mut tx = core.begin().unwrap();
    assert!(update(&mut tx, 7, 8).unwrap());
    assert!(update(&mut tx, 7, 9).unwrap());
    assert!(!is_settled(&core));
    tx.commit().unwrap();
    core.collect_garbage();
    assert!(is_settled(&core));
    let mut tx = core.begin().unwrap();
    assert!(delete(&mut tx, 7).unwrap());
    tx.rollback();
    assert!(is_settled(&core));
    assert_eq!(get(&mut core.begin().unwrap(), 7), Some(9));
}

/// Tables come and go all day. What each of them took, rows, indexes and versions, must come back.
#[test]
fn a_dropped_table_gives_everything_back() {
    let core = core();
    let all = || {
        let lines = core.ledger().entries().into_iter();
        let lines = lines.filter(|line| line.owner != Owner::Pool);
        lines.map(|line| line.bytes).sum::<u64>()
    };
    let baseline = all();
    for round in 0..3 {
        create(&core, DataType::Integer);
        let mut tx = core.begin().unwrap();
        for k in 0..1000 {
            insert(&mut tx, k, k).unwrap();
        }
        tx.commit().unwrap();
        let mut tx = core.begin().unwrap();
        for k in 0..1000 {
            assert!(update(&mut tx, k, k + round).unwrap());
        }
        tx.commit().unwrap();
        // The versions of the updates may still wait when the table goes, or not.
        if round == 1 {
            core.collect_garbage();
        }
        let mut tx = core.begin().unwrap();
        tx.begin_command();
        let id = t(&tx).def.id;
        tx.drop_table(id).unwrap();
        tx.commit().unwrap();
        assert_eq!(core.collect_garbage(), 0);
        assert_eq!(all(), baseline, "round {round}");
    }
}

fn entries(core: &Arc<Core>) -> Vec<usize> {
    let table = t(&core.begin().unwrap());
    let indexes = table.indexes.iter();
    indexes.map(|index| index.index.len()).collect()
}

/// A report runs for hours while the rows it has read change all the time. It holds back what it sees,
/// one state of each row, and not what came and went since.
#[test]
fn an_old_snapshot_holds_back_only_what_it_sees() {
    const ROWS: i32 = 100;
    let core = with_table();
    let mut tx = core.begin().unwrap();
    for k in 0..ROWS {
        insert(&mut tx, k, 0).unwrap();
    }
    tx.commit().unwrap();
    core.collect_garbage();
    let baseline = used(&core);
    let mut report = core.begin_with(READ_ONLY).unwrap();
    let before: Vec<(i32, i32)> = (0..ROWS).map(|k| (k, 0)).collect();
    let round = |round: i32| {
        let mut tx = core.begin().unwrap();
        for k in 0..ROWS {
            assert!(update(&mut tx, k, round).unwrap());
        }
        tx.commit().unwrap();
        core.collect_garbage();
    };
    (1..4).for_each(round);
    core.prune_all();
    let after_some = used(&core);
    let mut second = core.begin_with(READ_ONLY).unwrap();
    (4..60).for_each(round);
    let after_many = used(&core);
    // Of 59 versions of each row the two snapshots and the future want two; some more have come since
    // they were looked at last.
    let (some, many) = (after_some - baseline, after_many - baseline);
    assert!(many <= 5 * some, "{many} bytes, where {some} are seen");
    core.prune_all();
    assert!(used(&core) - baseline <= 3 * some);
    // The keys that the report, the second and the future see.
    assert_eq!(entries(&core), [ROWS as usize, 3 * ROWS as usize]);
    assert_eq!(all(&mut report), before);
    assert!(all(&mut second).iter().all(|(_, v)| *v == 3));
    drop(report);
    core.collect_garbage();
    assert!(all(&mut second).iter().all(|(_, v)| *v == 3));
    drop(second);
    assert_eq!(core.collect_garbage(), 0);
    assert_eq!(used(&core), baseline);
    assert!(
        all(&mut core.begin().unwrap())
            .iter()
            .all(|(_, v)| *v == 59)
    );
    assert_eq!(entries(&core), [ROWS as usize; 2]);
}

/// Jobs come, change and are done while a report runs that was begun before. It sees none of them,
/// so nothing of them stays.
#[test]
fn rows_that_an_old_snapshot_does_not_see_leave_nothing() {
    const ROWS: i32 = 5440;
    let core = with_table();
    let mut tx = core.begin().unwrap();
    insert(&mut tx, -1, 0).unwrap();
    tx.commit().unwrap();
    core.collect_garbage();
    let mut report = core.begin_with(READ_ONLY).unwrap();
    let jobs = |first: i32| {
        let each = |work: &dyn Fn(&mut Transaction, i32)| {
            let mut tx = core.begin().unwrap();
            (first..first + ROWS).for_each(|k| work(&mut tx, k));
            tx.commit().unwrap();
            core.collect_garbage();
        };
        each(&|tx, k| assert!(insert(tx, k, 0).is_ok()));
        each(&|tx, k| assert!(update(tx, k, 1).unwrap()));
        each(&|tx, k| assert!(update(tx, k, 2).unwrap()));
        core.prune_all();
        let versions = core.ledger().entries()[Owner::Version as usize].bytes;
        assert_eq!(versions, 0, "the newest state of each is in its block");
        each(&|tx, k| assert!(delete(tx, k).unwrap()));
        core.prune_all();
    };
    // Blocks reach their full size.
    (0..4).for_each(|round| jobs(round * ROWS));
    let baseline = used(&core);
    (4..8).for_each(|round| jobs(round * ROWS));
    assert!(used(&core) <= baseline, "{} {baseline}", used(&core));
    assert_eq!(entries(&core), [1, 1]);
    assert_eq!(all(&mut report), [(-1, 0)]);
    assert_eq!(all(&mut core.begin().unwrap()), [(-1, 0)]);
    drop(report);
    assert_eq!(core.collect_garbage(), 0);
}

/// What is rolled back while a report runs is nothing that it sees.
#[test]
fn what_is_rolled_back_does_not_wait_for_an_old_snapshot() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 1, 0).unwrap();
    tx.commit().unwrap();
    core.collect_garbage();
    let baseline = used(&core);
    let mut report = core.begin_with(READ_ONLY).unwrap();
    for round in 0..100 {
        let mut tx = core.begin().unwrap();
        assert!(update(&mut tx, 1, round).unwrap());
        tx.rollback();
    }
    assert_eq!(core.collect_garbage(), 0);
    assert_eq!(used(&core), baseline);
    assert_eq!(all(&mut report), [(1, 0)]);
}

/// A transaction drops an index, changes a row, and takes both back. Taking the change back settles
/// the row: the old key must go from the index that is dropped at that moment, and comes back after.
#[test]
fn an_index_that_is_not_dropped_after_all_has_no_stale_entries() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 1, 10).unwrap();
    tx.commit().unwrap();
    core.collect_garbage();
    let mut tx = core.begin().unwrap();
    assert!(update(&mut tx, 1, 11).unwrap());
    tx.commit().unwrap();
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    let index = t(&tx).indexes[1].def.id;
    tx.drop_index(index).unwrap();
    assert!(update(&mut tx, 1, 12).unwrap());
    tx.rollback();
    assert_eq!(core.collect_garbage(), 0);
    assert_eq!(entries(&core), [1, 1]);
    assert_eq!(all(&mut core.begin().unwrap()), [(1, 11)]);
}

/// The same with a key that an older state has as well, which is collected meanwhile: its entry is
/// wanted by the change that is taken back.
#[test]
fn a_key_that_was_to_come_back_leaves_no_entry() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 1, 10).unwrap();
    tx.commit().unwrap();
    core.collect_garbage();
    for value in [11, 12] {
        let mut tx = core.begin().unwrap();
        assert!(update(&mut tx, 1, value).unwrap());
        tx.commit().unwrap();
    }
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    let index = t(&tx).indexes[1].def.id;
    tx.drop_index(index).unwrap();
    assert!(update(&mut tx, 1, 11).unwrap());
    core.collect_garbage();
    tx.rollback();
    assert_eq!(core.collect_garbage(), 0);
    assert_eq!(entries(&core), [1, 1]);
    assert_eq!(all(&mut core.begin().unwrap()), [(1, 12)]);
}

/// An index that a transaction has made knows only the newest state of a row. A key that the transaction
/// takes back is not one of it, though an older snapshot still sees a state with that key.
#[test]
fn a_key_taken_back_leaves_no_entry_in_an_index_of_the_transaction() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 1, 10).unwrap();
    tx.commit().unwrap();
    core.collect_garbage();
    let old = core.begin().unwrap();
    let mut tx = core.begin().unwrap();
    assert!(update(&mut tx, 1, 11).unwrap());
    tx.commit().unwrap();
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    let table = t(&tx).def.id;
    tx.create_index(index_def(table, "t_v_too", V, false))
        .unwrap();
    let mark = tx.begin_command();
    let row = find(&tx, 1).unwrap();
    assert!(
        tx.update(&t(&tx), row, &[(V, ValueRef::Integer(10))])
            .unwrap()
    );
    tx.rollback_to(mark);
    drop(old);
    core.collect_garbage();
    tx.commit().unwrap();
    assert_eq!(core.collect_garbage(), 0);
    assert_eq!(entries(&core), [1, 1, 1]);
}

/// A report runs, and somebody replaces one long text again and again. A few of them fill the memory,
/// and nobody sees any but the last.
#[test]
fn few_large_versions_that_nobody_sees_go_when_memory_is_scarce() {
    let core = with_texts(64 << 20);
    let text = "x".repeat(4 << 20);
    let mut tx = core.begin().unwrap();
    let values = [ValueRef::Integer(1), ValueRef::Null, ValueRef::Null];
    tx.insert(&t(&tx), &values).unwrap();
    tx.commit().unwrap();
    let report = core.begin().unwrap();
    for _ in 0..100 {
        let mut tx = core.begin().unwrap();
        if change(&mut tx, 1, &[(V, ValueRef::Text(&text))]).is_err() {
            assert!(core.relieve(4 << 20));
            assert!(change(&mut tx, 1, &[(V, ValueRef::Text(&text))]).unwrap());
        }
        tx.commit().unwrap();
    }
    drop(report);
}

/// A row whose every state is somebody's: looking at its writes costs a walk through its states, and not one for each
/// write.
#[test]
fn the_states_of_a_row_are_walked_once_a_look() {
    const STATES: i32 = 300;
    let core = with_table();
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 1, 0).unwrap();
    tx.commit().unwrap();
    let mut readers = Vec::new();
    for round in 1..=STATES {
        readers.push(core.begin().unwrap());
        let mut tx = core.begin().unwrap();
        assert!(update(&mut tx, 1, round).unwrap());
        tx.commit().unwrap();
    }
    let walks = || ROWS_PRUNED.with(|rows| rows.get());
    core.prune_all();
    let before = walks();
    core.prune_all();
    assert_eq!(walks() - before, 1, "{STATES} writes");
    drop(readers);
    assert_eq!(core.collect_garbage(), 0);
}

/// Two reports run, and people want to know which of them to stop.
#[test]
fn each_snapshot_is_told_what_it_alone_keeps() {
    const ROWS: i32 = 100;
    let core = with_table();
    let round = |value: i32| {
        let mut tx = core.begin().unwrap();
        for k in 0..ROWS {
            match value {
                0 => assert!(insert(&mut tx, k, 0).is_ok()),
                _ => assert!(update(&mut tx, k, value).unwrap()),
            }
        }
        tx.commit().unwrap();
        core.prune_all();
    };
    let uses = |tx: &Transaction| {
        let uses = tx.view().snapshots();
        let found = uses.into_iter().find(|one| one.held.transaction == tx.id());
        let found = found.expect("it is registered");
        (found.rows_held, found.rows_pinned, found.bytes_pinned)
    };
    round(0);
    let first = core.begin().unwrap();
    assert_eq!(uses(&first), (0, 0, 0), "it sees what everybody sees");
    round(1);
    let record = core.ledger().entries()[Owner::Version as usize].bytes / ROWS as u64;
    // The base rows are no records; but the newest versions would be folded into them.
    assert_eq!(uses(&first), (100, 100, 100 * record));
    let second = core.begin().unwrap();
    round(2);
    assert_eq!(uses(&first), (100, 100, 0), "the second keeps the versions");
    assert_eq!(uses(&second), (100, 100, 100 * record));
    let third = core.begin().unwrap();
    let twin = core.begin().unwrap();
    round(3);
    assert_eq!(uses(&third), (100, 0, 0), "its twin holds the same");
    assert_eq!(uses(&twin), (100, 0, 0));
    // What is said comes true.
    let used = || core.ledger().entries()[Owner::Version as usize].bytes;
    let before = used();
    drop(second);
    core.prune_all();
    assert_eq!(before - used(), 100 * record);
    drop(third);
    core.prune_all();
    assert_eq!(before - used(), 100 * record);
    assert_eq!(uses(&twin), (100, 100, 100 * record));
    drop(twin);
    core.prune_all();
    assert_eq!(before - used(), 200 * record);
    assert_eq!(uses(&first), (100, 100, 100 * record));
    let mut tx = core.begin().unwrap();
    for k in 0..ROWS {
        assert!(delete(&mut tx, k).unwrap());
    }
    tx.commit().unwrap();
    core.prune_all();
    let (held, pinned, bytes) = uses(&first);
    assert_eq!((held, pinned), (100, 100));
    assert!(bytes > 0, "deleted rows have slots");
    assert_eq!(
        used(),
        0,
        "a deletion has no record, and what it is over is the base"
    );
    drop(first);
    assert_eq!(core.collect_garbage(), 0);
    assert_eq!(used(), 0);
}

/// A commit changes a key, another one a note beside it. The first one's state is pruned; then what
/// the second one is over has another key, though it changed none.
#[test]
fn a_key_that_was_changed_by_a_pruned_state_goes() {
    const NOTE: ColumnId = ColumnId(3);
    let core = core();
    let mut def = table_def("t", DataType::Integer);
    def.columns
        .push(ColumnDef::new(NOTE, "note", DataType::Integer));
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    let id = tx.create_table(def).unwrap();
    tx.create_index(index_def(id, "t_pkey", K, true)).unwrap();
    tx.create_index(index_def(id, "t_v", V, false)).unwrap();
    tx.begin_command();
    tx.insert(&t(&tx), &[1, 10, 100].map(ValueRef::Integer))
        .unwrap();
    tx.commit().unwrap();
    core.collect_garbage();
    let report = core.begin().unwrap();
    for (column, value) in [(V, 11), (NOTE, 101), (NOTE, 102)] {
        let mut tx = core.begin().unwrap();
        assert!(change(&mut tx, 1, &[(column, ValueRef::Integer(value))]).unwrap());
        tx.commit().unwrap();
    }
    core.prune_all();
    assert_eq!(entries(&core), [1, 2], "the report has the old value");
    drop(report);
    assert_eq!(core.collect_garbage(), 0);
    assert_eq!(entries(&core), [1, 1]);
}
