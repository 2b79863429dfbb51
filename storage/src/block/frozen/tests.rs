//! Frozen columns against the plain values they were made of.

use super::*;
use crate::pool::{Claim, Ledger};
use crate::value::{
    ColumnBounds, ColumnBuilder, Numeric, NumericModifier, PackedType, RangeBound, SqlRange, TYPES,
    Value, any_value_of,
};
use arrow_array::Array;
use proptest::prelude::*;
use std::ops::Bound;

const BUDGET: u64 = 256 << 20;

fn pool() -> Arc<Pool> {
    Pool::new(Ledger::new(BUDGET))
}

/// A column as a test knows it.
#[derive(Clone, Debug)]
struct Model {
    data_type: DataType,
    values: Vec<Value>,
}

impl Model {
    fn array(&self) -> ArrayRef {
        let mut builder = ColumnBuilder::new(self.data_type, self.values.len());
        self.values.iter().for_each(|v| builder.push(v.as_ref()));
        builder.finish()
    }
}

/// All types, those with modifiers included.
fn types() -> impl Strategy<Value = DataType> {
    let fixed = DataType::Numeric(Some(NumericModifier {
        precision: 38,
        scale: 2,
    }));
    let more = [fixed, DataType::Varchar(Some(9)), DataType::Char(9)];
    prop::sample::select([TYPES.as_slice(), more.as_slice()].concat())
}

/// A value of the type as a column of it holds it.
fn value_of(data_type: DataType) -> BoxedStrategy<Value> {
    match data_type {
        DataType::Numeric(Some(m)) => {
            let mantissa = prop_oneof![
                -50..50_i128,
                any::<i64>().prop_map(i128::from),
                (-99..99_i128).prop_map(|n| n * 10_i128.pow(35)),
            ];
            let numeric = move |n| Numeric::new(n, m.scale).expect("37 digits");
            let finite = mantissa.prop_map(numeric);
            prop_oneof![1 => Just(Value::Null), 1 => Just(Value::Numeric(Numeric::NAN)),
                        9 => finite.prop_map(Value::Numeric)]
            .boxed()
        }
        other => any_value_of(other).boxed(),
    }
}

/// Values of one type in the shapes that encodings look for.
fn model(data_type: DataType, rows: usize) -> impl Strategy<Value = Model> {
    let value = value_of(data_type);
    let mixed = prop::collection::vec(value.clone(), rows);
    let few =
        (prop::collection::vec(value.clone(), 1..6), any::<u32>()).prop_map(move |(few, seed)| {
            let pick = |at: usize| (at as u32).wrapping_mul(seed | 1) as usize / 7 % few.len();
            (0..rows).map(|at| few[pick(at)].clone()).collect()
        });
    let runs = (prop::collection::vec(value, 1..20), 1..200_usize).prop_map(move |(few, run)| {
        (0..rows)
            .map(|at| few[at / run % few.len()].clone())
            .collect()
    });
    let even = (any::<i32>(), -3..3_i64, 0..4_i64).prop_map(move |(base, step, noise)| {
        let number = |at: i64| i64::from(base) / 1000 + step * at + at * 7919 % 5 * noise;
        (0..rows as i64)
            .map(|at| numbered(data_type, number(at)))
            .collect()
    });
    prop_oneof![3 => mixed, 2 => few, 1 => runs, 2 => even]
        .prop_map(move |values| Model { data_type, values })
}

/// A value that follows from a number, as real columns have them.
fn numbered(data_type: DataType, n: i64) -> Value {
    match data_type {
        DataType::Boolean => Value::Boolean(n % 2 == 0),
        DataType::SmallInt => Value::SmallInt(n as i16),
        DataType::Integer => Value::Integer(n as i32),
        DataType::BigInt => Value::BigInt(n),
        DataType::Real => Value::Real(n as f32 / 4.0),
        DataType::Double => Value::Double(n as f64 / 100.0),
        DataType::Numeric(Some(m)) => {
            Value::Numeric(Numeric::new(n.into(), m.scale).expect("few digits"))
        }
        DataType::Numeric(None) => Value::Numeric(Numeric::new(n.into(), 3).expect("few digits")),
        DataType::Bytea => Value::Bytea(format!("\u{1}{n}").into()),
        DataType::Date => Value::Date(n as i32),
        DataType::Time => Value::Time(n.rem_euclid(86_400_000_000)),
        DataType::Timestamp => Value::Timestamp(n),
        DataType::TimestampTz => Value::TimestampTz(n),
        DataType::Interval => Value::Interval(crate::value::Interval {
            months: n as i32 % 3,
            days: n as i32 % 50,
            micros: n,
        }),
        DataType::Uuid => Value::Uuid(u128::from(n as u64).to_le_bytes()),
        DataType::Packed(PackedType::Array(element)) => {
            let elements = [n, n % 7].map(|n| numbered(element.data_type(), n));
            Value::array(element, elements.iter().map(Value::as_ref))
        }
        DataType::Packed(PackedType::Range(of)) => {
            let bounds = [n, n.wrapping_add(3)].map(|n| numbered(of.subtype(), n));
            SqlRange::new(
                RangeBound::lower(Some(bounds[0].as_ref()), true),
                RangeBound::upper(Some(bounds[1].as_ref()).filter(|_| n < i64::MAX - 3), false),
            )
            .value(of)
        }
        DataType::Packed(PackedType::Multirange(of)) => {
            match Value::array(of.element(), [numbered(of.range(), n).as_ref()]) {
                Value::Packed(_, bytes) => Value::Packed(PackedType::Multirange(of), bytes),
                other => other,
            }
        }
        // Two-byte letters of which half is common, words, numbers.
        DataType::Varchar(_) => Value::Text(format!("{}|{}", ["é", "è", "ê"][n as usize % 3], n)),
        DataType::Char(_) => {
            let words = ["shark", "whale", "the", "\0", "", "remora"];
            let word = |by: i64| words[(n / by) as usize % words.len()];
            Value::Text([word(1), word(5), word(3), word(2), word(7)].join(" "))
        }
        _ => Value::Text(format!("user{:07}@example.com", n.rem_euclid(10_000_000))),
    }
}

/// The length of a column and its live slots: short, of several vectors, with holes.
fn live() -> impl Strategy<Value = BitVector> {
    let slots = prop_oneof![0..40_usize, 900..2600_usize];
    (slots, 1..6_usize, any::<bool>()).prop_map(|(slots, nth, all)| {
        BitVector::from_fn(slots, |slot| all || slot * slot % 7 % nth == 0)
    })
}

fn block() -> impl Strategy<Value = (BitVector, Model)> {
    (live(), types()).prop_flat_map(|(live, data_type)| {
        let rows = live.ones();
        (Just(live), model(data_type, rows))
    })
}

const COLUMN: ColumnId = ColumnId(3);

fn frozen(live: &BitVector, model: &Model) -> Frozen {
    let columns = [(COLUMN, model.data_type, model.array())];
    Frozen::build(&pool(), live, &columns).expect("there is memory")
}

/// Equal to the bit, where `==` would let scales and zeros pass.
fn same(a: ValueRef<'_>, b: ValueRef<'_>) -> bool {
    let bytes = |value| {
        let mut bytes = Vec::new();
        crate::codec::encode_value(&mut bytes, value);
        bytes
    };
    bytes(a) == bytes(b)
}

fn check_values(frozen: &Frozen, model: &Model) -> Result<(), TestCaseError> {
    let mut scratch = Vec::new();
    for (at, value) in model.values.iter().enumerate() {
        let read = frozen.value(COLUMN, at as u32, &mut scratch);
        prop_assert!(
            same(read, value.as_ref()),
            "{}: {:?} is {:?}",
            at,
            value,
            read
        );
        if let Some(int) = frozen.int(COLUMN, at as u32) {
            let read = int.map_or(ValueRef::Null, |int| int_value(model.data_type, int));
            prop_assert!(same(read, value.as_ref()), "{}: {:?}", at, int);
        }
    }
    Ok(())
}

fn check_array(
    array: &dyn Array,
    model: &Model,
    positions: impl ExactSizeIterator<Item = usize>,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(array.data_type(), &model.data_type.arrow());
    prop_assert_eq!(array.len(), positions.len());
    array.to_data().validate_full().expect("a valid array");
    for (row, at) in positions.enumerate() {
        let read = crate::value::value_at(array, model.data_type, row);
        let value = model.values[at].as_ref();
        prop_assert!(same(read, value), "{}: {:?} is {:?}", at, value, read);
    }
    Ok(())
}

/// Bounds around values of the column, or of any of its type.
fn bounds(model: &Model) -> impl Strategy<Value = ColumnBounds> + use<> {
    let known = model.values.clone();
    let of_column = any::<prop::sample::Index>().prop_map(move |index| match known.len() {
        0 => Value::Null,
        len => known[index.index(len)].clone(),
    });
    let bound = prop_oneof![3 => of_column, 1 => value_of(model.data_type)].boxed();
    let one = || {
        let bound = bound.clone();
        (bound, 0..3).prop_map(|(value, kind)| match kind {
            0 => Bound::Included(value),
            1 => Bound::Excluded(value),
            _ => Bound::Unbounded,
        })
    };
    let point = bound
        .clone()
        .prop_map(|v| (Bound::Included(v.clone()), Bound::Included(v)));
    prop_oneof![3 => (one(), one()), 1 => point].prop_map(|(low, high)| ColumnBounds {
        column: COLUMN,
        low,
        high,
    })
}

fn block_and_bounds() -> impl Strategy<Value = (BitVector, Model, Vec<ColumnBounds>)> {
    block().prop_flat_map(|(live, model)| {
        let bounds = prop::collection::vec(bounds(&model), 1..3);
        (Just(live), Just(model), bounds)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_frozen_is_read(
        (live, model) in block(),
        cut in any::<(prop::sample::Index, prop::sample::Index)>(),
        stride in 1..50_usize,
    ) {
        let frozen = frozen(&live, &model);
        let rows = model.values.len();
        prop_assert_eq!((frozen.rows(), frozen.slots()), (rows, live.len()));
        check_values(&frozen, &model)?;
        let (one, two) = (cut.0.index(rows + 1), cut.1.index(rows + 1));
        let run = one.min(two)..one.max(two);
        let array = frozen.array(COLUMN, model.data_type, run.start as u32..run.end as u32);
        check_array(&array, &model, run)?;
        let list: Vec<u32> = (0..rows as u32).step_by(stride).collect();
        let array = frozen.array_of(COLUMN, model.data_type, &list);
        check_array(&array, &model, list.iter().map(|at| *at as usize))?;
    }

    #[test]
    fn what_is_selected_is_what_a_filter_of_values_leaves(
        (live, model, bounds) in block_and_bounds(),
    ) {
        let frozen = frozen(&live, &model);
        let rows = model.values.len();
        let admits = |at: &usize| bounds.iter().all(|b| b.admits(model.values[*at].as_ref()));
        let expected: Vec<usize> = (0..rows).filter(admits).collect();
        let filter = frozen.filter(&bounds);
        prop_assert!(expected.is_empty() || filter.is_some(), "{:?}", bounds);
        let of_vector = |(vector, filter): (usize, &Filter<'_>)| {
            let first = vector * Frozen::VECTOR_ROWS;
            let mask = filter.mask(vector);
            mask.iter().map(|at| first + at).collect::<Vec<_>>()
        };
        let vectors = (0..frozen.vectors()).filter_map(|vector| Some((vector, filter.as_ref()?)));
        let selected: Vec<usize> = vectors.flat_map(of_vector).collect();
        prop_assert_eq!(&selected, &expected);
    }

    #[test]
    fn what_is_encoded_is_decoded((live, model) in block()) {
        let one = frozen(&live, &model);
        let mut bytes = vec![];
        one.encode(&mut bytes);
        let pool = pool();
        let two = Frozen::decode(&pool, &bytes, Path::new("f"), 0).expect("its own bytes");
        prop_assert_eq!(two.live(), &live);
        check_values(&two, &model)?;
        let mut again = vec![];
        two.encode(&mut again);
        prop_assert_eq!(&again, &bytes);
        prop_assert_eq!(one.bytes(), two.bytes());
        drop(two);
        pool.shed_caches();
        prop_assert_eq!(pool.ledger().used(), 0, "all memory is given back");
    }

    #[test]
    fn damaged_bytes_are_errors_or_blocks_that_can_be_read(
        (live, model) in block(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::weighted(0.3, any::<prop::sample::Index>()),
    ) {
        let mut bytes = vec![];
        frozen(&live, &model).encode(&mut bytes);
        for (at, byte) in changes {
            // Most of what can go wrong is at the front.
            let at = at.index(bytes.len()).min(at.index(60));
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        read_all(&bytes);
    }

    #[test]
    fn any_bytes_are_errors_or_blocks(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
        read_all(&[&[VERSION, 200, 1, 0], &bytes[..]].concat());
    }
}

/// Bytes that were never checked to be text are not given out as such.
#[test]
#[should_panic(expected = "a column of bytea is none of text")]
fn a_column_is_read_as_what_it_is() {
    let model = Model {
        data_type: DataType::Bytea,
        values: vec![Value::Bytea(vec![0xFF, 0xFE])],
    };
    frozen(&BitVector::ones_only(1), &model).array(COLUMN, DataType::Text, 0..1);
}

#[test]
#[should_panic(expected = "rows of this block")]
fn rows_that_are_not_there_are_not_read() {
    let model = Model {
        data_type: DataType::Text,
        values: vec![Value::Text("a".to_owned())],
    };
    frozen(&BitVector::ones_only(1), &model).array_of(COLUMN, DataType::Text, &[0, 1]);
}

/// Reads everything there is in bytes that may be anything.
fn read_all(bytes: &[u8]) {
    match Frozen::decode(&pool(), bytes, Path::new("f"), 0) {
        Err(error) => assert_eq!(error.sqlstate(), "XX001", "{error}"),
        Ok(frozen) => {
            let mut scratch = Vec::new();
            let columns: Vec<_> = frozen.columns().collect();
            for (column, data_type) in columns {
                let rows = frozen.rows() as u32;
                let array = frozen.array(column, data_type, 0..rows);
                for row in 0..rows {
                    let one = frozen.value(column, row, &mut scratch);
                    let two = crate::value::value_at(&array, data_type, row as usize);
                    assert!(same(one, two), "{one:?} and {two:?}");
                }
            }
        }
    }
}

#[test]
fn slots_are_positions_and_back() {
    let live = BitVector::from_fn(5000, |slot| slot % 3 == 1);
    let model = Model {
        data_type: DataType::BigInt,
        values: live
            .iter_ones()
            .map(|slot| Value::BigInt(slot as i64))
            .collect(),
    };
    let frozen = frozen(&live, &model);
    for slot in 0..5000 {
        let position = frozen.position(Slot(slot));
        assert_eq!(position.is_some(), slot % 3 == 1);
        if let Some(position) = position {
            assert_eq!(frozen.slot_at(position), Slot(slot));
            let mut scratch = Vec::new();
            let value = frozen.value(COLUMN, position, &mut scratch);
            assert_eq!(value, ValueRef::BigInt(slot.into()));
        }
    }
    assert_eq!(frozen.position(Slot(5000)), None);
}

#[test]
fn a_column_that_the_block_does_not_have_is_null() {
    let live = BitVector::ones_only(3);
    let frozen = Frozen::build(&pool(), &live, &[]).unwrap();
    let other = ColumnId(9);
    assert!(frozen.value(other, 2, &mut Vec::new()).is_null());
    let array = frozen.array(other, DataType::Text, 0..3);
    assert_eq!((array.len(), array.null_count()), (3, 3));
    let any = ColumnBounds {
        column: other,
        low: Bound::Unbounded,
        high: Bound::Unbounded,
    };
    assert!(frozen.filter(&[any]).is_none(), "NULL is within no bounds");
}

/// The machine's memory is full: freezing still works where it is to make room, from the emergency
/// reserve. Otherwise, and beyond that, it fails without a trace.
#[test]
fn memory_is_reserved_before_it_is_taken() {
    let model = Model {
        data_type: DataType::Text,
        values: (0..5000)
            .map(|n| numbered(DataType::Text, n * 7919))
            .collect(),
    };
    let live = BitVector::ones_only(5000);
    let columns = [(COLUMN, model.data_type, model.array())];
    let ledger = Ledger::new(64 << 20);
    let pool = Pool::new(Arc::clone(&ledger));
    let full = ledger.reserve(Owner::Query, 56 << 20).unwrap();
    let refused = Frozen::build(&pool, &live, &columns).unwrap_err();
    assert_eq!(refused.sqlstate(), "53200");
    assert_eq!(ledger.used(), full.bytes());
    let encode = || Encoded::new(pool.ledger(), Claim::Emergency, &live, &columns);
    let frozen = encode().unwrap().load(&pool).unwrap();
    assert_eq!(ledger.used(), full.bytes() + frozen.bytes());
    drop(frozen);
    let _more = ledger.reserve_emergency(Owner::Query, 6 << 20).unwrap();
    let refused = encode().unwrap_err();
    assert_eq!(refused.sqlstate(), "53200");
    assert_eq!(ledger.used(), 62 << 20);
}
