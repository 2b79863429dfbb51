//! Key-value tables: SQL's rows by key, for programs that want no SQL.
//!
//! ```text
//!   Kv<Pooled>        db.kv("name")   from any thread, on a connection of the thread (`database::Lanes`)
//!      | within(&tx)
//!   Kv<&Connection>                   on this connection: part of its transaction
//!      |
//!   Texts             one statement a call, written once for each table: its plan stays with the connection
//!      |
//!   table (key BYTEA PRIMARY KEY, value BYTEA, version BIGINT, created_at, expires_at TIMESTAMPTZ)
//! ```
//!
//! It is a table like others: SQL reads and writes it, triggers fire, it expires by its own `expires_at`, and it may have
//! bounds and be `UNLOGGED` if its maker says so. Each call is one statement: what is said about statements holds (they are
//! run again where they lose a conflict in a transaction of their own). A version is a number of the table's sequence:
//! never given twice, so that who compares it notices also that a key was deleted and written again.
//!
//! [`Kv::get_or_insert_with`] computes a value once, whoever asks (`session::SingleFlight`). Nobody waits with a snapshot.

mod bytes;
mod entry;
mod put;
#[cfg(test)]
mod tests;
mod texts;

pub use bytes::{FromBytes, Json, ToBytes};
pub use entry::Entry;
pub use put::Put;
pub(crate) use put::interval;

use crate::database::{Database, Lanes};
use crate::error::{Result, state};
use crate::function::quoted;
use crate::plan::statement::TransactionOptions;
use crate::session::{Connection, OptionalExtension, Row, ToSql, Transaction};
use remora_storage::{Interval, ValueRef};
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::time::Duration;
use texts::Texts;

/// A key-value table, made by [`Database::kv`]: from any thread, or within a transaction ([`Kv::within`]).
///
/// Keys and values are bytes: slices, texts, or what serde can write ([`Json`]).
///
/// ```
/// use remora::kv::Json;
/// use std::time::Duration;
///
/// let db = remora::Database::in_memory()?;
/// let sessions = db.kv("session")?;
/// sessions.put("ann", "a token")?;
/// sessions.put_for("bob", "another", Duration::from_secs(3600))?;
/// assert_eq!(sessions.get::<String>("ann")?.as_deref(), Some("a token"));
/// assert_eq!(sessions.get::<String>("eve")?, None);
///
/// // Written again only if nobody else has.
/// let read = sessions.entry("ann")?.expect("it is there");
/// let written = sessions.compare_and_set("ann", read.version, "a new one")?;
/// assert!(written.is_some());
/// assert_eq!(sessions.compare_and_set("ann", read.version, "too late")?, None);
///
/// // Numbers, and what serde can write.
/// assert_eq!(sessions.increment("visits", 2)?, 2);
/// sessions.put("limits", Json(vec![1, 2, 3]))?;
/// assert_eq!(sessions.get::<Json<Vec<u8>>>("limits")?, Some(Json(vec![1, 2, 3])));
///
/// // A row like others.
/// let mut conn = db.connect()?;
/// let n: i64 = conn.query_row("SELECT count(*) FROM session", [], |row| row.get(0))?;
/// assert_eq!(n, 4);
///
/// // Within a transaction.
/// let tx = conn.transaction()?;
/// assert!(sessions.within(&tx).delete("ann")?);
/// tx.rollback()?;
/// assert!(sessions.contains("ann")?);
/// # Ok::<(), remora::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Kv<P = Pooled> {
    texts: Arc<Texts>,
    place: P,
}

/// On connections of the handle's own, one for each thread that uses it.
#[derive(Clone, Debug)]
pub struct Pooled(Arc<Lanes>);

/// Where the statements of a table run: on connections of the handle's own, or on a given one.
pub trait Place: sealed::Sealed {
    /// Calls `f` with a connection.
    #[doc(hidden)]
    fn with<T>(&self, f: impl FnOnce(&Connection) -> Result<T>) -> Result<T>;

    /// Calls `f` with a connection that has a transaction, perhaps several times.
    #[doc(hidden)]
    fn atomically<T>(&self, f: impl FnMut(&Connection) -> Result<T>) -> Result<T>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Pooled {}
    impl Sealed for &crate::session::Connection {}
}

impl Place for Pooled {
    #[inline]
    fn with<T>(&self, f: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.0.with(|connection| f(connection))
    }

    fn atomically<T>(&self, mut f: impl FnMut(&Connection) -> Result<T>) -> Result<T> {
        self.0.with(|connection| connection.transact(|tx| f(tx)))
    }
}

impl Place for &Connection {
    #[inline]
    fn with<T>(&self, f: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        f(self)
    }

    fn atomically<T>(&self, mut f: impl FnMut(&Connection) -> Result<T>) -> Result<T> {
        if self.is_in_transaction() {
            return f(self);
        }
        let tx = self.unchecked_transaction(TransactionOptions::new())?;
        let value = f(&tx)?;
        tx.commit()?;
        Ok(value)
    }
}

impl Database {
    /// A key-value table, which is made if it is not there.
    ///
    /// # Errors
    /// 42809 where a table of this name has other columns: it takes `key BYTEA PRIMARY KEY, value BYTEA, version BIGINT
    /// GENERATED BY DEFAULT AS IDENTITY, created_at TIMESTAMPTZ, expires_at TIMESTAMPTZ`, and may have more with a default.
    pub fn kv(&self, name: &str) -> Result<Kv> {
        let texts = Texts::new(&quoted(name));
        let lanes = Lanes::new(self);
        lanes.with(|conn| {
            if !texts.is_there(conn)? {
                // Another may make it at the same time.
                conn.execute_batch(&texts.create)
                    .or_else(|error| match error.sqlstate() {
                        state::DUPLICATE_TABLE | state::SERIALIZATION_FAILURE => Ok(()),
                        _ => Err(error),
                    })?;
            }
            texts.check(conn, name)
        })?;
        Ok(Kv {
            texts: Arc::new(texts),
            place: Pooled(Arc::new(lanes)),
        })
    }
}

impl Kv {
    /// The table on a connection: what is done is part of the connection's transaction, if it has one.
    pub fn within<'c>(&self, connection: &'c Connection) -> Kv<&'c Connection> {
        Kv {
            texts: Arc::clone(&self.texts),
            place: connection,
        }
    }

    /// Runs `f` in a transaction and commits it, again where it loses a conflict: see [`Connection::transact`].
    ///
    /// ```
    /// # let db = remora::Database::in_memory()?;
    /// let stock = db.kv("stock")?;
    /// stock.increment("apples", 5)?;
    /// let sold = stock.transact(|stock, _| {
    ///     stock.increment("apples", -2)?;
    ///     stock.increment("sold", 2)
    /// })?;
    /// assert_eq!(sold, 2);
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of `f` and of the commit.
    pub fn transact<T>(
        &self,
        mut f: impl FnMut(&Kv<&Connection>, &Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let run = |tx: &mut Transaction<'_>| f(&self.within(tx), tx);
        self.place.0.with(|connection| connection.transact(run))
    }

    /// The value of a key, which `compute` gives where there is none: one of those who ask at the same time computes,
    /// outside of any transaction, and the others wait. Where it fails nothing is kept, and the next one computes.
    ///
    /// ```
    /// # let db = remora::Database::in_memory()?;
    /// let pages = db.kv("page")?;
    /// let page = pages.get_or_insert_with("/", || Ok("welcome".to_owned()))?;
    /// let again: String = pages.get_or_insert_with("/", || unreachable!("it is kept"))?;
    /// assert_eq!((page.as_str(), again.as_str()), ("welcome", "welcome"));
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of `compute`; 55000 where it asks for the value of its own key, 55P03 where the database has a `lock_timeout` and
    /// another has computed for as long.
    pub fn get_or_insert_with<T: ToBytes + FromBytes>(
        &self,
        key: impl ToBytes,
        compute: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        self.get_or_insert_as(key, Put::new(), compute)
    }

    /// As [`Kv::get_or_insert_with`], with the time that the value is kept for.
    ///
    /// # Errors
    /// As for [`Kv::get_or_insert_with`].
    pub fn get_or_insert_for<T: ToBytes + FromBytes>(
        &self,
        key: impl ToBytes,
        ttl: Duration,
        compute: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        self.get_or_insert_as(key, Put::new().ttl(ttl), compute)
    }

    fn get_or_insert_as<T: ToBytes + FromBytes>(
        &self,
        key: impl ToBytes,
        put: Put,
        compute: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let key = key.to_bytes()?;
        if let Some(value) = self.get(&*key)? {
            return Ok(value);
        }
        let name = [self.texts.get.as_bytes(), &key].concat();
        let _turn = self.place.with(|conn| conn.turn(&name))?;
        if let Some(value) = self.get(&*key)? {
            return Ok(value);
        }
        let value = compute()?;
        match self.put_with(&*key, &value, put.if_absent())? {
            Some(_) => Ok(value),
            // Written by another way meanwhile: that is what others see.
            None => Ok(self.get(&*key)?.unwrap_or(value)),
        }
    }
}

impl<P: Place> Kv<P> {
    /// The value of a key; `None` where there is none, or it has expired.
    ///
    /// # Errors
    /// 22021 where a text was asked for and the value is none, 22P02 where [`Json`] was.
    #[inline]
    pub fn get<T: FromBytes>(&self, key: impl ToBytes) -> Result<Option<T>> {
        self.get_with(key, |bytes| T::from_bytes(bytes))?
            .transpose()
    }

    /// The result of `f` for the value of a key, which it is shown where it lies.
    ///
    /// # Errors
    /// Those of [`Connection::query_row`].
    #[inline]
    pub fn get_with<T>(&self, key: impl ToBytes, f: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        let key = key.to_bytes()?;
        let found = |row: &Row<'_>| match row.get_ref(0)? {
            ValueRef::Bytea(bytes) => Ok(f(bytes)),
            // NULL, of a table that others made: an error, as for any column.
            _ => row.get::<_, Vec<u8>>(0).map(|bytes| f(&bytes)),
        };
        self.place
            .with(|conn| conn.query_row(&self.texts.get, [&*key], found))
            .optional()
    }

    /// The value of a key with all that belongs to it.
    ///
    /// # Errors
    /// Those of [`Connection::query_row`].
    pub fn entry(&self, key: impl ToBytes) -> Result<Option<Entry>> {
        let key = key.to_bytes()?;
        self.place
            .with(|conn| conn.query_row(&self.texts.entry, [&*key], Entry::of_row))
            .optional()
    }

    /// Whether the key is there.
    ///
    /// # Errors
    /// Those of [`Connection::query_row`].
    pub fn contains(&self, key: impl ToBytes) -> Result<bool> {
        Ok(self.get_with(key, |_| ())?.is_some())
    }

    /// Writes a value, which stays until it is deleted.
    ///
    /// # Errors
    /// Those of [`Connection::execute`]: 53200 where memory is full, for instance.
    #[inline]
    pub fn put(&self, key: impl ToBytes, value: impl ToBytes) -> Result<()> {
        let (key, value) = (key.to_bytes()?, value.to_bytes()?);
        let written = |conn: &Connection| {
            // The shorter way, where it is there.
            match conn.execute(&self.texts.put_again, (&*key, &*value))? {
                0 => {
                    let never = None::<Interval>;
                    conn.execute(&self.texts.put_for, (&*key, &*value, never))
                        .map(drop)
                }
                _ => Ok(()),
            }
        };
        self.place.with(written)
    }

    /// Writes a value that expires.
    ///
    /// # Errors
    /// As for [`Kv::put`]; 22023 where the time is zero.
    pub fn put_for(&self, key: impl ToBytes, value: impl ToBytes, ttl: Duration) -> Result<()> {
        self.put_with(key, value, Put::new().ttl(ttl)).map(drop)
    }

    /// Writes the value of a key that is at this version, which then expires when it did before; gives the new version, or
    /// `None` where the key is gone or was written since.
    ///
    /// # Errors
    /// As for [`Kv::put`].
    pub fn compare_and_set(
        &self,
        key: impl ToBytes,
        version: i64,
        value: impl ToBytes,
    ) -> Result<Option<i64>> {
        self.put_with(key, value, Put::new().if_version(version).keep_ttl())
    }

    /// Writes a value as `put` says; gives its version, or `None` where what `put` asks for was not so.
    ///
    /// # Errors
    /// As for [`Kv::put_for`].
    pub fn put_with(
        &self,
        key: impl ToBytes,
        value: impl ToBytes,
        put: Put,
    ) -> Result<Option<i64>> {
        let (key, value) = (key.to_bytes()?, value.to_bytes()?);
        let (key, value) = (&*key, &*value);
        let (text, ttl, version) = (put.text(&self.texts), put.interval()?, put.version());
        let mut parameters: Vec<&dyn ToSql> = vec![&key, &value];
        if put.has_ttl() {
            parameters.push(&ttl);
        }
        if let Some(version) = &version {
            parameters.push(version);
        }
        let written = |conn: &Connection| {
            conn.query_row(text, parameters.as_slice(), |row| row.get::<_, i64>(0))
        };
        self.place.with(written).optional()
    }

    /// Adds to the number that is the value of a key, 0 where it is not there, and gives the sum. When it expires
    /// stays as it is. The value is the number in decimal digits.
    ///
    /// # Errors
    /// 22P02 where the value is no number, 22003 where the sum is none of 64 bits; else as for [`Kv::put`].
    pub fn increment(&self, key: impl ToBytes, by: i64) -> Result<i64> {
        let key = key.to_bytes()?;
        let sum = |conn: &Connection| {
            conn.query_row(&self.texts.increment, (&*key, by), |row| row.get(0))
        };
        self.place.with(sum)
    }

    /// Has a key expire after `ttl` from now, or never; gives whether it is there.
    ///
    /// # Errors
    /// As for [`Kv::put_for`].
    pub fn expire(&self, key: impl ToBytes, ttl: Option<Duration>) -> Result<bool> {
        let key = key.to_bytes()?;
        let ttl = ttl.map(interval).transpose()?;
        self.place
            .with(|conn| Ok(conn.execute(&self.texts.expire, (&*key, ttl))? > 0))
    }

    /// Deletes a key; gives whether it was there.
    ///
    /// # Errors
    /// Those of [`Connection::execute`].
    pub fn delete(&self, key: impl ToBytes) -> Result<bool> {
        let key = key.to_bytes()?;
        self.place
            .with(|conn| Ok(conn.execute(&self.texts.delete, [&*key])? > 0))
    }

    /// Deletes a key that is at this version; gives whether it was.
    ///
    /// # Errors
    /// Those of [`Connection::execute`].
    pub fn compare_and_delete(&self, key: impl ToBytes, version: i64) -> Result<bool> {
        let key = key.to_bytes()?;
        self.place
            .with(|conn| Ok(conn.execute(&self.texts.delete_version, (&*key, version))? > 0))
    }

    /// The values of several keys, of one moment.
    ///
    /// # Errors
    /// As for [`Kv::get`].
    pub fn get_all<T: FromBytes, K: ToBytes>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<Option<T>>> {
        let keys = all(keys)?;
        self.place.atomically(|conn| {
            let here = self.on(conn);
            keys.iter().map(|key| here.get(key)).collect()
        })
    }

    /// Writes several values, all or none.
    ///
    /// # Errors
    /// As for [`Kv::put`].
    pub fn put_all<K: ToBytes, V: ToBytes>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<()> {
        let pairs = pairs
            .into_iter()
            .map(|(key, value)| Ok((key.to_bytes()?.into_owned(), value.to_bytes()?.into_owned())))
            .collect::<Result<Vec<_>>>()?;
        self.place.atomically(|conn| {
            let here = self.on(conn);
            let mut pairs = pairs.iter();
            pairs.try_for_each(|(key, value)| here.put(key, value))
        })
    }

    /// Deletes several keys, all or none; gives how many were there.
    ///
    /// # Errors
    /// Those of [`Connection::execute`].
    pub fn delete_all<K: ToBytes>(&self, keys: impl IntoIterator<Item = K>) -> Result<usize> {
        let keys = all(keys)?;
        self.place.atomically(|conn| {
            let here = self.on(conn);
            let mut found = 0;
            for key in &keys {
                found += usize::from(here.delete(key)?);
            }
            Ok(found)
        })
    }

    /// The first entries whose keys begin with these bytes, up to `limit`, in the order of keys. Those that follow are in
    /// the range behind the last key.
    ///
    /// ```
    /// use std::ops::Bound;
    /// # let db = remora::Database::in_memory()?;
    /// let kv = db.kv("kv")?;
    /// kv.put_all([("a", "0"), ("user:1", "ann"), ("user:2", "bob"), ("z", "0")])?;
    /// let users = kv.prefix("user:", 10)?;
    /// assert_eq!(users.len(), 2);
    /// assert_eq!(users[1].value_as::<String>()?, "bob");
    /// let behind = (Bound::Excluded(&users[0].key), Bound::Unbounded);
    /// assert_eq!(kv.range::<Vec<u8>>(behind, 1)?[0].key, b"user:2");
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Connection::query_row`].
    pub fn prefix(&self, prefix: impl ToBytes, limit: usize) -> Result<Vec<Entry>> {
        let prefix = prefix.to_bytes()?;
        let end = match after_all_with(&prefix) {
            Some(end) => Bound::Excluded(end),
            None => Bound::Unbounded,
        };
        self.range((Bound::Included(prefix.into_owned()), end), limit)
    }

    /// The first entries whose keys are in a range, up to `limit`, in the order of keys, which is that of bytes.
    ///
    /// # Errors
    /// Those of [`Connection::query_row`].
    pub fn range<K: ToBytes>(
        &self,
        range: impl RangeBounds<K>,
        limit: usize,
    ) -> Result<Vec<Entry>> {
        let (start, start_test) = bound(range.start_bound(), [">=", ">"])?;
        let (end, end_test) = bound(range.end_bound(), ["<=", "<"])?;
        let text = self.texts.range(start_test, end_test);
        let mut parameters: Vec<&dyn ToSql> = vec![&limit];
        let bounds = [&start, &end].into_iter().flatten();
        parameters.extend(bounds.map(|bytes| bytes as &dyn ToSql));
        self.place.with(|conn| {
            let mut statement = conn.prepare_cached(&text)?;
            let rows = statement.query_map(parameters.as_slice(), Entry::of_row)?;
            rows.collect()
        })
    }

    /// The table on the connection of a call.
    fn on<'c>(&self, connection: &'c Connection) -> Kv<&'c Connection> {
        Kv {
            texts: Arc::clone(&self.texts),
            place: connection,
        }
    }
}

/// The bytes of all keys.
fn all<K: ToBytes>(keys: impl IntoIterator<Item = K>) -> Result<Vec<Vec<u8>>> {
    let keys = keys.into_iter();
    keys.map(|key| Ok(key.to_bytes()?.into_owned())).collect()
}

/// The bytes of a bound and the test for it, of those for a bound that is included and for one that is not.
fn bound<K: ToBytes>(
    bound: Bound<&K>,
    tests: [&'static str; 2],
) -> Result<(Option<Vec<u8>>, Option<&'static str>)> {
    let (key, test) = match bound {
        Bound::Included(key) => (key, tests[0]),
        Bound::Excluded(key) => (key, tests[1]),
        Bound::Unbounded => return Ok((None, None)),
    };
    Ok((Some(key.to_bytes()?.into_owned()), Some(test)))
}

/// The least bytes that are greater than all with this prefix; `None` where there are none.
fn after_all_with(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}
