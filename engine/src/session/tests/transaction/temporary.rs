//! Temporary tables: what becomes of them, and where nobody finds them.

use super::*;
use crate::Options;
use remora_storage::disk::SimDisk;
use std::sync::Arc;

/// All bytes on a disk.
fn bytes(disk: &SimDisk) -> Vec<u8> {
    let files = disk.image().files.into_values();
    files.flat_map(|file| file.to_vec()).collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

/// Neither the log nor a checkpoint says that they were there; who crashes has never had them.
#[test]
fn nothing_on_disk_speaks_of_them() {
    let disk = SimDisk::new();
    let options = Options::new().manual_maintenance(true);
    let db = Database::open_on(Arc::new(disk.clone()), options.clone()).unwrap();
    let conn = db.connect().unwrap();
    conn.execute_batch("CREATE TABLE lasting (k INT); INSERT INTO lasting VALUES (1)")
        .unwrap();
    let before = conn.last_commit_lsn().unwrap();
    assert!(before.is_some());
    conn.execute_batch(
        "CREATE TEMP TABLE secret (k SERIAL PRIMARY KEY, v TEXT);
         CREATE VIEW veiled AS SELECT v FROM secret;
         CREATE TEMP SEQUENCE hidden;
         INSERT INTO secret (v) SELECT 'whisper' FROM generate_series(1, 100);
         UPDATE secret SET v = v || nextval('hidden') WHERE k < 10;
         DELETE FROM secret WHERE k = 1;
         ALTER TABLE secret ADD n INT DEFAULT 3",
    )
    .unwrap();
    assert_eq!(conn.last_commit_lsn().unwrap(), None);
    // One transaction may change both.
    conn.execute_batch(
        "BEGIN; INSERT INTO lasting VALUES (2); INSERT INTO secret (v) VALUES ('whisper'); COMMIT",
    )
    .unwrap();
    assert!(conn.last_commit_lsn().unwrap().is_some());
    db.checkpoint().unwrap();
    conn.execute_batch("INSERT INTO secret (v) VALUES ('whisper'); INSERT INTO lasting VALUES (3)")
        .unwrap();
    assert_eq!(number(&conn, "SELECT count(*) FROM veiled"), 101);
    let all = bytes(&disk);
    assert!(holds(&all, "lasting"));
    for word in ["secret", "whisper", "veiled", "hidden"] {
        assert!(!holds(&all, word), "{word}");
    }
    let left = disk.crashed();
    let db = Database::open_on(Arc::new(left), options).unwrap();
    let conn = db.connect().unwrap();
    assert_eq!(number(&conn, "SELECT count(*) FROM remora_tables"), 1);
    assert_eq!(number(&conn, "SELECT count(*) FROM pg_sequences"), 0);
    assert_eq!(number(&conn, "SELECT count(*) FROM lasting"), 3);
    assert_eq!(state(conn.execute("SELECT * FROM secret", [])), "42P01");
}

/// Thirty sessions come and go with tables of one name, which may have one number one after the other.
#[test]
fn they_go_with_their_session() {
    let db = Database::in_memory().unwrap();
    let watcher = db.connect().unwrap();
    for round in 0..30 {
        let conn = db.connect().unwrap();
        conn.execute_batch(
            "CREATE TEMP TABLE t (k INT PRIMARY KEY, n SERIAL);
             CREATE TEMP VIEW v AS SELECT k FROM t; CREATE TEMP VIEW w AS SELECT k FROM v",
        )
        .unwrap();
        conn.execute("INSERT INTO t VALUES (?)", [round]).unwrap();
        conn.execute_batch("BEGIN; CREATE TEMP TABLE u (k INT)")
            .unwrap();
        assert_eq!(number(&conn, "SELECT count(*) FROM w"), 1);
        assert_eq!(number(&conn, "SELECT count(*) FROM remora_tables"), 1);
        assert_eq!(number(&watcher, "SELECT count(*) FROM remora_tables"), 0);
    }
    assert!(db.check().is_ok());
    let catalog = db.connect().unwrap().names().unwrap().0;
    assert_eq!(catalog.tables().count() + catalog.views().count(), 0);
    assert_eq!(catalog.sequences().count(), 0);
}

/// What a commit empties has its indexes and its place in plans afterwards.
#[test]
fn emptied_at_each_commit_they_are_there_for_the_next() {
    let conn = connect();
    conn.execute(
        "CREATE TEMP TABLE t (k INT PRIMARY KEY, v INT UNIQUE) ON COMMIT DELETE ROWS",
        [],
    )
    .unwrap();
    for round in 0..5 {
        conn.execute("BEGIN", []).unwrap();
        for k in 0..20 {
            conn.execute("INSERT INTO t VALUES (?, ?)", [k, k + round])
                .unwrap();
        }
        assert_eq!(
            number(&conn, "SELECT v FROM t WHERE k = 3"),
            3 + i64::from(round)
        );
        conn.execute("ROLLBACK", []).unwrap();
        conn.execute_batch("BEGIN; INSERT INTO t VALUES (1, 1); COMMIT")
            .unwrap();
        assert_eq!(number(&conn, "SELECT count(*) FROM t"), 0);
    }
}
