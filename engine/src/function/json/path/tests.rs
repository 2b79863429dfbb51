//! Paths are read and written back, and what is too deep is refused.

use super::{NESTING_MAX, path, show};

/// PostgreSQL's own form of some paths.
#[test]
fn a_path_is_written_as_postgres_writes_it() {
    let cases = [
        ("$.a . b [*]", r#"$."a"."b"[*]"#),
        ("-1 + +2 * -$.a", r#"(-1 + 2 * -$."a")"#),
        (
            "(1).abs() + 1e3 + .5 + 1. + 0.10",
            "(((((1).abs() + 1000) + 0.5) + 1) + 0.10)",
        ),
        (r#"$x."$y" + $"z z""#, r#"($"x"."$y" + $"z z")"#),
        (
            "$.**{last to 3}.**{2}.**{1 to last}.**",
            "$.**{last to 3}.**{2}.**{1 to last}.**",
        ),
        (
            r#"strict $ ? (@ like_regex "^a" flag "msi" || !(exists(@.y)) && (@ == 1) is unknown)"#,
            r#"strict $?(@ like_regex "^a" flag "ism" || !(exists (@."y")) && (@ == 1) is unknown)"#,
        ),
    ];
    for (text, shown) in cases {
        let read = path(text).expect(text);
        assert_eq!(show::show(&read), shown);
        let again = path(shown).expect(shown);
        assert_eq!(show::show(&again), shown);
    }
}

/// However a path nests, it is refused before it is too deep for the machine's stack.
#[test]
fn depth_is_bounded() {
    // So many that the longest is about as long as a path may be.
    let many = NESTING_MAX * 100;
    let bracket = |open: &str, inner: &str, close: &str| {
        format!("{}{inner}{}", open.repeat(many), close.repeat(many))
    };
    let deep = [
        bracket("(", "1", ")"),
        bracket("$[", "1", "]"),
        bracket("-", "$", ""),
        bracket("$ + ", "1", ""),
        bracket("", "$", " * 2"),
        bracket("$ ? (@ == 1 && exists(", "@", "))"),
        bracket("!(", "$ == 1", ")"),
        bracket("(", "$ == 1", ") is unknown"),
    ];
    for text in deep {
        let refused = path(&text).expect_err("too deep");
        assert_eq!(refused.sqlstate(), "54001", "{}", &text[..20]);
    }
    // Steps that follow each other are no depth.
    assert!(path(&format!("${}", ".a".repeat(many))).is_ok());
}
