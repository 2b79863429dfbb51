//! The prologue with which every file of a database begins, and the evidence of damage.
//!
//! ```text
//!   0        8        12        16                32      36
//!   | magic  | version| features| database id     | crc32 |  then what the kind of file holds
//! ```
//!
//! The prologue's layout is the one thing that never changes between versions: its own checksum
//! tells a damaged version number from a newer one. All numbers in all files are little-endian.
//!
//! Invariants
//! - A file of an unknown version or with an unknown feature bit is refused before a byte of the
//!   directory is written.
//! - A file of another database is refused: a stray copy never mixes two histories.

use crate::disk::Disk;
use crate::error::{Error, Result};
use std::fmt;

/// The version of all files that this build writes, and the only one it reads.
pub const FORMAT_VERSION: u32 = 1;
/// Sequences, foreign keys, views and altered tables may be in it.
pub const FEATURE_RICH_CATALOG: u32 = 1;
/// Images by block and kept checkpoints may be in it.
pub const FEATURE_BLOCK_IMAGES: u32 = 2;
/// Compressed frames, runs of frames, and room ahead of frames may be in it.
pub const FEATURE_RUNS_OF_FRAMES: u32 = 4;
/// Functions may be in it.
pub const FEATURE_ROUTINES: u32 = 8;
/// Values of packed types, and their types in definitions and columns.
pub const FEATURE_PACKED_TYPES: u32 = 16;
/// Columns that are computed from others may be in it, and what else definitions have come to say.
pub const FEATURE_COMPUTED_COLUMNS: u32 = 32;
/// Schemas beside `public` may be in it.
pub const FEATURE_SCHEMAS: u32 = 64;
/// Comments may be in it.
pub const FEATURE_COMMENTS: u32 = 128;
/// Hidden columns and partial indexes may be in it, and what else definitions say of keys.
pub const FEATURE_COMPUTED_KEYS: u32 = 256;
/// Triggers may be in it.
pub const FEATURE_TRIGGERS: u32 = 1024;
/// Types that somebody made may be in it, and their values.
pub const FEATURE_MADE_TYPES: u32 = 1 << 12;
/// Bit strings and times with their zone may be in it.
pub const FEATURE_BITS_AND_ZONED_TIMES: u32 = 1 << 13;
/// Numbers of 39 digits may be in it.
pub const FEATURE_WIDE_NUMERICS: u32 = 1 << 14;
/// Composite types may be in it, and their values.
pub const FEATURE_COMPOSITES: u32 = 1 << 15;
/// Ranges and multiranges may be in it.
pub const FEATURE_RANGES: u32 = 1 << 16;
/// Functions of any number of arguments may be in it.
pub const FEATURE_VARIADIC: u32 = 1 << 17;
/// Collations of columns may be in it.
pub const FEATURE_COLLATIONS: u32 = 1 << 18;
/// The log may say that many rows of a block went, or all of a table.
pub const FEATURE_BULK_DELETIONS: u32 = 1 << 19;
/// Frames and closing marks may say what time it was.
pub const FEATURE_TIMES: u32 = 1 << 20;
/// Rows of tables may expire.
pub const FEATURE_EXPIRY: u32 = 1 << 21;
/// Tables may be caches.
pub const FEATURE_EVICTION: u32 = 1 << 22;
/// Rows of tables may be in the images of a last checkpoint and not in the log.
pub const FEATURE_UNLOGGED: u32 = 1 << 23;
/// Tables may have bounds.
pub const FEATURE_BOUNDS: u32 = 1 << 24;
/// The feature bits that this build knows, and sets in all files that it writes.
pub const FEATURES_KNOWN: u32 = FEATURE_RICH_CATALOG
    | FEATURE_BLOCK_IMAGES
    | FEATURE_RUNS_OF_FRAMES
    | FEATURE_ROUTINES
    | FEATURE_PACKED_TYPES
    | FEATURE_COMPUTED_COLUMNS
    | FEATURE_SCHEMAS
    | FEATURE_COMMENTS
    | FEATURE_COMPUTED_KEYS
    | FEATURE_TRIGGERS
    | FEATURE_MADE_TYPES
    | FEATURE_BITS_AND_ZONED_TIMES
    | FEATURE_WIDE_NUMERICS
    | FEATURE_COMPOSITES
    | FEATURE_RANGES
    | FEATURE_VARIADIC
    | FEATURE_COLLATIONS
    | FEATURE_BULK_DELETIONS
    | FEATURE_TIMES
    | FEATURE_EXPIRY
    | FEATURE_EVICTION
    | FEATURE_UNLOGGED
    | FEATURE_BOUNDS;
/// Bytes of the prologue.
pub const PROLOGUE_LEN: usize = 36;

/// Positions in the log and numbers of files and checkpoints stay below: nobody gets there by going on, and
/// from what is below one can go on.
pub const NUMBERS_END: u64 = 1 << 62;

/// What is appended to the name of a file that is not complete yet.
pub const TEMPORARY_SUFFIX: &str = ".tmp";
/// The database's folder itself, for [`Disk::sync_dir`] and [`Disk::list`].
pub const ROOT: &str = "";

/// Bytes of the prologue that its checksum covers.
const PROLOGUE_SUMMED: usize = PROLOGUE_LEN - 4;

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileKind {
    /// A part of the log.
    Segment,
    /// The rows of a checkpoint.
    Image,
    /// What a checkpoint consists of.
    Manifest,
    /// How far the log went when the database was closed.
    ClosingMark,
}

impl FileKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [
        Self::Segment,
        Self::Image,
        Self::Manifest,
        Self::ClosingMark,
    ];

    /// The first eight bytes of such a file.
    pub fn magic(self) -> [u8; 8] {
        *match self {
            Self::Segment => b"REMORAwl",
            Self::Image => b"REMORAim",
            Self::Manifest => b"REMORAmf",
            Self::ClosingMark => b"REMORAcl",
        }
    }
}

/// The random name of a database, in each of its files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DatabaseId(pub [u8; 16]);

impl DatabaseId {
    /// A name that no other database has.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().into_bytes())
    }
}

impl fmt::Display for DatabaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).fmt(f)
    }
}

/// The prologue of a file.
pub fn encode_prologue(kind: FileKind, database: DatabaseId) -> [u8; PROLOGUE_LEN] {
    let mut bytes = [0; PROLOGUE_LEN];
    bytes[..8].copy_from_slice(&kind.magic());
    bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes[12..16].copy_from_slice(&FEATURES_KNOWN.to_le_bytes());
    bytes[16..32].copy_from_slice(&database.0);
    let crc = crc32fast::hash(&bytes[..PROLOGUE_SUMMED]);
    bytes[PROLOGUE_SUMMED..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Checks the prologue at the start of `bytes` and returns the database's name.
///
/// # Errors
/// `Corrupt` where it is short or damaged, `UnsupportedFormat` where it is of another version,
/// `UnsupportedFeatures` where it has a feature bit that this build does not know.
pub fn check_prologue(kind: FileKind, path: &str, bytes: &[u8]) -> Result<DatabaseId> {
    let Some(bytes) = bytes.first_chunk::<PROLOGUE_LEN>() else {
        let expected = format!("a prologue of {PROLOGUE_LEN} bytes");
        return Err(corrupt(path, bytes.len() as u64, expected, "end of file"));
    };
    if bytes[..8] != kind.magic() {
        let expected = format!("magic {:?}", kind.magic().escape_ascii().to_string());
        let found = format!("{:?}", bytes[..8].escape_ascii().to_string());
        return Err(corrupt(path, 0, expected, found));
    }
    check_crc(
        path,
        PROLOGUE_SUMMED as u64,
        &bytes[..PROLOGUE_SUMMED],
        u32_at(bytes, PROLOGUE_SUMMED),
    )?;
    let (version, features) = (u32_at(bytes, 8), features(bytes));
    if version != FORMAT_VERSION {
        return Err(Error::UnsupportedFormat {
            path: path.into(),
            found: version,
            supported: FORMAT_VERSION,
        });
    }
    if features & !FEATURES_KNOWN != 0 {
        return Err(Error::UnsupportedFeatures {
            path: path.into(),
            found: features,
            known: FEATURES_KNOWN,
        });
    }
    let mut id = [0; 16];
    id.copy_from_slice(&bytes[16..32]);
    Ok(DatabaseId(id))
}

/// The feature bits in a prologue.
pub fn features(prologue: &[u8; PROLOGUE_LEN]) -> u32 {
    u32_at(prologue, 12)
}

/// Checks that a file belongs to `database`.
///
/// # Errors
/// `Corrupt` where it does not.
pub fn check_database(path: &str, found: DatabaseId, database: DatabaseId) -> Result<()> {
    if found == database {
        return Ok(());
    }
    Err(corrupt(
        path,
        16,
        format!("database id {database}"),
        found.to_string(),
    ))
}

/// Checks that `bytes` have the checksum `stored`, which is kept at `offset`.
///
/// # Errors
/// `Corrupt` where they have not.
pub fn check_crc(path: &str, offset: u64, bytes: &[u8], stored: u32) -> Result<()> {
    let computed = crc32fast::hash(bytes);
    if computed == stored {
        return Ok(());
    }
    Err(corrupt(
        path,
        offset,
        format!("crc32 {computed:08x}"),
        format!("{stored:08x}"),
    ))
}

/// Checks that a number at `offset` is one that somebody may have got to ([`NUMBERS_END`]).
///
/// # Errors
/// `Corrupt` where it is not.
pub fn check_number(path: &str, offset: u64, what: &str, number: u64) -> Result<()> {
    if number < NUMBERS_END {
        return Ok(());
    }
    let expected = format!("{what} below {NUMBERS_END}");
    Err(corrupt(path, offset, expected, number.to_string()))
}

/// The error that names the place where bytes are not what was written.
pub fn corrupt(
    path: &str,
    offset: u64,
    expected: impl Into<String>,
    found: impl Into<String>,
) -> Error {
    Error::Corrupt {
        path: path.into(),
        offset,
        expected: expected.into(),
        found: found.into(),
    }
}

/// The number at `at`; the caller knows that it is there.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

/// The number at `at`; the caller knows that it is there.
pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

/// Replaces a file as a whole: after a crash there is the old one or the new one.
///
/// # Errors
/// `Io`, `DiskFull`; unless it was the last step that failed, the old file is still there.
pub fn install(disk: &dyn Disk, path: &str, bytes: &[u8]) -> Result<()> {
    let temporary = format!("{path}{TEMPORARY_SUFFIX}");
    let file = disk.create(&temporary)?;
    file.write_at(0, bytes)?;
    file.sync()?;
    disk.rename(&temporary, path)?;
    disk.sync_dir(ROOT)
}

/// The bytes of a file of which at most `most` are wanted (and one more, to see that there is more).
///
/// # Errors
/// `Io`.
pub fn read_file(disk: &dyn Disk, path: &str, most: u64) -> Result<Vec<u8>> {
    let file = disk.open(path)?;
    let length = file.len()?.min(most.saturating_add(1));
    let mut bytes = vec![0; length as usize];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flip_anywhere_in_the_prologue_is_noticed() {
        let id = DatabaseId::random();
        let good = encode_prologue(FileKind::Segment, id);
        assert_eq!(
            check_prologue(FileKind::Segment, "f", &good).expect("good"),
            id
        );
        for at in 0..PROLOGUE_LEN {
            let mut bad = good;
            bad[at] ^= 0x40;
            let result = check_prologue(FileKind::Segment, "f", &bad);
            assert!(
                matches!(result, Err(Error::Corrupt { .. })),
                "flip at {at}: {result:?}"
            );
        }
    }

    #[test]
    fn a_newer_version_is_told_from_a_damaged_one() {
        let mut bytes = encode_prologue(FileKind::Image, DatabaseId([7; 16]));
        bytes[8] = 2;
        let crc = crc32fast::hash(&bytes[..PROLOGUE_SUMMED]);
        bytes[PROLOGUE_SUMMED..].copy_from_slice(&crc.to_le_bytes());
        let result = check_prologue(FileKind::Image, "f", &bytes);
        assert!(matches!(
            result,
            Err(Error::UnsupportedFormat { found: 2, .. })
        ));
    }
}
