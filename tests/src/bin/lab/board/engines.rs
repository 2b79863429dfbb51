//! The engines: Remora and SQLite, behind one trait.
//!
//! A session has what an application would keep: the prepared statements of a row and a connection.
//! It returns a number that follows from all that it read. The numbers of all engines must be equal,
//! and nothing that is measured can be optimised away.

use super::draw::{Draw, LIST_KEYS};
use super::work::Operation;
use crate::Result;
use crate::peers::{Remora, Sqlite};
use remora_tests::users::{User, user};

/// Executes an operation with drawn arguments, and returns a sum of what it read or changed.
pub(super) type Session<'c> = Box<dyn FnMut(&Draw) -> Result<i64> + 'c>;

/// An engine with a table of users.
pub(super) trait Engine {
    fn name(&self) -> &'static str;

    /// Creates the table with users 0 to `rows`.
    fn load(&self, rows: i64) -> Result<()>;

    /// Creates the index on e-mail addresses, or drops it.
    fn index_emails(&self, create: bool) -> Result<()>;

    /// Deletes users with keys from `rows` on.
    fn shrink(&self, rows: i64) -> Result<()>;

    /// Prepares an operation; `None` where the engine does not have it. Inserts begin at `fresh`.
    fn session(&self, operation: Operation, fresh: i64) -> Result<Option<Session<'_>>>;
}

const INSERT: &str = "INSERT INTO users VALUES (?, ?, ?, ?, ?, ?)";
const SELECT_ONE: &str = "SELECT name FROM users WHERE id = ?";
const SELECT_ALL: &str = "SELECT id, name, email, age, score, created_at FROM users WHERE id = ?";
const SELECT_EMAIL: &str = "SELECT name FROM users WHERE email = ?";
const RANGE: &str = "SELECT age, score FROM users WHERE id >= ? AND id < ? ORDER BY id";
const FIRST: &str = "SELECT id, name, email, age FROM users WHERE id >= ? ORDER BY id LIMIT 50";
const SCAN: &str = "SELECT id, name, email, age, score, created_at FROM users WHERE id >= ? \
     ORDER BY id LIMIT ?";
const SELECT_ANY: &str = "SELECT age FROM users WHERE id = ANY (?)";
const UPDATE: &str = "UPDATE users SET score = score + 1 WHERE id = ?";
const DELETE: &str = "DELETE FROM users WHERE id = ?";
const SHRINK: &str = "DELETE FROM users WHERE id >= ?";
const INDEX_EMAIL: &str = "CREATE INDEX users_email ON users (email)";
const DROP_INDEX: &str = "DROP INDEX users_email";

/// The library has rusqlite's names and shapes, so one text serves both.
macro_rules! engine {
    ($peer:ident, $library:ident, $name:literal, $list_any:ident) => {
        impl Engine for $peer {
            fn name(&self) -> &'static str {
                $name
            }

            fn load(&self, rows: i64) -> Result<()> {
                self.0.execute(remora_tests::users::CREATE_USERS, [])?;
                self.0.execute_batch("BEGIN")?;
                let mut insert = self.0.prepare(INSERT)?;
                for key in 0..rows {
                    let u = user(key);
                    insert.execute($library::params![
                        u.id,
                        u.name,
                        u.email,
                        u.age,
                        u.score,
                        u.created_at
                    ])?;
                }
                drop(insert);
                Ok(self.0.execute_batch("COMMIT")?)
            }

            fn index_emails(&self, create: bool) -> Result<()> {
                let sql = if create { INDEX_EMAIL } else { DROP_INDEX };
                Ok(self.0.execute_batch(sql)?)
            }

            fn shrink(&self, rows: i64) -> Result<()> {
                self.0.execute(SHRINK, [rows])?;
                Ok(())
            }

            fn session(&self, operation: Operation, fresh: i64) -> Result<Option<Session<'_>>> {
                Ok(Some(match operation {
                    Operation::ReadOne => self.read(SELECT_ONE, false)?,
                    Operation::ReadAll => self.read(SELECT_ALL, true)?,
                    Operation::ReadText | Operation::ReadOfText => self.read_unprepared(),
                    Operation::ReadEmail => self.read_email()?,
                    Operation::Range => self.range()?,
                    Operation::First => self.first()?,
                    Operation::ListIn => self.list_in()?,
                    Operation::ListAny => self.$list_any()?,
                    Operation::ScanOrInsert => self.scan_or_insert(fresh)?,
                    Operation::Insert => self.insert(fresh)?,
                    Operation::Update => self.update()?,
                    Operation::Replace => self.replace()?,
                }))
            }
        }

        impl $peer {
            fn read(&self, sql: &str, all: bool) -> Result<Session<'_>> {
                let mut select = self.0.prepare(sql)?;
                Ok(Box::new(move |draw| {
                    let sum = select.query_row([draw.key()?], |row| {
                        if all {
                            return Ok(sum_of_user!(row));
                        }
                        Ok(row.get::<_, String>(0)?.len() as i64)
                    });
                    Ok(sum?)
                }))
            }

            fn read_unprepared(&self) -> Session<'_> {
                Box::new(move |draw| {
                    let sum = match draw {
                        Draw::Text(sql) => self.0.query_row(sql, [], |row| row.get(0)),
                        _ => self
                            .0
                            .query_row(SELECT_ONE, [draw.key()?], |row| row.get(0)),
                    };
                    let name: String = sum?;
                    Ok(name.len() as i64)
                })
            }

            fn read_email(&self) -> Result<Session<'_>> {
                let mut select = self.0.prepare(SELECT_EMAIL)?;
                Ok(Box::new(move |draw| {
                    let name: String = select.query_row([draw.text()?], |row| row.get(0))?;
                    Ok(name.len() as i64)
                }))
            }

            fn range(&self) -> Result<Session<'_>> {
                let mut select = self.0.prepare(RANGE)?;
                Ok(Box::new(move |draw| {
                    let from = draw.key()?;
                    let mut rows = select.query([from, from + 100])?;
                    let mut sum = 0;
                    while let Some(row) = rows.next()? {
                        sum += row.get::<_, i64>(0)? + row.get::<_, f64>(1)? as i64;
                    }
                    Ok(sum)
                }))
            }

            fn first(&self) -> Result<Session<'_>> {
                let mut select = self.0.prepare(FIRST)?;
                Ok(Box::new(move |draw| {
                    let mut rows = select.query([draw.key()?])?;
                    let mut sum = 0;
                    while let Some(row) = rows.next()? {
                        let (name, email): (String, String) = (row.get(1)?, row.get(2)?);
                        sum += row.get::<_, i64>(0)? + (name.len() + email.len()) as i64;
                        sum += row.get::<_, i64>(3)?;
                    }
                    Ok(sum)
                }))
            }

            fn list_in(&self) -> Result<Session<'_>> {
                let places = vec!["?"; LIST_KEYS].join(", ");
                let sql = format!("SELECT age FROM users WHERE id IN ({places})");
                let mut select = self.0.prepare(&sql)?;
                Ok(Box::new(move |draw| {
                    let mut rows = select.query($library::params_from_iter(draw.keys()?))?;
                    let mut sum = 0;
                    while let Some(row) = rows.next()? {
                        sum += row.get::<_, i64>(0)?;
                    }
                    Ok(sum)
                }))
            }

            fn scan_or_insert(&self, fresh: i64) -> Result<Session<'_>> {
                let mut select = self.0.prepare(SCAN)?;
                let mut insert = self.insert(fresh)?;
                Ok(Box::new(move |draw| {
                    let Draw::Scan { from, rows } = draw else {
                        return insert(draw);
                    };
                    let mut rows = select.query([*from, *rows])?;
                    let mut sum = 0;
                    while let Some(row) = rows.next()? {
                        sum += sum_of_user!(row);
                    }
                    Ok(sum)
                }))
            }

            fn insert(&self, fresh: i64) -> Result<Session<'_>> {
                let mut insert = self.0.prepare(INSERT)?;
                let mut fresh = Fresh::new(fresh);
                Ok(Box::new(move |_| {
                    let (key, u) = fresh.next();
                    let inserted = insert.execute($library::params![
                        key,
                        u.name,
                        u.email,
                        u.age,
                        u.score,
                        u.created_at
                    ])?;
                    Ok(inserted as i64)
                }))
            }

            fn update(&self) -> Result<Session<'_>> {
                let mut update = self.0.prepare(UPDATE)?;
                Ok(Box::new(move |draw| {
                    Ok(update.execute([draw.key()?])? as i64)
                }))
            }

            fn replace(&self) -> Result<Session<'_>> {
                let mut delete = self.0.prepare(DELETE)?;
                let mut insert = self.0.prepare(INSERT)?;
                Ok(Box::new(move |draw| {
                    let u = draw.row()?;
                    let deleted = delete.execute([u.id])?;
                    let inserted = insert.execute($library::params![
                        u.id,
                        u.name,
                        u.email,
                        u.age,
                        u.score,
                        u.created_at
                    ])?;
                    Ok((2 * deleted + inserted) as i64)
                }))
            }
        }
    };
}

/// The sum of all columns of a user, as any engine must return it.
macro_rules! sum_of_user {
    ($row:ident) => {{
        let (name, email): (String, String) = ($row.get(1)?, $row.get(2)?);
        let (score, created_at): (f64, f64) = ($row.get(4)?, $row.get(5)?);
        let integers = $row.get::<_, i64>(0)? + $row.get::<_, i64>(3)?;
        integers + (name.len() + email.len()) as i64 + score as i64 + created_at as i64
    }};
}

engine!(Remora, remora, "Remora", list_any);
engine!(Sqlite, rusqlite, "SQLite", list_in);

impl Remora {
    fn list_any(&self) -> Result<Session<'_>> {
        let mut select = self.0.prepare(SELECT_ANY)?;
        Ok(Box::new(move |draw| {
            let mut rows = select.query([draw.keys()?])?;
            let mut sum = 0;
            while let Some(row) = rows.next()? {
                sum += row.get::<_, i64>(0)?;
            }
            Ok(sum)
        }))
    }
}

/// Rows to insert: keys that ascend, and the other columns of one of a few users, so that no time
/// is spent on making texts.
pub(super) struct Fresh {
    users: Vec<User>,
    next: i64,
}

impl Fresh {
    pub(super) fn new(first: i64) -> Self {
        Self {
            users: (0..1024).map(user).collect(),
            next: first,
        }
    }

    /// Returns the next key and the other columns of its row.
    pub(super) fn next(&mut self) -> (i64, &User) {
        let key = self.next;
        self.next += 1;
        (key, &self.users[key as usize % self.users.len()])
    }
}

impl Draw {
    pub(super) fn key(&self) -> Result<i64> {
        match self {
            Self::Key(key) => Ok(*key),
            other => Err(other.unexpected()),
        }
    }

    pub(super) fn text(&self) -> Result<&str> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(other.unexpected()),
        }
    }

    pub(super) fn keys(&self) -> Result<&[i64]> {
        match self {
            Self::Keys(keys) => Ok(keys),
            other => Err(other.unexpected()),
        }
    }

    pub(super) fn row(&self) -> Result<&User> {
        match self {
            Self::Row(user) => Ok(user),
            other => Err(other.unexpected()),
        }
    }

    #[cold]
    fn unexpected(&self) -> Box<dyn std::error::Error> {
        format!("an operation cannot use {self:?}").into()
    }
}
