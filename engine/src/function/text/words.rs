//! The words of dates and times: months, days of the week, eras, units, and those with a meaning of their own.

/// What a word means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Word {
    Special(Special),
    Month(u32),
    Weekday,
    /// BC, rather than AD.
    Era(bool),
    /// PM, rather than AM.
    Half(bool),
    /// `dst`: the clock is an hour further ahead.
    Summer,
    /// A Julian day comes next.
    Julian,
    /// Another unit, which nothing may follow.
    Unit,
    /// `t`: a time comes next.
    Time,
    /// It says nothing.
    Filler,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Special {
    /// Without an end, or without a beginning.
    Infinity(bool),
    /// 1970-01-01 00:00.
    Epoch,
    /// This very moment.
    Now,
    /// So many days from today.
    Day(i64),
    /// Midnight of UTC.
    AllBalls,
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The meaning of a word in lower case.
pub(super) fn word(word: &str) -> Option<Word> {
    let month = MONTHS
        .iter()
        .position(|name| *name == word || name[..3] == *word);
    if let Some(month) = month {
        return Some(Word::Month(month as u32 + 1));
    }
    Some(match word {
        "sept" => Word::Month(9),
        "sun" | "sunday" | "mon" | "monday" | "tue" | "tues" | "tuesday" | "wed" | "weds"
        | "wednesday" | "thu" | "thur" | "thurs" | "thursday" | "fri" | "friday" | "sat"
        | "saturday" => Word::Weekday,
        "ad" | "bc" => Word::Era(word == "bc"),
        "am" | "pm" => Word::Half(word == "pm"),
        "at" | "on" => Word::Filler,
        "dst" => Word::Summer,
        "j" | "jd" | "julian" => Word::Julian,
        "d" | "dow" | "doy" | "h" | "isodow" | "isoyear" | "m" | "mm" | "s" | "y" => Word::Unit,
        "t" => Word::Time,
        "infinity" => Word::Special(Special::Infinity(true)),
        "-infinity" => Word::Special(Special::Infinity(false)),
        "epoch" => Word::Special(Special::Epoch),
        "now" => Word::Special(Special::Now),
        "today" => Word::Special(Special::Day(0)),
        "tomorrow" => Word::Special(Special::Day(1)),
        "yesterday" => Word::Special(Special::Day(-1)),
        "allballs" => Word::Special(Special::AllBalls),
        _ => return None,
    })
}
