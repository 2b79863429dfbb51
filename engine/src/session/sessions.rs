//! What the sessions of a database have in common, and how all of them come to an end.
//!
//! Closing in an orderly way goes step by step:
//!
//! 1. New sessions are refused with 57P03, new statements of others with 57P01.
//! 2. Statements that run may end, as long as the caller has patience.
//! 3. Those that still run are stopped with 57P01, and undone.
//! 4. The store is closed. Transactions that are open are rolled back: by the next call of their
//!    session, or with it. They could not commit any more.

use super::Connection;
use super::limits::admission::Admission;
use super::limits::housekeeper::Housekeeper;
use super::plans::session_planner::SessionPlanner;
use super::plans::shared_plans::SharedPlans;
use super::settings::value;
use super::settings::{
    IDLE_TIMEOUT, LOCK_TIMEOUT, Presets, STATEMENT_TIMEOUT, SYNCHRONOUS_COMMIT, TRANSACTION_TIMEOUT,
};
use super::single_flight::SingleFlight;
use super::sweeper::Sweeper;
use crate::activity::{Activity, Opening, Request};
use crate::error::Result;
use crate::function::host::HostFunctions;
use crate::notification::Dispatcher;
use parking_lot::Mutex;
use remora_storage::{Durability, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Time between two looks whether statements still run.
const LOOK: Duration = Duration::from_millis(1);
/// How long statements that were stopped are waited for: they undo what they did.
const UNDO_MAX: Duration = Duration::from_secs(10);

/// Bounds on what sessions do; `None` for no bound.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) active_statements: Option<usize>,
    pub(crate) statement_timeout: Option<Duration>,
    pub(crate) transaction_timeout: Option<Duration>,
    pub(crate) lock_timeout: Option<Duration>,
    pub(crate) idle_in_transaction_session_timeout: Option<Duration>,
    /// Whether nothing runs in the background.
    pub(crate) manual_maintenance: bool,
}

/// What the sessions of a database have in common.
#[derive(Debug)]
pub(crate) struct Sessions {
    pub(super) activity: Arc<Activity>,
    pub(super) housekeeper: Housekeeper,
    pub(super) admission: Option<Arc<Admission>>,
    pub(super) plans: SharedPlans,
    pub(crate) sweeper: Sweeper,
    pub(super) notifications: Arc<Dispatcher>,
    pub(super) single_flight: Arc<SingleFlight>,
    /// The values that settings have to begin with.
    pub(super) presets: Presets,
    /// The functions of the host that connections begin with.
    pub(crate) host: Mutex<HostFunctions>,
    closing: AtomicBool,
}

impl Sessions {
    /// Sessions of a database with these limits, whose commits are so durable unless they ask for
    /// another level.
    pub(crate) fn new(limits: &Limits, level: Durability) -> Arc<Self> {
        let mut presets = Vec::new();
        if level != Durability::Sync {
            presets.push((SYNCHRONOUS_COMMIT, "off".to_owned()));
        }
        let mut preset = |name: &'static str, length: Option<Duration>| {
            if length.is_some() {
                presets.push((name, value::show_duration(length)));
            }
        };
        preset(STATEMENT_TIMEOUT, limits.statement_timeout);
        preset(TRANSACTION_TIMEOUT, limits.transaction_timeout);
        preset(LOCK_TIMEOUT, limits.lock_timeout);
        preset(IDLE_TIMEOUT, limits.idle_in_transaction_session_timeout);
        let activity = Activity::new();
        let notifications = Arc::<Dispatcher>::default();
        let planner = Arc::<SessionPlanner>::default();
        Arc::new(Self {
            plans: SharedPlans::new(&activity),
            activity,
            sweeper: Sweeper::new(limits.manual_maintenance, planner, &notifications),
            notifications,
            single_flight: Arc::default(),
            housekeeper: Housekeeper::default(),
            admission: limits.active_statements.map(Admission::new),
            presets: presets.into(),
            host: Mutex::default(),
            closing: AtomicBool::new(false),
        })
    }

    /// A new session on `store`.
    ///
    /// # Errors
    /// 57P03 where the database is being closed.
    pub(crate) fn connect(self: &Arc<Self>, store: &Store) -> Result<Connection> {
        let record = self.activity.join();
        // After it has joined: whoever closes either finds it among the sessions, or is found here.
        if self.closing.load(Ordering::SeqCst) {
            return Err(sql_error!(
                CANNOT_CONNECT_NOW,
                "the database system is shutting down"
            ));
        }
        Connection::new(store.clone(), self, record)
    }

    /// Lets sessions ask how the database was opened.
    pub(crate) fn note_opening(&self, opening: Opening) {
        self.activity.note_opening(opening);
    }

    /// Refuses new work, gives what runs the time to end, and stops what then still runs.
    pub(crate) fn end(&self, patience: Duration) {
        self.closing.store(true, Ordering::SeqCst);
        self.ask_all(Request::Refuse);
        if !self.wait(patience) {
            self.ask_all(Request::Shutdown);
            self.wait(UNDO_MAX);
        }
        self.ask_all(Request::Shutdown);
    }

    /// How many statements run, or wait for their turn.
    pub(crate) fn running(&self) -> usize {
        let sessions = self.activity.sessions();
        sessions
            .iter()
            .filter(|session| session.is_running())
            .count()
    }

    fn ask_all(&self, request: Request) {
        for session in self.activity.sessions() {
            session.interrupt().request(request);
        }
    }

    /// Whether all statements have ended before time was up.
    fn wait(&self, patience: Duration) -> bool {
        let begin = Instant::now();
        // A session that looked at its interrupt just before it was asked says so a moment later: the
        // first look comes after a pause.
        loop {
            std::thread::sleep(LOOK);
            if self.running() == 0 {
                return true;
            }
            if begin.elapsed() >= patience {
                return false;
            }
        }
    }
}
