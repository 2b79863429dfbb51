//! The scoreboard: point work of Remora beside other engines, by size and number of threads.
//!
//! ```text
//! cargo run --release -p remora-tests -- peers --board [--sizes 1000,10000,1000000] [--rounds 5]
//!     [--seconds 0.2] [--only TEXT] [--frozen] [--all] [--json FILE] [--html FILE]
//! ```
//!
//! 1. Each engine loads an equal table of users, for each size in turn. All databases are in memory.
//! 2. Before a row of work ([`work`]) is measured, all engines execute the same few hundred operations
//!    and must return equal sums.
//! 3. In each round every engine has a turn: `--seconds` for the rate, half of it for latencies
//!    ([`measure`]). The order of turns changes from round to round, so that a slow moment of the
//!    machine hits all. All engines of a round use the same drawn keys ([`draw`]).
//! 4. The round ends with Remora on two threads, and a bare loop on two threads ([`threads`]).
//! 5. The ratio of a round is the peer's time to Remora's: above 1 Remora is faster. The report has the
//!    median of the rounds, the least and the greatest; percentiles are those of all rounds.
//!
//! Statements are autocommitted. They are prepared once, unless the row's name says that the text is
//! given. What a turn inserts is deleted after it, and is not timed.
//!
//! Remora's background freezes blocks that were not changed for ten seconds, which would fall into the
//! middle of a run: rows of work measured later would find other blocks than earlier ones. So it is
//! switched off here. All blocks are hot; with `--frozen` all are frozen after loading, and writes
//! thaw what they change.
//!
//! Peers: SQLite (`rusqlite`, bundled), `:memory:`, one connection. With `--all`, in a build with
//! the feature `peers_all`, also two stores of keys and values: redb (in memory) and fjall (a
//! log-structured tree in files, which are not synced). They have no SQL, so their rows are those by
//! key only, and the cost of a statement is what their ratio shows. DuckDB is no peer: its build takes
//! a C++ compiler and many minutes.
//!
//! With `--only TEXT` only rows that have the text in their names are measured.

mod draw;
mod engines;
#[cfg(feature = "peers_all")]
mod key_stores;
mod measure;
mod page;
mod report;
mod threads;
mod work;

use crate::Result;
use crate::arguments::Arguments;
use crate::peers::Sqlite;
use draw::{Draw, Keys, Share};
use engines::{Engine, Session};
use measure::{Latencies, Spread, rate};
use remora::Database;
use remora_tests::random::Random;
use report::{Board, Figures, Line, TwoThreads};
use std::time::Duration;
use work::{Operation, ROWS, Row};

const SEED: u64 = 0x5EED;
/// Operations whose sums are compared.
const COMPARED: usize = 300;
/// Longer than any run.
const NEVER: Duration = Duration::from_secs(1_000_000);
const BESIDE_WRITER: &str = "point select beside a writer";

struct Options {
    sizes: Vec<i64>,
    rounds: usize,
    seconds: f64,
    only: String,
    frozen: bool,
    all: bool,
    json: Option<String>,
    html: Option<String>,
}

impl Options {
    fn new(mut arguments: Arguments) -> Result<Self> {
        let sizes = arguments.value_or("--sizes", "1000,10000,1000000".to_owned())?;
        let sizes = sizes.split(',').map(|size| {
            let size = size.trim().parse().ok().filter(|rows| *rows >= 200);
            size.ok_or_else(|| format!("--sizes {sizes}: numbers of rows, at least 200 each"))
        });
        let options = Self {
            sizes: sizes.collect::<std::result::Result<_, _>>()?,
            rounds: arguments.value_or("--rounds", 5)?.max(1),
            seconds: arguments.value_or("--seconds", 0.2)?,
            only: arguments.value_or("--only", String::new())?,
            frozen: arguments.flag("--frozen"),
            all: arguments.flag("--all"),
            json: arguments.value("--json")?,
            html: arguments.value("--html")?,
        };
        arguments.end()?;
        if !(0.001..=60.0).contains(&options.seconds) {
            return Err("--seconds must be between 0.001 and 60".into());
        }
        Ok(options)
    }
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let options = Options::new(arguments)?;
    let mut board = Board {
        rounds: options.rounds,
        seconds: options.seconds,
        frozen: options.frozen,
        engines: vec!["Remora"],
        lines: Vec::new(),
        beside_writer: Vec::new(),
    };
    let mut random = Random::new(SEED);
    for rows in &options.sizes {
        measure_size(&options, *rows, &mut board, &mut random)?;
    }
    println!(
        "{} rounds of {} seconds, {} blocks, SQLite {}\n",
        options.rounds,
        options.seconds,
        board.blocks(),
        rusqlite::version()
    );
    for table in board.tables() {
        println!("{}", table.markdown());
    }
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_string_pretty(&board.json())?)?;
    }
    if let Some(file) = &options.html {
        std::fs::write(file, page::page(&board))?;
    }
    Ok(())
}

/// Returns the peers, without tables.
fn peers(all: bool) -> Result<Vec<Box<dyn Engine>>> {
    let sqlite = Sqlite(rusqlite::Connection::open_in_memory()?);
    let mut peers: Vec<Box<dyn Engine>> = vec![Box::new(sqlite)];
    if all {
        peers.extend(more_peers()?);
    }
    Ok(peers)
}

#[cfg(feature = "peers_all")]
fn more_peers() -> Result<Vec<Box<dyn Engine>>> {
    key_stores::open()
}

#[cfg(not(feature = "peers_all"))]
fn more_peers() -> Result<Vec<Box<dyn Engine>>> {
    Err("--all needs a build with `--features peers_all`".into())
}

fn measure_size(
    options: &Options,
    rows: i64,
    board: &mut Board,
    random: &mut Random,
) -> Result<()> {
    let store = remora::Options::new().freeze_after(NEVER);
    let database = Database::in_memory_with(store)?;
    let peers = peers(options.all)?;
    board.engines = std::iter::once("Remora")
        .chain(peers.iter().map(|peer| peer.name()))
        .collect();
    threads::connect(&database, &ROWS[0])?.load(rows)?;
    if options.frozen {
        database.connect()?.execute("COMPACT", [])?;
    }
    for peer in &peers {
        peer.load(rows)?;
    }
    for row in ROWS.iter().filter(|row| row.name.contains(&options.only)) {
        eprintln!("{rows} rows: {}", row.name);
        let contest = Contest {
            database: &database,
            peers: &peers,
            row,
            rows,
            keys: Keys::new(row.keys, rows),
        };
        board.lines.push(contest.line(options, random)?);
    }
    if BESIDE_WRITER.contains(&options.only) {
        eprintln!("{rows} rows: {BESIDE_WRITER}");
        let (rounds, seconds) = (options.rounds, options.seconds);
        let beside = threads::beside_writer(&database, rows, rounds, seconds, random)?;
        board.beside_writer.push(beside);
    }
    Ok(())
}

/// A row of work at one size, for all engines.
struct Contest<'d> {
    database: &'d Database,
    peers: &'d [Box<dyn Engine>],
    row: &'d Row,
    rows: i64,
    keys: Keys,
}

/// The figures that an engine collects in its turns.
struct Turns {
    rates: Vec<f64>,
    ratios: Vec<f64>,
    latencies: Latencies,
}

impl Turns {
    fn new() -> Result<Self> {
        Ok(Self {
            rates: Vec::new(),
            ratios: Vec::new(),
            latencies: Latencies::new()?,
        })
    }

    fn figures(self) -> Figures {
        Figures {
            rate: Spread::of(self.rates),
            latency: self.latencies.percentiles(),
            ratio: Spread::of(self.ratios),
        }
    }
}

impl Contest<'_> {
    /// Measures the row on a connection of its own.
    fn line(&self, options: &Options, random: &mut Random) -> Result<Line> {
        let remora = threads::connect(self.database, self.row)?;
        let engines: Vec<&dyn Engine> = std::iter::once(&remora as &dyn Engine)
            .chain(self.peers.iter().map(|peer| &**peer))
            .collect();
        // Only this row has the index, because rows that write would maintain it.
        let is_indexed = self.row.operation == Operation::ReadEmail;
        if is_indexed {
            for engine in &engines {
                engine.index_emails(true)?;
            }
        }
        let line = self.rounds(&engines, options, random)?;
        if is_indexed {
            for engine in &engines {
                engine.index_emails(false)?;
            }
        }
        Ok(line)
    }

    /// Prepares the sessions of all engines.
    fn sessions<'e>(&self, engines: &[&'e dyn Engine]) -> Result<Vec<Option<Session<'e>>>> {
        engines
            .iter()
            .map(|engine| engine.session(self.row.operation, self.rows))
            .collect()
    }

    /// Executes the same operations on all engines, whose sums must be equal.
    fn compare(
        &self,
        engines: &[&dyn Engine],
        sessions: &mut [Option<Session<'_>>],
        random: &mut Random,
    ) -> Result<()> {
        let draws = draw::some(self.row, &self.keys, Share::ALL, random, COMPARED);
        let mut first = None;
        for (engine, session) in engines.iter().zip(sessions) {
            let Some(session) = session else {
                continue;
            };
            let sums: Vec<i64> = draws.iter().map(session).collect::<Result<_>>()?;
            let first = first.get_or_insert_with(|| sums.clone());
            if let Some(at) = (0..draws.len()).find(|at| sums[*at] != first[*at]) {
                let (row, name) = (self.row.name, engine.name());
                let (mine, peer, draw) = (first[at], sums[at], &draws[at]);
                return Err(format!("{row}: Remora {mine}, {name} {peer} of {draw:?}").into());
            }
            self.shrink(*engine)?;
        }
        Ok(())
    }

    /// Deletes what a turn has inserted.
    fn shrink(&self, engine: &dyn Engine) -> Result<()> {
        if self.row.operation.grows() {
            engine.shrink(self.rows)?;
        }
        Ok(())
    }

    fn rounds(
        &self,
        engines: &[&dyn Engine],
        options: &Options,
        random: &mut Random,
    ) -> Result<Line> {
        let mut sessions = self.sessions(engines)?;
        self.compare(engines, &mut sessions, random)?;
        let turns = engines.iter().map(|_| Turns::new());
        let mut turns: Vec<Turns> = turns.collect::<Result<_>>()?;
        let mut pairs = Turns::new()?;
        let mut bare = Vec::new();
        for round in 0..options.rounds {
            let draws = draw::draws(self.row, &self.keys, Share::ALL, random);
            for turn in 0..engines.len() {
                let at = (turn + round) % engines.len();
                let Some(session) = &mut sessions[at] else {
                    continue;
                };
                turns[at].take(session, &draws, options.seconds)?;
                self.shrink(engines[at])?;
            }
            let seconds = options.seconds;
            let (row, keys, seed) = (self.row, &self.keys, random.bits());
            let pair = threads::pair(self.database, row, keys, self.rows, seconds, seed)?;
            self.shrink(engines[0])?;
            let mine = turns[0].rates[round];
            for turns in turns.iter_mut().filter(|turns| !turns.rates.is_empty()) {
                turns.ratios.push(mine / turns.rates[round]);
            }
            pairs.rates.push(pair.rate);
            pairs.ratios.push(pair.rate / mine);
            pairs.latencies.add(&pair.latencies)?;
            bare.push(threads::bare_scaling(seconds / 4.0)?);
        }
        let figures = turns.into_iter().zip(&sessions);
        let two = pairs.figures();
        Ok(Line {
            name: self.row.name,
            rows: self.rows,
            engines: figures
                .map(|(turns, session)| session.as_ref().map(|_| turns.figures()))
                .collect(),
            two_threads: TwoThreads {
                rate: two.rate,
                latency: two.latency,
                scaling: two.ratio,
                bare_scaling: Spread::of(bare),
            },
        })
    }
}

impl Turns {
    fn take(&mut self, session: &mut Session<'_>, draws: &[Draw], seconds: f64) -> Result<()> {
        self.rates.push(rate(session, draws, seconds)?);
        self.latencies.record(session, draws, seconds / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All engines return equal sums for the same draws, in every row of work.
    #[test]
    fn engines_agree() {
        let rows = 500;
        let database = Database::in_memory().unwrap();
        let peers = peers(cfg!(feature = "peers_all")).unwrap();
        threads::connect(&database, &ROWS[0])
            .unwrap()
            .load(rows)
            .unwrap();
        for peer in &peers {
            peer.load(rows).unwrap();
        }
        for row in ROWS {
            let remora = threads::connect(&database, row).unwrap();
            let engines: Vec<&dyn Engine> = std::iter::once(&remora as &dyn Engine)
                .chain(peers.iter().map(|peer| &**peer))
                .collect();
            let contest = Contest {
                database: &database,
                peers: &peers,
                row,
                rows,
                keys: Keys::new(row.keys, rows),
            };
            let mut sessions = contest.sessions(&engines).unwrap();
            contest
                .compare(&engines, &mut sessions, &mut Random::new(SEED))
                .unwrap_or_else(|error| panic!("{error}"));
        }
    }

    #[test]
    fn options_are_checked() {
        let options = |words: &str| {
            let words = words.split(' ').map(str::to_owned);
            Options::new(Arguments::new(words))
        };
        let found = options("--sizes 1000,20000 --rounds 0 --all").unwrap();
        assert_eq!((found.sizes, found.rounds), (vec![1000, 20_000], 1));
        assert!(options("--sizes 1000,many").is_err());
        assert!(options("--sizes 0").is_err());
        assert!(options("--seconds 0").is_err() && options("--seconds nan").is_err());
    }
}
