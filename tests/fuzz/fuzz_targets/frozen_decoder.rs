//! Frozen blocks from bytes that may be anything: an error, or a block all of whose values can be
//! read, alike one by one and as arrays, and that is written as the bytes it was read from.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remora_storage::ValueRef;
use remora_storage::block::Frozen;
use remora_storage::block::frozen::VECTOR;
use remora_storage::codec::encode_value;
use remora_storage::pool::{Ledger, Pool};
use remora_storage::value::{ColumnBounds, value_at};
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, LazyLock};

static POOL: LazyLock<Arc<Pool>> = LazyLock::new(|| Pool::new(Ledger::new(1 << 30)));

fuzz_target!(|bytes: &[u8]| {
    let Ok(frozen) = Frozen::decode(&POOL, bytes, Path::new("fuzz"), 0) else {
        return;
    };
    let mut again = Vec::new();
    frozen.encode(&mut again);
    assert_eq!(again, bytes);
    let mut scratch = Vec::new();
    let rows = frozen.rows() as u32;
    let columns: Vec<_> = frozen.columns().collect();
    for (column, data_type) in columns {
        let array = frozen.array(column, data_type, 0..rows);
        array.to_data().validate_full().expect("a valid array");
        let mut last = None;
        for row in 0..rows {
            let one = frozen.value(column, row, &mut scratch);
            assert_eq!(bits(one), bits(value_at(&array, data_type, row as usize)));
            last = (!one.is_null()).then(|| (row, one.to_owned())).or(last);
        }
        // What is there is found.
        let Some((row, value)) = last else { continue };
        let point = [ColumnBounds {
            column,
            low: Bound::Included(value.clone()),
            high: Bound::Included(value),
        }];
        let filter = frozen.filter(&point).expect("a block that holds the value");
        let (vector, row) = (row as usize / VECTOR, row as usize % VECTOR);
        assert!(filter.mask(vector).contains(row), "{column}");
    }
});

fn bits(value: ValueRef<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_value(&mut bytes, value);
    bytes
}
