use crate::{Connection, Database, Isolation, Options, TransactionOptions};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

fn flag(conn: &Connection, sql: &str) -> bool {
    conn.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn number(conn: &Connection, sql: &str) -> i64 {
    conn.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn state(conn: &Connection, sql: &str) -> String {
    conn.execute_batch(sql).unwrap_err().sqlstate().to_owned()
}

const FIXED: &str = "SELECT (rate_limit_fixed('k', 5, '1 day')).allowed";

/// Sixteen sessions on one key, at both levels and with a commit of its own: exactly the limit is allowed.
#[test]
fn sixteen_sessions_are_allowed_exactly_the_limit() {
    let db = Database::in_memory().unwrap();
    let calls = [
        "SELECT (rate_limit_fixed('window', 100, '1000 days')).allowed",
        "SELECT (rate_limit('bucket', 100, 0.000001)).allowed",
        "SELECT (rate_limit_log('alone', 100, '1000 days', autonomous => true)).allowed",
    ];
    for isolation in [Isolation::Snapshot, Isolation::Serializable] {
        for call in calls {
            let call = call.replace("('", &format!("('{isolation:?} "));
            let allowed = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                for _ in 0..16 {
                    scope.spawn(|| {
                        let mut conn = db.connect().unwrap();
                        let options = TransactionOptions::new().isolation(isolation);
                        for n in 0..20 {
                            let take = |conn: &Connection| {
                                conn.query_row(&call, [], |row| row.get::<_, bool>(0))
                            };
                            let is_allowed = match n % 2 {
                                0 => take(&conn),
                                _ => conn.transact_with(options, crate::RetryLimit::new(), |tx| {
                                    take(tx)
                                }),
                            };
                            allowed.fetch_add(usize::from(is_allowed.unwrap()), Relaxed);
                        }
                    });
                }
            });
            assert_eq!(allowed.into_inner(), 100, "{call}");
        }
    }
}

#[test]
fn a_limiter_and_sql_count_the_same() {
    let db = Database::in_memory().unwrap();
    let limit = crate::limit::Limit::fixed_window(5, std::time::Duration::from_secs(24 * 3600));
    let limiter = db.limiter(limit.unwrap());
    let conn = db.connect().unwrap();
    assert!(limiter.take("k", 2.0).unwrap().allowed);
    assert!(flag(&conn, FIXED) && flag(&conn, FIXED) && flag(&conn, FIXED));
    assert!(!flag(&conn, FIXED) && !limiter.take("k", 1.0).unwrap().allowed);
    assert_eq!(limiter.peek("k").unwrap().remaining, 0.0);
    assert!(limiter.reset("k").unwrap());
    assert!(!limiter.reset("k").unwrap());
    assert!(flag(&conn, FIXED));
}

/// A record is computed once, whatever is shown of it.
#[test]
fn one_call_is_one_evaluation() {
    let db = Database::in_memory().unwrap();
    let conn = db.connect().unwrap();
    let left = "SELECT (5 - (rate_limit_peek('k', 'fixed')).remaining)::bigint";
    let calls = [
        "SELECT (rate_limit_fixed('k', 5, '1 day')).*",
        "SELECT * FROM rate_limit_fixed('k', 5, '1 day')",
        "SELECT allowed, remaining, retry_after, allowed FROM rate_limit_fixed('k', 5, '1 day')",
        "SELECT r.allowed, (r).remaining FROM (SELECT (rate_limit_fixed('k', 5, '1 day')).*) AS r",
        "SELECT (rate_limit_fixed('k', 5, '1 day')).*, count(*) FROM generate_series(1, 3)",
    ];
    for (at, call) in calls.iter().enumerate() {
        conn.execute_batch(call).unwrap();
        assert_eq!(number(&conn, left), at as i64 + 1, "{call}");
    }
    let grouped = "SELECT (rate_limit_log('g' || n % 3, 10, '1 day')).*, n % 3 FROM generate_series(1, 9) AS g (n) GROUP BY n % 3";
    conn.execute_batch(grouped).unwrap();
    let taken = "SELECT sum(10 - (rate_limit_peek('g' || n, 'log')).remaining)::bigint FROM generate_series(0, 2) AS g (n)";
    assert_eq!(number(&conn, taken), 3);
}

#[test]
fn calls_of_one_statement_see_each_other_and_go_with_it() {
    let db = Database::in_memory().unwrap();
    let conn = db.connect().unwrap();
    let many = "SELECT count(*) FROM generate_series(1, 10) AS g (n) WHERE (rate_limit_fixed('k', 5, '1 day')).allowed";
    conn.execute_batch("BEGIN; SAVEPOINT s").unwrap();
    assert_eq!((number(&conn, many), number(&conn, many)), (5, 0));
    conn.execute_batch("ROLLBACK TO s").unwrap();
    assert_eq!(number(&conn, many), 5);
    conn.execute_batch("ROLLBACK").unwrap();
    let failing = "SELECT (rate_limit_fixed('k', 5, '1 day')).allowed, 1 / (3 - n) FROM generate_series(1, 5) AS g (n)";
    assert_eq!(state(&conn, failing), "22012");
    assert_eq!(number(&conn, many), 5);
    assert!(flag(
        &conn,
        "SELECT rate_limit_reset('k') AND NOT rate_limit_reset('k')"
    ));
    assert_eq!(number(&conn, many), 5);
}

/// The table is made by the transaction that takes first, also where that began before.
#[test]
fn the_first_call_of_all_may_be_in_a_block() {
    let db = Database::in_memory().unwrap();
    let conn = db.connect().unwrap();
    conn.execute_batch("CREATE TABLE t (a INT)").unwrap();
    conn.execute_batch("BEGIN; INSERT INTO t VALUES (1)")
        .unwrap();
    assert!(flag(&conn, FIXED));
    assert!(flag(
        &conn,
        "SELECT (rate_limit_peek('k', 'fixed')).remaining = 4"
    ));
    conn.execute_batch("ROLLBACK").unwrap();
    assert!(flag(&conn, "SELECT rate_limit_peek('k', 'fixed') IS NULL"));
    conn.execute_batch("BEGIN; INSERT INTO t VALUES (1)")
        .unwrap();
    assert!(flag(&conn, FIXED));
    conn.execute_batch("COMMIT").unwrap();
    assert!(flag(
        &conn,
        "SELECT (rate_limit_peek('k', 'fixed')).remaining = 4"
    ));
}

#[test]
fn one_that_commits_alone_survives_a_rollback() {
    let db = Database::in_memory().unwrap();
    let conn = db.connect().unwrap();
    let login = "SELECT (rate_limit_fixed('ann', 3, '1 day', autonomous => true)).allowed";
    for _ in 0..3 {
        conn.execute_batch("BEGIN").unwrap();
        assert!(flag(&conn, login));
        conn.execute_batch("ROLLBACK").unwrap();
    }
    assert!(!flag(&conn, login));
    // A row that the transaction itself holds, no other can take.
    let own = "BEGIN; SELECT rate_limit_fixed('bob', 3, '1 day'); SELECT rate_limit_fixed('bob', 3, '1 day', autonomous => true)";
    assert_eq!(state(&conn, own), "55000");
    conn.execute_batch("ROLLBACK").unwrap();
}

#[test]
fn a_refusal_writes_nothing() {
    let db = Database::in_memory().unwrap();
    let conn = db.connect().unwrap();
    while flag(&conn, FIXED) {}
    let before = conn.last_commit().unwrap();
    let (one, two) = (db.connect().unwrap(), db.connect().unwrap());
    for conn in [&one, &two] {
        conn.execute_batch("BEGIN").unwrap();
        assert!(!flag(conn, FIXED));
    }
    for conn in [&one, &two] {
        conn.execute_batch("COMMIT").unwrap();
    }
    assert!(!flag(&conn, FIXED));
    assert_eq!(conn.last_commit().unwrap(), before);
}

#[test]
fn what_cannot_be_is_refused() {
    let db = Database::in_memory().unwrap();
    let conn = db.connect().unwrap();
    let bad = [
        ("SELECT rate_limit('k', 5, 1, 6)", "22023"),
        ("SELECT rate_limit('k', 5, 1, -1)", "22023"),
        ("SELECT rate_limit('k', 'nan', 1)", "22023"),
        ("SELECT rate_limit('k', 0, 1)", "22023"),
        ("SELECT rate_limit('k', 5, 0)", "22023"),
        ("SELECT rate_limit_fixed('k', 5, '1 month')", "22023"),
        ("SELECT rate_limit_window('k', 5, '0 seconds')", "22023"),
        ("SELECT rate_limit_window('k', 5, '-1 second')", "22023"),
        ("SELECT rate_limit_log('k', 1000000, '1 second')", "22023"),
        ("SELECT rate_limit('k', 5, 1, at => 'infinity')", "22023"),
        ("SELECT rate_limit_peek('k', 'other')", "22023"),
        ("SELECT rate_limit_reset('k', 'other')", "22023"),
        ("SELECT rate_limit('k', 5)", "42883"),
        ("SELECT rate_limit('k', 5, 1, nothing => 1)", "42883"),
        (
            "CREATE TABLE t (a TEXT, b BOOLEAN GENERATED ALWAYS AS ((rate_limit(a, 5, 1)).allowed) STORED)",
            "42P17",
        ),
        ("BEGIN READ ONLY; SELECT rate_limit('k', 5, 1)", "25006"),
        (
            "ROLLBACK; BEGIN READ ONLY; SELECT rate_limit('k', 5, 1, autonomous => true)",
            "25006",
        ),
        (
            "ROLLBACK; BEGIN READ ONLY; SELECT rate_limit_reset('k')",
            "25006",
        ),
    ];
    for (sql, sqlstate) in bad {
        assert_eq!(state(&conn, sql), sqlstate, "{sql}");
    }
    conn.execute_batch("ROLLBACK; BEGIN READ ONLY").unwrap();
    assert!(flag(&conn, "SELECT rate_limit_peek('k') IS NULL"));
    conn.execute_batch("ROLLBACK").unwrap();
    assert!(flag(
        &conn,
        "SELECT rate_limit(NULL, 5, 1) IS NULL AND rate_limit('k', NULL, 1) IS NULL"
    ));
}

#[test]
fn somebody_elses_table_of_that_name_is_left_alone() {
    let db = Database::in_memory().unwrap();
    let conn = db.connect().unwrap();
    conn.execute_batch(
        "CREATE SCHEMA remora_internal; CREATE TABLE remora_internal.rate_limit (a INT)",
    )
    .unwrap();
    assert_eq!(state(&conn, FIXED), "42809");
    conn.execute_batch("DROP TABLE remora_internal.rate_limit")
        .unwrap();
    assert!(flag(&conn, FIXED));
    // Bytes that nobody can read are as good as none.
    conn.execute_batch("UPDATE remora_internal.rate_limit SET usage = 'xyz'")
        .unwrap();
    assert!(flag(&conn, FIXED));
    conn.execute_batch("DROP SCHEMA remora_internal CASCADE")
        .unwrap();
    assert!(flag(&conn, FIXED));
}

#[test]
fn what_is_used_is_there_after_a_crash_and_goes_when_it_says_nothing_more() {
    let directory = tempfile::tempdir().unwrap();
    let db = Database::open(directory.path()).unwrap();
    let conn = db.connect().unwrap();
    while flag(&conn, FIXED) {}
    assert!(flag(
        &conn,
        "SELECT (rate_limit_fixed('short', 1, '1 microsecond')).allowed"
    ));
    drop((conn, db));
    let db = Database::open_with(directory.path(), Options::new()).unwrap();
    let conn = db.connect().unwrap();
    assert!(!flag(&conn, FIXED));
    let rows = "SELECT count(*) FROM remora_internal.rate_limit WHERE key = 'short'";
    assert_eq!(number(&conn, rows), 0, "expired");
}

/// Keys that a statement takes from belong to the budget until they are written, and then as rows.
#[test]
fn a_statement_of_many_keys_is_within_the_budget() {
    let db = Database::in_memory_with(Options::new().max_memory(48 << 20)).unwrap();
    let conn = db.connect().unwrap();
    let many = |keys: u64| {
        format!(
            "SELECT count(*) FROM generate_series(1, {keys}) AS g (n) WHERE (rate_limit('k' || n, 5, 1)).allowed"
        )
    };
    assert_eq!(number(&conn, &many(1000)), 1000);
    assert_eq!(state(&conn, &many(1_000_000)), "53200");
    let rows = "SELECT count(*) FROM remora_internal.rate_limit";
    assert!(number(&conn, rows) <= 1000, "nothing is left of it");
    assert_eq!(number(&conn, &many(1000)), 1000);
}

/// A trigger may take from limits, and what it has taken goes with the statement.
#[test]
fn a_trigger_takes_from_limits() {
    let db = Database::in_memory().unwrap();
    let conn = db.connect().unwrap();
    conn.execute_batch(
        "CREATE TABLE post (who TEXT);
         CREATE TRIGGER few BEFORE INSERT ON post FOR EACH ROW BEGIN
             SELECT RAISE(ABORT, 'too many') WHERE NOT (rate_limit_fixed(NEW.who, 2, '1 day')).allowed; END",
    )
    .unwrap();
    assert_eq!(
        state(&conn, "INSERT INTO post VALUES ('ann'), ('ann'), ('ann')"),
        "P0001"
    );
    conn.execute_batch("INSERT INTO post VALUES ('ann'), ('ann')")
        .unwrap();
    assert_eq!(state(&conn, "INSERT INTO post VALUES ('ann')"), "P0001");
    conn.execute_batch("INSERT INTO post VALUES ('bob')")
        .unwrap();
}
