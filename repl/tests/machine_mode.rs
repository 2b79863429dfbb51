//! Machine mode, driven as another program would: through the pipes of the built binary.

use remora_tests::watchdog::{LIFE_MAX, Watchdog};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A running `remora --ndjson`.
struct Remora {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    _watchdog: Watchdog,
}

impl Remora {
    fn start(args: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_remora"))
            .arg("--ndjson")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        Self {
            _watchdog: Watchdog::new(&process, LIFE_MAX),
            input: process.stdin.take(),
            output: BufReader::new(process.stdout.take().expect("a pipe")),
            process,
        }
    }

    fn write(&mut self, line: &str) {
        let input = self.input.as_mut().expect("the input is open");
        writeln!(input, "{line}").expect("the program reads");
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .expect("the program writes");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"))
    }

    fn ask(&mut self, request: &Value) -> Value {
        self.write(&request.to_string());
        self.read()
    }

    fn sql(&mut self, session: &str, sql: &str) -> Value {
        self.ask(&json!({"session": session, "sql": sql}))
    }

    /// Ends the input and returns the exit code.
    fn finish(mut self) -> Option<i32> {
        drop(self.input.take());
        self.process.wait().expect("the program ends").code()
    }
}

impl Drop for Remora {
    fn drop(&mut self) {
        // Already gone, as a rule.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_conversation_of_the_manual_is_true() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/machine_mode.md");
    let manual = std::fs::read_to_string(manual).expect("the manual is there");
    let conversation = manual
        .split("```ndjson\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("the manual has a conversation");
    let without_time = |mut answer: Value| {
        if let Some(answer) = answer.as_object_mut() {
            answer.remove("elapsed_us");
        }
        answer
    };

    let mut remora = Remora::start(&[]);
    for line in conversation.lines() {
        if let Some(request) = line.strip_prefix("> ") {
            remora.write(request);
        } else if let Some(answer) = line.strip_prefix("< ") {
            let expected: Value = serde_json::from_str(answer).expect(answer);
            assert_eq!(without_time(remora.read()), without_time(expected));
        }
    }
    assert_eq!(remora.finish(), Some(0));
}

/// Bob does not see what Alice has not committed, and the second of two writers loses.
#[test]
fn sessions_have_their_own_transactions() {
    let mut remora = Remora::start(&[]);
    remora.sql(
        "a",
        "CREATE TABLE t (k INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 10)",
    );
    assert_eq!(remora.sql("a", "BEGIN; UPDATE t SET v = 11")["changes"], 1);
    assert_eq!(remora.sql("b", "SELECT v FROM t")["rows"], json!([[10]]));
    remora.sql("b", "BEGIN");
    assert_eq!(remora.sql("b", "UPDATE t SET v = 12")["sqlstate"], "40001");
    assert_eq!(remora.sql("b", "SELECT v FROM t")["sqlstate"], "25P02");
    assert_eq!(remora.sql("a", "COMMIT")["ok"], true);
    assert_eq!(remora.sql("b", "COMMIT")["ok"], true);
    assert_eq!(remora.sql("b", "SELECT v FROM t")["rows"], json!([[11]]));
}

/// Values that JSON does not hold exactly are PostgreSQL's text.
#[test]
fn values_come_as_the_manual_says() {
    let mut remora = Remora::start(&[]);
    let answer = remora.sql(
        "main",
        "SELECT 9007199254740992::bigint, 9007199254740993::bigint, 1.50, true, NULL::date, \
         DATE '2024-02-29', '\\xDEAD'::bytea, 'NaN'::float8, '-Infinity'::float8, 0.1::real, \
         INTERVAL '1 month 2 days 03:04:05'",
    );
    assert_eq!(
        answer["rows"],
        json!([[
            9_007_199_254_740_992_i64,
            "9007199254740993",
            "1.50",
            true,
            null,
            "2024-02-29",
            "\\xdead",
            "NaN",
            "-Infinity",
            0.1,
            "1 mon 2 days 03:04:05"
        ]])
    );
}

/// Carol's query would run for hours. A cancel ends it, and only it.
#[test]
fn a_cancel_ends_what_a_session_runs() {
    let mut remora = Remora::start(&[]);
    let numbers: Vec<String> = (0..2000).map(|n| format!("({n})")).collect();
    remora.sql("c", "CREATE TABLE n (x INT)");
    remora.sql("c", &format!("INSERT INTO n VALUES {}", numbers.join(",")));
    let endless = "SELECT count(*) FROM n a, n b, n c, n d WHERE a.x + b.x + c.x + d.x < 0";
    remora.write(&json!({"session": "c", "sql": endless}).to_string());
    remora.write(&json!({"session": "c", "sql": "SELECT 1"}).to_string());
    remora.write(&json!({"cancel": "c"}).to_string());
    assert_eq!(remora.read()["sqlstate"], "57014");
    assert_eq!(remora.read()["rows"], json!([[1]]));
    // One that comes when nothing runs is forgotten.
    remora.write(&json!({"cancel": "c"}).to_string());
    assert_eq!(remora.sql("c", "SELECT 2")["rows"], json!([[2]]));
}

/// A session that works does not keep another waiting.
#[test]
fn sessions_do_not_wait_for_each_other() {
    let mut remora = Remora::start(&[]);
    let numbers: Vec<String> = (0..2000).map(|n| format!("({n})")).collect();
    remora.sql("a", "CREATE TABLE n (x INT)");
    remora.sql("a", &format!("INSERT INTO n VALUES {}", numbers.join(",")));
    let endless = "SELECT count(*) FROM n a, n b, n c, n d WHERE a.x + b.x + c.x + d.x < 0";
    remora.write(&json!({"session": "a", "sql": endless}).to_string());
    assert_eq!(remora.sql("b", "SELECT 1")["session"], "b");
    remora.write(&json!({"cancel": "a"}).to_string());
    assert_eq!(remora.read()["sqlstate"], "57014");
}

/// Bob listens, and is told of what Alice does also while nothing is asked of him; in a block he is told behind it.
#[test]
fn notifications_are_lines_of_their_own() {
    let mut remora = Remora::start(&[]);
    let line = |payload: &str| {
        let notification = json!({"channel": "jobs", "payload": payload, "pid": 2});
        json!({"session": "b", "notification": notification})
    };
    remora.sql("b", "LISTEN jobs");
    remora.sql("a", "SELECT 1");
    for payload in ["1", "2"] {
        let sql = format!("NOTIFY jobs, '{payload}'");
        remora.write(&json!({"session": "a", "sql": sql}).to_string());
        // The answer to Alice, and the line for Bob, in whichever order.
        let lines = [remora.read(), remora.read()];
        assert!(lines.contains(&line(payload)), "{lines:?}");
        assert!(lines.iter().any(|line| line["ok"] == true), "{lines:?}");
    }
    remora.sql("b", "BEGIN");
    remora.sql("a", "NOTIFY jobs, '3'");
    assert_eq!(remora.sql("b", "SELECT 1")["rows"], json!([[1]]));
    assert_eq!(remora.sql("b", "COMMIT")["ok"], true);
    assert_eq!(remora.read(), line("3"));
    remora.sql("b", "UNLISTEN *");
    remora.sql("a", "NOTIFY jobs, '4'");
    assert_eq!(remora.sql("b", "SELECT 1")["rows"], json!([[1]]));
    // Bob takes nothing while he sleeps, and has lost some when he wakes.
    remora.sql("b", "LISTEN jobs; SET app.x = 'y'");
    remora.sql("b", "BEGIN");
    remora.sql(
        "a",
        "SELECT count(pg_notify('jobs', n || repeat('x', 7000))) FROM generate_series(1, 200) AS g (n)",
    );
    remora.write(&json!({"session": "b", "sql": "COMMIT"}).to_string());
    assert_eq!(remora.read()["ok"], true);
    let mut told = 0;
    let lost = loop {
        let line = remora.read();
        match line["notifications_lost"].as_u64() {
            Some(lost) => break lost,
            None => told += 1,
        }
    };
    assert_eq!(told + lost, 200);
    assert_eq!(remora.finish(), Some(0));
}

/// Bob's statement waits for Alice, which a line says at once; its answer comes when she has decided.
#[test]
fn a_statement_that_waits_says_so() {
    let mut remora = Remora::start(&[]);
    remora.sql(
        "a",
        "CREATE TABLE t (k INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 10), (2, 20)",
    );
    let waiting = json!({"session": "b", "waiting": true});
    remora.sql("b", "SET lock_timeout = '20s'");
    remora.sql("a", "BEGIN; UPDATE t SET v = 11 WHERE k = 1");
    assert_eq!(
        remora.sql("b", "UPDATE t SET v = v + 1 WHERE k = 1"),
        waiting
    );
    // Both answers come, in whichever order.
    let answers = [remora.sql("a", "ROLLBACK"), remora.read()];
    for session in ["a", "b"] {
        let answer = answers.iter().find(|answer| answer["session"] == session);
        assert_eq!(answer.expect("an answer each")["ok"], true);
    }
    assert_eq!(
        remora.sql("b", "SELECT v FROM t WHERE k = 1")["rows"],
        json!([[11]])
    );
    // Each statement of several says it for itself, and only once, however often it tries.
    remora.sql("b", "SET lock_timeout = '300ms'");
    remora.sql("a", "BEGIN; UPDATE t SET v = 0");
    assert_eq!(remora.sql("b", "UPDATE t SET v = 1 WHERE k = 2"), waiting);
    assert_eq!(remora.read()["sqlstate"], "55P03");
    // One that would wait in a circle does not wait, nor does one without a time.
    remora.sql("a", "ROLLBACK; BEGIN; UPDATE t SET v = 0 WHERE k = 1");
    remora.sql(
        "b",
        "SET lock_timeout = '20s'; BEGIN; UPDATE t SET v = 0 WHERE k = 2",
    );
    assert_eq!(remora.sql("b", "UPDATE t SET v = 0 WHERE k = 1"), waiting);
    remora.sql("a", "SET LOCAL lock_timeout = '20s'");
    let circle = [
        remora.sql("a", "UPDATE t SET v = 0 WHERE k = 2"),
        remora.sql("a", "ROLLBACK"),
    ];
    assert_eq!(circle[0]["sqlstate"], "40001");
    let answers = [circle[1].clone(), remora.read()];
    assert!(
        answers.iter().all(|answer| answer["ok"] == true),
        "{answers:?}"
    );
    remora.sql("a", "BEGIN; SET LOCAL lock_timeout = 0");
    assert_eq!(
        remora.sql("a", "UPDATE t SET v = 0 WHERE k = 2")["sqlstate"],
        "40001"
    );
    assert_eq!(remora.finish(), Some(0));
}

/// What was answered is there after a kill -9; what was open is not.
#[test]
fn an_answered_change_survives_a_kill() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().to_str().expect("a plain path");
    let mut remora = Remora::start(&[path]);
    remora.sql("a", "CREATE TABLE t (k INT PRIMARY KEY)");
    assert_eq!(remora.sql("a", "INSERT INTO t VALUES (1)")["ok"], true);
    assert_eq!(
        remora.sql("b", "BEGIN; INSERT INTO t VALUES (2)")["ok"],
        true
    );
    remora.process.kill().expect("the program is there");
    drop(remora);

    let mut remora = Remora::start(&[path]);
    assert_eq!(remora.sql("a", "SELECT k FROM t")["rows"], json!([[1]]));
    let refused = remora.ask(&json!({"reset": true}));
    assert_eq!(refused["sqlstate"], "0A000");
    assert_eq!(remora.finish(), Some(0));
}

/// Everything that was asked before the input ended is answered.
#[test]
fn the_end_of_input_lets_work_finish() {
    let mut remora = Remora::start(&["--durability", "memory"]);
    remora.write(&json!({"sql": "CREATE TABLE t (k INT)"}).to_string());
    for k in 0..100 {
        remora.write(&json!({"sql": "INSERT INTO t VALUES (?)", "params": [k]}).to_string());
    }
    remora.write(&json!({"sql": "SELECT count(*) FROM t"}).to_string());
    drop(remora.input.take());
    for _ in 0..101 {
        assert_eq!(remora.read()["ok"], true);
    }
    assert_eq!(remora.read()["rows"], json!([[100]]));
    assert_eq!(remora.finish(), Some(0));
}

#[test]
fn a_directory_that_is_no_database_exits_with_3() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("MANIFEST"), b"a shopping list").expect("writable");
    let remora = Remora::start(&[directory.path().to_str().expect("a plain path")]);
    assert_eq!(remora.finish(), Some(3));
}

#[test]
fn bad_requests_are_answered_and_the_next_is_heard() {
    let mut remora = Remora::start(&[]);
    for line in ["{", "[1]", "{\"sql\":7}", "{\"params\":[]}"] {
        remora.write(line);
        assert_eq!(remora.read()["sqlstate"], "08P01", "{line}");
    }
    let answer = remora.ask(&json!({"sql": "SELECT $1::int", "params": ["x"]}));
    assert_eq!(answer["sqlstate"], "22P02");
    let answer = remora.ask(&json!({"sql": "SELECT 1", "params": [1]}));
    assert_eq!(answer["sqlstate"], "08P01");
    let answer = remora.sql("main", "");
    assert_eq!(
        (&answer["ok"], &answer["rows"]),
        (&json!(true), &Value::Null)
    );
}
