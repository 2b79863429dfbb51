//! SQL text that may be anything, on a small database with little memory and little time: an answer or an error with
//! a SQLSTATE that is not the engine's own fault, soon; no panic, and a database that agrees with itself.
//!
//! Files are not for the fuzzer to write: what says COPY is left out, and so is what takes the limits away.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remora::{Database, Options};
use std::time::{Duration, Instant};

/// The time limit of a statement.
const LIMIT: Duration = Duration::from_millis(200);
/// How long one may take all the same: what undoes it, and what is not interrupted, in an instrumented build.
const PATIENCE: Duration = Duration::from_secs(10);
const MEMORY: u64 = 64 << 20;
/// Statements of one input.
const STATEMENTS_MAX: usize = 20;

const LEFT_OUT: [&str; 7] = [
    "copy",
    "timeout",
    "max_memory",
    "reset",
    "discard",
    "pressure",
    "checkpoint",
];

const SETUP: &str = "
    CREATE TABLE t (a INT PRIMARY KEY, b TEXT, c NUMERIC(10, 2), d TIMESTAMP DEFAULT '2020-02-02', e INT[]);
    INSERT INTO t SELECT n, 'text ' || n, n / 3.0, NULL, ARRAY[n, NULL] FROM generate_series(1, 20) n;
    CREATE TABLE u (k BIGINT REFERENCES t (a), j JSONB);
    INSERT INTO u SELECT n % 7 + 1, jsonb_build_object('n', n) FROM generate_series(1, 20) n;
    CREATE VIEW v AS SELECT a, j FROM t JOIN u ON a = k;
    CREATE SEQUENCE s;
    CREATE TYPE mood AS ENUM ('sad', 'fine', 'happy');
    CREATE DOMAIN positive AS INT CHECK (VALUE > 0);
    CREATE TABLE w (p positive, m mood DEFAULT 'fine', twice INT GENERATED ALWAYS AS (p * 2) STORED);
    CREATE UNIQUE INDEX ON w (lower(m::text), p) WHERE p > 2;
    INSERT INTO w SELECT n FROM generate_series(1, 5) n;
    CREATE TABLE log (what TEXT);
    CREATE TRIGGER before BEFORE UPDATE ON w FOR EACH ROW BEGIN SET NEW.m = 'happy'; END;
    CREATE TRIGGER after AFTER INSERT OR DELETE ON w BEGIN INSERT INTO log VALUES ('w'); END;
    CREATE FUNCTION f(x INT) RETURNS INT LANGUAGE SQL RETURN x + 1";

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let lower = text.to_lowercase();
    if LEFT_OUT.iter().any(|word| lower.contains(word)) {
        return;
    }
    let options = Options::new().max_memory(MEMORY).statement_timeout(LIMIT);
    let database = Database::in_memory_with(options).expect("a database in memory");
    let connection = database.connect().expect("a connection");
    connection
        .execute_batch(SETUP)
        .expect("what the text may name");
    // The whole, and then piece by piece, so that what is behind an error is reached, too.
    let pieces = text.split(';').take(STATEMENTS_MAX);
    for sql in std::iter::once(&*text).chain(pieces) {
        let begin = Instant::now();
        if let Err(error) = connection.run(sql, []) {
            assert_ne!(error.sqlstate(), "XX000", "{error}\n{sql}");
        }
        assert!(begin.elapsed() < PATIENCE, "{:?}\n{sql}", begin.elapsed());
    }
    drop(connection);
    let report = database.check().expect("a database that can be checked");
    assert!(
        report.contradictions.is_empty(),
        "{:?}",
        report.contradictions
    );
});
