//! The differential fuzzer: random tables, changes and queries, put to three engines that must agree.
//!
//! ```text
//!           generator: a statement as a tree (text, expr, query, from, summary, change; paths, search, beside)
//!                /                        |                           \
//!        Remora, plainly        Remora, otherwise                     SQLite
//!   indexes, hot blocks,    without indexes, frozen blocks,      what both know, with care
//!   autocommit, constants   one transaction, parameters, plans   for what differs by design
//!   in the text             without optional rules, in other
//!                           words (NOT (a OR b) for ..)
//!                \                        |                           /
//!                 compare: the same rows, or an excuse that is counted
//! ```
//!
//! 1. A round has tables of its own, and then changes and queries in turn. After each change the three must
//!    have changed as much, and hold the same rows.
//! 2. Constants are few and small, so that rows meet; in a large table some columns have two thousand values, and
//!    half of the queries look rows up by indexes over them, beside few other rows. Columns that hold extremes are
//!    compared and grouped but not reckoned with, since SQLite goes on with floats where integers end.
//! 3. An error in a value (class 22, and a subquery of more than a row) is an excuse, because it comes when
//!    the value is looked at. A panic and an internal error are no excuse, and neither is memory that one engine
//!    has not enough of while another answers in time.
//! 4. What differs is made smaller (`shrink`) and printed as a script for the shell.
//!
//! That differences are found is shown by mistakes made on purpose (`mistake`).

mod beside;
mod change;
mod compare;
mod expr;
mod from;
mod mistake;
mod paths;
mod query;
mod schema;
mod search;
mod shrink;
mod summary;
mod tally;
mod text;
mod trial;
mod world;

pub use mistake::{MISTAKES, Mistake};
pub use tally::Tally;

use crate::random::Random;
use schema::Table;
use text::{Kind, Text, raw};
use trial::{Case, Question, Stage};
use world::{Layout, Rules, Style};

/// Changes of a round.
const CHANGES: u64 = 8;
/// Queries after each.
const QUERIES: u64 = 25;

/// Makes statements over tables.
struct Generator {
    random: Random,
    tables: Vec<Table>,
    /// Whether a table is so large that only simple queries end soon.
    is_large: bool,
    /// Names given so far.
    aliases: u32,
    /// The last `id` given.
    ids: i64,
    /// How deep in subqueries it is.
    nested: u32,
    /// Queries of WITH that may be named.
    visible: Vec<(String, Vec<(Kind, bool)>)>,
}

impl Generator {
    fn new(seed: u64, large: u64) -> Self {
        let mut random = Random::new(seed);
        let tables = schema::tables(&mut random, large);
        Self {
            random,
            is_large: tables
                .iter()
                .any(|table| table.rows.len() > search::LARGE_ROWS_MIN),
            tables,
            aliases: 0,
            ids: 5000,
            nested: 0,
            visible: Vec::new(),
        }
    }

    fn layout(&mut self) -> Layout {
        Layout {
            without_indexes: self.random.chance(60),
            frozen: self.random.chance(10),
            in_transaction: self.random.chance(40),
        }
    }

    /// How the second Remora is asked; of a statement with a small outer side, all rules may be left out.
    fn style(&mut self, is_small: bool) -> Style {
        Style {
            rewritten: self.random.chance(60),
            parameters: self.random.chance(30),
            rules: match self.random.chance(60) {
                true => Rules::default(),
                false => self.rules(is_small),
            },
        }
    }

    /// Where a table is large, nothing that tries all pairs of rows, unless one side is small.
    fn rules(&mut self, is_small: bool) -> Rules {
        let pairs = ["off", "without_predicate_pushdown", "without_join_order"];
        let rules = self.random.pick(&Rules::ALL).expect("rules");
        match self.is_large && !is_small && pairs.contains(&rules.0) {
            true => Rules::default(),
            false => rules,
        }
    }

    fn question(&mut self) -> Question {
        let by_path = self.random.chance(55).then(|| self.path_query()).flatten();
        let is_small = by_path.is_some();
        let (text, is_ordered) = by_path.unwrap_or_else(|| self.statement());
        Question {
            text,
            is_ordered,
            style: self.style(is_small),
            is_change: false,
        }
    }

    fn changing_question(&mut self) -> Question {
        let by_path = self.random.chance(40).then(|| self.path_change()).flatten();
        let text = by_path.unwrap_or_else(|| self.change());
        Question {
            text,
            is_ordered: false,
            style: self.style(false),
            is_change: true,
        }
    }
}

/// Runs rounds from a seed on, until that many queries were compared; gives the seed to go on with, too.
///
/// # Errors
/// The first difference: what each engine says, and a script that shows it.
pub fn run(queries: u64, seed: u64, large: u64) -> Result<(Tally, u64), String> {
    let mut tally = Tally::default();
    let mut round = seed;
    while tally.queries < queries {
        if let Some(case) = run_round((round, large), None, &mut tally)? {
            let report = shrink::shrink(case, None);
            return Err(format!("seed {round}\n{report}"));
        }
        round = round.wrapping_add(1);
    }
    Ok((tally, round))
}

/// Of so many rounds in a hundred one table takes more than one batch.
pub const LARGE: u64 = 1;

/// Whether so many queries are enough to notice a mistake.
///
/// # Errors
/// Where tables cannot be made.
pub fn notices(queries: u64, seed: u64, mistake: Mistake) -> Result<bool, String> {
    let mut tally = Tally::default();
    let mut round = seed;
    while tally.queries < queries {
        if run_round((round, LARGE), Some(mistake), &mut tally)?.is_some() {
            return Ok(true);
        }
        round = round.wrapping_add(1);
    }
    Ok(false)
}

/// One round; `Err` where not even the tables can be made.
fn run_round(
    (seed, large): (u64, u64),
    mistake: Option<Mistake>,
    tally: &mut Tally,
) -> Result<Option<Case>, String> {
    let mut generator = Generator::new(seed, large);
    let layout = generator.layout();
    let mut case = Case {
        tables: generator.tables.clone(),
        layout,
        steps: Vec::new(),
        last: Question::contents("t0"),
    };
    let mut stage = Stage::new(&case, mistake).map_err(|error| format!("seed {seed}: {error}"))?;
    for at in 0..CHANGES * (QUERIES + 1) {
        let question = match at % (QUERIES + 1) {
            0 if at > 0 => generator.changing_question(),
            _ => generator.question(),
        };
        let seen = stage.ask(&question, Some(tally));
        if seen.is_some() {
            case.last = question;
            return Ok(Some(case));
        }
        if stage.is_abandoned() {
            break;
        }
        if question.is_change {
            case.steps.push(question);
        }
    }
    Ok(None)
}

/// All rows of a table.
fn contents(table: &str) -> Text {
    raw(format!("SELECT * FROM {table}"))
}
