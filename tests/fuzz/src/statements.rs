//! What the target `sql` begins with: the stories of the golden scripts, the examples of the documents, the logic
//! tests, and a dictionary of the words that occur in them, so that a change puts in another word and not a letter.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Golden scripts, whose lines `a> SELECT 1` are what connections are asked.
const SCRIPTS: &str = "../golden";
/// Documents, whose blocks begin with ```` ```sql ````.
const DOCUMENTS: &str = "../../docs/sql";
/// Logic tests: records apart by empty lines, what is expected behind `----`.
const RECORDS: &str = "../slt";

/// A word of fewer texts than this is one that a text made up.
const TEXTS_MIN: usize = 3;

/// Writes the seeds into `corpus/sql`, a text each, and `corpus/sql.dict`.
pub fn write_all() -> Result<(), Box<dyn Error>> {
    let folder = Path::new("corpus/sql");
    fs::create_dir_all(folder)?;
    let mut words = BTreeMap::new();
    for (source, texts_of) in [
        (SCRIPTS, stories as fn(&str) -> Vec<String>),
        (DOCUMENTS, examples),
        (RECORDS, records),
    ] {
        for path in files(source)? {
            let name = path.file_stem().ok_or("a file has a name")?.display();
            let texts = texts_of(&fs::read_to_string(&path)?);
            for (number, text) in texts.iter().enumerate() {
                count_words(text, &mut words);
                fs::write(folder.join(format!("{name}-{number}")), text)?;
            }
        }
    }
    Ok(fs::write("corpus/sql.dict", dictionary(&words))?)
}

fn files(folder: &str) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let is_text = |path: &PathBuf| {
        path.extension()
            .is_some_and(|extension| ["txt", "md", "slt"].iter().any(|known| extension == *known))
    };
    paths.filter(|path| path.as_ref().map_or(true, is_text)).collect()
}

fn stories(script: &str) -> Vec<String> {
    let stories = script.split("\n\n").map(|story| {
        let asked = story.lines().filter_map(|line| {
            let (label, sql) = line.split_once("> ")?;
            label.chars().all(|c| c.is_ascii_lowercase()).then_some(sql)
        });
        asked.collect::<Vec<_>>().join(";\n")
    });
    stories.filter(|text| !text.is_empty()).collect()
}

fn examples(document: &str) -> Vec<String> {
    let blocks = document.split("```sql\n").skip(1);
    let blocks = blocks.filter_map(|rest| rest.split_once("\n```").map(|(block, _)| block));
    blocks
        .map(|block| {
            let lines = block.lines().map(|line| line.split("-->").next().unwrap_or(line));
            lines.collect::<Vec<_>>().join("\n")
        })
        .collect()
}

fn records(tests: &str) -> Vec<String> {
    let asked = tests.split("\n\n").filter_map(|record| {
        let (head, rest) = record.trim_start().split_once('\n')?;
        let is_asked = head.starts_with("statement") || head.starts_with("query");
        is_asked.then(|| rest.split("\n----").next().unwrap_or(rest))
    });
    let asked: Vec<&str> = asked.collect();
    asked.chunks(8).map(|some| some.join(";\n")).collect()
}

/// Counts the texts in which each word occurs.
fn count_words(text: &str, words: &mut BTreeMap<String, usize>) {
    let mut of_text: Vec<&str> = text
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| (2..=40).contains(&word.len()))
        .collect();
    of_text.sort_unstable();
    of_text.dedup();
    for word in of_text {
        *words.entry(word.to_owned()).or_default() += 1;
    }
}

/// In libFuzzer's form: a quoted word a line, with a blank before and behind, and the operators.
fn dictionary(words: &BTreeMap<String, usize>) -> String {
    const OPERATORS: [&str; 24] = [
        "::", "->", "->>", "#>", "#>>", "@>", "<@", "?|", "?&", "@?", "@@", "||", "!~~*", "<>", ">=", "<<", "&&",
        "-|-", "$1", "''", "E'\\\\", "$$", "/*", "--",
    ];
    let mut text = String::new();
    for operator in OPERATORS {
        let _ = writeln!(text, "\"{operator}\"");
    }
    for (word, texts) in words {
        if *texts >= TEXTS_MIN {
            let _ = writeln!(text, "\" {word} \"");
        }
    }
    text
}
