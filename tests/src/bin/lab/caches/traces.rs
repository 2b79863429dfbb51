//! Traces: sequences of keys that are asked for.

use remora_tests::random::Random;

/// Keys that are asked for again and again.
const KEYS: usize = 50_000;
/// Keys of a loop, a half more than the cache has room for.
const LOOP_KEYS: u64 = (super::ratios::ROWS_MAX * 3 / 2) as u64;
/// Of the keys of a scan, which are asked for once.
const SCANNED: u64 = 1 << 32;

/// A trace by its name.
pub(super) struct Trace {
    pub(super) name: &'static str,
    pub(super) keys: Vec<u64>,
}

/// Draws keys whose frequency falls with a power of their rank.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(exponent: f64) -> Self {
        let mut sum = 0.0;
        let weights = (1..=KEYS).map(|rank| {
            sum += (rank as f64).powf(-exponent);
            sum
        });
        Self(weights.collect())
    }

    fn draw(&self, random: &mut Random) -> usize {
        let total = self.0.last().copied().unwrap_or_default();
        let at = (random.bits() >> 11) as f64 / (1_u64 << 53) as f64 * total;
        self.0.partition_point(|sum| *sum < at).min(KEYS - 1)
    }
}

/// A key for a rank, so that neighbours in rank are none in order.
fn key(rank: usize, shift: usize) -> u64 {
    ((rank + shift) as u64 % KEYS as u64).wrapping_mul(7919) % 1_000_003
}

/// All traces, of so many keys each.
pub(super) fn all(accesses: usize, seed: u64) -> Vec<Trace> {
    let mut random = Random::new(seed);
    let mut traces = Vec::new();
    let mut add = |name, keys: Vec<u64>| traces.push(Trace { name, keys });
    for (name, exponent) in [("zipf 0.7", 0.7), ("zipf 0.9", 0.9), ("zipf 1.1", 1.1)] {
        let zipf = Zipf::new(exponent);
        let keys = (0..accesses).map(|_| key(zipf.draw(&mut random), 0));
        add(name, keys.collect());
    }
    for (name, exponent) in [("scans, zipf 0.9", 0.9), ("scans, zipf 1.1", 1.1)] {
        let (zipf, mut scanned) = (Zipf::new(exponent), SCANNED);
        let keys = (0..accesses).map(|at| match at / 10_000 % 4 {
            // A scan of twice the cache, in between.
            3 => {
                scanned += 1;
                scanned
            }
            _ => key(zipf.draw(&mut random), 0),
        });
        add(name, keys.collect());
    }
    add(
        "loop",
        (0..accesses as u64).map(|at| at % LOOP_KEYS).collect(),
    );
    let zipf = Zipf::new(0.9);
    let mixed = (0..accesses as u64).map(|at| match at % 2 {
        0 => SCANNED + at / 2 % LOOP_KEYS,
        _ => key(zipf.draw(&mut random), 0),
    });
    add("loop and zipf 0.9", mixed.collect());
    for (name, exponent) in [("shifting, zipf 0.9", 0.9), ("shifting, zipf 1.1", 1.1)] {
        let zipf = Zipf::new(exponent);
        let keys = (0..accesses).map(|at| key(zipf.draw(&mut random), at / 100_000 * 9973));
        add(name, keys.collect());
    }
    traces
}
