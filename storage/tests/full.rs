//! A database that is full to the last byte: what makes it smaller, or ends a transaction, still
//! works, and a statement that failed leaves no trace.

use remora_storage::catalog::{ColumnDef, IndexDef, TableDef, TableEntry};
use remora_storage::{
    ColumnId, DataType, Error, Result, Store, StoreOptions, Transaction, ValueRef,
};
use std::sync::Arc;

const ID: ColumnId = ColumnId(1);
const TEXT: ColumnId = ColumnId(2);

/// A store in memory with a small budget, which does nothing unasked, and a table of numbers and texts.
fn store() -> Result<Store> {
    let store = Store::in_memory(StoreOptions {
        max_memory: Some(32 << 20),
        manual_maintenance: true,
        ..StoreOptions::default()
    })?;
    let mut transaction = store.begin()?;
    let columns = vec![
        ColumnDef::new(ID, "id", DataType::BigInt),
        ColumnDef::new(TEXT, "text", DataType::Text),
    ];
    let table = transaction.create_table(TableDef::new("t", columns))?;
    transaction.create_index(IndexDef::primary_key("t_pkey", table, [ID]))?;
    transaction.commit()?;
    Ok(store)
}

fn table(transaction: &Transaction) -> Arc<TableEntry> {
    Arc::clone(transaction.catalog().table("t").expect("it was created"))
}

/// One transaction that adds some rows.
fn insert(store: &Store, ids: std::ops::Range<i64>) -> Result<()> {
    let mut transaction = store.begin()?;
    let table = table(&transaction);
    let text = "x".repeat(200);
    for id in ids {
        let values = [ValueRef::BigInt(id), ValueRef::Text(&text)];
        transaction.insert(&table, &values)?;
    }
    transaction.commit().map(|_| ())
}

/// Adds rows, a hundred a commit, until the ledger refuses and nothing can be freed; returns how many there are.
fn fill(store: &Store, from: i64) -> i64 {
    let mut next = from;
    loop {
        let added = insert(store, next..next + 100).or_else(|error| match error {
            Error::OutOfMemory {
                wanted, available, ..
            } if store.relieve(wanted, available) => insert(store, next..next + 100),
            other => Err(other),
        });
        match added {
            Ok(()) => next += 100,
            Err(Error::OutOfMemory { .. }) => return next,
            Err(other) => panic!("{other}"),
        }
    }
}

fn delete(store: &Store, ids: std::ops::Range<i64>) -> Result<()> {
    let mut transaction = store.begin()?;
    transaction.begin_command();
    let table = table(&transaction);
    for id in ids {
        let key = [ValueRef::BigInt(id)];
        for row in transaction.view().lookup(&table, &table.indexes[0], &key)? {
            assert!(transaction.delete(&table, row)?);
        }
    }
    transaction.commit().map(|_| ())
}

fn count(store: &Store) -> Result<i64> {
    let transaction = store.begin()?;
    let table = table(&transaction);
    let mut scan = transaction.view().scan(&table, &[ID], &[], 1000);
    let mut rows = 0;
    while let Some(batch) = scan.next()? {
        rows += batch.rows as i64;
    }
    Ok(rows)
}

#[test]
fn a_full_database_refuses_rows_and_changes_nothing() {
    let store = store().unwrap();
    let held = fill(&store, 0);
    assert!(held > 10_000, "32 MiB hold more than {held} rows");
    assert_eq!(
        count(&store).unwrap(),
        held,
        "no row of the failed transaction"
    );
    let mapped = store.mapped_bytes();
    assert!(mapped > 16 << 20 && mapped <= store.ledger().budget());
    let error = insert(&store, held..held + 5000).unwrap_err();
    assert_eq!(error.sqlstate(), "53200");
    assert_eq!(count(&store).unwrap(), held);
}

#[test]
fn a_full_database_can_be_emptied_and_filled_again() {
    let store = store().unwrap();
    let held = fill(&store, 0);
    let full = store.ledger().used();
    for from in (0..held).step_by(1000) {
        delete(&store, from..held.min(from + 1000)).unwrap();
    }
    assert_eq!(count(&store).unwrap(), 0);
    assert!(
        store.relieve(full / 10 * 9, u64::MAX),
        "memory is given back"
    );
    let again = fill(&store, held) - held;
    assert!(again > held / 10 * 8, "{again} rows where {held} were");
    assert_eq!(count(&store).unwrap(), again);
}

#[test]
fn a_transaction_that_met_the_limit_is_rolled_back_and_may_do_something_else() {
    let store = store().unwrap();
    let held = fill(&store, 0);
    let mut transaction = store.begin().unwrap();
    let table = table(&transaction);
    let mark = transaction.begin_command();
    let text = "x".repeat(5000);
    let mut id = held;
    let error = loop {
        let values = [ValueRef::BigInt(id), ValueRef::Text(&text)];
        match transaction.insert(&table, &values) {
            Ok(_) => id += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.sqlstate(), "53200");
    transaction.rollback_to(mark);
    transaction.begin_command();
    let key = [ValueRef::BigInt(7)];
    let rows = transaction
        .view()
        .lookup(&table, &table.indexes[0], &key)
        .unwrap();
    assert!(transaction.delete(&table, rows[0]).unwrap());
    transaction.commit().unwrap();
    assert_eq!(count(&store).unwrap(), held - 1);
}

fn update(store: &Store, id: i64) -> Result<()> {
    let mut transaction = store.begin()?;
    transaction.begin_command();
    let table = table(&transaction);
    let key = [ValueRef::BigInt(id)];
    for row in transaction.view().lookup(&table, &table.indexes[0], &key)? {
        transaction.update(&table, row, &[(TEXT, ValueRef::Text("short"))])?;
    }
    transaction.commit().map(|_| ())
}

/// Alice looks at the database and goes to lunch: whatever Bob changes has to be kept for her, until
/// he is refused. That must be before the reserve is used up, or nobody could delete anything.
#[test]
fn what_an_old_snapshot_holds_back_leaves_the_emergency_reserve() {
    let store = store().unwrap();
    insert(&store, 0..1000).unwrap();
    // A snapshot of each round: what only rounds in between have seen is garbage that could be collected.
    let mut snapshots = vec![store.begin().unwrap()];
    let refused = (0..).find_map(|number| {
        if number % 1000 == 999 {
            snapshots.extend(store.begin());
        }
        update(&store, number % 1000).err()
    });
    assert_eq!(refused.map(|error| error.sqlstate()), Some("53200"));
    let ledger = store.ledger();
    let left = ledger.budget() - ledger.used();
    assert!(left >= ledger.emergency() / 4 * 3, "{left} bytes are left");
    delete(&store, 0..1000).unwrap();
    drop(snapshots);
    assert_eq!(count(&store).unwrap(), 0);
}
