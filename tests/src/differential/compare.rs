//! Whether two outcomes are the same, as far as they must be.

use super::world::{Cell, Outcome};
use std::cmp::Ordering;

/// What comparing came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// The same.
    Same,
    /// Not the same.
    Different,
    /// They differ where they may: one met an error in a value that the other need not look at, or one does
    /// not know the statement.
    Excused,
}

/// Whether the two engines are the same one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Peer {
    /// Another Remora.
    Remora,
    /// SQLite.
    Sqlite,
}

/// Compares Remora's outcome with another one's.
pub(super) fn compare(remora: &Outcome, other: &Outcome, peer: Peer, is_ordered: bool) -> Verdict {
    match (remora, other) {
        // The other Remora was asked before, and says what is fatal.
        (_, Outcome::Unsayable) => Verdict::Excused,
        _ if is_too_much(remora) && is_too_much(other) => Verdict::Excused,
        (Outcome::Failed(state, _), _) | (_, Outcome::Failed(state, _)) if is_fatal(state) => {
            Verdict::Different
        }
        (Outcome::Rows(ours), Outcome::Rows(theirs)) => match same_rows(ours, theirs, is_ordered) {
            true => Verdict::Same,
            false => Verdict::Different,
        },
        (Outcome::Changed(ours), Outcome::Changed(theirs)) if ours == theirs => Verdict::Same,
        (Outcome::Failed(state, _), Outcome::Failed(..))
            if peer == Peer::Sqlite || is_excused(state) =>
        {
            Verdict::Excused
        }
        (Outcome::Failed(ours, _), Outcome::Failed(theirs, _))
            if ours == theirs || is_excused(theirs) =>
        {
            Verdict::Excused
        }
        (Outcome::Failed(state, _), _) if is_excused(state) => Verdict::Excused,
        (_, Outcome::Failed(state, _)) if peer == Peer::Remora && is_excused(state) => {
            Verdict::Excused
        }
        (Outcome::Rows(_) | Outcome::Changed(_), Outcome::Failed(_, message))
            if peer == Peer::Sqlite && !message.contains("constraint") =>
        {
            Verdict::Excused
        }
        _ => Verdict::Different,
    }
}

/// Errors in values, which come where a value is looked at; what grammar refuses with parameters only; and what
/// this engine does not have.
fn is_excused(state: &str) -> bool {
    state.starts_with("22")
        || matches!(
            state,
            "21000" | "0A000" | "42803" | "42P10" | "54000" | "54001" | "57014"
        )
}

/// Whether the statement was given up for what it takes, be that time or memory: of those that take too much of
/// both, the machine's load decides which is missed first.
fn is_too_much(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed(state, message)
        if matches!(state.as_str(), "53200" | "57014") || message == "interrupted")
}

/// What must never come, unless it comes to all.
fn is_fatal(state: &str) -> bool {
    matches!(state, "PANIC" | "XX000" | "53200")
}

fn same_rows(ours: &[Vec<Cell>], theirs: &[Vec<Cell>], is_ordered: bool) -> bool {
    if ours.len() != theirs.len() {
        return false;
    }
    let same = |ours: &[&Vec<Cell>], theirs: &[&Vec<Cell>]| {
        let mut rows = ours.iter().zip(theirs);
        rows.all(|(a, b)| a.len() == b.len() && a.iter().zip(*b).all(|(a, b)| same_cell(a, b)))
    };
    let mut a: Vec<&Vec<Cell>> = ours.iter().collect();
    let mut b: Vec<&Vec<Cell>> = theirs.iter().collect();
    if is_ordered && (same(&a, &b) || !has_floats(ours)) {
        return same(&a, &b);
    }
    a.sort_by(|a, b| order(a, b));
    b.sort_by(|a, b| order(a, b));
    same(&a, &b)
}

/// Whether what differs in its last bit may have come into the order of rows.
fn has_floats(rows: &[Vec<Cell>]) -> bool {
    let is_float = |cell: &Cell| matches!(cell, Cell::Real(_));
    rows.iter().any(|row| row.iter().any(is_float))
}

fn number(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Int(n) => Some(*n as f64),
        Cell::Real(n) => Some(*n),
        _ => None,
    }
}

/// Up to where a REAL has each quarter, as all numbers here begin with.
const REAL_QUARTERS: f64 = (1 << 22) as f64;

fn same_cell(a: &Cell, b: &Cell) -> bool {
    if let (Cell::Int(a), Cell::Int(b)) = (a, b) {
        return a == b;
    }
    match (number(a), number(b)) {
        (Some(a), Some(b)) => {
            let size = a.abs().max(b.abs());
            // A sum of REALs is one, and beyond that it has no room for a quarter; SQLite's has.
            let bits = if size < REAL_QUARTERS {
                1e-9
            } else {
                f32::EPSILON.into()
            };
            a == b || (a - b).abs() <= bits * size
        }
        _ => a == b,
    }
}

fn order(a: &[Cell], b: &[Cell]) -> Ordering {
    let cells = a.iter().zip(b).map(|(a, b)| match (number(a), number(b)) {
        (Some(_), Some(_)) if same_cell(a, b) => Ordering::Equal,
        (Some(x), Some(y)) => x.total_cmp(&y),
        _ => format!("{a:?}").cmp(&format!("{b:?}")),
    });
    cells.fold(Ordering::Equal, Ordering::then)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(values: &[i64]) -> Outcome {
        Outcome::Rows(values.iter().map(|value| vec![Cell::Int(*value)]).collect())
    }

    #[test]
    fn order_counts_where_it_was_asked_for() {
        let (up, down) = (rows(&[1, 2]), rows(&[2, 1]));
        assert_eq!(compare(&up, &down, Peer::Sqlite, false), Verdict::Same);
        assert_eq!(compare(&up, &down, Peer::Sqlite, true), Verdict::Different);
        // Of two averages that are nearly the same either may come first.
        let nearly = |bits: [u64; 2]| {
            let row = |(n, bits): (i64, u64)| vec![Cell::Real(f64::from_bits(bits)), Cell::Int(n)];
            Outcome::Rows([4, 7].into_iter().zip(bits).map(row).collect())
        };
        let (one, mut other) = (
            nearly([1_f64.to_bits(), 1_f64.to_bits() + 1]),
            nearly([1_f64.to_bits(); 2]),
        );
        if let Outcome::Rows(rows) = &mut other {
            rows.reverse();
        }
        assert_eq!(compare(&one, &other, Peer::Sqlite, true), Verdict::Same);
        assert_eq!(
            compare(&up, &rows(&[1, 2, 2]), Peer::Sqlite, false),
            Verdict::Different
        );
    }

    #[test]
    fn an_error_is_excused_where_it_may_come_later() {
        let failed = |state: &str| Outcome::Failed(state.to_owned(), String::new());
        assert_eq!(
            compare(&failed("22012"), &rows(&[]), Peer::Remora, false),
            Verdict::Excused
        );
        assert_eq!(
            compare(&failed("42703"), &rows(&[]), Peer::Remora, false),
            Verdict::Different
        );
        assert_eq!(
            compare(&failed("XX000"), &failed("XX000"), Peer::Remora, false),
            Verdict::Different
        );
        // Out of memory is one where another engine has the rows, and none where that gave up, too.
        let (memory, time) = (failed("53200"), failed("57014"));
        let verdicts = [rows(&[]), time].map(|other| compare(&memory, &other, Peer::Remora, false));
        assert_eq!(verdicts, [Verdict::Different, Verdict::Excused]);
        let constraint = Outcome::Failed(String::new(), "UNIQUE constraint failed".to_owned());
        assert_eq!(
            compare(&rows(&[]), &constraint, Peer::Sqlite, false),
            Verdict::Different
        );
    }
}
