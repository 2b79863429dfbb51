//! Random transactions, interleaved, against a model that runs those which committed one after the other
//! in the order of their commits: each must read there what it has read, and leave what it has left.
//!
//! Who only reads is put where its snapshot is.

use super::*;
use crate::error::Error;
use crate::ids::Timestamp;
use crate::transaction::{Columns, Mark, RowRef, RowTest};
use crate::value::{ColumnBounds, value_at};
use arrow_array::ArrayRef;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use std::collections::BTreeMap;
use std::ops::Bound;

const KEYS: i32 = 6;
const SLOTS: usize = 4;

/// By key, v and w.
type Rows = BTreeMap<i32, (i32, i32)>;

#[derive(Clone, Copy, Debug)]
enum Op {
    /// One column of a row.
    Read(i32, bool),
    /// By the index on v: the first values of a range.
    Range(i32, i32, usize, bool),
    /// The keys from one on whose v is odd.
    Odd(i32),
    All,
    Insert(i32, i32),
    /// Adds one to v, without a read of its own.
    Add(i32),
    SetW(i32, i32),
    Delete(i32),
    /// Gives a row another key.
    Rename(i32, i32),
    Lock(i32),
    Savepoint,
    RollBackTo,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Begin(usize, bool),
    Do(usize, Op),
    Commit(usize),
    RollBack(usize),
    Collect,
    Compact,
}

/// What an operation gave.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Answer {
    Values(Vec<i32>),
    Duplicate,
}

fn op() -> impl Strategy<Value = Op> {
    let key = || 0..KEYS;
    prop_oneof![
        4 => (key(), any::<bool>()).prop_map(|(k, w)| Op::Read(k, w)),
        3 => (0..8, 0..8, 1..4_usize, any::<bool>())
            .prop_map(|(low, high, limit, back)| Op::Range(low, high, limit, back)),
        2 => key().prop_map(Op::Odd),
        1 => Just(Op::All),
        3 => (key(), 0..8).prop_map(|(k, v)| Op::Insert(k, v)),
        4 => key().prop_map(Op::Add),
        2 => (key(), 0..8).prop_map(|(k, w)| Op::SetW(k, w)),
        2 => key().prop_map(Op::Delete),
        1 => (key(), key()).prop_map(|(k, to)| Op::Rename(k, to)),
        1 => key().prop_map(Op::Lock),
        1 => Just(Op::Savepoint),
        1 => Just(Op::RollBackTo),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let slot = || 0..SLOTS;
    prop_oneof![
        4 => (slot(), proptest::bool::weighted(0.1)).prop_map(|(slot, ro)| Step::Begin(slot, ro)),
        20 => (slot(), op()).prop_map(|(slot, op)| Step::Do(slot, op)),
        4 => slot().prop_map(Step::Commit),
        1 => slot().prop_map(Step::RollBack),
        1 => Just(Step::Collect),
        1 => Just(Step::Compact),
    ]
}

#[derive(Debug)]
struct IsOdd;

impl RowTest for IsOdd {
    fn may_match(&self, row: &RowRef<'_>) -> bool {
        int(row.get(V)) % 2 != 0
    }

    fn bytes(&self) -> usize {
        0
    }
}

/// A transaction with what it did and was told.
struct Running {
    tx: Transaction,
    log: Vec<(Op, Answer)>,
    marks: Vec<Mark>,
}

impl Running {
    fn row(&self, k: i32) -> Option<(RowId, i32)> {
        let table = t(&self.tx);
        let key = [ValueRef::Integer(k)];
        let read = |id: RowId, row: &RowRef<'_>| Ok::<_, Error>(Some((id, int(row.get(V)))));
        let index = &table.indexes[0];
        self.tx.find_to_change(&table, index, &key, read).unwrap()
    }

    fn update(&mut self, k: i32, column: ColumnId, value: Option<i32>) -> crate::Result<Answer> {
        let Some((row, v)) = self.row(k) else {
            return Ok(Answer::Values(vec![]));
        };
        let value = ValueRef::Integer(value.unwrap_or(v + 1));
        assert!(self.tx.update(&t(&self.tx), row, &[(column, value)])?);
        Ok(Answer::Values(vec![1]))
    }

    fn run(&mut self, op: Op) -> crate::Result<Answer> {
        let mark = self.tx.begin_command();
        let answer = match self.try_run(op, mark) {
            Err(error) if error.sqlstate() == "23505" => {
                self.tx.rollback_to(mark);
                Ok(Answer::Duplicate)
            }
            other => other,
        };
        if let Ok(answer) = &answer {
            self.log.push((op, answer.clone()));
        }
        answer
    }

    fn try_run(&mut self, op: Op, mark: Mark) -> crate::Result<Answer> {
        let table = t(&self.tx);
        let none = || Answer::Values(vec![]);
        let values = match op {
            Op::Read(k, w) => {
                let column = if w { W } else { V };
                let key = [ValueRef::Integer(k)];
                let (tx, index) = (&self.tx, &table.indexes[0]);
                let read = |_: RowId, row: &RowRef<'_>| int(row.get(column));
                let found = tx.find(&table, index, &key, Columns::of([column]), read);
                found.into_iter().collect()
            }
            Op::Range(low, high, limit, back) => self.range(low, high, limit, back)?,
            Op::Odd(low) => self.odd(low)?,
            Op::All => {
                let mut all = Vec::new();
                let visit = |_: RowId, row: &RowRef<'_>| {
                    all.push([K, V, W].map(|column| int(row.get(column))));
                    Ok::<_, Error>(())
                };
                self.tx.view().for_each_row(&table, visit)?;
                all.sort_unstable();
                all.concat()
            }
            Op::Insert(k, v) => {
                let values = [k, v, 0].map(ValueRef::Integer);
                self.tx.insert(&table, &values)?;
                vec![]
            }
            Op::Add(k) => return self.update(k, V, None),
            Op::SetW(k, w) => return self.update(k, W, Some(w)),
            Op::Rename(k, to) => return self.update(k, K, Some(to)),
            Op::Delete(k) => {
                let Some((row, _)) = self.row(k) else {
                    return Ok(none());
                };
                assert!(self.tx.delete(&table, row)?);
                vec![1]
            }
            Op::Lock(k) => {
                let Some((row, v)) = self.row(k) else {
                    return Ok(none());
                };
                assert!(self.tx.lock(&table, row)?);
                vec![v]
            }
            Op::Savepoint => {
                self.marks.push(mark);
                vec![]
            }
            Op::RollBackTo => {
                if let Some(mark) = self.marks.last() {
                    self.tx.rollback_to(*mark);
                }
                vec![]
            }
        };
        Ok(Answer::Values(values))
    }

    fn range(&self, low: i32, high: i32, limit: usize, back: bool) -> crate::Result<Vec<i32>> {
        let table = t(&self.tx);
        let (low, high) = ([ValueRef::Integer(low)], [ValueRef::Integer(high)]);
        let (low, high) = (Bound::Included(&low[..]), Bound::Excluded(&high[..]));
        let view = self.tx.view();
        let mut scan = view.range(&table, &table.indexes[1], &[V], low, high, back)?;
        let batch = scan.next(limit)?;
        let value = |batch: &ArrayRef, at| int(value_at(batch, DataType::Integer, at));
        Ok(batch.map_or(vec![], |batch| {
            let values = (0..batch.rows).map(|at| value(&batch.columns[0], at));
            values.collect()
        }))
    }

    fn odd(&self, low: i32) -> crate::Result<Vec<i32>> {
        let bounds = [ColumnBounds {
            column: K,
            low: Bound::Included(Value::Integer(low)),
            high: Bound::Unbounded,
        }];
        let scan = self.tx.view().scan(&t(&self.tx), &[K, V], &bounds, 2);
        let mut scan = scan.passing(Arc::new(IsOdd));
        let mut keys = Vec::new();
        while let Some(batch) = scan.next()? {
            let value =
                |column: usize, at| int(value_at(&batch.columns[column], DataType::Integer, at));
            let odd = (0..batch.rows).filter(|at| value(1, *at) % 2 != 0);
            keys.extend(odd.map(|at| value(0, at)));
        }
        keys.sort_unstable();
        Ok(keys)
    }
}

/// The same on the model.
fn run_alone(op: Op, rows: &mut Rows, marks: &mut Vec<Rows>) -> Answer {
    let change = |rows: &mut Rows, k: i32, change: &dyn Fn(&mut (i32, i32))| match rows.get_mut(&k)
    {
        Some(row) => {
            change(row);
            vec![1]
        }
        None => vec![],
    };
    Answer::Values(match op {
        Op::Read(k, w) => {
            let row = rows.get(&k).map(|row| if w { row.1 } else { row.0 });
            row.into_iter().collect()
        }
        Op::Range(low, high, limit, back) => {
            let values = rows.values().map(|row| row.0);
            let mut values: Vec<i32> = values.filter(|v| (low..high).contains(v)).collect();
            values.sort_unstable();
            if back {
                values.reverse();
            }
            values.truncate(limit);
            values
        }
        Op::Odd(low) => {
            let odd = rows.range(low..).filter(|(_, row)| row.0 % 2 != 0);
            odd.map(|(k, _)| *k).collect()
        }
        Op::All => rows.iter().flat_map(|(k, (v, w))| [*k, *v, *w]).collect(),
        Op::Insert(k, _) if rows.contains_key(&k) => return Answer::Duplicate,
        Op::Insert(k, v) => {
            rows.insert(k, (v, 0));
            vec![]
        }
        Op::Add(k) => change(rows, k, &|row| row.0 += 1),
        Op::SetW(k, w) => change(rows, k, &|row| row.1 = w),
        Op::Delete(k) => rows.remove(&k).map(|_| 1).into_iter().collect(),
        Op::Rename(k, to) => match rows.remove(&k) {
            None => vec![],
            Some(row) if rows.contains_key(&to) => {
                rows.insert(k, row);
                return Answer::Duplicate;
            }
            Some(row) => {
                rows.insert(to, row);
                vec![1]
            }
        },
        Op::Lock(k) => rows.get(&k).map(|row| row.0).into_iter().collect(),
        Op::Savepoint => {
            marks.push(rows.clone());
            vec![]
        }
        Op::RollBackTo => {
            if let Some(mark) = marks.last() {
                rows.clone_from(mark);
            }
            vec![]
        }
    })
}

struct World {
    core: Arc<Core>,
    running: Vec<Option<Running>>,
    /// After each commit.
    states: Vec<(Timestamp, Rows)>,
}

impl World {
    fn new() -> Self {
        let core = core();
        let mut def = table_def("t", DataType::Integer);
        def.columns.push(ColumnDef::new(W, "w", DataType::Integer));
        let mut tx = core.begin().unwrap();
        tx.begin_command();
        let id = tx.create_table(def).unwrap();
        tx.create_index(index_def(id, "t_pkey", K, true)).unwrap();
        tx.create_index(index_def(id, "t_v", V, false)).unwrap();
        let at = tx.commit().unwrap().timestamp.unwrap();
        Self {
            core,
            running: (0..SLOTS).map(|_| None).collect(),
            states: vec![(at, Rows::new())],
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Begin(slot, read_only) => {
                let options = TransactionOptions {
                    read_only,
                    ..TransactionOptions::default()
                };
                self.running[slot].get_or_insert_with(|| Running {
                    tx: self.core.begin_with(options).unwrap(),
                    log: Vec::new(),
                    marks: Vec::new(),
                });
            }
            Step::Do(slot, op) => {
                if let Some(running) = &mut self.running[slot]
                    && let Err(error) = running.run(op)
                {
                    assert!(matches!(error.sqlstate(), "40001" | "25006"), "{error:?}");
                    self.running[slot] = None;
                }
            }
            Step::Commit(slot) => {
                if let Some(running) = self.running[slot].take() {
                    self.commit(running);
                }
            }
            Step::RollBack(slot) => self.running[slot] = None,
            Step::Collect => drop(self.core.collect_garbage()),
            Step::Compact => {
                compact::close(&self.core);
                self.core.compact(None).unwrap();
            }
        }
    }

    fn commit(&mut self, running: Running) {
        let snapshot = running.tx.snapshot();
        let committed = match running.tx.commit() {
            Ok(committed) => committed,
            Err(error) => return assert_eq!(error.sqlstate(), "40001"),
        };
        let before = match committed.timestamp {
            Some(_) => self.states.len(),
            None => self.states.partition_point(|(at, _)| *at <= snapshot),
        };
        let mut rows = self.states[before - 1].1.clone();
        let mut marks = Vec::new();
        for (op, answer) in &running.log {
            let alone = run_alone(*op, &mut rows, &mut marks);
            assert_eq!(alone, *answer, "{op:?} of {:?}", running.log);
        }
        if let Some(at) = committed.timestamp {
            self.states.push((at, rows));
        }
    }

    /// The database is what the model is.
    fn check(&mut self) {
        let mut last = Running {
            tx: self.core.begin().unwrap(),
            log: Vec::new(),
            marks: Vec::new(),
        };
        let answer = last.run(Op::All).unwrap();
        let mut rows = self.states[self.states.len() - 1].1.clone();
        assert_eq!(answer, run_alone(Op::All, &mut rows, &mut Vec::new()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_commits_could_have_run_alone(steps in proptest::collection::vec(step(), 1..150)) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
        }
        world.running.clear();
        world.check();
    }
}

/// That the model would notice: without validation, transactions commit that could not have run alone.
#[test]
fn snapshots_alone_are_not_enough() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let steps = proptest::collection::vec(step(), 100..150);
    let found = (0..200).any(|_| {
        let steps = steps.new_tree(&mut runner).unwrap().current();
        let run = || {
            let mut world = World::new();
            for step in steps {
                if let Step::Begin(slot, _) = step {
                    let begin = || Running {
                        tx: world.core.begin_with(SNAPSHOT).unwrap(),
                        log: Vec::new(),
                        marks: Vec::new(),
                    };
                    world.running[slot].get_or_insert_with(begin);
                } else {
                    world.take(step);
                }
            }
        };
        std::panic::catch_unwind(run).is_err()
    });
    assert!(found, "write skew in one of two hundred histories");
}
