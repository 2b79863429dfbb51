//! Each rule, told by the plans it makes.

use super::*;
use crate::bind::tests::schema;
use crate::parse::parse;
use remora_storage::Store;

fn shop() -> Store {
    schema(
        "CREATE TABLE a (id INT PRIMARY KEY, x INT, s VARCHAR(10), n NUMERIC(8,2), d DATE);
         CREATE TABLE b (id BIGINT PRIMARY KEY, a_id INT, y INT);
         CREATE TABLE c (k1 INT, k2 INT, z INT, PRIMARY KEY (k1, k2));
         CREATE INDEX ON a (x);
         CREATE INDEX ON a (s);
         CREATE INDEX ON b USING hash (a_id)",
    )
}

pub(super) fn explain(store: &Store, sql: &str) -> String {
    let parsed = parse(&format!("EXPLAIN {sql}")).expect(sql);
    match plan(
        &parsed[0],
        &store.catalog(),
        &SearchPath::default(),
        &[],
        Effort::Full,
    )
    .expect(sql)
    .statement
    {
        Statement::Explain(lines) => lines.join("\n"),
        other => panic!("a plan, not {other:?}"),
    }
}

#[track_caller]
pub(super) fn assert_plan(sql: &str, expected: &[&str]) {
    assert_eq!(explain(&shop(), sql), expected.join("\n"), "{sql}");
}

/// What takes long is left for the time when the statement runs, and can be interrupted.
#[test]
fn long_constants_are_not_made_in_advance() {
    let plan = |length: u32| {
        let sql = format!("SELECT id FROM a WHERE s = lpad('x', {length}, 'yz')");
        explain(&shop(), &sql)
    };
    assert!(plan(4).contains("'yzyx'"), "{}", plan(4));
    assert!(plan(900_000_000).contains("lpad"), "{}", plan(900_000_000));
}

/// Each rule that can be left out can be left out alone.
#[test]
fn rules_are_switched_by_name() {
    let optional = RULES.iter().filter(|(name, _)| *name != NEEDED);
    let switched: Vec<_> = optional
        .map(|(name, _)| format!("without_{name}"))
        .collect();
    assert_eq!(EFFORTS[..2], ["on", "off"]);
    assert_eq!(switched, EFFORTS[2..switched.len() + 2]);
    assert_eq!(Effort::of("without_top_n"), Effort::Without("top_n"));
}

#[test]
fn constants_are_folded() {
    assert_plan(
        "SELECT z FROM c WHERE z > 1 + 2 * 3 AND true",
        &["Seq Scan on c", "  Bounds: (z > 7)"],
    );
    assert_plan(
        "SELECT CASE WHEN 1 = 1 THEN z ELSE 1/0 END AS z FROM c",
        &["Seq Scan on c"],
    );
}

/// `1/0` is an error of the row that reaches it, not of the plan.
#[test]
fn errors_are_not_folded() {
    assert_plan(
        "SELECT z FROM c WHERE z = 0 OR 1/0 = 1",
        &["Seq Scan on c", "  Filter: ((z = 0) OR ((1 / 0) = 1))"],
    );
}

#[test]
fn comma_joins_become_hash_joins() {
    assert_plan(
        "SELECT a.s FROM a, b WHERE a.id = b.a_id AND b.y = 3 AND a.n > 1",
        &[
            "Project",
            "  Output: s",
            "  ->  Hash Join",
            "        Hash Cond: (id = a_id)",
            "        ->  Seq Scan on a",
            "              Bounds: (n > 1.00)",
            "        ->  Seq Scan on b",
            "              Bounds: (y = 3)",
        ],
    );
}

#[test]
fn what_is_asked_of_a_column_is_asked_of_the_one_it_equals() {
    assert_plan(
        "SELECT a.s FROM a LEFT JOIN b ON a.id = b.a_id WHERE a.id < 7",
        &[
            "Project",
            "  Output: s",
            "  ->  Hash Left Join",
            "        Hash Cond: (id = a_id)",
            "        ->  Index Scan using a_pkey on a",
            "              Index Cond: (id < 7)",
            "        ->  Seq Scan on b",
            "              Bounds: (a_id < 7)",
        ],
    );
    // A row of `a` without one of `b` is shown, whatever is asked of `b`.
    assert_plan(
        "SELECT a.s FROM a LEFT JOIN b ON a.id = b.a_id AND b.a_id > 3",
        &[
            "Project",
            "  Output: s",
            "  ->  Hash Left Join",
            "        Hash Cond: (id = a_id)",
            "        ->  Seq Scan on a",
            "        ->  Seq Scan on b",
            "              Bounds: (a_id > 3)",
        ],
    );
}

#[test]
fn predicates_pass_projections_unions_and_groups() {
    assert_plan(
        "SELECT * FROM (SELECT z + 1 AS p FROM c UNION ALL SELECT y FROM b) u WHERE p = 5",
        &[
            "Append",
            "  ->  Project",
            "        Output: (z + 1)",
            "        ->  Seq Scan on c",
            "              Filter: ((z + 1) = 5)",
            "  ->  Seq Scan on b",
            "        Bounds: (y = 5)",
        ],
    );
    assert_plan(
        "SELECT * FROM (SELECT z, count(*) AS n FROM c GROUP BY z) g WHERE z = 1 AND n > 2",
        &[
            "Filter",
            "  Filter: (count > 2)",
            "  ->  HashAggregate",
            "        Group Key: z",
            "        Aggregates: count(*)",
            "        ->  Seq Scan on c",
            "              Bounds: (z = 1)",
        ],
    );
}

/// A condition on the right side of a left join keeps rows without a match from being made up.
#[test]
fn left_joins_keep_what_they_must() {
    assert_plan(
        "SELECT a.x, b.y FROM a LEFT JOIN b ON a.id = b.a_id AND b.y > 1 WHERE b.y IS NULL AND a.x > 2",
        &[
            "Project",
            "  Output: x, y",
            "  ->  Filter",
            "        Filter: (y IS NULL)",
            "        ->  Hash Left Join",
            "              Hash Cond: (id = a_id)",
            "              ->  Index Scan using a_x_idx on a",
            "                    Index Cond: (x > 2)",
            "              ->  Seq Scan on b",
            "                    Bounds: (y > 1)",
        ],
    );
    assert_plan(
        "SELECT a.x, b.y FROM a LEFT JOIN b ON a.id = b.a_id WHERE b.y > 1",
        &[
            "Project",
            "  Output: x, y",
            "  ->  Hash Join",
            "        Hash Cond: (id = a_id)",
            "        ->  Seq Scan on a",
            "        ->  Seq Scan on b",
            "              Bounds: (y > 1)",
        ],
    );
}

#[test]
fn joins_wait_for_a_key() {
    assert_plan(
        "SELECT 1 AS one FROM a, b, c WHERE a.id = c.k1 AND b.id = c.k2",
        &[
            "Project",
            "  Output: 1",
            "  ->  Hash Join",
            "        Hash Cond: ((k2)::bigint = id)",
            "        ->  Hash Join",
            "              Hash Cond: (id = k1)",
            "              ->  Seq Scan on a",
            "              ->  Seq Scan on c",
            "        ->  Seq Scan on b",
        ],
    );
}

#[test]
fn the_smaller_side_is_built() {
    use remora_storage::ValueRef;
    let store = shop();
    let mut tx = store.begin().expect("a transaction");
    let b = Arc::clone(tx.catalog().table("b").expect("the table"));
    tx.begin_command();
    for id in 0..100 {
        let row = [ValueRef::BigInt(id), ValueRef::Integer(1), ValueRef::Null];
        tx.insert(&b, &row).expect("a row");
    }
    tx.commit().expect("a commit");
    let plan = explain(&store, "SELECT a.s FROM a JOIN b ON a.id = b.a_id");
    let probe = plan.find("Seq Scan on b").expect("b is scanned");
    let build = plan.find("Seq Scan on a").expect("a is scanned");
    assert!(probe < build, "{plan}");
}

#[test]
fn points_by_a_full_unique_key() {
    assert_plan(
        "SELECT * FROM a WHERE id = 7 AND x = 1",
        &[
            "Point Lookup using a_pkey on a",
            "  Index Cond: (id = 7)",
            "  Filter: (x = 1)",
        ],
    );
    assert_plan(
        "UPDATE c SET z = z + 1 WHERE k2 = $1 AND k1 = $2",
        &[
            "Update on c",
            "  ->  Point Lookup using c_pkey on c",
            "        Index Cond: (k1 = $2) AND (k2 = $1)",
        ],
    );
    assert_plan(
        "DELETE FROM b WHERE id = 3",
        &[
            "Delete on b",
            "  ->  Point Lookup using b_pkey on b",
            "        Index Cond: (id = 3)",
        ],
    );
}

#[test]
fn indexes_serve_points_ranges_and_lists() {
    assert_plan(
        "SELECT id FROM a WHERE s = 'abc'",
        &[
            "Index Scan using a_s_idx on a",
            "  Index Cond: (s = 'abc'::text)",
        ],
    );
    assert_plan(
        "SELECT x FROM a WHERE x IN (1, 2, 3)",
        &["Index Scan using a_x_idx on a", "  Index Cond: 3 keys"],
    );
    assert_plan(
        "SELECT x FROM a WHERE x BETWEEN 1 AND 9",
        &[
            "Index Scan using a_x_idx on a",
            "  Index Cond: (x >= 1) AND (x <= 9)",
        ],
    );
    assert_plan(
        "SELECT z FROM c WHERE k1 = 4",
        &["Index Scan using c_pkey on c", "  Index Cond: (k1 = 4)"],
    );
    assert_plan(
        "SELECT a_id FROM b WHERE a_id = 4",
        &[
            "Index Scan using b_a_id_idx on b",
            "  Index Cond: (a_id = 4)",
        ],
    );
    // A hash index knows no order.
    assert_plan(
        "SELECT a_id FROM b WHERE a_id > 4",
        &["Seq Scan on b", "  Bounds: (a_id > 4)"],
    );
}

/// Beyond an open end stand the NULLs, which are no part of the answer: where the column may be NULL, the range ends
/// before them. Every row that is found passes, so there is no filter, for which its column would be read.
#[test]
fn bounds_that_the_index_keeps_are_not_checked_again() {
    assert_plan(
        "SELECT id FROM a WHERE id >= $1 AND id < $2",
        &[
            "Index Scan using a_pkey on a",
            "  Index Cond: (id >= $1) AND (id < $2)",
        ],
    );
    assert_plan(
        "SELECT id FROM a WHERE id > 5",
        &["Index Scan using a_pkey on a", "  Index Cond: (id > 5)"],
    );
    assert_plan(
        "SELECT x FROM a WHERE x > 5",
        &["Index Scan using a_x_idx on a", "  Index Cond: (x > 5)"],
    );
    // Only one bound of a kind goes to the index.
    assert_plan(
        "SELECT id FROM a WHERE id > 5 AND id > $1",
        &[
            "Index Scan using a_pkey on a",
            "  Index Cond: (id > 5)",
            "  Filter: (id > $1)",
        ],
    );
}

/// Storage takes over comparisons of one column with a value, exactly, so that nobody checks again;
/// what it cannot do stays a filter.
#[test]
fn scans_take_over_bounds_of_columns() {
    assert_plan(
        "SELECT y FROM b WHERE y BETWEEN $1 AND 9 AND 3 < y AND y + 1 > 5",
        &[
            "Seq Scan on b",
            "  Bounds: (y >= $1) AND (y <= 9) AND (y > 3)",
            "  Filter: ((y + 1) > 5)",
        ],
    );
    // The column that only the bounds are about is not read.
    assert_plan(
        "SELECT count(*) FROM b WHERE y = 3 AND y <> 4 AND y IN (3, 5)",
        &[
            "Aggregate",
            "  Aggregates: count(*)",
            "  ->  Seq Scan on b",
            "        Bounds: (y = 3)",
            "        Filter: ((y <> 4) AND (y IN (3, 5)))",
        ],
    );
    assert_plan(
        "DELETE FROM b WHERE y = $1",
        &[
            "Delete on b",
            "  ->  Seq Scan on b",
            "        Bounds: (y = $1)",
        ],
    );
}

/// A literal of another type serves if it has the same value in the column's.
#[test]
fn keys_are_brought_to_the_columns_type() {
    assert_plan(
        "SELECT x FROM a WHERE id = 7.0",
        &["Point Lookup using a_pkey on a", "  Index Cond: (id = 7)"],
    );
    assert_plan(
        "SELECT x FROM a WHERE id = 7.5",
        &[
            "Project",
            "  Output: x",
            "  ->  Seq Scan on a",
            "        Filter: ((id)::numeric = 7.5)",
        ],
    );
}

#[test]
fn sorting_for_a_few_rows_is_top_n() {
    assert_plan(
        "SELECT z FROM c ORDER BY z DESC LIMIT 3",
        &[
            "Top-N Sort",
            "  Sort Key: z DESC",
            "  Limit: 3",
            "  ->  Seq Scan on c",
        ],
    );
    // A parameter may be NULL: no limit.
    assert_plan(
        "SELECT z FROM c ORDER BY z LIMIT $1",
        &[
            "Limit",
            "  Limit: $1",
            "  ->  Sort",
            "        Sort Key: z",
            "        ->  Seq Scan on c",
        ],
    );
}

#[test]
fn only_what_is_asked_for_is_read() {
    let store = shop();
    let parsed =
        parse("SELECT s.p FROM (SELECT x AS p, n AS q, s FROM a ORDER BY d) s").expect("SQL");
    let planned = plan(
        &parsed[0],
        &store.catalog(),
        &SearchPath::default(),
        &[],
        Effort::Full,
    )
    .expect("a plan");
    let Statement::Query(mut plan) = planned.statement else {
        panic!("a query");
    };
    let mut widths = Vec::new();
    loop {
        widths.push(plan.schema.len());
        use crate::plan::physical::Node;
        plan = match plan.node {
            Node::Project { input, .. } | Node::Sort { input, .. } => *input,
            _ => break,
        };
    }
    assert_eq!(widths.last(), Some(&2), "x and d of a's five columns");
}

/// Rows without columns could not be counted.
#[test]
fn one_column_always_remains() {
    assert_plan(
        "SELECT count(*) FROM c",
        &["Aggregate", "  Aggregates: count(*)", "  ->  Seq Scan on c"],
    );
}

#[test]
fn a_select_without_tables_is_one_row() {
    assert_plan("SELECT 1 AS a, 'x' AS b", &["Result"]);
    assert_plan("VALUES (1), (2)", &["Values Scan of 2 rows"]);
}

#[test]
fn what_is_never_true_is_not_looked_for() {
    assert_plan(
        "SELECT x FROM a WHERE x / 0 = 1 AND x > NULL",
        &["Empty Result"],
    );
    assert_plan(
        "SELECT a.x FROM a LEFT JOIN b ON a.id = b.id AND (NULL OR 1 > 2)",
        &[
            "Project",
            "  Output: x",
            "  ->  Hash Left Join",
            "        Hash Cond: ((id)::bigint = id)",
            "        ->  Seq Scan on a",
            "        ->  Empty Result",
        ],
    );
}

proptest::proptest! {
    /// Whatever parses is planned or refused, and never panics.
    #[test]
    fn token_soup_never_panics(words in proptest::collection::vec(proptest::sample::select(vec![
        "SELECT", "FROM a", "WHERE", "(", ")", ",", "id", "a.x", "b.y", "*", "1", "'x'", "$1", "=",
        "<", "AND", "OR", "NOT", "CASE WHEN", "THEN", "END", "JOIN b ON", "LEFT JOIN b USING (id)",
        "UNION", "VALUES (1)", "GROUP BY", "HAVING", "ORDER BY", "LIMIT 1", "count(*)", "sum(x)",
        "IS NULL", "IN (1, 2)", "BETWEEN 1 AND 2", "::int", "AS z", "+", "NULL", "DISTINCT", "n",
    ]), 1..14)) {
        let store = store_for_soup();
        let sql = format!("SELECT {}", words.join(" "));
        for parsed in parse(&sql).unwrap_or_default() {
            let _ = plan(&parsed, &store.catalog(), &SearchPath::default(), &[], Effort::Full);
        }
    }
}

fn store_for_soup() -> &'static Store {
    static STORE: std::sync::OnceLock<Store> = std::sync::OnceLock::new();
    STORE.get_or_init(shop)
}

#[test]
fn what_a_subquery_names_of_the_row_around_it_becomes_a_condition_of_a_join() {
    assert_plan(
        "SELECT s FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.y = a.x AND b.id > a.id)",
        &[
            "Project",
            "  Output: s",
            "  ->  Hash Semi Join",
            "        Hash Cond: (x = y)",
            "        Join Filter: (id > (id)::bigint)",
            "        ->  Seq Scan on a",
            "        ->  Seq Scan on b",
        ],
    );
}

#[test]
fn counts_of_what_belongs_to_a_row_are_made_once_for_all_rows() {
    let plan = explain(
        &shop(),
        "SELECT id, (SELECT count(*) FROM b WHERE b.y = a.x) FROM a",
    );
    assert!(plan.contains("Hash Left Join"), "{plan}");
    assert!(plan.contains("COALESCE"), "{plan}");
    assert!(!plan.contains("For Each"), "{plan}");
}

#[test]
fn what_is_run_for_each_row_is_found_by_index() {
    let plan = explain(
        &shop(),
        "SELECT id, (SELECT y FROM b WHERE b.id = a.x ORDER BY y LIMIT 1) FROM a",
    );
    assert!(plan.contains("For Each: $1 = x"), "{plan}");
    assert!(plan.contains("Index Scan using b_pkey"), "{plan}");
}

/// A partial index is used where the conditions say no less than its own.
#[test]
fn indexes_over_expressions_and_parts_of_rows_are_used() {
    let store = schema(
        "CREATE TABLE t (id INT, name VARCHAR(9), state TEXT, n INT, ok BOOLEAN);
         CREATE INDEX by_name ON t (lower(name));
         CREATE UNIQUE INDEX open_n ON t (n) WHERE state = 'open';
         CREATE INDEX great ON t ((n % 7), n) WHERE n > 100;
         CREATE INDEX good ON t (id) WHERE ok",
    );
    let uses = |condition: &str| {
        let plan = explain(&store, &format!("SELECT id FROM t WHERE {condition}"));
        let using = plan.split_once(" using ").map(|(_, rest)| rest.to_owned());
        using.map(|rest| rest.split(' ').next().unwrap_or_default().to_owned())
    };
    let cases = [
        ("lower(name) = 'x'", Some("by_name")),
        ("'x' < lower(name)", Some("by_name")),
        ("upper(name) = 'x'", None),
        ("state = 'open' AND n = 1", Some("open_n")),
        ("state = 'shut' AND n = 1", None),
        ("n = 1", None),
        ("n % 7 = 1 AND n > 100", Some("great")),
        ("n % 7 = 1 AND n >= 101", Some("great")),
        ("n % 7 = 1 AND n >= 100", None),
        ("n % 7 = 1 AND n = 105", Some("great")),
        ("n % 7 = 1 AND n IN (105, 10)", None),
        ("n % 7 = 1 AND n > 100 AND n < 1000 OR false", Some("great")),
        ("ok", Some("good")),
        ("ok = true AND id > 3", Some("good")),
        ("NOT ok", None),
        ("n > 100 AND n % 7 > 2", Some("great")),
    ];
    for (condition, wanted) in cases {
        assert_eq!(uses(condition).as_deref(), wanted, "{condition}");
    }
    let plan = explain(&store, "SELECT id FROM t WHERE state = 'open' AND n = 1");
    assert!(!plan.contains("Filter"), "it is known of all rows: {plan}");
}
