//! Corpora: runs the logic-test corpora and compares what passes with the list kept in the repo.
//!
//! 1. Each suite is given to `run_slt.py`, the corpora's own runner, which drives `remora --ndjson`.
//! 2. What it reports is brought down to one line a file: how many records pass, and the line
//!    numbers of those that do not.
//! 3. `check` compares that with `tests/corpora/SUITE.tsv`: a record that used to pass and fails
//!    now, or a file that lost passing records, is a regression and fails the run.
//! 4. `update` writes the list anew; it refuses to where that would take a passing record off the
//!    list. So the lists only ever grow.
//! 5. Each record that does not pass has a reason in `tests/corpora/SUITE.reasons.tsv` ([`reasons`]): `check` tells
//!    those that have none, `reasons` adds lines to be filled in.
//! 6. `check` then plays the isolation cases (suite `isolation`, [`isolation`]).
//!
//! ```text
//! cargo run --release -p remora-tests -- corpora check  ../shared/corpora [SUITE]
//! cargo run --release -p remora-tests -- corpora update ../shared/corpora [SUITE]
//! cargo run --release -p remora-tests -- corpora reasons ../shared/corpora [SUITE]
//! ```
mod isolation;
mod reasons;

use crate::Result;
use crate::arguments::Arguments;
use reasons::Failure;
use remora_tests::machine;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A suite: its name, where it lies under the corpora, and how it is run.
struct Suite {
    name: &'static str,
    path: &'static str,
    arguments: &'static [&'static str],
}

const SUITES: &[Suite] = &[
    Suite {
        name: "risinglight",
        path: "slt/risinglight",
        arguments: &["--sqlstate"],
    },
    Suite {
        name: "duckdb",
        path: "slt/duckdb",
        arguments: &["--sqlstate"],
    },
    Suite {
        name: "datafusion",
        path: "slt/datafusion",
        arguments: &["--sqlstate"],
    },
    Suite {
        name: "pgregress-core",
        path: "slt/pgregress-core",
        arguments: &["--sqlstate"],
    },
    Suite {
        name: "pgregress-full",
        path: "slt/pgregress-full.tar.zst",
        arguments: &["--sqlstate"],
    },
    Suite {
        name: "tpch",
        path: "slt/tpch",
        arguments: &["--sqlstate"],
    },
    // This suite states errors without their SQLSTATE.
    Suite {
        name: "sqlite",
        path: "sqlite.tar.zst",
        arguments: &[],
    },
];

/// Records that depend on when they are run, by suite, file and line. They count as not passing, whenever it is.
const OF_THEIR_TIME: &[(&str, &str, u32)] = &[
    // Counts from today: true on the day it was written down only.
    ("duckdb", "sql/function/timestamp/age.slt", 5),
    // Two transactions within one hundredth of a second; in `pgregress-full` they stand apart by `pg_sleep`.
    ("pgregress-core", "timestamptz.slt", 69),
    ("pgregress-core", "timestamptz.slt", 74),
];

/// What one file of a suite comes to.
#[derive(Default, PartialEq, Debug)]
struct FileResult {
    passed: u64,
    failing: BTreeSet<u32>,
}

type SuiteResult = BTreeMap<String, FileResult>;

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    let usage = "usage: corpora check|update|reasons CORPORA [SUITE]";
    let task = match arguments.next().as_deref() {
        Some("check") => Task::Check,
        Some("update") => Task::Update,
        Some("reasons") => Task::Reasons,
        _ => return Err(usage.into()),
    };
    let corpora = PathBuf::from(arguments.next().ok_or(usage)?);
    let only = arguments.next();
    arguments.end()?;
    match compare_all(&corpora, only.as_deref(), task)? {
        true => Ok(()),
        false => Err("something that passed does not pass any more".into()),
    }
}

/// What is to be done with what a suite comes to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    Check,
    Update,
    Reasons,
}

/// Runs the suites; whether everything passes that has passed.
fn compare_all(corpora: &Path, only: Option<&str>, task: Task) -> Result<bool> {
    let remora = machine::binary()?;
    let wanted = |name: &str| only.is_none_or(|only| only == name);
    let mut good = true;
    for suite in SUITES.iter().filter(|suite| wanted(suite.name)) {
        let list = list_path(suite);
        let (found, failures) = run_suite(suite, &remora, corpora)?;
        let kept = if list.exists() {
            read_list(&list)?
        } else {
            SuiteResult::new()
        };
        let regressions = compare(&kept, &found);
        for regression in &regressions {
            println!("{}: {regression}", suite.name);
        }
        let passed: u64 = found.values().map(|file| file.passed).sum();
        let failed: usize = found.values().map(|file| file.failing.len()).sum();
        let before: u64 = kept.values().map(|file| file.passed).sum();
        println!(
            "{}: {passed} records pass (list: {before}), {failed} do not",
            suite.name
        );
        match task {
            Task::Reasons => reasons::add(suite, &failures)?,
            Task::Check => reasons::check(suite, &failures)?,
            Task::Update if regressions.is_empty() => {
                std::fs::write(&list, render_list(&found))?;
            }
            Task::Update => {}
        }
        good &= regressions.is_empty();
    }
    if task == Task::Check && wanted("isolation") {
        good &= isolation::check(&remora, corpora)?;
    }
    Ok(good)
}

fn list_path(suite: &Suite) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpora")
        .join(format!("{}.tsv", suite.name))
}

/// Runs one suite through `run_slt.py` and reads its report.
fn run_suite(suite: &Suite, remora: &Path, corpora: &Path) -> Result<(SuiteResult, Vec<Failure>)> {
    let report = tempfile::NamedTempFile::new()?;
    let output = Command::new("python3")
        .arg(corpora.join("run_slt.py"))
        .args([
            "--engine",
            "cmd",
            "--cmd",
            &format!("{} --ndjson", remora.display()),
        ])
        .args(["--show", "1000000", "--time-limit", "120", "--json"])
        .arg(report.path())
        .args(suite.arguments)
        .arg("--allow")
        .arg(corpora.join("sqlite-pg-deviations.tsv"))
        .arg(corpora.join(suite.path))
        .output()?;
    let counts: serde_json::Value = serde_json::from_slice(&std::fs::read(report.path())?)
        .map_err(|_| format!("run_slt.py: {}", String::from_utf8_lossy(&output.stderr)))?;
    let mut result = SuiteResult::new();
    let files = counts["files"]
        .as_object()
        .ok_or("run_slt.py wrote no counts")?;
    for (name, count) in files {
        let passed = ["ok_s", "ok_e", "ok_q"]
            .iter()
            .map(|key| count[key].as_u64().unwrap_or(0));
        result.insert(
            name.clone(),
            FileResult {
                passed: passed.sum(),
                ..FileResult::default()
            },
        );
    }
    let mut failures = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Some((place, message)) = line.split_once(": f_") else {
            continue;
        };
        let Some((name, number)) = place.rsplit_once(':') else {
            continue;
        };
        if let (Some(file), Ok(number)) = (result.get_mut(name), number.parse()) {
            file.failing.insert(number);
            failures.push(Failure {
                file: name.to_owned(),
                line: number,
                message: format!("f_{message}"),
            });
        }
    }
    leave_out_those_of_their_time(suite, &mut result);
    Ok((result, failures))
}

/// Counts [`OF_THEIR_TIME`] as not passing also when they do.
fn leave_out_those_of_their_time(suite: &Suite, result: &mut SuiteResult) {
    let of_the_suite = OF_THEIR_TIME
        .iter()
        .filter(|(name, ..)| *name == suite.name);
    for (_, file, line) in of_the_suite {
        if let Some(file) = result.get_mut(*file)
            && file.failing.insert(*line)
        {
            file.passed -= 1;
        }
    }
}

/// What passed by the list and does not now.
fn compare(kept: &SuiteResult, found: &SuiteResult) -> Vec<String> {
    let mut regressions = Vec::new();
    for (name, kept) in kept {
        let Some(found) = found.get(name) else {
            regressions.push(format!("{name}: the file was not run"));
            continue;
        };
        for line in found.failing.difference(&kept.failing) {
            regressions.push(format!("{name}:{line}: passed before and fails now"));
        }
        if found.passed < kept.passed {
            regressions.push(format!(
                "{name}: {} records passed before and {} now",
                kept.passed, found.passed
            ));
        }
    }
    regressions
}

/// One line a file: its name, how many records pass, the line numbers of those that do not.
fn render_list(result: &SuiteResult) -> String {
    let mut text = String::from("# file\tpassing records\tlines of the records that do not pass\n");
    for (name, file) in result {
        let lines: Vec<String> = file.failing.iter().map(u32::to_string).collect();
        let _ = writeln!(text, "{name}\t{}\t{}", file.passed, lines.join(","));
    }
    text
}

fn read_list(path: &Path) -> Result<SuiteResult> {
    let text = std::fs::read_to_string(path)?;
    let mut result = SuiteResult::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split('\t');
        let (Some(name), Some(passed)) = (fields.next(), fields.next()) else {
            return Err(format!("{}: not a list line: {line}", path.display()).into());
        };
        let failing = fields
            .next()
            .unwrap_or("")
            .split(',')
            .filter(|number| !number.is_empty());
        let failing = failing
            .map(str::parse)
            .collect::<std::result::Result<_, _>>()?;
        result.insert(
            name.to_owned(),
            FileResult {
                passed: passed.parse()?,
                failing,
            },
        );
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(passed: u64, failing: &[u32]) -> SuiteResult {
        let file = FileResult {
            passed,
            failing: failing.iter().copied().collect(),
        };
        BTreeMap::from([("a.slt".to_owned(), file)])
    }

    #[test]
    fn a_list_survives_writing_and_reading() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), render_list(&suite(7, &[3, 9]))).unwrap();
        assert_eq!(read_list(file.path()).unwrap(), suite(7, &[3, 9]));
    }

    #[test]
    fn one_record_more_that_fails_is_a_regression_even_if_another_one_passes_now() {
        assert_eq!(compare(&suite(7, &[3]), &suite(7, &[9])).len(), 1);
        assert_eq!(compare(&suite(7, &[3, 9]), &suite(8, &[9])).len(), 0);
        assert_eq!(compare(&suite(7, &[3]), &suite(6, &[3])).len(), 1);
    }
}
