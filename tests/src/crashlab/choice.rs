//! Which of the loose things to keep: all subsets where they are few, and else a bounded choice of those
//! that break things.

use crate::random::Random;

/// How many subsets are tried.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Up to so many loose things, all subsets.
    pub all: usize,
    /// With more, so many random ones besides the systematic.
    pub random: usize,
    /// Up to so many loose bytes, each place where what was written may end.
    pub bytes: usize,
}

impl Bounds {
    /// For a first look, and to notice a mistake.
    pub const QUICK: Self = Self {
        all: 3,
        random: 2,
        bytes: 0,
    };
    /// For a look besides.
    pub const LEAST: Self = Self {
        all: 1,
        random: 0,
        bytes: 0,
    };
    /// For all that can be found.
    pub const THOROUGH: Self = Self {
        all: 10,
        random: 200,
        bytes: 4096,
    };
    /// The same for recoveries, which are many.
    pub const THOROUGH_AGAIN: Self = Self {
        all: 6,
        random: 8,
        bytes: 256,
    };
}

/// The subsets of `count` things that are tried, each as whether a thing is kept: none and all come first.
/// With few things all subsets; else none, all, each alone, all but one, every prefix (what an orderly disk
/// leaves), every suffix, and random ones.
pub fn choices(count: usize, bounds: Bounds, random: &mut Random) -> Vec<Vec<bool>> {
    let subset = |keeps: &dyn Fn(usize) -> bool| (0..count).map(keeps).collect::<Vec<bool>>();
    if count <= bounds.all {
        let subsets = 0..1_usize << count;
        return subsets
            .map(|set| subset(&|at| set >> at & 1 == 1))
            .collect();
    }
    let mut chosen = vec![subset(&|_| false), subset(&|_| true)];
    for one in 0..count {
        chosen.push(subset(&|at| at == one));
        chosen.push(subset(&|at| at != one));
        chosen.push(subset(&|at| at < one));
        chosen.push(subset(&|at| at >= one));
    }
    for _ in 0..bounds.random {
        // Sparse ones, dense ones and those between.
        let density = 1 + random.below(7);
        chosen.push((0..count).map(|_| random.below(8) < density).collect());
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn few_things_are_tried_in_all_ways_and_many_in_a_bounded_number() {
        let bounds = Bounds {
            all: 5,
            random: 10,
            bytes: 0,
        };
        let all: BTreeSet<_> = choices(5, bounds, &mut Random::new(1))
            .into_iter()
            .collect();
        assert_eq!(all.len(), 32);
        let some = choices(100, bounds, &mut Random::new(1));
        assert_eq!(some.len(), 2 + 400 + 10);
        assert!(some.iter().all(|choice| choice.len() == 100));
    }
}
