//! What the parameters of functions are called that can be called by names.
//!
//! A call by names is brought into the order of the parameters; those that are left out before the last one
//! given get their defaults, written as SQL would write them in quotes.

use super::ids::SQIDS_ALPHABET;
use super::statement::rate_limit::NOT_GIVEN;

/// A parameter: its name, and what it is when nothing is given, if it may be left out.
pub(crate) type Parameter = (&'static str, Option<&'static str>);

const fn needed(name: &'static str) -> Parameter {
    (name, None)
}

const fn optional(name: &'static str, default: &'static str) -> Parameter {
    (name, Some(default))
}

/// The parameters of a function, if they have names.
pub(crate) fn parameters(function: &str) -> Option<&'static [Parameter]> {
    let found = FUNCTIONS
        .iter()
        .find(|(names, _)| names.contains(&function));
    found.map(|(_, parameters)| *parameters)
}

type Named = (&'static [&'static str], &'static [Parameter]);

static FUNCTIONS: &[Named] = &[
    (
        &["make_interval"],
        &[
            optional("years", "0"),
            optional("months", "0"),
            optional("weeks", "0"),
            optional("days", "0"),
            optional("hours", "0"),
            optional("mins", "0"),
            optional("secs", "0"),
        ],
    ),
    (
        &["make_date"],
        &[needed("year"), needed("month"), needed("day")],
    ),
    (
        &["make_time"],
        &[needed("hour"), needed("min"), needed("sec")],
    ),
    (
        &["make_timestamp"],
        &[
            needed("year"),
            needed("month"),
            needed("mday"),
            needed("hour"),
            needed("min"),
            needed("sec"),
        ],
    ),
    (
        &["rate_limit", "rate_limit_leaky"],
        &[
            needed("key"),
            needed("capacity"),
            needed("per_second"),
            optional("cost", "1"),
            optional("autonomous", "false"),
            optional("at", NOT_GIVEN),
        ],
    ),
    (
        &["rate_limit_window", "rate_limit_fixed", "rate_limit_log"],
        &[
            needed("key"),
            needed("limit"),
            needed("window"),
            optional("cost", "1"),
            optional("autonomous", "false"),
            optional("at", NOT_GIVEN),
        ],
    ),
    (
        &["rate_limit_peek"],
        &[
            needed("key"),
            optional("kind", "token"),
            optional("at", NOT_GIVEN),
        ],
    ),
    (&["rate_limit_reset"], &[needed("key"), needed("kind")]),
    (&["uuidv7"], &[needed("shift")]),
    (
        &["sqids_encode"],
        &[
            needed("numbers"),
            optional("min_length", "0"),
            optional("alphabet", SQIDS_ALPHABET),
        ],
    ),
    (
        &["sqids_decode"],
        &[
            needed("id"),
            optional("min_length", "0"),
            optional("alphabet", SQIDS_ALPHABET),
        ],
    ),
    (
        &["geohash_encode"],
        &[needed("latitude"), needed("longitude"), needed("length")],
    ),
    (
        &["parse_ident"],
        &[needed("str"), optional("strict", "true")],
    ),
    (
        &["jsonb_set"],
        &[
            needed("jsonb_in"),
            needed("path"),
            needed("replacement"),
            optional("create_if_missing", "true"),
        ],
    ),
    (
        &["jsonb_set_lax"],
        &[
            needed("jsonb_in"),
            needed("path"),
            needed("replacement"),
            optional("create_if_missing", "true"),
            optional("null_value_treatment", "use_json_null"),
        ],
    ),
    (
        &["jsonb_insert"],
        &[
            needed("jsonb_in"),
            needed("path"),
            needed("replacement"),
            optional("insert_after", "false"),
        ],
    ),
    (
        &[
            "jsonb_path_exists",
            "jsonb_path_match",
            "jsonb_path_query",
            "jsonb_path_query_array",
            "jsonb_path_query_first",
            "jsonb_path_exists_tz",
            "jsonb_path_match_tz",
            "jsonb_path_query_tz",
            "jsonb_path_query_array_tz",
            "jsonb_path_query_first_tz",
        ],
        &[
            needed("target"),
            needed("path"),
            optional("vars", "{}"),
            optional("silent", "false"),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_left_out_stands_behind_what_may_not() {
        for (names, parameters) in FUNCTIONS {
            let first = parameters.iter().position(|(_, default)| default.is_some());
            let behind = first.map_or(&[][..], |at| &parameters[at..]);
            assert!(
                behind.iter().all(|(_, default)| default.is_some()),
                "{names:?}"
            );
        }
    }
}
