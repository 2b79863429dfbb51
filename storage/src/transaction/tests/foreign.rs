//! Foreign keys: two tables whose structure changes together, and rows that rely on each other.

use super::*;
use crate::catalog::{ForeignAction, ForeignKeyDef, Reference};
use crate::error::Error;

fn key(parent: &TableEntry) -> ForeignKeyDef {
    ForeignKeyDef {
        name: "c_v_fkey".to_owned(),
        columns: vec![V],
        parent: parent.def.id,
        referenced: vec![K],
        index: parent.indexes[0].def.id,
        full: false,
        on_delete: ForeignAction::NoAction,
        on_update: ForeignAction::Cascade,
        deferral: Default::default(),
        not_valid: false,
        set_columns: Vec::new(),
    }
}

fn c(tx: &Transaction) -> Arc<TableEntry> {
    Arc::clone(tx.catalog().table("c").expect("the table"))
}

/// `t(k int primary key, v)` as ever, and `c(k int, v int references t)` with an index on v.
fn with_child() -> Arc<Core> {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    let def = table_def("c", DataType::Integer);
    let child = tx.create_table(def).unwrap();
    tx.create_index(index_def(child, "c_v", V, false)).unwrap();
    tx.add_foreign_key(child, key(&t(&tx))).unwrap();
    tx.commit().unwrap();
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 1, 10).unwrap();
    insert(&mut tx, 2, 20).unwrap();
    tx.commit().unwrap();
    core
}

/// One statement: a row that refers.
fn refer(tx: &mut Transaction, to: i32) {
    tx.begin_command();
    let (parent, child) = (t(tx), c(tx));
    let key = [ValueRef::Integer(to)];
    assert!(tx.share_found(&parent, &parent.indexes[0], &key).is_some());
    tx.insert(&child, &[ValueRef::Integer(0), key[0]]).unwrap();
}

/// One statement: a key goes that nobody refers to.
fn take_away(tx: &mut Transaction, k: i32) {
    assert!(delete(tx, k).unwrap());
    tx.begin_command();
    let child = c(tx);
    let key = [ValueRef::Integer(k)];
    tx.share_prefix(&child, &child.indexes[0], &key);
    let view = tx.view().unrecorded();
    assert!(
        view.lookup(&child, &child.indexes[0], &key)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn both_tables_know_it_and_both_forget_it() {
    let core = with_child();
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    let expected = Reference {
        child: c(&tx).def.id,
        key: key(&t(&tx)),
    };
    assert_eq!(t(&tx).references, std::slice::from_ref(&expected));
    assert_eq!(c(&tx).def.foreign_keys, [key(&t(&tx))]);
    let mark = tx.begin_command();
    tx.drop_index(t(&tx).indexes[0].def.id).unwrap();
    assert!(t(&tx).references.is_empty() && c(&tx).def.foreign_keys.is_empty());
    tx.rollback_to(mark);
    assert_eq!(t(&tx).references, [expected]);
    tx.drop_table(c(&tx).def.id).unwrap();
    assert!(t(&tx).references.is_empty());
    tx.rollback_to(mark);
    tx.drop_table(t(&tx).def.id).unwrap();
    assert!(c(&tx).def.foreign_keys.is_empty());
    tx.commit().unwrap();
    let tx = core.begin().unwrap();
    assert!(c(&tx).def.foreign_keys.is_empty());
}

#[test]
fn who_wrote_to_one_of_the_tables_before_it_came_loses() {
    for name in ["t", "c"] {
        let core = with_child();
        let mut ddl = core.begin().unwrap();
        ddl.drop_foreign_key(c(&ddl).def.id, "c_v_fkey").unwrap();
        ddl.commit().unwrap();
        let mut writer = core.begin_with(SNAPSHOT).unwrap();
        let mut ddl = core.begin().unwrap();
        writer.begin_command();
        let table = Arc::clone(writer.catalog().table(name).unwrap());
        writer
            .insert(&table, &[ValueRef::Integer(7), ValueRef::Integer(7)])
            .unwrap();
        ddl.add_foreign_key(c(&ddl).def.id, key(&t(&ddl))).unwrap();
        ddl.commit().unwrap();
        let lost = writer.commit().unwrap_err();
        assert!(
            matches!(lost, Error::SchemaConflict { .. }),
            "{name}: {lost}"
        );
    }
}

#[test]
fn what_it_refers_to_does_not_go_beside_it() {
    type Ddl = fn(&mut Transaction) -> crate::Result<()>;
    let refer: Ddl = |tx| tx.add_foreign_key(c(tx).def.id, key(&t(tx)));
    let drop_index: Ddl = |tx| tx.drop_index(t(tx).indexes[0].def.id);
    let drop_table: Ddl = |tx| tx.drop_table(t(tx).def.id);
    let cases = [
        (refer, drop_index),
        (drop_index, refer),
        (refer, drop_table),
        (drop_table, refer),
    ];
    for (number, (first, second)) in cases.into_iter().enumerate() {
        for at_once in [true, false] {
            let core = with_child();
            let mut tx = core.begin().unwrap();
            tx.drop_foreign_key(c(&tx).def.id, "c_v_fkey").unwrap();
            tx.commit().unwrap();
            let (mut alice, mut bob) = (core.begin().unwrap(), core.begin().unwrap());
            first(&mut alice).unwrap();
            let bobs = match at_once {
                true => second(&mut bob),
                false => Ok(()),
            };
            alice.commit().unwrap();
            let bobs = match at_once {
                true => bobs,
                false => second(&mut bob).and_then(|()| bob.commit().map(drop)),
            };
            let lost = bobs.expect_err("one of them is too late");
            assert_eq!(lost.sqlstate(), "40001", "case {number}, {at_once}");
        }
    }
}

#[test]
fn of_a_key_that_goes_and_a_row_that_refers_to_it_the_second_fails() {
    for options in [SNAPSHOT, TransactionOptions::default()] {
        for referring_first in [true, false] {
            let core = with_child();
            let mut child = core.begin_with(options).unwrap();
            let mut parent = core.begin_with(options).unwrap();
            refer(&mut child, 1);
            take_away(&mut parent, 1);
            let (first, second) = match referring_first {
                true => (child, parent),
                false => (parent, child),
            };
            first.commit().unwrap();
            let lost = second.commit().unwrap_err();
            assert_eq!(lost.sqlstate(), "40001", "{options:?} {referring_first}");
        }
    }
}

#[test]
fn who_refers_to_one_row_or_changes_the_rest_of_it_does_not_meet() {
    for options in [SNAPSHOT, TransactionOptions::default()] {
        let core = with_child();
        let mut all = [0; 3].map(|_| core.begin_with(options).unwrap());
        let [one, two, other] = &mut all;
        refer(one, 1);
        refer(two, 1);
        assert!(update(other, 1, 11).unwrap());
        for tx in all {
            tx.commit().unwrap();
        }
        let mut tx = core.begin_with(options).unwrap();
        refer(&mut tx, 2);
        let mut rival = core.begin_with(options).unwrap();
        assert!(change(&mut rival, 2, &[(K, ValueRef::Integer(3))]).unwrap());
        rival.commit().unwrap();
        assert_eq!(tx.commit().unwrap_err().sqlstate(), "40001");
    }
}

#[test]
fn a_key_that_names_a_column_twice_or_what_is_not_there_does_not_fit() {
    let core = with_child();
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    let mut twice = index_def(t(&tx).def.id, "t_kk", K, true);
    let part = twice.columns[0];
    twice.columns.push(part);
    let index = tx.create_index(twice).unwrap();
    let fits = |change: fn(&mut ForeignKeyDef)| {
        let mut changed = key(&t(&tx));
        change(&mut changed);
        tx.catalog().is_fit(&c(&tx), &changed)
    };
    assert!(fits(|_| ()));
    assert!(!fits(|key| key.parent = TableId(77)));
    assert!(!fits(|key| key.referenced = vec![V]));
    assert!(!fits(|key| key.columns = vec![K, V]));
    for referenced in [vec![K, K], vec![K, V]] {
        let twice = ForeignKeyDef {
            columns: vec![K, V],
            index,
            referenced,
            ..key(&t(&tx))
        };
        assert!(!tx.catalog().is_fit(&c(&tx), &twice));
    }
}
