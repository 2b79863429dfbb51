//! Notifications: sessions that talk and sessions that listen, on a directory, until so many have been received.
//!
//! ```text
//! cargo run --release -p remora-tests -- notifications [--count 1000000] [--senders 8] [--listeners 8] [--dir DIR]
//! ```
//!
//! Each sender inserts rows of its own, one a transaction, and tells of each by NOTIFY; half of the senders do not wait until
//! their commits are durable. All listeners listen to all of it. The last of them takes a pause again and again, in which
//! more comes than a backlog holds. `--count` is what all listeners receive together.
//!
//! The tool fails where a listener has received
//! - less than was sent, without what it was told that it has lost;
//! - something twice, or not in the order of the commits;
//! - something whose commit was not durable yet.
//!
//! It prints what was sent and received in a second.

use crate::Result;
use crate::arguments::Arguments;
use remora::{Connection, Database, Delivery};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Listeners give up when nothing has come for so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// A slow listener takes so many between two pauses.
const TAKEN_AT_ONCE: usize = 1000;
/// The share of all that is sent while it pauses: more than a backlog holds if there are many.
const PAUSE_SHARE: usize = 4;
/// Bytes that are added to each payload, so that a backlog holds some hundred.
const FILLING: usize = 1000;

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    let count: usize = arguments.value_or("--count", 1_000_000)?;
    let senders: usize = arguments.value_or("--senders", 8)?.max(1);
    let listeners: usize = arguments.value_or("--listeners", 8)?.max(1);
    let base = arguments.value_or("--dir", PathBuf::from("."))?;
    arguments.end()?;
    let place = tempfile::tempdir_in(base)?;
    let db = Database::open(place.path().join("db"))?;
    let table = "CREATE TABLE t (sender INT, n INT, PRIMARY KEY (sender, n))";
    db.connect()?.execute(table, [])?;
    let hall = Hall {
        db: &db,
        each: count.div_ceil(listeners * senders).max(1),
        senders,
        sent: AtomicUsize::new(0),
    };
    let begun = Instant::now();
    let (commits, heard) = hall.fill(listeners)?;
    let took = begun.elapsed().as_secs_f64();
    println!("| listener | received | lost | in order |");
    println!("|---|---|---|---|");
    let (mut received, mut failed) = (0, Vec::new());
    for (number, one) in heard.iter().enumerate() {
        received += one.messages.len();
        let result = one.check(&commits);
        let is_well = if result.is_ok() { "yes" } else { "no" };
        println!(
            "| {} | {} | {} | {is_well} |",
            number + 1,
            one.messages.len(),
            one.lost
        );
        if let Err(error) = result {
            failed.push(format!("listener {}: {error}", number + 1));
        }
    }
    let sent = commits.len();
    println!(
        "\n{sent} commits with a notification each, {received} received in {took:.1} s: {:.0} commits and {:.0} \
         notifications a second",
        sent as f64 / took,
        received as f64 / took
    );
    db.close()?;
    match failed.is_empty() {
        true => Ok(()),
        false => Err(failed.join("; ").into()),
    }
}

/// Commits by what was said of them.
type Commits = HashMap<(usize, usize), u64>;

struct Hall<'d> {
    db: &'d Database,
    senders: usize,
    /// What each sender has to say.
    each: usize,
    /// What all have said until now.
    sent: AtomicUsize,
}

/// What a listener has received.
struct Heard {
    /// Sender and number of each, and the last commit that was known to be durable then.
    messages: Vec<((usize, usize), u64)>,
    lost: u64,
}

impl Hall<'_> {
    fn fill(&self, listeners: usize) -> Result<(Commits, Vec<Heard>)> {
        let mut connections = Vec::new();
        for _ in 0..listeners {
            let conn = self.db.connect()?;
            conn.execute("LISTEN news", [])?;
            connections.push(conn);
        }
        std::thread::scope(|scope| {
            let listen = |(number, conn): (usize, Connection)| {
                let is_slow = listeners > 1 && number + 1 == listeners;
                scope.spawn(move || self.listen(&conn, is_slow))
            };
            let listening: Vec<_> = connections.into_iter().enumerate().map(listen).collect();
            let talk = |sender| scope.spawn(move || self.talk(sender));
            let talking: Vec<_> = (0..self.senders).map(talk).collect();
            let mut commits = Commits::new();
            for sender in talking {
                commits.extend(sender.join().map_err(|_| "a sender panicked")??);
            }
            let mut heard = Vec::new();
            for listener in listening {
                heard.push(listener.join().map_err(|_| "a listener panicked")??);
            }
            Ok((commits, heard))
        })
    }

    fn talk(&self, sender: usize) -> remora::Result<Vec<((usize, usize), u64)>> {
        let mut conn = self.db.connect()?;
        let level = if sender.is_multiple_of(2) {
            "on"
        } else {
            "off"
        };
        conn.execute(&format!("SET synchronous_commit = {level}"), [])?;
        let filling = "x".repeat(FILLING);
        let mut commits = Vec::with_capacity(self.each);
        for n in 0..self.each {
            let tx = conn.transaction()?;
            tx.execute("INSERT INTO t VALUES ($1, $2)", [sender as i64, n as i64])?;
            tx.execute(&format!("NOTIFY news, '{sender} {n} {filling}'"), [])?;
            tx.commit()?;
            self.sent.fetch_add(1, Relaxed);
            commits.push(((sender, n), conn.last_commit()?.unwrap_or(u64::MAX)));
        }
        Ok(commits)
    }

    fn listen(&self, conn: &Connection, is_slow: bool) -> remora::Result<Heard> {
        let all = (self.each * self.senders) as u64;
        let mut heard = Heard {
            messages: Vec::new(),
            lost: 0,
        };
        while heard.messages.len() as u64 + heard.lost < all {
            let Some(delivery) = conn.notifications().next(PATIENCE)? else {
                break;
            };
            match delivery {
                Delivery::Lost(count) => heard.lost += count,
                Delivery::Notification(one) => {
                    let log = self.db.durability_status().log;
                    let durable = log.map_or(0, |log| log.durable.0.0);
                    heard.messages.push((read(&one.payload), durable));
                    if is_slow && heard.messages.len().is_multiple_of(TAKEN_AT_ONCE) {
                        self.pause();
                    }
                }
            }
        }
        Ok(heard)
    }

    /// Waits until many more were sent.
    fn pause(&self) {
        let all = self.each * self.senders;
        let until = all.min(self.sent.load(Relaxed) + all / PAUSE_SHARE);
        while self.sent.load(Relaxed) < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Sender and number of a payload; of one that is damaged none that was sent.
fn read(payload: &str) -> (usize, usize) {
    let mut words = payload.split(' ').map(str::parse);
    match (words.next(), words.next()) {
        (Some(Ok(sender)), Some(Ok(n))) => (sender, n),
        _ => (usize::MAX, usize::MAX),
    }
}

impl Heard {
    fn check(&self, commits: &Commits) -> std::result::Result<(), String> {
        let received = self.messages.len() as u64 + self.lost;
        if received != commits.len() as u64 {
            return Err(format!(
                "{received} of {} were received or counted",
                commits.len()
            ));
        }
        let mut before = 0;
        for (message, durable) in &self.messages {
            let Some(commit) = commits.get(message) else {
                return Err(format!("{message:?} was never sent"));
            };
            if *commit <= before {
                return Err(format!("commit {commit} was told of behind {before}"));
            }
            if commit > durable {
                return Err(format!(
                    "commit {commit} was told of when {durable} was durable"
                ));
            }
            before = *commit;
        }
        Ok(())
    }
}
