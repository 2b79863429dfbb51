//! JSON against a model: a tree, its text, and PostgreSQL's order written down once more.

use super::change::{self, Change};
use super::contain::contains;
use super::lex::Escapes;
use super::packed::{self, view};
use super::write::{self, Layout, write_quoted};
use super::{get, parse, strip, tape};
use crate::function::{EvalContext, Work};
use proptest::prelude::*;
use std::cmp::Ordering;

/// A value as the model sees it. Numbers are ten-thousandths.
#[derive(Clone, Debug, PartialEq)]
enum Model {
    Null,
    String(String),
    Number(i64),
    Boolean(bool),
    Array(Vec<Model>),
    Object(Vec<(String, Model)>),
}

use Model::{Array, Boolean, Null, Number, Object};

impl Model {
    fn text(&self) -> String {
        match self {
            Null => "null".to_owned(),
            Model::String(s) => quoted(s),
            Number(n) => {
                let sign = if *n < 0 { "-" } else { "" };
                let n = n.unsigned_abs();
                let shown = format!("{}.{:04}", n / 10_000, n % 10_000);
                format!(
                    "{sign}{}",
                    shown.trim_end_matches('0').trim_end_matches('.')
                )
            }
            Boolean(b) => b.to_string(),
            Array(elements) => {
                let all: Vec<_> = elements.iter().map(Model::text).collect();
                format!("[{}]", all.join(", "))
            }
            Object(pairs) => {
                let all: Vec<_> = pairs
                    .iter()
                    .map(|(k, v)| format!("{}: {}", quoted(k), v.text()))
                    .collect();
                format!("{{{}}}", all.join(", "))
            }
        }
    }

    /// Keys in order, each once.
    fn canonical(&self) -> Model {
        match self {
            Array(elements) => Array(elements.iter().map(Model::canonical).collect()),
            Object(pairs) => {
                let mut kept: Vec<(String, Model)> = Vec::new();
                for (key, value) in pairs {
                    kept.retain(|(k, _)| k != key);
                    kept.push((key.clone(), value.canonical()));
                }
                kept.sort_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then(a.cmp(b)));
                Object(kept)
            }
            other => other.clone(),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Null => 0,
            Model::String(_) => 1,
            Number(_) => 2,
            Boolean(_) => 3,
            Array(_) => 4,
            Object(_) => 5,
        }
    }

    /// PostgreSQL's order of canonical values within others.
    fn compare(&self, other: &Model) -> Ordering {
        match (self, other) {
            (Model::String(a), Model::String(b)) => a.cmp(b),
            (Number(a), Number(b)) => a.cmp(b),
            (Boolean(a), Boolean(b)) => a.cmp(b),
            (Array(a), Array(b)) => {
                let members = a.iter().zip(b).map(|(a, b)| a.compare(b));
                a.len().cmp(&b.len()).then(first_unequal(members))
            }
            (Object(a), Object(b)) => {
                let members = a
                    .iter()
                    .zip(b)
                    .map(|((k, v), (l, w))| k.cmp(l).then_with(|| v.compare(w)));
                a.len().cmp(&b.len()).then(first_unequal(members))
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn holds(&self, part: &Model) -> bool {
        match (self, part) {
            (Array(a), Array(b)) => b.iter().all(|part| a.iter().any(|a| a.holds(part))),
            (Object(a), Object(b)) => b
                .iter()
                .all(|(key, part)| a.iter().any(|(k, a)| k == key && a.holds(part))),
            _ => self == part,
        }
    }
}

fn first_unequal(mut orders: impl Iterator<Item = Ordering>) -> Ordering {
    orders.find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    write_quoted(&mut out, text, &Work::unasked()).unwrap();
    out
}

fn models() -> impl Strategy<Value = Model> {
    let leaf = prop_oneof![
        Just(Null),
        any::<bool>().prop_map(Boolean),
        (-3_i64..3).prop_map(|n| Number(n * 10_000)),
        (-9_999_999_999_i64..9_999_999_999).prop_map(Number),
        "[abé\"\\\\\n]{0,3}".prop_map(Model::String),
    ];
    leaf.prop_recursive(4, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Array),
            prop::collection::vec(("[abcd]{0,2}", inner), 0..4).prop_map(Object),
        ]
    })
}

fn pack(text: &str) -> Vec<u8> {
    tape::pack(text, &Work::unasked()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn shown(value: &[u8]) -> String {
    write::to_string(value, Layout::Tight, &Work::unasked()).unwrap()
}

fn changed(text: &str, path: &[&str], change: Change<'_>) -> String {
    let path: Vec<_> = path.iter().copied().map(Some).collect();
    shown(&change::change_at(&pack(text), &path, change, &Work::unasked()).unwrap())
}

proptest! {
    #[test]
    fn what_is_packed_is_written_as_it_was(model in models()) {
        let packed = pack(&model.text());
        let canonical = model.canonical().text();
        prop_assert_eq!(shown(&packed), canonical.clone());
        prop_assert_eq!(pack(&canonical), packed);
    }

    #[test]
    fn bytes_are_in_the_order_of_values(a in models(), b in models()) {
        let by_bytes = pack(&a.text()).cmp(&pack(&b.text()));
        let (a, b) = (a.canonical(), b.canonical());
        // The quirk: an empty array by itself is below all others.
        let by_model = match (a == Array(vec![]), b == Array(vec![])) {
            (false, false) => a.compare(&b),
            (x, y) => y.cmp(&x),
        };
        prop_assert_eq!(by_bytes, by_model);
    }

    #[test]
    fn what_holds_what(a in models(), b in models()) {
        let (x, y) = (a.canonical(), b.canonical());
        let expected = match (&x, &y) {
            (Array(elements), Null | Number(_) | Boolean(_) | Model::String(_)) => elements.contains(&y),
            _ => x.holds(&y),
        };
        let found = contains(&pack(&a.text()), &pack(&b.text()), &EvalContext::default()).unwrap();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_part_is_held_and_found(model in models()) {
        let whole = pack(&model.text());
        prop_assert!(contains(&whole, &whole, &EvalContext::default()).unwrap());
        let names = get::names(&whole, &Work::unasked()).unwrap();
        for name in ["", "a", "b", "ab", "x"] {
            let exists = get::exists(&whole, name, &Work::unasked()).unwrap();
            prop_assert_eq!(names.contains(name.as_bytes()), exists);
        }
        if let Object(pairs) = model.canonical() {
            for (key, value) in pairs {
                let part = get::field(&whole, &key, &Work::unasked()).unwrap().unwrap();
                prop_assert_eq!(packed::lift(part), &pack(&value.text())[..]);
                // What is set to itself changes nothing, what is deleted is gone.
                let same = change::change_at(&whole, &[Some(&key)], Change::Set(packed::lift(part)), &Work::unasked());
                prop_assert_eq!(same.unwrap(), whole.clone());
                let without = change::delete_names(&whole, &[&key], &Work::unasked()).unwrap();
                prop_assert!(!get::exists(&without, &key, &Work::unasked()).unwrap());
            }
        }
    }

    #[test]
    fn nulls_are_stripped_from_both_forms_alike(model in models()) {
        // JSON keeps every pair, so there are to be no two of one key.
        let text = model.canonical().text();
        let packed = strip::strip_packed(&pack(&text), &Work::unasked()).unwrap();
        let text = strip::strip_text(&EvalContext::default(), &text).unwrap();
        prop_assert_eq!(pack(&text), packed);
    }

    #[test]
    fn hostile_bytes_are_an_error_at_worst(
        model in models(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = pack(&model.text());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = read_all(&bytes);
        let _ = read_all(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn any_bytes_are_an_error_at_worst(bytes in prop::collection::vec(0_u8..14, 0..40)) {
        let _ = read_all(&bytes);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[\\[\\]{}:,\"\\\\ue0-9.tnéud8 ]{0,20}") {
        let form = parse::parse(&text, Escapes::Form, &mut (), &Work::unasked());
        let packed = tape::pack(&text, &Work::unasked());
        prop_assert!(form.is_ok() || packed.is_err());
        if let Ok(packed) = packed {
            prop_assert_eq!(pack(&shown(&packed)), packed);
        }
    }
}

/// Everything that reads bytes.
fn read_all(bytes: &[u8]) -> crate::error::Result<()> {
    let results = [
        write::to_string(bytes, Layout::Pretty, &Work::unasked()).map(drop),
        write::to_text(bytes, &Work::unasked()).map(drop),
        write::type_name(bytes).map(drop),
        view(bytes).map(drop),
        get::field(bytes, "a", &Work::unasked()).map(drop),
        get::element(bytes, 1, &Work::unasked()).map(drop),
        get::at_path(bytes, &["a", "0"], &Work::unasked()).map(drop),
        get::exists(bytes, "a", &Work::unasked()).map(drop),
        contains(bytes, bytes, &EvalContext::default()).map(drop),
        strip::strip_packed(bytes, &Work::unasked()).map(drop),
        change::concatenate(bytes, bytes, &Work::unasked()).map(drop),
        change::delete_names(bytes, &["a"], &Work::unasked()).map(drop),
        change::delete_element(bytes, 0, &Work::unasked()).map(drop),
        change::change_at(
            bytes,
            &[Some("a"), Some("0")],
            Change::Set(&[2]),
            &Work::unasked(),
        )
        .map(drop),
    ];
    results.into_iter().collect()
}

/// What PostgreSQL 15 says of texts that are no JSON.
#[test]
fn complaints_are_those_of_postgresql() {
    for (text, state, detail) in [
        ("", "22P02", "The input string ended unexpectedly."),
        ("é", "22P02", "Token \"é\" is invalid."),
        ("-", "22P02", "Token \"-\" is invalid."),
        ("01", "22P02", "Token \"01\" is invalid."),
        ("1.", "22P02", "Token \"1.\" is invalid."),
        ("1e", "22P02", "Token \"1e\" is invalid."),
        ("1.3ex100", "22P02", "Token \"1.3ex100\" is invalid."),
        ("'a'", "22P02", "Token \"'\" is invalid."),
        ("trues", "22P02", "Token \"trues\" is invalid."),
        ("\"abc", "22P02", "Token \"\"abc\" is invalid."),
        (
            "\"a\nb\"",
            "22P02",
            "Character with value 0x0a must be escaped.",
        ),
        ("\"\\v\"", "22P02", "Escape sequence \"\\v\" is invalid."),
        (
            "\"\\u12\"",
            "22P02",
            "\"\\u\" must be followed by four hexadecimal digits.",
        ),
        (
            "\"\\ud83dz\"",
            "22P02",
            "Unicode low surrogate must follow a high surrogate.",
        ),
        (
            "\"\\ud83d\\ud83d\"",
            "22P02",
            "Unicode high surrogate must not follow a high surrogate.",
        ),
        (
            "\"\\ude00\"",
            "22P02",
            "Unicode low surrogate must follow a high surrogate.",
        ),
        (
            "\"a\\u0000\"",
            "22P05",
            "\\u0000 cannot be converted to text.",
        ),
        ("{\"a\":1,}", "22P02", "Expected string, but found \"}\"."),
        ("{\"a\" 1}", "22P02", "Expected \":\", but found \"1\"."),
        (
            "{1:2}",
            "22P02",
            "Expected string or \"}\", but found \"1\".",
        ),
        (
            "{\"a\":1 \"b\"}",
            "22P02",
            "Expected \",\" or \"}\", but found \"\"b\"\".",
        ),
        (
            "[1 2]",
            "22P02",
            "Expected \",\" or \"]\", but found \"2\".",
        ),
        ("[1,]", "22P02", "Expected JSON value, but found \"]\"."),
        ("[1", "22P02", "The input string ended unexpectedly."),
        (
            "true false",
            "22P02",
            "Expected end of input, but found \"false\".",
        ),
    ] {
        let error = tape::pack(text, &Work::unasked()).expect_err(text);
        assert_eq!(
            (error.sqlstate(), error.detail()),
            (state, Some(detail)),
            "{text}"
        );
    }
    // As text that is only kept, the same escapes are good.
    for text in ["\"a\\u0000\"", "\"\\ude00\""] {
        parse::parse(text, Escapes::Form, &mut (), &Work::unasked()).unwrap();
    }
}

#[test]
fn deep_texts_are_refused_and_not_fallen_over() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let deepest = pack(&nested(parse::DEPTH_MAX));
    assert_eq!(shown(&deepest), nested(parse::DEPTH_MAX));
    assert!(contains(&deepest, &deepest, &EvalContext::default()).unwrap());
    assert_eq!(
        strip::strip_packed(&deepest, &Work::unasked()).unwrap(),
        deepest
    );
    for hostile in [
        nested(parse::DEPTH_MAX + 1),
        "[".repeat(1_000_000),
        "{\"a\":".repeat(1_000_000),
    ] {
        assert_eq!(
            tape::pack(&hostile, &Work::unasked())
                .unwrap_err()
                .sqlstate(),
            "54001"
        );
    }
}

#[test]
fn numbers_are_exact_and_in_order() {
    let written = [
        ("-0", "0"),
        ("1.50", "1.5"),
        ("1e3", "1000"),
        ("12e-5", "0.00012"),
        ("-100.001", "-100.001"),
        ("9223372036854775808", "9223372036854775808"),
        (
            "123456789012345678901234567890123456789012.5",
            "123456789012345678901234567890123456789012.5",
        ),
    ];
    for (text, expected) in written {
        assert_eq!(shown(&pack(text)), expected);
    }
    assert_eq!(shown(&pack("1.3e300")).len(), 301);
    for beyond in ["1e131072", "1e200000", "1e-20000", "1e99999999999999999999"] {
        assert_eq!(
            tape::pack(beyond, &Work::unasked()).unwrap_err().sqlstate(),
            "22003",
            "{beyond}"
        );
    }
    let ascending = [
        "-1e1000", "-1e101", "-1e100", "-12.1", "-12", "-2", "-0.5", "-1e-150", "0", "1e-1000",
        "1e-150", "1e-99", "0.1", "0.12", "0.1203", "1", "9", "10", "10.01", "99", "100", "1e99",
        "1e100", "1.1e130", "1e131071",
    ];
    for pair in ascending.windows(2) {
        assert!(pack(pair[0]) < pack(pair[1]), "{pair:?}");
    }
}

#[test]
fn changes_at_paths() {
    let two = pack("2");
    for (text, path, change, expected) in [
        (
            "{\"a\": [1, 2]}",
            &["a", "0"][..],
            Change::Set(&two),
            "{\"a\": [2, 2]}",
        ),
        (
            "{\"a\": [1]}",
            &["a", "-5"],
            Change::Set(&two),
            "{\"a\": [2, 1]}",
        ),
        (
            "{\"a\": [1]}",
            &["a", "5"],
            Change::Set(&two),
            "{\"a\": [1, 2]}",
        ),
        (
            "{\"a\": [1]}",
            &["a", "5"],
            Change::Replace(&two),
            "{\"a\": [1]}",
        ),
        (
            "{\"a\": [1]}",
            &["b"],
            Change::Set(&two),
            "{\"a\": [1], \"b\": 2}",
        ),
        (
            "{\"a\": [1]}",
            &["b", "c"],
            Change::Set(&two),
            "{\"a\": [1]}",
        ),
        ("{\"a\": [1]}", &["a", "0"], Change::Delete, "{\"a\": []}"),
        ("[1]", &["0"], Change::Delete, "[]"),
        ("[]", &["0"], Change::Set(&two), "[2]"),
        ("[1, 3]", &["0"], Change::InsertAfter(&two), "[1, 2, 3]"),
        ("[1, 3]", &["-1"], Change::InsertBefore(&two), "[1, 2, 3]"),
        ("[[]]", &["0", "0"], Change::InsertBefore(&two), "[[2]]"),
    ] {
        assert_eq!(
            changed(text, path, change),
            expected,
            "{text} {path:?} {change:?}"
        );
    }
    // An empty array alone and one within others have different bytes.
    let empty = pack("[]");
    assert_eq!(
        changed("{\"a\": 1}", &["a"], Change::Set(&empty)),
        "{\"a\": []}"
    );
    let refused = change::change_at(
        &pack("{\"a\": 1}"),
        &[Some("a")],
        Change::InsertAfter(&two),
        &Work::unasked(),
    );
    assert_eq!(
        refused.unwrap_err().message(),
        "cannot replace existing key"
    );
    let no_number = change::change_at(&pack("[1]"), &[Some("x")], Change::Delete, &Work::unasked());
    assert_eq!(no_number.unwrap_err().sqlstate(), "22P02");
}

#[test]
fn pretty_is_a_member_a_line() {
    let pretty = write::to_string(
        &pack("{\"a\":[1,{\"b\":[]},{}]}"),
        Layout::Pretty,
        &Work::unasked(),
    )
    .unwrap();
    let lines: Vec<_> = pretty.lines().map(str::trim_start).collect();
    assert_eq!(
        lines,
        [
            "{", "\"a\": [", "1,", "{", "\"b\": [", "]", "},", "{", "}", "]", "}"
        ]
    );
    assert!(pretty.contains("\n            \"b\": [\n            ]\n"));
}
