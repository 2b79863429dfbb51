//! Kill -9 at random moments: what was acknowledged is there, what was not is not there in part.
//!
//! 1. A child `remora --ndjson DIR` runs autocommitted inserts, updates and deletes from two
//!    sessions, each on rows of its own (odd and even keys), some of two rows, some of two
//!    statements; a third session takes a checkpoint now and then. Each session has a few statements
//!    under way at any time.
//! 2. At a random moment the child is killed. What it had answered is acknowledged.
//! 3. A new child opens the directory. A session's statements run in order, so its rows must be
//!    what its first n statements made, for one n from the number acknowledged to the number sent:
//!    a smaller n loses an acknowledged change, a part of a statement fits no n.
//! 4. The primary key, a unique index and a secondary index must answer as the table does, for
//!    every key that was ever touched in the round.
//!
//! The next round goes on with what is there, so that wear adds up: replay over images over replay.

use crate::machine::Machine;
use crate::random::Random;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// Statements of one session that may be unanswered.
const WINDOW: usize = 6;
/// Rows above which a session deletes more than it inserts.
const ROWS_MAX: usize = 150;
/// Values of the column with the secondary index.
const GROUPS: u64 = 8;
/// The longest life of a child, from its first statement on.
const LIFE_MAX: Duration = Duration::from_millis(400);

type Id = i64;

/// A row beside its key.
#[derive(Clone, PartialEq, Eq, Debug)]
struct RowData {
    u: i64,
    grp: i64,
    v: String,
}

type Rows = BTreeMap<Id, RowData>;

/// A statement and what it makes of rows (`None`: gone).
#[derive(Clone, Debug)]
struct Change {
    sql: String,
    puts: Vec<(Id, Option<RowData>)>,
}

/// One session's side of the story.
#[derive(Debug)]
struct Writer {
    /// 0 or 1: the remainder of its keys by two.
    side: i64,
    /// Rows before the changes.
    base: Rows,
    /// Rows after all changes sent.
    rows: Rows,
    sent: Vec<Change>,
    acknowledged: usize,
    next: i64,
}

/// Runs the rounds; the error tells what was lost and how to run it again.
pub fn run(binary: &Path, rounds: u32, seed: u64) -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let directory = folder.path().join("db");
    let mut random = Random::new(seed);
    let mut writers = [Writer::new(0), Writer::new(1)];
    for round in 0..=rounds {
        let context = |error: io::Error| {
            io::Error::other(format!("round {round}, REMORA_SEED={seed}: {error}"))
        };
        let mut machine = Machine::start(binary, &directory).map_err(context)?;
        if round == 0 {
            create(&mut machine).map_err(context)?;
        }
        verify(&mut machine, &mut writers).map_err(context)?;
        if round == rounds {
            return machine.finish().map_err(context);
        }
        stream(machine, &mut writers, &mut random).map_err(context)?;
    }
    Ok(())
}

fn create(machine: &mut Machine) -> io::Result<()> {
    machine.query(
        "CREATE TABLE t (id BIGINT PRIMARY KEY, u BIGINT NOT NULL UNIQUE, grp INTEGER NOT NULL, v TEXT)",
    )?;
    machine.query("CREATE INDEX t_grp ON t (grp)").map(drop)
}

/// Streams changes until the moment of the kill.
fn stream(mut machine: Machine, writers: &mut [Writer; 2], random: &mut Random) -> io::Result<()> {
    // Short lives are as likely as long ones: half of them are below a twentieth of the longest.
    let life = LIFE_MAX.mul_f64((random.below(1_000) as f64 / 1_000.0).powi(4));
    let end = Instant::now() + life;
    while Instant::now() < end {
        for writer in writers.iter_mut() {
            while writer.sent.len() - writer.acknowledged < WINDOW {
                let change = writer.change(random);
                machine.send(writer.name(), &change.sql)?;
                writer.send(change);
            }
        }
        if random.below(100) == 0 {
            machine.send("checkpoint", "CHECKPOINT")?;
        }
        let wait = end.saturating_duration_since(Instant::now());
        if let Some(answer) = machine.answer(wait)? {
            acknowledge(&answer, writers)?;
        }
    }
    let answers = machine.kill()?;
    answers
        .iter()
        .try_for_each(|answer| acknowledge(answer, writers))
}

fn acknowledge(answer: &Value, writers: &mut [Writer; 2]) -> io::Result<()> {
    if answer["ok"] != true {
        return Err(io::Error::other(format!("a statement failed: {answer}")));
    }
    for writer in writers {
        if answer["session"] == writer.name() {
            writer.acknowledged += 1;
        }
    }
    Ok(())
}

/// Compares what is there with what must and may be, and makes it the base of the next round.
fn verify(machine: &mut Machine, writers: &mut [Writer; 2]) -> io::Result<()> {
    let mut all = Rows::new();
    let mut touched = BTreeSet::new();
    for writer in writers {
        let found = rows(&machine.query(&format!(
            "SELECT id, u, grp, v FROM t WHERE id % 2 = {} ORDER BY id",
            writer.side
        ))?)?;
        touched.extend(writer.touched());
        writer.settle(&found)?;
        all.extend(found);
    }
    verify_indexes(machine, &all, &touched)
}

fn verify_indexes(
    machine: &mut Machine,
    all: &Rows,
    touched: &BTreeSet<(Id, i64)>,
) -> io::Result<()> {
    let expect = |what: String, found: Vec<Value>, wanted: Vec<Value>| {
        if found == wanted {
            return Ok(());
        }
        let (found, wanted) = (Value::from(found), Value::from(wanted));
        Err(io::Error::other(format!(
            "the index on {what} gives {found}, the table {wanted}"
        )))
    };
    for (id, u) in touched {
        let by_id = machine.query(&format!("SELECT u FROM t WHERE id = {id}"))?;
        let wanted = all.get(id).map(|row| json!([row.u]));
        expect(format!("id = {id}"), by_id, wanted.into_iter().collect())?;
        let by_u = machine.query(&format!("SELECT id FROM t WHERE u = {u}"))?;
        let wanted = all
            .iter()
            .filter(|(_, row)| row.u == *u)
            .map(|(id, _)| json!([id]));
        expect(format!("u = {u}"), by_u, wanted.collect())?;
    }
    for grp in 0..GROUPS as i64 {
        let found = machine.query(&format!("SELECT id FROM t WHERE grp = {grp} ORDER BY id"))?;
        let wanted = all
            .iter()
            .filter(|(_, row)| row.grp == grp)
            .map(|(id, _)| json!([id]));
        expect(format!("grp = {grp}"), found, wanted.collect())?;
    }
    Ok(())
}

/// Rows as they come over the wire.
fn rows(answer: &[Value]) -> io::Result<Rows> {
    let mut rows = Rows::new();
    for row in answer {
        let (Some(id), Some(u), Some(grp), Some(v)) = (
            row[0].as_i64(),
            row[1].as_i64(),
            row[2].as_i64(),
            row[3].as_str(),
        ) else {
            return Err(io::Error::other(format!("a row of the wrong shape: {row}")));
        };
        let v = v.to_owned();
        if rows.insert(id, RowData { u, grp, v }).is_some() {
            return Err(io::Error::other(format!("the row {row} comes twice")));
        }
    }
    Ok(rows)
}

impl Writer {
    fn new(side: i64) -> Self {
        Self {
            side,
            base: Rows::new(),
            rows: Rows::new(),
            sent: Vec::new(),
            acknowledged: 0,
            next: 0,
        }
    }

    /// Of its session.
    fn name(&self) -> &'static str {
        if self.side == 0 { "even" } else { "odd" }
    }

    fn send(&mut self, change: Change) {
        apply(&mut self.rows, &change);
        self.sent.push(change);
    }

    /// A key or a unique value that was never used.
    fn fresh(&mut self) -> i64 {
        self.next += 1;
        self.next * 2 + self.side
    }

    fn row(&mut self, random: &mut Random) -> RowData {
        let u = self.fresh();
        let grp = random.below(GROUPS) as i64;
        // Short texts lie in the row, long ones on the heap.
        let v = "x".repeat(random.below(40) as usize) + &u.to_string();
        RowData { u, grp, v }
    }

    /// A random change of its own rows.
    fn change(&mut self, random: &mut Random) -> Change {
        let ids: Vec<Id> = self.rows.keys().copied().collect();
        let (one, other) = (random.pick(&ids), random.pick(&ids));
        let kind = match ids.len() {
            0..10 => random.below(2),
            ROWS_MAX.. => 4 + random.below(2),
            _ => random.below(7),
        };
        match (kind, one, other) {
            (2, Some(a), Some(b)) => self.update_two(a, b, random),
            (3, Some(a), _) => self.update_key(a),
            (4 | 5, Some(a), Some(b)) => Change {
                sql: format!("DELETE FROM t WHERE id IN ({a}, {b})"),
                puts: vec![(a, None), (b, None)],
            },
            (6, Some(a), _) => self.replace(a, random),
            (kind, ..) => self.insert(1 + (kind & 1), random),
        }
    }

    fn insert(&mut self, count: u64, random: &mut Random) -> Change {
        let rows: Vec<(Id, RowData)> = (0..count)
            .map(|_| (self.fresh(), self.row(random)))
            .collect();
        let values: Vec<String> = rows.iter().map(|(id, row)| row.values(*id)).collect();
        Change {
            sql: format!("INSERT INTO t VALUES {}", values.join(", ")),
            puts: rows.into_iter().map(|(id, row)| (id, Some(row))).collect(),
        }
    }

    fn update_two(&mut self, a: Id, b: Id, random: &mut Random) -> Change {
        let (grp, v) = (random.below(GROUPS) as i64, self.fresh().to_string());
        let put = |id: Id| {
            let row = RowData {
                grp,
                v: v.clone(),
                ..self.rows[&id].clone()
            };
            (id, Some(row))
        };
        Change {
            sql: format!("UPDATE t SET grp = {grp}, v = '{v}' WHERE id IN ({a}, {b})"),
            puts: vec![put(a), put(b)],
        }
    }

    fn update_key(&mut self, a: Id) -> Change {
        let u = self.fresh();
        let row = RowData {
            u,
            ..self.rows[&a].clone()
        };
        Change {
            sql: format!("UPDATE t SET u = {u} WHERE id = {a}"),
            puts: vec![(a, Some(row))],
        }
    }

    /// Two statements in one text are one transaction.
    fn replace(&mut self, a: Id, random: &mut Random) -> Change {
        let row = self.row(random);
        Change {
            sql: format!(
                "DELETE FROM t WHERE id = {a}; INSERT INTO t VALUES {}",
                row.values(a)
            ),
            puts: vec![(a, Some(row))],
        }
    }

    /// All keys and unique values that the round's changes, or the rows before it, had.
    fn touched(&self) -> BTreeSet<(Id, i64)> {
        let before = self.base.iter().map(|(id, row)| (*id, row.u));
        let puts = self.sent.iter().flat_map(|change| &change.puts);
        let after = puts.map(|(id, row)| (*id, row.as_ref().map_or(0, |row| row.u)));
        before.chain(after).collect()
    }

    /// Finds the n whose rows were found, and begins the next round with them.
    fn settle(&mut self, found: &Rows) -> io::Result<()> {
        let mut state = self.base.clone();
        let mut unsettled: VecDeque<&Change> = self.sent.iter().collect();
        for _ in 0..self.acknowledged {
            unsettled
                .pop_front()
                .into_iter()
                .for_each(|change| apply(&mut state, change));
        }
        let must = state.clone();
        while state != *found {
            match unsettled.pop_front() {
                Some(change) => apply(&mut state, change),
                None => return Err(self.report(&must, found)),
            }
        }
        self.base = state.clone();
        self.rows = state;
        self.sent.clear();
        self.acknowledged = 0;
        Ok(())
    }

    fn report(&self, must: &Rows, found: &Rows) -> io::Error {
        let keys: BTreeSet<&Id> = must.keys().chain(found.keys()).collect();
        let different: Vec<String> = keys
            .into_iter()
            .filter(|id| must.get(id) != found.get(id))
            .map(|id| {
                format!(
                    "{id}: acknowledged {:?}, found {:?}",
                    must.get(id),
                    found.get(id)
                )
            })
            .collect();
        let unanswered: Vec<&str> = self.sent[self.acknowledged..]
            .iter()
            .map(|change| change.sql.as_str())
            .collect();
        io::Error::other(format!(
            "session {}: rows fit no number of statements from {} to {}\n{}\nunanswered: {unanswered:#?}",
            self.name(),
            self.acknowledged,
            self.sent.len(),
            different.join("\n")
        ))
    }
}

impl RowData {
    fn values(&self, id: Id) -> String {
        format!("({id}, {}, {}, '{}')", self.u, self.grp, self.v)
    }
}

fn apply(rows: &mut Rows, change: &Change) {
    for (id, row) in &change.puts {
        match row {
            Some(row) => rows.insert(*id, row.clone()),
            None => rows.remove(id),
        };
    }
}
