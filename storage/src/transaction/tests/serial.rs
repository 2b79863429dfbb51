//! Serializable transactions: each would read the same just before its commit, or it does not commit.

use super::holds::lock;
use super::*;
use crate::error::{Error, Rule};
use crate::transaction::{Columns, RowRef, RowTest, TransactionOptions};
use crate::value::ColumnBounds;
use std::ops::Bound;

/// A core with rows `k: v`.
pub(super) fn holding(rows: &[(i32, i32)]) -> Arc<Core> {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    for (k, v) in rows {
        insert(&mut tx, *k, *v).unwrap();
    }
    tx.commit().unwrap();
    core
}

/// A transaction of one statement.
pub(super) fn alone(core: &Arc<Core>, statement: impl FnOnce(&mut Transaction)) {
    let mut tx = core.begin().unwrap();
    statement(&mut tx);
    tx.commit().unwrap();
}

/// Fails unless the commit fails for what was read; returns how that is told.
pub(super) fn refused(tx: Transaction) -> String {
    match tx.commit() {
        Err(Error::Conflict(conflict)) if conflict.rule == Rule::Read => conflict.key,
        other => panic!("a conflict between a read and a write, not {other:?}"),
    }
}

/// One statement: the values of column v between two, by the index on v.
fn between(tx: &mut Transaction, low: i32, high: i32, limit: usize) -> Vec<i32> {
    tx.begin_command();
    let table = t(tx);
    let (low, high) = ([ValueRef::Integer(low)], [ValueRef::Integer(high)]);
    let view = tx.view();
    let (low, high) = (Bound::Included(&low[..]), Bound::Included(&high[..]));
    let mut scan = view
        .range(&table, &table.indexes[1], &[V], low, high, false)
        .unwrap();
    let batch = scan.next(limit).unwrap();
    let values = batch.map(|batch| {
        let value = |at| {
            int(crate::value::value_at(
                &batch.columns[0],
                DataType::Integer,
                at,
            ))
        };
        (0..batch.rows).map(value).collect()
    });
    values.unwrap_or_default()
}

/// Rows whose v is a multiple of ten. Keeps as many bytes as it says.
#[derive(Debug)]
struct IsTens(usize);

impl RowTest for IsTens {
    fn may_match(&self, row: &RowRef<'_>) -> bool {
        int(row.get(V)) % 10 == 0
    }

    fn bytes(&self) -> usize {
        self.0
    }
}

/// One statement: how many rows have a k from `low` on and a v that is a multiple of ten.
fn count_tens(tx: &mut Transaction, low: i32) -> usize {
    count_tens_keeping(tx, low, 0)
}

pub(super) fn count_tens_keeping(tx: &mut Transaction, low: i32, bytes: usize) -> usize {
    tx.begin_command();
    let bounds = [ColumnBounds {
        column: K,
        low: Bound::Included(Value::Integer(low)),
        high: Bound::Unbounded,
    }];
    let scan = tx.view().scan(&t(tx), &[K, V], &bounds, 100);
    let mut scan = scan.passing(Arc::new(IsTens(bytes)));
    let mut count = 0;
    while let Some(batch) = scan.next().unwrap() {
        let value = |at| {
            int(crate::value::value_at(
                &batch.columns[1],
                DataType::Integer,
                at,
            ))
        };
        count += (0..batch.rows).filter(|at| value(*at) % 10 == 0).count();
    }
    count
}

/// One statement by key, which records what it looks at: `columns` of the row.
pub(super) fn look_at(tx: &mut Transaction, k: i32, columns: Columns) -> Option<i32> {
    tx.begin_command();
    let table = t(tx);
    let key = [ValueRef::Integer(k)];
    tx.find(&table, &table.indexes[0], &key, columns, |_, row| {
        int(row.get(V))
    })
}

#[test]
fn of_two_doctors_one_stays_on_call() {
    // Write skew: each sees the other on call, and goes.
    let core = holding(&[(1, 1), (2, 1)]);
    for (options, both_go) in [(SNAPSHOT, true), (TransactionOptions::default(), false)] {
        let mut alice = core.begin_with(options).unwrap();
        let mut bob = core.begin_with(options).unwrap();
        assert_eq!(look_at(&mut alice, 2, Columns::ALL), Some(1));
        assert_eq!(look_at(&mut bob, 1, Columns::ALL), Some(1));
        update(&mut alice, 1, 0).unwrap();
        update(&mut bob, 2, 0).unwrap();
        alice.commit().unwrap();
        assert_eq!(bob.commit().is_ok(), both_go);
        let mut back = core.begin().unwrap();
        update(&mut back, 1, 1).unwrap();
        update(&mut back, 2, 1).unwrap();
        back.commit().unwrap();
    }
}

#[test]
fn a_conflict_tells_what_was_read_and_who_changed_it() {
    let core = holding(&[(1, 1), (2, 1)]);
    let mut bob = core.begin().unwrap();
    look_at(&mut bob, 1, Columns::ALL);
    insert(&mut bob, 3, 3).unwrap();
    let mut alice = core.begin().unwrap();
    update(&mut alice, 1, 0).unwrap();
    let id = alice.id();
    alice.commit().unwrap();
    let Err(Error::Conflict(conflict)) = bob.commit() else {
        panic!("a conflict")
    };
    assert_eq!((conflict.rival, conflict.has_committed), (id, true));
    assert_eq!(
        conflict.to_string(),
        "could not serialize access due to read/write dependencies among transactions"
    );
    assert_eq!(
        conflict.detail(),
        format!("What was read was changed by transaction {id} since: row k=1 of table \"t\".")
    );
}

#[test]
fn who_only_reads_never_fails() {
    // The read-only anomaly: a report sees the second of two transactions, and not the first, which
    // commits later. The first must not commit then; the report is right in any case.
    let core = holding(&[(1, 0), (2, 0)]);
    let mut first = core.begin().unwrap();
    assert_eq!(look_at(&mut first, 2, Columns::ALL), Some(0));
    alone(&core, |second| {
        look_at(second, 2, Columns::ALL);
        update(second, 2, 20).unwrap();
    });
    let mut report = core.begin_with(READ_ONLY).unwrap();
    assert_eq!(all(&mut report), [(1, 0), (2, 20)]);
    update(&mut first, 1, -11).unwrap();
    assert_eq!(refused(first), "row k=2 of table \"t\"");
    alone(&core, |tx| drop(update(tx, 1, 5)));
    assert_eq!(all(&mut report), [(1, 0), (2, 20)]);
    report.commit().unwrap();
}

#[test]
fn a_row_that_comes_into_a_range_is_noticed() {
    let core = holding(&[(1, 10), (2, 20), (3, 30)]);
    let mut tx = core.begin().unwrap();
    assert_eq!(between(&mut tx, 15, 25, 10), [20]);
    insert(&mut tx, 9, 90).unwrap();
    alone(&core, |rival| drop(insert(rival, 4, 40)));
    alone(&core, |rival| drop(update(rival, 1, 11)));
    alone(&core, |rival| drop(update(rival, 3, 24)));
    assert_eq!(refused(tx), "a range of index \"t_v\" of table \"t\"");
}

#[test]
fn a_row_that_leaves_a_range_is_noticed_and_what_stays_out_is_not() {
    let core = holding(&[(1, 10), (2, 20), (3, 30)]);
    for (change, fails) in [(29, false), (31, false), (21, true)] {
        let mut tx = core.begin().unwrap();
        between(&mut tx, 15, 25, 10);
        insert(&mut tx, 9, 90).unwrap();
        alone(&core, |rival| drop(update(rival, 3, change)));
        assert_eq!(tx.commit().is_err(), fails);
        alone(&core, |tx| drop(delete(tx, 9)));
    }
    let mut tx = core.begin().unwrap();
    between(&mut tx, 15, 25, 10);
    insert(&mut tx, 9, 90).unwrap();
    alone(&core, |rival| drop(delete(rival, 2)));
    refused(tx);
}

#[test]
fn a_scan_that_stops_early_has_not_read_the_rest() {
    let core = holding(&[(1, 10), (2, 20), (3, 30)]);
    let mut tx = core.begin().unwrap();
    assert_eq!(between(&mut tx, 0, 100, 2), [10, 20]);
    insert(&mut tx, 9, 90).unwrap();
    alone(&core, |rival| drop(insert(rival, 4, 25)));
    tx.commit().unwrap();
    let mut tx = core.begin().unwrap();
    assert_eq!(between(&mut tx, 0, 100, 2), [10, 20]);
    delete(&mut tx, 9).unwrap();
    alone(&core, |rival| drop(insert(rival, 5, 15)));
    refused(tx);
}

#[test]
fn a_scan_of_the_table_that_stops_early_has_not_read_the_rest() {
    let core = holding(&[(1, 10), (2, 20), (3, 30)]);
    for (k, fails) in [(3, false), (1, true)] {
        let mut tx = core.begin().unwrap();
        tx.begin_command();
        let mut scan = tx.view().scan(&t(&tx), &[V], &[], 1);
        assert_eq!(scan.next().unwrap().unwrap().rows, 1);
        drop(scan);
        insert(&mut tx, 9, 90).unwrap();
        alone(&core, |rival| drop(update(rival, k, 5)));
        assert_eq!(tx.commit().is_err(), fails, "the row of {k}");
        alone(&core, |tx| drop(delete(tx, 9)));
    }
}

#[test]
fn a_scan_with_a_filter_is_of_the_rows_that_may_pass() {
    let core = holding(&[(1, 10), (2, 21), (3, 30)]);
    type Change = fn(&mut Transaction);
    let changes: [(&str, Change, bool); 6] = [
        (
            "below the bounds",
            |rival| drop(update(rival, 1, 20)),
            false,
        ),
        ("never passes", |rival| drop(update(rival, 2, 22)), false),
        (
            "a phantom that does not pass",
            |rival| drop(insert(rival, 4, 41)),
            false,
        ),
        ("comes to pass", |rival| drop(update(rival, 2, 20)), true),
        ("passes no more", |rival| drop(update(rival, 3, 31)), true),
        ("a phantom", |rival| drop(insert(rival, 5, 50)), true),
    ];
    for (story, change, fails) in changes {
        let mut tx = core.begin().unwrap();
        count_tens(&mut tx, 2);
        insert(&mut tx, 0, 0).unwrap();
        alone(&core, change);
        assert_eq!(tx.commit().is_err(), fails, "{story}");
        alone(&core, |tx| drop(delete(tx, 0)));
    }
}

#[test]
fn a_key_that_was_not_there_is_noticed_when_it_comes() {
    let core = holding(&[(1, 10)]);
    let mut tx = core.begin().unwrap();
    assert_eq!(look_at(&mut tx, 7, Columns::ALL), None);
    assert_eq!(look_at(&mut tx, 8, Columns::ALL), None);
    update(&mut tx, 1, 11).unwrap();
    alone(&core, |rival| drop(insert(rival, 6, 60)));
    alone(&core, |rival| drop(insert(rival, 7, 70)));
    assert_eq!(refused(tx), "key (k)=(7) of table \"t\"");
}

#[test]
fn a_key_that_came_and_went_again_was_never_there() {
    let core = holding(&[(1, 10)]);
    let mut tx = core.begin().unwrap();
    assert_eq!(look_at(&mut tx, 7, Columns::ALL), None);
    all(&mut tx);
    insert(&mut tx, 2, 20).unwrap();
    alone(&core, |rival| drop(insert(rival, 7, 70)));
    alone(&core, |rival| drop(delete(rival, 7)));
    core.prune_all();
    tx.commit().unwrap();
}

#[test]
fn a_value_that_was_changed_and_changed_back_is_the_same() {
    let core = holding(&[(1, 10)]);
    let mut tx = core.begin().unwrap();
    assert_eq!(look_at(&mut tx, 1, Columns::ALL), Some(10));
    insert(&mut tx, 2, 20).unwrap();
    alone(&core, |rival| drop(update(rival, 1, 11)));
    alone(&core, |rival| drop(update(rival, 1, 10)));
    tx.commit().unwrap();
}

#[test]
fn a_row_that_was_deleted_and_comes_again_under_its_key_is_another() {
    let core = holding(&[(1, 10), (2, 20)]);
    for v in [10, 11] {
        let mut tx = core.begin().unwrap();
        look_at(&mut tx, 1, Columns::ALL);
        update(&mut tx, 2, 21).unwrap();
        alone(&core, |rival| {
            delete(rival, 1).unwrap();
            insert(rival, 1, v).unwrap();
        });
        refused(tx);
    }
}

#[test]
fn columns_that_were_not_read_may_change() {
    let core = holding(&[(1, 10), (2, 20)]);
    for (columns, fails) in [
        (Columns::NONE, false),
        (Columns::of([K]), false),
        (Columns::of([V]), true),
    ] {
        let mut tx = core.begin().unwrap();
        look_at(&mut tx, 1, columns);
        update(&mut tx, 2, 21).unwrap();
        alone(&core, |rival| drop(update(rival, 1, 11)));
        assert_eq!(tx.commit().is_err(), fails);
        alone(&core, |tx| drop(update(tx, 1, 10)));
        let mut tx = core.begin().unwrap();
        look_at(&mut tx, 1, columns);
        update(&mut tx, 2, 22).unwrap();
        alone(&core, |rival| {
            drop(change(rival, 1, &[(K, ValueRef::Integer(3))]))
        });
        assert!(tx.commit().is_err(), "the key is what the row was found by");
        alone(&core, |tx| {
            drop(change(tx, 3, &[(K, ValueRef::Integer(1))]))
        });
    }
}

#[test]
fn a_change_of_the_row_found_needs_no_record() {
    // Two increments of one counter meet as writers, one after the other as nobody.
    let core = holding(&[(1, 0)]);
    let add_one = |tx: &mut Transaction| {
        tx.begin_command();
        let table = t(tx);
        let key = [ValueRef::Integer(1)];
        let read = |id: RowId, row: &RowRef<'_>| Ok::<_, Error>(Some((id, int(row.get(V)))));
        let found = tx.find_to_change(&table, &table.indexes[0], &key, read);
        let (id, v) = found.unwrap().expect("the counter");
        tx.update(&table, id, &[(V, ValueRef::Integer(v + 1))])
    };
    let mut tx = core.begin().unwrap();
    assert!(add_one(&mut tx).unwrap());
    assert!(!tx.has_read());
    let mut late = core.begin().unwrap();
    assert!(add_one(&mut late).is_err());
    assert!(late.has_read(), "it has not changed what it saw");
    tx.commit().unwrap();
    insert(&mut late, 2, 0).unwrap();
    refused(late);
}

#[test]
fn what_a_filter_refused_was_read() {
    let core = holding(&[(1, 0)]);
    for k in [1, 5] {
        let mut tx = core.begin().unwrap();
        tx.begin_command();
        let table = t(&tx);
        let key = [ValueRef::Integer(k)];
        let refuse = |_: RowId, _: &RowRef<'_>| Ok::<Option<()>, Error>(None);
        let found = tx.find_to_change(&table, &table.indexes[0], &key, refuse);
        assert_eq!(found.unwrap(), None);
        insert(&mut tx, 9, 9).unwrap();
        alone(&core, |rival| {
            if !update(rival, k, 1).unwrap() {
                insert(rival, k, 1).unwrap();
            }
        });
        refused(tx);
    }
}

#[test]
fn what_is_undone_was_read() {
    // Inserted, changed, deleted, locked: each told something, and no longer keeps rivals away.
    let core = holding(&[(1, 10), (2, 20)]);
    type Step = fn(&mut Transaction);
    let steps: [(Step, Step); 4] = [
        (
            |tx| assert!(insert(tx, 7, 0).is_ok()),
            |rival| assert!(insert(rival, 7, 1).is_ok()),
        ),
        (
            |tx| assert!(update(tx, 1, 11).unwrap()),
            |rival| assert!(update(rival, 1, 12).unwrap()),
        ),
        (
            |tx| assert!(delete(tx, 1).unwrap()),
            |rival| assert!(update(rival, 1, 13).unwrap()),
        ),
        (
            |tx| assert!(lock(tx, 1).unwrap()),
            |rival| assert!(delete(rival, 1).unwrap()),
        ),
    ];
    for (at, (step, rival_step)) in steps.into_iter().enumerate() {
        let mut tx = core.begin().unwrap();
        update(&mut tx, 2, 21).unwrap();
        let mark = tx.begin_command();
        step(&mut tx);
        tx.rollback_to(mark);
        alone(&core, rival_step);
        assert!(tx.commit().is_err(), "step {at}");
    }
}

#[test]
fn a_duplicate_key_was_read() {
    let core = holding(&[(1, 10), (2, 20)]);
    let mut tx = core.begin().unwrap();
    let duplicate = insert(&mut tx, 1, 11).unwrap_err();
    assert_eq!(duplicate.sqlstate(), "23505");
    update(&mut tx, 2, 21).unwrap();
    alone(&core, |rival| drop(delete(rival, 1)));
    refused(tx);
}

#[test]
fn its_own_changes_are_no_conflict() {
    let core = holding(&[(1, 10), (2, 20)]);
    let mut tx = core.begin().unwrap();
    all(&mut tx);
    insert(&mut tx, 3, 30).unwrap();
    update(&mut tx, 1, 11).unwrap();
    delete(&mut tx, 2).unwrap();
    assert_eq!(all(&mut tx), [(1, 11), (3, 30)]);
    alone(&core, |rival| {
        rival.begin_command();
        rival
            .create_table(table_def("other", DataType::Text))
            .unwrap();
    });
    tx.commit().unwrap();
}

#[test]
fn a_table_that_is_gone_was_read_in_vain() {
    let core = holding(&[(1, 10)]);
    let mut def = core.begin().unwrap();
    def.begin_command();
    def.create_table(table_def("u", DataType::Integer)).unwrap();
    def.commit().unwrap();
    let mut tx = core.begin().unwrap();
    all(&mut tx);
    let other = Arc::clone(tx.catalog().table("u").unwrap());
    tx.begin_command();
    tx.insert(&other, &[ValueRef::Integer(1), ValueRef::Integer(1)])
        .unwrap();
    alone(&core, |rival| {
        let id = t(rival).def.id;
        rival.drop_table(id).unwrap();
    });
    assert!(matches!(tx.commit(), Err(Error::SchemaConflict { .. })));
}

#[test]
fn only_what_is_to_be_validated_is_recorded() {
    let core = holding(&[(1, 10)]);
    for (options, records) in [
        (TransactionOptions::default(), true),
        (SNAPSHOT, false),
        (READ_ONLY, false),
    ] {
        let mut tx = core.begin_with(options).unwrap();
        look_at(&mut tx, 1, Columns::ALL);
        assert_eq!(tx.has_read(), records);
        all(&mut tx);
        assert_eq!(tx.has_read(), records);
        let unseen = core.begin_with(options).unwrap();
        let view = unseen.view().unrecorded();
        view.lookup(&t(&unseen), &t(&unseen).indexes[0], &[ValueRef::Integer(1)])
            .unwrap();
        assert!(!unseen.has_read());
    }
}

#[test]
fn very_many_reads_become_one_of_the_table() {
    let core = holding(&[(1, 10)]);
    for n in 2..2000 {
        alone(&core, |tx| drop(insert(tx, n, n)));
    }
    core.collect_garbage();
    let ledger = core.ledger();
    let before = ledger.used();
    let mut tx = core.begin().unwrap();
    for k in 1..1500 {
        look_at(&mut tx, k, Columns::ALL);
    }
    assert!(ledger.used() - before < 64 << 10);
    insert(&mut tx, 5000, 0).unwrap();
    alone(&core, |rival| drop(update(rival, 1999, 0)));
    assert_eq!(refused(tx), "a scan of table \"t\"");
    // The same row again and again is one read.
    let mut tx = core.begin().unwrap();
    for _ in 1..1500 {
        look_at(&mut tx, 1, Columns::ALL);
    }
    insert(&mut tx, 5000, 0).unwrap();
    alone(&core, |rival| drop(update(rival, 1999, 1)));
    tx.commit().unwrap();
}

#[test]
fn where_memory_is_refused_reads_become_fewer_and_say_more() {
    let core = holding(&[(1, 10), (2, 20)]);
    let ledger = core.ledger();
    let mut tx = core.begin().unwrap();
    update(&mut tx, 2, 21).unwrap();
    let rest = ledger.budget() - ledger.used() - ledger.emergency();
    let _all = ledger.reserve(crate::pool::Owner::Query, rest).unwrap();
    for k in 100..300 {
        assert_eq!(look_at(&mut tx, k, Columns::ALL), None);
    }
    drop(_all);
    alone(&core, |rival| drop(update(rival, 1, 11)));
    assert_eq!(refused(tx), "a scan of table \"t\"");
}

#[test]
fn a_transaction_that_is_too_old_is_told_so() {
    let core = holding(&[(1, 10), (2, 20)]);
    let mut tx = core.begin().unwrap();
    look_at(&mut tx, 1, Columns::ALL);
    update(&mut tx, 1, 11).unwrap();
    for v in 0..10_000 {
        alone(&core, |rival| assert!(update(rival, 2, v).unwrap()));
    }
    let Err(Error::Conflict(conflict)) = tx.commit() else {
        panic!("a conflict")
    };
    assert_eq!(conflict.rule, Rule::TooOld);
    assert_eq!(
        conflict.to_string(),
        "could not serialize access because the transaction is too old"
    );
}

#[test]
fn rows_that_moved_to_a_frozen_block_are_the_same() {
    let core = holding(&[(1, 10), (2, 20)]);
    let mut tx = core.begin().unwrap();
    assert_eq!(all(&mut tx), [(1, 10), (2, 20)]);
    compact::close(&core);
    core.collect_garbage();
    core.compact(None).unwrap();
    insert(&mut tx, 3, 30).unwrap();
    tx.commit().expect("nothing has changed");
    let mut tx = core.begin().unwrap();
    assert_eq!(look_at(&mut tx, 1, Columns::ALL), Some(10));
    core.compact(None).unwrap();
    alone(&core, |rival| drop(update(rival, 2, 21)));
    core.compact(None).unwrap();
    insert(&mut tx, -3, 30).unwrap();
    tx.commit().unwrap();
    let mut tx = core.begin().unwrap();
    assert_eq!(look_at(&mut tx, 1, Columns::ALL), Some(10));
    alone(&core, |rival| drop(update(rival, 1, 11)));
    core.compact(None).unwrap();
    insert(&mut tx, -4, 30).unwrap();
    refused(tx);
}
