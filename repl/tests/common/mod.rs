//! The program as its users run it.

use remora_tests::watchdog::{LIFE_MAX, Watchdog};
use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What a run left.
#[derive(Debug)]
pub(crate) struct Run {
    /// Its exit code.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs the program with arguments and no input.
pub(crate) fn remora<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Run {
    remora_with(arguments, b"")
}

/// Runs the program with arguments and input.
pub(crate) fn remora_with<S: AsRef<OsStr>>(
    arguments: impl IntoIterator<Item = S>,
    input: &[u8],
) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_remora"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let _watchdog = Watchdog::new(&child, LIFE_MAX);
    let mut stdin = child.stdin.take().expect("its input is a pipe");
    // A program that ends early does not read all of it.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().expect("the program ends").into()
}

/// Runs a script on a directory; panics where it fails.
#[allow(dead_code, reason = "not every test file needs it")]
pub(crate) fn prepare(directory: &Path, script: &str) {
    let run = remora_with([directory], script.as_bytes());
    assert_eq!(run.code, 0, "{run:?}");
}
