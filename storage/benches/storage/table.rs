//! The users table without SQL.

use crate::Result;
use crate::users::{User, user};
use remora_storage::catalog::{ColumnDef, IndexDef, TableDef, TableEntry};
use remora_storage::{ColumnId, DataType, Store, StoreOptions, Transaction, ValueRef};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// `id`, the primary key.
pub(crate) const ID: ColumnId = ColumnId(0);
/// `email`.
pub(crate) const EMAIL: ColumnId = ColumnId(2);
/// `age`.
pub(crate) const AGE: ColumnId = ColumnId(3);
/// `score`.
pub(crate) const SCORE: ColumnId = ColumnId(4);
/// `created_at`, which is the number of the row.
pub(crate) const CREATED_AT: ColumnId = ColumnId(5);

/// Names and types; ids are positions.
pub(crate) const COLUMNS: [(&str, DataType); 6] = [
    ("id", DataType::BigInt),
    ("name", DataType::Text),
    ("email", DataType::Text),
    ("age", DataType::Integer),
    ("score", DataType::Double),
    ("created_at", DataType::Double),
];

/// Rows that [`load`] inserts in one transaction.
const LOAD_ROWS: i64 = 1000;

/// A store in memory with an empty users table and its primary key.
pub(crate) fn store(options: StoreOptions) -> Result<Store> {
    store_of("users", &COLUMNS, options)
}

/// A store in memory with an empty table, whose first column is its primary key.
pub(crate) fn store_of(
    name: &str,
    columns: &[(&str, DataType)],
    options: StoreOptions,
) -> Result<Store> {
    let store = Store::in_memory(options)?;
    make(&store, name, columns, None)?;
    Ok(store)
}

/// Makes the users table with its primary key, and an index of e-mail addresses if asked to.
pub(crate) fn make_users(store: &Store, with_emails: bool) -> Result<()> {
    make(store, "users", &COLUMNS, with_emails.then_some(EMAIL))
}

/// Makes a table whose first column is its primary key, and an index of another one.
fn make(
    store: &Store,
    name: &str,
    columns: &[(&str, DataType)],
    indexed: Option<ColumnId>,
) -> Result<()> {
    let mut transaction = store.begin()?;
    transaction.begin_command();
    let columns = columns.iter().enumerate();
    let columns = columns
        .map(|(id, (name, data_type))| ColumnDef::new(ColumnId(id as u32), *name, *data_type));
    let table = transaction.create_table(TableDef::new(name, columns.collect()))?;
    transaction.create_index(IndexDef::primary_key(
        format!("{name}_pkey"),
        table,
        [ColumnId(0)],
    ))?;
    if let Some(column) = indexed {
        transaction.create_index(IndexDef::new(format!("{name}_index"), table, [column]))?;
    }
    transaction.commit()?;
    Ok(())
}

/// The users table as the transaction sees it.
pub(crate) fn users(transaction: &Transaction) -> Result<Arc<TableEntry>> {
    named(transaction, "users")
}

/// A table as the transaction sees it.
pub(crate) fn named(transaction: &Transaction, name: &str) -> Result<Arc<TableEntry>> {
    let table = transaction.catalog().table(name).cloned();
    Ok(table.ok_or("the table is gone")?)
}

/// A row's values in the order of the columns.
pub(crate) fn values(user: &User) -> [ValueRef<'_>; 6] {
    [
        ValueRef::BigInt(user.id),
        ValueRef::Text(&user.name),
        ValueRef::Text(&user.email),
        ValueRef::Integer(user.age),
        ValueRef::Double(user.score),
        ValueRef::Double(user.created_at),
    ]
}

/// Inserts rows number `from` to `end`.
pub(crate) fn load(store: &Store, from: i64, end: i64) -> Result<()> {
    let mut at = from;
    while at < end {
        let stop = end.min(at + LOAD_ROWS);
        insert_all(store, &(at..stop).map(user).collect::<Vec<_>>())?;
        at = stop;
    }
    Ok(())
}

/// Inserts these rows in one transaction.
pub(crate) fn insert_all(store: &Store, rows: &[User]) -> Result<()> {
    let mut transaction = store.begin()?;
    transaction.begin_command();
    let table = users(&transaction)?;
    for row in rows {
        transaction.insert(&table, &values(row))?;
    }
    transaction.commit()?;
    Ok(())
}

/// Waits until collection in the background has nothing more to do.
pub(crate) fn settle(store: &Store) {
    let end = Instant::now() + Duration::from_secs(5);
    let mut last = u64::MAX;
    let mut quiet = 0;
    while quiet < 5 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(25));
        let used = store.ledger().used();
        quiet = if used == last { quiet + 1 } else { 0 };
        last = used;
    }
}
