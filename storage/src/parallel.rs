//! Work in parts, each on a thread of its own, as many as the machine runs at once.
//!
//! Where the system has no thread to spare the caller does the part itself: then it takes longer.

use parking_lot::Mutex;
use std::thread::Builder;

/// How many threads the machine runs at once.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What `work` makes of each part, in their order. The first part is the caller's own thread's. A panic
/// in one is the caller's.
///
/// ```
/// let squares = remora_storage::parallel::map(vec![1, 2, 3], |n| n * n);
/// assert_eq!(squares, [1, 4, 9]);
/// ```
pub fn map<T: Send, R: Send>(parts: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let mut parts = parts.into_iter();
    let Some(first) = parts.next() else {
        return Vec::new();
    };
    let others: Vec<_> = parts.map(|part| Mutex::new(Some(part))).collect();
    let run = |part: &Mutex<Option<T>>| {
        let part = part.lock().take();
        part.map(&work)
    };
    let run = &run;
    std::thread::scope(|scope| {
        let start = |part| (part, Builder::new().spawn_scoped(scope, move || run(part)));
        let started: Vec<_> = others.iter().map(start).collect();
        let mut results = vec![work(first)];
        for (part, thread) in started {
            let result = match thread {
                Ok(thread) => thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                Err(_) => run(part),
            };
            results.push(result.expect("a part is taken once"));
        }
        results
    })
}

/// `0..count` in at most so many ranges of about the same length, none below `least` but where there is one
/// only.
pub fn ranges(count: u64, parts: usize, least: u64) -> Vec<std::ops::Range<u64>> {
    let parts = (count / least.max(1)).clamp(1, parts.max(1) as u64);
    let at = |part: u64| (u128::from(count) * u128::from(part) / u128::from(parts)) as u64;
    (0..parts).map(|part| at(part)..at(part + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_all_and_are_not_too_short() {
        let ends = |count, parts, least| -> Vec<u64> {
            let ranges = ranges(count, parts, least);
            assert!(ranges.windows(2).all(|two| two[0].end == two[1].start));
            assert_eq!(ranges[0].start, 0);
            ranges.iter().map(|range| range.end).collect()
        };
        assert_eq!(ends(0, 4, 10), [0]);
        assert_eq!(ends(19, 4, 10), [19]);
        assert_eq!(ends(20, 4, 10), [10, 20]);
        assert_eq!(ends(100, 3, 10), [33, 66, 100]);
        assert_eq!(ranges(u64::MAX, 2, 1)[1].end, u64::MAX);
    }

    #[test]
    fn results_come_in_order_of_the_parts() {
        let results = map((0..20).collect(), |part: u32| part * 2);
        assert_eq!(results, (0..20).map(|part| part * 2).collect::<Vec<_>>());
        assert!(map(Vec::<u32>::new(), |part| part).is_empty());
    }
}
