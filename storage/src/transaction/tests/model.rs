//! Random histories of several open transactions, against a model that copies everything.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

type Rows = BTreeMap<i32, i32>;

#[derive(Clone, Debug)]
enum Step {
    Begin,
    Insert(usize, i32, i32),
    Update(usize, i32, i32),
    Move(usize, i32, i32),
    Delete(usize, i32),
    Mark(usize),
    BackToMark(usize),
    Read(usize),
    Commit(usize),
    Rollback(usize),
    Collect,
    Compact,
    Thaw,
}

fn step() -> impl Strategy<Value = Step> {
    let (tx, key, value) = (0..4_usize, 0..6_i32, 0..100_i32);
    prop_oneof![
        2 => Just(Step::Begin),
        4 => (tx.clone(), key.clone(), value.clone()).prop_map(|(t, k, v)| Step::Insert(t, k, v)),
        4 => (tx.clone(), key.clone(), value).prop_map(|(t, k, v)| Step::Update(t, k, v)),
        3 => (tx.clone(), key.clone(), key.clone()).prop_map(|(t, k, l)| Step::Move(t, k, l)),
        3 => (tx.clone(), key).prop_map(|(t, k)| Step::Delete(t, k)),
        1 => tx.clone().prop_map(Step::Mark),
        1 => tx.clone().prop_map(Step::BackToMark),
        2 => tx.clone().prop_map(Step::Read),
        2 => tx.clone().prop_map(Step::Commit),
        1 => tx.prop_map(Step::Rollback),
        2 => Just(Step::Collect),
        3 => Just(Step::Compact),
        1 => Just(Step::Thaw),
    ]
}

/// A transaction beside what it should see.
struct Open {
    tx: Transaction,
    rows: Rows,
    mark: Option<(super::super::Mark, Rows)>,
}

/// Applies a change to both, unless there is a conflict. What must hold either way: a duplicate key
/// is one that the transaction sees; an update without error changed what the model changed.
fn change_both(
    open: &mut Open,
    change: impl FnOnce(&mut Transaction) -> crate::Result<bool>,
    model: impl FnOnce(&mut Rows) -> Option<bool>,
) {
    let mut after = open.rows.clone();
    let expected = model(&mut after);
    match change(&mut open.tx) {
        Ok(changed) => {
            assert_eq!(Some(changed), expected);
            open.rows = after;
        }
        Err(error) if error.sqlstate() == "23505" => assert_eq!(expected, None),
        Err(error) => assert_eq!(error.sqlstate(), "40001"),
    }
}

fn run(steps: Vec<Step>) {
    let core = with_table();
    let mut committed = Rows::new();
    let mut open: Vec<Open> = Vec::new();
    for step in steps {
        let count = open.len();
        let at = |t: usize| (count > 0).then(|| t % count);
        match step {
            Step::Begin if count < 4 => open.push(Open {
                tx: core.begin_with(SNAPSHOT).unwrap(),
                rows: committed.clone(),
                mark: None,
            }),
            Step::Begin => {}
            Step::Insert(t, k, v) => {
                if let Some(at) = at(t) {
                    change_both(
                        &mut open[at],
                        |tx| insert(tx, k, v).map(|_| true),
                        |rows| rows.insert(k, v).is_none().then_some(true),
                    );
                }
            }
            Step::Update(t, k, v) => {
                if let Some(at) = at(t) {
                    change_both(
                        &mut open[at],
                        |tx| update(tx, k, v),
                        |rows| Some(rows.get_mut(&k).map(|old| *old = v).is_some()),
                    );
                }
            }
            Step::Move(t, k, l) => {
                if let Some(at) = at(t) {
                    change_both(
                        &mut open[at],
                        |tx| change(tx, k, &[(K, ValueRef::Integer(l))]),
                        |rows| match rows.remove(&k) {
                            None => Some(false),
                            Some(v) => rows.insert(l, v).is_none().then_some(true),
                        },
                    );
                }
            }
            Step::Delete(t, k) => {
                if let Some(at) = at(t) {
                    change_both(
                        &mut open[at],
                        |tx| delete(tx, k),
                        |rows| Some(rows.remove(&k).is_some()),
                    );
                }
            }
            Step::Mark(t) => {
                if let Some(at) = at(t) {
                    let open = &mut open[at];
                    open.mark = Some((open.tx.begin_command(), open.rows.clone()));
                }
            }
            Step::BackToMark(t) => {
                if let Some(at) = at(t)
                    && let Some((mark, rows)) = open[at].mark.take()
                {
                    open[at].tx.rollback_to(mark);
                    open[at].rows = rows;
                }
            }
            Step::Read(t) => {
                if let Some(at) = at(t) {
                    check(&mut open[at]);
                }
            }
            Step::Commit(t) => {
                if let Some(at) = at(t) {
                    let mut done = open.swap_remove(at);
                    check(&mut done);
                    commit(&core, done, &mut committed);
                }
            }
            Step::Rollback(t) => {
                if let Some(at) = at(t) {
                    open.swap_remove(at).tx.rollback();
                }
            }
            Step::Collect => {
                core.collect_garbage();
            }
            Step::Compact => {
                compact::close(&core);
                core.compact(None).unwrap();
            }
            Step::Thaw => {
                compact::thaw(&core);
            }
        }
    }
    for open in &mut open {
        check(open);
    }
    drop(open);
    assert_eq!(core.collect_garbage(), 0);
    let mut tx = core.begin_with(SNAPSHOT).unwrap();
    assert_eq!(
        all(&mut tx),
        committed.clone().into_iter().collect::<Vec<_>>()
    );
    for index in &t(&tx).indexes {
        assert_eq!(index.index.len(), committed.len(), "no entry is left over");
    }
}

fn check(open: &mut Open) {
    let expected: Vec<(i32, i32)> = open.rows.clone().into_iter().collect();
    assert_eq!(all(&mut open.tx), expected);
    for k in 0..6 {
        assert_eq!(get(&mut open.tx, k), open.rows.get(&k).copied());
    }
}

/// Commits, and brings the difference to its snapshot into the model's committed rows.
fn commit(core: &Arc<Core>, done: Open, committed: &mut Rows) {
    let writes = done.tx.has_writes();
    let result = done.tx.commit().unwrap();
    assert_eq!(result.timestamp.is_some(), writes);
    if writes {
        *committed = all(&mut core.begin_with(SNAPSHOT).unwrap())
            .into_iter()
            .collect();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn histories_agree_with_the_model(steps in proptest::collection::vec(step(), 1..80)) {
        run(steps);
    }
}
