//! What nobody can see goes.

use super::*;
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
        let place = table.rows.place(rows[0], view.viewpoint().registration());
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
