//! The isolation cases: sessions that step through one another, as PostgreSQL's and Hermitage's tests have it.
//!
//! `run_iso.py`, the corpora's own runner, plays each case against `remora --ndjson` and prints a line a
//! family: how many cases it holds, how many end as in PostgreSQL, how many get stuck, how many
//! transactions failed here and there, and of the cases at SERIALIZABLE how many end in a state that some
//! serial order gives. An engine may choose another victim than PostgreSQL does, so equality is not asked
//! for; what is:
//!
//! 1. every case at SERIALIZABLE ends as some serial order does;
//! 2. none is stuck;
//! 3. of all families together at most three times as many transactions fail as in PostgreSQL. An engine
//!    that fails them all would pass the first two.

use crate::Result;
use std::path::Path;
use std::process::Command;

/// How many times PostgreSQL's failed transactions there may be.
const MOST_FAILURES: u64 = 3;

/// A line of the report.
#[derive(PartialEq, Eq, Debug)]
struct Family {
    name: String,
    stuck: u64,
    failures: u64,
    failures_of_postgres: u64,
    /// Of the cases at SERIALIZABLE: how many are as in some serial order, and how many there are.
    serial: Option<(u64, u64)>,
}

/// Plays all cases; whether they end as they must.
pub(crate) fn check(remora: &Path, corpora: &Path) -> Result<bool> {
    let cases = corpora.join("isolation");
    let output = Command::new("python3")
        .arg(corpora.join("run_iso.py"))
        .args(["--engine", "cmd", "--serial", "--cmd"])
        .arg(format!("{} --ndjson", remora.display()))
        .args(["hermitage.jsonl", "pg-isolation.jsonl"].map(|file| cases.join(file)))
        .output()?;
    let families = read_report(&String::from_utf8_lossy(&output.stdout));
    let total = families
        .iter()
        .find(|family| family.name == "TOTAL")
        .ok_or_else(|| format!("run_iso.py: {}", String::from_utf8_lossy(&output.stderr)))?;
    let complaints = complaints(&families);
    for complaint in &complaints {
        println!("isolation: {complaint}");
    }
    let (serial, of) = total.serial.unwrap_or((0, 0));
    println!(
        "isolation: {serial} of {of} cases are serial, {} stuck, {} transactions fail (PostgreSQL: {})",
        total.stuck, total.failures, total.failures_of_postgres
    );
    Ok(complaints.is_empty())
}

/// What is not as it must be.
fn complaints(families: &[Family]) -> Vec<String> {
    let mut complaints = Vec::new();
    for family in families {
        if let Some((serial, of)) = family.serial
            && serial < of
        {
            complaints.push(format!(
                "{}: {serial} of {of} cases are serial",
                family.name
            ));
        }
        if family.stuck > 0 {
            complaints.push(format!("{}: {} cases are stuck", family.name, family.stuck));
        }
        if family.name == "TOTAL" && family.failures > MOST_FAILURES * family.failures_of_postgres {
            complaints.push("too many transactions fail".to_owned());
        }
        if family.name == "TOTAL" && family.serial.is_none_or(|(_, of)| of == 0) {
            complaints.push("no case at SERIALIZABLE was played".to_owned());
        }
    }
    complaints
}

/// The lines of the report that are about a family: its name, five counts that matter or do not, two of
/// failures, and `serial/of` or `-`.
fn read_report(report: &str) -> Vec<Family> {
    report.lines().filter_map(read_line).collect()
}

fn read_line(line: &str) -> Option<Family> {
    let [
        name,
        _cases,
        _exact,
        _final,
        stuck,
        failures,
        failures_of_postgres,
        serial,
    ] = <[&str; 8]>::try_from(line.split_whitespace().collect::<Vec<_>>()).ok()?;
    let serial = match serial.split_once('/') {
        Some((serial, of)) => Some((serial.parse().ok()?, of.parse().ok()?)),
        None => None,
    };
    Some(Family {
        name: name.to_owned(),
        stuck: stuck.parse().ok()?,
        failures: failures.parse().ok()?,
        failures_of_postgres: failures_of_postgres.parse().ok()?,
        serial,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "\
case                                 n  exact  final  stuck  aborts pg aborts serial
skip-locked                         20     20     20      0       0         0 -
simple-write-skew                    6      6      6      0       4         4 6/6
TOTAL                               26     26     26      0       4         4 6/6
26 passed, 0 failed
";

    #[test]
    fn a_report_without_fault_is_read_and_passes() {
        let families = read_report(REPORT);
        assert_eq!(families.len(), 3);
        assert_eq!(families[1].serial, Some((6, 6)));
        assert!(complaints(&families).is_empty());
    }

    #[test]
    fn what_is_not_serial_or_stuck_or_fails_wholesale_is_named() {
        let of = |from: &str, to: &str| complaints(&read_report(&REPORT.replace(from, to)));
        assert_eq!(of("4         4 6/6", "4         4 5/6").len(), 2);
        assert_eq!(of("20      0       0", "20      1       0").len(), 1);
        assert_eq!(of("26      0       4", "26      0      13").len(), 1);
        assert_eq!(of("6/6", "-").len(), 1);
    }
}
