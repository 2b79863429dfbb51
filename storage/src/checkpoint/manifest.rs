//! The manifest: what a checkpoint consists of and where the log goes on from it.
//!
//! ```text
//!   MANIFEST
//!   0          36       40      44
//!   | prologue | length | crc32 | a `Manifest` as JSON, `length` bytes | list of images (`list`) |
//! ```
//!
//! `crc32` covers everything else in the file. The manifest is replaced by rename as a whole; those
//! before it are kept, see `kept`.

use super::info::CheckpointInfo;
use super::list::{self, ImageRef};
use crate::catalog::{
    CommentDef, FunctionDef, IndexDef, SchemaDef, SequenceDef, SequencePosition, TableDef, TypeDef,
    ViewDef,
};
use crate::disk::Disk;
use crate::error::Result;
use crate::format::{
    DatabaseId, FileKind, PROLOGUE_LEN, check_crc, check_number, check_prologue, corrupt,
    encode_prologue, read_file, u32_at,
};
use crate::ids::{IndexId, Lsn, RowId, SequenceId, TableId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// The path of the manifest.
pub const MANIFEST: &str = "MANIFEST";
/// Bytes before the JSON.
pub const MANIFEST_HEADER_LEN: usize = PROLOGUE_LEN + 8;
/// The longest manifest that is read.
pub const MANIFEST_BYTES_MAX: u64 = 1 << 30;

/// What a checkpoint consists of.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The history that is being written.
    pub timeline: u32,
    /// Everything committed up to here is in the image.
    pub timestamp: Timestamp,
    /// Where the log goes on: frames from here on have later timestamps.
    pub lsn: Lsn,
    /// The segment that holds that position.
    pub segment: u64,
    /// The schemas beside `public`; not written where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schemas: Vec<SchemaDef>,
    /// The tables.
    pub tables: Vec<TableManifest>,
    /// The indexes, in order of creation.
    pub indexes: Vec<IndexDef>,
    /// The views; not written where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub views: Vec<ViewDef>,
    /// The comments; not written where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<CommentDef>,
    /// The functions; likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<FunctionDef>,
    /// The types; likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<TypeDef>,
    /// The id of the next table, view or function.
    pub next_table: TableId,
    /// The id of the next index.
    pub next_index: IndexId,
    /// The rows, where a build before images by block wrote them.
    pub image: Option<ImageFile>,
    /// The sequences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sequences: Vec<SequenceManifest>,
    /// The id of the next sequence; nothing where there was none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_sequence: Option<SequenceId>,
    /// What is known of the checkpoint; nothing where an older build wrote it, or where the database is
    /// new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<CheckpointInfo>,
    /// The root over definitions and images, in hexadecimal ([`list::root`]), as it was read: what is
    /// written has its own. Nothing where the database is new, or was written before there were images by
    /// block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// The images of all blocks. They follow the JSON.
    #[serde(skip)]
    pub images: Vec<ImageRef>,
}

/// What of a manifest is under its root beside the images.
#[derive(Serialize)]
struct Definitions<'m> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    schemas: &'m [SchemaDef],
    tables: &'m [TableManifest],
    indexes: &'m [IndexDef],
    views: &'m [ViewDef],
    sequences: &'m [SequenceManifest],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    functions: &'m [FunctionDef],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    types: &'m [TypeDef],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    comments: &'m [CommentDef],
}

/// A sequence in a manifest.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequenceManifest {
    /// What it is.
    pub def: SequenceDef,
    /// Where it goes on.
    pub position: SequencePosition,
}

/// A table in a manifest.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableManifest {
    /// What it is.
    pub def: TableDef,
    /// No row below has to be named again.
    pub next_row: RowId,
}

/// The file that holds the rows, as builds before images by block wrote it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageFile {
    /// The number in its name.
    pub number: u64,
    /// Its length.
    pub bytes: u64,
    /// The checksum of all of it.
    pub crc: u32,
    /// How many rows it holds.
    pub rows: u64,
}

impl Manifest {
    /// The manifest of a database that has no tables and whose log begins with segment 1.
    pub fn new_database(timeline: u32) -> Self {
        Self {
            timeline,
            timestamp: Timestamp(0),
            lsn: Lsn(0),
            segment: 1,
            schemas: Vec::new(),
            tables: Vec::new(),
            indexes: Vec::new(),
            views: Vec::new(),
            functions: Vec::new(),
            types: Vec::new(),
            comments: Vec::new(),
            next_table: TableId(0),
            next_index: IndexId(0),
            image: None,
            sequences: Vec::new(),
            next_sequence: None,
            info: None,
            root: None,
            images: Vec::new(),
        }
    }

    /// Whether it is that of a checkpoint, and not of a database that was just made.
    pub fn is_checkpoint(&self) -> bool {
        self.image.is_some() || self.root.is_some()
    }

    /// The numbers of the data files that it needs.
    pub fn files(&self) -> BTreeSet<u64> {
        let old = self.image.iter().map(|file| file.number);
        let images = self.images.iter().map(|image| image.file);
        old.chain(images).collect()
    }

    /// The root over what it says and names.
    pub fn computed_root(&self) -> String {
        let definitions = Definitions {
            schemas: &self.schemas,
            tables: &self.tables,
            indexes: &self.indexes,
            views: &self.views,
            sequences: &self.sequences,
            functions: &self.functions,
            types: &self.types,
            comments: &self.comments,
        };
        let definitions = serde_json::to_vec(&definitions).expect("definitions are plain data");
        blake3::Hash::from_bytes(list::root(&definitions, &self.images)).to_string()
    }

    /// The file's bytes.
    pub fn encode(&self, database: DatabaseId) -> Vec<u8> {
        let mut bytes = encode_prologue(FileKind::Manifest, database).to_vec();
        bytes.resize(MANIFEST_HEADER_LEN, 0);
        let sealed = Self {
            root: self.root.as_ref().map(|_| self.computed_root()),
            ..self.clone()
        };
        serde_json::to_writer(&mut bytes, &sealed).expect("a manifest is plain data");
        let length = (bytes.len() - MANIFEST_HEADER_LEN) as u32;
        list::encode(&self.images, &mut bytes);
        bytes[36..40].copy_from_slice(&length.to_le_bytes());
        let crc = crc32fast::hash(&summed(&bytes));
        bytes[40..44].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// `Corrupt`, `UnsupportedFormat`.
    pub fn decode(path: &str, bytes: &[u8]) -> Result<(Self, DatabaseId)> {
        let database = check_prologue(FileKind::Manifest, path, bytes)?;
        let end = bytes.len() as u64;
        if bytes.len() < MANIFEST_HEADER_LEN {
            let expected = format!("a header of {MANIFEST_HEADER_LEN} bytes");
            return Err(corrupt(path, end, expected, "end of file"));
        }
        let json_end = MANIFEST_HEADER_LEN as u64 + u64::from(u32_at(bytes, 36));
        if end < json_end {
            let expected = format!("{json_end} bytes at least");
            return Err(corrupt(path, end, expected, format!("{end} bytes")));
        }
        check_crc(path, 40, &summed(bytes), u32_at(bytes, 40))?;
        let (json, listed) =
            bytes[MANIFEST_HEADER_LEN..].split_at(json_end as usize - MANIFEST_HEADER_LEN);
        let mut manifest: Self = serde_json::from_slice(json).map_err(|error| {
            let at = MANIFEST_HEADER_LEN as u64 + error.column() as u64;
            corrupt(path, at, "a manifest", error.to_string())
        })?;
        let listed = list::decode(listed);
        manifest.images = listed.map_err(|error| error.in_file(Path::new(path), json_end))?;
        manifest.check_root(path)?;
        manifest.check_numbers(path)?;
        Ok((manifest, database))
    }

    /// Whether one can go on from its numbers.
    fn check_numbers(&self, path: &str) -> Result<()> {
        let at = MANIFEST_HEADER_LEN as u64;
        let files = self
            .files()
            .into_iter()
            .map(|file| ("a data file's number", file));
        let own = [
            ("a position in the log", self.lsn.0),
            ("a segment's number", self.segment),
            ("a checkpoint's number", self.number()),
        ];
        let mut numbers = own.into_iter().chain(files);
        numbers.try_for_each(|(what, number)| check_number(path, at, what, number))
    }

    fn check_root(&self, path: &str) -> Result<()> {
        if self.root.is_none() && self.images.is_empty() {
            return Ok(());
        }
        let computed = self.computed_root();
        match &self.root {
            Some(root) if *root == computed => Ok(()),
            other => {
                let found = other.clone().unwrap_or_else(|| "none".to_owned());
                let expected = format!("root {computed}");
                Err(corrupt(path, MANIFEST_HEADER_LEN as u64, expected, found))
            }
        }
    }

    /// Reads a manifest file.
    ///
    /// # Errors
    /// `Corrupt`, `UnsupportedFormat`, `Io`.
    pub fn read(disk: &dyn Disk, path: &str) -> Result<(Self, DatabaseId)> {
        Self::decode(path, &read_file(disk, path, MANIFEST_BYTES_MAX)?)
    }
}

/// The file without its checksum.
fn summed(bytes: &[u8]) -> Vec<u8> {
    [&bytes[..40], &bytes[44..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Directories from before there were sequences are read, and stay readable for who made them.
    #[test]
    fn a_manifest_without_sequences_is_written_as_it_always_was() {
        let before = r#"{"timeline":1,"timestamp":0,"lsn":0,"segment":1,"tables":[],"indexes":[],"next_table":0,"next_index":0,"image":null}"#;
        let manifest: Manifest = serde_json::from_str(before).expect("a manifest of old");
        assert_eq!(manifest, Manifest::new_database(1));
        let written = serde_json::to_string(&manifest).expect("plain data");
        assert_eq!(written, before);
    }

    #[test]
    fn numbers_that_leave_no_room_for_the_next_are_refused() {
        type Change = fn(&mut Manifest);
        let changes: [Change; 3] = [
            |manifest| manifest.segment = u64::MAX,
            |manifest| manifest.lsn = Lsn(u64::MAX - 1000),
            |manifest| {
                manifest.image = Some(ImageFile {
                    number: u64::MAX,
                    bytes: 0,
                    crc: 0,
                    rows: 0,
                })
            },
        ];
        for change in changes {
            let mut manifest = Manifest::new_database(1);
            change(&mut manifest);
            let read = Manifest::decode(MANIFEST, &manifest.encode(DatabaseId([9; 16])));
            assert!(
                matches!(read, Err(crate::Error::Corrupt { .. })),
                "{read:?}"
            );
        }
    }

    #[test]
    fn every_flip_and_every_cut_is_an_error_with_a_place() {
        let manifest = Manifest::new_database(1);
        let good = manifest.encode(DatabaseId([9; 16]));
        let (read, database) = Manifest::decode(MANIFEST, &good).expect("good");
        assert_eq!((read, database), (manifest, DatabaseId([9; 16])));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            let flipped = Manifest::decode(MANIFEST, &bad);
            assert!(
                matches!(flipped, Err(crate::Error::Corrupt { .. })),
                "flip at {at}: {flipped:?}"
            );
            assert!(
                Manifest::decode(MANIFEST, &good[..at]).is_err(),
                "cut at {at}"
            );
        }
    }
}
