//! Words of the grammar as names: what `schema` shows is read back, and makes the same again.

use super::*;
use sqlparser::keywords::ALL_KEYWORDS;

/// PostgreSQL's keywords that the grammar's crate does not know.
const OTHERS: &str = "analyse asymmetric attribute ilike isnull leading notnull setof symmetric trailing variadic \
    xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlparse xmlpi xmlroot xmlserialize";

/// Words whose statements are made in one database.
const AT_ONCE: usize = 8;

/// Everything that may have a name, under this one: tables, columns, constraints, indexes and triggers, of which texts
/// name the column; sequences, schemas, types, functions and views.
fn script(word: &str) -> String {
    let own = match word {
        "public" => "published",
        other => other,
    };
    r#"
        CREATE TABLE "{w}" (k INT PRIMARY KEY, was INT DEFAULT 3, s SERIAL, g INT GENERATED ALWAYS AS (was + 1) STORED,
                            CONSTRAINT "{w}" CHECK (was > 0));
        CREATE INDEX "{w}_i" ON "{w}" (was DESC);
        CREATE INDEX ON "{w}" ((was * 2)) WHERE was > 5;
        CREATE UNIQUE INDEX ON "{w}" USING HASH (was);
        CREATE TRIGGER "{w}" AFTER UPDATE OF was ON "{w}" FOR EACH ROW WHEN (NEW.was > 1) BEGIN SELECT NEW.was; END;
        ALTER TABLE "{w}" RENAME was TO "{w}";
        CREATE SCHEMA "{own}";
        CREATE TYPE "{own}"."{w}" AS ENUM ('a');
        CREATE DOMAIN "{own}".d AS INT CONSTRAINT "{w}" CHECK (VALUE > 1);
        CREATE TYPE "{own}".c AS ("{w}" INT);
        CREATE SEQUENCE "{own}".s;
        CREATE TABLE "{own}".t ("{w}" INT, i INT GENERATED ALWAYS AS IDENTITY, a "{own}"."{w}", b "{own}"."{w}"[],
                                CONSTRAINT "{w}" FOREIGN KEY ("{w}") REFERENCES "{w}" (k) ON DELETE SET NULL ("{w}"));
        CREATE INDEX "{w}_i" ON "{own}".t ("{w}");
        CREATE FUNCTION "{w}"("{w}" INT) RETURNS INT LANGUAGE SQL AS 'SELECT 1';
        CREATE VIEW "{own}".v ("{w}") AS SELECT "{w}" FROM "{w}";
        COMMENT ON TABLE "{w}" IS 'a table';
        COMMENT ON COLUMN "{w}"."{w}" IS 'it''s a column';
        COMMENT ON COLUMN "{own}".v."{w}" IS 'of a view';
        COMMENT ON VIEW "{own}".v IS 'a view';
        COMMENT ON INDEX "{own}"."{w}_i" IS 'an index';
        COMMENT ON SEQUENCE "{own}".s IS 'a sequence';
        COMMENT ON SEQUENCE "{own}".t_i_seq IS 'of an identity';
        COMMENT ON TYPE "{own}"."{w}" IS 'a type';
        COMMENT ON SCHEMA "{own}" IS 'a schema'"#
        .replace("{w}", word)
        .replace("{own}", own)
}

#[test]
fn all_words_are_written_such_that_they_are_read_back() {
    let words = ALL_KEYWORDS.iter().map(|word| word.to_lowercase());
    let others = OTHERS.split_ascii_whitespace().map(str::to_owned);
    let mut words: Vec<String> = words.chain(others).collect();
    words.sort();
    words.dedup();
    for words in words.chunks(AT_ONCE) {
        let (conn, copy) = (connect(), connect());
        for word in words {
            let made = conn.execute_batch(&script(word));
            made.unwrap_or_else(|error| panic!("{word}: {error}"));
        }
        let shown = conn.schema(None).unwrap();
        for statement in &shown {
            let made = copy.execute_batch(statement);
            made.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        let again = copy.schema(None).unwrap();
        for (first, second) in shown.iter().zip(&again) {
            assert_eq!(first, second);
        }
        assert_eq!(shown.len(), again.len());
        for word in words {
            let one = conn.schema(Some(word)).unwrap();
            let comments = one
                .iter()
                .filter(|statement| statement.starts_with("COMMENT"));
            assert_eq!(comments.count(), 2, "of the table and its column: {one:?}");
        }
    }
}

/// Types are often called as those are that the grammar's crate knows.
#[test]
fn words_are_types_that_somebody_made() {
    for word in [
        "int", "datetime", "blob", "string", "set", "enum", "double", "tinyint",
    ] {
        let (conn, copy) = (connect(), connect());
        conn.execute_batch(&format!(
            "CREATE TYPE \"{word}\" AS ENUM ('a'); CREATE TABLE t (a \"{word}\", b \"{word}\"[]); \
             CREATE FUNCTION f(x \"{word}\") RETURNS \"{word}\" LANGUAGE SQL AS 'SELECT x'"
        ))
        .unwrap();
        let shown = conn.schema(None).unwrap();
        for statement in &shown {
            let made = copy.execute_batch(statement);
            made.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        copy.execute_batch("INSERT INTO t VALUES ('a', '{a}')")
            .unwrap();
        assert_eq!(copy.schema(None).unwrap(), shown);
    }
}
