//! Machine mode.
use crate::args::{Args, Exit};

/// Runs machine mode until the input ends.
pub(crate) fn run(args: &Args) -> Exit {
    match args.open() {
        Ok(_) => Exit::Ok,
        Err(_) => Exit::CannotOpen,
    }
}
