//! Sessions from outside, told as short stories.

use crate::error::Error;
use crate::{
    Connection, Database, DropBehavior, InterruptHandle, Numeric, OptionalExtension, Result,
    TransactionStatus, Value, params,
};
use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::IntervalMonthDayNanoType;
use std::io::Read;

mod bounds;
mod changes;
mod checkpoints;
mod conversion;
mod execute;
mod exports;
mod foreign;
mod host;
mod host_tables;
mod keywords;
mod limits;
mod long_values;
mod notifications;
mod plans;
mod pressure;
mod rate_limits;
mod schemas;
mod sequences;
mod system;
mod transaction;

fn connect() -> Connection {
    let db = Database::in_memory().unwrap();
    db.connect().unwrap()
}

fn state<T>(result: Result<T>) -> &'static str {
    result.map(drop).unwrap_err().sqlstate()
}

fn number(conn: &Connection, sql: &str) -> i64 {
    conn.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn handles_go_where_threads_need_them() {
    fn send<T: Send>() {}
    fn shared<T: Clone + Send + Sync>() {}
    send::<Connection>();
    shared::<Database>();
    shared::<InterruptHandle>();
    send::<Error>();
}

/// Alice makes a mistake in a transaction: nothing of it stays, whatever she says next.
#[test]
fn a_failed_statement_fails_its_transaction() {
    let conn = connect();
    conn.execute_batch("CREATE TABLE t (k INT PRIMARY KEY)")
        .unwrap();
    conn.execute_batch("BEGIN; INSERT INTO t VALUES (1)")
        .unwrap();
    assert_eq!(conn.transaction_status(), TransactionStatus::Open);
    assert_eq!(state(conn.execute("INSERT INTO t VALUES (1)", [])), "23505");
    assert_eq!(conn.transaction_status(), TransactionStatus::Failed);
    let error = conn.execute("SELECT 1", []).unwrap_err();
    assert_eq!(error.sqlstate(), "25P02");
    assert_eq!(
        error.message(),
        "current transaction is aborted, commands ignored until end of transaction block"
    );
    let outcome = conn.run("COMMIT", []).unwrap();
    assert_eq!(outcome.tag, "ROLLBACK");
    assert_eq!(conn.transaction_status(), TransactionStatus::Idle);
    assert_eq!(number(&conn, "SELECT count(*) FROM t"), 0);
}

#[test]
fn also_a_mistake_of_grammar_or_while_rows_come_fails_it() {
    let conn = connect();
    conn.execute("BEGIN", []).unwrap();
    assert_eq!(state(conn.execute("SELEC 1", [])), "42601");
    assert_eq!(conn.transaction_status(), TransactionStatus::Failed);
    conn.execute("ROLLBACK", []).unwrap();

    conn.execute_batch("CREATE TABLE t (n INT); INSERT INTO t VALUES (0); BEGIN")
        .unwrap();
    let mut statement = conn.prepare("SELECT 1 / n FROM t").unwrap();
    assert_eq!(state(statement.query_row([], |_| Ok(()))), "22012");
    assert_eq!(conn.transaction_status(), TransactionStatus::Failed);
}

/// A text of several statements is all or nothing, back to its last COMMIT.
#[test]
fn a_text_is_one_transaction() {
    let conn = connect();
    conn.execute("CREATE TABLE t (k INT PRIMARY KEY)", [])
        .unwrap();
    let failed = conn.execute_batch("INSERT INTO t VALUES (1); INSERT INTO t VALUES (1)");
    assert_eq!(state(failed), "23505");
    assert_eq!(conn.transaction_status(), TransactionStatus::Idle);
    assert_eq!(number(&conn, "SELECT count(*) FROM t"), 0);

    let failed = conn.execute_batch("INSERT INTO t VALUES (1); COMMIT; INSERT INTO t VALUES (1)");
    assert_eq!(state(failed), "23505");
    assert_eq!(number(&conn, "SELECT count(*) FROM t"), 1);

    // Nothing runs unless all of it parses.
    assert_eq!(
        state(conn.execute_batch("DELETE FROM t; nonsense")),
        "42601"
    );
    assert_eq!(number(&conn, "SELECT count(*) FROM t"), 1);

    // BEGIN within a text takes over what was done before it in the text.
    conn.execute_batch("INSERT INTO t VALUES (2); BEGIN; INSERT INTO t VALUES (3)")
        .unwrap();
    conn.execute("ROLLBACK", []).unwrap();
    assert_eq!(number(&conn, "SELECT count(*) FROM t"), 1);
}

#[test]
fn what_postgresql_only_warns_about_is_a_notice() {
    let conn = connect();
    let notices = |sql: &str| conn.run(sql, []).unwrap().notices;
    assert_eq!(notices("COMMIT"), ["there is no transaction in progress"]);
    assert!(notices("BEGIN").is_empty());
    assert_eq!(
        notices("BEGIN"),
        ["there is already a transaction in progress"]
    );
    assert!(notices("ROLLBACK").is_empty());
}

#[test]
fn a_read_only_transaction_changes_nothing() {
    let conn = connect();
    conn.execute("CREATE TABLE t (k INT)", []).unwrap();
    for (sql, what) in [
        ("INSERT INTO t VALUES (1)", "INSERT"),
        ("DELETE FROM t", "DELETE"),
        ("CREATE TABLE u (k INT)", "CREATE TABLE"),
        ("DROP TABLE t", "DROP TABLE"),
        ("COPY t FROM STDIN WITH (FORMAT csv)", "COPY FROM"),
    ] {
        conn.execute("BEGIN READ ONLY", []).unwrap();
        let error = conn.execute(sql, []).unwrap_err();
        assert_eq!(error.sqlstate(), "25006");
        assert_eq!(
            error.message(),
            format!("cannot execute {what} in a read-only transaction")
        );
        conn.execute("ROLLBACK", []).unwrap();
    }
    conn.execute("SET default_transaction_read_only = on", [])
        .unwrap();
    assert_eq!(state(conn.execute("INSERT INTO t VALUES (1)", [])), "25006");
    conn.execute_batch("BEGIN READ WRITE; INSERT INTO t VALUES (1); COMMIT")
        .unwrap();
    let back = conn.execute_batch("BEGIN; SELECT 1; SET TRANSACTION READ WRITE");
    assert_eq!(state(back), "25001");
}

#[test]
fn a_transaction_ends_with_its_value() {
    let mut conn = connect();
    conn.execute("CREATE TABLE t (k INT)", []).unwrap();
    let tx = conn.transaction().unwrap();
    tx.execute("INSERT INTO t VALUES (1)", []).unwrap();
    drop(tx);
    assert_eq!(number(&conn, "SELECT count(*) FROM t"), 0);

    let mut tx = conn.transaction().unwrap();
    tx.set_drop_behavior(DropBehavior::Commit);
    tx.execute("INSERT INTO t VALUES (1)", []).unwrap();
    drop(tx);
    assert_eq!(number(&conn, "SELECT count(*) FROM t"), 1);

    // A commit that commits nothing must not look like one that did.
    let tx = conn.transaction().unwrap();
    tx.execute("INSERT INTO t VALUES (2)", []).unwrap();
    assert_eq!(state(tx.execute("SELECT 1 / 0", [])), "22012");
    assert_eq!(state(tx.commit()), "25P02");
    assert_eq!(number(&conn, "SELECT count(*) FROM t"), 1);

    let tx = conn.transaction().unwrap();
    tx.execute("COMMIT", []).unwrap();
    assert_eq!(state(tx.commit()), "25P01");
    conn.execute("BEGIN", []).unwrap();
    assert_eq!(state(conn.transaction().map(drop)), "25001");
}

#[test]
fn settings_are_part_of_the_transaction() {
    let conn = connect();
    let name = || -> String {
        conn.query_row("SHOW application_name", [], |row| row.get(0))
            .unwrap()
    };
    conn.execute_batch("BEGIN; SET application_name = 'mast'")
        .unwrap();
    assert_eq!(name(), "mast");
    conn.execute("ROLLBACK", []).unwrap();
    assert_eq!(name(), "");
    conn.execute_batch("BEGIN; SET application_name = 'keel'; COMMIT")
        .unwrap();
    assert_eq!(name(), "keel");
    let isolation = conn.query_row("SHOW transaction_isolation", [], |row| {
        row.get::<_, String>(0)
    });
    assert_eq!(isolation.unwrap(), "serializable");
    assert_eq!(state(conn.execute("SET nonsense = 1", [])), "42704");
    assert_eq!(state(conn.execute("SHOW nonsense", [])), "42704");
}

#[test]
fn a_checkpoint_is_no_part_of_a_transaction() {
    let conn = connect();
    conn.execute("CHECKPOINT", []).unwrap();
    assert_eq!(state(conn.execute_batch("BEGIN; CHECKPOINT")), "25001");
}

/// A prepared statement outlives the schema it was prepared for.
#[test]
fn a_plan_follows_the_catalog() {
    let conn = connect();
    conn.execute_batch("CREATE TABLE t (a INT); INSERT INTO t VALUES (1)")
        .unwrap();
    let mut all = conn.prepare("SELECT * FROM t").unwrap();
    assert_eq!(all.column_names(), ["a"]);
    // As text it is run twice, so that its plan is cached.
    for _ in 0..3 {
        assert_eq!(number(&conn, "SELECT a FROM t"), 1);
    }
    conn.execute_batch(
        "DROP TABLE t; CREATE TABLE t (b TEXT, a INT); INSERT INTO t VALUES ('x', 2)",
    )
    .unwrap();
    let b: String = all.query_row([], |row| row.get("b")).unwrap();
    assert_eq!(b, "x");
    assert_eq!(all.column_names(), ["b", "a"]);
    assert_eq!(number(&conn, "SELECT a FROM t"), 2);
    conn.execute("DROP TABLE t", []).unwrap();
    assert_eq!(state(all.execute([])), "42P01");
}

#[test]
fn parameters_are_cast_to_what_the_statement_wants() {
    let conn = connect();
    conn.execute("CREATE TABLE t (n SMALLINT, d DATE, x NUMERIC(5,2))", [])
        .unwrap();
    let mut insert = conn.prepare("INSERT INTO t VALUES ($1, $2, $3)").unwrap();
    assert_eq!(insert.parameter_count(), 3);
    insert.execute(params![7_i64, "2024-02-29", 1.5]).unwrap();
    insert.execute((None::<i32>, Value::Null, "2.345")).unwrap();
    assert_eq!(
        state(insert.execute(params!["x", "2024-02-29", 1])),
        "22P02"
    );
    assert_eq!(state(insert.execute(params![1, "2024-02-30", 1])), "22008");
    assert_eq!(
        state(insert.execute(params![70_000, "2024-02-29", 1])),
        "22003"
    );
    assert_eq!(state(insert.execute([1, 2])), "08P01");
    assert_eq!(state(conn.run("SELECT 1; SELECT ?", [1])), "42601");
    let sum: Numeric = conn
        .query_row("SELECT sum(x) FROM t", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sum, Numeric::new(385, 2).unwrap());
}

#[test]
fn rows_are_read_by_position_and_name() {
    let conn = connect();
    let row = conn.query_row("SELECT 1 AS a, NULL::text AS b", [], |row| {
        assert_eq!(row.get::<_, i64>("a")?, 1);
        assert_eq!(row.get::<_, Option<String>>(1)?, None);
        assert_eq!(state(row.get::<_, i64>(2)), "42703");
        assert_eq!(state(row.get::<_, i64>("c")), "42703");
        assert_eq!(state(row.get::<_, String>(0)), "42804");
        assert_eq!(state(row.get::<_, String>("b")), "22004");
        Ok(())
    });
    row.unwrap();
    let none = conn.query_row("SELECT 1 WHERE false", [], |row| row.get::<_, i64>(0));
    assert_eq!(state(none.clone()), "02000");
    assert_eq!(none.optional().unwrap(), None);
}

/// Four writers count in one row. Nobody is told of a conflict, and no count is lost.
#[test]
fn autocommitted_statements_try_again() {
    const WRITERS: i64 = 4;
    const ROUNDS: i64 = 100;
    let db = Database::in_memory().unwrap();
    let conn = db.connect().unwrap();
    conn.execute_batch("CREATE TABLE t (k INT PRIMARY KEY, n BIGINT); INSERT INTO t VALUES (1, 0)")
        .unwrap();
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                let conn = db.connect().unwrap();
                let mut add = conn.prepare("UPDATE t SET n = n + 1 WHERE k = ?").unwrap();
                for _ in 0..ROUNDS {
                    assert_eq!(add.execute([1]).unwrap(), 1);
                }
            });
        }
    });
    assert_eq!(number(&conn, "SELECT n FROM t"), WRITERS * ROUNDS);
}

#[test]
fn an_interrupt_meets_one_statement() {
    let conn = connect();
    let handle = conn.interrupt_handle();
    handle.interrupt();
    assert_eq!(state(conn.execute("SELECT 1", [])), "57014");
    conn.execute("SELECT 1", []).unwrap();
    handle.interrupt();
    handle.clear();
    conn.execute("SELECT 1", []).unwrap();
}

#[test]
fn copy_goes_through_pipes_and_files() {
    let conn = connect();
    conn.execute("CREATE TABLE t (k INT, v TEXT)", []).unwrap();
    let rows = conn.copy_from(
        "COPY t FROM STDIN WITH (FORMAT csv)",
        &mut &b"1,one\n2,\n"[..],
    );
    assert_eq!(rows.unwrap(), 2);
    let mut out = Vec::new();
    let sql = "COPY (SELECT * FROM t ORDER BY k) TO STDOUT WITH (FORMAT csv, HEADER true)";
    assert_eq!(conn.copy_to(sql, &mut out).unwrap(), 2);
    assert_eq!(String::from_utf8(out).unwrap(), "k,v\n1,one\n2,\n");

    let bad = conn.copy_from(
        "COPY t FROM STDIN WITH (FORMAT csv)",
        &mut &b"3,x\ny,z\n"[..],
    );
    assert_eq!(state(bad), "22P02");
    assert_eq!(number(&conn, "SELECT count(*) FROM t"), 2);

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.csv");
    let path = path.to_str().unwrap();
    let copied = conn.execute(&format!("COPY t TO '{path}' WITH (FORMAT csv)"), []);
    assert_eq!(copied.unwrap(), 2);
    let copied = conn.execute(&format!("COPY t FROM '{path}' WITH (FORMAT csv)"), []);
    assert_eq!(copied.unwrap(), 2);
    // A copy that fails leaves an older file alone.
    let failed = format!("COPY (SELECT 1 / (k - 2) FROM t) TO '{path}' WITH (FORMAT csv)");
    assert_eq!(state(conn.execute(&failed, [])), "22012");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "1,one\n2,\n");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);

    let error = conn.execute("COPY t FROM '/no/such/file.csv' WITH (FORMAT csv)", []);
    let error = error.unwrap_err();
    assert_eq!(error.sqlstate(), "58P01");
    assert_eq!(
        error.message(),
        "could not open file \"/no/such/file.csv\" for reading: No such file or directory"
    );
}

/// A reader that calls the connection it is read by gets an error, not a deadlock or a panic.
#[test]
fn a_connection_is_not_entered_twice() {
    struct Meddler<'a>(&'a Connection);
    impl Read for Meddler<'_> {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            assert_eq!(state(self.0.execute("SELECT 1", [])), "55006");
            assert_eq!(self.0.transaction_status(), TransactionStatus::Idle);
            Ok(0)
        }
    }
    let conn = connect();
    conn.execute("CREATE TABLE t (k INT)", []).unwrap();
    let rows = conn.copy_from("COPY t FROM STDIN WITH (FORMAT csv)", &mut Meddler(&conn));
    assert_eq!(rows.unwrap(), 0);
}

#[test]
fn results_are_handed_out_as_arrow() {
    let conn = connect();
    let batches = conn
        .query_arrow(
            "SELECT 1 AS a, 1.50 AS b, 1.5::numeric(5,2) AS c, 'x' AS d",
            [],
        )
        .unwrap();
    assert_eq!(batches.len(), 1);
    let types: Vec<String> = batches[0]
        .schema()
        .fields()
        .iter()
        .map(|field| field.data_type().to_string())
        .collect();
    assert_eq!(types, ["Int32", "Utf8View", "Decimal128(5, 2)", "Utf8View"]);
    assert_eq!(batches[0].column(1).as_string_view().value(0), "1.50");
    assert_eq!(batches[0].column(3).as_string_view().value(0), "x");
    assert_eq!(batches[0].column(0).len(), 1);
    assert_eq!(
        state(conn.query_arrow("SELECT 'NaN'::numeric(5,2)", [])),
        "22003"
    );
    // Nanoseconds count 292 years.
    let batches = conn.query_arrow("SELECT INTERVAL '1 mon 2 days 2562047 hours'", []);
    let interval = batches.unwrap()[0]
        .column(0)
        .as_primitive::<IntervalMonthDayNanoType>()
        .value(0);
    let parts = (interval.months, interval.days, interval.nanoseconds);
    assert_eq!(parts, (1, 2, 2_562_047 * 3_600_000_000_000));
    let too_long = conn.query_arrow("SELECT INTERVAL '2562048 hours'", []);
    assert_eq!(state(too_long), "22008");
    assert_eq!(
        state(conn.query_arrow("CREATE TABLE t (k INT)", [])),
        "42601"
    );
}

#[test]
fn outcomes_carry_postgresqls_tags() {
    let conn = connect();
    let tag = |sql: &str| conn.run(sql, []).unwrap().tag;
    assert_eq!(tag("CREATE TABLE t (k INT PRIMARY KEY)"), "CREATE TABLE");
    assert_eq!(tag("INSERT INTO t VALUES (1), (2)"), "INSERT 0 2");
    assert_eq!(tag("UPDATE t SET k = k + 2"), "UPDATE 2");
    assert_eq!(tag("SELECT * FROM t WHERE k = 3"), "SELECT 1");
    assert_eq!(tag("DELETE FROM t"), "DELETE 2");
    assert_eq!(tag("SELECT 1; BEGIN"), "BEGIN");
    assert_eq!(tag("ROLLBACK"), "ROLLBACK");
    assert_eq!(tag(" -- nothing"), "");
}

/// What `.schema` shows can be run to make the same tables again.
#[test]
fn a_schema_reads_back_as_itself() {
    let conn = connect();
    conn.execute_batch(
        "CREATE TABLE \"Order\" (\"select\" INT DEFAULT 1 + 2 NOT NULL, b VARCHAR(3) UNIQUE,
             c NUMERIC(5,2) CHECK (c > 0), \"two words\" TEXT, PRIMARY KEY (\"select\", b));
         CREATE INDEX by_c ON \"Order\" (c DESC NULLS LAST, b);
         CREATE INDEX by_hash ON \"Order\" USING HASH (b);
         CREATE TABLE plain (a BIGINT, t TIMESTAMPTZ)",
    )
    .unwrap();
    let schema = conn.schema(None).unwrap();
    let other = connect();
    other.execute_batch(&schema.join("\n")).unwrap();
    assert_eq!(other.schema(None).unwrap(), schema);
    assert_eq!(other.indexes(None).unwrap(), conn.indexes(None).unwrap());
    assert_eq!(conn.tables().unwrap(), ["Order", "plain"]);
    assert_eq!(conn.columns("plain").unwrap().len(), 2);
    assert_eq!(state(conn.schema(Some("order"))), "42P01");
}

#[test]
fn a_result_too_large_for_the_budget_is_refused() {
    let options = crate::Options::new().max_memory(32 << 20);
    let db = Database::in_memory_with(options).unwrap();
    let conn = db.connect().unwrap();
    conn.execute_batch("CREATE TABLE t (n BIGINT); INSERT INTO t VALUES (1)")
        .unwrap();
    for _ in 0..10 {
        conn.execute("INSERT INTO t SELECT n FROM t", []).unwrap();
    }
    let large = "SELECT a.n, b.n, a.n + b.n, a.n - b.n, a.n * b.n, b.n - a.n FROM t a, t b";
    assert_eq!(state(conn.run(large, [])), "53200");
    // Row by row it can be had.
    let mut statement = conn.prepare(large).unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut count = 0;
    while rows.next().unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 1 << 20);
}

/// A key that is not unique is looked up on the point path while its rows are few, and otherwise by
/// the statement's other plan: the answers are the same.
#[test]
fn a_key_may_have_no_row_a_few_or_many() -> Result<()> {
    let db = Database::in_memory()?;
    let conn = db.connect()?;
    conn.execute("CREATE TABLE t (id INT PRIMARY KEY, k INT, v TEXT)", [])?;
    conn.execute("CREATE INDEX t_k ON t (k)", [])?;
    let mut insert = conn.prepare("INSERT INTO t VALUES (?, ?, ?)")?;
    for id in 0..60 {
        // Key k has k rows: 1, 2, 2, 3, 3, 3, ..
        let k = (1..).find(|k| id < k * (k + 1) / 2).unwrap_or(0);
        insert.execute((id, k, format!("v{id}")))?;
    }
    let mut select = conn.prepare("SELECT id, v FROM t WHERE k = ? AND id % 7 <> 0")?;
    for k in -1..12_i32 {
        let rows = select.query_map([k], |row| {
            Ok((row.get::<_, i32>(0)?, row.get::<_, String>(1)?))
        })?;
        let found = rows.collect::<Result<Vec<_>>>()?;
        let first = k * (k - 1) / 2;
        let ids = (first..(first + k.max(0)).min(60)).filter(|id| id % 7 != 0);
        let expected: Vec<_> = ids.map(|id| (id, format!("v{id}"))).collect();
        assert_eq!(found, expected, "key {k}");
        assert_eq!(select.exists([k])?, !expected.is_empty());
    }
    assert!(!select.exists([None::<i32>])?, "a NULL finds nothing");
    let outcome = conn.run("SELECT v FROM t WHERE k = 3", [])?;
    assert_eq!(outcome.tag, "SELECT 3");
    let batches = conn.query_arrow("SELECT v FROM t WHERE k = 3", [])?;
    assert_eq!(
        batches.iter().map(|batch| batch.num_rows()).sum::<usize>(),
        3
    );
    Ok(())
}

/// The clock is read when something asks for it: still, a statement began before any moment that it
/// sees, and all of it agrees on when.
#[test]
fn a_statement_begins_before_the_moments_it_sees() -> Result<()> {
    let db = Database::in_memory()?;
    let conn = db.connect()?;
    conn.execute(
        "CREATE TABLE t (seen TIMESTAMPTZ, began TIMESTAMPTZ, began_too TIMESTAMPTZ)",
        [],
    )?;
    for _ in 0..100 {
        conn.execute(
            "INSERT INTO t VALUES (clock_timestamp(), statement_timestamp(), now())",
            [],
        )?;
    }
    let early = "SELECT count(*) FROM t WHERE seen < began OR began <> began_too";
    let early: i64 = conn.query_row(early, [], |row| row.get(0))?;
    assert_eq!(early, 0);
    Ok(())
}
