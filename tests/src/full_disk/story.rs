//! One thread, eight connections, and a disk that fills: the same run for the same seed.

use super::{DISK_FULL, OUTCOME_UNKNOWN, SESSIONS, TABLES, change, counters};
use crate::random::Random;
use remora::testing::{Fault, SimDisk, Tear};
use remora::{Connection, Database, Durability, Error, Options};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

/// Lives of the database in one story.
const LIVES: usize = 4;
/// An action in one of them.
const ACTIONS: u64 = 120;
/// Within which time commits that nobody waits for become durable.
const LOSS_WINDOW: Duration = Duration::from_millis(50);

/// Outcome of stories.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// Commits that were acknowledged.
    pub acknowledged: u64,
    /// Commits whose outcome was unknown.
    pub unknown: u64,
    /// Writes that were refused because the disk was full.
    pub refused: u64,
    /// Reads while it was.
    pub reads_when_full: u64,
    /// Times that it was full, and writes went on.
    pub times_full: u64,
    /// Databases that were opened on a full disk.
    pub opened_when_full: u64,
}

impl Count {
    /// Adds another count.
    pub fn add(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.unknown += other.unknown;
        self.refused += other.refused;
        self.reads_when_full += other.reads_when_full;
        self.times_full += other.times_full;
        self.opened_when_full += other.opened_when_full;
    }
}

/// A database in a story.
struct Story {
    random: Random,
    durability: Durability,
    disk: SimDisk,
    database: Database,
    sessions: Vec<Connection>,
    /// The counters after each commit, in order.
    states: Vec<Vec<i64>>,
    /// The timestamp of the first of them.
    origin: u64,
    /// The number of the last state that is promised.
    promised: usize,
    count: Count,
}

type Outcome<T = ()> = Result<T, String>;

/// Runs the story of a seed.
///
/// # Errors
/// Complaints: something was lost, shown too early, refused wrongly, or did not go on.
pub fn story(seed: u64) -> Outcome<Count> {
    let mut random = Random::new(seed);
    let durability = match random.below(3) {
        0 => Durability::Buffered,
        _ => Durability::Sync,
    };
    let disk = SimDisk::new();
    let database = open(&disk, durability)?;
    let connected = database.connect().map_err(text("connecting"))?;
    connected.execute_batch(TABLES).map_err(text("tables"))?;
    database.checkpoint().map_err(text("a checkpoint"))?;
    drop(connected);
    let mut story = Story {
        random,
        durability,
        disk,
        database,
        sessions: Vec::new(),
        states: vec![vec![0; SESSIONS]],
        origin: 0,
        promised: 0,
        count: Count::default(),
    };
    for life in 0..LIVES {
        story
            .live()
            .and_then(|()| story.end_life())
            .map_err(|wrong| format!("seed {seed}, life {life}: {wrong}"))?;
    }
    Ok(story.count)
}

fn open(disk: &SimDisk, durability: Durability) -> Outcome<Database> {
    let options = Options::new()
        .durability(durability)
        .loss_window(LOSS_WINDOW)
        .segment_bytes(20_000)
        .max_memory(64 << 20)
        .manual_maintenance(true);
    Database::open_on(Arc::new(disk.clone()), options).map_err(text("opening"))
}

/// An error with what it was about.
fn text(what: &str) -> impl Fn(Error) -> String {
    move |error| format!("{what}: {error} ({})", error.sqlstate())
}

impl Story {
    /// Eight sessions do what they like, while the disk fills and is cleared.
    fn live(&mut self) -> Outcome {
        let connected = (0..SESSIONS).map(|_| self.database.connect());
        self.sessions = connected
            .collect::<Result<_, _>>()
            .map_err(text("connecting"))?;
        self.origin = self.log()?.committed.0.0 - (self.states.len() as u64 - 1);
        self.look(0)?;
        for _ in 0..ACTIONS {
            let session = self.random.below(SESSIONS as u64) as usize;
            match self.random.below(40) {
                0 => self.clear()?,
                1..=3 => {
                    let room = self.random.below(4_000) * self.random.below(2);
                    self.disk.set_capacity(Some(self.disk.used() + room));
                }
                4 => {
                    let after = self.random.below(4);
                    self.disk.fail(after, Fault::InPart(ErrorKind::StorageFull));
                    self.write(session)?;
                    self.disk.mend();
                    if self.has_failed()? {
                        // It was a sync.
                        return Ok(());
                    }
                }
                5 => self.checkpoint()?,
                6 => {
                    self.disk.advance(LOSS_WINDOW / 2);
                    let _ = self.database.run_background();
                }
                7..=20 => self.look(session)?,
                _ => self.write(session)?,
            }
            self.keep_promise()?;
        }
        Ok(())
    }

    fn log(&self) -> Outcome<remora_storage::store::LogStatus> {
        let log = self.database.durability_status().log;
        log.ok_or_else(|| "the database has no log".to_owned())
    }

    fn is_full(&self) -> Outcome<bool> {
        Ok(self.log()?.condition.name() == "full")
    }

    fn has_failed(&self) -> Outcome<bool> {
        Ok(self.log()?.condition.name() == "failed")
    }

    /// The number of the state that is durable.
    fn durable(&self) -> Outcome<usize> {
        Ok((self.log()?.durable.0.0 - self.origin) as usize)
    }

    fn last(&self) -> usize {
        self.states.len() - 1
    }

    /// Whatever was known to be durable is so for ever; at `sync`, all that was acknowledged is among it.
    fn keep_promise(&mut self) -> Outcome {
        let durable = self.durable()?;
        if durable < self.promised {
            return Err(format!("{durable} is durable, {} was", self.promised));
        }
        self.promised = durable;
        Ok(())
    }

    fn write(&mut self, session: usize) -> Outcome {
        let mut after = self.states[self.last()].clone();
        after[session] += 1;
        let length = self.random.below(900);
        let sql = change(session, after[session], length);
        let sql = match self.random.below(3) {
            0 => format!("BEGIN; {sql}; COMMIT"),
            _ => sql,
        };
        let conn = &self.sessions[session];
        let written = conn.execute_batch(&sql);
        if written.is_err() && conn.transaction_status() != remora::TransactionStatus::Idle {
            conn.execute_batch("ROLLBACK").map_err(text("ROLLBACK"))?;
        }
        let was_full = self.log()?.condition.name() != "open";
        match written.as_ref().map_err(Error::sqlstate) {
            Ok(()) => {
                self.states.push(after);
                self.count.acknowledged += 1;
                if self.durability == Durability::Sync {
                    self.promised = self.last();
                }
                Ok(())
            }
            Err(OUTCOME_UNKNOWN) if was_full => {
                self.states.push(after);
                self.count.unknown += 1;
                Ok(())
            }
            Err(DISK_FULL) if was_full => {
                self.count.refused += 1;
                Ok(())
            }
            Err("25006") if self.has_failed()? => Ok(()),
            Err(_) => written.map_err(text("a write")),
        }
    }

    /// Reads all counters, and finds one of the states that may be shown.
    fn look(&mut self, session: usize) -> Outcome {
        let found = counters(&self.sessions[session]).map_err(text("a read"))?;
        let is_open = self.log()?.condition.name() == "open";
        let wanted = match is_open {
            true => self.last(),
            false => self.durable()?,
        };
        if found != self.states[wanted] {
            let (durable, last) = (self.durable()?, self.last());
            return Err(format!(
                "read {found:?} and not {:?}, of {durable} durable and {last} in all",
                self.states[wanted]
            ));
        }
        self.count.reads_when_full += u64::from(!is_open);
        Ok(())
    }

    fn checkpoint(&mut self) -> Outcome {
        match self.database.checkpoint() {
            Err(error) if error.sqlstate() != DISK_FULL => Err(text("a checkpoint")(error)),
            _ => Ok(()),
        }
    }

    /// There is room: writes go on, and all that was queued is durable with them.
    fn clear(&mut self) -> Outcome {
        self.disk.set_capacity(None);
        let was_full = self.is_full()?;
        let before = self.last();
        self.write(0)?;
        if self.last() != before + 1 {
            return Err("there is room, and a write was not taken".to_owned());
        }
        let conn = &self.sessions[0];
        let lsn = conn.last_commit_lsn().map_err(text("a position"))?;
        self.database
            .wait_durable(lsn.unwrap_or_default())
            .map_err(text("waiting"))?;
        if was_full {
            self.count.times_full += 1;
        }
        match self.durable()? == self.last() {
            true => self.look(1),
            false => Err("there is room, and something is not durable".to_owned()),
        }
    }

    /// The process dies, the power fails, or the database is closed; another process takes over.
    fn end_life(&mut self) -> Outcome {
        self.sessions.clear();
        let promised = self.promised;
        self.disk = match self.random.below(3) {
            0 => self.disk.restart(),
            1 => {
                let closed = self.database.close();
                let is_lost = self.durable()? < self.last();
                if closed.is_ok() && is_lost {
                    return Err("closed well, and something is lost".to_owned());
                }
                self.disk.restart()
            }
            _ => {
                let medium = self.disk.medium();
                let loose = medium.loose(Tear::Sector(512));
                let random = &mut self.random;
                let kept: Vec<bool> = loose.iter().map(|_| random.chance(50)).collect();
                let image = medium.image(&loose, |at| kept[at], random.chance(20));
                SimDisk::with(&image)
            }
        };
        let full = self.random.chance(70);
        if full {
            self.disk.set_capacity(Some(self.disk.used()));
        }
        self.database = open(&self.disk, self.durability)?;
        let conn = self.database.connect().map_err(text("connecting"))?;
        let found = counters(&conn).map_err(text("the first read"))?;
        let place = self.states.iter().rposition(|state| *state == found);
        match place {
            Some(place) if place >= promised => self.states.truncate(place + 1),
            _ => {
                return Err(format!(
                    "{found:?} is there, {promised} states were promised"
                ));
            }
        }
        self.promised = self.last();
        self.check(&conn)?;
        self.count.opened_when_full += u64::from(full);
        if self.random.chance(50) {
            self.disk.set_capacity(None);
        }
        Ok(())
    }

    /// Each commit is there as a whole, and every index agrees with its table.
    fn check(&self, conn: &Connection) -> Outcome {
        let torn = "SELECT count(*) FROM counters c WHERE n <> (SELECT count(*) FROM notes WHERE id = c.id)";
        let torn: i64 = conn
            .query_row(torn, [], |row| row.get(0))
            .map_err(text("counting"))?;
        let report = self.database.check().map_err(text("check"))?;
        match report.contradictions.first() {
            None if torn == 0 => Ok(()),
            None => Err(format!("{torn} sessions have a commit in part")),
            Some(wrong) => Err(wrong.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_go_on_and_nothing_acknowledged_is_lost() {
        let mut sum = Count::default();
        for seed in 0..20 {
            sum.add(story(seed).unwrap_or_else(|wrong| panic!("{wrong}")));
        }
        assert!(sum.acknowledged > 500 && sum.unknown > 20, "{sum:?}");
        assert!(sum.refused > 100 && sum.reads_when_full > 100, "{sum:?}");
        assert!(sum.times_full > 20 && sum.opened_when_full > 20, "{sum:?}");
    }
}
