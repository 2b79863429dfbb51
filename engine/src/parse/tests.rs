use super::*;
use crate::error::state;
use proptest::prelude::*;

fn error(sql: &str) -> (String, String, Option<(u32, u32)>) {
    let error = parse(sql).expect_err("a syntax error");
    let place = error.position().map(|at| (at.line, at.column));
    (error.sqlstate().into(), error.message().into(), place)
}

/// A script is split at semicolons, but not at those within quotes and comments.
#[test]
fn statements_are_split_and_empty_ones_vanish() {
    assert_eq!(parse("").unwrap().len(), 0);
    assert_eq!(parse(" ;; -- nothing;\n ;").unwrap().len(), 0);
    assert_eq!(parse("SELECT ';'; /* ; */ SELECT 2;").unwrap().len(), 2);
}

#[test]
fn placeholders_of_both_kinds_are_numbered() {
    for (sql, count) in [
        ("SELECT ?", 1),
        ("SELECT a FROM t WHERE a>? AND b=? AND c<>?", 3),
        ("SELECT $2, ?", 3),
        ("SELECT '?', \"?\" FROM t -- ?", 0),
        ("INSERT INTO t VALUES (?,?), (?, -?)", 4),
        // Behind an operand it is an operator of JSONB.
        (
            "SELECT j ? 'a', (j) ?'a', j->'a' ? ?, data ? 'a' FROM t WHERE j ?| ? OR j?&$2",
            2,
        ),
        ("SELECT a FROM t LIMIT ? OFFSET ?", 2),
        (
            "SELECT CASE WHEN ? THEN ? END, ? || 'x', a BETWEEN ? AND ?",
            5,
        ),
    ] {
        assert_eq!(parse(sql).unwrap()[0].parameters, count, "{sql}");
    }
    assert_eq!(error("SELECT $0").0, state::UNDEFINED_PARAMETER);
    assert_eq!(
        error("SELECT $99999999999999999999").0,
        state::UNDEFINED_PARAMETER
    );
}

#[test]
fn syntax_errors_name_the_place() {
    assert_eq!(
        error("SELEC 1"),
        (
            "42601".into(),
            "syntax error at or near \"SELEC\"".into(),
            Some((1, 1))
        )
    );
    assert_eq!(
        error("SELECT 1\nFROM , x"),
        (
            "42601".into(),
            "syntax error at or near \",\"".into(),
            Some((2, 6))
        )
    );
    assert_eq!(
        error("SELECT 1 +"),
        (
            "42601".into(),
            "syntax error at end of input".into(),
            Some((1, 11))
        )
    );
    assert_eq!(error("SELECT 'abc").0, "42601");
    assert_eq!(error("SELECT 1; SELECT (2").0, "42601");
}

#[test]
fn checkpoint_is_a_statement() {
    assert!(matches!(
        parse("checkpoint;").unwrap()[0].syntax,
        Syntax::Checkpoint
    ));
    assert_eq!(error("CHECKPOINT now").0, "42601");
    assert_eq!(error("\"checkpoint\"").0, "42601");
}

#[test]
fn compact_takes_one_table_or_all() {
    let table = |sql: &str| match &parse(sql).unwrap()[0].syntax {
        Syntax::Compact(table) => table.as_ref().map(ToString::to_string),
        other => panic!("{other:?}"),
    };
    assert_eq!(table("COMPACT"), None);
    assert_eq!(table("compact table \"T\";"), Some("\"T\"".to_owned()));
    for wrong in ["COMPACT t", "COMPACT TABLE", "COMPACT TABLE t, u"] {
        assert_eq!(error(wrong).0, "42601", "{wrong}");
    }
}

/// Whatever is written, the answer is an error and not the end of the process.
#[test]
fn deep_and_long_texts_are_errors() {
    let brackets = format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert_eq!(error(&brackets).0, state::STATEMENT_TOO_COMPLEX);
    let open = format!("SELECT {}", "(".repeat(100_000));
    assert_eq!(error(&open).0, state::STATEMENT_TOO_COMPLEX);
    let sum = format!("SELECT 1{}", "+1".repeat(100_000));
    assert_eq!(error(&sum).0, state::STATEMENT_TOO_COMPLEX);
    let nots = format!("SELECT {} true", "NOT ".repeat(100_000));
    assert_eq!(error(&nots).0, state::STATEMENT_TOO_COMPLEX);
    let unions = format!("SELECT 1{}", " UNION SELECT 1".repeat(100_000));
    assert_eq!(error(&unions).0, state::STATEMENT_TOO_COMPLEX);
    let staircase = "(1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+".repeat(300);
    assert_eq!(
        error(&format!("SELECT {staircase}")).0,
        state::STATEMENT_TOO_COMPLEX
    );
    assert_eq!(
        parse(&format!("SELECT {}1{}", "(".repeat(50), ")".repeat(50)))
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        parse(&format!("VALUES (1){}", ",(1)".repeat(50_000)))
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        parse(&format!("SELECT 1 IN (1{})", ",1+1".repeat(50_000)))
            .unwrap()
            .len(),
        1
    );
}

/// A long text is written over several lines, as PostgreSQL allows.
#[test]
fn strings_with_a_line_break_between_them_are_one() {
    let text = |sql: &str| match &parse(sql).unwrap()[0].syntax {
        Syntax::Statement(statement) => statement.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(text("SELECT 'a'\n  'b' -- c\n 'd'"), "SELECT 'abd'");
    assert_eq!(text("SELECT E'a'\n'b'"), "SELECT E'ab'");
    assert_eq!(text("SELECT 1<-2, 1>=-?"), "SELECT 1 < -2, 1 >= -$1");
}

proptest! {
    /// Random words from SQL's vocabulary never panic.
    #[test]
    fn token_soup_never_panics(words in prop::collection::vec(prop::sample::select(vec![
        "SELECT", "FROM", "WHERE", "(", ")", ",", "a", "b.c", "*", "1", "'x'", "?", "$1", "=", "<",
        "AND", "NOT", "CASE", "WHEN", "THEN", "END", "JOIN", "ON", "LEFT", "UNION", "VALUES",
        "INSERT", "INTO", "UPDATE", "SET", "DELETE", "CREATE", "TABLE", "INDEX", "INT", "DEFAULT",
        "PRIMARY", "KEY", "CHECK", ";", "::", "INTERVAL", "EXTRACT", "COPY", "WITH", "AS", "LIKE",
        "ESCAPE", "BETWEEN", "IN", "IS", "NULL", "ORDER", "BY", "LIMIT", "[", "]", "\"", "'", "--",
        "BEGIN", "COMMIT", "EXPLAIN", "CAST", "date", "-", "@", "||", "é", "\u{0}",
    ]), 0..40)) {
        let _ = parse(&words.join(" "));
    }

    /// Nor do random characters.
    #[test]
    fn any_text_never_panics(sql in "\\PC{0,60}") {
        let _ = parse(&sql);
    }
}

#[test]
fn each_statement_of_a_text_keeps_its_own() {
    let texts = |sql: &str| -> Vec<String> {
        let parsed = parse(sql).unwrap();
        parsed.iter().map(|one| one.text.to_string()).collect()
    };
    assert_eq!(
        texts("-- first\nSELECT 'é;' ; \n\n /* and */ SELECT\n  2 -- end\n; ;VALUES (3)"),
        ["SELECT 'é;'", "SELECT\n  2", "VALUES (3)"]
    );
    let long = format!("SELECT '{}'", "x".repeat(5000));
    assert_eq!(texts(&long)[0], long[..1024]);
}
