//! A session: a connection, and the thread that runs what is asked of it, in order.
//!
//! Notifications are jobs, too: the connection puts one into the queue when some have come, so that the thread writes them
//! as lines of their own, also while it is asked nothing. What came within a transaction block follows the answer that
//! ends it.

use super::answer::{self, Body, Failure, News, Success, Waiting};
use super::output::Output;
use super::request::{Once, Statement};
use parking_lot::Mutex;
use remora::internal::text::Style;
use remora::{Connection, Error, InterruptHandle, Outcome, Transaction, sqlstate as state};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Instant;

/// As much as a program's first thread has: what the planner's recursion is measured by.
const STACK_BYTES: usize = 8 << 20;

/// A session, as the reader sees it.
pub(super) struct Session {
    queue: Sender<Job>,
    cancel: Arc<Cancel>,
    thread: JoinHandle<()>,
}

/// A session that is asked nothing more.
pub(super) struct Closed {
    thread: JoinHandle<()>,
}

enum Job {
    /// A statement that was asked for.
    Run(Statement),
    /// Notifications that have come.
    ShowNotifications,
    /// Nothing more is asked.
    End,
}

/// Makes sure that a cancel meets a statement that is being run or about to be, and never one
/// that is asked for later.
struct Cancel {
    handle: InterruptHandle,
    /// Statements asked for and not answered.
    unanswered: Mutex<usize>,
}

impl Session {
    pub(super) fn start(
        name: &str,
        connection: Connection,
        output: Arc<Output>,
    ) -> remora::Result<Self> {
        let (queue, jobs) = mpsc::channel();
        let (waiter, lines) = (name.to_owned(), Arc::clone(&output));
        connection.on_lock_wait(move || lines.line(&Waiting::new(&waiter)))?;
        let arrivals = queue.clone();
        let arrived = move || drop(arrivals.send(Job::ShowNotifications));
        connection.notifications().on_arrival(arrived)?;
        let cancel = Arc::new(Cancel {
            handle: connection.interrupt_handle(),
            unanswered: Mutex::new(0),
        });
        let worker = Worker {
            name: name.to_owned(),
            connection,
            output,
            cancel: Arc::clone(&cancel),
        };
        let thread = std::thread::Builder::new()
            .name("session".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || worker.run(&jobs))
            .map_err(|error| {
                Error::new(
                    state::TOO_MANY_CONNECTIONS,
                    format!("cannot start a session: {error}"),
                )
            })?;
        Ok(Self {
            queue,
            cancel,
            thread,
        })
    }

    /// Asks for a statement.
    pub(super) fn run(&self, statement: Statement) {
        *self.cancel.unanswered.lock() += 1;
        // The worker lives until it is told to end.
        let _ = self.queue.send(Job::Run(statement));
    }

    /// Cancels what is being run.
    pub(super) fn cancel(&self) {
        let unanswered = self.cancel.unanswered.lock();
        if *unanswered > 0 {
            self.cancel.handle.interrupt();
        }
    }

    /// Closes the queue.
    pub(super) fn close(self) -> Closed {
        // The connection has the other end of it, too.
        let _ = self.queue.send(Job::End);
        Closed {
            thread: self.thread,
        }
    }
}

impl Closed {
    /// Waits until everything asked is answered.
    pub(super) fn wait(self) {
        // A panic of the worker has ended the program.
        let _ = self.thread.join();
    }
}

/// The outcome of a statement, or the answer that was kept of it.
enum Given {
    New(Outcome, Arc<Style>),
    /// The body of an answer, as it was written.
    Kept(String),
}

struct Worker {
    name: String,
    connection: Connection,
    output: Arc<Output>,
    cancel: Arc<Cancel>,
}

/// A panic is a broken invariant. The program ends rather than leave a client waiting for an
/// answer that nobody writes; what was acknowledged is in the log.
struct ExitOnPanic;

impl Drop for ExitOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::exit(101);
        }
    }
}

impl Worker {
    fn run(mut self, jobs: &Receiver<Job>) {
        let _guard = ExitOnPanic;
        for job in jobs {
            match job {
                Job::Run(statement) => self.answer(&statement),
                Job::ShowNotifications => {}
                Job::End => break,
            }
            self.show_notifications();
        }
    }

    /// A cancel that came after the statement had ended was meant for that statement. One that
    /// comes after its answer is meant for the next: so this is done before the answer is written.
    fn end_statement(&self) {
        let mut unanswered = self.cancel.unanswered.lock();
        *unanswered -= 1;
        self.cancel.handle.clear();
    }

    fn answer(&mut self, statement: &Statement) {
        let start = Instant::now();
        let given = match &statement.once {
            None => self.run_statement(statement),
            Some(once) => self.run_once(statement, once),
        };
        let elapsed = start.elapsed();
        self.end_statement();
        match given {
            Ok(Given::New(outcome, style)) => {
                let body = Body::new(&outcome, &style);
                let line = Success::new(&self.name, body, elapsed);
                self.output.line(&line);
            }
            Ok(Given::Kept(body)) => {
                let line = answer::of_kept(&self.name, &body, elapsed);
                self.output.text(line);
            }
            Err(error) => self.output.line(&Failure::new(Some(&self.name), &error)),
        }
    }

    fn run_statement(&self, statement: &Statement) -> remora::Result<Given> {
        let outcome = self.connection.run(&statement.sql, &*statement.params)?;
        let style = self.connection.style().unwrap_or_default();
        Ok(Given::New(outcome, style))
    }

    /// Runs a statement that was not run under its key yet, and keeps its answer; else gives the answer that was kept.
    fn run_once(&mut self, statement: &Statement, once: &Once) -> remora::Result<Given> {
        let run = |tx: &mut Transaction<'_>| {
            let outcome = tx.run(&statement.sql, &*statement.params)?;
            let style = tx.style().unwrap_or_default();
            let body = serde_json::to_string(&Body::new(&outcome, &style));
            body.map_err(|error| Error::new(state::INTERNAL_ERROR, error.to_string()))
        };
        let (key, payload) = (&once.key, &once.payload);
        let body = self.connection.transact_once(key, payload, once.ttl, run)?;
        Ok(Given::Kept(body))
    }

    fn show_notifications(&self) {
        // No call of the connection is under way that could be in the way.
        for delivery in self.connection.notifications().iter().flatten() {
            self.output.line(&News::new(&self.name, &delivery));
        }
    }
}
