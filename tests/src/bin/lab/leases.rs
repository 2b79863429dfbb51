//! Work queues: producers, consumers that fail in the middle of their work, and kill -9 in between.
//!
//! ```text
//! cargo run --release -p remora-tests -- leases [--items 1000000] [--kills 20] [--seed N]
//! cargo run --release -p remora-tests -- leases --order [--items 1000000] [--seed N]
//! ```
//!
//! Ten producers push numbered items of a few priorities into a queue of at most 1,000, and five consumers lease them, in a child of
//! this program on a directory, which is killed at random moments. Some leases are dropped, by a panic, by a future that is
//! cancelled, or run out. A book outside of the database has a line for each push that returned, for each lease before its
//! work is done, and for each acknowledgement that returned. In the end
//!
//! - each item was leased at least once,
//! - none was leased after its acknowledgement had returned (with a greater token: an older line may come late),
//! - as many items at most have no line of their acknowledgement as consumers were killed behind it,
//! - nothing is in the queue, and no consumer had an error.
//!
//! *Order.* One thread pushes, another pops meanwhile: none that was pushed before the pop began may have been before the one
//! that it gave.
//!
//! *Rates.* One thread, in memory: how many items a second are pushed, popped, leased and acknowledged.

use crate::Result;
use crate::arguments::Arguments;
use remora::Database;
use remora::kv::Json;
use remora::queue::{Lease, Push, Queue, QueueOptions};
use remora_tests::random::Random;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

const NAME: &str = "work";
const PRODUCERS: usize = 10;
const CONSUMERS: usize = 5;
const MAX_LEN: u64 = 1_000;
const PRIORITIES: u64 = 4;
const LEASE: Duration = Duration::from_millis(250);
/// The longest life of a child, for each item in all.
const LIFE_MAX_PER_ITEM: Duration = Duration::from_micros(25);
/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(600);
/// Items by which rates are measured.
const MEASURED: u64 = 20_000;

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    let items = arguments.value_or("--items", 1_000_000_usize)?.max(1);
    let kills = arguments.value_or("--kills", 20_usize)?;
    let seed = arguments.value_or("--seed", Random::seed())?;
    let is_order = arguments.flag("--order");
    // How the tool calls itself.
    let serve: Option<PathBuf> = arguments.value("--serve")?;
    arguments.end()?;
    if let Some(folder) = serve {
        return Work::new(&folder, items, seed)?.run();
    }
    if is_order {
        return order(items, seed);
    }
    rates()?;
    println!("{items} items, {kills} kills, seed {seed}");
    let folder = tempfile::tempdir()?;
    let begun = Instant::now();
    let killed = live(folder.path(), items, kills, seed)
        .map_err(|error| format!("REMORA_SEED={seed}: {error}"))?;
    let rate = items as f64 / begun.elapsed().as_secs_f64();
    let book = Book::read(&book(folder.path()))?;
    let failed = [book.failures(items, killed), left(folder.path())?].concat();
    println!(
        "{killed} kills, {rate:.0} items a second in all; {} leases, {} given back, {} run out, {} pushed again, {} acknowledged without a line",
        book.leases,
        book.given_back,
        book.run_out,
        book.leased.len() - items.min(book.leased.len()),
        book.leased.len() - book.acked.len(),
    );
    match failed.is_empty() {
        true => Ok(()),
        false => Err(format!("REMORA_SEED={seed}: {}", failed.join("; ")).into()),
    }
}

fn book(folder: &Path) -> PathBuf {
    folder.join("book")
}

fn directory(folder: &Path) -> PathBuf {
    folder.join("db")
}

/// Kills children at random moments, and lets the last one end; gives how many were killed.
fn live(folder: &Path, items: usize, kills: usize, seed: u64) -> Result<usize> {
    let mut random = Random::new(seed);
    File::create(book(folder))?;
    let life_max = LIFE_MAX_PER_ITEM * items.try_into()?;
    for killed in 0..kills {
        let mut child = start(folder, items, random.bits())?;
        let life = life_max.mul_f64(random.below(1000) as f64 / 1000.0);
        if let Some(ended) = end_of_life(folder, &mut child, life)? {
            return match ended {
                true => Ok(killed),
                false => Err("a child has failed".into()),
            };
        }
        child.kill()?;
        child.wait()?;
    }
    match start(folder, items, random.bits())?.wait()?.success() {
        true => Ok(kills),
        false => Err("the last child has failed".into()),
    }
}

fn start(folder: &Path, items: usize, seed: u64) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["leases", "--items", &items.to_string()]);
    command.args(["--seed", &seed.to_string(), "--serve"]);
    Ok(command.arg(folder).spawn()?)
}

/// Waits for the end of a life, which begins with the first line that the child writes; whether the child has done its work,
/// where it ends before.
fn end_of_life(folder: &Path, child: &mut Child, life: Duration) -> Result<Option<bool>> {
    let length = || Ok::<_, std::io::Error>(book(folder).metadata()?.len());
    let (before, opened) = (length()?, Instant::now());
    let mut begun = None;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
        }
        if begun.is_none() && length()? > before {
            begun = Some(Instant::now());
        }
        if begun.is_some_and(|begun: Instant| begun.elapsed() >= life) {
            return Ok(None);
        }
        if begun.is_none() && opened.elapsed() > PATIENCE {
            return Err("a child does nothing".into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The work of a child.
struct Work {
    queue: Queue,
    book: File,
    /// The numbers that are still to be pushed.
    numbers: Vec<usize>,
    next: AtomicUsize,
    seed: u64,
}

impl Work {
    fn new(folder: &Path, items: usize, seed: u64) -> Result<Self> {
        let pushed = Book::read(&book(folder))?.pushed;
        let options = QueueOptions::new().max_len(MAX_LEN).lease(LEASE);
        Ok(Self {
            queue: Database::open(directory(folder))?.queue_with(NAME, options)?,
            book: OpenOptions::new().append(true).open(book(folder))?,
            numbers: (0..items)
                .filter(|number| !pushed.contains_key(number))
                .collect(),
            next: AtomicUsize::new(0),
            seed,
        })
    }

    fn run(&self) -> Result<()> {
        let mut random = Random::new(self.seed);
        let mut seeds = || Random::new(random.bits());
        std::thread::scope(|scope| {
            for random in (0..CONSUMERS).map(|_| seeds()) {
                scope.spawn(|| self.noted(self.consume(random)));
            }
            let producers: Vec<_> = (0..PRODUCERS)
                .map(|_| seeds())
                .map(|random| scope.spawn(|| self.noted(self.produce(random))))
                .collect();
            for producer in producers {
                producer.join().map_err(|_| "a producer panicked")?;
            }
            match self.queue.close(PATIENCE)? {
                0 => Ok(()),
                left => Err(format!("{left} items are left").into()),
            }
        })
    }

    /// Writes a line.
    fn note(&self, line: &str) -> Result<()> {
        // One call for each line: lines of several threads do not mix.
        Ok((&self.book).write_all(format!("{line}\n").as_bytes())?)
    }

    /// Writes down the error that a thread has ended with.
    fn noted(&self, done: Result<()>) {
        if let Err(error) = done {
            let written = self.note(&format!("e {error}"));
            written.unwrap_or_else(|unwritten| eprintln!("{error}: {unwritten}"));
        }
    }

    fn produce(&self, mut random: Random) -> Result<()> {
        while let Some(number) = self.numbers.get(self.next.fetch_add(1, Relaxed)) {
            let priority = random.below(PRIORITIES) as i32;
            let push = Push::new().priority(priority);
            let id = self.queue.push_with(Json(number), push)?;
            self.note(&format!("+ {number} {id}"))?;
        }
        Ok(())
    }

    fn consume(&self, mut random: Random) -> Result<()> {
        while let Some(lease) = self.queue.lease_wait::<Json<usize>>(PATIENCE)? {
            let Json(number) = *lease.payload();
            self.note(&format!("p {} {} {number}", lease.id(), lease.token()))?;
            match random.below(10_000) {
                0..100 => self.give_back(|| drop(lease))?,
                100..150 => self.give_back(|| panic_with(lease))?,
                150..200 => self.give_back(|| cancel(lease))?,
                200..250 => {
                    lease.retry_after(Duration::from_millis(1))?;
                    self.note("b")?;
                }
                250 => {
                    std::thread::sleep(LEASE * 2);
                    if self.ack(lease)? {
                        return Err("a lease that had run out was acknowledged".into());
                    }
                }
                _ => _ = self.ack(lease)?,
            }
        }
        Ok(())
    }

    fn give_back(&self, f: impl FnOnce()) -> Result<()> {
        f();
        self.note("b")
    }

    /// Acknowledges; whether the lease had not run out.
    fn ack(&self, lease: Lease<Json<usize>>) -> Result<bool> {
        let (id, token) = (lease.id(), lease.token());
        match lease.ack() {
            Ok(()) => self.note(&format!("a {id} {token}")).map(|()| true),
            Err(error) if error.sqlstate() == "55000" => self.note("r").map(|()| false),
            Err(error) => Err(error.into()),
        }
    }
}

/// A consumer that panics while it has a lease; without a message.
fn panic_with(lease: Lease<Json<usize>>) {
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _lease = lease;
        resume_unwind(Box::new("in the middle of its work"));
    }));
    drop(panicked);
}

/// A task that is cancelled while it has a lease.
fn cancel(lease: Lease<Json<usize>>) {
    let mut task = Box::pin(async move {
        let _lease = lease;
        std::future::pending::<()>().await;
    });
    let mut context = Context::from_waker(Waker::noop());
    assert!(task.as_mut().poll(&mut context).is_pending(), "it waits");
}

/// The book, as far as it was written.
#[derive(Default)]
struct Book {
    /// The ids that numbers were pushed under.
    pushed: HashMap<usize, i64>,
    /// Numbers that were leased.
    numbers: HashSet<usize>,
    leased: HashSet<i64>,
    /// The tokens with which items were acknowledged.
    acked: HashMap<i64, i64>,
    leases: usize,
    given_back: usize,
    run_out: usize,
    wrong: Vec<String>,
}

impl Book {
    fn read(path: &Path) -> Result<Self> {
        let mut book = Self::default();
        for line in BufReader::new(File::open(path)?).lines() {
            let line = line?;
            book.line(&line)
                .ok_or_else(|| format!("a line that is none: {line}"))?;
        }
        Ok(book)
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
        let numbers: Option<Vec<i64>> = rest.split(' ').map(|word| word.parse().ok()).collect();
        match (what, numbers.as_deref()) {
            ("+", Some([number, id])) => _ = self.pushed.insert(*number as usize, *id),
            ("p", Some([id, token, number])) => {
                self.leases += 1;
                self.leased.insert(*id);
                self.numbers.insert(*number as usize);
                if self.acked.get(id).is_some_and(|acked| acked < token) {
                    self.wrong
                        .push(format!("item {id} was leased after its acknowledgement"));
                }
            }
            ("a", Some([id, token])) => {
                if self.acked.insert(*id, *token).is_some() {
                    self.wrong.push(format!("item {id} was acknowledged twice"));
                }
            }
            ("b", _) => self.given_back += 1,
            ("r", _) => self.run_out += 1,
            ("e", _) => self.wrong.push(rest.to_owned()),
            _ => return None,
        }
        Some(())
    }

    fn failures(&self, items: usize, killed: usize) -> Vec<String> {
        let mut failed = self.wrong.clone();
        let missing = (0..items).filter(|number| !self.numbers.contains(number));
        let lost = self.pushed.values().filter(|id| !self.leased.contains(*id));
        for (count, what) in [
            (missing.count(), "numbers were never leased"),
            (lost.count(), "items were pushed and never leased"),
        ] {
            if count > 0 {
                failed.push(format!("{count} {what}"));
            }
        }
        let unknown = self.leased.len() - self.acked.len();
        if unknown > killed * CONSUMERS {
            failed.push(format!("{unknown} items were never acknowledged"));
        }
        failed
    }
}

/// Items that are left in the database, of which there should be none.
fn left(folder: &Path) -> Result<Vec<String>> {
    let stats = Database::open(directory(folder))?.queue(NAME)?.stats()?;
    let lengths = [
        (stats.ready_len, "ready"),
        (stats.delayed_len, "delayed"),
        (stats.leased_len, "leased"),
        (stats.dead_len, "dead"),
    ];
    let left = lengths.into_iter().filter(|(length, _)| *length > 0);
    Ok(left
        .map(|(length, what)| format!("{length} items are {what}"))
        .collect())
}

/// Pushes and pops at the same time, and compares with what should have been first.
fn order(items: usize, seed: u64) -> Result<()> {
    let queue = Database::in_memory()?.queue(NAME)?;
    let pushed = Mutex::new(Vec::with_capacity(items));
    let begun = Instant::now();
    let compared = std::thread::scope(|scope| -> Result<usize> {
        let producer = scope.spawn(|| -> remora::Result<()> {
            let mut random = Random::new(seed);
            for number in 0..items {
                let priority = random.below(PRIORITIES) as i32;
                let push = Push::new().priority(priority);
                queue.push_with(Json((priority, number)), push)?;
                let mut pushed = pushed.lock().unwrap_or_else(|broken| broken.into_inner());
                pushed.push((-priority, number));
            }
            Ok(())
        });
        let compared = pop_in_order(&queue, &pushed, items)?;
        producer.join().map_err(|_| "the producer panicked")??;
        Ok(compared)
    })?;
    println!(
        "{items} items were popped in order, {compared} of them while others waited; {:.0} a second, seed {seed}",
        items as f64 / begun.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Pops so many items; gives how many of them had others behind them.
fn pop_in_order(queue: &Queue, pushed: &Mutex<Vec<(i32, usize)>>, items: usize) -> Result<usize> {
    let (mut known, mut waiting, mut early) = (0, BTreeSet::<(i32, usize)>::new(), HashSet::new());
    let mut compared = 0;
    for _ in 0..items {
        {
            let pushed = pushed.lock().unwrap_or_else(|broken| broken.into_inner());
            let new = pushed[known..].iter().filter(|key| !early.remove(*key));
            waiting.extend(new);
            known = pushed.len();
        }
        let next = queue.pop_wait::<Json<(i32, usize)>>(PATIENCE)?;
        let Json((priority, number)) = next.ok_or("an item is missing")?;
        let key = (-priority, number);
        if !waiting.remove(&key) {
            early.insert(key);
        }
        if let Some(first) = waiting.first() {
            compared += 1;
            if *first < key {
                return Err(format!("{key:?} was popped before {first:?}").into());
            }
        }
    }
    Ok(compared)
}

/// How many items a second one thread pushes, pops, leases and acknowledges.
fn rates() -> Result<()> {
    let queue = Database::in_memory()?.queue(NAME)?;
    let rate = |f: &dyn Fn() -> Result<()>| -> Result<f64> {
        let begun = Instant::now();
        (0..MEASURED).try_for_each(|_| f())?;
        Ok(MEASURED as f64 / begun.elapsed().as_secs_f64())
    };
    let push = || Ok(queue.push("an item").map(drop)?);
    let pop = || {
        let item = queue.pop::<String>()?;
        item.map(drop).ok_or_else(|| "an item is missing".into())
    };
    let lease = || {
        let lease = queue.lease::<String>()?.ok_or("an item is missing")?;
        Ok(lease.ack()?)
    };
    let (pushed, popped) = (rate(&push)?, rate(&pop)?);
    rate(&push)?;
    let leased = rate(&lease)?;
    println!(
        "one thread, in memory: {pushed:.0} pushes a second, {popped:.0} pops, {leased:.0} leases with their acknowledgement"
    );
    Ok(())
}
