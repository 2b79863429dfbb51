//! What is on the medium under the cache, and what a power loss may leave of it.
//!
//! ```text
//!   events  | create a | write a | sync a | write a | sync names | rename a b |  power loss
//!           '-------------------------------------------------------------------' |
//!                what the medium surely has             what is loose  <----------'
//!                a, with the first write                the second write, sector by sector; the rename
//! ```
//!
//! [`Medium::apply`] follows the events. [`Medium::loose`] names each thing that no sync covers: a
//! *piece* of a write (as long as a sector at most, never across sectors), a new length, a change of names.
//! [`Medium::image`] is the disk with any choice of them kept.
//!
//! Nothing more is assumed than what [`super::super::Disk`] promises: every choice is possible, also a
//! later write without an earlier one, a rename without the creation of what was renamed, a file's new
//! length without its bytes (zeros then). Pieces of one sector that were written twice may arrive in
//! either order.

use super::event::{Event, FileId, folder_of};
use super::image::Image;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// The medium of a [`super::SimDisk`].
#[derive(Clone, Debug, Default)]
pub struct Medium {
    files: Vec<File>,
    names: BTreeMap<String, FileId>,
    /// What changed since, oldest first.
    renamings: Vec<Vec<(String, Option<FileId>)>>,
    folders: BTreeSet<String>,
}

#[derive(Clone, Debug, Default)]
struct File {
    bytes: Arc<Vec<u8>>,
    /// Oldest first; the first one, if any, is not durable.
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
struct Change {
    what: What,
    state: State,
}

#[derive(Clone, Debug)]
enum What {
    Write { offset: usize, bytes: Arc<[u8]> },
    Resize(usize),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// The next sync makes it durable.
    Pending,
    /// Its sync has failed: no later one says anything about it.
    Forgotten,
    /// Surely there, over something before it that may not be.
    Durable,
}

/// Something that a power loss may take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Loose {
    /// A change of names: its number among those that are not synced.
    Names(usize),
    /// A part of a write.
    Piece {
        /// The file.
        file: FileId,
        /// The number of the write among the file's changes.
        change: usize,
        /// Which of its bytes.
        part: Range<usize>,
    },
    /// A change of a file's length by truncation.
    Resize {
        /// The file.
        file: FileId,
        /// Its number among the file's changes.
        change: usize,
    },
    /// The length that writes behind its end gave a file, without their bytes.
    Length(FileId),
}

/// How writes are torn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tear {
    /// At any byte: each write after its first byte, at its thirds and before its last byte.
    Byte,
    /// Between sectors of so many bytes.
    Sector(usize),
}

impl Medium {
    /// The medium with an image on it, all of it durable.
    pub fn new(image: &Image) -> Self {
        let mut medium = Self {
            folders: image.folders.clone(),
            ..Self::default()
        };
        for (path, bytes) in &image.files {
            let file = FileId(medium.files.len());
            medium.names.insert(path.clone(), file);
            medium.files.push(File {
                bytes: Arc::clone(bytes),
                changes: Vec::new(),
            });
        }
        medium
    }

    /// Follows an event.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Names(changes) => {
                for file in changes.iter().filter_map(|(_, file)| *file) {
                    let count = self.files.len().max(file.0 + 1);
                    self.files.resize_with(count, File::default);
                }
                self.renamings.push(changes.clone());
            }
            Event::Write {
                file,
                offset,
                bytes,
            } => self.change(
                *file,
                What::Write {
                    offset: *offset as usize,
                    bytes: Arc::clone(bytes),
                },
            ),
            Event::Resize { file, len } => self.change(*file, What::Resize(*len as usize)),
            Event::Sync(file) => self.files[file.0].sync(),
            Event::LostSync(file) => self.files[file.0].forget(),
            Event::Folder(folder) => {
                let mut folder = folder.as_str();
                while !folder.is_empty() {
                    self.folders.insert(folder.to_owned());
                    folder = folder_of(folder);
                }
            }
            Event::SyncNames(folder) => self.sync_names(folder),
        }
    }

    fn change(&mut self, file: FileId, what: What) {
        self.files[file.0].changes.push(Change {
            what,
            state: State::Pending,
        });
    }

    fn sync_names(&mut self, folder: &str) {
        let names = &mut self.names;
        for changes in &mut self.renamings {
            changes.retain(|(path, file)| {
                let is_here = folder_of(path) == folder;
                if is_here {
                    rename(names, path, *file);
                }
                !is_here
            });
        }
        self.renamings.retain(|changes| !changes.is_empty());
    }

    /// All that a power loss may take now, with writes torn like that.
    pub fn loose(&self, tear: Tear) -> Vec<Loose> {
        let mut loose: Vec<Loose> = (0..self.renamings.len()).map(Loose::Names).collect();
        let pending = self.renamings.iter().flatten();
        let named = pending.filter_map(|(_, file)| *file);
        let reachable: BTreeSet<FileId> = self.names.values().copied().chain(named).collect();
        for id in reachable {
            self.files[id.0].loose(id, tear, &mut loose);
        }
        loose
    }

    /// Whether there are pieces among them that overlap, so that it matters which one is on top.
    pub fn overlaps(&self, loose: &[Loose]) -> bool {
        let mut places: Vec<(FileId, usize, usize, usize)> = Vec::new();
        for thing in loose {
            let Loose::Piece { file, change, part } = thing else {
                continue;
            };
            if let What::Write { offset, .. } = &self.files[file.0].changes[*change].what {
                places.push((*file, offset + part.start, offset + part.end, *change));
            }
        }
        places.sort_unstable();
        let neighbours = places.windows(2);
        neighbours
            .into_iter()
            .any(|pair| pair[0].0 == pair[1].0 && pair[0].2 > pair[1].1)
    }

    /// What is found after a power loss that left those of `loose` for which `kept` says so, of pieces
    /// that overlap the later one on top, or the earlier one.
    pub fn image(
        &self,
        loose: &[Loose],
        kept: impl Fn(usize) -> bool,
        earlier_on_top: bool,
    ) -> Image {
        let mut names = self.names.clone();
        let mut kept_of: BTreeMap<FileId, Vec<&Loose>> = BTreeMap::new();
        let chosen = loose.iter().enumerate().filter(|(at, _)| kept(*at));
        for (_, thing) in chosen {
            match thing {
                Loose::Names(number) => {
                    for (path, file) in &self.renamings[*number] {
                        rename(&mut names, path, *file);
                    }
                }
                Loose::Piece { file, .. } | Loose::Resize { file, .. } | Loose::Length(file) => {
                    kept_of.entry(*file).or_default().push(thing);
                }
            }
        }
        let bytes_of = |id: &FileId| {
            let kept = kept_of.get(id).map_or(&[][..], Vec::as_slice);
            self.files[id.0].with(kept, earlier_on_top)
        };
        Image {
            files: names
                .iter()
                .map(|(path, id)| (path.clone(), bytes_of(id)))
                .collect(),
            folders: self.folders.clone(),
        }
    }
}

fn rename(names: &mut BTreeMap<String, FileId>, path: &str, file: Option<FileId>) {
    match file {
        Some(file) => {
            names.insert(path.to_owned(), file);
        }
        None => {
            names.remove(path);
        }
    }
}

impl What {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Resize(len) => to.resize(*len, 0),
            Self::Write { offset, bytes } => put(to, *offset, bytes),
        }
    }
}

fn put(to: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if to.len() < end {
        to.resize(end, 0);
    }
    to[offset..end].copy_from_slice(bytes);
}

impl File {
    fn sync(&mut self) {
        for change in &mut self.changes {
            if change.state == State::Pending {
                change.state = State::Durable;
            }
        }
        let durable = self.changes.iter();
        let durable = durable.take_while(|change| change.state == State::Durable);
        let count = durable.count();
        if count > 0 {
            let bytes = Arc::make_mut(&mut self.bytes);
            for change in self.changes.drain(..count) {
                change.what.apply(bytes);
            }
        }
    }

    fn forget(&mut self) {
        for change in &mut self.changes {
            if change.state == State::Pending {
                change.state = State::Forgotten;
            }
        }
    }

    fn loose(&self, id: FileId, tear: Tear, loose: &mut Vec<Loose>) {
        let mut length = self.bytes.len();
        let mut is_extended = false;
        for (at, change) in self.changes.iter().enumerate() {
            let is_loose = change.state != State::Durable;
            match &change.what {
                What::Resize(len) => {
                    length = *len;
                    if is_loose {
                        loose.push(Loose::Resize {
                            file: id,
                            change: at,
                        });
                    }
                }
                What::Write { offset, bytes } => {
                    is_extended |= is_loose && offset + bytes.len() > length;
                    length = length.max(offset + bytes.len());
                    if is_loose {
                        loose.extend(pieces(*offset, bytes.len(), tear).into_iter().map(|part| {
                            Loose::Piece {
                                file: id,
                                change: at,
                                part,
                            }
                        }));
                    }
                }
            }
        }
        if is_extended {
            loose.push(Loose::Length(id));
        }
    }

    /// The bytes with these of the file's loose things, which come in the order of [`Self::loose`].
    fn with(&self, kept: &[&Loose], earlier_on_top: bool) -> Arc<Vec<u8>> {
        if self.changes.is_empty() {
            return Arc::clone(&self.bytes);
        }
        let mut bytes = (*self.bytes).clone();
        for (at, change) in self.changes.iter().enumerate() {
            if change.state == State::Durable {
                change.what.apply(&mut bytes);
                continue;
            }
            for thing in kept {
                self.put_back(thing, at, &mut bytes);
            }
        }
        if earlier_on_top {
            for at in (0..self.changes.len()).rev() {
                for thing in kept {
                    if matches!(thing, Loose::Piece { .. }) {
                        self.put_back(thing, at, &mut bytes);
                    }
                }
                // What was synced later is surely there, whatever had been forgotten before.
                let later = self.changes[at + 1..].iter();
                for change in later.filter(|change| change.state == State::Durable) {
                    change.what.apply(&mut bytes);
                }
            }
        }
        if let Some(Loose::Length(_)) = kept.last() {
            let length = self.length().max(bytes.len());
            bytes.resize(length, 0);
        }
        Arc::new(bytes)
    }

    /// Makes the change number `at`, as far as `thing` is of it.
    fn put_back(&self, thing: &Loose, at: usize, bytes: &mut Vec<u8>) {
        match (thing, &self.changes[at].what) {
            (Loose::Resize { change, .. }, What::Resize(len)) if *change == at => {
                bytes.resize(*len, 0);
            }
            (
                Loose::Piece { change, part, .. },
                What::Write {
                    offset,
                    bytes: written,
                },
            ) if *change == at => put(bytes, offset + part.start, &written[part.clone()]),
            _ => {}
        }
    }

    /// The length with all changes.
    fn length(&self) -> usize {
        let mut length = self.bytes.len();
        for change in &self.changes {
            length = match &change.what {
                What::Resize(len) => *len,
                What::Write { offset, bytes } => length.max(offset + bytes.len()),
            };
        }
        length
    }
}

/// The pieces in which a write arrives.
fn pieces(offset: usize, len: usize, tear: Tear) -> Vec<Range<usize>> {
    let mut cuts = match tear {
        Tear::Byte => vec![1, len / 3, 2 * len / 3, len.saturating_sub(1)],
        Tear::Sector(bytes) => {
            let first = bytes - offset % bytes;
            (first..len).step_by(bytes).collect()
        }
    };
    cuts.retain(|cut| (1..len).contains(cut));
    cuts.push(len);
    cuts.dedup();
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    starts
        .zip(cuts.iter().copied())
        .map(|(start, end)| start..end)
        .collect()
}
