//! `SEARCH` and `CYCLE` of a recursive query of WITH, which the grammar's crate does not know.
//!
//! ```text
//!   [RECURSIVE] x (a, b) AS (..) SEARCH DEPTH FIRST BY a, b SET s
//!                                CYCLE a SET c TO 1 DEFAULT 0 USING p
//!   x ("traversal: SEARCH DEPTH FIRST BY ""a"", ""b"" SET ""s"" CYCLE ..", a, b) AS (..)
//! ```
//!
//! The clauses become the name of a first column, quoted, so that a view's text keeps them. [`traversal`] reads
//! them back, and [`given`] gives the columns that were written.

use super::around::{is_word, next, next_open, opening, previous};
use super::changes::Changes;
use super::{parse_expression, token};
use crate::error::{Error, Result, state};
use sqlparser::ast::{self, Cte, TableAliasColumnDef};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};
use std::ops::Range;

/// What the name of such a column begins with.
const MARK: &str = "traversal: ";

/// What is said of the order and of the circles of a recursion.
pub(crate) struct Traversal {
    pub(crate) search: Option<Search>,
    pub(crate) cycle: Option<Cycle>,
}

/// `SEARCH DEPTH | BREADTH FIRST BY columns SET sequence`
pub(crate) struct Search {
    pub(crate) is_breadth: bool,
    pub(crate) columns: Vec<ast::Ident>,
    pub(crate) sequence: ast::Ident,
}

/// `CYCLE columns SET mark [TO value DEFAULT default] USING path`
pub(crate) struct Cycle {
    pub(crate) columns: Vec<ast::Ident>,
    pub(crate) mark: ast::Ident,
    /// What the mark is where a row has come before, and what it is elsewhere, if that is said.
    pub(crate) values: Option<(ast::Expr, ast::Expr)>,
    pub(crate) path: ast::Ident,
}

/// The columns that were written behind the name of a table or query.
pub(crate) fn given(columns: &[TableAliasColumnDef]) -> &[TableAliasColumnDef] {
    match columns.split_first() {
        Some((first, rest)) if marked(first).is_some() => rest,
        _ => columns,
    }
}

/// What a query of WITH says of its traversal.
///
/// # Errors
/// 42601 where the values of a mark are no constants.
pub(crate) fn traversal(cte: &Cte) -> Result<Option<Traversal>> {
    let Some(text) = cte.alias.columns.first().and_then(marked) else {
        return Ok(None);
    };
    let tokens = token::tokenize(text)?;
    let clauses = Clauses::at(&tokens, 0);
    clauses.map(|clauses| clauses.read(&tokens)).transpose()
}

fn marked(column: &TableAliasColumnDef) -> Option<&str> {
    column.name.quote_style?;
    column.name.value.strip_prefix(MARK)
}

/// Rewrites the queries of WITH of a statement.
pub(super) fn rewrite(tokens: &mut Vec<TokenWithSpan>) {
    let mut changes = Changes::default();
    for close in 0..tokens.len() {
        if tokens[close].token != Token::RParen {
            continue;
        }
        let clauses = next(tokens, close).and_then(|start| Clauses::at(tokens, start));
        let Some(clauses) = clauses else {
            continue;
        };
        let Some(name) = name_of(tokens, close) else {
            continue;
        };
        let mark = Token::Word(Word {
            value: format!(
                "{MARK}{}",
                token::spaced(&tokens[clauses.start..clauses.end])
            ),
            quote_style: Some('"'),
            keyword: Keyword::NoKeyword,
        });
        let span = tokens[clauses.start].span;
        let (at, added) = match next_open(tokens, name) {
            Some(open) => (open + 1, vec![mark, Token::Comma]),
            None => (name + 1, vec![Token::LParen, mark, Token::RParen]),
        };
        let added = added.into_iter();
        changes.insert(at, added.map(|token| TokenWithSpan::new(token, span)));
        changes.remove(clauses.start..clauses.end);
    }
    changes.make(tokens);
}

/// The name of the query that ends with this bracket: `name [(columns)] AS [[NOT] MATERIALIZED] ( .. )`.
fn name_of(tokens: &[TokenWithSpan], close: usize) -> Option<usize> {
    let mut at = previous(tokens, opening(tokens, close)?)?;
    for word in ["MATERIALIZED", "NOT"] {
        if is_word(&tokens[at], word) {
            at = previous(tokens, at)?;
        }
    }
    if !is_word(&tokens[at], "AS") {
        return None;
    }
    let before = previous(tokens, at)?;
    let name = match tokens[before].token {
        Token::RParen => previous(tokens, opening(tokens, before)?)?,
        _ => before,
    };
    matches!(tokens[name].token, Token::Word(_)).then_some(name)
}

/// Where the clauses lie, and where in them what they say.
struct Clauses {
    start: usize,
    end: usize,
    search: Option<SearchAt>,
    cycle: Option<CycleAt>,
}

struct SearchAt {
    is_breadth: bool,
    columns: Vec<usize>,
    sequence: usize,
}

struct CycleAt {
    columns: Vec<usize>,
    mark: usize,
    values: Option<[Range<usize>; 2]>,
    path: usize,
}

impl Clauses {
    /// The clauses that begin here, if they do and are whole.
    fn at(tokens: &[TokenWithSpan], start: usize) -> Option<Self> {
        let mut reader = Reader {
            tokens,
            at: start,
            end: start,
        };
        let search = reader.search()?;
        let cycle = reader.cycle()?;
        (search.is_some() || cycle.is_some()).then_some(Self {
            start,
            end: reader.end,
            search,
            cycle,
        })
    }

    fn read(self, tokens: &[TokenWithSpan]) -> Result<Traversal> {
        let name = |at: usize| match &tokens[at].token {
            Token::Word(word) => word.clone().into_ident(tokens[at].span),
            _ => ast::Ident::new(""),
        };
        let names = |places: &[usize]| places.iter().map(|at| name(*at)).collect();
        let search = self.search.map(|search| Search {
            is_breadth: search.is_breadth,
            columns: names(&search.columns),
            sequence: name(search.sequence),
        });
        let cycle = self.cycle.map(|cycle| {
            let values = cycle.values.map(|[value, default]| {
                Ok::<_, Error>((constant(&tokens[value])?, constant(&tokens[default])?))
            });
            Ok::<_, Error>(Cycle {
                columns: names(&cycle.columns),
                mark: name(cycle.mark),
                values: values.transpose()?,
                path: name(cycle.path),
            })
        });
        Ok(Traversal {
            search,
            cycle: cycle.transpose()?,
        })
    }
}

/// Steps over tokens.
struct Reader<'t> {
    tokens: &'t [TokenWithSpan],
    /// The next one, no blank.
    at: usize,
    /// Behind the last one.
    end: usize,
}

impl Reader<'_> {
    /// The clause, if there is one; `None` where it is not as it should be.
    fn search(&mut self) -> Option<Option<SearchAt>> {
        if !self.word("SEARCH") {
            return Some(None);
        }
        let is_breadth = self.word("BREADTH");
        let begins = (is_breadth || self.word("DEPTH")) && self.word("FIRST") && self.word("BY");
        let columns = begins.then(|| self.names())??;
        let sequence = self.word("SET").then(|| self.name())??;
        Some(Some(SearchAt {
            is_breadth,
            columns,
            sequence,
        }))
    }

    /// The same of CYCLE.
    fn cycle(&mut self) -> Option<Option<CycleAt>> {
        if !self.word("CYCLE") {
            return Some(None);
        }
        let columns = self.names()?;
        let mark = self.word("SET").then(|| self.name())??;
        let values = match self.word("TO") {
            true => Some([self.until("DEFAULT")?, self.until("USING")?]),
            false => self.word("USING").then_some(None)?,
        };
        let path = self.name()?;
        Some(Some(CycleAt {
            columns,
            mark,
            values,
            path,
        }))
    }

    fn step(&mut self) -> usize {
        let at = self.at;
        self.end = at + 1;
        self.at = next(self.tokens, at).unwrap_or(self.tokens.len());
        at
    }

    fn word(&mut self, wanted: &str) -> bool {
        let found = (self.tokens.get(self.at)).is_some_and(|token| is_word(token, wanted));
        if found {
            self.step();
        }
        found
    }

    fn name(&mut self) -> Option<usize> {
        let token = self.tokens.get(self.at)?;
        matches!(token.token, Token::Word(_)).then(|| self.step())
    }

    fn names(&mut self) -> Option<Vec<usize>> {
        let mut names = vec![self.name()?];
        while self.tokens.get(self.at)?.token == Token::Comma {
            self.step();
            names.push(self.name()?);
        }
        Some(names)
    }

    /// What stands before a word; steps over both.
    fn until(&mut self, word: &str) -> Option<Range<usize>> {
        let start = self.at;
        loop {
            let token = self.tokens.get(self.at)?;
            let end = self.at;
            if self.word(word) {
                return (start < end).then_some(start..end);
            }
            if matches!(
                token.token,
                Token::LParen | Token::RParen | Token::SemiColon
            ) {
                return None;
            }
            self.step();
        }
    }
}

/// A constant as PostgreSQL's grammar has it.
fn constant(tokens: &[TokenWithSpan]) -> Result<ast::Expr> {
    let expr = parse_expression(&token::spaced(tokens))?;
    let is_constant = match &expr {
        ast::Expr::Value(_) | ast::Expr::TypedString(_) | ast::Expr::Interval(_) => true,
        // `varchar 'x'`
        ast::Expr::Cast { .. } => true,
        _ => false,
    };
    match is_constant {
        true => Ok(expr),
        false => {
            let message = format!(
                "syntax error at or near \"{}\"",
                token::spaced(&tokens[..1])
            );
            Err(Error::new(state::SYNTAX_ERROR, message))
        }
    }
}
