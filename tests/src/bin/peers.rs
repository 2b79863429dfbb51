//! Peers: Remora beside SQLite `:memory:` on the same statements, in one run.
//!
//! 1. Both engines load the same table of users and are given the same random keys.
//! 2. Each task is run in rounds; within a round the engines take turns, so that a slow moment of
//!    the machine hits both.
//! 3. A task's figure is the ratio of SQLite's time to Remora's (above 1: Remora is faster), as the
//!    median over the rounds, with the least and the greatest.
//!
//! All statements are prepared and autocommitted; both databases are in memory, one thread.
//!
//! ```text
//! cargo run --release -p remora-tests --bin peers [-- --rows 200000 --rounds 7]
//! ```
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command reports to its terminal"
)]

use remora_tests::users::{CREATE_USERS, User, user};
use std::process::ExitCode;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const INSERT: &str = "INSERT INTO users VALUES (?, ?, ?, ?, ?, ?)";
const SELECT_ONE: &str = "SELECT name FROM users WHERE id = ?";
const SELECT_ALL: &str = "SELECT id, name, email, age, score, created_at FROM users WHERE id = ?";
const UPDATE: &str = "UPDATE users SET score = score + 1 WHERE id = ?";
const DELETE: &str = "DELETE FROM users WHERE id = ?";
const FILTERED_SUM: &str = "SELECT sum(score) FROM users WHERE age < 40";
const GROUPING: &str = "SELECT age, count(*), avg(score) FROM users GROUP BY age";
const RANGE: &str = "SELECT count(*) FROM users WHERE id >= ? AND id < ?";

/// What both engines can be asked to do. Every method returns something that depends on what it
/// read, so that results can be compared and nothing is optimised away.
trait Peer {
    fn insert(&mut self, users: &[User]) -> Result<f64>;
    fn point(&mut self, sql: &str, keys: &[i64]) -> Result<f64>;
    fn change(&mut self, sql: &str, keys: &[i64]) -> Result<f64>;
    fn ranges(&mut self, keys: &[i64]) -> Result<f64>;
    fn whole(&mut self, sql: &str) -> Result<f64>;
}

struct Remora(remora::Connection);
struct Sqlite(rusqlite::Connection);

/// The library has rusqlite's names and shapes, so one text serves both.
macro_rules! peer {
    ($peer:ident, $library:ident) => {
        impl Peer for $peer {
            fn insert(&mut self, users: &[User]) -> Result<f64> {
                let mut statement = self.0.prepare(INSERT)?;
                let mut changed = 0;
                for u in users {
                    changed += statement.execute($library::params![
                        u.id,
                        u.name,
                        u.email,
                        u.age,
                        u.score,
                        u.created_at
                    ])?;
                }
                Ok(changed as f64)
            }

            fn point(&mut self, sql: &str, keys: &[i64]) -> Result<f64> {
                let mut statement = self.0.prepare(sql)?;
                let mut bytes = 0;
                for key in keys {
                    let column = usize::from(sql == SELECT_ALL);
                    bytes += statement
                        .query_row([*key], |row| Ok(row.get::<_, String>(column)?.len()))?;
                }
                Ok(bytes as f64)
            }

            fn change(&mut self, sql: &str, keys: &[i64]) -> Result<f64> {
                let mut statement = self.0.prepare(sql)?;
                let mut changed = 0;
                for key in keys {
                    changed += statement.execute([*key])?;
                }
                Ok(changed as f64)
            }

            fn ranges(&mut self, keys: &[i64]) -> Result<f64> {
                let mut statement = self.0.prepare(RANGE)?;
                let mut rows = 0;
                for key in keys {
                    rows += statement.query_row([*key, *key + 100], |row| row.get::<_, i64>(0))?;
                }
                Ok(rows as f64)
            }

            fn whole(&mut self, sql: &str) -> Result<f64> {
                let mut statement = self.0.prepare(sql)?;
                let mut rows = statement.query([])?;
                let mut sum = 0.0;
                while let Some(row) = rows.next()? {
                    sum += if sql == GROUPING {
                        row.get::<_, f64>(2)?
                    } else {
                        row.get::<_, f64>(0)?
                    };
                }
                Ok(sum)
            }
        }
    };
}

peer!(Remora, remora);
peer!(Sqlite, rusqlite);

/// One line of the report: a name, and what to do in a round with the round's keys.
type Task = (&'static str, fn(&mut dyn Peer, &[i64], i64) -> Result<f64>);

const TASKS: &[Task] = &[
    ("point select, one column", |peer, keys, _| {
        peer.point(SELECT_ONE, keys)
    }),
    ("point select, six columns", |peer, keys, _| {
        peer.point(SELECT_ALL, keys)
    }),
    ("insert", |peer, keys, next| {
        peer.insert(
            &(next..next + keys.len() as i64)
                .map(user)
                .collect::<Vec<_>>(),
        )
    }),
    ("update by key", |peer, keys, _| peer.change(UPDATE, keys)),
    ("delete and insert of a key", |peer, keys, next| {
        // The rows that the insert task added in this round.
        let fresh: Vec<i64> = (next..next + keys.len() as i64).collect();
        let deleted = peer.change(DELETE, &fresh)?;
        Ok(deleted + peer.insert(&fresh.into_iter().map(user).collect::<Vec<_>>())?)
    }),
    ("range of 100 rows", |peer, keys, _| {
        peer.ranges(&keys[..keys.len() / 20])
    }),
    ("filtered sum over all rows", |peer, _, _| {
        peer.whole(FILTERED_SUM)
    }),
    ("grouping by age", |peer, _, _| peer.whole(GROUPING)),
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let rows = option("--rows", 200_000)?;
    let rounds = option("--rounds", 7)? as usize;
    let database = remora::Database::in_memory()?;
    let mut ours = Remora(database.connect()?);
    let mut theirs = Sqlite(rusqlite::Connection::open_in_memory()?);
    ours.0.execute(CREATE_USERS, [])?;
    theirs.0.execute(CREATE_USERS, [])?;
    let users: Vec<User> = (0..rows).map(user).collect();
    ours.insert(&users)?;
    theirs.insert(&users)?;

    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut ratios = vec![Vec::new(); TASKS.len()];
    let mut times = vec![Vec::new(); TASKS.len()];
    for round in 0..rounds {
        let keys: Vec<i64> = (0..20_000)
            .map(|_| (next(&mut random) % rows as u64) as i64)
            .collect();
        let fresh = rows + (round * keys.len()) as i64;
        for (number, (name, task)) in TASKS.iter().enumerate() {
            let (mine, my_answer) = timed(|| task(&mut ours, &keys, fresh))?;
            let (peer, peer_answer) = timed(|| task(&mut theirs, &keys, fresh))?;
            if (my_answer - peer_answer).abs() > 1e-6 * peer_answer.abs() {
                return Err(
                    format!("{name}: Remora says {my_answer}, SQLite {peer_answer}").into(),
                );
            }
            ratios[number].push(peer.as_secs_f64() / mine.as_secs_f64());
            times[number].push(mine);
        }
    }
    println!(
        "{rows} rows, {rounds} rounds, SQLite {}",
        rusqlite::version()
    );
    println!("| task | SQLite's time / Remora's (median) | least | greatest | Remora's round |");
    println!("|---|---|---|---|---|");
    for (number, (name, _)) in TASKS.iter().enumerate() {
        ratios[number].sort_by(f64::total_cmp);
        times[number].sort();
        let sorted = &ratios[number];
        println!(
            "| {name} | {:.2} | {:.2} | {:.2} | {:?} |",
            sorted[sorted.len() / 2],
            sorted[0],
            sorted[sorted.len() - 1],
            times[number][times[number].len() / 2]
        );
    }
    Ok(())
}

fn timed(work: impl FnOnce() -> Result<f64>) -> Result<(Duration, f64)> {
    let start = Instant::now();
    let answer = work()?;
    Ok((start.elapsed(), answer))
}

/// The next number of a xorshift sequence: the same keys in every run.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// The value of `--name N` on the command line.
fn option(name: &str, default: i64) -> Result<i64> {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().position(|argument| argument == name) {
        Some(at) => Ok(arguments
            .get(at + 1)
            .ok_or("a number is missing")?
            .parse()?),
        None => Ok(default),
    }
}
