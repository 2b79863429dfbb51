//! The ranges and keys of indexes that a serializable transaction has read, no more and no less: a row that comes where it
//! has looked is a conflict, a row that comes elsewhere is none.

use super::*;

/// 3,000 rows: `k` is ten times `id`, each `g` has a hundred rows, `s` is `id` in five digits.
const SCHEMA: &str = "
    CREATE TABLE t (id INT PRIMARY KEY, k INT, g INT, s TEXT);
    INSERT INTO t SELECT i, i * 10, i % 30, lpad(i::text, 5, '0') FROM generate_series(1, 3000) AS r(i);
    CREATE INDEX t_k ON t (k); CREATE INDEX t_g ON t (g, k); CREATE INDEX t_s ON t (s);
    CREATE TABLE f (n INT); INSERT INTO f VALUES (100), (5000);
    CREATE TABLE done (n INT)";

/// A query, rows (of `k`, `g`, `s`) that come where it has looked, and rows that come elsewhere.
type Case = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const CASES: &[Case] = &[
    (
        "SELECT id FROM t ORDER BY k LIMIT 3",
        &["15, 0, ''", "-1, 0, ''"],
        &["35, 0, ''", "NULL, 0, ''"],
    ),
    (
        "SELECT id FROM t WHERE k < 90000 ORDER BY k DESC LIMIT 3",
        &["29995, 0, ''", "50000, 0, ''"],
        &["29975, 0, ''", "NULL, 0, ''"],
    ),
    (
        "SELECT id FROM t WHERE k >= 1000 ORDER BY k LIMIT 5",
        &["1015, 0, ''"],
        &["1045, 0, ''", "995, 0, ''"],
    ),
    (
        "SELECT id FROM t WHERE (g, k) > (5, 300) ORDER BY g, k LIMIT 4",
        &["400, 5, ''"],
        &["1300, 5, ''", "299, 5, ''", "400, 6, ''"],
    ),
    (
        "SELECT min(k) FROM t WHERE k > 1005",
        &["1007, 0, ''"],
        &["1015, 0, ''", "1005, 0, ''"],
    ),
    (
        "SELECT max(k) FROM t WHERE g = 7",
        &["29999, 7, ''"],
        &["29000, 7, ''", "30500, 8, ''"],
    ),
    (
        "SELECT id FROM t WHERE s LIKE '0000%'",
        &["0, 0, '00005x'"],
        &["0, 0, '0001'", "0, 0, '000'"],
    ),
    (
        "SELECT id FROM t WHERE k = 100 OR k = 200",
        &["200, 0, ''", "100, 0, ''"],
        &["150, 0, ''"],
    ),
    (
        "SELECT id FROM t WHERE k = 100 OR s = '00020'",
        &["100, 0, ''", "0, 0, '00020'"],
        &["200, 0, ''"],
    ),
    (
        "SELECT id FROM t WHERE k IN (100, 200, 205)",
        &["205, 0, ''"],
        &["204, 0, ''"],
    ),
    (
        "SELECT id FROM t WHERE k = ANY ('{100, 200, 205}')",
        &["205, 0, ''"],
        &["204, 0, ''"],
    ),
    (
        "SELECT id FROM t WHERE k = ANY (string_to_array('100 205', ' ')::int[])",
        &["205, 0, ''"],
        &["204, 0, ''"],
    ),
    (
        "SELECT id, k FROM t WHERE k BETWEEN 1000 AND 1100 ORDER BY k DESC",
        &["1005, 0, ''", "1000, 0, ''", "1100, 0, ''"],
        &["999, 0, ''", "1101, 0, ''"],
    ),
    (
        "SELECT id FROM t WHERE g IN (3, 9) ORDER BY k LIMIT 3",
        &["100, 3, ''"],
        &["50, 4, ''", "5000, 3, ''", "5000, 9, ''"],
    ),
    (
        "SELECT (SELECT t.id FROM t WHERE t.k > f.n ORDER BY t.k LIMIT 1) FROM f",
        &["105, 0, ''", "5005, 0, ''"],
        &["115, 0, ''", "4995, 0, ''"],
    ),
    (
        "SELECT (SELECT min(t.k) FROM t WHERE t.k > f.n) FROM f",
        &["105, 0, ''"],
        &["115, 0, ''"],
    ),
    (
        "SELECT q.id FROM f, LATERAL (SELECT t.id FROM t WHERE t.k > f.n ORDER BY t.k LIMIT 2) AS q",
        &["115, 0, ''"],
        &["125, 0, ''", "4995, 0, ''"],
    ),
    (
        "SELECT t.id FROM f JOIN t ON t.k = f.n",
        &["100, 0, ''"],
        &["101, 0, ''"],
    ),
    (
        "SELECT count(t.id) FROM f LEFT JOIN t ON t.k = f.n + 1",
        &["5001, 0, ''"],
        &["5000, 0, ''"],
    ),
    (
        "SELECT count(*) FROM f WHERE NOT EXISTS (SELECT 1 FROM t WHERE t.k = f.n + 1)",
        &["101, 0, ''"],
        &["100, 0, ''"],
    ),
    (
        "SELECT count(*) FROM f JOIN t ON t.k BETWEEN f.n - 10 AND f.n + 10",
        &["95, 0, ''", "5010, 0, ''"],
        &["115, 0, ''", "89, 0, ''"],
    ),
    (
        "SELECT id FROM t WHERE s <> 'x' ORDER BY k LIMIT 2",
        &["15, 0, ''"],
        &["20005, 0, ''", "15, 0, 'x'"],
    ),
    (
        "SELECT k, count(*) FROM t GROUP BY k ORDER BY k LIMIT 3",
        &["15, 0, ''"],
        &["20005, 0, ''"],
    ),
    (
        "SELECT DISTINCT k FROM t ORDER BY k LIMIT 3",
        &["15, 0, ''"],
        &["20005, 0, ''"],
    ),
];

#[test]
fn what_was_read_by_an_index_is_recorded_and_no_more() {
    let db = Database::in_memory().unwrap();
    let (ann, ben) = (db.connect().unwrap(), db.connect().unwrap());
    ann.execute_batch(SCHEMA).unwrap();
    ann.execute_batch("SET default_transaction_isolation = 'serializable'")
        .unwrap();
    for (query, inside, outside) in CASES {
        let plan = ann.run(&format!("EXPLAIN {query}"), []).unwrap();
        let rows = plan.rows.unwrap();
        let lines: Vec<String> = rows.iter().map(|row| row.get(0).unwrap()).collect();
        let is_by_index = ["t_k", "t_g", "t_s"]
            .iter()
            .any(|index| lines.iter().any(|line| line.contains(index)));
        assert!(is_by_index, "{query}: {lines:?}");
        let mut prepared = ann.prepare(query).unwrap();
        let all = inside.iter().map(|row| (row, true));
        let all = all.chain(outside.iter().map(|row| (row, false)));
        for ((row, is_conflict), is_prepared) in all.flat_map(|case| [(case, false), (case, true)])
        {
            ann.execute_batch("BEGIN; SELECT 1").unwrap();
            // Few rows that are found by an index have a way of their own.
            match is_prepared {
                true => prepared.query_map([], |_| Ok(())).unwrap().for_each(drop),
                false => drop(ann.run(query, []).unwrap()),
            }
            let insert = format!("INSERT INTO t SELECT max(id) + 1, {row} FROM t");
            ben.execute(&insert, []).unwrap();
            let commit = ann.execute_batch("INSERT INTO done VALUES (1); COMMIT");
            let found = commit.map_err(|error| error.sqlstate());
            let expected = if is_conflict { Err("40001") } else { Ok(()) };
            assert_eq!(found, expected, "{query}, then {row}, {is_prepared}");
            let _ = ann.execute_batch("ROLLBACK");
            ben.execute("DELETE FROM t WHERE id > 3000", []).unwrap();
        }
    }
}
