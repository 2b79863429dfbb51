//! Who depends on whom, and circles in that.
//!
//! ```text
//!   ww  U wrote the next state of a row after T's
//!   wr  U read what T wrote
//!   rw  T read what U's state of a row replaced: an anti-dependency
//! ```
//!
//! An edge leads from T to U, who comes later in every serial order. What a statement read of a row
//! that it gave out is told by the row's value; of rows that it looked at in vain, by the snapshot.
//! The next state matters only if it changes what the statement gives: then the statement's
//! transaction comes before the writer.
//!
//! A key can be free, taken and free again. At SERIALIZABLE it is all the same which of these times a
//! transaction has seen that it was free: it saw the last one before its commit. At SNAPSHOT, which
//! knows rows and not keys, it saw the one of its snapshot, and the next row of a key is another row.

use super::replay::{Version, Versions, place_at, show_events};
use super::{Answer, Committed, Event, Filter, Level, Operation, Row};
use std::collections::{HashMap, HashSet, VecDeque};

/// A kind of dependency.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// On a state that is replaced.
    Ww,
    /// On a state that is read.
    Wr,
    /// On a state that is read and replaced.
    Rw,
}

/// The edges that leave each transaction.
type Edges = Vec<HashSet<(usize, Kind)>>;

/// Looks for circles that the level forbids; returns how many of the others there are, counting one
/// for each knot of transactions.
pub fn explain(history: &[Committed], versions: &Versions, level: Level) -> Result<u64, String> {
    let edges = edges(history, versions, level);
    let mut circles = 0;
    for knot in knots(&edges) {
        let serializable = level == Level::Serializable;
        if let Some(circle) = forbidden(&edges, &knot, serializable) {
            return Err(show(history, &circle));
        }
        circles += 1;
    }
    Ok(circles)
}

fn edges(history: &[Committed], versions: &Versions, level: Level) -> Edges {
    let mut edges: Edges = vec![HashSet::new(); history.len()];
    let mut add = |from: usize, to: usize, kind| {
        if from != to {
            edges[from].insert((to, kind));
        }
    };
    for states in versions.values() {
        for pair in states.windows(2) {
            if pair[0].row.is_some() || level == Level::Serializable {
                add(pair[0].writer, pair[1].writer, Kind::Ww);
            }
        }
    }
    let by_value = writers(versions);
    for (at, transaction) in history.iter().enumerate() {
        for event in &transaction.events {
            if let Answer::Rows(rows) = &event.answer {
                for (k, row) in rows {
                    // Its own value is in no version: it may have been replaced by itself.
                    if let Some(writer) = by_value.get(&(event.table, *k, row.v)) {
                        add(*writer, at, Kind::Wr);
                    }
                }
            }
            let here = versions
                .iter()
                .filter(|((table, _), _)| *table == event.table);
            for ((_, k), states) in here {
                let seen = place_at(states, transaction.snapshot);
                let old = seen.map(|place| &states[place]);
                if let Some(state) = old.filter(|state| counts(event, *k, state)) {
                    add(state.writer, at, Kind::Wr);
                }
                let old = old.and_then(|state| state.row.as_ref());
                let later = &states[seen.map_or(0, |place| place + 1)..];
                let changes = |state: &Version| changes(event, *k, old, state.row.as_ref());
                let first = match level {
                    Level::Serializable => {
                        let same = last_same(later, transaction.commit, &changes);
                        if let Some(place) = same {
                            add(later[place].writer, at, Kind::Wr);
                        }
                        same.map_or(0, |place| place + 1)
                    }
                    // It has looked for room at the newest state.
                    Level::Snapshot if event.puts(*k) => later.len(),
                    Level::Snapshot => 0,
                };
                if let Some(state) = later[first..].iter().find(|state| changes(state)) {
                    add(at, state.writer, Kind::Rw);
                }
            }
        }
    }
    edges
}

/// Who wrote a value; each is written once.
fn writers(versions: &Versions) -> HashMap<(usize, i64, i64), usize> {
    let mut writers = HashMap::new();
    for ((table, k), states) in versions {
        for state in states {
            if let Some(row) = &state.row {
                writers.insert((*table, *k, row.v), state.writer);
            }
        }
    }
    writers
}

/// Whether a state that the snapshot shows counts in what the statement gave, though that does not
/// show its value.
fn counts(event: &Event, k: i64, state: &Version) -> bool {
    let Some(row) = &state.row else {
        return false;
    };
    match &event.operation {
        Operation::Sum => true,
        Operation::Update(filter, ..)
        | Operation::Append(filter, _)
        | Operation::Delete(filter) => filter.has(k, row),
        Operation::Insert { k: key, .. } => k == *key,
        Operation::Move(from, to, _) => {
            k == *from || (k == *to && event.answer == Answer::Duplicate)
        }
        _ => false,
    }
}

impl Event {
    /// Whether it has put a row where none was with the key.
    fn puts(&self, k: i64) -> bool {
        let to = match &self.operation {
            Operation::Insert { k, .. } => *k,
            Operation::Move(from, to, _) if from != to => *to,
            _ => return false,
        };
        to == k && self.answer == Answer::Changed(1)
    }
}

/// The place of the last state before a commit that does not change what was read.
fn last_same(
    later: &[Version],
    commit: Option<u64>,
    changes: &impl Fn(&Version) -> bool,
) -> Option<usize> {
    let end = commit.map_or(0, |commit| {
        later.partition_point(|state| state.since < commit)
    });
    later[..end].iter().rposition(|state| !changes(state))
}

/// Whether a statement that has looked at one state of a row would have given something else with
/// another.
fn changes(event: &Event, k: i64, old: Option<&Row>, new: Option<&Row>) -> bool {
    let is = |row: Option<&Row>, filter: &Filter| row.is_some_and(|row| filter.has(k, row));
    let comes_or_goes = old.is_some() != new.is_some();
    match &event.operation {
        Operation::Read(filter) => (is(old, filter) || is(new, filter)) && old != new,
        Operation::First(low, limit) => comes_to(&event.answer, *low, *limit, k) && old != new,
        Operation::Sum => old != new,
        Operation::Insert { k: key, .. } => k == *key && comes_or_goes,
        Operation::Update(filter, ..)
        | Operation::Append(filter, _)
        | Operation::Delete(filter) => is(old, filter) != is(new, filter),
        Operation::Move(from, to, _) => {
            let looks_there = event.answer != Answer::Changed(0);
            (k == *from || (k == *to && looks_there)) && comes_or_goes
        }
        Operation::Savepoint | Operation::RollbackTo | Operation::Release => false,
    }
}

/// Whether the first rows from a key on, so many, can have had this key among them.
fn comes_to(answer: &Answer, low: i64, limit: i64, k: i64) -> bool {
    let Answer::Rows(rows) = answer else {
        return false;
    };
    let is_full = rows.len() as i64 == limit;
    k >= low && (!is_full || rows.last().is_some_and(|(last, _)| k <= *last))
}

/// Sets of two and more transactions each of which leads to each (Tarjan, "Depth-first search and
/// linear graph algorithms", 1972), without recursion.
fn knots(edges: &Edges) -> Vec<Vec<usize>> {
    const NEW: usize = usize::MAX;
    let count = edges.len();
    let targets: Vec<Vec<usize>> = edges
        .iter()
        .map(|edges| edges.iter().map(|(to, _)| *to).collect())
        .collect();
    let (mut number, mut low, mut on_stack) =
        (vec![NEW; count], vec![0; count], vec![false; count]);
    let (mut stack, mut path, mut knots, mut next) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for start in 0..count {
        if number[start] != NEW {
            continue;
        }
        path.push((start, 0));
        while let Some((at, edge)) = path.pop() {
            if edge == 0 {
                number[at] = next;
                low[at] = next;
                next += 1;
                stack.push(at);
                on_stack[at] = true;
            } else {
                // Back from the target before.
                let target = targets[at][edge - 1];
                if on_stack[target] {
                    low[at] = low[at].min(low[target]);
                }
            }
            if let Some(target) = targets[at].get(edge) {
                path.push((at, edge + 1));
                if number[*target] == NEW {
                    path.push((*target, 0));
                }
            } else if low[at] == number[at] {
                let base = stack.iter().rposition(|other| *other == at).unwrap_or(0);
                let knot = stack.split_off(base);
                for member in &knot {
                    on_stack[*member] = false;
                }
                if knot.len() > 1 {
                    knots.push(knot);
                }
            }
        }
    }
    knots
}

/// A shortest circle within a knot; unless any is forbidden, one without two anti-dependencies in a
/// row.
fn forbidden(edges: &Edges, knot: &[usize], any: bool) -> Option<Vec<(usize, Kind)>> {
    let members: HashSet<usize> = knot.iter().copied().collect();
    let circles = knot
        .iter()
        .filter_map(|start| circle(edges, &members, *start, any));
    circles.min_by_key(Vec::len)
}

/// A shortest circle through a transaction: each with the kind of the edge that leaves it. A search
/// by breadth over pairs of a transaction and whether the edge that led there was an anti-dependency.
fn circle(
    edges: &Edges,
    members: &HashSet<usize>,
    start: usize,
    any: bool,
) -> Option<Vec<(usize, Kind)>> {
    for first in edges[start].iter().filter(|(to, _)| members.contains(to)) {
        let begin = (first.0, first.1 == Kind::Rw);
        let mut from: HashMap<(usize, bool), (usize, bool)> = HashMap::new();
        let mut seen = HashSet::from([begin]);
        let mut queue = VecDeque::from([begin]);
        while let Some(at) = queue.pop_front() {
            if at.0 == start && (any || !(at.1 && first.1 == Kind::Rw)) {
                let mut path = vec![at];
                while let Some(before) = from.get(&path[path.len() - 1]) {
                    path.push(*before);
                }
                return Some(kinds(edges, start, &path));
            }
            for (to, kind) in &edges[at.0] {
                let is_anti = *kind == Kind::Rw;
                let next = (*to, is_anti);
                if members.contains(to) && (any || !(at.1 && is_anti)) && seen.insert(next) {
                    from.insert(next, at);
                    queue.push_back(next);
                }
            }
        }
    }
    None
}

/// The circle of a path that was found backwards, from `start` to `start`.
fn kinds(edges: &Edges, start: usize, path: &[(usize, bool)]) -> Vec<(usize, Kind)> {
    let mut at = start;
    let mut circle = Vec::new();
    for (to, is_anti) in path.iter().rev() {
        let is_it =
            |(target, kind): &&(usize, Kind)| target == to && (*kind == Kind::Rw) == *is_anti;
        let kind = edges[at]
            .iter()
            .find(is_it)
            .map_or(Kind::Rw, |(_, kind)| *kind);
        circle.push((at, kind));
        at = *to;
    }
    circle
}

fn show(history: &[Committed], circle: &[(usize, Kind)]) -> String {
    let mut text = format!("a circle of {} dependencies:\n", circle.len());
    for (at, kind) in circle {
        text += &format!("transaction {at}, then by {kind:?}:\n");
        show_events(&mut text, &history[*at]);
    }
    text + &format!("and back to transaction {}", circle[0].0)
}
