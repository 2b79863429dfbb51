//! Rust values into a table and out again.

use super::connect;
use crate::{FromSql, ToSql};
use proptest::prelude::*;
use std::fmt::Debug;

/// Sends a value through a column of the type.
fn round_trip<T: ToSql + FromSql + PartialEq + Debug>(column: &str, values: &[T]) {
    let conn = connect();
    conn.execute(
        &format!("CREATE TABLE t (k INT PRIMARY KEY, v {column})"),
        [],
    )
    .unwrap();
    let mut insert = conn.prepare("INSERT INTO t VALUES (?, ?)").unwrap();
    let mut select = conn.prepare("SELECT v FROM t WHERE k = ?").unwrap();
    for (k, value) in (0_i32..).zip(values) {
        insert.execute((k, value)).unwrap();
        let back: T = select.query_row([k], |row| row.get(0)).unwrap();
        assert_eq!(&back, value);
    }
    // And as a batch.
    let mut all = conn.prepare("SELECT v FROM t ORDER BY k").unwrap();
    let all = all.query_map([], |row| row.get(0)).unwrap();
    let all: Vec<T> = all.collect::<crate::Result<_>>().unwrap();
    assert_eq!(all, values);
}

#[test]
fn lists_are_arrays() {
    round_trip("INTEGER[]", &[vec![], vec![1, i32::MIN, i32::MAX]]);
    round_trip("BIGINT[]", &[vec![Some(1_i64), None], vec![]]);
    round_trip("DOUBLE PRECISION[]", &[vec![0.5, -0.25, f64::INFINITY]]);
    round_trip(
        "TEXT[]",
        &[vec!["a,b".to_owned(), String::new(), "{\"}\\".to_owned()]],
    );
    round_trip("BYTEA[]", &[vec![vec![0_u8, 255], vec![]]]);
    let conn = connect();
    let count = |list: &[i64]| -> i64 {
        let query = "SELECT count(*) FROM generate_series(1, 9) g WHERE g = ANY ($1)";
        conn.query_row(query, [list], |row| row.get(0)).unwrap()
    };
    assert_eq!(count(&[1, 3, 3, 12]), 2);
    assert_eq!(count(&[]), 0);
}

#[test]
fn documents_are_texts() {
    let text = |text: &str| text.to_owned();
    round_trip("JSON", &[text("{\"a\":  1}"), text("[]"), text("null")]);
    round_trip(
        "JSONB",
        &[text("{\"a\": [1, true, null]}"), text("[]"), text("\"é\"")],
    );
}

#[test]
fn edges_survive() {
    round_trip("BOOLEAN", &[true, false]);
    round_trip("SMALLINT", &[i16::MIN, -1, 0, i16::MAX]);
    round_trip("SMALLINT", &[i8::MIN, i8::MAX]);
    round_trip("INTEGER", &[i32::MIN, i32::MAX]);
    round_trip("BIGINT", &[u32::MIN, u32::MAX]);
    round_trip("REAL", &[f32::MIN_POSITIVE, f32::MAX, f32::INFINITY, -0.5]);
    round_trip(
        "DOUBLE PRECISION",
        &[f64::MIN_POSITIVE, f64::MAX, f64::NEG_INFINITY],
    );
    round_trip("UUID", &[[0_u8; 16], [255; 16]]);
    round_trip(
        "TEXT",
        &[None, Some(String::new()), Some("\u{1F41F}".to_owned())],
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn anything_comes_back(
        whole in proptest::collection::vec(any::<i64>(), 1..20),
        double in proptest::collection::vec(any::<f64>(), 1..20),
        text in proptest::collection::vec("[^\0]{0,40}", 1..20),
        bytes in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..20),
    ) {
        round_trip("BIGINT", &whole);
        round_trip("DOUBLE PRECISION", &double);
        round_trip("TEXT", &text);
        round_trip("BYTEA", &bytes);
    }
}
