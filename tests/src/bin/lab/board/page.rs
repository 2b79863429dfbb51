//! The page: one HTML file with the tables of the report and a bar chart of ratios as inline SVG.
//!
//! The scale of the chart is logarithmic: bars begin at ratio 1 and go to the right where Remora is
//! faster. A thin line reaches from the least to the greatest ratio of the rounds. The page loads nothing,
//! and all texts of the report are escaped.

use super::measure::Spread;
use super::report::{Board, Table};
use std::fmt::Write as _;

const STYLE: &str = "body{font:14px sans-serif;margin:2em}table{border-collapse:collapse;margin:1em 0}\
     th,td{border:1px solid #ccc;padding:2px 6px;text-align:right}\
     th:first-child,td:first-child{text-align:left}svg text{font:11px sans-serif}";
/// Colours of the sizes, in turn.
const COLOURS: [&str; 4] = ["#4c78a8", "#f58518", "#54a24b", "#b279a2"];
const LABELS_WIDTH: f64 = 380.0;
const CHART_WIDTH: f64 = 520.0;
const VALUES_WIDTH: f64 = 50.0;
const BAR_HEIGHT: f64 = 14.0;
const AXIS_HEIGHT: f64 = 20.0;

/// A bar of the chart.
struct Bar {
    label: String,
    ratio: Spread,
    colour: &'static str,
}

/// Returns the page of a run.
pub(super) fn page(board: &Board) -> String {
    let tables: String = board.tables().iter().map(table).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Scoreboard</title>\
         <style>{STYLE}</style></head><body>\n<h1>Scoreboard</h1>\n\
         <p>Engines: {}. {} rounds of {} seconds, {} blocks. Bars: time of the peer / Remora's time, median of the \
         rounds; right of 1 Remora is faster. Lines: least to greatest.</p>\n{}{tables}</body></html>\n",
        escape(&board.engines.join(", ")),
        board.rounds,
        board.seconds,
        board.blocks(),
        chart(&bars(board)),
    )
}

/// Escapes a text for HTML and SVG, in content and in quoted attributes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

fn table(table: &Table) -> String {
    let line = |cells: &[String], tag: &str| {
        let cells = cells
            .iter()
            .map(|cell| format!("<{tag}>{}</{tag}>", escape(cell)));
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    let lines = table.lines.iter().map(|cells| line(cells, "td"));
    format!(
        "<h2>{}</h2>\n<table>\n{}{}</table>\n",
        escape(table.title),
        line(&table.head, "th"),
        lines.collect::<String>()
    )
}

/// Returns a bar for each ratio, those of a row of work beside each other.
fn bars(board: &Board) -> Vec<Bar> {
    let (mut names, mut sizes) = (Vec::new(), Vec::new());
    for line in &board.lines {
        if !names.contains(&line.name) {
            names.push(line.name);
        }
        if !sizes.contains(&line.rows) {
            sizes.push(line.rows);
        }
    }
    let mut bars = Vec::new();
    for name in names {
        for line in board.lines.iter().filter(|line| line.name == name) {
            let size = sizes.iter().position(|rows| *rows == line.rows);
            for (place, peer) in board.peers() {
                let Some(Some(figures)) = line.engines.get(place) else {
                    continue;
                };
                bars.push(Bar {
                    label: format!("{name}, {} rows, {peer}", line.rows),
                    ratio: figures.ratio,
                    colour: COLOURS[size.unwrap_or_default() % COLOURS.len()],
                });
            }
        }
    }
    bars
}

/// Draws the bars below each other, and a line at each power of two.
fn chart(bars: &[Bar]) -> String {
    // Ratios that are not positive numbers are drawn as 1, so that the page stays readable.
    let log = |ratio: f64| match ratio.is_finite() && ratio > 0.0 {
        true => ratio.log2(),
        false => 0.0,
    };
    let all = || {
        bars.iter()
            .flat_map(|bar| [log(bar.ratio.least), log(bar.ratio.greatest)])
    };
    let low = all().fold(-1.0, f64::min).floor();
    let high = all().fold(1.0, f64::max).ceil();
    let x = |log: f64| LABELS_WIDTH + (log - low) / (high - low) * CHART_WIDTH;
    let width = LABELS_WIDTH + CHART_WIDTH + VALUES_WIDTH;
    let height = AXIS_HEIGHT + BAR_HEIGHT * bars.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" aria-label=\"ratios\">\n"
    );
    // Writing to a String cannot fail.
    for power in low as i32..=high as i32 {
        let (at, ratio) = (x(power.into()), 2_f64.powi(power));
        let colour = if power == 0 { "#000" } else { "#ddd" };
        let _ = writeln!(
            svg,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{AXIS_HEIGHT}\" y2=\"{height}\" \
             stroke=\"{colour}\"/><text x=\"{at:.1}\" y=\"12\" text-anchor=\"middle\">{ratio}</text>"
        );
    }
    for (number, bar) in bars.iter().enumerate() {
        let top = AXIS_HEIGHT + BAR_HEIGHT * number as f64;
        let (text, middle) = (top + BAR_HEIGHT - 3.0, top + BAR_HEIGHT / 2.0);
        let (one, median) = (x(0.0), x(log(bar.ratio.median)));
        let (left, wide) = (one.min(median), (one - median).abs());
        let (least, greatest) = (x(log(bar.ratio.least)), x(log(bar.ratio.greatest)));
        let (label, ratio, colour) = (escape(&bar.label), bar.ratio.median, bar.colour);
        let thick = BAR_HEIGHT - 3.0;
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{text:.1}\" text-anchor=\"end\">{label}</text>\
             <rect class=\"bar\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{wide:.1}\" \
             height=\"{thick}\" fill=\"{colour}\"><title>{label}: {ratio:.2}</title></rect>\
             <line x1=\"{least:.1}\" x2=\"{greatest:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\" \
             stroke=\"#333\"/><text x=\"{:.1}\" y=\"{text:.1}\">{ratio:.2}</text>",
            LABELS_WIDTH - 6.0,
            LABELS_WIDTH + CHART_WIDTH + 6.0,
        );
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::super::measure::Latency;
    use super::super::report::{Figures, Line, TwoThreads};
    use super::*;

    fn board(ratios: &[f64]) -> Board {
        let spread = |median| Spread {
            median,
            least: median / 2.0,
            greatest: median * 2.0,
        };
        let latency = Latency {
            p50: 500,
            p99: 900,
            p999: 1500,
        };
        let figures = |ratio| Figures {
            rate: spread(1e6),
            latency,
            ratio: spread(ratio),
        };
        let line = |ratio: &f64| Line {
            name: "<b>\"A\" & 'B'</b>",
            rows: 1000,
            engines: vec![Some(figures(1.0)), Some(figures(*ratio)), None],
            two_threads: TwoThreads {
                rate: spread(2e6),
                latency,
                scaling: spread(1.9),
                bare_scaling: spread(2.0),
            },
        };
        Board {
            rounds: 1,
            seconds: 0.1,
            frozen: false,
            engines: vec!["Remora", "A<script>", "B"],
            lines: ratios.iter().map(line).collect(),
            beside_writer: Vec::new(),
        }
    }

    #[test]
    fn names_are_escaped() {
        let page = page(&board(&[2.0]));
        assert!(!page.contains("<b>") && !page.contains("<script"), "{page}");
        assert!(page.contains("&lt;b&gt;&quot;A&quot; &amp; &#39;B&#39;&lt;/b&gt;"));
    }

    #[test]
    fn each_figure_has_a_bar() {
        let ratios = [0.5, 1.0, 4.0, f64::NAN, f64::INFINITY, 0.0];
        let board = board(&ratios);
        let page = page(&board);
        assert_eq!(page.matches("class=\"bar\"").count(), ratios.len());
        assert!(page.contains(": 4.00</title>") && !page.contains("\"NaN\""));
        // An engine without figures has empty cells.
        for table in board.tables() {
            assert!(
                table
                    .lines
                    .iter()
                    .all(|line| line.len() == table.head.len())
            );
        }
    }

    #[test]
    fn json_has_the_figures_of_the_page() {
        let board = board(&[4.0]);
        let json = board.json();
        let engines = json["lines"][0]["one_thread"].as_array().map(Vec::len);
        assert_eq!(engines, Some(2), "the engine without figures is left out");
        assert_eq!(
            json["lines"][0]["one_thread"][1]["time_to_remoras"]["median"],
            4.0
        );
    }
}
