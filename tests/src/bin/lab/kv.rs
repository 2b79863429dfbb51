//! Key-value: get and put by key, beside SQLite, and with `--features peers_all` beside redb (in memory) and moka.
//!
//! ```text
//! cargo run --release -p remora-tests -- kv [--keys 1000000] [--calls 200000] [--rounds 5]
//! ```
//!
//! Each store has the same keys, texts of 16 bytes, with values of 100 bytes. Random ones are read, and random ones written
//! again, by one thread and by two; in each round the stores take turns. A figure is the ratio of a peer's time to Remora's
//! (above 1: Remora is faster), as the median over the rounds, with the least and the greatest. Calls of SQLite and redb are
//! transactions of their own; two threads share a connection of SQLite's, because its tables in memory have one. moka is
//! a cache: it has no transactions, may forget, and hands out copies of values; the others show them where they lie.
//!
//! The tool fails where SQLite's get by one thread takes less than four times Remora's.

use crate::Result;
use crate::arguments::Arguments;
use hdrhistogram::Histogram;
use remora::Database;
use remora::kv::Kv;
use remora_tests::random::Random;
use std::sync::Mutex;
use std::thread::scope;
use std::time::{Duration, Instant};

/// The least ratio of SQLite's get to Remora's.
const GET_LEAST: f64 = 4.0;
const VALUE_BYTES: usize = 100;
/// Calls whose latencies are measured.
const TIMED: usize = 100_000;
/// Keys that are written in a transaction when a store is filled.
const AT_ONCE: usize = 10_000;

/// A text of so many bytes.
type Key = [u8; 16];

fn key(number: usize) -> Key {
    let mut key = *b"key:000000000000";
    let digits = format!("{number:012}");
    key[4..].copy_from_slice(&digits.as_bytes()[digits.len() - 12..]);
    key
}

/// Keys and values by key, for several threads.
trait Store: Sync {
    fn name(&self) -> &'static str;
    fn fill(&self, keys: &[Key], value: &[u8]) -> Result<()>;
    /// The length of the value; `None` where there is none.
    fn get(&self, key: &Key) -> Result<Option<usize>>;
    fn put(&self, key: &Key, value: &[u8]) -> Result<()>;
}

impl Store for Kv {
    fn name(&self) -> &'static str {
        "Remora"
    }

    fn fill(&self, keys: &[Key], value: &[u8]) -> Result<()> {
        for keys in keys.chunks(AT_ONCE) {
            self.put_all(keys.iter().map(|key| (key, value)))?;
        }
        Ok(())
    }

    fn get(&self, key: &Key) -> Result<Option<usize>> {
        Ok(self.get_with(key, <[u8]>::len)?)
    }

    fn put(&self, key: &Key, value: &[u8]) -> Result<()> {
        Ok(Self::put(self, key, value)?)
    }
}

struct Sqlite(Mutex<rusqlite::Connection>);

impl Sqlite {
    fn new() -> Result<Self> {
        let conn = rusqlite::Connection::open_in_memory()?;
        conn.execute_batch(
            "CREATE TABLE kv (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
        )?;
        Ok(Self(Mutex::new(conn)))
    }

    fn with<T>(&self, f: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T>) -> Result<T> {
        let conn = self.0.lock().map_err(|_| "another thread panicked")?;
        Ok(f(&conn)?)
    }
}

impl Store for Sqlite {
    fn name(&self) -> &'static str {
        "SQLite"
    }

    fn fill(&self, keys: &[Key], value: &[u8]) -> Result<()> {
        self.with(|conn| conn.execute_batch("BEGIN"))?;
        keys.iter().try_for_each(|key| self.put(key, value))?;
        self.with(|conn| conn.execute_batch("COMMIT"))
    }

    fn get(&self, key: &Key) -> Result<Option<usize>> {
        self.with(|conn| {
            let mut statement = conn.prepare_cached("SELECT value FROM kv WHERE key = ?")?;
            let mut rows = statement.query([&key[..]])?;
            let Some(row) = rows.next()? else {
                return Ok(None);
            };
            Ok(Some(row.get_ref(0)?.as_blob()?.len()))
        })
    }

    fn put(&self, key: &Key, value: &[u8]) -> Result<()> {
        self.with(|conn| {
            let sql = "INSERT INTO kv VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
            let mut statement = conn.prepare_cached(sql)?;
            statement.execute((&key[..], value)).map(drop)
        })
    }
}

#[cfg(feature = "peers_all")]
mod more {
    use super::{Key, Result, Store};
    use redb::backends::InMemoryBackend;
    use redb::{ReadableDatabase, TableDefinition};

    const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("kv");

    pub(super) struct Redb(redb::Database);

    impl Redb {
        pub(super) fn new() -> Result<Self> {
            let backend = InMemoryBackend::new();
            Ok(Self(redb::Builder::new().create_with_backend(backend)?))
        }
    }

    impl Store for Redb {
        fn name(&self) -> &'static str {
            "redb"
        }

        fn fill(&self, keys: &[Key], value: &[u8]) -> Result<()> {
            let transaction = self.0.begin_write()?;
            {
                let mut table = transaction.open_table(TABLE)?;
                for key in keys {
                    table.insert(&key[..], value)?;
                }
            }
            Ok(transaction.commit()?)
        }

        fn get(&self, key: &Key) -> Result<Option<usize>> {
            let table = self.0.begin_read()?.open_table(TABLE)?;
            let found = table.get(&key[..])?;
            Ok(found.map(|found| found.value().len()))
        }

        fn put(&self, key: &Key, value: &[u8]) -> Result<()> {
            let transaction = self.0.begin_write()?;
            transaction.open_table(TABLE)?.insert(&key[..], value)?;
            Ok(transaction.commit()?)
        }
    }

    pub(super) struct Moka(moka::sync::Cache<Vec<u8>, Vec<u8>>);

    impl Moka {
        pub(super) fn new(keys: usize) -> Self {
            Self(moka::sync::Cache::new(2 * keys as u64))
        }
    }

    impl Store for Moka {
        fn name(&self) -> &'static str {
            "moka"
        }

        fn fill(&self, keys: &[Key], value: &[u8]) -> Result<()> {
            keys.iter().try_for_each(|key| self.put(key, value))
        }

        fn get(&self, key: &Key) -> Result<Option<usize>> {
            Ok(self.0.get(&key[..]).map(|value| value.len()))
        }

        fn put(&self, key: &Key, value: &[u8]) -> Result<()> {
            self.0.insert(key.to_vec(), value.to_vec());
            Ok(())
        }
    }
}

#[cfg(feature = "peers_all")]
fn more(keys: usize) -> Result<Vec<Box<dyn Store>>> {
    Ok(vec![
        Box::new(more::Redb::new()?),
        Box::new(more::Moka::new(keys)),
    ])
}

#[cfg(not(feature = "peers_all"))]
fn more(_: usize) -> Result<Vec<Box<dyn Store>>> {
    Ok(Vec::new())
}

#[derive(Clone, Copy)]
enum Task {
    Get,
    Put,
}

impl Task {
    fn call(self, store: &dyn Store, key: &Key, value: &[u8]) -> Result<()> {
        match self {
            Self::Get => match store.get(key)? {
                Some(VALUE_BYTES) => Ok(()),
                found => Err(format!(
                    "{} in {}: {found:?}",
                    String::from_utf8_lossy(key),
                    store.name()
                )
                .into()),
            },
            Self::Put => store.put(key, value),
        }
    }
}

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    let keys = arguments.value_or("--keys", 1_000_000_usize)?.max(1);
    let calls = arguments.value_or("--calls", 200_000_usize)?.max(2);
    let rounds = arguments.value_or("--rounds", 5_usize)?.max(1);
    arguments.end()?;
    let db = Database::in_memory()?;
    let mut stores: Vec<Box<dyn Store>> = vec![Box::new(db.kv("kv")?), Box::new(Sqlite::new()?)];
    stores.extend(more(keys)?);
    let keys: Vec<Key> = (0..keys).map(key).collect();
    let value = [7; VALUE_BYTES];
    for store in &stores {
        store.fill(&keys, &value)?;
    }
    let mut random = Random::new(Random::seed());
    let mut get_of_sqlite = 0.0;
    println!(
        "| {} keys | peer | ratio | least | greatest | 50th | 99th percentile |",
        keys.len()
    );
    println!("|---|---|---|---|---|---|---|");
    for (task, name) in [(Task::Get, "get"), (Task::Put, "put")] {
        for threads in [1, 2] {
            let bench = Bench {
                task,
                threads,
                keys: &keys,
                value: &value,
            };
            let mut took = vec![Vec::new(); stores.len()];
            for _ in 0..rounds {
                let drawn = bench.draw(calls, &mut random);
                for (store, took) in stores.iter().zip(&mut took) {
                    took.push(bench.run(&**store, &drawn)?.as_secs_f64());
                }
            }
            for (store, peer) in stores.iter().zip(&took) {
                let mut ratios: Vec<f64> = peer
                    .iter()
                    .zip(&took[0])
                    .map(|(peer, own)| peer / own)
                    .collect();
                ratios.sort_by(f64::total_cmp);
                let median = ratios[ratios.len() / 2];
                if store.name() == "SQLite" && name == "get" && threads == 1 {
                    get_of_sqlite = median;
                }
                let (half, most) = match threads {
                    1 => bench.latencies(&**store, &mut random)?,
                    _ => (String::new(), String::new()),
                };
                println!(
                    "| {name}, {threads} threads | {} | {median:.2} | {:.2} | {:.2} | {half} | {most} |",
                    store.name(),
                    ratios[0],
                    ratios[ratios.len() - 1]
                );
            }
        }
    }
    match get_of_sqlite < GET_LEAST {
        true => Err(format!(
            "SQLite's get takes {get_of_sqlite:.2} times as long, and not {GET_LEAST}"
        )
        .into()),
        false => Ok(()),
    }
}

/// What is measured.
struct Bench<'b> {
    task: Task,
    threads: usize,
    keys: &'b [Key],
    value: &'b [u8],
}

impl Bench<'_> {
    /// Random keys in the order of the calls, so that reading them is no part of what is measured.
    fn draw(&self, calls: usize, random: &mut Random) -> Vec<Key> {
        let keys = self.keys.len() as u64;
        (0..calls)
            .map(|_| self.keys[random.below(keys) as usize])
            .collect()
    }

    /// How long it takes to call a store with the keys that were drawn, which the threads share.
    fn run(&self, store: &dyn Store, drawn: &[Key]) -> Result<Duration> {
        let begun = Instant::now();
        scope(|scope| {
            let parts = drawn.chunks(drawn.len().div_ceil(self.threads));
            let workers: Vec<_> = parts
                .map(|part| {
                    scope.spawn(move || {
                        let mut keys = part.iter();
                        keys.try_for_each(|key| self.task.call(store, key, self.value))
                            .map_err(|error| error.to_string())
                    })
                })
                .collect();
            for worker in workers {
                worker.join().map_err(|_| "a worker panicked")??;
            }
            Ok(begun.elapsed())
        })
    }

    /// The latency that half of the calls keep, and the one that 99 of 100 do.
    fn latencies(&self, store: &dyn Store, random: &mut Random) -> Result<(String, String)> {
        let mut histogram = Histogram::<u64>::new(3)?;
        for key in self.draw(TIMED, random) {
            let begun = Instant::now();
            self.task.call(store, &key, self.value)?;
            histogram.record(begun.elapsed().as_nanos() as u64)?;
        }
        let shown = |quantile: f64| format!("{} ns", histogram.value_at_quantile(quantile));
        Ok((shown(0.5), shown(0.99)))
    }
}
