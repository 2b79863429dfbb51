//! Sorting that can be stopped on its way.
//!
//! Large slices are parted around a pivot again and again, with a question between stretches of
//! elements; what is small enough to take less than a millisecond is given to the standard library.
//!
//! ```text
//!   [ .. less than the pivot .. | .. not less, looked at .. | .. not looked at .. ]
//!                               ^ next                      ^ at: swapped with next, which moves on
//!                                                             if the element is less
//! ```
//!
//! A pass has no branch that depends on the elements (Lomuto's partition without branches), so it costs
//! about what the standard library's own passes cost. Pivots are medians of spread samples; where they are
//! bad all the same, time after time, the standard library has the rest at once, whose worst case is
//! good.

use std::cmp::Ordering;

/// Slices of this length are sorted without a question.
const SMALL: usize = 1 << 12;
/// Elements between two questions.
const STRETCH: usize = 1 << 14;
/// Elements of which a pivot is the median.
const SAMPLES: usize = 15;

/// Sorts `items`, equal ones in any order, unless `check` fails: it is asked about every hundred
/// microseconds, and its error is returned. The items are then in any order.
///
/// ```
/// let mut numbers: Vec<u32> = (0..100_000_u32).map(|n| n.wrapping_mul(2_654_435_761)).collect();
/// remora_storage::sort::sort_by(&mut numbers, &u32::cmp, &mut || Ok::<(), ()>(())).unwrap();
/// assert!(numbers.is_sorted());
/// assert_eq!(remora_storage::sort::sort_by(&mut numbers, &u32::cmp, &mut || Err(7)), Err(7));
/// ```
///
/// # Errors
/// What `check` fails with.
pub fn sort_by<T: Copy, E>(
    items: &mut [T],
    compare: &impl Fn(&T, &T) -> Ordering,
    check: &mut impl FnMut() -> Result<(), E>,
) -> Result<(), E> {
    check()?;
    if is_sorted(items, compare, check)? {
        return Ok(());
    }
    let passes = 2 * (items.len().max(1).ilog2() + 1);
    parted(items, compare, check, passes)
}

fn parted<T: Copy, E>(
    mut items: &mut [T],
    compare: &impl Fn(&T, &T) -> Ordering,
    check: &mut impl FnMut() -> Result<(), E>,
    mut passes: u32,
) -> Result<(), E> {
    while items.len() > SMALL && passes > 0 {
        passes -= 1;
        let at = part(items, compare, check)?;
        let (low, rest) = items.split_at_mut(at);
        let high = &mut rest[1..];
        // The smaller part by recursion: it is never deep.
        if low.len() < high.len() {
            parted(low, compare, check, passes)?;
            items = high;
        } else {
            parted(high, compare, check, passes)?;
            items = low;
        }
    }
    check()?;
    items.sort_unstable_by(compare);
    Ok(())
}

/// Moves the items that come before those from `at` on in order to the places before it, unless `check` fails,
/// which is asked as in [`sort_by`].
///
/// # Errors
/// What `check` fails with.
pub(crate) fn select_by<T: Copy, E>(
    mut items: &mut [T],
    mut at: usize,
    compare: &impl Fn(&T, &T) -> Ordering,
    check: &mut impl FnMut() -> Result<(), E>,
) -> Result<(), E> {
    let mut passes = 2 * (items.len().max(1).ilog2() + 1);
    while items.len() > SMALL && passes > 0 {
        passes -= 1;
        let pivot = part(items, compare, check)?;
        if at == pivot {
            return Ok(());
        }
        items = match at < pivot {
            true => &mut items[..pivot],
            false => {
                at -= pivot + 1;
                &mut items[pivot + 1..]
            }
        };
    }
    check()?;
    if at < items.len() {
        items.select_nth_unstable_by(at, compare);
    }
    Ok(())
}

/// Parts the items around one of them; returns its place.
fn part<T: Copy, E>(
    items: &mut [T],
    compare: &impl Fn(&T, &T) -> Ordering,
    check: &mut impl FnMut() -> Result<(), E>,
) -> Result<usize, E> {
    let pivot = pivot(items, compare);
    items.swap(0, pivot);
    let (first, items) = items.split_first_mut().expect("there is a pivot");
    let mut next = 0;
    let mut from = 0;
    while from < items.len() {
        check()?;
        let to = (from + STRETCH).min(items.len());
        for at in from..to {
            let is_less = compare(&items[at], first).is_lt();
            items.swap(next, at);
            next += usize::from(is_less);
        }
        from = to;
    }
    if next > 0 {
        std::mem::swap(first, &mut items[next - 1]);
    }
    Ok(next)
}

/// The place of an item that is near the middle in order.
fn pivot<T: Copy>(items: &[T], compare: &impl Fn(&T, &T) -> Ordering) -> usize {
    let step = (items.len() / SAMPLES).max(1);
    let mut samples = [0; SAMPLES];
    for (number, sample) in samples.iter_mut().enumerate() {
        *sample = (number * step + step / 2).min(items.len() - 1);
    }
    samples.sort_unstable_by(|a, b| compare(&items[*a], &items[*b]));
    samples[SAMPLES / 2]
}

fn is_sorted<T, E>(
    items: &[T],
    compare: &impl Fn(&T, &T) -> Ordering,
    check: &mut impl FnMut() -> Result<(), E>,
) -> Result<bool, E> {
    let mut from = 0;
    while from + 1 < items.len() {
        let to = (from + STRETCH).min(items.len() - 1);
        if !items[from..=to].is_sorted_by(|a, b| compare(a, b).is_le()) {
            return Ok(false);
        }
        check()?;
        from = to;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sorted(mut items: Vec<u32>) -> Vec<u32> {
        sort_by(&mut items, &u32::cmp, &mut || Ok::<(), ()>(())).unwrap();
        items
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn it_sorts_as_the_standard_library_does(
            seed in any::<u32>(),
            length in 0_usize..40_000,
            values in 1_u32..100_000,
        ) {
            let mut state = seed | 1;
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) % values
            };
            let items: Vec<u32> = (0..length).map(|_| next()).collect();
            let mut expected = items.clone();
            expected.sort_unstable();
            prop_assert_eq!(sorted(items), expected);
        }
    }

    #[test]
    fn items_are_parted_wherever_is_wanted() {
        for (count, values) in [(100_000_u32, u32::MAX), (100_000, 3), (10, 10)] {
            let items: Vec<u32> = (0..count)
                .map(|n| n.wrapping_mul(2_654_435_761) % values)
                .collect();
            for at in [0, 1, count / 3, count / 2, count - 1, count] {
                let (at, mut parted) = (at as usize, items.clone());
                select_by(&mut parted, at, &u32::cmp, &mut || Ok::<(), ()>(())).unwrap();
                let (low, high) = parted.split_at(at);
                assert!(low.iter().max() <= high.iter().min() || high.is_empty() || low.is_empty());
                parted.sort_unstable();
                assert_eq!(parted, sorted(items.clone()));
            }
        }
        let mut items: Vec<u32> = (0..100_000).rev().collect();
        assert_eq!(select_by(&mut items, 9, &u32::cmp, &mut || Err(7)), Err(7));
    }

    #[test]
    fn orders_that_are_easily_bad_are_sorted_in_few_comparisons() {
        let count = 200_000_u32;
        let organ = (0..count / 2).chain((0..count / 2).rev());
        for items in [
            (0..count).rev().collect::<Vec<_>>(),
            organ.collect(),
            vec![7; count as usize],
            (0..count).map(|n| n % 3).collect(),
        ] {
            let compared = std::cell::Cell::new(0_u64);
            let compare = |a: &u32, b: &u32| {
                compared.set(compared.get() + 1);
                a.cmp(b)
            };
            let mut sorted = items.clone();
            sort_by(&mut sorted, &compare, &mut || Ok::<(), ()>(())).unwrap();
            assert!(sorted.is_sorted());
            assert!(compared.get() < 60 * u64::from(count), "{}", compared.get());
        }
    }

    #[test]
    fn nothing_is_lost_when_it_stops() {
        let items: Vec<u32> = (0..100_000_u32).map(|n| n.wrapping_mul(77_777)).collect();
        let mut expected = items.clone();
        expected.sort_unstable();
        for questions in 0..30 {
            let mut left = questions;
            let mut stopped = items.clone();
            let mut check = || {
                left -= 1;
                (left >= 0).then_some(()).ok_or(())
            };
            assert!(sort_by(&mut stopped, &u32::cmp, &mut check).is_err());
            stopped.sort_unstable();
            assert_eq!(stopped, expected);
        }
    }
}
