//! Access paths beside SQLite: statements that an index should answer.
//!
//! Each statement is prepared once in each engine, with the same tables and indexes, and asked again and again with
//! random arguments. In each round each engine has `--seconds`; the figure is the median over the rounds. Before that
//! both are asked with the same arguments and must give the same.
//!
//! A statement keeps the bound if it takes at most three times SQLite's time and 50 microseconds.

use super::statements::{INDEXES, NINE_HUNDRED, SERIALIZABLE, STATEMENTS, Statement, TABLES};
use super::{Remora, Sqlite, next};
use crate::Result;
use serde_json::json;
use std::time::{Duration, Instant};

/// How many times both engines are asked for comparison.
const COMPARED: usize = 20;
const SMALL_ROWS: i64 = 20_000;

/// What is drawn for a parameter.
#[derive(Clone, Copy)]
pub(super) enum Argument {
    /// A key of the large table.
    Key,
    /// A key of the small ones.
    KeyOfSmall,
    /// How many rows of a scan are wanted: 1 to 100.
    Length,
    /// Four letters, with which the text of a row begins.
    Prefix,
    /// The same as a pattern of LIKE.
    Pattern,
    /// The text of a row.
    Name,
}

#[derive(Clone)]
pub(super) enum Given {
    Integer(i64),
    Text(String),
}

/// How many rows there were, and the sum of their first columns.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    rows: u64,
    sum: i64,
}

type Prepared<'c> = Box<dyn FnMut(&[Given]) -> Result<Answer> + 'c>;

/// An engine that can be asked.
trait Engine {
    fn batch(&self, sql: &str) -> Result<()>;
    fn fill(&self, sql: &str, rows: &mut dyn Iterator<Item = Vec<Given>>) -> Result<()>;
    fn prepare<'c>(&'c self, sql: &str, reads_all: bool) -> Result<Prepared<'c>>;
}

macro_rules! engine {
    ($peer:ident, $library:ident, $integer:expr, $text:expr) => {
        impl Engine for $peer {
            fn batch(&self, sql: &str) -> Result<()> {
                Ok(self.0.execute_batch(sql)?)
            }

            fn fill(&self, sql: &str, rows: &mut dyn Iterator<Item = Vec<Given>>) -> Result<()> {
                self.batch("BEGIN")?;
                let mut statement = self.0.prepare(sql)?;
                for row in rows {
                    let values = row.into_iter().map(|given| match given {
                        Given::Integer(value) => $integer(value),
                        Given::Text(text) => $text(text),
                    });
                    statement.execute($library::params_from_iter(values))?;
                }
                drop(statement);
                self.batch("COMMIT")
            }

            fn prepare<'c>(&'c self, sql: &str, reads_all: bool) -> Result<Prepared<'c>> {
                let mut statement = self.0.prepare(sql)?;
                let columns = statement.column_count();
                let gives_rows = columns > 0;
                Ok(Box::new(move |given| {
                    let values = given.iter().map(|given| match given {
                        Given::Integer(value) => $integer(*value),
                        Given::Text(text) => $text(text.clone()),
                    });
                    let values = $library::params_from_iter(values);
                    let mut answer = Answer { rows: 0, sum: 0 };
                    if !gives_rows {
                        answer.rows = statement.execute(values)? as u64;
                        return Ok(answer);
                    }
                    let mut rows = statement.query(values)?;
                    while let Some(row) = rows.next()? {
                        answer.rows += 1;
                        answer.sum += row.get::<_, Option<i64>>(0)?.unwrap_or(-7);
                        for column in 1..if reads_all { columns } else { 1 } {
                            let text: String = row.get(column)?;
                            answer.sum += text.len() as i64;
                        }
                    }
                    Ok(answer)
                }))
            }
        }
    };
}

engine!(Remora, remora, remora::Value::BigInt, remora::Value::Text);
engine!(
    Sqlite,
    rusqlite,
    rusqlite::types::Value::Integer,
    rusqlite::types::Value::Text
);

/// A line of the report. Times are microseconds, medians over the rounds.
struct Line {
    statement: &'static str,
    sql: String,
    remora: f64,
    sqlite: f64,
    /// Remora's least and greatest median of a round.
    remora_least: f64,
    remora_greatest: f64,
    rounds: usize,
    keeps_the_bound: bool,
}

/// How long and on what.
pub(super) struct Options {
    pub(super) rows: i64,
    pub(super) rounds: usize,
    pub(super) seconds: f64,
    pub(super) only: String,
    pub(super) json: Option<String>,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let chosen = STATEMENTS
        .iter()
        .filter(|statement| statement.name.contains(&options.only));
    let chosen: Vec<&Statement> = chosen.collect();
    if chosen.is_empty() {
        return Ok(());
    }
    let database = remora::Database::in_memory()?;
    let ours = Remora(database.connect()?);
    let theirs = Sqlite(rusqlite::Connection::open_in_memory()?);
    theirs.batch("PRAGMA case_sensitive_like = ON")?;
    load(&ours, options.rows)?;
    load(&theirs, options.rows)?;
    let (mut lines, mut failed) = (Vec::new(), Vec::new());
    println!("| statement | Remora, us | least | greatest | SQLite, us | times SQLite's | bound |");
    println!("|---|---|---|---|---|---|---|");
    for statement in chosen {
        let compared = compare(&ours, &theirs, statement, options);
        if !statement.before.is_empty() {
            ours.batch("ROLLBACK")?;
            theirs.batch("ROLLBACK")?;
        }
        match compared {
            Ok(line) => {
                println!("{}", line.markdown());
                lines.push(line);
            }
            Err(error) => failed.push(format!("{}: {error}", statement.name)),
        }
    }
    let kept = lines.iter().filter(|line| line.keeps_the_bound).count();
    println!("\n{kept} of {} keep the bound", lines.len());
    if let Some(file) = &options.json {
        let lines: Vec<_> = lines.iter().map(Line::json).collect();
        std::fs::write(file, serde_json::to_string_pretty(&lines)?)?;
    }
    if !failed.is_empty() {
        return Err(failed.join("\n").into());
    }
    Ok(())
}

/// Creates the tables and fills them.
fn load(engine: &dyn Engine, rows: i64) -> Result<()> {
    for sql in TABLES {
        engine.batch(sql)?;
    }
    let mut large = (1..=rows).map(|id| {
        let v = if id % 10 == 0 { None } else { Some(id * 3) };
        vec![
            Given::Integer(id),
            Given::Integer(id * 7919 % rows),
            Given::Integer(id % 1000),
            Given::Text(name(id)),
            Given::Integer(id % 5000),
            Given::Integer(v.unwrap_or(-1)),
            Given::Integer(id * 31 % 10_000),
            Given::Text(name(id).to_uppercase()),
        ]
    });
    engine.fill(
        "INSERT INTO t VALUES (?, ?, ?, ?, ?, nullif(?, -1), ?, ?, 0)",
        &mut large,
    )?;
    for table in ["a", "b"] {
        let mut small = (1..=SMALL_ROWS).map(|id| {
            vec![
                Given::Integer(id),
                Given::Integer(id % 2700),
                Given::Integer(id * 13 % SMALL_ROWS),
            ]
        });
        engine.fill(&format!("INSERT INTO {table} VALUES (?, ?, ?)"), &mut small)?;
    }
    let mut fields = (1..=SMALL_ROWS).map(|id| {
        let field = |n: i64| Given::Text(name(id * 10 + n).repeat(13)[..100].to_owned());
        let fields = (0..10).map(field);
        std::iter::once(Given::Integer(id)).chain(fields).collect()
    });
    engine.fill(
        "INSERT INTO y VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        &mut fields,
    )?;
    let mut five = [17, rows / 20, rows - 1, rows / 2, rows + 5]
        .into_iter()
        .map(|n| vec![Given::Integer(n), Given::Integer(n), Given::Text(name(n))]);
    engine.fill("INSERT INTO f VALUES (?, ?, ?)", &mut five)?;
    for sql in INDEXES {
        engine.batch(sql)?;
    }
    Ok(())
}

/// Eight letters, as if drawn.
fn name(id: i64) -> String {
    let mut state = (id as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut letter = || char::from(b'a' + (next(&mut state) % 26) as u8);
    (0..8).map(|_| letter()).collect()
}

fn drawn(statement: &Statement, random: &mut u64, rows: i64) -> Vec<Given> {
    let key = 1 + (next(random) % (rows as u64)) as i64;
    let arguments = statement.arguments.iter().map(|argument| match argument {
        Argument::Key => Given::Integer(key),
        Argument::KeyOfSmall => Given::Integer(key % SMALL_ROWS),
        Argument::Length => Given::Integer(1 + (next(random) % 100) as i64),
        Argument::Prefix => Given::Text(name(key)[..4].to_owned()),
        Argument::Pattern => Given::Text(format!("{}%", &name(key)[..4])),
        Argument::Name => Given::Text(name(key)),
    });
    arguments.collect()
}

/// What is asked of `a` by many alternatives.
fn nine_hundred() -> String {
    let terms: Vec<String> = (0..900).map(|n| format!("x = {}", n * 3)).collect();
    format!("SELECT count(*) FROM a WHERE {}", terms.join(" OR "))
}

fn compare(
    ours: &Remora,
    theirs: &Sqlite,
    statement: &Statement,
    options: &Options,
) -> Result<Line> {
    let sql = match statement.sql {
        NINE_HUNDRED => nine_hundred(),
        sql => sql.to_owned(),
    };
    for before in statement.before {
        ours.batch(before)?;
        theirs.batch(match *before {
            SERIALIZABLE => "BEGIN",
            before => before,
        })?;
    }
    let mut mine = ours.prepare(&sql, statement.reads_all)?;
    let mut peer = theirs.prepare(statement.sqlite.unwrap_or(&sql), statement.reads_all)?;
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..COMPARED {
        let given = drawn(statement, &mut random, options.rows);
        let (my_answer, peer_answer) = (mine(&given)?, peer(&given)?);
        if my_answer != peer_answer {
            return Err(format!("Remora says {my_answer:?}, SQLite {peer_answer:?}").into());
        }
    }
    let (mut my_times, mut peer_times) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let given: Vec<Vec<Given>> = (0..1000)
            .map(|_| drawn(statement, &mut random, options.rows))
            .collect();
        my_times.push(microseconds(&mut mine, &given, options.seconds)?);
        peer_times.push(microseconds(&mut peer, &given, options.seconds)?);
    }
    my_times.sort_by(f64::total_cmp);
    peer_times.sort_by(f64::total_cmp);
    let (remora, sqlite) = (my_times[options.rounds / 2], peer_times[options.rounds / 2]);
    Ok(Line {
        statement: statement.name,
        sql,
        remora,
        sqlite,
        remora_least: my_times[0],
        remora_greatest: my_times[options.rounds - 1],
        rounds: options.rounds,
        keeps_the_bound: remora <= 3.0 * sqlite + 50.0,
    })
}

/// Asks for some seconds; gives the time of one.
fn microseconds(statement: &mut Prepared<'_>, given: &[Vec<Given>], seconds: f64) -> Result<f64> {
    let wanted = Duration::from_secs_f64(seconds);
    let start = Instant::now();
    let mut asked = 0_u64;
    for given in given.iter().cycle() {
        statement(given)?;
        asked += 1;
        if start.elapsed() >= wanted {
            break;
        }
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / asked as f64)
}

impl Line {
    fn json(&self) -> serde_json::Value {
        json!({
            "statement": self.statement,
            "sql": self.sql,
            "remora_us": self.remora,
            "remora_least_us": self.remora_least,
            "remora_greatest_us": self.remora_greatest,
            "sqlite_us": self.sqlite,
            "rounds": self.rounds,
            "keeps_the_bound": self.keeps_the_bound,
        })
    }

    fn markdown(&self) -> String {
        format!(
            "| {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.2} | {} |",
            self.statement,
            self.remora,
            self.remora_least,
            self.remora_greatest,
            self.sqlite,
            self.remora / self.sqlite,
            if self.keeps_the_bound {
                "kept"
            } else {
                "**missed**"
            },
        )
    }
}
