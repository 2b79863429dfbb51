//! What is refused, in which words and where; what things are called; what types they get.

use crate::Error;
use crate::error::state;
use crate::function::SearchPath;
use crate::optimize::{Effort, plan};
use crate::parse::parse;
use crate::plan::Statement;
use crate::plan::statement::Planned;
use crate::plan::structure::{AlteredRows, Step};
use remora_storage::catalog::IndexDef;
use remora_storage::{DataType, Store, StoreOptions, Transaction};

/// A store whose tables are those of a script.
pub(crate) fn schema(script: &str) -> Store {
    let options = StoreOptions {
        manual_maintenance: true,
        ..StoreOptions::default()
    };
    let store = Store::in_memory(options).expect("a store in memory");
    for statement in parse(script).expect("a script") {
        let mut tx = store.begin().expect("a transaction");
        let planned = plan(
            &statement,
            tx.catalog(),
            &SearchPath::default(),
            &[],
            Effort::Full,
        )
        .expect("a definition");
        define(&mut tx, planned.statement);
        tx.commit().expect("a commit");
    }
    store
}

fn define(tx: &mut Transaction, statement: Statement) {
    match statement {
        Statement::CreateTable { table, indexes, .. } => {
            let id = tx.create_table(table).expect("a new table");
            for index in indexes {
                let index = IndexDef { table: id, ..index };
                tx.create_index(index).expect("a new index");
            }
        }
        Statement::CreateIndex(Some(index)) => {
            tx.create_index(index).expect("a new index");
        }
        // Of an empty table there are no rows to be written anew.
        Statement::AlterTable(plan) => {
            tx.rewrite_table(plan.def).expect("a table");
            let AlteredRows::Rewritten(_, indexes) = plan.rows else {
                panic!("a table that is written anew");
            };
            let more = plan.after.into_iter().filter_map(|step| match step {
                Step::CreateIndex(index) => Some(index),
                _ => None,
            });
            for index in indexes.into_iter().chain(more) {
                tx.create_index(index).expect("a new index");
            }
        }
        other => panic!("a definition, not {other:?}"),
    }
}

fn shop() -> Store {
    schema(
        "CREATE TABLE customer (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL, born DATE);
         CREATE TABLE orders (id INT PRIMARY KEY, customer_id INT, total NUMERIC(10,2) CHECK (total >= 0),
                              note TEXT DEFAULT 'none', UNIQUE (customer_id, id));
         CREATE INDEX ON orders (total)",
    )
}

fn planned(store: &Store, sql: &str) -> Result<Planned, Error> {
    let statements = parse(sql)?;
    assert_eq!(statements.len(), 1, "one statement");
    plan(
        &statements[0],
        &store.catalog(),
        &SearchPath::default(),
        &[],
        Effort::Full,
    )
}

/// The error of a statement: SQLSTATE, message, place.
fn refused(store: &Store, sql: &str) -> (String, String, Option<(u32, u32)>) {
    let error = planned(store, sql).expect_err(sql);
    let place = error.position().map(|at| (at.line, at.column));
    (
        error.sqlstate().to_owned(),
        error.message().to_owned(),
        place,
    )
}

fn names(store: &Store, sql: &str) -> Vec<String> {
    let schema = planned(store, sql)
        .expect(sql)
        .statement
        .schema()
        .expect("rows");
    schema.into_iter().map(|field| field.name).collect()
}

fn types(store: &Store, sql: &str) -> Vec<DataType> {
    let schema = planned(store, sql)
        .expect(sql)
        .statement
        .schema()
        .expect("rows");
    schema.into_iter().map(|field| field.data_type).collect()
}

#[test]
fn unknown_names_are_refused_where_they_stand() {
    let store = shop();
    for (sql, sqlstate, message, place) in [
        (
            "SELECT * FROM nope",
            "42P01",
            "relation \"nope\" does not exist",
            (1, 15),
        ),
        (
            "SELECT\n nope FROM customer",
            "42703",
            "column \"nope\" does not exist",
            (2, 2),
        ),
        (
            "SELECT c.nope FROM customer c",
            "42703",
            "column c.nope does not exist",
            (1, 8),
        ),
        (
            "SELECT x.id FROM customer",
            "42P01",
            "missing FROM-clause entry for table \"x\"",
            (1, 8),
        ),
        (
            "SELECT customer.id FROM customer c",
            "42P01",
            "invalid reference to FROM-clause entry for table \"customer\"",
            (1, 8),
        ),
        (
            "SELECT id FROM customer, orders",
            "42702",
            "column reference \"id\" is ambiguous",
            (1, 8),
        ),
        (
            "SELECT 1 FROM customer, customer",
            "42712",
            "table name \"customer\" specified more than once",
            (1, 25),
        ),
        (
            "SELECT nope(1)",
            "42883",
            "function nope(integer) does not exist",
            (1, 8),
        ),
        (
            "SELECT other.t.id FROM customer",
            "42P01",
            "missing FROM-clause entry for table \"t\"",
            (1, 8),
        ),
        (
            "SELECT * FROM other.customer",
            "42P01",
            "relation \"other.customer\" does not exist",
            (1, 15),
        ),
        (
            "SELECT 1::nope",
            "42704",
            "type \"nope\" does not exist",
            (1, 8),
        ),
    ] {
        let expected = (sqlstate.to_owned(), message.to_owned(), Some(place));
        assert_eq!(refused(&store, sql), expected, "{sql}");
    }
}

#[test]
fn near_names_are_suggested() {
    let store = shop();
    let hint = |sql| {
        planned(&store, sql)
            .expect_err(sql)
            .hint()
            .map(str::to_owned)
    };
    assert_eq!(
        hint("SELECT nane FROM customer").as_deref(),
        Some("Perhaps you meant to reference the column \"customer.name\".")
    );
    assert_eq!(
        hint("SELECT * FROM custommer").as_deref(),
        Some("Perhaps you meant to reference the table \"customer\".")
    );
    assert_eq!(
        hint("UPDATE orders SET totl = 1").as_deref(),
        Some("Perhaps you meant to reference the column \"total\".")
    );
    assert_eq!(hint("SELECT zzz FROM customer"), None);
}

#[test]
fn types_that_do_not_fit_are_refused() {
    let store = shop();
    for (sql, sqlstate, message) in [
        (
            "SELECT 1 FROM customer WHERE id",
            state::DATATYPE_MISMATCH,
            "argument of WHERE must be type boolean, not type integer",
        ),
        (
            "SELECT CASE WHEN 1 THEN 2 END",
            state::DATATYPE_MISMATCH,
            "argument of CASE/WHEN must be type boolean, not type integer",
        ),
        (
            "SELECT 1 AND true",
            state::DATATYPE_MISMATCH,
            "argument of AND must be type boolean, not type integer",
        ),
        (
            "UPDATE orders SET id = name FROM customer",
            state::DATATYPE_MISMATCH,
            "column \"id\" is of type integer but expression is of type character varying",
        ),
        (
            "UPDATE orders SET id = note",
            state::DATATYPE_MISMATCH,
            "column \"id\" is of type integer but expression is of type text",
        ),
        (
            "SELECT CASE WHEN true THEN 1 ELSE true END",
            state::DATATYPE_MISMATCH,
            "CASE types boolean and integer cannot be matched",
        ),
        (
            "SELECT true::date",
            state::CANNOT_COERCE,
            "cannot cast type boolean to date",
        ),
        (
            "SELECT id FROM customer WHERE id = 'x'",
            state::INVALID_TEXT_REPRESENTATION,
            "invalid input syntax for type integer: \"x\"",
        ),
        (
            "SELECT 1 LIMIT true",
            state::DATATYPE_MISMATCH,
            "argument of LIMIT must be type bigint, not type boolean",
        ),
    ] {
        let (found, words, _) = refused(&store, sql);
        assert_eq!(
            (found.as_str(), words.as_str()),
            (sqlstate, message),
            "{sql}"
        );
    }
}

#[test]
fn grouping_follows_postgresql() {
    let store = shop();
    let ungrouped = "column \"customer.name\" must appear in the GROUP BY clause or be used in an \
                     aggregate function";
    let sql = "SELECT born, name FROM customer GROUP BY born";
    assert_eq!(
        refused(&store, sql),
        ("42803".into(), ungrouped.into(), Some((1, 14)))
    );
    // The primary key determines the rest of its table.
    assert_eq!(
        names(
            &store,
            "SELECT c.name, count(*) FROM customer c JOIN orders o ON o.customer_id = c.id GROUP BY c.id"
        ),
        ["name", "count"]
    );
    for (sql, message) in [
        (
            "SELECT sum(count(*)) FROM orders",
            "aggregate function calls cannot be nested",
        ),
        (
            "SELECT 1 FROM orders WHERE count(*) > 1",
            "aggregate functions are not allowed in WHERE",
        ),
        (
            "SELECT count(*) FROM orders GROUP BY 1",
            "aggregate functions are not allowed in GROUP BY",
        ),
        (
            "SELECT 1 FROM orders o JOIN customer c ON count(*) = 1",
            "aggregate functions are not allowed in JOIN conditions",
        ),
    ] {
        let (sqlstate, words, _) = refused(&store, sql);
        assert_eq!(
            (sqlstate.as_str(), words.as_str()),
            ("42803", message),
            "{sql}"
        );
    }
    let (sqlstate, words, _) = refused(&store, "SELECT id FROM orders GROUP BY 3");
    assert_eq!(
        (sqlstate.as_str(), words.as_str()),
        ("42P10", "GROUP BY position 3 is not in select list")
    );
}

#[test]
fn columns_are_called_as_in_postgresql() {
    let store = shop();
    assert_eq!(
        names(
            &store,
            "SELECT 1, id, c.id, id AS x, \"id\" \"Y\", id::text, '1'::int, count(*), max(id) m, \
             CASE WHEN true THEN 1 END, coalesce(1, 2), true, -id, DATE '2024-01-01', (id) \
             FROM customer c GROUP BY id"
        ),
        [
            "?column?", "id", "id", "x", "Y", "id", "int4", "count", "m", "case", "coalesce",
            "bool", "?column?", "date", "id"
        ]
    );
    assert_eq!(names(&store, "VALUES (1, 2)"), ["column1", "column2"]);
    assert_eq!(
        names(&store, "SELECT * FROM (SELECT 1, 2) s(a)"),
        ["a", "?column?"]
    );
    assert_eq!(
        names(&store, "SELECT * FROM customer JOIN orders USING (id)"),
        ["id", "name", "born", "customer_id", "total", "note"]
    );
}

#[test]
fn literals_and_parameters_take_their_types_from_around_them() {
    let store = shop();
    let parameters = |sql| planned(&store, sql).expect(sql).parameters;
    assert_eq!(
        parameters("SELECT * FROM orders WHERE id = ? AND note LIKE ? AND total > $1"),
        [DataType::Integer, DataType::Text]
    );
    assert_eq!(
        parameters("INSERT INTO orders VALUES (?, ?, ?, ?)"),
        [
            DataType::Integer,
            DataType::Integer,
            DataType::Numeric(None),
            DataType::Text
        ]
    );
    assert_eq!(
        parameters("UPDATE customer SET born = $2 WHERE id = $1"),
        [DataType::Integer, DataType::Date]
    );
    assert_eq!(parameters("SELECT ?"), [DataType::Text]);
    assert_eq!(
        parameters("SELECT 1 LIMIT ? OFFSET ?"),
        [DataType::BigInt, DataType::BigInt]
    );
    assert_eq!(
        types(&store, "SELECT 1, 3000000000, 1.5, 'x', NULL, true"),
        [
            DataType::Integer,
            DataType::BigInt,
            DataType::Numeric(None),
            DataType::Text,
            DataType::Text,
            DataType::Boolean
        ]
    );
    assert_eq!(
        types(&store, "SELECT NULL UNION ALL SELECT 1"),
        [DataType::Integer]
    );
    assert_eq!(
        types(&store, "SELECT '2' UNION SELECT 1"),
        [DataType::Integer]
    );
}

#[test]
fn inserts_and_definitions_are_checked() {
    let store = shop();
    for (sql, sqlstate, message) in [
        (
            "INSERT INTO customer VALUES (1,'a',NULL,4)",
            "42601",
            "INSERT has more expressions than target columns",
        ),
        (
            "INSERT INTO customer (id, name) VALUES (1)",
            "42601",
            "INSERT has more target columns than expressions",
        ),
        (
            "INSERT INTO customer (id, id) VALUES (1, 2)",
            "42701",
            "column \"id\" specified more than once",
        ),
        (
            "INSERT INTO customer (x) VALUES (1)",
            "42703",
            "column \"x\" of relation \"customer\" does not exist",
        ),
        (
            "INSERT INTO customer VALUES (1,'a') RETURNING count(id)",
            "42803",
            "aggregate functions are not allowed in RETURNING",
        ),
        (
            "CREATE TABLE customer (a int)",
            "42P07",
            "relation \"customer\" already exists",
        ),
        (
            "CREATE TABLE x (a int, a int)",
            "42701",
            "column \"a\" specified more than once",
        ),
        (
            "CREATE TABLE x (a int PRIMARY KEY, b int PRIMARY KEY)",
            "42P16",
            "multiple primary keys for table \"x\" are not allowed",
        ),
        (
            "CREATE TABLE x (a int DEFAULT a)",
            "0A000",
            "cannot use column reference in DEFAULT expression",
        ),
        (
            "CREATE TABLE x (a int CHECK (b > 0))",
            "42703",
            "column \"b\" does not exist",
        ),
        (
            "CREATE TABLE x (a serial DEFAULT 1)",
            "42601",
            "multiple default values specified for column \"a\" of table \"x\"",
        ),
        (
            "SELECT (SELECT 1, 2)",
            "42601",
            "subquery must return only one column",
        ),
        ("DROP TABLE nope", "42P01", "table \"nope\" does not exist"),
        ("DROP INDEX nope", "42704", "index \"nope\" does not exist"),
        (
            "COPY orders FROM 'x'",
            "0A000",
            "COPY in text format is not supported",
        ),
    ] {
        let (found, words, _) = refused(&store, sql);
        assert_eq!(
            (found.as_str(), words.as_str()),
            (sqlstate, message),
            "{sql}"
        );
    }
}

#[test]
fn constraints_and_indexes_get_postgresqls_names() {
    let store = schema(
        "CREATE TABLE t (a INT PRIMARY KEY CHECK (a > 0), b TEXT UNIQUE, c INT, UNIQUE (b, c), CHECK (b <> '' AND c > 0));
         CREATE INDEX ON t (b, c);
         CREATE INDEX ON t (b, c)",
    );
    let catalog = store.catalog();
    let table = catalog.table("t").expect("the table");
    let indexes: Vec<&str> = table
        .indexes
        .iter()
        .map(|index| index.def.name.as_str())
        .collect();
    assert_eq!(
        indexes,
        ["t_pkey", "t_b_key", "t_b_c_key", "t_b_c_idx", "t_b_c_idx1"]
    );
    let checks: Vec<&str> = table
        .def
        .checks
        .iter()
        .map(|check| check.name.as_str())
        .collect();
    assert_eq!(checks, ["t_a_check", "t_check"]);
    assert!(table.def.columns[0].not_null, "a primary key is not null");
}

/// Whatever is written, the answer is an error and not the end of the process.
#[test]
fn deep_expressions_are_errors() {
    let store = shop();
    let chain =
        |count, link: &str| format!("SELECT * FROM customer WHERE id = 1{}", link.repeat(count));
    assert_eq!(
        refused(&store, &chain(500, "+1")).0,
        state::STATEMENT_TOO_COMPLEX
    );
    planned(&store, &chain(200, "+1")).expect("a chain of moderate length");
    planned(&store, &chain(300, " OR id = 2")).expect("ORs are flat");
    let nested = format!("SELECT {}1{}", "abs(".repeat(120), ")".repeat(120));
    assert!(planned(&store, &nested).is_ok() || refused(&store, &nested).0 == "54001");
    let subqueries = format!(
        "{} SELECT 1 {}",
        "SELECT * FROM (".repeat(40),
        ") s".repeat(40)
    );
    planned(&store, &subqueries).expect("forty subqueries");
    let mut with = String::from("WITH c0 AS (SELECT 1 AS x)");
    for level in 1..40 {
        let below = level - 1;
        with += &format!(", c{level} AS (SELECT a.x FROM c{below} a, c{below} b)");
    }
    // Each is run once.
    planned(&store, &format!("{with} SELECT * FROM c39")).expect("forty levels");
    let plain = with.replace("AS (SELECT", "AS NOT MATERIALIZED (SELECT");
    assert_eq!(
        refused(&store, &format!("{plain} SELECT * FROM c39")).0,
        "54000"
    );
}
