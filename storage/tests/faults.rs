//! A disk that fails while a story runs on it: an operation is refused, or the power goes and any
//! part of what was not synced is kept.
//!
//! The story changes a small table in some transactions, with checkpoints between them and a log of
//! many short segments. Whatever failed, when the directory is opened again:
//!
//! - every commit that was acknowledged is there;
//! - the one that was under way is there as a whole or not at all, and nothing else is;
//! - every index answers as the table does;
//! - opening once more finds the same.

use proptest::prelude::*;
use remora_storage::catalog::{ColumnDef, IndexDef, IndexKind, TableDef, TableEntry};
use remora_storage::disk::{Fault, SimDisk, Tear};
use remora_storage::{
    ColumnId, DataType, ReadView, Result, RowId, Store, StoreOptions, TableId, Transaction, Value,
    ValueRef,
};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// Number and name of each row, as they should be.
type Model = BTreeMap<i64, String>;

const ID: ColumnId = ColumnId(1);
const NAME: ColumnId = ColumnId(2);

fn options() -> StoreOptions {
    StoreOptions {
        manual_maintenance: true,
        max_memory: Some(256 << 20),
        // Small enough that the log is cut into several segments.
        segment_bytes: Some(512),
        ..StoreOptions::default()
    }
}

fn table_def() -> TableDef {
    let columns = vec![
        ColumnDef::new(ID, "id", DataType::BigInt),
        ColumnDef::new(NAME, "name", DataType::Text),
    ];
    TableDef::new("t", columns)
}

fn index_def(table: TableId, name: &str, column: ColumnId, kind: IndexKind) -> IndexDef {
    let def = match column {
        ID => IndexDef::primary_key(name, table, [column]),
        _ => IndexDef::new(name, table, [column]),
    };
    IndexDef { kind, ..def }
}

/// One transaction of the story, made on the store and on the model.
#[derive(Clone, Copy, Debug)]
enum Step {
    Create,
    Insert(i64, i64),
    Rename(i64, i64),
    Delete(i64, i64),
    Checkpoint,
}

const STORY: [Step; 9] = [
    Step::Create,
    Step::Insert(0, 6),
    Step::Rename(1, 3),
    Step::Checkpoint,
    Step::Delete(0, 2),
    Step::Insert(10, 13),
    Step::Checkpoint,
    Step::Rename(3, 12),
    Step::Delete(4, 5),
];

/// A name that tells which step gave it, sometimes too long to stand in the row itself.
fn name(id: i64, step: usize) -> String {
    format!("row {id} of step {step}").repeat(1 + id as usize % 3)
}

impl Step {
    fn apply_to(self, model: &mut Model, step: usize) {
        match self {
            Self::Create | Self::Checkpoint => {}
            Self::Insert(from, to) => model.extend((from..to).map(|id| (id, name(id, step)))),
            Self::Rename(from, to) => model
                .range_mut(from..to)
                .for_each(|(id, value)| *value = name(*id, step)),
            Self::Delete(from, to) => model.retain(|id, _| !(from..to).contains(id)),
        }
    }

    fn run_on(self, store: &Store, step: usize) -> Result<()> {
        if let Self::Checkpoint = self {
            return store.checkpoint().map(|_| ());
        }
        let mut transaction = store.begin()?;
        transaction.begin_command();
        match self {
            Self::Create => create(&mut transaction)?,
            Self::Insert(from, to) => {
                let table = table(&transaction);
                for id in from..to {
                    let name = name(id, step);
                    let values = [ValueRef::BigInt(id), ValueRef::Text(&name)];
                    transaction.insert(&table, &values)?;
                }
            }
            Self::Rename(from, to) => {
                let table = table(&transaction);
                for (row, id) in rows_between(&transaction.view(), &table, from, to)? {
                    let name = name(id, step);
                    transaction.update(&table, row, &[(NAME, ValueRef::Text(&name))])?;
                }
            }
            Self::Delete(from, to) => {
                let table = table(&transaction);
                for (row, _) in rows_between(&transaction.view(), &table, from, to)? {
                    transaction.delete(&table, row)?;
                }
            }
            Self::Checkpoint => {}
        }
        transaction.commit().map(|_| ())
    }
}

fn create(transaction: &mut Transaction) -> Result<()> {
    let table = transaction.create_table(table_def())?;
    transaction.create_index(index_def(table, "t_pkey", ID, IndexKind::Ordered))?;
    transaction.create_index(index_def(table, "t_name", NAME, IndexKind::Hash))?;
    Ok(())
}

fn table(transaction: &Transaction) -> Arc<TableEntry> {
    Arc::clone(transaction.catalog().table("t").expect("it was created"))
}

fn rows_between(
    view: &ReadView,
    table: &Arc<TableEntry>,
    from: i64,
    to: i64,
) -> Result<Vec<(RowId, i64)>> {
    let (low, high) = ([ValueRef::BigInt(from)], [ValueRef::BigInt(to)]);
    let bounds = (Bound::Included(&low[..]), Bound::Excluded(&high[..]));
    let scan = view.range(table, &table.indexes[0], &[ID], bounds.0, bounds.1, false)?;
    let mut scan = scan.with_ids();
    let mut found = Vec::new();
    while let Some(batch) = scan.next(3)? {
        found.extend(
            (batch.ids.into_iter()).filter_map(|row| Some((row, id_of(view, table, row)?))),
        );
    }
    Ok(found)
}

fn id_of(view: &ReadView, table: &Arc<TableEntry>, row: RowId) -> Option<i64> {
    match view.row(table, row, |row| row.get(ID).to_owned())? {
        Value::BigInt(id) => Some(id),
        other => panic!("{other:?} is no id"),
    }
}

/// Runs the story until something fails. Returns the models after the last acknowledged step and
/// after the one that failed, if any did.
fn run_story(disk: &SimDisk) -> (Model, Model) {
    let mut model = Model::new();
    let Ok((store, _)) = Store::open_on(Arc::new(disk.clone()), options()) else {
        return (model.clone(), model);
    };
    for (number, step) in STORY.into_iter().enumerate() {
        let mut next = model.clone();
        step.apply_to(&mut next, number);
        if step.run_on(&store, number).is_err() {
            return (model, next);
        }
        model = next;
    }
    let _ = store.close();
    (model.clone(), model)
}

/// What the store holds, having checked that its indexes hold the same.
fn read_back(store: &Store) -> Result<Model> {
    let transaction = store.begin()?;
    let Some(table) = transaction.catalog().table("t").cloned() else {
        return Ok(Model::new());
    };
    let view = transaction.view();
    let mut model = Model::new();
    let mut scan = view.scan(&table, &[ID, NAME], &[], 4).with_ids();
    while let Some(batch) = scan.next()? {
        for (at, row) in batch.ids.iter().enumerate() {
            let value = |column: usize| {
                let array = batch.columns[column].as_ref();
                let data_type = table.def.columns[column].data_type;
                remora_storage::value::value_at(array, data_type, at)
            };
            let (ValueRef::BigInt(id), ValueRef::Text(name)) = (value(0), value(1)) else {
                panic!("a row of the table's types");
            };
            for (index, key) in table.indexes.iter().zip([value(0), value(1)]) {
                assert_eq!(view.lookup(&table, index, &[key])?, [*row]);
            }
            assert_eq!(model.insert(id, name.to_owned()), None, "no id twice");
        }
    }
    let indexed = rows_between(&view, &table, i64::MIN, i64::MAX)?;
    assert!(
        indexed.iter().map(|(_, id)| id).eq(model.keys()),
        "in order"
    );
    Ok(model)
}

fn reopen(disk: &SimDisk) -> Result<Model> {
    let (store, _) = Store::open_on(Arc::new(disk.clone()), options())?;
    read_back(&store)
}

/// Opens what a crash left and compares it with what it may be.
fn check(left: &SimDisk, acknowledged: &Model, under_way: &Model, at: u64) {
    let found = reopen(left).unwrap_or_else(|error| panic!("operation {at}: {error}"));
    assert!(
        found == *acknowledged || found == *under_way,
        "power lost at operation {at}: {found:?} is neither {acknowledged:?} nor {under_way:?}"
    );
    let again = reopen(left).expect("what was opened once");
    assert_eq!(again, found, "operation {at}: opened again");
}

fn operations_of_the_story() -> u64 {
    let disk = SimDisk::new();
    let (model, _) = run_story(&disk);
    assert_eq!(model.len(), 6, "the story runs to its end");
    let operations = disk.operations();
    let found = reopen(&disk).expect("a database that was closed");
    assert_eq!(found, model);
    operations
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn unsynced_changes_may_survive_in_any_part(
        at in any::<prop::sample::Index>(),
        kept in prop::collection::vec(prop::bool::weighted(0.6), 40),
    ) {
        let at = at.index(operations_of_the_story() as usize) as u64;
        let disk = SimDisk::new();
        disk.fail(at, Fault::PowerLoss);
        let (acknowledged, under_way) = run_story(&disk);
        let medium = disk.medium();
        let loose = medium.loose(Tear::Byte);
        for earlier_on_top in [false, true] {
            let image = medium.image(&loose, |at| kept[at % kept.len()], earlier_on_top);
            check(&SimDisk::with(&image), &acknowledged, &under_way, at);
        }
    }
}

/// An operation that fails while the power stays: the statement or the store reports it, and what
/// was acknowledged stays.
#[test]
fn a_failing_operation_loses_nothing() {
    use std::io::ErrorKind::{Other, StorageFull};
    for at in 0..operations_of_the_story() {
        for kind in [Other, StorageFull] {
            let disk = SimDisk::new();
            disk.fail(at, Fault::Once(kind));
            let (acknowledged, under_way) = run_story(&disk);
            check(&disk, &acknowledged, &under_way, at);
        }
    }
}
