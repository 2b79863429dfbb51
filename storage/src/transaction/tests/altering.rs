//! Tables are defined otherwise, with and without new rows, while others read and write them.

use super::stress::{ACCOUNTS, BALANCE, assert_no_entry_is_left_over, audit, keep_on, transfer};
use super::*;
use crate::catalog::{CheckDef, SourceColumn, ViewColumn, ViewDef, ViewSource};
use crate::error::{Error, Result};
use crate::stop::Stop;
use crate::sync::atomic::AtomicBool;
use crate::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

/// One statement: writes all rows anew, as ALTER TABLE does.
pub(super) fn rewrite(tx: &mut Transaction, change: impl FnOnce(&mut TableDef)) -> Result<()> {
    let mark = tx.begin_command();
    let rewritten = try_rewrite(tx, change);
    if rewritten.is_err() {
        tx.rollback_to(mark);
    }
    rewritten
}

fn try_rewrite(tx: &mut Transaction, change: impl FnOnce(&mut TableDef)) -> Result<()> {
    let (old, view) = (t(tx), tx.view());
    let mut def = old.def.clone();
    change(&mut def);
    let new = tx.rewrite_table(def)?;
    let mut rows: Vec<Vec<Value>> = Vec::new();
    view.for_each_row(&old, |_, row| {
        let columns = new.def.columns.iter();
        let value = |id: ColumnId| match old.def.position(id) {
            Some(_) => row.get(id).to_owned(),
            None => Value::Integer(7),
        };
        rows.push(columns.map(|column| value(column.id)).collect());
        Ok::<(), Error>(())
    })?;
    for row in &rows {
        let values: Vec<ValueRef<'_>> = row.iter().map(Value::as_ref).collect();
        tx.insert(&new, &values)?;
    }
    for index in &old.indexes {
        tx.create_index_as(index.def.clone(), Stop::NEVER)?;
    }
    Ok(())
}

fn add_w(def: &mut TableDef) {
    def.columns.push(ColumnDef::new(W, "w", DataType::Integer));
}

/// The third column of a row, if the table has one.
fn w_of(tx: &mut Transaction, k: i32) -> Option<i32> {
    tx.begin_command();
    let table = t(tx);
    table.def.position(W)?;
    let row = find(tx, k)?;
    tx.view().row(&table, row, |row| int(row.get(W)))
}

fn rows_of(values: &[(i32, i32)]) -> Arc<Core> {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    for (k, v) in values {
        insert(&mut tx, *k, *v).unwrap();
    }
    tx.commit().unwrap();
    core
}

#[test]
fn each_snapshot_sees_the_table_of_its_time() {
    let core = rows_of(&[(1, 10), (2, 20), (3, 30)]);
    let mut before = core.begin().unwrap();
    let mut alice = core.begin().unwrap();
    delete(&mut alice, 3).unwrap();
    insert(&mut alice, 4, 40).unwrap();
    rewrite(&mut alice, add_w).unwrap();
    update(&mut alice, 1, 11).unwrap();
    assert_eq!(all(&mut alice), [(1, 11), (2, 20), (4, 40)]);
    assert_eq!(w_of(&mut alice, 4), Some(7));
    assert_eq!(all(&mut before), [(1, 10), (2, 20), (3, 30)]);
    alice.commit().unwrap();
    assert_eq!(all(&mut before), [(1, 10), (2, 20), (3, 30)]);
    assert_eq!(w_of(&mut before, 1), None);
    let mut after = core.begin().unwrap();
    assert_eq!(all(&mut after), [(1, 11), (2, 20), (4, 40)]);
    assert_eq!(w_of(&mut after, 2), Some(7));
    // Indexes keep their ids: foreign keys name them.
    let ids = |tx: &Transaction| -> Vec<IndexId> {
        let table = t(tx);
        table.indexes.iter().map(|index| index.def.id).collect()
    };
    assert_eq!(ids(&before), ids(&after));
    drop((before, after));
    assert_eq!(core.collect_garbage(), 0);
    assert_eq!(all(&mut core.begin().unwrap()), [(1, 11), (2, 20), (4, 40)]);
}

#[test]
fn a_rewrite_taken_back_leaves_no_trace() {
    let core = rows_of(&[(1, 10), (2, 20)]);
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 3, 30).unwrap();
    let mark = tx.begin_command();
    rewrite(&mut tx, add_w).unwrap();
    update(&mut tx, 3, 31).unwrap();
    let inner = tx.begin_command();
    rewrite(&mut tx, |def| def.columns.retain(|column| column.id != W)).unwrap();
    delete(&mut tx, 1).unwrap();
    tx.rollback_to(inner);
    assert_eq!(all(&mut tx), [(1, 10), (2, 20), (3, 31)]);
    assert_eq!(w_of(&mut tx, 3), Some(7));
    tx.rollback_to(mark);
    assert_eq!(all(&mut tx), [(1, 10), (2, 20), (3, 30)]);
    insert(&mut tx, 4, 40).unwrap();
    assert!(matches!(
        insert(&mut tx, 1, 1),
        Err(Error::UniqueViolation { .. })
    ));
    tx.commit().unwrap();
    let mut tx = core.begin().unwrap();
    assert_eq!(all(&mut tx), [(1, 10), (2, 20), (3, 30), (4, 40)]);
    rewrite(&mut tx, add_w).unwrap();
    tx.rollback();
    // Nobody is kept away.
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 5, 50).unwrap();
    tx.commit().unwrap();
    assert_eq!(core.collect_garbage(), 0);
    assert_eq!(all(&mut core.begin().unwrap()).len(), 5);
}

#[test]
fn one_that_fails_half_way_takes_its_rows_back() {
    let core = rows_of(&[(1, 10), (2, 10)]);
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 3, 30).unwrap();
    let mark = tx.begin_command();
    let unique = |tx: &mut Transaction| -> Result<()> {
        try_rewrite(tx, add_w)?;
        let mut def = index_def(t(tx).def.id, "t_u", V, true);
        def.constraint = None;
        tx.create_index(def).map(drop)
    };
    assert!(matches!(unique(&mut tx), Err(Error::DuplicateKeys { .. })));
    tx.rollback_to(mark);
    assert_eq!(all(&mut tx), [(1, 10), (2, 10), (3, 30)]);
    tx.commit().unwrap();
    assert_eq!(all(&mut core.begin().unwrap()).len(), 3);
}

#[test]
fn writers_and_those_who_alter_exclude_each_other() {
    let core = rows_of(&[(1, 10)]);
    let is_structural = |result: Result<()>| {
        assert!(
            matches!(result, Err(Error::SchemaConflict { .. })),
            "{result:?}"
        );
    };
    let say = |tx: &mut Transaction| {
        let mut def = t(tx).def.clone();
        def.checks.push(CheckDef {
            name: "c".into(),
            expression: "k > 0".into(),
            not_valid: false,
        });
        tx.alter_table(def)
    };
    // Someone writes.
    let mut writer = core.begin().unwrap();
    insert(&mut writer, 2, 20).unwrap();
    is_structural(rewrite(&mut core.begin().unwrap(), add_w));
    is_structural(say(&mut core.begin().unwrap()));
    let mut late = core.begin().unwrap();
    writer.commit().unwrap();
    // What was committed since the snapshot would be lost.
    is_structural(rewrite(&mut late, add_w));
    drop(late);
    // Someone alters, and goes on doing so when something that he did besides is taken back.
    let mut old = core.begin().unwrap();
    let mut alters = core.begin().unwrap();
    say(&mut alters).unwrap();
    let mark = alters.begin_command();
    let index = t(&alters).indexes[1].def.id;
    alters.drop_index(index).unwrap();
    alters.rollback_to(mark);
    is_structural(insert(&mut core.begin().unwrap(), 3, 30).map(drop));
    alters.commit().unwrap();
    // Whoever knows the table as it was may write, and not commit.
    insert(&mut old, 3, 30).unwrap();
    is_structural(old.commit().map(drop));
    assert_eq!(all(&mut core.begin().unwrap()), [(1, 10), (2, 20)]);
}

#[test]
fn who_has_read_rows_that_are_others_now_cannot_rely_on_them() {
    let core = rows_of(&[(1, 10)]);
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    let other = TableDef::new("other", vec![ColumnDef::new(K, "k", DataType::Integer)]);
    tx.create_table(other).unwrap();
    tx.commit().unwrap();
    let mut reader = core.begin().unwrap();
    assert_eq!(get(&mut reader, 1), Some(10));
    reader.begin_command();
    let other = Arc::clone(reader.catalog().table("other").unwrap());
    reader.insert(&other, &[ValueRef::Integer(10)]).unwrap();
    let mut alters = core.begin().unwrap();
    rewrite(&mut alters, |_| ()).unwrap();
    alters.commit().unwrap();
    // Changed in its new place, where the reader's validation would not look.
    let mut writer = core.begin().unwrap();
    update(&mut writer, 1, 11).unwrap();
    writer.commit().unwrap();
    assert!(matches!(reader.commit(), Err(Error::SchemaConflict { .. })));
}

/// Money moves while the table is written anew again and again: none is lost, and nobody ever sees
/// half of it.
#[test]
fn no_row_is_lost_between_two_tables() {
    let core = Core::new(Ledger::new(256 << 20), false).unwrap();
    create(&core, DataType::Integer);
    let mut tx = core.begin().unwrap();
    for k in 0..ACCOUNTS {
        insert(&mut tx, k, BALANCE).unwrap();
    }
    tx.commit().unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let (core, done) = (&core, &done);
        for seed in 1..=2_u64 {
            scope.spawn(move || {
                while !done.load(Relaxed) {
                    keep_on(seed, 20, |numbers| transfer(core, numbers));
                }
            });
        }
        scope.spawn(move || {
            while !done.load(Relaxed) {
                audit(core, |_| ());
            }
        });
        for _ in 0..40 {
            let alter = || -> Result<()> {
                let mut tx = core.begin()?;
                rewrite(&mut tx, |_| ())?;
                tx.commit().map(drop)
            };
            while let Err(error) = alter() {
                assert!(error.is_retryable(), "{error}");
                thread::yield_now();
            }
            // Whoever finds the table shut tries again at once: without a pause nobody would get in.
            thread::sleep(Duration::from_millis(3));
        }
        done.store(true, Relaxed);
    });
    audit(&core, |_| ());
    core.collect_garbage();
    assert_eq!(all(&mut core.begin().unwrap()).len(), ACCOUNTS as usize);
    assert_no_entry_is_left_over(&core);
}

fn view_of(tx: &Transaction, name: &str) -> ViewDef {
    ViewDef {
        id: TableId::default(),
        schema: crate::ids::SchemaId::PUBLIC,
        name: name.into(),
        columns: vec![ViewColumn {
            name: "v".into(),
            data_type: DataType::Integer,
        }],
        query: "SELECT v FROM t".into(),
        sources: vec![ViewSource {
            name: "t".into(),
            relation: t(tx).def.id,
            columns: vec![SourceColumn {
                id: V,
                name: "v".into(),
                data_type: DataType::Integer,
                used: true,
            }],
        }],
        check: None,
        triggers: Vec::new(),
    }
}

#[test]
fn a_view_and_what_takes_its_column_away_do_not_both_commit() {
    for view_first in [true, false] {
        let core = rows_of(&[(1, 10)]);
        let mut maker = core.begin().unwrap();
        maker.begin_command();
        maker.create_view(view_of(&maker, "view")).unwrap();
        let mut taker = core.begin().unwrap();
        let index = t(&taker).indexes[1].def.id;
        taker.drop_index(index).unwrap();
        rewrite(&mut taker, |def| {
            def.columns.retain(|column| column.id != V)
        })
        .unwrap();
        let (first, second) = match view_first {
            true => (maker, taker),
            false => (taker, maker),
        };
        first.commit().unwrap();
        let lost = second.commit();
        assert!(
            matches!(lost, Err(Error::SchemaConflict { .. })),
            "{lost:?}"
        );
    }
}

#[test]
fn views_come_and_go_with_their_transactions() {
    let core = rows_of(&[]);
    let mut tx = core.begin().unwrap();
    let mark = tx.begin_command();
    tx.create_view(view_of(&tx, "view")).unwrap();
    tx.rollback_to(mark);
    assert!(tx.catalog().view("view").is_none());
    let id = tx.create_view(view_of(&tx, "view")).unwrap();
    assert!(matches!(
        tx.create_view(view_of(&tx, "t_v")),
        Err(Error::DuplicateRelation(_))
    ));
    assert!(core.catalog().view("view").is_none());
    tx.commit().unwrap();
    let mut tx = core.begin().unwrap();
    let view = tx.catalog().view("view").unwrap().as_ref().clone();
    tx.alter_view(ViewDef {
        name: "other".into(),
        ..view
    })
    .unwrap();
    tx.commit().unwrap();
    assert!(core.catalog().view("view").is_none());
    let mut tx = core.begin().unwrap();
    tx.drop_view(id).unwrap();
    tx.commit().unwrap();
    assert!(!core.catalog().has_name("other"));
}
