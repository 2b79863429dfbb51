//! The search path: in which schemas a name is looked for that does not say its own, and the functions of the host.
//!
//! ```text
//!   SET search_path = a, b      t: pg_temp.t, pg_catalog.t, a.t, b.t     the first that there is
//!                               a new t: a.t, or pg_temp.t where it is temporary
//! ```
//!
//! It has with it how the session reads literals: all that a plan needs to know of its session.
//! The temporary schema of a session is looked into first, unless the path says when.

use super::RelationName;
use super::host::HostFunctions;
use super::system::USER;
use super::text::{PLAIN, Style};
use remora_storage::SchemaId;
use remora_storage::catalog::{Catalog, NameIn};
use std::fmt;
use std::sync::Arc;

/// The schema of the system's tables.
pub(crate) const PG_CATALOG: SchemaId = SchemaId(PERMANENT_MAX - 1);
/// The schema of the standard's views of the system's tables.
pub(crate) const INFORMATION_SCHEMA: SchemaId = SchemaId(PERMANENT_MAX - 2);
/// No schema at all.
pub(crate) const NOWHERE: SchemaId = SchemaId(PERMANENT_MAX);

/// The last number of a schema that is not a session's.
const PERMANENT_MAX: u32 = u32::MAX >> 1;

/// Where names are looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SearchPath {
    /// Names of schemas, in order.
    names: Vec<String>,
    /// That of the session, if there is one.
    temporary: Option<SchemaId>,
    /// Functions that are in no schema.
    host: HostFunctions,
    /// How literals are read; `None` in the plain style.
    style: Option<Arc<Style>>,
}

/// What a schema is called.
pub(crate) fn schema_name(catalog: &Catalog, schema: SchemaId) -> String {
    match schema {
        SchemaId::PUBLIC => "public".to_owned(),
        PG_CATALOG => "pg_catalog".to_owned(),
        INFORMATION_SCHEMA => "information_schema".to_owned(),
        _ => match catalog.schema_by_id(schema) {
            Some(schema) => schema.name.clone(),
            None => "pg_temp".to_owned(),
        },
    }
}

/// The names in a list of schemas: folded unless quoted; `None` where it is none.
pub(crate) fn schemas_of(list: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = list.trim();
    while !rest.is_empty() {
        let quoted = rest.strip_prefix('"');
        let end = match quoted {
            Some(inner) => inner.find('"')?,
            None => rest.find(',').unwrap_or(rest.len()),
        };
        let (name, behind) = match quoted {
            Some(inner) => (inner[..end].to_owned(), &inner[end + 1..]),
            None => (rest[..end].trim().to_lowercase(), &rest[end..]),
        };
        let is_word = !name.is_empty() && !name.contains(char::is_whitespace);
        if quoted.is_none() && !is_word {
            return None;
        }
        names.push(name);
        rest = match behind.trim_start().strip_prefix(',') {
            Some(next) if !next.trim().is_empty() => next.trim_start(),
            None if behind.trim().is_empty() => "",
            _ => return None,
        };
    }
    Some(names)
}

/// A relation's name, and where it is found or would be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Located {
    /// The schema.
    pub schema: SchemaId,
    /// As it was written.
    pub written: RelationName,
}

impl Default for SearchPath {
    fn default() -> Self {
        Self {
            names: vec!["public".to_owned()],
            temporary: None,
            host: HostFunctions::default(),
            style: None,
        }
    }
}

impl SearchPath {
    /// That of the session of a number.
    pub(crate) fn of_session(session: u32) -> Self {
        Self {
            temporary: Some(SchemaId::temporary(session)),
            ..Self::default()
        }
    }

    /// The same with these functions of the host.
    pub(crate) fn with_host(&self, host: HostFunctions) -> Self {
        Self {
            host,
            ..self.clone()
        }
    }

    /// The same for a session of this style.
    #[must_use]
    pub(crate) fn with_style(self, style: Option<Arc<Style>>) -> Self {
        Self { style, ..self }
    }

    /// How literals are read.
    pub(crate) fn style(&self) -> &Style {
        self.style.as_deref().unwrap_or(&PLAIN)
    }

    /// The functions of the host.
    pub(crate) fn host(&self) -> &HostFunctions {
        &self.host
    }

    /// The schema of the session's own relations, if there is a session.
    pub(crate) fn temporary(&self) -> Option<SchemaId> {
        self.temporary
    }

    /// Whether it names what another one does, but for what is temporary.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let Self {
            names,
            temporary: _,
            host,
            style,
        } = self;
        (names, host, style) == (&other.names, &other.host, &other.style)
    }

    /// Whether what is in a schema is the session's business: all but what is temporary in others.
    pub(crate) fn shows(&self, schema: SchemaId) -> bool {
        !schema.is_temporary() || self.temporary == Some(schema)
    }

    /// The same with other schemas: a list as the setting has it, which is one ([`schemas_of`]).
    #[must_use]
    pub(crate) fn along(&self, list: &str) -> Self {
        Self {
            names: schemas_of(list).unwrap_or_default(),
            ..self.clone()
        }
    }

    /// The same with another schema before those that are said.
    #[must_use]
    pub(crate) fn before(&self, schema: &str) -> Self {
        let names = [schema.to_owned()].into_iter().chain(self.names.clone());
        Self {
            names: names.collect(),
            ..self.clone()
        }
    }

    /// The schema of a name.
    pub(crate) fn schema(&self, catalog: &Catalog, name: &str) -> Option<SchemaId> {
        match name {
            "public" => Some(SchemaId::PUBLIC),
            "pg_catalog" => Some(PG_CATALOG),
            "information_schema" => Some(INFORMATION_SCHEMA),
            "pg_temp" => self.temporary,
            "$user" => self.schema(catalog, USER),
            _ => catalog.schema(name).map(|schema| schema.id),
        }
    }

    /// Where names without a schema are looked for, in order.
    pub(crate) fn schemas(&self, catalog: &Catalog) -> impl Iterator<Item = SchemaId> {
        let is_said = self.names.iter().any(|name| name == "pg_temp");
        let first = self.temporary.filter(|_| !is_said);
        let said = self.names.iter();
        let said = said.filter_map(|name| self.schema(catalog, name));
        first.into_iter().chain(said)
    }

    /// Where something new comes that does not say where.
    pub(crate) fn target(&self, catalog: &Catalog) -> Option<SchemaId> {
        let mut names = self.names.iter();
        names.find_map(|name| self.schema(catalog, name))
    }

    /// What a relation is called: with its schema, unless it is found without.
    pub(crate) fn shown(&self, catalog: &Catalog, place: NameIn<'_>) -> RelationName {
        let bare = RelationName {
            schema: None,
            name: place.name.to_owned(),
        };
        let found = self.locate(catalog, bare);
        let schema = (found.schema != place.schema).then(|| schema_name(catalog, place.schema));
        RelationName {
            schema,
            ..found.written
        }
    }

    /// Where a relation is, or would be found if it were there.
    pub(crate) fn locate(&self, catalog: &Catalog, written: RelationName) -> Located {
        let schema = match &written.schema {
            Some(schema) => self.schema(catalog, schema),
            None => {
                let has = |schema: &SchemaId| catalog.has_name((*schema, written.name.as_str()));
                let mut schemas = self.schemas(catalog);
                schemas.find(has).or_else(|| self.target(catalog))
            }
        };
        Located {
            schema: schema.unwrap_or(NOWHERE),
            written,
        }
    }
}

impl Located {
    /// Its name in the schema.
    pub(crate) fn name(&self) -> &str {
        &self.written.name
    }
}

impl<'n> From<&'n Located> for NameIn<'n> {
    fn from(located: &'n Located) -> Self {
        Self::from((located.schema, located.name()))
    }
}

/// As complaints show it.
impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.written.schema {
            write!(f, "{schema}.")?;
        }
        f.write_str(self.name())
    }
}
