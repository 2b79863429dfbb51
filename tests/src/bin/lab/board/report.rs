//! The report: the figures of a run, as tables of texts (for the terminal and the page) and as JSON.

use super::measure::{Latency, Spread};
use super::threads::BesideWriter;
use serde_json::{Value, json};

/// All figures of a run.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) rounds: usize,
    pub(super) seconds: f64,
    /// Whether Remora's blocks were frozen after loading.
    pub(super) frozen: bool,
    /// The names of the engines, Remora first.
    pub(super) engines: Vec<&'static str>,
    pub(super) lines: Vec<Line>,
    pub(super) beside_writer: Vec<BesideWriter>,
}

/// A row of work at one size.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) rows: i64,
    /// In the order of [`Board::engines`]; `None` where an engine does not have the operation.
    pub(super) engines: Vec<Option<Figures>>,
    pub(super) two_threads: TwoThreads,
}

/// An engine's figures of one line, with one thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    /// Operations a second.
    pub(super) rate: Spread,
    pub(super) latency: Latency,
    /// The engine's time to Remora's in each round: above 1 Remora is faster. Always 1 for Remora.
    pub(super) ratio: Spread,
}

/// Remora's figures of one line, with two threads.
#[derive(Clone, Copy, Debug)]
pub(super) struct TwoThreads {
    /// Operations a second of both threads.
    pub(super) rate: Spread,
    pub(super) latency: Latency,
    /// The rate to that of one thread.
    pub(super) scaling: Spread,
    /// The scaling of a loop without memory.
    pub(super) bare_scaling: Spread,
}

/// A table of texts.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) title: &'static str,
    pub(super) head: Vec<String>,
    pub(super) lines: Vec<Vec<String>>,
}

/// Returns microseconds as a text.
fn micros(nanos: u64) -> String {
    format!("{:.2}", nanos as f64 / 1000.0)
}

fn percentiles(latency: Latency) -> [String; 3] {
    [latency.p50, latency.p99, latency.p999].map(micros)
}

fn ratios(spread: Spread) -> [String; 3] {
    [spread.median, spread.least, spread.greatest].map(|ratio| format!("{ratio:.2}"))
}

fn owned<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).into()
}

impl Board {
    /// Returns the peers that Remora is compared with, and their places in a line.
    pub(super) fn peers(&self) -> impl Iterator<Item = (usize, &'static str)> {
        self.engines.iter().copied().enumerate().skip(1)
    }

    /// Returns the state of Remora's blocks.
    pub(super) fn blocks(&self) -> &'static str {
        if self.frozen { "frozen" } else { "hot" }
    }

    pub(super) fn tables(&self) -> Vec<Table> {
        let tables = [
            self.one_thread(),
            self.latencies(),
            self.two_threads(),
            self.writer(),
        ];
        tables
            .into_iter()
            .filter(|table| !table.lines.is_empty())
            .collect()
    }

    fn one_thread(&self) -> Table {
        let mut head = owned(["work", "rows"]);
        head.extend(self.engines.iter().map(|name| format!("{name}, a second")));
        for (_, peer) in self.peers() {
            head.push(format!("{peer}'s time / Remora's"));
            head.extend(owned(["least", "greatest"]));
        }
        let line = |line: &Line| {
            let mut cells = vec![line.name.to_owned(), line.rows.to_string()];
            let rate = |figures: &Option<Figures>| {
                figures.map_or_else(String::new, |found| format!("{:.0}", found.rate.median))
            };
            cells.extend(line.engines.iter().map(rate));
            for figures in line.engines.iter().skip(1) {
                cells.extend(figures.map(|found| ratios(found.ratio)).unwrap_or_default());
            }
            cells
        };
        Table {
            title: "One thread",
            head,
            lines: self.lines.iter().map(line).collect(),
        }
    }

    fn latencies(&self) -> Table {
        let mut head = owned(["work", "rows"]);
        for engine in &self.engines {
            head.extend(["p50", "p99", "p99.9"].map(|name| format!("{engine} {name}, us")));
        }
        let line = |line: &Line| {
            let mut cells = vec![line.name.to_owned(), line.rows.to_string()];
            for figures in &line.engines {
                let found = figures.map(|found| percentiles(found.latency));
                cells.extend(found.unwrap_or_default());
            }
            cells
        };
        Table {
            title: "Latencies of one thread",
            head,
            lines: self.lines.iter().map(line).collect(),
        }
    }

    fn two_threads(&self) -> Table {
        let head = owned([
            "work",
            "rows",
            "Remora, a second",
            "to one thread",
            "least",
            "greatest",
            "bare loop",
            "p50, us",
            "p99, us",
            "p99.9, us",
        ]);
        let line = |line: &Line| {
            let two = &line.two_threads;
            let mut cells = vec![line.name.to_owned(), line.rows.to_string()];
            cells.push(format!("{:.0}", two.rate.median));
            cells.extend(ratios(two.scaling));
            cells.push(format!("{:.2}", two.bare_scaling.median));
            cells.extend(percentiles(two.latency));
            cells
        };
        Table {
            title: "Two threads",
            head,
            lines: self.lines.iter().map(line).collect(),
        }
    }

    fn writer(&self) -> Table {
        let head = owned([
            "rows",
            "alone: p50, us",
            "p99, us",
            "p99.9, us",
            "beside a writer: p50, us",
            "p99, us",
            "p99.9, us",
            "p99.9 beside / p50 alone",
            "updates a second",
        ]);
        let line = |beside: &BesideWriter| {
            let mut cells = vec![beside.rows.to_string()];
            cells.extend(percentiles(beside.without));
            cells.extend(percentiles(beside.beside));
            cells.push(format!(
                "{:.1}",
                beside.beside.p999 as f64 / beside.without.p50 as f64
            ));
            cells.push(format!("{:.0}", beside.updates.median));
            cells
        };
        Table {
            title: "Remora's point select beside a writer",
            head,
            lines: self.beside_writer.iter().map(line).collect(),
        }
    }

    pub(super) fn json(&self) -> Value {
        let engine = |(figures, name): (&Option<Figures>, &&str)| {
            figures.map(|found| {
                json!({
                    "engine": name,
                    "operations_per_second": spread_json(found.rate),
                    "latency_ns": latency_json(found.latency),
                    "time_to_remoras": spread_json(found.ratio),
                })
            })
        };
        let line = |line: &Line| {
            let engines = line.engines.iter().zip(&self.engines).filter_map(engine);
            let two = &line.two_threads;
            json!({
                "work": line.name,
                "rows": line.rows,
                "one_thread": engines.collect::<Vec<_>>(),
                "two_threads": {
                    "engine": self.engines.first(),
                    "operations_per_second": spread_json(two.rate),
                    "latency_ns": latency_json(two.latency),
                    "scaling": spread_json(two.scaling),
                    "bare_loop_scaling": spread_json(two.bare_scaling),
                },
            })
        };
        let writer = |beside: &BesideWriter| {
            json!({
                "rows": beside.rows,
                "latency_alone_ns": latency_json(beside.without),
                "latency_beside_writer_ns": latency_json(beside.beside),
                "updates_per_second": spread_json(beside.updates),
            })
        };
        json!({
            "rounds": self.rounds,
            "seconds": self.seconds,
            "blocks": self.blocks(),
            "engines": self.engines,
            "lines": self.lines.iter().map(line).collect::<Vec<_>>(),
            "beside_writer": self.beside_writer.iter().map(writer).collect::<Vec<_>>(),
        })
    }
}

fn spread_json(spread: Spread) -> Value {
    json!({"median": spread.median, "least": spread.least, "greatest": spread.greatest})
}

fn latency_json(latency: Latency) -> Value {
    json!({"p50": latency.p50, "p99": latency.p99, "p99.9": latency.p999})
}

impl Table {
    pub(super) fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = "|---".repeat(self.head.len()) + "|\n";
        let lines: String = self.lines.iter().map(|cells| line(cells)).collect();
        format!("{}\n\n{}{rule}{lines}", self.title, line(&self.head))
    }
}
