//! Exactly once: a request that is sent again, because its answer was lost, is answered again and not done again.
//!
//! ```text
//!   transact_once(key, payload, ttl, f)
//!      |  one turn a key and database: whoever asks meanwhile waits, without a transaction (`session::SingleFlight`)
//!      |  one transaction, durable when it returns:
//!      |     is the key in remora_once?   yes: the result that was kept, or 22023 if the payload was another
//!      |                                  no:  f, and its result goes into remora_once
//!      v
//!   COMMIT: what f did and its result become durable together, or neither does
//! ```
//!
//! Results are rows of the table `remora_once`, which is made when the first is kept, and expire there. Of the payload its
//! SHA-256 is kept.
//!
//! If we crash: before the commit is durable nothing was done, and the next call runs; behind it the result is there.

#[cfg(test)]
mod tests;

use crate::database::Database;
use crate::error::{Result, state};
use crate::kv::{FromBytes, ToBytes, interval};
use crate::plan::statement::TransactionOptions;
use crate::session::{Connection, OptionalExtension, RetryLimit, Row, Transaction};
use remora_storage::{Durability, Interval};
use sha2::{Digest, Sha256};
use std::time::Duration;

const CREATE: &str = "CREATE TABLE IF NOT EXISTS public.remora_once (\
         key TEXT PRIMARY KEY, \
         payload BYTEA NOT NULL, \
         result BYTEA NOT NULL, \
         created_at TIMESTAMPTZ NOT NULL DEFAULT now()) \
     WITH (ttl_expire_after = '1 day', ttl_reset = 'insert')";
const KEPT: &str = "SELECT payload, result FROM public.remora_once WHERE key = $1";
const KEEP: &str = "INSERT INTO public.remora_once (key, payload, result, expires_at) \
     VALUES ($1, $2, $3, now() + $4::interval)";

/// A request with its key.
struct Request<'r> {
    key: &'r str,
    payload: Vec<u8>,
    ttl: Interval,
}

impl Connection {
    /// Runs `f` in a transaction and keeps its result under a key, for as long as `ttl`: another call with the key, now or
    /// after a crash, gets that result and does not run. Of two at once one runs, and the other waits for it: for as long as
    /// `lock_timeout`, if it is set. What `f` did and its result are durable when this returns, whatever
    /// `synchronous_commit` says. Where `f` fails nothing is kept, and the next call runs.
    ///
    /// `payload` is what was asked: a key that comes with another is refused.
    ///
    /// As with [`Connection::transact`], `f` may run several times until it commits once.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # let db = remora::Database::in_memory()?;
    /// let mut conn = db.connect()?;
    /// conn.execute_batch("CREATE TABLE account (id INT PRIMARY KEY, cents BIGINT); INSERT INTO account VALUES (1, 500)")?;
    /// let day = Duration::from_secs(24 * 3600);
    /// let mut pay = |key: &str, cents: i64| {
    ///     conn.transact_once(key, cents.to_string(), day, |tx| {
    ///         let sql = "UPDATE account SET cents = cents - $1 WHERE id = 1 RETURNING cents";
    ///         let left: i64 = tx.query_row(sql, [cents], |row| row.get(0))?;
    ///         Ok(format!("{left} cents left"))
    ///     })
    /// };
    /// assert_eq!(pay("order 7", 100)?, "400 cents left");
    /// assert_eq!(pay("order 7", 100)?, "400 cents left");
    /// assert_eq!(pay("order 7", 200).unwrap_err().sqlstate(), "22023");
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of `f` and of the commit; 22023 where the key came with another payload, or `ttl` is zero; 55P03 where
    /// `lock_timeout` is over; 55000 where `f` asks with its own key; 25001 within a transaction; 25P01 where `f` ends its
    /// transaction.
    pub fn transact_once<T: ToBytes + FromBytes>(
        &mut self,
        key: &str,
        payload: impl ToBytes,
        ttl: Duration,
        mut f: impl FnMut(&mut Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let request = Request {
            key,
            payload: Sha256::digest(payload.to_bytes()?).to_vec(),
            ttl: interval(ttl)?,
        };
        if self.is_in_transaction() {
            return Err(sql_error!(
                ACTIVE_SQL_TRANSACTION,
                "there is already a transaction in progress"
            ));
        }
        let _turn = self.turn(&[b"once\0", key.as_bytes()].concat())?;
        let options = TransactionOptions::new().durability(Durability::Sync);
        self.make_table()?;
        self.transact_with(options, RetryLimit::new(), |tx| match request.kept(tx)? {
            Some(result) => T::from_bytes(&result),
            None => request.run(tx, &mut f),
        })
    }

    /// Makes the table of results, if it is not there.
    fn make_table(&self) -> Result<()> {
        match self.prepare_cached(KEPT) {
            Ok(_) => return Ok(()),
            Err(error) if error.sqlstate() == state::UNDEFINED_TABLE => {}
            Err(error) => {
                return Err(sql_error!(
                    WRONG_OBJECT_TYPE,
                    "table \"remora_once\" is not the one of kept results: {error}"
                )
                .with_hint("Rename it: a new one is made when a result is kept."));
            }
        }
        match self.execute_batch(CREATE) {
            // Another key's call has made it meanwhile.
            Err(error) if error.is_retryable() => Ok(()),
            made => made,
        }
    }
}

impl Request<'_> {
    /// The result that is kept under the key.
    fn kept(&self, tx: &Transaction<'_>) -> Result<Option<Vec<u8>>> {
        let bytes = |row: &Row<'_>, column: usize| row.get::<_, Vec<u8>>(column);
        let kept = tx.query_row(KEPT, [self.key], |row| Ok((bytes(row, 0)?, bytes(row, 1)?)));
        let Some((payload, result)) = kept.optional()? else {
            return Ok(None);
        };
        if payload != self.payload {
            return Err(sql_error!(
                INVALID_PARAMETER_VALUE,
                "the key \"{}\" was used for another request",
                self.key
            )
            .with_hint(
                "Take a new key for each request, and the same one only to send it again.",
            ));
        }
        Ok(Some(result))
    }

    /// Does the work and keeps its result.
    fn run<T: ToBytes>(
        &self,
        tx: &mut Transaction<'_>,
        f: &mut impl FnMut(&mut Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let before = tx.last_commit()?;
        let value = f(tx)?;
        if !tx.is_in_transaction() || tx.last_commit()? != before {
            return Err(sql_error!(
                NO_ACTIVE_SQL_TRANSACTION,
                "the transaction was ended before its result was kept"
            )
            .with_hint("Leave COMMIT and ROLLBACK to whoever has begun the transaction."));
        }
        let result = value.to_bytes()?;
        tx.execute(KEEP, (self.key, &self.payload, &*result, self.ttl))?;
        Ok(value)
    }
}

impl Database {
    /// As [`Connection::transact_once`], which is quicker for whoever does it often, on a connection of its own.
    ///
    /// ```
    /// use std::time::Duration;
    /// # let db = remora::Database::in_memory()?;
    /// let minute = Duration::from_secs(60);
    /// let first = db.transact_once("key", "payload", minute, |_| Ok("done".to_owned()))?;
    /// let again = db.transact_once("key", "payload", minute, |_| Ok("done again".to_owned()))?;
    /// assert_eq!((first.as_str(), again.as_str()), ("done", "done"));
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Connection::transact_once`].
    pub fn transact_once<T: ToBytes + FromBytes>(
        &self,
        key: &str,
        payload: impl ToBytes,
        ttl: Duration,
        f: impl FnMut(&mut Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        self.connect()?.transact_once(key, payload, ttl, f)
    }
}
