//! An image of a block from bytes that may be anything: as they are, with the right checksum, and with the
//! right length besides. What is read is what was written, and no larger than the header allows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remora_fuzz::seal;
use remora_storage::checkpoint::image::{Image, ImageKind};
use remora_storage::pool::{Ledger, Pool};
use remora_storage::{Error, Result};
use std::sync::{Arc, LazyLock};

const BUDGET: u64 = 64 << 20;

static POOL: LazyLock<Arc<Pool>> = LazyLock::new(|| Pool::new(Ledger::new(BUDGET)));

fuzz_target!(|bytes: &[u8]| {
    let steps: [fn(&mut Vec<u8>); 3] = [|_| {}, seal::image_checksum, seal::image];
    for step in steps {
        let mut bytes = bytes.to_vec();
        step(&mut bytes);
        if let Err(error) = read(bytes) {
            let is_expected = matches!(error, Error::Corrupt { .. } | Error::OutOfMemory { .. });
            assert!(is_expected, "{error:?}");
        }
    }
});

fn read(bytes: Vec<u8>) -> Result<()> {
    let memory = Image::reserve(POOL.ledger(), bytes.len() as u64)?;
    let image = Image::check("fuzz", 0, bytes, memory)?;
    assert_eq!(image.body().len() as u64, image.header.raw);
    if image.header.kind == ImageKind::Frozen {
        let mut again = Vec::new();
        image.frozen(&POOL)?.encode(&mut again);
        assert_eq!(again, image.body());
        return Ok(());
    }
    let mut reader = image.rows()?;
    let columns = reader.columns().count();
    let mut rows = 0;
    while let Some((_, values)) = reader.next_row()? {
        assert_eq!(values.len(), columns);
        rows += 1;
    }
    assert_eq!(rows, image.header.rows);
    let live = reader.finish()?;
    assert_eq!(live.is_some(), image.header.kind == ImageKind::Delta);
    Ok(())
}
