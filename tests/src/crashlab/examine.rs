//! Opening what a crash has left, and looking at it from all sides. No mistake is made here on purpose, but that of
//! a checksum which covers too little for all who compute it ([`super::saboteur`]).

use super::oracle::{contents, digest};
use super::script::Script;
use remora::testing::{Event, Image, SimDisk};
use remora::{Database, Error};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The SQLSTATE where a relation is missing.
const UNDEFINED_TABLE: &str = "42P01";

/// The SQLSTATE where a directory holds no database.
const NOT_A_DATABASE: &str = "58P01";

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

/// Which promise was broken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Promise {
    /// What was acknowledged is there, and nothing that was not begun, nothing in part.
    Contents,
    /// It opens.
    Opens,
    /// It agrees with itself: indexes with tables, the account of memory with a recount.
    Agrees,
    /// Opened again, it is the same.
    Repeats,
    /// It goes on, and what is committed then is kept.
    GoesOn,
    /// A run without a power loss goes as on the twin.
    Runs,
    /// Nothing panics.
    Panics,
}

/// A promise that was broken, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Breach {
    /// Which.
    pub promise: Promise,
    /// How.
    pub text: String,
}

impl Promise {
    /// That it was broken, like that.
    pub fn broken(self, text: impl Into<String>) -> Breach {
        Breach {
            promise: self,
            text: text.into(),
        }
    }

    /// Whether data are lost where it is broken, or made up.
    pub fn is_of_data(self) -> bool {
        matches!(self, Self::Contents | Self::Opens)
    }

    fn because(self, what: &str) -> impl Fn(Error) -> Breach {
        move |error| self.broken(format!("{what}: {} ({})", error, error.sqlstate()))
    }
}

/// How thoroughly to look.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Depth {
    /// It opens, agrees with itself, and is read.
    Contents,
    /// And besides: opened again, it has the same bytes; it goes on, and what is written then is kept.
    All,
    /// And besides, by who explores: its recovery is crashed, too.
    Recovery,
}

/// Opens an image.
///
/// # Errors
/// What is wrong with it, or with us.
pub fn examine(script: &Script, image: &Image, depth: Depth) -> Result<Found, Breach> {
    let look = || match script.mutation {
        Some(mutation) => mutation.made_by_engine(true, || look(script, image, depth)),
        None => look(script, image, depth),
    };
    catch_unwind(AssertUnwindSafe(look)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        let text = format!("a panic: {}", text.unwrap_or("of no words"));
        Err(Promise::Panics.broken(text))
    })
}

fn look(script: &Script, image: &Image, depth: Depth) -> Result<Found, Breach> {
    let disk = SimDisk::with(image);
    disk.record();
    let database = open(script, &disk, Promise::Opens)?;
    let events = disk.take_events();
    let opened = (depth >= Depth::All).then(|| disk.image());
    check(&database)?;
    let contents = contents(&database, script);
    let contents = contents.map_err(Promise::Contents.because("reading"))?;
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

/// Looks at what a crash left of a copy that was being made, or (`is_done`) had been. What is no database yet must
/// be refused, and take another copy.
///
/// # Errors
/// What is wrong with it.
pub fn examine_copy(
    script: &Script,
    image: &Image,
    wanted: &str,
    is_done: bool,
) -> Result<(), Breach> {
    let disk = SimDisk::with(image);
    let is_empty = image.files.keys().all(|path| path == "LOCK");
    let opened = match is_empty {
        true => None,
        false => match script.open(&disk) {
            Ok(database) => Some(database),
            Err(error) if error.sqlstate() == NOT_A_DATABASE => None,
            Err(error) => return Err(Promise::Opens.because("a half copy")(error)),
        },
    };
    let Some(database) = opened else {
        if is_done {
            return Err(Promise::Contents.broken("it is not there"));
        }
        let wrong = Promise::GoesOn;
        let other = Database::in_memory_with(script.options());
        let other = other.map_err(wrong.because("another database"))?;
        let copied = other.backup_on(&disk);
        copied.map_err(wrong.because("copying again"))?;
        return open(script, &disk, wrong).and_then(|database| check(&database));
    };
    check(&database)?;
    let found = contents(&database, script).map_err(Promise::Contents.because("reading"))?;
    match found == wanted {
        true => Ok(()),
        false => Err(Promise::Contents.broken(format!("it holds\n{found}\nand not\n{wanted}"))),
    }
}

fn open(script: &Script, disk: &SimDisk, promise: Promise) -> Result<Database, Breach> {
    script.open(disk).map_err(promise.because("recovery"))
}

/// Indexes equal tables, and the account equals a recount.
fn check(database: &Database) -> Result<(), Breach> {
    let report = database.check().map_err(Promise::Agrees.because("check"))?;
    match report.contradictions.first() {
        Some(first) => Err(Promise::Agrees.broken(first)),
        None => Ok(()),
    }
}

/// The process dies when it has opened the database: opening again finds the same and writes nothing.
fn opens_again(script: &Script, opened: &Image, expected: &str) -> Result<(), Breach> {
    let wrong = Promise::Repeats;
    let disk = SimDisk::with(opened);
    let database = open(script, &disk, wrong)?;
    if disk.image() != *opened {
        return Err(wrong.broken("opened twice, it has other bytes"));
    }
    let found = contents(&database, script).map_err(wrong.because("reading again"))?;
    if found != expected {
        let text = format!("opened twice, it holds\n{found}\nand not\n{expected}");
        return Err(wrong.broken(text));
    }
    Ok(())
}

/// The script's last word.
fn afterwards(script: &Script, database: &Database) -> Result<(), Breach> {
    let Some(sql) = &script.afterwards else {
        return Ok(());
    };
    let wrong = Promise::Contents;
    let conn = database.connect().map_err(wrong.because("connecting"))?;
    match conn.execute_batch(sql) {
        Err(error) if error.sqlstate() != UNDEFINED_TABLE => Err(wrong.because(sql)(error)),
        _ => Ok(()),
    }
}

/// What is committed from now on is kept, too.
fn goes_on(script: &Script, disk: &SimDisk, database: &Database) -> Result<(), Breach> {
    let wrong = Promise::GoesOn;
    let conn = database.connect().map_err(wrong.because("connecting"))?;
    let more = "CREATE TABLE crash_lab_after (n INTEGER PRIMARY KEY); \
                INSERT INTO crash_lab_after VALUES (42)";
    conn.execute_batch(more)
        .map_err(wrong.because("going on"))?;
    if script.durability != remora::Durability::Sync {
        let checkpoint = database.checkpoint();
        checkpoint.map_err(wrong.because("a checkpoint"))?;
    }
    let expected = contents(database, script).map_err(wrong.because("reading on"))?;
    let left = disk.crashed();
    let database = open(script, &left, wrong)?;
    check(&database)?;
    let found = contents(&database, script).map_err(wrong.because("reading what went on"))?;
    if found != expected {
        let text = format!("gone on, it holds\n{found}\nand not\n{expected}");
        return Err(wrong.broken(text));
    }
    Ok(())
}
