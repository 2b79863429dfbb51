//! The model: rows by commit, and transactions run again on them.

use super::{Answer, Committed, Event, Operation, Row, Rows, TABLES};
use std::collections::BTreeMap;
use std::fmt::Write;

/// A row's state from a commit on.
#[derive(Clone, Debug)]
pub struct Version {
    /// The commit.
    pub since: u64,
    /// Which transaction of the history made it.
    pub writer: usize,
    /// The state; `None` where the row went.
    pub row: Option<Row>,
}

/// All states of all keys, each in the order of commits.
pub type Versions = BTreeMap<(usize, i64), Vec<Version>>;

/// The newest of some states that is at or before a commit, by its place.
pub fn place_at(versions: &[Version], commit: u64) -> Option<usize> {
    versions
        .partition_point(|version| version.since <= commit)
        .checked_sub(1)
}

/// Runs each transaction again on what its snapshot shows, in the order of commits. Returns the
/// states that the history made, or why it cannot have happened.
pub fn explain(history: &[Committed]) -> Result<Versions, String> {
    let mut order: Vec<usize> = (0..history.len()).collect();
    // Who only reads stands behind what he sees, and before the next commit.
    order.sort_by_key(|at| match history[*at].commit {
        Some(commit) => (commit, 0),
        None => (history[*at].snapshot, 1),
    });
    let mut versions = Versions::new();
    for at in order {
        let transaction = &history[at];
        let before = rows_at(&versions, transaction.snapshot);
        let after = again(transaction, &before).map_err(|why| show(at, transaction, &why))?;
        for table in 0..TABLES.len() {
            write(table, at, transaction, &before, &after, &mut versions)
                .map_err(|why| show(at, transaction, &why))?;
        }
    }
    Ok(versions)
}

type Tables = [Rows; TABLES.len()];

fn rows_at(versions: &Versions, commit: u64) -> Tables {
    let mut tables = Tables::default();
    for ((table, k), versions) in versions {
        let seen = place_at(versions, commit).and_then(|place| versions[place].row.as_ref());
        if let Some(row) = seen {
            tables[*table].insert(*k, row.clone());
        }
    }
    tables
}

/// Runs the statements on the rows; the error is the first that gives something else.
fn again(transaction: &Committed, before: &Tables) -> Result<Tables, String> {
    let mut tables = before.clone();
    let mut savepoints = Vec::new();
    for event in &transaction.events {
        match event.operation {
            Operation::Savepoint => savepoints.push(tables.clone()),
            Operation::Release => drop(savepoints.pop()),
            Operation::RollbackTo => tables.clone_from(savepoints.last().ok_or("no savepoint")?),
            _ => {
                let answer = step(&event.operation, &mut tables[event.table]);
                if answer != event.answer {
                    return Err(format!(
                        "{:?} on {} gave {:?}, and not {answer:?}",
                        event.operation, TABLES[event.table], event.answer
                    ));
                }
            }
        }
    }
    Ok(tables)
}

fn step(operation: &Operation, rows: &mut Rows) -> Answer {
    match operation {
        Operation::Read(filter) => {
            let found = rows.iter().filter(|(k, row)| filter.has(**k, row));
            Answer::Rows(found.map(|(k, row)| (*k, row.clone())).collect())
        }
        Operation::First(low, limit) => {
            let found = rows.range(low..).take(*limit as usize);
            Answer::Rows(found.map(|(k, row)| (*k, row.clone())).collect())
        }
        Operation::Sum => Answer::Sum(rows.len() as i64, rows.values().map(|row| row.v).sum()),
        Operation::Insert { k, .. } if rows.contains_key(k) => Answer::Duplicate,
        Operation::Insert { k, g, v } => {
            let list = String::new();
            let row = Row {
                g: *g,
                v: v + k,
                list,
            };
            rows.insert(*k, row);
            Answer::Changed(1)
        }
        Operation::Update(filter, g, v) => change(rows, |k, row| {
            filter.has(k, row).then(|| Row {
                g: *g,
                v: v + k,
                list: row.list.clone(),
            })
        }),
        Operation::Append(filter, v) => change(rows, |k, row| {
            filter.has(k, row).then(|| Row {
                g: row.g,
                v: v + k,
                list: format!("{},{}", row.list, v + k),
            })
        }),
        Operation::Move(from, to, v) => match rows.remove(from) {
            None => Answer::Changed(0),
            Some(row) if from != to && rows.contains_key(to) => {
                rows.insert(*from, row);
                Answer::Duplicate
            }
            Some(row) => {
                rows.insert(*to, Row { v: v + from, ..row });
                Answer::Changed(1)
            }
        },
        Operation::Delete(filter) => {
            let before = rows.len();
            rows.retain(|k, row| !filter.has(*k, row));
            Answer::Changed(before - rows.len())
        }
        Operation::Savepoint | Operation::RollbackTo | Operation::Release => Answer::Changed(0),
    }
}

fn change(rows: &mut Rows, mut becomes: impl FnMut(i64, &Row) -> Option<Row>) -> Answer {
    let mut changed = 0;
    for (k, row) in rows {
        if let Some(new) = becomes(*k, row) {
            *row = new;
            changed += 1;
        }
    }
    Answer::Changed(changed)
}

/// Adds the states that a transaction made; fails where somebody has written them since its snapshot.
fn write(
    table: usize,
    at: usize,
    transaction: &Committed,
    before: &Tables,
    after: &Tables,
    versions: &mut Versions,
) -> Result<(), String> {
    let (before, after) = (&before[table], &after[table]);
    let keys = before
        .keys()
        .chain(after.keys().filter(|k| !before.contains_key(k)));
    for k in keys.filter(|k| before.get(k) != after.get(k)) {
        let name = TABLES[table];
        let Some(since) = transaction.commit else {
            return Err(format!(
                "it changed row {k} of {name} and says that it did not"
            ));
        };
        let states = versions.entry((table, *k)).or_default();
        // A row that came and went meanwhile is gone as it was before.
        if let Some(last) = states.last()
            && last.since > transaction.snapshot
            && (last.row.is_some() || before.contains_key(k))
        {
            return Err(format!(
                "lost update: row {k} of {name} was written by commit {} after its snapshot",
                last.since
            ));
        }
        states.push(Version {
            since,
            writer: at,
            row: after.get(k).cloned(),
        });
    }
    Ok(())
}

/// A transaction and what is wrong with it, for people.
pub fn show(at: usize, transaction: &Committed, why: &str) -> String {
    let mut text = format!("transaction {at}: {why}\n");
    show_events(&mut text, transaction);
    text
}

/// What a transaction did, a line each.
pub fn show_events(text: &mut String, transaction: &Committed) {
    let commit = transaction
        .commit
        .map_or("-".to_owned(), |commit| commit.to_string());
    let _ = writeln!(text, "  snapshot {}, commit {commit}", transaction.snapshot);
    for Event {
        table,
        operation,
        answer,
    } in &transaction.events
    {
        let _ = writeln!(text, "  {}: {operation:?} -> {answer:?}", TABLES[*table]);
    }
}
