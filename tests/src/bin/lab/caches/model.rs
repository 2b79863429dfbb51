//! Random statements over tables that lose rows by themselves, beside a model.
//!
//! Three tables: rows of one expire, one is a cache, one is both. Sessions at both levels read and write them, alone and in
//! blocks, while the clock goes on, the background runs, checkpoints are taken, and the power fails.
//!
//! The model knows what was committed, and what each block sees: a copy of that, its own changes, and one time.
//!
//! - A row that expires is there exactly until its moment.
//! - A cache may have forgotten a row, and never shows another one than was written last; it has no more rows than it may.
//! - All ways to look at a table agree, and `now()` says the time that rows are judged by.
//! - What a block has written was changed by no other transaction since its snapshot.

use crate::Result;
use remora::testing::{ManualTime, SimDisk};
use remora::{Connection, Database, Error, Options};
use remora_tests::random::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

const SESSIONS: usize = 4;
const KEYS: u64 = 24;
const CACHE_ROWS: usize = 8;
const TTL: i64 = 60_000_000;
const NEVER: i64 = i64::MAX;

struct Kind {
    name: &'static str,
    with: &'static str,
    expires: bool,
    evicts: bool,
}

const KINDS: [Kind; 3] = [
    Kind {
        name: "visit",
        with: "ttl_expire_after = '1 minute'",
        expires: true,
        evicts: false,
    },
    Kind {
        name: "page",
        with: "eviction = 'lru', max_rows = 8",
        expires: false,
        evicts: true,
    },
    Kind {
        name: "note",
        with: "eviction = 'lfu', max_rows = 8, ttl_expire_after = '1 minute', ttl_reset = 'insert'",
        expires: true,
        evicts: true,
    },
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Row {
    value: i64,
    expires: i64,
}

/// Rows by key.
type Rows = BTreeMap<i64, Row>;

/// The view of a block, with its own changes.
struct Block {
    time: i64,
    seen: [Rows; 3],
    written: [BTreeSet<i64>; 3],
    /// Keys that were there when it began.
    first: [BTreeSet<i64>; 3],
    /// Commits when it began.
    since: u64,
}

struct Session {
    conn: Connection,
    block: Option<Block>,
}

struct World {
    random: Random,
    disk: SimDisk,
    time: ManualTime,
    now: i64,
    db: Option<Database>,
    sessions: Vec<Session>,
    committed: [Rows; 3],
    /// Rows that caches have given up, and that are back if a crash takes that back.
    ghosts: [Rows; 3],
    /// The commit that wrote a key last.
    changed: BTreeMap<(usize, i64), u64>,
    commits: u64,
    conflicts: u64,
    log: Vec<String>,
}

/// Takes so many steps.
///
/// # Errors
/// The first difference, with the seed and the last statements.
pub(super) fn run(steps: usize, seed: u64) -> Result<()> {
    let mut world = World::new(seed)?;
    for step in 0..steps {
        if let Err(error) = world.step() {
            let last = world.log.iter().rev().take(30).rev();
            for line in last {
                println!("{line}");
            }
            return Err(format!("seed {seed}, step {step}: {error}").into());
        }
    }
    println!(
        "{steps} steps, seed {seed}: {} commits, {} conflicts, no difference",
        world.commits, world.conflicts
    );
    Ok(())
}

impl World {
    fn new(seed: u64) -> Result<Self> {
        let now = 1_000_000_000;
        let mut world = Self {
            random: Random::new(seed),
            disk: SimDisk::new(),
            time: ManualTime::at(UNIX_EPOCH + Duration::from_micros(now)),
            now: now as i64,
            db: None,
            sessions: Vec::new(),
            committed: Default::default(),
            ghosts: Default::default(),
            changed: BTreeMap::new(),
            commits: 0,
            conflicts: 0,
            log: Vec::new(),
        };
        world.open()?;
        for kind in &KINDS {
            let sql = format!(
                "CREATE TABLE {} (k BIGINT PRIMARY KEY, v BIGINT) WITH ({})",
                kind.name, kind.with
            );
            world.sessions[0].conn.execute(&sql, [])?;
        }
        Ok(world)
    }

    fn open(&mut self) -> Result<()> {
        let options = Options::new()
            .manual_maintenance(true)
            .time_source(Arc::new(self.time.clone()));
        let db = Database::open_on(Arc::new(self.disk.clone()), options)?;
        for number in 0..SESSIONS {
            let conn = db.connect()?;
            let level = ["SERIALIZABLE", "SNAPSHOT"][number % 2];
            conn.execute(
                &format!("SET default_transaction_isolation = '{level}'"),
                [],
            )?;
            self.sessions.push(Session { conn, block: None });
        }
        self.db = Some(db);
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        let session = self.random.below(SESSIONS as u64) as usize;
        let table = self.random.below(3) as usize;
        match self.random.below(1000) {
            0..4 => self.crash(),
            4..8 => self.checkpoint(),
            8..60 => self.advance(),
            60..110 => self.background(),
            110..250 => self.begin_or_end(session),
            250..420 => self.look(session, table),
            420..620 => self.insert(session, table),
            620..830 => self.update(session, table),
            830..900 => self.delete(session, table),
            _ => self.look_up(session, table),
        }
    }

    fn note(&mut self, line: String) {
        self.log.push(line);
    }

    fn advance(&mut self) -> Result<()> {
        let micros = self.random.below(25_000_000);
        self.time.advance(Duration::from_micros(micros));
        self.now += micros as i64;
        self.note(format!("-- {micros} microseconds"));
        Ok(())
    }

    fn background(&mut self) -> Result<()> {
        self.note("-- background".to_owned());
        Ok(self.db.as_ref().map_or(Ok(()), Database::run_background)?)
    }

    fn checkpoint(&mut self) -> Result<()> {
        self.note("-- checkpoint".to_owned());
        if let Some(db) = &self.db {
            db.checkpoint()?;
        }
        self.ghosts = Default::default();
        Ok(())
    }

    /// The power fails: blocks are gone, and what was committed is there.
    fn crash(&mut self) -> Result<()> {
        self.note("-- crash".to_owned());
        let left = match self.random.chance(50) {
            true => self.disk.crashed(),
            false => self.disk.torn(),
        };
        self.sessions.clear();
        self.db = None;
        self.disk = left;
        for (rows, ghosts) in self.committed.iter_mut().zip(&mut self.ghosts) {
            for (key, row) in std::mem::take(ghosts) {
                rows.entry(key).or_insert(row);
            }
        }
        self.open()?;
        (0..3).try_for_each(|table| self.look(0, table))
    }

    fn begin_or_end(&mut self, number: usize) -> Result<()> {
        let Some(block) = self.sessions[number].block.take() else {
            let conn = &self.sessions[number].conn;
            conn.execute("BEGIN", [])?;
            // The snapshot is taken with the first statement, and the time with it.
            let time = micros_of(conn)?;
            if time != self.now {
                return Err(format!("now() is {time} and not {}", self.now).into());
            }
            self.sessions[number].block = Some(Block {
                time,
                seen: self.committed.clone(),
                written: Default::default(),
                first: std::array::from_fn(|table| self.committed[table].keys().copied().collect()),
                since: self.commits,
            });
            self.note(format!("{number}: BEGIN"));
            return Ok(());
        };
        if self.random.chance(20) {
            self.note(format!("{number}: ROLLBACK"));
            self.sessions[number].conn.execute("ROLLBACK", [])?;
            return Ok(());
        }
        self.note(format!("{number}: COMMIT"));
        match self.sessions[number].conn.execute("COMMIT", []) {
            Ok(_) => self.commit(block),
            Err(error) => self.conflict(number, error),
        }
    }

    fn commit(&mut self, block: Block) -> Result<()> {
        let writes = block.written.iter().any(|keys| !keys.is_empty());
        self.commits += u64::from(writes);
        for (table, keys) in block.written.iter().enumerate() {
            for key in keys {
                let changed = self.changed.get(&(table, *key)).copied().unwrap_or(0);
                // A key that came and was evicted since is free.
                let is_free = KINDS[table].evicts && !block.first[table].contains(key);
                if changed > block.since && !is_free {
                    return Err(format!(
                        "{} {key} was changed since the snapshot",
                        KINDS[table].name
                    )
                    .into());
                }
                self.set(table, *key, block.seen[table].get(key).copied());
            }
        }
        if writes {
            self.ghosts = Default::default();
        }
        Ok(())
    }

    /// Sets what is committed of a key.
    fn set(&mut self, table: usize, key: i64, row: Option<Row>) {
        self.changed.insert((table, key), self.commits);
        self.ghosts[table].remove(&key);
        match row {
            Some(row) => self.committed[table].insert(key, row),
            None => self.committed[table].remove(&key),
        };
    }

    /// A transaction has lost: nothing of it is left.
    fn conflict(&mut self, number: usize, error: Error) -> Result<()> {
        if error.sqlstate() != "40001" {
            return Err(format!("{number}: {error}").into());
        }
        self.conflicts += 1;
        self.note(format!("{number}: {error}"));
        if self.sessions[number].block.take().is_some() {
            self.sessions[number].conn.execute("ROLLBACK", [])?;
        }
        Ok(())
    }

    fn time(&self, number: usize) -> i64 {
        let block = self.sessions[number].block.as_ref();
        block.map_or(self.now, |block| block.time)
    }

    /// Rows of a table that a session may see now.
    fn seen(&self, number: usize, table: usize) -> Rows {
        let block = self.sessions[number].block.as_ref();
        let rows = block.map_or(&self.committed[table], |block| &block.seen[table]);
        let time = self.time(number);
        let is_there = |row: &Row| row.expires > time;
        let there = rows.iter().filter(|(_, row)| is_there(row));
        there.map(|(key, row)| (*key, *row)).collect()
    }

    /// Whether another session has a key that it may yet commit: whoever writes it alone would try again and again.
    fn is_held(&self, number: usize, table: usize, key: i64) -> bool {
        let others = self.sessions.iter().enumerate();
        let mut blocks = others
            .filter_map(|(other, session)| session.block.as_ref().filter(|_| other != number));
        self.sessions[number].block.is_none()
            && blocks.any(|block| block.written[table].contains(&key))
    }

    fn insert(&mut self, number: usize, table: usize) -> Result<()> {
        let (kind, key) = (&KINDS[table], self.random.below(KEYS) as i64);
        if self.is_held(number, table, key) {
            return Ok(());
        }
        let value = self.random.below(1000) as i64;
        let time = self.time(number);
        let (expires, sql) = match kind.expires {
            true if self.random.chance(30) => {
                let after = self.random.below(90) as i64 * 1_000_000;
                let moment = format!("to_timestamp({}::DOUBLE PRECISION / 1000000)", time + after);
                let sql = format!(
                    "INSERT INTO {} (k, v, expires_at) VALUES ({key}, {value}, {moment})",
                    kind.name
                );
                (time + after, sql)
            }
            expires => {
                let moment = if expires { time + TTL } else { NEVER };
                let sql = format!("INSERT INTO {} VALUES ({key}, {value})", kind.name);
                (moment, sql)
            }
        };
        let was_there = self.seen(number, table).contains_key(&key);
        let done = self.sessions[number].conn.execute(&sql, []);
        self.note(format!("{number}: {sql} -> {done:?}"));
        match done {
            Ok(_) if was_there && !kind.evicts => Err("a key is there twice".into()),
            Ok(_) => self.wrote(number, table, key, Some(Row { value, expires })),
            Err(error) if error.sqlstate() == "23505" && was_there => self.failed(number),
            Err(error) => self.conflict(number, error),
        }
    }

    /// A statement has failed, and with it its block.
    fn failed(&mut self, number: usize) -> Result<()> {
        if self.sessions[number].block.take().is_some() {
            self.sessions[number].conn.execute("ROLLBACK", [])?;
        }
        Ok(())
    }

    fn wrote(&mut self, number: usize, table: usize, key: i64, row: Option<Row>) -> Result<()> {
        if let Some(block) = &mut self.sessions[number].block {
            block.written[table].insert(key);
            match row {
                Some(row) => block.seen[table].insert(key, row),
                None => block.seen[table].remove(&key),
            };
            return Ok(());
        }
        self.commits += 1;
        self.set(table, key, row);
        self.ghosts = Default::default();
        Ok(())
    }

    fn update(&mut self, number: usize, table: usize) -> Result<()> {
        let (kind, key) = (&KINDS[table], self.random.below(KEYS) as i64);
        if self.is_held(number, table, key) {
            return Ok(());
        }
        let before = self.seen(number, table).get(&key).copied();
        let by_key = self.random.chance(70);
        let condition = match by_key {
            true => format!("k = {key}"),
            false => format!("k + 0 = {key}"),
        };
        let sql = format!("UPDATE {} SET v = v + 1 WHERE {condition}", kind.name);
        let done = self.sessions[number].conn.execute(&sql, []);
        self.note(format!("{number}: {sql} -> {done:?}"));
        match (done, before) {
            (Ok(1), Some(row)) => {
                let resets = kind.expires && !kind.with.contains("ttl_reset");
                let row = Row {
                    value: row.value + 1,
                    expires: if resets {
                        self.time(number) + TTL
                    } else {
                        row.expires
                    },
                };
                self.wrote(number, table, key, Some(row))
            }
            (Ok(0), None) => Ok(()),
            (Ok(0), Some(_)) if kind.evicts => self.forget(number, table, key),
            (Ok(rows), _) => Err(format!("{rows} rows, and {before:?} was there").into()),
            (Err(error), _) => self.conflict(number, error),
        }
    }

    fn delete(&mut self, number: usize, table: usize) -> Result<()> {
        let (kind, key) = (&KINDS[table], self.random.below(KEYS) as i64);
        if self.is_held(number, table, key) {
            return Ok(());
        }
        let before = self.seen(number, table).get(&key).copied();
        let sql = format!("DELETE FROM {} WHERE k = {key}", kind.name);
        let done = self.sessions[number].conn.execute(&sql, []);
        self.note(format!("{number}: {sql} -> {done:?}"));
        match (done, before) {
            (Ok(1), Some(_)) => self.wrote(number, table, key, None),
            (Ok(0), None) => Ok(()),
            (Ok(0), Some(_)) if kind.evicts => self.forget(number, table, key),
            (Ok(rows), _) => Err(format!("{rows} rows, and {before:?} was there").into()),
            (Err(error), _) => self.conflict(number, error),
        }
    }

    /// A cache has given up a row, as a session has found.
    fn forget(&mut self, number: usize, table: usize, key: i64) -> Result<()> {
        match &mut self.sessions[number].block {
            Some(block) => {
                block.seen[table].remove(&key);
            }
            None => {
                if let Some(row) = self.committed[table].remove(&key) {
                    self.ghosts[table].insert(key, row);
                }
            }
        }
        Ok(())
    }

    fn look_up(&mut self, number: usize, table: usize) -> Result<()> {
        let key = self.random.below(KEYS) as i64;
        let sql = format!("SELECT v FROM {} WHERE k = $1", KINDS[table].name);
        let found = self.sessions[number]
            .conn
            .query_row(&sql, [key], |row| row.get::<_, i64>(0))
            .ok();
        self.note(format!("{number}: {sql} {key} -> {found:?}"));
        let expected = self.seen(number, table).get(&key).map(|row| row.value);
        match (found, expected) {
            (found, expected) if found == expected => Ok(()),
            (None, Some(_)) if KINDS[table].evicts => self.forget(number, table, key),
            _ => Err(format!("{expected:?} was expected").into()),
        }
    }

    /// Looks at a table in several ways.
    fn look(&mut self, number: usize, table: usize) -> Result<()> {
        let kind = &KINDS[table];
        let conn = &self.sessions[number].conn;
        let sql = format!("SELECT k, v FROM {} ORDER BY v + 0, k", kind.name);
        let mut statement = conn.prepare(&sql)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let found: BTreeMap<i64, i64> = rows.collect::<std::result::Result<_, _>>()?;
        let name = kind.name;
        let ways = [
            format!("SELECT count(*) FROM {name}"),
            format!("SELECT count(*) FROM (SELECT k FROM {name} ORDER BY k DESC LIMIT 100) t"),
            format!("SELECT count(*) FROM {name} WHERE k BETWEEN 0 AND 100"),
            format!("SELECT count(*) FROM generate_series(0, 100) n JOIN {name} ON k = n"),
            format!(
                "SELECT count(*) FROM {name} WHERE k = ANY (ARRAY(SELECT generate_series(0, 100)::BIGINT))"
            ),
            format!(
                "SELECT count(*) FROM generate_series(0, 100) n WHERE EXISTS (SELECT 1 FROM {name} WHERE k = n)"
            ),
        ];
        let mut counts = Vec::new();
        for way in &ways {
            counts.push(conn.query_row(way, [], |row| row.get::<_, i64>(0))?);
        }
        let line = format!("{number}: {sql} -> {found:?}, {counts:?}");
        self.note(line);
        if counts.iter().any(|count| *count != found.len() as i64) {
            return Err("looks do not agree".into());
        }
        let seen = self.seen(number, table);
        let is_alone = self.sessions[number].block.is_none();
        if kind.evicts && is_alone && found.len() > CACHE_ROWS {
            return Err("there are more rows than there may be".into());
        }
        for (key, value) in &found {
            if seen.get(key).is_none_or(|row| row.value != *value) {
                return Err(
                    format!("row {key} is {value}, and {:?} was expected", seen.get(key)).into(),
                );
            }
        }
        let missing: Vec<i64> = seen
            .keys()
            .filter(|key| !found.contains_key(key))
            .copied()
            .collect();
        match missing.first() {
            Some(key) if !kind.evicts => Err(format!("row {key} is missing").into()),
            _ => missing
                .into_iter()
                .try_for_each(|key| self.forget(number, table, key)),
        }
    }
}

/// The time of a session's transaction, in microseconds.
fn micros_of(conn: &Connection) -> Result<i64> {
    let sql = "SELECT (extract(epoch FROM now()) * 1000000)::BIGINT";
    Ok(conn.query_row(sql, [], |row| row.get(0))?)
}
