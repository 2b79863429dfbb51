//! Values, as rows in log and checkpoint carry them, from bytes that may be anything: an error
//! within the bytes, or values that are written and read again alike.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remora_storage::codec::{Decoder, encode_value};

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = Decoder::new(bytes);
    while decoder.remaining() > 0 {
        let before = decoder.offset();
        match decoder.value() {
            Err(error) => {
                assert!((before..=bytes.len()).contains(&error.offset));
                return;
            }
            Ok(value) => {
                assert!(decoder.offset() > before && decoder.offset() <= bytes.len());
                let mut one = Vec::new();
                encode_value(&mut one, value);
                let mut again = Decoder::new(&one);
                let value = again.value().expect("what was written");
                again.finish().expect("all of it");
                let mut two = Vec::new();
                encode_value(&mut two, value);
                assert_eq!(one, two);
            }
        }
    }
});
