//! Makes a case smaller for as long as the engines still differ, and shows what is left.

use super::compare::Peer;
use super::mistake::Mistake;
use super::schema::For;
use super::text::{Dialect, Text};
use super::trial::{Case, Difference, attempt};
use super::world::{Cell, Layout, Outcome, Rules, Style};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// How long it may take: what is left then is shown.
const PATIENCE: Duration = Duration::from_secs(60);

struct Shrinker {
    case: Case,
    seen: Difference,
    mistake: Option<Mistake>,
    end: Instant,
}

/// The case, made smaller, as a report for people.
pub(super) fn shrink(case: Case, mistake: Option<Mistake>) -> String {
    let Some(seen) = attempt(&case, mistake) else {
        return format!(
            "It does not happen again. It was\n{:?}",
            case.last.text.render(Dialect::Remora)
        );
    };
    let end = Instant::now() + PATIENCE;
    let mut shrinker = Shrinker {
        case,
        seen,
        mistake,
        end,
    };
    while shrinker.pass() {}
    shrinker.report()
}

impl Shrinker {
    /// Takes the smaller case if the same peer still differs.
    fn take(&mut self, change: impl FnOnce(&mut Case)) -> bool {
        if Instant::now() > self.end {
            return false;
        }
        let mut smaller = self.case.clone();
        change(&mut smaller);
        match attempt(&smaller, self.mistake) {
            Some(seen) if seen.peer == self.seen.peer && is_like(&seen, &self.seen) => {
                (self.case, self.seen) = (smaller, seen);
                true
            }
            _ => false,
        }
    }

    /// Tries everything once; whether something got smaller.
    fn pass(&mut self) -> bool {
        let mut got_smaller = self.variations();
        for at in (0..self.case.steps.len()).rev() {
            got_smaller |= self.take(|case| {
                case.steps.remove(at);
            });
        }
        for at in (0..self.case.tables.len()).rev() {
            if self.case.tables.len() > 1 {
                got_smaller |= self.take(|case| {
                    case.tables.remove(at);
                });
            }
        }
        got_smaller |= self.texts(None);
        for at in 0..self.case.steps.len() {
            got_smaller |= self.texts(Some(at));
        }
        for table in 0..self.case.tables.len() {
            got_smaller |= self.rows(table);
            got_smaller |= self.indexes(table);
        }
        got_smaller
    }

    /// Leaves out what the second Remora does otherwise.
    fn variations(&mut self) -> bool {
        let changes: [fn(&mut Layout, &mut Style); 6] = [
            |layout, _| layout.without_indexes = false,
            |layout, _| layout.frozen = false,
            |layout, _| layout.in_transaction = false,
            |_, style| style.rewritten = false,
            |_, style| style.parameters = false,
            |_, style| style.rules = Rules::default(),
        ];
        let mut got_smaller = false;
        for change in changes {
            let (mut layout, mut style) = (self.case.layout, self.case.last.style);
            change(&mut layout, &mut style);
            if (layout, style) != (self.case.layout, self.case.last.style) {
                got_smaller |= self.take(|case| (case.layout, case.last.style) = (layout, style));
            }
        }
        got_smaller
    }

    /// Leaves out rows, many at a time first.
    fn rows(&mut self, table: usize) -> bool {
        let mut got_smaller = false;
        let mut size = self.case.tables[table].rows.len();
        while size > 0 {
            let mut at = 0;
            while at < self.case.tables[table].rows.len() {
                let end = (at + size).min(self.case.tables[table].rows.len());
                let is_gone = self.take(|case| {
                    case.tables[table].rows.drain(at..end);
                });
                got_smaller |= is_gone;
                at += if is_gone { 0 } else { size };
            }
            size /= 2;
        }
        got_smaller
    }

    fn indexes(&mut self, table: usize) -> bool {
        let mut got_smaller = false;
        for at in (0..self.case.tables[table].indexes.len()).rev() {
            got_smaller |= self.take(|case| {
                case.tables[table].indexes.remove(at);
            });
        }
        got_smaller
    }

    /// Makes the last statement shorter, or a step.
    fn texts(&mut self, step: Option<usize>) -> bool {
        let mut got_smaller = false;
        let mut at = 0;
        while let Some(part) = nth(self.text(step), at) {
            let candidates = candidates(part);
            let is_taken = candidates.into_iter().any(|candidate| {
                self.take(|case| {
                    let text = match step {
                        Some(step) => &mut case.steps[step].text,
                        None => &mut case.last.text,
                    };
                    if let Some(part) = nth_mut(text, at) {
                        *part = candidate;
                    }
                })
            });
            got_smaller |= is_taken;
            // What stands there now may become smaller yet.
            at += usize::from(!is_taken);
        }
        got_smaller
    }

    fn text(&self, step: Option<usize>) -> &Text {
        match step {
            Some(step) => &self.case.steps[step].text,
            None => &self.case.last.text,
        }
    }

    fn report(&self) -> String {
        let (case, mut out) = (&self.case, String::new());
        let who = match self.seen.peer {
            Peer::Sqlite => "SQLite".to_owned(),
            Peer::Remora => format!("Remora with {:?}, {:?}", case.layout, case.last.style),
        };
        for table in &case.tables {
            for sql in table
                .definition(For::Remora, true)
                .iter()
                .chain(&table.filling(For::Remora))
            {
                let _ = writeln!(out, "{sql};");
            }
        }
        for step in case.steps.iter().chain([&case.last]) {
            let sql = step.text.render(Dialect::Remora).unwrap_or_default();
            let _ = writeln!(out, "{sql};");
        }
        let _ = writeln!(out, "-- Remora: {}", shown(&self.seen.ours));
        let _ = writeln!(out, "-- {who}: {}", shown(&self.seen.theirs));
        let dialect = match self.seen.peer {
            Peer::Sqlite => Dialect::Sqlite,
            Peer::Remora => case.last.style.dialect(),
        };
        let theirs = case.last.text.render(dialect).unwrap_or_default();
        let _ = writeln!(out, "-- as that one was asked: {theirs}");
        out
    }
}

/// Whether what is seen is of the same sort: an error is no step towards rows.
fn is_like(a: &Difference, b: &Difference) -> bool {
    let sort = |outcome: &Outcome| match outcome {
        Outcome::Failed(state, _) => Some(state.clone()),
        _ => None,
    };
    sort(&a.ours) == sort(&b.ours) && sort(&a.theirs) == sort(&b.theirs)
}

fn shown(outcome: &Outcome) -> String {
    const ROWS_MAX: usize = 20;
    let cell = |cell: &Cell| match cell {
        Cell::Null => "NULL".to_owned(),
        Cell::Int(n) => n.to_string(),
        Cell::Real(n) => format!("{n:?}"),
        Cell::Text(text) => format!("'{text}'"),
        Cell::Bytes(bytes) => format!("{bytes:02x?}"),
    };
    let row = |row: &Vec<Cell>| row.iter().map(cell).collect::<Vec<_>>().join(", ");
    match outcome {
        Outcome::Rows(rows) => {
            let some: Vec<String> = rows.iter().take(ROWS_MAX).map(row).collect();
            format!("{} rows: {}", rows.len(), some.join(" | "))
        }
        Outcome::Changed(count) => format!("{count} rows changed"),
        Outcome::Failed(state, message) => format!("ERROR {state}: {message}"),
        Outcome::Unsayable => "(not asked)".to_owned(),
    }
}

/// What may stand in a part's place: nothing, a part of it, or a constant.
fn candidates(part: &Text) -> Vec<Text> {
    match part {
        Text::Optional(_) => vec![Text::Raw(String::new())],
        Text::Items(between, items) if items.len() > 1 => (0..items.len())
            .map(|at| {
                let mut fewer = items.clone();
                fewer.remove(at);
                Text::Items(between, fewer)
            })
            .collect(),
        Text::Expr(kind, inner) if !matches!(**inner, Text::Raw(_) | Text::Literal(..)) => {
            let mut found = vec![Text::Literal(*kind, kind.plain().to_owned())];
            let mut at = 1;
            while let Some(below) = nth(part, at) {
                match below {
                    Text::Expr(of, _) if of == kind => found.push(below.clone()),
                    _ => {}
                }
                at += 1;
            }
            found
        }
        _ => Vec::new(),
    }
}

/// The `at`th part of a tree, in preorder.
fn nth(text: &Text, at: usize) -> Option<&Text> {
    fn find<'a>(text: &'a Text, at: &mut usize) -> Option<&'a Text> {
        if *at == 0 {
            return Some(text);
        }
        *at -= 1;
        text.parts().iter().find_map(|part| find(part, at))
    }
    find(text, &mut { at })
}

fn nth_mut(text: &mut Text, at: usize) -> Option<&mut Text> {
    fn find<'a>(text: &'a mut Text, at: &mut usize) -> Option<&'a mut Text> {
        if *at == 0 {
            return Some(text);
        }
        *at -= 1;
        text.parts_mut().iter_mut().find_map(|part| find(part, at))
    }
    find(text, &mut { at })
}
