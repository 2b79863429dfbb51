//! `remora verify`: whether a directory holds what was written to it.

use crate::args::Exit;
use crate::caret::write_error;
use clap::Args;
use remora::{Damage, Database, Verified};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::PathBuf;

/// Verifies a directory.
#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// Directory of the database; nobody may have it open
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

impl Verify {
    /// Does it and writes what was found; the exit code tells whether there is any damage.
    pub(crate) fn run(&self) -> Exit {
        let verified = match Database::verify(&self.directory) {
            Ok(verified) => verified,
            Err(error) => {
                // There is no other place to report to.
                let _ = write_error(&mut io::stderr().lock(), &error, "");
                return Exit::CannotOpen;
            }
        };
        let mut out = io::stdout().lock();
        // Whoever stops reading has the exit code still.
        let _ = match self.json {
            true => writeln!(out, "{}", as_json(&verified)),
            false => write_report(&mut out, &verified),
        };
        match verified.damages.is_empty() {
            true => Exit::Ok,
            false => Exit::StatementFailed,
        }
    }
}

fn as_json(verified: &Verified) -> Value {
    let damage = |damage: &Damage| {
        json!({
            "message": damage.error.message(),
            "table": damage.table,
            "block": damage.block,
            "rows": damage.rows,
        })
    };
    json!({
        "ok": verified.damages.is_empty(),
        "checkpoint": verified.checkpoint,
        "root": verified.root,
        "rows": verified.rows,
        "images": verified.images.0,
        "image_bytes": verified.images.1,
        "frames": verified.frames.0,
        "log_bytes": verified.frames.1,
        "torn_tail": verified.torn_tail,
        "damages": verified.damages.iter().map(damage).collect::<Vec<_>>(),
    })
}

fn write_report(out: &mut dyn Write, verified: &Verified) -> io::Result<()> {
    if let Some(number) = verified.checkpoint {
        writeln!(out, "Checkpoint {number}: {} rows.", verified.rows)?;
    }
    if let Some(root) = &verified.root {
        writeln!(out, "Root: {root}")?;
    }
    let ((images, image_bytes), (frames, log_bytes)) = (verified.images, verified.frames);
    writeln!(
        out,
        "Read {images} images ({image_bytes} bytes) and {frames} frames of the log ({log_bytes} bytes)."
    )?;
    if let Some(tail) = &verified.torn_tail {
        writeln!(out, "The next opening drops a torn tail: {tail}")?;
    }
    for damage in &verified.damages {
        writeln!(out, "damaged: {}", damage.error.message())?;
        if let (Some(table), Some(block)) = (&damage.table, damage.block) {
            let rows = damage.rows.unwrap_or_default();
            writeln!(out, "  block {block} of table {table}, {rows} rows")?;
        }
    }
    match verified.damages.len() {
        0 => writeln!(out, "Everything is what was written."),
        1 => writeln!(out, "One thing is damaged."),
        count => writeln!(out, "{count} things are damaged."),
    }
}
