//! Comparing key bytes is comparing values, for every type, direction and place of NULL.

use super::*;
use crate::value::{DataType, TYPES, Value, any_value_of};
use proptest::prelude::*;
use std::cmp::Ordering;

fn key(columns: &[KeyColumn], values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_key(&mut out, columns, values.iter().map(Value::as_ref));
    out
}

/// Bytes of a column end where those of the next begin, but for types with parts.
#[test]
fn a_column_ends_where_the_next_begins() {
    let column = |descending| KeyColumn {
        descending,
        nulls_first: false,
    };
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for (data_type, descending) in TYPES.iter().flat_map(|t| [(*t, false), (*t, true)]) {
        let values = (any_value_of(data_type), any_value_of(data_type));
        let test = |(one, other): (Value, Value)| {
            let alone = key(&[column(descending)], std::slice::from_ref(&one));
            let both = key(&[column(descending); 2], &[one, other]);
            let found = column_len(&both, column(descending), data_type);
            let known = !matches!(data_type, DataType::Packed(_)) || alone.len() == 1;
            prop_assert_eq!(found, known.then_some(alone.len()));
            Ok(())
        };
        runner.run(&values, test).unwrap();
    }
}

/// The order that the key promises, told by comparing values.
fn order(columns: &[KeyColumn], a: &[Value], b: &[Value]) -> Ordering {
    let column_order = |((column, a), b): ((&KeyColumn, &Value), &Value)| {
        let nulls = match column.nulls_first {
            true => b.is_null().cmp(&a.is_null()),
            false => a.is_null().cmp(&b.is_null()),
        };
        if a.is_null() || b.is_null() {
            return nulls;
        }
        let values = a.as_ref().compare(b.as_ref()).unwrap();
        match column.descending {
            true => values.reverse(),
            false => values,
        }
    };
    let columns = columns.iter().zip(a).zip(b);
    columns
        .map(column_order)
        .find(|o| o.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Columns of some types, and three rows of them that often share their first values.
fn rows() -> impl Strategy<Value = (Vec<KeyColumn>, [Vec<Value>; 3])> {
    let column = (
        prop::sample::select(TYPES.as_slice()),
        any::<bool>(),
        any::<bool>(),
    );
    prop::collection::vec(column, 1..4).prop_flat_map(|columns| {
        let types: Vec<DataType> = columns.iter().map(|c| c.0).collect();
        let columns: Vec<_> = columns
            .into_iter()
            .map(|(_, descending, nulls_first)| KeyColumn {
                descending,
                nulls_first,
            })
            .collect();
        let row = || types.iter().map(|&t| any_value_of(t)).collect::<Vec<_>>();
        let shared = 0..=types.len();
        (Just(columns), row(), row(), row(), shared).prop_map(|(columns, a, mut b, c, shared)| {
            b[..shared].clone_from_slice(&a[..shared]);
            (columns, [a, b, c])
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn bytes_order_as_values((columns, [a, b, c]) in rows()) {
        for (x, y) in [(&a, &b), (&b, &c), (&a, &c), (&a, &a)] {
            let bytes = key(&columns, x).cmp(&key(&columns, y));
            prop_assert_eq!(bytes, order(&columns, x, y), "{:?} {:?}", x, y);
            let begins = key(&columns, x).starts_with(&key(&columns, y));
            prop_assert_eq!(begins, bytes.is_eq(), "no key is a prefix of {:?}", x);
        }
    }

    /// The comparison that writes no key agrees with the one that does, where it says anything.
    #[test]
    fn words_are_told_from_keys_without_writing_them((columns, [a, b, c]) in rows()) {
        for row in [&a, &b, &c] {
            for count in 1..=columns.len() {
                let (columns, written) = (&columns[..count], key(&columns[..count], &row[..count]));
                for other in [&a, &b, &c] {
                    let values = other[..count].iter().map(Value::as_ref);
                    let same = is_key_of_words(&written, columns.iter().copied().zip(values));
                    let is_same = written == key(columns, &other[..count]);
                    prop_assert!(same.is_none_or(|same| same == is_same));
                }
            }
        }
    }

    #[test]
    fn an_integer_comes_back_from_its_key(
        value in prop_oneof![any::<i64>(), Just(i64::MIN), Just(-1), Just(0), Just(i64::MAX)],
        descending in any::<bool>(),
        nulls_first in any::<bool>(),
    ) {
        let column = KeyColumn { descending, nulls_first };
        let back = |value: Value| int_of_key(&key(&[column], &[value]), column);
        prop_assert_eq!(back(Value::BigInt(value)), Some(value));
        prop_assert_eq!(back(Value::Timestamp(value)), Some(value));
        prop_assert_eq!(back(Value::Integer(value as i32)), Some((value as i32).into()));
        prop_assert_eq!(back(Value::Date(value as i32)), Some((value as i32).into()));
        prop_assert_eq!(back(Value::Null), None);
        for (is_wide, whole) in [(true, value), (false, (value as i32).into())] {
            let of = if is_wide { Value::BigInt(whole) } else { Value::Integer(value as i32) };
            prop_assert_eq!(&*IntKeyBytes::new(whole, is_wide, column), &*key(&[column], &[of]));
        }
    }

    #[test]
    fn a_prefix_is_a_range((columns, [a, b, c]) in rows(), some in any::<prop::sample::Index>()) {
        let some = some.index(columns.len()) + 1;
        let prefix = key(&columns, &a[..some]);
        let end = prefix_end(&prefix).expect("a key begins with a mark");
        for row in [&a, &b, &c] {
            let bytes = key(&columns, row);
            let inside = bytes >= prefix && bytes[..] < *end;
            let wanted = order(&columns[..some], row, &a[..some]).is_eq();
            prop_assert_eq!(inside, wanted, "{:?} begins as {:?}", row, a);
        }
    }

    #[test]
    fn a_prefix_end_is_the_least_above(
        prefix in prop::collection::vec(prop_oneof![Just(0xFF), any::<u8>()], 0..6),
        other in prop::collection::vec(prop_oneof![Just(0xFF), any::<u8>()], 0..8),
    ) {
        match prefix_end(&prefix) {
            None => prop_assert!(prefix.iter().all(|&b| b == 0xFF)),
            Some(end) => {
                let begins = other.starts_with(&prefix);
                prop_assert_eq!(begins, other >= prefix && other[..] < *end);
            }
        }
    }
}

#[test]
fn every_spelling_of_a_number_is_one_key() {
    let columns = [KeyColumn::default()];
    let bytes = |value: Value| key(&columns, &[value]);
    let numeric = |m, s| bytes(Value::Numeric(Numeric::new(m, s).unwrap()));
    assert_eq!(numeric(1, 0), numeric(100, 2));
    assert_eq!(numeric(0, 0), numeric(0, 38));
    assert_eq!(numeric(-15, 1), numeric(-1500, 3));
    assert!(numeric(-2, 0) < numeric(-15, 1));
    assert!(numeric(1, 38) > numeric(0, 0));
    assert!(numeric(99, 1) < numeric(10, 0));
    assert_eq!(bytes(Value::Double(-0.0)), bytes(Value::Double(0.0)));
    assert_eq!(bytes(Value::Real(f32::NAN)), bytes(Value::Real(-f32::NAN)));
    assert!(bytes(Value::Double(f64::INFINITY)) < bytes(Value::Double(f64::NAN)));
}

#[test]
fn a_single_number_fits_a_key_in_place() {
    let columns = [KeyColumn::default()];
    let most = Numeric::new(Numeric::MANTISSA_LIMIT - 1, 3).unwrap();
    assert_eq!(key(&columns, &[Value::Numeric(most)]).len(), 20);
    assert_eq!(key(&columns, &[Value::BigInt(7)]).len(), 9);
    assert_eq!(key(&columns, &[Value::Uuid([1; 16])]).len(), 17);
}
