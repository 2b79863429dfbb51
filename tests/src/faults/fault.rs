//! A single fault: what goes bad, and where.

use super::story::{Files, Moment, Story};
use crate::random::Random;
use remora_storage::disk::Decay;
use std::collections::BTreeSet;
use std::fmt;

/// Bytes that a medium reads and writes together.
const SECTOR: usize = 512;
/// The most bytes that are inserted, deleted, doubled or moved.
const STRETCH_MAX: u64 = 6_000;

/// What goes bad.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// One bit.
    Flip,
    /// A sector reads as zeros.
    Zero,
    /// A file ends earlier.
    Cut,
    /// Two sectors are in each other's place, in one file or two.
    Swap,
    /// A file is as it was at an earlier moment.
    Stale,
    /// Bytes of no meaning come between others.
    Insert,
    /// Bytes go, and those behind them move up.
    Delete,
    /// Bytes come a second time, elsewhere in the file, between others.
    Duplicate,
    /// Bytes are elsewhere in the file, between others.
    Move,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Flip,
        Self::Zero,
        Self::Cut,
        Self::Swap,
        Self::Stale,
        Self::Insert,
        Self::Delete,
        Self::Duplicate,
        Self::Move,
    ];
}

/// A fault.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What goes bad.
    pub kind: Kind,
    /// Whether the directory is that of a process that was killed; else it was closed.
    pub is_killed: bool,
    path: String,
    at: usize,
    /// The other file and place of a swap; the moment that a stale file is of; where bytes are moved to.
    other: (String, usize),
    /// How many bytes are inserted, deleted, doubled or moved.
    len: usize,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            path,
            at,
            len,
            ..
        } = self;
        let killed = if self.is_killed { ", killed" } else { "" };
        write!(f, "{kind:?} {path} at {at}{killed}")?;
        match kind {
            Kind::Swap => write!(f, " with {} at {}", self.other.0, self.other.1),
            Kind::Stale => write!(f, " of moment {}", self.other.1),
            Kind::Insert | Kind::Delete => write!(f, ", {len} bytes"),
            Kind::Duplicate | Kind::Move => write!(f, ", {len} bytes to {}", self.other.1),
            Kind::Flip | Kind::Zero | Kind::Cut => Ok(()),
        }
    }
}

impl Fault {
    /// One that changes something.
    pub fn draw(story: &Story, random: &mut Random) -> Self {
        let kind = Kind::ALL[random.below(Kind::ALL.len() as u64) as usize];
        let is_killed = random.chance(50);
        loop {
            let moment = story.moment(is_killed);
            let mut draw = || match is_killed && random.chance(50) {
                true => place(&moment.last_segment(), random),
                false => place(&moment.files, random),
            };
            let (path, at) = draw();
            let mut other = draw();
            if matches!(kind, Kind::Duplicate | Kind::Move) {
                other.0.clone_from(&path);
                other.1 = random.below(moment.files[&path].len() as u64 + 1) as usize;
            }
            if kind == Kind::Stale {
                other.1 = random.below(story.moments.len() as u64) as usize;
            }
            // Short stretches are as likely as long ones.
            let most = 1 + random.below(STRETCH_MAX);
            let fault = Self {
                kind,
                is_killed,
                path,
                at,
                other,
                len: 1 + random.below(most) as usize,
            };
            if fault.apply(story).0 != moment.files {
                return fault;
            }
        }
    }

    /// As bytes of a file that go bad by themselves.
    fn decay(&self) -> Decay {
        let (at, len, to) = (self.at / 8, self.len, self.other.1);
        match self.kind {
            Kind::Insert => Decay::Insert {
                at,
                len,
                seed: self.at as u64,
            },
            Kind::Delete => Decay::Delete { at, len },
            Kind::Duplicate => Decay::Duplicate { at, len, to },
            _ => Decay::Move { at, len, to },
        }
    }

    /// The files with the fault, and the paths of those that have changed.
    pub fn apply(&self, story: &Story) -> (Files, BTreeSet<String>) {
        let before = self.moment(story);
        let mut files = before.files.clone();
        let sector = |at: usize, length: usize| {
            let start = at / SECTOR * SECTOR;
            start..length.min(start + SECTOR)
        };
        let bytes = files.get_mut(&self.path).expect("it was drawn of these");
        match self.kind {
            Kind::Flip => bytes[self.at / 8] ^= 1 << (self.at % 8),
            Kind::Zero => {
                let sector = sector(self.at / 8, bytes.len());
                bytes[sector].fill(0);
            }
            Kind::Cut => bytes.truncate(self.at / 8),
            Kind::Swap => {
                let here = sector(self.at / 8, bytes.len());
                let other = &before.files[&self.other.0];
                let there = sector(self.other.1 / 8, other.len());
                let length = here.len().min(there.len());
                let (here, there) = (here.start, there.start);
                let mine = bytes[here..here + length].to_vec();
                bytes[here..here + length].copy_from_slice(&other[there..there + length]);
                let other = files.get_mut(&self.other.0).expect("it was drawn of these");
                other[there..there + length].copy_from_slice(&mine);
            }
            Kind::Stale => match story.moments[self.other.1].get(&self.path) {
                Some(earlier) => bytes.clone_from(earlier),
                None => drop(files.remove(&self.path)),
            },
            Kind::Insert | Kind::Delete | Kind::Duplicate | Kind::Move => self.decay().apply(bytes),
        }
        let differs = |path: &&String| files.get(*path) != before.files.get(*path);
        let changed = before.files.keys().filter(differs).cloned().collect();
        (files, changed)
    }

    /// Part of the directory that the fault is put into.
    pub fn moment<'s>(&self, story: &'s Story) -> &'s Moment {
        story.moment(self.is_killed)
    }
}

/// A bit of any file, each of which is as likely as the others.
fn place(files: &Files, random: &mut Random) -> (String, usize) {
    let at = random.below(files.len() as u64) as usize;
    let (path, bytes) = files.iter().nth(at).expect("one of them");
    let bit = random.below(8 * bytes.len().max(1) as u64) as usize;
    (path.clone(), bit)
}
