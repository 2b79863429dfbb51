//! A case, and the three engines on which it is tried.

use super::compare::{Peer, Verdict, compare};
use super::contents;
use super::mistake::Mistake;
use super::schema::Table;
use super::tally::Tally;
use super::text::Text;
use super::world::{Layout, Outcome, Remora, Sqlite, Style};

/// A statement to be compared.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// The statement.
    pub(super) text: Text,
    /// Whether it says in which order its rows come.
    pub(super) is_ordered: bool,
    /// How the second Remora is asked.
    pub(super) style: Style,
    /// Whether it changes rows.
    pub(super) is_change: bool,
}

impl Question {
    /// What is in a table.
    pub(super) fn contents(table: &str) -> Self {
        Self {
            text: contents(table),
            is_ordered: false,
            style: Style::default(),
            is_change: false,
        }
    }
}

/// Tables, changes, and the statement on which the engines differ.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// The tables, with their rows.
    pub(super) tables: Vec<Table>,
    /// How the second Remora is laid out.
    pub(super) layout: Layout,
    /// What happens before.
    pub(super) steps: Vec<Question>,
    /// What differs.
    pub(super) last: Question,
}

/// What two engines say.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    /// Who says something else than Remora, asked plainly.
    pub(super) peer: Peer,
    /// What Remora says.
    pub(super) ours: Outcome,
    /// What the other one says.
    pub(super) theirs: Outcome,
}

/// The engines, with the tables of a case.
pub(super) struct Stage {
    plain: Remora,
    other: Remora,
    sqlite: Sqlite,
    tables: Vec<String>,
    is_abandoned: bool,
}

impl Stage {
    /// The tables made and filled.
    ///
    /// # Errors
    /// What a definition or a row was refused for.
    pub(super) fn new(case: &Case, mistake: Option<Mistake>) -> Result<Self, String> {
        let plain = Remora::new(&case.tables, Layout::default(), mistake);
        let other = Remora::new(&case.tables, case.layout, None);
        let sqlite = Sqlite::new(&case.tables);
        Ok(Self {
            plain: plain.map_err(|error| format!("Remora: {error}"))?,
            other: other.map_err(|error| format!("Remora, {:?}: {error}", case.layout))?,
            sqlite: sqlite.map_err(|error| format!("SQLite: {error}"))?,
            tables: case.tables.iter().map(|table| table.name.clone()).collect(),
            is_abandoned: false,
        })
    }

    /// Whether the engines hold different rows now, with an excuse.
    pub(super) fn is_abandoned(&self) -> bool {
        self.is_abandoned
    }

    /// Puts a question to all, and then, if it changed rows, what is in the tables.
    pub(super) fn ask(
        &mut self,
        question: &Question,
        tally: Option<&mut Tally>,
    ) -> Option<Difference> {
        let ours = self.plain.ask(&question.text, Style::default());
        let other = self.other.ask(&question.text, question.style);
        let has_failed = matches!(ours, Outcome::Failed(..));
        let sqlite = match question.is_change {
            true => self.sqlite.change(&question.text, !has_failed),
            false => self.sqlite.ask(&question.text),
        };
        if let Some(tally) = tally {
            tally.count(question, &ours, &other, &sqlite);
        }
        let peers = [(Peer::Remora, other), (Peer::Sqlite, sqlite)];
        for (peer, theirs) in peers {
            let verdict = compare(&ours, &theirs, peer, question.is_ordered);
            if verdict == Verdict::Different {
                return Some(Difference { peer, ours, theirs });
            }
            let fails = matches!(theirs, Outcome::Failed(..) | Outcome::Unsayable);
            let is_undone = peer == Peer::Sqlite && has_failed;
            self.is_abandoned |= question.is_change && fails != has_failed && !is_undone;
        }
        if !question.is_change || self.is_abandoned {
            return None;
        }
        // Of all tables: foreign keys have actions.
        let tables = self.tables.clone();
        let mut contents = tables.iter().map(|table| Question::contents(table));
        contents.find_map(|question| self.ask(&question, None))
    }
}

/// Tries a whole case from the start; `None` where all agree, or the case cannot be tried.
pub(super) fn attempt(case: &Case, mistake: Option<Mistake>) -> Option<Difference> {
    let mut stage = Stage::new(case, mistake).ok()?;
    for step in &case.steps {
        if stage.ask(step, None).is_some() || stage.is_abandoned() {
            return None;
        }
    }
    stage.ask(&case.last, None)
}
