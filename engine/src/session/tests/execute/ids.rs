//! Ids that rise with the time: for all threads, over reopening, and whatever is done to the wall clock.

use super::*;
use crate::Options;
use crate::testing::{ManualTime, SimDisk};
use std::collections::HashSet;
use std::sync::Arc;
use std::thread::scope;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const HOUR: Duration = Duration::from_secs(3600);
/// 2024-01-01, in seconds since 1970.
const NEW_YEAR: u64 = 1_704_067_200;
const FLAKES: &str = "SELECT snowflake_id() FROM generate_series(1, $1)";

fn new_year() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NEW_YEAR)
}

fn all(conn: &Connection, sql: &str, count: i64) -> Vec<i64> {
    let mut statement = conn.prepare(sql).unwrap();
    let ids = statement.query_map([count], |row| row.get(0)).unwrap();
    ids.collect::<Result<_>>().unwrap()
}

fn rises(ids: &[i64]) -> bool {
    ids.is_sorted_by(|one, next| one < next)
}

/// Eight threads take ids, in batches and one by one.
#[test]
fn no_two_threads_get_the_same_id_and_those_of_one_rise() {
    const THREADS: usize = 8;
    const BATCH: i64 = 20_000;
    let db = Database::in_memory().unwrap();
    let found: Vec<Vec<i64>> = scope(|scope| {
        let takers: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    let conn = db.connect().unwrap();
                    let mut ids = all(&conn, FLAKES, BATCH);
                    let mut one = conn.prepare("SELECT snowflake_id()").unwrap();
                    for _ in 0..500 {
                        ids.push(one.query_row([], |row| row.get(0)).unwrap());
                    }
                    ids.extend(all(&conn, FLAKES, BATCH));
                    ids
                })
            })
            .collect();
        takers
            .into_iter()
            .map(|taker| taker.join().unwrap())
            .collect()
    });
    assert!(found.iter().all(|ids| rises(ids)));
    let count = found.iter().map(Vec::len).sum::<usize>();
    let distinct: HashSet<i64> = found.into_iter().flatten().collect();
    assert_eq!((count, distinct.len()), (THREADS * 40_500, count));
    assert!(distinct.iter().all(|id| *id > 0));
}

#[test]
fn an_id_has_its_millisecond_its_node_and_its_number() {
    let time = ManualTime::at(new_year());
    let options = Options::new()
        .time_source(Arc::new(time.clone()))
        .node_id(5);
    let conn = Database::in_memory_with(options)
        .unwrap()
        .connect()
        .unwrap();
    let since = (NEW_YEAR - 1_609_459_200) as i64 * 1000;
    let first = since << 22 | 5 << 12;
    assert_eq!(all(&conn, FLAKES, 3), [first, first + 1, first + 2]);
    // The clock stands still: what one millisecond does not have, the next one gives.
    let many = all(&conn, FLAKES, 5000);
    assert!(rises(&many));
    assert_eq!(
        many[4093..4095],
        [
            (since + 1) << 22 | 5 << 12,
            ((since + 1) << 22 | 5 << 12) + 1
        ]
    );
    let moment = "SELECT snowflake_timestamp($1)::TEXT";
    let shown: String = conn
        .query_row(moment, [many[4094]], |row| row.get(0))
        .unwrap();
    assert_eq!(shown, "2024-01-01 00:00:00.001+00");
    // The time catches up with it.
    time.advance(Duration::from_millis(7));
    assert_eq!(all(&conn, FLAKES, 1), [(since + 7) << 22 | 5 << 12]);
}

/// Each row of a table gets one by itself.
#[test]
fn ids_are_keys_by_default() {
    let conn = connect();
    conn.execute_batch(
        "CREATE TABLE t (id BIGINT PRIMARY KEY DEFAULT snowflake_id(), u UUID UNIQUE DEFAULT uuidv7(), n INT);
         INSERT INTO t (n) SELECT g FROM generate_series(1, 10000) AS g (g);
         INSERT INTO t (n) VALUES (10001), (10002)",
    )
    .unwrap();
    let wrong = "SELECT count(*) FROM (SELECT n, row_number() OVER (ORDER BY id) AS by_id, \
                 row_number() OVER (ORDER BY u) AS by_uuid FROM t) AS t WHERE n <> by_id OR n <> by_uuid";
    assert_eq!(number(&conn, wrong), 0);
}

/// Opens the database of a disk at some time.
fn open(disk: &SimDisk, wall: SystemTime) -> Database {
    let options = Options::new().time_source(Arc::new(ManualTime::at(wall)));
    Database::open_on(Arc::new(disk.clone()), options).unwrap()
}

/// More than the milliseconds of that moment have, so that the ids have run ahead of the clock.
const AHEAD: i64 = 3 * 4096 + 5;

#[test]
fn ids_rise_when_the_database_is_opened_again_with_the_clock_set_back() {
    let disk = SimDisk::new();
    let db = open(&disk, new_year());
    let conn = db.connect().unwrap();
    let mut ids = all(&conn, FLAKES, AHEAD);
    let own = "SHOW node_id";
    let node = |conn: &Connection| conn.query_row(own, [], |row| row.get::<_, String>(0));
    let first_node = node(&conn).unwrap();
    drop(conn);
    db.close().unwrap();
    // A quarter of a minute, an hour, and not at all.
    for back in [HOUR / 240, HOUR, Duration::ZERO] {
        let db = open(&disk, new_year() - back);
        let conn = db.connect().unwrap();
        ids.extend(all(&conn, FLAKES, AHEAD));
        assert_eq!(node(&conn).unwrap(), first_node);
        drop(conn);
        db.close().unwrap();
    }
    assert!(rises(&ids));
}

#[test]
fn ids_that_were_committed_are_past_after_a_crash() {
    let disk = SimDisk::new();
    let db = open(&disk, new_year());
    let conn = db.connect().unwrap();
    conn.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)", [])
        .unwrap();
    let insert = format!("INSERT INTO t SELECT snowflake_id() FROM generate_series(1, {AHEAD})");
    conn.execute(&insert, []).unwrap();
    let last = number(&conn, "SELECT max(id) FROM t");
    let crashed = disk.crashed();
    let db = open(&crashed, new_year() - HOUR);
    let conn = db.connect().unwrap();
    assert_eq!(number(&conn, "SELECT max(id) FROM t"), last);
    assert!(all(&conn, FLAKES, 1)[0] > last);
    // A checkpoint keeps it as the log does.
    conn.execute(&insert, []).unwrap();
    let last = number(&conn, "SELECT max(id) FROM t");
    conn.execute("CHECKPOINT", []).unwrap();
    let db = open(&crashed.crashed(), new_year() - HOUR);
    let conn = db.connect().unwrap();
    assert!(all(&conn, FLAKES, 1)[0] > last);
}

#[test]
fn copies_have_nodes_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let node = |name: &str| {
        let db = Database::open(folder.path().join(name)).unwrap();
        let conn = db.connect().unwrap();
        number(&conn, "SELECT (snowflake_id() >> 12) & 1023")
    };
    let first = node("first");
    assert_eq!(node("first"), first);
    // The files of a closed database, copied: one in 1,024 has the same node by chance.
    let copies: HashSet<i64> = (0..4)
        .map(|number| {
            let name = format!("copy{number}");
            copy_folder(&folder.path().join("first"), &folder.path().join(&name));
            node(&name)
        })
        .collect();
    assert!(copies.iter().any(|copy| *copy != first));
    assert!(copies.len() > 1);
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

#[test]
fn settings_of_ids_are_those_of_the_database() {
    let options = Options::new().time_source(Arc::new(ManualTime::at(new_year())));
    let options = options.node_id(9).snowflake_epoch(new_year() - HOUR);
    let db = Database::in_memory_with(options).unwrap();
    let [alice, bob] = [db.connect().unwrap(), db.connect().unwrap()];
    let show = |name: &str| {
        bob.query_row(&format!("SHOW {name}"), [], |row| row.get::<_, String>(0))
            .unwrap()
    };
    assert_eq!(show("node_id"), "9");
    assert_eq!(show("snowflake_epoch"), "2023-12-31 23:00:00+00");
    alice.execute("SET node_id = 1023", []).unwrap();
    alice
        .execute("SET snowflake_epoch = '2024-01-01 00:00+01'", [])
        .unwrap();
    assert_eq!(show("node_id"), "1023");
    assert_eq!(all(&bob, FLAKES, 1), [3_600_000 << 22 | 1023 << 12]);
    for (name, value) in [
        ("node_id", "1024"),
        ("node_id", "-1"),
        ("node_id", "a"),
        ("snowflake_epoch", "soon"),
        ("snowflake_epoch", "infinity"),
        ("snowflake_epoch", "-infinity"),
        ("snowflake_epoch", "2024-01-02"),
        ("snowflake_epoch", "1950-01-01"),
    ] {
        let set = alice.execute(&format!("SET {name} = '{value}'"), []);
        assert_eq!(state(set), "22023", "{name} {value}");
    }
    alice.execute("RESET node_id", []).unwrap();
    alice.execute("SET snowflake_epoch TO DEFAULT", []).unwrap();
    assert_eq!(show("node_id"), "9");
    assert_eq!(show("snowflake_epoch"), "2023-12-31 23:00:00+00");
    alice.execute("BEGIN", []).unwrap();
    assert_eq!(state(alice.execute("SET node_id = 1", [])), "25001");
}

#[test]
fn a_time_before_the_epoch_gives_no_ids() {
    let options = Options::new().time_source(Arc::new(ManualTime::at(UNIX_EPOCH)));
    let conn = Database::in_memory_with(options)
        .unwrap()
        .connect()
        .unwrap();
    assert_eq!(state(conn.execute("SELECT snowflake_id()", [])), "22003");
    assert_eq!(
        state(conn.execute("SELECT uuidv7(INTERVAL '-1 day')", [])),
        "22008"
    );
}

#[test]
fn uuids_of_version_7_rise_while_the_clock_stands_still() {
    let options = Options::new().time_source(Arc::new(ManualTime::at(new_year())));
    let db = Database::in_memory_with(options).unwrap();
    let conn = db.connect().unwrap();
    let mut statement = conn
        .prepare("SELECT uuidv7()::TEXT FROM generate_series(1, 10000)")
        .unwrap();
    let ids = statement
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap();
    let ids: Vec<String> = ids.collect::<Result<_>>().unwrap();
    assert!(ids.is_sorted_by(|one, next| one < next));
    let asked = |what: &str| {
        conn.query_row(what, [], |row| row.get::<_, String>(0))
            .unwrap()
    };
    assert_eq!(asked("SELECT uuid_extract_version(uuidv7())::TEXT"), "7");
    assert_eq!(
        asked(
            "SELECT date_trunc('second', uuid_extract_timestamp(uuidv7(INTERVAL '1 month')))::TEXT"
        ),
        "2024-02-01 00:00:00+00"
    );
    assert_eq!(
        asked("SELECT date_trunc('day', uuid_extract_timestamp(uuidv7(shift => '-1 day')))::TEXT"),
        "2023-12-31 00:00:00+00"
    );
}
