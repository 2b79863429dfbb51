//! Effects of each way to write rows, in their order: triggers BEFORE rows, generated columns, checks, the write, triggers
//! AFTER and RETURNING.

use super::*;

/// Runs statements, each of which gives its tag and its rows of one text, or its error.
fn story(conn: &Connection, statements: &[&str]) -> String {
    let tell = |sql: &&str| match conn.run(sql, []) {
        Err(error) => format!("{} {}", error.sqlstate(), error.message()),
        Ok(outcome) => {
            let rows = outcome.rows.iter().flat_map(|rows| rows.iter());
            let rows = rows.map(|row| format!(" ({})", row.get::<_, String>(0).unwrap()));
            outcome.tag.clone() + &rows.collect::<String>()
        }
    };
    let told = statements.iter().map(tell);
    told.collect::<Vec<_>>().join("\n")
}

/// A table with a generated column and a check, another that refers to it, and one that is told of changes.
const TABLES: &str = "
    CREATE TABLE log (n SERIAL, what TEXT);
    CREATE TABLE t (id INT PRIMARY KEY, v INT CHECK (v < 100), g INT GENERATED ALWAYS AS (v * 2) STORED);
    CREATE TABLE c (id INT PRIMARY KEY, t INT DEFAULT 1 REFERENCES t ON UPDATE CASCADE ON DELETE SET DEFAULT,
                    g INT GENERATED ALWAYS AS (t + 1) STORED, CHECK (t <> 13));
    INSERT INTO t VALUES (1, 10), (2, 20), (3, 30);
    INSERT INTO c VALUES (20, 2), (21, 2), (30, 3);";

/// Triggers that change and skip rows, and tell of them.
const TRIGGERS: &str = "
    CREATE TRIGGER t_set BEFORE INSERT OR UPDATE ON t FOR EACH ROW BEGIN
        SELECT RAISE(IGNORE) WHERE NEW.id = 99; SET NEW.v = NEW.v + 1; END;
    CREATE TRIGGER t_skip BEFORE DELETE ON t FOR EACH ROW BEGIN SELECT RAISE(IGNORE) WHERE OLD.id = 3; END;
    CREATE TRIGGER c_set BEFORE UPDATE ON c FOR EACH ROW BEGIN
        INSERT INTO log (what) VALUES ('c ' || OLD.t || '>' || NEW.t); END;
    CREATE TRIGGER t_log AFTER INSERT OR UPDATE ON t FOR EACH ROW BEGIN
        INSERT INTO log (what) VALUES (NEW.id || '=' || NEW.v || '*' || NEW.g); END;
    CREATE TRIGGER t_gone AFTER DELETE ON t FOR EACH ROW BEGIN INSERT INTO log (what) VALUES ('-' || OLD.id); END;";

const LOG: &str = "SELECT coalesce(string_agg(what, ' ' ORDER BY n), 'nothing') FROM log";

const STATEMENTS: &[&str] = &[
    "INSERT INTO t VALUES (4, 40), (99, 1) RETURNING concat_ws(' ', id, v, g)",
    "INSERT INTO t VALUES (5, 99) RETURNING concat_ws(' ', id, v, g)",
    "INSERT INTO t SELECT n, n FROM generate_series(6, 8) s(n) RETURNING concat_ws(' ', id, v, g)",
    "INSERT INTO t VALUES (4, 0), (9, 90) ON CONFLICT (id) DO UPDATE SET v = t.v + excluded.v + 2
     RETURNING concat_ws(' ', id, v, g)",
    "INSERT INTO t VALUES (4, 0) ON CONFLICT (id) DO UPDATE SET v = (SELECT max(v) FROM t) - t.v WHERE t.v < 60
     RETURNING concat_ws(' ', id, v, g)",
    "INSERT INTO t VALUES (4, 0) ON CONFLICT (id) DO UPDATE SET v = 0 WHERE t.v > 1000",
    "INSERT INTO t VALUES (31, 0), (31, 0) ON CONFLICT (id) DO UPDATE SET v = 0",
    "INSERT INTO t VALUES (31, 0), (31, 0) ON CONFLICT (id) DO NOTHING RETURNING concat_ws(' ', id, v, g)",
    "UPDATE t SET v = v + 1 WHERE id = 6 RETURNING concat_ws(' ', id, v, g)",
    "UPDATE t SET v = 1000 WHERE id = 6",
    "UPDATE t SET v = v + 1, id = 60 WHERE id = 6 RETURNING concat_ws(' ', id, v, g)",
    "UPDATE t SET id = 99 WHERE id = 60",
    "UPDATE t SET v = t.v + s.a FROM (VALUES (7, 1), (8, 2), (7, 1)) s(i, a) WHERE t.id = s.i
     RETURNING concat_ws(' ', t.id, v, g, a)",
    "UPDATE t SET v = v WHERE v > 5 AND id < 4 RETURNING concat_ws(' ', id, v, g)",
    "UPDATE t SET v = 1 / (id - 8) WHERE id > 6",
    "UPDATE t SET id = 12 WHERE id = 2",
    "UPDATE t SET id = 13 WHERE id = 12",
    "MERGE INTO t USING (VALUES (7, 1), (8, 2), (70, 3), (80, 4)) s(i, a) ON t.id = s.i
     WHEN MATCHED AND a = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET v = v + a
     WHEN NOT MATCHED THEN INSERT (id, v) VALUES (i, a)
     RETURNING concat_ws(' ', merge_action(), t.id, v, g, a)",
    "MERGE INTO t USING (VALUES (3), (99)) s(i) ON t.id = s.i WHEN MATCHED THEN DELETE
     WHEN NOT MATCHED THEN INSERT (id) VALUES (i) RETURNING concat_ws(' ', merge_action(), t.id, v, g)",
    "DELETE FROM t WHERE id = 3 RETURNING concat_ws(' ', id, v, g)",
    "DELETE FROM t WHERE id IN (12, 3, 80) RETURNING concat_ws(' ', id, v, g)",
    "DELETE FROM t USING (VALUES (4), (4), (5)) s(i) WHERE t.id = s.i RETURNING concat_ws(' ', id, v, g)",
    "DELETE FROM t WHERE id = 70",
    "SELECT concat_ws(' ', id, v, g) FROM t ORDER BY id",
    "SELECT concat_ws(' ', id, t, g) FROM c ORDER BY id",
    LOG,
];

#[test]
fn rows_of_a_table_without_triggers() {
    let conn = connect();
    conn.execute_batch(TABLES).unwrap();
    assert_eq!(
        story(&conn, STATEMENTS),
        r#"INSERT 0 2 (4 40 80) (99 1 2)
INSERT 0 1 (5 99 198)
INSERT 0 3 (6 6 12) (7 7 14) (8 8 16)
INSERT 0 2 (4 42 84) (9 90 180)
INSERT 0 1 (4 57 114)
INSERT 0 0
21000 ON CONFLICT DO UPDATE command cannot affect row a second time
INSERT 0 1 (31 0 0)
UPDATE 1 (6 7 14)
23514 new row for relation "t" violates check constraint "t_v_check"
UPDATE 1 (60 8 16)
23505 duplicate key value violates unique constraint "t_pkey"
UPDATE 2 (7 8 16 1) (8 10 20 2)
UPDATE 3 (1 10 20) (2 20 40) (3 30 60)
22012 division by zero
UPDATE 1
23514 new row for relation "c" violates check constraint "c_t_check"
MERGE 4 (DELETE 7 8 16 1) (UPDATE 8 12 24 2) (INSERT 70 3 6 3) (INSERT 80 4 8 4)
MERGE 2 (DELETE 3 30 60) (DELETE 99 1 2)
DELETE 0
DELETE 2 (12 20 40) (80 4 8)
DELETE 2 (4 57 114) (5 99 198)
DELETE 1
SELECT 5 (1 10 20) (8 12 24) (9 90 180) (31 0 0) (60 8 16)
SELECT 3 (20 1 2) (21 1 2) (30 1 2)
SELECT 1 (nothing)"#
    );
}

#[test]
fn rows_of_a_table_with_triggers() {
    let conn = connect();
    conn.execute_batch(TABLES).unwrap();
    conn.execute_batch(TRIGGERS).unwrap();
    let mut csv = &b"40,4\n99,0\n41,5\n"[..];
    assert_eq!(
        story(&conn, STATEMENTS),
        r#"INSERT 0 1 (4 41 82)
23514 new row for relation "t" violates check constraint "t_v_check"
INSERT 0 3 (6 7 14) (7 8 16) (8 9 18)
INSERT 0 2 (4 45 90) (9 91 182)
INSERT 0 1 (4 47 94)
INSERT 0 0
21000 ON CONFLICT DO UPDATE command cannot affect row a second time
INSERT 0 1 (31 1 2)
UPDATE 1 (6 9 18)
23514 new row for relation "t" violates check constraint "t_v_check"
UPDATE 1 (60 11 22)
UPDATE 0
UPDATE 2 (7 10 20 1) (8 12 24 2)
UPDATE 3 (1 11 22) (2 21 42) (3 31 62)
22012 division by zero
UPDATE 1
23514 new row for relation "c" violates check constraint "c_t_check"
MERGE 4 (DELETE 7 10 20 1) (UPDATE 8 15 30 2) (INSERT 70 4 8 3) (INSERT 80 5 10 4)
MERGE 0
DELETE 0
DELETE 2 (12 22 44) (80 5 10)
DELETE 1 (4 47 94)
DELETE 1
SELECT 6 (1 11 22) (3 31 62) (8 15 30) (9 91 182) (31 1 2) (60 11 22)
SELECT 3 (20 1 2) (21 1 2) (30 3 4)
SELECT 1 (4=41*82 6=7*14 7=8*16 8=9*18 4=45*90 9=91*182 4=47*94 31=1*2 6=9*18 60=11*22 7=10*20 8=12*24 1=11*22 2=21*42 3=31*62 c 2>12 c 2>12 12=22*44 -7 8=15*30 70=4*8 80=5*10 c 12>1 c 12>1 -12 -80 -4 -70)"#
    );
    assert_eq!(
        conn.copy_from("COPY t (id, v) FROM STDIN WITH (FORMAT csv)", &mut csv)
            .unwrap(),
        2
    );
    let log = story(&conn, &[LOG]);
    assert!(log.ends_with(" -70 40=5*10 41=6*12)"), "{log}");
}

/// The rules of a table that an action changes are those of the moment, also where another session has changed them.
#[test]
fn actions_follow_rules_that_change() {
    let conn = connect();
    conn.execute_batch(TABLES).unwrap();
    let told = story(
        &conn,
        &[
            "DELETE FROM t WHERE id = 2",
            "ALTER TABLE c ALTER t SET DEFAULT 5",
            "DELETE FROM t WHERE id = 1",
            "INSERT INTO t VALUES (5, 0)",
            "DELETE FROM t WHERE id = 1",
            "ALTER TABLE c ADD CHECK (t <> 50)",
            "UPDATE t SET id = 50 WHERE id = 5",
            "ALTER TABLE c DROP g",
            "UPDATE t SET id = 51 WHERE id = 5",
            "SELECT concat_ws(' ', id, t) FROM c ORDER BY id",
        ],
    );
    assert_eq!(
        told,
        r#"DELETE 1
ALTER TABLE
23503 insert or update on table "c" violates foreign key constraint "c_t_fkey"
INSERT 0 1
DELETE 1
ALTER TABLE
23514 new row for relation "c" violates check constraint "c_t_check1"
ALTER TABLE
UPDATE 1
SELECT 3 (20 51) (21 51) (30 3)"#
    );
}

/// A view's check option asks a subquery, and its table fires triggers.
#[test]
fn views_are_checked_by_subqueries_beside_triggers() {
    let conn = connect();
    conn.execute_batch(
        "CREATE TABLE allowed (v INT); INSERT INTO allowed VALUES (1), (2);
         CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1);
         CREATE VIEW w AS SELECT id, v FROM t WHERE v IN (SELECT v FROM allowed) WITH CHECK OPTION;
         CREATE TABLE log (what TEXT);
         CREATE TRIGGER late AFTER UPDATE ON t FOR EACH ROW BEGIN INSERT INTO log VALUES (NEW.v::text); END",
    )
    .unwrap();
    let changes = [
        "UPDATE w SET v = 2 WHERE id = 1",
        "UPDATE w SET v = 3 WHERE id = 1",
        "UPDATE w SET v = 1 WHERE v = 2",
        "INSERT INTO w VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET v = 2",
        "INSERT INTO w VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET v = 3",
    ];
    let told = story(&conn, &changes);
    assert_eq!(
        told,
        r#"UPDATE 1
44000 new row violates check option for view "w"
UPDATE 1
INSERT 0 1
44000 new row violates check option for view "w""#
    );
    conn.execute_batch(
        "CREATE TRIGGER early BEFORE UPDATE ON t FOR EACH ROW BEGIN SET NEW.id = NEW.id; END",
    )
    .unwrap();
    assert_eq!(story(&conn, &changes), told);
}
