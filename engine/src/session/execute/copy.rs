//! COPY: from and to files, and from and to what the embedding program hands in.

use super::dispatch::Pipe;
use crate::error::{Error, Result, state};
use crate::exec::Transaction;
use crate::exec::{self, ExecContext};
use crate::plan::statement::{Copy, CopyDirection};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};

/// Runs a COPY; returns the number of rows.
pub(in crate::session) fn run(
    plan: &Copy,
    tx: &mut Transaction,
    context: &ExecContext,
    pipe: &mut Pipe<'_>,
) -> Result<u64> {
    match (&plan.direction, &plan.path, pipe) {
        (CopyDirection::From { .. }, Some(path), _) => {
            let file = File::open(path).map_err(|e| cannot_open(path, "reading", &e))?;
            exec::copy_from(plan, &mut BufReader::new(file), tx, context)
        }
        (CopyDirection::To(_), Some(path), _) => to_file(plan, path, tx, context),
        (CopyDirection::From { .. }, None, Pipe::Reader(reader)) => {
            exec::copy_from(plan, *reader, tx, context)
        }
        (CopyDirection::To(_), None, Pipe::Writer(writer)) => {
            exec::copy_to(plan, *writer, tx.view(), context)
        }
        (CopyDirection::From { .. }, None, _) => Err(no_pipe("COPY FROM STDIN", "copy_from")),
        (CopyDirection::To(_), None, _) => Err(no_pipe("COPY TO STDOUT", "copy_to")),
    }
}

/// Writes beside the file and renames at the end, so that a failed COPY leaves an old file alone.
/// What is no plain file (a device, a pipe, a link) is written to directly.
fn to_file(plan: &Copy, path: &str, tx: &Transaction, context: &ExecContext) -> Result<u64> {
    let special = std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file());
    if special {
        return write_file(plan, path, path, tx, context);
    }
    let unfinished = format!("{path}.unfinished");
    let result = write_file(plan, path, &unfinished, tx, context).and_then(|rows| {
        std::fs::rename(&unfinished, path).map_err(|e| cannot_open(path, "writing", &e))?;
        Ok(rows)
    });
    result.inspect_err(|_| {
        // The statement's own error matters more than a file that cannot be removed either.
        let _ = std::fs::remove_file(&unfinished);
    })
}

fn write_file(
    plan: &Copy,
    path: &str,
    file: &str,
    tx: &Transaction,
    context: &ExecContext,
) -> Result<u64> {
    let fail = |error: io::Error| cannot_open(path, "writing", &error);
    let mut writer = BufWriter::new(File::create(file).map_err(fail)?);
    let rows = exec::copy_to(plan, &mut writer, tx.view(), context)?;
    writer.flush().map_err(fail)?;
    Ok(rows)
}

fn no_pipe(what: &str, method: &str) -> Error {
    Error::unsupported(format_args!("{what} as a plain statement")).with_hint(format!(
        "Name a file, or call Connection::{method} from the embedding program."
    ))
}

fn cannot_open(path: &str, purpose: &str, error: &io::Error) -> Error {
    let sqlstate = match error.kind() {
        io::ErrorKind::NotFound => state::UNDEFINED_FILE,
        io::ErrorKind::PermissionDenied => state::INSUFFICIENT_PRIVILEGE,
        io::ErrorKind::StorageFull => state::DISK_FULL,
        _ => state::IO_ERROR,
    };
    // The system's text ends in "(os error 2)": an error code of the wrong kind.
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    Error::new(
        sqlstate,
        format!("could not open file \"{path}\" for {purpose}: {text}"),
    )
}
