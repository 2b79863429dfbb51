//! An adversary of memory: patterns of sizes and lifetimes that are made to strand what was freed, where the
//! next request cannot use it.
//!
//! Each pattern works on a full database that does nothing unasked: whatever is served was made room for by the
//! thread that asked. After each step the database is looked at and worked with ([`Adversary::check`]). In the end
//! one row in twenty is left. Beside them must fit three quarters of the rows that fit into the twin, a fresh database
//! to which the rows that are left were copied; and nine tenths of what an empty one takes once the tables are
//! truncated.
//!
//! In a process of its own: a long operation of one database holds up the freeing of memory in all of them.

#![allow(clippy::unwrap_used, reason = "what must not fail does not")]

use remora::{Connection, Database, Error, Options, Result};

/// A pattern, and its name.
pub type Pattern = (&'static str, fn(&mut Adversary));

/// All patterns.
pub const PATTERNS: [Pattern; 6] = [
    ("interleaved sizes", interleaved_sizes),
    ("every nth row stays", every_nth_row_stays),
    ("texts grow and shrink", texts_grow_and_shrink),
    ("tables come and go", tables_come_and_go),
    ("indexes go and come", indexes_go_and_come),
    ("generations grow", generations_grow),
];

/// The rows that tell how much fits: their texts have a kilobyte.
const PROBE: Rows = Rows {
    table: "probe",
    words: 32,
    batch: 2000,
};
/// Of a table that is thinned out one row in so many stays.
const THINNED: i64 = 20;
/// Bytes that are free where a request of some kilobytes is refused, at most.
const STRANDED_MAX: u64 = 3 << 20;
/// A pattern goes on for so many rounds.
const ROUNDS: i64 = 4;

/// Rows of a table of keys and texts.
#[derive(Clone, Copy)]
struct Rows {
    table: &'static str,
    /// Length of the text in words of 32 letters.
    words: i64,
    /// How many are added at a time, as long as they fit.
    batch: i64,
}

/// The result of a statement that must not fail.
fn done<T>(sql: &str, result: Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("{sql}: {error}; {:?}", error.detail()))
}

/// A database that is full, and what is done to it.
#[derive(Debug)]
pub struct Adversary {
    conn: Connection,
    /// Tables of the pattern, in which key 0 is always there.
    tables: Vec<String>,
    db: Database,
}

impl Adversary {
    fn new(budget: u64) -> Self {
        let options = Options::new().max_memory(budget).manual_maintenance(true);
        let db = Database::in_memory_with(options).unwrap();
        let conn = db.connect().unwrap();
        Self {
            conn,
            tables: Vec::new(),
            db,
        }
    }

    fn run(&self, sql: &str) {
        done(sql, self.conn.execute_batch(sql));
    }

    fn make(&mut self, table: &str) {
        self.run(&format!(
            "CREATE TABLE {table} (k BIGINT PRIMARY KEY, v TEXT)"
        ));
        self.tables.push(table.to_owned());
    }

    fn drop_table(&mut self, table: &str) {
        self.run(&format!("DROP TABLE {table}"));
        self.tables.retain(|other| other != table);
    }

    /// Adds rows from a key on. Fails without a trace.
    fn insert(&self, rows: Rows, from: i64, count: i64) -> Result<()> {
        let sql = format!(
            "INSERT INTO {} SELECT k, repeat(md5(k::text), {}) FROM generate_series($1::bigint, $2::bigint) AS g(k)",
            rows.table, rows.words
        );
        self.conn.execute(&sql, [from, from + count - 1]).map(drop)
    }

    /// Adds rows until not one more fits; returns how many came.
    fn fill(&self, rows: Rows, from: i64) -> i64 {
        let (mut next, mut count) = (from, rows.batch);
        while count > 0 {
            match self.insert(rows, next, count) {
                Ok(()) => next += count,
                Err(error) => {
                    is_refusal(&error);
                    count /= 4;
                }
            }
        }
        next - from
    }

    /// Deletes all rows but one in twenty.
    fn thin(&self, table: &str) {
        self.run(&format!("DELETE FROM {table} WHERE k % {THINNED} <> 0"));
    }

    /// Statements that always work: looks at the system, reads by key, and those that end a transaction or make the
    /// database smaller.
    fn check(&self) {
        for view in [
            "remora_memory",
            "remora_pool",
            "remora_tables",
            "remora_indexes",
        ] {
            self.run(&format!("SELECT * FROM {view}"));
        }
        for table in &self.tables {
            let sql = format!("SELECT k FROM {table} WHERE k = 0");
            let found = self.conn.query_row(&sql, [], |row| row.get::<_, i64>(0));
            assert_eq!(done(&sql, found), 0);
            self.run(&format!("BEGIN; DELETE FROM {table} WHERE k = 0; ROLLBACK"));
            self.run(&format!("BEGIN; DELETE FROM {table} WHERE k = 1; COMMIT"));
        }
        self.run("CHECKPOINT");
    }

    /// How much is free and cannot be had by requests of a few kilobytes, which are refused.
    fn stranded(&self) -> u64 {
        let memory = self.db.memory();
        let of_pool = memory.lines.iter().filter(|line| line.owner == "pool");
        let of_pool: u64 = of_pool.map(|line| line.bytes).sum();
        let reserve = (memory.budget / 8).min(8 << 20);
        let most = memory.budget - reserve;
        most.saturating_sub(memory.used) + of_pool
    }

    /// A fresh database with the rows and the indexes that are left here.
    fn twin(&self) -> Self {
        let mut twin = Self::new(self.db.memory().budget);
        for table in &self.tables {
            twin.make(table);
            self.indexes(table).iter().for_each(|sql| twin.run(sql));
            self.copy_rows(table, &twin);
        }
        twin
    }

    /// The statements that make the indexes of a table, without its primary key.
    fn indexes(&self, table: &str) -> Vec<String> {
        let sql = "SELECT indexdef FROM pg_indexes WHERE tablename = $1 AND indexname NOT LIKE '%\\_pkey'";
        let mut statement = done(sql, self.conn.prepare(sql));
        let rows = done(sql, statement.query_map([table], |row| row.get(0)));
        rows.map(|row| done(sql, row)).collect()
    }

    fn copy_rows(&self, table: &str, twin: &Self) {
        let select = format!("SELECT k, v FROM {table}");
        let insert = format!("INSERT INTO {table} VALUES ($1, $2)");
        let mut statement = done(&select, self.conn.prepare(&select));
        let mut rows = done(&select, statement.query([]));
        twin.run("BEGIN");
        while let Some(row) = done(&select, rows.next()) {
            let row: (i64, String) = (row.get(0).unwrap(), row.get(1).unwrap());
            done(&insert, twin.conn.execute(&insert, row));
        }
        twin.run("COMMIT");
    }

    /// How many rows of the probe fit.
    fn probe(&mut self) -> i64 {
        self.make(PROBE.table);
        self.fill(PROBE, 0)
    }

    /// Thins all tables out, and measures; then empties them, and measures again.
    fn measure(mut self, empty: i64) {
        let budget = self.db.memory().budget;
        let tables = self.tables.clone();
        tables.iter().for_each(|table| self.thin(table));
        let fresh = self.twin().probe();
        let thinned = self.probe();
        let stranded = self.stranded();
        assert!(stranded < STRANDED_MAX, "{budget}: {stranded} bytes");
        self.check();
        self.run("COMPACT");
        for table in &self.tables {
            self.run(&format!("TRUNCATE {table}"));
        }
        self.tables.clear();
        let emptied = self.fill(PROBE, 0);
        self.check();
        let shares = (share(thinned, fresh), share(emptied, empty));
        assert!(shares.0 >= 0.75 && shares.1 >= 0.9, "{budget}: {shares:?}");
        for table in tables {
            self.drop_table(&table);
        }
    }
}

/// Tries a pattern with so many bytes of memory.
///
/// # Panics
/// Where something fails that must not, or what was freed cannot be used.
pub fn attempt((_, pattern): Pattern, budget: u64) {
    let empty = Adversary::new(budget).probe();
    let mut adversary = Adversary::new(budget);
    pattern(&mut adversary);
    adversary.measure(empty);
}

fn share(rows: i64, of: i64) -> f64 {
    rows as f64 / of as f64
}

fn is_refusal(error: &Error) {
    assert_eq!(error.sqlstate(), "53200", "{error}");
}

/// Small rows and large ones lie side by side; then one sort goes, and then the other.
fn interleaved_sizes(adversary: &mut Adversary) {
    let sorts = [("small", 1, 400), ("large", 96, 20)];
    let sorts = sorts.map(|(table, words, batch)| Rows {
        table,
        words,
        batch,
    });
    sorts.iter().for_each(|rows| adversary.make(rows.table));
    let mut next = [0, 0];
    'full: loop {
        for (rows, next) in sorts.iter().zip(&mut next) {
            if let Err(error) = adversary.insert(*rows, *next, rows.batch) {
                is_refusal(&error);
                break 'full;
            }
            *next += rows.batch;
        }
    }
    adversary.check();
    for (gone, rows) in [(0, sorts[1]), (1, sorts[0])] {
        adversary.thin(sorts[gone].table);
        let from = next[1 - gone];
        next[1 - gone] += adversary.fill(rows, from);
        adversary.check();
    }
}

/// Of short rows every twentieth stays, where longer ones are to go.
fn every_nth_row_stays(adversary: &mut Adversary) {
    let mut from = 0;
    adversary.make("mixed");
    for words in [2, 8, 48, 200] {
        let rows = Rows {
            table: "mixed",
            words,
            batch: (40_000 / words).min(4000),
        };
        from += adversary.fill(rows, from);
        adversary.check();
        adversary.thin("mixed");
        adversary.check();
    }
}

/// Texts grow and shrink by UPDATE, some rows at a time.
fn texts_grow_and_shrink(adversary: &mut Adversary) {
    let rows = Rows {
        table: "texts",
        words: 16,
        batch: 2000,
    };
    adversary.make("texts");
    let count = adversary.fill(rows, 0);
    adversary.run(&format!("DELETE FROM texts WHERE k >= {}", count / 3));
    for words in [1, 40, 3, 100] {
        for from in (0..count / 3).step_by(500) {
            let sql = format!(
                "UPDATE texts SET v = repeat(md5(k::text), {words}) WHERE k >= {from} AND k < {from} + 500"
            );
            if let Err(error) = adversary.conn.execute(&sql, []) {
                is_refusal(&error);
                break;
            }
        }
        adversary.check();
    }
}

/// Tables come, each with an index, until none fits; every other one goes.
fn tables_come_and_go(adversary: &mut Adversary) {
    const NAMES: [&str; 24] = [
        "t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9", "t10", "t11", "t12", "t13",
        "t14", "t15", "t16", "t17", "t18", "t19", "t20", "t21", "t22", "t23",
    ];
    for round in 0..ROUNDS {
        let mut words = 1 + round;
        for table in NAMES {
            if adversary.tables.iter().any(|other| other == table) {
                continue;
            }
            adversary.make(table);
            adversary.run(&format!("CREATE INDEX {table}_v ON {table} (v)"));
            let rows = Rows {
                table,
                words,
                batch: 500,
            };
            // Two dozen of them would be twice the budget, with what an index takes.
            let count = adversary.db.memory().budget as i64 / (24 * 32 * words);
            if let Err(error) = adversary.insert(rows, 0, count) {
                is_refusal(&error);
                adversary.drop_table(table);
                break;
            }
            words += 1;
        }
        adversary.check();
        let gone: Vec<String> = adversary.tables.iter().step_by(2).cloned().collect();
        gone.iter().for_each(|table| adversary.drop_table(table));
    }
}

/// Indexes go where memory is full, and come again where nine rows in ten went.
fn indexes_go_and_come(adversary: &mut Adversary) {
    let rows = Rows {
        table: "indexed",
        words: 2,
        batch: 4000,
    };
    adversary.make("indexed");
    let indexes = [
        "CREATE INDEX by_text ON indexed (v)",
        "CREATE INDEX by_hash ON indexed USING HASH (v)",
    ];
    indexes.iter().for_each(|sql| adversary.run(sql));
    let mut next = adversary.fill(rows, 0);
    for _ in 0..ROUNDS / 2 {
        adversary.check();
        adversary.run("DROP INDEX by_text; DROP INDEX by_hash");
        next += adversary.fill(rows, next);
        adversary.check();
        adversary.run("DELETE FROM indexed WHERE k % 10 <> 0");
        indexes.iter().for_each(|sql| adversary.run(sql));
        next += adversary.fill(rows, next);
    }
    adversary.check();
}

/// Rows of each generation are a little longer than those of the last, of which one in twenty stays.
fn generations_grow(adversary: &mut Adversary) {
    const TABLES: [&str; 6] = ["g0", "g1", "g2", "g3", "g4", "g5"];
    for (age, table) in TABLES.into_iter().enumerate() {
        let words = [6, 7, 9, 12, 16, 21][age];
        adversary.make(table);
        let rows = Rows {
            table,
            words,
            batch: 2000,
        };
        adversary.fill(rows, 0);
        adversary.check();
        adversary.thin(table);
        if age >= 2 {
            adversary.drop_table(TABLES[age - 2]);
        }
    }
}
