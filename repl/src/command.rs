//! Dot commands: what the shell itself can do.
//!
//! A command is a line of its own: a name and arguments apart by blanks, `'..'` or `".."` around
//! an argument with blanks in it. A name may be cut short as long as it is clear what is meant.

use crate::args::Format;
use crate::import;
use crate::prompt;
use crate::result::Failure;
use crate::shell::{Shell, Stop};
use clap::ValueEnum;
use remora::internal::manual::entries;
use remora::{Database, Durability, Error};
use std::fmt::Display;
use std::io::Write;
use std::path::Path;

/// A command: its name, its arguments, what it does.
struct Command {
    name: &'static str,
    arguments: &'static str,
    /// How many arguments it takes, at least and at most.
    counts: (usize, usize),
    help: &'static str,
    run: fn(&mut Shell, &[String]) -> Result<(), Failure>,
}

const COMMANDS: &[Command] = &[
    command(".help", "", (0, 1), "show this list", help),
    command(
        ".quit",
        "",
        (0, 0),
        "end the shell (as does Ctrl-D)",
        nothing,
    ),
    command(".exit", "", (0, 0), "the same", nothing),
    command(
        ".open",
        "[DIR]",
        (0, 1),
        "open or make the database in DIR; without DIR a new one in memory",
        open,
    ),
    command(".tables", "", (0, 0), "list tables and views", tables),
    command(
        ".schema",
        "[TABLE]",
        (0, 1),
        "show the statements that make the table, or all of them",
        schema,
    ),
    command(
        ".indexes",
        "[TABLE]",
        (0, 1),
        "list the indexes of the table, or all of them",
        indexes,
    ),
    command(".sequences", "", (0, 0), "list the sequences", sequences),
    command(
        ".functions",
        "[PATTERN]",
        (0, 1),
        "list the functions whose name has PATTERN in it (* for anything)",
        functions,
    ),
    command(
        ".mode",
        "[FORMAT]",
        (0, 1),
        "show results as box, csv, json, jsonl, markdown, line or list",
        mode,
    ),
    command(
        ".timer",
        "[on|off]",
        (0, 1),
        "show how long each statement took",
        timer,
    ),
    command(
        ".read",
        "FILE",
        (1, 1),
        "run the SQL script in FILE",
        nothing,
    ),
    command(
        ".import",
        "FILE TABLE",
        (2, 2),
        "load a CSV file with a header; makes the table if it is missing",
        import_csv,
    ),
    command(
        ".checkpoint",
        "",
        (0, 0),
        "write an image of all tables, so that the log before it can go",
        checkpoint,
    ),
    command(
        ".backup",
        "DIR",
        (1, 1),
        "copy the database as it is now into DIR, which is made or must be empty",
        backup,
    ),
    command(
        ".restore",
        "DIR",
        (1, 1),
        "load the database in DIR into memory, in place of the one in memory",
        restore,
    ),
    command(
        ".stats",
        "",
        (0, 0),
        "show where the database lives and what memory it takes",
        stats,
    ),
];

const fn command(
    name: &'static str,
    arguments: &'static str,
    counts: (usize, usize),
    help: &'static str,
    run: fn(&mut Shell, &[String]) -> Result<(), Failure>,
) -> Command {
    Command {
        name,
        arguments,
        counts,
        help,
        run,
    }
}

/// The names of all commands.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|command| command.name)
}

/// Runs the command in a line.
pub(crate) fn run(shell: &mut Shell, line: &str) -> Result<(), Stop> {
    let mut words = match words(line) {
        Ok(words) => words.into_iter(),
        Err(text) => return shell.complain(&text),
    };
    let name = words.next().unwrap_or_default();
    let arguments: Vec<String> = words.collect();
    let command = match find(&name) {
        Ok(command) => command,
        Err(text) => return shell.complain(&text),
    };
    let (least, most) = command.counts;
    if !(least..=most).contains(&arguments.len()) {
        return shell.complain(&format!("usage: {} {}", command.name, command.arguments));
    }
    match command.name {
        ".quit" | ".exit" => return Err(Stop::Quit),
        ".read" => return shell.run_file(Path::new(&arguments[0])),
        _ => {}
    }
    match (command.run)(shell, &arguments) {
        Ok(()) => Ok(()),
        Err(Failure::Sql(error)) => shell.fail(&error, ""),
        Err(Failure::Output(error)) => Err(Stop::Output(error)),
    }
}

/// The command of that name, or the only one that begins so.
fn find(name: &str) -> Result<&'static Command, String> {
    if let Some(exact) = COMMANDS.iter().find(|command| command.name == name) {
        return Ok(exact);
    }
    let mut begun = COMMANDS
        .iter()
        .filter(|c| name.len() > 1 && c.name.starts_with(name));
    match (begun.next(), begun.next()) {
        (Some(only), None) => Ok(only),
        (Some(one), Some(other)) => Err(format!(
            "{name} is ambiguous: {} or {}?",
            one.name, other.name
        )),
        (None, _) => {
            let hint = nearest(name, names()).map(|name| format!(", did you mean {name}?"));
            Err(format!(
                "unknown command {name}{}",
                hint.unwrap_or_else(|| ", try .help".to_owned())
            ))
        }
    }
}

/// The candidate that a typing error away could have been meant.
fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |candidate: &&str| strsim::damerau_levenshtein(word, candidate);
    candidates
        .min_by_key(distance)
        .filter(|best| distance(best) <= 2.min(word.len() / 2))
}

/// Cuts a line into words.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut chars = line.trim().chars().peekable();
    while let Some(&first) = chars.peek() {
        if first.is_whitespace() {
            chars.next();
            continue;
        }
        let mut word = String::new();
        if first == '\'' || first == '"' {
            chars.next();
            loop {
                match chars.next() {
                    Some(c) if c == first => break,
                    Some(c) => word.push(c),
                    None => return Err(format!("the {first} has no end")),
                }
            }
        } else {
            while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
                word.push(c);
            }
        }
        words.push(word);
    }
    // People end lines with a semicolon out of habit.
    if words.last().is_some_and(|last| last == ";") {
        words.pop();
    } else if let Some(last) = words.last_mut()
        && last.len() > 1
        && last.ends_with(';')
    {
        last.pop();
    }
    Ok(words)
}

fn wrong(text: impl Display) -> Failure {
    Failure::Sql(Error::new("22023", text.to_string()))
}

/// A name as the engine keeps it: folded, where no table is called exactly so.
fn table_name(shell: &Shell, word: &str) -> Result<String, Failure> {
    let exact = relations(shell)?.iter().any(|relation| relation == word);
    Ok(if exact {
        word.to_owned()
    } else {
        word.to_lowercase()
    })
}

fn nothing(_: &mut Shell, _: &[String]) -> Result<(), Failure> {
    Ok(())
}

fn help(shell: &mut Shell, arguments: &[String]) -> Result<(), Failure> {
    for command in COMMANDS {
        let shown = arguments.first().is_none_or(|wanted| {
            command
                .name
                .trim_start_matches('.')
                .starts_with(wanted.trim_start_matches('.'))
        });
        if shown {
            let usage = format!("{} {}", command.name, command.arguments);
            writeln!(shell.out, "{usage:<20} {}", command.help)?;
        }
    }
    Ok(())
}

fn open(shell: &mut Shell, arguments: &[String]) -> Result<(), Failure> {
    let database = match arguments.first() {
        Some(directory) => Database::open(directory)?,
        None => Database::in_memory()?,
    };
    change_to(shell, database)
}

fn backup(shell: &mut Shell, arguments: &[String]) -> Result<(), Failure> {
    let report = shell.database.backup_to(&arguments[0])?;
    writeln!(
        shell.out,
        "{} rows in {} bytes of images",
        report.rows, report.bytes
    )?;
    Ok(())
}

fn restore(shell: &mut Shell, arguments: &[String]) -> Result<(), Failure> {
    if shell.database.directory().is_some() {
        return Err(wrong(
            "this database is in a directory, and stays as it is: .open a new one in memory first, \
             or .open a backup",
        ));
    }
    let database = Database::load(&arguments[0])?;
    change_to(shell, database)
}

/// Goes on with another database, and closes the one before.
fn change_to(shell: &mut Shell, database: Database) -> Result<(), Failure> {
    let connection = database.connect()?;
    shell.interrupt.follow(connection.interrupt_handle());
    shell.connection = connection;
    let before = std::mem::replace(&mut shell.database, database);
    if shell.interactive {
        writeln!(shell.out, "{}", prompt::origin(shell))?;
    }
    Ok(before.close()?)
}

fn tables(shell: &mut Shell, _: &[String]) -> Result<(), Failure> {
    for relation in relations(shell)? {
        writeln!(shell.out, "{relation}")?;
    }
    Ok(())
}

fn sequences(shell: &mut Shell, _: &[String]) -> Result<(), Failure> {
    for sequence in shell.connection.sequences()? {
        writeln!(shell.out, "{sequence}")?;
    }
    Ok(())
}

fn functions(shell: &mut Shell, arguments: &[String]) -> Result<(), Failure> {
    let pattern = arguments.first().map(|word| word.to_lowercase());
    let pattern = pattern.unwrap_or_default();
    let pieces: Vec<&str> = pattern.split('*').collect();
    let is_meant = |name: &str| {
        // Piece by piece, each behind the one before.
        let rest = pieces.iter().try_fold(name, |rest, piece| {
            rest.find(piece).map(|at| &rest[at + piece.len()..])
        });
        rest.is_some()
    };
    for entry in entries().into_iter().filter(|entry| is_meant(entry.name)) {
        write!(shell.out, "{entry}")?;
    }
    Ok(())
}

/// The names of all tables and views, in order.
fn relations(shell: &Shell) -> Result<Vec<String>, Failure> {
    let mut names = shell.connection.tables()?;
    names.extend(shell.connection.views()?);
    names.sort();
    Ok(names)
}

fn schema(shell: &mut Shell, arguments: &[String]) -> Result<(), Failure> {
    let table = arguments
        .first()
        .map(|word| table_name(shell, word))
        .transpose()?;
    for statement in shell.connection.schema(table.as_deref())? {
        writeln!(shell.out, "{statement}")?;
    }
    Ok(())
}

fn indexes(shell: &mut Shell, arguments: &[String]) -> Result<(), Failure> {
    let table = arguments
        .first()
        .map(|word| table_name(shell, word))
        .transpose()?;
    for index in shell.connection.indexes(table.as_deref())? {
        writeln!(
            shell.out,
            "{} on {}: {}",
            index.name, index.table, index.sql
        )?;
    }
    Ok(())
}

fn mode(shell: &mut Shell, arguments: &[String]) -> Result<(), Failure> {
    let names: Vec<String> = Format::value_variants()
        .iter()
        .filter_map(|format| Some(format.to_possible_value()?.get_name().to_owned()))
        .collect();
    let Some(word) = arguments.first() else {
        let current = shell.format.to_possible_value();
        let name = current.as_ref().map_or("", |value| value.get_name());
        writeln!(shell.out, "{name} (of {})", names.join(", "))?;
        return Ok(());
    };
    match Format::from_str(word, true) {
        Ok(format) => {
            shell.format = format;
            Ok(())
        }
        Err(_) => {
            let hint = nearest(word, names.iter().map(String::as_str));
            let hint = hint.map(|name| format!(", did you mean {name}?"));
            Err(wrong(format_args!(
                "there is no format {word}{}",
                hint.unwrap_or_else(|| format!(", there are {}", names.join(", ")))
            )))
        }
    }
}

fn timer(shell: &mut Shell, arguments: &[String]) -> Result<(), Failure> {
    shell.timer = match arguments.first().map(String::as_str) {
        None => !shell.timer,
        Some("on") => true,
        Some("off") => false,
        Some(other) => return Err(wrong(format_args!("the timer is on or off, not {other}"))),
    };
    Ok(())
}

fn import_csv(shell: &mut Shell, arguments: &[String]) -> Result<(), Failure> {
    let running = shell.interrupt.begin();
    let table = table_name(shell, &arguments[1])?;
    let result = import::import(&shell.connection, Path::new(&arguments[0]), &table);
    drop(running);
    let imported = result?;
    if shell.interactive {
        let made = if imported.created {
            " into a new table"
        } else {
            ""
        };
        writeln!(shell.out, "{} rows{made}", imported.rows)?;
    }
    Ok(())
}

fn checkpoint(shell: &mut Shell, _: &[String]) -> Result<(), Failure> {
    let report = shell.database.checkpoint()?;
    match shell.database.directory() {
        Some(_) => writeln!(
            shell.out,
            "{} rows, {} bytes written",
            report.rows, report.bytes
        )?,
        None => writeln!(
            shell.out,
            "nothing to write: the database is in memory only"
        )?,
    }
    Ok(())
}

fn stats(shell: &mut Shell, _: &[String]) -> Result<(), Failure> {
    let status = shell.database.durability_status();
    let window = status.log.and_then(|log| log.loss_window);
    let durability = match status.level {
        Durability::Memory => "memory (nothing is logged)".to_owned(),
        Durability::Buffered => {
            let window = window.unwrap_or_default().as_millis();
            format!("buffered (durable within {window} ms)")
        }
        Durability::Sync => "sync (durable when acknowledged)".to_owned(),
    };
    let origin = prompt::origin(shell);
    let memory = shell.database.memory();
    writeln!(shell.out, "{origin}")?;
    writeln!(shell.out, "durability   {durability}")?;
    writeln!(
        shell.out,
        "tables       {}",
        shell.connection.tables()?.len()
    )?;
    writeln!(
        shell.out,
        "memory       {} of {} bytes",
        memory.used, memory.budget
    )?;
    for line in memory.lines {
        writeln!(shell.out, "  {:<18} {:>14}", line.owner, line.bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_may_be_quoted_and_end_in_a_semicolon() {
        assert_eq!(
            words(".import 'my file.csv'  t;").unwrap(),
            [".import", "my file.csv", "t"]
        );
        assert_eq!(words(".tables ;").unwrap(), [".tables"]);
        assert_eq!(words("").unwrap(), Vec::<String>::new());
        assert!(words(".read 'open").is_err());
    }

    #[test]
    fn a_name_may_be_cut_short_but_not_guessed() {
        assert_eq!(find(".tab").map(|c| c.name), Ok(".tables"));
        assert_eq!(find(".tables").map(|c| c.name), Ok(".tables"));
        let text = |name| find(name).map(|c| c.name).unwrap_err();
        assert!(text(".ti3er").contains("did you mean .timer?"));
        assert!(text(".nothing").contains("try .help"));
        assert!(text(".").contains("unknown"));
        assert!(text(".i").contains("ambiguous"));
    }
}
