//! The list of a checkpoint's images, and the root over it.
//!
//! ```text
//!   behind the JSON of a manifest
//!   | count | table block kind file offset length rows timestamp | crc32 | hash | ...
//!   | varint  varints (kind: one byte)                           | 4     | 32   |
//! ```
//!
//! Images are in order of table and block; those of one block in the order in which they are applied.
//! `hash` is BLAKE3 of all bytes of the image. The *root* is the root of a Merkle tree whose leaves are
//! the definitions and, one after the other, the images: what they are of and their hashes, but not where
//! they stand. So two databases have the same root if their definitions and images are the same, whatever
//! files these are in.
//!
//! ```text
//!   leaf    BLAKE3(0 | definitions as JSON)     BLAKE3(1 | table | block | place | kind | hash)
//!   node    BLAKE3(2 | left | right); a node without a partner goes up as it is
//! ```

use super::image::ImageKind;
use crate::codec::{DecodeError, Decoder, put_varint};
use crate::ids::{BlockNo, TableId, Timestamp};

/// Bytes of a hash.
pub const HASH_LEN: usize = 32;
/// The fewest bytes of an entry.
const ENTRY_BYTES_MIN: usize = 8 + 4 + HASH_LEN;

/// An image that a checkpoint consists of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImageRef {
    /// The table.
    pub table: TableId,
    /// The block.
    pub block: BlockNo,
    /// What it is.
    pub kind: ImageKind,
    /// The number of its file.
    pub file: u64,
    /// Where it begins there.
    pub offset: u64,
    /// Its bytes.
    pub length: u64,
    /// Rows that the block has with the images up to this one. Of several that make one set, the last
    /// one says so.
    pub rows: u32,
    /// When it was written.
    pub timestamp: Timestamp,
    /// Its checksum.
    pub crc: u32,
    /// The strong one.
    pub hash: [u8; HASH_LEN],
}

impl ImageRef {
    /// What it is of.
    pub fn place(&self) -> (TableId, BlockNo) {
        (self.table, self.block)
    }
}

/// The images of each block, one block after the other.
pub fn by_block(images: &[ImageRef]) -> impl Iterator<Item = &[ImageRef]> {
    images.chunk_by(|one, next| one.place() == next.place())
}

/// The rows that all blocks have.
pub fn rows_of(images: &[ImageRef]) -> u64 {
    let last = by_block(images).filter_map(<[_]>::last);
    last.map(|image| u64::from(image.rows)).sum()
}

/// Appends a list; nothing where it is empty.
///
/// # Panics
/// When the images are not in order: nobody could read the list.
pub fn encode(images: &[ImageRef], out: &mut Vec<u8>) {
    assert!(images.is_sorted_by_key(ImageRef::place), "images in order");
    if images.is_empty() {
        return;
    }
    put_varint(out, images.len() as u64);
    for image in images {
        put_varint(out, image.table.0.into());
        put_varint(out, image.block.0.into());
        out.push(image.kind as u8);
        put_varint(out, image.file);
        put_varint(out, image.offset);
        put_varint(out, image.length);
        put_varint(out, image.rows.into());
        put_varint(out, image.timestamp.0);
        out.extend_from_slice(&image.crc.to_le_bytes());
        out.extend_from_slice(&image.hash);
    }
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// Where it is something else, or not in order.
pub fn decode(bytes: &[u8]) -> Result<Vec<ImageRef>, DecodeError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut decoder = Decoder::new(bytes);
    let count = decoder.count(ENTRY_BYTES_MIN)?;
    let mut images: Vec<ImageRef> = Vec::with_capacity(count);
    for _ in 0..count {
        let offset = decoder.offset();
        let image = decode_one(&mut decoder)?;
        if images
            .last()
            .is_some_and(|last| last.place() > image.place())
        {
            return Err(DecodeError {
                offset,
                expected: "images in order of table and block",
                found: format!("block {} of table {}", image.block, image.table),
            });
        }
        images.push(image);
    }
    decoder.finish()?;
    Ok(images)
}

fn decode_one(decoder: &mut Decoder<'_>) -> Result<ImageRef, DecodeError> {
    let table = TableId(narrow(decoder, "a table")?);
    let block = BlockNo(narrow(decoder, "a block")?);
    let offset = decoder.offset();
    let byte = decoder.u8()?;
    let kind = ImageKind::from_byte(byte).ok_or_else(|| DecodeError {
        offset,
        expected: "a kind of image",
        found: byte.to_string(),
    })?;
    let mut image = ImageRef {
        table,
        block,
        kind,
        file: decoder.varint()?,
        offset: decoder.varint()?,
        length: decoder.varint()?,
        rows: narrow(decoder, "a number of rows")?,
        timestamp: Timestamp(decoder.varint()?),
        crc: decoder.u32()?,
        hash: [0; HASH_LEN],
    };
    image.hash.copy_from_slice(decoder.take(HASH_LEN)?);
    Ok(image)
}

fn narrow(decoder: &mut Decoder<'_>, expected: &'static str) -> Result<u32, DecodeError> {
    let offset = decoder.offset();
    let number = decoder.varint()?;
    u32::try_from(number).map_err(|_| DecodeError {
        offset,
        expected,
        found: number.to_string(),
    })
}

/// The root over definitions and images.
pub fn root(definitions: &[u8], images: &[ImageRef]) -> [u8; HASH_LEN] {
    let mut level = vec![hash(0, &[definitions])];
    for block in by_block(images) {
        for (place, image) in block.iter().enumerate() {
            let numbers = [
                image.table.0,
                image.block.0,
                place as u32,
                image.kind as u32,
            ];
            let numbers = numbers.map(u32::to_le_bytes).concat();
            level.push(hash(1, &[&numbers, &image.hash]));
        }
    }
    while level.len() > 1 {
        let pairs = level.chunks(2);
        let node = |pair: &[[u8; HASH_LEN]]| match pair {
            [left, right] => hash(2, &[left, right]),
            alone => alone[0],
        };
        level = pairs.map(node).collect();
    }
    level[0]
}

fn hash(domain: u8, parts: &[&[u8]]) -> [u8; HASH_LEN] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[domain]);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(table: u32, block: u32, seed: u8) -> ImageRef {
        ImageRef {
            table: TableId(table),
            block: BlockNo(block),
            kind: ImageKind::ALL[usize::from(seed) % 3],
            file: 7 + u64::from(seed),
            offset: 1 << 33,
            length: 1 << 20,
            rows: 16_000,
            timestamp: Timestamp(1 << 40),
            crc: 0xDEAD_BEEF,
            hash: [seed; HASH_LEN],
        }
    }

    #[test]
    fn a_list_comes_back_and_every_cut_is_noticed() {
        let images = [
            image(1, 0, 1),
            image(1, 0, 2),
            image(1, 70_000, 3),
            image(9, 2, 4),
        ];
        let mut bytes = Vec::new();
        encode(&images, &mut bytes);
        assert!(bytes.len() < 70 * images.len(), "{} bytes", bytes.len());
        assert_eq!(decode(&bytes).expect("a list"), images);
        for cut in 1..bytes.len() {
            decode(&bytes[..cut]).expect_err("a cut");
        }
        let one = |image: &ImageRef| {
            let mut bytes = Vec::new();
            encode(std::slice::from_ref(image), &mut bytes);
            bytes.split_off(1)
        };
        let turned = [vec![2], one(&images[3]), one(&images[0])].concat();
        decode(&turned).expect_err("out of order");
        assert_eq!(decode(&[]), Ok(Vec::new()));
        decode(&[0xFF, 0xFF, 0xFF, 0xFF, 0x0F]).expect_err("as many as that");
    }

    #[test]
    fn the_root_changes_with_everything_but_the_place_in_files() {
        let images: Vec<_> = (0..7).map(|at| image(1, at, at as u8)).collect();
        let root_of = |images: &[ImageRef]| root(b"{}", images);
        let good = root_of(&images);
        assert_ne!(good, root(b"[]", &images));
        for at in 0..images.len() {
            let mut other = images.clone();
            other.remove(at);
            assert_ne!(root_of(&other), good, "without image {at}");
            let changes: [fn(&mut ImageRef); 4] = [
                |image| image.hash[31] ^= 1,
                |image| image.block.0 += 100,
                |image| image.table.0 += 1,
                |image| image.kind = ImageKind::ALL[image.kind as usize % 3],
            ];
            for change in changes {
                let mut other = images.clone();
                change(&mut other[at]);
                assert_ne!(root_of(&other), good, "image {at}");
            }
            let mut moved = images.clone();
            (moved[at].file, moved[at].offset) = (1, 36);
            assert_eq!(root_of(&moved), good);
        }
    }
}
