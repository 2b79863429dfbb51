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

/// A batch whose arguments are long is cut, and each piece gives its rows in several batches: the rest comes after.
#[test]
fn a_table_function_has_all_rows_of_a_batch_that_was_cut() {
    let (_db, conn) = small();
    let rows = "SELECT n, unnest(string_to_array(repeat('ab,', 50000 + n % 2), ',')) AS part FROM generate_series(1, 64) AS g (n)";
    let sum = format!("SELECT sum(n) FROM ({rows}) AS q");
    assert_eq!(
        number(&conn, &sum),
        (1..65).map(|n| n * (50_001 + n % 2)).sum::<i64>()
    );
}

/// Of each outer row one value is made, and gone before the next one is: with and without all rows being asked for.
#[test]
fn a_subquery_counts_what_it_makes_of_one_outer_row() {
    let (_db, conn) = small();
    conn.execute_batch(
        "CREATE TABLE t AS SELECT n FROM generate_series(1, 1000) AS g (n);
         CREATE TABLE u AS SELECT 1 AS k, repeat('ab', 500) AS v",
    )
    .unwrap();
    let of_one = "SELECT repeat(v, 1000 + n) AS x FROM u WHERE k <= n LIMIT 1";
    let sum = format!("SELECT sum((SELECT length(x) + ascii(x) FROM ({of_one}) AS s)) FROM t");
    let lengths = (1..1001).map(|n| 1000 * (1000 + n) + 97).sum::<i64>();
    assert_eq!(number(&conn, &sum), lengths);
    let count = format!(
        "SELECT count(*) FROM t WHERE EXISTS (SELECT 1 FROM ({of_one}) AS s WHERE length(x) + ascii(x) > n) IS TRUE"
    );
    assert_eq!(number(&conn, &count), 1000);
}

/// While a plan is made nothing takes long: then it is left to the statement, and never given up halfway.
#[test]
fn what_takes_long_is_no_constant_of_the_plan() {
    let (_db, conn) = small();
    let part = |field: i32| {
        format!("SELECT length(split_part(repeat('aaaaaaaa,', 100000), ',', {field}))")
    };
    assert_eq!(number(&conn, &part(90_000)), 8);
    assert_eq!(number(&conn, &part(-90_000)), 8);
    assert_eq!(number(&conn, &part(100_001)), 0);
}

/// A value that is the same for all rows is made once a batch, however long it is.
#[test]
fn a_long_constant_cuts_no_batch() {
    let (_db, conn) = small();
    let least_time = |rows: i64| {
        let sql = format!(
            "SELECT count(*) FROM generate_series(1, {rows}) AS g (n) WHERE strpos(repeat('x', 5000000), 'x') < n"
        );
        let time = || {
            let begun = std::time::Instant::now();
            assert_eq!(number(&conn, &sql), rows - 1);
            begun.elapsed()
        };
        (0..5).map(|_| time()).min().unwrap()
    };
    let (few, many) = (least_time(100), least_time(4000));
    // Both are one batch. Made for each row, it would take forty times as long.
    assert!(many < 20 * few, "{few:?}, {many:?}");
}

/// Rows that a caller keeps are counted for what they are, not for the batch that they were cut from.
#[test]
fn rows_of_batches_that_were_cut_are_counted_once() {
    let (_db, conn) = small();
    conn.execute_batch(
        "CREATE TABLE t AS SELECT n, repeat('y', 900) AS v FROM generate_series(1, 4000) AS g (n)",
    )
    .unwrap();
    let sql = "SELECT v, CASE WHEN n = 1 THEN repeat('x', 5000000) ELSE v || 'y' END FROM t";
    let found = conn.run(sql, []).unwrap();
    assert_eq!(found.rows.unwrap().len(), 4000);
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
        "SELECT n % 100, length(string_agg(repeat(n::text, 100000), '')) FROM generate_series(1, 4000) AS g (n) GROUP BY 1",
        "SELECT length(jsonb_pretty((repeat('[', 7000) || repeat('1,', 20000) || '1' || repeat(']', 7000))::jsonb))",
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
