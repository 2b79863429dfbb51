//! A small directory as one piece of bytes that a fuzzer can change without breaking it.
//!
//! ```text
//!   | kind | length | bytes | kind | length | bytes | ...      kind: 1 byte, length: 2 bytes
//!
//!   manifest   JSON
//!   kept       number (1) | JSON                       MANIFEST.number
//!   image      file (1) | rows (4) | image             goes to the end of that data file
//!   old image  image                                   goes to the end of the manifest's image file
//!   segment    number (8) | first lsn (8) | timeline (4)
//!   frame      frame                                   goes to the end of the last segment
//!   tail       anything                                likewise
//!   closed     lsn (8) | timeline (4)
//! ```
//!
//! What says where something stands, how long it is and what its checksum is, is made up when the directory is
//! put together: the list of images and the root, the chain of the frames. The rest is as it came.

use crate::seal::{self, DATABASE};
use remora_storage::checkpoint::image::{self, IMAGE_HEADER_LEN, ImageHeader};
use remora_storage::checkpoint::kept;
use remora_storage::checkpoint::list::ImageRef;
use remora_storage::checkpoint::manifest::{ImageFile, MANIFEST, MANIFEST_HEADER_LEN, Manifest};
use remora_storage::checkpoint::rows_file::ROWS_HEADER_LEN;
use remora_storage::disk::{Disk, SimDisk};
use remora_storage::format::{FileKind, PROLOGUE_LEN, encode_prologue, read_file, u32_at, u64_at};
use remora_storage::wal::segment::{self, SEGMENT_HEADER_LEN, SegmentHeader};
use remora_storage::wal::{Next, SegmentReader, closing};
use remora_storage::{Lsn, Result};
use std::collections::BTreeMap;

/// What a part is; the numbers are those in the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Manifest,
    Kept,
    Image,
    OldImage,
    Segment,
    Frame,
    Tail,
    Closed,
}

const KINDS: [Kind; 8] = [
    Kind::Manifest,
    Kind::Kept,
    Kind::Image,
    Kind::OldImage,
    Kind::Segment,
    Kind::Frame,
    Kind::Tail,
    Kind::Closed,
];

/// Files of which parts become more.
#[derive(Default)]
struct Files {
    images: Vec<ImageRef>,
    data: BTreeMap<u64, Vec<u8>>,
    old: Vec<u8>,
    segments: Vec<(SegmentHeader, Vec<u8>)>,
}

/// Puts a directory together. Whatever the bytes are, there is one.
///
/// # Errors
/// None that a disk in memory has not.
pub fn directory(bytes: &[u8]) -> Result<SimDisk> {
    let disk = SimDisk::new();
    for folder in [image::FOLDER, segment::FOLDER] {
        disk.create_folder(folder)?;
    }
    let parts = split(bytes);
    let mut files = Files::default();
    for (kind, part) in &parts {
        files.add(*kind, part);
    }
    files.images.sort_by_key(ImageRef::place);
    for (kind, part) in &parts {
        match kind {
            Kind::Manifest => write(&disk, MANIFEST, &files.manifest(part))?,
            Kind::Kept => {
                let (number, json) = cut::<1>(part);
                let path = kept::path(number[0].into());
                write(&disk, &path, &files.manifest(json))?;
            }
            Kind::Closed => {
                let (fields, _) = cut::<12>(part);
                let (timeline, lsn) = (u32_at(&fields, 8), Lsn(u64_at(&fields, 0)));
                closing::write(&disk, DATABASE, timeline, lsn)?;
            }
            _ => {}
        }
    }
    for (number, bytes) in &files.data {
        write(&disk, &image::path(*number), bytes)?;
    }
    for (header, frames) in &files.segments {
        let bytes = [&header.encode()[..], frames].concat();
        write(&disk, &segment::path(header.number), &bytes)?;
    }
    if let Some(file) = files.old_image(&parts) {
        write(&disk, &image::path(file.number), &files.old)?;
    }
    Ok(disk)
}

impl Files {
    fn add(&mut self, kind: Kind, part: &[u8]) {
        match kind {
            Kind::Image => self.add_image(part),
            Kind::OldImage => {
                let mut image = part.to_vec();
                seal::old_image(&mut image);
                if self.old.is_empty() {
                    self.old = encode_prologue(FileKind::Image, DATABASE).to_vec();
                }
                self.old.extend_from_slice(&image);
            }
            Kind::Segment => self.segments.push((header_of(part), Vec::new())),
            Kind::Frame => {
                let Some((header, frames)) = self.segments.last_mut() else {
                    return;
                };
                let lsn = Lsn(header.first.0.wrapping_add(frames.len() as u64));
                let mut frame = part.to_vec();
                seal::frame(&mut frame, lsn, header.timeline);
                frames.extend_from_slice(&frame);
            }
            Kind::Tail => {
                if let Some((_, frames)) = self.segments.last_mut() {
                    frames.extend_from_slice(part);
                }
            }
            Kind::Manifest | Kind::Kept | Kind::Closed => {}
        }
    }

    /// An image in a data file, and in the list, which says the same of it.
    fn add_image(&mut self, part: &[u8]) {
        let (fields, image) = cut::<5>(part);
        let mut image = image.to_vec();
        seal::image(&mut image);
        let first = image.first_chunk::<IMAGE_HEADER_LEN>();
        let header = ImageHeader::decode("", 0, first.expect("a sealed image has a header"));
        // Nobody could list one of no kind.
        let Ok(header) = header else { return };
        let file = u64::from(fields[0]);
        let prologue = || encode_prologue(FileKind::Image, DATABASE).to_vec();
        let data = self.data.entry(file).or_insert_with(prologue);
        self.images.push(ImageRef {
            table: header.table,
            block: header.block,
            kind: header.kind,
            file,
            offset: data.len() as u64,
            length: image.len() as u64,
            rows: u32_at(&fields, 1),
            timestamp: header.timestamp,
            crc: u32_at(&image, 8),
            hash: blake3::hash(&image).into(),
        });
        data.extend_from_slice(&image);
    }

    /// The file of a manifest with this JSON, and the images up to its timestamp.
    fn manifest(&self, json: &[u8]) -> Vec<u8> {
        let Ok(mut manifest) = serde_json::from_slice::<Manifest>(json) else {
            return seal::manifest(json, &self.images);
        };
        let images = self.images.iter();
        let until = manifest.timestamp;
        let images = images.filter(|image| image.timestamp <= until);
        manifest.images = images.copied().collect();
        if let Some(file) = &mut manifest.image {
            file.bytes = self.old.len() as u64;
            file.crc = crc32fast::hash(&self.old);
        }
        seal::rooted(manifest)
    }

    /// Where the images of the old kind go.
    fn old_image(&self, parts: &[(Kind, &[u8])]) -> Option<ImageFile> {
        let mut manifests = parts.iter().filter(|(kind, _)| *kind == Kind::Manifest);
        let manifest = serde_json::from_slice::<Manifest>(manifests.next()?.1);
        manifest.ok()?.image.filter(|_| !self.old.is_empty())
    }
}

/// The same parts with another manifest and other segments, for numbers that a fuzzer would be long in finding.
pub fn changed(
    bytes: &[u8],
    manifest: impl Fn(&mut Manifest),
    segment: impl Fn(&mut SegmentHeader),
) -> Vec<u8> {
    let mut parts = Vec::new();
    for (kind, part) in split(bytes) {
        match kind {
            Kind::Manifest => {
                let mut read = serde_json::from_slice(part).expect("a manifest of a seed");
                manifest(&mut read);
                let json = serde_json::to_vec(&read).expect("plain data");
                push(&mut parts, kind, &[&json]);
            }
            Kind::Segment => {
                let mut header = header_of(part);
                segment(&mut header);
                push(&mut parts, kind, &[&fields_of(&header)]);
            }
            _ => push(&mut parts, kind, &[part]),
        }
    }
    parts
}

fn header_of(part: &[u8]) -> SegmentHeader {
    let (fields, _) = cut::<20>(part);
    SegmentHeader {
        database: DATABASE,
        number: u64_at(&fields, 0),
        first: Lsn(u64_at(&fields, 8)),
        timeline: u32_at(&fields, 16),
    }
}

fn fields_of(header: &SegmentHeader) -> Vec<u8> {
    let (number, first) = (header.number.to_le_bytes(), header.first.0.to_le_bytes());
    [&number[..], &first, &header.timeline.to_le_bytes()].concat()
}

/// Takes a directory apart, so that [`directory`] can put it together again.
///
/// # Errors
/// `Corrupt`, `Io`: only whole directories can be taken apart.
pub fn of(disk: &dyn Disk) -> Result<Vec<u8>> {
    let mut parts = Vec::new();
    let (manifest, database) = Manifest::read(disk, MANIFEST)?;
    push(&mut parts, Kind::Manifest, &[&json_of(disk, MANIFEST)?]);
    for path in kept::paths(disk)? {
        let number = kept::number_of(&path).expect("the path of a kept manifest") as u8;
        push(&mut parts, Kind::Kept, &[&[number], &json_of(disk, &path)?]);
    }
    for one in &manifest.images {
        let mut bytes = vec![0; one.length as usize];
        let file = disk.open(&image::path(one.file))?;
        file.read_at(one.offset, &mut bytes)?;
        let rows = one.rows.to_le_bytes();
        push(&mut parts, Kind::Image, &[&[one.file as u8], &rows, &bytes]);
    }
    if let Some(file) = &manifest.image {
        let bytes = read_file(disk, &image::path(file.number), file.bytes)?;
        let mut rest = &bytes[PROLOGUE_LEN..];
        while rest.len() >= ROWS_HEADER_LEN {
            let (one, behind) = rest.split_at(u32_at(rest, 0) as usize);
            push(&mut parts, Kind::OldImage, &[one]);
            rest = behind;
        }
    }
    for name in disk.list(segment::FOLDER)? {
        if let Some(number) = segment::number_of(&name) {
            take_segment(disk, number, &mut parts)?;
        }
    }
    if let Some(lsn) = closing::read(disk, database, manifest.timeline)? {
        let timeline = manifest.timeline.to_le_bytes();
        push(&mut parts, Kind::Closed, &[&lsn.0.to_le_bytes(), &timeline]);
    }
    Ok(parts)
}

fn take_segment(disk: &dyn Disk, number: u64, parts: &mut Vec<u8>) -> Result<()> {
    let mut reader = SegmentReader::open(disk, number)?;
    let bytes = read_file(disk, &segment::path(number), reader.length())?;
    push(parts, Kind::Segment, &[&fields_of(reader.header())]);
    let mut at = SEGMENT_HEADER_LEN;
    while let Next::Frame(..) = reader.advance()? {
        let end = reader.offset() as usize;
        push(parts, Kind::Frame, &[&bytes[at..end]]);
        at = end;
    }
    Ok(())
}

fn json_of(disk: &dyn Disk, path: &str) -> Result<Vec<u8>> {
    let bytes = read_file(disk, path, u64::from(u32::MAX))?;
    let length = u32_at(&bytes, 36) as usize;
    Ok(bytes[MANIFEST_HEADER_LEN..MANIFEST_HEADER_LEN + length].to_vec())
}

fn push(parts: &mut Vec<u8>, kind: Kind, part: &[&[u8]]) {
    let part = part.concat();
    let length = u16::try_from(part.len()).expect("parts of seeds are small");
    parts.push(kind as u8);
    parts.extend_from_slice(&length.to_le_bytes());
    parts.extend_from_slice(&part);
}

/// The parts; a length that is too long ends with the bytes.
fn split(mut bytes: &[u8]) -> Vec<(Kind, &[u8])> {
    let mut parts = Vec::new();
    while let Some((&[kind, low, high], rest)) = bytes.split_first_chunk::<3>() {
        let length = usize::from(u16::from_le_bytes([low, high]));
        let (part, behind) = rest.split_at(length.min(rest.len()));
        parts.push((KINDS[usize::from(kind) % KINDS.len()], part));
        bytes = behind;
    }
    parts
}

/// The first bytes of a part, zeros where there are too few, and the others.
fn cut<const LENGTH: usize>(part: &[u8]) -> ([u8; LENGTH], &[u8]) {
    let (fields, rest) = part.split_at(LENGTH.min(part.len()));
    let mut array = [0; LENGTH];
    array[..fields.len()].copy_from_slice(fields);
    (array, rest)
}

fn write(disk: &SimDisk, path: &str, bytes: &[u8]) -> Result<()> {
    let file = disk.create(path)?;
    file.write_at(0, bytes)?;
    file.sync()
}
