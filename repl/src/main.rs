//! The `remora` program: a shell for people, and a machine mode for programs.
//!
//! ```text
//!  args     the command line, and opening the database it names
//!  machine  `--ndjson`: one JSON object a line in, one out
//!  shell    everything else: prompt, scripts, dot commands
//! ```

mod args;
mod machine;
mod shell;

use args::Args;
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    let exit = if args.ndjson {
        machine::run(&args)
    } else {
        shell::run(&args)
    };
    ExitCode::from(exit as u8)
}
