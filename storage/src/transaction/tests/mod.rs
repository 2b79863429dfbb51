//! Stories of transactions, on a core in memory with manual maintenance.

mod altering;
mod building;
#[cfg(feature = "shuttle")]
mod building_models;
mod catalog;
mod compact;
mod conflict;
#[cfg(feature = "shuttle")]
mod deletion_models;
mod deletions;
mod evacuation;
mod foreign;
mod garbage;
mod gone;
#[cfg(feature = "shuttle")]
mod gone_models;
mod hashed;
mod histories;
mod holds;
mod levels;
mod model;
#[cfg(feature = "shuttle")]
mod models;
mod ranges;
mod recovery;
mod scan;
mod sequence;
mod serial;
mod serial_memory;
mod serial_model;
#[cfg(feature = "shuttle")]
mod serial_models;
mod stress;
mod unique;
#[cfg(feature = "shuttle")]
mod unique_models;
mod visibility;

use super::{Core, Isolation, Transaction, TransactionOptions};
use crate::catalog::{ColumnDef, IndexDef, IndexKind, TableDef, TableEntry};
use crate::ids::{ColumnId, IndexId, RowId, TableId};
use crate::pool::Ledger;
use crate::value::{DataType, Value, ValueRef};
use std::sync::Arc;

pub(super) const K: ColumnId = ColumnId(1);
pub(super) const V: ColumnId = ColumnId(2);
pub(super) const W: ColumnId = ColumnId(3);

pub(super) const SNAPSHOT: TransactionOptions = TransactionOptions {
    isolation: Isolation::Snapshot,
    read_only: false,
    durability: None,
    sweeps: None,
};

pub(super) const READ_ONLY: TransactionOptions = TransactionOptions {
    isolation: Isolation::Serializable,
    read_only: true,
    durability: None,
    sweeps: None,
};

pub(super) fn core() -> Arc<Core> {
    core_with(256 << 20)
}

pub(super) fn core_with(budget: u64) -> Arc<Core> {
    Core::new(Ledger::new(budget), true).expect("a core")
}

pub(super) fn table_def(name: &str, value_type: DataType) -> TableDef {
    let columns = vec![
        ColumnDef::new(K, "k", DataType::Integer),
        ColumnDef::new(V, "v", value_type),
    ];
    TableDef::new(name, columns)
}

pub(super) fn index_def(table: TableId, name: &str, column: ColumnId, unique: bool) -> IndexDef {
    match unique {
        true => IndexDef::primary_key(name, table, [column]),
        false => IndexDef::new(name, table, [column]),
    }
}

/// A committed table `t(k int primary key, v)` with an index on v.
pub(super) fn create(core: &Arc<Core>, value_type: DataType) {
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    let id = tx.create_table(table_def("t", value_type)).unwrap();
    tx.create_index(index_def(id, "t_pkey", K, true)).unwrap();
    tx.create_index(index_def(id, "t_v", V, false)).unwrap();
    tx.commit().unwrap();
}

/// A core with a table `t(k int primary key, v text, w text)`.
pub(super) fn with_texts(budget: u64) -> Arc<Core> {
    let core = core_with(budget);
    let mut def = table_def("t", DataType::Text);
    def.columns.push(ColumnDef::new(W, "w", DataType::Text));
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    let id = tx.create_table(def).unwrap();
    tx.create_index(index_def(id, "t_pkey", K, true)).unwrap();
    tx.commit().unwrap();
    core
}

/// A core with the table of [`create`], its values integers.
pub(super) fn with_table() -> Arc<Core> {
    let core = core();
    create(&core, DataType::Integer);
    core
}

pub(super) fn t(tx: &Transaction) -> Arc<TableEntry> {
    Arc::clone(tx.catalog().table("t").expect("the table"))
}

/// One statement: insert a row.
pub(super) fn insert(tx: &mut Transaction, k: i32, v: i32) -> crate::Result<RowId> {
    let mark = tx.begin_command();
    let inserted = tx.insert(&t(tx), &[ValueRef::Integer(k), ValueRef::Integer(v)]);
    if inserted.is_err() {
        tx.rollback_to(mark);
    }
    inserted
}

/// One statement: `UPDATE t SET v = ? WHERE k = ?`.
pub(super) fn update(tx: &mut Transaction, k: i32, v: i32) -> crate::Result<bool> {
    change(tx, k, &[(V, ValueRef::Integer(v))])
}

pub(super) fn change(
    tx: &mut Transaction,
    k: i32,
    changes: &[(ColumnId, ValueRef<'_>)],
) -> crate::Result<bool> {
    let mark = tx.begin_command();
    let Some(row) = find(tx, k) else {
        return Ok(false);
    };
    let changed = tx.update(&t(tx), row, changes);
    if changed.is_err() {
        tx.rollback_to(mark);
    }
    changed
}

/// One statement: `DELETE FROM t WHERE k = ?`.
pub(super) fn delete(tx: &mut Transaction, k: i32) -> crate::Result<bool> {
    let mark = tx.begin_command();
    let Some(row) = find(tx, k) else {
        return Ok(false);
    };
    let deleted = tx.delete(&t(tx), row);
    if deleted.is_err() {
        tx.rollback_to(mark);
    }
    deleted
}

/// The row of a key, by the primary key.
pub(super) fn find(tx: &Transaction, k: i32) -> Option<RowId> {
    let table = t(tx);
    let key = [ValueRef::Integer(k)];
    let rows = tx.view().lookup(&table, &table.indexes[0], &key).unwrap();
    assert!(rows.len() <= 1, "a primary key names one row");
    rows.first().copied()
}

/// One statement: `SELECT v FROM t WHERE k = ?`.
pub(super) fn get(tx: &mut Transaction, k: i32) -> Option<i32> {
    tx.begin_command();
    let table = t(tx);
    let row = find(tx, k);
    let in_one = tx.view().find(
        &table,
        &table.indexes[0],
        &[ValueRef::Integer(k)],
        |id, row| (id, int(row.get(V))),
    );
    assert_eq!(row, in_one.map(|(id, _)| id), "both ways find the same row");
    let value = tx.view().row(&table, row?, |row| int(row.get(V)));
    assert_eq!(value, in_one.map(|(_, value)| value));
    value
}

pub(super) fn int(value: ValueRef<'_>) -> i32 {
    match value {
        ValueRef::Integer(v) => v,
        other => panic!("an integer, not {other:?}"),
    }
}

/// One statement: `SELECT k, v FROM t ORDER BY k`, read in ways that must agree: by walking, by
/// scanning, and by each index as columns, as a count, and folded.
pub(super) fn all(tx: &mut Transaction) -> Vec<(i32, i32)> {
    tx.begin_command();
    let table = t(tx);
    let view = tx.view();
    let mut rows = Vec::new();
    view.for_each_row(&table, |_, row| {
        rows.push((int(row.get(K)), int(row.get(V))));
        Ok::<(), ()>(())
    })
    .unwrap();
    let mut scanned = Vec::new();
    let mut scan = view.scan(&table, &[K, V], &[], 7);
    while let Some(batch) = scan.next().unwrap() {
        for at in 0..batch.rows {
            let value = |column: usize| {
                crate::value::value_at(&batch.columns[column], DataType::Integer, at)
            };
            scanned.push((int(value(0)), int(value(1))));
        }
    }
    assert_eq!(rows, scanned, "walk and scan agree");
    rows.sort_unstable();
    for index in &table.indexes {
        let (low, high) = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
        let mut found = Vec::new();
        let mut scan = view
            .range(&table, index, &[K, V], low, high, false)
            .unwrap()
            .with_ids();
        while let Some(batch) = scan.next(3).unwrap() {
            for (at, id) in batch.ids.into_iter().enumerate() {
                let read = |row: &super::RowRef<'_>| (int(row.get(K)), int(row.get(V)));
                let row = view.row(&table, id, read).expect("visible");
                let value = |column: usize| {
                    crate::value::value_at(&batch.columns[column], DataType::Integer, at)
                };
                assert_eq!(row, (int(value(0)), int(value(1))), "batch and row agree");
                found.push(row);
            }
        }
        found.sort_unstable();
        assert_eq!(rows, found, "table and index {} agree", index.def.name);
        let (mut counted, mut folded, mut sum) = (0, 0, 0);
        let mut scan = view.range(&table, index, &[], low, high, true).unwrap();
        while scan.visit(|vector| counted += vector.rows()) {}
        let mut scan = view.range(&table, index, &[V], low, high, true).unwrap();
        while scan.visit(|vector| {
            folded += vector.rows();
            let values = vector.column(V).each(|value| {
                sum += i64::from(int(value));
                Ok::<(), ()>(())
            });
            values.unwrap();
        }) {}
        let values = rows.iter().map(|(_, v)| i64::from(*v));
        assert_eq!((counted, folded), (rows.len(), rows.len()));
        assert_eq!(sum, values.sum::<i64>());
    }
    rows
}

pub(super) fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}
