//! The grammar of paths.
//!
//! ```text
//!  path     [strict | lax] either
//!  or       and || and ..              and     not && not ..         not   ! ( or ) | test
//!  test     sum [== sum | starts with .. | like_regex ..]  |  exists ( sum )
//!  sum      product + product ..       product sign * sign ..        sign  - sign | steps
//!  steps    primary step ..            primary literal | $ | @ | last | $name | ( either )
//! ```
//!
//! A bracket may hold a value or a test. What it holds is known behind it, so one function reads both, and whoever
//! needs the one or the other says so.

use super::lex::{Lexer, Token, complaint};
use super::{
    Comparison, LAST_LEVEL, Method, NESTING_MAX, Node, Operator, Path, Step, syntax_error,
};
use crate::error::{Error, Result};
use crate::function::decimal;
use crate::function::text::parse_numeric;

/// A node and how deep it is.
type Deep = (Node, usize);

struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token,
    /// What the token is in the text.
    near: &'a str,
    /// How many filters, and how many subscripts, are open here.
    filters: usize,
    subscripts: usize,
    /// Levels of recursion.
    open: usize,
}

/// Reads a whole path.
pub(super) fn parse(text: &str) -> Result<Path> {
    let mut parser = Parser {
        lexer: Lexer::new(text),
        token: Token::End,
        near: "",
        filters: 0,
        subscripts: 0,
        open: 0,
    };
    parser.advance()?;
    if parser.token == Token::End {
        return Err(sql_error!(
            INVALID_TEXT_REPRESENTATION,
            "invalid input syntax for type jsonpath: \"{text}\""
        ));
    }
    let is_strict = parser.word("strict")?;
    if !is_strict {
        parser.word("lax")?;
    }
    let (root, _) = parser.either()?;
    match parser.token {
        Token::End => Ok(Path { is_strict, root }),
        _ => Err(parser.unexpected()),
    }
}

fn too_deep() -> Error {
    sql_error!(STATEMENT_TOO_COMPLEX, "stack depth limit exceeded").with_hint(format!(
        "The expressions of a path may nest {NESTING_MAX} levels deep."
    ))
}

/// One level above others.
fn above(depths: &[usize]) -> Result<usize> {
    match depths.iter().max().copied().unwrap_or(0) + 1 {
        depth if depth > NESTING_MAX => Err(too_deep()),
        depth => Ok(depth),
    }
}

/// A value of two, joined.
fn join(make: impl Fn(Box<Node>, Box<Node>) -> Node, left: Deep, right: Deep) -> Result<Deep> {
    let depth = above(&[left.1, right.1])?;
    Ok((make(Box::new(left.0), Box::new(right.0)), depth))
}

fn wrap(make: impl Fn(Box<Node>) -> Node, inner: Deep) -> Result<Deep> {
    let depth = above(&[inner.1])?;
    Ok((make(Box::new(inner.0)), depth))
}

impl Parser<'_> {
    fn advance(&mut self) -> Result<()> {
        let (token, start) = self.lexer.next()?;
        self.near = self.lexer.between(start);
        self.token = token;
        Ok(())
    }

    fn unexpected(&self) -> Error {
        complaint("syntax error", self.near)
    }

    fn mark(&mut self, mark: &str) -> Result<bool> {
        let found = matches!(&self.token, Token::Mark(found) if *found == mark);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, mark: &str) -> Result<()> {
        match self.mark(mark)? {
            true => Ok(()),
            false => Err(self.unexpected()),
        }
    }

    /// A word of the language; upper and lower case are alike.
    fn word(&mut self, word: &str) -> Result<bool> {
        let found = matches!(&self.token, Token::Word(found) if found.eq_ignore_ascii_case(word));
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect_word(&mut self, word: &str) -> Result<()> {
        match self.word(word)? {
            true => Ok(()),
            false => Err(self.unexpected()),
        }
    }

    fn string(&mut self) -> Result<String> {
        let Token::String(text) = &mut self.token else {
            return Err(self.unexpected());
        };
        let text = std::mem::take(text);
        self.advance()?;
        Ok(text)
    }

    /// Runs `f` one level deeper.
    fn deeper<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.open == NESTING_MAX {
            return Err(too_deep());
        }
        self.open += 1;
        let found = f(self);
        self.open -= 1;
        found
    }

    /// A value or a test.
    fn either(&mut self) -> Result<Deep> {
        let mut left = self.both()?;
        while matches!(self.token, Token::Mark("||")) {
            self.needs_test(&left)?;
            self.advance()?;
            let right = self.both()?;
            self.needs_test(&right)?;
            left = join(Node::Or, left, right)?;
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<Deep> {
        let mut left = self.not()?;
        while matches!(self.token, Token::Mark("&&")) {
            self.needs_test(&left)?;
            self.advance()?;
            let right = self.not()?;
            self.needs_test(&right)?;
            left = join(Node::And, left, right)?;
        }
        Ok(left)
    }

    fn needs_test(&self, (node, _): &Deep) -> Result<()> {
        match node.is_test() {
            true => Ok(()),
            false => Err(self.unexpected()),
        }
    }

    fn needs_value(&self, (node, _): &Deep) -> Result<()> {
        match node.is_test() {
            false => Ok(()),
            true => Err(self.unexpected()),
        }
    }

    fn not(&mut self) -> Result<Deep> {
        if !self.mark("!")? {
            return self.test();
        }
        if self.word("exists")? {
            let exists = self.exists()?;
            return wrap(Node::Not, exists);
        }
        let inner = self.in_brackets()?;
        self.needs_test(&inner)?;
        wrap(Node::Not, inner)
    }

    /// `( test )`, from its bracket.
    fn in_brackets(&mut self) -> Result<Deep> {
        self.expect("(")?;
        let inner = self.deeper(Self::either)?;
        self.expect(")")?;
        Ok(inner)
    }

    /// What stands behind EXISTS.
    fn exists(&mut self) -> Result<Deep> {
        let inner = self.in_brackets()?;
        self.needs_value(&inner)?;
        wrap(Node::Exists, inner)
    }

    fn test(&mut self) -> Result<Deep> {
        if self.word("exists")? {
            return self.exists();
        }
        let left = self.sum()?;
        let comparison = match &self.token {
            Token::Mark("==") => Some(Comparison::Equal),
            Token::Mark("!=" | "<>") => Some(Comparison::NotEqual),
            Token::Mark("<") => Some(Comparison::Less),
            Token::Mark("<=") => Some(Comparison::LessOrEqual),
            Token::Mark(">") => Some(Comparison::Greater),
            Token::Mark(">=") => Some(Comparison::GreaterOrEqual),
            _ => None,
        };
        if let Some(comparison) = comparison {
            self.needs_value(&left)?;
            self.advance()?;
            let right = self.sum()?;
            self.needs_value(&right)?;
            return join(|a, b| Node::Compare(comparison, a, b), left, right);
        }
        if self.word("starts")? {
            self.needs_value(&left)?;
            self.expect_word("with")?;
            let start = match &self.token {
                Token::String(text) => Node::String(text.clone()),
                Token::Variable(name) => Node::Variable(name.clone()),
                _ => return Err(self.unexpected()),
            };
            self.advance()?;
            return join(Node::StartsWith, left, (start, 0));
        }
        if self.word("like_regex")? {
            self.needs_value(&left)?;
            return self.like(left);
        }
        Ok(left)
    }

    fn like(&mut self, left: Deep) -> Result<Deep> {
        let pattern = self.string()?;
        let mut letters = String::new();
        if self.word("flag")? {
            let given = self.string()?;
            if let Some(odd) = given.chars().find(|letter| !"ismxq".contains(*letter)) {
                let message = "invalid input syntax for type jsonpath";
                return Err(syntax_error(message).with_detail(format!(
                    "Unrecognized flag character \"{odd}\" in LIKE_REGEX predicate."
                )));
            }
            letters.extend("ismxq".chars().filter(|letter| given.contains(*letter)));
        }
        super::test::pattern_is_right(&pattern, &letters)?;
        let depth = above(&[left.1])?;
        Ok((Node::Like(Box::new(left.0), pattern, letters), depth))
    }

    fn sum(&mut self) -> Result<Deep> {
        let mut left = self.product()?;
        loop {
            let operator = match &self.token {
                Token::Mark("+") => Operator::Add,
                Token::Mark("-") => Operator::Subtract,
                _ => return Ok(left),
            };
            self.needs_value(&left)?;
            self.advance()?;
            let right = self.product()?;
            self.needs_value(&right)?;
            left = join(|a, b| Node::Arithmetic(operator, a, b), left, right)?;
        }
    }

    fn product(&mut self) -> Result<Deep> {
        let mut left = self.sign()?;
        loop {
            let operator = match &self.token {
                Token::Mark("*") => Operator::Multiply,
                Token::Mark("/") => Operator::Divide,
                Token::Mark("%") => Operator::Modulo,
                _ => return Ok(left),
            };
            self.needs_value(&left)?;
            self.advance()?;
            let right = self.sign()?;
            self.needs_value(&right)?;
            left = join(|a, b| Node::Arithmetic(operator, a, b), left, right)?;
        }
    }

    fn sign(&mut self) -> Result<Deep> {
        let is_minus = match &self.token {
            Token::Mark("-") => true,
            Token::Mark("+") => false,
            _ => return self.steps(),
        };
        self.advance()?;
        let inner = self.deeper(Self::sign)?;
        self.needs_value(&inner)?;
        match inner.0 {
            Node::Number(number) if is_minus => Ok((Node::Number(decimal::negate(number)?), 0)),
            Node::Number(number) => Ok((Node::Number(number), 0)),
            _ => wrap(|inner| Node::Sign(is_minus, inner), inner),
        }
    }

    fn steps(&mut self) -> Result<Deep> {
        let (first, mut depth) = self.primary()?;
        let mut steps = Vec::new();
        while let Some((step, inner)) = self.step()? {
            depth = depth.max(inner);
            steps.push(step);
        }
        match (steps.is_empty(), first) {
            (true, first) => Ok((first, depth)),
            // `(a.b).c` is `a.b.c`.
            (false, Node::Steps(root, mut before)) => {
                before.append(&mut steps);
                Ok((Node::Steps(root, before), depth))
            }
            (false, first) => Ok((Node::Steps(Box::new(first), steps), above(&[depth])?)),
        }
    }

    fn primary(&mut self) -> Result<Deep> {
        if matches!(self.token, Token::Mark("(")) {
            let inner = self.in_brackets()?;
            if inner.0.is_test() && self.word("is")? {
                self.expect_word("unknown")?;
                return wrap(Node::IsUnknown, inner);
            }
            return Ok(inner);
        }
        let node = match &self.token {
            Token::Mark("$") => Node::Root,
            Token::Mark("@") if self.filters == 0 => {
                return Err(syntax_error("@ is not allowed in root expressions"));
            }
            Token::Mark("@") => Node::Current,
            Token::Variable(name) => Node::Variable(name.clone()),
            Token::String(text) => Node::String(text.clone()),
            Token::Number(digits) => Node::Number(parse_numeric(digits)?),
            Token::Word(word) => match word.as_str() {
                "null" => Node::Null,
                "true" => Node::Bool(true),
                "false" => Node::Bool(false),
                last if last.eq_ignore_ascii_case("last") && self.subscripts == 0 => {
                    return Err(syntax_error("LAST is allowed only in array subscripts"));
                }
                last if last.eq_ignore_ascii_case("last") => Node::Last,
                _ => return Err(self.unexpected()),
            },
            _ => return Err(self.unexpected()),
        };
        self.advance()?;
        Ok((node, 0))
    }

    /// A step and how deep it is.
    fn step(&mut self) -> Result<Option<(Step, usize)>> {
        if self.mark("?")? {
            self.filters += 1;
            let test = self.in_brackets()?;
            self.filters -= 1;
            self.needs_test(&test)?;
            return Ok(Some((Step::Filter(test.0), above(&[test.1])?)));
        }
        if self.mark("[")? {
            return self.elements().map(Some);
        }
        if !self.mark(".")? {
            return Ok(None);
        }
        if self.mark("*")? {
            return Ok(Some((Step::AnyKey, 0)));
        }
        if self.mark("**")? {
            return Ok(Some((self.levels()?, 0)));
        }
        let (name, is_word) = match &self.token {
            Token::Word(name) => (name.clone(), true),
            Token::String(name) => (name.clone(), false),
            _ => return Err(self.unexpected()),
        };
        self.advance()?;
        if is_word && matches!(self.token, Token::Mark("(")) {
            return Ok(Some((self.method(&name)?, 0)));
        }
        Ok(Some((Step::Key(name), 0)))
    }

    /// A method, from the bracket behind its name.
    fn method(&mut self, name: &str) -> Result<Step> {
        let name = name.to_ascii_lowercase();
        let found = Method::ALL.into_iter().find(|(known, _)| *known == name);
        if found.is_none() && name != "datetime" {
            return Err(self.unexpected());
        }
        self.expect("(")?;
        let step = match found {
            Some((_, method)) => Step::Method(method),
            None if matches!(self.token, Token::String(_)) => Step::Moment(Some(self.string()?)),
            None => Step::Moment(None),
        };
        self.expect(")")?;
        Ok(step)
    }

    /// What stands in the brackets behind an array.
    fn elements(&mut self) -> Result<(Step, usize)> {
        if self.mark("*")? {
            self.expect("]")?;
            return Ok((Step::AnyElement, 0));
        }
        let (mut depths, mut list) = (Vec::new(), Vec::new());
        self.subscripts += 1;
        loop {
            let first = self.subscript(&mut depths)?;
            let last = match self.word("to")? {
                true => Some(self.subscript(&mut depths)?),
                false => None,
            };
            list.push((first, last));
            if !self.mark(",")? {
                break;
            }
        }
        self.subscripts -= 1;
        self.expect("]")?;
        Ok((Step::Elements(list), above(&depths)?))
    }

    fn subscript(&mut self, depths: &mut Vec<usize>) -> Result<Node> {
        let found = self.deeper(Self::sum)?;
        self.needs_value(&found)?;
        depths.push(found.1);
        Ok(found.0)
    }

    /// `{2}`, `{1 to last}`, or nothing behind `.**`.
    fn levels(&mut self) -> Result<Step> {
        if !self.mark("{")? {
            return Ok(Step::AnyLevel(0, LAST_LEVEL));
        }
        let first = self.level()?;
        let last = match self.word("to")? {
            true => self.level()?,
            false => first,
        };
        self.expect("}")?;
        Ok(Step::AnyLevel(first, last))
    }

    fn level(&mut self) -> Result<u32> {
        if self.word("last")? {
            return Ok(LAST_LEVEL);
        }
        let level = match &self.token {
            Token::Number(digits) => digits.parse::<i32>().ok(),
            _ => None,
        };
        let level = level.and_then(|level| u32::try_from(level).ok());
        let level = level.ok_or_else(|| self.unexpected())?;
        self.advance()?;
        Ok(level)
    }
}
