//! The command line, and opening the database that it names.

use crate::progress::Line;
use crate::{checkpoints, verify};
use clap::{Parser, Subcommand, ValueEnum};
use remora::{Database, Durability, Options, RecoveryMode, Result};
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;

/// An SQL database in memory, kept on disk where a directory is given.
#[derive(Parser, Debug)]
#[command(
    name = "remora",
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Args {
    /// What to do with a directory instead of opening it.
    #[command(subcommand)]
    pub(crate) action: Option<Action>,

    /// Directory of the database, made if it is missing; without it the database lives in memory
    /// and ends with the program
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,

    /// Run SQL and exit; may be given several times
    #[arg(short = 'c', long = "command", value_name = "SQL")]
    pub(crate) commands: Vec<String>,

    /// Run the SQL script in FILE and exit; may be given several times, after any -c
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// How results are shown [default: box on a terminal, csv otherwise]
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,

    /// When a change counts as done [default: sync with a DIR, memory without]
    #[arg(long, value_enum)]
    pub(crate) durability: Option<DurabilityArg>,

    /// Keep what can be kept of a damaged DIR, report each loss, and move what was there into
    /// DIR/quarantine; without it damage is an error, and nothing is written
    #[arg(long, requires = "directory")]
    pub(crate) salvage: bool,

    /// Believe the clock of this machine where DIR says that it was later already; without it time goes on from
    /// there, at half speed until the clock has caught up
    #[arg(long, requires = "directory")]
    pub(crate) accept_clock: bool,

    /// Speak newline-delimited JSON on standard input and output (docs/machine_mode.md)
    #[arg(long, conflicts_with_all = ["commands", "files", "format"])]
    pub(crate) ndjson: bool,
}

/// What is done with a directory without opening it. (A directory of such a name is `./checkpoints`.)
#[derive(Subcommand, Debug)]
pub(crate) enum Action {
    /// List the checkpoints that are kept in DIR
    Checkpoints(checkpoints::List),
    /// Make an older checkpoint of DIR its current one
    Restore(checkpoints::Restore),
    /// Read everything in DIR and tell what is damaged
    Verify(verify::Verify),
}

impl Action {
    /// Does it.
    pub(crate) fn run(&self) -> Exit {
        match self {
            Self::Checkpoints(list) => list.run(),
            Self::Restore(restore) => restore.run(),
            Self::Verify(verify) => verify.run(),
        }
    }
}

/// How results are shown.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    /// A table drawn with lines.
    Box,
    /// Comma-separated values with a header line.
    Csv,
    /// One JSON array of objects.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// A Markdown table.
    Markdown,
    /// One `column = value` a line.
    Line,
    /// Values separated by `|`.
    List,
}

/// When a change counts as done.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DurabilityArg {
    /// Nothing is logged.
    Memory,
    /// When it is handed to the log.
    Buffered,
    /// When it is on the medium.
    Sync,
}

/// What the program tells its caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Exit {
    /// All went well.
    Ok = 0,
    /// A statement failed.
    StatementFailed = 1,
    /// The database could not be opened or recovered. (2 is clap's, for wrong usage.)
    CannotOpen = 3,
    /// Interrupted by the user.
    #[allow(dead_code, reason = "the shell's scripts end with it")]
    Interrupted = 130,
}

impl Args {
    /// Opens the database that the arguments name.
    pub(crate) fn open(&self) -> Result<Database> {
        match &self.directory {
            Some(directory) if io::stderr().is_terminal() => {
                let line = Arc::new(Line::new(io::stderr()));
                let shown = Arc::clone(&line);
                let options = self.options().on_recovery(move |at| shown.show(at));
                let opened = Database::open_with(directory, options);
                line.clear();
                opened
            }
            Some(directory) => Database::open_with(directory, self.options()),
            None => Database::in_memory_with(self.options()),
        }
    }

    fn options(&self) -> Options {
        let durability = match self.durability {
            Some(DurabilityArg::Memory) => Durability::Memory,
            Some(DurabilityArg::Buffered) => Durability::Buffered,
            Some(DurabilityArg::Sync) | None => Durability::Sync,
        };
        let mode = match self.salvage {
            true => RecoveryMode::Salvage,
            false => RecoveryMode::Strict,
        };
        Options::new()
            .durability(durability)
            .recovery(mode)
            .accept_clock(self.accept_clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn machine_mode_takes_no_script() {
        assert!(Args::try_parse_from(["remora", "--ndjson", "-c", "SELECT 1"]).is_err());
        let args = Args::try_parse_from(["remora", "--ndjson", "--durability", "buffered", "d"])
            .expect("valid arguments");
        assert_eq!(args.durability, Some(DurabilityArg::Buffered));
        assert_eq!(args.directory.as_deref(), Some("d".as_ref()));
    }
}
