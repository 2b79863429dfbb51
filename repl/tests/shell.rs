//! The shell as scripts see it: output, errors, exit codes.

mod common;

use common::{remora, remora_with};
use remora_tests::watchdog::{LIFE_MAX, Watchdog};
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use tempfile::TempDir;

#[test]
fn a_script_on_standard_input_gives_csv() {
    let script = "CREATE TABLE t (k INT PRIMARY KEY, v TEXT); -- a table\n\
                  INSERT INTO t VALUES (1, 'one;'), (2, NULL),\n (3, '');\n\
                  SELECT k, v\nFROM t ORDER BY k;\nSELECT count(*) FROM t";
    let run = remora_with::<&str>([], script.as_bytes());
    assert_eq!(run.err, "");
    assert_eq!(run.out, "k,v\n1,one;\n2,\n3,\"\"\ncount\n3\n");
    assert_eq!(run.code, 0);
}

#[test]
fn commands_run_in_order_and_stop_at_the_first_failure() {
    let run = remora([
        "-c",
        "SELECT 1 AS a",
        "-c",
        "SELECT x; SELECT 2",
        "-c",
        "SELECT 3",
    ]);
    assert_eq!(run.out, "a\n1\n");
    assert_eq!(run.code, 1);
    assert_eq!(
        run.err,
        "ERROR 42703: column \"x\" does not exist\nLINE 1: SELECT x\n               ^\n"
    );
}

#[test]
fn a_script_goes_on_after_a_failure_and_says_so_in_the_end() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("script.sql");
    fs::write(
        &file,
        "SELECT 1 AS a;\nSELECT\n  nosuch\n;\n.nosuch\nSELECT 2 AS a;\n",
    )
    .expect("writable");
    let run = remora(["-f".as_ref(), file.as_os_str()]);
    assert_eq!(run.out, "a\n1\na\n2\n");
    assert!(
        run.err.contains("LINE 2:   nosuch\n          ^\n"),
        "{}",
        run.err
    );
    assert!(run.err.contains("unknown command .nosuch"), "{}", run.err);
    assert_eq!(run.code, 1);
}

#[test]
fn exit_codes() {
    assert_eq!(remora(["-c", "SELECT 1"]).code, 0);
    assert_eq!(remora(["-c", "SELECT 1 / 0"]).code, 1);
    assert_eq!(remora(["--nosuch"]).code, 2);
    assert_eq!(remora(["--format", "nosuch"]).code, 2);
    assert_eq!(remora(["/dev/null/nowhere", "-c", "SELECT 1"]).code, 3);
    assert_eq!(remora(["-f", "/nonexistent.sql"]).code, 1);
}

#[test]
fn formats() {
    let show = |format| remora(["--format", format, "-c", "VALUES (1, 'x'), (NULL, 'y')"]).out;
    assert_eq!(show("csv"), "column1,column2\n1,x\n,y\n");
    assert_eq!(
        show("json"),
        "[{\"column1\":1,\"column2\":\"x\"},\n{\"column1\":null,\"column2\":\"y\"}]\n"
    );
    assert_eq!(
        show("jsonl"),
        "{\"column1\":1,\"column2\":\"x\"}\n{\"column1\":null,\"column2\":\"y\"}\n"
    );
    assert_eq!(show("list"), "column1|column2\n1|x\n|y\n");
    assert!(show("markdown").starts_with("| column1 | column2 |\n| ---: | --- |\n| 1 | x |\n"));
    assert!(show("line").starts_with("column1 = 1\ncolumn2 = x\n\n"));
    assert!(show("box").contains("│       1 │ x       │"));
}

#[test]
fn a_directory_keeps_what_a_run_leaves() {
    let folder = TempDir::new().expect("a temporary folder");
    let directory = folder.path().join("db");
    let directory = directory.to_str().expect("a plain path");
    let run = remora([
        directory,
        "-c",
        "CREATE TABLE t (k INT); INSERT INTO t VALUES (7)",
    ]);
    assert_eq!((run.code, run.out.as_str()), (0, ""), "{}", run.err);
    assert_eq!(remora([directory, "-c", "SELECT k FROM t"]).out, "k\n7\n");
}

#[test]
fn dot_commands() {
    let script = "CREATE TABLE b (k INT PRIMARY KEY, v TEXT DEFAULT 'x');\n\
                  CREATE INDEX b_v ON b (v);\nCREATE TABLE a (n NUMERIC(5,2));\n\
                  .tables\n.schema b\n.indexes\n.mode list\nSELECT 1 AS one;\n.mode nosuch\n\
                  .tabels\n.import\n.stats\n.checkpoint\n.quit\nSELECT 'never';\n";
    let run = remora_with::<&str>([], script.as_bytes());
    assert!(
        run.out.starts_with("a\nb\nCREATE TABLE b (\n"),
        "{}",
        run.out
    );
    assert!(
        run.out
            .contains("CREATE INDEX b_v ON b (v);\nb_pkey on b: "),
        "{}",
        run.out
    );
    assert!(run.out.contains("one\n1\n"), "{}", run.out);
    assert!(run.out.contains("durability   memory"), "{}", run.out);
    assert!(
        !run.out.contains("never"),
        "nothing runs after .quit: {}",
        run.out
    );
    assert!(run.err.contains("there is no format nosuch"), "{}", run.err);
    assert!(
        run.err
            .contains("unknown command .tabels, did you mean .tables?"),
        "{}",
        run.err
    );
    assert!(run.err.contains("usage: .import FILE TABLE"), "{}", run.err);
    assert_eq!(run.code, 1);
}

#[test]
fn import_makes_a_table_of_the_types_it_finds() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("people.csv");
    let csv = "Id,name,born,zip,score,seen\n\
               1,\"Ann, Lee\",2001-02-03,0171,1.50,2024-01-01 10:00:00\n\
               2,,1999-12-31,99999,2,\n";
    fs::write(&file, csv).expect("writable");
    let import = format!(".import '{}' people\n", file.display());
    let script = format!(
        "{import}.schema people\nSELECT * FROM people ORDER BY id;\n{import}SELECT count(*) FROM people;\n"
    );
    let run = remora_with::<&str>([], script.as_bytes());
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    for column in [
        "id integer",
        "name text",
        "born date",
        "zip text",
        "score numeric",
        "seen timestamp",
    ] {
        assert!(run.out.contains(column), "{column} in {}", run.out);
    }
    assert!(run.out.contains(
        "1,\"Ann, Lee\",2001-02-03,0171,1.50,2024-01-01 10:00:00\n2,,1999-12-31,99999,2,\n"
    ));
    assert!(run.out.ends_with("count\n4\n"), "{}", run.out);
}

#[test]
fn import_names_the_line_and_leaves_nothing() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("ragged.csv"), "a,b\n1,2\n3\n").expect("writable");
    fs::write(path("typed.csv"), "a,b\n1,2\nx,4\n").expect("writable");
    fs::write(path("other.csv"), "a,c\n1,2\n").expect("writable");
    let script = format!(
        ".import '{}' new\n.tables\nCREATE TABLE t (a INT, b INT);\n.import '{}' t\n.import '{}' t\n\
         .import /nonexistent.csv t\nSELECT count(*) FROM t;\n",
        path("ragged.csv"),
        path("typed.csv"),
        path("other.csv")
    );
    let run = remora_with::<&str>([], script.as_bytes());
    assert_eq!(run.out, "count\n0\n");
    assert!(
        run.err.contains("ERROR 22P04: ") && run.err.contains("line 3"),
        "{}",
        run.err
    );
    assert!(
        run.err
            .contains("ERROR 22P02: invalid input syntax for type integer: \"x\""),
        "{}",
        run.err
    );
    assert!(
        run.err.contains("table \"t\" has no column \"c\""),
        "{}",
        run.err
    );
    assert!(
        run.err.contains("cannot read \"/nonexistent.csv\""),
        "{}",
        run.err
    );
    assert_eq!(run.code, 1);
}

#[test]
fn copy_goes_through_the_pipe() {
    let run = remora([
        "-c",
        "COPY (VALUES (1, 'a'), (2, NULL)) TO STDOUT WITH (FORMAT csv)",
    ]);
    assert_eq!(
        (run.code, run.out.as_str()),
        (0, "1,a\n2,\n"),
        "{}",
        run.err
    );
}

#[test]
fn scripts_read_scripts_but_not_themselves_for_ever() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("loop.sql");
    fs::write(
        &file,
        format!("SELECT 1 AS deep;\n.read {}\n", file.display()),
    )
    .expect("writable");
    let run = remora(["-f".as_ref(), file.as_os_str()]);
    assert_eq!(run.code, 1);
    assert!(
        run.err.contains("scripts read each other 16 deep"),
        "{}",
        run.err
    );
}

#[test]
fn input_that_is_no_text_is_an_error() {
    let run = remora_with::<&str>([], b"SELECT 1 AS a;\nSELECT '\xff';\n");
    assert_eq!((run.code, run.out.as_str()), (1, "a\n1\n"));
    assert!(run.err.starts_with("ERROR 22021: "), "{}", run.err);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_remora"))
        .args([
            "-c",
            "SELECT a.column1 FROM (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) a \
               CROSS JOIN (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) b \
               CROSS JOIN (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) c \
               CROSS JOIN (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) d \
               CROSS JOIN (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) e",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let _watchdog = Watchdog::new(&child, LIFE_MAX);
    let mut first = String::new();
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    out.read_line(&mut first).expect("a line");
    drop(out);
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!(first, "column1\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn notifications_are_shown_behind_statements() {
    let script = "LISTEN jobs;\nNOTIFY jobs;\nBEGIN;\nNOTIFY jobs, 'number 7';\nSELECT 1 AS a;\nCOMMIT;\nUNLISTEN *;\n\
                  NOTIFY jobs;";
    let run = remora_with::<&str>([], script.as_bytes());
    assert_eq!(run.err, "");
    assert_eq!(
        run.out,
        "Asynchronous notification \"jobs\" received from server process with PID 1.\na\n1\n\
         Asynchronous notification \"jobs\" with payload \"number 7\" received from server process with PID 1.\n"
    );
}
