//! The shell for people.

use crate::args::{Args, Exit};

/// Runs the shell until its input ends.
pub(crate) fn run(args: &Args) -> Exit {
    match args.open() {
        Ok(_) => Exit::Ok,
        Err(_) => Exit::CannotOpen,
    }
}
