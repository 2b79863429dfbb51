//! Verifying a directory: everything in it is read, and what is not what was written is named.
//!
//! Opening stops at the first damage. This goes on: through the current manifest and those that are kept,
//! each image that one of them names (its bytes against the strong hash in the manifest, then what is in it
//! against the table's definition), and the log from the oldest of them on, that of histories that ended, too.
//! Nothing is written but the lock.
//!
//! What is proved: that a manifest is whole, its root is that of the definitions and hashes in it, and these
//! definitions fit each other; that each image has the bytes that its hash is of, and the rows that the manifest
//! says; that the log is an unbroken run of frames up to all that is known to have been durable. So two
//! directories whose current checkpoints have the same root, and which were verified, hold the same as of
//! these checkpoints.

use super::directory::{self, Directory};
use super::fits;
use super::images::ends;
use super::restore;
use super::scan::{Found, Scan, Until};
use crate::catalog::TableDef;
use crate::checkpoint::files::DataFiles;
use crate::checkpoint::image::{Image, ImageKind};
use crate::checkpoint::list::{HASH_LEN, ImageRef, by_block};
use crate::checkpoint::manifest::{MANIFEST, Manifest};
use crate::checkpoint::{kept, rows_file};
use crate::codec::{DecodeError, Decoder};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::format::{DatabaseId, ROOT, corrupt};
use crate::ids::{BLOCK_SLOTS, BlockNo, Lsn, RowId};
use crate::pool::Pool;
use crate::time::DatabaseTime;
use crate::transaction::Core;
use crate::wal::{Operation, closing};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// What verifying a directory found.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// The number of the current checkpoint; nothing where its manifest is damaged.
    pub checkpoint: Option<u64>,
    /// Its root, by which two databases can be compared; nothing before the first checkpoint.
    pub root: Option<String>,
    /// Rows in it.
    pub rows: u64,
    /// Manifests that were read: the current one and the kept ones.
    pub manifests: u64,
    /// Images that were read.
    pub images: u64,
    /// Their bytes.
    pub image_bytes: u64,
    /// Frames of the log that were read.
    pub frames: u64,
    /// Their bytes.
    pub log_bytes: u64,
    /// What follows on the last whole frame, which a crash can leave: opening drops it.
    pub torn_tail: Option<String>,
    /// Everything that is not what was written.
    pub damages: Vec<Damage>,
}

/// Something that is not what was written.
#[derive(Clone, Debug)]
pub struct Damage {
    /// What is wrong, with file and offset.
    pub error: Error,
    /// The table that it is of.
    pub table: Option<String>,
    /// The block of that table.
    pub block: Option<BlockNo>,
    /// How many rows the block had.
    pub rows: Option<u64>,
}

/// Reads everything in a directory. Memory for one block at a time comes from the pool.
///
/// # Errors
/// `NotADatabase`, `Locked` where somebody has it open, `Io` where the directory cannot be looked at.
/// Damage is no error but what is reported.
pub fn verify(disk: &dyn Disk, pool: &Arc<Pool>) -> Result<Verification> {
    if directory::inspect(disk)? == Directory::New {
        return Err(Error::NotADatabase {
            path: ROOT.into(),
            reason: "it is empty".to_owned(),
        });
    }
    let _lock = disk.lock(directory::LOCK)?;
    let mut verifier = Verifier {
        disk,
        pool,
        seen: HashSet::new(),
        found: Verification::default(),
    };
    let mut read = Vec::new();
    for path in [vec![MANIFEST.to_owned()], kept::paths(disk)?].concat() {
        let whole = verifier.manifest(&path);
        read.extend(whole.map(|(manifest, database)| (path, manifest, database)));
    }
    verifier.logs(&read);
    let current = read.into_iter().find(|(path, ..)| path == MANIFEST);
    if let Some((_, manifest, _)) = current {
        let found = &mut verifier.found;
        found.checkpoint = Some(manifest.number());
        found.rows = manifest.rows();
        found.root = manifest.root;
    }
    Ok(verifier.found)
}

struct Verifier<'v> {
    disk: &'v dyn Disk,
    pool: &'v Arc<Pool>,
    /// Images that were read already, for another manifest: the first one of a block and how many.
    seen: HashSet<(u64, u64, [u8; HASH_LEN])>,
    found: Verification,
}

impl Verifier<'_> {
    fn damaged(&mut self, error: Error) {
        self.found.damages.push(Damage {
            error,
            table: None,
            block: None,
            rows: None,
        });
    }

    /// Reads a manifest and all images that it names.
    fn manifest(&mut self, path: &str) -> Option<(Manifest, DatabaseId)> {
        self.found.manifests += 1;
        let (manifest, database) = match Manifest::read(self.disk, path) {
            Ok(read) => read,
            Err(error) => {
                self.damaged(error);
                return None;
            }
        };
        // What opening would refuse, although its bytes are what somebody wrote.
        let fits = restore::definitions(
            &Core::recovering(Arc::clone(self.pool), DatabaseTime::default(), true),
            &manifest,
            path,
        );
        if let Err(error) = fits {
            self.damaged(error);
        }
        if let Some(file) = &manifest.image {
            self.found.images += 1;
            self.found.image_bytes = self.found.image_bytes.saturating_add(file.bytes);
            let read = rows_file::read(self.disk, database, file, |_, _, _, _| Ok(()));
            if let Err(error) = read {
                self.damaged(error);
            }
        }
        let ends = ends(&manifest);
        for images in by_block(&manifest.images) {
            if !self.is_new(images) {
                continue;
            }
            let end = ends.get(&images[0].table).copied().unwrap_or_default();
            let read = check_refs(path, &manifest, end, images)
                .and_then(|()| self.block(path, &manifest, database, images));
            if let Err(error) = read {
                let tables = manifest.tables.iter();
                let mut names = tables.filter(|table| table.def.id == images[0].table);
                self.found.damages.push(Damage {
                    error,
                    table: names.next().map(|table| table.def.name.clone()),
                    block: Some(images[0].block),
                    rows: images.last().map(|image| image.rows.into()),
                });
            }
        }
        Some((manifest, database))
    }

    /// Whether no manifest before had the same images of a block.
    fn is_new(&mut self, images: &[ImageRef]) -> bool {
        let last = &images[images.len() - 1];
        self.seen.insert((last.file, last.offset, last.hash))
    }

    /// Reads the images of a block, and counts the rows that it has.
    fn block(
        &mut self,
        path: &str,
        manifest: &Manifest,
        database: DatabaseId,
        images: &[ImageRef],
    ) -> Result<()> {
        let mut tables = manifest.tables.iter();
        let table = tables.find(|table| table.def.id == images[0].table);
        let table = table.ok_or_else(|| {
            let found = format!("an image of table {}", images[0].table);
            corrupt(path, 0, "images of tables that there are", found)
        })?;
        let numbers: BTreeSet<u64> = images.iter().map(|image| image.file).collect();
        let files = DataFiles::open(self.disk, database, &numbers)?;
        let mut live = vec![0_u64; BLOCK_SLOTS / 64];
        for image in images {
            let read = files.read(self.pool.ledger(), image, images[0].timestamp)?;
            self.found.images += 1;
            self.found.image_bytes = self.found.image_bytes.saturating_add(image.length);
            let hash: [u8; 32] = blake3::hash(&read.bytes).into();
            if hash != image.hash {
                let path = files.path(image);
                let hex = |hash| blake3::Hash::from_bytes(hash).to_string();
                return Err(corrupt(path, image.offset, hex(image.hash), hex(hash)));
            }
            self.contents(&table.def, &read, &mut live)?;
        }
        let last = &images[images.len() - 1];
        let rows: u32 = live.iter().map(|word| word.count_ones()).sum();
        if rows != last.rows {
            let (expected, found) = (format!("{} rows", last.rows), format!("{rows} rows"));
            return Err(corrupt(files.path(last), last.offset, expected, found));
        }
        Ok(())
    }

    /// Reads what is in an image, and notes which slots have a row with it.
    fn contents(&self, def: &TableDef, image: &Image, live: &mut [u64]) -> Result<()> {
        let misfit = |misfit: String| image.misfit(misfit);
        if image.header.kind == ImageKind::Frozen {
            let frozen = image.frozen(self.pool)?;
            for (id, data_type) in frozen.columns() {
                fits::column(def, id, data_type).map_err(misfit)?;
            }
            let words = frozen.live().words();
            live[..words.len()].copy_from_slice(words);
            return Ok(());
        }
        let mut reader = image.rows()?;
        let types = fits::column_types(def, reader.columns()).map_err(misfit)?;
        while let Some((slot, values)) = reader.next_row()? {
            fits::types(values, &types).map_err(misfit)?;
            live[usize::from(slot.0) / 64] |= 1 << (slot.0 % 64);
        }
        if let Some(left) = reader.finish()? {
            for (at, word) in live.iter_mut().enumerate() {
                *word &= left.words().get(at).copied().unwrap_or(0);
            }
        }
        Ok(())
    }

    /// Reads the log of each history from the oldest manifest on that belongs to it, and where that fails that
    /// of the current manifest by itself.
    fn logs(&mut self, manifests: &[(String, Manifest, DatabaseId)]) {
        let is_current = |path: &str| path == MANIFEST;
        let mut oldest: BTreeMap<u32, &(String, Manifest, DatabaseId)> = BTreeMap::new();
        for one in manifests {
            let first = oldest.entry(one.1.timeline).or_insert(one);
            if one.1.lsn < first.1.lsn {
                *first = one;
            }
        }
        let current = manifests.iter().find(|(path, ..)| is_current(path));
        let now = current.map(|(_, manifest, _)| manifest.timeline);
        for (timeline, (path, manifest, database)) in oldest {
            let until = match now == Some(timeline) {
                true => Until::End,
                false => Until::NextHistory,
            };
            let read = self.log(manifest, *database, until);
            let Err(error) = read else {
                continue;
            };
            let said = error.to_string();
            self.damaged(error);
            if let (Until::End, false, Some((_, manifest, database))) =
                (until, is_current(path), current)
                && let Err(error) = self.log(manifest, *database, until)
                && error.to_string() != said
            {
                self.damaged(error);
            }
        }
    }

    /// Reads the log from a manifest's position on.
    fn log(&mut self, manifest: &Manifest, database: DatabaseId, until: Until) -> Result<()> {
        let closed_at: Option<Lsn> = closing::closed_at(self.disk, database, manifest.timeline)?;
        let scan = Scan::open(self.disk, database, manifest, closed_at, until)?;
        let found = &mut self.found;
        let end = scan.run(|frame| {
            found.frames += 1;
            decode_all(&frame).map_err(|error| frame.damaged(error))
        })?;
        found.log_bytes += end.end.0 - manifest.lsn.0;
        if until == Until::End {
            found.torn_tail = end.tail.map(|tail| tail.because);
        }
        Ok(())
    }
}

/// What opening would refuse of what a manifest says of images.
fn check_refs(path: &str, manifest: &Manifest, end: RowId, images: &[ImageRef]) -> Result<()> {
    let expected = "images of blocks that there are, up to its own timestamp";
    let misfit = |found| corrupt(path, 0, expected, found);
    fits::block(end, images[0].block).map_err(misfit)?;
    match images
        .iter()
        .find(|image| image.timestamp > manifest.timestamp)
    {
        Some(later) => Err(misfit(format!("an image of {}", later.timestamp))),
        None => Ok(()),
    }
}

/// Reads the operations of a frame.
fn decode_all(frame: &Found<'_>) -> std::result::Result<(), DecodeError> {
    let (mut decoder, mut values) = (Decoder::new(frame.body), Vec::new());
    for _ in 0..frame.header.operations {
        Operation::decode(&mut decoder, &mut values)?;
    }
    decoder.finish()
}
