//! Savepoints and failures in transactions, from the library.

use super::{connect, number, state};
use crate::{Database, DropBehavior, OptionalExtension, Options, TransactionStatus};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn with_table() -> crate::Connection {
    let conn = connect();
    let sql = "CREATE TABLE t (k BIGINT PRIMARY KEY)";
    conn.execute(sql, []).unwrap();
    conn
}

fn count(conn: &crate::Connection) -> i64 {
    number(conn, "SELECT count(*) FROM t")
}

/// A dropped savepoint takes back what was done in it, a committed one leaves it to what is around.
#[test]
fn savepoints_nest_as_values_do() {
    let mut conn = with_table();
    let mut tx = conn.transaction().unwrap();
    tx.execute("INSERT INTO t VALUES (1)", []).unwrap();
    let mut outer = tx.savepoint().unwrap();
    outer.execute("INSERT INTO t VALUES (2)", []).unwrap();
    let inner = outer.savepoint().unwrap();
    inner.execute("INSERT INTO t VALUES (3)", []).unwrap();
    inner.commit().unwrap();
    let inner = outer.savepoint_with_name("named").unwrap();
    inner.execute("INSERT INTO t VALUES (4)", []).unwrap();
    inner.execute("ROLLBACK TO named", []).unwrap();
    inner.execute("INSERT INTO t VALUES (5)", []).unwrap();
    drop(inner);
    assert_eq!(count(&outer), 3);
    outer.rollback().unwrap();
    assert_eq!(count(&outer), 1);
    outer.execute("INSERT INTO t VALUES (6)", []).unwrap();
    outer.commit().unwrap();
    tx.commit().unwrap();
    assert_eq!(number(&conn, "SELECT max(k) FROM t"), 6);
    assert_eq!(count(&conn), 2);
}

#[test]
fn a_failure_within_a_savepoint_ends_with_it() {
    let mut conn = with_table();
    let mut tx = conn.transaction().unwrap();
    tx.execute("INSERT INTO t VALUES (1)", []).unwrap();
    let savepoint = tx.savepoint().unwrap();
    savepoint.execute("INSERT INTO t VALUES (2)", []).unwrap();
    assert_eq!(
        state(savepoint.execute("INSERT INTO t VALUES (1)", [])),
        "23505"
    );
    assert_eq!(savepoint.transaction_status(), TransactionStatus::Failed);
    assert_eq!(state(savepoint.commit()), "25P02");
    assert_eq!(tx.transaction_status(), TransactionStatus::Open);
    let mut savepoint = tx.savepoint().unwrap();
    assert_eq!(state(savepoint.execute("nonsense", [])), "42601");
    savepoint.rollback().unwrap();
    savepoint.execute("INSERT INTO t VALUES (3)", []).unwrap();
    savepoint.commit().unwrap();
    tx.commit().unwrap();
    assert_eq!(number(&conn, "SELECT CAST(sum(k) AS BIGINT) FROM t"), 4);
}

#[test]
fn what_a_dropped_savepoint_does_can_be_chosen() {
    let mut conn = with_table();
    let mut tx = conn.transaction().unwrap();
    for (k, behavior) in [
        (1_i64, DropBehavior::Commit),
        (2, DropBehavior::Rollback),
        (3, DropBehavior::Ignore),
    ] {
        let mut savepoint = tx.savepoint().unwrap();
        savepoint.set_drop_behavior(behavior);
        assert_eq!(savepoint.drop_behavior(), behavior);
        savepoint.execute("INSERT INTO t VALUES (?)", [k]).unwrap();
    }
    tx.commit().unwrap();
    assert_eq!(number(&conn, "SELECT CAST(sum(k) AS BIGINT) FROM t"), 4);
}

/// SQL has ended the transaction behind the savepoint's back, and begun another one: the savepoint
/// must not reach into that.
#[test]
fn a_savepoint_that_is_gone_does_no_harm() {
    let mut conn = with_table();
    let mut tx = conn.transaction().unwrap();
    let mut savepoint = tx.savepoint().unwrap();
    savepoint.execute("COMMIT", []).unwrap();
    savepoint.execute_batch("BEGIN").unwrap();
    savepoint.execute_batch("SAVEPOINT s").unwrap();
    savepoint.execute("INSERT INTO t VALUES (1)", []).unwrap();
    assert_eq!(state(savepoint.rollback()), "3B001");
    assert_eq!(state(savepoint.commit()), "3B001");
    assert_eq!(tx.transaction_status(), TransactionStatus::Open);
    tx.commit().unwrap();
    assert_eq!(count(&conn), 1);
}

/// As PostgreSQL has it: the statements of one text are a transaction without savepoints.
#[test]
fn a_text_without_begin_has_no_savepoints() {
    let conn = with_table();
    let text = "INSERT INTO t VALUES (1); SAVEPOINT s; ROLLBACK TO s";
    let error = conn.execute_batch(text).unwrap_err();
    assert_eq!(error.sqlstate(), "25P01");
    let message = "SAVEPOINT can only be used in transaction blocks";
    assert_eq!(error.message(), message);
    assert_eq!(conn.transaction_status(), TransactionStatus::Idle);
    assert_eq!(count(&conn), 0);

    let text = "INSERT INTO t VALUES (1); BEGIN; SAVEPOINT s; INSERT INTO t VALUES (2); \
        ROLLBACK TO s; COMMIT";
    conn.execute_batch(text).unwrap();
    assert_eq!(count(&conn), 1);
}

/// Ten thousand within each other, and all of them fall in one step.
#[test]
fn savepoints_are_as_deep_as_wanted() {
    let conn = with_table();
    conn.execute("BEGIN", []).unwrap();
    let mut insert = conn.prepare("INSERT INTO t VALUES (?)").unwrap();
    for k in 0..10_000_i64 {
        conn.execute(&format!("SAVEPOINT s{k}"), []).unwrap();
        insert.execute([k]).unwrap();
    }
    conn.execute("ROLLBACK TO s7000", []).unwrap();
    assert_eq!(count(&conn), 7_000);
    conn.execute("RELEASE s1", []).unwrap();
    assert_eq!(state(conn.execute("ROLLBACK TO s2", [])), "3B001");
    conn.execute("ROLLBACK TO s0", []).unwrap();
    assert_eq!(count(&conn), 0);
    conn.execute("COMMIT", []).unwrap();
}

/// Savepoints without end run into the budget, and the transaction can still go back to one.
#[test]
fn savepoints_are_accounted_for() {
    let db = Database::in_memory_with(Options::new().max_memory(16 << 20)).unwrap();
    let conn = db.connect().unwrap();
    conn.execute("CREATE TABLE t (k BIGINT PRIMARY KEY)", [])
        .unwrap();
    let held = || {
        let memory = db.memory();
        let line = memory.lines.iter().find(|line| line.owner == "transaction");
        line.map_or(0, |line| line.bytes)
    };
    conn.execute("BEGIN", []).unwrap();
    conn.execute("INSERT INTO t VALUES (1)", []).unwrap();
    let failed = (0..10_000_000).find_map(|_| conn.execute("SAVEPOINT s", []).err());
    assert_eq!(failed.unwrap().sqlstate(), "53200");
    assert!(held() > 8 << 20, "{}", held());
    assert_eq!(conn.transaction_status(), TransactionStatus::Failed);
    conn.execute("ROLLBACK TO s", []).unwrap();
    assert_eq!(count(&conn), 1);
    conn.execute("COMMIT", []).unwrap();
    assert!(held() < 1 << 20, "{}", held());
}

/// A statement that fails takes back only itself, where the connection was told so.
#[test]
fn on_error_rollback_keeps_the_transaction_open() {
    let conn = with_table();
    assert!(!conn.on_error_rollback().unwrap());
    conn.set_on_error_rollback(true).unwrap();
    assert!(conn.on_error_rollback().unwrap());
    conn.execute_batch("BEGIN; INSERT INTO t VALUES (1)")
        .unwrap();
    let failed = conn.execute("INSERT INTO t VALUES (2), (3), (1)", []);
    assert_eq!(state(failed), "23505");
    assert_eq!(state(conn.execute("SELECT * FROM nosuch", [])), "42P01");
    assert_eq!(state(conn.execute("ROLLBACK TO nosuch", [])), "3B001");
    let mut rows = conn.prepare("SELECT 1 / (k - 1) FROM t").unwrap();
    assert_eq!(state(rows.query_row([], |_| Ok(()))), "22012");
    assert_eq!(conn.transaction_status(), TransactionStatus::Open);
    conn.execute("COMMIT", []).unwrap();
    assert_eq!(count(&conn), 1);

    // Not so a text of its own: that is all or nothing.
    let failed = conn.execute_batch("INSERT INTO t VALUES (5); INSERT INTO t VALUES (1)");
    assert_eq!(state(failed), "23505");
    assert_eq!(conn.transaction_status(), TransactionStatus::Idle);
    assert_eq!(count(&conn), 1);

    conn.execute("SET on_error_rollback = off", []).unwrap();
    conn.execute("BEGIN", []).unwrap();
    assert_eq!(state(conn.execute("SELECT 1 / 0", [])), "22012");
    assert_eq!(conn.transaction_status(), TransactionStatus::Failed);
}

/// The snapshot is taken by the first statement that reads, as in PostgreSQL.
#[test]
fn a_transaction_that_waits_before_its_first_query_sees_what_came_meanwhile() {
    let db = Database::in_memory().unwrap();
    let (alice, bob) = (db.connect().unwrap(), db.connect().unwrap());
    alice
        .execute("CREATE TABLE t (k BIGINT PRIMARY KEY)", [])
        .unwrap();
    alice.execute_batch("BEGIN").unwrap();
    alice.execute_batch("SAVEPOINT s").unwrap();
    bob.execute("INSERT INTO t VALUES (1)", []).unwrap();
    assert_eq!(count(&alice), 1);
    bob.execute("INSERT INTO t VALUES (2)", []).unwrap();
    assert_eq!(count(&alice), 1);
    alice.execute("ROLLBACK TO s", []).unwrap();
    assert_eq!(count(&alice), 1);
}

/// One step of a transaction, over a few keys and three names of savepoints.
#[derive(Clone, Debug)]
enum Step {
    Insert(i64, i64),
    Update(i64, i64),
    Move(i64, i64),
    Delete(i64),
    Savepoint(u8),
    RollbackTo(u8),
    Release(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..6_i64;
    prop_oneof![
        4 => (key(), 0..4_i64).prop_map(|(k, v)| Step::Insert(k, v)),
        3 => (key(), 0..4_i64).prop_map(|(k, v)| Step::Update(k, v)),
        2 => (key(), key()).prop_map(|(k, to)| Step::Move(k, to)),
        3 => key().prop_map(Step::Delete),
        3 => (0..3_u8).prop_map(Step::Savepoint),
        2 => (0..3_u8).prop_map(Step::RollbackTo),
        1 => (0..3_u8).prop_map(Step::Release),
    ]
}

type Rows = BTreeMap<i64, i64>;

/// What a transaction should come to: its rows, and its savepoints with theirs.
#[derive(Clone, Debug, Default)]
struct Model {
    rows: Rows,
    savepoints: Vec<(u8, Rows)>,
}

impl Model {
    /// Does the step; `false` where it has to fail, and nothing is done then.
    fn run(&mut self, step: &Step) -> bool {
        let named = |name: u8| self.savepoints.iter().rposition(|one| one.0 == name);
        match *step {
            Step::Insert(k, _) if self.rows.contains_key(&k) => return false,
            Step::Insert(k, v) => drop(self.rows.insert(k, v)),
            Step::Update(k, v) => {
                self.rows.entry(k).and_modify(|old| *old = v);
            }
            Step::Move(k, to) => match self.rows.get(&k).copied() {
                Some(_) if k != to && self.rows.contains_key(&to) => return false,
                Some(v) => {
                    self.rows.remove(&k);
                    self.rows.insert(to, v);
                }
                None => {}
            },
            Step::Delete(k) => drop(self.rows.remove(&k)),
            Step::Savepoint(name) => self.savepoints.push((name, self.rows.clone())),
            Step::RollbackTo(name) => match named(name) {
                Some(at) => {
                    self.savepoints.truncate(at + 1);
                    self.rows = self.savepoints[at].1.clone();
                }
                None => return false,
            },
            Step::Release(name) => match named(name) {
                Some(at) => self.savepoints.truncate(at),
                None => return false,
            },
        }
        true
    }
}

fn sql(step: &Step) -> String {
    match step {
        Step::Insert(k, v) => format!("INSERT INTO t VALUES ({k}, {v})"),
        Step::Update(k, v) => format!("UPDATE t SET v = {v} WHERE k = {k}"),
        Step::Move(k, to) => format!("UPDATE t SET k = {to} WHERE k = {k}"),
        Step::Delete(k) => format!("DELETE FROM t WHERE k = {k}"),
        Step::Savepoint(name) => format!("SAVEPOINT s{name}"),
        Step::RollbackTo(name) => format!("ROLLBACK TO s{name}"),
        Step::Release(name) => format!("RELEASE s{name}"),
    }
}

/// The rows, by a scan and by each of the indexes.
fn rows(conn: &crate::Connection) -> Rows {
    let mut scan = conn.prepare("SELECT k, v FROM t").unwrap();
    let rows: Rows = scan
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<crate::Result<_>>()
        .unwrap();
    let mut by_key = conn.prepare("SELECT v FROM t WHERE k = ?").unwrap();
    for k in 0..6_i64 {
        let found = by_key.query_row([k], |row| row.get(0)).optional().unwrap();
        assert_eq!(found, rows.get(&k).copied(), "key {k}");
    }
    let mut by_value = conn.prepare("SELECT count(*) FROM t WHERE v = ?").unwrap();
    for v in 0..4_i64 {
        let found: i64 = by_value.query_row([v], |row| row.get(0)).unwrap();
        let count = rows.values().filter(|value| **value == v).count();
        assert_eq!(found, count as i64, "value {v}");
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever is done and taken back, the rows are those of the model: within the transaction, and
    /// for others after its end.
    #[test]
    fn any_order_of_savepoints_is_as_the_model_says(
        steps in prop::collection::vec(step(), 1..60),
        forgiving: bool,
        commits: bool,
    ) {
        let db = Database::in_memory().unwrap();
        let (conn, other) = (db.connect().unwrap(), db.connect().unwrap());
        conn.execute_batch(
            "CREATE TABLE t (k BIGINT PRIMARY KEY, v BIGINT); CREATE INDEX t_v ON t (v);
             INSERT INTO t VALUES (0, 0), (1, 1)",
        )
        .unwrap();
        let before = rows(&other);
        conn.set_on_error_rollback(forgiving).unwrap();
        conn.execute("BEGIN", []).unwrap();
        let mut model = Model { rows: before.clone(), savepoints: Vec::new() };
        for step in &steps {
            let done = model.run(step);
            prop_assert_eq!(conn.execute(&sql(step), []).is_ok(), done, "{:?}", step);
            if !done && !forgiving {
                prop_assert_eq!(conn.transaction_status(), TransactionStatus::Failed);
                let Some((name, then)) = model.savepoints.last().cloned() else {
                    // Nothing to go back to.
                    prop_assert_eq!(rows(&other), before.clone());
                    return Ok(());
                };
                conn.execute(&sql(&Step::RollbackTo(name)), []).unwrap();
                model.rows = then;
            }
            prop_assert_eq!(rows(&conn), model.rows.clone(), "{:?}", step);
            prop_assert_eq!(rows(&other), before.clone());
        }
        conn.execute(if commits { "COMMIT" } else { "ROLLBACK" }, []).unwrap();
        prop_assert_eq!(rows(&other), if commits { model.rows } else { before });
    }
}

/// A text is all or nothing, also where what fails in it is BEGIN.
#[test]
fn a_begin_that_fails_leaves_no_block_behind() {
    for on_error_rollback in [false, true] {
        let conn = with_table();
        conn.set_on_error_rollback(on_error_rollback).unwrap();
        let text = "INSERT INTO t VALUES (1); BEGIN ISOLATION LEVEL SNAPSHOT";
        assert_eq!(state(conn.execute_batch(text)), "25001");
        assert_eq!(conn.transaction_status(), TransactionStatus::Idle);
        assert_eq!(count(&conn), 0);
    }
}

/// What was undone is not committed by a drop, whatever the closure has asked for.
#[test]
fn a_closure_that_fails_leaves_nothing() {
    let mut conn = with_table();
    let failed = conn.transact(|tx| {
        tx.set_drop_behavior(DropBehavior::Commit);
        tx.execute("INSERT INTO t VALUES (1)", [])?;
        tx.execute("SELECT 1 / 0", [])
    });
    assert_eq!(state(failed), "22012");
    assert_eq!(count(&conn), 0);
    assert_eq!(
        state(conn.query_arrow("INSERT INTO t VALUES (1)", [])),
        "42601"
    );
    assert_eq!(count(&conn), 0);
}
