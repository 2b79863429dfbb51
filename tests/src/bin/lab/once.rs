//! Exactly once: payments that are sent three times each, by eight sessions, and kill -9 in between.
//!
//! ```text
//! cargo run --release -p remora-tests -- once [--payments 1000] [--seed N] [--remora PATH]
//! ```
//!
//! Half of the payments go through the library, `Database::transact_once` in a child of this program, and half through machine mode,
//! `"once"` in a child `remora --ndjson`; both on the same directory, in turn. Each child is killed at a random moment. A
//! payment counts as sent once it was answered; what a kill has cut off is sent again. In the end each must be applied
//! once, and all answers to it must be the same.

use crate::Result;
use crate::arguments::Arguments;
use remora::{Database, Transaction};
use remora_tests::machine::{self, Machine};
use remora_tests::random::Random;
use serde_json::json;
use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Threads of the library, and sessions of machine mode.
const SESSIONS: usize = 8;
/// How often each payment is sent.
const TIMES: usize = 3;
/// Payments that may be unanswered.
const WINDOW: usize = 32;
/// The longest life of a child.
const LIFE_MAX: Duration = Duration::from_millis(30);
/// How long results are kept: longer than this runs.
const TTL: Duration = Duration::from_secs(24 * 3600);
/// Accounts that are paid from, on which payments meet.
const ACCOUNTS: usize = 4;

const TABLES: &str = "CREATE TABLE account (id INT PRIMARY KEY, cents BIGINT NOT NULL);
     INSERT INTO account SELECT id, 0 FROM generate_series(0, 3) AS g (id);
     CREATE TABLE paid (key TEXT NOT NULL)";

fn key(payment: usize) -> String {
    format!("payment {payment}")
}

/// The statements of a payment; the last gives what its account then has.
fn statements(payment: usize) -> [String; 2] {
    let account = payment % ACCOUNTS;
    [
        format!("INSERT INTO paid VALUES ('{}')", key(payment)),
        format!("UPDATE account SET cents = cents + 1 WHERE id = {account} RETURNING cents"),
    ]
}

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    let payments = arguments.value_or("--payments", 1000_usize)?.max(2);
    let seed = arguments.value_or("--seed", Random::seed())?;
    let remora: Option<PathBuf> = arguments.value("--remora")?;
    // How the tool calls itself.
    let serve: Option<PathBuf> = arguments.value("--serve")?;
    arguments.end()?;
    if let Some(directory) = serve {
        return serve_payments(&directory);
    }
    let binary = remora.map_or_else(machine::binary, Ok)?;
    println!("{payments} payments, {TIMES} times each, seed {seed}");
    let folder = tempfile::tempdir()?;
    let directory = folder.path().join("db");
    Database::open(&directory)?
        .connect()?
        .execute_batch(TABLES)?;
    let mut random = Random::new(seed);
    let mut book = Book::new(payments);
    let mut lives = 0;
    while !book.is_done() {
        let life: Box<dyn Life> = match lives % 2 {
            0 => Box::new(Library::start(&directory)?),
            _ => Box::new(Sessions::start(&binary, &directory)?),
        };
        live(life, lives % 2, &mut book, &mut random)
            .map_err(|error| format!("life {lives}, REMORA_SEED={seed}: {error}"))?;
        lives += 1;
    }
    let sent_again = book.cut_off;
    verify(&directory, payments)?;
    println!(
        "{lives} lives, each ended by kill -9; {sent_again} answers were cut off: each payment was applied once"
    );
    Ok(())
}

/// What was sent, and what was answered.
struct Book {
    /// How often each payment has still to be answered.
    left: Vec<usize>,
    answers: HashMap<usize, String>,
    cut_off: usize,
}

impl Book {
    fn new(payments: usize) -> Self {
        Self {
            left: vec![TIMES; payments],
            answers: HashMap::new(),
            cut_off: 0,
        }
    }

    fn is_done(&self) -> bool {
        self.left.iter().all(|left| *left == 0)
    }

    /// A payment of a side, even or odd, that is to be sent.
    fn next(&self, side: usize, random: &mut Random) -> Option<usize> {
        let open = |payment: &usize| self.left[*payment] > 0;
        let all = (side..self.left.len()).step_by(2);
        let all: Vec<usize> = all.filter(open).take(WINDOW).collect();
        (!all.is_empty()).then(|| all[random.below(all.len() as u64) as usize])
    }

    fn answered(&mut self, payment: usize, answer: String) -> Result<()> {
        self.left[payment] = self.left[payment].saturating_sub(1);
        let first = self
            .answers
            .entry(payment)
            .or_insert_with(|| answer.clone());
        match *first == answer {
            true => Ok(()),
            false => {
                Err(format!("{} was answered {first}, and then {answer}", key(payment)).into())
            }
        }
    }
}

/// A child that takes payments.
trait Life {
    fn send(&mut self, payment: usize) -> Result<()>;
    /// The next answer, if it comes in time.
    fn answer(&mut self, wait: Duration) -> Result<Option<(usize, String)>>;
    /// Kills it; then the answers that it had written.
    fn kill(self: Box<Self>) -> Result<Vec<(usize, String)>>;
}

/// Sends payments of a side until the moment of the kill.
fn live(mut life: Box<dyn Life>, side: usize, book: &mut Book, random: &mut Random) -> Result<()> {
    let span = LIFE_MAX.mul_f64(random.below(1000) as f64 / 1000.0);
    let mut under_way = 0_usize;
    let mut end = None;
    loop {
        while under_way < WINDOW
            && let Some(payment) = book.next(side, random)
        {
            life.send(payment)?;
            under_way += 1;
        }
        if under_way == 0 {
            break;
        }
        // Opening takes as long as it takes: a life begins with its first answer.
        let wait = end.map_or(machine::ANSWER_TIME_MAX, |end: Instant| {
            end.saturating_duration_since(Instant::now())
        });
        match life.answer(wait)? {
            Some((payment, answer)) => {
                book.answered(payment, answer)?;
                under_way -= 1;
            }
            None if end.is_none() => return Err("no answer".into()),
            None => break,
        }
        let end = *end.get_or_insert_with(|| Instant::now() + span);
        if Instant::now() >= end {
            break;
        }
    }
    for (payment, answer) in life.kill()? {
        book.answered(payment, answer)?;
        under_way -= 1;
    }
    book.cut_off += under_way;
    Ok(())
}

/// Payments through the library, in a child of this program.
struct Library {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<(usize, String)>,
}

impl Library {
    fn start(directory: &Path) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["once", "--serve"])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take().ok_or("no pipe")?;
        let stdout = child.stdout.take().ok_or("no pipe")?;
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stdout);
            let mut line = String::new();
            // A line that was cut off by the kill is no answer.
            while lines.read_line(&mut line).is_ok() && line.ends_with('\n') {
                let read = line.trim_end().split_once(' ');
                let Some((payment, answer)) = read else {
                    break;
                };
                let Ok(payment) = payment.parse() else {
                    break;
                };
                if sender.send((payment, answer.to_owned())).is_err() {
                    break;
                }
                line.clear();
            }
        });
        Ok(Self {
            child,
            stdin,
            answers,
        })
    }
}

impl Life for Library {
    fn send(&mut self, payment: usize) -> Result<()> {
        Ok(writeln!(self.stdin, "{payment}")?)
    }

    fn answer(&mut self, wait: Duration) -> Result<Option<(usize, String)>> {
        match self.answers.recv_timeout(wait) {
            Ok(answer) => Ok(Some(answer)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err("the child has ended".into()),
        }
    }

    fn kill(mut self: Box<Self>) -> Result<Vec<(usize, String)>> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(self.answers.iter().collect())
    }
}

/// Takes the numbers of payments from standard input, and writes each with its answer.
fn serve_payments(directory: &Path) -> Result<()> {
    let db = Database::open(directory)?;
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..SESSIONS {
            scope.spawn(|| {
                let mut line = String::new();
                while std::io::stdin()
                    .read_line(&mut line)
                    .is_ok_and(|bytes| bytes > 0)
                {
                    let payment = std::mem::take(&mut line);
                    let payment = payment.trim_end();
                    match pay(&db, payment) {
                        Ok(cents) => println!("{payment} {cents}"),
                        Err(error) => {
                            if let Ok(mut failed) = failed.lock() {
                                *failed = Some(error.to_string());
                            }
                            return;
                        }
                    }
                }
            });
        }
    });
    match failed.into_inner() {
        Ok(Some(error)) => Err(error.into()),
        _ => Ok(()),
    }
}

fn pay(db: &Database, payment: &str) -> Result<String> {
    let [insert, update] = statements(payment.parse()?);
    let pay = |tx: &mut Transaction<'_>| {
        tx.execute(&insert, [])?;
        tx.query_row(&update, [], |row| Ok(row.get::<_, i64>(0)?.to_string()))
    };
    let key = key(payment.parse()?);
    Ok(db.transact_once(&key, &update, TTL, pay)?)
}

/// Payments through machine mode. Answers come in order within a session.
struct Sessions {
    machine: Machine,
    sent: Vec<VecDeque<usize>>,
    next: usize,
}

impl Sessions {
    fn start(binary: &Path, directory: &Path) -> Result<Self> {
        Ok(Self {
            machine: Machine::start(binary, directory)?,
            sent: vec![VecDeque::new(); SESSIONS],
            next: 0,
        })
    }
}

fn read(sent: &mut [VecDeque<usize>], answer: &serde_json::Value) -> Result<(usize, String)> {
    let session = answer["session"]
        .as_str()
        .and_then(|name| name.parse().ok());
    let session: usize = session.ok_or_else(|| format!("whose answer is {answer}"))?;
    let payment = sent[session].pop_front().ok_or("an answer too many")?;
    if answer["ok"] != true {
        return Err(format!("{}: {answer}", key(payment)).into());
    }
    Ok((payment, answer["rows"].to_string()))
}

impl Life for Sessions {
    fn send(&mut self, payment: usize) -> Result<()> {
        let session = self.next % SESSIONS;
        self.next += 1;
        self.sent[session].push_back(payment);
        let sql = statements(payment).join(";");
        let request = json!({
            "session": session.to_string(),
            "sql": sql,
            "once": key(payment),
            "ttl": TTL.as_secs(),
        });
        Ok(self.machine.ask(&request)?)
    }

    fn answer(&mut self, wait: Duration) -> Result<Option<(usize, String)>> {
        let answer = self.machine.answer(wait)?;
        answer
            .map(|answer| read(&mut self.sent, &answer))
            .transpose()
    }

    fn kill(self: Box<Self>) -> Result<Vec<(usize, String)>> {
        let Self {
            machine, mut sent, ..
        } = *self;
        let answers = machine.kill()?;
        let answers = answers.iter();
        answers.map(|answer| read(&mut sent, answer)).collect()
    }
}

/// Each payment was applied once.
fn verify(directory: &Path, payments: usize) -> Result<()> {
    let conn = Database::open(directory)?.connect()?;
    let count = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0));
    for sql in [
        "SELECT count(*) FROM paid",
        "SELECT count(DISTINCT key) FROM paid",
        "SELECT sum(cents)::bigint FROM account",
        "SELECT count(*) FROM remora_once",
    ] {
        let found = count(sql)?;
        if found != payments as i64 {
            return Err(format!("{sql}: {found}, and not {payments}").into());
        }
    }
    Ok(())
}
