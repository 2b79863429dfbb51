//! Indexes beside `hashbrown` maps of the same keys, probed with the same random keys in turns.

use crate::Result;
use crate::options::Options;
use crate::random::Random;
use crate::spread::Spread;
use crate::timer::Timer;
use hashbrown::HashMap;
use remora_storage::index::{Cursor, Entries, Index, KeyColumn, encode_column};
use remora_storage::pool::{Ledger, Pool};
use remora_storage::{RowId, ValueRef};
use std::hash::Hash;
use std::hint::black_box;
use std::ops::Bound;

/// Entries of one scan.
const SCANNED: usize = 100;

/// What an index key is made of.
trait Key: Hash + Eq + Clone {
    fn value(&self) -> ValueRef<'_>;
}

impl Key for u64 {
    fn value(&self) -> ValueRef<'_> {
        ValueRef::BigInt(*self as i64)
    }
}

impl Key for String {
    fn value(&self) -> ValueRef<'_> {
        ValueRef::Text(self)
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let keys = options.number("rows", 1_000_000);
    let rounds = options.number("rounds", 7);
    println!("{keys} keys, {rounds} rounds, nanoseconds; our times include making the key's bytes");
    println!(
        "| keys | structure | look-up | of the map's time | insert | bytes an entry | {SCANNED} in order, each |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut random = Random::new(1);
    let sparse: Vec<u64> = (0..keys).map(|_| random.bits()).collect();
    let emails = (0..keys).map(|n| format!("user{n:07}@example.com"));
    measure("dense", (0..keys).collect(), rounds)?;
    measure("random", sparse, rounds)?;
    measure("e-mails", emails.collect(), rounds)
}

/// The figures of one structure.
#[derive(Default)]
struct Figures {
    lookup: Spread,
    ratio: Spread,
    insert: Spread,
    scan: Spread,
    bytes: f64,
}

impl Figures {
    fn print(&self, keys: &str, structure: &str) {
        let Self {
            lookup,
            ratio,
            insert,
            scan,
            bytes,
        } = self;
        println!("| {keys} | {structure} | {lookup} | {ratio} | {insert} | {bytes:.1} | {scan} |");
    }
}

fn measure<K: Key>(name: &str, keys: Vec<K>, rounds: u64) -> Result<()> {
    let (mut map_figures, mut figures) =
        (Figures::default(), [Figures::default(), Figures::default()]);
    for round in 0..rounds {
        // A structure of its own each round: where memory lies is part of the spread.
        let start = Timer::start();
        let mut map = HashMap::new();
        for (row, key) in keys.iter().enumerate() {
            map.insert(key.clone(), row as u64);
        }
        map_figures.insert.add(each(start, keys.len()));
        map_figures.bytes = map.allocation_size() as f64 / keys.len() as f64;
        let indexes = [ordered()?, hash()?];
        for (index, figures) in indexes.iter().zip(&mut figures) {
            figures.insert.add(fill(index, &keys)?);
            figures.bytes = index.bytes() as f64 / index.len() as f64;
        }
        let mut random = Random::new(round);
        let wanted: Vec<&K> = (0..keys.len())
            .map(|_| &keys[random.below(keys.len() as u64) as usize])
            .collect();
        let map_time = probe_map(&map, &wanted);
        map_figures.lookup.add(map_time);
        map_figures.ratio.add(1.0);
        for (index, figures) in indexes.iter().zip(&mut figures) {
            let time = probe(index, &wanted)?;
            figures.lookup.add(time);
            figures.ratio.add(time / map_time);
        }
        figures[0].scan.add(scan(&indexes[0], &wanted)?);
    }
    map_figures.print(name, "hashbrown map");
    figures[0].print(name, "ordered index");
    figures[1].print(name, "hash index");
    Ok(())
}

fn ordered() -> Result<Index> {
    Ok(Index::ordered(&Pool::new(Ledger::new(8 << 30)))?)
}

fn hash() -> Result<Index> {
    Ok(Index::hash(&Pool::new(Ledger::new(8 << 30)))?)
}

/// Nanoseconds of this thread for each of `count` things done since `start`.
fn each(start: Timer, count: usize) -> f64 {
    start.seconds() * 1e9 / count as f64
}

fn put_key<K: Key>(out: &mut Vec<u8>, key: &K) {
    out.clear();
    encode_column(out, KeyColumn::default(), &key.value());
}

fn fill<K: Key>(index: &Index, keys: &[K]) -> Result<f64> {
    let mut bytes = Vec::new();
    let start = Timer::start();
    for (row, key) in keys.iter().enumerate() {
        put_key(&mut bytes, key);
        index.insert(&bytes, RowId(row as u64))?;
    }
    Ok(each(start, keys.len()))
}

fn probe_map<K: Key>(map: &HashMap<K, u64>, wanted: &[&K]) -> f64 {
    let start = Timer::start();
    let rows = wanted.iter().filter_map(|key| map.get(*key));
    black_box(rows.fold(0, |sum: u64, row| sum.wrapping_add(*row)));
    each(start, wanted.len())
}

fn probe<K: Key>(index: &Index, wanted: &[&K]) -> Result<f64> {
    let mut bytes = Vec::new();
    let mut sum = 0_u64;
    let start = Timer::start();
    for key in wanted {
        put_key(&mut bytes, *key);
        let row = index.find_map(&bytes, Some).ok_or("a key is missing")?;
        sum = sum.wrapping_add(row.0);
    }
    let time = each(start, wanted.len());
    black_box(sum);
    Ok(time)
}

fn scan<K: Key>(index: &Index, wanted: &[&K]) -> Result<f64> {
    let mut bytes = Vec::new();
    let mut entries = Entries::new();
    let mut seen = 0;
    let start = Timer::start();
    for key in wanted.iter().step_by(SCANNED) {
        put_key(&mut bytes, *key);
        let mut cursor = Cursor::new(Bound::Included(&bytes), Bound::Unbounded, false);
        index.scan(&mut cursor, SCANNED, &mut entries);
        seen += black_box(&entries).len();
    }
    Ok(each(start, seen))
}
