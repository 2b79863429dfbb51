//! Single faults at rest: a byte, a sector, a stretch or a file of a directory goes bad, and whoever opens it is told
//! so, or loses nothing.
//!
//! 1. A database is made in a real directory, with several checkpoints and segments; the files of each
//!    moment at which it was closed are kept, those of one at which it might have been killed, and which commit has
//!    written what ([`story`]).
//! 2. A fault is drawn ([`fault`]): a flipped bit, a zeroed sector, a cut, two sectors in each other's
//!    place, a file as it was at an earlier moment, bytes that are inserted, deleted, doubled or moved.
//! 3. Opening is either refused, with an error that names file and byte, and then not a byte of the directory
//!    has changed; or everything is there: then the file was not needed. Where the process was killed the log may
//!    also be torn: the last commits are dropped, and said to be, if no frame of them is whole anywhere in the log.
//! 4. Salvage keeps every row whose bytes verify: those of blocks whose images are as they were written, with
//!    all changes since whose frames are. What it keeps was there at some time; what it leaves opens as any
//!    database does.

mod fault;
mod story;

pub use fault::{Fault, Kind};
pub use story::{Contents, Files, Moment, Story};

use crate::random::Random;
use remora_storage::disk::{Disk, Image, SimDisk};
use remora_storage::store::{RecoveryMode, RecoveryReport};
use remora_storage::{Error, Store, StoreOptions};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What became of faults of one kind.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Opening was refused, and the error named the damaged file.
    pub detected: u64,
    /// It was refused, and the error named another file, which does not fit the damaged one.
    pub elsewhere: u64,
    /// Nothing was lost.
    pub harmless: u64,
    /// The end of the log of a killed process was taken for torn.
    pub torn: u64,
    /// Rows that were not kept by the salvages, of all that were there.
    pub rows_lost: u64,
    /// The same, as many as there were.
    pub rows: u64,
}

/// Draws so many faults of a story; what became of them by kind.
///
/// # Errors
/// What is wrong with the first one that went wrong.
pub fn run(story: &Story, seed: u64, count: u64) -> Result<BTreeMap<Kind, Tally>, String> {
    let mut tallies: BTreeMap<Kind, Tally> = BTreeMap::new();
    for number in 0..count {
        let seed = seed.wrapping_add(number);
        let fault = Fault::draw(story, &mut Random::new(seed));
        let tally = tallies.entry(fault.kind).or_default();
        one(story, &fault, tally).map_err(|wrong| format!("seed {seed}: {fault}: {wrong}"))?;
    }
    Ok(tallies)
}

fn one(story: &Story, fault: &Fault, tally: &mut Tally) -> Result<(), String> {
    let (damaged, changed) = fault.apply(story);
    let disk = on_disk(&damaged);
    let moment = fault.moment(story);
    match open(&disk, RecoveryMode::Strict) {
        Ok((store, _)) => {
            let found = story::contents(&store).map_err(|error| error.to_string())?;
            if found == moment.contents {
                tally.harmless += 1;
            } else if fault.is_killed && moment.may_be_torn(&found, &damaged) {
                tally.torn += 1;
            } else {
                return Err("opened, and something is missing".to_owned());
            }
        }
        Err(Error::Corrupt { path, .. }) => {
            let path = path.display().to_string();
            match changed.contains(&path) {
                true => tally.detected += 1,
                false => tally.elsewhere += 1,
            }
            if files(&disk) != damaged {
                return Err("refused, and yet something was written".to_owned());
            }
        }
        Err(error) => return Err(format!("refused by {error}")),
    }
    salvage(story, fault, &damaged, tally)
}

fn salvage(story: &Story, fault: &Fault, damaged: &Files, tally: &mut Tally) -> Result<(), String> {
    let (disk, moment) = (on_disk(damaged), fault.moment(story));
    let expected = &moment.contents;
    let (store, report) =
        open(&disk, RecoveryMode::Salvage).map_err(|error| format!("no salvage: {error}"))?;
    let found = story::contents(&store).map_err(|error| format!("after salvage: {error}"))?;
    let is_whole = |(key, text): (&i64, &String)| found.get(key) == Some(text);
    let lost = expected.iter().filter(|row| !is_whole(*row)).count() as u64;
    tally.rows += expected.len() as u64;
    tally.rows_lost += lost;
    for (key, text) in moment.recoverable(damaged) {
        if found.get(&key) != Some(&text) {
            return Err(format!(
                "row {key} verifies and is lost: {:?}",
                report.losses
            ));
        }
    }
    if let Some((key, text)) = found.iter().find(|row| !story.was_there(*row)) {
        return Err(format!("row {key} was never {text:?}"));
    }
    // Nothing is left of what a killed process has written last.
    let is_cut = fault.is_killed && moment.may_be_torn(&found, damaged);
    let is_said = !report.losses.is_empty() || report.bytes_dropped > 0;
    if lost > 0 && !is_said && !is_cut {
        return Err(format!("{lost} rows are lost, and nobody says so"));
    }
    drop(store);
    let (store, _) =
        open(&disk, RecoveryMode::Strict).map_err(|error| format!("after salvage: {error}"))?;
    match story::contents(&store) {
        Ok(again) if again == found => Ok(()),
        Ok(_) => Err("what was salvaged is not what is there then".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn open(disk: &SimDisk, recovery: RecoveryMode) -> Result<(Store, RecoveryReport), Error> {
    let options = StoreOptions {
        recovery,
        ..story::options()
    };
    Store::open_on(Arc::new(disk.clone()), options)
}

fn on_disk(files: &Files) -> SimDisk {
    let files = files.iter();
    SimDisk::with(&Image {
        files: files
            .map(|(path, bytes)| (path.clone(), Arc::new(bytes.clone())))
            .collect(),
        folders: ["wal", "data"].map(str::to_owned).into(),
    })
}

/// All files of a database but its lock.
pub(crate) fn files(disk: &dyn Disk) -> Files {
    let mut files = Files::new();
    for folder in ["", "wal", "data"] {
        for name in disk.list(folder).unwrap_or_default() {
            let path = format!("{folder}/{name}");
            let path = path.trim_start_matches('/');
            let is_folder = ["wal", "data", "quarantine"].contains(&path);
            if is_folder || path == "LOCK" {
                continue;
            }
            let read = || -> Result<Vec<u8>, Error> {
                let file = disk.open(path)?;
                let mut bytes = vec![0; file.len()? as usize];
                file.read_at(0, &mut bytes)?;
                Ok(bytes)
            };
            files.insert(path.to_owned(), read().expect("a file that was listed"));
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_noticed_or_do_no_harm() {
        let story = Story::tell().unwrap();
        let count = |folder: &str| {
            let files = story.moment(false).files.keys();
            files.filter(|path| path.starts_with(folder)).count()
        };
        assert!(count("wal/") > 2 && count("data/") > 2);
        let tallies = run(&story, 7, 300).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(tallies.len(), Kind::ALL.len(), "{tallies:?}");
        for (kind, tally) in &tallies {
            let is_noticed = tally.detected > 0 && tally.harmless > 0;
            assert!(is_noticed || *kind == Kind::Stale, "{kind:?}: {tally:?}");
        }
    }
}
