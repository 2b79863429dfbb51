//! The pool beside the system's allocator: what it costs to take and give small pieces.
//!
//! Each thread holds [`LIVE`] pieces and replaces one of them, drawn at random, again and again: one
//! free and one zeroed allocation of 64 to 256 bytes, of which a byte in each line is written. So
//! does its peer.
//!
//! Two threads are compared with one by the time that they were on a processor: what they wait for,
//! and do to each other's lines, shows there, and what else the machine is doing does not.

use crate::Result;
use crate::options::Options;
use crate::random::Random;
use crate::spread::Spread;
use remora_storage::pool::{Ledger, Owner, Pool};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::time::Duration;

/// Pieces that a thread holds.
const LIVE: usize = 1024;
const BYTES_MIN: u64 = 64;
const BYTES_MAX: u64 = 256;

/// Where two threads have to be, in times one.
const SCALING: f64 = 1.7;

/// Something that gives memory.
trait Allocator: Sync {
    fn take(&self, bytes: usize) -> Result<NonNull<u8>>;

    /// # Safety
    /// The memory came from `take` with these bytes, and is used no more.
    unsafe fn give(&self, pointer: NonNull<u8>, bytes: usize);
}

impl Allocator for Pool {
    fn take(&self, bytes: usize) -> Result<NonNull<u8>> {
        Ok(self.allocate(Owner::Version, bytes)?)
    }

    unsafe fn give(&self, pointer: NonNull<u8>, bytes: usize) {
        // SAFETY: by contract.
        unsafe { self.free(Owner::Version, pointer, bytes) }
    }
}

/// What `malloc` of the process does.
struct System;

fn layout(bytes: usize) -> Result<Layout> {
    Ok(Layout::from_size_align(bytes, 16)?)
}

impl Allocator for System {
    fn take(&self, bytes: usize) -> Result<NonNull<u8>> {
        // SAFETY: no size here is zero.
        let pointer = unsafe { alloc_zeroed(layout(bytes)?) };
        Ok(NonNull::new(pointer).ok_or("the system refuses")?)
    }

    unsafe fn give(&self, pointer: NonNull<u8>, bytes: usize) {
        let layout = layout(bytes).expect("it was allocated with it");
        // SAFETY: by contract.
        unsafe { dealloc(pointer.as_ptr(), layout) }
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let pairs = options.number("rows", 10_000_000);
    let rounds = options.number("rounds", 5);
    let names = ["pool", "system"];
    let mut one = names.map(|_| Spread::default());
    let mut two = names.map(|_| Spread::default());
    let mut scaling = names.map(|_| Spread::default());
    for _ in 0..rounds {
        let pool = Pool::new(Ledger::new(1 << 30));
        let allocators: [&dyn Allocator; 2] = [&*pool, &System];
        for (at, allocator) in allocators.into_iter().enumerate() {
            let alone = millions(allocator, pairs, 1)?;
            let both = millions(allocator, pairs, 2)?;
            one[at].add(alone);
            two[at].add(both);
            scaling[at].add(both / alone);
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
            "| {name} | one thread {} | two {} | ratio {} |",
            one[at], two[at], scaling[at]
        );
    }
    match scaling[0].greatest() >= SCALING {
        true => Ok(()),
        false => Err(format!("two threads are not {SCALING} times one").into()),
    }
}

/// Million pairs a second, if each thread has a processor to itself.
fn millions(allocator: &dyn Allocator, pairs: u64, threads: u64) -> Result<f64> {
    let mut rate = 0.0;
    std::thread::scope(|scope| {
        let work = |seed| {
            move || {
                let start = on_processor().map_err(|e| e.to_string())?;
                replace(allocator, pairs, seed).map_err(|e| e.to_string())?;
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
    Ok(rate)
}

/// How long this thread has been on a processor.
fn on_processor() -> Result<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split(' ').next().ok_or("an empty schedstat")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

fn replace(allocator: &dyn Allocator, pairs: u64, seed: u64) -> Result<()> {
    let mut random = Random::new(seed);
    let mut live: Vec<(NonNull<u8>, usize)> = Vec::with_capacity(LIVE);
    for _ in 0..LIVE as u64 + pairs {
        let bits = random.bits();
        let bytes = (BYTES_MIN + bits % (BYTES_MAX - BYTES_MIN + 1)) as usize;
        let new = (allocator.take(bytes)?, bytes);
        for line in (0..bytes).step_by(64) {
            // SAFETY: within the piece, which is this thread's.
            unsafe { new.0.add(line).write(1) };
        }
        if live.len() < LIVE {
            live.push(new);
            continue;
        }
        let (pointer, bytes) = std::mem::replace(&mut live[(bits >> 32) as usize % LIVE], new);
        // SAFETY: it was taken with these bytes, and is forgotten here.
        unsafe { allocator.give(pointer, bytes) };
    }
    for (pointer, bytes) in live {
        // SAFETY: as above.
        unsafe { allocator.give(pointer, bytes) };
    }
    Ok(())
}
