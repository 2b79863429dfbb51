//! The list of functions is that of the definitions, and its examples give what they say.

use remora::internal::manual::{entries, page};
use remora_tests::source::{read, root};

#[test]
fn the_page_is_what_the_definitions_say() {
    let path = root().join("docs/sql/function_list.md");
    let made = page();
    if std::env::var_os("UPDATE_FUNCTION_LIST").is_some() {
        std::fs::write(&path, &made).expect("the page is written");
    }
    let kept = if path.exists() {
        read(&path)
    } else {
        String::new()
    };
    assert!(
        kept == made,
        "docs/sql/function_list.md is stale: UPDATE_FUNCTION_LIST=1 cargo test -p remora-tests --test function_list"
    );
}

#[test]
fn the_examples_give_what_they_say() {
    let database = remora::Database::in_memory().expect("a database in memory");
    let conn = database.connect().expect("a connection");
    let mut wrong = Vec::new();
    let mut count = 0;
    for example in entries().into_iter().flat_map(|entry| entry.examples) {
        count += 1;
        let found = match conn.run(&example.query(), []) {
            Err(error) => error.to_string(),
            Ok(outcome) => {
                let Some(rows) = outcome.rows else { continue };
                let line = |row: remora::Row<'_>| {
                    let texts = row.values().zip(rows.columns()).map(|(value, column)| {
                        let text = remora::internal::text::format(value, column.data_type);
                        text.unwrap_or_else(|| "NULL".to_owned())
                    });
                    texts.collect::<Vec<_>>().join("|")
                };
                rows.iter().map(line).collect::<Vec<_>>().join("; ")
            }
        };
        if found != example.result {
            wrong.push(format!("{}: {found}, not {}", example.sql, example.result));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 150, "functions have examples: {count}");
}

#[test]
fn what_there_is_has_a_description() {
    let bare = entries().into_iter().filter(|entry| entry.doc.is_empty());
    let bare: Vec<String> = bare.map(|entry| entry.call).collect();
    assert!(bare.is_empty(), "{bare:?}");
}
