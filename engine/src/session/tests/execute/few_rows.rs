//! Ranges and lists of keys: few rows are given by a short way, as they are by the general one.

use super::*;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Rows with all that an index can meet: versions, deleted rows and rows that changed their key, NULLs, texts of any length.
const SCHEMA: &str = "
    CREATE TABLE t (id BIGINT PRIMARY KEY, n INT, g SMALLINT, s TEXT, d DATE);
    CREATE INDEX t_n ON t (n DESC); CREATE INDEX t_gs ON t (g, s); CREATE INDEX t_d ON t (d);
    CREATE UNIQUE INDEX t_s ON t (s);
    ALTER TABLE t ADD f INT; CREATE INDEX t_f ON t (f NULLS FIRST);
    INSERT INTO t SELECT i, CASE WHEN i % 7 <> 0 THEN i * 3 % 500 END, i % 20,
        CASE WHEN i % 5 <> 0 THEN repeat('x', i % 30) || i END, DATE '2024-01-01' + i
      FROM generate_series(1, 2000) AS r(i);";

/// Some of the rows change.
const CHANGES: &str = "
    DELETE FROM t WHERE id % 11 = 0;
    UPDATE t SET n = n + 1, s = s || 'y' WHERE id % 3 = 0;
    INSERT INTO t SELECT i, i % 40, i % 20, 'again ' || i, NULL FROM generate_series(11, 2000, 22) AS r(i)";

/// Queries with two integers, and whether they can go the short way.
const QUERIES: &[(&str, bool)] = &[
    (
        "SELECT id, n, s FROM t WHERE id >= $1 AND id < $2 ORDER BY id",
        true,
    ),
    (
        "SELECT s FROM t WHERE id > $1 AND id <= $2 ORDER BY id DESC",
        true,
    ),
    ("SELECT * FROM t WHERE id BETWEEN $1 AND $2", true),
    (
        "SELECT s, id FROM t WHERE id >= $1 ORDER BY id LIMIT $2",
        true,
    ),
    (
        "SELECT id FROM t WHERE id <= $1 ORDER BY id DESC LIMIT ($2::bigint % 10)",
        false,
    ),
    (
        "SELECT id, d FROM t WHERE n >= $1 AND n < $2 ORDER BY n",
        true,
    ),
    (
        "SELECT id, d FROM t WHERE n > $1 AND n < $2 ORDER BY n DESC",
        true,
    ),
    (
        "SELECT n, id FROM t WHERE n >= $1 ORDER BY n DESC LIMIT 3",
        true,
    ),
    ("SELECT id FROM t WHERE n = $1 OR n = $2", true),
    ("SELECT id, s FROM t WHERE id IN ($1, $2, 7, $1)", true),
    (
        "SELECT id, s FROM t WHERE id = ANY (ARRAY[$1, $2, 8, NULL])",
        true,
    ),
    ("SELECT id FROM t WHERE g = 5 AND s IS NULL", true),
    ("SELECT id FROM t WHERE f < $1 AND f < $2", false),
    ("SELECT count(*) FROM t WHERE id >= $1 AND id < $2", true),
    ("SELECT count(*) AS n FROM t WHERE id IN ($1, $2)", true),
    ("SELECT count(*) FROM t WHERE n = $1", true),
    ("SELECT count(*) + 1 FROM t WHERE id > $1", false),
    ("SELECT count(n) FROM t WHERE id BETWEEN $1 AND $2", false),
    ("SELECT count(*), $1 FROM t WHERE id = $2", false),
    (
        "SELECT id FROM t WHERE g = 3 AND s >= 'x' AND s < 'xxx' AND $1 < $2",
        false,
    ),
    ("SELECT s FROM t WHERE g = 3 AND s > 'x'", true),
    ("SELECT id + 1 FROM t WHERE id BETWEEN $1 AND $2", false),
    (
        "SELECT id FROM t WHERE id BETWEEN $1 AND $2 AND g < 10",
        false,
    ),
    (
        "SELECT id FROM t WHERE id >= $1 ORDER BY id LIMIT 5 OFFSET 2",
        false,
    ),
];

/// The rows of a query on the one way or the other.
fn rows(conn: &Connection, short: bool, sql: &str, given: &[i64]) -> Result<Vec<String>> {
    let optimize = if short { "on" } else { "without_point_reads" };
    conn.execute(&format!("SET optimize = '{optimize}'"), [])?;
    let mut statement = conn.prepare(sql)?;
    let given = &given[..statement.parameter_count()];
    let shown = |row: &crate::Row<'_>| {
        let values: Vec<_> = row.values().map(|value| format!("{value:?}")).collect();
        Ok(values.join(" "))
    };
    let mut rows = Vec::new();
    // The first statement of a block goes the general way.
    for _ in 0..2 {
        let found = statement.query_map(crate::params_from_iter(given), shown)?;
        rows = found.collect::<Result<_>>()?;
    }
    Ok(rows)
}

#[test]
fn few_rows_are_those_that_the_general_way_gives() {
    let conn = connect();
    conn.execute_batch(SCHEMA).unwrap();
    for state in [
        "as inserted",
        "with versions",
        "frozen",
        "frozen and changed",
    ] {
        match state {
            "as inserted" => {}
            "frozen" => drop(conn.execute("COMPACT", []).unwrap()),
            _ => conn.execute_batch(CHANGES).unwrap(),
        }
        compare(&conn, state);
        conn.execute_batch(
            "BEGIN; DELETE FROM t WHERE id % 13 = 1; UPDATE t SET n = -5 WHERE id % 50 = 2",
        )
        .unwrap();
        compare(&conn, state);
        conn.execute("ROLLBACK", []).unwrap();
    }
}

fn compare(conn: &Connection, state: &str) {
    for (sql, is_short) in QUERIES {
        conn.execute("SET optimize = 'on'", []).unwrap();
        assert_eq!(
            conn.prepare(sql).unwrap().is_read_by_key(),
            *is_short,
            "{sql}"
        );
        for given in [
            [1, 2],
            [7, 7],
            [0, 100],
            [1990, 3000],
            [30, 20],
            [100, 228],
            [100, 229],
            [1, 2000],
            [-5, 0],
        ] {
            let (short, general) = (
                rows(conn, true, sql, &given).unwrap(),
                rows(conn, false, sql, &given).unwrap(),
            );
            assert_eq!(short, general, "{state}: {sql} of {given:?}");
        }
    }
}

/// NULL is a key of no row, an end of no range, and no limit.
#[test]
fn nulls_among_the_keys_find_nothing() {
    let conn = connect();
    conn.execute_batch(SCHEMA).unwrap();
    for (sql, expected) in [
        ("SELECT id FROM t WHERE id > $1 AND id < 50", 0),
        ("SELECT id FROM t WHERE n < $1", 0),
        ("SELECT id FROM t WHERE n > $1", 0),
        ("SELECT id FROM t WHERE n BETWEEN $1 AND 5", 0),
        ("SELECT id FROM t WHERE s <= $1", 0),
        ("SELECT id FROM t WHERE g = 5 AND s > $1", 0),
        ("SELECT id FROM t WHERE f > $1", 0),
        ("SELECT id FROM t WHERE id IN (1, $1, 2)", 2),
        ("SELECT id FROM t WHERE id = ANY ($1::bigint[])", 0),
        ("SELECT id FROM t WHERE id > 1 ORDER BY id LIMIT $1", 1999),
    ] {
        let mut statement = conn.prepare(sql).unwrap();
        for _ in 0..2 {
            let rows = statement.query_map([None::<i64>], |_| Ok(())).unwrap();
            assert_eq!(rows.count(), expected, "{sql}");
        }
    }
    let mut limited = conn
        .prepare("SELECT id FROM t WHERE id > 1 ORDER BY id LIMIT $1")
        .unwrap();
    for _ in 0..2 {
        assert_eq!(limited.query_map([0_i64], |_| Ok(())).unwrap().count(), 0);
        assert_eq!(state(limited.exists([-1_i64])), "2201W");
    }
}

/// Rows in their places: what one call has left there is not seen by the next, whatever its width.
#[test]
fn places_are_used_again() {
    let conn = connect();
    conn.execute_batch(SCHEMA).unwrap();
    let mut many = conn
        .prepare("SELECT s, n, id FROM t WHERE id BETWEEN $1 AND $2")
        .unwrap();
    for count in [100, 1, 0, 30, 128, 129, 2] {
        let rows = many.query_map([11, 10 + count], |row| {
            Ok((row.get::<_, Option<String>>(0)?, row.get::<_, i64>(2)?))
        });
        let rows: Vec<_> = rows.unwrap().map(|row| row.unwrap()).collect();
        let expected = (11..11 + count).map(|id| {
            let text = (id % 5 != 0).then(|| "x".repeat(id as usize % 30) + &id.to_string());
            (text, id)
        });
        assert_eq!(rows, expected.collect::<Vec<_>>());
        // The first of them, and whether there is one.
        let first = many.query_row([11, 10 + count], |row| row.get::<_, i64>(2));
        assert_eq!(first.ok(), (count > 0).then_some(11));
        assert_eq!(many.exists([11, 10 + count]).unwrap(), count > 0);
    }
    let mut none = conn
        .prepare("SELECT FROM t WHERE id BETWEEN $1 AND $2")
        .unwrap();
    assert_eq!(none.query_map([1_i64, 20], |_| Ok(())).unwrap().count(), 20);
}

/// Texts that are too long to be gathered unasked come by the general way, which accounts for them.
#[test]
fn long_texts_are_not_gathered() {
    let conn = connect();
    conn.execute_batch(
        "CREATE TABLE t (id BIGINT PRIMARY KEY, s TEXT);
         INSERT INTO t SELECT g, repeat('x', g * 1000) FROM generate_series(1, 60) g",
    )
    .unwrap();
    let mut statement = conn.prepare("SELECT s, id FROM t WHERE id >= $1").unwrap();
    for from in [60, 1, 59, 58] {
        let rows = statement.query_map([from], |row| Ok(row.get::<_, String>(0)?.len()));
        let rows: Vec<_> = rows.unwrap().map(|row| row.unwrap()).collect();
        let expected = (from as usize..=60).map(|id| id * 1000);
        assert_eq!(rows, expected.collect::<Vec<_>>());
    }
}

/// An array is a list of keys: of any values, known or given, for queries and changes.
#[test]
fn an_element_of_an_array_is_found_by_an_index() {
    let conn = connect();
    conn.execute_batch(SCHEMA).unwrap();
    for (condition, expected) in [
        ("id = ANY ('{1, 2, 2, 99999}')", 2),
        ("id = ANY (ARRAY[1, 2, NULL])", 2),
        ("id = ANY (ARRAY(SELECT generate_series(1, 5)::bigint))", 5),
        ("id = ANY ('{{1, 2}, {3, 4}}')", 4),
        ("id = ANY (ARRAY(SELECT id FROM t ORDER BY id DESC))", 2000),
        (
            "id = ANY (ARRAY(SELECT i % 17 FROM generate_series(1, 17) i))",
            16,
        ),
        ("id = ANY ('{}'::bigint[])", 0),
        ("id = ANY (NULL::bigint[])", 0),
        ("n = ANY ('{3, 6}'::int[]) AND id < 500", 2),
        ("s = ANY (string_to_array('x1 xx2', ' '))", 2),
        ("g = ANY ('{3}'::smallint[])", 100),
    ] {
        let plan = conn.run(&format!("EXPLAIN SELECT id FROM t WHERE {condition}"), []);
        let plan = format!("{:?}", plan.unwrap().rows);
        let sql = format!("SELECT count(*) FROM t WHERE {condition}");
        assert_eq!(number(&conn, &sql), expected, "{condition}");
        if !condition.contains("SELECT") && !condition.starts_with('g') {
            assert!(plan.contains("Index Scan"), "{plan}");
        }
    }
    let changed = conn.execute(
        "UPDATE t SET n = 0 WHERE id = ANY ('{1, 2, 3}'::bigint[])",
        [],
    );
    assert_eq!(changed.unwrap(), 3);
    let deleted = conn.execute("DELETE FROM t WHERE id = ANY ('{1, 2, 3}')", []);
    assert_eq!(deleted.unwrap(), 3);
}

/// An array may have any number of elements, which come again or not; the general way takes over where they are many.
#[test]
fn arrays_of_any_length_are_lists_of_keys() {
    let conn = connect();
    conn.execute_batch(SCHEMA).unwrap();
    let mut statement = conn
        .prepare("SELECT id FROM t WHERE id = ANY ($1)")
        .unwrap();
    assert!(statement.is_read_by_key());
    for count in [1_i64, 128, 129, 0, 3, 2000, 100_000, 5, 64] {
        for _ in 0..20 {
            let keys: Vec<i64> = (1..=count).chain([1, count]).collect();
            let rows = statement.query_map([&keys], |row| row.get::<_, i64>(0));
            let mut rows: Vec<_> = rows.unwrap().map(|row| row.unwrap()).collect();
            rows.sort_unstable();
            assert!(rows.into_iter().eq(1..=count.clamp(1, 2000)), "{count}");
            if count > 2000 {
                break;
            }
        }
    }
}

/// Texts of another collation are compared as it says, be they in a list, in an array, or given.
#[test]
fn elements_are_compared_by_the_column_s_collation() {
    let conn = connect();
    conn.execute_batch(
        "CREATE TABLE t (id BIGINT PRIMARY KEY, a TEXT COLLATE nocase, b TEXT);
         CREATE INDEX t_a ON t (a); CREATE INDEX t_b ON t (b); CREATE INDEX t_bn ON t (b COLLATE nocase);
         INSERT INTO t SELECT g, 'Name' || g, 'Name' || g FROM generate_series(1, 500) g",
    )
    .unwrap();
    let names = vec!["name5".to_owned(), "NAME6".to_owned()];
    for optimize in ["on", "off"] {
        conn.execute(&format!("SET optimize = '{optimize}'"), [])
            .unwrap();
        for (column, expected) in [("a", 2), ("b", 0), ("b COLLATE nocase", 2)] {
            let sql = format!("SELECT id FROM t WHERE {column} = ANY ($1)");
            let mut statement = conn.prepare(&sql).unwrap();
            for _ in 0..2 {
                let rows = statement.query_map([&names], |_| Ok(())).unwrap();
                assert_eq!(rows.count(), expected, "{column}, {optimize}");
            }
        }
    }
}

/// All rows of a range are of one state: what is moved from one to another is neither missing nor there twice, whoever
/// folds, prunes and frees versions meanwhile, and whether a row keeps its key or not.
#[test]
fn a_range_is_read_whole_beside_a_writer() {
    let db = Database::in_memory().unwrap();
    let conn = db.connect().unwrap();
    conn.execute_batch(
        "CREATE TABLE t (id BIGINT PRIMARY KEY, v BIGINT, filler TEXT);
         INSERT INTO t SELECT g, 100, 'long enough for the heap ' || g FROM generate_series(0, 49) g",
    )
    .unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut conn = db.connect().unwrap();
            let mut round = 0_i64;
            while !is_over.load(Relaxed) {
                let (from, to) = (round * 7 % 50, (round * 11 + 1) % 50);
                let tx = conn.transaction().unwrap();
                if from != to {
                    let by = "UPDATE t SET v = v + $2 WHERE id = $1";
                    tx.execute(by, [from, -1]).unwrap();
                    tx.execute(by, [to, 1]).unwrap();
                }
                // The row goes, and comes again elsewhere.
                let v: i64 = tx
                    .query_row("DELETE FROM t WHERE id = $1 RETURNING v", [from], |row| {
                        row.get(0)
                    })
                    .unwrap();
                tx.execute("INSERT INTO t VALUES ($1, $2, 'again')", [from, v])
                    .unwrap();
                tx.commit().unwrap();
                round += 1;
            }
            round
        });
        let mut range = conn
            .prepare("SELECT id, v, filler FROM t WHERE id >= $1 AND id < $2 ORDER BY id")
            .unwrap();
        let mut list = conn
            .prepare("SELECT id, v FROM t WHERE id = ANY ($1)")
            .unwrap();
        assert!(range.is_read_by_key() && list.is_read_by_key());
        let all: Vec<i64> = (0..50).collect();
        let (begin, mut reads) = (Instant::now(), 0);
        while begin.elapsed() < Duration::from_millis(400) {
            let row = |row: &crate::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
            let of_range = range.query_map([0_i64, 50], row).unwrap();
            let of_range: Vec<_> = of_range.map(|row| row.unwrap()).collect();
            let of_list = list.query_map([&all], row).unwrap();
            let of_list: Vec<_> = of_list.map(|row| row.unwrap()).collect();
            for rows in [of_range, of_list] {
                assert!(rows.iter().map(|row| row.0).eq(0..50), "{rows:?}");
                assert_eq!(rows.iter().map(|row| row.1).sum::<i64>(), 5000, "{rows:?}");
            }
            reads += 1;
        }
        is_over.store(true, Relaxed);
        assert!(writer.join().unwrap() > 2 && reads > 2);
    });
}
