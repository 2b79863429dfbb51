//! A whole small directory whose manifest, images, frames and closing mark the fuzzer changes, checksums set
//! right: it is verified, and opened or refused. What opens agrees with itself, and is the same after a
//! checkpoint and when it is opened again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remora_fuzz::parts;
use remora_storage::catalog::{ColumnDef, TableDef};
use remora_storage::codec::{encode_value, put_varint};
use remora_storage::disk::{Disk, SimDisk};
use remora_storage::{ColumnId, DataType, Error, Result, Store, StoreOptions, ValueRef};
use std::collections::BTreeMap;
use std::sync::Arc;

fuzz_target!(|bytes: &[u8]| {
    let disk = parts::directory(bytes).expect("a directory");
    if let Err(error) = Store::verify_on(&disk, options()) {
        expected(&error);
    }
    let store = match open(&disk) {
        Ok(store) => store,
        Err(error) => return expected(&error),
    };
    if let Err(error) = go_on(&store) {
        expected(&error);
    }
    let before = contents(&store);
    if let Err(error) = store.checkpoint() {
        expected(&error);
    }
    store.close().expect("a disk that works");
    drop(store);
    let store = open(&disk).expect("what was opened before");
    assert_eq!(contents(&store), before);
});

/// Makes a table with a row.
fn go_on(store: &Store) -> Result<()> {
    let mut transaction = store.begin()?;
    let columns = vec![ColumnDef::new(ColumnId(0), "n", DataType::BigInt)];
    let id = transaction.create_table(TableDef::new("made by the fuzzer", columns))?;
    let table = transaction
        .catalog()
        .table_by_id(id)
        .expect("the table")
        .clone();
    transaction.insert(&table, &[ValueRef::BigInt(1)])?;
    transaction.commit()?;
    Ok(())
}

fn options() -> StoreOptions {
    StoreOptions {
        manual_maintenance: true,
        max_memory: Some(64 << 20),
        ..StoreOptions::default()
    }
}

fn open(disk: &SimDisk) -> Result<Store> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Store::open_on(disk, options()).map(|(store, _)| store)
}

fn expected(error: &Error) {
    let is_expected = matches!(
        error,
        Error::Corrupt { .. }
            | Error::UnsupportedFormat { .. }
            | Error::UnsupportedFeatures { .. }
            | Error::NotADatabase { .. }
            | Error::OutOfMemory { .. }
            | Error::LimitExceeded { .. }
    );
    assert!(is_expected, "{error:?}");
}

/// All rows by table.
fn contents(store: &Store) -> BTreeMap<String, Vec<u8>> {
    let checked = store.check().expect("a store that can be read");
    assert_eq!(checked.contradictions, Vec::<String>::new());
    let transaction = store.begin().expect("a transaction");
    let catalog = transaction.catalog();
    let mut contents = BTreeMap::new();
    for table in catalog.tables() {
        let mut rows = Vec::new();
        let view = transaction.view();
        let read = view.for_each_row(table, |id, row| {
            put_varint(&mut rows, id.0);
            for column in &table.def.columns {
                encode_value(&mut rows, row.get(column.id));
            }
            Ok::<(), Error>(())
        });
        read.expect("rows that can be read");
        contents.insert(table.def.name.clone(), rows);
    }
    contents
}
