//! The connection: where users hand in SQL.

use super::call_guard::{CallUnderWay, InUse, in_use};
use super::outcome::Outcome;
use super::rows::{Row, first_row};
use crate::activity::{Interrupt, SessionRecord};
use crate::error::{Error, Result};
use crate::function::SearchPath;
use crate::function::host::HostFunctions;
use crate::function::text::Style;
use crate::plan::Field;
use crate::plan::statement::TransactionOptions;
use crate::session::execute::core::Session;
use crate::session::execute::dispatch::Pipe;
use crate::session::execute::lock_wait::LockWaitListener;
use crate::session::execute::script;
use crate::session::plans::call::Call;
use crate::session::plans::planning::one_statement;
use crate::session::plans::prepared::Prepared;
use crate::session::sessions::Sessions;
use crate::session::settings::ON_ERROR_ROLLBACK;
use crate::session::transaction::transaction_block::TransactionStatus;
use crate::session::{InterruptHandle, Params, Statement, Transaction};
use arrow_array::RecordBatch;
use remora_storage::catalog::Catalog;
use remora_storage::{Store, Value};
use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::sync::Arc;

/// A connection to a database, made by [`Database::connect`](crate::Database::connect): cheap, and
/// used by one thread at a time (it can be sent to another). Each has its own transaction.
///
/// ```
/// use remora::params;
///
/// let db = remora::Database::in_memory()?;            // or Database::open("dir")?
/// let mut conn = db.connect()?;
/// conn.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, v TEXT)", [])?;
/// let mut insert = conn.prepare("INSERT INTO t VALUES (?, ?)")?;   // ? and $1 both work
/// insert.execute(params![1_i64, "one"])?;
/// let v: String = conn.query_row("SELECT v FROM t WHERE id = ?", [1_i64], |row| row.get(0))?;
/// assert_eq!(v, "one");
/// let tx = conn.transaction()?;                        // rolls back on drop
/// tx.execute("DELETE FROM t", [])?;
/// tx.commit()?;
/// # Ok::<(), remora::Error>(())
/// ```
#[derive(Debug)]
pub struct Connection {
    session: RefCell<Session>,
    /// As it was when the session was last at rest.
    status: Cell<TransactionStatus>,
    record: Arc<SessionRecord>,
    /// The call of the last text, for the next one.
    spare_call: RefCell<Option<Box<Call>>>,
}

impl Connection {
    pub(in crate::session) fn new(
        store: Store,
        sessions: &Arc<Sessions>,
        record: Arc<SessionRecord>,
    ) -> Result<Self> {
        let session = Session::new(store, sessions, Arc::clone(&record))?;
        Ok(Self {
            session: RefCell::new(session),
            status: Cell::new(TransactionStatus::Idle),
            record,
            spare_call: RefCell::new(None),
        })
    }

    /// Runs one statement and returns the number of rows it changed.
    ///
    /// # Errors
    /// What the statement meets; 42601 where the text holds no statement or several.
    pub fn execute(&self, sql: &str, params: impl Params) -> Result<usize> {
        self.of_text(sql, self.call_with(params)?, Statement::run)
    }

    /// Runs any number of statements. They are one transaction, unless they say otherwise: one
    /// that fails undoes those before it, back to the last COMMIT in the text.
    ///
    /// # Errors
    /// What the first statement that fails meets. Nothing runs unless all of the text parses.
    pub fn execute_batch(&self, sql: &str) -> Result<()> {
        self.run(sql, []).map(drop)
    }

    /// Runs any number of statements as [`Connection::execute_batch`] does, and returns the whole
    /// result of the last. Parameters need a single statement.
    ///
    /// # Errors
    /// As for [`Connection::execute_batch`]; 53200 where the result is too large for the memory
    /// budget ([`Statement::query`] gives rows one at a time).
    pub fn run(&self, sql: &str, params: impl Params) -> Result<Outcome> {
        let mut call = self.call()?;
        call.collect(params)?;
        self.with_session(|session| {
            let outcome = script::run(session, sql, &mut call);
            let notices = session.take_notices();
            outcome.map(|outcome| Outcome { notices, ..outcome })
        })
    }

    /// Parses and plans one statement, to be run many times.
    ///
    /// # Errors
    /// What parser and planner meet; 42601 where the text holds no statement or several.
    pub fn prepare(&self, sql: &str) -> Result<Statement<'_>> {
        self.plan(self.call()?, |session, _| {
            session.prepare(one_statement(sql, session.ledger())?)
        })
    }

    /// As [`Connection::prepare`], with the plan that an earlier call with the same text has left, if it has. The
    /// connection keeps some hundred plans; a text's plan when the text comes the second time.
    ///
    /// ```
    /// # let db = remora::Database::in_memory()?;
    /// # let conn = db.connect()?;
    /// for n in 1..=3 {
    ///     let mut double = conn.prepare_cached("SELECT 2 * $1::int")?;
    ///     assert_eq!(double.query_row([n], |row| row.get::<_, i32>(0))?, 2 * n);
    /// }
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Connection::prepare`].
    pub fn prepare_cached(&self, sql: &str) -> Result<Statement<'_>> {
        self.plan(self.call()?, |session, _| match session.cached(sql) {
            Some(prepared) => Ok(prepared),
            None => session.prepare_to_keep(sql),
        })
    }

    /// Runs the statement of a text, with the parameters that were collected.
    fn of_text<'c, T>(
        &'c self,
        sql: &str,
        call: Box<Call>,
        f: impl FnOnce(&mut Statement<'c>) -> Result<T>,
    ) -> Result<T> {
        let mut statement = self.plan(call, |session, call| match session.find(sql, call) {
            Some(prepared) => Ok(prepared),
            None => session.prepare_to_keep(sql),
        })?;
        let result = match f(&mut statement) {
            Err(error) if statement.is_of_literals() => Err(self.session()?.placed(error, sql)),
            result => result,
        };
        let mut call = statement.into_call();
        call.clear();
        self.spare_call.replace(Some(call));
        result
    }

    /// A call with the parameters of a text.
    fn call_with(&self, params: impl Params) -> Result<Box<Call>> {
        let mut call = self.call()?;
        call.collect(params)?;
        Ok(call)
    }

    /// A call for the next text.
    fn call(&self) -> Result<Box<Call>> {
        match self.spare_call.take() {
            Some(call) => Ok(call),
            None => Ok(Box::new(self.session()?.new_call())),
        }
    }

    /// A failure to plan fails an open transaction as any other does. Success ends nothing: an
    /// interrupt stays for the call that is to follow.
    fn plan(
        &self,
        mut call: Box<Call>,
        f: impl FnOnce(&mut Session, &mut Call) -> Result<Prepared>,
    ) -> Result<Statement<'_>> {
        let mut session = self.session()?;
        match f(&mut session, &mut call) {
            Ok(prepared) => Ok(Statement::new(self, prepared, call)),
            Err(error) => {
                session.settle(true);
                self.status.set(session.status());
                Err(error)
            }
        }
    }

    /// Runs a query and gives its first row through `f`.
    ///
    /// # Errors
    /// As for [`Statement::query_row`].
    pub fn query_row<T>(
        &self,
        sql: &str,
        params: impl Params,
        f: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut call = self.call_with(params)?;
        let Some((found, columns)) = self.read_text_by_key(sql, &mut call) else {
            return self.of_text(sql, call, |statement| statement.first_row(f));
        };
        let result = first_row(found, &columns, &call.rows, f);
        call.forget_large(columns.len());
        self.spare_call.replace(Some(call));
        result
    }

    /// Runs a query and returns its rows as Arrow record batches ([`crate::arrow`]); none, where it has no row.
    ///
    /// A bare NUMERIC column is given as text, which loses nothing; cast it to `NUMERIC(p,s)` to
    /// get a `Decimal128(p, s)`. All others are of the natural Arrow type: integers, floats,
    /// `Boolean`, `Decimal128`, `Utf8View`, `BinaryView`, `Date32`, `Time64`, `Timestamp` (µs; of
    /// UTC for TIMESTAMPTZ), `Interval(MonthDayNano)`, and `FixedSizeBinary(16)` for UUID.
    ///
    /// # Errors
    /// What the query meets; 42601 where the statement is no query.
    pub fn query_arrow(&self, sql: &str, params: impl Params) -> Result<Vec<RecordBatch>> {
        self.of_text(sql, self.call_with(params)?, Statement::arrow)
    }

    /// Runs a `COPY .. FROM STDIN` against `reader`; returns the number of rows.
    ///
    /// ```
    /// # let db = remora::Database::in_memory()?;
    /// # let conn = db.connect()?;
    /// conn.execute("CREATE TABLE t (id BIGINT, v TEXT)", [])?;
    /// let csv = "id,v\n1,one\n2,two\n";
    /// let rows = conn.copy_from(
    ///     "COPY t FROM STDIN WITH (FORMAT csv, HEADER true)",
    ///     &mut csv.as_bytes(),
    /// )?;
    /// assert_eq!(rows, 2);
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// What the statement meets; 22P04 for a line that does not fit. Nothing is kept then.
    pub fn copy_from(&self, sql: &str, reader: &mut dyn Read) -> Result<u64> {
        self.copy(sql, &mut Pipe::Reader(reader))
    }

    /// Runs a `COPY .. TO STDOUT` into `writer`; returns the number of rows.
    ///
    /// # Errors
    /// What the statement meets, and 58030 where `writer` fails.
    pub fn copy_to(&self, sql: &str, writer: &mut dyn Write) -> Result<u64> {
        self.copy(sql, &mut Pipe::Writer(writer))
    }

    fn copy(&self, sql: &str, pipe: &mut Pipe<'_>) -> Result<u64> {
        self.with_session(|session| {
            let mut prepared = session.prepare(one_statement(sql, session.ledger())?)?;
            let done = session.step(&mut prepared, &mut session.new_call(), pipe)?;
            Ok(done.changes)
        })
    }

    /// Begins a transaction that lasts as long as the value returned, and rolls back when that is
    /// dropped without [`Transaction::commit`]. `&mut` keeps transactions from being nested.
    ///
    /// # Errors
    /// 25001 where SQL has begun one already.
    #[inline]
    pub fn transaction(&mut self) -> Result<Transaction<'_>> {
        self.transaction_with(TransactionOptions::new())
    }

    /// As [`Connection::transaction`], with a level of isolation, or read only.
    ///
    /// # Errors
    /// As for [`Connection::transaction`].
    pub fn transaction_with(&mut self, options: TransactionOptions) -> Result<Transaction<'_>> {
        self.unchecked_transaction(options)
    }

    /// As [`Connection::transaction_with`], where prepared statements of the connection are to be used
    /// in the transaction: that transactions are not nested is checked when it runs, and not before.
    ///
    /// ```
    /// # let db = remora::Database::in_memory()?;
    /// # let conn = db.connect()?;
    /// let mut statement = conn.prepare("SELECT 1")?;
    /// let tx = conn.unchecked_transaction(remora::TransactionOptions::new())?;
    /// assert_eq!(statement.query_row([], |row| row.get::<_, i32>(0))?, 1);
    /// assert!(conn.unchecked_transaction(remora::TransactionOptions::new()).is_err());
    /// tx.commit()?;
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Connection::transaction`].
    pub fn unchecked_transaction(&self, options: TransactionOptions) -> Result<Transaction<'_>> {
        if self.is_in_transaction() {
            return Err(sql_error!(
                ACTIVE_SQL_TRANSACTION,
                "there is already a transaction in progress"
            ));
        }
        self.at_rest(|session| session.begin_block(options))?;
        Ok(Transaction::new(self))
    }

    /// Whether a statement that fails in a transaction undoes itself and nothing else.
    ///
    /// # Errors
    /// 55006 where a call on the connection is under way.
    pub fn on_error_rollback(&self) -> Result<bool> {
        Ok(self.session()?.settings.on_error_rollback())
    }

    /// With `on`, a statement that fails in a transaction undoes itself, and the transaction stays
    /// open; otherwise, as at first, it fails the transaction. The same as `SET on_error_rollback`:
    /// in a transaction, ROLLBACK takes it back.
    ///
    /// ```
    /// # let db = remora::Database::in_memory()?;
    /// # let mut conn = db.connect()?;
    /// conn.execute("CREATE TABLE t (n BIGINT PRIMARY KEY)", [])?;
    /// conn.set_on_error_rollback(true)?;
    /// let tx = conn.transaction()?;
    /// tx.execute("INSERT INTO t VALUES (1)", [])?;
    /// assert!(tx.execute("INSERT INTO t VALUES (2), (1)", []).is_err());
    /// tx.commit()?;
    /// assert_eq!(conn.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0))?, 1);
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// 55006 where a call on the connection is under way.
    pub fn set_on_error_rollback(&self, on: bool) -> Result<()> {
        let value = if on { "on" } else { "off" };
        self.at_rest(|session| session.set(ON_ERROR_ROLLBACK, Some(value), false))
    }

    /// Whether a transaction is open, failed or not.
    pub fn is_in_transaction(&self) -> bool {
        self.transaction_status() != TransactionStatus::Idle
    }

    /// The last commit that the open transaction sees, by its place among all commits of the database;
    /// `None` where no transaction is open, or no statement in it has needed one.
    ///
    /// # Errors
    /// 55006 when called from within a call of the same connection.
    pub fn snapshot(&self) -> Result<Option<u64>> {
        let session = self.session()?;
        Ok(session.block.tx.as_ref().map(|tx| tx.snapshot().0))
    }

    /// What this connection committed last, by its place among all commits of the database; `None` where
    /// that changed nothing. Whose snapshot is at or above it sees it.
    ///
    /// ```
    /// # let db = remora::Database::in_memory()?;
    /// let mut conn = db.connect()?;
    /// conn.execute("CREATE TABLE t (n BIGINT)", [])?;
    /// let created = conn.last_commit()?;
    /// let tx = conn.transaction()?;
    /// tx.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0))?;
    /// assert_eq!(tx.snapshot()?, created);
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// 55006 when called from within a call of the same connection.
    pub fn last_commit(&self) -> Result<Option<u64>> {
        let session = self.session()?;
        Ok(session.last_commit.timestamp.map(|commit| commit.0))
    }

    /// Where the log stood behind what this connection committed last, for
    /// [`Database::wait_durable`](crate::Database::wait_durable); `None` where that changed nothing, and in memory.
    ///
    /// # Errors
    /// 55006 when called from within a call of the same connection.
    pub fn last_commit_lsn(&self) -> Result<Option<u64>> {
        let session = self.session()?;
        Ok(session.last_commit.lsn.map(|lsn| lsn.0))
    }

    /// Where the connection stands.
    pub fn transaction_status(&self) -> TransactionStatus {
        self.status.get()
    }

    /// From now on `listener` is called when a statement of this connection has begun to wait for a conflicting transaction
    /// (`lock_timeout`), once a statement. The thread that runs the statement calls it while the statement waits: it can
    /// use other connections, but should not take long. A panic in it is contained.
    ///
    /// ```
    /// use remora::Database;
    /// use std::sync::mpsc;
    ///
    /// let db = Database::in_memory()?;
    /// let (alice, bob) = (db.connect()?, db.connect()?);
    /// alice.execute_batch("CREATE TABLE t (v INT); INSERT INTO t VALUES (1)")?;
    /// alice.execute_batch("BEGIN; UPDATE t SET v = 2")?;
    /// bob.execute_batch("SET lock_timeout = '10s'")?;
    /// let (sender, waits) = mpsc::channel();
    /// bob.on_lock_wait(move || drop(sender.send(())))?;
    /// let bob = std::thread::spawn(move || bob.execute("UPDATE t SET v = v + 1", []));
    /// waits.recv().expect("Bob waits for Alice");
    /// alice.execute_batch("COMMIT")?;
    /// assert_eq!(bob.join().expect("he does not panic")?, 1);
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// 55006 when called from within a call of the same connection.
    pub fn on_lock_wait(&self, listener: impl Fn() + Send + 'static) -> Result<()> {
        self.session()?.lock_wait_listener = Some(LockWaitListener(Box::new(listener)));
        Ok(())
    }

    /// A handle by which other threads stop what this connection runs.
    pub fn interrupt_handle(&self) -> InterruptHandle {
        InterruptHandle::new(Arc::clone(&self.record))
    }

    pub(in crate::session) fn interrupt(&self) -> &Interrupt {
        self.record.interrupt()
    }

    /// The session, for the length of one call.
    #[inline]
    pub(super) fn session(&self) -> Result<InUse<'_>> {
        match self.session.try_borrow_mut() {
            Ok(session) => Ok(InUse::new(session)),
            Err(_) => Err(in_use()),
        }
    }

    /// Runs the statement of a text that is one look-up ([`Session::read_text_by_key`]).
    #[inline]
    fn read_text_by_key(&self, sql: &str, call: &mut Call) -> Option<(usize, Arc<[Field]>)> {
        let (parameters, rows) = call.given_and_rows();
        let mut session = self.session.try_borrow_mut().ok()?;
        session.read_text_by_key(sql, parameters, rows)
    }

    /// Runs a statement that is one look-up ([`Session::read_by_key`]).
    #[inline]
    pub(in crate::session) fn read_by_key(
        &self,
        prepared: &mut Prepared,
        (parameters, rows): (&[Value], &mut Vec<Value>),
    ) -> Option<usize> {
        prepared.plan.point.as_ref()?;
        let mut session = self.session.try_borrow_mut().ok()?;
        session.read_by_key(prepared, parameters, rows)
    }

    /// Runs a call on the session, and settles what it leaves.
    pub(in crate::session) fn with_session<T>(
        &self,
        f: impl FnOnce(&mut Session) -> Result<T>,
    ) -> Result<T> {
        let mut call = self.begin_call()?;
        let result = f(&mut call.session).map_err(|error| call.session.told(error));
        call.end(result.is_err());
        result
    }

    fn begin_call(&self) -> Result<CallUnderWay<'_>> {
        Ok(CallUnderWay {
            session: self.session()?,
            status: &self.status,
            is_over: false,
        })
    }

    /// Goes on with a query that was handed out by a call that is over.
    pub(in crate::session) fn fetch<T>(&self, f: impl FnOnce() -> Result<T>) -> Result<T> {
        // It is in use where a call has called back.
        let mut call = self.begin_call().ok();
        if let Some(call) = &mut call {
            call.session.begin_fetch()?;
        }
        self.record.resume();
        let result = f();
        self.record.pause();
        if let Some(mut call) = call {
            call.session.end_fetch();
            call.is_over = true;
        }
        result
    }

    /// As [`Self::with_session`], for what gets out of a failure: an error of it fails nothing.
    pub(in crate::session) fn at_rest<T>(
        &self,
        f: impl FnOnce(&mut Session) -> Result<T>,
    ) -> Result<T> {
        let mut session = self.session()?;
        let result = f(&mut session);
        session.rest();
        self.status.set(session.status());
        result
    }

    /// Ends a query that was handed out by a call that is over, and failed.
    pub(in crate::session) fn fail(&self, error: Error) -> Error {
        let error = match self.session.try_borrow_mut() {
            Ok(mut session) => session.told(error),
            Err(_) => error,
        };
        self.settle(true);
        error
    }

    /// Ends a query that was handed out by a call that is over.
    pub(in crate::session) fn settle(&self, failed: bool) {
        if let Ok(mut session) = self.session() {
            session.settle(failed);
            self.status.set(session.status());
        }
    }

    /// Changes which functions of the host it has; what is planned is planned anew.
    pub(in crate::session) fn change_host(
        &self,
        change: impl FnOnce(&HostFunctions) -> HostFunctions,
    ) -> Result<()> {
        let mut session = self.session()?;
        let host = change(session.path.host());
        session.path = Arc::new(session.path.with_host(host));
        Ok(())
    }

    /// Fails where the session was asked to stop.
    pub(in crate::session) fn check_interrupt(&self) -> Result<()> {
        self.with_session(|session| session.record.interrupt().check())
    }

    /// Something about the session that runs nothing; not done where a call is under way.
    pub(in crate::session) fn quietly(&self, f: impl FnOnce(&mut Session)) {
        if let Ok(mut session) = self.session.try_borrow_mut() {
            f(&mut session);
        }
    }

    /// How the session shows values: its time zone, its forms of dates, and so on.
    ///
    /// ```
    /// # let db = remora::Database::in_memory()?;
    /// use remora::internal::text;
    /// let conn = db.connect()?;
    /// conn.execute_batch("SET TIME ZONE 'Asia/Tokyo'")?;
    /// let moment = remora::ValueRef::TimestampTz(0);
    /// let shown = text::format_in(moment, remora::DataType::TimestampTz, &*conn.style()?);
    /// assert_eq!(shown.as_deref(), Some("1970-01-01 09:00:00+09"));
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// 55000 while another call is under way.
    #[doc(hidden)]
    pub fn style(&self) -> Result<Arc<Style>> {
        let session = self.session()?;
        Ok(session.settings.style().clone().unwrap_or_default())
    }

    /// The definitions as the next statement sees them, and where it looks for names.
    pub(in crate::session) fn names(&self) -> Result<(Arc<Catalog>, Arc<SearchPath>)> {
        let session = self.session()?;
        Ok((session.catalog(), Arc::clone(&session.path)))
    }
}
