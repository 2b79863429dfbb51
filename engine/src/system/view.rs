//! Views of the system tables: the rest of `pg_catalog`, and `information_schema`.
//!
//! They are queries in SQL, bound where they are named as the queries of other views are. Names in them are looked
//! for in `pg_catalog` only.

/// A view that is always there.
#[derive(Debug)]
pub(crate) struct SystemView {
    /// The schema.
    pub schema: &'static str,
    /// The name.
    pub name: &'static str,
    /// What it shows.
    pub query: &'static str,
}

const fn pg(name: &'static str, query: &'static str) -> SystemView {
    SystemView {
        schema: "pg_catalog",
        name,
        query,
    }
}

const fn standard(name: &'static str, query: &'static str) -> SystemView {
    SystemView {
        schema: "information_schema",
        name,
        query,
    }
}

/// All of them.
pub(crate) static SYSTEM_VIEWS: &[SystemView] = &[
    pg(
        "pg_tables",
        "SELECT n.nspname AS schemaname, c.relname AS tablename, 'remora' AS tableowner, NULL::text AS tablespace,
                c.relhasindex AS hasindexes, c.relhasrules AS hasrules, c.relhastriggers AS hastriggers,
                c.relrowsecurity AS rowsecurity
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r'",
    ),
    pg(
        "pg_views",
        "SELECT n.nspname AS schemaname, c.relname AS viewname, 'remora' AS viewowner, r.ev_action AS definition
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_rewrite r ON r.ev_class = c.oid
         WHERE c.relkind = 'v'",
    ),
    pg(
        "pg_indexes",
        "SELECT n.nspname AS schemaname, t.relname AS tablename, i.relname AS indexname, NULL::text AS tablespace,
                x.indexdef
         FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
              JOIN pg_namespace n ON n.oid = t.relnamespace",
    ),
    pg(
        "pg_collation",
        "SELECT v.oid::bigint AS oid, v.collname, n.oid AS collnamespace, n.nspowner AS collowner, 'c' AS collprovider,
                v.collname <> 'nocase' AS collisdeterministic, v.collencoding, 'C' AS collcollate, 'C' AS collctype,
                NULL::text AS colliculocale, NULL::text AS collversion
         FROM (VALUES (100, 'default', -1), (950, 'C', -1), (951, 'POSIX', -1), (952, 'ucs_basic', 6),
                      (953, 'nocase', 6)) v(oid, collname, collencoding)
              JOIN pg_namespace n ON n.nspname = 'pg_catalog'",
    ),
    pg(
        "pg_user",
        "SELECT rolname AS usename, oid AS usesysid, true AS usecreatedb, rolsuper AS usesuper FROM pg_roles",
    ),
    standard(
        "schemata",
        "SELECT 'remora' AS catalog_name, nspname AS schema_name, 'remora' AS schema_owner,
                NULL::text AS default_character_set_catalog, NULL::text AS default_character_set_schema,
                NULL::text AS default_character_set_name, NULL::text AS sql_path
         FROM pg_namespace",
    ),
    standard(
        "tables",
        "SELECT 'remora' AS table_catalog, n.nspname AS table_schema, c.relname AS table_name,
                CASE WHEN c.relpersistence = 't' THEN 'LOCAL TEMPORARY' WHEN c.relkind = 'r' THEN 'BASE TABLE'
                     WHEN c.relkind = 'f' THEN 'FOREIGN' ELSE 'VIEW' END AS table_type,
                NULL::text AS self_referencing_column_name, NULL::text AS reference_generation,
                NULL::text AS user_defined_type_catalog, NULL::text AS user_defined_type_schema,
                NULL::text AS user_defined_type_name,
                CASE WHEN pg_relation_is_updatable(c.oid, false) & 8 = 8 THEN 'YES' ELSE 'NO' END AS is_insertable_into,
                'NO' AS is_typed,
                NULL::text AS commit_action
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'v', 'f')",
    ),
    standard(
        "columns",
        "SELECT 'remora' AS table_catalog, n.nspname AS table_schema, c.relname AS table_name,
                a.attname AS column_name, a.attnum::integer AS ordinal_position, d.adbin AS column_default,
                CASE WHEN a.attnotnull THEN 'NO' ELSE 'YES' END AS is_nullable,
                CASE WHEN t.typcategory = 'A' THEN 'ARRAY' WHEN t.typtype = 'e' THEN 'USER-DEFINED' ELSE format_type(t.oid, NULL) END AS data_type,
                CASE WHEN t.typname IN ('varchar', 'bpchar') AND a.atttypmod > 4 THEN a.atttypmod - 4
                     END AS character_maximum_length,
                CASE t.typname WHEN 'int2' THEN 16 WHEN 'int4' THEN 32 WHEN 'int8' THEN 64 WHEN 'float4' THEN 24
                     WHEN 'float8' THEN 53
                     WHEN 'numeric' THEN CASE WHEN a.atttypmod >= 4 THEN (a.atttypmod - 4) >> 16 END
                     END AS numeric_precision,
                CASE WHEN t.typname IN ('int2', 'int4', 'int8', 'float4', 'float8') THEN 2
                     WHEN t.typname = 'numeric' THEN 10 END AS numeric_precision_radix,
                CASE WHEN t.typname IN ('int2', 'int4', 'int8') THEN 0
                     WHEN t.typname = 'numeric' AND a.atttypmod >= 4 THEN (a.atttypmod - 4) & 65535
                     END AS numeric_scale,
                CASE WHEN t.typcategory IN ('D', 'T') THEN CASE WHEN t.typname = 'date' THEN 0 ELSE 6 END
                     END AS datetime_precision,
                CASE WHEN o.collname <> 'default' THEN 'pg_catalog' END AS collation_schema,
                CASE WHEN o.collname <> 'default' THEN o.collname END AS collation_name,
                CASE q.typtype WHEN 'd' THEN w.nspname END AS domain_schema,
                CASE q.typtype WHEN 'd' THEN q.typname END AS domain_name,
                coalesce(m.nspname, 'pg_catalog') AS udt_schema, t.typname AS udt_name,
                CASE WHEN a.attidentity = '' THEN 'NO' ELSE 'YES' END AS is_identity,
                CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END AS identity_generation,
                CASE WHEN a.attgenerated = '' THEN 'NEVER' ELSE 'ALWAYS' END AS is_generated,
                NULL::text AS generation_expression,
                CASE WHEN pg_column_is_updatable(c.oid, a.attnum, false) THEN 'YES' ELSE 'NO' END AS is_updatable
         FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
              LEFT JOIN pg_type q ON q.oid = a.atttypid LEFT JOIN pg_namespace w ON w.oid = q.typnamespace
              LEFT JOIN pg_type t ON t.oid = CASE q.typtype WHEN 'd' THEN q.typbasetype ELSE q.oid END
              LEFT JOIN pg_namespace m ON m.oid = t.typnamespace
              LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
              LEFT JOIN pg_collation o ON o.oid = a.attcollation
         WHERE c.relkind IN ('r', 'v', 'f')",
    ),
    standard(
        "domains",
        "SELECT 'remora' AS domain_catalog, n.nspname AS domain_schema, t.typname AS domain_name,
                CASE WHEN b.typcategory = 'A' THEN 'ARRAY' WHEN b.typtype = 'e' THEN 'USER-DEFINED'
                     ELSE format_type(b.oid, NULL) END AS data_type,
                'remora' AS udt_catalog, m.nspname AS udt_schema, b.typname AS udt_name
         FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_type b ON b.oid = t.typbasetype
              JOIN pg_namespace m ON m.oid = b.typnamespace
         WHERE t.typtype = 'd'",
    ),
    standard(
        "views",
        "SELECT 'remora' AS table_catalog, n.nspname AS table_schema, c.relname AS table_name,
                r.ev_action AS view_definition,
                CASE c.reloptions WHEN '{check_option=local}' THEN 'LOCAL' WHEN '{check_option=cascaded}' THEN 'CASCADED'
                     ELSE 'NONE' END AS check_option,
                CASE WHEN pg_relation_is_updatable(c.oid, false) & 20 = 20 THEN 'YES' ELSE 'NO' END AS is_updatable,
                CASE WHEN pg_relation_is_updatable(c.oid, false) & 8 = 8 THEN 'YES' ELSE 'NO' END AS is_insertable_into,
                CASE WHEN EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgtype & 81 = 81)
                     THEN 'YES' ELSE 'NO' END AS is_trigger_updatable,
                CASE WHEN EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgtype & 73 = 73)
                     THEN 'YES' ELSE 'NO' END AS is_trigger_deletable,
                CASE WHEN EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgtype & 69 = 69)
                     THEN 'YES' ELSE 'NO' END AS is_trigger_insertable_into
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_rewrite r ON r.ev_class = c.oid
         WHERE c.relkind = 'v'",
    ),
    standard(
        "triggers",
        "SELECT 'remora' AS trigger_catalog, n.nspname AS trigger_schema, t.tgname AS trigger_name,
                e.event AS event_manipulation, 'remora' AS event_object_catalog,
                n.nspname AS event_object_schema, c.relname AS event_object_table,
                rank() OVER (PARTITION BY n.nspname, c.relname, e.event, t.tgtype & 67
                             ORDER BY t.tgname)::integer AS action_order,
                '(' || t.tgqual || ')' AS action_condition, 'BEGIN ' || t.tgbody || ' END' AS action_statement,
                CASE t.tgtype & 1 WHEN 1 THEN 'ROW' ELSE 'STATEMENT' END AS action_orientation,
                CASE t.tgtype & 66 WHEN 2 THEN 'BEFORE' WHEN 64 THEN 'INSTEAD OF' ELSE 'AFTER'
                     END AS action_timing,
                t.tgoldtable AS action_reference_old_table, t.tgnewtable AS action_reference_new_table,
                NULL::text AS action_reference_old_row, NULL::text AS action_reference_new_row,
                NULL::timestamptz AS created
         FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
              JOIN (VALUES (4, 'INSERT'), (8, 'DELETE'), (16, 'UPDATE')) AS e (bit, event)
                   ON (t.tgtype & e.bit) <> 0",
    ),
    standard(
        "sequences",
        "SELECT 'remora' AS sequence_catalog, n.nspname AS sequence_schema, c.relname AS sequence_name,
                format_type(q.seqtypid, NULL) AS data_type,
                CASE q.seqtypid WHEN 21 THEN 16 WHEN 23 THEN 32 ELSE 64 END AS numeric_precision,
                2 AS numeric_precision_radix, 0 AS numeric_scale, q.seqstart::text AS start_value,
                q.seqmin::text AS minimum_value, q.seqmax::text AS maximum_value,
                q.seqincrement::text AS increment, CASE WHEN q.seqcycle THEN 'YES' ELSE 'NO' END AS cycle_option
         FROM pg_sequence q JOIN pg_class c ON c.oid = q.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE NOT q.seqidentity",
    ),
    standard(
        "table_constraints",
        "SELECT 'remora' AS constraint_catalog, n.nspname AS constraint_schema, k.conname AS constraint_name,
                'remora' AS table_catalog, n.nspname AS table_schema, c.relname AS table_name,
                CASE k.contype WHEN 'p' THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' WHEN 'f' THEN 'FOREIGN KEY'
                     ELSE 'CHECK' END AS constraint_type,
                CASE WHEN k.condeferrable THEN 'YES' ELSE 'NO' END AS is_deferrable,
                CASE WHEN k.condeferred THEN 'YES' ELSE 'NO' END AS initially_deferred, 'YES' AS enforced,
                CASE WHEN k.contype = 'u' THEN 'YES' END AS nulls_distinct
         FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = k.connamespace",
    ),
    standard(
        "key_column_usage",
        "SELECT 'remora' AS constraint_catalog, n.nspname AS constraint_schema, k.conname AS constraint_name,
                'remora' AS table_catalog, n.nspname AS table_schema, c.relname AS table_name,
                a.attname AS column_name, u.position AS ordinal_position,
                CASE WHEN k.contype = 'f' THEN u.position END AS position_in_unique_constraint
         FROM pg_constraint k JOIN remora_constraint_columns u ON u.conoid = k.oid
              JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = k.connamespace
              JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum
         WHERE k.contype IN ('p', 'u', 'f')",
    ),
    standard(
        "constraint_column_usage",
        "SELECT 'remora' AS table_catalog, m.nspname AS table_schema, c.relname AS table_name,
                a.attname AS column_name, 'remora' AS constraint_catalog, n.nspname AS constraint_schema,
                k.conname AS constraint_name
         FROM pg_constraint k JOIN remora_constraint_columns u ON u.conoid = k.oid
              JOIN pg_class c ON c.oid = coalesce(u.confrelid, u.conrelid)
              JOIN pg_namespace m ON m.oid = c.relnamespace JOIN pg_namespace n ON n.oid = k.connamespace
              JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = coalesce(u.confattnum, u.attnum)",
    ),
    standard(
        "referential_constraints",
        "SELECT 'remora' AS constraint_catalog, n.nspname AS constraint_schema, k.conname AS constraint_name,
                'remora' AS unique_constraint_catalog, m.nspname AS unique_constraint_schema,
                i.relname AS unique_constraint_name,
                CASE k.confmatchtype WHEN 'f' THEN 'FULL' ELSE 'NONE' END AS match_option,
                CASE k.confupdtype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT'
                     WHEN 'r' THEN 'RESTRICT' ELSE 'NO ACTION' END AS update_rule,
                CASE k.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT'
                     WHEN 'r' THEN 'RESTRICT' ELSE 'NO ACTION' END AS delete_rule
         FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
              JOIN pg_class i ON i.oid = k.conindid JOIN pg_namespace m ON m.oid = i.relnamespace
         WHERE k.contype = 'f'",
    ),
    standard(
        "check_constraints",
        "SELECT 'remora' AS constraint_catalog, n.nspname AS constraint_schema, k.conname AS constraint_name,
                '(' || k.conbin || ')' AS check_clause
         FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace WHERE k.contype = 'c'",
    ),
];

impl SystemView {
    /// The one of that name in a schema.
    pub(crate) fn named(schema: &str, name: &str) -> Option<&'static Self> {
        let mut views = SYSTEM_VIEWS.iter();
        views.find(|view| view.schema == schema && view.name == name)
    }
}
