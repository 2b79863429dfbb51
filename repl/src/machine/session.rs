//! A session: a connection, and the thread that runs what is asked of it, in order.
//!
//! Notifications are jobs, too: the connection puts one into the queue when some have come, so that the thread writes them
//! as lines of their own, also while it is asked nothing. What came within a transaction block follows the answer that
//! ends it.

use super::answer::{Failure, News, Success, Waiting};
use super::output::Output;
use parking_lot::Mutex;
use remora::{Connection, Error, InterruptHandle, Value, sqlstate as state};
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
    Run { sql: String, params: Vec<Value> },
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
    pub(super) fn run(&self, sql: String, params: Vec<Value>) {
        *self.cancel.unanswered.lock() += 1;
        // The worker lives until it is told to end.
        let _ = self.queue.send(Job::Run { sql, params });
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
    fn run(self, jobs: &Receiver<Job>) {
        let _guard = ExitOnPanic;
        for job in jobs {
            match job {
                Job::Run { sql, params } => self.answer(&sql, &params),
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

    fn answer(&self, sql: &str, params: &[Value]) {
        let start = Instant::now();
        let result = self.connection.run(sql, params);
        let elapsed = start.elapsed();
        let style = self.connection.style().unwrap_or_default();
        self.end_statement();
        match result {
            Ok(outcome) => self
                .output
                .line(&Success::new(&self.name, &outcome, &style, elapsed)),
            Err(error) => self.output.line(&Failure::new(Some(&self.name), &error)),
        }
    }

    fn show_notifications(&self) {
        // No call of the connection is under way that could be in the way.
        for delivery in self.connection.notifications().iter().flatten() {
            self.output.line(&News::new(&self.name, &delivery));
        }
    }
}
