//! What is written is read back; what was never written is an error, not a panic.

use super::*;
use crate::value::{Interval, Numeric, Value, ValueRef, any_value};
use proptest::prelude::*;

fn encoded(values: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    values
        .iter()
        .for_each(|v| encode_value(&mut bytes, v.as_ref()));
    bytes
}

/// Equal to the bit, where `==` would let scales and zeros pass.
fn same(a: ValueRef<'_>, b: ValueRef<'_>) -> bool {
    match (a, b) {
        (ValueRef::Real(a), ValueRef::Real(b)) => a.to_bits() == b.to_bits(),
        (ValueRef::Double(a), ValueRef::Double(b)) => a.to_bits() == b.to_bits(),
        (ValueRef::Numeric(a), ValueRef::Numeric(b)) => {
            (a.kind(), a.mantissa(), a.scale()) == (b.kind(), b.mantissa(), b.scale())
        }
        (ValueRef::Interval(a), ValueRef::Interval(b)) => {
            (a.months, a.days, a.micros) == (b.months, b.days, b.micros)
        }
        (a, b) => a == b,
    }
}

proptest! {
    #[test]
    fn values_come_back_as_they_were(values in prop::collection::vec(any_value(), 0..20)) {
        let bytes = encoded(&values);
        let mut decoder = Decoder::new(&bytes);
        for value in &values {
            let read = decoder.value().unwrap();
            prop_assert!(same(read, value.as_ref()), "{:?} became {:?}", value, read);
        }
        prop_assert_eq!(decoder.finish(), Ok(()));
    }

    #[test]
    fn no_value_is_longer_than_its_bound(value in any_value()) {
        let bytes = encoded(std::slice::from_ref(&value));
        prop_assert!(bytes.len() <= value_bytes_max(value.as_ref()));
    }

    #[test]
    fn a_cut_is_an_error_within_the_bytes(value in any_value(), cut in any::<prop::sample::Index>()) {
        let bytes = encoded(&[value]);
        let bytes = &bytes[..cut.index(bytes.len())];
        let error = Decoder::new(bytes).value().unwrap_err();
        prop_assert!(error.offset <= bytes.len());
    }

    #[test]
    fn any_bytes_are_values_or_errors(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut decoder = Decoder::new(&bytes);
        while decoder.remaining() > 0 {
            let before = decoder.offset();
            match decoder.value() {
                Ok(_) => prop_assert!(decoder.offset() > before),
                Err(error) => {
                    prop_assert!((before..=bytes.len()).contains(&error.offset));
                    break;
                }
            }
        }
    }

    #[test]
    fn a_flipped_bit_never_panics(
        values in prop::collection::vec(any_value(), 1..5),
        at in any::<prop::sample::Index>(),
        bit in 0..8,
    ) {
        let mut bytes = encoded(&values);
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let mut decoder = Decoder::new(&bytes);
        while decoder.remaining() > 0 && decoder.value().is_ok() {}
    }

    #[test]
    fn numbers_come_back(n in any::<u64>(), shift in 0..64_u32) {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, n >> shift);
        put_signed(&mut bytes, n as i64 >> shift);
        let mut decoder = Decoder::new(&bytes);
        prop_assert_eq!(decoder.varint(), Ok(n >> shift));
        prop_assert_eq!(decoder.signed(), Ok(n as i64 >> shift));
        prop_assert_eq!(decoder.finish(), Ok(()));
    }
}

#[test]
fn a_hostile_length_takes_no_memory() {
    let mut bytes = vec![Tag::Text as u8];
    put_varint(&mut bytes, u64::MAX);
    bytes.extend(b"abc");
    let error = Decoder::new(&bytes).value().unwrap_err();
    assert_eq!(error.offset, 1);
    assert_eq!(error.found, format!("{} with 3 bytes left", u64::MAX));

    let mut bytes = Vec::new();
    put_varint(&mut bytes, 3);
    bytes.extend([0; 23]);
    assert!(Decoder::new(&bytes).count(8).is_err(), "three times eight");
    assert_eq!(Decoder::new(&bytes).count(7), Ok(3));
}

#[test]
fn what_no_value_can_be_is_refused_with_its_place() {
    let refused = |bytes: &[u8]| Decoder::new(bytes).value().unwrap_err();
    assert_eq!(refused(&[200]).expected, "a value's tag");
    assert_eq!(refused(&[12, 3, b'a', 0xFF, b'c']).offset, 3, "not UTF-8");
    assert_eq!(
        refused(&[8, 39, 2]).expected,
        "a numeric of at most 38 places"
    );
    assert_eq!(refused(&[3, 0x80, 0x80, 0x80, 1]).expected, "a SMALLINT");
    let endless = [&[8, 0][..], &[0xFF; 30]].concat();
    assert_eq!(refused(&endless).found, "more than 128 bits");
    let mut interval = vec![Tag::Interval as u8];
    put_signed(&mut interval, i64::MIN);
    assert_eq!(refused(&interval).expected, "an interval's months");
    let trailing = Decoder::new(&[1, 2]).finish().unwrap_err();
    assert_eq!(trailing.found, "2 more bytes");
}

/// The bytes are a format: these may never change.
#[test]
fn the_bytes_of_values_are_fixed() {
    let bytes = |value: ValueRef<'_>| {
        let mut out = Vec::new();
        encode_value(&mut out, value);
        out
    };
    assert_eq!(bytes(ValueRef::Null), [0]);
    assert_eq!(bytes(ValueRef::Boolean(true)), [2]);
    assert_eq!(bytes(ValueRef::SmallInt(-1)), [3, 1]);
    assert_eq!(bytes(ValueRef::Integer(64)), [4, 0x80, 1]);
    assert_eq!(bytes(ValueRef::BigInt(-64)), [5, 0x7F]);
    assert_eq!(bytes(ValueRef::Real(1.0)), [6, 0, 0, 0x80, 0x3F]);
    assert_eq!(
        bytes(ValueRef::Double(-2.0)),
        [7, 0, 0, 0, 0, 0, 0, 0, 0xC0]
    );
    let numeric = Numeric::new(-150, 2).unwrap();
    assert_eq!(bytes(ValueRef::Numeric(numeric)), [8, 2, 0xAB, 2]);
    assert_eq!(bytes(ValueRef::Numeric(Numeric::NAN)), [9]);
    assert_eq!(bytes(ValueRef::Numeric(Numeric::INFINITY)), [10]);
    assert_eq!(bytes(ValueRef::Numeric(Numeric::NEG_INFINITY)), [11]);
    assert_eq!(bytes(ValueRef::Text("é")), [12, 2, 0xC3, 0xA9]);
    assert_eq!(bytes(ValueRef::Bytea(&[0])), [13, 1, 0]);
    assert_eq!(bytes(ValueRef::Date(1)), [14, 2]);
    assert_eq!(bytes(ValueRef::Time(1)), [15, 2]);
    assert_eq!(bytes(ValueRef::Timestamp(1)), [16, 1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        bytes(ValueRef::TimestampTz(-1)),
        [17, 255, 255, 255, 255, 255, 255, 255, 255]
    );
    let interval = Interval {
        months: 1,
        days: -1,
        micros: 2,
    };
    assert_eq!(bytes(ValueRef::Interval(interval)), [18, 2, 1, 4]);
    assert_eq!(
        bytes(ValueRef::Uuid([7; 16])),
        [[19].as_slice(), &[7; 16]].concat()
    );
}
