//! Random scripts: several sessions, transactions in each other, structure that changes, checkpoints,
//! compaction, closing, killing and opening; all from a seed.

use super::script::{Script, Step};
use crate::random::Random;
use remora::Durability;
use std::time::Duration;

/// Keys that rows have.
const KEYS: u64 = 24;
/// Tables there may be.
const TABLES: u64 = 3;
/// Sessions at most.
const SESSIONS_MAX: u64 = 3;

/// What a session is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    None,
    Open,
}

/// The script of a seed.
pub fn script(seed: u64) -> Script {
    let mut random = Random::new(seed);
    let sessions = 1 + random.below(SESSIONS_MAX) as usize;
    // Short ones are many, long ones leave more behind.
    let count = match random.below(10) {
        0 => 120 + random.below(120),
        1..=3 => 40 + random.below(60),
        _ => 6 + random.below(30),
    };
    let mut blocks = vec![Block::None; sessions];
    let mut steps = vec![Step::Sql(0, create_table(0))];
    for _ in 0..count {
        let step = step(&mut random, &mut blocks);
        steps.push(step);
    }
    let segment_bytes = match random.below(3) {
        0 => 200 + random.below(800),
        1 => 2_000 + random.below(8_000),
        _ => 16 << 10,
    };
    Script {
        name: format!("seed {seed}"),
        sessions,
        durability: match random.below(4) {
            0 => Durability::Buffered,
            _ => Durability::Sync,
        },
        loss_window: None,
        sync_time: Duration::ZERO,
        segment_bytes,
        steps,
        probes: vec!["SELECT * FROM w".to_owned()],
        afterwards: None,
        may_fail: true,
        leaves_out: false,
        mutation: None,
    }
}

fn step(random: &mut Random, blocks: &mut [Block]) -> Step {
    match random.below(60) {
        0..=4 => return Step::Checkpoint,
        5 | 6 => return Step::Compact,
        7 => {
            blocks.fill(Block::None);
            return Step::Reopen;
        }
        8 => {
            blocks.fill(Block::None);
            return Step::Kill;
        }
        _ => {}
    }
    let session = random.below(blocks.len() as u64) as usize;
    let sql = match (blocks[session], random.below(10)) {
        (Block::None, 0 | 1) => {
            blocks[session] = Block::Open;
            match random.below(3) {
                0 => "BEGIN ISOLATION LEVEL REPEATABLE READ".to_owned(),
                _ => "BEGIN".to_owned(),
            }
        }
        (Block::Open, 0..=2) => {
            blocks[session] = Block::None;
            match random.below(4) {
                0 => "ROLLBACK".to_owned(),
                _ => "COMMIT".to_owned(),
            }
        }
        (Block::Open, 3) => match random.below(2) {
            0 => "SAVEPOINT s".to_owned(),
            _ => "ROLLBACK TO s".to_owned(),
        },
        _ => statement(random),
    };
    Step::Sql(session, sql)
}

fn create_table(number: u64) -> String {
    format!("CREATE TABLE t{number} (k BIGINT PRIMARY KEY, u BIGINT UNIQUE, v TEXT)")
}

fn statement(random: &mut Random) -> String {
    let table = random.below(TABLES) * random.below(2);
    let (key, other) = (random.below(KEYS), random.below(KEYS));
    match random.below(24) {
        0..=7 => insert(random, table),
        8..=11 => format!("UPDATE t{table} SET v = '{}' WHERE k = {key}", text(random)),
        12 | 13 => format!("UPDATE t{table} SET u = u + 1000, v = NULL WHERE k > {key}"),
        14 => format!("UPDATE t{table} SET k = {other} WHERE k = {key}"),
        15 | 16 => format!("DELETE FROM t{table} WHERE k = {key}"),
        17 => format!("DELETE FROM t{table} WHERE k BETWEEN {key} AND {other}"),
        18 => create_table(table),
        19 => structure(random, table),
        20 => many(random, table),
        _ => structure(random, table),
    }
}

fn text(random: &mut Random) -> String {
    // Some lie in the row, some beside it, few fill sectors.
    let length = match random.below(8) {
        0 => random.below(1_500),
        1..=3 => random.below(60),
        _ => random.below(12),
    };
    let letter = char::from(b'a' + random.below(26) as u8);
    letter.to_string().repeat(length as usize)
}

fn insert(random: &mut Random, table: u64) -> String {
    let count = 1 + random.below(4);
    let row = |_| {
        let (key, text) = (random.below(KEYS), text(random));
        format!("({key}, {}, '{text}')", random.below(10_000))
    };
    let rows: Vec<String> = (0..count).map(row).collect();
    format!("INSERT INTO t{table} (k, u, v) VALUES {}", rows.join(", "))
}

/// Enough rows for blocks to be full and frames to be long.
fn many(random: &mut Random, table: u64) -> String {
    let first = 1_000 + random.below(10) * 1_000;
    let count = 50 + random.below(200);
    let row = |n: u64| {
        format!(
            "({}, {}, '{}')",
            first + n,
            100_000 + first + n,
            "xy".repeat(9)
        )
    };
    let rows: Vec<String> = (0..count).map(row).collect();
    format!("INSERT INTO t{table} (k, u, v) VALUES {}", rows.join(", "))
}

fn structure(random: &mut Random, table: u64) -> String {
    match random.below(11) {
        0 => format!("CREATE INDEX t{table}_v ON t{table} (v, k)"),
        1 => format!("DROP INDEX t{table}_v"),
        2 => format!("DROP TABLE t{table}"),
        3 => format!("ALTER TABLE t{table} ADD COLUMN extra INTEGER DEFAULT 7"),
        4 => format!("ALTER TABLE t{table} DROP COLUMN extra"),
        5 => format!("CREATE VIEW w AS SELECT k, v FROM t{table}"),
        6 => "DROP VIEW w".to_owned(),
        7 => format!("TRUNCATE t{table}"),
        8 => format!("ALTER TABLE t{table} RENAME TO t{}", random.below(TABLES)),
        9 => "CREATE TABLE c (n INTEGER, k BIGINT REFERENCES t0 ON DELETE CASCADE)".to_owned(),
        _ => format!(
            "INSERT INTO c VALUES (1, {}), (2, NULL)",
            random.below(KEYS)
        ),
    }
}
