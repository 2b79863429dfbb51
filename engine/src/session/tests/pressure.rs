//! Memory pressure: who wants to know is told, caches are given up, and the budget can be changed.

use super::{connect, number, state};
use crate::{Connection, Database, Options, PressureLevel, PressureThresholds};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long the next change may take: a level is left after a second.
const NEXT_MAX: Duration = Duration::from_secs(5);

type Step = (PressureLevel, PressureLevel);

/// The changes that are told until the database is back at the level it began with, and none is left untold. A level
/// may be reached and left more than once, as the background finds time to encode blocks.
fn listen(db: &Database, heard: &Receiver<Step>) -> Vec<Step> {
    let mut steps = Vec::new();
    while db.memory().pressure != PressureLevel::Normal
        || steps.len() < db.memory_pressure_history().len()
    {
        let step = heard.recv_timeout(NEXT_MAX);
        steps.push(step.unwrap_or_else(|_| panic!("nothing more is told after {steps:?}")));
    }
    steps
}

/// A database of 64 MiB with a table that grows by a megabyte at a time.
fn database() -> (Database, Connection) {
    let thresholds = PressureThresholds::new([30, 50, 60, 70]).unwrap();
    let options = Options::new().max_memory(64 << 20);
    let db = Database::in_memory_with(options.pressure_thresholds(thresholds)).unwrap();
    let conn = db.connect().unwrap();
    conn.execute("CREATE TABLE t (k BIGINT, v TEXT)", [])
        .unwrap();
    (db, conn)
}

fn grow(conn: &Connection, k: i64) -> crate::Result<usize> {
    conn.execute("INSERT INTO t VALUES ($1, repeat('x', 900000))", [k])
}

/// A database fills up and is emptied. Alice, who listens, hears of every level in order; that Bob
/// panics when he hears is his own affair.
#[test]
fn listeners_hear_of_every_change_outside_of_locks() {
    let (db, conn) = database();
    db.on_memory_pressure(|_| panic!("Bob cannot stand it"));
    let (told, heard) = channel();
    let alice = db.clone();
    db.on_memory_pressure(move |change| {
        let conn = alice.connect().unwrap();
        assert!(
            number(&conn, "SELECT count(*) FROM t") >= 0,
            "it may use the database"
        );
        told.send((change.from, change.to)).unwrap();
    });
    let mut k = 0;
    while grow(&conn, k).is_ok() {
        k += 1;
    }
    assert_eq!(db.memory().pressure, PressureLevel::Slow);
    conn.execute("DROP TABLE t", []).unwrap();
    conn.execute("CREATE TABLE t (k BIGINT, v TEXT)", [])
        .unwrap();
    let heard_steps = listen(&db, &heard);
    let history = db.memory_pressure_history();
    let steps: Vec<_> = history
        .iter()
        .map(|change| (change.from, change.to))
        .collect();
    assert_eq!(heard_steps, steps);
    assert!(
        steps.windows(2).all(|two| two[0].1 == two[1].0),
        "{steps:?}"
    );
    assert_eq!(
        number(
            &conn,
            "SELECT count(*) FROM remora_pressure_history WHERE to_level <> from_level"
        ),
        steps.len() as i64
    );
    let level: String = conn
        .query_row(
            "SELECT level FROM remora_pressure WHERE is_current",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(level, "normal");
}

#[test]
fn cached_plans_go_when_memory_gets_scarce() {
    let (_db, conn) = database();
    let cached = || {
        number(
            &conn,
            "SELECT bytes FROM remora_memory WHERE owner = 'cache'",
        )
    };
    let long = format!("SELECT k FROM t WHERE v = '{}'", "x".repeat(4000));
    for _ in 0..2 {
        conn.execute(&long, []).unwrap();
    }
    let plan = 64 * long.len() as i64;
    assert!(cached() >= plan);
    for k in 0..25 {
        grow(&conn, k).unwrap();
    }
    assert!(cached() < plan);
}

#[test]
fn the_budget_is_a_setting_of_the_database() {
    let (db, conn) = database();
    let shown = |conn: &Connection| -> String {
        conn.query_row("SHOW max_memory", [], |row| row.get(0))
            .unwrap()
    };
    assert_eq!(shown(&conn), "64MB");
    let mut k = 0;
    while grow(&conn, k).is_ok() {
        k += 1;
    }
    assert_eq!(state(conn.execute("SET max_memory = '16MB'", [])), "53200");
    assert_eq!(state(conn.execute("SET max_memory = 'much'", [])), "22023");
    conn.execute("SET max_memory = '96MB'", []).unwrap();
    assert_eq!(shown(&db.connect().unwrap()), "96MB");
    grow(&conn, k).unwrap();
    assert_eq!(db.memory().budget, 96 << 20);
    conn.execute_batch("BEGIN").unwrap();
    assert_eq!(state(conn.execute("SET max_memory = '1GB'", [])), "25001");
    conn.execute_batch("ROLLBACK").unwrap();
    let percent: String = conn
        .query_row("SHOW pressure_thresholds", [], |row| row.get(0))
        .unwrap();
    assert_eq!(percent, "30, 50, 60, 70");
    assert_eq!(
        state(connect().execute("SET pressure_thresholds = '1'", [])),
        "42704"
    );
}

/// What the program gave at opening is what RESET returns to, and not a share of the machine.
#[test]
fn a_budget_is_reset_to_what_the_database_was_opened_with() {
    let (db, conn) = database();
    for reset in ["RESET max_memory", "SET max_memory = DEFAULT"] {
        conn.execute("SET max_memory = '96MB'", []).unwrap();
        assert_eq!(db.memory().budget, 96 << 20);
        conn.execute(reset, []).unwrap();
        assert_eq!(db.memory().budget, 64 << 20, "{reset}");
    }
}

/// A budget of exactly what is used would leave nobody the memory to delete.
#[test]
fn a_budget_that_leaves_no_reserve_is_refused() {
    let (db, conn) = database();
    grow(&conn, 1).unwrap();
    let used = db.memory().used;
    let set = |bytes: u64| conn.execute(&format!("SET max_memory = '{bytes}B'"), []);
    assert_eq!(state(set(used)), "53200");
    assert_eq!(db.memory().budget, 64 << 20);
    set(used / 7 * 8 + (1 << 20)).unwrap();
    conn.execute("DELETE FROM t", []).unwrap();
}
