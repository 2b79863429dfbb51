//! One small result with everything awkward in it, in every format.

use super::{Cell, Column, renderer};
use crate::args::Format;
use remora::DataType;

fn render(format: Format) -> String {
    let columns = [
        ("id", DataType::Integer),
        ("name", DataType::Text),
        ("ok", DataType::Boolean),
    ];
    let columns: Vec<Column> = columns
        .map(|(name, data_type)| Column {
            name: name.to_owned(),
            data_type,
        })
        .into();
    let rows: [[Cell; 3]; 4] = [
        [Some("1"), Some("a,\"b\"|c"), Some("t")],
        [Some("-20"), None, None],
        [Some("3"), Some(""), Some("f")],
        [Some("4"), Some("日本\nx\u{1b}[m"), Some("t")],
    ]
    .map(|row| row.map(|cell| cell.map(str::to_owned)));
    let mut out = Vec::new();
    let mut renderer = renderer(format);
    renderer.begin(&mut out, &columns).unwrap();
    for row in rows {
        renderer.row(&mut out, row.into()).unwrap();
    }
    renderer.end(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn box_aligns_numbers_right_and_shows_null() {
    assert_eq!(
        render(Format::Box),
        "\
┌─────┬───────────┬──────┐
│  id │ name      │ ok   │
╞═════╪═══════════╪══════╡
│   1 │ a,\"b\"|c   │ t    │
│ -20 │ NULL      │ NULL │
│   3 │           │ f    │
│   4 │ 日本      │ t    │
│     │ x\\u{1b}[m │      │
└─────┴───────────┴──────┘
(4 rows)
"
    );
}

#[test]
fn csv_tells_null_from_empty() {
    assert_eq!(
        render(Format::Csv),
        "id,name,ok\n1,\"a,\"\"b\"\"|c\",t\n-20,,\n3,\"\",f\n4,\"日本\nx\u{1b}[m\",t\n"
    );
}

#[test]
fn json_keeps_types() {
    let rows = [
        r#"{"id":1,"name":"a,\"b\"|c","ok":true}"#,
        r#"{"id":-20,"name":null,"ok":null}"#,
        r#"{"id":3,"name":"","ok":false}"#,
        r#"{"id":4,"name":"日本\nx\u001b[m","ok":true}"#,
    ];
    assert_eq!(render(Format::Jsonl), rows.join("\n") + "\n");
    assert_eq!(render(Format::Json), format!("[{}]\n", rows.join(",\n")));
}

#[test]
fn markdown_escapes_what_would_break_the_table() {
    assert_eq!(
        render(Format::Markdown),
        "| id | name | ok |\n| ---: | --- | --- |\n| 1 | a,\"b\"\\|c | t |\n| -20 | NULL | NULL |\n\
         | 3 |  | f |\n| 4 | 日本<br>x\\u{1b}[m | t |\n"
    );
}

#[test]
fn line_and_list() {
    let line = render(Format::Line);
    assert!(line.starts_with("  id = 1\nname = a,\"b\"|c\n  ok = t\n\n  id = -20\nname = NULL\n"));
    let list = render(Format::List);
    assert!(list.starts_with("id|name|ok\n1|a,\"b\"|c|t\n-20||\n3||f\n"));
}

#[test]
fn numbers_that_json_does_not_hold_are_strings() {
    use super::json::value;
    let shown = |text: &str, data_type| value(Some(text), data_type);
    assert_eq!(
        shown("9007199254740992", DataType::BigInt),
        "9007199254740992"
    );
    assert_eq!(
        shown("9007199254740993", DataType::BigInt),
        "\"9007199254740993\""
    );
    assert_eq!(shown("1e+20", DataType::Double), "1e+20");
    assert_eq!(shown("NaN", DataType::Double), "\"NaN\"");
    assert_eq!(shown("1.50", DataType::Numeric(None)), "\"1.50\"");
}
