//! Records are moved out of sparse slabs: nobody reads anything else than before.

use super::*;

const ROWS: i32 = 20_000;
/// One row in so many is left by the burst.
const LEFT: i32 = 20;

fn text(k: i32) -> String {
    format!("{k:0>1000}")
}

/// A table whose rows were all updated to long strings, which stay in version records.
fn with_versions() -> Arc<Core> {
    let core = core();
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    let id = tx.create_table(table_def("t", DataType::Text)).unwrap();
    tx.create_index(index_def(id, "t_pkey", K, true)).unwrap();
    tx.commit().unwrap();
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    let table = t(&tx);
    for k in 0..ROWS {
        tx.insert(&table, &[ValueRef::Integer(k), ValueRef::Null])
            .unwrap();
    }
    tx.commit().unwrap();
    let mut tx = core.begin().unwrap();
    for k in 0..ROWS {
        assert!(change(&mut tx, k, &[(V, ValueRef::Text(&text(k)))]).unwrap());
    }
    tx.commit().unwrap();
    assert_eq!(core.collect_garbage(), 0);
    core
}

fn leave_few(core: &Arc<Core>) {
    let mut tx = core.begin().unwrap();
    for k in (0..ROWS).filter(|k| k % LEFT != 0) {
        assert!(delete(&mut tx, k).unwrap());
    }
    tx.commit().unwrap();
    assert_eq!(core.collect_garbage(), 0);
    core.pool().shed_caches();
}

fn check(tx: &mut Transaction) {
    tx.begin_command();
    let table = t(tx);
    let mut count = 0;
    tx.view()
        .for_each_row(&table, |_, row| {
            let ValueRef::Integer(k) = row.get(K) else {
                panic!("a key is an integer");
            };
            assert_eq!(row.get(V), ValueRef::Text(&text(k)));
            count += 1;
            Ok::<(), ()>(())
        })
        .unwrap();
    assert_eq!(count, ROWS / LEFT);
}

/// Bytes of slabs and runs that are in use.
fn in_use(core: &Core) -> u64 {
    core.pool().shed_caches();
    let extents = core.pool().stats().extents;
    extents.bytes - extents.idle_bytes
}

#[test]
fn what_a_burst_left_behind_moves_together() {
    let core = with_versions();
    let full = in_use(&core);
    leave_few(&core);
    assert!(
        in_use(&core) * 10 > full * 9,
        "a few records hold all of it"
    );
    assert!(core.evacuate() > 0);
    assert!(in_use(&core) * 4 < full, "{} of {full}", in_use(&core));
    assert_eq!(core.pool().evacuating(), 0);
    check(&mut core.begin().unwrap());
    // What moved is freed as ever.
    let mut tx = core.begin().unwrap();
    for k in (0..ROWS).filter(|k| k % LEFT == 0) {
        assert!(delete(&mut tx, k).unwrap());
    }
    tx.commit().unwrap();
    assert_eq!(core.collect_garbage(), 0);
    let owner = crate::pool::Owner::Version;
    assert_eq!(core.ledger().entries()[owner as usize].bytes, 0);
}

#[test]
fn readers_and_writers_of_a_row_do_not_notice_that_its_record_moves() {
    let core = with_versions();
    leave_few(&core);
    let mut reader = core.begin().unwrap();
    // One row has an uncommitted version above the one that moves, one an uncommitted deletion.
    let mut writer = core.begin().unwrap();
    assert!(change(&mut writer, 0, &[(V, ValueRef::Text("new"))]).unwrap());
    assert!(delete(&mut writer, LEFT).unwrap());
    // The old records wait for whoever looks at them just now, and not for the reader's end.
    let before = in_use(&core);
    assert!(core.evacuate() > 0);
    check(&mut reader);
    check(&mut core.begin().unwrap());
    writer.rollback();
    check(&mut reader);
    drop(reader);
    assert_eq!(core.collect_garbage(), 0);
    assert!(in_use(&core) < before);
    check(&mut core.begin().unwrap());
    let mut tx = core.begin().unwrap();
    assert!(change(&mut tx, 0, &[(V, ValueRef::Text(&text(0)))]).unwrap());
    tx.commit().unwrap();
    assert_eq!(core.collect_garbage(), 0);
    check(&mut core.begin().unwrap());
}

/// Readers check every row while one thread moves all records again and again, and another writes
/// the same rows.
#[test]
fn records_move_under_readers_and_writers() {
    let core = with_versions();
    leave_few(&core);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let stopped = || stop.load(std::sync::atomic::Ordering::Relaxed);
    std::thread::scope(|scope| {
        let readers = [(); 2].map(|()| {
            scope.spawn(|| {
                while !stopped() {
                    check(&mut core.begin().unwrap());
                }
            })
        });
        let writer = scope.spawn(|| {
            for at in 0.. {
                if stopped() {
                    break;
                }
                let k = at * 7 % (ROWS / LEFT) * LEFT;
                let mut tx = core.begin().unwrap();
                let same = text(k);
                assert!(change(&mut tx, k, &[(V, ValueRef::Text(&same))]).unwrap());
                match at % 3 {
                    0 => tx.rollback(),
                    _ => drop(tx.commit().unwrap()),
                }
                core.collect_garbage();
            }
        });
        for _ in 0..20 {
            core.pool().begin_evacuation(100);
            core.evacuate();
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        readers
            .into_iter()
            .for_each(|reader| reader.join().unwrap());
        writer.join().unwrap();
    });
    assert_eq!(core.collect_garbage(), 0);
    check(&mut core.begin().unwrap());
}

/// Both kinds of index, the second of a table as well: after a burst their nodes leave what they
/// keep, and the answers are as before.
#[test]
fn nodes_of_all_indexes_of_a_table_leave_sparse_slabs() {
    const KEYS: i32 = 200_000;
    /// Spreads keys over the index, so that those that stay do not lie together.
    fn spread(k: i32) -> i32 {
        k.wrapping_mul(-1_640_531_527)
    }
    let core = core();
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    let id = tx.create_table(table_def("t", DataType::Integer)).unwrap();
    tx.create_index(index_def(id, "t_pkey", K, true)).unwrap();
    let hash = IndexDef {
        kind: IndexKind::Hash,
        ..index_def(id, "t_v", V, false)
    };
    tx.create_index(hash).unwrap();
    tx.commit().unwrap();
    let mut tx = core.begin().unwrap();
    for k in 0..KEYS {
        insert(&mut tx, spread(k), spread(k)).unwrap();
    }
    tx.commit().unwrap();
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    for k in (0..KEYS).filter(|k| k % LEFT != 0) {
        assert!(delete(&mut tx, spread(k)).unwrap());
    }
    tx.commit().unwrap();
    assert_eq!(core.collect_garbage(), 0);
    // How much the burst leaves depends on when readers of other tests let nodes go.
    while core.evacuate() > 0 {}
    let unused = in_use(&core) - core.pool().stats().bytes_used();
    assert!(unused * 16 < in_use(&core), "{unused} bytes");
    let mut tx = core.begin().unwrap();
    for k in 0..KEYS {
        assert_eq!(get(&mut tx, spread(k)).is_some(), k % LEFT == 0, "{k}");
    }
    tx.begin_command();
    let table = t(&tx);
    let by_value = table.indexes.iter().find(|index| index.def.name == "t_v");
    let by_value = by_value.unwrap();
    for k in 0..KEYS {
        let key = [ValueRef::Integer(spread(k))];
        let found = tx.view().lookup(&table, by_value, &key).unwrap();
        assert_eq!(found.len(), usize::from(k % LEFT == 0), "{k}");
    }
}
