//! Statements that are one look-up by a key, which take a shorter way than others and give the same.

use super::*;
use crate::Options;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

const READ: &str = "SELECT v, name FROM t WHERE k = $1";

fn filled() -> (Database, Connection) {
    let db = Database::in_memory().unwrap();
    let conn = db.connect().unwrap();
    conn.execute_batch(
        "CREATE TABLE t (k BIGINT PRIMARY KEY, v BIGINT, name TEXT);
         INSERT INTO t SELECT g, g * 10, 'name ' || g FROM generate_series(1, 100) g",
    )
    .unwrap();
    (db, conn)
}

fn read(conn: &Connection, key: i64) -> Result<(Option<i64>, Option<String>)> {
    conn.query_row(READ, [key], |row| Ok((row.get(0)?, row.get(1)?)))
}

fn row(v: i64, name: &str) -> (Option<i64>, Option<String>) {
    (Some(v), Some(name.to_owned()))
}

#[test]
fn a_reader_sees_what_was_committed_before() {
    let (db, conn) = filled();
    let other = db.connect().unwrap();
    for round in 0..3 {
        assert_eq!(read(&conn, 7).unwrap(), row(70 + round, "name 7"));
        other
            .execute("UPDATE t SET v = v + 1 WHERE k = 7", [])
            .unwrap();
    }
    other.execute("DELETE FROM t WHERE k = 7", []).unwrap();
    assert_eq!(state(read(&conn, 7)), "02000");
    other
        .execute("INSERT INTO t VALUES (7, NULL, NULL)", [])
        .unwrap();
    assert_eq!(read(&conn, 7).unwrap(), (None, None));
    // What is not committed it does not see.
    other
        .execute_batch("BEGIN; UPDATE t SET v = 5 WHERE k = 7")
        .unwrap();
    assert_eq!(read(&conn, 7).unwrap(), (None, None));
    assert_eq!(read(&other, 7).unwrap(), (Some(5), None));
    other.execute("COMMIT", []).unwrap();
    assert_eq!(read(&conn, 7).unwrap(), (Some(5), None));
}

#[test]
fn in_a_block_it_sees_its_own_changes_and_no_later_commits() {
    let (db, conn) = filled();
    let other = db.connect().unwrap();
    assert_eq!(read(&conn, 1).unwrap(), row(10, "name 1"));
    conn.execute_batch("BEGIN; UPDATE t SET v = 11 WHERE k = 1")
        .unwrap();
    other
        .execute("UPDATE t SET v = 21 WHERE k = 2", [])
        .unwrap();
    assert_eq!(read(&conn, 1).unwrap(), row(11, "name 1"));
    assert_eq!(read(&conn, 2).unwrap(), row(20, "name 2"));
    conn.execute("ROLLBACK", []).unwrap();
    assert_eq!(read(&conn, 1).unwrap(), row(10, "name 1"));
    assert_eq!(read(&conn, 2).unwrap(), row(21, "name 2"));
}

#[test]
fn a_change_of_the_table_is_followed_at_once() {
    let (db, conn) = filled();
    let other = db.connect().unwrap();
    let mut statement = conn.prepare("SELECT * FROM t WHERE k = $1").unwrap();
    let width = |statement: &mut crate::Statement<'_>| {
        let width = statement.query_row([3_i64], |row| Ok(row.columns().len()));
        width.unwrap()
    };
    for _ in 0..2 {
        assert_eq!(width(&mut statement), 3);
    }
    other
        .execute("ALTER TABLE t ADD extra INT DEFAULT 4", [])
        .unwrap();
    assert_eq!(width(&mut statement), 4);
    other.execute("ALTER TABLE t DROP name", []).unwrap();
    assert_eq!(width(&mut statement), 3);
    // Of another table it takes no notice.
    other.execute("CREATE TABLE u (k INT)", []).unwrap();
    assert_eq!(width(&mut statement), 3);
    other.execute("DROP TABLE t", []).unwrap();
    assert_eq!(state(statement.query_row([3_i64], |_| Ok(()))), "42P01");
}

#[test]
fn parameters_that_do_not_fit_are_cast_or_refused_as_ever() {
    let (_db, conn) = filled();
    let mut statement = conn.prepare(READ).unwrap();
    for _ in 0..2 {
        let mut v = |key: &dyn crate::ToSql| statement.query_row([key], |row| row.get::<_, i64>(0));
        assert_eq!(v(&5_i64).unwrap(), 50);
        assert_eq!(v(&5_i32).unwrap(), 50);
        assert_eq!(v(&"5").unwrap(), 50);
        assert_eq!(state(v(&"five")), "22P02");
        assert_eq!(state(v(&None::<i64>)), "02000");
        assert_eq!(state(statement.query_row([], |_| Ok(()))), "08P01");
        assert_eq!(state(statement.query_row([1_i64, 2], |_| Ok(()))), "08P01");
    }
}

/// The parameters of an EXECUTE are not those of the statement that it runs.
#[test]
fn an_execute_reads_by_its_arguments() {
    let (_db, conn) = filled();
    conn.execute("PREPARE p (BIGINT) AS SELECT v FROM t WHERE k = $1", [])
        .unwrap();
    for key in 1..4_i64 {
        let v = |sql, key: i64| {
            conn.query_row(sql, [key], |row| row.get::<_, i64>(0))
                .unwrap()
        };
        assert_eq!(v("EXECUTE p($1 + 1)", key), (key + 1) * 10);
        assert_eq!(v("EXECUTE p($1)", key), key * 10);
    }
}

#[test]
fn whoever_was_asked_to_stop_or_is_closed_out_reads_nothing() {
    let (db, conn) = filled();
    assert!(read(&conn, 1).is_ok());
    conn.execute("SET statement_timeout = '1h'", []).unwrap();
    assert!(read(&conn, 1).is_ok());
    conn.execute("SET statement_timeout = 0", []).unwrap();
    assert!(read(&conn, 1).is_ok());
    db.close().unwrap();
    assert_eq!(state(read(&conn, 1)), "57P01");
}

#[test]
fn where_transactions_are_counted_it_reads_within_one() {
    let options = Options::new().max_transactions(2);
    let db = Database::in_memory_with(options).unwrap();
    let conns: Vec<Connection> = (0..8).map(|_| db.connect().unwrap()).collect();
    conns[0].execute_batch("CREATE TABLE t (k BIGINT PRIMARY KEY, v BIGINT, name TEXT); INSERT INTO t VALUES (1, 2, 'x')").unwrap();
    for conn in conns.iter().chain(&conns) {
        assert_eq!(read(conn, 1).unwrap(), row(2, "x"));
    }
}

/// A row's two numbers are always the same, whoever folds, prunes and frees its versions meanwhile.
#[test]
fn a_row_is_read_whole_beside_a_writer() {
    let (db, conn) = filled();
    conn.execute_batch("CREATE TABLE pair (k BIGINT PRIMARY KEY, a BIGINT, filler TEXT, b BIGINT); INSERT INTO pair VALUES (1, 0, 'long enough for the heap', 0)").unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let conn = db.connect().unwrap();
            let mut update = conn
                .prepare("UPDATE pair SET a = a + 1, b = b + 1 WHERE k = 1")
                .unwrap();
            let mut insert = conn
                .prepare("INSERT INTO pair VALUES ($1, $1, 'comes and goes', $1)")
                .unwrap();
            let mut delete = conn.prepare("DELETE FROM pair WHERE k = $1").unwrap();
            let mut round = 2_i64;
            while !is_over.load(Relaxed) {
                update.execute([]).unwrap();
                insert.execute([round]).unwrap();
                delete.execute([round]).unwrap();
                round += 1;
            }
            round
        });
        let mut statement = conn
            .prepare("SELECT a, b, filler FROM pair WHERE k = $1")
            .unwrap();
        let (begin, mut last, mut reads) = (Instant::now(), 0, 0);
        while begin.elapsed() < Duration::from_millis(300) {
            let pair = statement.query_row([1_i64], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            });
            let (a, b) = pair.unwrap();
            assert!(a == b && a >= last, "{a} and {b} after {last}");
            (last, reads) = (a, reads + 1);
        }
        is_over.store(true, Relaxed);
        assert!(writer.join().unwrap() > 2 && reads > 2);
    });
}

/// A session at rest keeps no version: what it has read by key can go.
#[test]
fn a_session_at_rest_holds_nothing_back() {
    let (db, conn) = filled();
    let other = db.connect().unwrap();
    assert_eq!(read(&other, 1).unwrap(), row(10, "name 1"));
    assert_eq!(read(&other, 1).unwrap(), row(10, "name 1"));
    // That of the query itself.
    assert_eq!(number(&conn, "SELECT count(*) FROM remora_transactions"), 1);
}

/// Whatever the index and the key's type, and wherever the row is: bare, with versions, frozen.
#[test]
fn rows_are_found_by_keys_of_all_kinds() {
    for index in ["PRIMARY KEY (k)", "UNIQUE (k, v)"] {
        for data_type in ["INT", "BIGINT", "SMALLINT", "TEXT", "DATE"] {
            let conn = connect();
            let key = match data_type {
                "DATE" => "DATE '2000-01-01' + g",
                _ => "g",
            };
            conn.execute_batch(&format!(
                "CREATE TABLE t (v BIGINT, k {data_type}, n TEXT, {index});
                 INSERT INTO t SELECT g, ({key})::{data_type}, CASE WHEN g % 2 = 0 THEN g END::text
                     FROM generate_series(-9000, 9000) g"
            ))
            .unwrap();
            let look = || {
                let sql = format!("SELECT v, n, k FROM t WHERE k = ($1::int)::{data_type}");
                let sql = match data_type {
                    "DATE" => "SELECT v, n, k FROM t WHERE k = DATE '2000-01-01' + $1::int",
                    "INT" => "SELECT v, n, k FROM t WHERE k = $1",
                    "BIGINT" => "SELECT v, n, k FROM t WHERE k = $1::int",
                    _ => &sql,
                };
                let mut statement = conn.prepare(sql).unwrap();
                for g in [-9000_i32, -1, 0, 1, 127, 128, 9000, 9001] {
                    let row = statement.query_row([g], |row| {
                        Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?))
                    });
                    match g {
                        9001 => assert_eq!(state(row), "02000"),
                        _ => {
                            let text = (g % 2 == 0).then(|| g.to_string());
                            assert_eq!(row.unwrap(), (i64::from(g), text), "{data_type} {index}");
                        }
                    }
                }
            };
            look();
            // With a version over each, and then frozen.
            conn.execute("UPDATE t SET n = n", []).unwrap();
            look();
            conn.execute("COMPACT", []).unwrap();
            let frozen = "SELECT frozen_blocks FROM remora_tables WHERE name = 't'";
            assert!(number(&conn, frozen) > 0);
            look();
        }
    }
}

/// A key that several rows have is read as ever, in whatever order they are.
#[test]
fn a_key_need_not_be_unique() {
    let (_db, conn) = filled();
    conn.execute_batch(
        "CREATE INDEX by_v ON t (v DESC); CREATE INDEX by_name ON t USING HASH (name);
         UPDATE t SET v = 7 WHERE k IN (5, 6); UPDATE t SET name = 'twin' WHERE k IN (8, 9)",
    )
    .unwrap();
    let keys = |sql: &str, value: &dyn crate::ToSql| {
        let mut statement = conn.prepare(sql).unwrap();
        for _ in 0..2 {
            let first = statement.query_row([value], |row| row.get::<_, i64>(0));
            assert_eq!(first.is_ok(), statement.exists([value]).unwrap());
        }
        let rows = statement.query_map([value], |row| row.get::<_, i64>(0));
        let mut rows: Vec<_> = rows.unwrap().map(|key| key.unwrap()).collect();
        rows.sort_unstable();
        rows
    };
    let (by_v, by_name) = (
        "SELECT k FROM t WHERE v = $1",
        "SELECT k FROM t WHERE name = $1",
    );
    assert_eq!(keys(by_v, &30_i64), [3]);
    assert_eq!(keys(by_v, &7_i64), [5, 6]);
    assert_eq!(keys(by_v, &50_i64), [0_i64; 0]);
    assert_eq!(keys(by_v, &None::<i64>), [0_i64; 0]);
    assert_eq!(keys(by_name, &"name 1"), [1]);
    assert_eq!(keys(by_name, &"twin"), [8, 9]);
    assert_eq!(keys(by_name, &"name 8"), [0_i64; 0]);
}

/// Two doctors on call, each of whom goes home if the other stays: what each has read by key stands in the way.
#[test]
fn what_a_block_reads_by_key_it_relies_on() {
    let (db, conn) = filled();
    let other = db.connect().unwrap();
    for (key, change) in [
        (1_i64, "UPDATE t SET v = v + 1 WHERE k = 1"),
        (101, "INSERT INTO t VALUES (101, 0, '')"),
    ] {
        for session in [&conn, &other] {
            session
                .execute_batch("BEGIN; SELECT 1 FROM t WHERE k = 50")
                .unwrap();
        }
        // A row that is there, and one that is not; the second time by the short way.
        for _ in 0..2 {
            assert_eq!(read(&conn, key).is_ok(), key == 1);
            assert_eq!(read(&other, 2).unwrap(), row(20, "name 2"));
        }
        conn.execute("UPDATE t SET v = v + 1 WHERE k = 2", [])
            .unwrap();
        other.execute(change, []).unwrap();
        other.execute("COMMIT", []).unwrap();
        assert_eq!(state(conn.execute("COMMIT", [])), "40001", "{key}");
    }
}

/// A block's own definitions are followed, and forgotten with it.
#[test]
fn a_block_reads_by_its_own_catalog() {
    let (_db, conn) = filled();
    let width = || {
        let sql = "SELECT * FROM t WHERE k = 3";
        conn.query_row(sql, [], |row| Ok(row.columns().len()))
            .unwrap()
    };
    for _ in 0..3 {
        assert_eq!(width(), 3);
    }
    conn.execute_batch("BEGIN; ALTER TABLE t ADD extra INT; UPDATE t SET v = -1 WHERE k = 3")
        .unwrap();
    for _ in 0..3 {
        assert_eq!(width(), 4);
        assert_eq!(read(&conn, 3).unwrap(), row(-1, "name 3"));
    }
    conn.execute_batch("SAVEPOINT s; DELETE FROM t WHERE k = 3")
        .unwrap();
    assert_eq!(state(read(&conn, 3)), "02000");
    conn.execute_batch("ROLLBACK TO s").unwrap();
    assert_eq!(read(&conn, 3).unwrap(), row(-1, "name 3"));
    conn.execute("ROLLBACK", []).unwrap();
    for _ in 0..3 {
        assert_eq!(width(), 3);
        assert_eq!(read(&conn, 3).unwrap(), row(30, "name 3"));
    }
}

/// A row is given to a closure that asks the connection for more.
#[test]
fn a_row_that_is_looked_at_leaves_the_connection_free() {
    let (_db, conn) = filled();
    for _ in 0..3 {
        let both = conn.query_row(READ, [4_i64], |first| {
            let second = read(&conn, first.get::<_, i64>(0)? / 10 + 1)?;
            Ok((first.get::<_, String>(1)?, second))
        });
        assert_eq!(both.unwrap(), ("name 4".to_owned(), row(50, "name 5")));
        let failed = conn.query_row(READ, [4_i64], |row| row.get::<_, i64>(1));
        assert_eq!(state(failed), "42804");
    }
}
