//! Operands: one value for all rows is in memory once.

use crate::function::Operand;
use arrow_array::Array;
use arrow_array::cast::AsArray;
use remora_storage::value::value_at;
use remora_storage::{DataType, Value};

#[test]
fn a_long_value_is_in_memory_once() {
    let long = "long enough to lie apart".to_owned();
    for (value, data_type) in [
        (Value::Text(long.clone()), DataType::Text),
        (Value::Text("short".to_owned()), DataType::Text),
        (Value::Bytea(long.into_bytes()), DataType::Bytea),
        (Value::Bytea(Vec::new()), DataType::Bytea),
        (Value::Integer(7), DataType::Integer),
        (Value::Null, DataType::Text),
    ] {
        for rows in [0, 1, 5000] {
            let array = Operand::Scalar(value.clone()).into_array(data_type, rows);
            assert_eq!(array.len(), rows);
            assert!((0..rows).all(|row| value_at(&array, data_type, row) == value.as_ref()));
            if let Some(texts) = array.as_string_view_opt() {
                let bytes: usize = texts.data_buffers().iter().map(|buffer| buffer.len()).sum();
                assert!(bytes <= 24);
            }
        }
    }
}
