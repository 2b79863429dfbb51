//! Memory that was freed can be used: a database is filled with rows of one shape, emptied of most of them,
//! and filled with rows of another.
//!
//! For each pair of shapes, and each way to empty the database (nine rows in ten at random, or TRUNCATE):
//!
//! 1. *fresh*: how many bytes of rows of the second shape a fresh database of that budget takes;
//! 2. *reused*: how many it takes after it was filled with the first shape and emptied, beside what was left;
//! 3. the time from the end of the deletion to the first insert, and the largest resident size.
//!
//! Each case runs in a process of its own, because the resident size is that of a process. The tool fails where a
//! promise of `docs/sql/memory.md` does not hold: the share of fresh is too small, the first insert too late,
//! something that frees memory was refused, or the process too large.
//!
//! ```text
//! cargo run --release -p remora-tests -- memory [--budget 48,256] [--only tiny,long] [--how delete]
//! ```

use crate::Result;
use crate::arguments::Arguments;
use remora::{Connection, Database, Options};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Memory that the process may take beside its budget.
const BESIDE_BYTES: u64 = 32 << 20;
/// From the end of a deletion to the first insert.
const FIRST_INSERT: Duration = Duration::from_secs(2);

/// Rows of one kind.
struct Shape {
    name: &'static str,
    /// Makes table `NAME`, whose key is `k BIGINT`.
    schema: &'static str,
    /// What is inserted beside the key, as an expression over `k`.
    values: &'static str,
    /// Rows that are inserted at a time, as long as they fit.
    batch: i64,
}

const SHAPES: [Shape; 4] = [
    Shape {
        name: "tiny",
        schema: "CREATE TABLE tiny (k BIGINT PRIMARY KEY, v BIGINT)",
        values: "k * 3",
        batch: 20_000,
    },
    Shape {
        name: "indexed",
        schema: "CREATE TABLE indexed (k BIGINT PRIMARY KEY, a BIGINT, b TEXT, c DOUBLE PRECISION);
                 CREATE INDEX indexed_a ON indexed (a); CREATE INDEX indexed_b ON indexed (b);
                 CREATE INDEX indexed_c ON indexed (c, k)",
        values: "(k * 7919) % 1000003, 'user' || k || '@example.com', k / 3.0",
        batch: 5000,
    },
    Shape {
        name: "texts",
        schema: "CREATE TABLE texts (k BIGINT PRIMARY KEY, v TEXT)",
        values: "repeat(md5(k::text), 64)",
        batch: 500,
    },
    Shape {
        name: "long",
        schema: "CREATE TABLE long (k BIGINT PRIMARY KEY, v TEXT)",
        values: "repeat(md5(k::text), 3200)",
        batch: 10,
    },
];

/// How a database is emptied.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Emptying {
    /// Nine rows in ten, at random, by one statement.
    Delete,
    Truncate,
}

impl Emptying {
    const ALL: [(&'static str, Self); 2] = [("delete", Self::Delete), ("truncate", Self::Truncate)];

    /// The share of a fresh database that must fit afterwards.
    fn share_min(self) -> f64 {
        match self {
            Self::Delete => 0.75,
            Self::Truncate => 0.9,
        }
    }
}

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    if let Some(case) = arguments.value::<String>("--case")? {
        return run_case(&case);
    }
    let budgets = arguments.value_or("--budget", "48,64,256,1024".to_owned())?;
    let only = arguments.value::<String>("--only")?;
    let how = arguments.value::<String>("--how")?;
    arguments.end()?;
    let is_wanted = |name: &str| {
        only.as_deref()
            .is_none_or(|only| only.split(',').any(|one| one == name))
    };
    println!(
        "| budget | from | emptied by | to | of fresh | first insert | resident above budget | refused |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut broken = Vec::new();
    for budget in budgets.split(',') {
        for from in SHAPES.iter().filter(|shape| is_wanted(shape.name)) {
            for (name, _) in Emptying::ALL
                .iter()
                .filter(|(name, _)| how.as_deref().is_none_or(|how| how == *name))
            {
                for to in SHAPES.iter().filter(|shape| is_wanted(shape.name)) {
                    let case = format!("{budget}:{}:{name}:{}", from.name, to.name);
                    let child = Command::new(std::env::current_exe()?)
                        .args(["memory", "--case", &case])
                        .output()?;
                    print!("{}", String::from_utf8_lossy(&child.stdout));
                    if !child.status.success() {
                        let said = String::from_utf8_lossy(&child.stderr);
                        broken.push(format!("{case}: {}", said.trim()));
                    }
                }
            }
        }
    }
    match broken.is_empty() {
        true => Ok(()),
        false => Err(format!("{} broken promises:\n{}", broken.len(), broken.join("\n")).into()),
    }
}

fn run_case(case: &str) -> Result<()> {
    let words: Vec<&str> = case.split(':').collect();
    let [budget, from, how, to] = words[..] else {
        return Err(format!("{case} is no case").into());
    };
    let shape = |name: &str| {
        SHAPES
            .iter()
            .find(|shape| shape.name == name)
            .ok_or("no such shape")
    };
    let (from, to) = (shape(from)?, shape(to)?);
    let (_, emptying) = Emptying::ALL
        .iter()
        .find(|(name, _)| *name == how)
        .ok_or("no such way")?;
    let budget = budget.parse::<u64>()? << 20;
    let resident = Resident::default();
    let outcome = resident.watched(|| tell(budget, from, *emptying, to))?;
    let above = resident.most.load(Relaxed).saturating_sub(budget) >> 20;
    let share = outcome.reused as f64 / outcome.fresh as f64;
    println!(
        "| {} MiB | {} | {how} | {} | {share:.2} | {} ms | {above} MiB | {} |",
        budget >> 20,
        from.name,
        to.name,
        outcome.first_insert.as_millis(),
        match outcome.refused.is_empty() {
            true => "nothing".to_owned(),
            false => outcome.refused.join(", "),
        },
    );
    let mut broken = outcome.refused;
    if share < emptying.share_min() {
        broken.push(format!("{share:.2} of a fresh database"));
    }
    if outcome.first_insert > FIRST_INSERT {
        broken.push(format!("first insert after {:?}", outcome.first_insert));
    }
    if above > BESIDE_BYTES >> 20 {
        broken.push(format!("{above} MiB above the budget"));
    }
    match broken.is_empty() {
        true => Ok(()),
        false => Err(broken.join("; ").into()),
    }
}

/// What a case came to.
struct Outcome {
    fresh: i64,
    reused: i64,
    first_insert: Duration,
    /// What should have freed memory, and was refused.
    refused: Vec<String>,
}

fn tell(budget: u64, from: &Shape, emptying: Emptying, to: &Shape) -> Result<Outcome> {
    let open = || -> Result<(Database, Connection)> {
        let db = Database::in_memory_with(Options::new().max_memory(budget))?;
        let conn = db.connect()?;
        Ok((db, conn))
    };
    let (db, conn) = open()?;
    conn.execute_batch(from.schema)?;
    let before = fill(&conn, from, 0)?;
    let mut refused = Vec::new();
    match emptying {
        Emptying::Delete => {
            let sql = format!(
                "DELETE FROM {} WHERE k * 2654435761 % 4294967296 >= 429496730",
                from.name
            );
            free(&conn, "DELETE", &sql, &mut refused);
        }
        Emptying::Truncate => {
            free(
                &conn,
                "TRUNCATE",
                &format!("TRUNCATE {}", from.name),
                &mut refused,
            );
        }
    }
    let emptied = Instant::now();
    let left: i64 = conn.query_row(&format!("SELECT count(*) FROM {}", from.name), [], |row| {
        row.get(0)
    })?;
    if from.name != to.name {
        conn.execute_batch(to.schema)?;
    }
    let key = before + 1;
    insert(&conn, to, key, 1)?;
    let first_insert = emptied.elapsed();
    let added = fill(&conn, to, key + 1)? + 1;
    free(&conn, "COMPACT", "COMPACT", &mut refused);
    free(&conn, "SELECT 1", "SELECT 1", &mut refused);
    free(
        &conn,
        "remora_memory",
        "SELECT * FROM remora_memory",
        &mut refused,
    );
    drop((conn, db));
    // The same rows as far as they go: a higher key makes a longer text.
    let fresh = {
        let (_db, conn) = open()?;
        conn.execute_batch(to.schema)?;
        fill(&conn, to, key)?
    };
    // What was left of the first shape takes its share of room.
    let fresh = match emptying {
        Emptying::Truncate => fresh,
        Emptying::Delete => (fresh as f64 * (1.0 - left as f64 / before as f64)) as i64,
    };
    Ok(Outcome {
        fresh,
        reused: added,
        first_insert,
        refused,
    })
}

fn free(conn: &Connection, what: &str, sql: &str, refused: &mut Vec<String>) {
    if let Err(error) = conn.execute_batch(sql) {
        refused.push(format!(
            "{what} ({error}; {})",
            error.detail().unwrap_or_default()
        ));
    }
}

fn insert(conn: &Connection, shape: &Shape, from: i64, rows: i64) -> remora::Result<()> {
    let sql = format!(
        "INSERT INTO {} SELECT k, {} FROM generate_series($1::bigint, $2::bigint) AS g(k)",
        shape.name, shape.values
    );
    conn.execute(&sql, [from, from + rows - 1]).map(drop)
}

/// Statements of one size that succeed before larger ones are tried again: what is full makes room as it is asked.
const STREAK: u32 = 16;

/// Adds rows until not one more fits; returns how many came.
fn fill(conn: &Connection, shape: &Shape, from: i64) -> Result<i64> {
    let (mut next, mut rows) = (from, shape.batch);
    let mut streak = 0;
    loop {
        match insert(conn, shape, next, rows) {
            Ok(()) => {
                next += rows;
                streak += 1;
                if streak == STREAK {
                    (streak, rows) = (0, (2 * rows).min(shape.batch));
                }
                continue;
            }
            Err(error) if error.sqlstate() != "53200" => return Err(error.into()),
            Err(_) if rows == 1 => return Ok(next - from),
            Err(_) => rows = (rows / 4).max(1),
        }
        streak = 0;
    }
}

/// The resident size of this process, as large as it ever was.
#[derive(Default)]
struct Resident {
    most: AtomicU64,
    done: AtomicBool,
}

impl Resident {
    fn watched<T>(&self, f: impl FnOnce() -> T) -> T {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !self.done.load(Relaxed) {
                    self.most.fetch_max(resident_bytes(), Relaxed);
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            let result = f();
            self.done.store(true, Relaxed);
            result
        })
    }
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}
