//! Codes beside what their inventors have published, and what is no code.

use crate::error::Result;
use crate::function::{ArgumentType, EvalContext, StatementClock, resolve};
use remora_storage::time::{DatabaseTime, ManualTime};
use remora_storage::value::ElementType;
use remora_storage::{DataType, Value};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

fn call(name: &str, arguments: &[Value]) -> Result<Value> {
    call_in(name, arguments, &EvalContext::default())
}

/// Calls a function by its name, with arguments of their own types.
fn call_in(name: &str, arguments: &[Value], context: &EvalContext) -> Result<Value> {
    let types = arguments.iter().map(|value| match value {
        Value::BigInt(_) => DataType::BigInt,
        Value::Integer(_) => DataType::Integer,
        Value::Double(_) => DataType::Double,
        Value::Uuid(_) => DataType::Uuid,
        Value::Packed(packed, _) => DataType::Packed(*packed),
        _ => DataType::Text,
    });
    let types: Vec<ArgumentType> = types.map(Some).collect();
    let found = resolve(name, &types)?;
    let values: Vec<_> = arguments.iter().map(Value::as_ref).collect();
    let types = || found.types.clone();
    found.overload.call(&values, types, context)
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn numbers(numbers: &[i64]) -> Value {
    let element = ElementType::new(DataType::BigInt).unwrap();
    let numbers: Vec<Value> = numbers.iter().copied().map(Value::BigInt).collect();
    Value::array(element, numbers.iter().map(Value::as_ref))
}

/// The SQLSTATE that a call fails with, and its detail.
fn failure(name: &str, arguments: &[Value]) -> (&'static str, String) {
    let error = call(name, arguments).unwrap_err();
    let detail = error.detail().unwrap_or_default();
    (error.sqlstate(), detail.to_owned())
}

fn state(name: &str, arguments: &[Value]) -> &'static str {
    failure(name, arguments).0
}

#[test]
fn numbers_in_base_62_are_read_back() {
    for (number, written) in [
        (0, "0"),
        (10, "a"),
        (36, "A"),
        (61, "Z"),
        (62, "10"),
        (100_000, "q0U"),
        (i64::MAX, "aZl8N0y58M7"),
    ] {
        let number = Value::BigInt(number);
        assert_eq!(
            call("base62_encode", std::slice::from_ref(&number)).unwrap(),
            text(written)
        );
        assert_eq!(call("base62_decode", &[text(written)]).unwrap(), number);
    }
    assert_eq!(
        call("base62_decode", &[text("00q0U")]).unwrap(),
        Value::BigInt(100_000)
    );
}

#[test]
fn what_base_62_cannot_be_says_why() {
    assert_eq!(state("base62_encode", &[Value::BigInt(-1)]), "22023");
    assert_eq!(state("base62_decode", &[text("")]), "22P02");
    assert_eq!(
        failure("base62_decode", &[text("q-U")]),
        (
            "22P02",
            "Character \"-\" at position 2 is not a digit of base 62.".to_owned()
        )
    );
    assert_eq!(state("base62_decode", &[text("aZl8N0y58M8")]), "22003");
    assert_eq!(state("base62_decode", &[text(&"Z".repeat(1000))]), "22003");
    // A character that cannot be read matters more than the size.
    let long = "Z".repeat(1000) + "é";
    let (state, detail) = failure("base62_decode", &[text(&long)]);
    assert_eq!(state, "22P02");
    assert!(detail.contains("\"é\" at position 1001"), "{detail}");
}

#[test]
fn sqids_are_those_of_the_specification() {
    for (list, written) in [
        (&[0][..], "bM"),
        (&[1], "Uk"),
        (&[9], "nJ"),
        (&[0, 0], "SvIz"),
        (&[0, 3], "eg6q"),
        (&[1, 2, 3], "86Rf07"),
        (&[], ""),
    ] {
        assert_eq!(
            call("sqids_encode", &[numbers(list)]).unwrap(),
            text(written)
        );
        assert_eq!(
            call("sqids_decode", &[text(written)]).unwrap(),
            numbers(list)
        );
    }
    let single = [1, 2, 3].map(Value::BigInt);
    assert_eq!(call("sqids_encode", &single).unwrap(), text("86Rf07"));
    let ways = [
        ("86Rf07xd4z", 10, None),
        (
            "86Rf07xd4zBmiJXQG6otHEbew02c3PWsUOLZxADhCpKj7aVFv9I8RquYrNlSTMyf1",
            65,
            None,
        ),
        ("489158", 0, Some("0123456789abcdef")),
    ];
    for (written, length, alphabet) in ways {
        let more = [Some(Value::Integer(length)), alphabet.map(text)];
        let with = |first: Value| -> Vec<Value> {
            [Some(first)]
                .into_iter()
                .chain(more.clone())
                .flatten()
                .collect()
        };
        let list = numbers(&[1, 2, 3]);
        assert_eq!(
            call("sqids_encode", &with(list.clone())).unwrap(),
            text(written)
        );
        assert_eq!(call("sqids_decode", &with(text(written))).unwrap(), list);
    }
}

#[test]
fn a_text_with_a_word_to_be_avoided_is_another_one() {
    let number = [Value::BigInt(4_572_721)];
    assert_eq!(call("sqids_encode", &number).unwrap(), text("JExTR"));
    assert_eq!(state("sqids_decode", &[text("aho1e")]), "22P02");
}

#[test]
fn what_no_numbers_give_is_no_sqid() {
    let (state_of_star, detail) = failure("sqids_decode", &[text("86*f07")]);
    assert_eq!(state_of_star, "22P02");
    assert_eq!(
        detail,
        "Character \"*\" at position 3 is not a digit of sqids."
    );
    // Read in part, as another text's, with a length that it was not given, and too long.
    let long = "86Rf07".repeat(5000);
    for wrong in [
        "86Rf0",
        "b",
        "86Rf07xd4z",
        "aaaaaaaaaaaaaaaaaaaaaaaa",
        long.as_str(),
    ] {
        assert_eq!(
            state("sqids_decode", &[text(wrong)]),
            "22P02",
            "{wrong:.20}"
        );
    }
    let least = [text("86Rf07xd4z"), Value::Integer(11)];
    assert_eq!(state("sqids_decode", &least), "22P02");
    let list = numbers(&[1]);
    for (arguments, expected) in [
        (vec![numbers(&[1, -1])], "22023"),
        (vec![numbers(&[7; 101])], "54000"),
        (vec![list.clone(), Value::Integer(-1)], "22023"),
        (vec![list.clone(), Value::Integer(256)], "22023"),
        (vec![list.clone(), Value::Integer(0), text("ab")], "22023"),
        (vec![list.clone(), Value::Integer(0), text("abca")], "22023"),
        (vec![list.clone(), Value::Integer(0), text("abcé")], "22023"),
    ] {
        assert_eq!(state("sqids_encode", &arguments), expected, "{arguments:?}");
    }
    // Larger than a BIGINT: what 2^64 - 1 is written as.
    assert_eq!(state("sqids_decode", &[text("eIkvoXH40Lmd")]), "22003");
}

#[test]
fn an_alphabet_of_three_characters_is_enough() {
    let more = [Value::Integer(0), text("xyz")];
    let list = numbers(&[0, 5, i64::MAX]);
    let [length, alphabet] = more.clone();
    let written = call("sqids_encode", &[list.clone(), length, alphabet]).unwrap();
    let [length, alphabet] = more;
    assert_eq!(
        call("sqids_decode", &[written, length, alphabet]).unwrap(),
        list
    );
}

fn geohash(latitude: f64, longitude: f64, length: i32) -> Result<Value> {
    let point = [Value::Double(latitude), Value::Double(longitude)];
    let [latitude, longitude] = point;
    call(
        "geohash_encode",
        &[latitude, longitude, Value::Integer(length)],
    )
}

#[test]
fn geohashes_are_the_known_ones() {
    for (latitude, longitude, written) in [
        (42.6, -5.6, "ezs42"),
        (57.64911, 10.40744, "u4pruydqqvj"),
        (37.8324, 112.5584, "ww8p1r4t8"),
        (52.205, 0.119, "u120fxw"),
        (-25.382708, -49.265506, "6gkzwgjzn820"),
        (37.7749, -122.4194, "9q8yyk8ytpxr"),
        (0.0, 0.0, "s"),
        (90.0, 180.0, "zzzzzzzzzzzz"),
        (-90.0, -180.0, "000000000000"),
    ] {
        let length = written.len() as i32;
        let found = geohash(latitude, longitude, length).unwrap();
        assert_eq!(found, text(written));
    }
}

/// The fields of the cell of a geohash.
fn cell(written: &str) -> [f64; 4] {
    let cell = call("geohash_decode", &[text(written)]).unwrap();
    let value = cell.as_ref();
    let record = value.as_record().unwrap();
    let fields: Vec<f64> = record
        .values()
        .map(|field| match field {
            remora_storage::ValueRef::Double(field) => field,
            other => panic!("{other:?}"),
        })
        .collect();
    fields.try_into().unwrap()
}

#[test]
fn a_cell_has_a_centre_and_half_sizes() {
    let half = 180.0 / 8192.0;
    assert_eq!(cell("ezs42"), [42.60498046875, -5.60302734375, half, half]);
    assert_eq!(cell("EZS42"), cell("ezs42"));
    assert_eq!(cell("s"), [22.5, 22.5, 22.5, 22.5]);
    let [latitude, longitude, latitude_error, longitude_error] = cell("u4pruydqqvj");
    assert!((latitude - 57.64911).abs() <= latitude_error);
    assert!((longitude - 10.40744).abs() <= longitude_error);
}

#[test]
fn the_centre_of_a_cell_is_in_the_cell() {
    for first in "0123456789bcdefghjkmnpqrstuvwxyz".chars() {
        let written = format!("{first}9z0bp{first}x4{first}q7");
        for length in 1..=written.len() {
            let part = &written[..length];
            let [latitude, longitude, ..] = cell(part);
            assert_eq!(
                geohash(latitude, longitude, length as i32).unwrap(),
                text(part)
            );
        }
    }
}

/// The neighbours of a cell, NULL as a dash.
fn around(written: &str) -> String {
    let found = call("geohash_neighbours", &[text(written)]).unwrap();
    let value = found.as_ref();
    let array = value.as_array().unwrap();
    let texts = array.iter().map(|neighbour| match neighbour {
        remora_storage::ValueRef::Text(text) => text.to_owned(),
        _ => "-".to_owned(),
    });
    texts.collect::<Vec<_>>().join(" ")
}

#[test]
fn neighbours_go_clockwise_from_the_north() {
    assert_eq!(around("ezzz"), "gbpb u000 spbp spbn ezzy ezzw ezzx gbp8");
    assert_eq!(
        around("ezs42"),
        "ezs48 ezs49 ezs43 ezs41 ezs40 ezefp ezefr ezefx"
    );
    // Around 180 degrees, and at the poles.
    assert_eq!(around("8"), "b c 9 3 2 r x z");
    assert_eq!(around("z"), "- - b 8 x w y -");
    assert_eq!(around("00"), "01 03 02 - - - pb pc");
}

#[test]
fn what_is_no_geohash_says_why() {
    for (latitude, longitude, length, expected) in [
        (90.1, 0.0, 5, "22003"),
        (-90.1, 0.0, 5, "22003"),
        (0.0, 180.1, 5, "22003"),
        (f64::NAN, 0.0, 5, "22003"),
        (0.0, f64::NAN, 5, "22003"),
        (0.0, f64::NEG_INFINITY, 5, "22003"),
        (0.0, 0.0, 0, "22023"),
        (0.0, 0.0, 13, "22023"),
        (0.0, 0.0, -1, "22023"),
    ] {
        let error = geohash(latitude, longitude, length).unwrap_err();
        assert_eq!(
            error.sqlstate(),
            expected,
            "{latitude} {longitude} {length}"
        );
    }
    for name in ["geohash_decode", "geohash_neighbours"] {
        let (found, detail) = failure(name, &[text("ez a")]);
        assert_eq!(found, "22P02");
        assert_eq!(
            detail,
            "Character \" \" at position 3 is not a digit of geohash."
        );
        assert_eq!(state(name, &[text("eza42")]), "22P02");
        assert_eq!(state(name, &[text("")]), "22P02");
        assert_eq!(state(name, &[text("0000000000000")]), "22P02");
        assert_eq!(state(name, &[text("ſ")]), "22P02");
    }
}

fn uuid(written: &str) -> [Value; 1] {
    [Value::Uuid(
        uuid::Uuid::parse_str(written).unwrap().into_bytes(),
    )]
}

/// The examples of RFC 9562, all of one moment.
#[test]
fn a_uuid_tells_its_version_and_its_moment() {
    let moment = Value::TimestampTz(1_645_557_742_000_000);
    for (written, version, expected) in [
        ("C232AB00-9414-11EC-B3C8-9F6BDECED846", 1, moment.clone()),
        ("017F22E2-79B0-7CC3-98C4-DC0C0C07398F", 7, moment),
        ("919108F7-52D1-4320-9BAC-F847DB4148A8", 4, Value::Null),
        ("1EC9414C-232A-6B00-B3C8-9F6BDECED846", 6, Value::Null),
    ] {
        let found = call("uuid_extract_version", &uuid(written)).unwrap();
        assert_eq!(found, Value::SmallInt(version));
        assert_eq!(
            call("uuid_extract_timestamp", &uuid(written)).unwrap(),
            expected
        );
    }
    // Another variant has no version.
    let other = uuid("11111111-1111-1111-1111-111111111111");
    for name in ["uuid_extract_version", "uuid_extract_timestamp"] {
        assert_eq!(call(name, &other).unwrap(), Value::Null);
    }
}

/// Ids run ahead of the clock for a while. Then who wants one waits, until he is stopped or the clock has gone on.
#[test]
fn ids_that_are_too_far_ahead_are_waited_for() {
    let source = ManualTime::at(UNIX_EPOCH + Duration::from_secs(1_704_067_200));
    let time = Arc::new(DatabaseTime::new(Arc::new(source.clone()), false));
    let context = EvalContext {
        clock: StatementClock::of(&time),
        ..EvalContext::of_planning()
    };
    let id = |context: &EvalContext| call_in("snowflake_id", &[], context);
    let first = id(&context).unwrap();
    while time.take_ticks(1 << 20).is_some() {}
    assert_eq!(id(&context).unwrap_err().sqlstate(), "57014");
    let patient = EvalContext {
        clock: StatementClock::of(&time),
        ..EvalContext::default()
    };
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| id(&patient).unwrap());
        source.advance(Duration::from_secs(1));
        let (Value::BigInt(first), Value::BigInt(next)) = (&first, waiting.join().unwrap()) else {
            panic!("an id is a number");
        };
        assert!(next > *first);
    });
}

#[test]
fn there_are_no_ids_without_a_database() {
    assert_eq!(state("snowflake_id", &[]), "0A000");
    assert_eq!(state("snowflake_timestamp", &[Value::BigInt(1)]), "0A000");
}
