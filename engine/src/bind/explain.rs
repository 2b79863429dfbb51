//! EXPLAIN: which statement, and what is to be told of it.

use super::{Binder, name};
use crate::error::{Error, Result, state};
use crate::parse::{place, refuse};
use crate::plan::explain::{ExplainFormat, ExplainOptions};
use crate::plan::logical::LogicalStatement;
use sqlparser::ast::{self, UtilityOption};

impl<'a> Binder<'a> {
    /// EXPLAIN of a query or a change.
    pub(super) fn explain(&mut self, syntax: &'a ast::Statement) -> Result<LogicalStatement> {
        use ast::Statement as S;
        let S::Explain {
            analyze,
            verbose,
            query_plan: false,
            estimate: false,
            statement,
            format: None,
            options,
            ..
        } = syntax
        else {
            return refuse("this form of EXPLAIN", None);
        };
        let options = explain_options(*analyze, *verbose, options.as_deref().unwrap_or_default())?;
        match &**statement {
            S::Query(_) | S::Insert(_) | S::Update(_) | S::Delete(_) | S::Merge(_) => {
                let (inner, _) = self.statement(statement)?;
                Ok(LogicalStatement::Explain(Box::new(inner), options))
            }
            _ => refuse("EXPLAIN of this statement", None),
        }
    }
}

/// What the options say. Those that are about costs, buffers and the like make no difference: there is
/// nothing to tell. `verbose` is what stands before the list.
fn explain_options(analyze: bool, verbose: bool, list: &[UtilityOption]) -> Result<ExplainOptions> {
    let mut options = ExplainOptions {
        analyze,
        timing: true,
        summary: false,
        verbose,
        format: ExplainFormat::Text,
    };
    let (mut timing, mut summary, mut wal) = (None, None, false);
    for option in list {
        let name = name::fold(&option.name)?;
        match name.as_str() {
            "analyze" | "analyse" => options.analyze = is_on(option, &name)?,
            "timing" => timing = Some(is_on(option, &name)?),
            "summary" => summary = Some(is_on(option, &name)?),
            "wal" => wal = is_on(option, &name)?,
            "verbose" => options.verbose = is_on(option, &name)?,
            "costs" | "settings" | "buffers" => {
                is_on(option, &name)?;
            }
            "format" => options.format = format(option)?,
            _ => {
                let message = format!("unrecognized EXPLAIN option \"{name}\"");
                return Err(Error::new(state::SYNTAX_ERROR, message).at(place(option.name.span)));
            }
        }
    }
    let needs = [(wal, "WAL"), (timing == Some(true), "TIMING")];
    if let Some((_, name)) = needs.into_iter().find(|(on, _)| *on && !options.analyze) {
        let message = format!("EXPLAIN option {name} requires ANALYZE");
        return Err(Error::new(state::INVALID_PARAMETER_VALUE, message));
    }
    options.timing = timing.unwrap_or(true);
    options.summary = summary.unwrap_or(options.analyze);
    Ok(options)
}

/// The value of an option, as it was written.
fn value(option: &UtilityOption) -> Option<String> {
    let value = option.arg.as_ref()?.to_string();
    Some(value.trim_matches('\'').to_lowercase())
}

fn is_on(option: &UtilityOption, name: &str) -> Result<bool> {
    match value(option).as_deref() {
        None | Some("true" | "on" | "1") => Ok(true),
        Some("false" | "off" | "0") => Ok(false),
        Some(_) => {
            let message = format!("{name} requires a Boolean value");
            Err(Error::new(state::SYNTAX_ERROR, message).at(place(option.name.span)))
        }
    }
}

fn format(option: &UtilityOption) -> Result<ExplainFormat> {
    let at = place(option.name.span);
    match value(option).as_deref() {
        Some("text") => Ok(ExplainFormat::Text),
        Some("json") => Ok(ExplainFormat::Json),
        Some("xml" | "yaml") => refuse("this format of EXPLAIN", at),
        other => {
            let message = match other {
                Some(other) => {
                    format!("unrecognized value for EXPLAIN option \"format\": \"{other}\"")
                }
                None => "format requires a parameter".to_owned(),
            };
            let state = match other {
                Some(_) => state::INVALID_PARAMETER_VALUE,
                None => state::SYNTAX_ERROR,
            };
            Err(Error::new(state, message).at(at))
        }
    }
}
