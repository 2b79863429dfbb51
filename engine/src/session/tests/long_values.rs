//! Long values that functions make: they belong to the budget, and batches are cut so that it suffices.

use super::*;
use crate::Options;

const BUDGET: u64 = 64 << 20;

fn small() -> (Database, Connection) {
    let db = Database::in_memory_with(Options::new().max_memory(BUDGET)).unwrap();
    let conn = db.connect().unwrap();
    (db, conn)
}

fn used(conn: &Connection) -> i64 {
    number(
        conn,
        "SELECT sum(bytes)::bigint FROM remora_memory WHERE owner = 'query'",
    )
}

/// A batch of these rows is a gigabyte; each of the values is well within the budget.
#[test]
fn what_a_row_makes_is_gone_before_the_next_is_read() {
    let (_db, conn) = small();
    let rows = "generate_series(1, 300) AS g (n)";
    let made = "repeat(md5(n::text), 100000)";
    let sum = format!("SELECT sum(length({made})) FROM {rows}");
    assert_eq!(number(&conn, &sum), 300 * 3_200_000);
    let filtered = format!("SELECT count(*) FROM {rows} WHERE {made} LIKE '%zz' IS NOT TRUE");
    assert_eq!(number(&conn, &filtered), 300);
    let most = format!("SELECT length(max({made})) FROM {rows}");
    assert_eq!(number(&conn, &most), 3_200_000);
    let in_rows = format!("SELECT n, {made} AS v, upper({made}) FROM {rows}");
    let mut statement = conn.prepare(&in_rows).unwrap();
    let mut found = statement.query([]).unwrap();
    let mut next = 0;
    while let Some(row) = found.next().unwrap() {
        next += 1;
        assert_eq!(row.get::<_, i64>(0).unwrap(), next, "rows come in order");
        assert_eq!(row.get::<_, String>(1).unwrap().len(), 3_200_000);
    }
    assert_eq!(next, 300);
}

/// Nothing is evaluated twice where that can be noticed.
#[test]
fn volatile_functions_are_called_once_a_row() {
    let (_db, conn) = small();
    conn.execute_batch("CREATE SEQUENCE s").unwrap();
    let sql = "SELECT max(length(repeat('x', (nextval('s') + 100000)::int))) FROM generate_series(1, 200)";
    assert_eq!(number(&conn, sql), 100_200);
    assert_eq!(number(&conn, "SELECT nextval('s')"), 201);
}

#[test]
fn what_does_not_fit_is_refused_before_it_is_made() {
    let (_db, conn) = small();
    let before = used(&conn);
    for sql in [
        "SELECT repeat('x', 1000000000), repeat('x', 1000000000), repeat('x', 1000000000)",
        "SELECT string_agg(repeat('x', 2000000), '') FROM generate_series(1, 1000)",
        "SELECT array_agg(repeat('x', 100000)) FROM generate_series(1, 4000)",
        "SELECT repeat(n::text, 100000) FROM generate_series(1, 2000) AS g (n) ORDER BY 1",
        "SELECT count(*) FROM json_array_elements(('[1' || repeat(',1', 900000) || ']')::json)",
        "SELECT lpad('x', 1000000000, 'ab')",
        "SELECT replace(repeat('x', 1000000), 'x', repeat('y', 250))",
    ] {
        assert_eq!(state(conn.run(sql, [])), "53200", "{sql}");
        assert_eq!(used(&conn), before, "{sql}");
    }
}

/// Rows are written one by one: each is gone before the next is made.
#[test]
fn a_change_of_many_rows_makes_one_at_a_time() {
    let (_db, conn) = small();
    conn.execute_batch(
        "CREATE TABLE t (k INT PRIMARY KEY, n INT GENERATED ALWAYS AS (length(repeat('x', k * 100000))) STORED);
         INSERT INTO t SELECT k FROM generate_series(1, 100) AS g (k);
         UPDATE t SET k = k + length(repeat('x', 1000000)) - 1000000 + 100",
    )
    .unwrap();
    assert_eq!(number(&conn, "SELECT max(n) FROM t"), 20_000_000);
    let rows = vec!["(length(repeat('x', 3000000)))"; 100];
    conn.execute_batch("CREATE TABLE u (n INT)").unwrap();
    conn.execute_batch(&format!("INSERT INTO u VALUES {}", rows.join(", ")))
        .unwrap();
    assert_eq!(number(&conn, "SELECT sum(n) FROM u"), 300_000_000);
}

/// A text takes much more than itself when it is parsed.
#[test]
fn texts_of_many_words_are_in_the_budget() {
    let (_db, conn) = small();
    let before = used(&conn);
    let long = |count: usize| {
        format!(
            "SELECT count(*) FROM (VALUES {}(0)) v",
            "(1), ".repeat(count)
        )
    };
    assert_eq!(number(&conn, &long(10_000)), 10_001);
    assert_eq!(state(conn.run(&long(200_000), [])), "53200");
    assert_eq!(used(&conn), before);
    let text = format!("SELECT length('{}')", "(1), ".repeat(200_000));
    assert_eq!(number(&conn, &text), 1_000_000, "one string is not much");
    let prepared = conn.prepare(&long(10_000)).unwrap();
    assert!(
        used(&conn) > before + (10 << 20),
        "as long as its plan is kept"
    );
    drop(prepared);
    assert_eq!(used(&conn), before);
}

/// A key that is there already is quoted, but not all of a long one.
#[test]
fn an_error_quotes_the_beginning_of_a_long_key() {
    let (_db, conn) = small();
    conn.execute_batch("CREATE TABLE t (v TEXT PRIMARY KEY)")
        .unwrap();
    let insert = "INSERT INTO t SELECT repeat('x', 10000)";
    conn.execute_batch(insert).unwrap();
    let error = conn.execute_batch(insert).unwrap_err();
    assert_eq!(error.sqlstate(), "23505");
    let detail = error.detail().unwrap();
    assert!(detail.starts_with("Key (v)=(xxx"), "{}", &detail[..40]);
    assert!(detail.len() <= 8 << 10, "{}", detail.len());
}
