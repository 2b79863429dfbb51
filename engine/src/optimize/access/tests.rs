//! Access paths, told by the plans they are in.

use crate::bind::tests::schema;
use crate::optimize::tests::explain;
use remora_storage::Store;

fn store() -> Store {
    schema(
        "CREATE TABLE t (id INT PRIMARY KEY, g INT NOT NULL, k INT, s TEXT, c CHAR(4), b BOOLEAN);
         CREATE INDEX t_g_k ON t (g, k);
         CREATE INDEX t_k ON t (k);
         CREATE INDEX t_s ON t (s);
         CREATE INDEX t_c ON t (c);
         CREATE INDEX t_lower ON t (lower(s));
         CREATE INDEX t_turned ON t (g DESC, id);
         CREATE INDEX t_part ON t (id) WHERE b",
    )
}

/// Compares plans, one line each, with what is expected of each statement.
#[track_caller]
fn assert_plans(plans: &[(&str, &str)]) {
    let store = store();
    let plan = |sql: &str| {
        let plan = explain(&store, sql);
        let lines: Vec<&str> = plan.lines().map(str::trim).collect();
        lines.join(" | ")
    };
    let found: Vec<_> = plans.iter().map(|(sql, _)| (*sql, plan(sql))).collect();
    let same = |((_, expected), (_, found)): (&(&str, &str), &(&str, String))| expected == found;
    assert!(plans.iter().zip(&found).all(same), "{found:#?}");
}

#[test]
fn the_first_rows_of_an_order_are_read_from_its_index() {
    assert_plans(&[
        (
            "SELECT id FROM t ORDER BY k LIMIT 3",
            "Limit | Limit: 3 | ->  Index Scan using t_k on t",
        ),
        (
            "SELECT id FROM t ORDER BY k DESC NULLS LAST LIMIT 3",
            "Limit | Limit: 3 | ->  Append | ->  Index Scan Backward using t_k on t | Index Cond: (k IS NOT NULL) | ->  Index Scan using t_k on t | Index Cond: (k IS NULL)",
        ),
        (
            "SELECT id FROM t ORDER BY k NULLS FIRST OFFSET 2 LIMIT 3",
            "Limit | Limit: 3 | Offset: 2 | ->  Append | ->  Index Scan using t_k on t | Index Cond: (k IS NULL) | ->  Index Scan using t_k on t | Index Cond: (k IS NOT NULL)",
        ),
        (
            "SELECT id FROM t WHERE g = 4 ORDER BY k NULLS FIRST LIMIT 3",
            "Limit | Limit: 3 | ->  Append | ->  Index Scan using t_g_k on t | Index Cond: (g = 4) AND (k IS NULL) | ->  Index Scan using t_g_k on t | Index Cond: (g = 4) AND (k IS NOT NULL)",
        ),
        // NULLs have no order of their own in the index.
        (
            "SELECT id FROM t ORDER BY k NULLS FIRST, id LIMIT 3",
            "Project | Output: id | ->  Top-N Sort | Sort Key: ?column? NULLS FIRST, id | Limit: 3 | ->  Seq Scan on t",
        ),
        (
            "SELECT id FROM t ORDER BY k DESC LIMIT 3 OFFSET 5",
            "Limit | Limit: 3 | Offset: 5 | ->  Index Scan Backward using t_k on t",
        ),
        (
            "SELECT id FROM t ORDER BY g, k LIMIT $1",
            "Limit | Limit: $1 | ->  Index Scan using t_g_k on t",
        ),
        (
            "SELECT id FROM t ORDER BY g DESC, id LIMIT 1",
            "Limit | Limit: 1 | ->  Index Scan using t_turned on t",
        ),
        (
            "SELECT id FROM t ORDER BY g, id DESC LIMIT 1",
            "Limit | Limit: 1 | ->  Index Scan Backward using t_turned on t",
        ),
        (
            "SELECT id FROM t ORDER BY g, id LIMIT 1",
            "Project | Output: id | ->  Top-N Sort | Sort Key: ?column?, id | Limit: 1 | ->  Seq Scan on t",
        ),
        (
            "SELECT id FROM t ORDER BY id, s, c LIMIT 1",
            "Limit | Limit: 1 | ->  Index Scan using t_pkey on t",
        ),
        (
            "SELECT id FROM t ORDER BY s COLLATE \"C\" LIMIT 7",
            "Limit | Limit: 7 | ->  Index Scan using t_s on t",
        ),
        (
            "SELECT id FROM t ORDER BY lower(s) LIMIT 7",
            "Limit | Limit: 7 | ->  Index Scan using t_lower on t",
        ),
        (
            "SELECT id FROM t ORDER BY c LIMIT 7",
            "Project | Output: id | ->  Top-N Sort | Sort Key: ?column? | Limit: 7 | ->  Seq Scan on t",
        ),
        (
            "SELECT id FROM t ORDER BY k",
            "Project | Output: id | ->  Sort | Sort Key: ?column? | ->  Seq Scan on t",
        ),
        (
            "SELECT v.a + 1 FROM (SELECT k AS a FROM t) v ORDER BY v.a FETCH FIRST 2 ROWS ONLY",
            "Limit | Limit: 2 | ->  Project | Output: (k + 1) | ->  Index Scan using t_k on t",
        ),
        (
            "SELECT id FROM t ORDER BY k LIMIT 1 FOR UPDATE SKIP LOCKED",
            "Project | Output: id | ->  Limit | Limit: 1 | ->  LockRows | Rows: t FOR UPDATE SKIP LOCKED | ->  Index Scan using t_k on t",
        ),
        (
            "SELECT id FROM t WHERE b ORDER BY id LIMIT 2",
            "Limit | Limit: 2 | ->  Index Scan using t_part on t",
        ),
        (
            "SELECT t.id, (SELECT o.id FROM t o WHERE o.k > t.k ORDER BY o.k LIMIT 1) FROM t ORDER BY t.id LIMIT 2",
            "Limit | Limit: 2 | ->  Project | Output: id, id | ->  Nested Loop Single Join | For Each: $1 = k | ->  Index Scan using t_pkey on t | ->  Limit | Limit: 1 | ->  Index Scan using t_k on t | Index Cond: (k > $1)",
        ),
        (
            "SELECT k FROM t ORDER BY k FETCH FIRST 2 ROWS WITH TIES",
            "Limit With Ties | Limit: 2 | ->  Index Scan using t_k on t",
        ),
        (
            "SELECT DISTINCT ON (g) g, k FROM t ORDER BY g, k LIMIT 2",
            "Limit | Limit: 2 | ->  Distinct | On: g | ->  Index Scan using t_g_k on t",
        ),
        // Left rows come in their order, with a match or without.
        (
            "SELECT t.id, o.id FROM t LEFT JOIN t o ON o.k = t.k ORDER BY t.id LIMIT 2",
            "Limit | Limit: 2 | ->  Project | Output: id, id | ->  Hash Left Join | Hash Cond: (k = k) | ->  Index Scan using t_pkey on t | ->  Seq Scan on t",
        ),
        (
            "SELECT id FROM t WHERE g IN (SELECT k FROM t) ORDER BY id LIMIT 2",
            "Top-N Sort | Sort Key: id | Limit: 2 | ->  Project | Output: id | ->  Hash Semi Join | Hash Cond: (g = k) | ->  Seq Scan on t | ->  Seq Scan on t",
        ),
    ]);
}

#[test]
fn a_filter_that_the_keys_express_leaves_the_order_to_the_index() {
    assert_plans(&[
        (
            "SELECT id FROM t WHERE g = 5 ORDER BY k LIMIT 3",
            "Limit | Limit: 3 | ->  Index Scan using t_g_k on t | Index Cond: (g = 5)",
        ),
        (
            "SELECT id FROM t WHERE g = 5 ORDER BY k",
            "Index Scan using t_g_k on t | Index Cond: (g = 5)",
        ),
        (
            "SELECT id FROM t WHERE k >= $1 ORDER BY k LIMIT 20",
            "Limit | Limit: 20 | ->  Index Scan using t_k on t | Index Cond: (k >= $1)",
        ),
        (
            "SELECT id FROM t WHERE k < 7 ORDER BY k DESC LIMIT 20",
            "Limit | Limit: 20 | ->  Index Scan Backward using t_k on t | Index Cond: (k < 7)",
        ),
        (
            "SELECT id FROM t WHERE (g, k) > (500, $1) ORDER BY g, k LIMIT 10",
            "Limit | Limit: 10 | ->  Project | Output: id | ->  Index Scan using t_g_k on t | Index Cond: (ROW(g, k) > ROW(500, $1)) | Filter: ((g > 500) OR ((g = 500) AND (k > $1)))",
        ),
        (
            "SELECT id FROM t WHERE (g, id) < (500, $1) ORDER BY g DESC, id DESC LIMIT 10",
            "Project | Output: id | ->  Top-N Sort | Sort Key: ?column? DESC, id DESC | Limit: 10 | ->  Index Scan using t_g_k on t | Index Cond: (g <= 500) | Filter: ((g < 500) OR ((g = 500) AND (id < $1)))",
        ),
        (
            "SELECT id FROM t WHERE id = 5 ORDER BY s",
            "Point Lookup using t_pkey on t | Index Cond: (id = 5)",
        ),
        // Few of the rows may pass.
        (
            "SELECT id FROM t WHERE b IS NULL ORDER BY k LIMIT 3",
            "Project | Output: id | ->  Top-N Sort | Sort Key: ?column? | Limit: 3 | ->  Project | Output: id, k | ->  Seq Scan on t | Filter: (b IS NULL)",
        ),
        (
            "SELECT id FROM t WHERE s = 'x' ORDER BY k LIMIT 3",
            "Project | Output: id | ->  Top-N Sort | Sort Key: ?column? | Limit: 3 | ->  Index Scan using t_s on t | Index Cond: (s = 'x'::text)",
        ),
    ]);
}

#[test]
fn texts_that_begin_alike_follow_each_other() {
    assert_plans(&[
        (
            "SELECT id FROM t WHERE s LIKE 'ab%'",
            "Index Scan using t_s on t | Index Cond: (s ^@ 'ab'::text)",
        ),
        (
            "SELECT id FROM t WHERE s LIKE 'ab_d%'",
            "Project | Output: id | ->  Index Scan using t_s on t | Index Cond: (s ^@ 'ab'::text) | Filter: (s ~~ 'ab_d%'::text)",
        ),
        (
            "SELECT id FROM t WHERE s LIKE 'ab'",
            "Index Scan using t_s on t | Index Cond: (s = 'ab'::text)",
        ),
        (
            "SELECT id FROM t WHERE s LIKE '%ab'",
            "Project | Output: id | ->  Seq Scan on t | Filter: (s ~~ '%ab'::text)",
        ),
        (
            "SELECT id FROM t WHERE s LIKE $1",
            "Project | Output: id | ->  Index Scan using t_s on t | Index Cond: (s ^@ like_prefix($1)) | Filter: (s ~~ $1)",
        ),
        (
            "SELECT id FROM t WHERE s ^@ $1",
            "Index Scan using t_s on t | Index Cond: (s ^@ $1)",
        ),
        (
            "SELECT id FROM t WHERE starts_with(s, 'ab')",
            "Index Scan using t_s on t | Index Cond: (s ^@ 'ab'::text)",
        ),
        (
            "SELECT id FROM t WHERE s ~ '^ab+c'",
            "Project | Output: id | ->  Index Scan using t_s on t | Index Cond: (s ^@ 'ab'::text) | Filter: (s ~ '^ab+c'::text)",
        ),
        (
            "SELECT id FROM t WHERE s ILIKE 'ab%'",
            "Project | Output: id | ->  Seq Scan on t | Filter: (s ~~* 'ab%'::text)",
        ),
        (
            "SELECT id FROM t WHERE lower(s) LIKE 'ab%'",
            "Index Scan using t_lower on t | Index Cond: (lower(s) ^@ 'ab'::text)",
        ),
        (
            "SELECT id FROM t WHERE c LIKE 'ab%'",
            "Project | Output: id | ->  Seq Scan on t | Filter: ((c)::text ~~ 'ab%'::text)",
        ),
    ]);
}

#[test]
fn ends_of_an_index_are_the_least_and_the_greatest() {
    assert_plans(&[
        (
            "SELECT max(k) FROM t",
            "Aggregate | Aggregates: max(k) | ->  Limit | Limit: 1 | ->  Index Scan Backward using t_k on t | Index Cond: (k IS NOT NULL)",
        ),
        (
            "SELECT min(id) FROM t",
            "Aggregate | Aggregates: min(id) | ->  Limit | Limit: 1 | ->  Index Scan using t_pkey on t",
        ),
        (
            "SELECT min(k) FROM t WHERE k > $1",
            "Aggregate | Aggregates: min(k) | ->  Limit | Limit: 1 | ->  Index Scan using t_k on t | Index Cond: (k > $1)",
        ),
        (
            "SELECT max(k) FROM t WHERE g = 4",
            "Aggregate | Aggregates: max(k) | ->  Limit | Limit: 1 | ->  Index Scan Backward using t_g_k on t | Index Cond: (g = 4) AND (k IS NOT NULL)",
        ),
        (
            "SELECT min(k), max(k) + 1 FROM t",
            "Project | Output: min, (max + 1) | ->  Nested Loop | ->  Aggregate | Aggregates: min(k) | ->  Limit | Limit: 1 | ->  Index Scan using t_k on t | Index Cond: (k IS NOT NULL) | ->  Aggregate | Aggregates: max(k) | ->  Limit | Limit: 1 | ->  Index Scan Backward using t_k on t | Index Cond: (k IS NOT NULL)",
        ),
        // There is no index of the other, or one more is asked for.
        (
            "SELECT min(k) FROM t WHERE s = 'x'",
            "Aggregate | Aggregates: min(k) | ->  Index Scan using t_s on t | Index Cond: (s = 'x'::text)",
        ),
        (
            "SELECT min(k), count(*) FROM t",
            "Aggregate | Aggregates: min(k), count(*) | ->  Seq Scan on t",
        ),
    ]);
}

#[test]
fn alternatives_of_one_column_are_a_list() {
    assert_plans(&[
        (
            "SELECT id FROM t WHERE k = 1 OR k = 2 OR k IN (3, $1)",
            "Index Scan using t_k on t | Index Cond: 4 keys",
        ),
        (
            "SELECT id FROM t WHERE k = 1 OR k IS NULL",
            "Project | Output: id | ->  Bitmap Heap Scan on t | Filter: ((k = 1) OR (k IS NULL)) | ->  BitmapOr | ->  Bitmap Index Scan on t_k | Index Cond: (k = 1) | ->  Bitmap Index Scan on t_k | Index Cond: (k IS NULL)",
        ),
        (
            "UPDATE t SET s = 'x' WHERE k = 1 OR k = 2",
            "Update on t | ->  Index Scan using t_k on t | Index Cond: 2 keys",
        ),
    ]);
}

#[test]
fn a_list_before_a_bound_is_several_ranges() {
    assert_plans(&[
        (
            "SELECT id FROM t WHERE g IN (3, 5) AND k < 7",
            "Project | Output: id | ->  Bitmap Heap Scan on t | Filter: ((g IN (3, 5)) AND (k < 7)) | ->  BitmapOr | ->  Bitmap Index Scan on t_g_k | Index Cond: (g = 3) AND (k < 7) | ->  Bitmap Index Scan on t_g_k | Index Cond: (g = 5) AND (k < 7)",
        ),
        (
            "SELECT id FROM t WHERE k IN (3, 5) AND g > 7",
            "Project | Output: id | ->  Index Scan using t_k on t | Index Cond: 2 keys | Filter: (g > 7)",
        ),
    ]);
}

#[test]
fn nulls_are_found_by_an_index() {
    assert_plans(&[
        (
            "SELECT id FROM t WHERE k IS NULL",
            "Index Scan using t_k on t | Index Cond: (k IS NULL)",
        ),
        (
            "SELECT id FROM t WHERE g = 4 AND k IS NULL AND b",
            "Project | Output: id | ->  Index Scan using t_g_k on t | Index Cond: (g = 4) AND (k IS NULL) | Filter: b",
        ),
        (
            "SELECT id FROM t WHERE k IS NULL ORDER BY k LIMIT 1",
            "Limit | Limit: 1 | ->  Index Scan using t_k on t | Index Cond: (k IS NULL)",
        ),
    ]);
}
