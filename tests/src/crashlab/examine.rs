//! Opening what a crash has left, and looking at it from all sides.

use super::oracle::{contents, digest};
use super::script::Script;
use remora::disk::{Event, Image, SimDisk};
use remora::{Database, Error};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The SQLSTATE where a relation is missing.
const UNDEFINED_TABLE: &str = "42P01";

/// What was found in an image.
#[derive(Debug)]
pub struct Found {
    /// A hash of what it holds.
    pub digest: u64,
    /// What it holds.
    pub contents: String,
    /// What recovery did to the disk.
    pub events: Vec<Event>,
}

/// How thoroughly to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// It opens, agrees with itself, and is read.
    Contents,
    /// And besides: opened again, it has the same bytes; it goes on, and what is written then is kept.
    All,
}

/// Opens an image.
///
/// # Errors
/// What is wrong with it, or with us.
pub fn examine(script: &Script, image: &Image, depth: Depth) -> Result<Found, String> {
    let look = AssertUnwindSafe(|| look(script, image, depth));
    catch_unwind(look).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("a panic: {}", text.unwrap_or("of no words")))
    })
}

fn look(script: &Script, image: &Image, depth: Depth) -> Result<Found, String> {
    let disk = SimDisk::with(image);
    disk.record();
    let database = open(script, &disk)?;
    let events = disk.take_events();
    let opened = (depth == Depth::All).then(|| disk.image());
    check(&database)?;
    let contents = contents(&database, script).map_err(because("reading"))?;
    if let Some(opened) = opened {
        opens_again(script, &opened, &contents)?;
        afterwards(script, &database)?;
        goes_on(script, &disk, &database)?;
    }
    Ok(Found {
        digest: digest(&contents),
        contents,
        events,
    })
}

fn because(what: &str) -> impl Fn(Error) -> String {
    move |error| format!("{what}: {} ({})", error, error.sqlstate())
}

fn open(script: &Script, disk: &SimDisk) -> Result<Database, String> {
    script.open(disk).map_err(because("recovery"))
}

/// Indexes equal tables, and the account equals a recount.
fn check(database: &Database) -> Result<(), String> {
    let report = database.check().map_err(because("check"))?;
    match report.contradictions.first() {
        Some(first) => Err(first.clone()),
        None => Ok(()),
    }
}

/// The process dies when it has opened the database: opening again finds the same and writes nothing.
fn opens_again(script: &Script, opened: &Image, expected: &str) -> Result<(), String> {
    let disk = SimDisk::with(opened);
    let database = open(script, &disk)?;
    if disk.image() != *opened {
        return Err("opened twice, it has other bytes".to_owned());
    }
    let found = contents(&database, script).map_err(because("reading again"))?;
    if found != expected {
        return Err(format!(
            "opened twice, it holds\n{found}\nand not\n{expected}"
        ));
    }
    Ok(())
}

/// The script's last word.
fn afterwards(script: &Script, database: &Database) -> Result<(), String> {
    let Some(sql) = &script.afterwards else {
        return Ok(());
    };
    let conn = database.connect().map_err(because("connecting"))?;
    match conn.execute_batch(sql) {
        Err(error) if error.sqlstate() != UNDEFINED_TABLE => Err(because(sql)(error)),
        _ => Ok(()),
    }
}

/// What is committed from now on is kept, too.
fn goes_on(script: &Script, disk: &SimDisk, database: &Database) -> Result<(), String> {
    let conn = database.connect().map_err(because("connecting"))?;
    let more = "CREATE TABLE crash_lab_after (n INTEGER PRIMARY KEY); \
                INSERT INTO crash_lab_after VALUES (42)";
    conn.execute_batch(more).map_err(because("going on"))?;
    if script.durability != remora::Durability::Sync {
        database.checkpoint().map_err(because("a checkpoint"))?;
    }
    let expected = contents(database, script).map_err(because("reading on"))?;
    let left = SimDisk::with(&disk.after_crash());
    let database = open(script, &left)?;
    check(&database)?;
    let found = contents(&database, script).map_err(because("reading what went on"))?;
    if found != expected {
        return Err(format!("gone on, it holds\n{found}\nand not\n{expected}"));
    }
    Ok(())
}
