//! What a database is put through: steps one after the other, by several sessions.

use super::saboteur::{Mutation, Saboteur};
use remora::testing::{Disk, SimDisk};
use remora::{Connection, Database, Durability, Error, Options};
use remora_storage::Store;
use remora_storage::store::Newer;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The name of all databases of the lab: the same bytes in every run.
const DATABASE_ID: [u8; 16] = *b"the crash lab  1";
/// Memory that a database of the lab may take.
const MEMORY_BYTES: u64 = 64 << 20;

/// One step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// A session runs SQL, which succeeds, unless the script says that anything may fail.
    Sql(usize, String),
    /// A session runs SQL of which something else is known.
    Told(Told, usize, String),
    /// A session waits until its last commit is durable.
    WaitDurable(usize),
    /// So many milliseconds pass, and what is due in the background is done.
    Pause(u64),
    /// The database is copied to another disk.
    Backup,
    /// A checkpoint, by itself.
    Checkpoint,
    /// All full blocks are frozen.
    Compact,
    /// The database is closed and opened again; all sessions begin anew.
    Reopen,
    /// The process dies, and another opens the database on what the system has in its cache.
    Kill,
    /// The database is closed, the checkpoint that the script wrote as its first, second.. (0, 1..) is made
    /// current, with the newer ones kept, and it is opened again.
    Restore(usize),
}

/// What is known of a statement beforehand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// It is refused.
    Refused,
    /// When it returns, all so far is durable, whatever the database's durability is.
    Durable,
    /// It promises nothing, whatever the database's durability is.
    Buffered,
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
    /// How long a buffered commit may be lost; `None` where nobody sees to that.
    pub loss_window: Option<Duration>,
    /// How long the disk takes for a sync.
    pub sync_time: Duration,
    /// The length of segments of the log: short ones are left often.
    pub segment_bytes: u64,
    /// What happens.
    pub steps: Vec<Step>,
    /// What else is read to see whether two databases are the same.
    pub probes: Vec<String>,
    /// A statement that must succeed whatever was lost, if only the relations are there.
    pub afterwards: Option<String>,
    /// Whether statements may fail, as those of random scripts do.
    pub may_fail: bool,
    /// Whether there are sequences: a crash may leave numbers out, and the twin does not know which.
    pub leaves_out: bool,
    /// What is done wrongly, where it shall be noticed.
    pub mutation: Option<Mutation>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sql(session, sql) => write!(f, "{session}> {sql}"),
            Self::Told(told, session, sql) => write!(f, "{session}> {sql} ({told:?})"),
            Self::WaitDurable(session) => write!(f, "{session}> waits until it is durable"),
            Self::Pause(millis) => write!(f, "{millis} ms pass"),
            Self::Backup => write!(f, "backup"),
            Self::Checkpoint => write!(f, "checkpoint"),
            Self::Compact => write!(f, "compact"),
            Self::Reopen => write!(f, "close and open"),
            Self::Kill => write!(f, "kill and open"),
            Self::Restore(number) => write!(f, "restore checkpoint {number}"),
        }
    }
}

impl Script {
    /// A story of one session, at `sync`.
    pub fn new(name: &str, statements: &[&str]) -> Self {
        let steps: Vec<Step> = statements.iter().map(|text| step(text)).collect();
        let sessions = steps.iter().map(|step| match step {
            Step::Sql(session, _) | Step::Told(_, session, _) => session + 1,
            _ => 1,
        });
        Self {
            name: name.to_owned(),
            sessions: sessions.max().unwrap_or(1),
            durability: Durability::Sync,
            loss_window: None,
            sync_time: Duration::ZERO,
            segment_bytes: 8 << 10,
            steps,
            probes: Vec::new(),
            afterwards: None,
            may_fail: false,
            leaves_out: false,
            mutation: None,
        }
    }

    /// How its databases are opened.
    pub fn options(&self) -> Options {
        let options = match self.loss_window {
            Some(window) => Options::new().loss_window(window),
            None => Options::new(),
        };
        options
            .durability(self.durability)
            .segment_bytes(self.segment_bytes)
            .max_memory(MEMORY_BYTES)
            .manual_maintenance(true)
            .database_id(DATABASE_ID)
    }

    /// Opens a database as it should be opened, whatever is done wrongly otherwise.
    pub(super) fn open(&self, disk: &SimDisk) -> Result<Database, Error> {
        Database::open_on(Arc::new(disk.clone()), self.options())
    }
}

/// A step, as a story tells it.
fn step(text: &str) -> Step {
    match text {
        "checkpoint" => return Step::Checkpoint,
        "compact" => return Step::Compact,
        "reopen" => return Step::Reopen,
        "kill" => return Step::Kill,
        "restore first" => return Step::Restore(0),
        "backup" => return Step::Backup,
        "wait" => return Step::WaitDurable(0),
        _ => {}
    }
    if let Some(millis) = text.strip_prefix("pause ") {
        return Step::Pause(millis.parse().expect("a number of milliseconds"));
    }
    let all = [
        ("refused: ", Told::Refused),
        ("durable: ", Told::Durable),
        ("buffered: ", Told::Buffered),
    ];
    let told = all.iter().find(|(prefix, _)| text.starts_with(prefix));
    let text = told.map_or(text, |(prefix, _)| &text[prefix.len()..]);
    let (session, sql) = match text.split_once("> ") {
        Some((session, sql)) if session.len() == 1 => (session.parse().unwrap_or(0), sql),
        _ => (0, text),
    };
    match told {
        Some((_, told)) => Step::Told(*told, session, sql.to_owned()),
        None => Step::Sql(session, sql.to_owned()),
    }
}

/// A database in the middle of a script.
pub(super) struct Stage<'s> {
    script: &'s Script,
    /// `None` where it is in memory.
    disk: Option<SimDisk>,
    sessions: Vec<Connection>,
    /// The numbers of the checkpoints that the script wrote; `None` for one that failed.
    checkpoints: Vec<Option<u64>>,
    /// The last disk that the database was copied to.
    pub(super) copy: Option<SimDisk>,
    pub(super) database: Database,
}

impl<'s> Stage<'s> {
    /// A database on a disk.
    pub(super) fn on(script: &'s Script, disk: &SimDisk) -> Result<Self, Error> {
        let saboteur = script.mutation.map(|one| Saboteur::over(disk, one, false));
        let database = match saboteur {
            Some(saboteur) => Database::open_on(Arc::new(saboteur), script.options())?,
            None => script.open(disk)?,
        };
        Self::new(script, Some(disk.clone()), database)
    }

    /// The twin in memory, which knows what should be.
    pub(super) fn in_memory(script: &'s Script) -> Result<Self, Error> {
        Self::new(script, None, Database::in_memory_with(script.options())?)
    }

    fn new(script: &'s Script, disk: Option<SimDisk>, database: Database) -> Result<Self, Error> {
        let mut stage = Self {
            script,
            disk,
            sessions: Vec::new(),
            checkpoints: Vec::new(),
            copy: None,
            database,
        };
        stage.begin_anew()?;
        Ok(stage)
    }

    /// Does a step.
    pub(super) fn run(&mut self, step: &Step) -> Result<(), Error> {
        match step {
            Step::Sql(session, sql) | Step::Told(_, session, sql) => {
                self.sessions[*session].execute_batch(sql)
            }
            Step::WaitDurable(session) => match self.sessions[*session].last_commit_lsn()? {
                Some(lsn) => self.database.wait_durable(lsn),
                None => Ok(()),
            },
            Step::Pause(millis) => self.pause(Duration::from_millis(*millis)),
            Step::Backup => self.backup(),
            Step::Checkpoint => {
                let written = self.database.checkpoint();
                let number = written.as_ref().ok().map(|report| report.number);
                self.checkpoints.push(number);
                written.map(drop)
            }
            Step::Compact => self.database.compact(None).map(drop),
            Step::Reopen => self.reopen(None),
            Step::Kill => self.restart(),
            Step::Restore(checkpoint) => {
                let number = self.checkpoints.get(*checkpoint).copied();
                self.reopen(number.flatten())
            }
        }
    }

    fn pause(&self, time: Duration) -> Result<(), Error> {
        if let Some(disk) = &self.disk {
            disk.advance(time);
        }
        match self.script.mutation {
            Some(Mutation::BackgroundSleeps) => Ok(()),
            _ => self.database.run_background(),
        }
    }

    fn backup(&mut self) -> Result<(), Error> {
        if self.disk.is_none() {
            return Ok(());
        }
        let copy = SimDisk::recording();
        let written = match self.script.mutation {
            Some(mutation) => self
                .database
                .backup_on(&Saboteur::over(&copy, mutation, false)),
            None => self.database.backup_on(&copy),
        };
        self.copy = Some(copy);
        written.map(drop)
    }

    fn reopen(&mut self, restored: Option<u64>) -> Result<(), Error> {
        self.sessions.clear();
        if self.disk.is_some() {
            self.database.close()?;
        }
        if let (Some(disk), Some(number)) = (&self.disk, restored) {
            let disk: Arc<dyn Disk> = match self.script.mutation {
                Some(mutation) => Arc::new(Saboteur::over(disk, mutation, false)),
                None => Arc::new(disk.clone()),
            };
            let options = self.script.options().into();
            Store::restore_on(disk, number, options, Newer::Keep)?;
        }
        self.open_again()
    }

    /// Another process takes over, after this one was killed where it stood.
    pub(super) fn restart(&mut self) -> Result<(), Error> {
        self.sessions.clear();
        self.disk = self.disk.as_ref().map(SimDisk::restart);
        self.open_again()
    }

    fn open_again(&mut self) -> Result<(), Error> {
        if let Some(disk) = &self.disk {
            self.database = match self.script.mutation {
                Some(mutation) => {
                    let saboteur = Arc::new(Saboteur::over(disk, mutation, true));
                    let disk: Arc<dyn Disk> = Arc::clone(&saboteur) as _;
                    let database = Database::open_on(disk, self.script.options())?;
                    saboteur.has_recovered();
                    database
                }
                None => self.script.open(disk)?,
            };
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
