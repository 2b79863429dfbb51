//! Peers: Remora beside SQLite `:memory:` on the same statements, in one run.
//!
//! 1. Both engines load the same table of users and are given the same random keys.
//! 2. Each task is run in rounds; within a round the engines take turns, so that a slow moment of
//!    the machine hits both.
//! 3. A task's figure is the ratio of SQLite's time to Remora's (above 1: Remora is faster), as the
//!    median over the rounds, with the least and the greatest.
//!
//! Statements are autocommitted, and prepared where the name of the task does not say that the text is given; both databases are in memory, one thread.
//!
//! ```text
//! cargo run --release -p remora-tests -- peers [--rows 1000000] [--rounds 7]
//! ```
//!
//! With `--paths` it is statements instead that an index should answer: see [`paths`]; `--seconds 0.5` is how long each
//! engine has in a round, `--json FILE` where figures are written to.
//!
//! With `--board` it is the scoreboard, with sizes, threads and latencies: see [`board`].
//!
//! `--only TEXT` runs the tasks that have it in their names, on a table that the others have not
//! changed then; `--idle SECONDS` waits after loading, as an application may, so that what the engine does
//! with a table that is left alone (after 10 seconds it freezes blocks) is done.

mod paths;
mod statements;

use crate::arguments::Arguments;
use crate::{Result, board};
use remora_tests::users::{CREATE_USERS, User, user};
use std::time::{Duration, Instant};

const INSERT: &str = "INSERT INTO users VALUES (?, ?, ?, ?, ?, ?)";
const SELECT_ONE: &str = "SELECT name FROM users WHERE id = ?";
const SELECT_ALL: &str = "SELECT id, name, email, age, score, created_at FROM users WHERE id = ?";
const SELECT_EMAIL: &str = "SELECT name FROM users WHERE email = ?";
const INDEX_EMAIL: &str = "CREATE INDEX users_email ON users (email)";
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
    fn texts(&mut self, texts: &[String]) -> Result<f64>;
    fn text(&mut self, sql: &str, keys: &[i64]) -> Result<f64>;
    fn emails(&mut self, emails: &[String]) -> Result<f64>;
    fn change(&mut self, sql: &str, keys: &[i64]) -> Result<f64>;
    fn ranges(&mut self, keys: &[i64]) -> Result<f64>;
    fn whole(&mut self, sql: &str) -> Result<f64>;
}

pub(crate) struct Remora(pub(crate) remora::Connection);
pub(crate) struct Sqlite(pub(crate) rusqlite::Connection);

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

            fn texts(&mut self, texts: &[String]) -> Result<f64> {
                let mut bytes = 0;
                for sql in texts {
                    bytes += self
                        .0
                        .query_row(sql, [], |row| Ok(row.get::<_, String>(0)?.len()))?;
                }
                Ok(bytes as f64)
            }

            fn text(&mut self, sql: &str, keys: &[i64]) -> Result<f64> {
                let mut bytes = 0;
                for key in keys {
                    bytes += self
                        .0
                        .query_row(sql, [*key], |row| Ok(row.get::<_, String>(0)?.len()))?;
                }
                Ok(bytes as f64)
            }

            fn emails(&mut self, emails: &[String]) -> Result<f64> {
                let mut statement = self.0.prepare(SELECT_EMAIL)?;
                let mut bytes = 0;
                for email in emails {
                    bytes +=
                        statement.query_row([email], |row| Ok(row.get::<_, String>(0)?.len()))?;
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

/// What the tasks of a round work on; made before any of them is timed.
struct Round {
    /// Random keys of rows that are there.
    keys: Vec<i64>,
    /// Texts that select by them, each with its key as a literal.
    texts: Vec<String>,
    /// The e-mail addresses of these.
    emails: Vec<String>,
    /// Rows that are not there yet, and their keys.
    fresh: Vec<User>,
    fresh_keys: Vec<i64>,
}

/// One line of the report: a name, and what to do in a round.
type Task = (&'static str, fn(&mut dyn Peer, &Round) -> Result<f64>);

const TASKS: &[Task] = &[
    ("point select, one column", |peer, round| {
        peer.point(SELECT_ONE, &round.keys)
    }),
    ("point select, six columns", |peer, round| {
        peer.point(SELECT_ALL, &round.keys)
    }),
    ("point select, a text for each key", |peer, round| {
        peer.texts(&round.texts)
    }),
    ("point select, the same text", |peer, round| {
        peer.text(SELECT_ONE, &round.keys)
    }),
    ("insert", |peer, round| peer.insert(&round.fresh)),
    ("update by key", |peer, round| {
        peer.change(UPDATE, &round.keys)
    }),
    ("delete and insert of a key", |peer, round| {
        // The rows that the insert task added in this round.
        let deleted = peer.change(DELETE, &round.fresh_keys)?;
        Ok(deleted + peer.insert(&round.fresh)?)
    }),
    ("range of 100 rows", |peer, round| {
        peer.ranges(&round.keys[..round.keys.len() / 20])
    }),
    ("filtered sum over all rows", |peer, _| {
        peer.whole(FILTERED_SUM)
    }),
    ("grouping by age", |peer, _| peer.whole(GROUPING)),
];

/// Done after the others, because the index that it takes would make those slower.
const INDEXED_TASKS: &[Task] = &[("select by e-mail index", |peer, round| {
    peer.emails(&round.emails)
})];

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    if arguments.flag("--board") {
        return board::run(arguments);
    }
    if arguments.flag("--paths") {
        return run_paths(arguments);
    }
    let rows = arguments.value_or("--rows", 1_000_000)?;
    let rounds = arguments.value_or("--rounds", 7)?.max(1);
    let only = arguments.value_or("--only", String::new())?;
    let idle = arguments.value_or("--idle", 0)?;
    arguments.end()?;
    let database = remora::Database::in_memory()?;
    let mut ours = Remora(database.connect()?);
    let mut theirs = Sqlite(rusqlite::Connection::open_in_memory()?);
    ours.0.execute(CREATE_USERS, [])?;
    theirs.0.execute(CREATE_USERS, [])?;
    let users: Vec<User> = (0..rows).map(user).collect();
    ours.insert(&users)?;
    theirs.insert(&users)?;
    std::thread::sleep(Duration::from_secs(idle));

    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut report = Vec::new();
    let mut next_row = rows;
    for (phase, tasks) in [TASKS, INDEXED_TASKS].into_iter().enumerate() {
        let from = report.len();
        let tasks: Vec<&Task> = tasks.iter().filter(|task| task.0.contains(&only)).collect();
        report.extend(tasks.iter().map(|(name, _)| Line::new(name)));
        for _ in 0..rounds {
            let round = Round::new(&mut random, rows, next_row);
            next_row += round.fresh.len() as i64;
            for (line, (name, task)) in report[from..].iter_mut().zip(&tasks) {
                let (mine, my_answer) = timed(|| task(&mut ours, &round))?;
                let (peer, peer_answer) = timed(|| task(&mut theirs, &round))?;
                if (my_answer - peer_answer).abs() > 1e-6 * peer_answer.abs() {
                    return Err(
                        format!("{name}: Remora says {my_answer}, SQLite {peer_answer}").into(),
                    );
                }
                line.ratios.push(peer.as_secs_f64() / mine.as_secs_f64());
                line.times.push(mine);
            }
        }
        // For the tasks that come next.
        if phase == 0 {
            ours.0.execute(INDEX_EMAIL, [])?;
            theirs.0.execute(INDEX_EMAIL, [])?;
        }
    }
    println!(
        "{rows} rows, {rounds} rounds, SQLite {}",
        rusqlite::version()
    );
    println!("| task | SQLite's time / Remora's (median) | least | greatest | Remora's round |");
    println!("|---|---|---|---|---|");
    for line in &mut report {
        line.ratios.sort_by(f64::total_cmp);
        line.times.sort();
        println!(
            "| {} | {:.2} | {:.2} | {:.2} | {:?} |",
            line.name,
            line.ratios[rounds / 2],
            line.ratios[0],
            line.ratios[rounds - 1],
            line.times[rounds / 2]
        );
    }
    Ok(())
}

fn run_paths(mut arguments: Arguments) -> Result<()> {
    let options = paths::Options {
        rows: arguments.value_or("--rows", 100_000)?,
        rounds: arguments.value_or("--rounds", 5)?.max(1),
        seconds: arguments.value_or("--seconds", 0.5)?,
        only: arguments.value_or("--only", String::new())?,
        json: arguments.value("--json")?,
    };
    arguments.end()?;
    paths::run(&options)
}

/// A task's rounds.
struct Line {
    name: &'static str,
    ratios: Vec<f64>,
    times: Vec<Duration>,
}

impl Line {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            ratios: Vec::new(),
            times: Vec::new(),
        }
    }
}

impl Round {
    fn new(random: &mut u64, rows: i64, next_row: i64) -> Self {
        let keys: Vec<i64> = (0..20_000)
            .map(|_| (next(random) % rows as u64) as i64)
            .collect();
        let fresh: Vec<User> = (next_row..next_row + keys.len() as i64).map(user).collect();
        Self {
            texts: keys
                .iter()
                .map(|key| SELECT_ONE.replace('?', &key.to_string()))
                .collect(),
            emails: keys.iter().map(|key| user(*key).email).collect(),
            fresh_keys: fresh.iter().map(|user| user.id).collect(),
            keys,
            fresh,
        }
    }
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
