//! DDL is transactional.

use super::*;
use crate::error::Error;

#[test]
fn a_table_is_there_from_the_commit_on() {
    let core = core();
    let mut alice = core.begin().unwrap();
    alice.begin_command();
    let id = alice
        .create_table(table_def("t", DataType::Integer))
        .unwrap();
    alice
        .create_index(index_def(id, "t_pkey", K, true))
        .unwrap();
    insert(&mut alice, 1, 10).unwrap();
    let bob = core.begin().unwrap();
    assert!(bob.catalog().table("t").is_none());
    alice.commit().unwrap();
    assert!(bob.catalog().table("t").is_none());
    let mut carol = core.begin().unwrap();
    assert_eq!(all(&mut carol), [(1, 10)]);
    let catalog = core.catalog();
    assert_eq!(catalog.tables().count(), 1);
    assert!(catalog.index("t_pkey").is_some());
    assert!(catalog.index("t").is_none(), "that is a table");
    assert!(catalog.table("t_pkey").is_none(), "that is an index");
}

#[test]
fn ddl_rolls_back_with_its_statement_and_with_its_transaction() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 1, 10).unwrap();
    let mark = tx.begin_command();
    let id = t(&tx).def.id;
    insert(&mut tx, 2, 20).unwrap();
    tx.create_index(index_def(id, "t_v2", V, false)).unwrap();
    insert(&mut tx, 3, 30).unwrap();
    assert_eq!(t(&tx).indexes.len(), 3);
    assert_eq!(all(&mut tx), [(1, 10), (2, 20), (3, 30)]);
    tx.drop_table(id).unwrap();
    assert!(tx.catalog().table("t").is_none());
    tx.rollback_to(mark);
    assert_eq!(t(&tx).indexes.len(), 2);
    assert_eq!(all(&mut tx), [(1, 10)]);
    tx.drop_table(id).unwrap();
    tx.rollback();
    assert_eq!(all(&mut core.begin().unwrap()), []);
}

#[test]
fn names_are_taken_once() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    let id = t(&tx).def.id;
    let table = tx.create_table(table_def("t", DataType::Integer));
    assert_eq!(table.unwrap_err().sqlstate(), "42P07");
    let index = tx.create_index(index_def(id, "t", V, false));
    assert_eq!(index.unwrap_err().sqlstate(), "42P07");
    assert_eq!(tx.drop_table(TableId(99)).unwrap_err().sqlstate(), "42P01");
    assert_eq!(tx.drop_index(IndexId(99)).unwrap_err().sqlstate(), "42P01");
    tx.drop_table(id).unwrap();
    tx.create_table(table_def("t", DataType::Integer)).unwrap();
    tx.commit().unwrap();
    let now = core.catalog();
    assert_ne!(now.table("t").unwrap().def.id, id, "ids are not reused");
    assert!(now.index("t_pkey").is_none());
}

#[test]
fn of_two_creators_of_one_name_the_first_to_commit_wins() {
    let core = core();
    let mut alice = core.begin().unwrap();
    let mut bob = core.begin().unwrap();
    let mut carol = core.begin().unwrap();
    alice
        .create_table(table_def("t", DataType::Integer))
        .unwrap();
    bob.create_table(table_def("t", DataType::Integer)).unwrap();
    carol
        .create_table(table_def("u", DataType::Integer))
        .unwrap();
    alice.commit().unwrap();
    assert!(matches!(bob.commit(), Err(Error::SchemaConflict { .. })));
    // What Carol did has nothing to do with it.
    carol.commit().unwrap();
    let names: Vec<String> = core
        .catalog()
        .tables()
        .map(|t| t.def.name.clone())
        .collect();
    assert_eq!(names, ["t", "u"]);
}

#[test]
fn a_table_is_dropped_among_no_writers() {
    let core = with_table();
    let id = t(&core.begin().unwrap()).def.id;
    // The writer is first: the table stays.
    let mut writer = core.begin().unwrap();
    insert(&mut writer, 1, 10).unwrap();
    let mut changer = core.begin().unwrap();
    let mut refuse = || changer.drop_table(id).unwrap_err().sqlstate();
    assert_eq!(refuse(), "40001");
    writer.commit().unwrap();
    // It would drop what it does not see.
    assert_eq!(refuse(), "40001");
    drop(changer);
    // The changer is first: nobody writes.
    let mut changer = core.begin().unwrap();
    let mut writer = core.begin().unwrap();
    changer.drop_table(id).unwrap();
    assert_eq!(insert(&mut writer, 2, 20).unwrap_err().sqlstate(), "40001");
    changer.rollback();
    insert(&mut writer, 2, 20).unwrap();
    writer.commit().unwrap();
    let mut writer = core.begin().unwrap();
    let mut changer = core.begin().unwrap();
    changer.drop_table(id).unwrap();
    changer.commit().unwrap();
    // With its old idea of the table, the writer would write to nothing.
    insert(&mut writer, 3, 30).unwrap();
    assert_eq!(writer.commit().unwrap_err().sqlstate(), "40001");
}

#[test]
fn a_table_that_is_not_dropped_after_all_keeps_nobody_from_writing() {
    let core = with_table();
    let id = t(&core.begin().unwrap()).def.id;
    let mut changer = core.begin().unwrap();
    changer
        .create_index(index_def(id, "t_v2", V, false))
        .unwrap();
    // It drops the table, and takes that back.
    let mark = changer.begin_command();
    changer.drop_table(id).unwrap();
    let mut writer = core.begin().unwrap();
    assert_eq!(insert(&mut writer, 1, 10).unwrap_err().sqlstate(), "40001");
    changer.rollback_to(mark);
    insert(&mut writer, 1, 10).unwrap();
    // It fails to drop it.
    assert_eq!(changer.drop_table(id).unwrap_err().sqlstate(), "40001");
    insert(&mut writer, 2, 20).unwrap();
    let mut another = core.begin().unwrap();
    insert(&mut another, 3, 30).unwrap();
    another.commit().unwrap();
    // The index that it has made is still its own to make.
    let index = writer.create_index(index_def(id, "t_v3", V, false));
    assert_eq!(index.unwrap_err().sqlstate(), "40001");
    writer.commit().unwrap();
    changer.commit().unwrap();
    assert_eq!(all(&mut core.begin().unwrap()), [(1, 10), (2, 20), (3, 30)]);
}

#[test]
fn a_unique_index_refuses_rows_that_collide() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 1, 10).unwrap();
    insert(&mut tx, 2, 10).unwrap();
    tx.commit().unwrap();
    let mut tx = core.begin().unwrap();
    let id = t(&tx).def.id;
    let refused = tx.create_index(index_def(id, "i", V, true)).unwrap_err();
    assert_eq!(refused.sqlstate(), "23505");
    assert!(delete(&mut tx, 2).unwrap());
    let index = tx.create_index(index_def(id, "i", V, true)).unwrap();
    assert!(insert(&mut tx, 3, 10).is_err());
    tx.drop_index(index).unwrap();
    insert(&mut tx, 3, 10).unwrap();
    tx.commit().unwrap();
    assert_eq!(all(&mut core.begin().unwrap()), [(1, 10), (3, 10)]);
}

#[test]
fn a_dropped_table_is_freed_when_its_last_reader_leaves() {
    let core = core();
    let empty = core.ledger().used();
    create(&core, DataType::Integer);
    let mut tx = core.begin().unwrap();
    for k in 0..1000 {
        insert(&mut tx, k, k).unwrap();
    }
    tx.commit().unwrap();
    let mut reader = core.begin().unwrap();
    let mut tx = core.begin().unwrap();
    let id = t(&tx).def.id;
    assert!(update(&mut tx, 1, 2).unwrap());
    tx.drop_table(id).unwrap();
    tx.commit().unwrap();
    core.collect_garbage();
    assert_eq!(all(&mut reader).len(), 1000);
    drop(reader);
    assert_eq!(core.collect_garbage(), 0);
    core.pool().shed_caches();
    assert_eq!(core.ledger().used(), empty);
}
