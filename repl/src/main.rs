//! The `remora` program: a shell for people, and a machine mode for programs.
//!
//! ```text
//!  args     the command line, and opening the database it names; progress shows how far that is
//!  checkpoints  `remora checkpoints` and `remora restore`: work on a directory that is not opened
//!  verify   `remora verify`: the same
//!  machine  `--ndjson`: one JSON object a line in, one out
//!  shell    everything else: runs scripts; with it prompt and helper (the line editor), command
//!           and import (what begins with a dot), interrupt (Ctrl-C), caret (errors), scan (where
//!           statements end), result and render (rows as text, a file a format)
//! ```

mod args;
mod caret;
mod checkpoints;
mod command;
mod helper;
mod import;
mod interrupt;
mod machine;
mod progress;
mod prompt;
mod render;
mod result;
mod scan;
mod shell;
mod verify;

use args::Args;
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    let exit = match &args.action {
        Some(action) => action.run(),
        None if args.ndjson => machine::run(&args),
        None => shell::run(&args),
    };
    ExitCode::from(exit as u8)
}
