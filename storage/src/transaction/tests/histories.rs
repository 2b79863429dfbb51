//! Random histories of rows and of snapshots that come and go, against a model that keeps every state:
//! each snapshot reads its own for as long as it lives, and what none of them sees is gone.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const KEYS: i32 = 5;

type Rows = BTreeMap<i32, i32>;

#[derive(Clone, Debug)]
enum Step {
    /// Sets a key's value, or removes it, in a transaction of its own, which may come to nothing.
    Write(i32, Option<i32>, bool),
    /// Changes the same rows several times in one transaction.
    Rewrite(i32, Vec<i32>),
    Open,
    Close(usize),
    Read(usize),
    Collect,
    Freeze,
    Thaw,
    Evacuate,
}

fn step() -> impl Strategy<Value = Step> {
    let (key, value) = (0..KEYS, 0..4_i32);
    let new = proptest::option::weighted(0.8, value.clone());
    let several = proptest::collection::vec(value, 1..4);
    prop_oneof![
        12 => (key.clone(), new, proptest::bool::weighted(0.9))
            .prop_map(|(k, v, commits)| Step::Write(k, v, commits)),
        2 => (key, several).prop_map(|(k, values)| Step::Rewrite(k, values)),
        4 => Just(Step::Open),
        3 => (0..6_usize).prop_map(Step::Close),
        2 => (0..6_usize).prop_map(Step::Read),
        2 => Just(Step::Collect),
        1 => Just(Step::Freeze),
        1 => Just(Step::Thaw),
        1 => Just(Step::Evacuate),
    ]
}

/// One row of the database: its states, each with the commit that it began with.
type Past = Vec<(u64, Option<(i32, i32)>)>;

struct World {
    core: Arc<Core>,
    now: Rows,
    open: Vec<(Transaction, Rows)>,
    /// The rows that ever were; a key that is inserted again is another row.
    pasts: Vec<Past>,
    row_of: BTreeMap<i32, (usize, RowId)>,
    ids: Vec<RowId>,
}

impl World {
    fn write(&mut self, k: i32, values: &[Option<i32>], commits: bool) {
        let mut tx = self.core.begin().unwrap();
        let mut inserted = None;
        let mut has = self.now.contains_key(&k);
        for value in values {
            match value {
                Some(v) if has => assert!(update(&mut tx, k, *v).unwrap()),
                Some(v) => inserted = Some(insert(&mut tx, k, *v).unwrap()),
                None => assert_eq!(delete(&mut tx, k).unwrap(), has),
            }
            has = value.is_some();
        }
        if !commits {
            return;
        }
        let Some(at) = tx.commit().unwrap().timestamp else {
            return;
        };
        let state = values[values.len() - 1];
        if let Some(id) = inserted {
            self.row_of.insert(k, (self.pasts.len(), id));
            self.pasts.push(Past::new());
            self.ids.push(id);
        }
        let row = self.row_of[&k].0;
        self.pasts[row].push((at.0, state.map(|v| (k, v))));
        match state {
            Some(v) => self.now.insert(k, v),
            None => self.now.remove(&k),
        };
    }

    fn check(&mut self, at: usize) {
        let (tx, rows) = &mut self.open[at];
        let expected: Vec<_> = rows.iter().map(|(k, v)| (*k, *v)).collect();
        assert_eq!(all(tx), expected);
        for k in 0..KEYS {
            assert_eq!(get(tx, k), rows.get(&k).copied());
        }
    }

    /// The states of a row that somebody sees, now or later.
    fn seen(&self, past: &Past) -> Vec<Option<(i32, i32)>> {
        let snapshots: Vec<u64> = self.open.iter().map(|(tx, _)| tx.snapshot().0).collect();
        let is_seen = |at: usize| {
            let end = past.get(at + 1).map(|(end, _)| *end);
            let sees = |s: &u64| past[at].0 <= *s && end.is_none_or(|end| *s < end);
            end.is_none() || snapshots.iter().any(sees)
        };
        let states = (0..past.len()).filter(|at| is_seen(*at));
        states.map(|at| past[at].1).collect()
    }

    /// Nothing is left of what nobody sees.
    fn check_garbage(&self) {
        self.core.prune_all();
        let tx = self.core.begin().unwrap();
        let table = t(&tx);
        let operation = tx.registration.enter();
        let (mut keys, mut values) = (0, 0);
        for (past, id) in self.pasts.iter().zip(&self.ids) {
            let seen = self.seen(past);
            let images = seen.iter().flatten();
            keys += images
                .clone()
                .map(|(k, _)| k)
                .collect::<BTreeSet<_>>()
                .len();
            values += images
                .clone()
                .map(|(_, v)| v)
                .collect::<BTreeSet<_>>()
                .len();
            let Some((block, slot)) = table.rows.place(*id, &operation) else {
                assert_eq!(images.count(), 0, "a block with a row that is seen");
                continue;
            };
            let links = block.chain(slot, &operation);
            let links: Vec<_> = links.map(|link| (link.is_base(), link.stamp())).collect();
            let over = links.iter().filter(|(is_base, _)| !is_base).count();
            // The base may be a state that is seen, or one that is not and cannot be overwritten.
            assert!(over <= seen.len(), "{links:?} where {seen:?} are seen");
            let is_dead = block.is_dead_slot(slot.0.into());
            assert_eq!(is_dead, images.count() == 0, "{links:?} {seen:?}");
        }
        let entries: Vec<_> = table.indexes.iter().map(|i| i.index.len()).collect();
        assert_eq!(entries, [keys, values], "keys and values that are seen");
    }
}

fn run(steps: Vec<Step>) {
    let mut world = World {
        core: with_table(),
        now: Rows::new(),
        open: Vec::new(),
        pasts: Vec::new(),
        row_of: BTreeMap::new(),
        ids: Vec::new(),
    };
    for step in steps {
        let count = world.open.len();
        match step {
            Step::Write(k, value, commits) => world.write(k, &[value], commits),
            Step::Rewrite(k, values) => {
                let values: Vec<_> = values.into_iter().map(Some).collect();
                world.write(k, &values, true);
            }
            Step::Open if count < 5 => {
                let tx = world.core.begin().unwrap();
                world.open.push((tx, world.now.clone()));
            }
            Step::Close(at) if count > 0 => drop(world.open.swap_remove(at % count)),
            Step::Read(at) if count > 0 => world.check(at % count),
            Step::Open | Step::Close(_) | Step::Read(_) => {}
            Step::Collect => {
                world.check_garbage();
                (0..count).for_each(|at| world.check(at));
            }
            Step::Freeze => {
                compact::close(&world.core);
                world.core.compact(None).unwrap();
            }
            Step::Thaw => compact::thaw(&world.core),
            Step::Evacuate => {
                world.core.pool().begin_evacuation(100);
                world.core.evacuate();
            }
        }
    }
    world.check_garbage();
    (0..world.open.len()).for_each(|at| world.check(at));
    world.open.clear();
    assert_eq!(world.core.collect_garbage(), 0);
    world.check_garbage();
    let expected: Vec<_> = world.now.iter().map(|(k, v)| (*k, *v)).collect();
    assert_eq!(all(&mut world.core.begin().unwrap()), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn snapshots_keep_their_states_and_nothing_else(
        steps in proptest::collection::vec(step(), 1..80),
    ) {
        run(steps);
    }
}
