//! `event!`, its variants for each level, and `enabled!`.

use super::field::{Field, Fields, Item, no_name};
use super::input::Input;
use super::message::{Message, Piece, Placeholder, Reference};
use super::options::{Macro, Options, Parent};
use super::or_error;
use super::span::{callsite, target};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::{ParseStream, Parser};
use syn::{Error, Expr, LitStr, Path, Result, Token, braced, parse_quote};

/// The complete expansion of `event!`.
pub(crate) fn event(input: TokenStream) -> TokenStream {
    with_input(input, expand_event, TokenStream::new)
}

/// The complete expansion of `enabled!`.
pub(crate) fn enabled(input: TokenStream) -> TokenStream {
    with_input(input, expand_enabled, || quote!(false))
}

fn with_input(
    input: TokenStream,
    expand: fn(ParseStream<'_>, &Path, Options) -> Result<TokenStream>,
    instead: fn() -> TokenStream,
) -> TokenStream {
    let Input { krate, level, rest } = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    let parser = |input: ParseStream<'_>| {
        let mut options = Options::parse(input, Macro::Event)?;
        match (level.clone(), &options.level) {
            (Some(level), _) => options.level = Some(level),
            (None, None) => {
                return Err(Error::new(
                    input.span(),
                    "an event needs a level: `Trace`, `Debug`, `Info`, `Warn` or `Error`",
                ));
            }
            (None, Some(_)) => {}
        }
        expand(input, &krate, options)
    };
    or_error(parser.parse2(rest), instead)
}

fn expand_event(input: ParseStream<'_>, krate: &Path, options: Options) -> Result<TokenStream> {
    let Arguments { message, fields } = Arguments::parse(input)?;
    Ok(record_event(krate, options, &message, &fields))
}

/// The statement that records an event.
pub(crate) fn record_event(krate: &Path, options: Options, message: &LitStr, fields: &Fields) -> TokenStream {
    let (level, target) = (options.level(), target(options.target.as_ref()));
    let (names, values, callsite) = (fields.names(), fields.values(krate), callsite());
    let name = options.name.map(|name| quote!(unit: #name,));
    let record = match options.parent {
        None => quote!(#krate::__private::event(#callsite, #values)),
        Some(Parent::None) => {
            quote!(#krate::__private::outside(|| #krate::__private::event(#callsite, #values)))
        }
        Some(Parent::Given(place)) => {
            quote!(#krate::__private::below(#place, || #krate::__private::event(#callsite, #values)))
        }
    };
    let record = fields.with_traits(krate, record);
    quote! {
        if let ::core::option::Option::Some(#callsite) = #krate::__enabled!(#level, #krate::__private::Meta {
            kind: #krate::__private::Kind::Event,
            level: #krate::__private::Level::#level as ::core::primitive::u8,
            name: #message,
            target: #target,
            file: ::core::file!(),
            line: ::core::line!(),
            #name
            fields: #names,
            ..#krate::__private::Meta::EMPTY
        }) {
            #record
        }
    }
}

fn expand_enabled(input: ParseStream<'_>, krate: &Path, options: Options) -> Result<TokenStream> {
    if !input.is_empty() {
        return Err(input.error("`enabled!` takes a level, as in `enabled!(Debug)`, and nothing else"));
    }
    let (level, target) = (options.level(), target(options.target.as_ref()));
    Ok(quote! {
        #krate::__private::is_enabled(#krate::__enabled!(#level, #krate::__private::Meta {
            kind: #krate::__private::Kind::Event,
            level: #krate::__private::Level::#level as ::core::primitive::u8,
            target: #target,
            file: ::core::file!(),
            line: ::core::line!(),
            ..#krate::__private::Meta::EMPTY
        }))
    })
}

/// The arguments after the options.
struct Arguments {
    /// The message as readers get it: each placeholder names its field.
    message: LitStr,
    fields: Fields,
}

impl Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Arguments> {
        let mut fields = Fields::default();
        let mut literal: Option<LitStr> = None;
        // The indices of the fields for the values after the message, in order.
        let mut values: Vec<usize> = Vec::new();
        // Those of them that are an error unless a placeholder shows them.
        let mut unnamed: Vec<(usize, Expr)> = Vec::new();
        if input.is_empty() {
            return Err(Error::new(Span::call_site(), "an event needs a message or a field"));
        }
        if input.peek(syn::token::Brace) {
            let inner;
            braced!(inner in input);
            fields = Fields::parse_named(&inner)?;
            comma(input)?;
        }
        while !input.is_empty() {
            if literal.is_none() && is_message(input) {
                literal = Some(input.parse()?);
                comma(input)?;
                continue;
            }
            let item = Item::parse(input)?;
            comma(input)?;
            match item {
                Item::Named(mut field) => {
                    let known =
                        fields.index_of(&field.key).filter(|_| field.is_its_own_name && literal.is_some());
                    if let Some(index) = known {
                        if fields.0[index].is_same_value(&field) {
                            values.push(index);
                            continue;
                        }
                        // Another value already has this name, so this one gets a number instead.
                        field.key = format!("arg{}", values.len());
                        unnamed.push((fields.0.len(), field.value.clone()));
                    }
                    fields.push(field)?;
                }
                Item::Unnamed(sigil, value) => {
                    if literal.is_none() {
                        return Err(not_a_message(&value));
                    }
                    let key = format!("arg{}", values.len());
                    unnamed.push((fields.0.len(), value.clone()));
                    let span = syn::spanned::Spanned::span(&value);
                    fields.push(Field {
                        key,
                        span,
                        sigil,
                        value,
                        shown: Vec::new(),
                        is_argument: false,
                        is_its_own_name: false,
                    })?;
                }
            }
            if literal.is_some() {
                values.push(fields.0.len() - 1);
            }
        }
        let Some(literal) = literal else {
            return Ok(Arguments { message: LitStr::new("", Span::mixed_site()), fields });
        };
        let message = resolve(&Message::parse(&literal)?, &mut fields, &values)?;
        for (index, value) in unnamed {
            if fields.0[index].shown.is_empty() && !message.shown[index] {
                return Err(no_name(&value));
            }
        }
        Ok(Arguments { message: LitStr::new(&message.text, literal.span()), fields })
    }
}

fn comma(input: ParseStream<'_>) -> Result<()> {
    if !input.is_empty() {
        input.parse::<Token![,]>()?;
    }
    Ok(())
}

/// Whether a string follows that is not a field's key.
fn is_message(input: ParseStream<'_>) -> bool {
    input.peek(LitStr) && (!input.peek2(Token![=]) || input.peek2(Token![==]))
}

fn not_a_message(value: &Expr) -> Error {
    Error::new_spanned(
        value,
        "expected a message, which is a string literal, or a field: `key = value`, `key = %display`, `key = ?debug`, or a variable",
    )
}

impl Field {
    /// Whether both fields record the same expression as it is: `{} {}` may show a value twice, and a field
    /// may also be shown.
    fn is_same_value(&self, other: &Field) -> bool {
        let text = |field: &Field| field.value.to_token_stream().to_string();
        self.sigil.is_none() && other.sigil.is_none() && text(self) == text(other)
    }
}

/// A message with its placeholders resolved to fields.
struct Resolved {
    text: String,
    /// Whether the message shows the field, by index of the field.
    shown: [bool; super::MAX_FIELDS],
}

/// Resolves each placeholder to a field. A name that is not a field's is a variable's, and adds a field.
fn resolve(message: &Message, fields: &mut Fields, values: &[usize]) -> Result<Resolved> {
    let fail = |text: String| Error::new(message.span, text);
    let mut next = 0;
    let mut indices = Vec::new();
    for Placeholder { value, .. } in message.placeholders() {
        let index = match value {
            Reference::Next => {
                next += 1;
                values.get(next - 1).copied().ok_or_else(|| {
                    fail(format!(
                        "the message has more `{{}}` than values after it ({}): give one value for each",
                        values.len()
                    ))
                })?
            }
            Reference::Index(n) => values.get(*n).copied().ok_or_else(|| {
                fail(format!(
                    "the message shows `{{{n}}}`, counted from 0, but the number of values after the message is {}",
                    values.len()
                ))
            })?,
            Reference::Name(name) => {
                let key = name.strip_prefix("r#").unwrap_or(name);
                match fields.index_of(key) {
                    Some(index) => index,
                    None => {
                        fields.push(captured(name, message.span)?)?;
                        fields.0.len() - 1
                    }
                }
            }
        };
        indices.push(index);
    }
    let mut resolved = Resolved { text: String::new(), shown: [false; super::MAX_FIELDS] };
    let mut indices = indices.into_iter();
    for piece in &message.pieces {
        match piece {
            Piece::Text(text) => resolved.text.push_str(text),
            Piece::Placeholder(placeholder) => {
                let index = indices.next().unwrap_or_default();
                resolved.shown[index] = true;
                let field = &mut fields.0[index];
                field.show(placeholder, message.span)?;
                resolved.text.push('{');
                resolved.text.push_str(&placeholder_name(&field.key, index));
                if !placeholder.spec.text.is_empty() {
                    resolved.text.push(':');
                    resolved.text.push_str(&placeholder.spec.text);
                }
                resolved.text.push('}');
            }
        }
    }
    Ok(resolved)
}

/// The name by which a reader finds the field: its key or, if the key is not a valid name, its number.
fn placeholder_name(key: &str, index: usize) -> String {
    let is_word = |part: &str| {
        part.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    let mut parts = key.split('.');
    let is_name =
        parts.next().is_some_and(is_word) && parts.all(|part| is_word(part) || part.parse::<u32>().is_ok());
    if is_name { key.into() } else { index.to_string() }
}

impl Field {
    fn show(&mut self, placeholder: &Placeholder, at: Span) -> Result<()> {
        use super::message::Style::{Debug, Display};
        if self.sigil.is_some() && !matches!(placeholder.spec.style, Display | Debug) {
            let message = format!(
                "`{{:{}}}` shows a number, and the field `{}` is text: leave out its `%` or `?`",
                placeholder.spec.text, self.key
            );
            return Err(Error::new(at, message));
        }
        if !self.shown.contains(&placeholder.spec) {
            self.shown.push(placeholder.spec.clone());
        }
        Ok(())
    }
}

/// The field for a variable that the message names.
fn captured(name: &str, span: Span) -> Result<Field> {
    let (word, is_raw) = name.strip_prefix("r#").map_or((name, false), |word| (word, true));
    if word.contains('.') {
        let message = format!(
            "the message shows `{{{name}}}`, which is not a field; a message names variables, so give the value after it, as in `\"{{}}\", {name}`"
        );
        return Err(Error::new(span, message));
    }
    if matches!(word, "super" | "crate" | "Self" | "_") {
        return Err(Error::new(span, format!("`{{{name}}}` does not name a variable")));
    }
    let is_keyword = syn::parse_str::<Ident>(word).is_err() && word != "self";
    let ident = if is_raw || is_keyword { Ident::new_raw(word, span) } else { Ident::new(word, span) };
    let value: Expr = parse_quote!(#ident);
    Ok(Field {
        key: word.into(),
        span,
        sigil: None,
        value,
        shown: Vec::new(),
        is_argument: false,
        is_its_own_name: false,
    })
}
