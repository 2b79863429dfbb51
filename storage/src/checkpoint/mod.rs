//! Checkpoint: writes a consistent image of all tables, so that the log before it can go.
//!
//! 1. In one commit section, take timestamp C, a view of it, and have the log rotated.
//! 2. For each block that no commit has written to since the last checkpoint, refer to the images that
//!    one has; write images of all others, as the view shows them, to a new data file, and sync it.
//! 3. Install the manifest by rename; some of those before are kept, with all that they need.
//! 4. Delete the segments and data files that none of them needs.
//!
//! ```text
//!   log    [ seg 7 ][ seg 8 ]|[ seg 9 ...
//!                            C      commits after C replay from segment 9
//!
//!   data   3.img [ block 0 ][ block 1 ][ block 2 ]      the manifest of C: 0 and 2 in 3.img,
//!          4.img [ block 1 ]                            1 in 4.img
//! ```
//!
//! Readers and writers go on meanwhile: what a view shows never changes.
//!
//! Where the medium has no room for a new segment, the log goes on in the old one, and the manifest names a position
//! within it. While the log is full or has failed no checkpoint is written: C would not be durable.
//!
//! Invariants
//! - A manifest that can be read names only images that are synced.
//! - Every commit is in the images (timestamp <= C) or in the log from the manifest's position on.
//! - What is referred to is what the block holds at C: `table::changed` says why, and what is known of
//!   the last checkpoint is forgotten where it is not certain which one is installed.
//! - One checkpoint runs at a time.
//! - While a data file is written there are, beside it, only those that a manifest names.
//!
//! If we crash: before 3 the old manifest and all it needs remain, and a part of a data file that
//! nobody names, which the next opening removes; in 3 see `manifest`; between 3 and 4 stale files
//! are left over, which the next opening or the next checkpoint removes.

pub mod backup;
mod begin;
mod capture;
pub mod files;
pub mod image;
mod info;
pub mod kept;
mod last;
pub mod list;
pub mod manifest;
pub mod rows_file;
mod sweep;
mod writer;

pub(crate) use begin::begin_history;
pub use info::{CheckpointInfo, CheckpointReason};
pub use last::LastCheckpoint;
pub use sweep::{KeptFiles, is_replaced, sweep};

use crate::catalog::{Catalog, CommentDef, SequenceEntry, TableEntry};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::format::DatabaseId;
use crate::ids::{IndexId, Lsn, SequenceId, TableId, Timestamp};
use crate::transaction::{Core, ReadView};
use crate::wal::Log;
use capture::Destination;
use list::ImageRef;
use manifest::{MANIFEST, Manifest, SequenceManifest, TableManifest};
use parking_lot::Mutex;
use std::sync::Arc;

/// What a checkpoint wrote.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckpointReport {
    /// What it is called.
    pub number: u64,
    /// Everything committed up to here is in it.
    pub timestamp: Timestamp,
    /// Rows that it holds.
    pub rows: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Blocks that were written, wholly or what was changed of them.
    pub blocks_written: u64,
    /// Blocks that an earlier checkpoint had written and that are referred to.
    pub blocks_kept: u64,
}

/// Writes the checkpoints of one database.
#[derive(Debug)]
pub struct Checkpointer {
    disk: Arc<dyn Disk>,
    database: DatabaseId,
    core: Arc<Core>,
    log: Arc<Log>,
    /// How many checkpoints before the current one are kept.
    keep: usize,
    /// Held while a checkpoint is written.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Where the log goes on from the last checkpoint.
    last: Lsn,
    /// What it has of each block.
    images: LastCheckpoint,
    closed: bool,
}

/// What the commit section fixes.
struct Moment {
    timestamp: Timestamp,
    lsn: Lsn,
    catalog: Arc<Catalog>,
    next_ids: (TableId, IndexId),
    sequences: Vec<SequenceManifest>,
    next_sequence: SequenceId,
    view: ReadView,
    /// Whether the rows of unlogged tables are in it, too.
    has_unlogged: bool,
}

impl Checkpointer {
    /// For a database whose current checkpoint ends where `last` says, and has these images.
    pub fn new(
        disk: Arc<dyn Disk>,
        database: DatabaseId,
        core: Arc<Core>,
        log: Arc<Log>,
        last: Lsn,
        keep: usize,
        images: LastCheckpoint,
    ) -> Self {
        Self {
            disk,
            database,
            core,
            log,
            keep,
            state: Mutex::new(State {
                last,
                images,
                closed: false,
            }),
        }
    }

    /// Bytes logged since the last checkpoint; nothing while one is being written.
    pub fn logged_since(&self) -> u64 {
        let last = self.state.try_lock().map(|state| state.last);
        last.map_or(0, |last| self.log.end().0 - last.0)
    }

    /// Whether closing has to write rows of unlogged tables for the next opening to find.
    pub fn has_unlogged_to_keep(&self) -> bool {
        let state = self.state.lock();
        let is_kept =
            |table: &TableEntry| self.log.is_unlogged_kept() && state.images.table(table).is_some();
        let has_rows = |table: &TableEntry| table.rows.blocks().next().is_some();
        let catalog = self.core.catalog();
        let mut unlogged = catalog.tables().filter(|table| table.def.unlogged);
        unlogged.any(|table| has_rows(table) && !is_kept(table))
    }

    /// Waits for the checkpoint that is being written, and refuses further ones.
    pub fn close(&self) {
        self.state.lock().closed = true;
    }

    /// Writes a checkpoint; waits where another one is being written.
    ///
    /// # Errors
    /// `Io`, `DiskFull`, `LogFailed`, `OutOfMemory`, `Closed`: the checkpoint before stays the current one
    /// (or, where the very last step failed, the new one may be; both are whole).
    pub fn run(&self, reason: CheckpointReason) -> Result<CheckpointReport> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Error::Closed);
        }
        let has_unlogged = reason == CheckpointReason::Close;
        let mut moment = Moment::latest(&self.core, || {
            if has_unlogged {
                self.log.keep_unlogged();
            }
            self.log.rotate()
        })?;
        moment.has_unlogged = has_unlogged;
        let start = self.log.segment_of(moment.lsn)?;
        let (current, _) = Manifest::read(&*self.disk, MANIFEST)?;
        // One that failed as its manifest was installed has left a data file that nobody names: tried
        // again and again, checkpoints would fill the medium. What is not removed here is later.
        let kept = sweep(&*self.disk).ok();
        let file = sweep::next_image_number(&*self.disk, kept.as_ref())?;
        let written = self
            .destination()
            .write_images(&moment, file, &state.images);
        let written = written.inspect_err(|_| {
            // The error matters more than the leftover, which the next opening removes.
            let _ = self.disk.remove(&image::path(file));
        })?;
        let mut manifest = moment.manifest(current.timeline, start.number, written.images);
        let number = current.number().saturating_add(1);
        manifest.info = Some(CheckpointInfo {
            number,
            micros: self.core.time().kept(),
            reason,
            rows: manifest.rows(),
            bytes: manifest.bytes(),
            restored_from: None,
        });
        // Where this fails, nobody knows which of the two is installed: the next one refers to neither.
        state.images = LastCheckpoint::default();
        kept::install_manifest(&*self.disk, &manifest, self.database)?;
        state.last = moment.lsn;
        state.images = LastCheckpoint::of(&manifest, moment.tables());
        // The checkpoint stands; what cannot be removed now is removed next time.
        let _ = kept::forget(&*self.disk, self.keep)
            .and_then(|()| sweep(&*self.disk))
            .map(|kept| self.log.remove_before(kept.lsn));
        Ok(CheckpointReport {
            number,
            timestamp: moment.timestamp,
            rows: manifest.rows(),
            ..written.report
        })
    }
}

impl Checkpointer {
    fn destination(&self) -> Destination<'_> {
        Destination {
            disk: &*self.disk,
            core: &self.core,
            database: self.database,
        }
    }
}

/// All sequences, and where recovery is to go on with them.
fn sequences(catalog: &Catalog) -> Vec<SequenceManifest> {
    let sequence = |entry: &Arc<SequenceEntry>| SequenceManifest {
        def: entry.def.clone(),
        position: entry.counter.logged(),
    };
    catalog.sequences().map(sequence).collect()
}

fn comments(catalog: &Catalog) -> Vec<CommentDef> {
    let comments = catalog.comments();
    comments
        .map(|(on, text)| CommentDef {
            on,
            text: text.to_string(),
        })
        .collect()
}

impl Moment {
    /// Fixes the latest moment in a commit section, in which `lsn` says where the log goes on. It may not be
    /// durable yet: what is before `lsn` in the log must be, before a manifest of it is installed.
    fn latest(core: &Arc<Core>, lsn: impl FnOnce() -> Lsn) -> Result<Self> {
        core.commit_section(|_| {
            let view = core.view_latest()?;
            Ok(Self::of(core, lsn(), view, core.catalog()))
        })
    }

    /// Fixes what a transaction sees that begins now: the last durable moment, where the log takes no frames.
    fn shown(core: &Arc<Core>) -> Result<Self> {
        core.commit_section(|_| {
            let (view, catalog) = core.view_shown()?;
            Ok(Self::of(core, Lsn(0), view, catalog))
        })
    }

    fn of(core: &Core, lsn: Lsn, view: ReadView, catalog: Arc<Catalog>) -> Self {
        let catalog = catalog.lasting();
        Self {
            timestamp: view.snapshot(),
            lsn,
            // Numbers that the log is told of later are in the log from there on.
            sequences: sequences(&catalog),
            next_sequence: core.next_sequence_id(),
            catalog,
            next_ids: core.next_ids(),
            view,
            has_unlogged: false,
        }
    }

    /// The tables of which rows are in it.
    fn tables(&self) -> impl Iterator<Item = &Arc<TableEntry>> {
        let tables = self.catalog.tables();
        tables.filter(|table| self.has_unlogged || !table.def.unlogged)
    }

    fn manifest(&self, timeline: u32, segment: u64, images: Vec<ImageRef>) -> Manifest {
        let tables = self.catalog.tables();
        let mut indexes: Vec<_> = self
            .catalog
            .tables()
            .flat_map(|table| &table.indexes)
            .collect();
        indexes.sort_by_key(|index| index.def.id);
        let mut manifest = Manifest {
            timeline,
            timestamp: self.timestamp,
            lsn: self.lsn,
            segment,
            schemas: self.catalog.schemas().map(|s| (**s).clone()).collect(),
            tables: tables
                .map(|table| TableManifest {
                    def: table.def.clone(),
                    next_row: table.rows.next_row(),
                })
                .collect(),
            indexes: indexes.iter().map(|index| index.def.clone()).collect(),
            views: self.catalog.views().map(|view| (**view).clone()).collect(),
            types: self.catalog.types().map(|def| (**def).clone()).collect(),
            functions: self.catalog.functions().map(|f| (**f).clone()).collect(),
            comments: comments(&self.catalog),
            next_table: self.next_ids.0,
            next_index: self.next_ids.1,
            image: None,
            sequences: self.sequences.clone(),
            next_sequence: Some(self.next_sequence).filter(|next| next.0 > 1),
            info: None,
            root: None,
            images,
        };
        manifest.root = Some(manifest.computed_root());
        manifest
    }
}
