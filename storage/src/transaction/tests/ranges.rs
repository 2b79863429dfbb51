//! Ranges of indexes: each row once, under the key that the snapshot shows.

use super::stress::Numbers;
use super::*;
use crate::catalog::IndexColumn;
use crate::sync::atomic::AtomicBool;
use crate::sync::atomic::Ordering::Relaxed;
use std::ops::Bound;
use std::thread;

/// What an index shows to a view, in its order.
fn keys_in_order(tx: &mut Transaction, number: usize, column: ColumnId) -> Vec<Value> {
    tx.begin_command();
    let (view, table) = (tx.view(), t(tx));
    let (index, all) = (&table.indexes[number], Bound::Unbounded);
    let mut keys = Vec::new();
    let range = view.range(&table, index, &[column], all, all, false);
    let mut range = range.unwrap();
    while range.visit(|vector| {
        // A value that is NULL is not given.
        let nulls = vector.rows() - vector.column(column).count();
        let values = vector.column(column).each(|value| {
            keys.push(value.to_owned());
            Ok::<(), ()>(())
        });
        values.unwrap();
        keys.extend((0..nulls).map(|_| Value::Null));
    }) {}
    keys
}

/// Alice's snapshot is older than the changes of the keys: to the least, to the greatest, to NULL. All
/// the entries are there, and each view takes its own.
#[test]
fn keys_of_each_type_of_integer_are_found_in_their_rows() {
    type Make = fn(i64) -> Value;
    let types: [(DataType, Make); 6] = [
        (DataType::Integer, |v| Value::Integer(v as i32)),
        (DataType::Date, |v| Value::Date(v as i32)),
        (DataType::BigInt, Value::BigInt),
        (DataType::Time, Value::Time),
        (DataType::Timestamp, Value::Timestamp),
        (DataType::TimestampTz, Value::TimestampTz),
    ];
    for (data_type, value) in types {
        let (least, greatest) = match value(0) {
            Value::Integer(_) | Value::Date(_) => (i32::MIN.into(), i32::MAX.into()),
            _ => (i64::MIN, i64::MAX),
        };
        for descending in [false, true] {
            let core = core();
            let mut tx = core.begin().unwrap();
            tx.begin_command();
            let id = tx.create_table(table_def("t", data_type)).unwrap();
            tx.create_index(index_def(id, "t_pkey", K, true)).unwrap();
            let mut def = index_def(id, "t_v", V, false);
            def.columns = vec![IndexColumn {
                descending,
                ..IndexColumn::ascending(V)
            }];
            tx.create_index(def).unwrap();
            for (k, v) in (0..).zip([-1, 0, 1, 256]) {
                tx.begin_command();
                let value = value(v);
                let row = [ValueRef::Integer(k), value.as_ref()];
                tx.insert(&t(&tx), &row).unwrap();
            }
            tx.commit().unwrap();
            let mut alice = core.begin().unwrap();
            let changes = [value(least), value(greatest), Value::Null];
            for (k, new) in (0..).zip(&changes) {
                let mut bob = core.begin().unwrap();
                assert!(change(&mut bob, k, &[(V, new.as_ref())]).unwrap());
                bob.commit().unwrap();
            }
            core.collect_garbage();
            let in_order = |mut keys: Vec<Value>| {
                if descending {
                    keys.reverse();
                }
                keys
            };
            assert_eq!(
                keys_in_order(&mut alice, 1, V),
                in_order([-1, 0, 1, 256].map(value).to_vec()),
            );
            alice.rollback();
            for _ in 0..2 {
                let mut keys = in_order([least, 256, greatest].map(value).to_vec());
                keys.push(Value::Null);
                let mut carol = core.begin().unwrap();
                assert_eq!(keys_in_order(&mut carol, 1, V), keys);
                carol.rollback();
                core.collect_garbage();
            }
        }
    }
}

/// Alice reads by an index that Bob drops. From then on nobody keeps its entries, also not those of
/// the keys that rows had before: they are collected from the table, and stay in the index.
#[test]
fn an_index_that_is_dropped_shows_each_row_once_to_who_has_it_still() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    for k in 0..40 {
        insert(&mut tx, k, k).unwrap();
    }
    tx.commit().unwrap();
    core.collect_garbage();
    let elder = core.begin().unwrap();
    let mut tx = core.begin().unwrap();
    for k in 0..10 {
        update(&mut tx, k, k + 100).unwrap();
    }
    delete(&mut tx, 39).unwrap();
    tx.commit().unwrap();
    let mut alice = core.begin().unwrap();
    let expected = all(&mut alice);
    let mut bob = core.begin().unwrap();
    bob.begin_command();
    bob.drop_index(t(&bob).indexes[1].def.id).unwrap();
    for k in 10..20 {
        update(&mut bob, k, k + 200).unwrap();
    }
    insert(&mut bob, 39, 39).unwrap();
    bob.commit().unwrap();
    elder.rollback();
    core.prune_all();
    core.collect_garbage();
    assert_eq!(t(&alice).indexes.len(), 2);
    assert_eq!(all(&mut alice), expected);
    alice.rollback();
    core.collect_garbage();
    assert_eq!(all(&mut core.begin().unwrap()).len(), 40);
}

/// Rows change their keys to and fro, and what was before is collected at once, so that most of the
/// table is settled at any time.
#[test]
fn a_range_finds_each_row_once_while_keys_change_and_settle() {
    const ROWS: i32 = 2000;
    const AWAY: i32 = 10_000;
    let core = with_table();
    let mut tx = core.begin().unwrap();
    for k in 0..ROWS {
        insert(&mut tx, k, k).unwrap();
    }
    tx.commit().unwrap();
    core.collect_garbage();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut numbers = Numbers(0x2545_F491);
            let mut away = [false; ROWS as usize];
            for _ in 0..400 {
                let k = numbers.below(ROWS);
                let at = &mut away[k as usize];
                let (from, to) = if *at { (k + AWAY, k) } else { (k, k + AWAY) };
                let mut tx = core.begin().unwrap();
                assert!(change(&mut tx, from, &[(K, ValueRef::Integer(to))]).unwrap());
                // Some are taken back.
                if numbers.below(3) > 0 {
                    *at = !*at;
                    tx.commit().unwrap();
                }
                core.collect_garbage();
            }
            done.store(true, Relaxed);
        });
        for columns in [&[][..], &[V]] {
            let (done, core) = (&done, &core);
            scope.spawn(move || {
                while !done.load(Relaxed) {
                    let tx = core.begin().unwrap();
                    let (view, table) = (tx.view(), t(&tx));
                    let (index, all) = (&table.indexes[0], Bound::Unbounded);
                    let mut range = view.range(&table, index, columns, all, all, false).unwrap();
                    let (mut rows, mut sum) = (0, 0);
                    while range.visit(|vector| {
                        rows += vector.rows();
                        if !columns.is_empty() {
                            sum += vector.column(V).sum_i64().expect("integers").sum;
                        }
                    }) {}
                    assert_eq!(rows, ROWS as usize);
                    if !columns.is_empty() {
                        assert_eq!(sum, i128::from(ROWS) * i128::from(ROWS - 1) / 2);
                    }
                }
            });
        }
    });
}

/// One scan goes from range to range, and what it gathers of all of them is one batch. At SERIALIZABLE each range counts.
#[test]
fn a_scan_goes_on_with_other_ranges() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    for k in 0..600 {
        insert(&mut tx, k, k % 100).unwrap();
    }
    tx.commit().unwrap();
    let mut alice = core.begin().unwrap();
    alice.begin_command();
    let (view, table) = (alice.view(), t(&alice));
    let one = |v: i32| [ValueRef::Integer(v)];
    let (low, high) = (one(3), one(4));
    let range = |low, high| (Bound::Included(low), Bound::Excluded(high));
    let (from, to) = range(&low[..], &high[..]);
    let index = &table.indexes[1];
    let mut scan = view.range(&table, index, &[V], from, to, false).unwrap();
    let mut gathered = Vec::new();
    let mut read_all = |scan: &mut crate::transaction::IndexScan| {
        let before = gathered.len();
        loop {
            match scan.gather(4) {
                0 => break gathered.len() - before,
                rows => gathered.extend(std::iter::repeat_n((), rows)),
            }
        }
    };
    assert_eq!(read_all(&mut scan), 6);
    let (low, high) = (one(98), one(200));
    let (from, to) = range(&low[..], &high[..]);
    scan.go_to(from, to);
    assert_eq!(read_all(&mut scan), 12);
    scan.go_to(Bound::Excluded(&high[..]), Bound::Unbounded);
    assert_eq!(read_all(&mut scan), 0);
    let batch = scan.gathered();
    let values: Vec<Value> = (0..batch.rows)
        .map(|row| crate::value::value_at(&batch.columns[0], DataType::Integer, row).to_owned())
        .collect();
    let expected = [[3; 6], [98; 6], [99; 6]].concat();
    assert_eq!(
        values,
        expected.into_iter().map(Value::Integer).collect::<Vec<_>>()
    );
    assert!(scan.next(10).unwrap().is_none());
    drop(scan);
    drop(view);
    // A rival adds a row to the second range.
    let mut bob = core.begin().unwrap();
    insert(&mut bob, 900, 99).unwrap();
    bob.commit().unwrap();
    insert(&mut alice, 901, 50).unwrap();
    assert!(alice.commit().is_err());
}
