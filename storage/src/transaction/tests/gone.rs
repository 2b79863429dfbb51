//! Queues beside an old snapshot: what is passed must be gone, whatever comes back in between.

use super::stress::Numbers;
use super::*;
use std::ops::Bound::Unbounded;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::Relaxed};
use std::thread;

/// The first rows by `v`, one at a time as takers read them.
pub(super) fn first(tx: &mut Transaction, count: usize) -> Vec<(i32, RowId)> {
    first_by(tx, count, 1)
}

/// The first rows by `v`, so many at a time.
pub(super) fn first_by(tx: &mut Transaction, count: usize, at_once: usize) -> Vec<(i32, RowId)> {
    tx.begin_command();
    let table = t(tx);
    let view = tx.view();
    let index = &table.indexes[1];
    let scan = view.range(&table, index, &[V], Unbounded, Unbounded, false);
    let mut scan = scan.unwrap().with_ids();
    let mut found = Vec::new();
    while found.len() < count
        && let Some(batch) = scan.next(at_once).unwrap()
    {
        let values = &batch.columns[0];
        let v = |at| int(crate::value::value_at(values, DataType::Integer, at));
        found.extend(batch.ids.iter().enumerate().map(|(at, id)| (v(at), *id)));
    }
    found.truncate(count);
    found
}

/// The first rows by a walk over the table.
pub(super) fn expected(tx: &mut Transaction, count: usize) -> Vec<(i32, RowId)> {
    tx.begin_command();
    let mut rows = Vec::new();
    let each = |id, row: &super::super::RowRef<'_>| {
        rows.push((int(row.get(V)), id));
        Ok::<(), ()>(())
    };
    tx.view().for_each_row(&t(tx), each).unwrap();
    rows.sort_unstable();
    rows.truncate(count);
    rows
}

/// Deletes the first row; again with another snapshot, where another was first.
fn pop(core: &Arc<Core>) -> Option<(i32, RowId)> {
    loop {
        let mut tx = core.begin_with(SNAPSHOT).unwrap();
        let found = *first(&mut tx, 1).first()?;
        tx.begin_command();
        if tx.delete(&t(&tx), found.1).is_ok_and(|deleted| deleted) {
            tx.commit().unwrap();
            return Some(found);
        }
        thread::yield_now();
    }
}

#[test]
fn takers_find_the_first_row_whatever_comes_back() {
    let core = with_table();
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let mut next = 0;
    let mut push = |core: &Arc<Core>, v: i32| {
        next += 1;
        let mut tx = core.begin().unwrap();
        insert(&mut tx, next, v).unwrap();
        tx
    };
    for n in 0..1500 {
        push(&core, n % 4 * 1000).commit().unwrap();
    }
    let mut old = core.begin_with(READ_ONLY).unwrap();
    let before = first(&mut old, 5);
    let mut open: Vec<Transaction> = Vec::new();
    let mut skipped = 0;
    for step in 0..2500 {
        match numbers.below(12) {
            0..7 => _ = pop(&core),
            7 => _ = push(&core, numbers.below(4000)).commit().unwrap(),
            8 => open.push(push(&core, numbers.below(4000))),
            // Rows change their key, and some get the one back that they had.
            9 => {
                let mut tx = core.begin_with(SNAPSHOT).unwrap();
                let (k, v) = (1 + numbers.below(1500), numbers.below(4));
                if update(&mut tx, k, v * 1000).is_ok() {
                    tx.commit().unwrap();
                }
            }
            10 if !open.is_empty() => {
                let tx = open.swap_remove(numbers.below(open.len() as i32) as usize);
                match numbers.below(2) {
                    0 => tx.rollback(),
                    _ => _ = tx.commit().unwrap(),
                }
            }
            _ => _ = core.collect_garbage(),
        }
        let mut tx = core.begin_with(READ_ONLY).unwrap();
        let found = first(&mut tx, 3);
        assert_eq!(found, expected(&mut tx, 3), "step {step}");
        if step % 100 == 0 {
            assert_eq!(first(&mut old, 5), before, "an old snapshot walks");
        }
        let index = &t(&tx).indexes[1];
        let mut cursor = crate::index::Cursor::new(Unbounded, Unbounded, false);
        cursor.stand_at(&key_of(index, before[0].0), before[0].1);
        skipped += usize::from(index.gone().skip(&mut cursor, tx.snapshot()));
    }
    assert!(skipped > 500, "{skipped}: what is gone is passed");
}

/// A few takers find where a long range ends, and the others go on there.
#[test]
fn a_long_range_is_passed_at_once() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    for k in 0..6000 {
        insert(&mut tx, k, k).unwrap();
    }
    tx.commit().unwrap();
    let mut old = core.begin_with(READ_ONLY).unwrap();
    let all = first(&mut old, 1);
    let mut tx = core.begin().unwrap();
    for k in 0..5000 {
        assert!(delete(&mut tx, k).unwrap());
    }
    tx.commit().unwrap();
    (0..40).for_each(|_| _ = pop(&core));
    let tx = core.begin_with(READ_ONLY).unwrap();
    let index = &t(&tx).indexes[1];
    let mut cursor = crate::index::Cursor::new(Unbounded, Unbounded, false);
    cursor.stand_at(&key_of(index, all[0].0), all[0].1);
    assert!(index.gone().skip(&mut cursor, tx.snapshot()));
    assert!(cursor.edge() >= Some(&key_of(index, 4999)));
    assert!(!index.gone().skip(&mut cursor, tx.snapshot()), "it is one");
}

fn key_of(index: &crate::catalog::IndexEntry, v: i32) -> Vec<u8> {
    let mut key = Vec::new();
    index.encode(&mut key, &[ValueRef::Integer(v)]);
    key
}

/// Takers and makers beside an old snapshot: each row is taken once, and none is passed over.
#[test]
fn many_take_beside_an_old_snapshot() {
    const ROWS: i32 = 3000;
    let core = with_table();
    let mut tx = core.begin().unwrap();
    for k in 0..ROWS {
        insert(&mut tx, k, k % 3).unwrap();
    }
    tx.commit().unwrap();
    let old = core.begin_with(READ_ONLY).unwrap();
    let (made, taken) = (AtomicI32::new(ROWS), AtomicI32::new(0));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let makers: Vec<_> = (0..2_u64)
            .map(|maker| {
                let (core, made) = (&core, &made);
                scope.spawn(move || {
                    let mut numbers = Numbers(77 + maker);
                    for _ in 0..ROWS / 2 {
                        let k = made.fetch_add(1, Relaxed);
                        let mut tx = core.begin().unwrap();
                        insert(&mut tx, k, numbers.below(3)).unwrap();
                        tx.commit().unwrap();
                    }
                })
            })
            .collect();
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    // Asked before the look: what was made until then must be found.
                    let is_last = done.load(Relaxed);
                    match pop(&core) {
                        Some(_) => _ = taken.fetch_add(1, Relaxed),
                        None if is_last => break,
                        None => thread::yield_now(),
                    }
                }
            });
        }
        makers.into_iter().for_each(|maker| maker.join().unwrap());
        done.store(true, Relaxed);
    });
    assert_eq!(taken.into_inner(), 2 * ROWS, "each once");
    drop(old);
}
