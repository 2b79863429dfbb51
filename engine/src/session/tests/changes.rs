//! Changes that show what they have done, and those that meet what is there, from the library.

use super::*;
use std::thread;

/// A program that wants the number of the row it has just made, and looks at the first of many.
#[test]
fn a_change_gives_rows_and_is_done_before_the_first() {
    let conn = connect();
    conn.execute(
        "CREATE TABLE t (id INT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v TEXT)",
        [],
    )
    .unwrap();
    let insert = "INSERT INTO t (v) VALUES (?) RETURNING id, v";
    let first: (i32, String) = conn
        .query_row(insert, ["one"], |row| Ok((row.get(0)?, row.get("v")?)))
        .unwrap();
    assert_eq!(first, (1, "one".to_owned()));
    let many =
        "INSERT INTO t (v) SELECT v || a FROM t, (VALUES (1), (2), (3)) AS s (a) RETURNING id";
    let mut statement = conn.prepare(many).unwrap();
    assert_eq!(statement.column_names(), ["id"]);
    let mut rows = statement.query([]).unwrap();
    assert_eq!(rows.next().unwrap().unwrap().get::<_, i32>(0).unwrap(), 2);
    // The others are not looked at, and are there.
    drop(rows);
    assert_eq!(number(&conn, "SELECT count(*) FROM t"), 4);
    assert_eq!(statement.execute([]).unwrap(), 12);
    let outcome = conn
        .run("DELETE FROM t WHERE id > 2 RETURNING v", [])
        .unwrap();
    assert_eq!((outcome.tag.as_str(), outcome.changes), ("DELETE 14", 14));
    assert_eq!(outcome.rows.unwrap().len(), 14);
    let batches = conn
        .query_arrow("UPDATE t SET v = 'x' RETURNING id, v", [])
        .unwrap();
    assert_eq!(
        batches.iter().map(|batch| batch.num_rows()).sum::<usize>(),
        2
    );
}

/// Rows that were shown by a transaction which is then taken back were never there.
#[test]
fn rows_that_were_shown_go_with_their_transaction() {
    let mut conn = connect();
    conn.execute("CREATE TABLE t (k INT PRIMARY KEY)", [])
        .unwrap();
    let tx = conn.transaction().unwrap();
    let mut statement = tx
        .prepare("INSERT INTO t VALUES (1), (2), (3) RETURNING k")
        .unwrap();
    let mut rows = statement.query([]).unwrap();
    assert!(rows.next().unwrap().is_some());
    drop(rows);
    drop(statement);
    tx.rollback().unwrap();
    assert_eq!(number(&conn, "SELECT count(*) FROM t"), 0);
}

/// What is shown of very many rows is kept, and so it is reserved.
#[test]
fn what_is_shown_is_reserved() {
    let db = Database::in_memory().unwrap();
    let conn = db.connect().unwrap();
    conn.execute_batch(
        "CREATE TABLE t (k INT, v TEXT);
         INSERT INTO t VALUES (1, 'x');
         INSERT INTO t SELECT k, v FROM t; INSERT INTO t SELECT k, v FROM t;
         INSERT INTO t SELECT k, v FROM t; INSERT INTO t SELECT k, v FROM t;
         INSERT INTO t SELECT k, v FROM t; INSERT INTO t SELECT k, v FROM t;",
    )
    .unwrap();
    conn.execute("SET max_memory = '64MB'", []).unwrap();
    let shown = "DELETE FROM t RETURNING lpad(v, 4000000)";
    assert_eq!(state(conn.execute(shown, [])), "53200");
    assert_eq!(number(&conn, "SELECT count(*) FROM t"), 64);
}

/// Several threads count words, each count an INSERT that finds the word there or not: none is lost, and
/// no word comes twice.
#[test]
fn counts_by_upsert_are_exact() {
    const THREADS: i64 = 4;
    const ROUNDS: i64 = 60;
    const WORDS: i64 = 3;
    let db = Database::in_memory().unwrap();
    let conn = db.connect().unwrap();
    conn.execute("CREATE TABLE word (w BIGINT PRIMARY KEY, n BIGINT)", [])
        .unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let db = &db;
            scope.spawn(move || {
                let conn = db.connect().unwrap();
                conn.execute("SET lock_timeout = '1min'", []).unwrap();
                let upsert = "INSERT INTO word VALUES (?, 1)
                              ON CONFLICT (w) DO UPDATE SET n = word.n + excluded.n RETURNING n";
                let mut upsert = conn.prepare(upsert).unwrap();
                for round in 0..ROUNDS {
                    let word = (round + thread) % WORDS;
                    let seen: i64 = upsert.query_row([word], |row| row.get(0)).unwrap();
                    assert!(seen > 0);
                }
            });
        }
    });
    assert_eq!(number(&conn, "SELECT count(*) FROM word"), WORDS);
    assert_eq!(
        number(&conn, "SELECT sum(n)::bigint FROM word"),
        THREADS * ROUNDS
    );
}
