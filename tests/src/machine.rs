//! A child process `remora --ndjson`, driven from here.

use crate::watchdog::{LIFE_MAX, Watchdog};
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// How long an answer may take before the child counts as stuck.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// The child and its pipes. Dropped, it is killed.
#[derive(Debug)]
pub struct Machine {
    child: Child,
    /// `None` once the input has ended.
    stdin: Option<ChildStdin>,
    answers: Receiver<Value>,
}

/// The program beside the one that runs, where cargo puts both.
pub fn binary() -> io::Result<PathBuf> {
    let name = format!("remora{}", std::env::consts::EXE_SUFFIX);
    let own = std::env::current_exe()?;
    // A test lies one folder deeper, in `deps`.
    let found = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(&name))
        .find(|p| p.exists());
    found.ok_or_else(|| {
        io::Error::other(format!(
            "no {name} beside {}: build it, or give --remora PATH",
            own.display()
        ))
    })
}

/// Makes a file that can be run, of what a reader gives. A child writes it: of a file that we wrote ourselves, a process
/// that another thread forked meanwhile could hold the writing end, and as long as one is open nobody may run the file
/// (`ETXTBSY`).
pub fn executable(path: &Path, mut content: impl Read) -> io::Result<()> {
    let mut child = Command::new("sh")
        .args(["-c", r#"cat > "$1" && chmod 755 "$1""#, "sh"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()?;
    let written = child
        .stdin
        .take()
        .map(|mut to| io::copy(&mut content, &mut to));
    match (child.wait()?.success(), written) {
        (true, Some(Ok(_))) => Ok(()),
        (_, Some(Err(error))) => Err(error),
        _ => Err(io::Error::other(format!(
            "{} is not written",
            path.display()
        ))),
    }
}

impl Machine {
    /// Starts the program on a directory.
    pub fn start(binary: &Path, directory: &Path) -> io::Result<Self> {
        let mut child = Command::new(binary)
            .arg("--ndjson")
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("the child has no pipes"));
        };
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // A line that was cut off by the kill is no answer.
                let Ok(answer) = serde_json::from_str(&line) else {
                    break;
                };
                if sender.send(answer).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            stdin: Some(stdin),
            answers,
        })
    }

    /// Hands a statement to a session without waiting.
    pub fn send(&mut self, session: &str, sql: &str) -> io::Result<()> {
        self.ask(&json!({"session": session, "sql": sql}))
    }

    /// Hands over a request without waiting.
    pub fn ask(&mut self, request: &Value) -> io::Result<()> {
        let mut line = request.to_string();
        line.push('\n');
        let stdin = self.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        stdin.write_all(line.as_bytes())
    }

    /// The next answer of any session, if it comes in time; an error when none will come.
    pub fn answer(&mut self, wait: Duration) -> io::Result<Option<Value>> {
        match self.answers.recv_timeout(wait) {
            Ok(answer) => Ok(Some(answer)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                Err(io::Error::other("the child has closed its output"))
            }
        }
    }

    /// Runs a query while nothing else is under way; gives its rows.
    pub fn query(&mut self, sql: &str) -> io::Result<Vec<Value>> {
        self.send("query", sql)?;
        let answer = self
            .answer(ANSWER_TIME_MAX)?
            .ok_or_else(|| io::Error::other(format!("no answer to {sql}")))?;
        if answer["ok"] != true {
            return Err(io::Error::other(format!("{sql}: {answer}")));
        }
        Ok(answer["rows"].as_array().cloned().unwrap_or_default())
    }

    /// SIGKILL; then all answers that had been written before.
    pub fn kill(mut self) -> io::Result<Vec<Value>> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(self.answers.iter().collect())
    }

    /// Ends the input and waits for the child to end; an error where it fails.
    pub fn finish(mut self) -> io::Result<()> {
        self.stdin = None;
        let _watchdog = Watchdog::new(&self.child, LIFE_MAX);
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("remora: {status}")))
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
