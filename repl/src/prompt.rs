//! The prompt: reads statements and commands line by line from a person.
//!
//! 1. A line that does not end its statement is kept, and the prompt becomes `   ...> `.
//! 2. *Up* in such a line brings the whole statement back for editing, all its lines at once; so
//!    does recalling a statement from the history. A line that has line breaks in it ends only
//!    where its statement does ([`crate::helper`]).
//! 3. Ctrl-C clears what was typed, Ctrl-D on an empty line ends the shell.
//!
//! The history is kept in the user's state directory; where that cannot be written, the shell
//! works without.

use crate::helper::{EditAll, SqlHelper};
use crate::scan;
use crate::shell::{OnError, Shell, Stop};
use remora::{RecoveryMode, RecoveryReport, TransactionStatus};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Cmd, CompletionType, Config, Editor, EventHandler, KeyCode, KeyEvent, Modifiers};
use std::env;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// Losses that the banner names.
const LOSSES_SHOWN: usize = 10;
/// What took less is not worth a word.
const NOTICEABLE: Duration = Duration::from_millis(100);
/// Statements that the history keeps.
const HISTORY_ENTRIES_MAX: usize = 5_000;
/// The prompt of a line that goes on with a statement.
const CONTINUATION: &str = "   ...> ";

type LineEditor = Editor<SqlHelper, FileHistory>;

/// Reads and runs until the end of the input.
pub(crate) fn run(shell: &mut Shell) -> Result<(), Stop> {
    banner(shell)?;
    let edit_all = EditAll::default();
    let mut editor = match editor(&edit_all) {
        Ok(editor) => editor,
        Err(error) => return shell.complain(&format!("cannot use the terminal: {error}")),
    };
    let history = history_path();
    if let Some(path) = &history {
        let _ = editor.load_history(path);
    }
    let result = read_all(shell, &mut editor, &edit_all);
    if let Some(path) = &history {
        // A history that cannot be kept is no reason to bother anybody.
        let _ = path.parent().map(fs::create_dir_all);
        let _ = editor.save_history(path);
    }
    result
}

fn read_all(shell: &mut Shell, editor: &mut LineEditor, edit_all: &EditAll) -> Result<(), Stop> {
    // Lines of a statement that is not at its end.
    let mut pending = String::new();
    // Text to begin the next line with.
    let mut initial = String::new();
    loop {
        let first = pending.is_empty();
        let prompt = if first { prompt(shell) } else { CONTINUATION };
        if first && let Some(helper) = editor.helper_mut() {
            helper.learn(&shell.connection);
        }
        edit_all.enable(!first);
        let start = std::mem::take(&mut initial);
        let line = match editor.readline_with_initial(prompt, (&start, "")) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => {
                pending.clear();
                continue;
            }
            Err(ReadlineError::Eof) if first => return Ok(()),
            // Ctrl-D within a statement gives it up.
            Err(ReadlineError::Eof) => {
                pending.clear();
                continue;
            }
            Err(error) => return shell.complain(&format!("cannot read the line: {error}")),
        };
        if edit_all.take() {
            initial = std::mem::take(&mut pending) + &line;
            continue;
        }
        pending.push_str(&line);
        if first && line.trim_start().starts_with('.') {
            let _ = editor.add_history_entry(line.trim());
            shell.run_command(line.trim())?;
            pending.clear();
        } else if scan::is_complete(&pending) {
            let text = std::mem::take(&mut pending);
            if !text.trim().is_empty() {
                let _ = editor.add_history_entry(text.trim());
            }
            shell.run_text(&text, OnError::Stop)?;
        } else {
            pending.push('\n');
        }
    }
}

fn editor(edit_all: &EditAll) -> rustyline::Result<LineEditor> {
    let config = Config::builder()
        .max_history_size(HISTORY_ENTRIES_MAX)?
        .history_ignore_dups(true)?
        .completion_type(CompletionType::List)
        .build();
    let mut editor = LineEditor::with_config(config)?;
    editor.set_helper(Some(SqlHelper::default()));
    for key in [KeyEvent(KeyCode::Up, Modifiers::NONE), KeyEvent::ctrl('P')] {
        editor.bind_sequence(key, EventHandler::Conditional(Box::new(edit_all.clone())));
    }
    // Alt-Enter: a line break without an end.
    editor.bind_sequence(KeyEvent(KeyCode::Enter, Modifiers::ALT), Cmd::Newline);
    Ok(editor)
}

fn prompt(shell: &Shell) -> &'static str {
    match shell.connection.transaction_status() {
        TransactionStatus::Idle => "remora> ",
        TransactionStatus::Open => "remora*> ",
        TransactionStatus::Failed => "remora!> ",
    }
}

/// What was opened, and what recovery had to do.
fn banner(shell: &mut Shell) -> Result<(), Stop> {
    let version = env!("CARGO_PKG_VERSION");
    writeln!(
        shell.out,
        "Remora {version}. Type .help for help; end a statement with a semicolon."
    )?;
    let origin = origin(shell);
    writeln!(shell.out, "{origin}")?;
    shell.out.flush()?;
    Ok(())
}

/// One sentence about where the database lives.
pub(crate) fn origin(shell: &Shell) -> String {
    let Some(directory) = shell.database.directory() else {
        return "A transient in-memory database: it ends with the shell (.open DIR for a lasting one)."
            .to_owned();
    };
    let report = shell.database.recovery_report();
    let directory = directory.display();
    if report.created {
        return format!("New database in {directory}.");
    }
    let how = match (report.mode, report.clean) {
        (RecoveryMode::Salvage, _) if report.quarantine.is_some() => "damaged; salvaged",
        (_, true) => "closed cleanly",
        (_, false) => "not closed; recovered",
    };
    let mut text = format!("Database in {directory} ({how}: {}).", work(report));
    if report.bytes_dropped > 0 {
        let why = report
            .dropped_because
            .as_deref()
            .unwrap_or("unfinished at the crash");
        text.push_str(&format!(
            "\n{} bytes at the end of the log dropped: {why}",
            report.bytes_dropped
        ));
    }
    for loss in report.losses.iter().take(LOSSES_SHOWN) {
        text.push_str(&format!("\n{loss}"));
    }
    let more = report.losses.len().saturating_sub(LOSSES_SHOWN);
    if more > 0 {
        text.push_str(&format!(
            "\n.. and {more} more: SELECT * FROM remora_recovery_losses"
        ));
    }
    if let Some(ahead) = report.ahead {
        let seconds = ahead.as_secs();
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        text.push_str(&format!(
            "\nIts time is ahead of this machine's clock by {hours} h {minutes} min: it goes on at half speed until that is \
             caught up. If the clock is right, open it with --accept-clock."
        ));
    }
    if let Some(reason) = &report.full {
        text.push_str(&format!(
            "\nThe disk is full: {reason}. Reads are answered, and writes as soon as there is room."
        ));
    }
    if let Some(folder) = &report.quarantine {
        text.push_str(&format!("\nWhat was there is in {directory}/{folder}."));
    }
    text
}

/// What opening did, with the time of what took long enough to be noticed.
fn work(report: &RecoveryReport) -> String {
    let took = |phase: usize| {
        let took = report.elapsed[phase];
        match took < NOTICEABLE {
            true => String::new(),
            false => format!(" in {:.1} s", took.as_secs_f64()),
        }
    };
    let mut work = format!(
        "{} rows from images{}, {} log frames replayed{}",
        report.rows_loaded,
        took(0),
        report.frames_replayed,
        took(1)
    );
    if report.elapsed[2] >= NOTICEABLE {
        work.push_str(&format!(
            ", {} index entries{}",
            report.index_entries,
            took(2)
        ));
    }
    work
}

/// `$XDG_STATE_HOME/remora/history`, by default below `~/.local/state`.
fn history_path() -> Option<PathBuf> {
    let state = match env::var_os("XDG_STATE_HOME").filter(|path| !path.is_empty()) {
        Some(state) => PathBuf::from(state),
        None => env::home_dir()?.join(".local/state"),
    };
    Some(state.join("remora/history"))
}
