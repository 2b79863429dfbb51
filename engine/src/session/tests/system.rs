//! System tables: what they say adds up, and they are tables like others, but for writing.

use super::{connect, number, state};
use crate::{Connection, Database, Options};

/// Both queries give the same number.
fn agree(conn: &Connection, one: &str, other: &str) {
    assert_eq!(number(conn, one), number(conn, other), "{one}; {other}");
}

#[test]
fn what_tables_and_indexes_take_is_what_the_ledger_says() {
    let db = Database::in_memory_with(Options::new().manual_maintenance(true)).unwrap();
    let conn = db.connect().unwrap();
    conn.execute_batch(
        "CREATE TABLE a (k BIGINT PRIMARY KEY, v TEXT);
         CREATE TABLE b (k TEXT, v BIGINT, w TEXT);
         CREATE INDEX b_k ON b USING HASH (k); CREATE INDEX b_v ON b (v, k);
         INSERT INTO a VALUES (1, 'a string that is not short'), (2, NULL);
         INSERT INTO b SELECT 'key ' || k, k, repeat('w', 3000) FROM a",
    )
    .unwrap();
    for _ in 0..11 {
        let most = number(&conn, "SELECT max(k) FROM a");
        conn.execute("INSERT INTO a SELECT k + $1, v || k FROM a", [most])
            .unwrap();
        conn.execute(
            "INSERT INTO b SELECT k || v, v + 1, w FROM b WHERE v % 2 = 0",
            [],
        )
        .unwrap();
    }
    conn.execute("DELETE FROM a WHERE k % 3 = 0", []).unwrap();
    conn.execute("UPDATE b SET w = 'other' WHERE v % 5 = 0", [])
        .unwrap();
    db.collect_garbage();
    let of = |owner: &str| {
        format!("SELECT sum(bytes)::bigint FROM remora_memory WHERE owner = '{owner}'")
    };
    agree(
        &conn,
        "SELECT sum(bytes)::bigint FROM remora_tables",
        &of("table"),
    );
    agree(
        &conn,
        "SELECT sum(bytes)::bigint FROM remora_indexes",
        &of("index"),
    );
    let memory = db.memory();
    let lines: u64 = memory.lines.iter().map(|line| line.bytes).sum();
    assert_eq!(lines, memory.used, "{memory:?}");
    let rows = "SELECT live_rows FROM remora_tables WHERE name = 'a'";
    agree(&conn, rows, "SELECT count(*) FROM a");
    let entries = "SELECT entries FROM remora_indexes WHERE name = 'a_pkey'";
    agree(&conn, entries, "SELECT count(*) FROM a");
}

/// Dead rows are those whose room is taken: they are counted as long as that is so, and no longer.
#[test]
fn dead_rows_are_gone_when_their_room_is_given_back() {
    let conn = connect();
    conn.execute_batch(
        "CREATE TABLE t (k INT PRIMARY KEY, v TEXT); \
         INSERT INTO t SELECT g, 'some text' FROM generate_series(1, 100000) g",
    )
    .unwrap();
    let dead = "SELECT dead_rows FROM remora_tables WHERE name = 't'";
    let live = "SELECT live_rows FROM remora_tables WHERE name = 't'";
    assert_eq!(number(&conn, dead), 0);
    for (gone, left) in [("k % 5 < 2", 60_000), ("k > 50000", 30_000)] {
        conn.execute(&format!("DELETE FROM t WHERE {gone}"), [])
            .unwrap();
        assert!(number(&conn, dead) <= 40_000, "no more than were deleted");
        conn.execute_batch("COMPACT TABLE t").unwrap();
        assert_eq!((number(&conn, dead), number(&conn, live)), (0, left));
    }
    // Of a block that is not full they stay where they are.
    conn.execute_batch("INSERT INTO t SELECT g, 'x' FROM generate_series(100001, 101000) g")
        .unwrap();
    conn.execute("DELETE FROM t WHERE k > 100900", []).unwrap();
    conn.execute_batch("COMPACT TABLE t").unwrap();
    assert_eq!(number(&conn, dead), 100);
}

#[test]
fn they_are_joined_grouped_and_filtered_as_tables_are() {
    let conn = connect();
    conn.execute_batch(
        "CREATE TABLE t (k BIGINT PRIMARY KEY, v TEXT UNIQUE); CREATE INDEX h ON t USING HASH (v); \
         INSERT INTO t VALUES (1, 'one')",
    )
    .unwrap();
    let sql = "SELECT i.kind, count(*) FROM remora_tables AS t \
               JOIN remora_indexes i ON i.table_name = t.name \
               WHERE t.name = 't' GROUP BY i.kind ORDER BY 1";
    let mut statement = conn.prepare(sql).unwrap();
    let kinds = statement
        .query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        })
        .unwrap();
    let kinds: Vec<_> = kinds.map(Result::unwrap).collect();
    assert_eq!(kinds, [("btree".to_owned(), 2), ("hash".to_owned(), 1)]);
    assert_eq!(
        number(
            &conn,
            "SELECT count(*) FROM remora_pressure WHERE is_current"
        ),
        1
    );
    assert_eq!(
        number(&conn, "SELECT count(*) FROM remora_pressure_history"),
        0
    );
    assert!(number(&conn, "SELECT sum(slots_used)::bigint FROM remora_pool") > 0);
    let plan = conn
        .run("EXPLAIN SELECT bytes FROM remora_memory", [])
        .unwrap();
    let plan = plan.rows.unwrap();
    let line: String = plan.iter().next().unwrap().get(0).unwrap();
    assert!(line.contains("System Scan on remora_memory"), "{line}");
}

#[test]
fn nobody_writes_them_or_takes_their_names() {
    let conn = connect();
    for sql in [
        "INSERT INTO remora_memory VALUES ('me', 1, 1)",
        "UPDATE remora_tables SET bytes = 0",
        "DELETE FROM remora_transactions",
        "CREATE INDEX i ON remora_indexes (name)",
    ] {
        assert_eq!(state(conn.execute(sql, [])), "42809", "{sql}");
    }
    assert_eq!(
        state(conn.execute("CREATE TABLE remora_pool (n INT)", [])),
        "42P07"
    );
    let error = conn.execute("SELECT * FROM remora_memry", []).unwrap_err();
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("remora_memory"))
    );
}

/// Alice's transaction is open: everyone can see that it is hers that keeps the past.
#[test]
fn an_open_snapshot_is_seen_by_all() {
    let db = Database::in_memory().unwrap();
    let (alice, bob) = (db.connect().unwrap(), db.connect().unwrap());
    bob.execute("CREATE TABLE t (n INT)", []).unwrap();
    alice.execute_batch("BEGIN; SELECT * FROM t").unwrap();
    for n in 0..5 {
        bob.execute("INSERT INTO t VALUES ($1)", [n]).unwrap();
    }
    let since = "SELECT max(commits_since) FROM remora_transactions";
    assert_eq!(number(&bob, since), 5);
    alice.execute_batch("COMMIT").unwrap();
    assert_eq!(number(&bob, since), 0);
}

/// Everybody can see who does what: Alice thinks about her transaction, Bob reads, Carol looks.
#[test]
fn transactions_say_who_runs_what() {
    let db = Database::in_memory().unwrap();
    let connect = || db.connect().unwrap();
    let (alice, bob, carol) = (connect(), connect(), connect());
    alice
        .execute_batch("CREATE TABLE t (k INT PRIMARY KEY); INSERT INTO t VALUES (1), (2)")
        .unwrap();
    alice.execute("BEGIN", []).unwrap();
    alice.execute("INSERT INTO t VALUES (3), (4)", []).unwrap();
    alice.execute("DELETE FROM t WHERE k = 1", []).unwrap();
    let mut all = bob.prepare("SELECT k FROM t").unwrap();
    let mut rows = all.query([]).unwrap();
    rows.next().unwrap();
    let mut look = carol
        .prepare(
            "SELECT state, read_only, started BETWEEN now() - interval '1 minute' AND now(), \
             statements, rows_written, statement FROM remora_transactions ORDER BY state DESC",
        )
        .unwrap();
    let mut seen = look.query([]).unwrap();
    let mut next = || {
        let row = seen.next().unwrap()?;
        let values = row.values().map(|value| format!("{value:?}"));
        Some(values.collect::<Vec<_>>().join(" "))
    };
    let line = next().unwrap();
    assert_eq!(
        line,
        "Text(\"idle in transaction\") Boolean(false) Boolean(true) BigInt(2) BigInt(3) \
         Text(\"DELETE FROM t WHERE k = 1\")"
    );
    assert!(next().unwrap().contains("fetching"));
    let line = next().unwrap();
    assert!(
        line.contains("active") && line.contains("SELECT state"),
        "{line}"
    );
    assert_eq!(next(), None);
    drop(rows);
    alice.execute("COMMIT", []).unwrap();
    let others = "SELECT count(*) FROM remora_transactions WHERE state <> 'active'";
    assert_eq!(number(&carol, others), 0);
}

#[test]
fn what_opening_found_and_did_is_a_table() {
    let directory = tempfile::tempdir().unwrap();
    let db = Database::open(directory.path()).unwrap();
    let conn = db.connect().unwrap();
    assert_eq!(
        number(&conn, "SELECT count(*) FROM remora_recovery WHERE created"),
        1
    );
    conn.execute_batch(
        "CREATE TABLE t (k BIGINT PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b')",
    )
    .unwrap();
    db.checkpoint().unwrap();
    for change in [
        "UPDATE t SET v = 'c' WHERE k = 1",
        "DELETE FROM t WHERE k = 2",
    ] {
        conn.execute(change, []).unwrap();
    }
    drop(conn);
    db.close().unwrap();
    let db = Database::open(directory.path()).unwrap();
    let conn = db.connect().unwrap();
    let of = |column: &str| number(&conn, &format!("SELECT {column} FROM remora_recovery"));
    assert_eq!(of("rows_loaded"), 2);
    assert_eq!(of("frames_replayed"), 2);
    assert_eq!(of("changes_replayed"), 2);
    assert_eq!(of("index_entries"), 1);
    assert_eq!(of("losses"), 0);
    let said =
        "clean AND NOT created AND mode = 'strict' AND image_bytes > 0 AND bytes_replayed > 0
        AND log_ms > 0 AND dropped_because IS NULL AND quarantine IS NULL";
    let found = format!("SELECT count(*) FROM remora_recovery WHERE {said}");
    assert_eq!(number(&conn, &found), 1);
    let report = db.recovery_report();
    assert_eq!((report.changes_replayed, report.index_entries), (2, 1));
}
