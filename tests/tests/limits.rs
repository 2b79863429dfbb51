//! Limits of a statement: what nests, chains or multiplies too much is an error with a SQLSTATE, on the stack that a
//! thread has (2 MiB), whoever compiled the engine.

use remora::{Connection, Database, Options};
use remora_tests::source::{read, root};
use std::time::{Duration, Instant};

/// How long a statement may take on a busy machine; most take some milliseconds.
const TIME_MAX: Duration = Duration::from_secs(5);

fn connect() -> Connection {
    connect_within(256 << 20)
}

fn connect_within(budget: u64) -> Connection {
    let options = Options::new()
        .max_memory(budget)
        .statement_timeout(TIME_MAX);
    let database = Database::in_memory_with(options).expect("a database in memory");
    database.connect().expect("a connection")
}

/// The SQLSTATE of what comes of a statement; `00000` where it runs.
fn outcome(conn: &Connection, sql: &str) -> String {
    match conn.run(sql, []) {
        Ok(_) => "00000".to_owned(),
        Err(error) => error.sqlstate().to_owned(),
    }
}

fn list(count: usize, between: &str, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(between)
}

#[test]
fn what_is_too_much_is_an_error() {
    let conn = connect();
    let columns = |count| list(count, ", ", |at| format!("c{at} INT"));
    let numbers = |count| list(count, ", ", |at| at.to_string());
    let selects = |count, between: &str| list(count, between, |at| format!("SELECT {at}"));
    let around = |count: usize, before: &str, inner: &str, behind: &str| {
        format!(
            "SELECT {}{inner}{}",
            before.repeat(count),
            behind.repeat(count)
        )
    };
    for (expected, sql) in [
        ("00000", around(100, "(", "1", ")")),
        ("54001", around(5_000, "(", "1", ")")),
        ("54001", around(100_000, "(", "1", "")),
        ("54001", around(5_000, "abs(", "1", ")")),
        ("54001", around(5_000, "(SELECT ", "1", ")")),
        ("54001", around(5_000, "CASE WHEN true THEN ", "1", " END")),
        ("54001", around(5_000, "NOT ", "true", "")),
        ("54001", around(5_000, "- ", "1", "")),
        ("54001", around(5_000, "ARRAY[", "1", "]")),
        ("54001", around(5_000, "CAST(", "1", " AS INT)")),
        ("54001", around(5_000, "", "1", "::int")),
        ("54001", around(5_000, "", "1", " + 1")),
        ("54001", around(5_000, "", "'a'", " || 'a'")),
        (
            "54001",
            format!(
                "SELECT * FROM {} (SELECT 1) s{}",
                "(SELECT * FROM ".repeat(2_000),
                ") s".repeat(2_000)
            ),
        ),
        ("54001", selects(5_000, " UNION ALL ")),
        ("54001", selects(900, " EXCEPT ")),
        (
            "54000",
            format!(
                "SELECT 1 FROM {}",
                list(1_001, ", ", |at| format!("(SELECT 1) t{at}"))
            ),
        ),
        ("54011", format!("CREATE TABLE wide ({})", columns(1_601))),
        ("00000", format!("CREATE TABLE wide ({})", columns(1_600))),
        ("54011", format!("SELECT {}", numbers(1_700))),
        (
            "54001",
            format!(
                "SELECT 1 FROM (SELECT 1 AS x) s GROUP BY {}",
                list(3, ", ", |_| format!(
                    "CUBE ({})",
                    list(12, ", ", |_| "x".to_owned())
                ))
            ),
        ),
        ("54000", "SELECT repeat('x', 2000000000)".to_owned()),
        ("54001", format!("SELECT '{}'::json", "[".repeat(20_000))),
        (
            "54000",
            format!("SELECT '{}1{}'::int[]", "{".repeat(7), "}".repeat(7)),
        ),
    ] {
        let shown: String = sql.chars().take(60).collect();
        let begin = Instant::now();
        let found = outcome(&conn, &sql);
        assert_eq!(found, expected, "{shown}");
        assert!(begin.elapsed() < TIME_MAX, "{shown}: {:?}", begin.elapsed());
    }
}

/// A statement for each line of the table in `docs/sql/limits.md`, by how the line begins, that goes one beyond.
fn beyond(what: &str) -> Option<String> {
    let nested = |before: &str, inner: &str, behind: &str, count: usize| {
        format!(
            "SELECT {}{inner}{}",
            before.repeat(count),
            behind.repeat(count)
        )
    };
    let numbers = |count| list(count, ", ", |at| at.to_string());
    let columns = |count| list(count, ", ", |at| format!("c{at} INT"));
    Some(match what {
        "brackets, calls" => nested("(", "1", ")", 201),
        "operators in a chain" => format!("SELECT {}", list(1_002, " + ", |_| "1".to_owned())),
        "levels of an expression" => nested("abs(", "1", ")", 260),
        "`INTERSECT` and `EXCEPT`" => list(400, " EXCEPT ", |at| format!("SELECT {at}")),
        "tables in one statement" => {
            let tables = list(1_001, ", ", |at| format!("(SELECT 1) t{at}"));
            format!("SELECT 1 FROM {tables}")
        }
        "calls of functions" => {
            "CREATE OR REPLACE FUNCTION itself(n INT) RETURNS INT LANGUAGE SQL AS 'SELECT itself(n)'".to_owned()
        }
        "columns of a table" => format!("CREATE TABLE wide ({})", columns(1_601)),
        "parameters of a statement" => {
            let arguments = list(101, ", ", |_| "INT".to_owned());
            format!("CREATE FUNCTION many({arguments}) RETURNS INT LANGUAGE SQL AS 'SELECT 1'")
        }
        "grouping sets" => {
            let cube = format!("CUBE ({})", list(13, ", ", |_| "x".to_owned()));
            format!("SELECT 1 FROM (SELECT 1 AS x) s GROUP BY {cube}")
        }
        "a value" => "SELECT repeat('x', 1073741824)".to_owned(),
        "elements of an array" => "SELECT array_fill(0, ARRAY[134217728])".to_owned(),
        "numbers in one text" => format!("SELECT sqids_encode({})", numbers(101)),
        "levels of a JSON document" => format!("SELECT '{}'::json", "[".repeat(8_001)),
        "bytes of a regular" => "SELECT 'a' ~ repeat('a', 65537)".to_owned(),
        "steps of a search" => "SELECT repeat('ab', 30000) ~ '(a*b*a*b*)*\\1c'".to_owned(),
        "bytes of a text that is a name" => "SELECT nextval(repeat('x', 65537))".to_owned(),
        "bytes of a text that is read" => "SELECT (repeat(' ', 65537) || repeat('1', 2097153))::numeric".to_owned(),
        "bytes of a number in" => "SELECT base62_decode(repeat('0', 65537))".to_owned(),
        "bytes of a path" => "SELECT jsonb_path_query('1', ('$' || repeat('.a', 600000))::jsonpath)".to_owned(),
        "rows of a `WITH" => {
            "SELECT n || repeat('x', 1000) AS v FROM generate_series(1, 400000) AS g (n) ORDER BY v".to_owned()
        }
        "characters of a" => "CREATE TABLE t (v VARCHAR(10485761))".to_owned(),
        _ => return None,
    })
}

/// Lines that no statement of some seconds can go beyond: a million rows that refer to each other.
const TAKE_LONG: [&str; 1] = ["actions of foreign keys"];

#[test]
fn the_page_says_what_each_bound_is_and_what_comes_beyond_it() {
    let conn = connect();
    conn.execute_batch("CREATE FUNCTION itself(n INT) RETURNS INT LANGUAGE SQL AS 'SELECT 1'")
        .expect("a function");
    let page = read(&root().join("docs/sql/limits.md"));
    let table = page.split("## What a statement may be").nth(1);
    let lines = table.expect("the table of bounds").lines();
    let cells = lines.filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| ")?.split(" | ").collect();
        (cells.len() == 3 && cells[0] != "what").then_some(cells)
    });
    let mut count = 0;
    for cells in cells {
        let what = cells[0];
        let begins = |known: &&str| what.starts_with(known);
        if TAKE_LONG.iter().any(begins) {
            continue;
        }
        let words: Vec<usize> = what.match_indices(' ').map(|(at, _)| at).collect();
        let story = words.iter().chain([&what.len()]).find_map(|end| {
            let known = what[..*end].trim_end_matches([',', ';']);
            beyond(known)
        });
        let sql = story.unwrap_or_else(|| panic!("no statement goes beyond: {what}"));
        let found = outcome(&conn, &sql);
        assert!(
            cells[2].contains(&found),
            "{what}: {found}, not {}",
            cells[2]
        );
        count += 1;
    }
    assert!(count >= 16, "{count} lines");
}

/// Near the limits, where a level more would be refused: it runs, or is refused, and no stack overflows.
#[test]
fn what_is_nearly_too_much_does_no_harm() {
    let conn = connect();
    conn.execute_batch(
        "CREATE TABLE t (a INT PRIMARY KEY, b INT); INSERT INTO t VALUES (1, 2), (2, 3)",
    )
    .expect("a table");
    for levels in [20, 40, 60, 90, 120, 180, 240, 260] {
        let nested = |before: &str, inner: &str, behind: &str| {
            format!("{}{inner}{}", before.repeat(levels), behind.repeat(levels))
        };
        for sql in [
            format!("SELECT {}", nested("abs(", "a", ")")) + " FROM t",
            format!("SELECT {}", nested("(", "a", " + 1)")) + " FROM t",
            format!("SELECT * FROM t WHERE {}", nested("NOT (", "a = 1", ")")),
            format!("SELECT {}", nested("(SELECT ", "1", ")")),
            format!(
                "SELECT * FROM t WHERE {}",
                nested("a IN (SELECT a FROM t WHERE ", "true", ")")
            ),
            format!(
                "SELECT * FROM t WHERE {}",
                nested(
                    "EXISTS (SELECT 1 FROM t x WHERE x.a = t.b AND ",
                    "true",
                    ")"
                )
            ),
            format!(
                "SELECT {}",
                nested("CASE WHEN a > 1 THEN a ELSE ", "b", " END")
            ) + " FROM t",
            format!("SELECT {}", nested("coalesce(NULL, ", "a", ")")) + " FROM t",
            nested("SELECT * FROM (", "SELECT a FROM t", ") s"),
            nested("SELECT a FROM t UNION ALL (", "SELECT 1", ")"),
            format!(
                "SELECT 1 FROM t {}",
                list(levels, " ", |at| format!("JOIN t t{at} ON t{at}.a = t.a"))
            ),
            format!(
                "SELECT 1 WHERE {}",
                list(levels, " OR ", |at| format!("({at} = 1 AND {at} = 2)"))
            ),
            list(levels, " INTERSECT ", |_| "SELECT a FROM t".to_owned()),
            format!("UPDATE t SET b = {}", nested("(", "b", " + 0)")),
            format!("EXPLAIN SELECT {} FROM t", nested("(", "b", " * 1)")),
        ] {
            let begin = Instant::now();
            let found = outcome(&conn, &sql);
            let shown: String = sql.chars().take(60).collect();
            assert!(
                ["00000", "54001", "22003"].contains(&found.as_str()),
                "{shown} {levels}: {found}"
            );
            assert!(begin.elapsed() < TIME_MAX, "{shown}: {:?}", begin.elapsed());
        }
    }
    // Views over views: each is short.
    let mut below = "t".to_owned();
    for level in 0..300 {
        let made = conn.run(
            &format!("CREATE VIEW v{level} AS SELECT a + 1 AS a FROM {below}"),
            [],
        );
        if let Err(error) = made {
            assert_eq!(error.sqlstate(), "54001", "{error}");
            break;
        }
        below = format!("v{level}");
    }
    // The query itself is a level more.
    let found = outcome(&conn, &format!("SELECT * FROM {below}"));
    assert!(["00000", "54001"].contains(&found.as_str()), "{found}");
}

/// How long a statement takes until it is refused or has run: the least of some times.
fn least_time(conn: &Connection, sql: &str, times: usize) -> Duration {
    let times = (0..times).map(|_| {
        let begin = Instant::now();
        outcome(conn, sql);
        begin.elapsed()
    });
    times.min().unwrap_or_default()
}

/// Much is rewritten before the grammar sees it; a text eight times as long takes some eight times as long, and not
/// sixty-four times.
#[test]
fn what_is_rewritten_often_takes_no_longer_than_it_is_long() {
    let conn = connect();
    for (begin, often, end) in [
        ("SELECT", " FROM", ""),
        ("SELECT", " trim(both from x),", "1"),
        ("SELECT", " 1 between symmetric 1 and 2,", "1"),
        ("SELECT", " varchar 'x',", "1"),
        ("SELECT", " interval(0) 'x',", "1"),
        ("SELECT", " U&'x' UESCAPE '!',", "1"),
        ("SELECT", " x ? 'x',", "1"),
        ("SELECT", " int ARRAY,", "1"),
        ("SELECT", " 1 = ANY (VALUES (1)),", "1"),
        ("SELECT f(", "VARIADIC x,", "x)"),
        ("SELECT sum(x) OVER", " PRECEDING", ""),
        (
            "SELECT",
            " sum(x) OVER (ROWS 1 PRECEDING EXCLUDE TIES),",
            "1",
        ),
        ("SELECT 1 FROM x", ", ROWS FROM (f(1))", ""),
        ("SELECT 1 FROM x", ", ONLY (x)", ""),
        ("SELECT 1 FROM x", " FOR UPDATE OF x NOWAIT", ""),
        ("SELECT 1 FROM x", " FETCH FIRST (1) ROWS ONLY", ""),
        (
            "SELECT 1 GROUP BY GROUPING SETS ((x)",
            ", GROUPING SETS (x)",
            ")",
        ),
        ("INSERT INTO x VALUES (1)", " ON CONFLICT (x)", ""),
        ("INSERT INTO x VALUES (1)", " ON CONFLICT (x) WHERE", ""),
        ("INSERT INTO x", " TABLE", ""),
        ("UPDATE x SET y = 1", ", y[1] = 2", ""),
        ("CREATE TABLE x (y INT", ", LIKE z INCLUDING ALL", ")"),
        ("CREATE TABLE x (y INT", ", FOREIGN KEY", ")"),
        ("CREATE TABLE x (y INT", " UNIQUE NULLS NOT DISTINCT", ")"),
        ("ALTER TABLE x", " ALTER y SET STATISTICS 100,", ""),
        ("ALTER TABLE x", " ALTER y SET CACHE 2 RESTART,", ""),
        ("BEGIN", " NOT DEFERRABLE,", "READ ONLY"),
    ] {
        let text = |count: usize| format!("{begin}{}{end}", often.repeat(count));
        let (short, long) = (text(1_500), text(12_000));
        let (short, mut least) = (least_time(&conn, &short, 5), Duration::MAX);
        // A machine that is busy may need more than one attempt.
        let is_in_proportion = (0..24).any(|_| {
            least = least.min(least_time(&conn, &long, 1));
            least < 24 * short
        });
        assert!(is_in_proportion, "{begin}{often}: {least:?}, {short:?}");
    }
}

/// Query builders write long chains of AND and OR. However long one is, it takes as long as it is long: eight times as
/// many terms some eight times as long.
#[test]
fn a_hundred_thousand_terms_are_parsed_bound_and_planned() {
    // The text's tokens and its plan take some 300 MB.
    let conn = connect_within(1 << 30);
    conn.execute_batch(
        "CREATE TABLE t (id INT PRIMARY KEY, x INT, y INT, s TEXT); CREATE INDEX t_y ON t (y);
         INSERT INTO t SELECT n, n % 10, n, 'n' || n FROM generate_series(1, 20) AS g(n)",
    )
    .expect("a table");
    conn.execute("SET statement_timeout = 0", [])
        .expect("a setting");
    type Term = fn(usize) -> String;
    let chains: [(&str, Term, i64); 7] = [
        (" OR ", |n| format!("x = {}", 3 * n), 8),
        (" OR ", |n| format!("x = {n} AND y > 15"), 5),
        (" OR ", |n| format!("y = {n} OR s = 'n{n}'"), 20),
        (" OR ", |n| format!("(x = 1 AND y = {n})"), 2),
        (" OR ", |n| format!("x + {n} = 4"), 10),
        (" AND ", |n| format!("x <> {}", n + 5), 10),
        (" AND ", |n| format!("y BETWEEN -{n} AND {}", n + 20), 20),
    ];
    for (between, term, expected) in chains {
        let sql = |count| {
            let terms = list(count, between, term);
            format!("SELECT count(*) FROM t WHERE {terms}")
        };
        let count = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0));
        let long = sql(100_000);
        assert_eq!(
            count(&long).expect("a count"),
            expected,
            "{between}{}",
            term(7)
        );
        let short = least_time(&conn, &sql(5_000), 3);
        let longer = sql(40_000);
        let is_in_proportion = (0..5).any(|_| least_time(&conn, &longer, 1) < 24 * short);
        assert!(is_in_proportion, "{between}{}: {short:?}", term(7));
    }
    // Brackets that nest are refused as they were.
    let nested = format!("SELECT 1 WHERE {}true", "true AND (".repeat(5_000));
    assert_eq!(outcome(&conn, &nested), "54001");
}

/// Constraints without names get names in proportion to their number, though all would have the same one; so do foreign
/// keys, each of which is told to the table that it refers to.
#[test]
fn many_constraints_are_named_at_once() {
    let conn = connect();
    conn.execute_batch("CREATE TABLE p (a INT PRIMARY KEY)")
        .expect("a table");
    let all = |name: &str, count: usize, what: &str, between: &str, end: &str| {
        let begin = Instant::now();
        let sql = format!("{name}{}{end}", list(count, between, |_| what.to_owned()));
        assert_eq!(outcome(&conn, &sql), "00000", "{name} {what}");
        begin.elapsed()
    };
    for (name, count, what, between, end) in [
        ("CREATE TABLE c (a INT, ", 5_000, "CHECK (a > 0)", ", ", ")"),
        ("CREATE TABLE d (a INT ", 5_000, "CHECK (a > 0)", " ", ")"),
        ("ALTER TABLE p ", 5_000, "ADD CHECK (a > 0)", ", ", ""),
        (
            "CREATE DOMAIN e AS INT ",
            5_000,
            "CHECK (VALUE > 0)",
            " ",
            "",
        ),
        (
            "CREATE TABLE f (a INT, ",
            300,
            "FOREIGN KEY (a) REFERENCES p",
            ", ",
            ")",
        ),
    ] {
        let time = all(name, count, what, between, end);
        assert!(time < TIME_MAX, "{name} {what}: {time:?}");
    }
}

/// What is written of an element in parts is put together, and not asked for again with all that was written before.
#[test]
fn many_parts_of_an_array_of_rows_are_written_at_once() {
    let conn = connect();
    conn.execute_batch("CREATE TYPE pair AS (x INT, y INT); CREATE TABLE t (ps pair[])")
        .expect("a table");
    let parts = |count, place: &str| {
        list(count, ", ", |at| {
            format!("ps[{place}{at}].x, ps[{place}{at}].y")
        })
    };
    let insert = |names: String, count: usize| {
        let values = list(2 * count, ", ", |at| at.to_string());
        outcome(&conn, &format!("INSERT INTO t ({names}) VALUES ({values})"))
    };
    assert_eq!(insert(parts(60, ""), 60), "00000");
    // Which elements these are is known when they are written only.
    assert_eq!(insert(parts(2, "1 + "), 2), "00000");
    assert_eq!(insert(parts(60, "1 + "), 60), "54001");
    let row = |ps: &str| {
        let sql = format!("SELECT count(*) FROM t WHERE {ps}");
        conn.query_row(&sql, [], |row| row.get::<_, i64>(0))
            .expect("a count")
    };
    assert_eq!(row("ps[0] = (0, 1) AND ps[59] = (118, 119)"), 1);
    assert_eq!(row("ps = '[1:2]={\"(0,1)\",\"(2,3)\"}'"), 1);
}
