//! Time zones: displacements from UTC, abbreviations and names.
//!
//! Names and their history come from the zone database that the crate `jiff` brings along; it ends with
//! the year 9999, and later years are taken for those 400 years and so many times 400 years earlier, whose calendar
//! is the same. Abbreviations are PostgreSQL's own list: most mean one displacement, some what a zone means
//! by them at the time, which is looked up in its history.

use super::decode::Refusal;
use super::numbers::displacement;
use super::style::zone_of_micros;
use crate::error::{Error, Result, state};
use crate::function::calendar::{
    self, DAY, HOUR, MINUTE, SECOND, TIMESTAMP_INFINITY, TIMESTAMP_NEG_INFINITY,
};
use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, TimeZone};
use std::borrow::Cow;

/// What says how a clock differs from that of UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    /// By so many microseconds, eastwards.
    Fixed(i64),
    /// By what the database says of the moment.
    Named(TimeZone),
    /// By what a zone has meant by an abbreviation at the time.
    Abbreviated(TimeZone, &'static str),
}

/// The longest name of a time zone that is looked for.
const NAME_BYTES_MAX: usize = 1024;
/// How many changes of a clock are looked at for what an abbreviation means.
const CHANGES_MAX: usize = 400;
/// 400 years.
const CYCLE: i64 = 146_097 * DAY;
/// The year 9000 or so.
const LAST: i64 = 7030 * 365 * DAY;

/// A moment with the same place in the calendar that the database knows.
fn known(moment: i64) -> i64 {
    match moment > LAST {
        true => moment - ((moment - LAST) / CYCLE + 1) * CYCLE,
        // Before there were zones nothing changes.
        false => moment.max(-LAST),
    }
}

fn micros(offset: jiff::tz::Offset) -> i64 {
    i64::from(offset.seconds()) * SECOND
}

impl Zone {
    /// # Errors
    /// 22023.
    pub(crate) fn named(name: &str) -> Result<Self> {
        if name.len() > NAME_BYTES_MAX {
            let message = "time zone not recognized: its name is too long";
            return Err(Error::new(state::INVALID_PARAMETER_VALUE, message));
        }
        let trimmed = name.trim();
        abbreviation(&trimmed.to_ascii_lowercase())
            .or_else(|| TimeZone::get(trimmed).ok().map(Self::Named))
            .or_else(|| posix(trimmed).map(Self::Fixed))
            .or_else(|| Self::of_name(trimmed))
            .ok_or_else(|| {
                sql_error!(
                    INVALID_PARAMETER_VALUE,
                    "time zone \"{name}\" not recognized"
                )
            })
    }

    /// Hours and minutes behind a sign, which count eastwards; `None` where it is something else.
    ///
    /// # Errors
    /// 22023 for one beyond fifteen hours.
    pub(crate) fn of_displacement(text: &str) -> Result<Option<Self>> {
        match displacement(text) {
            Ok(zone) => Ok(Some(zone)),
            Err(Refusal::Displacement) => {
                let message = format!("numeric time zone \"{text}\" out of range");
                Err(Error::new(state::INVALID_PARAMETER_VALUE, message))
            }
            Err(_) => Ok(None),
        }
    }

    /// The zone of a session's setting, and how the setting reads back: a name of the database, POSIX's words
    /// for one, or hours to the east of UTC.
    pub(crate) fn of_session(value: &str) -> Option<(Self, String)> {
        let name = value.trim();
        if name == "UTC" {
            return Some((Self::Fixed(0), name.to_owned()));
        }
        if let Ok(hours) = name.parse::<f64>() {
            let is_near = hours.abs() < 168.0;
            let ahead = is_near.then_some((hours * HOUR as f64).round() as i64)?;
            return Some((Self::Fixed(ahead), zone_of_micros(ahead)));
        }
        Self::of_words(name)
    }

    /// The zone of a name in a text.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::of_words(name).map(|(zone, _)| zone)
    }

    /// How far the zone's clock is ahead, where that is always the same.
    pub(crate) fn always(&self) -> Option<i64> {
        match self {
            Self::Fixed(ahead) => Some(*ahead),
            Self::Named(zone) | Self::Abbreviated(zone, _) => {
                zone.to_fixed_offset().ok().map(micros)
            }
        }
    }

    fn of_words(name: &str) -> Option<(Self, String)> {
        // Nothing above the database's folder, and no file in it by its path.
        if !name.starts_with(['.', '/'])
            && let Ok(zone) = TimeZone::get(name)
        {
            let shown = zone.iana_name().unwrap_or(name).to_owned();
            let zone = match shown == "UTC" {
                true => Self::Fixed(0),
                false => Self::Named(zone),
            };
            return Some((zone, shown));
        }
        let upper = name.to_ascii_uppercase();
        let has_hours = |zone: &str| zone.bytes().any(|byte| byte.is_ascii_digit());
        let words = Some(upper).filter(|upper| has_hours(upper))?;
        // Whoever has a summer time and does not say when has that of New York.
        let zone = TimeZone::posix(&words)
            .or_else(|_| TimeZone::posix(&format!("{words},M3.2.0,M11.1.0")))
            .map(Self::Named)
            .ok()
            .or_else(|| posix(&words).map(Self::Fixed))?;
        Some((zone, words))
    }

    /// What the zone's clock is called at a moment of UTC.
    pub(crate) fn abbreviation_at(&self, moment: i64) -> Cow<'_, str> {
        match self {
            Self::Fixed(0) => Cow::Borrowed("UTC"),
            Self::Fixed(ahead) => {
                let words = zone_of_micros(*ahead);
                let name = words.trim_start_matches('<').split('>').next();
                Cow::Owned(name.unwrap_or_default().to_owned())
            }
            Self::Named(zone) | Self::Abbreviated(zone, _) => {
                match Timestamp::from_microsecond(known(moment)) {
                    Ok(moment) => Cow::Owned(zone.to_offset_info(moment).abbreviation().to_owned()),
                    Err(_) => Cow::Borrowed("UTC"),
                }
            }
        }
    }

    /// A moment as the zone's clock shows it.
    ///
    /// # Errors
    /// 22008.
    pub(crate) fn shown(&self, moment: i64) -> Result<i64> {
        match self {
            Self::Fixed(0) => Ok(moment),
            _ => shifted(moment, || self.ahead_at(moment)),
        }
    }

    /// The moment that the zone's clock shows so.
    ///
    /// # Errors
    /// 22008.
    pub(crate) fn meant(&self, shown: i64) -> Result<i64> {
        match self {
            Self::Fixed(0) => Ok(shown),
            _ => shifted(shown, || -self.ahead_when(shown)),
        }
    }

    /// How far the zone's clock is ahead at a moment of UTC.
    pub(crate) fn ahead_at(&self, moment: i64) -> i64 {
        match self {
            Self::Fixed(ahead) => *ahead,
            Self::Named(zone) => Timestamp::from_microsecond(known(moment))
                .map_or(0, |moment| micros(zone.to_offset(moment))),
            Self::Abbreviated(zone, name) => Timestamp::from_microsecond(known(moment))
                .map_or(0, |moment| micros(meaning_at(zone, name, moment))),
        }
    }

    /// How far it is ahead when it shows a time. Of one that it shows twice the second is meant, of one that it
    /// leaves out that by the clock before, as in PostgreSQL.
    pub(crate) fn ahead_when(&self, shown: i64) -> i64 {
        let zone = match self {
            Self::Fixed(ahead) => return *ahead,
            Self::Named(zone) => zone,
            Self::Abbreviated(zone, _) => {
                // What it means is asked about the moment that the zone itself would call so.
                let moment = shown.saturating_sub(Self::Named(zone.clone()).ahead_when(shown));
                return self.ahead_at(moment);
            }
        };
        let Ok(shown) = Timestamp::from_microsecond(known(shown)) else {
            return 0;
        };
        let shown = TimeZone::UTC.to_datetime(shown);
        match zone.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => micros(offset),
            AmbiguousOffset::Gap { before, .. } => micros(before),
            AmbiguousOffset::Fold { after, .. } => micros(after),
        }
    }
}

/// What a zone has meant by an abbreviation at a moment: last before it, or else first after it. One that it does
/// not use means what its clock shows.
fn meaning_at(zone: &TimeZone, name: &str, moment: Timestamp) -> jiff::tz::Offset {
    let now = zone.to_offset_info(moment);
    let is_meant = |abbreviation: &str| abbreviation.eq_ignore_ascii_case(name);
    if is_meant(now.abbreviation()) {
        return now.offset();
    }
    let before = zone.preceding(moment).take(CHANGES_MAX);
    let after = zone.following(moment).take(CHANGES_MAX);
    let mut changes = before.chain(after);
    let found = changes.find(|change| is_meant(change.abbreviation()));
    found.map_or(now.offset(), |change| change.offset())
}

/// A moment moved by a zone's displacement; infinite ones stay.
fn shifted(moment: i64, micros: impl FnOnce() -> i64) -> Result<i64> {
    let is_infinite = |moment| matches!(moment, TIMESTAMP_INFINITY | TIMESTAMP_NEG_INFINITY);
    if is_infinite(moment) {
        return Ok(moment);
    }
    moment
        .checked_add(micros())
        .filter(|moved| calendar::split(*moved).0 >= calendar::FIRST_DAY && !is_infinite(*moved))
        .ok_or_else(calendar::timestamp_out_of_range)
}

/// `UTC+2`, `+02:00`, `-3`: letters that mean nothing and hours, which count westwards.
fn posix(name: &str) -> Option<i64> {
    let digits = match name.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>')?.1,
        None => name.trim_start_matches(|c: char| c.is_ascii_alphabetic()),
    };
    let (sign, body) = match digits.strip_prefix('-') {
        Some(body) => (1, body),
        None => (-1, digits.strip_prefix('+').unwrap_or(digits)),
    };
    let mut parts = body.split(':');
    let mut field = |limit: i64| match parts.next() {
        None => Some(0),
        Some(digits) => digits
            .parse::<u8>()
            .ok()
            .map(i64::from)
            .filter(|number| *number < limit),
    };
    let (hour, minute, second) = (field(168)?, field(60)?, field(60)?);
    let is_whole = parts.next().is_none();
    is_whole.then_some(sign * (hour * HOUR + minute * MINUTE + second * SECOND))
}

/// What an abbreviation in lower case means.
pub(crate) fn abbreviation(word: &str) -> Option<Zone> {
    if let Ok(at) = FIXED.binary_search_by_key(&word, |(name, _)| name) {
        return Some(Zone::Fixed(FIXED[at].1 * SECOND));
    }
    let at = OF_ZONES
        .binary_search_by_key(&word, |(name, _)| name)
        .ok()?;
    let (name, zone) = OF_ZONES[at];
    let zone = TimeZone::get(zone).ok()?;
    Some(Zone::Abbreviated(zone, name))
}

/// Abbreviations and the seconds they are ahead, by name.
#[rustfmt::skip]
const FIXED: [(&str, i64); 145] = [
    ("acdt", 37800), ("acsst", 37800), ("acst", 34200), ("act", -18000), ("acwst", 31500),
    ("adt", -10800), ("aedt", 39600), ("aesst", 39600), ("aest", 36000), ("aft", 16200),
    ("akdt", -28800), ("akst", -32400), ("almst", 25200), ("almt", 21600), ("amt", -14400),
    ("ast", -14400), ("awsst", 32400), ("awst", 28800), ("azost", 0), ("azot", -3600),
    ("bdst", 7200), ("bdt", 21600), ("bnt", 28800), ("bort", 28800), ("bot", -14400),
    ("bra", -10800), ("brst", -7200), ("brt", -10800), ("bst", 3600), ("btt", 21600),
    ("cadt", 37800), ("cast", 34200), ("cct", 28800), ("cdt", -18000), ("cest", 7200),
    ("cet", 3600), ("cetdst", 7200), ("chadt", 49500), ("chast", 45900), ("chut", 36000),
    ("clst", -10800), ("cot", -18000), ("cst", -21600), ("cxt", 25200), ("ddut", 36000),
    ("eat", 10800), ("edt", -14400), ("eest", 10800), ("eet", 7200), ("eetdst", 10800),
    ("egst", 0), ("egt", -3600), ("est", -18000), ("fet", 10800), ("fjst", 46800), ("fjt", 43200),
    ("fnst", -3600), ("fnt", -7200), ("galt", -21600), ("gamt", -32400), ("gft", -10800),
    ("gilt", 43200), ("gmt", 0), ("hkt", 28800), ("hst", -36000), ("ict", 25200), ("idt", 10800),
    ("irt", 12600), ("ist", 7200), ("jayt", 32400), ("jst", 32400), ("kdt", 36000),
    ("kgst", 21600), ("kst", 32400), ("lhst", 37800), ("ligt", 36000), ("mart", -34200),
    ("mdt", -21600), ("mest", 7200), ("mesz", 7200), ("met", 3600), ("metdst", 7200),
    ("mez", 3600), ("mht", 43200), ("mmt", 23400), ("mpt", 36000), ("msd", 14400),
    ("mst", -25200), ("must", 18000), ("mut", 14400), ("mvt", 18000), ("myt", 28800),
    ("ndt", -9000), ("nft", -12600), ("npt", 20700), ("nst", -12600), ("nzdt", 46800),
    ("nzst", 43200), ("nzt", 43200), ("pdt", -25200), ("pet", -18000), ("pgt", 36000),
    ("pht", 28800), ("pkst", 21600), ("pkt", 18000), ("pmdt", -7200), ("pmst", -10800),
    ("pont", 39600), ("pst", -28800), ("pwt", 32400), ("pyst", -10800), ("ret", 14400),
    ("sadt", 37800), ("sast", 7200), ("sct", 14400), ("taht", -36000), ("tft", 18000),
    ("tjt", 18000), ("tot", 46800), ("trut", 36000), ("tvt", 43200), ("uct", 0), ("ulast", 32400),
    ("ut", 0), ("utc", 0), ("uyst", -7200), ("uyt", -10800), ("uzst", 21600), ("uzt", 18000),
    ("vut", 39600), ("wadt", 28800), ("wakt", 43200), ("wast", 25200), ("wat", 3600),
    ("wdt", 32400), ("wet", 0), ("wetdst", 3600), ("wft", 43200), ("wgst", -7200),
    ("wgt", -10800), ("xjt", 21600), ("yapt", 36000), ("yekst", 21600), ("z", 0), ("zulu", 0),
];

/// Abbreviations that mean what a zone has at the time, by name.
#[rustfmt::skip]
const OF_ZONES: [(&str, &str); 50] = [
    ("amst", "Asia/Yerevan"), ("anast", "Asia/Anadyr"), ("anat", "Asia/Anadyr"),
    ("arst", "America/Argentina/Buenos_Aires"), ("art", "America/Argentina/Buenos_Aires"),
    ("azst", "Asia/Baku"), ("azt", "Asia/Baku"), ("ckt", "Pacific/Rarotonga"),
    ("clt", "America/Santiago"), ("davt", "Antarctica/Davis"), ("easst", "Pacific/Easter"),
    ("east", "Pacific/Easter"), ("fkst", "Atlantic/Stanley"), ("fkt", "Atlantic/Stanley"),
    ("gest", "Asia/Tbilisi"), ("get", "Asia/Tbilisi"), ("gyt", "America/Guyana"),
    ("iot", "Indian/Chagos"), ("irkst", "Asia/Irkutsk"), ("irkt", "Asia/Irkutsk"),
    ("kgt", "Asia/Bishkek"), ("kost", "Pacific/Kosrae"), ("krast", "Asia/Krasnoyarsk"),
    ("krat", "Asia/Krasnoyarsk"), ("lhdt", "Australia/Lord_Howe"), ("lint", "Pacific/Kiritimati"),
    ("lkt", "Asia/Colombo"), ("magst", "Asia/Magadan"), ("magt", "Asia/Magadan"),
    ("mawt", "Antarctica/Mawson"), ("msk", "Europe/Moscow"), ("novst", "Asia/Novosibirsk"),
    ("novt", "Asia/Novosibirsk"), ("nut", "Pacific/Niue"), ("omsst", "Asia/Omsk"),
    ("omst", "Asia/Omsk"), ("petst", "Asia/Kamchatka"), ("pett", "Asia/Kamchatka"),
    ("pyt", "America/Asuncion"), ("sgt", "Asia/Singapore"), ("tkt", "Pacific/Fakaofo"),
    ("tmt", "Asia/Ashgabat"), ("ulat", "Asia/Ulaanbaatar"), ("vet", "America/Caracas"),
    ("vlast", "Asia/Vladivostok"), ("vlat", "Asia/Vladivostok"), ("volt", "Europe/Volgograd"),
    ("yakst", "Asia/Yakutsk"), ("yakt", "Asia/Yakutsk"), ("yekt", "Asia/Yekaterinburg"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::text::parse;
    use remora_storage::{DataType, Value};

    fn moment(text: &str) -> i64 {
        match parse(text, DataType::Timestamp).unwrap() {
            Value::Timestamp(moment) => moment,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn abbreviations_are_in_order() {
        assert!(FIXED.is_sorted_by_key(|(name, _)| name));
        assert!(OF_ZONES.is_sorted_by_key(|(name, _)| name));
        for (_, zone) in OF_ZONES {
            Zone::named(zone).unwrap();
        }
    }

    #[test]
    fn a_clock_is_put_forward_and_back() {
        let zone = Zone::named("Europe/Berlin").unwrap();
        for (shown, hours) in [
            ("2024-01-01 12:00", 1),
            ("2024-07-01 12:00", 2),
            // Left out: by the clock before.
            ("2024-03-31 02:30", 1),
            // Shown twice: the second time.
            ("2024-10-27 02:30", 1),
            ("200024-07-01 12:00", 2),
        ] {
            let ahead = zone.ahead_when(moment(shown));
            assert_eq!(ahead, hours * HOUR, "{shown}");
        }
    }

    #[test]
    fn names_without_a_zone_are_refused() {
        for name in ["", "Europe/Atlantis", "+", "UTC+1:99", "1:2:3:4"] {
            assert_eq!(Zone::named(name).unwrap_err().sqlstate(), "22023", "{name}");
        }
        assert_eq!(Zone::named("UTC+2").unwrap(), Zone::Fixed(-2 * HOUR));
        assert_eq!(
            Zone::named("-03:30").unwrap(),
            Zone::Fixed(3 * HOUR + 30 * MINUTE)
        );
    }
}
