//! The words after a tool's name.

use crate::Result;
use std::collections::VecDeque;
use std::str::FromStr;

/// What is left of the command line. Tools take out what they know; what then remains is unknown.
pub(crate) struct Arguments(VecDeque<String>);

impl Arguments {
    pub(crate) fn new(words: impl Iterator<Item = String>) -> Self {
        Self(words.collect())
    }

    /// Takes the next word, for tools whose arguments have a place.
    pub(crate) fn next(&mut self) -> Option<String> {
        self.0.pop_front()
    }

    /// Takes `--name VALUE`, if it is there.
    pub(crate) fn value<T>(&mut self, name: &str) -> Result<Option<T>>
    where
        T: FromStr<Err: std::fmt::Display>,
    {
        let Some(at) = self.0.iter().position(|word| word == name) else {
            return Ok(None);
        };
        self.0.remove(at);
        let value = self.0.remove(at).ok_or(format!("{name} needs a value"))?;
        let value = value
            .parse()
            .map_err(|error| format!("{name} {value}: {error}"))?;
        Ok(Some(value))
    }

    /// Takes `--name VALUE`; where it is not there, the default.
    pub(crate) fn value_or<T>(&mut self, name: &str, default: T) -> Result<T>
    where
        T: FromStr<Err: std::fmt::Display>,
    {
        Ok(self.value(name)?.unwrap_or(default))
    }

    /// Takes `--name`; whether it was there.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let at = self.0.iter().position(|word| word == name);
        at.and_then(|at| self.0.remove(at)).is_some()
    }

    /// That nothing is left.
    pub(crate) fn end(mut self) -> Result<()> {
        match self.next() {
            None => Ok(()),
            Some(word) => Err(format!("unknown option {word}").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(words: &str) -> Arguments {
        Arguments::new(words.split(' ').map(str::to_owned))
    }

    #[test]
    fn options_are_taken_in_any_order() {
        let mut found = arguments("check --seed 7 --verbose");
        assert!(found.flag("--verbose") && !found.flag("--verbose"));
        assert_eq!(found.value::<u64>("--seed").unwrap(), Some(7));
        assert_eq!(found.value_or("--rounds", 5).unwrap(), 5);
        assert_eq!(found.next().as_deref(), Some("check"));
        assert!(found.end().is_ok());
    }

    #[test]
    fn what_is_wrong_is_told() {
        let told = |error: Box<dyn std::error::Error>| error.to_string();
        assert_eq!(
            told(arguments("--seed").value::<u64>("--seed").unwrap_err()),
            "--seed needs a value"
        );
        assert!(arguments("--seed x").value::<u64>("--seed").is_err());
        assert_eq!(
            told(arguments("--sed 7").end().unwrap_err()),
            "unknown option --sed"
        );
    }
}
