//! Stores of keys and values as peers: redb, in memory, and fjall, in files of a temporary folder.
//!
//! They have the operations by key only. Each operation is a transaction (redb) or a call (fjall) of its
//! own, as statements are autocommitted. redb commits to memory, where syncing does nothing; fjall
//! writes its log to the operating system and does not sync it.

use super::draw::Draw;
use super::engines::{Engine, Fresh, Session};
use super::work::Operation;
use crate::Result;
use fjall::KeyspaceCreateOptions;
use redb::backends::InMemoryBackend;
use redb::{ReadableDatabase, ReadableTable, TableDefinition};
use remora_tests::users::{User, user};

/// Opens the stores, without users.
pub(super) fn open() -> Result<Vec<Box<dyn Engine>>> {
    Ok(vec![
        Box::new(KeyStore(Redb::open()?)),
        Box::new(KeyStore(Fjall::open()?)),
    ])
}

/// The columns of a user beside its key.
struct Columns<'v> {
    name: &'v str,
    email: &'v str,
    age: i32,
    score: f64,
    created_at: f64,
}

impl<'v> Columns<'v> {
    fn of(user: &'v User) -> Self {
        Self {
            name: &user.name,
            email: &user.email,
            age: user.age,
            score: user.score,
            created_at: user.created_at,
        }
    }
}

/// A store of users by key.
trait Store {
    const NAME: &'static str;

    /// Adds users 0 to `rows` at once.
    fn fill(&self, rows: i64) -> Result<()>;

    /// Reads a user that must exist.
    fn read<T>(&self, key: i64, read: impl FnOnce(Columns<'_>) -> T) -> Result<T>;

    fn put(&self, key: i64, columns: &Columns<'_>) -> Result<()>;

    /// Adds one to the score of a user.
    fn raise(&self, key: i64) -> Result<()>;

    fn remove(&self, key: i64) -> Result<()>;

    /// Removes keys from `first` on.
    fn truncate(&self, first: i64) -> Result<()>;
}

/// A store as an engine of the scoreboard.
struct KeyStore<S>(S);

impl<S: Store> Engine for KeyStore<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn load(&self, rows: i64) -> Result<()> {
        self.0.fill(rows)
    }

    fn index_emails(&self, _create: bool) -> Result<()> {
        Ok(())
    }

    fn shrink(&self, rows: i64) -> Result<()> {
        self.0.truncate(rows)
    }

    fn session(&self, operation: Operation, fresh: i64) -> Result<Option<Session<'_>>> {
        let store = &self.0;
        Ok(Some(match operation {
            Operation::ReadOne => Box::new(move |draw: &Draw| {
                let name = store.read(draw.key()?, |columns| columns.name.to_owned())?;
                Ok(name.len() as i64)
            }),
            Operation::ReadAll => Box::new(move |draw: &Draw| {
                let key = draw.key()?;
                let sum = store.read(key, |columns| {
                    let texts = (columns.name.to_owned(), columns.email.to_owned());
                    let numbers = columns.score as i64 + columns.created_at as i64;
                    (texts.0.len() + texts.1.len()) as i64 + i64::from(columns.age) + numbers
                })?;
                Ok(key + sum)
            }),
            Operation::Insert => {
                let mut fresh = Fresh::new(fresh);
                Box::new(move |_: &Draw| {
                    let (key, user) = fresh.next();
                    store.put(key, &Columns::of(user))?;
                    Ok(1)
                })
            }
            Operation::Update => Box::new(move |draw: &Draw| {
                store.raise(draw.key()?)?;
                Ok(1)
            }),
            Operation::Replace => Box::new(move |draw: &Draw| {
                let user = draw.row()?;
                store.remove(user.id)?;
                store.put(user.id, &Columns::of(user))?;
                Ok(3)
            }),
            _ => return Ok(None),
        }))
    }
}

struct Redb(redb::Database);

type RedbValue = (&'static str, &'static str, i32, f64, f64);

const USERS: TableDefinition<'_, i64, RedbValue> = TableDefinition::new("users");

type RedbTable<'t> = redb::Table<'t, i64, RedbValue>;

impl Redb {
    fn open() -> Result<Self> {
        let backend = InMemoryBackend::new();
        Ok(Self(redb::Builder::new().create_with_backend(backend)?))
    }

    /// Changes the table in a transaction.
    fn change(&self, change: impl FnOnce(&mut RedbTable<'_>) -> Result<()>) -> Result<()> {
        let transaction = self.0.begin_write()?;
        change(&mut transaction.open_table(USERS)?)?;
        Ok(transaction.commit()?)
    }
}

fn redb_put(table: &mut RedbTable<'_>, key: i64, columns: &Columns<'_>) -> Result<()> {
    let Columns {
        name,
        email,
        age,
        score,
        created_at,
    } = *columns;
    table.insert(key, (name, email, age, score, created_at))?;
    Ok(())
}

impl Store for Redb {
    const NAME: &'static str = "redb";

    fn fill(&self, rows: i64) -> Result<()> {
        self.change(|table| {
            (0..rows).try_for_each(|key| redb_put(table, key, &Columns::of(&user(key))))
        })
    }

    fn read<T>(&self, key: i64, read: impl FnOnce(Columns<'_>) -> T) -> Result<T> {
        let table = self.0.begin_read()?.open_table(USERS)?;
        let found = table.get(key)?.ok_or("a user is missing in redb")?;
        let (name, email, age, score, created_at) = found.value();
        Ok(read(Columns {
            name,
            email,
            age,
            score,
            created_at,
        }))
    }

    fn put(&self, key: i64, columns: &Columns<'_>) -> Result<()> {
        self.change(|table| redb_put(table, key, columns))
    }

    fn raise(&self, key: i64) -> Result<()> {
        self.change(|table| {
            let found = table.get(key)?.ok_or("a user is missing in redb")?;
            let (name, email, age, score, created_at) = found.value();
            let (name, email) = (name.to_owned(), email.to_owned());
            drop(found);
            let raised = (&*name, &*email, age, score + 1.0, created_at);
            table.insert(key, raised)?;
            Ok(())
        })
    }

    fn remove(&self, key: i64) -> Result<()> {
        self.change(|table| {
            table.remove(key)?;
            Ok(())
        })
    }

    fn truncate(&self, first: i64) -> Result<()> {
        self.change(|table| Ok(table.retain_in(first.., |_, _| false)?))
    }
}

struct Fjall {
    users: fjall::Keyspace,
    /// Declared after its keyspace, and before the folder that it is in.
    _database: fjall::Database,
    _folder: tempfile::TempDir,
}

impl Fjall {
    fn open() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let database = fjall::Database::builder(folder.path()).open()?;
        Ok(Self {
            users: database.keyspace("users", KeyspaceCreateOptions::default)?,
            _database: database,
            _folder: folder,
        })
    }
}

/// The bytes of a value: age, score, time, the length of the name, the name, the e-mail address.
fn encode(columns: &Columns<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend(columns.age.to_be_bytes());
    bytes.extend(columns.score.to_be_bytes());
    bytes.extend(columns.created_at.to_be_bytes());
    bytes.extend((columns.name.len() as u32).to_be_bytes());
    bytes.extend(columns.name.as_bytes());
    bytes.extend(columns.email.as_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Columns<'_>> {
    let (age, rest) = bytes.split_first_chunk()?;
    let (score, rest) = rest.split_first_chunk()?;
    let (created_at, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (name, email) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    Some(Columns {
        name: str::from_utf8(name).ok()?,
        email: str::from_utf8(email).ok()?,
        age: i32::from_be_bytes(*age),
        score: f64::from_be_bytes(*score),
        created_at: f64::from_be_bytes(*created_at),
    })
}

impl Store for Fjall {
    const NAME: &'static str = "fjall";

    fn fill(&self, rows: i64) -> Result<()> {
        (0..rows).try_for_each(|key| self.put(key, &Columns::of(&user(key))))
    }

    fn read<T>(&self, key: i64, read: impl FnOnce(Columns<'_>) -> T) -> Result<T> {
        let found = self.users.get(key.to_be_bytes())?;
        let columns = found.as_deref().and_then(decode);
        Ok(read(columns.ok_or("a user is missing in fjall")?))
    }

    fn put(&self, key: i64, columns: &Columns<'_>) -> Result<()> {
        Ok(self.users.insert(key.to_be_bytes(), encode(columns))?)
    }

    fn raise(&self, key: i64) -> Result<()> {
        let raised = self.read(key, |columns| {
            encode(&Columns {
                score: columns.score + 1.0,
                ..columns
            })
        })?;
        Ok(self.users.insert(key.to_be_bytes(), raised)?)
    }

    fn remove(&self, key: i64) -> Result<()> {
        Ok(self.users.remove(key.to_be_bytes())?)
    }

    fn truncate(&self, first: i64) -> Result<()> {
        for guard in self.users.range(first.to_be_bytes()..) {
            self.users.remove(guard.key()?)?;
        }
        Ok(())
    }
}
