//! A single fault: what goes bad, and where.

use super::story::{Files, Story};
use crate::random::Random;
use std::collections::BTreeSet;
use std::fmt;

/// Bytes that a medium reads and writes together.
const SECTOR: usize = 512;

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
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Flip, Self::Zero, Self::Cut, Self::Swap, Self::Stale];
}

/// A fault.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What goes bad.
    pub kind: Kind,
    path: String,
    at: usize,
    /// The other file and place of a swap; the moment that a stale file is of.
    other: (String, usize),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, path, at, .. } = self;
        write!(f, "{kind:?} {path} at {at}")?;
        match kind {
            Kind::Swap => write!(f, " with {} at {}", self.other.0, self.other.1),
            Kind::Stale => write!(f, " of moment {}", self.other.1),
            _ => Ok(()),
        }
    }
}

impl Fault {
    /// One that changes something.
    pub fn draw(story: &Story, random: &mut Random) -> Self {
        let kind = Kind::ALL[random.below(Kind::ALL.len() as u64) as usize];
        loop {
            let (path, at) = place(&story.files, random);
            let other = match kind {
                Kind::Stale => {
                    let moment = random.below(story.moments.len() as u64) as usize;
                    (String::new(), moment)
                }
                _ => place(&story.files, random),
            };
            let fault = Self {
                kind,
                path,
                at,
                other,
            };
            if fault.apply(story).0 != story.files {
                return fault;
            }
        }
    }

    /// The files with the fault, and the paths of those that have changed.
    pub fn apply(&self, story: &Story) -> (Files, BTreeSet<String>) {
        let mut files = story.files.clone();
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
                let other = &story.files[&self.other.0];
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
        }
        let differs = |path: &&String| files.get(*path) != story.files.get(*path);
        let changed = story.files.keys().filter(differs).cloned().collect();
        (files, changed)
    }
}

/// A bit of any file, each of which is as likely as the others.
fn place(files: &Files, random: &mut Random) -> (String, usize) {
    let at = random.below(files.len() as u64) as usize;
    let (path, bytes) = files.iter().nth(at).expect("one of them");
    let bit = random.below(8 * bytes.len().max(1) as u64) as usize;
    (path.clone(), bit)
}
