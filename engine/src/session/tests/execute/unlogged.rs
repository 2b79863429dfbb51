//! Unlogged tables: nothing of them is in the log, a clean close keeps their rows, and a crash leaves none.

use super::*;
use crate::{Database, Options};
use remora_storage::disk::SimDisk;
use std::sync::Arc;

fn open(disk: &SimDisk) -> (Database, Connection) {
    let options = Options::new().manual_maintenance(true);
    let db = Database::open_on(Arc::new(disk.clone()), options).unwrap();
    let conn = db.connect().unwrap();
    (db, conn)
}

fn rows(conn: &Connection) -> Vec<i64> {
    column(conn, "SELECT k FROM u ORDER BY k")
}

fn column(conn: &Connection, sql: &str) -> Vec<i64> {
    let mut statement = conn.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

const TABLES: &str =
    "CREATE UNLOGGED TABLE u (k BIGINT PRIMARY KEY, v TEXT); CREATE INDEX u_v ON u (v);
     CREATE TABLE t (k BIGINT PRIMARY KEY); INSERT INTO t VALUES (1)";

#[test]
fn what_a_clean_close_keeps_a_crash_takes() {
    let disk = SimDisk::new();
    let (db, conn) = open(&disk);
    conn.execute_batch(TABLES).unwrap();
    conn.execute_batch("INSERT INTO u VALUES (1, 'one'), (2, 'two'); DELETE FROM u WHERE k = 1")
        .unwrap();
    assert_eq!(rows(&open(&disk.crashed()).1), [0_i64; 0]);
    db.close().unwrap();
    let (db, conn) = open(&disk);
    assert_eq!(rows(&conn), [2]);
    assert_eq!(column(&conn, "SELECT k FROM u WHERE v = 'two'"), [2]);
    // Nobody has changed anything.
    assert_eq!(rows(&open(&disk.crashed()).1), [2]);
    conn.execute("INSERT INTO u VALUES (3, 'three')", [])
        .unwrap();
    let left = open(&disk.crashed()).1;
    assert_eq!(rows(&left), [0_i64; 0]);
    assert_eq!(column(&left, "SELECT k FROM t"), [1]);
    left.execute("INSERT INTO u VALUES (2, 'again')", [])
        .unwrap();
    assert_eq!(column(&left, "SELECT k FROM u WHERE v = 'again'"), [2]);
    drop((db, conn));
    assert_eq!(rows(&open(&disk).1), [2, 3]);
}

#[test]
fn only_the_checkpoint_of_a_close_has_the_rows() {
    let disk = SimDisk::new();
    let (db, conn) = open(&disk);
    conn.execute_batch(TABLES).unwrap();
    conn.execute("INSERT INTO u VALUES (1, 'one')", []).unwrap();
    drop((db, conn));
    let (db, conn) = open(&disk);
    db.checkpoint().unwrap();
    assert_eq!(rows(&open(&disk.crashed()).1), [0_i64; 0]);
    assert_eq!(rows(&conn), [1]);
    db.close().unwrap();
    let (db, conn) = open(&disk);
    assert_eq!(rows(&conn), [1]);
    // Nothing to be written again.
    let checkpoints = "SELECT max(number) FROM remora_checkpoints";
    let before = column(&conn, checkpoints);
    db.close().unwrap();
    let (_db, conn) = open(&disk);
    assert_eq!((column(&conn, checkpoints), rows(&conn)), (before, vec![1]));
}

/// The checkpoint of the last close stays the current one, and no longer says what is there.
#[test]
fn a_checkpoint_that_fails_brings_no_old_rows_back() {
    let disk = SimDisk::new();
    let (db, conn) = open(&disk);
    conn.execute_batch(TABLES).unwrap();
    conn.execute("INSERT INTO u VALUES (1, 'one')", []).unwrap();
    drop((db, conn));
    let (db, conn) = open(&disk);
    disk.set_capacity(Some(disk.used()));
    assert!(db.checkpoint().is_err());
    disk.set_capacity(None);
    conn.execute("DELETE FROM u", []).unwrap();
    assert_eq!(rows(&open(&disk.crashed()).1), [0_i64; 0]);
}

#[test]
fn rows_of_unlogged_tables_are_not_in_the_log() {
    let disk = SimDisk::new();
    let (_db, conn) = open(&disk);
    conn.execute_batch(TABLES).unwrap();
    let logged = "SELECT committed_lsn FROM remora_durability";
    let before = column(&conn, logged);
    conn.execute(
        "INSERT INTO u SELECT n, 'a' FROM generate_series(1, 100) AS g (n)",
        [],
    )
    .unwrap();
    conn.execute("UPDATE u SET v = 'b' WHERE k < 50", [])
        .unwrap();
    conn.execute("DELETE FROM u WHERE k > 60", []).unwrap();
    assert_eq!(column(&conn, logged), before);
    assert_eq!(rows(&conn).len(), 60);
    // What is done in one transaction with a logged table is logged of that one.
    conn.execute_batch("BEGIN; INSERT INTO u VALUES (0, 'c'); INSERT INTO t VALUES (2); COMMIT")
        .unwrap();
    let left = open(&disk.crashed()).1;
    assert_eq!(column(&left, "SELECT k FROM t ORDER BY k"), [1, 2]);
    assert_eq!(rows(&left), [0_i64; 0]);
}

#[test]
fn a_table_becomes_logged_and_unlogged_again() {
    let disk = SimDisk::new();
    let (db, conn) = open(&disk);
    conn.execute_batch(TABLES).unwrap();
    conn.execute("INSERT INTO u VALUES (1, 'one')", []).unwrap();
    conn.execute("ALTER TABLE u SET LOGGED", []).unwrap();
    conn.execute("INSERT INTO u VALUES (2, 'two')", []).unwrap();
    assert_eq!(rows(&open(&disk.crashed()).1), [1, 2]);
    db.checkpoint().unwrap();
    conn.execute("ALTER TABLE u SET UNLOGGED", []).unwrap();
    assert_eq!(rows(&conn), [1, 2]);
    assert_eq!(rows(&open(&disk.crashed()).1), [0_i64; 0]);
    db.close().unwrap();
    assert_eq!(rows(&open(&disk).1), [1, 2]);
}
