//! Plans that are kept stay good while their names mean the same, and go when these mean something else.

use super::*;

/// Hits, misses and plans of a connection, as it is told in SQL.
fn counts(conn: &Connection) -> [i64; 3] {
    let session = conn.with_session(|session| Ok(session.record.number()));
    let sql = "SELECT hits, misses, entries FROM remora_plan_cache WHERE session_id = $1";
    let mut statement = conn.prepare(sql).unwrap();
    let session = i64::from(session.unwrap());
    let counts = statement.query_row([session], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]));
    counts.unwrap()
}

/// Asks twice, so that the plan is kept, and once more.
fn keep(conn: &Connection, sql: &str) -> Vec<Value> {
    let mut all = (0..3).map(|_| values(conn, sql));
    let last = all.next_back().unwrap();
    assert!(all.all(|other| other == last), "{sql}");
    last
}

fn values(conn: &Connection, sql: &str) -> Vec<Value> {
    let outcome = conn.run(sql, []).unwrap();
    let rows = outcome.rows.unwrap();
    rows.iter().map(|row| row.get(0).unwrap()).collect()
}

fn two() -> (Connection, Connection) {
    let db = Database::in_memory().unwrap();
    let (ann, ben) = (db.connect().unwrap(), db.connect().unwrap());
    ann.execute_batch(
        "CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 10), (2, 20)",
    )
    .unwrap();
    (ann, ben)
}

/// Ben's tables are no business of Ann's plans. His view might be, so she plans again.
#[test]
fn others_definitions_leave_plans_alone() {
    let (ann, ben) = two();
    for sql in [
        "SELECT v FROM t WHERE id = 1",
        "SELECT sum(v) FROM t WHERE v > 5",
    ] {
        keep(&ann, sql);
    }
    let [hits, misses, entries] = counts(&ann);
    assert!(entries >= 2);
    ben.execute_batch("CREATE TEMP TABLE mine (a INT); CREATE TABLE other (t INT); CREATE INDEX o ON other (t); DROP TABLE other")
        .unwrap();
    assert_eq!(
        values(&ann, "SELECT v FROM t WHERE id = 2"),
        [Value::Integer(20)]
    );
    assert_eq!(
        values(&ann, "SELECT sum(v) FROM t WHERE v > 5"),
        [Value::BigInt(30)]
    );
    assert_eq!(counts(&ann), [hits + 2, misses, entries]);
    ben.execute_batch("CREATE VIEW w AS SELECT 1 AS a").unwrap();
    assert_eq!(
        values(&ann, "SELECT sum(v) FROM t WHERE v > 5"),
        [Value::BigInt(30)]
    );
    assert_eq!(counts(&ann)[..2], [hits + 2, misses + 1]);
}

/// A table that hides another one, or takes its place, is found by plans that were there before, be they kept for a text
/// or prepared.
#[test]
fn a_name_that_means_something_else_is_resolved_again() {
    let (ann, ben) = two();
    let sql = "SELECT v FROM t WHERE id = 1";
    let mut prepared = ann.prepare("SELECT sum(v) FROM t").unwrap();
    let mut sum = || {
        prepared
            .query_row([], |row| row.get::<_, Option<i64>>(0))
            .unwrap()
    };
    assert_eq!(keep(&ann, sql), [Value::Integer(10)]);
    assert_eq!(sum(), Some(30));
    ann.execute_batch(
        "CREATE TEMP TABLE t (id INT, v TEXT); INSERT INTO pg_temp.t VALUES (1, '7')",
    )
    .unwrap();
    assert_eq!(keep(&ann, sql), [Value::Text("7".to_owned())]);
    assert!(ann.prepare("SELECT sum(v) FROM t").is_err());
    ann.execute_batch("DROP TABLE pg_temp.t").unwrap();
    assert_eq!(keep(&ann, sql), [Value::Integer(10)]);
    assert_eq!(sum(), Some(30));
    ben.execute_batch(
        "DROP TABLE t; CREATE TABLE t (v INT, id BIGINT); INSERT INTO t VALUES (4, 1)",
    )
    .unwrap();
    assert_eq!(keep(&ann, sql), [Value::Integer(4)]);
    assert_eq!(sum(), Some(4));
    ben.execute_batch(
        "CREATE SCHEMA s; CREATE TABLE s.t (id INT, v INT); INSERT INTO s.t VALUES (1, 99)",
    )
    .unwrap();
    ann.execute_batch("SET search_path = s, public").unwrap();
    assert_eq!(keep(&ann, sql), [Value::Integer(99)]);
    assert_eq!(sum(), Some(99));
    ben.execute_batch("DROP TABLE s.t").unwrap();
    assert_eq!(keep(&ann, sql), [Value::Integer(4)]);
    assert_eq!(sum(), Some(4));
}

/// All that a change of a table has to do is a matter of the table's definition: columns, checks, keys that refer to it, and
/// triggers.
#[test]
fn changes_follow_the_definition_of_their_table() {
    let (ann, ben) = two();
    ben.execute_batch("CREATE TABLE log (n INT)").unwrap();
    let mut add = ann
        .prepare("INSERT INTO t (id, v) VALUES ($1, $2)")
        .unwrap();
    let mut drop_row = ann.prepare("DELETE FROM t WHERE id = $1").unwrap();
    let mut all = ann.prepare("SELECT * FROM t").unwrap();
    add.execute([3, 30]).unwrap();
    drop_row.execute([3]).unwrap();
    ben.execute_batch("ALTER TABLE t ADD COLUMN w INT DEFAULT 5")
        .unwrap();
    add.execute([3, 30]).unwrap();
    assert_eq!(all.query([]).unwrap().columns().len(), 3);
    ben.execute_batch("CREATE TABLE child (t INT REFERENCES t); INSERT INTO child VALUES (3)")
        .unwrap();
    assert_eq!(drop_row.execute([3]).unwrap_err().sqlstate(), "23503");
    ben.execute_batch("ALTER TABLE t ADD CHECK (v < 40)")
        .unwrap();
    assert_eq!(add.execute([4, 40]).unwrap_err().sqlstate(), "23514");
    ben.execute_batch("CREATE TRIGGER seen AFTER INSERT ON t FOR EACH ROW BEGIN INSERT INTO log VALUES (NEW.id); END")
        .unwrap();
    add.execute([5, 1]).unwrap();
    assert_eq!(values(&ben, "SELECT n FROM log"), [Value::Integer(5)]);
    ben.execute_batch("ALTER TABLE t RENAME COLUMN v TO x")
        .unwrap();
    assert_eq!(add.execute([6, 1]).unwrap_err().sqlstate(), "42703");
}

/// A statement that was prepared before there were rows gets a plan for many when they are there.
#[test]
fn a_plan_for_few_rows_is_not_kept_for_many() {
    let db = Database::in_memory().unwrap();
    let conn = db.connect().unwrap();
    conn.execute_batch("CREATE TABLE few (n INT); CREATE TABLE many (id INT PRIMARY KEY, v INT); INSERT INTO few VALUES (7)")
        .unwrap();
    let mut statement = conn
        .prepare("SELECT v FROM few JOIN many ON many.id = few.n")
        .unwrap();
    let before = statement.shape();
    conn.execute_batch("INSERT INTO many SELECT n, n * 2 FROM generate_series(1, 20000) AS g(n)")
        .unwrap();
    for _ in 0..16 {
        assert_eq!(
            statement.query_row([], |row| row.get::<_, i32>(0)).unwrap(),
            14
        );
    }
    let after = statement.shape();
    assert!(!before.contains("IndexedRows") && after.contains("IndexedRows"));
}

/// Hits, misses and plans that all sessions share.
fn shared(conn: &Connection) -> [i64; 3] {
    let sql = "SELECT hits, misses, entries FROM remora_plan_cache WHERE session_id IS NULL";
    let mut statement = conn.prepare(sql).unwrap();
    let counts = statement.query_row([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]));
    counts.unwrap()
}

/// Ann was asked for a text twice: Ben has it planned when he is asked the first time, be it with other literals.
#[test]
fn a_new_connection_takes_plans_over() {
    let (ann, ben) = two();
    let sum = "SELECT sum(v) FROM t WHERE v > 5";
    keep(&ann, sum);
    keep(&ann, "SELECT v FROM t WHERE id = 1");
    let [hits, ..] = shared(&ann);
    assert_eq!(values(&ben, sum), [Value::BigInt(30)]);
    let other = "SELECT v FROM t WHERE id = 2";
    assert_eq!(values(&ben, other), [Value::Integer(20)]);
    assert_eq!(shared(&ann)[0], hits + 2);
    // Ben has them himself now.
    assert_eq!(values(&ben, sum), [Value::BigInt(30)]);
    assert_eq!(values(&ben, other), [Value::Integer(20)]);
    assert_eq!(shared(&ann)[0], hits + 2);
}

/// A name that means something else to Ben, a path of his own, a definition that he has not committed: each has its own plan.
#[test]
fn plans_are_taken_over_where_they_mean_the_same() {
    let (ann, ben) = two();
    let sql = "SELECT sum(v) FROM t";
    keep(&ann, sql);
    ben.execute_batch("CREATE TEMP TABLE t (v INT); INSERT INTO t VALUES (7)")
        .unwrap();
    assert_eq!(values(&ben, sql), [Value::BigInt(7)]);
    keep(&ben, sql);
    ben.execute_batch("DROP TABLE pg_temp.t; CREATE SCHEMA own; CREATE TABLE own.t (v INT); SET search_path = own")
        .unwrap();
    assert_eq!(values(&ben, sql), [Value::Null]);
    keep(&ben, sql);
    assert_eq!(keep(&ann, sql), [Value::BigInt(30)]);
    ben.execute_batch("RESET search_path").unwrap();
    ben.execute_batch("BEGIN; ALTER TABLE t ADD COLUMN w INT; UPDATE t SET v = 1")
        .unwrap();
    assert_eq!(keep(&ben, sql), [Value::BigInt(2)]);
    assert_eq!(values(&ann, sql), [Value::BigInt(30)]);
    ben.execute_batch("ROLLBACK").unwrap();
    for _ in 0..2 {
        assert_eq!(values(&ben, sql), [Value::BigInt(30)]);
    }
}

/// A table that was dropped is held by no plan.
#[test]
fn shared_plans_go_with_their_tables() {
    let (ann, ben) = two();
    keep(&ann, "SELECT sum(v) FROM t");
    let [.., before] = shared(&ann);
    ben.execute_batch("DROP TABLE t").unwrap();
    values(&ben, "SELECT 1");
    assert!(shared(&ann)[2] < before);
    assert!(ben.execute("SELECT sum(v) FROM t", []).is_err());
}

/// A text and its template are remembered apart, wherever their hashes fall: each connection hashes otherwise.
#[test]
fn a_text_that_comes_again_is_kept_on_every_connection() {
    for _ in 0..2_000 {
        let conn = connect();
        for _ in 0..3 {
            let sql = "SELECT 1 + 1 WHERE 1 = 1";
            assert_eq!(values(&conn, sql), [Value::Integer(2)]);
        }
        let hits = conn.with_session(|session| Ok(session.record.plan_cache().counts().hits));
        assert_eq!(hits.unwrap(), 1);
    }
}
