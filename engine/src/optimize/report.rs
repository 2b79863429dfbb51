//! How the nodes of a plan are written: as lines, or as JSON.

use crate::plan::explain::{ExplainFormat, ExplainOptions, Measured};
use std::time::Duration;

/// What was measured of a node; `None` where nothing is measured.
pub(super) type Numbers = Option<Option<Measured>>;

/// A line of a plan.
#[derive(Debug)]
pub(super) enum Row {
    /// A node.
    Node(String, Numbers),
    /// What is said of the node above.
    Fact(String, String),
}

/// The nodes of a plan, each at its level, with what is said of them.
#[derive(Debug, Default)]
pub(super) struct Report(pub(super) Vec<(usize, Row)>);

impl Report {
    /// Written as it was asked for, with what is said of the whole.
    pub(super) fn written(
        &self,
        options: &ExplainOptions,
        summary: &[(&str, Duration)],
    ) -> Vec<String> {
        match options.format {
            ExplainFormat::Text => self.text(options, summary),
            ExplainFormat::Json => vec![self.json(options, summary)],
        }
    }

    /// Six columns a level, an arrow before all nodes but the first.
    fn text(&self, options: &ExplainOptions, summary: &[(&str, Duration)]) -> Vec<String> {
        let mut lines = Vec::with_capacity(self.0.len());
        for (level, row) in &self.0 {
            match row {
                Row::Node(name, numbers) => {
                    let arrow = match level {
                        0 => String::new(),
                        _ => format!("{}->  ", " ".repeat(level * 6 - 4)),
                    };
                    lines.push(format!("{arrow}{name}{}", suffix(numbers, options)));
                    let Some(Some(measured)) = numbers else {
                        continue;
                    };
                    let indent = " ".repeat(level * 6 + 2);
                    if measured.memory > 0 {
                        lines.push(format!("{indent}Memory: {}kB", kilobytes(measured.memory)));
                    }
                    if measured.blocks > 0 {
                        let (scanned, pruned) = blocks(measured);
                        lines.push(format!("{indent}Blocks: scanned={scanned} pruned={pruned}"));
                    }
                }
                Row::Fact(name, text) => {
                    lines.push(format!("{}{name}: {text}", " ".repeat(level * 6 + 2)));
                }
            }
        }
        let times = summary.iter();
        lines.extend(times.map(|(name, time)| format!("{name}: {:.3} ms", milliseconds(*time))));
        lines
    }

    fn json(&self, options: &ExplainOptions, summary: &[(&str, Duration)]) -> String {
        let mut rest = self.0.as_slice();
        let mut roots = Vec::new();
        while !rest.is_empty() {
            roots.push(take_node(&mut rest, options));
        }
        let mut roots = roots.into_iter();
        let mut plan = roots.next().unwrap_or_default();
        // What is beside the first is beneath it.
        plan.plans.extend(roots);
        let mut text = "[\n  {\n    \"Plan\": ".to_owned();
        plan.write(&mut text, 4);
        for (name, time) in summary {
            text += &format!(",\n    {}: {:.3}", quoted(name), milliseconds(*time));
        }
        text + "\n  }\n]"
    }
}

/// A node with all that is beneath it.
#[derive(Debug, Default)]
struct Object {
    members: Vec<(String, String)>,
    plans: Vec<Object>,
}

impl Object {
    fn write(&self, text: &mut String, indent: usize) {
        let inner = " ".repeat(indent + 2);
        let members = self.members.iter();
        let members = members.map(|(name, value)| format!("\n{inner}{}: {value}", quoted(name)));
        *text += "{";
        *text += &members.collect::<Vec<_>>().join(",");
        if !self.plans.is_empty() {
            *text += &format!(",\n{inner}\"Plans\": [");
            for (at, plan) in self.plans.iter().enumerate() {
                *text += if at == 0 { "\n" } else { ",\n" };
                *text += &" ".repeat(indent + 4);
                plan.write(text, indent + 4);
            }
            *text += &format!("\n{inner}]");
        }
        *text += &format!("\n{}}}", " ".repeat(indent));
    }
}

/// Takes a node, with what is said of it and those beneath it, off the front.
fn take_node(rest: &mut &[(usize, Row)], options: &ExplainOptions) -> Object {
    let mut object = Object::default();
    let Some(((level, first), more)) = rest.split_first() else {
        return object;
    };
    *rest = more;
    if let Row::Node(name, numbers) = first {
        object.members.push(("Node Type".to_owned(), quoted(name)));
        object.members.extend(members(numbers, options));
    }
    while let Some(((found, row), more)) = rest.split_first() {
        match row {
            Row::Fact(name, text) if found == level => {
                object.members.push((name.clone(), quoted(text)));
                *rest = more;
            }
            Row::Node(..) if found > level => object.plans.push(take_node(rest, options)),
            _ => break,
        }
    }
    object
}

/// What is measured of a node, behind its name.
fn suffix(numbers: &Numbers, options: &ExplainOptions) -> String {
    let measured = match numbers {
        None => return String::new(),
        Some(Some(measured)) if measured.is_folded => {
            return " (done by the node above)".to_owned();
        }
        Some(Some(measured)) if measured.loops > 0 => measured,
        Some(_) => return " (never executed)".to_owned(),
    };
    let (rows, loops) = (measured.rows.div_ceil(measured.loops), measured.loops);
    let times = match options.timing {
        false => String::new(),
        true => {
            let each = |time: Duration| milliseconds(time) / loops as f64;
            let (first, total) = (each(measured.first), each(measured.total));
            format!("time={first:.3}..{total:.3} ")
        }
    };
    format!(" (actual {times}rows={rows} loops={loops})")
}

fn members(numbers: &Numbers, options: &ExplainOptions) -> Vec<(String, String)> {
    let Some(measured) = numbers else {
        return Vec::new();
    };
    let passed = measured.filter(|measured| measured.blocks > 0);
    let measured = measured.filter(|measured| !measured.is_folded);
    let loops = measured.map_or(0, |measured| measured.loops);
    let each = |number: f64| match loops {
        0 => 0.0,
        loops => number / loops as f64,
    };
    let mut members = Vec::new();
    let mut add = |name: &str, value: String| members.push((name.to_owned(), value));
    if let (true, Some(measured)) = (options.timing, measured) {
        let time = |time: Duration| format!("{:.3}", each(milliseconds(time)));
        add("Actual Startup Time", time(measured.first));
        add("Actual Total Time", time(measured.total));
    }
    let rows = measured.map_or(0, |measured| measured.rows);
    add("Actual Rows", format!("{:.0}", each(rows as f64).ceil()));
    add("Actual Loops", loops.to_string());
    if let Some(measured) = measured {
        add("Peak Memory Usage", kilobytes(measured.memory).to_string());
    }
    if let Some(measured) = passed {
        let (scanned, pruned) = blocks(&measured);
        add("Blocks Scanned", scanned.to_string());
        add("Blocks Pruned", pruned.to_string());
    }
    members
}

/// Blocks that were looked into, and those that did not have to be.
fn blocks(measured: &Measured) -> (u64, u64) {
    let pruned = measured.blocks.saturating_sub(measured.scanned);
    (measured.scanned, pruned)
}

fn kilobytes(bytes: u64) -> u64 {
    bytes.div_ceil(1024)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted += "\\\"",
            '\\' => quoted += "\\\\",
            '\n' => quoted += "\\n",
            '\t' => quoted += "\\t",
            c if (c as u32) < 0x20 => quoted += &format!("\\u{:04x}", c as u32),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
