//! Both indexes against a plain set of pairs, alone and among threads.

mod evacuation;

use super::*;
use crate::pool::{Ledger, Owner};
use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::ops::Bound;

type Model = BTreeSet<(Vec<u8>, RowId)>;

fn both() -> [(Arc<Ledger>, Index); 2] {
    let (one, two) = (Ledger::new(1 << 30), Ledger::new(1 << 30));
    let ordered = Index::ordered(&Pool::new(Arc::clone(&one))).unwrap();
    let hash = Index::hash(&Pool::new(Arc::clone(&two))).unwrap();
    [(one, ordered), (two, hash)]
}

/// Bytes that the ledger has for indexes.
fn charged(ledger: &Ledger) -> u64 {
    ledger.entries()[Owner::Index as usize].bytes
}

fn rows_of(index: &Index, key: &[u8]) -> Vec<RowId> {
    let mut out = Vec::new();
    index.get(key, &mut out);
    out
}

/// Rows of several keys, with the number of each key.
fn together(index: &Index, keys: &[Vec<u8>]) -> Vec<(usize, RowId)> {
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let mut found = Vec::new();
    index.find_together(&keys, |at, row| found.push((at, row)));
    found
}

fn one_by_one(index: &Index, keys: &[Vec<u8>]) -> Vec<(usize, RowId)> {
    let of =
        |(at, key): (usize, &Vec<u8>)| rows_of(index, key).into_iter().map(move |row| (at, row));
    keys.iter().enumerate().flat_map(of).collect()
}

fn scanned(index: &Index, mut cursor: Cursor, limit: usize) -> Vec<(Vec<u8>, RowId)> {
    let (mut all, mut some) = (Vec::new(), Entries::new());
    loop {
        index.scan(&mut cursor, limit, &mut some);
        assert!(some.len() <= limit);
        if some.is_empty() {
            return all;
        }
        all.extend(some.iter().map(|(key, row)| (key.to_vec(), row)));
    }
}

/// Key number n: some short, some too long to be held in place.
fn key(n: u32) -> Vec<u8> {
    let mut key = n.to_be_bytes().to_vec();
    key.resize(4 + n as usize % 40, b'.');
    key
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u32, u64),
    InsertNew(u32, u64),
    Remove(u32, u64),
    MoveAll,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pair = || (0..60_u32, 0..6_u64);
    let step = prop_oneof![
        3 => pair().prop_map(|(k, r)| Step::Insert(k, r)),
        1 => pair().prop_map(|(k, r)| Step::InsertNew(k, r)),
        2 => pair().prop_map(|(k, r)| Step::Remove(k, r)),
        1 => Just(Step::MoveAll),
    ];
    prop::collection::vec(step, 0..300)
}

fn bound(kind: u8, key: &[u8]) -> Bound<&[u8]> {
    match kind {
        0 => Bound::Unbounded,
        1 => Bound::Included(key),
        _ => Bound::Excluded(key),
    }
}

proptest! {
    #[test]
    fn indexes_hold_what_a_set_holds(
        steps in steps(),
        (low, high) in (0..62_u32, 0..62_u32),
        (low_kind, high_kind) in (0..3_u8, 0..3_u8),
        limit in 1..9_usize,
    ) {
        for (ledger, index) in both() {
            let mut model = Model::new();
            for step in &steps {
                match *step {
                    Step::Insert(k, r) => {
                        index.insert(&key(k), RowId(r)).unwrap();
                        model.insert((key(k), RowId(r)));
                    }
                    Step::InsertNew(k, r) => {
                        let is_new = model.iter().all(|(other, _)| *other != key(k));
                        prop_assert_eq!(index.insert_new(&key(k), RowId(r)).unwrap(), is_new);
                        if is_new {
                            model.insert((key(k), RowId(r)));
                        }
                    }
                    Step::Remove(k, r) => {
                        let was = model.remove(&(key(k), RowId(r)));
                        prop_assert_eq!(index.remove(&key(k), RowId(r)), was);
                    }
                    Step::MoveAll => index.move_all(3).unwrap(),
                }
                prop_assert_eq!(index.len(), model.len());
                prop_assert_eq!(index.bytes(), charged(&ledger));
            }
            for k in 0..60 {
                let wanted: Vec<_> = model.iter().filter(|e| e.0 == key(k)).map(|e| e.1).collect();
                prop_assert_eq!(rows_of(&index, &key(k)), wanted);
            }
            let keys: Vec<_> = (low..low + TOGETHER as u32).map(key).collect();
            prop_assert_eq!(together(&index, &keys), one_by_one(&index, &keys));
            if index.is_ordered() {
                let (low, high) = (key(low), key(high));
                let bounds = (bound(low_kind, &low), bound(high_kind, &high));
                let inside = |e: &&(Vec<u8>, RowId)| {
                    use std::ops::RangeBounds;
                    RangeBounds::<[u8]>::contains(&bounds, e.0.as_slice())
                };
                let mut wanted: Vec<_> = model.iter().filter(inside).cloned().collect();
                let forward = Cursor::new(bounds.0, bounds.1, false);
                prop_assert_eq!(scanned(&index, forward, limit), wanted.clone());
                wanted.reverse();
                let backward = Cursor::new(bounds.0, bounds.1, true);
                prop_assert_eq!(scanned(&index, backward, limit), wanted);
            }
            drop(index);
            prop_assert_eq!(charged(&ledger), 0, "everything is given back");
        }
    }
}

/// Bytes of the index itself: nodes that it gave up wait for the threads of other tests.
fn in_use(index: &Index) -> u64 {
    match index {
        Index::Ordered(index) => index.bytes() - index.memory.waiting_bytes(),
        Index::Hash(_) => unreachable!("the hash index has a test of its own"),
    }
}

/// Many keys in an order that is neither up nor down, then all of them gone again: leaves split
/// and merge, tables grow and shrink.
#[test]
fn an_index_grows_and_shrinks_with_its_keys() {
    const KEYS: u32 = 50_000;
    let mixed = |n: u32| n.wrapping_mul(0x9E37_79B1);
    // The hash index has a test of its own.
    let [ordered, _] = both();
    for (ledger, index) in [ordered] {
        let empty = index.bytes();
        for n in 0..KEYS {
            index.insert(&key(mixed(n)), RowId(u64::from(n))).unwrap();
        }
        let full = in_use(&index);
        assert!(full > u64::from(KEYS) * 16, "{full} bytes for {KEYS} keys");
        assert!(full < u64::from(KEYS) * 300, "{full} bytes for {KEYS} keys");
        for n in 0..KEYS {
            assert_eq!(rows_of(&index, &key(mixed(n))), [RowId(u64::from(n))]);
        }
        let all = Cursor::new(Bound::Unbounded, Bound::Unbounded, false);
        let entries = scanned(&index, all, 1000);
        assert_eq!(entries.len(), KEYS as usize);
        assert!(entries.is_sorted());
        for n in 0..KEYS {
            assert!(index.remove(&key(mixed(n)), RowId(u64::from(n))));
            if n == KEYS / 10 * 9 {
                assert!(in_use(&index) < full / 3);
            }
        }
        assert!(index.is_empty());
        assert!(in_use(&index) < empty + full / 10);
        drop(index);
        assert_eq!(charged(&ledger), 0);
    }
}

/// One key with very many rows: a flag column. Scans stop and go on in the midst of it.
#[test]
fn a_key_may_have_any_number_of_rows() {
    for (_, index) in both() {
        for row in (0..20_000).rev() {
            index.insert(b"true", RowId(row)).unwrap();
            if row % 37 == 0 {
                let beside = RowId((row * 7919) % 60_000 + 20_000);
                assert!(!index.insert_new(b"true", beside).unwrap());
            }
        }
        assert_eq!(rows_of(&index, b"true").len(), 20_000);
        assert!(rows_of(&index, b"true").is_sorted());
        let mut visited = Vec::new();
        let found: Option<()> = index.find_map(b"true", |row| {
            visited.push(row.0);
            None
        });
        assert!(found.is_none() && visited.iter().copied().eq(0..20_000));
        let nth = |n| index.find_map(b"true", |row| (row.0 == n).then_some(n));
        assert_eq!(
            [15, 16, 17, 19_999].map(nth),
            [15, 16, 17, 19_999].map(Some)
        );
        if index.is_ordered() {
            let cursor = Cursor::new(Bound::Included(b"true"), Bound::Included(b"true"), true);
            let rows: Vec<_> = scanned(&index, cursor, 777)
                .into_iter()
                .map(|e| e.1.0)
                .collect();
            assert!(rows.iter().copied().eq((0..20_000).rev()));
        }
        for row in 0..20_000 {
            assert!(index.remove(b"true", RowId(row)));
        }
        assert!(index.is_empty());
    }
}

#[test]
fn a_key_too_long_is_refused() {
    for (_, index) in both() {
        let error = index
            .insert(&vec![1; KEY_BYTES_MAX + 1], RowId(1))
            .unwrap_err();
        assert_eq!(error.sqlstate(), "54000");
        index.insert(&vec![1; KEY_BYTES_MAX], RowId(1)).unwrap();
        assert_eq!(index.len(), 1);
    }
}

#[test]
fn a_full_ledger_refuses_entries_and_changes_nothing() {
    // The pool takes 2 MiB at a time.
    let pool = || Pool::new(Ledger::new(8 << 20));
    // A row each: to the hash index, two keys of one row may be one, once in 2^39 pairs.
    let row = |n: u32| RowId(u64::from(n));
    for index in [
        Index::ordered(&pool()).unwrap(),
        Index::hash(&pool()).unwrap(),
    ] {
        let mut held = 0;
        let error = loop {
            match index.insert(&key(held), row(held)) {
                Ok(()) => held += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(error.sqlstate(), "53200");
        assert_eq!(index.len(), held as usize);
        assert!(rows_of(&index, &key(held)).is_empty());
        assert!((0..held).all(|n| index.remove(&key(n), row(n))));
        assert!(index.is_empty());
        index.insert(&key(1), RowId(1)).unwrap();
    }
}

/// A scan goes on where it stood, though everything around it changes between its steps.
#[test]
fn a_scan_survives_changes_between_its_steps() {
    let ledger = Ledger::new(1 << 30);
    let index = Index::ordered(&Pool::new(ledger)).unwrap();
    let stays = |n: u32| n.is_multiple_of(3);
    for n in 0..9000_u32 {
        index.insert(&n.to_be_bytes(), RowId(1)).unwrap();
    }
    let mut cursor = Cursor::new(Bound::Unbounded, Bound::Unbounded, false);
    let (mut seen, mut some) = (Vec::new(), Entries::new());
    loop {
        index.scan(&mut cursor, 500, &mut some);
        let Some((key, row)) = some.last() else { break };
        // The very entry the scan stands on goes, too, if it may.
        let last = u32::from_be_bytes(key.try_into().unwrap());
        assert_eq!(row, RowId(1));
        for n in (last.saturating_sub(600)..last + 600).filter(|&n| !stays(n)) {
            index.remove(&n.to_be_bytes(), RowId(1));
        }
        seen.extend(
            some.iter()
                .map(|(key, _)| u32::from_be_bytes(key.try_into().unwrap())),
        );
    }
    assert!(seen.is_sorted_by(|a, b| a < b), "in order, none twice");
    let kept: Vec<_> = seen.into_iter().filter(|&n| stays(n)).collect();
    assert!(kept.into_iter().eq((0..9000).filter(|&n| stays(n))));
}

/// Writers own a part of the keys each, and nodes are moved all the time; readers always find the
/// keys that stay.
#[test]
fn threads_read_and_write_at_once() {
    const KEYS: u32 = 6000;
    for (ledger, index) in both() {
        for n in (0..KEYS).step_by(5) {
            index.insert(&key(n), RowId(7)).unwrap();
        }
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let writers: Vec<_> = (1..5)
                .map(|part| {
                    let index = &index;
                    scope.spawn(move || {
                        for round in 0..3 {
                            for n in (part..KEYS).step_by(5) {
                                index.insert(&key(n), RowId(round)).unwrap();
                            }
                            for n in (part..KEYS).step_by(5) {
                                assert!(index.remove(&key(n), RowId(round)));
                            }
                        }
                    })
                })
                .collect();
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Relaxed) {
                        for n in (0..KEYS).step_by(5 * 7) {
                            assert_eq!(rows_of(&index, &key(n)), [RowId(7)]);
                        }
                        let stay: Vec<_> = (0..KEYS).step_by(5 * 7).map(key).collect();
                        for keys in stay.chunks(TOGETHER) {
                            let all = (0..keys.len()).map(|at| (at, RowId(7)));
                            assert!(together(&index, keys).into_iter().eq(all), "each is found");
                        }
                        if index.is_ordered() {
                            let all = Cursor::new(Bound::Unbounded, Bound::Unbounded, false);
                            let entries = scanned(&index, all, 300);
                            assert!(entries.is_sorted());
                            let stay = entries.iter().filter(|e| e.1 == RowId(7)).count();
                            assert_eq!(stay, KEYS as usize / 5, "none missed, none twice");
                        }
                    }
                });
            }
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    index.move_all(100).unwrap();
                }
            });
            writers.into_iter().for_each(|w| w.join().unwrap());
            done.store(true, Relaxed);
        });
        assert_eq!(index.len(), KEYS as usize / 5);
        assert!(charged(&ledger) > 0);
    }
}

#[test]
fn of_many_who_add_a_new_key_one_does() {
    const KEYS: u32 = 5000;
    for (_, index) in both() {
        let added: usize = std::thread::scope(|scope| {
            let add = |row| {
                let index = &index;
                move || {
                    let new = |k: &u32| index.insert_new(&key(*k), RowId(row)).unwrap();
                    (0..KEYS).filter(new).count()
                }
            };
            let threads = [1, 2, 3, 4].map(|row| scope.spawn(add(row)));
            threads.map(|thread| thread.join().unwrap()).iter().sum()
        });
        assert_eq!((added, index.len()), (KEYS as usize, KEYS as usize));
    }
}

#[test]
fn one_holder_of_a_key_at_a_time() {
    let latches = KeyLatches::new();
    // Read and written apart: without the latch, updates would be lost.
    let count = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5000 {
                    let _held = latches.lock(b"key");
                    count.store(count.load(Relaxed) + 1, Relaxed);
                }
            });
        }
    });
    assert_eq!(count.into_inner(), 20_000);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Integers put together on the way are those of whole keys, in trees of all shapes, whatever the step.
    #[test]
    fn integers_of_a_scan_are_those_of_its_keys(
        near in prop::collection::vec(-40_i64..400, 0..300),
        far in prop::collection::vec(any::<i64>(), 0..60),
        is_wide in any::<bool>(),
        descending in any::<bool>(),
        reverse in any::<bool>(),
        with_null in any::<bool>(),
        limit in 1..300_usize,
    ) {
        let column = KeyColumn { descending, ..KeyColumn::default() };
        let index = Index::ordered(&Pool::new(Ledger::new(1 << 30))).unwrap();
        let fit = |value: &i64| if is_wide { *value } else { i64::from(*value as i32) };
        let mut model = BTreeSet::new();
        for (row, value) in near.iter().chain(&far).map(fit).enumerate() {
            let key = key::IntKeyBytes::new(value, is_wide, column);
            index.insert(&key, RowId(row as u64)).unwrap();
            model.insert((key.to_vec(), RowId(row as u64), value));
        }
        if with_null {
            let mut null = Key::new();
            encode_key(&mut null, &[column], [crate::value::ValueRef::Null]);
            index.insert(&null, RowId(1_000_000)).unwrap();
        }
        let mut cursor = Cursor::new(Bound::Unbounded, Bound::Unbounded, reverse);
        let (mut found, mut entries) = (Vec::new(), IntEntries::new(is_wide, column));
        // Where a key is no integer, the scan cannot say where it stands.
        while !cursor.is_done() && !entries.has_others() {
            index.scan_ints(&mut cursor, limit, &mut entries);
            found.extend_from_slice(entries.as_slice());
        }
        let mut expected: Vec<_> = model.into_iter().map(|(_, row, value)| (value, row)).collect();
        if reverse {
            expected.reverse();
        }
        prop_assert_eq!(entries.has_others(), with_null);
        if !with_null {
            prop_assert_eq!(found, expected);
        }
    }
}
