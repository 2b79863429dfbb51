//! All files of a disk at one moment.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// All files of a disk at one moment, by path. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Image {
    /// Path to bytes.
    pub files: BTreeMap<String, Arc<Vec<u8>>>,
    /// Folders, besides the directory itself.
    pub folders: BTreeSet<String>,
}

impl Image {
    /// A hash by which images are told apart: the same in every run of a build.
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> usize {
        self.files.values().map(|bytes| bytes.len()).sum()
    }
}

/// What goes wrong with bytes that lie on a medium for long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decay {
    /// One bit is another.
    Flip {
        /// The byte.
        at: usize,
        /// Which bit of it, 0 to 7.
        bit: u8,
    },
    /// Bytes read as zeros.
    Zero {
        /// The first.
        at: usize,
        /// How many.
        len: usize,
    },
    /// Two stretches stand in each other's place: writes that went astray.
    Swap {
        /// The first of one.
        one: usize,
        /// The first of the other.
        other: usize,
        /// How many bytes.
        len: usize,
    },
    /// The file ends early.
    Cut {
        /// Its length.
        len: usize,
    },
    /// Bytes of no meaning stand between others, and all behind them further on.
    Insert {
        /// Where the first of them stands.
        at: usize,
        /// How many.
        len: usize,
        /// Source of the bytes.
        seed: u64,
    },
    /// Bytes are gone, and all behind them stand further in front.
    Delete {
        /// The first.
        at: usize,
        /// How many.
        len: usize,
    },
    /// A stretch stands a second time, between others.
    Duplicate {
        /// Its first byte.
        at: usize,
        /// How many bytes.
        len: usize,
        /// Where the copy stands.
        to: usize,
    },
    /// A stretch stands elsewhere, and all between further in front or behind.
    Move {
        /// Its first byte.
        at: usize,
        /// How many bytes.
        len: usize,
        /// Where it stands, in the file without it.
        to: usize,
    },
}

impl Decay {
    /// Does it to the bytes of a file; nothing happens where there is no such place in it.
    pub fn apply(self, file: &mut Vec<u8>) {
        let end = |at: usize, len: usize| at.saturating_add(len).min(file.len());
        match self {
            Self::Flip { at, bit } => {
                if let Some(byte) = file.get_mut(at) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            Self::Zero { at, len } => {
                let end = end(at, len);
                if let Some(stretch) = file.get_mut(at..end) {
                    stretch.fill(0);
                }
            }
            Self::Swap { one, other, len } => {
                let last = one.max(other).saturating_add(len);
                if last <= file.len() && one.abs_diff(other) >= len {
                    for at in 0..len {
                        file.swap(one + at, other + at);
                    }
                }
            }
            Self::Cut { len } => file.truncate(len),
            Self::Insert { at, len, seed } => put_between(file, at, noise(seed).take(len)),
            Self::Delete { at, len } => {
                let end = end(at, len);
                if at < end {
                    file.drain(at..end);
                }
            }
            Self::Duplicate { at, len, to } => {
                let piece = file.get(at..end(at, len)).map(<[u8]>::to_vec);
                put_between(file, to, piece.into_iter().flatten());
            }
            Self::Move { at, len, to } => {
                let end = end(at, len);
                if at < end {
                    let piece: Vec<u8> = file.drain(at..end).collect();
                    put_between(file, to.min(file.len()), piece.into_iter());
                }
            }
        }
    }
}

fn put_between(file: &mut Vec<u8>, at: usize, bytes: impl Iterator<Item = u8>) {
    if at <= file.len() {
        file.splice(at..at, bytes);
    }
}

/// Bytes of no meaning, the same for the same seed.
fn noise(seed: u64) -> impl Iterator<Item = u8> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
}

impl Image {
    /// Lets a file decay; nothing happens where there is no such place in it. Returns whether it is
    /// another image now.
    pub fn decay(&mut self, path: &str, decay: Decay) -> bool {
        let Some(bytes) = self.files.get_mut(path) else {
            return false;
        };
        let before = Arc::clone(bytes);
        decay.apply(Arc::make_mut(bytes));
        *bytes != before
    }
}
