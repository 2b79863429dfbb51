//! What a run of the fuzzer came to, so that one that compares nothing is noticed.

use super::trial::Question;
use super::world::Outcome;
use std::collections::BTreeMap;
use std::fmt;

/// Counts of a run.
#[derive(Clone, Default, Debug)]
pub struct Tally {
    /// Statements put to the engines.
    pub queries: u64,
    /// Those that changed tables, or tried to.
    pub changes: u64,
    /// Those that Remora ran.
    pub valid: u64,
    /// Those that gave rows.
    pub with_rows: u64,
    /// Those that SQLite ran, too.
    pub with_sqlite: u64,
    /// Why statements failed, and how often.
    pub refused: BTreeMap<String, u64>,
}

impl Tally {
    /// Adds those of another run.
    pub fn add(&mut self, other: Self) {
        self.queries += other.queries;
        self.changes += other.changes;
        self.valid += other.valid;
        self.with_rows += other.with_rows;
        self.with_sqlite += other.with_sqlite;
        for (why, count) in other.refused {
            *self.refused.entry(why).or_default() += count;
        }
    }

    /// Counts one.
    pub(super) fn count(
        &mut self,
        question: &Question,
        ours: &Outcome,
        other: &Outcome,
        sqlite: &Outcome,
    ) {
        self.queries += 1;
        self.changes += u64::from(question.is_change);
        let mut refuse = |who: &str, state: &str, message: &str| {
            // Names and numbers would make each one its own.
            let general: String = message
                .chars()
                .map(|c| if c.is_ascii_digit() { '#' } else { c })
                .take(90)
                .collect();
            *self
                .refused
                .entry(format!("{who} {state} {general}"))
                .or_default() += 1;
        };
        match ours {
            Outcome::Failed(state, message) => refuse("Remora", state, message),
            Outcome::Rows(rows) => {
                self.valid += 1;
                self.with_rows += u64::from(!rows.is_empty());
            }
            _ => self.valid += 1,
        }
        if let (Outcome::Failed(state, message), false) =
            (other, matches!(ours, Outcome::Failed(..)))
        {
            refuse("Remora, otherwise,", state, message);
        }
        match sqlite {
            Outcome::Failed(state, message) => refuse("SQLite", state, message),
            Outcome::Unsayable => {}
            _ => self.with_sqlite += 1,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |part: u64| part as f64 * 100.0 / self.queries.max(1) as f64;
        write!(
            f,
            "{} statements, {} of them changes: {:.1} % ran, {:.1} % in SQLite too, {:.1} % gave rows",
            self.queries,
            self.changes,
            percent(self.valid),
            percent(self.with_sqlite),
            percent(self.with_rows)
        )
    }
}
