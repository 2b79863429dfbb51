//! The users table without SQL.

use crate::Result;
use crate::users::{User, user};
use remora_storage::catalog::{
    ColumnDef, Constraint, IndexColumn, IndexDef, IndexKind, TableDef, TableEntry,
};
use remora_storage::{
    ColumnId, DataType, IndexId, Store, StoreOptions, TableId, Transaction, ValueRef,
};

use std::sync::Arc;

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
    let store = Store::in_memory(options)?;
    let mut transaction = store.begin()?;
    transaction.begin_command();
    let column = |(id, (name, data_type)): (usize, &(&str, DataType))| ColumnDef {
        id: ColumnId(id as u32),
        name: (*name).to_owned(),
        data_type: *data_type,
        not_null: false,
        default: None,
    };
    let table = transaction.create_table(TableDef {
        id: TableId(0),
        name: "users".to_owned(),
        columns: COLUMNS.iter().enumerate().map(column).collect(),
        checks: Vec::new(),
    })?;
    transaction.create_index(IndexDef {
        id: IndexId(0),
        name: "users_pkey".to_owned(),
        table,
        columns: vec![IndexColumn {
            column: ID,
            descending: false,
            nulls_first: false,
        }],
        unique: true,
        kind: IndexKind::Ordered,
        constraint: Some(Constraint::PrimaryKey),
    })?;
    transaction.commit()?;
    Ok(store)
}

/// The users table as the transaction sees it.
pub(crate) fn users(transaction: &Transaction) -> Result<Arc<TableEntry>> {
    let table = transaction.catalog().table("users").cloned();
    Ok(table.ok_or("the users table is gone")?)
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
#[allow(
    dead_code,
    reason = "for benchmarks of what is done with a loaded table"
)]
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
