//! The statements whose access paths are compared, and the tables they are about.

use super::paths::Argument::{self, Key, KeyOfSmall, Length, Name, Prefix};

/// Made and filled in both engines. `t` has `--rows` rows, `a`, `b` and `y` have 20,000 (as YCSB has them, with ten fields of
/// a hundred bytes), `f` has five. Column `c` is the only one
/// that is changed: each engine is asked as often as there is time for.
pub(super) const TABLES: &[&str] = &[
    "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, g INTEGER NOT NULL, s TEXT NOT NULL, n INTEGER, v INTEGER, \
     w INTEGER, e TEXT, c INTEGER)",
    "CREATE TABLE f (n INTEGER, b BIGINT, s TEXT)",
    "CREATE TABLE a (id INTEGER, x INTEGER, z INTEGER)",
    "CREATE TABLE b (id INTEGER, y INTEGER, z INTEGER)",
    "CREATE TABLE y (id INTEGER PRIMARY KEY, f0 TEXT, f1 TEXT, f2 TEXT, f3 TEXT, f4 TEXT, f5 TEXT, f6 TEXT, f7 TEXT, \
     f8 TEXT, f9 TEXT)",
];

pub(super) const INDEXES: &[&str] = &[
    "CREATE INDEX t_k ON t (k)",
    "CREATE INDEX t_s ON t (s)",
    "CREATE INDEX t_g_k ON t (g, k)",
    "CREATE INDEX t_v ON t (v)",
    "CREATE INDEX t_w ON t (w) WHERE w < 100",
    "CREATE INDEX t_e ON t (lower(e))",
    "CREATE INDEX b_id ON b (id)",
    "CREATE INDEX b_z ON b (z)",
    "CREATE VIEW tv AS SELECT id, k AS key, g AS grp, s AS name, n FROM t WHERE n >= 0",
];

/// A statement that both engines are asked, whose first column is a whole number or NULL.
pub(super) struct Statement {
    pub(super) name: &'static str,
    /// Run before it and not timed alone: the beginning of its transaction, which is rolled back.
    pub(super) before: &'static [&'static str],
    pub(super) sql: &'static str,
    /// How SQLite is asked, where it has other words.
    pub(super) sqlite: Option<&'static str>,
    pub(super) arguments: &'static [Argument],
    /// Whether all columns of its rows are read, and not the first one only.
    pub(super) reads_all: bool,
}

const fn plain(name: &'static str, sql: &'static str, arguments: &'static [Argument]) -> Statement {
    Statement {
        name,
        before: &[],
        sql,
        sqlite: None,
        arguments,
        reads_all: false,
    }
}

const fn other(
    name: &'static str,
    sql: &'static str,
    sqlite: &'static str,
    arguments: &'static [Argument],
) -> Statement {
    Statement {
        sqlite: Some(sqlite),
        ..plain(name, sql, arguments)
    }
}

const fn within(
    name: &'static str,
    before: &'static [&'static str],
    sql: &'static str,
    arguments: &'static [Argument],
) -> Statement {
    Statement {
        before,
        ..plain(name, sql, arguments)
    }
}

/// Words of these are taken for SQLite's where it is asked the same.
pub(super) const SERIALIZABLE: &str = "BEGIN ISOLATION LEVEL SERIALIZABLE";
const OWN_CHANGE: &[&str] = &[
    "BEGIN",
    "INSERT INTO t VALUES (-1, 50000, 500, 'abcdefgh', 1, 2, 3, 'E', 0)",
];
const EXACT: &[&str] = &[SERIALIZABLE];

pub(super) const STATEMENTS: &[Statement] = &[
    // Beginnings of texts.
    plain("LIKE a prefix", "SELECT id FROM t WHERE s LIKE 'abc%'", &[]),
    other(
        "^@",
        "SELECT id FROM t WHERE s ^@ ?",
        "SELECT id FROM t WHERE s LIKE ? || '%'",
        &[Prefix],
    ),
    other(
        "starts_with",
        "SELECT id FROM t WHERE starts_with(s, 'abc')",
        "SELECT id FROM t WHERE s GLOB 'abc*'",
        &[],
    ),
    other(
        "a regular expression with a beginning",
        "SELECT id FROM t WHERE s ~ '^abc'",
        "SELECT id FROM t WHERE s GLOB 'abc*'",
        &[],
    ),
    plain(
        "LIKE with a parameter",
        "SELECT id FROM t WHERE s LIKE ?",
        &[Argument::Pattern],
    ),
    // Orders.
    plain("first three", "SELECT id FROM t ORDER BY k LIMIT 3", &[]),
    plain(
        "last three after five",
        "SELECT id FROM t ORDER BY k DESC LIMIT 3 OFFSET 5",
        &[],
    ),
    other(
        "first seven texts by bytes",
        "SELECT id FROM t ORDER BY s COLLATE \"C\" LIMIT 7",
        "SELECT id FROM t ORDER BY s LIMIT 7",
        &[],
    ),
    plain(
        "page from a key",
        "SELECT id FROM t WHERE k >= ? ORDER BY k LIMIT 20",
        &[Key],
    ),
    plain(
        "page by two columns",
        "SELECT id FROM t WHERE (g, k) > (500, ?) ORDER BY g, k LIMIT 10",
        &[Key],
    ),
    plain("max", "SELECT max(k) FROM t", &[]),
    plain(
        "min above a key",
        "SELECT min(k) FROM t WHERE k > ?",
        &[Key],
    ),
    other(
        "scan of a hundred rows",
        "SELECT * FROM t WHERE id >= ? ORDER BY id LIMIT 100",
        "SELECT * FROM t WHERE id >= ? ORDER BY id LIMIT 100",
        &[Key],
    ),
    Statement {
        reads_all: true,
        ..plain(
            "YCSB E: scan of at most a hundred rows",
            "SELECT * FROM y WHERE id >= ? ORDER BY id LIMIT ?",
            &[KeyOfSmall, Length],
        )
    },
    // OR.
    plain(
        "OR of a column",
        "SELECT id FROM t WHERE k = 1 OR k = 2",
        &[],
    ),
    plain(
        "OR of two indexes",
        "SELECT id FROM t WHERE k = ? OR s = 'abcdefgh'",
        &[Key],
    ),
    plain(
        "UPDATE by an OR",
        "UPDATE t SET c = c + 1 WHERE k = 1 OR k = 2",
        &[],
    ),
    plain(
        "UPDATE by an OR of two indexes",
        "UPDATE t SET c = c + 1 WHERE k = ? OR s = 'abcdefgh'",
        &[Key],
    ),
    plain("900 alternatives", NINE_HUNDRED, &[]),
    // Five rows and the table.
    plain(
        "join of five rows",
        "SELECT t.k FROM f JOIN t ON t.id = f.n",
        &[],
    ),
    plain(
        "left join of five rows",
        "SELECT t.k FROM f LEFT JOIN t ON t.id = f.n",
        &[],
    ),
    plain(
        "IN of a query",
        "SELECT n FROM f WHERE n IN (SELECT id FROM t)",
        &[],
    ),
    plain(
        "EXISTS",
        "SELECT n FROM f WHERE EXISTS (SELECT 1 FROM t WHERE t.id = f.n)",
        &[],
    ),
    plain(
        "NOT EXISTS",
        "SELECT n FROM f WHERE NOT EXISTS (SELECT 1 FROM t WHERE t.id = f.n)",
        &[],
    ),
    plain(
        "the next key of each",
        "SELECT (SELECT id FROM t WHERE t.k > f.n ORDER BY k LIMIT 1) FROM f",
        &[],
    ),
    plain(
        "min of each",
        "SELECT (SELECT min(k) FROM t WHERE t.k > f.n) FROM f",
        &[],
    ),
    plain(
        "count of each",
        "SELECT (SELECT count(*) FROM t WHERE t.g = f.n) FROM f",
        &[],
    ),
    // Larger joins.
    other(
        "IS NOT DISTINCT FROM",
        "SELECT count(*) FROM a JOIN b ON a.id IS NOT DISTINCT FROM b.id",
        "SELECT count(*) FROM a JOIN b ON a.id IS b.id",
        &[],
    ),
    plain(
        "band join",
        "SELECT count(*) FROM a JOIN b ON b.z BETWEEN a.z - 4 AND a.z + 4",
        &[],
    ),
    plain(
        "OR with a common equality",
        "SELECT count(*) FROM a JOIN b ON (a.id = b.id AND a.x < 10) OR (a.id = b.id AND b.y = 5)",
        &[],
    ),
    // Views, aliases, parameters, casts.
    plain("key in a view", "SELECT id FROM tv WHERE key = ?", &[Key]),
    plain(
        "page of a view",
        "SELECT id FROM tv WHERE key > ? ORDER BY key LIMIT 10",
        &[Key],
    ),
    plain(
        "alias in ORDER BY",
        "SELECT k AS first, id AS second FROM t AS r WHERE r.k > ? ORDER BY first LIMIT 5",
        &[Key],
    ),
    plain(
        "parameter in a cast",
        "SELECT id FROM t WHERE k = CAST(? AS INTEGER)",
        &[Key],
    ),
    plain(
        "sum of a parameter and a constant",
        "SELECT id FROM t WHERE k = ? + 1",
        &[Key],
    ),
    plain(
        "key in a derived table",
        "SELECT d.id FROM (SELECT id, k, n FROM t) AS d WHERE d.k = ?",
        &[Key],
    ),
    plain(
        "BETWEEN parameters",
        "SELECT id FROM t WHERE k BETWEEN ? - 10 AND ?",
        &[Key, Key],
    ),
    plain(
        "IN list",
        "SELECT id FROM t WHERE k IN (3, 77, 1000, 54321, ?)",
        &[Key],
    ),
    plain(
        "IN list of parameters in order",
        "SELECT id FROM t WHERE k IN (?, 12, 500) ORDER BY k",
        &[Key],
    ),
    plain(
        "two columns, a list",
        "SELECT id FROM t WHERE g IN (3, 5, 9) AND k < ?",
        &[Key],
    ),
    plain(
        "equal and a range",
        "SELECT id FROM t WHERE g = 500 AND k > ?",
        &[Key],
    ),
    // NULLs, DESC, NULLS FIRST.
    plain("IS NULL", "SELECT id FROM t WHERE v IS NULL LIMIT 5", &[]),
    plain(
        "count of NULLs",
        "SELECT count(*) FROM t WHERE v IS NULL",
        &[],
    ),
    plain(
        "NULLS FIRST",
        "SELECT id FROM t ORDER BY v NULLS FIRST LIMIT 5",
        &[],
    ),
    plain(
        "DESC NULLS LAST",
        "SELECT v FROM t ORDER BY v DESC NULLS LAST LIMIT 5",
        &[],
    ),
    plain(
        "DESC of two columns",
        "SELECT id FROM t WHERE g = 77 ORDER BY g DESC, k DESC LIMIT 5",
        &[],
    ),
    plain(
        "equal, then in order",
        "SELECT id FROM t WHERE g = 77 ORDER BY k LIMIT 5",
        &[],
    ),
    plain(
        "max within a group",
        "SELECT max(k) FROM t WHERE g = 77",
        &[],
    ),
    plain("min and max", "SELECT min(k), max(k) FROM t", &[]),
    plain(
        "in order, with a filter",
        "SELECT id FROM t WHERE n % 2 = 0 ORDER BY k LIMIT 5",
        &[],
    ),
    plain(
        "page with a filter",
        "SELECT id FROM t WHERE k > ? AND w < 5000 ORDER BY k LIMIT 20",
        &[Key],
    ),
    plain(
        "DISTINCT of an index",
        "SELECT DISTINCT g FROM t ORDER BY g LIMIT 5",
        &[],
    ),
    plain(
        "groups in order",
        "SELECT g, count(*) FROM t GROUP BY g ORDER BY g LIMIT 5",
        &[],
    ),
    // Partial indexes and those of expressions.
    plain(
        "partial index",
        "SELECT id FROM t WHERE w < 100 AND w = 7",
        &[],
    ),
    plain(
        "partial index in order",
        "SELECT id FROM t WHERE w < 100 ORDER BY w LIMIT 5",
        &[],
    ),
    plain(
        "index of an expression",
        "SELECT id FROM t WHERE lower(e) = ?",
        &[Name],
    ),
    // Inside of others.
    plain(
        "in a CTE",
        "WITH c AS (SELECT id, n FROM t WHERE k > ? ORDER BY k LIMIT 10) SELECT id FROM c",
        &[Key],
    ),
    plain(
        "join of a CTE",
        "WITH c(n) AS (VALUES (17), (5000), (44)) SELECT t.k FROM c JOIN t ON t.id = c.n",
        &[],
    ),
    plain(
        "UNION ALL of keys",
        "SELECT id FROM t WHERE k = ? UNION ALL SELECT id FROM t WHERE id = 9",
        &[Key],
    ),
    plain("text joined", "SELECT t.id FROM f JOIN t ON t.s = f.s", &[]),
    plain(
        "BIGINT joined",
        "SELECT t.k FROM f JOIN t ON t.id = f.b",
        &[],
    ),
    plain(
        "range of each",
        "SELECT t.id FROM f JOIN t ON t.k BETWEEN f.n AND f.n + 3",
        &[],
    ),
    plain(
        "three tables",
        "SELECT u.id FROM f JOIN t ON t.id = f.n JOIN t AS u ON u.k = t.k",
        &[],
    ),
    plain(
        "self join by a key",
        "SELECT u.id FROM t JOIN t AS u ON u.k = t.n WHERE t.id = ?",
        &[Key],
    ),
    plain(
        "a group joined",
        "SELECT b.y FROM t JOIN b ON b.id = t.id WHERE t.g = 7",
        &[],
    ),
    plain(
        "anti join below",
        "SELECT n FROM f WHERE n NOT IN (SELECT k FROM t WHERE k = 17)",
        &[],
    ),
    plain(
        "UPDATE by a key",
        "UPDATE t SET c = c + 1 WHERE k = ?",
        &[Key],
    ),
    plain(
        "UPDATE of a small range",
        "UPDATE t SET c = 0 WHERE k BETWEEN ? AND 3 + ?",
        &[Key, Key],
    ),
    plain(
        "UPDATE by a query",
        "UPDATE t SET c = 0 WHERE id IN (SELECT n FROM f)",
        &[],
    ),
    plain(
        "DELETE of nothing",
        "DELETE FROM t WHERE k = -5 OR s = 'no such'",
        &[],
    ),
    plain(
        "last of a small table",
        "SELECT id FROM b WHERE z < ? ORDER BY z DESC LIMIT 1",
        &[KeyOfSmall],
    ),
    // Transactions.
    within(
        "own changes, in order",
        OWN_CHANGE,
        "SELECT id FROM t WHERE k >= 49990 ORDER BY k LIMIT 20",
        &[],
    ),
    within(
        "own changes, max",
        OWN_CHANGE,
        "SELECT max(k) FROM t WHERE g = 500",
        &[],
    ),
    within(
        "own changes, OR",
        OWN_CHANGE,
        "SELECT id FROM t WHERE s = 'abcdefgh' OR k = ?",
        &[Key],
    ),
    within(
        "serializable, page",
        EXACT,
        "SELECT id FROM t WHERE k >= ? ORDER BY k LIMIT 20",
        &[Key],
    ),
    within(
        "serializable, OR",
        EXACT,
        "SELECT id FROM t WHERE k = ? OR s = 'abcdefgh'",
        &[Key],
    ),
    within(
        "serializable, join",
        EXACT,
        "SELECT t.k FROM f JOIN t ON t.id = f.n",
        &[],
    ),
];

/// Stands for `SELECT count(*) FROM a WHERE x = 0 OR x = 3 OR ..`, as query builders write it.
pub(super) const NINE_HUNDRED: &str = "900 alternatives";
