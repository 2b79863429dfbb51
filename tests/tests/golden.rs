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
    aggregates_of_outer_queries,
    alter_constraints,
    alter_durable,
    alter_table,
    alter_transactions,
    anomalies_serializable,
    anomalies_snapshot,
    arithmetic,
    bad_statements,
    bits,
    changes_in_with,
    chinook,
    client_settings,
    collations,
    collations_durable,
    comments,
    computed_durable,
    computed_indexes,
    composites,
    composites_durable,
    conflicts,
    constraints,
    copy_csv,
    create_table_as,
    deferred,
    deferred_durable,
    delete_then_insert,
    dependencies,
    dirty_read,
    discard,
    domains,
    domains_durable,
    durable,
    enums,
    enums_durable,
    exact_numbers,
    explain_analyze,
    failed_statement,
    first_rows,
    foreign_actions,
    foreign_durable,
    foreign_keys,
    foreign_rivals,
    foreign_traps,
    full_joins,
    functions,
    functions_found,
    generated_columns,
    grouping_sets,
    identity,
    information_schema,
    index_beside_writers,
    job_queue,
    lock_timeout,
    levels,
    like,
    literals,
    lost_update,
    materialized_views,
    merge,
    moving_rows,
    multiranges,
    nulls,
    old_snapshots,
    polymorphic,
    prepared,
    cursors,
    everyday,
    recursive,
    ordered_aggregates,
    parts_of_values,
    names_of_types,
    repeatable_read,
    returning,
    ranges,
    ranges_durable,
    ranges_made,
    ranges_made_durable,
    read_by_template,
    records,
    regular_expressions,
    rivals,
    row_locks,
    rows_as_values,
    routine_sets,
    savepoints,
    search_and_cycle,
    schemas,
    sequences,
    session_zone,
    set_constraints,
    sqlstates,
    set_operations,
    spellings,
    table_functions,
    arrays,
    json,
    json_paths,
    table_samples,
    styles,
    subqueries,
    temporary,
    transaction_block,
    transactional_ddl,
    trigger_order,
    triggers,
    triggers_durable,
    truncate,
    unicode,
    unique_rivals,
    updatable_views,
    views_checked,
    update_from,
    upsert,
    upsert_rivals,
    views,
    what_is_updatable,
    windows,
    zoned_times,
    zones_and_templates,
}
