//! Lateness: how long after its time limit a statement over one long value ends.
//!
//! ```text
//! cargo run --release -p remora-tests -- lateness [--bytes 20000000] [--only A,B] [--except C,D]
//! ```
//!
//! Each function, operator and aggregate of the manual is called over long values, and each of these is cast to each
//! type. A value is long in one place or in all that can be long, and what it is made of varies: words, digits,
//! JSON, hex, format strings, .. It is put in a table first, so that its making is not measured.
//!
//! 1. The call runs once with a limit that is far away. If it ends by itself within 50 ms it cannot be late.
//! 2. Else it runs with a limit of 5 ms and with one of half its time. The least lateness of three tries
//!    counts, since the machine does other work too.
//!
//! Errors of the call are answers like any other. Lateness above 50 ms, a panic, and a call that does not end
//! within a minute make the tool fail.

use super::calls::{argument_types, written};
use crate::Result;
use crate::arguments::Arguments;
use remora::internal::manual::{Entry, Kind, entries};
use remora::{Connection, Database};
use std::process::exit;
use std::sync::{Mutex, PoisonError};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

/// The lateness that a statement may have.
const LATE: Duration = Duration::from_millis(50);
/// The limit of the first run of a call.
const FAR: Duration = Duration::from_secs(2);
/// The shortest limit that is set.
const NEAR: Duration = Duration::from_millis(5);
/// The time after which a call counts as hanging.
const HANGING: Duration = Duration::from_secs(60);
const TRIES: usize = 3;

/// Functions that wait, or end other sessions.
const SKIPPED: [&str; 3] = ["pg_sleep", "pg_cancel_backend", "pg_terminate_backend"];

/// Long texts: a name, and what is repeated between a start and an end.
const TEXTS: [(&str, &str, &str, &str); 15] = [
    ("letters", "", "x", ""),
    ("blanks", "", " ", ""),
    ("digits", "", "7", ""),
    ("umlauts", "", "Äß", ""),
    ("words", "", "Lorem ipsum, dolor. ", ""),
    ("quotes", "", "'\\\"", ""),
    ("hex", "\\x", "deadbeef", ""),
    ("base64", "", "QUJD", ""),
    ("literal", "{1", ",22", "}"),
    ("ranges", "{[1,2)", ",[5,7)", "}"),
    ("array", "[1", ",22,\"ab\"", "]"),
    ("object", "{\"a\": 1", ",\"key\":[1]", "}"),
    ("moments", "", "YYYY-MM ", ""),
    ("places", "", "%s ", ""),
    ("bits", "", "10", ""),
];

/// Long values of other types: the type, the text in [`TEXTS`] that is cast to it, and how many bytes of the value one
/// of the text makes, or fewer.
const OTHERS: [(&str, &str, usize); 11] = [
    ("bytea", "hex", 1),
    ("bytea", "letters", 1),
    ("json", "array", 1),
    ("json", "object", 1),
    ("jsonb", "array", 1),
    ("jsonb", "object", 1),
    ("text[]", "literal", 2),
    ("integer[]", "literal", 2),
    ("double precision[]", "literal", 3),
    ("int4multirange", "ranges", 3),
    ("bit varying", "bits", 1),
];

/// Types that long values are cast to.
const TARGETS: [&str; 34] = [
    "boolean",
    "smallint",
    "integer",
    "bigint",
    "numeric",
    "real",
    "double precision",
    "text",
    "varchar(5)",
    "char(5)",
    "varchar(30000000)",
    "bytea",
    "date",
    "time",
    "timetz",
    "timestamp",
    "timestamptz",
    "interval",
    "uuid",
    "json",
    "jsonb",
    "bit(5)",
    "bit varying",
    "text[]",
    "integer[]",
    "numeric[]",
    "bytea[]",
    "json[]",
    "int4range",
    "numrange",
    "tstzrange",
    "int4multirange",
    "jsonpath",
    "smallint[]",
];

/// A long value: its type, a name for it, and its table.
struct Long {
    data_type: &'static str,
    name: String,
    table: String,
}

/// A call, with the place of the long value left open.
struct Call {
    entry: String,
    sql: String,
}

/// The call that runs, since when, for the thread that watches for calls that hang.
static RUNNING: Mutex<Option<(String, Instant)>> = Mutex::new(None);

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    let bytes: usize = arguments.value_or("--bytes", 20_000_000)?;
    let wanted = Wanted {
        only: arguments.value("--only")?,
        except: arguments.value_or("--except", String::new())?,
    };
    arguments.end()?;
    let db = Database::in_memory()?;
    let conn = db.connect()?;
    let long = long_values(&conn, bytes)?;
    spawn(watch);
    let (mut calls, mut late) = (0_usize, 0_usize);
    for call in all_calls(&long, &wanted) {
        calls += 1;
        let (lateness, whole) = lateness(&conn, &call.sql)?;
        if lateness > LATE {
            late += 1;
            println!(
                "{:>6} ms late of {:>5} ms  {}: {}",
                lateness.as_millis(),
                whole.as_millis(),
                call.entry,
                call.sql
            );
        }
    }
    println!("{calls} calls over {bytes} bytes, {late} of them late");
    match late {
        0 => Ok(()),
        _ => Err(format!("{late} calls are more than {} ms late", LATE.as_millis()).into()),
    }
}

/// Makes the tables with the long values, one in each.
fn long_values(conn: &Connection, bytes: usize) -> Result<Vec<Long>> {
    let mut all = Vec::new();
    let mut add = |data_type: &'static str, name: &str, text: &str| -> Result<()> {
        let table = format!("long_{}", all.len());
        conn.run(&format!("CREATE TABLE {table} (v {data_type})"), [])?;
        let cast = format!("INSERT INTO {table} VALUES ($1::text::{data_type})");
        conn.run(&cast, [text])?;
        all.push(Long {
            data_type,
            name: name.to_owned(),
            table,
        });
        Ok(())
    };
    let text_of = |(_, start, part, end): &(&str, &str, &str, &str), bytes: usize| {
        let count = bytes.saturating_sub(start.len() + end.len()) / part.len();
        format!("{start}{}{end}", part.repeat(count))
    };
    for text in &TEXTS {
        add("text", text.0, &text_of(text, bytes))?;
    }
    for (data_type, name, grows) in OTHERS {
        if let Some(text) = TEXTS.iter().find(|text| text.0 == name) {
            add(data_type, name, &text_of(text, bytes / grows))?;
        }
    }
    Ok(all)
}

/// Ends the tool where a call does not end.
fn watch() {
    loop {
        sleep(Duration::from_secs(1));
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((sql, since)) = running.as_ref()
            && since.elapsed() > HANGING
        {
            eprintln!("lateness: does not end: {sql}");
            exit(1);
        }
    }
}

/// How late the call is at worst, and the time it takes without a limit.
fn lateness(conn: &Connection, sql: &str) -> Result<(Duration, Duration)> {
    let whole = timed(conn, sql, FAR)?;
    let mut worst = whole.saturating_sub(FAR);
    if whole <= LATE {
        return Ok((worst, whole));
    }
    for limit in [NEAR, whole.min(FAR) / 2] {
        let mut best = Duration::MAX;
        for _ in 0..TRIES {
            best = best.min(timed(conn, sql, limit)?.saturating_sub(limit));
            if best <= LATE {
                break;
            }
        }
        worst = worst.max(best);
        if worst > LATE {
            break;
        }
    }
    Ok((worst, whole))
}

/// The time that a call takes under a limit.
fn timed(conn: &Connection, sql: &str, limit: Duration) -> Result<Duration> {
    let limit = format!("SET statement_timeout = {}", limit.as_millis().max(1));
    conn.run(&limit, [])?;
    watched(Some((sql.to_owned(), Instant::now())));
    let begun = Instant::now();
    let answer = conn.run(sql, []);
    let elapsed = begun.elapsed();
    drop(answer);
    watched(None);
    conn.run("SET statement_timeout = 0", [])?;
    Ok(elapsed)
}

fn watched(call: Option<(String, Instant)>) {
    *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = call;
}

/// The names that are called, apart by commas.
struct Wanted {
    only: Option<String>,
    except: String,
}

impl Wanted {
    fn takes(&self, name: &str) -> bool {
        let is_among = |names: &str| names.split(',').any(|one| one == name);
        let is_skipped = SKIPPED.iter().any(|skipped| name.starts_with(skipped));
        !is_skipped && self.only.as_deref().is_none_or(is_among) && !is_among(&self.except)
    }
}

/// All calls over these values.
fn all_calls(long: &[Long], wanted: &Wanted) -> Vec<Call> {
    let mut all = Vec::new();
    for entry in entries().iter().filter(|entry| wanted.takes(entry.name)) {
        calls_of(entry, long, &mut all);
    }
    if wanted.takes("cast") {
        for (long, target) in long.iter().flat_map(|long| TARGETS.map(|to| (long, to))) {
            all.push(Call {
                entry: format!("cast of {} ({})", long.data_type, long.name),
                sql: format!("SELECT CAST(v AS {target}) FROM {}", long.table),
            });
        }
    }
    all
}

/// The calls of an entry: each value in each place that takes it and in all of them, beside each short value.
fn calls_of(entry: &Entry, long: &[Long], all: &mut Vec<Call>) {
    let types = argument_types(entry);
    for long in long {
        let places: Vec<usize> = (0..types.len())
            .filter(|at| types[*at].iter().any(|of| takes(of, long.data_type)))
            .collect();
        let mut sets: Vec<Vec<usize>> = places.iter().map(|at| vec![*at]).collect();
        if places.len() > 1 {
            sets.push(places);
        }
        for set in &sets {
            // Beside a long pattern the text matters little.
            let words = words_beside(entry.name);
            let words = if set.contains(&0) { words } else { &words[..1] };
            for words in words {
                for number in NUMBERS_BESIDE {
                    let argument = |(at, of): (usize, &Vec<String>)| match set.contains(&at) {
                        true => "v".to_owned(),
                        false => short(&of[0], long.data_type, words, number),
                    };
                    let arguments: Vec<String> = types.iter().enumerate().map(argument).collect();
                    let sql = statement(entry, &arguments, &long.table);
                    if !all.iter().rev().take(24).any(|call| call.sql == sql) {
                        let entry = format!("{} ({} {})", entry.name, long.data_type, long.name);
                        all.push(Call { entry, sql });
                    }
                }
            }
        }
    }
}

/// Returns whether an argument of a type of the manual takes a value of this type.
fn takes(of: &str, data_type: &str) -> bool {
    match of {
        "any" | "same type" => true,
        "element" => data_type == "text",
        "array" => data_type.ends_with("[]"),
        "multirange" => data_type == "int4multirange",
        "bit" => data_type == "bit varying",
        _ => of == data_type,
    }
}

/// Numbers beside a long value: near its start, and in its middle.
const NUMBERS_BESIDE: [&str; 2] = ["3", "5000000"];

/// Texts beside a long value, by the name of what is called.
fn words_beside(name: &str) -> &'static [&'static str] {
    match name {
        "encode" | "decode" => &["hex", "base64", "escape"],
        "normalize" | "is_normalized" => &["NFC", "NFKD"],
        "convert_from" | "convert_to" => &["utf8", "latin1"],
        _ if name.contains("json") && name.contains("path") || name.starts_with('@') => {
            &["$[*]", "$.**"]
        }
        _ if name.starts_with("regexp") || name.contains('~') => {
            &["x", "g", "[a-z]+", "%7%", "(\\w+)( |$)", "(.)\\1z", ".*q"]
        }
        "substring" | "similar_to" | "similar_escape" => &["#", "x+", "%#\"x#\"%"],
        _ if name.starts_with("to_") => &["YYYY-MM", "999.9"],
        _ => &["x", " "],
    }
}

/// A short value of a type of the manual, beside a long one of another.
fn short(of: &str, beside: &str, words: &str, number: &str) -> String {
    match of {
        "text" => format!("'{words}'"),
        "integer" | "bigint" | "number" | "numeric" => number.to_owned(),
        "any" | "element" | "array" if beside.ends_with("[]") => match of {
            "array" => format!("'{{1}}'::{beside}"),
            _ => format!("'1'::{}", beside.trim_end_matches("[]")),
        },
        "any" | "element" => format!("'{words}'::text"),
        "array" => "'{1,2}'::text[]".to_owned(),
        "smallint" => "2::smallint".to_owned(),
        "real" | "double precision" => "0.5::double precision".to_owned(),
        "boolean" => "true".to_owned(),
        "jsonb" | "json" => format!("'{{\"a\": [1]}}'::{of}"),
        "bytea" => "'\\x78'::bytea".to_owned(),
        "text[]" | "integer[]" | "bigint[]" | "double precision[]" => format!("'{{0}}'::{of}"),
        "range" | "bound" | "int4range" => "'[3,9)'::int4range".to_owned(),
        "multirange" => "'{[3,9)}'::int4multirange".to_owned(),
        "bit" | "same type" => "B'101'".to_owned(),
        "interval" => "'1 day'::interval".to_owned(),
        "date" => "'2024-01-05'::date".to_owned(),
        _ if of.starts_with("time") => format!("now()::{of}"),
        _ => "NULL".to_owned(),
    }
}

/// The statement that makes a call with these arguments over a table.
fn statement(entry: &Entry, arguments: &[String], table: &str) -> String {
    let call = written(entry, arguments);
    match entry.kind {
        Kind::Table => format!("SELECT count(*) FROM {table}, {call}"),
        _ => format!("SELECT {call} FROM {table}"),
    }
}
