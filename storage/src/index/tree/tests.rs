//! The tree against a sorted set: its shapes, its memory, and its readers among writers.

use super::node::Inner;
use super::*;
use crate::index::Entries;
use crate::pool::{Claim, Ledger};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::ops::{Bound, RangeBounds};

type Model = BTreeSet<(Vec<u8>, u64)>;

fn tree() -> OrderedIndex {
    OrderedIndex::new(Claim::Ordinary, &Pool::new(Ledger::new(1 << 30))).unwrap()
}

fn move_all(tree: &OrderedIndex) {
    tree.let_all_leave(true);
    let mut done = None;
    while tree.leave_evacuated(&mut done, 5).unwrap() {}
    tree.let_all_leave(false);
}

fn scanned(tree: &OrderedIndex, mut cursor: Cursor, limit: usize) -> Vec<(Vec<u8>, u64)> {
    let (mut all, mut some) = (Vec::new(), Entries::new());
    loop {
        some.begin(limit);
        tree.scan(&mut cursor, limit, &mut some);
        if some.is_empty() {
            return all;
        }
        all.extend(some.iter().map(|(key, row)| (key.to_vec(), row.0)));
    }
}

fn everything() -> Cursor {
    Cursor::new(Bound::Unbounded, Bound::Unbounded, false)
}

fn rows_of(tree: &OrderedIndex, key: &[u8]) -> Vec<u64> {
    let mut out = Vec::new();
    tree.get(key, &mut out);
    out.into_iter().map(|row| row.0).collect()
}

/// Fails unless the tree is what the model is, looked at in every way.
fn compare(tree: &OrderedIndex, model: &Model) {
    assert_eq!(tree.len(), model.len());
    let all: Vec<_> = model.iter().cloned().collect();
    assert_eq!(scanned(tree, everything(), 1 + model.len() / 3), all);
    let keys: BTreeSet<_> = model.iter().map(|(key, _)| key).collect();
    for key in keys {
        let own = (key.clone(), 0)..=(key.clone(), u64::MAX);
        let rows: Vec<_> = model.range(own).map(|entry| entry.1).collect();
        assert_eq!(tree.find_map(key, Some), Some(RowId(rows[0])));
        assert_eq!(rows_of(tree, key), rows);
    }
}

/// Keys in families that make different nodes: dense and sparse numbers, texts that differ late,
/// few keys of many rows. No key begins with another one.
fn key() -> impl Strategy<Value = Vec<u8>> {
    let number = |family: u8, bytes: usize| {
        move |n: u64| [&[family], &n.to_be_bytes()[8 - bytes..]].concat()
    };
    let text = |text: String| [b"t", text.as_bytes(), &[0, 0]].concat();
    prop_oneof![
        4 => (0..700_u64).prop_map(number(1, 8)),
        2 => (0..u64::MAX).prop_map(number(2, 8)),
        2 => (0..70_000_u64).prop_map(number(3, 3)),
        3 => "(ab?){0,8}[xyz]".prop_map(text),
        1 => "[a-c]{2}shared by many, and long[a-c]{2}".prop_map(text),
        1 => (0..3_u64).prop_map(number(4, 1)),
    ]
}

fn row() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(7), 2 => 0..1000_u64, 1 => Just(u64::MAX), 1 => Just(1 << 63)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_tree_holds_what_a_set_holds(
        entries in prop::collection::vec((key(), row(), 0..10_u8), 0..3000),
        bounds in prop::collection::vec((key(), 0..3_u8, key(), 0..3_u8, 0..20_usize), 6),
    ) {
        let tree = tree();
        let mut model = Model::new();
        for (key, row, turn) in &entries {
            tree.insert(key, RowId(*row)).unwrap();
            model.insert((key.clone(), *row));
            if *turn == 0 {
                let gone = model.pop_first().unwrap();
                prop_assert!(tree.remove(&gone.0, RowId(gone.1)));
                prop_assert!(!tree.remove(&gone.0, RowId(gone.1)));
            }
        }
        compare(&tree, &model);
        move_all(&tree);
        compare(&tree, &model);
        for (low, low_kind, high, high_kind, cut) in bounds {
            // Some bounds are only the first bytes of keys.
            let low = &low[..low.len() - cut.min(low.len()) / 2];
            let bound = |kind, key| match kind {
                0 => Bound::Unbounded,
                1 => Bound::Included(key),
                _ => Bound::Excluded(key),
            };
            let bounds = (bound(low_kind, low), bound(high_kind, &high[..]));
            let inside = |entry: &&(Vec<u8>, u64)| RangeBounds::<[u8]>::contains(&bounds, &entry.0[..]);
            let mut wanted: Vec<_> = model.iter().filter(inside).cloned().collect();
            let cursor = |reverse| Cursor::new(bounds.0, bounds.1, reverse);
            prop_assert_eq!(scanned(&tree, cursor(false), cut + 1), wanted.clone());
            wanted.reverse();
            prop_assert_eq!(scanned(&tree, cursor(true), cut + 1), wanted);
        }
        while let Some((key, row)) = model.pop_last() {
            prop_assert!(tree.remove(&key, RowId(row)));
            if model.len().is_multiple_of(512) {
                compare(&tree, &model);
            }
        }
        prop_assert!(Word::load(&tree.root).is_nothing(), "no node is left");
    }

    #[test]
    fn a_tree_built_at_once_is_the_one_built_in_steps(
        entries in prop::collection::btree_set((key(), row()), 0..3000),
        threads in 1..4_usize,
    ) {
        let tree = tree();
        let items: Vec<_> = entries.iter().map(|(key, row)| Item { key, row: *row }).collect();
        tree.fill(&items, threads, crate::Stop::NEVER).unwrap();
        prop_assert!(tree.memory.bytes() <= build::estimate(&items, crate::Stop::NEVER).unwrap(), "no more than was estimated");
        compare(&tree, &entries);
        for (key, row) in &entries {
            prop_assert!(tree.remove(key, RowId(*row)));
        }
        prop_assert!(Word::load(&tree.root).is_nothing());
    }
}

/// Every number of children from none to 256 and back, in an order that is neither up nor down.
#[test]
fn inner_nodes_find_their_children_at_every_size() {
    let pool = Pool::new(Ledger::new(1 << 30));
    let memory = Memory::new(&pool);
    let word = |byte: u8| Word::row(u64::from(byte)).unwrap();
    let check = |inner: Inner, held: &BTreeSet<u8>| {
        assert_eq!(inner.count(), held.len());
        for byte in 0..=u8::MAX {
            let child = |byte: &u8| (*byte, word(*byte));
            assert_eq!(inner.find(byte).is_some(), held.contains(&byte));
            assert_eq!(inner.find(byte).map_or(word(byte), Word::load), word(byte));
            assert_eq!(inner.next(byte), held.range(byte..).next().map(child));
            assert_eq!(
                inner.previous(byte),
                held.range(..=byte).next_back().map(child)
            );
        }
    };
    for sizes in [1..=4, 5..=16, 17..=48, 49..=256_usize] {
        let inner = Inner::make(memory.to_grow(), *sizes.end(), b"a prefix", 3, []).unwrap();
        let bytes: Vec<u8> = (0..*sizes.end()).map(|n| (n * 167 + 11) as u8).collect();
        let mut held = BTreeSet::new();
        for byte in &bytes {
            inner.add(*byte, word(*byte));
            held.insert(*byte);
            check(inner, &held);
        }
        for byte in &bytes {
            inner.remove(*byte);
            held.remove(byte);
            check(inner, &held);
        }
        assert_eq!((inner.prefix(), inner.row_bytes()), (&b"a prefix"[..], 3));
        // SAFETY: the node was never in a tree.
        unsafe { inner.free(&memory) };
    }
}

/// Keys that make a node with a bucket for each of 1, 2, .. 256 bytes, and lose them again.
#[test]
fn trees_step_through_all_kinds_of_nodes_and_back() {
    let tree = tree();
    let mut model = Model::new();
    let key = |byte: u8, n: u64| [&[9, byte][..], &n.to_be_bytes()].concat();
    let entries = |step: u64| (0..300).map(move |n| n * step);
    for n in 0..=255_u64 {
        let byte = (n * 37 % 256) as u8;
        // Some parts become nodes of their own, most are small buckets.
        let few = if n.is_multiple_of(50) { 300 } else { 3 };
        for n in entries(0x0101_0101).take(few) {
            tree.insert(&key(byte, n), RowId(n)).unwrap();
            model.insert((key(byte, n), n));
        }
        if n < 60 || n.is_multiple_of(16) {
            move_all(&tree);
            compare(&tree, &model);
        }
    }
    let full = tree.bytes();
    while let Some((key, row)) = model.pop_first() {
        assert!(tree.remove(&key, RowId(row)));
        if model.len() < 60 || model.len().is_multiple_of(64) {
            compare(&tree, &model);
        }
    }
    assert!(full > 0 && Word::load(&tree.root).is_nothing());
    // Readers of other trees may hold it back for a moment.
    assert_eq!(tree.memory.bytes(), tree.memory.waiting_bytes());
}

/// Each allocation of each insertion is refused once. The tree is as it was, and the insertion
/// succeeds when it is tried again; removals succeed without any memory.
#[test]
fn a_refused_insertion_changes_nothing() {
    let tree = tree();
    let mut model = Model::new();
    let refuse_after = |granted| tree.memory.granted.store(granted, Relaxed);
    let text = |n: u64| format!("{}with a long part\0\0", "ab".repeat(n as usize % 7));
    let keys = (0..1500_u64).map(|n| match n % 4 {
        0 => (n / 4).to_be_bytes().to_vec(),
        1 => [
            &[1][..],
            &n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes(),
        ]
        .concat(),
        2 => [&[2][..], text(n).as_bytes()].concat(),
        _ => b"\x03one key".to_vec(),
    });
    let mut refusals = 0;
    for (n, key) in keys.enumerate() {
        let row = RowId(n as u64);
        for granted in 0.. {
            refuse_after(granted);
            let result = tree.insert(&key, row);
            refuse_after(u64::MAX);
            let Err(error) = result else { break };
            refusals += 1;
            assert_eq!(error.sqlstate(), "53200");
            assert_eq!(tree.len(), model.len());
            if refusals % 16 == 0 {
                compare(&tree, &model);
            }
        }
        model.insert((key, n as u64));
    }
    compare(&tree, &model);
    assert!(refusals > 300, "{refusals} allocations were refused");
    refuse_after(0);
    for (key, row) in &model {
        assert!(tree.remove(key, RowId(*row)));
    }
    assert_eq!(tree.len(), 0);
    assert_eq!(scanned(&tree, everything(), 9), []);
}

/// What does not fit the budget is refused before anything is built.
#[test]
fn a_build_that_cannot_fit_is_refused() {
    let ledger = Ledger::new(8 << 20);
    let tree = OrderedIndex::new(Claim::Ordinary, &Pool::new(Arc::clone(&ledger))).unwrap();
    let keys: Vec<_> = (0..1_000_000_u64).map(u64::to_be_bytes).collect();
    let items: Vec<_> = keys.iter().map(|key| Item { key, row: 1 }).collect();
    assert_eq!(
        tree.fill(&items, 2, crate::Stop::NEVER)
            .unwrap_err()
            .sqlstate(),
        "53200"
    );
    assert_eq!((tree.len(), tree.memory.bytes()), (0, 0));
    assert_eq!(ledger.used(), tree.bytes());
    tree.fill(&items[..100_000], 2, crate::Stop::NEVER).unwrap();
    assert_eq!(tree.len(), 100_000);
    assert!(tree.bytes() <= 11 * 100_000, "{} bytes", tree.bytes());
}

/// Keys nested as deep as keys may be long: no walk, build or end of a tree runs out of stack.
#[test]
fn keys_may_be_nested_deeply() {
    let key = |n: usize| [&vec![1; n][..], &[2, 2]].concat();
    let keys: Vec<_> = (0..4000).map(key).collect();
    let mut items: Vec<_> = keys.iter().map(|key| Item { key, row: 3 }).collect();
    items.sort_unstable();
    let work = move || {
        let (one, two) = (tree(), tree());
        one.fill(&items, 2, crate::Stop::NEVER).unwrap();
        for item in &items {
            two.insert(item.key, RowId(3)).unwrap();
        }
        for tree in [one, two] {
            let all = scanned(&tree, everything(), 700);
            assert!(
                all.iter()
                    .map(|entry| &entry.0[..])
                    .eq(items.iter().map(|item| item.key))
            );
            for item in &items {
                assert_eq!(rows_of(&tree, item.key), [3]);
                assert!(tree.remove(item.key, RowId(3)));
            }
        }
    };
    std::thread::scope(|scope| {
        let small = std::thread::Builder::new().stack_size(1 << 20);
        small.spawn_scoped(scope, work).unwrap().join().unwrap();
    });
}

/// Two writers add and remove keys around those that stay, and all nodes are moved again and again. Readers
/// find every key that stays, at every moment, by itself and in scans either way, in order and none twice.
#[test]
fn readers_among_writers_miss_nothing() {
    const KEYS: u64 = 12_000;
    let mixed = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let key = |n: u64| match n % 3 {
        0 => [&[1][..], &(n / 3).to_be_bytes()].concat(),
        1 => [&[2][..], &mixed(n).to_be_bytes()].concat(),
        _ => format!("text {:x} at the end of all\0\0", mixed(n) >> 40).into_bytes(),
    };
    let stays = |n: u64| n.is_multiple_of(7);
    let tree = tree();
    for n in (0..KEYS).filter(|n| stays(*n)) {
        tree.insert(&key(n), RowId(n)).unwrap();
    }
    let staying = (0..KEYS).filter(|n| stays(*n)).count();
    let writing = AtomicU64::new(2);
    let seen_all = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for part in 0..2 {
            let (tree, writing) = (&tree, &writing);
            scope.spawn(move || {
                let own = || (0..KEYS).filter(move |n| !stays(*n) && n % 2 == part);
                for round in 0..4 {
                    for n in own() {
                        tree.insert(&key(n), RowId(KEYS + round)).unwrap();
                    }
                    for n in own() {
                        assert!(tree.remove(&key(n), RowId(KEYS + round)));
                    }
                }
                writing.fetch_sub(1, Relaxed);
            });
        }
        scope.spawn(|| {
            while writing.load(Relaxed) > 0 || !seen_all.load(Relaxed) {
                move_all(&tree);
            }
        });
        scope.spawn(|| {
            while writing.load(Relaxed) > 0 || !seen_all.load(Relaxed) {
                for n in (0..KEYS).filter(|n| stays(*n)) {
                    assert_eq!(rows_of(&tree, &key(n)), [n]);
                }
                for reverse in [false, true] {
                    let cursor = Cursor::new(Bound::Unbounded, Bound::Unbounded, reverse);
                    let entries = scanned(&tree, cursor, 100);
                    let in_order = |a: &_, b: &_| if reverse { a > b } else { a < b };
                    assert!(entries.is_sorted_by(in_order), "in order, none twice");
                    let stay = entries.iter().filter(|entry| entry.1 < KEYS).count();
                    assert_eq!(stay, staying, "none is missed");
                }
                seen_all.store(true, Relaxed);
            }
        });
    });
    assert_eq!(tree.len(), staying);
    let all = scanned(&tree, everything(), 1000);
    assert!(all.iter().all(|entry| stays(entry.1)));
}
