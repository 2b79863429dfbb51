//! Which records fail only because an earlier one of their file did.
//!
//! ```text
//!   12: INHERITS is not supported         | CREATE TABLE child () INHERITS (parent)       a cause: `child` is missed
//!   15: relation "child" does not exist   | CREATE INDEX child_i ON child (a)             follows, and misses `child_i`
//!   18: index "child_i" does not exist    | DROP INDEX child_i                            follows
//! ```
//!
//! What an earlier record was to make, it makes no more; and a transaction that it broke refuses everything. That a
//! query gives other rows since an `INSERT` failed cannot be told from what is said of it: that wants a reason.

use super::Failure;
use std::collections::BTreeSet;

/// The words behind which a statement names what it makes, with those that may stand between.
const MAKING: [&str; 4] = ["create", "savepoint", "rename", "add"];
const KINDS: [&str; 26] = [
    "or",
    "replace",
    "temp",
    "temporary",
    "unlogged",
    "unique",
    "recursive",
    "materialized",
    "concurrently",
    "table",
    "view",
    "index",
    "type",
    "domain",
    "function",
    "procedure",
    "aggregate",
    "schema",
    "sequence",
    "trigger",
    "column",
    "constraint",
    "to",
    "if",
    "not",
    "exists",
];

/// The records that fail for a reason of their own, in the order in which they are given: by file, and by line.
pub(super) fn causes(failures: &[Failure]) -> Vec<&Failure> {
    let mut causes = Vec::new();
    let (mut file, mut missed) = ("", BTreeSet::new());
    for failure in failures {
        if failure.file != file {
            (file, missed) = (&failure.file, BTreeSet::new());
        }
        let said = failure.said();
        let is_aborted = said.contains("current transaction is aborted");
        let follows = is_aborted
            && causes
                .last()
                .is_some_and(|cause: &&Failure| cause.file == file)
            || said.contains("does not exist") && named(said).any(|name| missed.contains(&name));
        if !follows {
            causes.push(failure);
        }
        missed.extend(made(failure.statement()));
    }
    causes
}

/// What a message names: the parts of quoted names, and the name before a bracket.
fn named(said: &str) -> impl Iterator<Item = String> {
    let quoted = said.split('"').skip(1).step_by(2);
    let parts = quoted.flat_map(|name| name.split('.'));
    let called = said
        .split_once('(')
        .and_then(|(name, _)| name.split([' ', '.']).next_back());
    parts.chain(called).map(str::to_lowercase)
}

/// What a statement was to make.
fn made(statement: &str) -> Vec<String> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let words = statement.split(|c: char| !is_part(c));
    let words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let mut made = Vec::new();
    for (at, word) in words.iter().enumerate() {
        if MAKING.contains(&word.as_str()) {
            let rest = &words[at + 1..];
            let name = rest.iter().find(|word| !KINDS.contains(&word.as_str()));
            made.extend(
                name.and_then(|name| name.split('.').next_back())
                    .map(str::to_owned),
            );
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(records: &[(u32, &str)]) -> Vec<u32> {
        let failures = records.iter().map(|(line, message)| Failure {
            file: "a.slt".to_owned(),
            line: *line,
            message: (*message).to_owned(),
        });
        let failures: Vec<Failure> = failures.collect();
        causes(&failures)
            .iter()
            .map(|failure| failure.line)
            .collect()
    }

    #[test]
    fn what_an_earlier_record_was_to_make_is_missed_by_later_ones() {
        let records = [
            (1, "f_s_error: relation \"child\" does not exist | SELECT 1"),
            (
                2,
                "f_s_error: INHERITS is not supported | CREATE TEMP TABLE s.child () INHERITS (parent)",
            ),
            (
                3,
                "f_s_error: relation \"s.child\" does not exist | create index if not exists i on child (a)",
            ),
            (
                4,
                "f_e_state: expected 42P01 got 42704 index \"i\" does not exist | drop index i",
            ),
            (
                5,
                "f_s_error: language \"c\" is not supported | CREATE OR REPLACE FUNCTION f(int) RETURNS int",
            ),
            (
                6,
                "f_q_error: function f(integer) does not exist | SELECT f(1)",
            ),
            (7, "f_q_wrong: expected 1 row | SELECT * FROM child"),
        ];
        assert_eq!(lines(&records), [1, 2, 5, 7]);
    }

    #[test]
    fn a_broken_transaction_is_nobodys_reason_but_that_of_who_broke_it() {
        let aborted = "f_s_error: current transaction is aborted | SELECT 1";
        assert_eq!(
            lines(&[
                (1, aborted),
                (2, aborted),
                (3, "f_q_error: no | SELECT 2"),
                (4, aborted)
            ]),
            [1, 3]
        );
    }
}
