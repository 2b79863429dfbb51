//! The scripts that are explored exhaustively: small, each about one thing that could go wrong.

use super::script::{Script, Step};
use remora::Durability;
use std::time::Duration;

/// A table that most scripts begin with.
const TABLE: &str = "CREATE TABLE t (k BIGINT PRIMARY KEY, u BIGINT UNIQUE, v TEXT)";

/// All of them, those first that take little time and in which mistakes are noticed that are not elsewhere.
pub fn all() -> Vec<Script> {
    vec![
        changes(),
        windows("loss window", 5),
        windows("loss window, slow disk", 80),
        chosen_durability(),
        structure(),
        checkpoints(),
        compaction(),
        segments(),
        large_transaction(),
        sequences(),
        buffered(),
        sessions(),
        reopening(),
        rewriting(),
        restoring(),
        killed(),
        killed_while_buffered(),
        backups(),
        cleaning(),
        expiry(),
        caches(),
        unlogged(),
    ]
}

/// Rows come, change and go; some in transactions of several statements, some undone.
fn changes() -> Script {
    Script::new(
        "changes",
        &[
            TABLE,
            "INSERT INTO t VALUES (1, 10, 'one'), (2, 20, 'two'), (3, NULL, NULL)",
            "UPDATE t SET v = 'a text that is longer than what lies in a row' WHERE k = 2",
            "BEGIN; DELETE FROM t WHERE k = 1; INSERT INTO t VALUES (1, 11, 'again'); COMMIT",
            "BEGIN; INSERT INTO t VALUES (9, 90, 'never'); ROLLBACK",
            "UPDATE t SET u = u + 1, v = NULL",
            "DELETE FROM t WHERE k = 3",
        ],
    )
}

/// Rows expire, are swept, and their keys are written again.
fn expiry() -> Script {
    Script::new(
        "expiry",
        &[
            "CREATE TABLE e (k BIGINT PRIMARY KEY, v TEXT) WITH (ttl_expire_after = '100 years')",
            "INSERT INTO e (k, v, expires_at) VALUES (1, 'gone', '1960-01-01'), (2, 'stays', 'infinity'), \
             (3, 'gone', '1960-01-01')",
            "INSERT INTO e VALUES (1, 'again')",
            "pause 1000",
            "checkpoint",
            "UPDATE e SET expires_at = '1960-01-01' WHERE k = 2",
            "INSERT INTO e VALUES (4, 'new')",
            "pause 1000",
            "INSERT INTO e VALUES (2, 'again')",
            "UPDATE e SET expires_at = '1960-01-01' WHERE k = 4",
            "ALTER TABLE e RESET (ttl_expire_after)",
        ],
    )
}

/// A cache gives up rows, whatever becomes of the transaction that needed the room. What is left of its older rows is
/// nobody's promise; its bound leaves one, so that the newest stays until the next one is there.
fn caches() -> Script {
    let mut script = Script::new(
        "caches",
        &[
            "CREATE TABLE c (k BIGINT PRIMARY KEY, v TEXT) WITH (eviction = 'lru', max_rows = 3)",
            "INSERT INTO c VALUES (0, 'none'), (1, 'one')",
            "INSERT INTO c VALUES (2, 'two')",
            "INSERT INTO c VALUES (3, 'three')",
            "UPDATE c SET v = 'a text that is longer than what lies in a row' WHERE k = 3",
            "BEGIN; INSERT INTO c VALUES (4, 'never'); ROLLBACK",
            "checkpoint",
            "INSERT INTO c VALUES (5, 'five')",
            "INSERT INTO c VALUES (6, 'six')",
            "reopen",
            "INSERT INTO c VALUES (8, 'eight')",
            "ALTER TABLE c SET (eviction = 'fifo', max_rows = 2)",
            "pause 1000",
            "INSERT INTO c VALUES (9, 'nine')",
        ],
    );
    script.probes = vec![
        "SELECT k, v FROM c ORDER BY k DESC LIMIT 1".to_owned(),
        "SELECT count(*) <= 3 FROM c".to_owned(),
    ];
    script
}

/// Of an unlogged table there is all or nothing after a crash.
fn unlogged() -> Script {
    let mut script = Script::new(
        "unlogged",
        &[
            TABLE,
            "CREATE UNLOGGED TABLE w (k BIGINT PRIMARY KEY, v BIGINT)",
            "INSERT INTO w VALUES (1, 5), (2, -5)",
            "INSERT INTO t VALUES (1, 10, 'one')",
            "reopen",
            "UPDATE w SET v = -v",
            "checkpoint",
            "BEGIN; INSERT INTO w VALUES (3, 7), (4, -7); INSERT INTO t VALUES (2, 20, 'two'); COMMIT",
            "reopen",
            "reopen",
            "DELETE FROM w WHERE k < 3",
            "ALTER TABLE w SET LOGGED",
            "reopen",
            "ALTER TABLE w SET UNLOGGED",
            "INSERT INTO w VALUES (5, 1), (6, -1)",
        ],
    );
    script.probes = vec![
        "SELECT * FROM t ORDER BY k".to_owned(),
        "SELECT coalesce(sum(v), 0), count(*) % 2 FROM w".to_owned(),
    ];
    script
}

/// Tables, indexes, views and foreign keys come, change and go.
fn structure() -> Script {
    let mut script = Script::new(
        "structure",
        &[
            TABLE,
            "INSERT INTO t VALUES (1, 10, 'one'), (2, 20, 'two')",
            "CREATE INDEX t_v ON t (v)",
            "CREATE TABLE c (n INTEGER PRIMARY KEY, t BIGINT REFERENCES t ON DELETE CASCADE)",
            "INSERT INTO c VALUES (1, 1), (2, 2)",
            "CREATE VIEW w AS SELECT k, n FROM t JOIN c ON c.t = t.k",
            "ALTER TABLE t ADD COLUMN extra INTEGER DEFAULT 7",
            "CREATE UNIQUE INDEX computed ON t (lower(v)) WHERE k > 1",
            "DELETE FROM t WHERE k = 1",
            "checkpoint",
            "ALTER TABLE t RENAME COLUMN v TO text",
            "DROP VIEW w",
            "DROP TABLE c",
            "DROP INDEX t_v",
            "DROP INDEX computed",
        ],
    );
    script.probes = vec!["SELECT * FROM w ORDER BY 1, 2".to_owned()];
    script
}

/// Checkpoints between commits, more than are kept, one of an empty table.
fn checkpoints() -> Script {
    Script::new(
        "checkpoints",
        &[
            TABLE,
            "checkpoint",
            "INSERT INTO t VALUES (1, 10, 'one'), (2, 20, 'two')",
            "checkpoint",
            "UPDATE t SET v = 'changed' WHERE k = 1",
            "checkpoint",
            "DELETE FROM t WHERE k = 2",
            "checkpoint",
            "checkpoint",
            "INSERT INTO t VALUES (3, 30, 'three')",
        ],
    )
}

/// Rows `from` to `to` of the table, as one statement.
fn insert(from: u64, to: u64, text: &str) -> String {
    let row = |k: u64| format!("({k}, {}, '{text} number {k}')", k * 10);
    let rows: Vec<String> = (from..to).map(row).collect();
    format!("INSERT INTO t VALUES {}", rows.join(", "))
}

/// Blocks are frozen, changed, and written as images.
fn compaction() -> Script {
    let fill = insert(0, 150, "a row");
    Script::new(
        "compaction",
        &[
            TABLE,
            &fill,
            "compact",
            "UPDATE t SET v = 'changed after it was frozen' WHERE k = 3",
            "checkpoint",
            "DELETE FROM t WHERE k BETWEEN 10 AND 120",
            "compact",
            "INSERT INTO t VALUES (1000, 1, 'after')",
            "checkpoint",
            "UPDATE t SET u = u + 1 WHERE k = 5",
        ],
    )
}

/// Every few commits begin a new segment of the log.
fn segments() -> Script {
    let mut script = Script::new(
        "segments",
        &[
            TABLE,
            "INSERT INTO t VALUES (1, 10, 'one')",
            "INSERT INTO t VALUES (2, 20, 'two')",
            "INSERT INTO t VALUES (3, 30, 'three')",
            "UPDATE t SET v = 'changed' WHERE k = 2",
            "checkpoint",
            "DELETE FROM t WHERE k = 1",
            "INSERT INTO t VALUES (4, 40, 'four')",
            "INSERT INTO t VALUES (5, 50, 'five')",
            "checkpoint",
            "INSERT INTO t VALUES (6, 60, 'six')",
            "INSERT INTO t VALUES (7, 70, 'seven')",
        ],
    );
    script.segment_bytes = 250;
    script
}

/// A transaction of many sectors, and one beside it.
fn large_transaction() -> Script {
    let many = insert(
        0,
        400,
        "a text that takes some room so that it is many sectors long",
    );
    let mut script = Script::new(
        "large transaction",
        &[
            TABLE,
            "INSERT INTO t VALUES (1000, 5, 'before')",
            &many,
            "UPDATE t SET v = v || ' and more', u = u + 1 WHERE k < 300",
            "INSERT INTO t VALUES (1001, 7, 'after')",
        ],
    );
    script.segment_bytes = 16 << 10;
    script
}

/// Numbers of sequences are never given twice.
fn sequences() -> Script {
    let mut script = Script::new(
        "sequences",
        &[
            "CREATE TABLE t (k SERIAL PRIMARY KEY, v TEXT)",
            "INSERT INTO t (v) VALUES ('one'), ('two')",
            "INSERT INTO t (v) SELECT 'many' FROM t AS a, t AS b, t AS c, t AS d, t AS e",
            "checkpoint",
            "INSERT INTO t (v) VALUES ('after')",
            "INSERT INTO t (v) SELECT 'more' FROM t AS a, t AS b WHERE a.k < 7 AND b.k < 7",
            "CREATE SEQUENCE s START 5",
            "INSERT INTO t (k, v) VALUES (-100, 'by hand')",
            "ALTER SEQUENCE s RESTART 50",
            "DROP SEQUENCE s",
        ],
    );
    script.leaves_out = true;
    // The key would be there already.
    script.afterwards = Some("INSERT INTO t (v) VALUES ('one more')".to_owned());
    script
}

/// Commits that nobody waits for: what is left is a prefix.
fn buffered() -> Script {
    let mut script = Script::new(
        "buffered",
        &[
            TABLE,
            "INSERT INTO t VALUES (1, 10, 'one')",
            "INSERT INTO t VALUES (2, 20, 'two')",
            "checkpoint",
            "UPDATE t SET v = 'changed' WHERE k = 1",
            "DELETE FROM t WHERE k = 2",
            "INSERT INTO t VALUES (3, 30, 'three')",
            "reopen",
            "INSERT INTO t VALUES (4, 40, 'four')",
            "UPDATE t SET u = u + 1",
        ],
    );
    script.durability = Durability::Buffered;
    script.segment_bytes = 300;
    script
}

/// Transactions of three sessions, one in the other.
fn sessions() -> Script {
    Script::new(
        "sessions",
        &[
            TABLE,
            "INSERT INTO t VALUES (1, 10, 'one'), (2, 20, 'two'), (3, 30, 'three')",
            "0> BEGIN",
            "1> BEGIN",
            "2> BEGIN",
            "0> UPDATE t SET v = 'of 0' WHERE k = 1",
            "1> UPDATE t SET v = 'of 1' WHERE k = 2",
            "0> SAVEPOINT a",
            "0> INSERT INTO t VALUES (4, 40, 'undone')",
            "refused: 2> UPDATE t SET v = 'of 2' WHERE k = 1",
            "0> ROLLBACK TO a",
            "1> INSERT INTO t VALUES (5, 50, 'of 1')",
            "checkpoint",
            "1> COMMIT",
            "0> INSERT INTO t VALUES (4, 41, 'of 0')",
            "0> COMMIT",
            "2> ROLLBACK",
        ],
    )
}

/// Closed and opened again and again, with and without work in between.
fn reopening() -> Script {
    Script::new(
        "reopening",
        &[
            "reopen",
            TABLE,
            "reopen",
            "INSERT INTO t VALUES (1, 10, 'one')",
            "checkpoint",
            "reopen",
            "INSERT INTO t VALUES (2, 20, 'two')",
            "reopen",
            "reopen",
        ],
    )
}

/// A table is written anew as a whole, and an index is built over what is there.
fn rewriting() -> Script {
    let fill = insert(0, 60, "a row");
    let mut script = Script::new(
        "rewriting",
        &[
            TABLE,
            &fill,
            "ALTER TABLE t ALTER COLUMN u TYPE TEXT",
            "UPDATE t SET v = 'changed' WHERE k = 7",
            "checkpoint",
            "CREATE UNIQUE INDEX t_vk ON t (v, k)",
            "ALTER TABLE t DROP COLUMN u",
            "DELETE FROM t WHERE k < 30",
            "TRUNCATE t",
            "INSERT INTO t VALUES (1, 'new')",
        ],
    );
    script.steps.push(Step::Checkpoint);
    script
}

/// An older checkpoint is made current.
fn restoring() -> Script {
    Script::new(
        "restoring",
        &[
            TABLE,
            "INSERT INTO t VALUES (1, 10, 'one'), (2, 20, 'two')",
            "checkpoint",
            "UPDATE t SET v = 'changed' WHERE k = 1",
            "checkpoint",
            "DELETE FROM t WHERE k = 2",
            "INSERT INTO t VALUES (3, 30, 'three')",
            "restore first",
        ],
    )
}

/// Processes die, one after the other; what the next one builds on is what the system had.
fn killed() -> Script {
    let mut script = Script::new(
        "killed",
        &[
            TABLE,
            "INSERT INTO t VALUES (1, 10, 'one')",
            "kill",
            "INSERT INTO t VALUES (2, 20, 'two')",
            "checkpoint",
            "kill",
            "BEGIN; UPDATE t SET v = 'changed' WHERE k = 1",
            "kill",
            "UPDATE t SET u = u + 1",
            "INSERT INTO t VALUES (3, 30, 'three')",
            "kill",
            "kill",
            "checkpoint",
        ],
    );
    script.segment_bytes = 300;
    script
}

/// What nobody waited for goes with the process, and what is shown afterwards stays.
fn killed_while_buffered() -> Script {
    let mut script = Script::new(
        "killed while buffered",
        &[
            TABLE,
            "INSERT INTO t VALUES (1, 10, 'one')",
            "checkpoint",
            "INSERT INTO t VALUES (2, 20, 'two')",
            "kill",
            "INSERT INTO t VALUES (3, 30, 'three')",
            "checkpoint",
            "DELETE FROM t WHERE k = 1",
            "kill",
            "UPDATE t SET v = 'changed'",
        ],
    );
    script.durability = Durability::Buffered;
    script
}

/// The database is copied while it is in use.
fn backups() -> Script {
    Script::new(
        "backups",
        &[
            "backup",
            TABLE,
            "INSERT INTO t VALUES (1, 10, 'one'), (2, 20, 'two')",
            "0> BEGIN",
            "0> UPDATE t SET v = 'not committed' WHERE k = 1",
            "1> INSERT INTO t VALUES (3, 30, 'three')",
            "backup",
            "0> COMMIT",
            "checkpoint",
            "1> DELETE FROM t WHERE k = 2",
            "backup",
        ],
    )
}

/// Most of what a data file holds changes, so that a later checkpoint gives it up and carries over the rest; when no
/// kept one needs it any more, it goes.
fn cleaning() -> Script {
    Script::new(
        "cleaning",
        &[
            "CREATE TABLE a (k BIGINT PRIMARY KEY, v TEXT); CREATE TABLE b (k BIGINT PRIMARY KEY, v TEXT); \
             CREATE TABLE c (k BIGINT PRIMARY KEY, v TEXT)",
            "INSERT INTO a VALUES (1, 'stays'); INSERT INTO b VALUES (1, 'one'); \
             INSERT INTO c VALUES (1, 'one')",
            "checkpoint",
            "DELETE FROM b; INSERT INTO b VALUES (2, 'two'); DELETE FROM c; INSERT INTO c VALUES (2, 'two')",
            "checkpoint",
            "INSERT INTO b VALUES (3, 'three')",
            "checkpoint",
            "DELETE FROM c",
            "checkpoint",
            "INSERT INTO c VALUES (4, 'four')",
            "checkpoint",
        ],
    )
}

/// Transactions choose by themselves whether they wait, and wait later for what they did not wait for.
fn chosen_durability() -> Script {
    let mut script = Script::new(
        "chosen durability",
        &[
            TABLE,
            "INSERT INTO t VALUES (1, 10, 'one')",
            "durable: BEGIN; SET LOCAL synchronous_commit = on; INSERT INTO t VALUES (2, 20, 'two'); COMMIT",
            "INSERT INTO t VALUES (3, 30, 'three')",
            "wait",
            "1> SET synchronous_commit = on",
            "durable: 1> UPDATE t SET v = 'changed' WHERE k = 1",
            "DELETE FROM t WHERE k = 2",
            "buffered: 1> BEGIN; SET LOCAL synchronous_commit = off; DELETE FROM t WHERE k = 3; COMMIT",
            "kill",
            "INSERT INTO t VALUES (4, 40, 'four')",
            "wait",
        ],
    );
    script.durability = Durability::Buffered;
    script
}

/// Commits that nobody waits for, while time passes: what a crash takes is not older than promised.
fn windows(name: &str, sync_millis: u64) -> Script {
    let mut statements = vec![TABLE.to_owned()];
    for k in 0..14 {
        statements.push(format!("INSERT INTO t VALUES ({k}, {k}, 'row {k}')"));
        statements.push(format!("pause {}", [3, 10, 20, 7][k % 4]));
    }
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    let mut script = Script::new(name, &statements);
    script.durability = Durability::Buffered;
    script.loss_window = Some(Duration::from_millis(60));
    script.sync_time = Duration::from_millis(sync_millis);
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crashlab::course::Run;
    use remora::testing::SimDisk;

    /// A data file goes though a block in it never changed.
    #[test]
    fn cleaning_cleans() {
        let disk = SimDisk::recording();
        Run::of(&cleaning(), &disk, None).expect("it runs");
        let files = disk.image().files;
        assert!(files.contains_key("MANIFEST"));
        let names: Vec<&String> = files.keys().collect();
        assert!(!files.contains_key("data/0000000001.img"), "{names:?}");
    }

    /// What time passes in is written before the end.
    #[test]
    fn windows_end() {
        for script in [windows("quick", 5), windows("slow", 80)] {
            let run = Run::of(&script, &SimDisk::recording(), None).expect("it runs");
            let before_closing = run.marks[run.marks.len() - 2];
            assert!(before_closing.acknowledged > 10, "{before_closing:?}");
        }
    }
}
