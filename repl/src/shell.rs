//! The shell for people: runs SQL and dot commands from the prompt, a script or `-c`, and shows
//! what comes of them.
//!
//! 1. `-c` texts, then `-f` files, in order; where neither is given, the prompt on a terminal and
//!    a script on anything else.
//! 2. A script is cut into statements ([`crate::scan`]), and each is run and shown before the next
//!    begins. A line that starts with a dot between statements is a command ([`crate::command`]).
//! 3. After a failed statement a script goes on, as psql and sqlite3 do, and the exit code tells;
//!    a `-c` text stops, and what follows it is not run.
//!
//! Results go to standard output, errors and notices to standard error. When nobody reads the
//! output any more (`remora .. | head`), the shell ends without a word.

use crate::args::{Args, Exit, Format};
use crate::caret::write_error;
use crate::interrupt::Interrupt;
use crate::result::{Failure, ResultWriter, StatementKind};
use crate::{command, prompt, scan};
use remora::{Connection, Database, Delivery, Error};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, IsTerminal, StdoutLock, Write};
use std::path::Path;
use std::time::Instant;

/// Files that may read each other with `.read`, one within the other.
const READ_DEPTH_MAX: u32 = 16;

/// Why the shell cannot go on with what it is doing.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Nobody reads the output, or it cannot be written.
    Output(io::Error),
    /// `.quit` or `.exit`, or Ctrl-C in a script.
    Quit,
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// What goes on after a failed statement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OnError {
    /// The next statement.
    GoOn,
    /// Nothing.
    Stop,
}

/// The state of the shell.
pub(crate) struct Shell {
    pub(crate) database: Database,
    pub(crate) connection: Connection,
    pub(crate) format: Format,
    pub(crate) timer: bool,
    /// Whether a person sits at the prompt.
    pub(crate) interactive: bool,
    pub(crate) out: BufWriter<StdoutLock<'static>>,
    pub(crate) interrupt: Interrupt,
    exit: Exit,
    depth: u32,
}

/// Runs the shell until its input ends.
pub(crate) fn run(args: &Args) -> Exit {
    let opened = args.open().and_then(|database| {
        let connection = database.connect()?;
        Ok((database, connection))
    });
    let (database, connection) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            // There is no other place to report to.
            let _ = write_error(&mut io::stderr().lock(), &error, "");
            return Exit::CannotOpen;
        }
    };
    let scripted = !args.commands.is_empty() || !args.files.is_empty();
    let interactive = !scripted && io::stdin().is_terminal();
    let standard = if io::stdout().is_terminal() {
        Format::Box
    } else {
        Format::Csv
    };
    let mut shell = Shell {
        interrupt: Interrupt::install(connection.interrupt_handle(), interactive),
        database,
        connection,
        format: args.format.unwrap_or(standard),
        timer: false,
        interactive,
        out: BufWriter::new(io::stdout().lock()),
        exit: Exit::Ok,
        depth: 0,
    };
    let report = shell.database.recovery_report();
    let is_noteworthy = report.bytes_dropped > 0 || !report.losses.is_empty();
    if (is_noteworthy || report.full.is_some()) && !interactive {
        // At the prompt the banner says it.
        let _ = writeln!(io::stderr().lock(), "remora: {}", prompt::origin(&shell));
    }
    let result = shell.run_all(args, scripted);
    let flushed = shell.out.flush();
    match (result, flushed) {
        (Err(Stop::Output(error)), _) | (_, Err(error))
            if error.kind() != io::ErrorKind::BrokenPipe =>
        {
            let _ = writeln!(
                io::stderr().lock(),
                "remora: cannot write the output: {error}"
            );
            Exit::StatementFailed
        }
        _ => shell.close(),
    }
}

impl Shell {
    fn run_all(&mut self, args: &Args, scripted: bool) -> Result<(), Stop> {
        if self.interactive {
            return prompt::run(self);
        }
        if !scripted {
            return self.run_script("stdin", &mut io::stdin().lock(), OnError::GoOn);
        }
        for text in &args.commands {
            self.run_script("-c", &mut text.as_bytes(), OnError::Stop)?;
            if self.exit != Exit::Ok {
                return Ok(());
            }
        }
        for path in &args.files {
            self.run_file(path)?;
        }
        Ok(())
    }

    /// Closes the database, so that the next opening has nothing to recover.
    fn close(self) -> Exit {
        // A person has seen what failed; the code is for scripts.
        let exit = if self.interactive {
            Exit::Ok
        } else {
            self.exit
        };
        match self.database.close() {
            Err(error) if exit == Exit::Ok => {
                let _ = write_error(&mut io::stderr().lock(), &error, "");
                Exit::StatementFailed
            }
            _ => exit,
        }
    }

    /// Runs the script in a file.
    pub(crate) fn run_file(&mut self, path: &Path) -> Result<(), Stop> {
        if self.depth == READ_DEPTH_MAX {
            return self.complain(&format!("scripts read each other {READ_DEPTH_MAX} deep"));
        }
        let name = path.display().to_string();
        let opened = File::open(path).and_then(|file| match file.metadata()?.is_dir() {
            true => Err(io::ErrorKind::IsADirectory.into()),
            false => Ok(file),
        });
        match opened {
            Ok(file) => {
                self.depth += 1;
                let result = self.run_script(&name, &mut BufReader::new(file), OnError::GoOn);
                self.depth -= 1;
                result
            }
            Err(error) => self.complain(&format!("cannot read {name}: {error}")),
        }
    }

    /// Runs statements and commands as they come from `reader`.
    fn run_script(
        &mut self,
        name: &str,
        reader: &mut dyn BufRead,
        on_error: OnError,
    ) -> Result<(), Stop> {
        let mut pending = String::new();
        let mut bytes = Vec::new();
        let mut line_number = 0_u64;
        loop {
            bytes.clear();
            let read = match reader.read_until(b'\n', &mut bytes) {
                Ok(read) => read,
                Err(error) => return self.complain(&format!("cannot read {name}: {error}")),
            };
            if read == 0 {
                break;
            }
            line_number += 1;
            let Ok(line) = std::str::from_utf8(&bytes) else {
                let text = format!("{name}, line {line_number} is not UTF-8");
                return self.fail(&Error::new("22021", text), "");
            };
            let line = match line_number {
                1 => line.trim_start_matches('\u{feff}'),
                _ => line,
            };
            let goes_on = if line.starts_with('.') && scan::is_complete(&pending) {
                pending.clear();
                self.run_command(line)?
            } else {
                pending.push_str(line);
                // Only a semicolon ends a statement; without one there is nothing to look for.
                if line.contains(';') {
                    self.run_pending(&mut pending, on_error)?
                } else {
                    true
                }
            };
            if !goes_on && on_error == OnError::Stop {
                return Ok(());
            }
        }
        self.run_text(&pending, on_error).map(drop)
    }

    /// Runs the statements that are complete, and leaves the rest; false after a failure.
    fn run_pending(&mut self, pending: &mut String, on_error: OnError) -> Result<bool, Stop> {
        if !scan::is_complete(pending) {
            return Ok(true);
        }
        let text = std::mem::take(pending);
        self.run_text(&text, on_error)
    }

    /// Runs the statements of a text; false after a failure.
    pub(crate) fn run_text(&mut self, text: &str, on_error: OnError) -> Result<bool, Stop> {
        let split = scan::split(text);
        let last = (!split.rest.is_empty()).then_some(split.rest);
        let mut all_well = true;
        for statement in split.statements.into_iter().chain(last) {
            all_well &= self.run_statement(statement)?;
            if !all_well && on_error == OnError::Stop {
                break;
            }
        }
        Ok(all_well)
    }

    /// Runs a dot command; false after a failure.
    pub(crate) fn run_command(&mut self, line: &str) -> Result<bool, Stop> {
        let before = std::mem::replace(&mut self.exit, Exit::Ok);
        let result = command::run(self, line);
        let well = self.exit == Exit::Ok;
        if well {
            self.exit = before;
        }
        self.out.flush()?;
        result.map(|()| well)
    }

    /// Runs one statement and shows its result or its error; false after an error.
    fn run_statement(&mut self, sql: &str) -> Result<bool, Stop> {
        let begin = Instant::now();
        let running = self.interrupt.begin();
        let result = self.show_statement(sql);
        let interrupted = running.end();
        self.out.flush()?;
        let well = match result {
            Ok(()) => true,
            Err(Failure::Sql(error)) => {
                self.fail(&error, sql)?;
                false
            }
            Err(Failure::Output(error)) => return Err(Stop::Output(error)),
        };
        if self.timer {
            let millis = begin.elapsed().as_secs_f64() * 1e3;
            writeln!(self.out, "Time: {millis:.3} ms")?;
            self.out.flush()?;
        }
        self.show_notifications()?;
        if interrupted && !self.interactive {
            self.exit = Exit::Interrupted;
            return Err(Stop::Quit);
        }
        Ok(well)
    }

    /// Shows the notifications that have come, as psql does: after each statement.
    fn show_notifications(&mut self) -> Result<(), Stop> {
        // None of the connection's calls is under way that could be in the way.
        for delivery in self.connection.notifications().iter().flatten() {
            match delivery {
                Delivery::Notification(one) => {
                    write!(self.out, "Asynchronous notification \"{}\" ", one.channel)?;
                    if !one.payload.is_empty() {
                        write!(self.out, "with payload \"{}\" ", one.payload)?;
                    }
                    let sender = one.process_id;
                    writeln!(self.out, "received from server process with PID {sender}.")?;
                }
                Delivery::Lost(count) => writeln!(self.out, "{count} notifications were lost.")?,
            }
        }
        Ok(self.out.flush()?)
    }

    fn show_statement(&mut self, sql: &str) -> Result<(), Failure> {
        match StatementKind::of(sql) {
            StatementKind::Query => self.show_query(sql),
            StatementKind::CopyOut => {
                self.connection.copy_to(sql, &mut self.out)?;
                Ok(())
            }
            StatementKind::Other => {
                let outcome = self.connection.run(sql, [])?;
                for notice in &outcome.notices {
                    writeln!(io::stderr().lock(), "{notice}")?;
                }
                match &outcome.rows {
                    Some(rows) => {
                        let (columns, style) = (rows.columns(), self.connection.style()?);
                        let mut writer =
                            ResultWriter::new(self.format, &mut self.out, columns, style);
                        rows.iter().try_for_each(|row| writer.row(&row))?;
                        writer.end()
                    }
                    None if self.interactive => Ok(writeln!(self.out, "{}", outcome.tag)?),
                    None => Ok(()),
                }
            }
        }
    }

    /// Shows a query's rows as they come.
    fn show_query(&mut self, sql: &str) -> Result<(), Failure> {
        let mut statement = self.connection.prepare(sql)?;
        let (columns, style) = (statement.columns().to_vec(), self.connection.style()?);
        let mut rows = statement.query([])?;
        let mut writer = ResultWriter::new(self.format, &mut self.out, &columns, style);
        while let Some(row) = rows.next()? {
            writer.row(&row)?;
        }
        writer.end()
    }

    /// Shows an error and remembers it for the exit code.
    pub(crate) fn fail(&mut self, error: &Error, sql: &str) -> Result<(), Stop> {
        self.out.flush()?;
        write_error(&mut io::stderr().lock(), error, sql)?;
        self.exit = Exit::StatementFailed;
        Ok(())
    }

    /// Shows a complaint of the shell itself.
    pub(crate) fn complain(&mut self, text: &str) -> Result<(), Stop> {
        self.out.flush()?;
        writeln!(io::stderr().lock(), "remora: {text}")?;
        self.exit = Exit::StatementFailed;
        Ok(())
    }
}
