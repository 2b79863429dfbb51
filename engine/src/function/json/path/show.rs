//! Paths as PostgreSQL writes them: keys in quotes, brackets where the order of operators needs them.

use super::super::write::write_quoted;
use super::{LAST_LEVEL, Node, Operator, Path, Step};
use crate::function::Work;
use crate::function::text::write_numeric;
use std::fmt::Write;

/// The one form of a path.
pub(super) fn show(path: &Path) -> String {
    let mut out = String::new();
    if path.is_strict {
        out.push_str("strict ");
    }
    node(&mut out, &path.root, true);
    out
}

/// How tightly an operator binds.
fn priority(node: &Node) -> u8 {
    match node {
        Node::Or(..) => 0,
        Node::And(..) => 1,
        Node::Compare(..) | Node::StartsWith(..) => 2,
        Node::Arithmetic(Operator::Add | Operator::Subtract, ..) => 3,
        Node::Arithmetic(..) => 4,
        Node::Sign(..) => 5,
        _ => 6,
    }
}

fn binary(out: &mut String, whole: &Node, left: &Node, sign: &str, right: &Node, brackets: bool) {
    bracket(out, brackets, '(');
    node(out, left, priority(left) <= priority(whole));
    let _ = write!(out, " {sign} ");
    node(out, right, priority(right) <= priority(whole));
    bracket(out, brackets, ')');
}

fn quoted(out: &mut String, text: &str) {
    // Work that nothing interrupts has no other errors.
    let _ = write_quoted(out, text, &Work::unasked());
}

fn bracket(out: &mut String, brackets: bool, bracket: char) {
    if brackets {
        out.push(bracket);
    }
}

fn node(out: &mut String, whole: &Node, brackets: bool) {
    match whole {
        Node::Null => out.push_str("null"),
        Node::Bool(true) => out.push_str("true"),
        Node::Bool(false) => out.push_str("false"),
        Node::Number(number) => write_numeric(out, *number),
        Node::String(text) => quoted(out, text),
        Node::Variable(name) => {
            out.push('$');
            quoted(out, name);
        }
        Node::Root => out.push('$'),
        Node::Current => out.push('@'),
        Node::Last => out.push_str("last"),
        Node::Steps(first, steps) => {
            let is_number = matches!(**first, Node::Number(_));
            bracket(out, is_number, '(');
            node(out, first, true);
            bracket(out, is_number, ')');
            for each in steps {
                step(out, each);
            }
        }
        Node::Arithmetic(operator, a, b) => binary(out, whole, a, operator.sign(), b, brackets),
        Node::Compare(comparison, a, b) => binary(out, whole, a, comparison.sign(), b, brackets),
        Node::And(a, b) => binary(out, whole, a, "&&", b, brackets),
        Node::Or(a, b) => binary(out, whole, a, "||", b, brackets),
        Node::StartsWith(a, b) => binary(out, whole, a, "starts with", b, brackets),
        Node::Sign(is_minus, inner) => {
            bracket(out, brackets, '(');
            out.push(if *is_minus { '-' } else { '+' });
            node(out, inner, priority(inner) <= priority(whole));
            bracket(out, brackets, ')');
        }
        Node::Like(left, pattern, letters) => {
            bracket(out, brackets, '(');
            node(out, left, priority(left) <= priority(whole));
            out.push_str(" like_regex ");
            quoted(out, pattern);
            if !letters.is_empty() {
                let _ = write!(out, " flag \"{letters}\"");
            }
            bracket(out, brackets, ')');
        }
        Node::Not(inner) => within(out, "!(", inner, ")"),
        Node::IsUnknown(inner) => within(out, "(", inner, ") is unknown"),
        Node::Exists(inner) => within(out, "exists (", inner, ")"),
    }
}

fn within(out: &mut String, before: &str, inner: &Node, behind: &str) {
    out.push_str(before);
    node(out, inner, false);
    out.push_str(behind);
}

fn step(out: &mut String, step: &Step) {
    match step {
        Step::Key(key) => {
            out.push('.');
            quoted(out, key);
        }
        Step::AnyKey => out.push_str(".*"),
        Step::AnyElement => out.push_str("[*]"),
        Step::Elements(list) => {
            out.push('[');
            for (i, (first, last)) in list.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                node(out, first, false);
                if let Some(last) = last {
                    out.push_str(" to ");
                    node(out, last, false);
                }
            }
            out.push(']');
        }
        Step::AnyLevel(first, last) => {
            let _ = match (*first, *last) {
                (0, LAST_LEVEL) => write!(out, ".**"),
                (LAST_LEVEL, LAST_LEVEL) => write!(out, ".**{{last}}"),
                (first, last) if first == last => write!(out, ".**{{{first}}}"),
                (LAST_LEVEL, last) => write!(out, ".**{{last to {last}}}"),
                (first, LAST_LEVEL) => write!(out, ".**{{{first} to last}}"),
                (first, last) => write!(out, ".**{{{first} to {last}}}"),
            };
        }
        Step::Filter(test) => within(out, "?(", test, ")"),
        Step::Method(method) => {
            let _ = write!(out, ".{}()", method.name());
        }
        Step::Moment(template) => {
            out.push_str(".datetime(");
            if let Some(template) = template {
                quoted(out, template);
            }
            out.push(')');
        }
    }
}
