//! Golden scripts: stories with named connections, what is run and what is expected side by side.
//!
//! ```text
//! # A comment tells the story.
//! a> CREATE TABLE t (k INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 10)
//! b> SELECT v FROM t
//!    WHERE k = 1
//! ---
//! b: 10
//! ```
//!
//! 1. A block is a run of inputs, then `---` and what they show; a blank line ends it. A block
//!    without `---` must show nothing.
//! 2. An input line names its connection; a line that begins with a blank goes on with the one
//!    above. Its statements, separated by semicolons, run one after the other; the first that
//!    fails ends the line.
//! 3. A row is shown as its values in text form with ` | ` between (NULL as `NULL`), an empty
//!    result as `(no rows)`, an error as `ERROR sqlstate: message` and a `DETAIL:` line. Statements
//!    that give no rows show nothing. Notifications that the connection has received are shown behind each of its
//!    statements, as psql does: `notified of channel: payload`, or `lost N notifications`.
//! 4. An input that waits for another connection's transaction shows `(waits)`, and the story goes on. What comes
//!    of it is shown before the connection's next input, or at the end of the block.
//! 5. `!directory` in the first lines asks for a database in a (temporary) directory; `!reopen`
//!    closes it and opens it again; `!file NAME` followed by indented lines writes a file, `{dir}`
//!    in a statement stands for the folder it is in, and `{data}` for `tests/data`.
//!
//! Transaction numbers are shown as `N` and the folder as `{dir}`, and what a conflict says of its
//! rival's start and statement is left out, so that expectations do not depend on the moment. With
//! `UPDATE_GOLDEN` set in the environment, expectations are rewritten instead of compared.

use crate::session::{Outcome, Output, run};
use crate::source::root;
use remora::{Connection, Database, Delivery};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A step of a script.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    /// SQL on a connection.
    Sql { label: String, text: String },
    /// Close and open again.
    Reopen,
    /// A file with this text.
    File { name: String, text: String },
}

/// Inputs with what they should show.
#[derive(Debug, Default)]
struct Block {
    /// As written, comments and `---` included.
    head: Vec<String>,
    steps: Vec<Step>,
    expected: Vec<String>,
}

/// A script, read.
#[derive(Debug, Default)]
struct Script {
    directory: bool,
    blocks: Vec<Block>,
}

/// Runs a script and compares; `Err` holds a report for people.
pub fn check(path: &Path) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let script = Script::read(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut stage = Stage::new(script.directory);
    let mut rewritten = String::new();
    for block in &script.blocks {
        let shown = stage.run(block);
        if update {
            block.rewrite(&shown, &mut rewritten);
        } else if shown != block.expected {
            return Err(format!(
                "{}: in the block\n{}\nexpected:\n{}\nshown:\n{}",
                path.display(),
                block.head.join("\n"),
                block.expected.join("\n"),
                shown.join("\n")
            ));
        }
    }
    if update {
        fs::write(path, rewritten).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

impl Script {
    fn read(text: &str) -> Result<Self, String> {
        let mut script = Self::default();
        let mut block = Block::default();
        let mut in_expected = false;
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                script.finish(&mut block);
                in_expected = false;
            } else if in_expected {
                block.expected.push(line.to_owned());
            } else if line == "---" {
                in_expected = true;
            } else {
                block.head.push(line.to_owned());
                script.directory |= line == "!directory";
                block
                    .read_input(line)
                    .map_err(|e| format!("line {}: {e}", index + 1))?;
            }
        }
        script.finish(&mut block);
        Ok(script)
    }

    fn finish(&mut self, block: &mut Block) {
        let block = std::mem::take(block);
        if !block.head.is_empty() {
            self.blocks.push(block);
        }
    }
}

impl Block {
    fn read_input(&mut self, line: &str) -> Result<(), String> {
        if line.starts_with('#') || line == "!directory" {
            return Ok(());
        }
        if line == "!reopen" {
            self.steps.push(Step::Reopen);
        } else if let Some(name) = line.strip_prefix("!file ") {
            let (name, text) = (name.to_owned(), String::new());
            self.steps.push(Step::File { name, text });
        } else if let Some(more) = line.strip_prefix("   ") {
            match self.steps.last_mut() {
                Some(Step::Sql { text, .. }) => {
                    text.push('\n');
                    text.push_str(more);
                }
                Some(Step::File { text, .. }) => {
                    text.push_str(more);
                    text.push('\n');
                }
                _ => return Err("nothing to go on with".to_owned()),
            }
        } else {
            let (label, text) = line.split_once("> ").ok_or("expected `name> SQL`")?;
            let (label, text) = (label.to_owned(), text.to_owned());
            self.steps.push(Step::Sql { label, text });
        }
        Ok(())
    }

    fn rewrite(&self, shown: &[String], out: &mut String) {
        if !out.is_empty() {
            out.push('\n');
        }
        for line in &self.head {
            let _ = writeln!(out, "{line}");
        }
        if !shown.is_empty() {
            let _ = writeln!(out, "---\n{}", shown.join("\n"));
        }
    }
}

/// A database with its connections by name.
struct Stage {
    folder: TempDir,
    directory: bool,
    database: Option<Database>,
    connections: BTreeMap<String, Connection>,
    /// Those whose input waits for somebody.
    waiting: BTreeMap<String, Running>,
}

/// An input that is being run, and what it shows.
type Running = JoinHandle<(Connection, Vec<String>)>;

impl Stage {
    fn new(directory: bool) -> Self {
        let mut stage = Self {
            folder: TempDir::new().expect("a temporary folder can be made"),
            directory,
            database: None,
            connections: BTreeMap::new(),
            waiting: BTreeMap::new(),
        };
        stage.open();
        stage
    }

    fn open(&mut self) {
        let database = if self.directory {
            Database::open(self.folder.path().join("db"))
        } else {
            Database::in_memory()
        };
        self.database = Some(database.expect("the story's database opens"));
    }

    fn reopen(&mut self) {
        assert!(self.directory, "!reopen needs !directory");
        self.connections.clear();
        if let Some(database) = self.database.take() {
            database.close().expect("the database closes");
        }
        self.open();
    }

    fn run(&mut self, block: &Block) -> Vec<String> {
        let mut shown = Vec::new();
        for step in &block.steps {
            match step {
                Step::Reopen => self.reopen(),
                Step::File { name, text } => {
                    fs::write(self.folder.path().join(name), text).expect("the file is written");
                }
                Step::Sql { label, text } => self.run_sql(label, text, &mut shown),
            }
        }
        while let Some(label) = self.waiting.keys().next().cloned() {
            self.end_waiting(&label, &mut shown);
        }
        shown
    }

    fn end_waiting(&mut self, label: &str, shown: &mut Vec<String>) {
        if let Some(running) = self.waiting.remove(label) {
            self.end(label, running, shown);
        }
    }

    fn end(&mut self, label: &str, running: Running, shown: &mut Vec<String>) {
        let (connection, lines) = running.join().expect("an input does not panic");
        self.connections.insert(label.to_owned(), connection);
        shown.extend(lines.into_iter().map(|line| format!("{label}: {line}")));
    }

    /// Whether one more input waits for a transaction than is known.
    fn is_waiting(&self) -> bool {
        let database = self.database.as_ref().expect("open between steps");
        let watch = database.connect().expect("a connection can be had");
        let sql = "SELECT count(*) FROM remora_transactions WHERE waits_for LIKE 'transaction %'";
        let known = self.waiting.values().filter(|one| !one.is_finished());
        let known = known.count() as i64;
        watch
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .expect("a count")
            > known
    }

    fn run_sql(&mut self, label: &str, text: &str, shown: &mut Vec<String>) {
        self.end_waiting(label, shown);
        let folder = self.folder.path().to_string_lossy().into_owned();
        let database = self.database.as_ref().expect("open between steps");
        let connection = self.connections.remove(label);
        let connection =
            connection.unwrap_or_else(|| database.connect().expect("a connection can be had"));
        let data = root().join("tests/data");
        let text = text.replace("{data}", &data.to_string_lossy());
        let text = text.replace("{dir}", &folder);
        let running = thread::spawn(move || {
            let lines = run_all(&connection, &text, &folder);
            (connection, lines)
        });
        let begin = Instant::now();
        while !running.is_finished() {
            if begin.elapsed() < QUICK {
                thread::sleep(QUICK / 100);
            } else if self.is_waiting() {
                shown.push(format!("{label}: (waits)"));
                self.waiting.insert(label.to_owned(), running);
                return;
            } else {
                thread::sleep(QUICK / 5);
            }
        }
        self.end(label, running, shown);
    }
}

/// Most inputs are done by then, and nobody need ask whether they wait.
const QUICK: Duration = Duration::from_millis(5);

/// What the statements of an input show, up to the first that fails.
fn run_all(connection: &Connection, text: &str, folder: &str) -> Vec<String> {
    let mut shown = Vec::new();
    for statement in statements(text) {
        let outcome = run(connection, statement);
        let failed = outcome.is_err();
        let lines = lines(outcome).into_iter();
        shown.extend(lines.map(|line| steady(&line.replace(folder, "{dir}"))));
        shown.extend(connection.notifications().iter().flatten().map(notified));
        if failed {
            break;
        }
    }
    shown
}

fn notified(delivery: Delivery) -> String {
    match delivery {
        Delivery::Notification(one) => {
            let line = format!("notified of {}: {}", one.channel, one.payload);
            line.trim_end().to_owned()
        }
        Delivery::Lost(count) => format!("lost {count} notifications"),
    }
}

/// The statements of an input: cut at semicolons outside quotes, and outside the bodies of triggers.
fn statements(text: &str) -> Vec<&str> {
    let (mut quote, mut begin) = (None, 0);
    let mut found = Vec::new();
    for (at, c) in text.char_indices() {
        match quote {
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(open) if open == c => quote = None,
            None if c == ';' && !is_open(&text[begin..at]) => {
                found.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    found.push(&text[begin..]);
    let found = found.into_iter().map(str::trim);
    found.filter(|statement| !statement.is_empty()).collect()
}

/// Whether a statement makes a trigger or a function, whose body has not come to its end.
fn is_open(statement: &str) -> bool {
    let statement = statement.trim();
    let can_have_one = ["TRIGGER ", "FUNCTION "]
        .iter()
        .any(|word| statement.contains(word));
    statement.starts_with("CREATE")
        && can_have_one
        && statement.contains(" BEGIN ")
        && !statement.ends_with("END")
}

fn lines(outcome: Outcome) -> Vec<String> {
    match outcome {
        Ok(Output { rows: None, .. }) => Vec::new(),
        Ok(Output {
            rows: Some(rows), ..
        }) if rows.is_empty() => vec!["(no rows)".to_owned()],
        Ok(Output {
            rows: Some(rows), ..
        }) => rows
            .into_iter()
            .map(|row| {
                let cells: Vec<String> = row
                    .into_iter()
                    .map(|cell| cell.map_or_else(|| "NULL".to_owned(), |c| c.replace('\n', "\\n")))
                    .collect();
                cells.join(" | ")
            })
            .map(|row| row.trim_end().to_owned())
            .collect(),
        Err(error) => {
            let mut lines = vec![format!("ERROR {}: {}", error.sqlstate(), error.message())];
            let detail = error.detail().map(|detail| detail.replace('\n', "\\n"));
            lines.extend(detail.map(|detail| format!("DETAIL: {detail}")));
            lines
        }
    }
}

/// The line with transaction numbers as `N`, and without when a rival began.
fn steady(line: &str) -> String {
    let line = line.split(" It began at ").next().unwrap_or_default();
    let Some((before, after)) = line.split_once("transaction ") else {
        return line.to_owned();
    };
    let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    if rest.len() == after.len() {
        return line.to_owned();
    }
    format!("{before}transaction N{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_reads_as_blocks_of_steps() {
        let script = Script::read(
            "!directory\n# Story.\na> SELECT ';';\n   SELECT 2\n---\na: ;\na: 2\n\n\n!reopen\nb> X\n",
        )
        .unwrap();
        assert!(script.directory);
        assert_eq!(script.blocks.len(), 2);
        assert_eq!(script.blocks[0].expected, ["a: ;", "a: 2"]);
        assert_eq!(script.blocks[1].steps[0], Step::Reopen);
        let Step::Sql { text, .. } = &script.blocks[0].steps[0] else {
            panic!("SQL expected");
        };
        assert_eq!(statements(text), ["SELECT ';'", "SELECT 2"]);
    }

    #[test]
    fn transaction_numbers_do_not_matter() {
        assert_eq!(
            steady("conflict with transaction 17: retry"),
            "conflict with transaction N: retry"
        );
        assert_eq!(steady("no transaction is open"), "no transaction is open");
    }

    #[test]
    fn what_is_no_input_is_an_error() {
        assert!(Script::read("SELECT 1\n").is_err());
        assert!(Script::read("   SELECT 1\n").is_err());
    }
}
