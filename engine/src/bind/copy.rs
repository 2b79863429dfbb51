//! COPY: its options in both spellings, and what it copies.

use super::expr::query_start;
use super::insert::targets_at;
use super::materialized::refuse_change;
use super::through::Written;
use super::{Binder, name};
use crate::error::{Error, Result, state};
use crate::parse::{Aside, refuse};
use crate::plan::logical::{Logical, LogicalStatement, Query};
use crate::plan::statement::{Copy, CopyDirection, CsvFormat, Insert, InsertSource, Statement};
use remora_storage::catalog::TableDef;
use sqlparser::ast::{
    self, CopyLegacyCsvOption, CopyLegacyOption, CopyOption, CopySource, CopyTarget,
};

/// The options as written.
#[derive(Default)]
struct Options {
    csv: bool,
    header: bool,
    delimiter: Option<char>,
    quote: Option<char>,
    escape: Option<char>,
    null: Option<String>,
}

impl<'a> Binder<'a> {
    /// Binds a COPY.
    pub(super) fn copy(&mut self, syntax: &'a ast::Statement) -> Result<LogicalStatement> {
        let ast::Statement::Copy {
            source,
            to,
            target,
            options,
            legacy_options,
            values,
        } = syntax
        else {
            return refuse("this statement", None);
        };
        if !values.is_empty() {
            return refuse("COPY with data in the statement", None);
        }
        let path = match target {
            CopyTarget::Stdin | CopyTarget::Stdout => None,
            CopyTarget::File { filename } => Some(filename.clone()),
            CopyTarget::Program { .. } => return refuse("COPY with a program", None),
        };
        let format = Options::read(options, legacy_options)?.format()?;
        match (source, to) {
            (
                CopySource::Table {
                    table_name,
                    columns,
                },
                false,
            ) => self.copy_from(table_name, columns, path, format),
            (
                CopySource::Table {
                    table_name,
                    columns,
                },
                true,
            ) => {
                let query = self.whole_table(table_name, columns)?;
                Ok(LogicalStatement::CopyTo {
                    query,
                    path,
                    format,
                })
            }
            (CopySource::Query(query), true) => {
                let at = query_start(query);
                self.outermost = Some(query);
                let query = self.query(query, &[])?.into();
                if self.locks.is_some() {
                    return refuse("COPY of a query that locks rows", at);
                }
                Ok(LogicalStatement::CopyTo {
                    query,
                    path,
                    format,
                })
            }
            (CopySource::Query(_), false) => Err(name::syntax_error("FROM", None)),
        }
    }

    fn copy_from(
        &mut self,
        table: &ast::ObjectName,
        columns: &[ast::Ident],
        path: Option<String>,
        format: CsvFormat,
    ) -> Result<LogicalStatement> {
        self.refuse_view_in_copy(table, "to", None)?;
        let entry = self.table(&self.relation(table)?, name::object_place(table))?;
        refuse_change(&entry.def, name::object_place(table))?;
        self.note_fired(&entry.def);
        let columns = copied(&entry.def, columns)?;
        let defaults = self.defaults(&entry)?;
        let insert = Insert {
            checks: self.checks(&entry.def, None)?,
            generated: self.generated(&entry.def)?,
            table: entry,
            source: InsertSource::Values(Vec::new()),
            on_conflict: None,
            returning: None,
        };
        Ok(LogicalStatement::Done(Statement::Copy(Copy {
            direction: CopyDirection::From {
                insert,
                columns,
                defaults,
            },
            path,
            format,
        })))
    }

    fn whole_table(&mut self, table: &ast::ObjectName, columns: &[ast::Ident]) -> Result<Query> {
        self.refuse_view_in_copy(table, "from", Some("Try the COPY (SELECT ...) TO variant."))?;
        let entry = self.table(&self.relation(table)?, name::object_place(table))?;
        let columns = copied(&entry.def, columns)?;
        let scan = self.scan(&entry, false);
        let output = columns.iter().map(|position| {
            let (number, _) = scan.columns[*position];
            (entry.def.columns[*position].name.clone(), number)
        });
        Ok(Query {
            output: output.collect(),
            plan: Logical::Scan(scan),
        })
    }
}

/// The columns that are named, by position, or all that are not computed.
fn copied(table: &TableDef, columns: &[ast::Ident]) -> Result<Vec<usize>> {
    let written = Written::of(table);
    let paths: Vec<_> = columns.iter().map(|column| vec![column]).collect();
    let named = targets_at(written, &paths, &Aside::default())?;
    let mut positions = named.positions;
    let column = |position: usize| &table.columns[position];
    if columns.is_empty() {
        positions.retain(|position| column(*position).generated.is_none());
        return Ok(positions);
    }
    let computed = positions.iter().map(|position| column(*position));
    match computed
        .into_iter()
        .find(|column| column.generated.is_some())
    {
        Some(column) => {
            let message = format!("column \"{}\" is a generated column", column.name);
            Err(Error::new(state::INVALID_COLUMN_REFERENCE, message)
                .with_detail("Generated columns cannot be used in COPY."))
        }
        None => Ok(positions),
    }
}

impl Binder<'_> {
    fn refuse_view_in_copy(
        &self,
        table: &ast::ObjectName,
        way: &str,
        hint: Option<&str>,
    ) -> Result<()> {
        let name = self.relation(table)?;
        if self.catalog.view(&name).is_none() {
            return Ok(());
        }
        let message = format!("cannot copy {way} view \"{name}\"");
        let error = Error::new(state::WRONG_OBJECT_TYPE, message).at(name::object_place(table));
        Err(match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        })
    }
}

impl Options {
    fn read(options: &[CopyOption], legacy: &[CopyLegacyOption]) -> Result<Self> {
        let mut read = Self::default();
        for option in options {
            match option {
                CopyOption::Format(format) => match format.value.to_lowercase().as_str() {
                    "csv" => read.csv = true,
                    other => return refuse(&format!("COPY format \"{other}\""), None),
                },
                CopyOption::Header(header) => read.header = *header,
                CopyOption::Delimiter(delimiter) => read.delimiter = Some(*delimiter),
                CopyOption::Null(null) => read.null = Some(null.clone()),
                CopyOption::Quote(quote) => read.quote = Some(*quote),
                CopyOption::Escape(escape) => read.escape = Some(*escape),
                CopyOption::Encoding(encoding) => match encoding.to_lowercase().as_str() {
                    "utf8" | "utf-8" => {}
                    other => return refuse(&format!("encoding \"{other}\""), None),
                },
                other => return refuse(&format!("COPY option {other}"), None),
            }
        }
        for option in legacy {
            match option {
                CopyLegacyOption::Csv(options) => {
                    read.csv = true;
                    options
                        .iter()
                        .try_for_each(|option| read.legacy_csv(option))?;
                }
                CopyLegacyOption::Header => read.header = true,
                CopyLegacyOption::Delimiter(delimiter) => read.delimiter = Some(*delimiter),
                CopyLegacyOption::Null(null) => read.null = Some(null.clone()),
                other => return refuse(&format!("COPY option {other}"), None),
            }
        }
        Ok(read)
    }

    fn legacy_csv(&mut self, option: &CopyLegacyCsvOption) -> Result<()> {
        match option {
            CopyLegacyCsvOption::Header => self.header = true,
            CopyLegacyCsvOption::Quote(quote) => self.quote = Some(*quote),
            CopyLegacyCsvOption::Escape(escape) => self.escape = Some(*escape),
            other => return refuse(&format!("COPY option {other}"), None),
        }
        Ok(())
    }

    fn format(self) -> Result<CsvFormat> {
        if !self.csv {
            return Err(
                Error::unsupported("COPY in text format").with_hint("Say WITH (FORMAT csv).")
            );
        }
        let quote = byte(self.quote.unwrap_or('"'), "quote")?;
        let delimiter = byte(self.delimiter.unwrap_or(','), "delimiter")?;
        if quote == delimiter {
            return Err(sql_error!(
                INVALID_PARAMETER_VALUE,
                "COPY delimiter and quote must be different"
            ));
        }
        let escape = match self.escape {
            Some(escape) => byte(escape, "escape")?,
            None => quote,
        };
        Ok(CsvFormat {
            header: self.header,
            delimiter,
            quote,
            escape,
            null: self.null.unwrap_or_default(),
        })
    }
}

fn byte(char: char, what: &str) -> Result<u8> {
    match u8::try_from(char) {
        Ok(byte) if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0) => Ok(byte),
        _ => Err(sql_error!(
            INVALID_PARAMETER_VALUE,
            "COPY {what} must be a single one-byte character"
        )),
    }
}
