//! TPC-H at a hundredth: all queries give the reference answers.

use remora_tests::tpch;

#[test]
fn all_queries_give_the_reference_answers() {
    let database = tpch::load(0.01).expect("the tables are made");
    let answers = tpch::ask_all(&database, "0.01").expect("all queries run");
    let wrong = answers.iter().filter(|answer| answer.difference.is_some());
    let wrong: Vec<String> = wrong.map(|answer| format!("{answer:?}")).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(answers.len(), tpch::QUERIES);
}
