//! The hash index against a set of pairs, with identities so short that keys collide all the time;
//! its growth, its memory, and its readers among writers.

use super::identity::IDENTITY_BITS;
use super::*;
use crate::pool::{Claim, Ledger};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::BTreeSet;

thread_local! {
    static BITS: Cell<u32> = const { Cell::new(IDENTITY_BITS) };
}

/// Bits of the identities of indexes that this thread creates.
pub(super) fn identity_bits() -> u32 {
    BITS.get()
}

/// Runs `create`, in which indexes tell keys apart by so many bits only.
pub(crate) fn with_identity_bits<T>(bits: u32, create: impl FnOnce() -> T) -> T {
    let before = BITS.replace(bits);
    let created = create();
    BITS.set(before);
    created
}

fn weak(bits: u32) -> HashIndex {
    with_identity_bits(bits, || HashIndex::new(Claim::Ordinary, &pool()).unwrap())
}

fn pool() -> Arc<Pool> {
    Pool::new(Ledger::new(1 << 30))
}

pub(super) fn key(n: u64) -> [u8; 9] {
    let mut key = [1; 9];
    key[1..].copy_from_slice(&n.to_be_bytes());
    key
}

/// The rows of a key, asked for one by one.
fn visited(index: &HashIndex, n: u64) -> Vec<u64> {
    let mut rows = Vec::new();
    index.find_map(&key(n), |row| {
        rows.push(row.0);
        None::<()>
    });
    rows
}

fn rows_of(index: &HashIndex, n: u64) -> Vec<u64> {
    let mut rows = Vec::new();
    index.get(&key(n), &mut rows);
    rows.into_iter().map(|row| row.0).collect()
}

/// What a hash index is to hold: rows by identity.
#[derive(Default)]
struct Model(BTreeSet<(u64, u64)>);

impl Model {
    fn check(&self, index: &HashIndex, keys: u64) {
        assert_eq!(index.len(), self.0.len());
        for n in 0..keys {
            let identity = index.identity_of(&key(n));
            let rows = self.0.range((identity, 0)..=(identity, u64::MAX));
            let rows: Vec<_> = rows.map(|pair| pair.1).collect();
            assert_eq!(rows_of(index, n), rows);
            let mut one_by_one = visited(index, n);
            one_by_one.sort_unstable();
            assert_eq!(one_by_one, rows);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64, u64),
    Remove(u64, u64),
    /// Many rows of one key at once, there or gone.
    InsertMany(u64),
    RemoveMany(u64),
}

const KEYS: u64 = 300;
/// More than make an identity heavy.
const MANY: std::ops::Range<u64> = 5..45;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pair = || (0..KEYS, 0..6_u64);
    let step = prop_oneof![
        40 => pair().prop_map(|(k, r)| Step::Insert(k, r)),
        20 => pair().prop_map(|(k, r)| Step::Remove(k, r)),
        2 => (0..KEYS).prop_map(Step::InsertMany),
        1 => (0..KEYS).prop_map(Step::RemoveMany),
    ];
    prop::collection::vec(step, 0..600)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Few bits make chains and heavy identities, many make buckets.
    #[test]
    fn it_holds_what_a_set_of_identities_holds(steps in steps(), bits in 0..12_u32) {
        let index = weak(bits);
        let mut model = Model::default();
        for step in steps {
            let (rows, n, is_insert) = match step {
                Step::Insert(n, row) => (row..row + 1, n, true),
                Step::Remove(n, row) => (row..row + 1, n, false),
                Step::InsertMany(n) => (MANY, n, true),
                Step::RemoveMany(n) => (MANY, n, false),
            };
            let identity = index.identity_of(&key(n));
            for row in rows {
                if is_insert {
                    index.insert(&key(n), RowId(row)).unwrap();
                    model.0.insert((identity, row));
                } else {
                    let was = model.0.remove(&(identity, row));
                    prop_assert_eq!(index.remove(&key(n), RowId(row)), was);
                }
            }
            prop_assert_eq!(index.len(), model.0.len());
        }
        model.check(&index, KEYS);
        for n in 0..KEYS {
            for row in (0..6).chain(MANY) {
                index.remove(&key(n), RowId(row));
            }
        }
        prop_assert_eq!(index.len(), 0);
        prop_assert_eq!(index.directory.buckets(), BUCKETS_MIN);
    }
}

/// Bytes an entry stay the same while an index grows to any size, and come down with it again.
#[test]
fn memory_follows_the_entries() {
    const ENTRIES: u64 = 200_000;
    let index = weak(IDENTITY_BITS);
    let empty = index.bytes();
    // Among so many keys two may be of one identity: in one run of thirty some are.
    let mut model = Model::default();
    for n in 0..ENTRIES {
        index.insert(&key(n), RowId(n)).unwrap();
        model.0.insert((index.identity_of(&key(n)), n));
        if n > 100_000 && n % 20_000 == 0 {
            // 16 on average, more or less by where it stands between two powers of two and by the
            // seed of the hash, which is another one each time: up to 22.5 were seen.
            assert!(in_use(&index) <= n * 24, "{} bytes", in_use(&index));
        }
    }
    model.check(&index, ENTRIES);
    let full = in_use(&index);
    for n in 0..ENTRIES {
        assert!(index.remove(&key(n), RowId(n)));
        assert!(!index.remove(&key(n), RowId(n)));
    }
    assert_eq!(index.len(), 0);
    assert!(in_use(&index) <= empty + full / 50);
}

/// Bytes of the index itself: nodes that it gave up wait for the threads of other tests.
fn in_use(index: &HashIndex) -> u64 {
    index.bytes() - index.memory.waiting_bytes()
}

/// A flag column: a million rows of one key must not take a million times a million steps.
#[test]
fn a_heavy_key_costs_its_neighbours_nothing() {
    let index = weak(IDENTITY_BITS);
    for row in 0..100_000 {
        index.insert(&key(row % 2), RowId(row)).unwrap();
    }
    assert_eq!(index.directory.buckets(), BUCKETS_MIN);
    for row in (0..100_000).rev() {
        assert!(index.remove(&key(row % 2), RowId(row)));
    }
    assert_eq!(index.len(), 0);
}

/// Memory runs out at every place where some is taken: the index stays as it was, and goes on.
#[test]
fn a_refusal_anywhere_changes_nothing() {
    for granted in 0..40 {
        // A few bits, so that chains come soon; rows enough for heavy identities.
        let index = weak(4);
        index.memory.granted.store(granted, Relaxed);
        let mut model = Model::default();
        let mut refused = 0;
        for n in 0..400_u64 {
            let (n, row) = (n % 40, n / 4);
            match index.insert(&key(n), RowId(row)) {
                Ok(()) => {
                    model.0.insert((index.identity_of(&key(n)), row));
                }
                Err(error) => {
                    assert_eq!(error.sqlstate(), "53200");
                    refused += 1;
                }
            }
        }
        // How many it takes depends on the seed of the hash; some it always takes.
        assert!(refused > 0 || granted > 0);
        model.check(&index, 40);
        for (n, row) in (0..400_u64).map(|n| (n % 40, n / 4)) {
            let was = model.0.remove(&(index.identity_of(&key(n)), row));
            assert_eq!(index.remove(&key(n), RowId(row)), was);
        }
        assert_eq!(index.len(), 0);
        index.memory.granted.store(u64::MAX, Relaxed);
        index.insert(&key(1), RowId(1)).unwrap();
        assert_eq!(rows_of(&index, 1), [1]);
    }
}

/// Writers make the index grow and shrink many times over; readers find every entry that stays,
/// and never a row that nobody put there. Few bits make entries move along chains all the time.
#[test]
fn readers_find_what_stays_while_the_index_grows_and_shrinks() {
    for bits in [IDENTITY_BITS, 7] {
        let index = weak(bits);
        const STAY: u64 = 200;
        for n in 0..STAY {
            index.insert(&key(n), RowId(n)).unwrap();
        }
        let done = AtomicBool::new(false);
        let reads = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let writers = [1_u64, 2].map(|writer| {
                let (index, reads) = (&index, &reads);
                scope.spawn(move || {
                    let own = |n: u64| writer << 32 | n;
                    let mut rounds = 0;
                    // On a busy machine readers may come late.
                    while rounds < 4 || reads.load(Relaxed) == 0 {
                        rounds += 1;
                        let entries = if bits == IDENTITY_BITS { 20_000 } else { 1_500 };
                        for n in 0..entries {
                            index.insert(&key(own(n)), RowId(own(n))).unwrap();
                        }
                        for n in 0..entries {
                            assert!(index.remove(&key(own(n)), RowId(own(n))));
                        }
                    }
                })
            });
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Relaxed) {
                        for n in 0..STAY {
                            for mut rows in [rows_of(&index, n), visited(&index, n)] {
                                assert!(rows.contains(&n), "entry {n} is missed");
                                assert!(rows.iter().all(|row| row >> 32 <= 2), "{rows:?}");
                                rows.sort_unstable();
                                assert!(rows.is_sorted_by(|a, b| a < b), "none twice");
                            }
                        }
                        reads.fetch_add(1, Relaxed);
                    }
                });
            }
            for writer in writers {
                writer.join().unwrap();
            }
            done.store(true, Relaxed);
        });
        assert!(reads.into_inner() > 0);
        assert_eq!(index.len() as u64, STAY);
    }
}

#[test]
fn keys_of_any_length_are_told_apart() {
    let index = weak(IDENTITY_BITS);
    for length in 0..40 {
        index
            .insert(&vec![0; length], RowId(length as u64))
            .unwrap();
    }
    for length in 0..40 {
        let mut rows = Vec::new();
        index.get(&vec![0; length], &mut rows);
        assert_eq!(rows, [RowId(length as u64)]);
    }
}
