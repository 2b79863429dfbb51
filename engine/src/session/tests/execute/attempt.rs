//! The order in which a statement has its effects, alone and in a block: a test for each line of the table in
//! [`attempt`](crate::session::execute::attempt).

use super::*;
use crate::{DataType, Durability, FunctionContext, FunctionFlags, Options};
use remora_storage::disk::SimDisk;
use std::sync::Arc;

/// Tells a story twice: statements are transactions of their own, then parts of a block.
fn alone_and_in_a_block(tables: &str, story: impl Fn(&Connection, bool)) {
    for in_block in [false, true] {
        let conn = connect();
        conn.execute_batch(tables).unwrap();
        if in_block {
            conn.execute("SET on_error_rollback = on", []).unwrap();
            conn.execute("BEGIN", []).unwrap();
        }
        story(&conn, in_block);
    }
}

/// Line 1: a change is refused before it begins.
#[test]
fn a_change_that_cannot_be_logged_is_refused_before_anything_of_it_is_looked_at() {
    for begin in ["", "BEGIN"] {
        let disk = SimDisk::new();
        let options = Options::new()
            .manual_maintenance(true)
            .durability(Durability::Sync);
        let db = Database::open_on(Arc::new(disk.clone()), options).unwrap();
        let conn = db.connect().unwrap();
        conn.execute("CREATE TABLE t (k INT)", []).unwrap();
        let mut insert = conn.prepare("INSERT INTO t VALUES ($1)").unwrap();
        disk.set_capacity(Some(disk.used()));
        while insert.execute([1]).is_ok() {}
        conn.execute_batch(begin).unwrap();
        // The parameter is not one either.
        assert_eq!(state(insert.execute(["no number"])), "53100", "{begin}");
    }
}

/// Lines 2 and 3: the plan is for the catalog that the transaction sees.
#[test]
fn a_statement_is_planned_for_the_catalog_of_its_transaction() {
    alone_and_in_a_block(
        "CREATE TABLE t (k INT); INSERT INTO t VALUES (1)",
        |conn, _| {
            let mut statement = conn.prepare("SELECT * FROM t").unwrap();
            conn.execute("ALTER TABLE t ADD v INT DEFAULT 7", [])
                .unwrap();
            let both = statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)));
            assert_eq!(both.unwrap(), (1, 7));
        },
    );
}

/// Lines 3 to 5: names, then whether it may change anything, then its parameters.
#[test]
fn names_are_refused_before_changes_and_changes_before_parameters() {
    for read_only in ["SET default_transaction_read_only = on", "BEGIN READ ONLY"] {
        let conn = connect();
        conn.execute("CREATE TABLE t (k INT)", []).unwrap();
        let mut insert = conn.prepare("INSERT INTO t VALUES ($1)").unwrap();
        let mut gone = conn.prepare("INSERT INTO t (k) VALUES ($1)").unwrap();
        conn.execute("SET on_error_rollback = on", []).unwrap();
        conn.execute(read_only, []).unwrap();
        assert_eq!(state(conn.execute("INSERT INTO u VALUES (1)", [])), "42P01");
        assert_eq!(state(insert.execute(["no number"])), "25006");
        assert_eq!(state(gone.execute(["no number"])), "25006");
        let mut select = conn.prepare("SELECT k FROM t WHERE k = $1").unwrap();
        let found = select.query_row(["no number"], |row| row.get::<_, i32>(0));
        assert_eq!(found.unwrap_err().sqlstate(), "22P02");
    }
}

/// Lines 7 and 14: the first statement that asks for the time fixes it, even if it fails.
#[test]
fn a_block_has_one_time_and_a_statement_of_its_own_another() {
    alone_and_in_a_block("CREATE TABLE t (k INT)", |conn, in_block| {
        let now = || {
            conn.query_row("SELECT now()", [], |row| row.get::<_, Value>(0))
                .unwrap()
        };
        assert_eq!(
            state(conn.execute("SELECT 1 / (extract(year FROM now()) * 0)::INT", [])),
            "22012"
        );
        let first = now();
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert_eq!(first == now(), in_block);
    });
}

/// Line 9: a statement that fails leaves nothing, and what it has made before it failed goes with it.
#[test]
fn a_statement_is_undone_as_a_whole() {
    let tables = "CREATE TABLE t (k INT PRIMARY KEY); INSERT INTO t VALUES (3)";
    alone_and_in_a_block(tables, |conn, _| {
        assert_eq!(
            state(conn.execute("INSERT INTO t VALUES (1), (2), (3)", [])),
            "23505"
        );
        assert_eq!(number(conn, "SELECT count(*) FROM t"), 1);
        let schema = "CREATE SCHEMA s CREATE TABLE a (k INT) CREATE TABLE b (k no_type)";
        assert_eq!(state(conn.execute(schema, [])), "42704");
        assert_eq!(state(conn.execute("SELECT * FROM s.a", [])), "42P01");
        let named = "SELECT count(*) FROM information_schema.schemata WHERE schema_name = 's'";
        assert_eq!(number(conn, named), 0);
    });
}

/// Lines 10 and 11: deferred constraints see temporary rows that the commit then deletes.
#[test]
fn what_was_put_off_is_checked_before_temporary_tables_are_emptied() {
    let tables = "
        CREATE TEMP TABLE parent (k INT PRIMARY KEY) ON COMMIT DELETE ROWS;
        CREATE TEMP TABLE child (k INT REFERENCES parent DEFERRABLE INITIALLY DEFERRED) ON COMMIT DELETE ROWS";
    alone_and_in_a_block(tables, |conn, in_block| {
        let mut inserted = conn.execute("INSERT INTO child VALUES (1)", []);
        if in_block {
            inserted = conn.execute("COMMIT", []);
        }
        assert_eq!(state(inserted), "23503");
        assert_eq!(number(conn, "SELECT count(*) FROM child"), 0);
    });
}

/// Line 12: a statement that was told to stop by its last step is not committed; in a block it is done by then.
#[test]
fn an_interrupt_is_heard_until_the_commit() {
    alone_and_in_a_block("CREATE TABLE t (k INT)", |conn, in_block| {
        let handle = conn.interrupt_handle();
        let stop = move |_: &FunctionContext<'_>| {
            handle.interrupt();
            Ok(1)
        };
        let flags = FunctionFlags::default();
        conn.create_scalar_function("stop", &[], DataType::Integer, flags, stop)
            .unwrap();
        let inserted = conn.execute("INSERT INTO t VALUES (1) RETURNING stop()", []);
        match in_block {
            true => assert_eq!(inserted.unwrap(), 1),
            false => assert_eq!(state(inserted), "57014"),
        }
        assert_eq!(number(conn, "SELECT count(*) FROM t"), i64::from(in_block));
    });
}

/// Line 13: numbers are durable before they are shown, also by a statement that changes nothing else.
#[test]
fn numbers_are_durable_before_they_are_shown() {
    for (begin, shown) in [
        ("", "SELECT nextval('s')"),
        ("", "UPDATE t SET k = 2 WHERE nextval('s') < 0"),
        ("BEGIN", "SELECT nextval('s')"),
    ] {
        let disk = SimDisk::new();
        let options = Options::new().manual_maintenance(true);
        let open = |disk: SimDisk| Database::open_on(Arc::new(disk), options.clone()).unwrap();
        let db = open(disk.clone());
        let conn = db.connect().unwrap();
        conn.execute_batch(
            "CREATE SEQUENCE s; CREATE TABLE t (k BIGINT); INSERT INTO t VALUES (1)",
        )
        .unwrap();
        conn.execute_batch(begin).unwrap();
        conn.run(shown, []).unwrap();
        // Before anything else is asked, which may flush the log.
        let left = disk.crashed();
        let last = conn.query_row(
            "SELECT coalesce((SELECT last_value FROM s WHERE is_called), 0)",
            [],
            |row| row.get::<_, i64>(0),
        );
        let last = last.unwrap();
        let next = number(&open(left).connect().unwrap(), "SELECT nextval('s')");
        assert!(last > 0 && next > last, "{shown}: {next} after {last}");
    }
}

/// Line 15: what a statement sets holds once it is done, and not where it fails.
#[test]
fn settings_change_with_the_statement_that_sets_them() {
    alone_and_in_a_block("CREATE TABLE t (k INT)", |conn, _| {
        let shown = || {
            conn.query_row("SHOW application_name", [], |row| row.get::<_, String>(0))
                .unwrap()
        };
        conn.query_row(
            "SELECT set_config('application_name', 'one', false)",
            [],
            |_| Ok(()),
        )
        .unwrap();
        assert_eq!(shown(), "one");
        let fails = "INSERT INTO t SELECT set_config('application_name', 'two', false)::INT";
        assert_eq!(state(conn.execute(fails, [])), "22P02");
        assert_eq!(shown(), "one");
    });
}
