//! A read by key allocates nothing, once it has run a few times.

use allocation_counter::measure;
use remora::{Connection, Database};

fn filled() -> remora::Result<Connection> {
    let conn = Database::in_memory()?.connect()?;
    conn.execute_batch(
        "CREATE TABLE t (k BIGINT PRIMARY KEY, v BIGINT, name TEXT);
         CREATE INDEX by_name ON t (name);
         INSERT INTO t SELECT g, g * 10, 'a name that is not short: ' || g FROM generate_series(1, 1000) g",
    )?;
    Ok(conn)
}

/// The allocations of a hundred calls that follow a hundred others.
fn allocations(mut call: impl FnMut(i64)) -> u64 {
    (1..=100).for_each(&mut call);
    measure(|| (101..=200).for_each(&mut call)).count_total
}

#[test]
fn prepared_reads_allocate_nothing() {
    let conn = filled().unwrap();
    let mut by_key = conn.prepare("SELECT v, name FROM t WHERE k = $1").unwrap();
    let count = allocations(|key| {
        let length = by_key.query_row([key], |row| {
            assert_eq!(row.get::<_, i64>(0)?, key * 10);
            Ok(row.get_ref(1)?.is_null())
        });
        assert!(!length.unwrap());
    });
    assert_eq!(count, 0);
    let mut by_name = conn.prepare("SELECT k FROM t WHERE name = $1").unwrap();
    let names: Vec<String> = (0..=200)
        .map(|key| format!("a name that is not short: {key}"))
        .collect();
    let count = allocations(|key| {
        let found = by_name.query_row([&names[key as usize]], |row| row.get::<_, i64>(0));
        assert_eq!(found.unwrap(), key);
    });
    assert_eq!(count, 0);
}

#[test]
fn reads_of_a_text_allocate_nothing() {
    let conn = filled().unwrap();
    let count = allocations(|key| {
        let v = conn.query_row("SELECT v FROM t WHERE k = $1", [key], |row| {
            row.get::<_, i64>(0)
        });
        assert_eq!(v.unwrap(), key * 10);
    });
    assert_eq!(count, 0);
}

/// A row and a parameter of a megabyte are not kept by the connection.
#[test]
fn large_values_are_let_go() {
    let conn = filled().unwrap();
    let large = "x".repeat(1 << 20);
    conn.execute("DROP INDEX by_name", []).unwrap();
    conn.execute("UPDATE t SET name = $1 WHERE k <= 9", [&large])
        .unwrap();
    let kept = measure(|| {
        for key in 1..=9_i64 {
            let sql = "SELECT count(*) FROM t WHERE name = $1";
            let count = conn.query_row(sql, [&large], |row| row.get::<_, i64>(0));
            assert_eq!(count.unwrap(), 9);
            let sql = "SELECT name FROM t WHERE k = $1";
            let is_it = conn.query_row(sql, [key], |row| {
                Ok(row.get_ref(0)? == remora::ValueRef::Text(&large))
            });
            assert!(is_it.unwrap());
        }
    });
    assert!(kept.bytes_current < 1 << 20, "{}", kept.bytes_current);
}

/// The counter counts: what is prepared anew is allocated.
#[test]
fn a_statement_that_is_prepared_allocates() {
    let conn = filled().unwrap();
    let count = allocations(|key| {
        let sql = format!("SELECT v FROM t WHERE k = {key}");
        assert!(conn.prepare(&sql).unwrap().exists([]).unwrap());
    });
    assert!(count >= 100, "{count}");
}
