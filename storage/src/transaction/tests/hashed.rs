//! Hash indexes: they keep no keys, so that two keys may be one to them. Here all are.

use super::*;
use crate::index::with_identity_bits;

/// A committed table `t(k, v)` with hash indexes on k, unique, and on v.
fn with_hash_indexes(bits: u32) -> Arc<Core> {
    let core = core();
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    let id = tx.create_table(table_def("t", DataType::Integer)).unwrap();
    create_indexes(&mut tx, id, bits).unwrap();
    tx.commit().unwrap();
    core
}

fn create_indexes(tx: &mut Transaction, table: TableId, bits: u32) -> crate::Result<()> {
    let hash = |name, column, unique| IndexDef {
        kind: IndexKind::Hash,
        ..index_def(table, name, column, unique)
    };
    with_identity_bits(bits, || {
        tx.create_index(hash("t_pkey", K, true))?;
        tx.create_index(hash("t_v", V, false)).map(drop)
    })
}

/// One statement: `SELECT k FROM t WHERE v = ?`.
fn with_value(tx: &mut Transaction, v: i32) -> Vec<i32> {
    tx.begin_command();
    let (table, view) = (t(tx), tx.view());
    let rows = view.lookup(&table, &table.indexes[1], &[ValueRef::Integer(v)]);
    let key = |row: RowId| view.row(&table, row, |row| int(row.get(K))).unwrap();
    rows.unwrap().into_iter().map(key).collect()
}

/// A row changes its value to one that the index takes for the same. The old value's entry is the
/// new one's, too: when the past is collected, it must stay.
#[test]
fn an_entry_stays_for_the_other_key_that_shares_it() {
    let core = with_hash_indexes(0);
    let mut tx = core.begin().unwrap();
    for k in 0..3 {
        insert(&mut tx, k, 10 + k).unwrap();
    }
    tx.commit().unwrap();
    for v in 20..25 {
        let mut tx = core.begin().unwrap();
        assert!(update(&mut tx, 1, v).unwrap());
        tx.commit().unwrap();
        assert_eq!(core.collect_garbage(), 0);
        let mut tx = core.begin().unwrap();
        assert_eq!(with_value(&mut tx, v), [1]);
        assert_eq!(with_value(&mut tx, v - 1), [] as [i32; 0]);
        assert_eq!(with_value(&mut tx, 10), [0]);
    }
    // The same when a change is taken back.
    let mut tx = core.begin().unwrap();
    assert!(update(&mut tx, 1, 30).unwrap());
    assert!(update(&mut tx, 1, 31).unwrap());
    drop(tx);
    let mut tx = core.begin().unwrap();
    assert_eq!(with_value(&mut tx, 24), [1]);
    // And when the row goes, its entry goes.
    for k in 0..3 {
        assert!(delete(&mut tx, k).unwrap());
    }
    tx.commit().unwrap();
    assert_eq!(core.collect_garbage(), 0);
    let tx = core.begin().unwrap();
    assert!(t(&tx).indexes.iter().all(|index| index.index.is_empty()));
}

#[test]
fn keys_that_share_an_identity_are_not_duplicates() {
    let core = with_hash_indexes(0);
    let mut tx = core.begin().unwrap();
    for k in 0..40 {
        insert(&mut tx, k, 1).unwrap();
    }
    assert_eq!(insert(&mut tx, 7, 1).unwrap_err().sqlstate(), "23505");
    assert_eq!(get(&mut tx, 39), Some(1));
    assert_eq!(get(&mut tx, 40), None);
    tx.commit().unwrap();
}

#[test]
fn an_index_is_built_over_keys_that_share_an_identity() {
    let core = core();
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    let id = tx.create_table(table_def("t", DataType::Integer)).unwrap();
    tx.begin_command();
    for k in 0..30 {
        let row = [ValueRef::Integer(k), ValueRef::Integer(k / 2)];
        tx.insert(&t(&tx), &row).unwrap();
    }
    tx.begin_command();
    create_indexes(&mut tx, id, 0).unwrap();
    assert_eq!(with_value(&mut tx, 4), [8, 9]);
    tx.begin_command();
    let row = [ValueRef::Integer(8), ValueRef::Integer(0)];
    assert_eq!(tx.insert(&t(&tx), &row).unwrap_err().sqlstate(), "23505");
    let duplicates = IndexDef {
        kind: IndexKind::Hash,
        ..index_def(id, "t_v_key", V, true)
    };
    let refused = with_identity_bits(0, || tx.create_index(duplicates));
    assert_eq!(refused.unwrap_err().sqlstate(), "23505");
}
