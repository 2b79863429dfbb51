//! What a database holds, as text; and what a script's database must hold after so many steps.

use super::script::{Mark, Run, Script, Stage, Step};
use remora::disk::SimDisk;
use remora::{Connection, Database, Durability, Error};
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What a script comes to, step by step, on a twin in memory that never crashes.
#[derive(Debug)]
pub struct Expected {
    /// What is there after none of the steps, after the first, and so on.
    contents: Vec<String>,
    digests: Vec<u64>,
    /// The SQLSTATE with which each step fails, if it shall.
    failures: Vec<Option<&'static str>>,
}

impl Expected {
    /// Runs the script in memory.
    ///
    /// # Errors
    /// Where the twin cannot even be read.
    pub fn of(script: &Script) -> Result<Self, Error> {
        let mut stage = Stage::in_memory(script)?;
        let mut expected = Self {
            contents: vec![contents(&stage.database, script)?],
            digests: Vec::new(),
            failures: Vec::new(),
        };
        let mut kept: Vec<usize> = Vec::new();
        for step in &script.steps {
            let done = stage.run(step);
            let failure = done.err().map(|error| error.sqlstate());
            let now = match step {
                // The twin cannot go back: nothing but a restored database comes after this.
                Step::Restore(checkpoint) => expected.contents[kept[*checkpoint]].clone(),
                _ => contents(&stage.database, script)?,
            };
            if *step == Step::Checkpoint {
                kept.push(expected.contents.len());
            }
            expected.failures.push(failure);
            expected.contents.push(now);
        }
        expected.digests = expected.contents.iter().map(|text| digest(text)).collect();
        Ok(expected)
    }

    /// Whether `found` is what is there after some number of steps between these two.
    pub fn is_between(&self, found: u64, least: usize, most: usize) -> bool {
        self.digests[least..=most].contains(&found)
    }

    /// What is there after so many steps.
    pub fn contents(&self, steps: usize) -> &str {
        &self.contents[steps]
    }

    /// Whether a step changes what others see.
    fn changes(&self, step: usize) -> bool {
        self.digests[step] != self.digests[step + 1]
    }

    /// Runs the script on a disk that records: to its end, or to the step at which the disk's fault takes
    /// the database.
    ///
    /// # Errors
    /// What went otherwise than on the twin, without a fault.
    pub fn run(&self, script: &Script, disk: &SimDisk, is_faulty: bool) -> Result<Run, String> {
        let mut run = Run {
            events: Vec::new(),
            marks: Vec::new(),
        };
        let mut stage = match Stage::on(script, disk) {
            Ok(stage) => stage,
            Err(error) if is_faulty && is_of_disk(&error) => {
                run.note(disk, 0, 0);
                return Ok(run);
            }
            Err(error) => return Err(format!("a new database: {error}")),
        };
        let mut acknowledged = 0;
        for (at, step) in script.steps.iter().enumerate() {
            run.note(disk, at + 1, acknowledged);
            let failure = stage.run(step).err();
            let is_lost = is_faulty && failure.as_ref().is_some_and(is_of_disk);
            // A checkpoint may fail, and the database goes on.
            if is_lost && !matches!(step, Step::Checkpoint) {
                return self.end_early(script, run, stage, disk, at);
            }
            let wanted = self.failures[at];
            if !is_lost && failure.as_ref().map(Error::sqlstate) != wanted {
                return Err(format!("step {at}, {step}: {failure:?}, not {wanted:?}"));
            }
            if failure.is_none() && self.acknowledges(script, step, at) {
                acknowledged = at + 1;
            }
            run.note(disk, at + 1, acknowledged);
        }
        let now = contents(&stage.database, script);
        match now.map_err(|error| (is_of_disk(&error), error.to_string())) {
            Ok(now) if now != self.contents[script.steps.len()] => {
                return Err("the database differs from its twin in memory".to_owned());
            }
            Err((of_disk, text)) if !of_disk || !is_faulty => return Err(text),
            _ => {}
        }
        drop(stage);
        let end = script.steps.len();
        run.note(disk, end, if is_faulty { acknowledged } else { end });
        Ok(run)
    }

    /// After a commit that failed none must be taken, and what it was stays open: it is there or not.
    fn end_early(
        &self,
        script: &Script,
        mut run: Run,
        mut stage: Stage<'_>,
        disk: &SimDisk,
        failed: usize,
    ) -> Result<Run, String> {
        let acknowledged = run.marks.last().map_or(0, |mark| mark.acknowledged);
        let is_change = matches!(script.steps[failed], Step::Sql(..)) && self.changes(failed);
        if is_change && stage.begin_anew().is_ok() {
            let more = Step::Sql(0, "CREATE TABLE crash_lab_refused (n INTEGER)".to_owned());
            if script.durability == Durability::Sync && stage.run(&more).is_ok() {
                return Err(format!("step {failed} failed, and then a commit was taken"));
            }
        }
        drop(stage);
        run.note(disk, failed + 1, acknowledged);
        Ok(run)
    }

    /// Whether it is promised, when a step has returned, that all so far is durable.
    fn acknowledges(&self, script: &Script, step: &Step, at: usize) -> bool {
        match step {
            Step::Checkpoint | Step::Reopen | Step::Restore(_) => true,
            Step::Sql(..) => script.durability == Durability::Sync && self.changes(at),
            Step::Compact => false,
        }
    }
}

/// Whether an error may come of a disk that fails: its own errors, full disks, commits whose outcome is
/// unknown, and what a database says that has given up writing.
fn is_of_disk(error: &Error) -> bool {
    ["58", "53", "08", "57", "25"].contains(&&error.sqlstate()[..2])
}

impl Run {
    fn note(&mut self, disk: &SimDisk, begun: usize, acknowledged: usize) {
        self.events.extend(disk.take_events());
        self.marks.push(Mark {
            events: self.events.len(),
            begun,
            acknowledged,
        });
    }
}

/// A hash of a text.
pub fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// All tables with their rows, the indexes and sequences, and what the script's probes give.
///
/// # Errors
/// Where it cannot be read.
pub fn contents(database: &Database, script: &Script) -> Result<String, Error> {
    let conn = database.connect()?;
    let mut text = String::new();
    let tables = rows(&conn, "SELECT name FROM remora_tables ORDER BY name")?;
    for table in &tables[1..] {
        let _ = writeln!(text, "table {table}");
        let mut rows = rows(&conn, &format!("SELECT * FROM \"{table}\""))?;
        // The order of rows is nobody's promise.
        rows[1..].sort();
        text.extend(rows.iter().flat_map(|row| ["  ", row, "\n"]));
    }
    for query in [
        "SELECT name, table_name, kind, is_unique FROM remora_indexes ORDER BY name",
        "SELECT sequencename, start_value, min_value, max_value, increment_by, cycle \
         FROM pg_sequences ORDER BY sequencename",
    ] {
        text.extend(rows(&conn, query)?.iter().flat_map(|row| [row, "\n"]));
    }
    for probe in &script.probes {
        let _ = writeln!(text, "{probe}");
        match rows(&conn, probe) {
            Ok(rows) => text.extend(rows.iter().flat_map(|row| ["  ", row, "\n"])),
            Err(error) => text.push_str(error.sqlstate()),
        }
    }
    Ok(text)
}

/// The columns of a query, and then its rows.
fn rows(conn: &Connection, sql: &str) -> Result<Vec<String>, Error> {
    let Some(found) = conn.run(sql, [])?.rows else {
        return Ok(Vec::new());
    };
    let columns = found.columns();
    let heads = columns
        .iter()
        .map(|c| format!("{} {}", c.name, c.data_type));
    let mut lines = vec![heads.collect::<Vec<_>>().join(", ")];
    for row in found.iter() {
        let values = row.values().zip(columns).map(|(value, column)| {
            let text = remora::function::text::format(value, column.data_type);
            text.unwrap_or_else(|| "NULL".to_owned())
        });
        lines.push(values.collect::<Vec<_>>().join("|"));
    }
    Ok(lines)
}
