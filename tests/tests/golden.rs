//! Every story in `golden/`, a test each.

use remora_tests::{golden, source};

macro_rules! stories {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                let path = source::root().join(concat!("tests/golden/", stringify!($name), ".txt"));
                if let Err(report) = golden::check(&path) {
                    panic!("{report}");
                }
            }
        )*

        #[test]
        fn every_story_is_run() {
            let named = [$(stringify!($name)),*];
            for path in source::files(&source::root().join("tests/golden"), "txt") {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                assert!(named.contains(&&*stem), "add `{stem}` to the list of stories");
            }
        }
    };
}

stories! {
    alter_durable,
    alter_table,
    alter_transactions,
    anomalies_serializable,
    anomalies_snapshot,
    arithmetic,
    bad_statements,
    chinook,
    client_settings,
    conflicts,
    constraints,
    copy_csv,
    create_table_as,
    delete_then_insert,
    dirty_read,
    durable,
    failed_statement,
    first_rows,
    foreign_actions,
    foreign_durable,
    foreign_keys,
    foreign_rivals,
    foreign_traps,
    full_joins,
    grouping_sets,
    identity,
    index_beside_writers,
    job_queue,
    lock_timeout,
    levels,
    literals,
    lost_update,
    merge,
    moving_rows,
    nulls,
    old_snapshots,
    prepared,
    recursive,
    ordered_aggregates,
    repeatable_read,
    returning,
    regular_expressions,
    rivals,
    row_locks,
    savepoints,
    sequences,
    set_operations,
    table_functions,
    subqueries,
    transaction_block,
    transactional_ddl,
    truncate,
    unique_rivals,
    update_from,
    upsert,
    upsert_rivals,
    views,
    windows,
    zones_and_templates,
}
