//! Operators, and the tests that are written like operators.

use super::expr::{not, start};
use super::row::is_row;
use super::{Binder, Bound, Context, literal};
use crate::error::{Error, Position, Result, state};
use crate::function::ArrayTest;
use crate::parse::{SYMMETRIC, refuse};
use crate::plan::{Expr, ExprKind};
use remora_storage::DataType;
use sqlparser::ast::{self, BinaryOperator, UnaryOperator};

impl<'a> Binder<'a> {
    /// `a + b`, `a AND b` ..
    pub(super) fn binary(&mut self, syntax: &'a ast::Expr, cx: &mut Context<'_>) -> Result<Bound> {
        let ast::Expr::BinaryOp { left, op, right } = syntax else {
            return refuse("this operator", start(syntax));
        };
        match op {
            BinaryOperator::And | BinaryOperator::Or => return self.chain(syntax, op, cx),
            _ => {}
        }
        if let BinaryOperator::Overlaps = op
            && let (ast::Expr::Tuple(one), ast::Expr::Tuple(two)) = (&**left, &**right)
        {
            return self.overlaps(one, two, start(syntax), cx);
        }
        let Some(name) = operator_name(op) else {
            return refuse(&format!("operator {op}"), start(syntax));
        };
        if is_row(left) || is_row(right) {
            return self.compare_rows(name, left, right, cx);
        }
        let (one, other) = (self.expr(left, cx)?, self.expr(right, cx)?);
        let arguments = match name {
            "=" | "<>" => {
                let one = self.beside_type((left, one), &other)?;
                let other = self.beside_type((right, other), &one)?;
                vec![one, other]
            }
            _ => vec![one, other],
        };
        self.call(name, arguments, start(syntax))
    }

    /// `(a, b) OVERLAPS (c, d)`; an end may be said as the time from the beginning.
    fn overlaps(
        &mut self,
        one: &'a [ast::Expr],
        two: &'a [ast::Expr],
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let mut arguments = Vec::with_capacity(4);
        for (side, which) in [(one, "left"), (two, "right")] {
            let [begin, end] = side else {
                let message =
                    format!("wrong number of parameters on {which} side of OVERLAPS expression");
                return Err(Error::new(state::SYNTAX_ERROR, message).at(at));
            };
            let begin = self.expr(begin, cx)?;
            let end = match self.expr(end, cx)? {
                span if span.data_type() == Some(DataType::Interval) => {
                    self.call("+", vec![begin.clone(), span], at)?
                }
                moment => moment,
            };
            arguments.extend([begin, end]);
        }
        self.call("overlaps", arguments, at)
    }

    /// AND and OR: a chain of any length is one node, whatever brackets are in it, so that long ones stay flat.
    fn chain(
        &mut self,
        syntax: &'a ast::Expr,
        op: &BinaryOperator,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let mut operands = Vec::new();
        let mut rest = syntax;
        while let ast::Expr::BinaryOp {
            left,
            op: found,
            right,
        } = rest
            && found == op
        {
            operands.push(&**right);
            rest = left;
        }
        operands.push(rest);
        let what = op.to_string();
        let is_and = *op == BinaryOperator::And;
        let mut terms = Vec::with_capacity(operands.len());
        for operand in operands.into_iter().rev() {
            let term = self.condition_of(operand, &what, cx)?;
            match term.kind {
                ExprKind::And(parts) if is_and => terms.extend(parts),
                ExprKind::Or(parts) if !is_and => terms.extend(parts),
                _ => terms.push(term),
            }
        }
        Ok(Bound::Typed(boolean(match is_and {
            true => ExprKind::And(terms),
            false => ExprKind::Or(terms),
        })))
    }

    /// `-a`, `NOT a` ..
    pub(super) fn unary(
        &mut self,
        op: UnaryOperator,
        operand: &'a ast::Expr,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let name = match op {
            UnaryOperator::Not => {
                let operand = self.condition_of(operand, "NOT", cx)?;
                return Ok(Bound::Typed(not(operand)));
            }
            UnaryOperator::Minus => return self.sign("-", operand, cx),
            UnaryOperator::Plus => return self.sign("+", operand, cx),
            UnaryOperator::BitwiseNot => "~",
            UnaryOperator::PGAbs => "@",
            UnaryOperator::PGSquareRoot => "|/",
            UnaryOperator::PGCubeRoot => "||/",
            other => return refuse(&format!("operator {other}"), start(operand)),
        };
        let at = start(operand);
        let operand = self.expr(operand, cx)?;
        self.call(name, vec![operand], at)
    }

    /// `-a`, `+a`. A minus before a number is part of it, before its type is chosen: `-2147483648`
    /// is an INTEGER. A sign binds tighter than `^`, which the grammar's crate has the other way
    /// round: it is moved down to the first operand of an unbracketed power.
    fn sign(
        &mut self,
        name: &'static str,
        operand: &'a ast::Expr,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let at = start(operand);
        if let ast::Expr::BinaryOp { left, op, right } = operand
            && operator_name(op) == Some("^")
        {
            let base = self.deeper(at, |binder| binder.sign(name, left, cx))?;
            let power = self.expr(right, cx)?;
            return self.call("^", vec![base, power], at);
        }
        if name == "-"
            && let Some(literal) = literal::negated(operand)
        {
            return literal;
        }
        let operand = self.expr(operand, cx)?;
        self.call(name, vec![operand], at)
    }

    /// `a [NOT] BETWEEN low AND high`
    pub(super) fn between(&mut self, syntax: &'a ast::Expr, cx: &mut Context<'_>) -> Result<Bound> {
        let ast::Expr::Between {
            expr,
            negated,
            low,
            high,
        } = syntax
        else {
            return refuse("this test", start(syntax));
        };
        let at = start(syntax);
        let input = self.expr(expr, cx)?;
        let either = either_way(low);
        let low = self.expr(either.unwrap_or(low), cx)?;
        let high = self.expr(high, cx)?;
        if either.is_some() {
            let way = |binder: &mut Self, low: &Bound, high: &Bound| -> Result<Expr> {
                let above = binder.call(">=", vec![input.clone(), low.clone()], at)?;
                let below = binder.call("<=", vec![input.clone(), high.clone()], at)?;
                Ok(boolean(ExprKind::And(vec![
                    binder.settle(above)?,
                    binder.settle(below)?,
                ])))
            };
            let ways = vec![way(self, &low, &high)?, way(self, &high, &low)?];
            let within = boolean(ExprKind::Or(ways));
            return Ok(Bound::Typed(if *negated { not(within) } else { within }));
        }
        let above = self.call(">=", vec![input.clone(), low], at)?;
        let below = self.call("<=", vec![input, high], at)?;
        let both = vec![self.settle(above)?, self.settle(below)?];
        let within = boolean(ExprKind::And(both));
        Ok(Bound::Typed(if *negated { not(within) } else { within }))
    }

    /// `a [NOT] IN (list)`
    pub(super) fn in_list(&mut self, syntax: &'a ast::Expr, cx: &mut Context<'_>) -> Result<Bound> {
        let ast::Expr::InList {
            expr,
            list,
            negated,
        } = syntax
        else {
            return refuse("this test", start(syntax));
        };
        let at = start(syntax);
        if is_row(expr) || list.iter().any(is_row) {
            let found = self.row_in_list(expr, list, cx)?;
            return Ok(Bound::Typed(if *negated { not(found) } else { found }));
        }
        let mut operands = vec![self.expr(expr, cx)?];
        for item in list {
            operands.push(self.expr(item, cx)?);
        }
        // That the type has an equality is for the operator to say.
        self.call("=", vec![operands[0].clone(), operands[0].clone()], at)?;
        let (operands, _) = self.unify(operands, "IN", at)?;
        let mut operands = self.keys(operands, at)?;
        let input = Box::new(operands.remove(0));
        let found = boolean(ExprKind::InList {
            input,
            list: operands,
        });
        Ok(Bound::Typed(if *negated { not(found) } else { found }))
    }

    /// `a [NOT] LIKE b [ESCAPE c]`, `ILIKE`
    pub(super) fn like(&mut self, syntax: &'a ast::Expr, cx: &mut Context<'_>) -> Result<Bound> {
        use ast::Expr as E;
        let (E::Like {
            negated,
            any,
            expr,
            pattern,
            escape_char,
        }
        | E::ILike {
            negated,
            any,
            expr,
            pattern,
            escape_char,
        }) = syntax
        else {
            return refuse("this test", start(syntax));
        };
        let at = start(syntax);
        let name = match (syntax, negated) {
            (E::Like { .. }, false) => "~~",
            (E::Like { .. }, true) => "!~~",
            (_, false) => "~~*",
            (_, true) => "!~~*",
        };
        let of_array = match any {
            true => Some((&**pattern, ArrayTest::Any)),
            false => all_of(pattern).map(|array| (array, ArrayTest::All)),
        };
        if let Some((array, test)) = of_array {
            return match escape_char {
                None => self.any_of_array(expr, name, array, test, cx),
                Some(_) => refuse("ESCAPE with LIKE ANY or LIKE ALL", at),
            };
        }
        let input = self.expr(expr, cx)?;
        let mut pattern = self.expr(pattern, cx)?;
        if let Some(escape) = escape_char {
            let escape = self.expr(escape, cx)?;
            pattern = self.call("like_escape", vec![pattern, escape], at)?;
        }
        self.call(name, vec![input, pattern], at)
    }

    /// `a IS DISTINCT FROM b`: as `<>`, with NULL as a value like others.
    pub(super) fn distinct_from(
        &mut self,
        left: &'a ast::Expr,
        right: &'a ast::Expr,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        if is_row(left) || is_row(right) {
            return self.distinct_rows(left, right, cx).map(Bound::Typed);
        }
        let at = start(left);
        let bounds = vec![self.expr(left, cx)?, self.expr(right, cx)?];
        self.call("is_distinct_from", bounds, at)
    }
}

/// The array of `ALL (array)`, which the grammar's crate takes for a call where it does not expect it.
fn all_of(syntax: &ast::Expr) -> Option<&ast::Expr> {
    let ast::Expr::Function(call) = syntax else {
        return None;
    };
    let [ast::ObjectNamePart::Identifier(name)] = call.name.0.as_slice() else {
        return None;
    };
    let ast::FunctionArguments::List(list) = &call.args else {
        return None;
    };
    let is_all = name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all");
    match list.args.as_slice() {
        [ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(array))] if is_all => Some(array),
        _ => None,
    }
}

/// A BOOLEAN expression.
pub(super) fn boolean(kind: ExprKind) -> Expr {
    Expr::new(kind, DataType::Boolean)
}

/// PostgreSQL's name of an operator that is a function.
pub(super) fn operator_name(op: &BinaryOperator) -> Option<&'static str> {
    use BinaryOperator as B;
    Some(match op {
        B::Plus => "+",
        B::Minus => "-",
        B::Multiply => "*",
        B::Divide => "/",
        B::Modulo => "%",
        B::StringConcat => "||",
        B::Gt => ">",
        B::Lt => "<",
        B::GtEq => ">=",
        B::LtEq => "<=",
        B::Eq => "=",
        B::NotEq => "<>",
        B::BitwiseOr => "|",
        B::BitwiseAnd => "&",
        B::PGBitwiseXor => "#",
        B::PGBitwiseShiftLeft => "<<",
        B::PGBitwiseShiftRight => ">>",
        B::PGExp | B::BitwiseXor => "^",
        B::PGRegexMatch => "~",
        B::PGRegexIMatch => "~*",
        B::PGRegexNotMatch => "!~",
        B::PGRegexNotIMatch => "!~*",
        B::PGLikeMatch => "~~",
        B::PGILikeMatch => "~~*",
        B::PGNotLikeMatch => "!~~",
        B::PGNotILikeMatch => "!~~*",
        B::AtArrow => "@>",
        B::ArrowAt => "<@",
        B::PGOverlap => "&&",
        B::Arrow => "->",
        B::LongArrow => "->>",
        B::HashArrow => "#>",
        B::HashLongArrow => "#>>",
        B::Question => "?",
        B::QuestionPipe => "?|",
        B::QuestionAnd => "?&",
        B::HashMinus => "#-",
        B::AtQuestion => "@?",
        B::AtAt => "@@",
        B::PGStartsWith => "^@",
        B::Custom(signs) => {
            let known = ["&<", "&>", "-|-", "~<~", "~<=~", "~>=~", "~>~"];
            return known.into_iter().find(|known| known == signs);
        }
        _ => return None,
    })
}

/// The lower bound of BETWEEN SYMMETRIC.
fn either_way(low: &ast::Expr) -> Option<&ast::Expr> {
    let ast::Expr::Function(call) = low else {
        return None;
    };
    let [ast::ObjectNamePart::Identifier(name)] = call.name.0.as_slice() else {
        return None;
    };
    let ast::FunctionArguments::List(list) = &call.args else {
        return None;
    };
    match list.args.as_slice() {
        [ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(bound))]
            if name.value == SYMMETRIC =>
        {
            Some(bound)
        }
        _ => None,
    }
}
