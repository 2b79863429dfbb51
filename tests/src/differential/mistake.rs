//! Mistakes made on purpose, so that it is known what the fuzzer would find: Remora is asked something else.

/// A mistake: where it is asked the one, the engine does the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// What it is called.
    pub name: &'static str,
    from: &'static str,
    to: &'static str,
}

const fn mistake(name: &'static str, from: &'static str, to: &'static str) -> Mistake {
    Mistake { name, from, to }
}

/// All of them.
pub const MISTAKES: &[Mistake] = &[
    mistake(
        "an outer join keeps only what matches",
        " LEFT JOIN ",
        " JOIN ",
    ),
    mistake("a full join forgets a side", " FULL JOIN ", " LEFT JOIN "),
    mistake(
        "the sides of an outer join are swapped",
        " RIGHT JOIN ",
        " LEFT JOIN ",
    ),
    mistake("DISTINCT does nothing", "SELECT DISTINCT ", "SELECT "),
    mistake(
        "UNION keeps duplicates",
        " UNION SELECT",
        " UNION ALL SELECT",
    ),
    mistake("EXCEPT is INTERSECT", " EXCEPT SELECT", " INTERSECT SELECT"),
    mistake("a bound is one too far", " < ", " <= "),
    mistake("NULL compares like a value", " IS DISTINCT FROM ", " <> "),
    mistake("NOT IN forgets that it is not", " NOT IN ", " IN "),
    mistake(
        "NULLs come last whatever is asked",
        " NULLS FIRST",
        " NULLS LAST",
    ),
    mistake("descending is ascending", " DESC NULLS", " ASC NULLS"),
    mistake("OFFSET is not taken", " OFFSET 1", ""),
    mistake(
        "FILTER is not taken",
        " FILTER (WHERE ",
        " FILTER (WHERE true OR ",
    ),
    mistake("HAVING is not taken", " HAVING ", " HAVING true OR "),
    mistake(
        "count counts NULLs",
        "count(DISTINCT ",
        "1 + count(DISTINCT ",
    ),
    mistake("a frame begins too late", "1 PRECEDING", "CURRENT ROW"),
    mistake("EXCLUDE is not taken", " EXCLUDE GROUP", ""),
    mistake(
        "a window is not divided",
        "OVER (PARTITION BY ",
        "OVER (ORDER BY 1, ",
    ),
    mistake("ROLLUP is CUBE", "ROLLUP (", "CUBE ("),
    mistake("EXISTS is always so", "(EXISTS (", "(true OR EXISTS ("),
    mistake(
        "a recursion ends early",
        "UNION ALL SELECT r.c0 + 1",
        "UNION ALL SELECT r.c0 + 9",
    ),
    mistake(
        "a conflict changes nothing",
        " DO UPDATE SET ",
        " DO NOTHING -- ",
    ),
    mistake("DELETE takes all", "DELETE FROM ", "TRUNCATE "),
    mistake("a product is a sum", " * ", " + "),
    mistake("division rounds", " / ", " / 1.0 / "),
    mistake("AND is OR", " AND ", " OR "),
];

impl Mistake {
    /// What the engine does instead.
    pub(super) fn make(self, sql: &str) -> String {
        sql.replace(self.from, self.to)
    }
}
