//! Ends a child that hangs, so that the test that waits for it fails and the run goes on.
//!
//! A test blocks on a pipe of the child or on its end, and neither knows a time limit. The watchdog
//! kills the child from another thread: the pipe ends, the wait returns, and the test fails on what
//! it has (an exit code that is none, an answer that is missing).

use std::process::{Child, Command};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// How long a child of a test may live, or take to end: ten times what the longest needs.
pub const LIFE_MAX: Duration = Duration::from_secs(5);

/// Watches one child until it is dropped.
#[derive(Debug)]
pub struct Watchdog {
    _alive: Sender<()>,
}

impl Watchdog {
    /// Kills the child if the watchdog is still there after `life`. It must be dropped when the
    /// child was waited for, because its process id then belongs to nobody.
    #[allow(
        clippy::print_stderr,
        reason = "whoever reads the failure must learn why"
    )]
    pub fn new(child: &Child, life: Duration) -> Self {
        let (alive, gone) = channel();
        let process = child.id().to_string();
        thread::spawn(move || {
            if gone.recv_timeout(life) == Err(RecvTimeoutError::Timeout) {
                eprintln!("process {process} is stuck: killed after {life:?}");
                // If even this fails nothing is left to be tried.
                let _ = Command::new("kill").args(["-9", &process]).status();
            }
        });
        Self { _alive: alive }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Stdio;

    /// A program that waits for input that never comes would have its test wait for ever.
    #[test]
    fn a_child_that_hangs_is_ended() {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        let _input = child.stdin.take();
        let watchdog = Watchdog::new(&child, Duration::from_millis(50));
        let status = child.wait().expect("it ends");
        drop(watchdog);
        assert_eq!(status.code(), None, "killed");
    }
}
