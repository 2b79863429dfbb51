//! What a crash could take is said, chosen, and never shown to those who asked for more.

use super::state;
use crate::{Connection, Database, Durability, Options, TransactionOptions};
use remora_storage::disk::SimDisk;
use std::sync::Arc;
use std::time::Duration;

/// A database in a directory whose flusher does not come before the test is over.
fn database(level: Durability) -> (tempfile::TempDir, Database) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new()
        .durability(level)
        .loss_window(Duration::from_secs(3600));
    let db = Database::open_with(directory.path(), options).unwrap();
    let conn = db.connect().unwrap();
    conn.execute("CREATE TABLE t (n BIGINT PRIMARY KEY)", [])
        .unwrap();
    db.wait_durable(conn.last_commit_lsn().unwrap().unwrap())
        .unwrap();
    (directory, db)
}

/// Transactions and bytes at risk.
fn at_risk(conn: &Connection) -> (i64, i64) {
    conn.query_row(
        "SELECT transactions_at_risk, bytes_at_risk FROM remora_durability",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
    .unwrap()
}

#[test]
fn alice_does_not_wait_and_carol_is_not_shown_what_could_be_lost() {
    let (_directory, db) = database(Durability::Sync);
    let (alice, bob, carol) = (
        db.connect().unwrap(),
        db.connect().unwrap(),
        db.connect().unwrap(),
    );
    alice.execute("SET synchronous_commit = off", []).unwrap();
    bob.execute("SET synchronous_commit TO off", []).unwrap();
    alice.execute("INSERT INTO t VALUES (1)", []).unwrap();
    alice.execute("INSERT INTO t VALUES (2)", []).unwrap();
    let lsn = alice.last_commit_lsn().unwrap().unwrap();
    let (transactions, bytes) = at_risk(&alice);
    assert_eq!(transactions, 2);
    assert!(bytes > 80, "{bytes}");
    // To look makes nothing durable, whoever looks; nor does to read, for who takes the risk.
    assert_eq!(at_risk(&carol).0, 2);
    let count = "SELECT count(*) FROM t";
    assert_eq!(
        bob.query_row(count, [], |row| row.get::<_, i64>(0))
            .unwrap(),
        2
    );
    assert_eq!(at_risk(&bob).0, 2);
    let oldest = "SELECT ms_at_risk > 0 FROM remora_durability";
    assert!(
        bob.query_row(oldest, [], |row| row.get::<_, bool>(0))
            .unwrap()
    );
    // Carol sees the same, and nobody takes it from her.
    assert_eq!(
        carol
            .query_row(count, [], |row| row.get::<_, i64>(0))
            .unwrap(),
        2
    );
    assert_eq!(at_risk(&carol), (0, 0));
    let durable = "SELECT durable_lsn FROM remora_durability";
    let durable = carol
        .query_row(durable, [], |row| row.get::<_, i64>(0))
        .unwrap();
    assert_eq!(durable, i64::try_from(lsn).unwrap());
    // And in a block, at its first statement.
    alice.execute("INSERT INTO t VALUES (3)", []).unwrap();
    carol.execute("BEGIN", []).unwrap();
    assert_eq!(at_risk(&carol).0, 1);
    assert_eq!(
        carol
            .query_row(count, [], |row| row.get::<_, i64>(0))
            .unwrap(),
        3
    );
    assert_eq!(at_risk(&carol).0, 0);
}

#[test]
fn a_commit_that_waits_takes_those_before_it_along() {
    let (_directory, db) = database(Durability::Buffered);
    let mut conn = db.connect().unwrap();
    conn.execute("INSERT INTO t VALUES (1)", []).unwrap();
    conn.execute("INSERT INTO t VALUES (2)", []).unwrap();
    assert_eq!(at_risk(&conn).0, 2);
    let sync = TransactionOptions::new().durability(Durability::Sync);
    let tx = conn.transaction_with(sync).unwrap();
    tx.execute("INSERT INTO t VALUES (3)", []).unwrap();
    tx.commit().unwrap();
    assert_eq!(at_risk(&conn), (0, 0));
    // By the setting, for one transaction.
    conn.execute_batch(
        "BEGIN; INSERT INTO t VALUES (4); SET LOCAL synchronous_commit = on; COMMIT",
    )
    .unwrap();
    assert_eq!(at_risk(&conn), (0, 0));
    conn.execute("INSERT INTO t VALUES (5)", []).unwrap();
    assert_eq!(at_risk(&conn).0, 1);
    // By asking later.
    db.wait_durable(conn.last_commit_lsn().unwrap().unwrap())
        .unwrap();
    assert_eq!(at_risk(&conn), (0, 0));
    // And a transaction that need not wait where others do.
    conn.execute("SET synchronous_commit = local", []).unwrap();
    let buffered = TransactionOptions::new().durability(Durability::Buffered);
    let tx = conn.transaction_with(buffered).unwrap();
    tx.execute("INSERT INTO t VALUES (6)", []).unwrap();
    tx.commit().unwrap();
    assert_eq!(at_risk(&conn).0, 1);
    conn.execute("INSERT INTO t VALUES (7)", []).unwrap();
    assert_eq!(at_risk(&conn).0, 0);
}

#[test]
fn the_level_is_a_setting_as_in_postgresql() {
    let show = |conn: &Connection| -> String {
        conn.query_row("SHOW synchronous_commit", [], |row| row.get(0))
            .unwrap()
    };
    let (_directory, db) = database(Durability::Sync);
    let conn = db.connect().unwrap();
    assert_eq!(show(&conn), "on");
    for (value, shown) in [
        ("local", "local"),
        ("false", "off"),
        ("remote_apply", "remote_apply"),
    ] {
        conn.execute(&format!("SET synchronous_commit = '{value}'"), [])
            .unwrap();
        assert_eq!(show(&conn), shown);
    }
    let error = conn.execute("SET synchronous_commit = 2", []).unwrap_err();
    assert_eq!(error.sqlstate(), "22023");
    assert_eq!(
        error.hint(),
        Some("Available values: local, remote_write, remote_apply, on, off.")
    );
    let window: String = conn
        .query_row("SHOW loss_window", [], |row| row.get(0))
        .unwrap();
    assert_eq!(window, "1h");
    let (_directory, db) = database(Durability::Buffered);
    let conn = db.connect().unwrap();
    assert_eq!(show(&conn), "off");
    conn.execute("SET synchronous_commit = on", []).unwrap();
    conn.execute("RESET synchronous_commit", []).unwrap();
    assert_eq!(show(&conn), "off");
}

#[test]
fn in_memory_nothing_is_durable_and_nobody_waits() {
    let db = Database::in_memory().unwrap();
    let conn = db.connect().unwrap();
    conn.execute_batch("SET synchronous_commit = on; CREATE TABLE t (n INT)")
        .unwrap();
    let row = conn
        .query_row(
            "SELECT level, durable_lsn FROM remora_durability",
            [],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?)),
        )
        .unwrap();
    assert_eq!(row, ("memory".to_owned(), None));
    assert_eq!(conn.last_commit_lsn().unwrap(), None);
    assert_eq!(state(db.wait_durable(1)), "54000");
    db.wait_durable(0).unwrap();
}

/// Notes, when it is first written to, how many transactions are at risk.
struct Witness<'d>(&'d Database, Option<u64>);

impl std::io::Write for Witness<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let log = self.0.durability_status().log;
        self.1 = self.1.or(log.map(|log| log.transactions_at_risk()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is copied out cannot be taken back, nor that something is there already.
#[test]
fn what_shows_commits_before_it_ends_waits_before_it_begins() {
    let (_directory, db) = database(Durability::Sync);
    let (alice, carol) = (db.connect().unwrap(), db.connect().unwrap());
    alice.execute("SET synchronous_commit = off", []).unwrap();
    for block in [false, true] {
        alice
            .execute("INSERT INTO t VALUES ($1)", [i64::from(block)])
            .unwrap();
        let mut witness = Witness(&db, None);
        if block {
            carol.execute("BEGIN", []).unwrap();
        }
        carol
            .copy_to("COPY t TO STDOUT (FORMAT csv)", &mut witness)
            .unwrap();
        assert_eq!(witness.1, Some(0), "in a block: {block}");
    }
    carol.execute("COMMIT", []).unwrap();
    alice.execute("CREATE TABLE u (n BIGINT)", []).unwrap();
    assert_eq!(at_risk(&alice).0, 1);
    carol
        .execute("CREATE TABLE IF NOT EXISTS u (n BIGINT)", [])
        .unwrap();
    assert_eq!(at_risk(&alice).0, 0);
}

/// Hands on nothing, but looks at each piece what would be left if the power failed now.
struct Crashes {
    disk: SimDisk,
    options: Options,
    pieces: usize,
}

impl std::io::Write for Crashes {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.pieces += 1;
        let shown = String::from_utf8_lossy(bytes);
        let last: i64 = shown.lines().last().unwrap().parse().unwrap();
        let left = Database::open_on(Arc::new(self.disk.crashed()), self.options.clone());
        let next = left.unwrap().connect().unwrap();
        let next: i64 = next
            .query_row("SELECT nextval('tickets')", [], |row| row.get(0))
            .unwrap();
        assert!(next > last, "{last} was shown, and {next} is given again");
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn numbers_that_a_copy_shows_are_not_given_again_after_a_crash() {
    let (disk, options) = (SimDisk::new(), Options::new().manual_maintenance(true));
    let db = Database::open_on(Arc::new(disk.clone()), options.clone()).unwrap();
    let conn = db.connect().unwrap();
    let rows: Vec<String> = (0..150).map(|n| format!("({n})")).collect();
    conn.execute_batch(&format!(
        "CREATE SEQUENCE tickets; CREATE TABLE t (n BIGINT); INSERT INTO t VALUES {}",
        rows.join(", ")
    ))
    .unwrap();
    let mut crashes = Crashes {
        disk,
        options,
        pieces: 0,
    };
    let copy = "COPY (SELECT nextval('tickets') FROM t a, t b)
        TO STDOUT WITH (FORMAT csv)";
    assert_eq!(conn.copy_to(copy, &mut crashes).unwrap(), 22_500);
    conn.execute("BEGIN", []).unwrap();
    assert_eq!(conn.copy_to(copy, &mut crashes).unwrap(), 22_500);
    assert!(crashes.pieces > 2, "{}", crashes.pieces);
}
