//! The arguments of `#[instrument(…)]`.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, Ident, LitStr, Member, Path, Result, Token, parenthesized, parse_quote};

const LEVELS: [&str; 5] = ["Trace", "Debug", "Info", "Warn", "Error"];
const KINDS: [&str; 5] = ["Internal", "Server", "Client", "Producer", "Consumer"];
const KNOWN: &str = "`name`, `level`, `kind`, `root`, `skip`, `skip_all`, `fields`, `err`, `ret` and `crate`";

/// What was asked for.
pub(crate) struct Args {
    pub(crate) name: Option<Expr>,
    /// A variant of `Level`.
    pub(crate) level: Option<Ident>,
    /// A variant of `SpanKind`.
    pub(crate) kind: Option<Ident>,
    pub(crate) root: bool,
    pub(crate) skip: Vec<Ident>,
    pub(crate) skip_all: bool,
    pub(crate) fields: Vec<Field>,
    pub(crate) err: Option<Format>,
    pub(crate) ret: Option<Format>,
    /// Where the crate `throughline` is.
    pub(crate) krate: Path,
}

/// One of `fields(…)`.
pub(crate) struct Field {
    pub(crate) key: LitStr,
    /// Neither: the value as it is.
    pub(crate) format: Option<Format>,
    pub(crate) value: Expr,
}

/// How a value becomes text, and where that was said.
#[derive(Clone, Copy)]
pub(crate) enum Format {
    Display(Span),
    Debug(Span),
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> Result<Args> {
        let mut args = Args {
            name: None,
            level: None,
            kind: None,
            root: false,
            skip: Vec::new(),
            skip_all: false,
            fields: Vec::new(),
            err: None,
            ret: None,
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
        // As `tracing` allows: the name by itself.
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
            "level" => self.level = Some(variant(input, "level", &LEVELS)?),
            "kind" => self.kind = Some(variant(input, "kind", &KINDS)?),
            "root" => self.root = true,
            "skip" => self.skip = list(input, Ident::parse_any)?,
            "skip_all" => self.skip_all = true,
            "fields" => self.fields = list(input, Field::parse)?,
            "err" => self.err = Some(format(input)?.unwrap_or(Format::Display(word.span()))),
            "ret" => self.ret = Some(format(input)?.unwrap_or(Format::Debug(word.span()))),
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
    let hint = match word.to_string().as_str() {
        "parent" | "follows_from" => {
            "; a span's parent is the span that is current: use `root` for none, `Context::enter` for another"
        }
        "target" => "; the target is the module's path",
        _ => "",
    };
    Error::new(word.span(), format!("unknown argument `{word}`{hint}; there are {KNOWN}"))
}

fn value(input: ParseStream<'_>) -> Result<Expr> {
    input.parse::<Token![=]>()?;
    input.parse()
}

fn list<T>(input: ParseStream<'_>, item: fn(ParseStream<'_>) -> Result<T>) -> Result<Vec<T>> {
    let content;
    parenthesized!(content in input);
    Ok(Punctuated::<T, Token![,]>::parse_terminated_with(&content, item)?.into_iter().collect())
}

/// `= "debug"`, `= Debug`, `= DEBUG` or `= Level::DEBUG`, as one of `known`.
fn variant(input: ParseStream<'_>, what: &str, known: &[&str]) -> Result<Ident> {
    input.parse::<Token![=]>()?;
    let (given, span) = if input.peek(LitStr) {
        let text: LitStr = input.parse()?;
        (text.value(), text.span())
    } else {
        let path: Path = input.parse()?;
        let last = &path.segments[path.segments.len() - 1].ident;
        (last.to_string(), last.span())
    };
    match known.iter().find(|name| name.eq_ignore_ascii_case(&given)) {
        Some(name) => Ok(Ident::new(name, Span::call_site())),
        None => {
            let known = known.join("`, `");
            Err(Error::new(span, format!("unknown {what} `{given}`; there are `{known}`")))
        }
    }
}

/// `(Debug)`, `(Display)` or nothing.
fn format(input: ParseStream<'_>) -> Result<Option<Format>> {
    if !input.peek(syn::token::Paren) {
        return Ok(None);
    }
    let content;
    parenthesized!(content in input);
    let word = Ident::parse_any(&content)?;
    let format = match word.to_string().as_str() {
        "Display" => Format::Display(word.span()),
        "Debug" => Format::Debug(word.span()),
        _ => return Err(Error::new(word.span(), "expected `Debug` or `Display`")),
    };
    if !content.is_empty() {
        return Err(content.error("expected nothing after it"));
    }
    Ok(Some(format))
}

impl Field {
    fn parse(input: ParseStream<'_>) -> Result<Field> {
        if let Some(format) = sigil(input)? {
            let (key, value) = dotted(input)?;
            return Ok(Field { key, format: Some(format), value });
        }
        let (key, short) = if input.peek(LitStr) {
            (input.parse()?, None)
        } else {
            let (key, value) = dotted(input)?;
            (key, Some(value))
        };
        match short {
            Some(value) if !input.peek(Token![=]) => Ok(Field { key, format: None, value }),
            _ => {
                input.parse::<Token![=]>()?;
                Ok(Field { key, format: sigil(input)?, value: input.parse()? })
            }
        }
    }
}

fn sigil(input: ParseStream<'_>) -> Result<Option<Format>> {
    let span = input.span();
    Ok(if input.parse::<Option<Token![%]>>()?.is_some() {
        Some(Format::Display(span))
    } else if input.parse::<Option<Token![?]>>()?.is_some() {
        Some(Format::Debug(span))
    } else {
        None
    })
}

/// `a.b.c`, both as a name and as the expression it is.
fn dotted(input: ParseStream<'_>) -> Result<(LitStr, Expr)> {
    if !input.peek(Ident::peek_any) {
        return Err(
            input.error("expected a field: `key = value`, `key = %display`, `key = ?debug`, or a variable")
        );
    }
    let first = Ident::parse_any(input)?;
    let mut key = first.unraw().to_string();
    let span = first.span();
    let mut value: Expr = parse_quote!(#first);
    while input.parse::<Option<Token![.]>>()?.is_some() {
        // Any word may be part of a name, such as the `type` of `error.type`; whether it may be part of an expression is
        // decided where it is used as one.
        let member = if input.peek(Ident::peek_any) {
            Member::Named(Ident::parse_any(input)?)
        } else {
            input.parse()?
        };
        match &member {
            Member::Named(name) => key = format!("{key}.{}", name.unraw()),
            Member::Unnamed(index) => key = format!("{key}.{}", index.index),
        }
        value = Expr::Field(syn::ExprField {
            attrs: Vec::new(),
            base: Box::new(value),
            dot_token: Token![.](span),
            member,
        });
    }
    Ok((LitStr::new(&key, span), value))
}
