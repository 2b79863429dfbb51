//! Random transactions, run by several threads at once and written down.

use super::{
    Answer, Committed, Event, Failure, Filter, GROUPS, KEYS, Level, Operation, Row, TABLES, Tally,
};
use crate::random::Random;
use remora::{Connection, Database, Error, Result, Statement, Value};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

/// Statements of a transaction at most.
const STATEMENTS: u64 = 7;
/// Savepoints within each other at most.
const SAVEPOINTS: u64 = 4;
/// Reads may lock or share what they find: the answer is the same.
const LOCKS: [&str; 4] = [
    " FOR UPDATE",
    " FOR SHARE",
    " FOR KEY SHARE",
    " FOR NO KEY UPDATE NOWAIT",
];
/// Of four threads one waits for rivals, so long.
const LOCK_TIMEOUT: &str = "SET lock_timeout = '2ms'";
/// Values that one statement may write: above all keys.
const VALUES: i64 = 1 << 6;

/// Runs so many transactions on an empty database. Returns those that committed.
pub fn run(
    database: &Database,
    level: Level,
    threads: usize,
    transactions: u64,
    seed: u64,
) -> Result<(Vec<Committed>, Tally), Failure> {
    let setup = database.connect()?;
    for table in TABLES {
        setup.execute_batch(&format!(
            "CREATE TABLE {table} (k BIGINT PRIMARY KEY, g BIGINT NOT NULL, v BIGINT NOT NULL, list TEXT NOT NULL);
             CREATE INDEX {table}_g ON {table} (g);
             CREATE INDEX {table}_v ON {table} USING HASH (v)"
        ))?;
    }
    let given = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    let results = thread::scope(|scope| {
        let changer = scope.spawn(|| change_structure(database, &done, seed));
        let workers: Vec<_> = (0..threads as u64)
            .map(|thread| {
                let (given, random) = (&given, Random::new(seed ^ (thread + 1) << 32));
                let waits = thread % 4 == 3;
                scope.spawn(move || work(database, level, waits, random, given, transactions))
            })
            .collect();
        let results: Vec<_> = workers
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect();
        done.store(true, Relaxed);
        (results, changer.join())
    });
    let (workers, changer) = results;
    changer.map_err(|_| "the thread that changes the structure panicked")??;
    let mut all = Vec::new();
    let mut sum = Tally::default();
    for worker in workers {
        let (history, tally) = worker.map_err(|_| "a thread panicked")??;
        all.extend(history);
        sum.add(tally);
    }
    Ok((all, sum))
}

/// Creates and drops indexes until the others are done.
fn change_structure(database: &Database, done: &AtomicBool, seed: u64) -> Result<(), Failure> {
    let connection = database.connect()?;
    let mut random = Random::new(seed);
    let mut has_index = false;
    while !done.load(Relaxed) {
        let made = if has_index {
            connection.execute("DROP INDEX passing", [])
        } else {
            let table = TABLES[random.below(TABLES.len() as u64) as usize];
            let how = ["(v, k)", "(g DESC, list)", "USING HASH (g)"][random.below(3) as usize];
            connection.execute(&format!("CREATE INDEX passing ON {table} {how}"), [])
        };
        match made {
            Ok(_) => has_index = !has_index,
            Err(error) if error.is_retryable() => {}
            Err(error) => return Err(error.into()),
        }
        thread::sleep(Duration::from_micros(random.below(20_000)));
    }
    Ok(())
}

fn work(
    database: &Database,
    level: Level,
    waits: bool,
    random: Random,
    given: &AtomicU64,
    transactions: u64,
) -> Result<(Vec<Committed>, Tally), Failure> {
    let connection = database.connect()?;
    if waits {
        connection.execute(LOCK_TIMEOUT, [])?;
    }
    let mut worker = Worker {
        connection: &connection,
        statements: HashMap::new(),
        begin: match level {
            Level::Serializable => "BEGIN ISOLATION LEVEL SERIALIZABLE",
            Level::Snapshot => "BEGIN ISOLATION LEVEL SNAPSHOT",
        },
        random,
        last_value: 0,
    };
    let mut history = Vec::new();
    let mut tally = Tally::default();
    loop {
        let number = given.fetch_add(1, Relaxed);
        if number >= transactions {
            return Ok((history, tally));
        }
        match worker.transaction(number) {
            Ok(Some(committed)) => {
                tally.committed += 1;
                history.push(committed);
            }
            Ok(None) => tally.rolled_back += 1,
            Err(error) if error.is_retryable() || is_held(&error) => {
                tally.aborted += 1;
                if connection.is_in_transaction() {
                    connection.execute("ROLLBACK", [])?;
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

struct Worker<'conn> {
    connection: &'conn Connection,
    statements: HashMap<String, Statement<'conn>>,
    begin: &'static str,
    random: Random,
    /// Some value that was seen last: it may be there still.
    last_value: i64,
}

impl<'conn> Worker<'conn> {
    /// Runs one transaction; `None` where it was rolled back on purpose.
    fn transaction(&mut self, number: u64) -> Result<Option<Committed>> {
        let reads_only = self.random.below(8) == 0;
        self.connection.execute(self.begin, [])?;
        if reads_only {
            self.connection.execute("SET TRANSACTION READ ONLY", [])?;
        }
        let mut events = Vec::new();
        let mut depth = 0;
        let mut snapshot = None;
        for statement in 0..=self.random.below(STATEMENTS) {
            let table = self.random.below(TABLES.len() as u64) as usize;
            let value = (number * (STATEMENTS + 1) + statement + 1) as i64 * VALUES;
            let operation = match reads_only {
                true => Operation::Read(self.filter()),
                false => self.operation(value, depth),
            };
            match operation {
                Operation::Savepoint => depth += 1,
                Operation::Release => depth -= 1,
                _ => {}
            }
            let lock = match reads_only || self.random.below(4) > 0 {
                true => "",
                false => LOCKS[self.random.below(LOCKS.len() as u64) as usize],
            };
            let answer = self.run(table, &operation, lock, depth)?;
            snapshot = snapshot.or(self.connection.snapshot()?);
            events.push(Event {
                table,
                operation,
                answer,
            });
            if self.random.below(4) == 0 {
                // There are fewer processors than threads.
                thread::yield_now();
            }
        }
        if self.random.below(10) == 0 {
            self.connection.execute("ROLLBACK", [])?;
            return Ok(None);
        }
        self.connection.execute("COMMIT", [])?;
        Ok(Some(Committed {
            snapshot: snapshot.unwrap_or_default(),
            commit: self.connection.last_commit()?,
            events,
        }))
    }

    fn operation(&mut self, value: i64, depth: u64) -> Operation {
        let random = &mut self.random;
        let key = |random: &mut Random| random.below(KEYS as u64) as i64;
        let group = random.below(GROUPS as u64) as i64;
        match random.below(22) {
            0..=4 => Operation::Read(self.filter()),
            5 => Operation::First(key(random), 1 + random.below(3) as i64),
            6 => Operation::Sum,
            7..=10 => Operation::Insert {
                k: key(random),
                g: group,
                v: value,
            },
            11..=13 => Operation::Update(self.filter(), group, value),
            14..=15 => Operation::Append(self.filter(), value),
            16 => Operation::Move(key(random), key(random), value),
            17..=18 => Operation::Delete(self.filter()),
            19 if depth > 0 => Operation::Release,
            20 if depth > 0 => Operation::RollbackTo,
            _ if depth < SAVEPOINTS => Operation::Savepoint,
            _ => Operation::Sum,
        }
    }

    fn filter(&mut self) -> Filter {
        let random = &mut self.random;
        let key = random.below(KEYS as u64) as i64;
        match random.below(12) {
            0..=5 => Filter::Key(key),
            6 | 7 => Filter::Group(random.below(GROUPS as u64) as i64),
            8 => Filter::Value(self.last_value),
            9 => Filter::Range(key, key + 1 + random.below(4) as i64),
            10 => Filter::Remainder(random.below(3) as i64),
            _ => Filter::All,
        }
    }

    /// Runs a statement; one that reads with a clause that locks.
    fn run(
        &mut self,
        table: usize,
        operation: &Operation,
        lock: &str,
        depth: u64,
    ) -> Result<Answer> {
        let name = TABLES[table];
        let (condition, mut params) = match operation {
            Operation::Read(filter)
            | Operation::Update(filter, ..)
            | Operation::Append(filter, _)
            | Operation::Delete(filter) => condition(filter),
            _ => ("", Vec::new()),
        };
        let next = params.len() + 1;
        match operation {
            Operation::Read(_) => self.rows(
                format!("SELECT k, g, v, list FROM {name}{condition}{lock}"),
                &params,
            ),
            Operation::First(low, limit) => self.rows(
                format!(
                    "SELECT k, g, v, list FROM {name} WHERE k >= $1 ORDER BY k LIMIT {limit}{lock}"
                ),
                &[Value::BigInt(*low)],
            ),
            Operation::Sum => {
                let sql = format!("SELECT count(*), coalesce(sum(v), 0)::bigint FROM {name}");
                let statement = self.statement(sql)?;
                statement.query_row([], |row| Ok(Answer::Sum(row.get(0)?, row.get(1)?)))
            }
            Operation::Insert { k, g, v } => self.guarded(
                depth,
                format!("INSERT INTO {name} VALUES ($1, $2, $3, '')"),
                &[k, g, &(v + k)].map(|value| Value::BigInt(*value)),
            ),
            Operation::Move(from, to, v) => self.guarded(
                depth,
                format!("UPDATE {name} SET k = $2, v = $3 WHERE k = $1"),
                &[from, to, &(v + from)].map(|value| Value::BigInt(*value)),
            ),
            Operation::Update(_, g, v) => {
                params.extend([Value::BigInt(*g), Value::BigInt(*v)]);
                let (g, v) = (next, next + 1);
                self.change(
                    format!("UPDATE {name} SET g = ${g}, v = ${v} + k{condition}"),
                    &params,
                )
            }
            Operation::Append(_, v) => {
                params.push(Value::BigInt(*v));
                let sql = format!(
                    "UPDATE {name} SET v = ${next} + k, list = list || ',' || (${next} + k)::text{condition}"
                );
                self.change(sql, &params)
            }
            Operation::Delete(_) => self.change(format!("DELETE FROM {name}{condition}"), &params),
            Operation::Savepoint => self.change(format!("SAVEPOINT s{depth}"), &[]),
            Operation::RollbackTo => self.change(format!("ROLLBACK TO s{depth}"), &[]),
            Operation::Release => self.change(format!("RELEASE s{}", depth + 1), &[]),
        }
    }

    fn statement(&mut self, sql: String) -> Result<&mut Statement<'conn>> {
        let statement = match self.statements.entry(sql) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let statement = self.connection.prepare(entry.key())?;
                entry.insert(statement)
            }
        };
        Ok(statement)
    }

    fn rows(&mut self, sql: String, params: &[Value]) -> Result<Answer> {
        let found = self.statement(sql)?.query_map(params, |row| {
            let (g, v, list) = (row.get(1)?, row.get(2)?, row.get(3)?);
            Ok((row.get(0)?, Row { g, v, list }))
        })?;
        let mut rows = found.collect::<Result<Vec<(i64, Row)>>>()?;
        rows.sort();
        if let Some((_, row)) = rows.last() {
            self.last_value = row.v;
        }
        Ok(Answer::Rows(rows))
    }

    fn change(&mut self, sql: String, params: &[Value]) -> Result<Answer> {
        self.statement(sql)?.execute(params).map(Answer::Changed)
    }

    /// A change that may meet a key that is there already.
    fn guarded(&mut self, depth: u64, sql: String, params: &[Value]) -> Result<Answer> {
        let name = format!("guard{depth}");
        self.change(format!("SAVEPOINT {name}"), &[])?;
        let answer = match self.change(sql, params) {
            Err(error) if is_duplicate(&error) => {
                self.change(format!("ROLLBACK TO {name}"), &[])?;
                Answer::Duplicate
            }
            other => other?,
        };
        self.change(format!("RELEASE {name}"), &[])?;
        Ok(answer)
    }
}

/// A row was a rival's, who did not end in time.
fn is_held(error: &Error) -> bool {
    error.sqlstate() == "55P03"
}

fn is_duplicate(error: &Error) -> bool {
    error.sqlstate() == "23505"
}

/// A filter in SQL, with the values of its parameters.
fn condition(filter: &Filter) -> (&'static str, Vec<Value>) {
    let one = |value: i64| vec![Value::BigInt(value)];
    match *filter {
        Filter::Key(k) => (" WHERE k = $1", one(k)),
        Filter::Group(g) => (" WHERE g = $1", one(g)),
        Filter::Value(v) => (" WHERE v = $1", one(v)),
        Filter::Range(low, high) => (
            " WHERE k >= $1 AND k < $2",
            vec![Value::BigInt(low), Value::BigInt(high)],
        ),
        Filter::Remainder(rest) => (" WHERE v % 3 = $1", one(rest)),
        Filter::All => ("", Vec::new()),
    }
}
