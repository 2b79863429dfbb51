//! What is exported makes the same again.

use super::*;

fn run(conn: &Connection, statements: &[&str]) {
    for sql in statements {
        conn.execute(sql, [])
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

/// The export of a schema, after what it exports was made from it.
fn again(exported: &[String]) -> Vec<String> {
    let db = Database::in_memory().expect("a database");
    let conn = db.connect().expect("a connection");
    for sql in exported {
        conn.run(sql, [])
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    conn.schema(None).expect("a schema")
}

#[test]
fn functions_tables_views_and_triggers_come_in_an_order_that_can_be_read_back() {
    let db = Database::in_memory().expect("a database");
    let conn = db.connect().expect("a connection");
    run(
        &conn,
        &[
            "CREATE TABLE a (id INT PRIMARY KEY, v INT)",
            "CREATE FUNCTION twice(x INT) RETURNS INT LANGUAGE SQL IMMUTABLE RETURN x * 2",
            "CREATE TABLE b (id INT PRIMARY KEY, a INT REFERENCES a, w INT DEFAULT twice(3), CHECK (twice(w) > 0))",
            "ALTER TABLE a ADD b INT REFERENCES b",
            "CREATE FUNCTION total() RETURNS BIGINT LANGUAGE SQL BEGIN ATOMIC SELECT sum(v) FROM a; END",
            "CREATE VIEW shown AS SELECT id, twice(v) AS v, total() AS t FROM a",
            "CREATE FUNCTION rows_of() RETURNS SETOF shown LANGUAGE SQL AS 'SELECT * FROM shown'",
            "CREATE VIEW more AS SELECT id FROM rows_of()",
            "CREATE MATERIALIZED VIEW kept AS SELECT id FROM more",
            "CREATE FUNCTION of_kept() RETURNS BIGINT LANGUAGE SQL BEGIN ATOMIC SELECT count(*) FROM kept; END",
            "CREATE TRIGGER t AFTER INSERT OR UPDATE OF v ON a FOR EACH ROW WHEN (NEW.v > 0) \
             BEGIN INSERT INTO b VALUES (NEW.v, NEW.id); SELECT of_kept(); END",
            "CREATE TRIGGER s AFTER DELETE ON a REFERENCING OLD TABLE AS o BEGIN DELETE FROM b WHERE id IN (SELECT id FROM o); END",
            "CREATE TRIGGER i INSTEAD OF INSERT ON more FOR EACH ROW BEGIN INSERT INTO a VALUES (NEW.id); END",
            "ALTER TABLE a RENAME COLUMN v TO amount",
            "ALTER TABLE a DISABLE TRIGGER s",
        ],
    );
    let exported = conn.schema(None).expect("a schema");
    let once = again(&exported);
    assert_eq!(once, again(&once), "from {exported:#?}");
    assert_eq!(once.len(), exported.len(), "{once:#?} from {exported:#?}");
    assert!(exported.iter().any(|sql| sql.contains("NEW.amount")));
}
