//! `docs/file_format.md` says what the code says.

use crate::checkpoint::image::{self, IMAGE_BYTES_MAX, IMAGE_HEADER_LEN, ImageKind};
use crate::checkpoint::kept;
use crate::checkpoint::manifest::{MANIFEST, MANIFEST_HEADER_LEN};
use crate::checkpoint::rows_file::ROWS_HEADER_LEN;
use crate::format::{FEATURES_KNOWN, FORMAT_VERSION, FileKind, PROLOGUE_LEN, TEMPORARY_SUFFIX};
use crate::wal::closing::{CLOSING_MARK, CLOSING_MARK_LEN};
use crate::wal::frame::{FRAME_BYTES_MAX, FRAME_HEADER_LEN};
use crate::wal::segment::{self, SEGMENT_BYTES_MAX, SEGMENT_HEADER_LEN};

const DOCUMENT: &str = include_str!("../../../../docs/file_format.md");

#[test]
fn the_document_has_the_codes_numbers() {
    // Line breaks may fall anywhere in a sentence.
    let document = DOCUMENT.split_whitespace().collect::<Vec<_>>().join(" ");
    for sentence in [
        format!("Format version: {FORMAT_VERSION}."),
        format!("Feature bits known: {FEATURES_KNOWN}."),
        format!("Prologue: {PROLOGUE_LEN} bytes."),
        format!("Segment header: {SEGMENT_HEADER_LEN} bytes."),
        format!("stands at byte `{SEGMENT_HEADER_LEN} + lsn - first lsn`"),
        format!("has reached {SEGMENT_BYTES_MAX} bytes"),
        format!("Frame header: {FRAME_HEADER_LEN} bytes."),
        format!("Longest frame: {FRAME_BYTES_MAX} bytes."),
        format!("Closing mark: {CLOSING_MARK_LEN} bytes."),
        format!("Image header: {IMAGE_HEADER_LEN} bytes."),
        format!("Image header of old: {ROWS_HEADER_LEN} bytes."),
        format!("| {} | rows |", ImageKind::Rows as u8),
        format!("| {} | frozen |", ImageKind::Frozen as u8),
        format!("| {} | delta |", ImageKind::Delta as u8),
        format!("more than {IMAGE_BYTES_MAX} bytes is written as several"),
        format!("Manifest header: {MANIFEST_HEADER_LEN} bytes."),
    ] {
        assert!(document.contains(&sentence), "lacks: {sentence}");
    }
}

#[test]
fn the_document_has_the_codes_names() {
    for kind in FileKind::ALL {
        let magic = String::from_utf8(kind.magic().to_vec()).expect("magic is text");
        assert!(DOCUMENT.contains(&format!("`{magic}`")), "lacks {magic}");
    }
    for name in [
        MANIFEST,
        &kept::path(6),
        CLOSING_MARK,
        &segment::path(7),
        &image::path(3),
        &format!("*{TEMPORARY_SUFFIX}"),
    ] {
        assert!(DOCUMENT.contains(&format!("  {name} ")), "lacks {name}");
    }
}
