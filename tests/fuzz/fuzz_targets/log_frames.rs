//! A segment of the log from bytes that may be anything, once as they are and once with the lengths, places
//! and checksums that frames must have: an end, a flaw, or frames whose operations are read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remora_fuzz::seal::{self, DATABASE};
use remora_storage::{Error, Lsn};
use remora_storage::codec::Decoder;
use remora_storage::disk::{Disk, SimDisk};
use remora_storage::wal::segment::{self, SegmentHeader};
use remora_storage::wal::{Next, Operation, SegmentReader};

const HEADER: SegmentHeader = SegmentHeader {
    database: DATABASE,
    number: 1,
    first: Lsn(1 << 20),
    timeline: 1,
};

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    let mut frames = bytes.to_vec();
    seal::frames(&mut frames, HEADER.first, HEADER.timeline);
    read(&frames);
});

fn read(frames: &[u8]) {
    let mut reader = segment(frames);
    let mut position = reader.position();
    loop {
        let (header, body) = match reader.advance() {
            Ok(Next::Frame(header, body)) => (header, body),
            Ok(Next::End | Next::Flaw(_)) => break,
            // What is said to be packed and is not, although its checksum is right.
            Err(Error::Corrupt { .. }) => break,
            Err(error) => panic!("a disk that works: {error}"),
        };
        operations(body, header.operations);
        assert!(reader.position() > position && reader.offset() <= reader.length());
        position = reader.position();
    }
    // Looks behind all that is no frame.
    reader.has_frames().expect("a disk that works");
    assert_eq!(reader.position(), position);
}

fn segment(frames: &[u8]) -> SegmentReader {
    let disk = SimDisk::new();
    disk.create_folder(segment::FOLDER).expect("a folder");
    let file = disk.create(&segment::path(HEADER.number)).expect("a file");
    let bytes = [&HEADER.encode()[..], frames].concat();
    file.write_at(0, &bytes).expect("room");
    SegmentReader::open(&disk, HEADER.number).expect("a whole header")
}

fn operations(body: &[u8], count: u32) {
    let (mut decoder, mut values) = (Decoder::new(body), Vec::new());
    for _ in 0..count {
        let before = decoder.offset();
        match Operation::decode(&mut decoder, &mut values) {
            Ok(_) => assert!(decoder.offset() > before && decoder.offset() <= body.len()),
            Err(error) => return assert!((before..=body.len()).contains(&error.offset)),
        }
    }
}
