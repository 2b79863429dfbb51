//! Why records do not pass: `tests/corpora/SUITE.reasons.tsv`, a reason a line.
//!
//! ```text
//! FILE    LINES       REASON
//! a.slt   12,40-47    rows in the order in which they were written
//! b*.slt  *           partitioned tables are not there
//! *       ~INHERITS   inheritance is not there       records of whose failure the message says so
//! ```
//!
//! A `*` in a file's name stands for anything. `corpora check` tells each failing record for which no line gives a
//! reason, and each line that gives one for no failing record. `corpora reasons` adds a line for each message
//! that is without, the reason being left open (`?`), which does not count as one.

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
            Some(message) => Records::Saying(message.to_owned()),
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
                Records::Saying(message) => failure.message.contains(message.as_str()),
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

/// Tells the failing records without a reason, and the reasons of none.
pub(super) fn check(suite: &Suite, failures: &[Failure]) -> Result<()> {
    let reasons = read(&path(suite))?;
    let mut without = 0;
    for failure in failures {
        if !reasons
            .iter()
            .any(|reason| !reason.is_open && reason.covers(failure))
        {
            without += 1;
            let (file, line) = (&failure.file, failure.line);
            println!(
                "{}: {file}:{line}: no reason for {}",
                suite.name, failure.message
            );
        }
    }
    for reason in &reasons {
        if !failures.iter().any(|failure| reason.covers(failure)) {
            println!(
                "{}: the reason of no failing record: {}",
                suite.name, reason.text
            );
        }
    }
    println!("{}: {without} failing records have no reason", suite.name);
    Ok(())
}

/// Adds a line for each message of failing records without one; those with the same message together.
pub(super) fn add(suite: &Suite, failures: &[Failure]) -> Result<()> {
    let path = path(suite);
    let reasons = read(&path)?;
    let lines = open_lines(&reasons, failures);
    let mut text = match path.exists() {
        true => std::fs::read_to_string(&path)?,
        false => String::from("# file\tlines, * or ~message\treason\n"),
    };
    text += &lines;
    println!("{}: {} lines added", suite.name, lines.lines().count());
    Ok(std::fs::write(path, text)?)
}

fn open_lines(reasons: &[Reason], failures: &[Failure]) -> String {
    let mut messages: BTreeMap<&str, usize> = BTreeMap::new();
    for failure in failures {
        if !reasons.iter().any(|reason| reason.covers(failure)) {
            // Behind the bar stands the statement.
            let message = failure.message.split(" | ").next().unwrap_or_default();
            *messages.entry(message).or_default() += 1;
        }
    }
    let mut lines = String::new();
    for (message, count) in messages {
        let _ = writeln!(
            lines,
            "# {count} records\n*\t~{}\t?",
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
        let lines = open_lines(&[], &failures);
        assert_eq!(lines, "# 2 records\n*\t~f_q: no\t?\n");
        let known: Vec<Reason> = vec![Reason::read("*\t~f_q: no\t?").unwrap()];
        assert_eq!(open_lines(&known, &failures), "");
    }
}
