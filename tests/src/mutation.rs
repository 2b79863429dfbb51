//! Statements that are nearly right: those of the golden scripts with words left out, doubled, exchanged and
//! made extreme.
//!
//! 1. A story is told to one connection, in order; its files, settings of time and commands of the harness
//!    are left out.
//! 2. Every third statement is changed first: words go, come twice, change places, come from another statement of any
//!    story, or become values at the ends of their types.
//! 3. Whatever comes of it, there is no panic, no internal error, no statement that outlives its time limit
//!    by far, and the database still agrees with itself.
//!
//! A seed gives the same statements again.

use crate::random::Random;
use crate::source;
use remora::{Connection, Database, Options};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// The time limit of each statement.
const LIMIT: Duration = Duration::from_millis(200);
/// How long one may take all the same on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);
/// What a story may use.
const MEMORY: u64 = 64 << 20;

/// What is not for this harness: files, and what would take the limits away.
const LEFT_OUT: &[&str] = &[
    "copy",
    "{dir}",
    "{data}",
    "timeout",
    "max_memory",
    "reset",
    "discard",
    "pressure",
];

/// Words to put in the place of others.
const EXTREMES: &[&str] = &[
    "NULL",
    "0",
    "-1",
    "9223372036854775807",
    "'9223372036854775808'::bigint",
    "1e308",
    "1e-400",
    "'NaN'::float8",
    "99999999999999999999999999999999999999",
    "''",
    "'\\xff'::bytea",
    "E'\\u00e9'",
    "DATE '9999-12-31'",
    "INTERVAL '178000000 years'",
    "(SELECT NULL)",
    "(VALUES (1), (2))",
    "*",
    "(",
    ")",
    ",",
    "DEFAULT",
    "$1",
    "\"\"",
];

/// What a run came to.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tally {
    /// Statements that were changed.
    pub changed: u64,
    /// Those of them that ran nevertheless.
    pub ran: u64,
}

/// The statements of every golden script.
pub fn stories() -> Vec<Vec<String>> {
    let files = source::files(&source::root().join("tests/golden"), "txt");
    let texts = files
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok());
    texts.map(|text| statements(&text)).collect()
}

fn statements(script: &str) -> Vec<String> {
    let mut inputs: Vec<String> = Vec::new();
    let mut is_input = false;
    for line in script.lines() {
        let begins = line.split_once("> ").filter(|(label, _)| {
            !label.is_empty() && label.chars().all(|c| c.is_ascii_lowercase())
        });
        match begins {
            Some((_, sql)) => inputs.push(sql.to_owned()),
            None if is_input && line.starts_with("   ") => {
                let input = inputs.last_mut().expect("an input goes on");
                input.push('\n');
                input.push_str(line);
            }
            None => {}
        }
        is_input = begins.is_some() || (is_input && line.starts_with("   "));
    }
    let parts = inputs.iter().flat_map(|input| input.split(';'));
    let is_meant = |sql: &&str| {
        let lower = sql.to_lowercase();
        !sql.trim().is_empty() && !LEFT_OUT.iter().any(|word| lower.contains(word))
    };
    parts
        .filter(is_meant)
        .map(|sql| sql.trim().to_owned())
        .collect()
}

/// Tells so many stories.
///
/// # Errors
/// The seed and the statement at which something happened that must not.
pub fn run(count: u64, seed: u64) -> Result<Tally, String> {
    let stories = stories();
    let mut tally = Tally::default();
    for round in (0..count).map(|round| seed.wrapping_add(round)) {
        let mut random = Random::new(round);
        let story = &stories[random.below(stories.len() as u64) as usize];
        tell(story, &stories, &mut random, &mut tally)
            .map_err(|report| format!("seed {round}: {report}"))?;
    }
    Ok(tally)
}

fn tell(
    story: &[String],
    stories: &[Vec<String>],
    random: &mut Random,
    tally: &mut Tally,
) -> Result<(), String> {
    let options = Options::new().max_memory(MEMORY).statement_timeout(LIMIT);
    let opened = Database::in_memory_with(options).and_then(|db| Ok((db.connect()?, db)));
    let (connection, database) = opened.map_err(|error| error.to_string())?;
    let mut told = Vec::new();
    for sql in story {
        let is_changed = random.chance(33);
        let sql = match is_changed {
            true => changed(sql, stories, random),
            false => sql.clone(),
        };
        told.push(sql.clone());
        let ran = ask(&connection, &sql).map_err(|what| format!("{what}\n{}", told.join(";\n")))?;
        tally.changed += u64::from(is_changed);
        tally.ran += u64::from(is_changed && ran);
    }
    drop(connection);
    let report = database.check().map_err(|error| error.to_string())?;
    match report.contradictions.is_empty() {
        true => Ok(()),
        false => Err(format!("{:?}\n{}", report.contradictions, told.join(";\n"))),
    }
}

/// Whether a statement ran; `Err` where it did what none may do.
fn ask(connection: &Connection, sql: &str) -> Result<bool, String> {
    let began = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| connection.run(sql, [])));
    if began.elapsed() > PATIENCE {
        return Err(format!("it took {:?}", began.elapsed()));
    }
    match outcome {
        Err(_) => Err("it panicked".to_owned()),
        Ok(Err(error)) if error.sqlstate() == "XX000" => Err(error.to_string()),
        Ok(outcome) => Ok(outcome.is_ok()),
    }
}

fn changed(sql: &str, stories: &[Vec<String>], random: &mut Random) -> String {
    let mut words = words(sql);
    for _ in 0..1 + random.below(3) {
        if words.is_empty() {
            break;
        }
        let at = random.below(words.len() as u64) as usize;
        match random.below(7) {
            0 => drop(words.remove(at)),
            1 => words.insert(at, words[at].clone()),
            2 => {
                let other = random.below(words.len() as u64) as usize;
                words.swap(at, other);
            }
            3 | 4 => words[at] = random.pick(EXTREMES).unwrap_or_default().to_owned(),
            5 => words.truncate(at),
            _ => {
                let story = &stories[random.below(stories.len() as u64) as usize];
                let other = random.below(story.len().max(1) as u64) as usize;
                let foreign = story
                    .get(other)
                    .map(|sql| self::words(sql))
                    .unwrap_or_default();
                let from = random.below(foreign.len().max(1) as u64) as usize;
                let end = (from + 1 + random.below(6) as usize).min(foreign.len());
                words.splice(at..at + 1, foreign[from.min(end)..end].iter().cloned());
            }
        }
    }
    let sql = words.join(" ");
    let is_meant = !LEFT_OUT
        .iter()
        .any(|word| sql.to_lowercase().contains(word));
    if is_meant { sql } else { "SELECT 1".to_owned() }
}

/// Words, strings and signs, roughly.
fn words(sql: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in sql.chars() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let last = words.last_mut().expect("there is one");
        match quote {
            Some(sign) => {
                last.push(c);
                quote = (c != sign).then_some(sign);
            }
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                words.push(c.to_string());
            }
            None if c.is_whitespace() => words.push(String::new()),
            None if last
                .chars()
                .next_back()
                .is_none_or(|before| is_word(before) == is_word(c)) =>
            {
                last.push(c);
            }
            None => words.push(c.to_string()),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_found_and_taken_apart() {
        let script =
            "# A story.\na> SELECT 1; SELECT\n   'a b'\nb> COPY t FROM 'x'\n---\na: 1\n   a> no\n";
        assert_eq!(statements(script), ["SELECT 1", "SELECT\n   'a b'"]);
        assert_eq!(words("a<=b+'c d'"), ["a", "<=", "b", "+", "'c d'"]);
    }
}
