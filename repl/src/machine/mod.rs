//! Machine mode: one JSON object a line in, one JSON object a line out (`docs/machine_mode.md`).
//!
//! ```text
//!  stdin --> reader (this thread) --+-- queue --> session a (thread, connection) --+--> stdout
//!                                   +-- queue --> session b (thread, connection) --+
//!                                   +-- cancel, reset: at once
//! ```
//!
//! - Answers come in order within a session; sessions do not wait for each other.
//! - A session that listens writes notifications as lines of their own, between its answers.
//! - An answer is one write of one line, flushed. That of a change is written when the change is
//!   as durable as the level asks, because only then does the call return.
//! - At the end of the input, what was asked is finished and answered, transactions that are still
//!   open are rolled back, and the database is closed.

mod answer;
mod output;
mod request;
mod session;

use crate::args::{Args, Exit};
use answer::Failure;
use output::Output;
use remora::{Database, Error, sqlstate as state};
use request::Request;
use session::Session;
use std::collections::HashMap;
use std::io::{self, BufRead};
use std::sync::Arc;

/// Longer lines are refused; the longest value is a quarter of that.
const LINE_BYTES_MAX: u64 = 1 << 30;

/// Runs machine mode until the input ends.
pub(crate) fn run(args: &Args) -> Exit {
    let database = match args.open() {
        Ok(database) => database,
        Err(error) => {
            report(&error);
            return Exit::CannotOpen;
        }
    };
    let mut machine = Machine {
        database,
        sessions: HashMap::new(),
        output: Arc::new(Output::new(Box::new(io::stdout()))),
    };
    let read = machine.read(&mut io::stdin().lock());
    machine.end_sessions();
    if let Err(error) = machine.database.close() {
        report(&error);
        return Exit::StatementFailed;
    }
    match read {
        Ok(()) => Exit::Ok,
        Err(_) => Exit::StatementFailed,
    }
}

/// Standard output speaks the protocol only: what concerns the program itself goes to the other.
#[allow(clippy::print_stderr, reason = "this is the program's own voice")]
fn report(error: &Error) {
    eprintln!("remora: {}: {error}", error.sqlstate());
}

struct Machine {
    database: Database,
    sessions: HashMap<String, Session>,
    output: Arc<Output>,
}

impl Machine {
    /// Handles lines until there are no more, or nobody listens any longer.
    fn read(&mut self, input: &mut impl BufRead) -> io::Result<()> {
        let mut line = Vec::new();
        while !self.output.is_broken() {
            line.clear();
            let mut limited = io::Read::take(&mut *input, LINE_BYTES_MAX);
            if limited.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if line.last() != Some(&b'\n') && line.len() as u64 == LINE_BYTES_MAX {
                skip_line(input)?;
                self.refuse(None, too_long());
                continue;
            }
            match line.trim_ascii() {
                [] => {}
                line => self.handle(line),
            }
        }
        Ok(())
    }

    fn handle(&mut self, line: &[u8]) {
        match Request::parse(line) {
            Ok(Request::Run { session, statement }) => match self.session(&session) {
                Ok(found) => found.run(statement),
                Err(error) => self.refuse(Some(&session), error),
            },
            Ok(Request::Cancel(session)) => {
                if let Some(session) = self.sessions.get(&session) {
                    session.cancel();
                }
            }
            Ok(Request::Reset) => match self.reset() {
                Ok(()) => self.output.line(&answer::DONE),
                Err(error) => self.refuse(None, error),
            },
            Err((session, error)) => self.refuse(session.as_deref(), error),
        }
    }

    /// The session of that name; made if it is missing.
    fn session(&mut self, name: &str) -> remora::Result<&Session> {
        if !self.sessions.contains_key(name) {
            let connection = self.database.connect()?;
            let session = Session::start(name, connection, Arc::clone(&self.output))?;
            self.sessions.insert(name.to_owned(), session);
        }
        Ok(&self.sessions[name])
    }

    /// Gives an empty database, after all that was asked is answered.
    fn reset(&mut self) -> remora::Result<()> {
        if self.database.directory().is_some() {
            return Err(Error::unsupported(
                "reset of a database that is kept in a directory",
            ));
        }
        self.end_sessions();
        self.database = Database::in_memory()?;
        Ok(())
    }

    /// Lets all sessions finish what they were asked, and ends them.
    fn end_sessions(&mut self) {
        let sessions = self.sessions.drain().map(|(_, session)| session);
        // All queues are closed before the first is waited for: the sessions finish side by side.
        let closed: Vec<_> = sessions.map(Session::close).collect();
        for session in closed {
            session.wait();
        }
    }

    fn refuse(&self, session: Option<&str>, error: Error) {
        self.output.line(&Failure::new(session, &error));
    }
}

/// Passes over the rest of a line.
fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        let (used, ended) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        input.consume(used);
        if ended {
            return Ok(());
        }
    }
}

fn too_long() -> Error {
    Error::new(
        state::PROGRAM_LIMIT_EXCEEDED,
        format!("the line is longer than {LINE_BYTES_MAX} bytes"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_line_is_passed_over() {
        let mut input = &b"abc\nnext"[..];
        skip_line(&mut input).expect("a slice is readable");
        assert_eq!(input, b"next");
        skip_line(&mut input).expect("a slice is readable");
        assert_eq!(input, b"");
    }
}
