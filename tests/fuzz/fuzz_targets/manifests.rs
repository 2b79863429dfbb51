//! A manifest and its list of images from bytes that may be anything: as they are, with the right checksum, and
//! with the right root besides. What is read can be listed, and is written as what it was read from.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remora_fuzz::seal;
use remora_storage::Error;
use remora_storage::checkpoint::kept;
use remora_storage::checkpoint::list;
use remora_storage::checkpoint::manifest::{MANIFEST, MANIFEST_HEADER_LEN, Manifest};
use remora_storage::disk::{Disk, SimDisk};
use remora_storage::format::u32_at;

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    let Some(body) = bytes.get(MANIFEST_HEADER_LEN..) else {
        return;
    };
    let length = u32_at(bytes, MANIFEST_HEADER_LEN - 8) as usize;
    let (json, listed) = body.split_at(length.min(body.len()));
    read(&seal::manifest_file(json, listed));
    if let (Ok(mut manifest), Ok(images)) = (
        serde_json::from_slice::<Manifest>(json),
        list::decode(listed),
    ) {
        manifest.images = images;
        read(&seal::rooted(manifest));
    }
});

fn read(bytes: &[u8]) {
    let (manifest, database) = match Manifest::decode(MANIFEST, bytes) {
        Ok(read) => read,
        Err(error) => {
            let is_expected = matches!(
                error,
                Error::Corrupt { .. }
                    | Error::UnsupportedFormat { .. }
                    | Error::UnsupportedFeatures { .. }
            );
            return assert!(is_expected, "{error:?}");
        }
    };
    let written = manifest.encode(database);
    let (again, _) = Manifest::decode(MANIFEST, &written).expect("what was written");
    assert_eq!(again, manifest);
    let disk = SimDisk::new();
    let file = disk.create(MANIFEST).expect("a file");
    file.write_at(0, bytes).expect("room");
    let kept = kept::list(&disk).expect("a list");
    assert_eq!(kept.checkpoints[0].number, manifest.number());
    assert!(manifest.files().len() <= manifest.images.len() + 1);
    kept::find(&disk, manifest.number()).expect("what is listed");
    kept::install_manifest(&disk, &manifest, database).expect("a disk that works");
    kept::forget(&disk, 0).expect("a disk that works");
    assert_eq!(
        Manifest::read(&disk, MANIFEST).expect("the manifest"),
        (again, database)
    );
}
