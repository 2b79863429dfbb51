//! Counts: the instructions of a statement, from the call of the library to its result.
//!
//! Times of a busy machine say little, and a slow creep nothing; instructions differ by less than 1 % from run to run. Each statement
//! runs warm, over [`ROWS`] rows, under valgrind's callgrind, which counts within [`counted`] and nowhere else. What a
//! statement costs is the difference between two numbers of rounds, so that what happens once is left out.
//!
//! ```text
//! cargo run --release -p remora-tests -- counts [--only TEXT] [--update | --losing | --walk]
//! ```
//!
//! It fails where a statement takes [`SLACK`] more than `tests/counts.txt` says; `--update` writes what it measures there.
//! It needs `valgrind` (Debian: `apt-get install valgrind`).
//!
//! With `--losing` it compares statements on a table whose rows expire, and on caches that are full, with those on a plain
//! table ([`KINDS`]), and fails where they take more than [`LOSING`] times as many instructions.
//!
//! With `--walk` it compares the files of the engine that the instructions of two statements come from with what
//! `docs/architecture.md` tells of them; `--files` prints those of any statement. The build needs debug information
//! (profile `profiling`).

use crate::Result;
use crate::arguments::Arguments;
use remora::kv::Kv;
use remora::{Connection, Database};
use remora_tests::users::{CREATE_USERS, User, user};
use remora_tests::walks;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::Command;

const ROWS: i64 = 2000;
/// Rounds of the two runs: the first has filled what is filled once.
const ROUNDS: [usize; 2] = [200, 1200];
/// How many times as many instructions as were noted are too many.
const SLACK: f64 = 1.03;
const NOTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/counts.txt");
/// Counted for its walk only: its count differs by a tenth from run to run.
const UNBOUNDED: &str = "join and group";
/// The statements whose walks are told, in order.
const WALKED: [&str; 2] = ["insert of two columns", "join and group"];
/// Rows of an index scan, each of which is a round.
const RANGE: i64 = 100;

/// Tables that lose rows by themselves, by what is set of a plain one.
const KINDS: [(&str, &str); 4] = [
    ("plain", ""),
    ("expiring", "ttl_expire_after = '1 hour'"),
    ("cache, lru", "eviction = 'lru', max_rows = 2000"),
    ("cache, lfu", "eviction = 'lfu', max_rows = 2000"),
];
/// How many times as many instructions a statement may take on such a table.
const LOSING: [(&str, f64); 3] = [
    ("select 1 column by key", 1.1),
    ("update by key", 1.2),
    ("insert", 1.3),
];

/// Prepared before instructions are counted.
struct Given {
    kv: Option<Kv>,
    keys: Vec<i64>,
    users: Vec<User>,
    emails: Vec<String>,
    texts: Vec<String>,
}

impl Given {
    /// The key-value table, on a connection.
    fn kv<'c>(&self, conn: &'c Connection) -> remora::Result<Kv<&'c Connection>> {
        let kv = self.kv.as_ref();
        let none = || remora::Error::new(remora::sqlstate::UNDEFINED_TABLE, "it was not made");
        Ok(kv.ok_or_else(none)?.within(conn))
    }
}

type Run = fn(&Connection, &Given) -> remora::Result<u64>;

/// The statements that are counted, by name; each is run once for each key given.
const STATEMENTS: &[(&str, Run)] = &[
    ("select 1 column by key", |conn, given| {
        by_key(conn, "SELECT age FROM users WHERE id = $1", given)
    }),
    ("select 6 columns by key", six_columns),
    ("select a text by key", |conn, given| {
        let mut statement = conn.prepare("SELECT name FROM users WHERE id = $1")?;
        let mut bytes = 0;
        for key in &given.keys {
            bytes += statement.query_row([key], |row| Ok(row.get::<_, String>(0)?.len()))?;
        }
        Ok(bytes as u64)
    }),
    ("query_row by key", |conn, given| {
        let mut sum = 0;
        for key in &given.keys {
            let sql = "SELECT age FROM users WHERE id = $1";
            sum += conn.query_row(sql, [key], |row| row.get::<_, i32>(0))? as u64;
        }
        Ok(sum)
    }),
    ("query_row of a text each", |conn, given| {
        let mut sum = 0;
        for sql in &given.texts {
            sum += conn.query_row(sql, [], |row| row.get::<_, i32>(0))? as u64;
        }
        Ok(sum)
    }),
    ("select by e-mail", |conn, given| {
        let mut statement = conn.prepare("SELECT age FROM users WHERE email = $1")?;
        let mut sum = 0;
        for email in &given.emails {
            sum += statement.query_row([email], |row| row.get::<_, i32>(0))? as u64;
        }
        Ok(sum)
    }),
    ("select in a block", |conn, given| {
        conn.execute_batch("BEGIN")?;
        let sum = by_key(conn, "SELECT age FROM users WHERE id = $1", given);
        conn.execute_batch("COMMIT")?;
        sum
    }),
    ("a row of a range", |conn, given| {
        let mut statement =
            conn.prepare("SELECT age FROM users WHERE id >= $1 AND id < $2 ORDER BY id")?;
        let mut sum = 0;
        for key in given.keys.iter().step_by(RANGE as usize) {
            let low = key % (ROWS - RANGE);
            let mut rows = statement.query([low, low + RANGE])?;
            while let Some(row) = rows.next()? {
                sum += row.get::<_, i32>(0)? as u64;
            }
        }
        Ok(sum)
    }),
    ("a key of a list", |conn, given| {
        let places: Vec<String> = (1..=RANGE).map(|place| format!("${place}")).collect();
        let sql = format!("SELECT age FROM users WHERE id IN ({})", places.join(", "));
        let mut statement = conn.prepare(&sql)?;
        let mut sum = 0;
        for keys in given.keys.chunks(RANGE as usize) {
            let mut rows = statement.query(remora::params_from_iter(keys))?;
            while let Some(row) = rows.next()? {
                sum += row.get::<_, i32>(0)? as u64;
            }
        }
        Ok(sum)
    }),
    ("update by key", |conn, given| {
        change(
            conn,
            "UPDATE users SET score = score + 1 WHERE id = $1",
            given,
        )
    }),
    ("insert", |conn, given| insert(conn, given)),
    ("delete and insert", |conn, given| {
        change(conn, "DELETE FROM users WHERE id = $1", given)?;
        insert(conn, given)
    }),
    ("insert of two columns", |conn, given| {
        let mut statement = conn.prepare("INSERT INTO log VALUES ($1, $2)")?;
        let mut changed = 0;
        for (number, key) in given.keys.iter().enumerate() {
            changed += statement.execute([number as i64, *key])?;
        }
        Ok(changed as u64)
    }),
    ("kv: get", |conn, given| {
        let kv = given.kv(conn)?;
        let mut bytes = 0;
        for key in &given.emails {
            bytes += kv.get_with(key, <[u8]>::len)?.unwrap_or_default();
        }
        Ok(bytes as u64)
    }),
    ("kv: put", |conn, given| {
        let kv = given.kv(conn)?;
        let mut emails = given.emails.iter();
        emails.try_for_each(|key| kv.put(key, key))?;
        Ok(given.emails.len() as u64)
    }),
    ("join and group", |conn, given| {
        let mut statement = conn.prepare(
            "SELECT u.age, count(*) FROM users u JOIN log l ON l.v = u.id GROUP BY u.age",
        )?;
        let mut groups = 0;
        for _ in &given.keys {
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {
                groups += 1;
            }
        }
        Ok(groups)
    }),
];

fn by_key(conn: &Connection, sql: &str, given: &Given) -> remora::Result<u64> {
    let mut statement = conn.prepare(sql)?;
    let mut sum = 0;
    for key in &given.keys {
        sum += statement.query_row([key], |row| row.get::<_, i32>(0))? as u64;
    }
    Ok(sum)
}

fn six_columns(conn: &Connection, given: &Given) -> remora::Result<u64> {
    let mut statement =
        conn.prepare("SELECT id, name, email, age, score, created_at FROM users WHERE id = $1")?;
    let mut sum = 0;
    for key in &given.keys {
        sum += statement.query_row([key], |row| {
            let texts = row.get_ref(1)?.is_null() || row.get_ref(2)?.is_null();
            let floats = row.get::<_, f64>(4)? + row.get::<_, f64>(5)?;
            Ok(row.get::<_, i64>(0)? as u64
                + u64::from(texts)
                + row.get::<_, i32>(3)? as u64
                + floats as u64)
        })?;
    }
    Ok(sum)
}

fn change(conn: &Connection, sql: &str, given: &Given) -> remora::Result<u64> {
    let mut statement = conn.prepare(sql)?;
    let mut changed = 0;
    for key in &given.keys {
        changed += statement.execute([key])?;
    }
    Ok(changed as u64)
}

/// Inserts rows whose keys are gone or new.
fn insert(conn: &Connection, given: &Given) -> remora::Result<u64> {
    let mut statement = conn.prepare("INSERT INTO users VALUES ($1, $2, $3, $4, $5, $6)")?;
    let mut changed = 0;
    for u in &given.users {
        let row = remora::params![u.id, u.name, u.email, u.age, u.score, u.created_at];
        changed += statement.execute(row)?;
    }
    Ok(changed as u64)
}

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    let only: String = arguments.value_or("--only", String::new())?;
    let update = arguments.flag("--update");
    let (walk, files) = (arguments.flag("--walk"), arguments.flag("--files"));
    // How the tool calls itself.
    let statement: Option<usize> = arguments.value("--statement")?;
    let rounds = arguments.value_or("--rounds", ROUNDS[0])?;
    let kind = arguments.value_or("--kind", 0)?;
    let losing = arguments.flag("--losing");
    arguments.end()?;
    if let Some(statement) = statement {
        return run_one(STATEMENTS[statement], KINDS[kind].1, rounds);
    }
    if losing {
        return compare_losing();
    }
    if walk {
        return compare_walks();
    }
    let mut noted = noted()?;
    let mut failed = Vec::new();
    println!("| statement | instructions | noted |");
    println!("|---|---|---|");
    for (number, (name, _)) in STATEMENTS.iter().enumerate() {
        if !name.contains(&only) {
            continue;
        }
        let costs = costs(number, 0)?;
        let measured = costs.total.round() as u64;
        let bound = noted.get(*name).copied();
        let shown = bound.map_or("-".to_owned(), |bound| bound.to_string());
        println!("| {name} | {measured} | {shown} |");
        if files {
            for (file, cost) in costs.of_engine() {
                println!("    {cost:8.1}  {file}");
            }
        }
        if *name == UNBOUNDED {
            continue;
        }
        if bound.is_none_or(|bound| costs.total > bound as f64 * SLACK) {
            failed.push(format!("{name}: {measured} instructions"));
        }
        noted.insert((*name).to_owned(), measured);
    }
    if update {
        let lines = STATEMENTS
            .iter()
            .filter_map(|(name, _)| Some((name, noted.get(*name)?)));
        let lines = lines.fold(String::new(), |mut text, (name, count)| {
            let _ = writeln!(text, "{count:8}  {name}");
            text
        });
        return Ok(std::fs::write(NOTED, lines)?);
    }
    match failed.is_empty() {
        true => Ok(()),
        false => Err(format!("more than {NOTED} allows: {}", failed.join("; ")).into()),
    }
}

/// Fails where a statement takes too many instructions on a table that loses rows.
fn compare_losing() -> Result<()> {
    let mut failed = Vec::new();
    println!("| statement | table | instructions | times plain | bound |");
    println!("|---|---|---|---|---|");
    for (name, bound) in LOSING {
        let number = STATEMENTS.iter().position(|(other, _)| *other == name);
        let number = number.ok_or("it is one of them")?;
        let mut plain = 0.0;
        for (kind, (table, _)) in KINDS.iter().enumerate() {
            let total = costs(number, kind)?.total;
            if kind == 0 {
                plain = total;
            }
            let times = total / plain;
            println!("| {name} | {table} | {total:.0} | {times:.2} | {bound} |");
            if times > bound {
                failed.push(format!("{name}, {table}: {times:.2}"));
            }
        }
    }
    match failed.is_empty() {
        true => Ok(()),
        false => Err(format!("above the bound: {}", failed.join("; ")).into()),
    }
}

/// Fails where a statement goes through a file that its walk does not tell.
fn compare_walks() -> Result<()> {
    for (name, told) in WALKED.into_iter().zip(walks::told()) {
        let number = STATEMENTS.iter().position(|(other, _)| *other == name);
        let costs = costs(number.ok_or("it is one of them")?, 0)?;
        let visited: Vec<String> = costs.of_engine().map(|(file, _)| file.to_owned()).collect();
        if visited.is_empty() {
            return Err("no file is known: is it a build without debug information?".into());
        }
        let untold: Vec<_> = visited
            .iter()
            .filter(|file| !told.files.contains(file))
            .collect();
        println!("{name}: {} files, {} told", visited.len(), told.files.len());
        let unvisited = told.files.iter().filter(|file| !visited.contains(file));
        let unvisited: Vec<_> = unvisited.collect();
        if !unvisited.is_empty() {
            println!("  told, and not visited by this build: {unvisited:?}");
        }
        if !untold.is_empty() {
            return Err(format!("docs/architecture.md does not tell: {untold:?}").into());
        }
    }
    Ok(())
}

/// The counts that were noted, by statement.
fn noted() -> Result<BTreeMap<String, u64>> {
    let text = std::fs::read_to_string(NOTED).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.trim().split_once("  "));
    let counts = lines.map(|(count, name)| Ok((name.to_owned(), count.parse()?)));
    counts.collect()
}

fn run_one((name, run): (&str, Run), parameters: &str, rounds: usize) -> Result<()> {
    let database = Database::in_memory()?;
    let conn = database.connect()?;
    conn.execute_batch(CREATE_USERS)?;
    conn.execute_batch(
        "CREATE INDEX users_email ON users (email); CREATE TABLE log (id BIGINT PRIMARY KEY, v BIGINT)",
    )?;
    if !parameters.is_empty() {
        conn.execute(&format!("ALTER TABLE users SET ({parameters})"), [])?;
    }
    insert(&conn, &given(ROWS, 0))?;
    if name == "join and group" {
        conn.execute("INSERT INTO log SELECT id, id FROM users WHERE id < 20", [])?;
    }
    // Keys that are new, or those of the rows.
    let first = if name == "insert" { ROWS } else { 0 };
    let mut given_now = given((rounds as i64).min(ROWS), first);
    if name.starts_with("kv") {
        let kv = database.kv("kv")?;
        kv.put_all(given(ROWS, 0).emails.iter().map(|key| (key, key)))?;
        given_now.kv = Some(kv);
    }
    let sum = counted(run, &conn, &given_now)?;
    println!("{sum}");
    Ok(())
}

/// Parameters and texts for so many rounds: each key once, the least being `first`.
fn given(rounds: i64, first: i64) -> Given {
    let keys: Vec<i64> = (0..rounds).map(|n| first + n * 7919 % ROWS).collect();
    let users: Vec<User> = keys.iter().map(|key| user(*key)).collect();
    let text = |key| format!("SELECT age FROM users WHERE id = {key}");
    Given {
        kv: None,
        emails: users.iter().map(|user| user.email.clone()).collect(),
        texts: keys.iter().map(text).collect(),
        keys,
        users,
    }
}

/// Instructions are counted in here.
#[inline(never)]
fn counted(run: Run, conn: &Connection, given: &Given) -> remora::Result<u64> {
    std::hint::black_box(run(conn, given))
}

/// Instructions as callgrind has counted them, in all and by file.
struct Counted {
    total: u64,
    files: BTreeMap<String, u64>,
}

/// The instructions of one round.
struct Costs {
    total: f64,
    files: BTreeMap<String, f64>,
}

impl Costs {
    /// Those of the engine's files, by the path within its sources. What happens in one of two rounds is no part of it.
    fn of_engine(&self) -> impl Iterator<Item = (&str, f64)> {
        let visited = self.files.iter().filter(|(_, cost)| **cost >= 0.5);
        visited.filter_map(|(file, cost)| Some((file.split_once("engine/src/")?.1, *cost)))
    }
}

fn costs(statement: usize, kind: usize) -> Result<Costs> {
    let few = count(statement, kind, ROUNDS[0])?;
    let many = count(statement, kind, ROUNDS[1])?;
    let each =
        |few: u64, many: u64| many.saturating_sub(few) as f64 / (ROUNDS[1] - ROUNDS[0]) as f64;
    let files = many.files.into_iter().map(|(file, cost)| {
        let cost = each(few.files.get(&file).copied().unwrap_or(0), cost);
        (file, cost)
    });
    Ok(Costs {
        total: each(few.total, many.total),
        files: files.collect(),
    })
}

fn count(statement: usize, kind: usize, rounds: usize) -> Result<Counted> {
    let out = tempfile::NamedTempFile::new()?;
    let ran = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*counts::counted*"])
        .arg(format!("--callgrind-out-file={}", out.path().display()))
        .arg(std::env::current_exe()?)
        .args(["counts", "--statement", &statement.to_string()])
        .args(["--rounds", &rounds.to_string(), "--kind", &kind.to_string()])
        .output()
        .map_err(|error| format!("valgrind: {error}; on Debian: apt-get install valgrind"))?;
    if !ran.status.success() {
        return Err(String::from_utf8_lossy(&ran.stderr).into_owned().into());
    }
    let counted = read(&std::fs::read_to_string(out.path())?);
    match counted.total {
        0 => Err("nothing was counted: is the build stripped of its symbols?".into()),
        _ => Ok(counted),
    }
}

/// Reads what callgrind writes: a position and a cost a line, beneath the file that it belongs to. Files have numbers,
/// and a name where they are first named. The line after `calls=` has what the called function took, which is counted there.
fn read(text: &str) -> Counted {
    let (mut names, mut files) = (BTreeMap::new(), BTreeMap::new());
    let mut file = String::new();
    let (mut total, mut is_of_callee) = (0, false);
    for line in text.lines() {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        match key {
            "fl" | "fi" | "fe" | "cfi" | "cfl" => {
                let (number, name) = value.split_once(' ').unwrap_or((value, ""));
                if !name.is_empty() {
                    names.insert(number.to_owned(), name.to_owned());
                }
                if !key.starts_with('c') {
                    file = names.get(number).cloned().unwrap_or_default();
                }
            }
            "calls" => is_of_callee = true,
            _ if line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) => {
                let cost = line
                    .split_whitespace()
                    .nth(1)
                    .and_then(|cost| cost.parse().ok());
                if !std::mem::take(&mut is_of_callee) {
                    *files.entry(file.clone()).or_default() += cost.unwrap_or(0);
                    total += cost.unwrap_or(0);
                }
            }
            _ => {}
        }
    }
    Counted { total, files }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_belong_to_files_and_those_of_callees_are_counted_once() {
        let costs = read(
            "events: Ir\nfl=(1) a.rs\nfn=(1) f\n10 5\n+1 3\nfi=(2) b.rs\n7 4\nfe=(1)\n* 1\n\
             cfi=(3) c.rs\ncfn=(2) g\ncalls=1 20\n11 100\nfl=(3)\nfn=(2)\n20 100\ntotals: 113\n",
        );
        assert_eq!(costs.total, 113);
        let files: Vec<_> = costs
            .files
            .iter()
            .map(|(file, cost)| (file.as_str(), *cost))
            .collect();
        assert_eq!(files, [("a.rs", 9), ("b.rs", 4), ("c.rs", 100)]);
    }
}
