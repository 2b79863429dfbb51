//! Why records do not pass: `tests/corpora/SUITE.reasons.tsv`, a reason a line.
//!
//! ```text
//! FILE    LINES       REASON
//! a.slt   12,40-47    rows in the order in which they were written
//! b*.slt  *           partitioned tables are not there
//! *       ~INHERITS   inheritance is not there       records of whose failure the message says so
//! ```
//!
//! A `*` in a file's name stands for anything; a message has the statement behind a bar, and case does not count.
//! Records that fail only because an earlier one of their file did ([`follow`]) need no reason: it is theirs.
//! `corpora check` tells the messages of failing records for which no line gives a reason, and each line that gives
//! one for no failing record. `corpora reasons` adds a line for each message that is without, the reason being left
//! open (`?`), which does not count as one, and tells how many records each reason explains.

mod follow;

use super::{Suite, list_path};
use crate::Result;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A record that does not pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Failure {
    pub(super) file: String,
    pub(super) line: u32,
    /// What `run_slt.py` says of it.
    pub(super) message: String,
}

impl Failure {
    /// What is said of it, without the statement that stands behind the bar.
    fn said(&self) -> &str {
        self.message.split(" | ").next().unwrap_or_default()
    }

    fn statement(&self) -> &str {
        let parts = self.message.split_once(" | ");
        parts.map_or("", |(_, statement)| statement)
    }
}

/// A line of the list.
#[derive(Debug)]
struct Reason {
    file: String,
    records: Records,
    is_open: bool,
    /// As it is written.
    text: String,
}

#[derive(Debug)]
enum Records {
    All,
    Lines(Vec<(u32, u32)>),
    Saying(String),
}

impl Reason {
    fn read(text: &str) -> Result<Self> {
        let fields: Vec<&str> = text.split('\t').collect();
        let [file, records, reason] = fields[..] else {
            return Err(format!("not FILE, LINES and REASON: {text}").into());
        };
        let records = match records.strip_prefix('~') {
            Some(message) => Records::Saying(message.to_lowercase()),
            None if records == "*" => Records::All,
            None => {
                let ranges = records.split(',').map(|range| {
                    let (low, high) = range.split_once('-').unwrap_or((range, range));
                    Ok((low.parse()?, high.parse()?))
                });
                Records::Lines(ranges.collect::<Result<_>>()?)
            }
        };
        Ok(Self {
            file: file.to_owned(),
            records,
            is_open: reason == "?",
            text: text.to_owned(),
        })
    }

    fn covers(&self, failure: &Failure) -> bool {
        is_like(&failure.file, &self.file)
            && match &self.records {
                Records::All => true,
                Records::Lines(ranges) => {
                    let mut ranges = ranges.iter();
                    ranges.any(|(low, high)| (*low..=*high).contains(&failure.line))
                }
                Records::Saying(message) => failure.message.to_lowercase().contains(message),
            }
    }
}

/// Whether a name is like a pattern in which `*` stands for anything.
fn is_like(name: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return name == pattern;
    };
    let Some(mut name) = name.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match name.find(piece) {
            Some(at) => name = &name[at + piece.len()..],
            None => return false,
        }
    }
    name.ends_with(last)
}

fn path(suite: &Suite) -> PathBuf {
    list_path(suite).with_extension("reasons.tsv")
}

fn read(path: &Path) -> Result<Vec<Reason>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(path)?;
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(Reason::read).collect()
}

/// Tells the messages of failing records without a reason, and the reasons of none.
pub(super) fn check(suite: &Suite, failures: &[Failure]) -> Result<()> {
    let reasons = read(&path(suite))?;
    let given: Vec<&Reason> = reasons.iter().filter(|reason| !reason.is_open).collect();
    let causes = follow::causes(failures);
    let without = by_message(&given, &causes);
    for (message, records) in &without {
        let (first, count) = (records[0], records.len());
        println!(
            "{}: no reason for {count} records from {}:{} on: {message}",
            suite.name, first.file, first.line
        );
    }
    for reason in &reasons {
        if !failures.iter().any(|failure| reason.covers(failure)) {
            println!(
                "{}: the reason of no failing record: {}",
                suite.name, reason.text
            );
        }
    }
    let records: usize = without.values().map(Vec::len).sum();
    println!(
        "{}: of {} failing records {} follow from earlier ones, and {records} have no reason",
        suite.name,
        failures.len(),
        failures.len() - causes.len()
    );
    Ok(())
}

/// Adds a line for each message of failing records without one; those with the same message together.
pub(super) fn add(suite: &Suite, failures: &[Failure]) -> Result<()> {
    let path = path(suite);
    let reasons = read(&path)?;
    let causes = follow::causes(failures);
    for reason in &reasons {
        let count = causes.iter().filter(|cause| reason.covers(cause)).count();
        println!("{}: {count} records: {}", suite.name, reason.text);
    }
    let lines = open_lines(&reasons, &causes);
    let mut text = match path.exists() {
        true => std::fs::read_to_string(&path)?,
        false => String::from("# file\tlines, * or ~message\treason\n"),
    };
    text += &lines;
    println!(
        "{}: {} lines added",
        suite.name,
        lines.lines().filter(|line| !line.starts_with('#')).count()
    );
    Ok(std::fs::write(path, text)?)
}

/// The records that no reason covers, by what is said of them.
fn by_message<'f>(
    reasons: &[&Reason],
    failures: &[&'f Failure],
) -> BTreeMap<&'f str, Vec<&'f Failure>> {
    let mut messages: BTreeMap<&str, Vec<&Failure>> = BTreeMap::new();
    for failure in failures {
        if !reasons.iter().any(|reason| reason.covers(failure)) {
            messages.entry(failure.said()).or_default().push(failure);
        }
    }
    messages
}

fn open_lines(reasons: &[Reason], failures: &[&Failure]) -> String {
    let reasons: Vec<&Reason> = reasons.iter().collect();
    let mut lines = String::new();
    for (message, records) in by_message(&reasons, failures) {
        let _ = writeln!(
            lines,
            "# {} records\n*\t~{}\t?",
            records.len(),
            message.replace('\t', " ")
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(file: &str, line: u32, message: &str) -> Failure {
        let (file, message) = (file.to_owned(), message.to_owned());
        Failure {
            file,
            line,
            message,
        }
    }

    #[test]
    fn a_reason_covers_files_lines_and_messages() {
        let covers = |text: &str, file, line, message| {
            Reason::read(text)
                .unwrap()
                .covers(&failure(file, line, message))
        };
        assert!(covers("a.slt\t3,7-9\tx", "a.slt", 8, ""));
        assert!(!covers("a.slt\t3,7-9\tx", "a.slt", 6, ""));
        assert!(!covers("a.slt\t*\tx", "b/a.slt", 8, ""));
        assert!(covers("*/a*.slt\t*\tx", "b/abc.slt", 8, ""));
        assert!(covers(
            "*\t~INHERITS\tx",
            "b.slt",
            8,
            "INHERITS is not there"
        ));
        assert!(Reason::read("a.slt\t3").is_err());
        assert!(Reason::read("a.slt\tthree\tx").is_err());
    }

    #[test]
    fn what_has_no_reason_gets_a_line_once() {
        let failures = [
            failure("a.slt", 1, "f_q: no | SELECT 1"),
            failure("a.slt", 2, "f_q: no | SELECT 2"),
        ];
        let failures: Vec<&Failure> = failures.iter().collect();
        let lines = open_lines(&[], &failures);
        assert_eq!(lines, "# 2 records\n*\t~f_q: no\t?\n");
        let known: Vec<Reason> = vec![Reason::read("*\t~f_q: no\t?").unwrap()];
        assert_eq!(open_lines(&known, &failures), "");
    }
}
