//! What a database is put through: steps one after the other, by several sessions.

use super::saboteur::{Mutation, Saboteur};
use remora::disk::{Disk, Event, SimDisk};
use remora::{Connection, Database, Durability, Error, Options};
use remora_storage::Store;
use remora_storage::store::Newer;
use std::fmt;
use std::sync::Arc;

/// The name of all databases of the lab: the same bytes in every run.
const DATABASE_ID: [u8; 16] = *b"the crash lab  1";
/// Memory that a database of the lab may take.
const MEMORY_BYTES: u64 = 64 << 20;

/// One step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// A session runs SQL.
    Sql(usize, String),
    /// A checkpoint, by itself.
    Checkpoint,
    /// All full blocks are frozen.
    Compact,
    /// The database is closed and opened again; all sessions begin anew.
    Reopen,
    /// The database is closed, the checkpoint that the script wrote as its first, second.. (0, 1..) is made
    /// current, with the newer ones kept, and it is opened again.
    Restore(usize),
}

/// A story for a database.
#[derive(Clone, Debug)]
pub struct Script {
    /// What it is called.
    pub name: String,
    /// How many sessions there are.
    pub sessions: usize,
    /// When commits return.
    pub durability: Durability,
    /// The length of segments of the log: short ones are left often.
    pub segment_bytes: u64,
    /// What happens.
    pub steps: Vec<Step>,
    /// What else is read to see whether two databases are the same.
    pub probes: Vec<String>,
    /// A statement that must succeed whatever was lost, if only the relations are there.
    pub afterwards: Option<String>,
    /// What is done wrongly, where it shall be noticed.
    pub mutation: Option<Mutation>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sql(session, sql) => write!(f, "{session}> {sql}"),
            Self::Checkpoint => write!(f, "checkpoint"),
            Self::Compact => write!(f, "compact"),
            Self::Reopen => write!(f, "close and open"),
            Self::Restore(number) => write!(f, "restore checkpoint {number}"),
        }
    }
}

impl Script {
    /// A story of one session, at `sync`.
    pub fn new(name: &str, statements: &[&str]) -> Self {
        let step = |text: &&str| match *text {
            "checkpoint" => Step::Checkpoint,
            "compact" => Step::Compact,
            "reopen" => Step::Reopen,
            "restore first" => Step::Restore(0),
            sql => match sql.split_once("> ") {
                Some((session, sql)) if session.len() == 1 => {
                    Step::Sql(session.parse().unwrap_or(0), sql.to_owned())
                }
                _ => Step::Sql(0, sql.to_owned()),
            },
        };
        let steps: Vec<Step> = statements.iter().map(step).collect();
        let sessions = steps.iter().map(|step| match step {
            Step::Sql(session, _) => session + 1,
            _ => 1,
        });
        Self {
            name: name.to_owned(),
            sessions: sessions.max().unwrap_or(1),
            durability: Durability::Sync,
            segment_bytes: 8 << 10,
            steps,
            probes: Vec::new(),
            afterwards: None,
            mutation: None,
        }
    }

    /// How its databases are opened.
    pub fn options(&self) -> Options {
        Options::new()
            .durability(self.durability)
            .segment_bytes(self.segment_bytes)
            .max_memory(MEMORY_BYTES)
            .manual_maintenance(true)
            .database_id(DATABASE_ID)
    }

    /// Opens a database on a disk.
    pub(super) fn open(&self, disk: &SimDisk) -> Result<Database, Error> {
        Database::open_on(self.disk(disk), self.options())
    }

    /// The disk, through whoever is before it.
    fn disk(&self, disk: &SimDisk) -> Arc<dyn Disk> {
        match self.mutation {
            Some(mutation) => Arc::new(Saboteur::over(disk, mutation)),
            None => Arc::new(disk.clone()),
        }
    }
}

/// A database in the middle of a script.
pub(super) struct Stage<'s> {
    script: &'s Script,
    /// `None` where it is in memory.
    disk: Option<SimDisk>,
    sessions: Vec<Connection>,
    /// The numbers of the checkpoints that the script wrote.
    checkpoints: Vec<u64>,
    pub(super) database: Database,
}

impl<'s> Stage<'s> {
    /// A database on a disk.
    pub(super) fn on(script: &'s Script, disk: &SimDisk) -> Result<Self, Error> {
        let database = script.open(disk)?;
        Self::new(script, Some(disk.clone()), database)
    }

    /// The twin in memory, which knows what should be.
    pub(super) fn in_memory(script: &'s Script) -> Result<Self, Error> {
        Self::new(script, None, Database::in_memory_with(script.options())?)
    }

    fn new(script: &'s Script, disk: Option<SimDisk>, database: Database) -> Result<Self, Error> {
        let sessions = (0..script.sessions).map(|_| database.connect());
        Ok(Self {
            script,
            disk,
            sessions: sessions.collect::<Result<_, _>>()?,
            checkpoints: Vec::new(),
            database,
        })
    }

    /// Does a step.
    pub(super) fn run(&mut self, step: &Step) -> Result<(), Error> {
        match step {
            Step::Sql(session, sql) => self.sessions[*session].execute_batch(sql),
            Step::Checkpoint => {
                let report = self.database.checkpoint()?;
                self.checkpoints.push(report.number);
                Ok(())
            }
            Step::Compact => self.database.compact(None).map(drop),
            Step::Reopen => self.reopen(None),
            Step::Restore(checkpoint) => self.reopen(self.checkpoints.get(*checkpoint).copied()),
        }
    }

    fn reopen(&mut self, restored: Option<u64>) -> Result<(), Error> {
        self.sessions.clear();
        if let Some(disk) = &self.disk {
            self.database.close()?;
            if let Some(number) = restored {
                let (disk, options) = (self.script.disk(disk), self.script.options().into());
                Store::restore_on(disk, number, options, Newer::Keep)?;
            }
            self.database = self.script.open(disk)?;
        }
        self.begin_anew()
    }

    /// Has all sessions begin anew; what they had open is undone.
    pub(super) fn begin_anew(&mut self) -> Result<(), Error> {
        self.sessions.clear();
        let sessions = (0..self.script.sessions).map(|_| self.database.connect());
        self.sessions = sessions.collect::<Result<_, _>>()?;
        Ok(())
    }
}

/// How far a script was when its disk had seen so many events.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    /// Events before.
    pub events: usize,
    /// Steps begun.
    pub begun: usize,
    /// Steps whose work was acknowledged as durable.
    pub acknowledged: usize,
}

/// What a script did to its disk.
#[derive(Debug)]
pub struct Run {
    /// Everything, in order.
    pub events: Vec<Event>,
    /// Where steps began and ended.
    pub marks: Vec<Mark>,
}

impl Run {
    /// How far the script was between event number `events` - 1 and the next.
    pub fn mark(&self, events: usize) -> Mark {
        let after = self.marks.partition_point(|mark| mark.events <= events);
        match after.checked_sub(1) {
            Some(at) => self.marks[at],
            None => Mark {
                events: 0,
                begun: 0,
                acknowledged: 0,
            },
        }
    }
}
