//! Functions of the host: what they are given, what they give, and what becomes of their failures.

use super::connect;
use crate::{
    AggregateFunction, Connection, DataType, Error, FunctionContext, FunctionFlags, Result, Value,
};
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, Int32Array};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const INT: DataType = DataType::Integer;
const NONE: FunctionFlags = FunctionFlags::NONE;

fn one<T: crate::FromSql>(conn: &Connection, sql: &str) -> Result<T> {
    conn.query_row(sql, [], |row| row.get(0))
}

fn error(conn: &Connection, sql: &str) -> (&'static str, String) {
    let error = one::<Value>(conn, sql).unwrap_err();
    (error.sqlstate(), error.message().to_owned())
}

/// A closure over values and one over batches of the same meaning.
fn both(conn: &Connection, flags: FunctionFlags) {
    conn.create_scalar_function("by_value", &[INT, INT], INT, flags, |context| {
        let (a, b) = (
            context.get::<Option<i32>>(0)?,
            context.get::<Option<i32>>(1)?,
        );
        Ok(a.unwrap_or(100).wrapping_add(b.unwrap_or(1000)))
    })
    .unwrap();
    conn.create_batch_function("by_batch", &[INT, INT], INT, flags, |arrays, rows| {
        let (a, b) = (
            arrays[0].as_primitive::<Int32Type>(),
            arrays[1].as_primitive::<Int32Type>(),
        );
        let value = |array: &Int32Array, row: usize, otherwise: i32| match array.is_null(row) {
            true => otherwise,
            false => array.value(row),
        };
        let sums = (0..rows).map(|row| value(a, row, 100).wrapping_add(value(b, row, 1000)));
        Ok(Arc::new(sums.collect::<Int32Array>()) as ArrayRef)
    })
    .unwrap();
}

#[test]
fn values_and_batches_give_the_same_wherever_a_call_stands() {
    for flags in [NONE, FunctionFlags::STRICT, FunctionFlags::DETERMINISTIC] {
        let conn = connect();
        both(&conn, flags);
        conn.execute_batch(
            "CREATE TABLE t (k INT PRIMARY KEY, a INT, b INT);
             INSERT INTO t SELECT n, n % 7, NULLIF(n % 3, 0) FROM generate_series(1, 5000) n",
        )
        .unwrap();
        for sql in [
            "SELECT F(1, 2)",
            "SELECT F(NULL, 2)",
            "SELECT F(a, b) FROM t WHERE k = 3",
            "SELECT sum(F(a, b)) FROM t",
            "SELECT count(*) FROM t WHERE F(a, 1) > 4",
            "SELECT count(*) FROM t x JOIN t y ON x.k = F(y.k, 1)",
            "SELECT string_agg(v::text, ',' ORDER BY v) FROM (SELECT DISTINCT F(b, b) v FROM t) s",
            "SELECT CASE WHEN k > 2 THEN F(k, k) END FROM t ORDER BY F(k, -k), k LIMIT 1",
        ] {
            let by_value: Value = one(&conn, &sql.replace("F(", "by_value(")).unwrap();
            let by_batch: Value = one(&conn, &sql.replace("F(", "by_batch(")).unwrap();
            assert_eq!(by_value, by_batch, "{sql} {flags:?}");
        }
        let null = one::<Option<i32>>(&conn, "SELECT by_value(NULL, 2)").unwrap();
        let expected = (flags != FunctionFlags::STRICT).then_some(102);
        assert_eq!(null, expected, "{flags:?}");
    }
}

#[test]
fn arguments_and_results_are_of_the_declared_types() {
    let conn = connect();
    let double = DataType::Double;
    conn.create_scalar_function("half", &[double], double, NONE, |context| {
        Ok(context.get::<f64>(0)? / 2.0)
    })
    .unwrap();
    // An integer literal is cast, a quoted one is read as the type.
    assert_eq!(one::<f64>(&conn, "SELECT half(3)").unwrap(), 1.5);
    assert_eq!(one::<f64>(&conn, "SELECT half('5')").unwrap(), 2.5);
    let (sqlstate, message) = error(&conn, "SELECT half(true)");
    assert_eq!(
        (sqlstate, &*message),
        ("42883", "function half(boolean) does not exist")
    );
    // An overload is chosen by types.
    conn.create_scalar_function("half", &[DataType::Text], DataType::Text, NONE, |context| {
        let text: String = context.get(0)?;
        Ok(text[..text.len() / 2].to_owned())
    })
    .unwrap();
    assert_eq!(
        one::<String>(&conn, "SELECT half('abcd'::text)").unwrap(),
        "ab"
    );
    assert_eq!(one::<f64>(&conn, "SELECT half(3)").unwrap(), 1.5);
    // What is wider is narrowed, what does not fit is told.
    conn.create_scalar_function("wide", &[], INT, NONE, |_| Ok(7_i64))
        .unwrap();
    assert_eq!(one::<i32>(&conn, "SELECT wide()").unwrap(), 7);
    conn.create_scalar_function("wide", &[], INT, NONE, |_| Ok(i64::MAX))
        .unwrap();
    assert_eq!(error(&conn, "SELECT wide()").0, "22003");
    conn.create_scalar_function("odd", &[], INT, NONE, |_| Ok("seven"))
        .unwrap();
    assert_eq!(error(&conn, "SELECT odd()").0, "38000");
    conn.create_batch_function("short", &[INT], INT, NONE, |_, rows| {
        Ok(Arc::new(Int32Array::from(vec![1; rows + 1])) as ArrayRef)
    })
    .unwrap();
    assert_eq!(error(&conn, "SELECT short(1)").0, "38000");
    let odd = conn.create_scalar_function("x", &[DataType::Char(3)], INT, NONE, |_| Ok(1));
    assert_eq!(odd.unwrap_err().sqlstate(), "42P13");
}

#[test]
fn failures_and_panics_are_errors_of_the_statement_only() {
    let conn = connect();
    conn.execute_batch("CREATE TABLE t (a INT); INSERT INTO t VALUES (1), (2), (3)")
        .unwrap();
    conn.create_scalar_function("picky", &[INT], INT, NONE, |context| {
        match context.get::<i32>(0)? {
            2 => Err(Error::new("P0001", "not two")),
            3 => panic!("three of {}", 3),
            n => Ok(n),
        }
    })
    .unwrap();
    assert_eq!(
        error(&conn, "SELECT picky(2)"),
        ("P0001", "not two".to_owned())
    );
    let said = "function picky panicked: three of 3".to_owned();
    assert_eq!(
        error(&conn, "SELECT sum(picky(a)) FROM t WHERE a <> 2"),
        ("38000", said)
    );
    assert_eq!(error(&conn, "SELECT picky(NULL)").0, "22004");
    // Nothing is left of a change that failed, and the connection goes on.
    assert!(conn.execute("UPDATE t SET a = picky(a) + 10", []).is_err());
    assert_eq!(one::<i64>(&conn, "SELECT sum(a) FROM t").unwrap(), 6);
    // A call from within cannot use the connection that calls.
    assert_eq!(one::<i32>(&conn, "SELECT picky(1)").unwrap(), 1);
}

#[test]
fn the_deterministic_are_called_once_for_constants_and_others_for_each_row() {
    for (flags, expected) in [(FunctionFlags::DETERMINISTIC, 1), (NONE, 100)] {
        let conn = connect();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        conn.create_scalar_function("f", &[INT], INT, flags, move |context| {
            counted.fetch_add(1, Relaxed);
            context.get::<i32>(0)
        })
        .unwrap();
        let sum: i64 = one(&conn, "SELECT sum(f(1)) FROM generate_series(1, 100)").unwrap();
        assert_eq!((sum, calls.load(Relaxed)), (100, expected));
    }
}

#[test]
fn what_is_prepared_meets_the_function_that_is_there_now() {
    let conn = connect();
    conn.create_scalar_function("release", &[], INT, NONE, |_| Ok(1))
        .unwrap();
    let mut statement = conn.prepare("SELECT release()").unwrap();
    let mut ask = || statement.query_row([], |row| row.get::<_, i32>(0));
    assert_eq!(ask().unwrap(), 1);
    conn.create_scalar_function("Release", &[], INT, NONE, |_| Ok(2))
        .unwrap();
    assert_eq!(ask().unwrap(), 2);
    conn.remove_function("release", &[]).unwrap();
    assert_eq!(ask().unwrap_err().sqlstate(), "42883");
}

#[test]
fn a_statement_in_a_closure_over_values_can_be_stopped() {
    let conn = connect();
    let handle = conn.interrupt_handle();
    conn.create_scalar_function("stop", &[INT], INT, NONE, move |context| {
        let n: i32 = context.get(0)?;
        if n == 10 {
            handle.interrupt();
        }
        Ok(n)
    })
    .unwrap();
    let sql = "SELECT count(stop(n)) FROM generate_series(1, 1000000) n";
    assert_eq!(error(&conn, sql).0, "57014");
}

#[test]
fn what_every_writer_needs_cannot_call_them_and_views_can() {
    let conn = connect();
    conn.create_scalar_function("mine", &[INT], INT, NONE, |context| {
        Ok(context.get::<i32>(0)? * 2)
    })
    .unwrap();
    let refused = conn.execute("CREATE TABLE t (a INT CHECK (mine(a) > 0))", []);
    assert_eq!(refused.unwrap_err().sqlstate(), "42883");
    conn.execute_batch(
        "CREATE TABLE t (a INT); INSERT INTO t VALUES (4);
         CREATE VIEW v AS SELECT mine(a) AS m FROM t;
         CREATE FUNCTION twice(x INT) RETURNS INT LANGUAGE SQL AS 'SELECT mine(x)'",
    )
    .unwrap();
    assert_eq!(one::<i32>(&conn, "SELECT m + twice(1) FROM v").unwrap(), 10);
}

/// The product of all, and how many there were.
struct Product;

impl AggregateFunction<(i64, usize), i64> for Product {
    fn init(&self) -> Result<(i64, usize)> {
        Ok((1, 0))
    }

    fn step(&self, context: &FunctionContext<'_>, state: &mut (i64, usize)) -> Result<()> {
        let factor: i64 = context.get(0)?;
        if factor == 13 {
            panic!("thirteen");
        }
        *state = (state.0.wrapping_mul(factor), state.1 + 1);
        Ok(())
    }

    fn finalize(&self, state: Option<(i64, usize)>) -> Result<i64> {
        Ok(state.map_or(-1, |(product, _)| product))
    }
}

#[test]
fn an_aggregate_of_the_host_stands_wherever_one_can() {
    let conn = connect();
    let bigint = DataType::BigInt;
    conn.create_aggregate_function("product", &[bigint], bigint, Product)
        .unwrap();
    conn.execute_batch("CREATE TABLE t (k INT, v INT); INSERT INTO t VALUES (1, 2), (1, 3), (2, 5), (2, NULL), (3, NULL)")
        .unwrap();
    assert_eq!(one::<i64>(&conn, "SELECT product(v) FROM t").unwrap(), 30);
    assert_eq!(
        one::<i64>(&conn, "SELECT product(v) FROM t WHERE k > 9").unwrap(),
        -1
    );
    assert_eq!(
        one::<i64>(&conn, "SELECT product(DISTINCT v % 2) FROM t WHERE k = 1").unwrap(),
        0
    );
    assert_eq!(
        one::<i64>(&conn, "SELECT product(v) FILTER (WHERE v > 2) FROM t").unwrap(),
        15
    );
    let groups = "SELECT string_agg(p::text, ',' ORDER BY k) FROM (SELECT k, product(v) p FROM t GROUP BY k) s";
    assert_eq!(one::<String>(&conn, groups).unwrap(), "6,5,-1");
    let frames = "SELECT string_agg(p::text, ',' ORDER BY v) FROM (SELECT v, product(v) OVER \
                  (ORDER BY v ROWS 1 PRECEDING) p FROM t WHERE v IS NOT NULL) s";
    assert_eq!(one::<String>(&conn, frames).unwrap(), "2,6,15");
    assert_eq!(error(&conn, "SELECT product('x'::text) FROM t").0, "42883");
    assert_eq!(
        error(&conn, "SELECT product(v + 11) FROM t"),
        ("38000", "function product panicked: thirteen".into())
    );
    assert_eq!(one::<i64>(&conn, "SELECT product(v) FROM t").unwrap(), 30);
    let taken = conn.create_aggregate_function("sum", &[bigint], bigint, Product);
    assert_eq!(taken.unwrap_err().sqlstate(), "42P13");
}
