//! Grouping sets: one aggregation by several lists of groups at once.

/// By which groups rows are aggregated, if not simply by all.
#[derive(Clone, Debug)]
pub(crate) struct GroupingSets {
    /// Lists of groups, by position among all groups. The rows of each have NULLs for the other groups.
    pub sets: Vec<Vec<usize>>,
    /// What `grouping(..)` asks: the column, INTEGER, and the groups whose absence is a bit each, the last one's
    /// the lowest.
    pub groupings: Vec<(usize, Vec<usize>)>,
}

impl GroupingSets {
    /// Whether a group is in every set.
    pub(crate) fn has_everywhere(&self, group: usize) -> bool {
        self.sets.iter().all(|set| set.contains(&group))
    }

    /// What `grouping` of these groups says in a set.
    pub(crate) fn bits(set: &[usize], groups: &[usize]) -> i32 {
        let bit = |group: &usize| i32::from(!set.contains(group));
        groups.iter().fold(0, |bits, group| bits << 1 | bit(group))
    }
}
