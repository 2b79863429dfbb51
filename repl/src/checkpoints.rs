//! `remora checkpoints` and `remora restore`: which checkpoints a directory has, and the return to one.

use crate::args::Exit;
use crate::caret::write_error;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use remora::{Checkpoints, Database, Error, KeptCheckpoint, Newer, Options, RestoreReport};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Lists checkpoints.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// Directory of the database; another process may have it open
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

/// Returns to a checkpoint.
#[derive(Args, Debug)]
pub(crate) struct Restore {
    /// Directory of the database; nobody may have it open
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// Which checkpoint, as `remora checkpoints` numbers them
    #[arg(value_name = "NUMBER")]
    number: u64,

    /// Give up what was committed after the newest checkpoint; without it that is put into a checkpoint
    /// first, which needs it to be readable
    #[arg(long)]
    abandon: bool,
}

impl List {
    /// Writes the list; the exit code tells whether all of them can be read.
    pub(crate) fn run(&self) -> Exit {
        let checkpoints = match Database::checkpoints_in(&self.directory) {
            Ok(checkpoints) => checkpoints,
            Err(error) => return fail(&error),
        };
        let mut out = io::stdout().lock();
        let written = match self.json {
            true => writeln!(out, "{}", as_json(&checkpoints)),
            false => write_list(&mut out, &checkpoints),
        };
        match written {
            Ok(()) if checkpoints.damaged.is_empty() => Exit::Ok,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            _ => Exit::StatementFailed,
        }
    }
}

impl Restore {
    /// Does it and says what was done.
    pub(crate) fn run(&self) -> Exit {
        let newer = match self.abandon {
            true => Newer::Abandon,
            false => Newer::Keep,
        };
        let (directory, options) = (&self.directory, Options::default());
        match Database::restore_checkpoint_with(directory, self.number, options, newer) {
            Ok(report) => {
                // Done is done, whether anybody reads it or not.
                let _ = write_report(&mut io::stdout().lock(), directory, &report);
                Exit::Ok
            }
            Err(error) => fail(&error),
        }
    }
}

fn fail(error: &Error) -> Exit {
    // There is no other place to report to.
    let _ = write_error(&mut io::stderr().lock(), error, "");
    match error.sqlstate() {
        "42704" => Exit::StatementFailed,
        _ => Exit::CannotOpen,
    }
}

fn time(checkpoint: &KeptCheckpoint) -> Option<String> {
    let info = checkpoint.info.as_ref()?;
    Some(DateTime::<Utc>::from(info.time()).to_rfc3339_opts(SecondsFormat::Secs, true))
}

fn reason(checkpoint: &KeptCheckpoint) -> Option<&'static str> {
    checkpoint.info.as_ref().map(|info| info.reason.name())
}

fn restored_from(checkpoint: &KeptCheckpoint) -> Option<u64> {
    checkpoint.info.as_ref()?.restored_from
}

fn as_json(checkpoints: &Checkpoints) -> Value {
    let one = |one: &KeptCheckpoint| {
        json!({
            "number": one.number,
            "current": one.is_current,
            "time": time(one),
            "reason": reason(one),
            "tables": one.tables,
            "rows": one.rows,
            "bytes": one.bytes,
            "timestamp": one.timestamp.0,
            "timeline": one.timeline,
            "restored_from": restored_from(one),
        })
    };
    let list: Vec<Value> = checkpoints.list.iter().map(one).collect();
    let damaged = checkpoints.damaged.iter().map(|error| error.message());
    json!({ "checkpoints": list, "damaged": damaged.collect::<Vec<_>>() })
}

fn write_list(out: &mut dyn Write, checkpoints: &Checkpoints) -> io::Result<()> {
    writeln!(
        out,
        "{:>6}  {:<20}  {:<15}  {:>12}  {:>14}  {:>8}  note",
        "number", "time", "reason", "rows", "bytes", "timeline"
    )?;
    for one in &checkpoints.list {
        let current = one.is_current.then(|| "current".to_owned());
        let from = restored_from(one).map(|from| format!("restored from {from}"));
        let notes: Vec<String> = current.into_iter().chain(from).collect();
        let line = format!(
            "{:>6}  {:<20}  {:<15}  {:>12}  {:>14}  {:>8}  {}",
            one.number,
            time(one).unwrap_or_default(),
            reason(one).unwrap_or_default(),
            one.rows,
            one.bytes,
            one.timeline,
            notes.join(", ")
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    for error in &checkpoints.damaged {
        writeln!(out, "damaged: {}", error.message())?;
    }
    Ok(())
}

fn write_report(out: &mut dyn Write, directory: &Path, report: &RestoreReport) -> io::Result<()> {
    let RestoreReport {
        from,
        number,
        rows,
        timeline,
        ..
    } = report;
    writeln!(
        out,
        "Checkpoint {from} ({rows} rows) is the current one again, as checkpoint {number} on timeline {timeline}."
    )?;
    match report.before {
        Some(before) => writeln!(
            out,
            "What was there before is checkpoint {before}, which is kept until the next checkpoints \
             forget it: remora restore {} {before}",
            directory.display()
        ),
        None => writeln!(
            out,
            "What was committed after the newest checkpoint was given up; older checkpoints are kept \
             until the next ones forget them."
        ),
    }
}
