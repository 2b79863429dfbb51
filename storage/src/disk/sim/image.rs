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
}

impl Image {
    /// Lets a file decay; nothing happens where there is no such place in it. Returns whether it is
    /// another image now.
    pub fn decay(&mut self, path: &str, decay: Decay) -> bool {
        let Some(bytes) = self.files.get_mut(path) else {
            return false;
        };
        let before = Arc::clone(bytes);
        let file = Arc::make_mut(bytes);
        match decay {
            Decay::Flip { at, bit } => {
                if let Some(byte) = file.get_mut(at) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            Decay::Zero { at, len } => {
                let end = at.saturating_add(len).min(file.len());
                if let Some(stretch) = file.get_mut(at..end) {
                    stretch.fill(0);
                }
            }
            Decay::Swap { one, other, len } => {
                let last = one.max(other).saturating_add(len);
                if last <= file.len() && one.abs_diff(other) >= len {
                    for at in 0..len {
                        file.swap(one + at, other + at);
                    }
                }
            }
            Decay::Cut { len } => file.truncate(len),
        }
        *bytes != before
    }
}
