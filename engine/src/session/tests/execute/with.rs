//! Statements with parts: whatever was not read to its end goes with the statement.

use super::*;

fn reserved(conn: &Connection) -> i64 {
    number(
        conn,
        "SELECT sum(bytes)::bigint FROM remora_memory WHERE owner = 'query'",
    )
}

/// Parts that read each other hold each other, with the rows that were read and a snapshot; so does what a commit will
/// be asked about, until then.
#[test]
fn parts_leave_nothing_behind() {
    let db = Database::in_memory().unwrap();
    let conn = db.connect().unwrap();
    conn.execute_batch(
        "CREATE TABLE t AS SELECT x, repeat('x', 1000) AS v FROM generate_series(1, 100) AS g (x)",
    )
    .unwrap();
    let ended_early = "WITH a AS MATERIALIZED (SELECT * FROM t), b AS MATERIALIZED (SELECT * FROM a) SELECT x FROM b LIMIT 1";
    let failed = "WITH a AS MATERIALIZED (SELECT * FROM t), b AS MATERIALIZED (SELECT x, v, 10 / (x - 50) FROM a) SELECT x FROM b";
    let tested = "BEGIN; WITH a AS MATERIALIZED (SELECT * FROM t WHERE x % 2 = 0) SELECT count(*) FROM a; COMMIT";
    for (sql, expected) in [(ended_early, "00000"), (failed, "22012"), (tested, "00000")] {
        let before = reserved(&conn);
        for _ in 0..3 {
            let outcome = conn.execute_batch(sql);
            let sqlstate =
                outcome.map_or_else(|error| error.sqlstate().to_owned(), |()| "00000".to_owned());
            assert_eq!(sqlstate, expected, "{sql}");
        }
        assert_eq!(reserved(&conn), before, "{sql}");
    }
}
