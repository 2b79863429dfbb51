//! Indexes are made and dropped while others write to their table.

use super::stress::Numbers;
use super::*;
use crate::catalog::IndexEntry;
use crate::error::Error;
use crate::mvcc::epoch;
use crate::sync::atomic::AtomicBool;
use crate::sync::atomic::Ordering::Relaxed;
use std::thread;

pub(super) fn create_index(
    tx: &mut Transaction,
    name: &str,
    unique: bool,
) -> crate::Result<IndexId> {
    let mark = tx.begin_command();
    let mut def = IndexDef::new(name, t(tx).def.id, [V]);
    def.unique = unique;
    let made = tx.create_index(def);
    if made.is_err() {
        tx.rollback_to(mark);
    }
    made
}

pub(super) fn rows(rows: &[(i32, i32)]) -> Arc<Core> {
    let core = core();
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    let id = tx.create_table(table_def("t", DataType::Integer)).unwrap();
    tx.create_index(index_def(id, "t_pkey", K, true)).unwrap();
    for (k, v) in rows {
        insert(&mut tx, *k, *v).unwrap();
    }
    tx.commit().unwrap();
    core.collect_garbage();
    core
}

/// Every visible row is found through every index.
pub(super) fn is_found_by_all(tx: &mut Transaction) {
    tx.begin_command();
    let (table, view) = (t(tx), tx.view());
    let found_by = |index: &IndexEntry, id, row: &crate::transaction::RowRef<'_>| {
        let key: Vec<_> = index
            .def
            .columns
            .iter()
            .map(|part| row.get(part.column))
            .collect();
        view.lookup(&table, index, &key).unwrap().contains(&id)
    };
    view.for_each_row(&table, |id, row| {
        for index in &table.indexes {
            assert!(found_by(index, id, row), "{row:?} by {}", index.def.name);
        }
        Ok::<(), ()>(())
    })
    .unwrap();
}

/// All agree, and nothing is left over.
pub(super) fn is_exact(core: &Arc<Core>) -> Vec<(i32, i32)> {
    is_found_by_all(&mut core.begin().unwrap());
    assert_eq!(core.collect_garbage(), 0);
    let mut tx = core.begin().unwrap();
    is_found_by_all(&mut tx);
    let table = t(&tx);
    assert!(
        !table.late.is_any(),
        "nobody is left who would not know them"
    );
    let mut rows = Vec::new();
    tx.view()
        .for_each_row(&table, |_, row| {
            rows.push((int(row.get(K)), int(row.get(V))));
            Ok::<(), ()>(())
        })
        .unwrap();
    for index in &table.indexes {
        assert_eq!(
            index.index.len(),
            rows.len(),
            "entries of {}",
            index.def.name
        );
    }
    rows.sort_unstable();
    rows
}

#[test]
fn a_writer_and_the_maker_of_an_index_do_not_mind_each_other() {
    let core = rows(&[(1, 10), (2, 20), (3, 30), (4, 40)]);
    let mut writer = core.begin().unwrap();
    insert(&mut writer, 5, 50).unwrap();
    update(&mut writer, 1, 11).unwrap();
    let mut maker = core.begin().unwrap();
    insert(&mut maker, 6, 60).unwrap();
    create_index(&mut maker, "t_v", false).unwrap();
    assert_eq!(
        all(&mut maker),
        [(1, 10), (2, 20), (3, 30), (4, 40), (6, 60)]
    );
    // Changes from before the index was made, beside it, and after it.
    update(&mut writer, 1, 12).unwrap();
    update(&mut writer, 2, 21).unwrap();
    delete(&mut writer, 3).unwrap();
    maker.commit().unwrap();
    insert(&mut writer, 7, 70).unwrap();
    update(&mut writer, 5, 51).unwrap();
    assert_eq!(t(&writer).indexes.len(), 1, "it does not know the index");
    let mut between = core.begin().unwrap();
    writer.commit().unwrap();
    let before = [(1, 10), (2, 20), (3, 30), (4, 40), (6, 60)];
    assert_eq!(all(&mut between), before);
    let after = [(1, 12), (2, 21), (4, 40), (5, 51), (6, 60), (7, 70)];
    assert_eq!(all(&mut core.begin().unwrap()), after);
    drop(between);
    assert_eq!(is_exact(&core), after);
}

#[test]
fn an_old_snapshot_writes_on_long_after_the_index_was_published() {
    let core = rows(&[(1, 10), (2, 20)]);
    let mut old = core.begin_with(SNAPSHOT).unwrap();
    let mut maker = core.begin_with(SNAPSHOT).unwrap();
    create_index(&mut maker, "t_v", false).unwrap();
    maker.commit().unwrap();
    let mut newer = core.begin_with(SNAPSHOT).unwrap();
    update(&mut newer, 2, 22).unwrap();
    newer.commit().unwrap();
    core.collect_garbage();
    core.prune_all();
    assert!(t(&old).late.is_any());
    assert_eq!(get(&mut old, 2), Some(20));
    update(&mut old, 1, 11).unwrap();
    insert(&mut old, 3, 30).unwrap();
    old.commit().unwrap();
    assert_eq!(
        all(&mut core.begin_with(SNAPSHOT).unwrap()),
        [(1, 11), (2, 22), (3, 30)]
    );
    is_exact(&core);
}

#[test]
fn what_is_taken_back_leaves_no_entry() {
    let core = rows(&[(1, 10), (2, 20)]);
    let mut rivals = [(); 3].map(|()| core.begin().unwrap());
    for (rival, k) in rivals.iter_mut().zip(10..) {
        insert(rival, k, k).unwrap();
    }
    let [before, beside, after] = rivals;
    let mut maker = core.begin().unwrap();
    update(&mut maker, 1, 11).unwrap();
    before.rollback();
    create_index(&mut maker, "t_v", false).unwrap();
    beside.rollback();
    // A key that the row has in an older state comes and goes.
    let mark = maker.begin_command();
    update(&mut maker, 1, 10).unwrap();
    update(&mut maker, 2, 10).unwrap();
    maker.rollback_to(mark);
    maker.commit().unwrap();
    after.rollback();
    assert_eq!(is_exact(&core), [(1, 11), (2, 20)]);
}

#[test]
fn an_index_that_is_taken_back_is_gone() {
    let core = rows(&[(1, 10), (2, 20)]);
    let used = settled_bytes(&core);
    let mut writer = core.begin().unwrap();
    for unique in [false, true] {
        let mut maker = core.begin().unwrap();
        let mark = maker.begin_command();
        create_index(&mut maker, "t_v", unique).unwrap();
        assert!(t(&writer).late.is_any());
        update(&mut writer, 1, 11).unwrap();
        match unique {
            true => maker.rollback_to(mark),
            false => maker.rollback(),
        }
        assert!(!t(&writer).late.is_any());
    }
    update(&mut writer, 2, 11).unwrap();
    writer.rollback();
    assert_eq!(is_exact(&core), [(1, 10), (2, 20)]);
    assert_eq!(settled_bytes(&core), used);
}

/// Returns what is in use when all that can go is gone.
fn settled_bytes(core: &Core) -> u64 {
    core.collect_garbage();
    epoch::wait_for_others();
    core.collect_garbage();
    core.pool().shed_caches();
    core.pool().purge(u64::MAX);
    core.ledger().used()
}

#[test]
fn the_memory_of_an_index_that_is_taken_back_is_free_before_its_maker_ends() {
    let core = core();
    create(&core, DataType::Integer);
    let mut tx = core.begin().unwrap();
    for k in 0..5_000 {
        insert(&mut tx, k, k).unwrap();
    }
    tx.commit().unwrap();
    core.collect_garbage();
    let mut maker = core.begin().unwrap();
    core.pool().shed_caches();
    let used = core.ledger().used();
    let mark = maker.begin_command();
    create_index(&mut maker, "another", false).unwrap();
    core.pool().shed_caches();
    let index = core.ledger().used() - used;
    maker.rollback_to(mark);
    core.pool().shed_caches();
    let left = core.ledger().used().saturating_sub(used);
    assert!(left < index / 4, "{left} of {index} bytes");
    maker.commit().unwrap();
}

#[test]
fn without_memory_no_index_is_made_and_writers_go_on() {
    const BUDGET: u64 = 16 << 20;
    let core = core_with(BUDGET);
    create(&core, DataType::Integer);
    let mut tx = core.begin().unwrap();
    let mut k = 0;
    while core.ledger().used() < BUDGET * 3 / 4 {
        insert(&mut tx, k, k).unwrap();
        k += 1;
    }
    tx.commit().unwrap();
    core.collect_garbage();
    for kind in [IndexKind::Ordered, IndexKind::Hash] {
        let mut maker = core.begin().unwrap();
        let mut def = index_def(t(&maker).def.id, "i", V, false);
        def.kind = kind;
        let refused = maker.create_index(def).unwrap_err();
        assert_eq!(refused.sqlstate(), "53200");
        assert!(!t(&maker).late.is_any());
    }
    let mut writer = core.begin().unwrap();
    assert!(update(&mut writer, 1, -1).unwrap());
    writer.commit().unwrap();
    is_exact(&core);
}

#[test]
fn two_rows_with_one_key_make_no_unique_index() {
    let core = rows(&[(1, 10), (2, 20), (3, 20)]);
    let refuse = |maker: &mut Transaction| create_index(maker, "u", true).unwrap_err();
    match refuse(&mut core.begin().unwrap()) {
        Error::DuplicateKeys { index, detail } => {
            assert_eq!((&*index, &*detail), ("u", "Key (v)=(20) is duplicated."));
        }
        other => panic!("duplicate keys, not {other}"),
    }
    // Who sees both does not make one either, though one of them is gone by now: this snapshot
    // would find one of them only.
    let mut old = core.begin().unwrap();
    let mut tx = core.begin().unwrap();
    delete(&mut tx, 3).unwrap();
    // As long as that may be taken back, nothing is decided.
    assert_eq!(refuse(&mut core.begin().unwrap()).sqlstate(), "40001");
    tx.commit().unwrap();
    assert_eq!(refuse(&mut old).sqlstate(), "40001");
    drop(old);
    // A rival who may come to have the key is no violation yet.
    let mut rival = core.begin().unwrap();
    insert(&mut rival, 4, 10).unwrap();
    assert_eq!(refuse(&mut core.begin().unwrap()).sqlstate(), "40001");
    // He may yet take back that he changed his mind.
    update(&mut rival, 4, 11).unwrap();
    assert_eq!(refuse(&mut core.begin().unwrap()).sqlstate(), "40001");
    rival.rollback();
    let mut rival = core.begin().unwrap();
    insert(&mut rival, 4, 11).unwrap();
    let mut maker = core.begin().unwrap();
    create_index(&mut maker, "u", true).unwrap();
    maker.commit().unwrap();
    rival.commit().unwrap();
    assert_eq!(is_exact(&core), [(1, 10), (2, 20), (4, 11)]);
}

#[test]
fn a_unique_index_is_kept_unique_by_those_who_do_not_know_it() {
    let core = rows(&[(1, 10), (2, 20)]);
    let mut old = core.begin().unwrap();
    let mut maker = core.begin().unwrap();
    create_index(&mut maker, "u", true).unwrap();
    let mut beside = core.begin().unwrap();
    assert_eq!(insert(&mut beside, 3, 10).unwrap_err().sqlstate(), "40001");
    insert(&mut beside, 3, 30).unwrap();
    assert_eq!(insert(&mut maker, 4, 30).unwrap_err().sqlstate(), "40001");
    maker.commit().unwrap();
    assert_eq!(update(&mut old, 2, 10).unwrap_err().sqlstate(), "40001");
    update(&mut old, 2, 21).unwrap();
    insert(&mut old, 5, 20).unwrap();
    let mut newer = core.begin().unwrap();
    assert_eq!(insert(&mut newer, 6, 10).unwrap_err().sqlstate(), "23505");
    drop(newer);
    old.commit().unwrap();
    beside.commit().unwrap();
    assert_eq!(is_exact(&core), [(1, 10), (2, 21), (3, 30), (5, 20)]);
}

#[test]
fn one_changes_the_structure_at_a_time() {
    let core = rows(&[(1, 10)]);
    let id = t(&core.begin_with(SNAPSHOT).unwrap()).def.id;
    let mut alice = core.begin_with(SNAPSHOT).unwrap();
    let mut bob = core.begin_with(SNAPSHOT).unwrap();
    let mut carol = core.begin_with(SNAPSHOT).unwrap();
    let index = create_index(&mut alice, "a", false).unwrap();
    for refused in [
        create_index(&mut bob, "b", false).map(drop),
        bob.drop_table(id),
    ] {
        assert_eq!(refused.unwrap_err().sqlstate(), "40001");
    }
    alice.commit().unwrap();
    // What they would add to is not what they see.
    let late = create_index(&mut bob, "b", false);
    assert_eq!(late.unwrap_err().sqlstate(), "40001");
    drop(bob);
    // Dropping an index keeps nobody from writing, either; nor those who know it still.
    let mut dave = core.begin_with(SNAPSHOT).unwrap();
    let mut eve = core.begin_with(SNAPSHOT).unwrap();
    insert(&mut dave, 2, 20).unwrap();
    eve.drop_index(index).unwrap();
    insert(&mut eve, 3, 30).unwrap();
    insert(&mut dave, 4, 40).unwrap();
    eve.commit().unwrap();
    insert(&mut dave, 5, 50).unwrap();
    assert_eq!(all(&mut dave), [(1, 10), (2, 20), (4, 40), (5, 50)]);
    dave.commit().unwrap();
    insert(&mut carol, 6, 60).unwrap();
    carol.commit().unwrap();
    let rows = [(1, 10), (2, 20), (3, 30), (4, 40), (5, 50), (6, 60)];
    assert_eq!(all(&mut core.begin_with(SNAPSHOT).unwrap()), rows);
    assert_eq!(is_exact(&core), rows);
}

#[test]
fn who_has_changed_nothing_after_all_is_in_nobodys_way() {
    let core = rows(&[(1, 10), (2, 10)]);
    let id = t(&core.begin().unwrap()).def.id;
    let mut alice = core.begin().unwrap();
    assert!(create_index(&mut alice, "a", true).is_err());
    let mark = alice.begin_command();
    create_index(&mut alice, "a", false).unwrap();
    let mut bob = core.begin().unwrap();
    assert!(create_index(&mut bob, "b", false).is_err());
    alice.rollback_to(mark);
    let mark = bob.begin_command();
    bob.drop_table(id).unwrap();
    assert!(insert(&mut alice, 3, 30).is_err() && create_index(&mut alice, "a", false).is_err());
    bob.rollback_to(mark);
    insert(&mut alice, 3, 30).unwrap();
    create_index(&mut bob, "b", false).unwrap();
    bob.commit().unwrap();
    alice.commit().unwrap();
    assert_eq!(is_exact(&core), [(1, 10), (2, 10), (3, 30)]);
}

#[test]
fn a_unique_index_that_came_and_went_refuses_nobody() {
    let core = rows(&[(1, 10)]);
    let mut old = core.begin().unwrap();
    let mut tx = core.begin().unwrap();
    let index = create_index(&mut tx, "u", true).unwrap();
    tx.commit().unwrap();
    let mut tx = core.begin().unwrap();
    tx.drop_index(index).unwrap();
    assert_eq!(insert(&mut old, 2, 10).unwrap_err().sqlstate(), "40001");
    tx.commit().unwrap();
    insert(&mut old, 2, 10).unwrap();
    old.commit().unwrap();
    assert_eq!(is_exact(&core), [(1, 10), (2, 10)]);
}

/// One writer's step: rows come, go and get other values; some of it is taken back.
fn write(core: &Arc<Core>, numbers: &mut Numbers) -> crate::Result<()> {
    let mut tx = core.begin()?;
    for _ in 0..=numbers.below(3) {
        let (k, v) = (numbers.below(300), numbers.below(1 << 20));
        match numbers.below(4) {
            0 => drop(delete(&mut tx, k)?),
            1 if find(&tx, k).is_none() => drop(insert(&mut tx, k, v)?),
            _ => drop(update(&mut tx, k, v)?),
        }
    }
    match numbers.below(4) {
        0 => tx.rollback(),
        _ => drop(tx.commit()?),
    }
    Ok(())
}

/// Makes an index, looks at it, and drops it again, unless it is the last.
fn make_and_drop(core: &Arc<Core>, numbers: &mut Numbers, round: i32) -> crate::Result<()> {
    let mut tx = core.begin()?;
    let mut def = index_def(t(&tx).def.id, "made", V, false);
    def.kind = if round % 2 == 0 {
        IndexKind::Ordered
    } else {
        IndexKind::Hash
    };
    def.unique = round % 3 == 0;
    let made = tx.create_index(def)?;
    is_found_by_all(&mut tx);
    if numbers.below(4) == 0 {
        tx.rollback();
        return Ok(());
    }
    tx.commit()?;
    is_found_by_all(&mut core.begin()?);
    let mut tx = core.begin()?;
    tx.drop_index(made)?;
    tx.commit().map(drop)
}

#[test]
fn indexes_made_among_many_writers_have_every_row_and_nothing_else() {
    let core = Core::new(Ledger::new(256 << 20), false).unwrap();
    create(&core, DataType::Integer);
    let mut tx = core.begin().unwrap();
    for k in 0..300 {
        insert(&mut tx, k, k).unwrap();
    }
    tx.commit().unwrap();
    let done = AtomicBool::new(false);
    let retried = |result: crate::Result<()>| {
        if let Err(error) = &result {
            let states = ["40001", "23505"];
            assert!(states.contains(&error.sqlstate()), "{error}");
        }
        result.is_ok()
    };
    thread::scope(|scope| {
        for seed in 1..=3 {
            let (core, done) = (&core, &done);
            scope.spawn(move || {
                let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15 >> seed);
                while !done.load(Relaxed) {
                    retried(write(core, &mut numbers));
                }
            });
        }
        let mut numbers = Numbers(4);
        let made = (0..200).filter(|round| retried(make_and_drop(&core, &mut numbers, *round)));
        assert!(made.count() > 20, "indexes are made while others write");
        while {
            let mut tx = core.begin().unwrap();
            !retried(create_index(&mut tx, "last", false).and_then(|_| tx.commit().map(drop)))
        } {}
        for _ in 0..200 {
            is_found_by_all(&mut core.begin().unwrap());
        }
        done.store(true, Relaxed);
    });
    is_exact(&core);
}
