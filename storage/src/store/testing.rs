//! What the tests of the store share: a table, a script of commits, and how to look at both.

use super::{Store, StoreOptions};
use crate::catalog::{CheckDef, ColumnDef, IndexDef, TableDef, TableEntry};
use crate::disk::{Disk, Fault, SimDisk};
use crate::error::Result;
use crate::ids::{ColumnId, RowId};
use crate::recovery::RecoveryReport;
use crate::stop::Stop;
use crate::transaction::Transaction;
use crate::value::{DataType, Value, ValueRef, value_at};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the table holds: key to text.
pub(super) type Contents = BTreeMap<i64, String>;

pub(super) fn options() -> StoreOptions {
    StoreOptions {
        manual_maintenance: true,
        max_memory: Some(256 << 20),
        ..StoreOptions::default()
    }
}

pub(super) fn open(disk: impl Disk + 'static) -> Result<(Store, RecoveryReport)> {
    Store::open_on(Arc::new(disk), options())
}

/// Creates `t (k BIGINT PRIMARY KEY, v TEXT)`.
pub(super) fn create_table(store: &Store) -> Result<()> {
    let mut transaction = store.begin()?;
    let columns = vec![
        ColumnDef::new(ColumnId(0), "k", DataType::BigInt),
        ColumnDef::new(ColumnId(1), "v", DataType::Text),
    ];
    let table = transaction.create_table(TableDef::new("t", columns))?;
    transaction.create_index(IndexDef::primary_key("t_pkey", table, [ColumnId(0)]))?;
    transaction.commit()?;
    Ok(())
}

fn table_of(transaction: &Transaction) -> Arc<TableEntry> {
    transaction.catalog().table("t").expect("the table").clone()
}

/// Makes the key's text what is given, or removes the row.
pub(super) fn put(transaction: &mut Transaction, key: i64, text: Option<&str>) -> Result<()> {
    let table = table_of(transaction);
    transaction.begin_command();
    match (row_of(transaction, key)?, text) {
        (None, Some(text)) => {
            let values = [ValueRef::BigInt(key), ValueRef::Text(text)];
            transaction.insert(&table, &values)?;
        }
        (Some(row), Some(text)) => {
            transaction.update(&table, row, &[(ColumnId(1), ValueRef::Text(text))])?;
        }
        (Some(row), None) => {
            transaction.delete(&table, row)?;
        }
        (None, None) => {}
    }
    Ok(())
}

fn row_of(transaction: &Transaction, key: i64) -> Result<Option<RowId>> {
    let table = table_of(transaction);
    let found = transaction
        .view()
        .lookup(&table, &table.indexes[0], &[ValueRef::BigInt(key)])?;
    assert!(found.len() <= 1, "a primary key");
    Ok(found.first().copied())
}

/// All rows, after a check that the index finds exactly them. Nothing where there is no table.
pub(super) fn contents(store: &Store) -> Contents {
    let transaction = store.begin().expect("a transaction");
    let Some(table) = transaction.catalog().table("t").cloned() else {
        return Contents::new();
    };
    let mut contents = Contents::new();
    let mut scan = transaction
        .view()
        .scan(&table, &[ColumnId(0), ColumnId(1)], &[], 7)
        .with_ids();
    while let Some(batch) = scan.next().expect("a scan") {
        for (at, row) in batch.ids.iter().enumerate() {
            let key = value_at(&batch.columns[0], DataType::BigInt, at).to_owned();
            let text = value_at(&batch.columns[1], DataType::Text, at).to_owned();
            let (Value::BigInt(key), Value::Text(text)) = (key, text) else {
                panic!("no row has NULLs");
            };
            assert_eq!(row_of(&transaction, key).expect("a lookup"), Some(*row));
            assert!(contents.insert(key, text).is_none(), "each key once");
        }
    }
    contents
}

/// Commit number `n` of a script: some inserts, updates and deletes, on the store and on the model.
pub(super) fn commit(store: &Store, n: i64) -> Result<()> {
    let mut transaction = store.begin()?;
    for (key, text) in changes(n) {
        put(&mut transaction, key, text.as_deref())?;
    }
    transaction.commit()?;
    Ok(())
}

/// Writes the table anew, as ALTER TABLE does: the same rows in another place, under another check.
pub(super) fn rewrite(store: &Store) -> Result<()> {
    let mut transaction = store.begin()?;
    transaction.begin_command();
    let (old, view) = (table_of(&transaction), transaction.view());
    let mut def = old.def.clone();
    def.checks.push(CheckDef {
        name: format!("check{}", def.checks.len()),
        expression: "k > 0".to_owned(),
        not_valid: false,
    });
    let new = transaction.rewrite_table(def)?;
    let mut rows = Vec::new();
    view.for_each_row(&old, |_, row| {
        rows.push([ColumnId(0), ColumnId(1)].map(|column| row.get(column).to_owned()));
        Ok::<(), crate::Error>(())
    })?;
    for row in &rows {
        transaction.insert(&new, &row.each_ref().map(Value::as_ref))?;
    }
    for index in &old.indexes {
        transaction.create_index_as(index.def.clone(), Stop::NEVER)?;
    }
    transaction.commit()?;
    Ok(())
}

/// What the first `n` commits of the script come to.
pub(super) fn model(n: i64) -> Contents {
    let mut model = Contents::new();
    for (key, text) in (0..n).flat_map(changes) {
        match text {
            Some(text) => model.insert(key, text),
            None => model.remove(&key),
        };
    }
    model
}

fn changes(n: i64) -> Vec<(i64, Option<String>)> {
    vec![
        (
            10 + n,
            Some(format!("row of commit {n}, longer than a view holds")),
        ),
        (1, Some(format!("v{n}"))),
        (10 + n / 2, (n % 3 != 2).then(|| format!("changed by {n}"))),
    ]
}

/// How many commits of the script the contents are; panics where they are no prefix.
pub(super) fn prefix_of(contents: &Contents, most: i64) -> i64 {
    let found = (0..=most).find(|n| model(*n) == *contents);
    found.unwrap_or_else(|| panic!("not the work of whole commits in order: {contents:?}"))
}

/// Mends a disk and returns the disks that a failure may leave of it: with all that is durable; with the
/// beginning of each other write, too; with all that was written, if only the process ends.
pub(super) fn leftovers(disk: &SimDisk) -> [SimDisk; 3] {
    disk.mend();
    [disk.crashed(), disk.torn(), disk.restart()]
}

/// Returns an empty disk that fails at an operation.
pub(super) fn failing(operation: u64, fault: Fault) -> SimDisk {
    let disk = SimDisk::new();
    disk.fail(operation, fault);
    disk
}

/// Changes bits of a byte, durably.
pub(super) fn flip(disk: &SimDisk, path: &str, at: u64, mask: u8) {
    let file = disk.open(path).expect("a file");
    let mut byte = [0];
    file.read_at(at, &mut byte).expect("a byte");
    file.write_at(at, &[byte[0] ^ mask]).expect("a write");
    file.sync().expect("a sync");
}

/// Returns the bytes of a file.
pub(super) fn read(disk: &SimDisk, path: &str) -> Vec<u8> {
    disk.image().files[path].to_vec()
}

/// Returns the paths of all files.
pub(super) fn files(disk: &SimDisk) -> Vec<String> {
    disk.image().files.into_keys().collect()
}
