//! The command line.

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Options {
    /// Which benchmark.
    pub(crate) name: String,
    numbers: Vec<(String, u64)>,
}

impl Options {
    /// Reads `NAME [--option NUMBER] ..`; what is not of that form is left out.
    pub(crate) fn from_arguments() -> Self {
        let mut arguments = std::env::args().skip(1).peekable();
        let name = arguments.next().unwrap_or_default();
        let mut numbers = Vec::new();
        while let Some(argument) = arguments.next() {
            if let Some(option) = argument.strip_prefix("--")
                && let Some(number) = arguments.next_if(|next| next.parse::<u64>().is_ok())
            {
                numbers.push((option.to_owned(), number.parse().unwrap_or_default()));
            }
        }
        Self { name, numbers }
    }

    /// The number given with `--option`, or `default`.
    pub(crate) fn number(&self, option: &str, default: u64) -> u64 {
        let given = self.numbers.iter().find(|(name, _)| name == option);
        given.map_or(default, |(_, number)| *number)
    }
}
