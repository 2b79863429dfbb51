//! Scans with bounds give the rows that a scan without bounds gives and that lie within them,
//! whether their blocks are hot or frozen, and whatever is chained over the rows.

use super::*;
use crate::index::{KeyColumn, encode_key};
use crate::transaction::{Columns, Vector};
use crate::value::{ColumnBounds, NumericModifier, TYPES, any_value_of, value_at};
use proptest::prelude::*;
use std::ops::Bound;

/// `NUMERIC(10,2)`, which rows hold otherwise than `NUMERIC`.
const MONEY: DataType = DataType::Numeric(Some(NumericModifier {
    precision: 10,
    scale: 2,
}));

fn any_type() -> impl Strategy<Value = DataType> {
    prop_oneof![8 => prop::sample::select(TYPES.as_slice()), 1 => Just(MONEY)]
}

/// A value of a column: few of them, so that bounds meet them, and strings that a view cannot hold.
fn values_of(data_type: DataType) -> BoxedStrategy<Vec<Value>> {
    let value = match data_type {
        MONEY => prop_oneof![
            1 => Just(Value::Null),
            1 => Just(Value::Numeric(crate::Numeric::NAN)),
            6 => (-300..300_i128).prop_map(|cents| {
                Value::Numeric(crate::Numeric::new(cents, 2).expect("a few cents"))
            }),
        ]
        .boxed(),
        DataType::Text => {
            let long = prop::sample::select(vec!["a", "b"]).prop_map(|c| text(&c.repeat(40)));
            prop_oneof![3 => any_value_of(data_type), 1 => long].boxed()
        }
        other => any_value_of(other).boxed(),
    };
    prop::collection::vec(value, 1..12).boxed()
}

#[derive(Clone, Debug)]
struct Case {
    data_type: DataType,
    values: Vec<Value>,
    /// Of each row its value, by number.
    rows: Vec<usize>,
    /// Which row is given which value by an update (`None`: it is deleted), in which phase.
    changes: Vec<(usize, Option<usize>, Phase)>,
    bounds: Vec<(Side, Side)>,
    batch_rows: usize,
    /// Whether the block is frozen after the settled changes, and again after the committed ones.
    frozen: (bool, bool),
}

/// Excluded or not, and a value by number.
type Side = Option<(bool, usize)>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Collected before the scan: the row is settled, or dead.
    Settled,
    Committed,
    /// By the transaction that scans.
    Own,
    /// Committed after its snapshot.
    Later,
}

fn case() -> impl Strategy<Value = Case> {
    let typed = any_type().prop_flat_map(|data_type| (Just(data_type), values_of(data_type)));
    typed.prop_flat_map(|(data_type, values)| {
        let number = 0..values.len();
        let phase = prop::sample::select(vec![
            Phase::Settled,
            Phase::Committed,
            Phase::Own,
            Phase::Later,
        ]);
        let side = prop::option::of((any::<bool>(), number.clone()));
        let rows = prop::collection::vec(number.clone(), 1..400);
        rows.prop_flat_map(move |rows| {
            let change = (
                0..rows.len(),
                prop::option::of(number.clone()),
                phase.clone(),
            );
            (
                Just(rows),
                prop::collection::vec(change, 0..9),
                prop::collection::vec((side.clone(), side.clone()), 0..3),
                prop::sample::select(vec![1, 7, 100, 4096]),
                any::<(bool, bool)>(),
            )
        })
        .prop_map(move |(rows, changes, bounds, batch_rows, frozen)| Case {
            data_type,
            values: values.clone(),
            rows,
            changes,
            bounds,
            batch_rows,
            frozen,
        })
    })
}

impl Case {
    fn apply(&self, tx: &mut Transaction, phase: Phase) {
        let changes = self.changes.iter().filter(|change| change.2 == phase);
        for (row, value, _) in changes {
            let k = *row as i32;
            // A row may be gone already.
            match value {
                Some(value) => {
                    change(tx, k, &[(V, self.values[*value].as_ref())]).unwrap();
                }
                None => drop(delete(tx, k).unwrap()),
            }
        }
    }

    fn bound(&self, side: Side) -> Bound<Value> {
        match side {
            None => Bound::Unbounded,
            Some((true, value)) => Bound::Excluded(self.values[value].clone()),
            Some((false, value)) => Bound::Included(self.values[value].clone()),
        }
    }

    fn bounds(&self) -> Vec<ColumnBounds> {
        let bounds = self.bounds.iter().map(|(low, high)| ColumnBounds {
            column: V,
            low: self.bound(*low),
            high: self.bound(*high),
        });
        bounds.collect()
    }

    /// The transaction that scans, and one that its snapshot does not see.
    fn world(&self) -> (Arc<Core>, Transaction) {
        let core = core();
        create(&core, self.data_type);
        let mut tx = core.begin().unwrap();
        tx.begin_command();
        for (k, value) in self.rows.iter().enumerate() {
            let row = [ValueRef::Integer(k as i32), self.values[*value].as_ref()];
            tx.insert(&t(&tx), &row).unwrap();
        }
        tx.commit().unwrap();
        for phase in [Phase::Settled, Phase::Committed] {
            let mut tx = core.begin().unwrap();
            self.apply(&mut tx, phase);
            tx.commit().unwrap();
            if phase == Phase::Settled {
                core.collect_garbage();
            }
            let frozen = match phase {
                Phase::Settled => self.frozen.0,
                _ => self.frozen.1,
            };
            if frozen {
                compact::close(&core);
                core.compact(None).unwrap();
            }
        }
        let mut own = core.begin().unwrap();
        self.apply(&mut own, Phase::Own);
        own.begin_command();
        let mut later = core.begin().unwrap();
        let touched: Vec<usize> = (self.changes.iter())
            .filter(|change| change.2 == Phase::Own)
            .map(|change| change.0)
            .collect();
        let free = Self {
            changes: (self.changes.iter().copied())
                .filter(|change| !touched.contains(&change.0))
                .collect(),
            ..self.clone()
        };
        free.apply(&mut later, Phase::Later);
        later.commit().unwrap();
        core.collect_garbage();
        (core, own)
    }
}

/// Index key order, which is what bounds are promised to follow.
fn key(value: ValueRef<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_key(&mut bytes, &[KeyColumn::default()], [value]);
    bytes
}

fn lies_within(value: ValueRef<'_>, bounds: &ColumnBounds) -> bool {
    let has_null = |bound: &Bound<Value>| match bound {
        Bound::Included(value) | Bound::Excluded(value) => value.is_null(),
        Bound::Unbounded => false,
    };
    let key_of = |bound: &Bound<Value>| bound.clone().map(|value| key(value.as_ref()));
    let range = (key_of(&bounds.low), key_of(&bounds.high));
    use std::ops::RangeBounds;
    !value.is_null()
        && !has_null(&bounds.low)
        && !has_null(&bounds.high)
        && range.contains(&key(value))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_scan_with_bounds_is_a_scan_and_a_filter(case in case()) {
        let (_core, tx) = case.world();
        let table = t(&tx);
        let view = tx.view();
        let bounds = case.bounds();
        let mut expected = Vec::new();
        view.for_each_row(&table, |id, row| {
            if bounds.iter().all(|bounds| lies_within(row.get(V), bounds)) {
                expected.push((id, int(row.get(K)), row.get(V).to_owned()));
            }
            Ok::<(), ()>(())
        })
        .unwrap();

        let mut found = Vec::new();
        let mut scan = view.scan(&table, &[V, K], &bounds, case.batch_rows).with_ids();
        while let Some(batch) = scan.next().unwrap() {
            prop_assert!(batch.rows <= case.batch_rows && batch.ids.len() == batch.rows);
            prop_assert!(batch.columns.iter().all(|column| column.len() == batch.rows));
            for (at, id) in batch.ids.iter().enumerate() {
                let v = value_at(&batch.columns[0], case.data_type, at).to_owned();
                let k = int(value_at(&batch.columns[1], DataType::Integer, at));
                found.push((*id, k, v));
            }
        }
        prop_assert_eq!(&found, &expected);

        let mut folded = Folded::default();
        let mut scan = view.vectors(&table, Columns::ALL, &bounds);
        while scan.next(|vector| folded.add(vector)) {}
        prop_assert_eq!(&folded, &Folded::of(&expected));
    }
}

/// What vectors say of the rows of a scan.
#[derive(Debug, Default, PartialEq)]
struct Folded {
    rows: usize,
    sum_of_keys: i128,
    values: Vec<Value>,
    /// Of integers and mantissas, or of floats.
    sum: (i128, f64),
    extremes: Option<(Vec<u8>, Vec<u8>)>,
}

impl Folded {
    fn of(rows: &[(RowId, i32, Value)]) -> Self {
        let mut folded = Self::default();
        for (_, k, v) in rows {
            folded.rows += 1;
            folded.sum_of_keys += i128::from(*k);
            if !v.is_null() {
                folded.add_value(v.as_ref());
                folded.values.push(v.clone());
            }
        }
        folded
    }

    fn add_value(&mut self, value: ValueRef<'_>) {
        match value {
            ValueRef::SmallInt(n) => self.sum.0 += i128::from(n),
            ValueRef::Integer(n) => self.sum.0 += i128::from(n),
            ValueRef::BigInt(n) => self.sum.0 += i128::from(n),
            ValueRef::Double(x) => self.add_float(x),
            ValueRef::Numeric(n) if n.is_finite() && n.mantissa().unsigned_abs() < 1 << 40 => {
                self.sum.0 += n.mantissa() * 10_i128.pow(2_u32.saturating_sub(n.scale().into()));
            }
            _ => {}
        }
        self.add_extremes(value, value);
    }

    /// Of floats, only those that are added exactly in any order are added.
    fn add_float(&mut self, x: f64) {
        if x.fract() == 0.0 && x.abs() < 1e9 {
            self.sum.1 += x;
        }
    }

    fn add_extremes(&mut self, low: ValueRef<'_>, high: ValueRef<'_>) {
        let (low, high) = (key(low), key(high));
        let (least, greatest) = self.extremes.get_or_insert((low.clone(), high.clone()));
        if low < *least {
            *least = low;
        }
        if high > *greatest {
            *greatest = high;
        }
    }

    fn add(&mut self, vector: &Vector<'_>) {
        let (keys, values) = (vector.column(K), vector.column(V));
        self.rows += vector.rows();
        let mut all = Vec::new();
        let each = |value: ValueRef<'_>| {
            all.push(value.to_owned());
            Ok::<(), ()>(())
        };
        values.each(each).unwrap();
        assert_eq!(values.count(), all.len());
        match keys.sum_i64() {
            Some(sum) => {
                assert_eq!(sum.count, vector.rows());
                self.sum_of_keys += sum.sum;
            }
            None => keys
                .each(|k| {
                    self.sum_of_keys += i128::from(int(k));
                    Ok::<(), ()>(())
                })
                .unwrap(),
        }
        let mut one = Self::default();
        all.iter().for_each(|value| one.add_value(value.as_ref()));
        if let Some(sum) = values.sum_i64() {
            assert_eq!((sum.sum, sum.count), (one.sum.0, all.len()));
        }
        let exact = |value: &Value| match value {
            Value::Double(x) => x.fract() == 0.0 && x.abs() < 1e9,
            _ => false,
        };
        if all.iter().all(exact)
            && let Some(sum) = values.sum_f64()
        {
            assert_eq!((sum.sum, sum.count), (one.sum.1, all.len()));
        }
        if let Some((low, high)) = values.extremes() {
            assert_eq!(Some((key(low), key(high))), one.extremes);
        }
        if let Some((low, high)) = &one.extremes {
            let (least, greatest) = self.extremes.get_or_insert((low.clone(), high.clone()));
            *least = low.min(least).clone();
            *greatest = high.max(greatest).clone();
        }
        self.sum.0 += one.sum.0;
        self.sum.1 += one.sum.1;
        self.values.extend(all);
    }
}

/// Numbers that are settled are folded as such, hot and frozen, without going value by value.
#[test]
fn numbers_are_folded_where_they_are() {
    let core = core();
    create(&core, DataType::Double);
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    for k in 0..3000 {
        let v = match k % 10 {
            0 => ValueRef::Null,
            _ => ValueRef::Double(f64::from(k)),
        };
        tx.insert(&t(&tx), &[ValueRef::Integer(k), v]).unwrap();
    }
    tx.commit().unwrap();
    core.collect_garbage();
    for frozen in [false, true] {
        if frozen {
            compact::close(&core);
            core.compact(None).unwrap();
        }
        let mut tx = core.begin().unwrap();
        tx.begin_command();
        let bounds = ColumnBounds {
            column: K,
            low: Bound::Included(Value::Integer(5)),
            high: Bound::Excluded(Value::Integer(2500)),
        };
        let mut scan = tx.view().vectors(&t(&tx), Columns::ALL, &[bounds]);
        let (mut keys, mut values, mut most) = ((0, 0), (0.0, 0), 0.0);
        let visit = |vector: &Vector<'_>| {
            let sum = vector.column(K).sum_i64().expect("integers");
            keys = (keys.0 + sum.sum, keys.1 + sum.count);
            let sum = vector.column(V).sum_f64().expect("floats");
            values = (values.0 + sum.sum, values.1 + sum.count);
            let Some((_, ValueRef::Double(greatest))) = vector.column(V).extremes() else {
                panic!("floats");
            };
            most = greatest;
        };
        scan.next(visit);
        assert_eq!(keys, ((5..2500).sum(), 2495));
        let present = || (5..2500).filter(|k| k % 10 != 0);
        assert_eq!(
            values,
            (f64::from(present().sum::<i32>()), present().count())
        );
        assert_eq!(most, 2499.0);
    }
}

#[test]
fn a_stretch_without_hits_is_left_in_steps_that_can_be_interrupted() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    for k in 0..200_000 {
        tx.insert(&t(&tx), &[ValueRef::Integer(k), ValueRef::Integer(0)])
            .unwrap();
    }
    tx.begin_command();
    let bounds = ColumnBounds {
        column: V,
        low: Bound::Included(Value::Integer(1)),
        high: Bound::Unbounded,
    };
    let mut scan = tx.view().scan(&t(&tx), &[K], &[bounds], 4096);
    let mut steps = 0;
    while let Some(batch) = scan.next().unwrap() {
        assert_eq!(batch.rows, 0);
        steps += 1;
    }
    assert!((2..10).contains(&steps), "not {steps} steps");
}
