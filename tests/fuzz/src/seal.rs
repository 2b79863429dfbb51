//! Gives bytes the lengths, places and checksums that their readers look at first. Everything else is as it
//! came.

use remora_storage::Lsn;
use remora_storage::checkpoint::image::{IMAGE_HEADER_LEN, checksum};
use remora_storage::checkpoint::list::{self, ImageRef};
use remora_storage::checkpoint::manifest::{MANIFEST_HEADER_LEN, Manifest};
use remora_storage::checkpoint::rows_file::ROWS_HEADER_LEN;
use remora_storage::format::{DatabaseId, FileKind, encode_prologue, u32_at};
use remora_storage::wal::frame::FRAME_HEADER_LEN;

/// The database that all files are of.
pub const DATABASE: DatabaseId = DatabaseId([7; 16]);

/// Makes bytes a frame that may stand at `lsn`.
pub fn frame(bytes: &mut Vec<u8>, lsn: Lsn, timeline: u32) {
    bytes.resize(bytes.len().max(FRAME_HEADER_LEN), 0);
    let length = bytes.len() as u32;
    put(bytes, 0, &length.to_le_bytes());
    put(bytes, 8, &lsn.0.to_le_bytes());
    put(bytes, 32, &timeline.to_le_bytes());
    sum_all_but_second_word(bytes);
}

/// Makes bytes a run of frames: each is as long as it says, if there is as much.
pub fn frames(bytes: &mut [u8], first: Lsn, timeline: u32) {
    let mut at = 0;
    while bytes.len() - at >= FRAME_HEADER_LEN {
        let rest = &mut bytes[at..];
        let length = (u32_at(rest, 0) as usize).clamp(FRAME_HEADER_LEN, rest.len());
        let mut one = rest[..length].to_vec();
        frame(&mut one, Lsn(first.0.wrapping_add(at as u64)), timeline);
        rest[..length].copy_from_slice(&one);
        at += length;
    }
}

/// Makes bytes an image. The length that a packed body shall have unpacked is as it came.
pub fn image(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().max(IMAGE_HEADER_LEN), 0);
    let length = bytes.len() as u64;
    put(bytes, 0, &length.to_le_bytes());
    if bytes[13] != 1 {
        let body = length - IMAGE_HEADER_LEN as u64;
        put(bytes, 44, &body.to_le_bytes());
    }
    image_checksum(bytes);
}

/// Gives an image its checksum only.
pub fn image_checksum(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().max(IMAGE_HEADER_LEN), 0);
    let (header, body) = bytes.split_at(IMAGE_HEADER_LEN);
    let crc = checksum(header, body);
    put(bytes, 8, &crc.to_le_bytes());
}

/// Makes bytes an image of the kind that older builds wrote.
pub fn old_image(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().max(ROWS_HEADER_LEN), 0);
    let length = bytes.len() as u32;
    put(bytes, 0, &length.to_le_bytes());
    sum_all_but_second_word(bytes);
}

/// The file of a manifest with that JSON, which need not be any, and that list of images.
pub fn manifest(json: &[u8], images: &[ImageRef]) -> Vec<u8> {
    let mut listed = Vec::new();
    list::encode(images, &mut listed);
    manifest_file(json, &listed)
}

/// The same with a list that need not be one.
pub fn manifest_file(json: &[u8], listed: &[u8]) -> Vec<u8> {
    let mut bytes = encode_prologue(FileKind::Manifest, DATABASE).to_vec();
    bytes.resize(MANIFEST_HEADER_LEN, 0);
    bytes.extend_from_slice(json);
    bytes.extend_from_slice(listed);
    put(&mut bytes, 36, &(json.len() as u32).to_le_bytes());
    let summed = [&bytes[..40], &bytes[44..]].concat();
    put(&mut bytes, 40, &crc32fast::hash(&summed).to_le_bytes());
    bytes
}

/// The file of a manifest, with a root if there are images.
pub fn rooted(mut manifest: Manifest) -> Vec<u8> {
    if !manifest.images.is_empty() {
        manifest.root.get_or_insert_default();
    }
    manifest.encode(DATABASE)
}

fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    bytes[at..at + what.len()].copy_from_slice(what);
}

/// The checksum of frames and old images: it stands behind their length.
fn sum_all_but_second_word(bytes: &mut [u8]) {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..4]);
    hasher.update(&bytes[8..]);
    put(bytes, 4, &hasher.finalize().to_le_bytes());
}
