//! ALTER TYPE, and what is about domains, of which the grammar's crate knows a part.

use sqlparser::ast::{ColumnOptionDef, DataType, Expr, Ident, ObjectName};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token};

/// A statement about types.
#[derive(Clone, Debug)]
pub(crate) enum TypeSyntax {
    /// ALTER TYPE
    Alter(ObjectName, AlterType),
    /// CREATE DOMAIN
    CreateDomain(Box<CreateDomain>),
    /// ALTER DOMAIN
    AlterDomain(ObjectName, Box<AlterDomain>),
    /// DROP DOMAIN
    DropDomain {
        names: Vec<ObjectName>,
        if_exists: bool,
        cascade: bool,
    },
}

/// CREATE DOMAIN
#[derive(Clone, Debug)]
pub(crate) struct CreateDomain {
    pub name: ObjectName,
    pub data_type: DataType,
    /// What is said of its values, as of those of a column.
    pub options: Vec<ColumnOptionDef>,
}

/// What is altered of a domain.
#[derive(Clone, Debug)]
pub(crate) enum AlterDomain {
    /// SET DEFAULT, DROP DEFAULT
    Default(Option<Expr>),
    /// SET NOT NULL, DROP NOT NULL
    NotNull(bool),
    /// ADD CONSTRAINT .. CHECK
    AddCheck {
        name: Option<Ident>,
        check: Expr,
        not_valid: bool,
    },
    /// DROP CONSTRAINT
    DropConstraint { name: Ident, if_exists: bool },
    /// RENAME CONSTRAINT
    RenameConstraint(Ident, Ident),
    /// VALIDATE CONSTRAINT
    Validate(Ident),
    /// What is altered of any type.
    Type(AlterType),
}

/// What is altered of a type.
#[derive(Clone, Debug)]
pub(crate) enum AlterType {
    /// ADD VALUE
    AddValue {
        label: Label,
        if_not_exists: bool,
        neighbour: Option<(Side, Label)>,
    },
    /// RENAME VALUE
    RenameValue(Label, Label),
    /// RENAME TO
    Rename(Ident),
    /// ADD, DROP, ALTER, RENAME ATTRIBUTE
    Attributes(Vec<Attribute>),
    /// SET SCHEMA
    SetSchema(Ident),
    /// OWNER TO
    Owner,
}

/// What is altered of a field of a composite type.
#[derive(Clone, Debug)]
pub(crate) enum Attribute {
    /// ADD ATTRIBUTE
    Add(Ident, DataType),
    /// DROP ATTRIBUTE, perhaps IF EXISTS
    Drop(Ident, bool),
    /// ALTER ATTRIBUTE .. TYPE
    Type(Ident, DataType),
    /// RENAME ATTRIBUTE
    Rename(Ident, Ident),
}

/// A string, and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    pub text: String,
    pub span: Span,
}

/// On which side of its neighbour a value comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Before,
    After,
}

/// The statement, if one comes next.
pub(super) fn parse(parser: &mut Parser<'_>) -> Result<Option<TypeSyntax>, ParserError> {
    if parser.parse_keywords(&[Keyword::CREATE, Keyword::DOMAIN]) {
        let create = Box::new(create_domain(parser)?);
        return Ok(Some(TypeSyntax::CreateDomain(create)));
    }
    if parser.parse_keywords(&[Keyword::ALTER, Keyword::DOMAIN]) {
        let name = parser.parse_object_name(false)?;
        let action = Box::new(alter_domain(parser)?);
        return Ok(Some(TypeSyntax::AlterDomain(name, action)));
    }
    if parser.parse_keywords(&[Keyword::DROP, Keyword::DOMAIN]) {
        let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
        let names = parser.parse_comma_separated(|parser| parser.parse_object_name(false))?;
        return Ok(Some(TypeSyntax::DropDomain {
            names,
            if_exists,
            cascade: cascade(parser),
        }));
    }
    if !parser.parse_keywords(&[Keyword::ALTER, Keyword::TYPE]) {
        return Ok(None);
    }
    let name = parser.parse_object_name(false)?;
    let action = if parser.parse_keywords(&[Keyword::ADD, Keyword::VALUE]) {
        add_value(parser)?
    } else if parser.parse_keywords(&[Keyword::RENAME, Keyword::VALUE]) {
        let from = label(parser)?;
        parser.expect_keyword(Keyword::TO)?;
        AlterType::RenameValue(from, label(parser)?)
    } else if let Some(attributes) = attributes(parser)? {
        AlterType::Attributes(attributes)
    } else {
        of_any_type(parser)?
    };
    Ok(Some(TypeSyntax::Alter(name, action)))
}

/// What is said of attributes, if that comes next.
fn attributes(parser: &mut Parser<'_>) -> Result<Option<Vec<Attribute>>, ParserError> {
    let Some(first) = attribute(parser)? else {
        return Ok(None);
    };
    let mut all = vec![first];
    while parser.consume_token(&Token::Comma) {
        match attribute(parser)? {
            Some(next) => all.push(next),
            None => return parser.expected_ref("an attribute", parser.peek_token_ref()),
        }
    }
    Ok(Some(all))
}

fn attribute(parser: &mut Parser<'_>) -> Result<Option<Attribute>, ParserError> {
    let is_word = |at: usize, words: &[&str]| {
        matches!(&parser.peek_nth_token_ref(at).token, Token::Word(word) if word.quote_style.is_none()
            && words.iter().any(|wanted| word.value.eq_ignore_ascii_case(wanted)))
    };
    if !is_word(0, &["add", "drop", "alter", "rename"]) || !is_word(1, &["attribute"]) {
        return Ok(None);
    }
    let verbs = [Keyword::ADD, Keyword::DROP, Keyword::ALTER, Keyword::RENAME];
    let verb = parser.parse_one_of_keywords(&verbs);
    parser.advance_token();
    let found = match verb {
        Some(Keyword::ADD) => Attribute::Add(parser.parse_identifier()?, parser.parse_data_type()?),
        Some(Keyword::DROP) => {
            let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
            Attribute::Drop(parser.parse_identifier()?, if_exists)
        }
        Some(Keyword::ALTER) => {
            let name = parser.parse_identifier()?;
            let _ = parser.parse_keywords(&[Keyword::SET, Keyword::DATA]);
            parser.expect_keyword(Keyword::TYPE)?;
            Attribute::Type(name, parser.parse_data_type()?)
        }
        _ => {
            let from = parser.parse_identifier()?;
            parser.expect_keyword(Keyword::TO)?;
            Attribute::Rename(from, parser.parse_identifier()?)
        }
    };
    let _ = cascade(parser);
    Ok(Some(found))
}

fn of_any_type(parser: &mut Parser<'_>) -> Result<AlterType, ParserError> {
    if parser.parse_keywords(&[Keyword::RENAME, Keyword::TO]) {
        Ok(AlterType::Rename(parser.parse_identifier()?))
    } else if parser.parse_keywords(&[Keyword::SET, Keyword::SCHEMA]) {
        Ok(AlterType::SetSchema(parser.parse_identifier()?))
    } else if parser.parse_keywords(&[Keyword::OWNER, Keyword::TO]) {
        parser.parse_owner()?;
        Ok(AlterType::Owner)
    } else {
        parser.expected_ref("an action of ALTER", parser.peek_token_ref())
    }
}

fn create_domain(parser: &mut Parser<'_>) -> Result<CreateDomain, ParserError> {
    let name = parser.parse_object_name(false)?;
    let _ = parser.parse_keyword(Keyword::AS);
    let data_type = parser.parse_data_type()?;
    let mut options = Vec::new();
    loop {
        let name = match parser.parse_keyword(Keyword::CONSTRAINT) {
            true => Some(parser.parse_identifier()?),
            false => None,
        };
        match parser.parse_optional_column_option()? {
            Some(option) => options.push(ColumnOptionDef { name, option }),
            None if name.is_some() => {
                return parser.expected_ref("a constraint", parser.peek_token_ref());
            }
            None => break,
        }
    }
    Ok(CreateDomain {
        name,
        data_type,
        options,
    })
}

fn alter_domain(parser: &mut Parser<'_>) -> Result<AlterDomain, ParserError> {
    let not_null = [Keyword::NOT, Keyword::NULL];
    if parser.parse_keywords(&[Keyword::SET, Keyword::DEFAULT]) {
        Ok(AlterDomain::Default(Some(parser.parse_expr()?)))
    } else if parser.parse_keywords(&[Keyword::DROP, Keyword::DEFAULT]) {
        Ok(AlterDomain::Default(None))
    } else if parser.parse_keywords(&[Keyword::SET, Keyword::NOT]) {
        parser.expect_keyword(Keyword::NULL)?;
        Ok(AlterDomain::NotNull(true))
    } else if parser.parse_keyword(Keyword::ADD) {
        let name = match parser.parse_keyword(Keyword::CONSTRAINT) {
            true => Some(parser.parse_identifier()?),
            false => None,
        };
        parser.expect_keyword(Keyword::CHECK)?;
        parser.expect_token(&Token::LParen)?;
        let check = parser.parse_expr()?;
        parser.expect_token(&Token::RParen)?;
        let not_valid = parser.parse_keyword(Keyword::NOT);
        if not_valid {
            parser.expect_keyword(Keyword::VALID)?;
        }
        Ok(AlterDomain::AddCheck {
            name,
            check,
            not_valid,
        })
    } else if parser.parse_keyword(Keyword::DROP) {
        if parser.parse_keywords(&not_null) {
            return Ok(AlterDomain::NotNull(false));
        }
        parser.expect_keyword(Keyword::CONSTRAINT)?;
        let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
        let name = parser.parse_identifier()?;
        let _ = cascade(parser);
        Ok(AlterDomain::DropConstraint { name, if_exists })
    } else if parser.parse_keywords(&[Keyword::RENAME, Keyword::CONSTRAINT]) {
        let from = parser.parse_identifier()?;
        parser.expect_keyword(Keyword::TO)?;
        Ok(AlterDomain::RenameConstraint(
            from,
            parser.parse_identifier()?,
        ))
    } else if super::take_word(parser, "validate") {
        parser.expect_keyword(Keyword::CONSTRAINT)?;
        Ok(AlterDomain::Validate(parser.parse_identifier()?))
    } else {
        of_any_type(parser).map(AlterDomain::Type)
    }
}

fn cascade(parser: &mut Parser<'_>) -> bool {
    let words = [Keyword::CASCADE, Keyword::RESTRICT];
    parser.parse_one_of_keywords(&words) == Some(Keyword::CASCADE)
}

fn add_value(parser: &mut Parser<'_>) -> Result<AlterType, ParserError> {
    let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    let added = label(parser)?;
    let side = match parser.parse_one_of_keywords(&[Keyword::BEFORE, Keyword::AFTER]) {
        Some(Keyword::BEFORE) => Some(Side::Before),
        Some(_) => Some(Side::After),
        None => None,
    };
    let neighbour = side.map(|side| Ok::<_, ParserError>((side, label(parser)?)));
    Ok(AlterType::AddValue {
        label: added,
        if_not_exists,
        neighbour: neighbour.transpose()?,
    })
}

fn label(parser: &mut Parser<'_>) -> Result<Label, ParserError> {
    let next = parser.next_token();
    match next.token {
        Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => Ok(Label {
            text,
            span: next.span,
        }),
        _ => {
            parser.prev_token();
            parser.expected_ref("a string", parser.peek_token_ref())
        }
    }
}
