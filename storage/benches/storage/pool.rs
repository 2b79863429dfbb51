//! The pool beside the system's allocator: what it costs to take and give small pieces.
//!
//! Each thread holds [`LIVE`] pieces and replaces one of them, drawn at random, again and again: one
//! free and one zeroed allocation of 64 to 256 bytes, of which a byte in each line is written. So
//! does its peer.
//!
//! Two threads are compared with one by the wall clock, which is what counts, and by the time that
//! they were on a processor. That clock stands still while a thread sleeps on a latch, so it shows
//! what threads do to each other's cache lines but not what they wait for; on a machine that does
//! something else meanwhile the wall clock shows that, too. The median by the wall clock is judged.

use crate::Result;
use crate::options::Options;
use crate::random::Random;
use crate::spread::Spread;
use remora_storage::mvcc::{NewVersion, Stamp};
use remora_storage::pool::{Ledger, Pool};
use std::time::{Duration, Instant};

/// Pieces that a thread holds.
const LIVE: usize = 1024;
const BYTES_MIN: u64 = 64;
const BYTES_MAX: u64 = 256;
/// Bytes of a version record before its image.
const RECORD_BYTES: usize = 32;

/// Where two threads have to be, in times one.
const SCALING: f64 = 1.7;

/// A piece of memory that is given back when it is dropped.
trait Piece<'p>: Sized {
    fn take(pool: &'p Pool, bytes: usize) -> Result<Self>;
    fn bytes_mut(&mut self) -> &mut [u8];
}

/// A version record, which is what the pool serves most.
impl<'p> Piece<'p> for NewVersion<'p> {
    fn take(pool: &'p Pool, bytes: usize) -> Result<Self> {
        Ok(Self::with_image(pool, Stamp::NEVER, bytes - RECORD_BYTES)?)
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.image_mut()
    }
}

/// What the system's allocator gives.
impl<'p> Piece<'p> for Box<[u8]> {
    fn take(_pool: &'p Pool, bytes: usize) -> Result<Self> {
        Ok(vec![0; bytes].into_boxed_slice())
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let pairs = options.number("rows", 10_000_000);
    let rounds = options.number("rounds", 5);
    let names = ["pool", "system"];
    let mut one = names.map(|_| Spread::default());
    let mut two = names.map(|_| Spread::default());
    let mut scaling = names.map(|_| Spread::default());
    let mut by_wall = names.map(|_| Spread::default());
    for _ in 0..rounds {
        let pool = Pool::new(Ledger::new(1 << 30));
        let peers: [Replace; 2] = [
            |pool, pairs, seed| replace::<NewVersion<'_>>(pool, pairs, seed),
            |pool, pairs, seed| replace::<Box<[u8]>>(pool, pairs, seed),
        ];
        for (at, replace) in peers.into_iter().enumerate() {
            let alone = millions(replace, &pool, pairs, 1)?;
            let both = millions(replace, &pool, pairs, 2)?;
            one[at].add(alone.on_processor);
            two[at].add(both.on_processor);
            scaling[at].add(both.on_processor / alone.on_processor);
            by_wall[at].add(both.by_wall / alone.by_wall);
        }
        if pool.stats().bytes_used() > 0 {
            return Err("something was not given back".into());
        }
    }
    println!(
        "{pairs} pairs of free and allocate a thread, {rounds} rounds, million pairs a second"
    );
    for (at, name) in names.iter().enumerate() {
        println!(
            "| {name} | one thread {} | two {} | ratio {} | by the wall {} |",
            one[at], two[at], scaling[at], by_wall[at]
        );
    }
    match by_wall[0].median() >= SCALING {
        true => Ok(()),
        false => Err(format!("two threads are not {SCALING} times one").into()),
    }
}

/// Million pairs a second of all threads.
struct Speed {
    /// As if each had a processor to itself and waited for nobody.
    on_processor: f64,
    /// As they were done.
    by_wall: f64,
}

fn millions(replace: Replace, pool: &Pool, pairs: u64, threads: u64) -> Result<Speed> {
    let mut rate = 0.0;
    let start = Instant::now();
    std::thread::scope(|scope| {
        let work = |seed| {
            move || {
                let start = on_processor().map_err(|e| e.to_string())?;
                replace(pool, pairs, seed).map_err(|e| e.to_string())?;
                let end = on_processor().map_err(|e| e.to_string())?;
                Ok::<_, String>((end - start).as_secs_f64())
            }
        };
        let all: Vec<_> = (0..threads).map(|seed| scope.spawn(work(seed))).collect();
        for thread in all {
            let seconds = thread.join().map_err(|_| "a thread panicked")??;
            rate += pairs as f64 / 1e6 / seconds;
        }
        Ok::<(), Box<dyn std::error::Error>>(())
    })?;
    let done = (threads * pairs) as f64 / 1e6;
    Ok(Speed {
        on_processor: rate,
        by_wall: done / start.elapsed().as_secs_f64(),
    })
}

/// How long this thread has been on a processor.
fn on_processor() -> Result<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split(' ').next().ok_or("an empty schedstat")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

/// So many pairs of one free and one allocation, drawn by a seed.
type Replace = fn(&Pool, u64, u64) -> Result<()>;

fn replace<'p, P: Piece<'p>>(pool: &'p Pool, pairs: u64, seed: u64) -> Result<()> {
    let mut random = Random::new(seed);
    let mut live: Vec<P> = Vec::with_capacity(LIVE);
    for _ in 0..LIVE as u64 + pairs {
        let bits = random.bits();
        let bytes = (BYTES_MIN + bits % (BYTES_MAX - BYTES_MIN + 1)) as usize;
        let mut new = P::take(pool, bytes)?;
        for line in new.bytes_mut().chunks_mut(64) {
            line[0] = 1;
        }
        if live.len() < LIVE {
            live.push(new);
        } else {
            live[(bits >> 32) as usize % LIVE] = new;
        }
    }
    Ok(())
}
