//! One run of a script on a disk that records, beside a twin in memory that never crashes.
//!
//! ```text
//!   twin    |  state 0  --step-->  state 1  --step-->  state 2  --step-->  state 3
//!   disk    |  events ......|..........|.....x    <- killed, or the disk failed: opened again
//!                                             '-> state 1 or 2 is found there, and both go on from that
//! ```
//!
//! What a process leaves that dies, or gives up because its disk fails, is what the system has in its cache. The
//! next one opens the same disk, finds one of the states that may be there, and goes on with the script; the twin
//! follows it, by doing anew what is not lost. From then on what was found is promised, like all that a
//! database shows: a power loss later must not take it.
//!
//! While the disk fails the process that has met it must answer what is read, with one of the states that may be
//! there, and refuse what is written. One whose disk was only full goes on when there is room ([`Kind::Full`]).

use super::oracle::{contents, digest};
use super::script::{Script, Stage, Step, Told};
use remora::testing::{Event, Fault, SimDisk};
use remora::{Durability, Error};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

/// What gets in the way of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interruption {
    /// The operation of the disk at which it does.
    pub at: u64,
    /// What.
    pub kind: Kind,
    /// How many steps are done afterwards, at most.
    pub steps_after: usize,
}

/// What gets in the way of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The process dies there.
    Kill,
    /// The disk fails; who cannot go on is killed.
    FaultThenKill(Fault),
    /// The disk fails; who cannot go on closes the database, as far as that goes.
    FaultThenClose(Fault),
    /// The disk has no room, until a step has failed; unless that was a sync, the same process goes on.
    Full(Fault),
}

impl Kind {
    /// One of each.
    pub const ALL: [Self; 9] = [
        Self::Kill,
        Self::FaultThenKill(Fault::Once(ErrorKind::Other)),
        Self::FaultThenClose(Fault::Once(ErrorKind::Other)),
        Self::Full(Fault::Once(ErrorKind::StorageFull)),
        Self::Full(Fault::InPart(ErrorKind::StorageFull)),
        Self::Full(Fault::Onwards(ErrorKind::StorageFull)),
        Self::FaultThenKill(Fault::InPart(ErrorKind::StorageFull)),
        Self::FaultThenKill(Fault::Onwards(ErrorKind::Other)),
        Self::FaultThenClose(Fault::Onwards(ErrorKind::StorageFull)),
    ];

    fn fault(self) -> Fault {
        match self {
            // The dead write nothing.
            Self::Kill => Fault::Onwards(ErrorKind::BrokenPipe),
            Self::FaultThenKill(fault) | Self::FaultThenClose(fault) | Self::Full(fault) => fault,
        }
    }
}

/// What is there after each number of steps.
#[derive(Debug, Default)]
pub struct States(Vec<(u64, String)>);

impl States {
    /// Whether `found` is what is there after some number of steps between these two.
    pub fn is_between(&self, found: u64, least: usize, most: usize) -> bool {
        self.0[least..=most].iter().any(|state| state.0 == found)
    }

    /// What is there after so many steps.
    pub fn contents(&self, steps: usize) -> &str {
        &self.0[steps].1
    }

    fn push(&mut self, contents: String) {
        self.0.push((digest(&contents), contents));
    }

    /// The last of the states between these two that is `found`.
    fn last_between(&self, found: u64, least: usize, most: usize) -> Option<usize> {
        (least..=most).rev().find(|at| self.0[*at].0 == found)
    }

    /// The last step before `end` that changed what others see.
    fn last_change(&self, end: usize) -> Option<usize> {
        (0..end).rev().find(|step| self.changes(*step))
    }

    /// Whether a step changes what others see.
    fn changes(&self, step: usize) -> bool {
        self.0[step].0 != self.0[step + 1].0
    }
}

/// How far a script was when its disk had seen so many events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mark {
    /// Events before.
    pub events: usize,
    /// Steps begun.
    pub begun: usize,
    /// Steps whose work was acknowledged as durable.
    pub acknowledged: usize,
}

/// What a script did to its disk.
#[derive(Debug, Default)]
pub struct Run {
    /// Everything, in order.
    pub events: Vec<Event>,
    /// Where steps began and ended.
    pub marks: Vec<Mark>,
    /// What is there after each step.
    pub states: Arc<States>,
    /// Events before the step that was interrupted; what is left earlier, a run without that leaves, too.
    pub new_from: usize,
    /// What happened to the disks that the database was copied to, and what was there then: the number of the
    /// state.
    pub copies: Vec<(Vec<Event>, usize)>,
}

impl Run {
    /// Runs a script.
    ///
    /// # Errors
    /// What went otherwise than on the twin, though nothing was in its way; or what a process found that took
    /// over from another.
    pub fn of(
        script: &Script,
        disk: &SimDisk,
        interruption: Option<Interruption>,
    ) -> Result<Self, String> {
        let run = || Course::begin(script, disk, interruption)?.run();
        match script.mutation {
            Some(mutation) => mutation.made_by_engine(false, run),
            None => run(),
        }
    }

    /// How far the script was between event number `events` - 1 and the next.
    pub fn mark(&self, events: usize) -> Mark {
        let after = self.marks.partition_point(|mark| mark.events <= events);
        after
            .checked_sub(1)
            .map_or(Mark::default(), |at| self.marks[at])
    }
}

/// A run that is going on.
struct Course<'s> {
    script: &'s Script,
    disk: SimDisk,
    /// What is still to come, or under way.
    interruption: Option<Interruption>,
    /// Steps that may still be done.
    steps_left: usize,
    stage: Stage<'s>,
    twin: Twin<'s>,
    events: Vec<Event>,
    marks: Vec<Mark>,
    acknowledged: usize,
    /// When each step returned.
    returned: Vec<Duration>,
    new_from: usize,
    copies: Vec<(Vec<Event>, usize)>,
}

impl<'s> Course<'s> {
    fn begin(
        script: &'s Script,
        disk: &SimDisk,
        interruption: Option<Interruption>,
    ) -> Result<Self, String> {
        disk.set_sync_time(script.sync_time);
        if let Some(interruption) = interruption {
            disk.fail(interruption.at, interruption.kind.fault());
        }
        let (mut interruption, mut steps_left) = (interruption, usize::MAX);
        let mut opened = Stage::on(script, disk);
        if let (Err(error), Some(before)) = (&opened, interruption)
            && is_of_disk(error)
        {
            // A database that was being made is made anew.
            disk.mend();
            (interruption, steps_left) = (None, before.steps_after);
            opened = Stage::on(script, &disk.restart());
        }
        let stage = opened.map_err(|error| format!("a new database: {error}"))?;
        let mut course = Self {
            script,
            disk: disk.clone(),
            interruption,
            steps_left,
            stage,
            twin: Twin::new(script).map_err(|error| format!("the twin: {error}"))?,
            events: Vec::new(),
            marks: Vec::new(),
            acknowledged: 0,
            returned: Vec::new(),
            new_from: 0,
            copies: Vec::new(),
        };
        course.note(0);
        Ok(course)
    }

    fn run(mut self) -> Result<Run, String> {
        let mut done = 0;
        for (at, step) in self.script.steps.iter().enumerate() {
            if self.steps_left == 0 {
                break;
            }
            self.steps_left -= 1;
            self.step(at, step)
                .map_err(|text| format!("step {at}, {step}: {text}"))?;
            self.returned.push(self.disk.elapsed());
            self.keep_window(at);
            done = at + 1;
        }
        self.end(done)
    }

    fn step(&mut self, at: usize, step: &'s Step) -> Result<(), String> {
        self.note(at + 1);
        let wanted = self.twin.run(step)?;
        let done = self.stage.run(step);
        if *step == Step::Checkpoint {
            self.twin.checkpoints.push(done.is_ok().then_some(at + 1));
        }
        if self.is_over(step, done.as_ref().err()) {
            return match self.goes_on_here(step) {
                true => self.go_on_here(at, done.err().map(|error| error.sqlstate())),
                false => self.go_on_elsewhere(at, step),
            };
        }
        let failed = done.as_ref().err().map(Error::sqlstate);
        let may_fail = self.interruption.is_some() && *step == Step::Checkpoint;
        if failed != wanted && !may_fail {
            return Err(format!("{done:?}, not {wanted:?}"));
        }
        if *step == Step::Kill {
            return self.settle(at);
        }
        if let (Some(copy), true) = (self.stage.copy.take(), done.is_ok()) {
            self.copies.push((copy.take_events(), at + 1));
        }
        if done.is_ok()
            && let Some(durable) = self.acknowledges(step, at)
        {
            self.acknowledged = self.acknowledged.max(durable);
        }
        self.note(at + 1);
        Ok(())
    }

    /// Where commits may be lost for some time only, those before that are promised. Where syncs take long, it is
    /// promised no more than that all that is lost had returned within such a time.
    fn keep_window(&mut self, at: usize) {
        let Some(window) = self.script.loss_window else {
            return;
        };
        let now = match self.script.sync_time * 2 <= window {
            true => self.disk.elapsed(),
            false => {
                let last = self.twin.states.last_change(at + 1);
                last.map_or(Duration::ZERO, |step| self.returned[step])
            }
        };
        while self.acknowledged <= at && self.returned[self.acknowledged] + window < now {
            self.acknowledged += 1;
        }
        self.note(at + 1);
    }

    /// Whether the process that ran a step cannot go on, or was to die in it.
    fn is_over(&self, step: &Step, failure: Option<&Error>) -> bool {
        let Some(interruption) = self.interruption else {
            return false;
        };
        match interruption.kind {
            Kind::Kill => self.disk.has_failed(),
            // Compaction tries to make all durable that was committed, and does without.
            _ if self.condition() != "open" => true,
            // A checkpoint may fail, and the database goes on.
            _ => *step != Step::Checkpoint && failure.is_some_and(is_of_disk),
        }
    }

    /// How many steps are durable, as it is promised when step `at` has returned.
    fn acknowledges(&self, step: &Step, at: usize) -> Option<usize> {
        let all = Some(at + 1);
        match step {
            Step::Checkpoint | Step::Reopen | Step::Restore(_) => all,
            Step::Sql(..) if self.script.durability == Durability::Sync => all,
            Step::Told(Told::Durable, ..) => all,
            // A session waits for what it did itself.
            Step::WaitDurable(_) => self.twin.states.last_change(at).map(|step| step + 1),
            // A copy holds nothing that a crash could take back where it comes from.
            Step::Backup => all,
            Step::Sql(..) | Step::Told(..) | Step::Compact | Step::Kill | Step::Pause(_) => None,
        }
        .filter(|_| !matches!(step, Step::Sql(..) | Step::Told(..)) || self.twin.states.changes(at))
    }

    /// Whether the process goes on after a step that its disk had no room for.
    fn goes_on_here(&self, step: &Step) -> bool {
        let is_full = matches!(self.interruption, Some(one) if matches!(one.kind, Kind::Full(_)));
        let is_closed = matches!(step, Step::Reopen | Step::Restore(_) | Step::Kill);
        is_full && !is_closed && self.condition() != "failed"
    }

    /// The condition of the log.
    fn condition(&self) -> &'static str {
        let log = self.stage.database.durability_status().log;
        log.map_or("none", |log| log.condition.name())
    }

    /// There is room after step `at` has failed, and the process goes on: what was refused is not there, and what was
    /// unknown is.
    fn go_on_here(&mut self, at: usize, failed: Option<&str>) -> Result<(), String> {
        let interruption = self.interruption.take().expect("it is why we are here");
        self.new_from = self.marks.last().map_or(0, |mark| mark.events);
        self.twin.may_fail = true;
        self.steps_left = self.steps_left.min(interruption.steps_after);
        self.check_reads(at)?;
        self.disk.mend();
        let database = &self.stage.database;
        let log = database.durability_status().log;
        let end = log.map_or(0, |log| log.committed.1.0);
        let written = database.wait_durable(end);
        written
            .map_err(|error| format!("there is room, and what waits is not written: {error}"))?;
        let begun = self.stage.begin_anew();
        begun.map_err(|error| format!("there is room, and no session begins: {error}"))?;
        let wanted = match failed {
            Some("53100") => at,
            _ => at + 1,
        };
        let now = self.contents()?;
        if digest(&now) != self.twin.states.0[wanted].0 {
            return Err(format!(
                "{failed:?} at step {at}, and then there is: {now}\nand not: {}",
                self.twin.states.contents(wanted)
            ));
        }
        self.settle(at)
    }

    fn contents(&self) -> Result<String, String> {
        let now = contents(&self.stage.database, self.script);
        now.map_err(|error| format!("reading: {error}"))
    }

    /// Whatever has failed, what is durable can be read, and nothing else is shown.
    fn check_reads(&self, at: usize) -> Result<(), String> {
        let now = self.contents()?;
        let states = &self.twin.states;
        match states.is_between(digest(&now), self.acknowledged, at + 1) {
            true => Ok(()),
            false => Err(format!(
                "while the disk fails there is: {now}\nafter {} steps there was: {}",
                self.acknowledged,
                states.contents(self.acknowledged)
            )),
        }
    }

    /// The process ends after a step that failed, or in it, and the next one takes over.
    fn go_on_elsewhere(&mut self, at: usize, step: &Step) -> Result<(), String> {
        let interruption = self.interruption.take().expect("it is why we are here");
        self.new_from = self.marks.last().map_or(0, |mark| mark.events);
        // What the others need may be lost.
        self.twin.may_fail = true;
        self.steps_left = self.steps_left.min(interruption.steps_after);
        if interruption.kind != Kind::Kill {
            self.check_failed(at, step, interruption.kind.fault())?;
            self.end_process(at, interruption.kind)?;
        }
        self.disk.mend();
        self.stage
            .restart()
            .map_err(|error| format!("opened again: {error}"))?;
        self.settle(at)
    }

    /// A process that cannot go on ends; as long as the disk fails, the next one fares no better: it says so, or where
    /// there is only no room, opens the database for reading.
    fn end_process(&mut self, at: usize, kind: Kind) -> Result<(), String> {
        if matches!(kind, Kind::FaultThenClose(_)) {
            let _ = self.stage.database.close();
        }
        match self.stage.restart() {
            Err(error) if !is_of_disk(&error) => {
                Err(format!("opened while the disk fails: {error}"))
            }
            Err(_) => Ok(()),
            Ok(()) => self.check_reads(at),
        }
    }

    /// After a commit that failed reads are answered, unless the database is closed by now, and no commit is taken,
    /// unless there is room again: what it was stays open, it is there or not.
    fn check_failed(&mut self, at: usize, step: &Step, fault: Fault) -> Result<(), String> {
        let is_change = matches!(step, Step::Sql(..) | Step::Told(Told::Durable, ..))
            && self.twin.states.changes(at);
        let is_sync = self.script.durability == Durability::Sync;
        if !is_change || !is_sync {
            return Ok(());
        }
        self.check_reads(at)?;
        let has_room = !matches!(fault, Fault::Onwards(_)) && self.condition() != "failed";
        if !has_room && self.stage.begin_anew().is_ok() {
            let more = Step::Sql(0, "CREATE TABLE crash_lab_refused (n INTEGER)".to_owned());
            if self.stage.run(&more).is_ok() {
                return Err("it failed, and then a commit was taken".to_owned());
            }
        }
        Ok(())
    }

    /// Another process has opened the database while step `at` was done: what it found counts from now on.
    fn settle(&mut self, at: usize) -> Result<(), String> {
        let now = self.contents()?;
        let (least, most) = (self.acknowledged, at + 1);
        let found = self.twin.states.last_between(digest(&now), least, most);
        let Some(found) = found else {
            let wanted = self.twin.states.contents(least);
            return Err(format!(
                "the next process finds neither what is there after {least} steps nor any up to {most}: {now}\n\
                 after {least} steps there is: {wanted}"
            ));
        };
        self.twin.go_back(found, at)?;
        // While it was opened there was nothing on the disk but that, and what is durable of it.
        if let Some(mark) = self.marks.last_mut() {
            mark.begun = found;
        }
        self.acknowledged = at + 1;
        self.note(at + 1);
        Ok(())
    }

    fn end(mut self, done: usize) -> Result<Run, String> {
        let is_faulty = self.interruption.is_some();
        match contents(&self.stage.database, self.script) {
            Ok(now) if now != self.twin.states.contents(done) => {
                return Err(format!(
                    "the database differs from its twin in memory: {now}"
                ));
            }
            Err(error) if !is_faulty || !is_of_disk(&error) => return Err(error.to_string()),
            _ => {}
        }
        let Self { stage, disk, .. } = self;
        drop(stage);
        self.events.extend(disk.take_events());
        self.marks.push(Mark {
            events: self.events.len(),
            begun: done,
            acknowledged: if is_faulty { self.acknowledged } else { done },
        });
        Ok(Run {
            events: self.events,
            marks: self.marks,
            states: Arc::new(self.twin.states),
            new_from: self.new_from,
            copies: self.copies,
        })
    }

    fn note(&mut self, begun: usize) {
        self.events.extend(self.disk.take_events());
        self.marks.push(Mark {
            events: self.events.len(),
            begun,
            acknowledged: self.acknowledged,
        });
    }
}

/// Whether an error may come of a disk that fails: its own errors, full disks, commits whose outcome is
/// unknown, and what a database says that has given up writing.
fn is_of_disk(error: &Error) -> bool {
    ["58", "53", "08", "57", "25"].contains(&&error.sqlstate()[..2])
}

/// The database that never crashes, and what it held after each step.
struct Twin<'s> {
    script: &'s Script,
    /// Whether statements may fail.
    may_fail: bool,
    stage: Stage<'s>,
    states: States,
    /// What led to each of the states: the steps that were not lost.
    ways: Vec<Vec<&'s Step>>,
    /// After which step each checkpoint was written, if it was.
    checkpoints: Vec<Option<usize>>,
}

/// What all sessions go through where a process ends.
static END_OF_PROCESS: Step = Step::Kill;

impl<'s> Twin<'s> {
    fn new(script: &'s Script) -> Result<Self, Error> {
        let stage = Stage::in_memory(script)?;
        let mut states = States::default();
        states.push(contents(&stage.database, script)?);
        Ok(Self {
            script,
            may_fail: script.may_fail,
            stage,
            states,
            ways: vec![Vec::new()],
            checkpoints: Vec::new(),
        })
    }

    /// Does a step; the SQLSTATE with which it fails, if it shall.
    fn run(&mut self, step: &'s Step) -> Result<Option<&'static str>, String> {
        if let Step::Restore(checkpoint) = step
            && let Some(Some(state)) = self.checkpoints.get(*checkpoint)
        {
            let way = self.ways[*state].clone();
            return self.follow(way).map(|()| None);
        }
        let failed = self.stage.run(step).err();
        match (step, &failed) {
            (Step::Told(Told::Refused, ..), None) if !self.may_fail => {
                return Err("not refused".to_owned());
            }
            (Step::Told(Told::Refused, ..), _) | (_, None) => {}
            (_, Some(error)) if !self.may_fail => return Err(format!("the twin: {error}")),
            _ => {}
        }
        let mut way = self.ways.last().cloned().unwrap_or_default();
        way.push(step);
        self.note(way)?;
        Ok(failed.map(|error| error.sqlstate()))
    }

    fn note(&mut self, way: Vec<&'s Step>) -> Result<(), String> {
        let now = contents(&self.stage.database, self.script);
        self.states.push(now.map_err(|error| error.to_string())?);
        self.ways.push(way);
        Ok(())
    }

    /// Begins anew, and goes that way.
    fn follow(&mut self, mut way: Vec<&'s Step>) -> Result<(), String> {
        let stage = Stage::in_memory(self.script);
        self.stage = stage.map_err(|error| error.to_string())?;
        way.push(&END_OF_PROCESS);
        for step in &way {
            // What failed then fails again.
            let _ = self.stage.run(step);
        }
        self.note(way)
    }

    /// Replaces what step `at` came to by what state number `found` is, with no transaction open.
    fn go_back(&mut self, found: usize, at: usize) -> Result<(), String> {
        let way = self.ways[found].clone();
        self.states.0.truncate(at + 1);
        self.ways.truncate(at + 1);
        self.follow(way)
    }
}
