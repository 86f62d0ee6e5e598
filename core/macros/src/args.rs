//! The arguments of `#[instrument(…)]`.

use crate::call::{Field, Fields, Item, KINDS, LEVELS, Options, Parent, no_name, variant};
use crate::red::Metrics;
use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, Ident, LitStr, Path, Result, Token, parenthesized, parse_quote};

const KNOWN: &str = "`name`, `level`, `target`, `parent`, `follows_from`, `kind`, `root`, `skip`, `skip_all`, `fields`, `err`, `ret`, `metrics` and `crate`";

/// The parsed arguments.
pub(crate) struct Args {
    pub(crate) name: Option<Expr>,
    /// The level, target, parent and kind of the span.
    pub(crate) options: Options,
    /// The spans that caused this one.
    pub(crate) follows_from: Option<Expr>,
    pub(crate) skip: Vec<Ident>,
    pub(crate) skip_all: bool,
    /// The content of `fields(…)`.
    pub(crate) fields: Fields,
    pub(crate) err: Option<Emit>,
    pub(crate) ret: Option<Emit>,
    pub(crate) metrics: Option<Metrics>,
    /// The path of the crate `throughline`.
    pub(crate) krate: Path,
}

/// How a returned value is recorded.
pub(crate) struct Emit {
    pub(crate) format: Format,
    /// The level of an additional event, if one was requested.
    pub(crate) level: Option<Ident>,
}

/// The trait that turns a value into text, and the position in the source where it was requested.
#[derive(Clone, Copy)]
pub(crate) enum Format {
    Display(Span),
    Debug(Span),
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> Result<Args> {
        let mut args = Args {
            name: None,
            options: Options::default(),
            follows_from: None,
            skip: Vec::new(),
            skip_all: false,
            fields: Fields::default(),
            err: None,
            ret: None,
            metrics: None,
            krate: parse_quote!(::throughline),
        };
        let mut seen: Vec<String> = Vec::new();
        while !input.is_empty() {
            args.parse_one(input, &mut seen)?;
            if input.is_empty() {
                break;
            }
            input.parse::<Token![,]>()?;
        }
        Ok(args)
    }
}

impl Args {
    fn parse_one(&mut self, input: ParseStream<'_>, seen: &mut Vec<String>) -> Result<()> {
        // `tracing` also allows the name alone.
        if input.peek(LitStr) {
            self.name = Some(Expr::Lit(input.parse()?));
            return Ok(());
        }
        let word = Ident::parse_any(input)?;
        let text = word.to_string();
        if seen.contains(&text) {
            return Err(Error::new(word.span(), format!("`{text}` is given twice")));
        }
        match text.as_str() {
            "name" => self.name = Some(value(input)?),
            "level" => self.options.level = Some(assigned(input, |input| variant(input, "level", &LEVELS))?),
            "kind" => self.options.kind = Some(assigned(input, |input| variant(input, "kind", &KINDS))?),
            "target" => self.options.target = Some(value(input)?),
            "parent" => self.options.parent = Some(assigned(input, Parent::parse)?),
            "follows_from" => self.follows_from = Some(value(input)?),
            "root" => self.options.parent = Some(Parent::None),
            "skip" => self.skip = list(input, Ident::parse_any)?,
            "skip_all" => self.skip_all = true,
            "fields" => {
                for field in list(input, field)? {
                    self.fields.push(field)?;
                }
            }
            "err" => self.err = Some(Emit::parse(input, Format::Display(word.span()))?),
            "ret" => self.ret = Some(Emit::parse(input, Format::Debug(word.span()))?),
            "metrics" => {
                self.metrics = Some(if input.peek(syn::token::Paren) {
                    let content;
                    parenthesized!(content in input);
                    Metrics::parse(&content)?
                } else {
                    Metrics::default()
                });
            }
            "crate" => {
                input.parse::<Token![=]>()?;
                self.krate = Path::parse_mod_style(input)?;
            }
            _ => return Err(unknown(&word)),
        }
        seen.push(text);
        Ok(())
    }
}

fn unknown(word: &Ident) -> Error {
    Error::new(word.span(), format!("unknown argument `{word}`; the arguments are {KNOWN}"))
}

fn assigned<T>(input: ParseStream<'_>, value: impl FnOnce(ParseStream<'_>) -> Result<T>) -> Result<T> {
    input.parse::<Token![=]>()?;
    value(input)
}

fn value(input: ParseStream<'_>) -> Result<Expr> {
    assigned(input, |input| input.parse())
}

fn list<T>(input: ParseStream<'_>, item: fn(ParseStream<'_>) -> Result<T>) -> Result<Vec<T>> {
    let content;
    parenthesized!(content in input);
    Ok(Punctuated::<T, Token![,]>::parse_terminated_with(&content, item)?.into_iter().collect())
}

fn field(input: ParseStream<'_>) -> Result<Field> {
    match Item::parse(input)? {
        Item::Named(field) => Ok(field),
        Item::Unnamed(_, value) => Err(no_name(&value)),
    }
}

impl Emit {
    /// Parses `(Debug)`, `(Display)`, `(level = "info")`, a combination of them, or nothing.
    fn parse(input: ParseStream<'_>, otherwise: Format) -> Result<Emit> {
        let mut emit = Emit { format: otherwise, level: None };
        if !input.peek(syn::token::Paren) {
            return Ok(emit);
        }
        let content;
        parenthesized!(content in input);
        while !content.is_empty() {
            let word = Ident::parse_any(&content)?;
            match word.to_string().as_str() {
                "Display" => emit.format = Format::Display(word.span()),
                "Debug" => emit.format = Format::Debug(word.span()),
                "level" => {
                    emit.level = Some(assigned(&content, |input| variant(input, "level", &LEVELS))?);
                }
                _ => return Err(Error::new(word.span(), "expected `Debug`, `Display` or `level = …`")),
            }
            if !content.is_empty() {
                content.parse::<Token![,]>()?;
            }
        }
        Ok(emit)
    }
}
