//! Stories of a store in a directory: opened, closed, shared, checkpointed.

mod copy;
mod crash;
mod damage;
mod displaced;
mod durability;
mod feature;
mod forged;
mod format;
mod full_disk;
mod incremental;
mod kept;
mod sabotage;
mod salvage;
mod salvage_crash;
mod schedule;
mod sequence;
mod time;
mod verify;

use crate::catalog::{ForeignAction, ForeignKeyDef, ViewDef};
use crate::disk::{Disk, SimDisk};
use crate::error::Error;
use crate::ids::{Lsn, TableId, Timestamp};
use crate::store::testing::{commit, contents, create_table, model, open, options, put, rewrite};
use crate::store::{Durability, Store, StoreOptions};
use std::sync::Arc;

#[test]
fn what_was_committed_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/db");
    let (store, report) = Store::open(&path, options()).unwrap();
    assert!(report.created && report.clean);
    create_table(&store).unwrap();
    for n in 0..4 {
        commit(&store, n).unwrap();
    }
    drop(store);
    let (store, report) = Store::open(&path, options()).unwrap();
    assert!(!report.created && report.clean);
    assert_eq!(report.frames_replayed, 5);
    assert_eq!(contents(&store), model(4));
    let report = store.checkpoint().unwrap();
    assert_eq!(report.rows, model(4).len() as u64);
    commit(&store, 4).unwrap();
    store.close().unwrap();
    let (store, report) = Store::open(&path, options()).unwrap();
    assert!(report.clean);
    assert_eq!(report.rows_loaded, model(4).len() as u64);
    assert_eq!(report.frames_replayed, 1);
    assert_eq!(contents(&store), model(5));
}

#[test]
fn row_ids_and_table_ids_are_not_used_again() {
    // Rows and a table are gone before the checkpoint; what comes after reopening gets new ids.
    let medium = SimDisk::new();
    let (store, _) = open(medium.clone()).unwrap();
    create_table(&store).unwrap();
    commit(&store, 0).unwrap();
    let old = store.catalog().table("t").unwrap().def.id;
    let mut transaction = store.begin().unwrap();
    transaction.drop_table(old).unwrap();
    transaction.commit().unwrap();
    store.checkpoint().unwrap();
    drop(store);
    let (store, _) = open(medium).unwrap();
    create_table(&store).unwrap();
    assert!(store.catalog().table("t").unwrap().def.id > old);
}

#[test]
fn a_second_opener_is_told_that_the_directory_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(directory.path(), options()).unwrap();
    let clone = store.clone();
    let error = Store::open(directory.path(), options()).unwrap_err();
    assert!(matches!(&error, Error::Locked { path } if path == directory.path()));
    assert_eq!(error.sqlstate(), "55006");
    drop(store);
    Store::open(directory.path(), options()).expect_err("a clone still has it");
    drop(clone);
    Store::open(directory.path(), options()).expect("nobody has it");
}

#[test]
fn a_directory_of_someone_else_is_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("holiday")).unwrap();
    for foreign in ["letter.txt", "MANIFEST"] {
        std::fs::write(
            directory.path().join(foreign),
            "Dear all, dear all, dear all",
        )
        .unwrap();
        let error = Store::open(directory.path(), options()).unwrap_err();
        assert!(
            matches!(&error, Error::NotADatabase { path, .. } if path == directory.path()),
            "{error}"
        );
        let text = std::fs::read_to_string(directory.path().join(foreign)).unwrap();
        assert_eq!(text, "Dear all, dear all, dear all");
        std::fs::remove_file(directory.path().join(foreign)).unwrap();
    }
    let error = Store::open(directory.path(), options()).unwrap_err();
    assert!(matches!(error, Error::NotADatabase { .. }), "{error}");
    for ours in ["wal", "LOCK"] {
        assert!(!directory.path().join(ours).exists());
    }

    let file = directory.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let error = Store::open(&file, options()).unwrap_err();
    assert!(matches!(error, Error::NotADatabase { .. }), "{error}");
}

#[test]
fn writers_go_on_during_a_checkpoint() {
    let medium = SimDisk::new();
    let (store, _) = open(medium.clone()).unwrap();
    create_table(&store).unwrap();
    commit(&store, 0).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (1..60).try_for_each(|n| commit(&store, n)));
        for _ in 0..5 {
            store.checkpoint().expect("a checkpoint");
        }
        writer.join().expect("no panic").expect("all commits");
    });
    let crashed = medium.crashed();
    let (recovered, report) = open(crashed).unwrap();
    assert!(report.checkpoint.is_some());
    assert_eq!(contents(&recovered), model(60));
}

#[test]
fn three_checkpoints_are_kept_and_the_rest_goes() {
    let medium = SimDisk::new();
    let (store, _) = open(medium.clone()).unwrap();
    create_table(&store).unwrap();
    for n in 0..5 {
        commit(&store, n).unwrap();
        store.checkpoint().unwrap();
    }
    assert_eq!(medium.list("data").unwrap().len(), 3);
    assert_eq!(medium.list("wal").unwrap().len(), 3);
    // The one before is whole: with it in place of the current one, nothing is lost.
    let crashed = medium.crashed();
    crashed.rename("MANIFEST.4", "MANIFEST").unwrap();
    let (recovered, _) = open(crashed).unwrap();
    assert_eq!(contents(&recovered), model(5));
}

#[test]
fn a_checkpoint_comes_by_itself_when_the_log_has_grown() {
    let medium = SimDisk::new();
    let options = StoreOptions {
        manual_maintenance: false,
        checkpoint_log_bytes: Some(1),
        ..options()
    };
    let (store, _) = Store::open_on(Arc::new(medium.clone()), options).unwrap();
    create_table(&store).unwrap();
    commit(&store, 0).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while medium.list("data").unwrap().is_empty() {
        assert!(std::time::Instant::now() < deadline, "no checkpoint came");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    drop(store);
    let (store, _) = open(medium).unwrap();
    assert_eq!(contents(&store), model(1));
}

#[test]
fn buffered_commits_become_durable_by_themselves() {
    let medium = SimDisk::new();
    let options = StoreOptions {
        manual_maintenance: false,
        durability: Durability::Buffered,
        ..options()
    };
    let (store, _) = Store::open_on(Arc::new(medium.clone()), options).unwrap();
    create_table(&store).unwrap();
    commit(&store, 0).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    loop {
        let (recovered, _) = open(medium.crashed()).unwrap();
        if contents(&recovered) == model(1) {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "not durable yet");
    }
}

#[test]
fn a_closed_store_refuses_everything_and_gives_the_directory_free() {
    let medium = SimDisk::new();
    let (store, _) = open(medium.clone()).unwrap();
    create_table(&store).unwrap();
    let mut running = store.begin().unwrap();
    put(&mut running, 1, Some("late")).unwrap();
    store.close().unwrap();
    store.close().expect("again is fine");
    assert!(matches!(running.commit(), Err(Error::Closed)));
    assert!(matches!(store.begin(), Err(Error::Closed)));
    assert!(matches!(store.checkpoint(), Err(Error::Closed)));
    let (store, report) = open(medium).unwrap();
    assert!(report.clean);
    assert!(contents(&store).is_empty());
}

#[test]
fn in_memory_nothing_is_logged() {
    let store = Store::in_memory(options()).unwrap();
    create_table(&store).unwrap();
    commit(&store, 0).unwrap();
    assert_eq!(contents(&store), model(1));
    assert_eq!(store.durability(), Durability::Memory);
    assert_eq!(store.log_end().0, 0);
    assert_eq!(store.checkpoint().unwrap().bytes, 0);
    store.wait_shown(Timestamp(1)).unwrap();
    store.wait_durable(Lsn(0)).unwrap();
    let beyond = store.wait_durable(Lsn(1)).unwrap_err();
    assert!(matches!(beyond, Error::LimitExceeded { .. }));
    assert!(store.durability_status().log.is_none());
}

#[test]
fn frozen_rows_are_logged_checkpointed_and_recovered_like_any() {
    let medium = SimDisk::new();
    let (store, _) = open(medium.clone()).unwrap();
    create_table(&store).unwrap();
    // More rows than the first block has slots, so that it is full.
    let mut transaction = store.begin().unwrap();
    for key in 0..200 {
        put(
            &mut transaction,
            key,
            Some(&format!("the text of row number {key}")),
        )
        .unwrap();
    }
    transaction.commit().unwrap();
    assert!(store.compact(None).unwrap().rows > 0);
    let mut transaction = store.begin().unwrap();
    put(&mut transaction, 1, Some("changed after it was frozen")).unwrap();
    put(&mut transaction, 2, None).unwrap();
    transaction.commit().unwrap();
    let expected = contents(&store);
    assert_eq!(expected.len(), 199);
    assert_eq!(expected[&1], "changed after it was frozen");
    drop(store);
    // From the log alone.
    let (store, report) = open(medium.clone()).unwrap();
    assert_eq!(report.rows_loaded, 0);
    assert_eq!(contents(&store), expected);
    assert!(store.compact(None).unwrap().rows > 0);
    // From a checkpoint of frozen blocks.
    assert_eq!(store.checkpoint().unwrap().rows, 199);
    drop(store);
    let (store, report) = open(medium).unwrap();
    assert_eq!(report.rows_loaded, 199);
    assert_eq!(contents(&store), expected);
    // They were loaded as they are.
    assert_eq!(store.compact(None).unwrap().rows, 0);
    assert_eq!(contents(&store), expected);
}

#[test]
fn foreign_keys_come_back_from_the_log_and_from_a_checkpoint() {
    let medium = SimDisk::new();
    let (store, _) = open(medium.clone()).unwrap();
    create_table(&store).unwrap();
    let mut tx = store.begin().unwrap();
    let parent = Arc::clone(tx.catalog().table("t").unwrap());
    let column = parent.indexes[0].def.columns[0].column;
    let mut def = parent.def.clone();
    def.name = "c".to_owned();
    let child = tx.create_table(def).unwrap();
    let key = ForeignKeyDef {
        name: "c_fkey".to_owned(),
        columns: vec![column],
        parent: parent.def.id,
        referenced: vec![column],
        index: parent.indexes[0].def.id,
        full: true,
        on_delete: ForeignAction::SetNull,
        on_update: ForeignAction::Restrict,
        deferral: Default::default(),
        not_valid: false,
        set_columns: Vec::new(),
    };
    tx.add_foreign_key(child, key.clone()).unwrap();
    let own = ForeignKeyDef {
        name: "own".to_owned(),
        ..key.clone()
    };
    tx.add_foreign_key(parent.def.id, own.clone()).unwrap();
    tx.commit().unwrap();
    drop(store);
    for round in 0..3 {
        let (store, _) = open(medium.clone()).unwrap();
        let catalog = store.catalog();
        let [parent, child] = ["t", "c"].map(|name| catalog.table(name).unwrap());
        assert_eq!(child.def.foreign_keys, std::slice::from_ref(&key));
        assert_eq!(parent.def.foreign_keys, std::slice::from_ref(&own));
        let references = parent.references.iter().map(|reference| &reference.key);
        assert_eq!(
            references.collect::<Vec<_>>(),
            [&own, &key],
            "round {round}"
        );
        store.checkpoint().unwrap();
    }
    let (store, _) = open(medium.clone()).unwrap();
    let mut tx = store.begin().unwrap();
    tx.drop_table(parent.def.id).unwrap();
    tx.commit().unwrap();
    drop(store);
    let (store, _) = open(medium).unwrap();
    assert!(store.catalog().table("t").is_none());
    let catalog = store.catalog();
    assert!(catalog.table("c").unwrap().def.foreign_keys.is_empty());
}

#[test]
fn an_altered_table_and_views_come_back_as_they_were_committed() {
    let medium = SimDisk::new();
    let (store, _) = open(medium.clone()).unwrap();
    create_table(&store).unwrap();
    commit(&store, 0).unwrap();
    rewrite(&store).unwrap();
    commit(&store, 1).unwrap();
    let table = store.catalog().table("t").unwrap().clone();
    let mut transaction = store.begin().unwrap();
    let mut def = table.def.clone();
    def.columns[1].name = "text".to_owned();
    transaction.alter_table(def).unwrap();
    let index = table.indexes[0].def.id;
    transaction.rename_index(index, "key").unwrap();
    let view = |name: &str| ViewDef {
        id: TableId::default(),
        schema: crate::ids::SchemaId::PUBLIC,
        name: name.to_owned(),
        columns: Vec::new(),
        query: "SELECT FROM t".to_owned(),
        sources: Vec::new(),
        check: None,
        triggers: Vec::new(),
    };
    transaction.create_view(view("kept")).unwrap();
    let gone = transaction.create_view(view("gone")).unwrap();
    transaction.commit().unwrap();
    let check = |store: &Store, n: i64| {
        let catalog = store.catalog();
        let now = catalog.table("t").unwrap();
        assert_eq!(now.def.id, table.def.id);
        assert_eq!(now.def.columns[1].name, "text");
        assert_eq!(now.def.checks.len(), 1);
        assert_eq!(catalog.index("key").unwrap().1.def.id, index);
        assert_eq!(catalog.view("kept").unwrap().query, "SELECT FROM t");
        assert_eq!(contents(store), model(n));
    };
    check(&store, 2);
    drop(store);
    let (store, _) = open(medium.clone()).unwrap();
    check(&store, 2);
    store.checkpoint().unwrap();
    let mut transaction = store.begin().unwrap();
    transaction.drop_view(gone).unwrap();
    transaction.commit().unwrap();
    commit(&store, 2).unwrap();
    drop(store);
    let (store, _) = open(medium).unwrap();
    check(&store, 3);
    assert!(store.catalog().view("gone").is_none());
    // Ids of views are not given again.
    let mut transaction = store.begin().unwrap();
    assert!(transaction.create_view(view("new")).unwrap() > gone);
}
