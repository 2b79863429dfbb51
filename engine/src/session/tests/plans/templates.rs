//! Texts that differ in their literals share a plan, and each means what it means alone.

use super::*;
use crate::Row;

const SCHEMA: &str = "
    CREATE TABLE t (
        id INT PRIMARY KEY, big BIGINT, small SMALLINT, price NUMERIC(8, 2), ratio DOUBLE PRECISION,
        s TEXT, name VARCHAR(5), day DATE, flag BOOLEAN, CONSTRAINT lucky CHECK (big <> 13)
    );
    CREATE TABLE texts (name TEXT PRIMARY KEY, n INT DEFAULT 7, UNIQUE (n, name));
    CREATE TABLE log (n INT, s TEXT);
    CREATE INDEX few ON t (s) WHERE big = 20;
    INSERT INTO t VALUES
        (1, 10, 1, 1.5, 0.5, 'one', 'a', '2020-01-01', true),
        (2, 20, 2, 2.5, 1.5, 'it''s', 'b', '2020-01-02', false),
        (3, 30, 3, NULL, NULL, NULL, NULL, NULL, NULL);
    INSERT INTO texts VALUES ('one', 1), ('it''s', 2), ('3', 3)";

/// Whether the connection has a plan for texts like this one.
fn has_plan(conn: &Connection, sql: &str) -> bool {
    let found = conn.with_session(|session| {
        let mut call = session.new_call();
        Ok(session.find(sql, &mut call))
    });
    found.unwrap().is_some()
}

/// Everything that a text comes to.
fn result(conn: &Connection, sql: &str) -> String {
    match conn.run(sql, []) {
        Ok(outcome) => {
            let rows = outcome.rows.map(|rows| {
                let columns = rows.columns().to_vec();
                let values = |row: Row<'_>| -> Vec<Value> {
                    (0..columns.len())
                        .map(|column| row.get(column).unwrap())
                        .collect()
                };
                let values: Vec<_> = rows.iter().map(values).collect();
                (columns, values)
            });
            format!("{} {} {rows:?}", outcome.tag, outcome.changes)
        }
        Err(error) => format!("{error:?}"),
    }
}

/// Fills `{}` with each of the values, one at a time, on a connection that keeps plans and on new ones; whether it has
/// kept one.
fn compare(shape: &str, values: &[&str]) -> bool {
    let (db, plain) = (
        Database::in_memory().unwrap(),
        Database::in_memory().unwrap(),
    );
    let conn = db.connect().unwrap();
    conn.execute_batch(SCHEMA).unwrap();
    plain.connect().unwrap().execute_batch(SCHEMA).unwrap();
    let compare = |value: &str| {
        let sql = shape.replace("{}", value);
        let alone = result(&plain.connect().unwrap(), &sql);
        assert_eq!(result(&conn, &sql), alone, "{sql}");
    };
    for value in values {
        compare(value);
    }
    let is_kept = has_plan(&conn, &shape.replace("{}", values[0]));
    // Texts that come again.
    for value in values {
        (0..3).for_each(|_| compare(value));
    }
    let all = "SELECT * FROM t, texts, log ORDER BY t.id, texts.name, log.n, log.s";
    assert_eq!(
        result(&conn, all),
        result(&plain.connect().unwrap(), all),
        "{shape}"
    );
    is_kept
}

#[test]
fn texts_with_different_literals_share_a_plan() {
    let numbers = ["1", "2", "3", "4", "2147483647", "0"];
    for shape in [
        "SELECT * FROM t WHERE id = {}",
        "SELECT big, s FROM t AS u WHERE u.id = {} AND flag",
        "SELECT id + {}, big * {}, small - {} FROM t WHERE id = 2",
        "SELECT price = {}, ratio < {} FROM t WHERE id = 2",
        "SELECT id FROM t WHERE id = {} FOR UPDATE",
        "UPDATE t SET big = {}, price = {} WHERE id = 1 RETURNING *",
        "UPDATE t SET big = big + {} WHERE id = {} RETURNING big;",
        "UPDATE t SET small = {} WHERE id = 3 RETURNING *",
        "DELETE FROM t WHERE id = {} RETURNING id, s",
        "INSERT INTO log VALUES ({}, 'x'), ({}, 'y') RETURNING *",
        "INSERT INTO texts VALUES ({}, {}) RETURNING *",
        "INSERT INTO t (id, big, ratio) VALUES (4 + 5, {}, {}) RETURNING *",
    ] {
        assert!(compare(shape, &numbers), "{shape}");
    }
    let texts = [
        "'one'",
        "'it''s'",
        "'none'",
        "''",
        "'3'",
        "'ein Fluß'",
        "'one'",
    ];
    for shape in [
        "SELECT * FROM texts WHERE name = {}",
        "SELECT s = {}, name < {} FROM t WHERE id = 2",
        "INSERT INTO log VALUES (1, {}) RETURNING *",
        "UPDATE t SET s = {}, name = {} WHERE id = 1 RETURNING *",
    ] {
        assert!(compare(shape, &texts), "{shape}");
    }
}

#[test]
fn a_literal_of_another_type_has_a_plan_of_its_own() {
    let values = [
        "1",
        "2",
        "3000000000",
        "3000000001",
        "'1'",
        "'2'",
        "1.0",
        "2.0",
        "NULL",
        "-1",
        "1e3",
        "'x'",
        "'x'",
    ];
    for shape in [
        "SELECT * FROM t WHERE id = {}",
        "SELECT * FROM t WHERE small = {} AND id = 2",
        "SELECT * FROM texts WHERE name = {}",
        "SELECT big / 3, price * 2, big = {} FROM t WHERE id = 1",
        "UPDATE t SET big = {}, ratio = {}, price = {} WHERE id = 1 RETURNING *",
        "INSERT INTO log VALUES ({}, {}) RETURNING *",
        "INSERT INTO t (id, small) VALUES (7, {}) RETURNING *",
    ] {
        compare(shape, &values);
    }
}

#[test]
fn errors_are_those_of_the_text() {
    let values = [
        "1",
        "2",
        "3",
        "2147483647",
        "'x'",
        "'y'",
        "'2020-01-01'",
        "'2020-02-02'",
        "13",
        "13",
        "99999",
        "99998",
    ];
    for shape in [
        "SELECT * FROM t WHERE id = {} AND nothing = 1",
        "SELECT * FROM t WHERE id = 1 AND day = {}",
        "SELECT id + {}, 1 / (id - 2) FROM t WHERE id = 2",
        "SELECT id + {} FROM t WHERE id = 2",
        "SELECT * FROM t\nWHERE flag = {} AND id = 1",
        "UPDATE t SET big = {} WHERE id = 1",
        "UPDATE t SET small = {} WHERE id = 1",
        "UPDATE t SET name = 'longer than five', big = {} WHERE id = 1",
        "UPDATE t SET id = 2, big = {} WHERE id = 1",
        "INSERT INTO t (id, big) VALUES (1, {})",
        "INSERT INTO t (id, small, day) VALUES (8, {}, {})",
        "INSERT INTO log VALUES ({}), (2)",
        "INSERT INTO log VALUES ({}, 'a', {})",
        "INSERT INTO nowhere VALUES ({})",
        "DELETE FROM t WHERE id = {} AND 1 / (id - 2) > 0",
    ] {
        compare(shape, &values);
    }
}

/// What other statements would rather have another plan, or read another meaning into a literal.
#[test]
fn other_statements_are_planned_with_their_literals() {
    let values = ["1", "2", "20", "3", "20"];
    for shape in [
        "SELECT s FROM t WHERE big = {} AND s = 'it''s'",
        "SELECT * FROM t WHERE id > {}",
        "SELECT s, count(*) FROM t WHERE id = {} GROUP BY 1",
        "SELECT * FROM t ORDER BY {}",
        "SELECT * FROM t ORDER BY id LIMIT {}",
        "INSERT INTO log SELECT {}, s FROM t WHERE id = {}",
        "WITH w AS (SELECT {} AS a) SELECT * FROM t, w WHERE id = {}",
    ] {
        assert!(!compare(shape, &values), "{shape}");
    }
}

#[test]
fn a_plan_follows_the_schema_and_the_transaction() {
    let conn = connect();
    conn.execute_batch(
        "CREATE TABLE t (id INT PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b')",
    )
    .unwrap();
    let find = |id: i32| result(&conn, &format!("SELECT * FROM t WHERE id = {id}"));
    assert!((1..5).all(|id| find(id).contains("\"v\"")));
    conn.execute_batch("ALTER TABLE t RENAME v TO w").unwrap();
    assert!((1..5).all(|id| find(id).contains("\"w\"")));
    conn.execute_batch("BEGIN; ALTER TABLE t ADD x INT DEFAULT 5")
        .unwrap();
    assert!((1..5).all(|id| find(id).contains("\"x\"")));
    conn.execute_batch("ROLLBACK").unwrap();
    assert!((1..5).all(|id| !find(id).contains("\"x\"")));
    conn.execute_batch(
        "CREATE SCHEMA s; CREATE TABLE s.t (id INT PRIMARY KEY, y INT); SET search_path = s",
    )
    .unwrap();
    assert!((1..5).all(|id| find(id).contains("\"y\"")));
    conn.execute_batch("DROP TABLE s.t").unwrap();
    assert!((1..5).all(|id| find(id).contains("42P01")));
}

#[test]
fn parameters_beside_literals_are_counted_as_they_were() {
    let conn = connect();
    conn.execute_batch(
        "CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 10), (2, 20)",
    )
    .unwrap();
    for id in [1, 2, 1, 2, 1] {
        let sql = format!("SELECT v FROM t WHERE id = {id}");
        let v: i32 = conn.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(v, 10 * id);
        assert_eq!(state(conn.query_row(&sql, [7], |_| Ok(()))), "08P01");
        let sql = format!("UPDATE t SET v = v + $1 - {id} WHERE id = {id}");
        assert_eq!(conn.execute(&sql, [id]).unwrap(), 1);
    }
    assert_eq!(number(&conn, "SELECT sum(v) FROM t"), 30);
}
