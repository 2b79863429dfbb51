//! Every SQLSTATE of the table in `engine/src/error.rs` is raised by a golden script, or there is a reason.

use remora_tests::source;
use std::collections::BTreeSet;
use std::fs;

/// Codes that no script can raise, and why.
const EXEMPT: &[(&str, &str)] = &[
    ("02000", "only the library's `query_row` says so"),
    (
        "53200",
        "its message has numbers of the machine: engine/tests/full.rs",
    ),
    ("2202G", "the grammar takes no seed but a number"),
    ("24000", "a script reads each result to its end"),
    (
        "53300",
        "the limit is an option of opening: engine/src/session/tests",
    ),
    (
        "55006",
        "a function of the host that calls its own connection",
    ),
    (
        "57P01",
        "the database is closed meanwhile: engine/tests/interrupts.rs",
    ),
    (
        "38000",
        "a function of the host that fails: engine/src/session/tests",
    ),
    ("57P03", "a connection to a database that is being closed"),
    ("XX000", "an invariant is broken"),
    ("XX001", "a disk gave other bytes than it was given"),
];

/// The codes of the table.
fn table() -> BTreeSet<String> {
    let path = source::root().join("engine/src/error.rs");
    let text = fs::read_to_string(path).expect("the table's file");
    let codes = text.lines().filter_map(|line| {
        let (name, code) = line
            .trim()
            .strip_prefix("pub const ")?
            .split_once(": &str = ")?;
        assert!(!name.is_empty(), "a code has a name");
        Some(code.trim_matches(['"', ';']).to_owned())
    });
    codes.collect()
}

/// The codes of errors that golden scripts expect.
fn raised() -> BTreeSet<String> {
    let mut raised = BTreeSet::new();
    for path in source::files(&source::root().join("tests/golden"), "txt") {
        let text = fs::read_to_string(path).expect("a script");
        let found = text
            .split("ERROR ")
            .skip(1)
            .filter_map(|rest| rest.get(..5));
        raised.extend(found.map(str::to_owned));
    }
    raised
}

#[test]
fn every_sqlstate_is_raised_by_a_golden_script() {
    let (table, raised) = (table(), raised());
    assert!(table.len() > 60, "the table was read: {}", table.len());
    let is_exempt = |code: &String| EXEMPT.iter().any(|(exempt, _)| exempt == code);
    let missing: Vec<&String> = table
        .difference(&raised)
        .filter(|code| !is_exempt(code))
        .collect();
    assert!(missing.is_empty(), "no golden script raises {missing:?}");
}

#[test]
fn what_is_exempt_is_in_the_table_and_not_raised() {
    let (table, raised) = (table(), raised());
    for (code, why) in EXEMPT {
        assert!(table.contains(*code), "{code} is not in the table");
        assert!(
            !raised.contains(*code),
            "{code} is raised after all ({why})"
        );
    }
}
