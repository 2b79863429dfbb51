//! Budget: statements that make long values, under a small memory limit; the process stays within it.
//!
//! ```text
//! cargo run --release -p remora-tests -- budget [--expressions 20000] [--seed N] [--only NAME]
//! ```
//!
//! 1. Statements that once took gigabytes, one after the other.
//! 2. Random expressions over all functions, operators, aggregates and table functions of the manual: as deep as three
//!    calls, over columns of long values, over values made longer by `repeat`, in one row or many.
//!
//! The most that the process was resident during a statement (the system's own account, reset before each) must not be
//! above the budget, [`BESIDE_BYTES`] and three times the statement's text; at the end it must be within
//! [`LEFT_BYTES`] of what it was at first. Errors are answers like any other. A statement that is found is
//! printed with what it took; its expressions come of the seed, which is printed first.

use super::calls::{argument_types, written};
use crate::Result;
use crate::arguments::Arguments;
use remora::internal::manual::{Entry, Kind, entries};
use remora::{Connection, Database, Options};
use remora_tests::random::Random;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant, SystemTime};

/// The limit.
const BUDGET_BYTES: u64 = 64 << 20;
/// Memory that the process may take beside it.
const BESIDE_BYTES: u64 = 32 << 20;
/// How often a statement's text may be there.
const TEXT_COPIES: u64 = 3;
/// Memory that may be left at the end beside that which was there at first.
const LEFT_BYTES: u64 = 16 << 20;
/// The time that a statement has.
const TIMEOUT: &str = "100ms";

/// Functions that wait, end sessions, or change what others see.
const SKIPPED: [&str; 8] = [
    "pg_sleep",
    "pg_cancel_backend",
    "pg_terminate_backend",
    "set_config",
    "setval",
    "nextval",
    "pg_notify",
    "rate_limit",
];

/// Columns of long values: name, type, what is repeated between a start and an end.
const COLUMNS: [(&str, &str, &str, &str, &str); 16] = [
    ("letters", "text", "", "x", ""),
    ("blanks", "text", "", " ", ""),
    ("umlauts", "text", "", "Äß", ""),
    ("words", "text", "", "Lorem ipsum, dolor. ", ""),
    ("quotes", "text", "", "'\"\\", ""),
    ("moments", "text", "", "YYYY-MM ", ""),
    ("places", "text", "", "%s", ""),
    ("pattern", "text", "", "(a|b)", ""),
    ("list", "text", "{1", ",22", "}"),
    ("document", "text", "[1", ",{\"a\":[2]}", "]"),
    ("bytes", "bytea", "\\x", "deadbeef", ""),
    ("js", "json", "[1", ",{\"a\":[2]}", "]"),
    ("jb", "jsonb", "{\"a\": [1", ",{\"a\":[2]}", "]}"),
    ("texts", "text[]", "{ab", ",cde", "}"),
    ("numbers", "integer[]", "{1", ",22", "}"),
    ("bits", "bit varying", "", "10", ""),
];

/// Bytes of each long value in a table, by row.
const LENGTHS: [usize; 3] = [200, 20_000, 300_000];

/// Statements that took gigabytes; `long` is the row of the longest values.
const KNOWN: [&str; 28] = [
    "SELECT repeat('x', 1000000000), repeat('x', 1000000000), repeat('x', 1000000000)",
    "SELECT sum(length(repeat(md5(g::text), 300000))) FROM generate_series(1, 2000) g",
    "SELECT length(string_agg(repeat('x', 2000000), '')) FROM generate_series(1, 1000)",
    "SELECT 'a' ~ repeat('(a|b)', 20000000)",
    "SELECT length(replace(repeat('x', 50000000), 'x', 'yyyyy'))",
    "SELECT length(replace(repeat('x', 1000000), 'x', repeat('y', 250)))",
    "SELECT repeat(md5(g::text), 300000) FROM generate_series(1, 2000) g",
    "SELECT count(*) FROM generate_series(1, 2000) g WHERE repeat(md5(g::text), 300000) LIKE '%zz'",
    "SELECT array_agg(repeat('x', 100000)) FROM generate_series(1, 4000)",
    "SELECT json_agg(repeat('x', 100000)) FROM generate_series(1, 4000)",
    "SELECT max(repeat(g::text, 1000000)) FROM generate_series(1, 2000) g",
    "SELECT count(DISTINCT repeat(g::text, 1000000)) FROM generate_series(1, 2000) g",
    "SELECT repeat(g::text, 1000000) FROM generate_series(1, 2000) g ORDER BY 1",
    "CREATE TEMP TABLE made AS SELECT repeat(g::text, 1000000) FROM generate_series(1, 2000) g",
    "SELECT to_char(now(), repeat('YYYY-MM ', 12500000))",
    "SELECT string_to_array(repeat('a,', 20000000), ',')",
    "SELECT count(*) FROM json_array_elements(('[1' || repeat(',1', 900000) || ']')::json)",
    "SELECT count(*) FROM jsonb_array_elements(('[1' || repeat(',1', 900000) || ']')::jsonb)",
    "CREATE TABLE stored (k INT, v TEXT)",
    "INSERT INTO stored SELECT n, repeat(md5(n::text), 400) FROM generate_series(1, 3000) g (n)",
    "SELECT * FROM stored",
    "SELECT count(*) FROM stored WHERE v LIKE '%zz'",
    "SELECT max(upper(v)) FROM stored",
    "SELECT count(DISTINCT v) FROM stored",
    "SELECT count(*) FROM stored a JOIN stored b USING (v)",
    "SELECT v FROM stored ORDER BY v DESC",
    "UPDATE stored SET v = v || 'x'",
    "DROP TABLE stored",
];

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    let expressions: usize = arguments.value_or("--expressions", 20_000)?;
    let today = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let seed: u64 = arguments.value_or("--seed", today.as_secs())?;
    let only: Option<String> = arguments.value("--only")?;
    arguments.end()?;
    println!("seed {seed}");
    let db = Database::in_memory_with(Options::new().max_memory(BUDGET_BYTES))?;
    let conn = db.connect()?;
    make_table(&conn)?;
    conn.execute_batch(&format!("SET statement_timeout = '{TIMEOUT}'"))?;
    settle();
    let first = resident("VmRSS:");
    let mut watch = Watch::default();
    if only.is_none() {
        for sql in KNOWN.iter().map(ToString::to_string).chain(long_texts()) {
            watch.run(&conn, &sql);
        }
    }
    let mut maker = Maker::new(seed, only.as_deref());
    for _ in 0..expressions {
        let sql = maker.statement();
        watch.run(&conn, &sql);
    }
    settle();
    let last = resident("VmRSS:");
    watch.tell(first, last)
}

/// Time for maintenance to give back what is not used.
fn settle() {
    std::thread::sleep(Duration::from_secs(3));
}

fn make_table(conn: &Connection) -> Result<()> {
    let columns: Vec<String> = COLUMNS
        .iter()
        .map(|(name, of, ..)| format!("{name} {of}"))
        .collect();
    conn.execute_batch(&format!("CREATE TABLE long ({})", columns.join(", ")))?;
    for bytes in LENGTHS {
        let values: Vec<String> = COLUMNS
            .iter()
            .map(|(_, of, start, part, end)| {
                let count = bytes / part.len();
                let text = format!("{start}{}{end}", part.repeat(count));
                format!("'{}'::text::{of}", text.replace('\'', "''"))
            })
            .collect();
        conn.execute_batch(&format!("INSERT INTO long VALUES ({})", values.join(", ")))?;
    }
    Ok(())
}

/// How many kinds of long texts there are.
const TEXT_KINDS: usize = 8;

/// Statements whose text is long, one at a time.
fn long_texts() -> impl Iterator<Item = String> {
    let counts = [3_000, 30_000, 300_000, 7_000_000].into_iter();
    counts.flat_map(|count| (0..TEXT_KINDS).map(move |kind| long_text(kind, count)))
}

fn long_text(kind: usize, count: usize) -> String {
    let (before, part, behind) = match kind {
        0 => ("SELECT count(*) FROM (VALUES ", "(1, 'a'), ", "(1, 'a')) v"),
        1 => ("SELECT 1 WHERE 1 IN (", "1, ", "1)"),
        2 => ("SELECT 1 WHERE ", "1 = 1 AND ", "true"),
        3 => ("SELECT length('", "x, ", "')"),
        4 => ("SELECT length('[", "1, ", "1]'::jsonb::text)"),
        5 => ("SELECT ", "/* , */ ", "1"),
        6 => ("SELECT ", "(", "1"),
        _ => ("", "SELECT 1; ", ""),
    };
    let mut text = String::with_capacity(before.len() + part.len() * count + behind.len());
    text.push_str(before);
    (0..count).for_each(|_| text.push_str(part));
    text.push_str(behind);
    text
}

/// Runs statements and keeps what was wrong.
#[derive(Default)]
struct Watch {
    most: u64,
    count: usize,
    wrong: usize,
    answers: BTreeMap<String, usize>,
}

impl Watch {
    fn run(&mut self, conn: &Connection, sql: &str) {
        let allowed = BUDGET_BYTES + BESIDE_BYTES + TEXT_COPIES * sql.len() as u64;
        // The texts of this tool are its own.
        remora_storage::pool::trim_heap();
        reset_peak();
        let began = Instant::now();
        let run = || conn.run(sql, []).map(drop);
        let answer = match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(())) => "done".to_owned(),
            Ok(Err(error)) => error.sqlstate().to_owned(),
            Err(_) => "panic".to_owned(),
        };
        let peak = resident("VmHWM:");
        self.count += 1;
        self.most = self.most.max(peak);
        if peak > allowed || answer == "panic" {
            self.wrong += 1;
            let shown: String = sql.chars().take(300).collect();
            println!(
                "{} MiB of {}, {} in {} ms: {shown}",
                peak >> 20,
                allowed >> 20,
                answer,
                began.elapsed().as_millis(),
            );
        }
        *self.answers.entry(answer).or_default() += 1;
    }

    fn tell(&self, first: u64, last: u64) -> Result<()> {
        let answers: Vec<String> = self
            .answers
            .iter()
            .map(|(answer, count)| format!("{answer} {count}"))
            .collect();
        println!("{} statements: {}", self.count, answers.join(", "));
        println!(
            "at most {} MiB; {} MiB at first, {} MiB at the end",
            self.most >> 20,
            first >> 20,
            last >> 20
        );
        if self.wrong > 0 {
            return Err(format!("{} statements took too much", self.wrong).into());
        }
        match last.saturating_sub(first) <= LEFT_BYTES {
            true => Ok(()),
            false => Err(format!("{} MiB are left behind", (last - first) >> 20).into()),
        }
    }
}

/// Has the system begin anew to note the most that the process is resident.
fn reset_peak() {
    // Where that is not allowed, the peak is that of the whole run: too much is still found.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn resident(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

/// Makes statements.
struct Maker {
    random: Random,
    /// All but table functions and those of windows.
    scalar: Vec<Entry>,
    aggregates: Vec<Entry>,
    tables: Vec<Entry>,
}

impl Maker {
    fn new(seed: u64, only: Option<&str>) -> Self {
        let is_wanted = |entry: &Entry| {
            only.is_none_or(|only| only == entry.name)
                && !SKIPPED
                    .iter()
                    .any(|skipped| entry.name.starts_with(skipped))
        };
        let all: Vec<Entry> = entries().into_iter().filter(is_wanted).collect();
        let of = |kinds: &[Kind]| -> Vec<Entry> {
            let all = all.iter().filter(|entry| kinds.contains(&entry.kind));
            all.cloned().collect()
        };
        Self {
            random: Random::new(seed),
            scalar: of(&[Kind::Operator, Kind::Function]),
            aggregates: of(&[Kind::Aggregate]),
            tables: of(&[Kind::Table]),
        }
    }

    fn pick<'a, T>(random: &mut Random, from: &'a [T]) -> Option<&'a T> {
        match from.len() {
            0 => None,
            count => from.get(random.below(count as u64) as usize),
        }
    }

    fn statement(&mut self) -> String {
        let rows = ["1", "1", "1", "20", "3000"];
        let rows = Self::pick(&mut self.random, &rows).copied().unwrap_or("1");
        let from = format!("long CROSS JOIN generate_series(1, {rows}) AS g (n)");
        match self.random.below(10) {
            0 | 1 if !self.aggregates.is_empty() => {
                let call = self.call_of(|maker| &maker.aggregates);
                format!("SELECT {call} FROM {from}")
            }
            2 if !self.tables.is_empty() => {
                let call = self.call_of(|maker| &maker.tables);
                format!("SELECT count(*) FROM {from}, {call}")
            }
            3 => {
                let call = self.any_call(2);
                format!("SELECT count(*) FROM {from} WHERE ({call})::text < 'b'")
            }
            _ => {
                let calls: Vec<String> = (0..=self.random.below(2))
                    .map(|_| self.any_call(2))
                    .collect();
                format!("SELECT {} FROM {from}", calls.join(", "))
            }
        }
    }

    fn call_of(&mut self, among: impl Fn(&Self) -> &Vec<Entry>) -> String {
        let count = among(self).len() as u64;
        let at = self.random.below(count) as usize;
        let entry = among(self)[at].clone();
        self.call(&entry, 1)
    }

    fn any_call(&mut self, depth: usize) -> String {
        match Self::pick(&mut self.random, &self.scalar).cloned() {
            Some(entry) => self.call(&entry, depth),
            None => self.leaf("text"),
        }
    }

    fn call(&mut self, entry: &Entry, depth: usize) -> String {
        let arguments: Vec<String> = argument_types(entry)
            .iter()
            .map(|types| {
                let of = Self::pick(&mut self.random, types)
                    .cloned()
                    .unwrap_or_default();
                self.argument(&of, depth)
            })
            .collect();
        written(entry, &arguments)
    }

    /// A value of a type, or close to it: a leaf, or what a call gives.
    fn argument(&mut self, of: &str, depth: usize) -> String {
        if depth == 0 || self.random.below(2) == 0 {
            return self.leaf(of);
        }
        let gives = |entry: &&Entry| entry.returns.split('/').any(|given| given == of);
        let fitting: Vec<Entry> = self.scalar.iter().filter(gives).cloned().collect();
        match Self::pick(&mut self.random, &fitting) {
            Some(entry) => {
                let entry = entry.clone();
                let call = self.call(&entry, depth - 1);
                match entry.returns == of {
                    true => call,
                    false => format!("({call})::{of}"),
                }
            }
            None => self.leaf(of),
        }
    }

    fn leaf(&mut self, of: &str) -> String {
        let of = match of {
            "any" | "same type" | "element" => "text",
            "array" => "text[]",
            "bit" => "bit varying",
            other => other,
        };
        let columns: Vec<&str> = COLUMNS
            .iter()
            .filter(|(_, data_type, ..)| *data_type == of)
            .map(|(name, ..)| *name)
            .collect();
        let number = [
            "0",
            "1",
            "3",
            "-2",
            "100",
            "5000",
            "1000000",
            "2147483647",
            "n",
        ];
        let number = Self::pick(&mut self.random, &number)
            .copied()
            .unwrap_or("1");
        let column = Self::pick(&mut self.random, &columns).copied();
        match (of, column, self.random.below(4)) {
            ("text", Some(column), 0) => format!("repeat({column}, {number})"),
            ("text", _, 1) => {
                let words = [
                    "'x'", "''", "' '", "','", "'hex'", "'g'", "'NFKD'", "'a+'", "'$.**'",
                ];
                Self::pick(&mut self.random, &words)
                    .map_or("'x'", |word| word)
                    .to_owned()
            }
            (_, Some(column), _) => column.to_owned(),
            ("integer", ..) => number.replace('n', "n::int"),
            ("bigint" | "number" | "numeric", ..) => number.to_owned(),
            ("smallint", ..) => "2::smallint".to_owned(),
            ("real" | "double precision", ..) => "0.5::double precision".to_owned(),
            ("boolean", ..) => "true".to_owned(),
            ("jsonpath", ..) => "'$.**'".to_owned(),
            ("range" | "bound" | "int4range", ..) => "'[3,9)'::int4range".to_owned(),
            ("multirange" | "int4multirange", ..) => "'{[3,9)}'::int4multirange".to_owned(),
            ("interval", ..) => "'1 day'::interval".to_owned(),
            ("date", ..) => "'2024-01-05'::date".to_owned(),
            (time, ..) if time.starts_with("time") => format!("now()::{time}"),
            (array, ..) if array.ends_with("[]") => format!("'{{0}}'::{array}"),
            _ => "NULL".to_owned(),
        }
    }
}
