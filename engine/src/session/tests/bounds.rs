//! Comparisons that storage tests give the rows that the evaluator gives.
//!
//! `coalesce(c, false)` is true just where `c` is, and is nothing that storage could take over.

use super::*;

/// A column's type, and values that are easily got wrong beside ordinary ones.
const COLUMNS: &[(&str, &[&str])] = &[
    ("BOOLEAN", &["true", "false"]),
    ("SMALLINT", &["-32768", "-1", "0", "7", "32767"]),
    ("INTEGER", &["-2147483648", "-1", "0", "7", "2147483647"]),
    (
        "BIGINT",
        &[
            "-9223372036854775808",
            "-1",
            "0",
            "7",
            "9223372036854775807",
        ],
    ),
    (
        "REAL",
        &["'NaN'", "'-Infinity'", "'-0'", "'0'", "'0.1'", "'Infinity'"],
    ),
    (
        "DOUBLE PRECISION",
        &[
            "'NaN'",
            "'-Infinity'",
            "'-0'",
            "'0'",
            "'-2.5'",
            "'Infinity'",
        ],
    ),
    (
        "NUMERIC",
        &[
            "'NaN'",
            "-1.50",
            "0",
            "1.5",
            "1.500",
            "12345678901234567890.1",
        ],
    ),
    ("NUMERIC(6,2)", &["'NaN'", "-1.5", "0", "1.50", "9999.99"]),
    (
        "TEXT",
        &[
            "''",
            "'a'",
            "'a '",
            "'ab'",
            "'a string of some length'",
            "'é'",
        ],
    ),
    (
        "VARCHAR(30)",
        &["''", "'a'", "'a '", "'ab'", "'a string of some length'"],
    ),
    ("CHAR(3)", &["''", "'a'", "'a '", "'ab'"]),
    ("BYTEA", &["'\\x'", "'\\x00'", "'\\x0001'", "'\\xff'"]),
    (
        "DATE",
        &["'-infinity'", "'1969-12-31'", "'2024-02-29'", "'infinity'"],
    ),
    ("TIME", &["'00:00'", "'12:30:00.000001'", "'24:00'"]),
    (
        "TIMESTAMP",
        &[
            "'-infinity'",
            "'1969-12-31 23:59:59'",
            "'2024-02-29'",
            "'infinity'",
        ],
    ),
    (
        "TIMESTAMPTZ",
        &["'-infinity'", "'1969-12-31 23:59:59Z'", "'2024-02-29Z'"],
    ),
    (
        "INTERVAL",
        &[
            "'-1 day'",
            "'0'",
            "'1 month'",
            "'30 days'",
            "'720 hours'",
            "'1 year'",
        ],
    ),
    (
        "UUID",
        &[
            "'00000000-0000-0000-0000-000000000000'",
            "'7f000000-0000-0000-0000-000000000001'",
            "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
        ],
    ),
];

/// The ids of the rows for which a condition is true.
fn ids(conn: &Connection, condition: &str) -> Vec<i64> {
    let sql = format!("SELECT id FROM t WHERE {condition}");
    let mut statement = conn.prepare(&sql).expect(&sql);
    let rows = statement.query_map([], |row| row.get(0)).expect(&sql);
    rows.collect::<Result<_>>().expect(&sql)
}

fn is_taken_over(conn: &Connection, condition: &str) -> bool {
    let sql = format!("EXPLAIN SELECT id FROM t WHERE {condition}");
    let mut statement = conn.prepare(&sql).expect(&sql);
    let lines = statement.query_map([], |row| row.get::<_, String>(0));
    let lines: Vec<String> = lines.expect(&sql).collect::<Result<_>>().expect(&sql);
    lines.iter().any(|line| line.contains("Bounds: "))
}

#[test]
fn bounds_are_exactly_the_comparisons_they_stand_for() {
    for (data_type, values) in COLUMNS {
        let db = Database::in_memory().unwrap();
        let (conn, report) = (db.connect().unwrap(), db.connect().unwrap());
        let create = format!("CREATE TABLE t (id BIGINT, v {data_type})");
        conn.execute(&create, []).expect(&create);
        let values_and_null: Vec<&str> = values.iter().chain(&["NULL"]).copied().collect();
        // More than the first block of a table takes: it can be frozen.
        for id in 0..100 {
            let value = values_and_null[id % values_and_null.len()];
            let insert = format!("INSERT INTO t VALUES ({id}, {value})");
            conn.execute(&insert, []).expect(&insert);
        }
        for state in ["hot", "frozen", "frozen and changed"] {
            if state == "frozen" {
                let (rows, _) = compact(&conn);
                assert!(rows >= 64, "a block is frozen");
            }
            if state == "frozen and changed" {
                report
                    .execute_batch("BEGIN; SELECT count(*) FROM t")
                    .unwrap();
                let changed = conn.execute("UPDATE t SET id = id WHERE id % 3 = 0", []);
                assert_eq!(changed.unwrap(), 34);
            }
            let mut taken_over = 0;
            for condition in conditions(values) {
                let evaluated = format!("coalesce({condition}, false)");
                let place = format!("{data_type}, {state}: {condition}");
                assert_eq!(ids(&conn, &condition), ids(&conn, &evaluated), "{place}");
                assert_eq!(
                    folds(&conn, data_type, &condition),
                    folds(&conn, data_type, &evaluated),
                    "{place}"
                );
                taken_over += usize::from(is_taken_over(&conn, &condition));
            }
            let all = values.len() * (7 + values.len());
            let expected = if *data_type == "CHAR(3)" { 0 } else { all };
            assert_eq!(taken_over, expected, "{data_type}");
        }
    }
}

/// What COMPACT says: rows and bytes.
fn compact(conn: &Connection) -> (i64, i64) {
    let both = conn.query_row("COMPACT", [], |row| Ok((row.get(0)?, row.get(1)?)));
    both.expect("there is memory")
}

/// Comparisons of `v` with these values and pairs of them.
fn conditions(values: &[&str]) -> Vec<String> {
    let of = |a: &&str| {
        let single = ["=", "<", "<=", ">", ">="].map(|op| format!("v {op} {a}"));
        let turned = ["<", ">="].map(|op| format!("{a} {op} v"));
        let double = (values.iter()).map(|b| format!("v BETWEEN {a} AND {b} AND v <> {a}"));
        let all = single.into_iter().chain(turned).chain(double);
        all.collect::<Vec<_>>()
    };
    values.iter().flat_map(of).collect()
}

/// Aggregates of the rows for which a condition is true, as text: where it is all that is asked of the
/// rows they are folded in storage, elsewhere over batches.
fn folds(conn: &Connection, data_type: &str, condition: &str) -> Vec<Option<String>> {
    let aggregates: &[&str] = match data_type {
        "BOOLEAN" => &["bool_and(v)", "bool_or(v)"],
        "BYTEA" | "UUID" => &[],
        "TIME" | "DATE" | "TIMESTAMP" | "TIMESTAMPTZ" | "TEXT" | "CHAR(3)" | "VARCHAR(30)" => {
            &["min(v)", "max(v)"]
        }
        "INTERVAL" => &["min(v)", "max(v)", "sum(v)"],
        _ => &["min(v)", "max(v)", "sum(v)", "avg(v)", "var_pop(id)"],
    };
    let counts = ["count(*)", "count(v)", "sum(id)"].into_iter();
    let lists = counts.chain(aggregates.iter().copied());
    let one = |aggregate: &str| {
        let sql = format!("SELECT CAST({aggregate} AS TEXT) FROM t WHERE {condition}");
        match conn.query_row(&sql, [], |row| row.get::<_, Option<String>>(0)) {
            Ok(text) => text,
            // A sum may be too large: then both ways say so.
            Err(error) => Some(error.sqlstate().to_owned()),
        }
    };
    lists.map(one).collect()
}

/// In order these overflow, as they do in PostgreSQL. Added up in another order they would not.
#[test]
fn a_sum_overflows_wherever_its_rows_lie() {
    let conn = connect();
    conn.execute_batch("CREATE TABLE t (id BIGINT, v DOUBLE PRECISION)")
        .unwrap();
    for id in 0..64 {
        let value = match id {
            0 | 1 => "1e308",
            8 | 9 => "-1e308",
            _ => "0",
        };
        let insert = format!("INSERT INTO t VALUES ({id}, {value})");
        conn.execute(&insert, []).expect(&insert);
    }
    for _ in 0..2 {
        for condition in ["v < 1.5e308", "coalesce(v < 1.5e308, false)"] {
            let sql = format!("SELECT sum(v) FROM t WHERE {condition}");
            let sum = conn.query_row(&sql, [], |row| row.get::<_, f64>(0));
            assert_eq!(sum.unwrap_err().sqlstate(), "22003", "{sql}");
        }
        compact(&conn);
    }
}

#[test]
fn a_bound_may_be_a_parameter_and_then_null() {
    let conn = connect();
    conn.execute_batch("CREATE TABLE t (k INT); INSERT INTO t VALUES (1), (2), (NULL), (4)")
        .unwrap();
    let mut statement = conn
        .prepare("SELECT count(*) FROM t WHERE k >= $1 AND k < $2")
        .unwrap();
    let mut count = |low: Option<i32>, high: Option<i32>| {
        let count = statement.query_row(params![low, high], |row| row.get::<_, i64>(0));
        count.unwrap()
    };
    assert_eq!(count(Some(2), Some(9)), 2);
    assert_eq!(count(Some(2), Some(4)), 1);
    assert_eq!(count(Some(4), Some(2)), 0);
    assert_eq!(count(None, Some(4)), 0);
    assert_eq!(count(Some(1), None), 0);
}

/// A changed row is found by what it is now, whichever way its version is kept.
#[test]
fn bounds_look_at_the_version_that_the_statement_sees() {
    let conn = connect();
    conn.execute_batch(
        "CREATE TABLE t (id BIGINT, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b')",
    )
    .unwrap();
    conn.execute_batch("BEGIN; UPDATE t SET v = 'a string of some length' WHERE v = 'a'")
        .unwrap();
    assert_eq!(ids(&conn, "v = 'a'"), [] as [i64; 0]);
    assert_eq!(ids(&conn, "v > 'a string' AND v < 'b'"), [1]);
    conn.execute_batch("DELETE FROM t WHERE v = 'b'").unwrap();
    assert_eq!(ids(&conn, "v >= 'b'"), [] as [i64; 0]);
    conn.execute_batch("ROLLBACK").unwrap();
    assert_eq!(ids(&conn, "v >= 'a'"), [1, 2]);
}
