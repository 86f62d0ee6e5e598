//! The fields of a call: their syntax, and the names and values that they expand to.

use super::message::{Spec, Style};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprField, Lit, LitStr, Member, Path, Result, Token};

/// The most fields that a record holds; equal to `throughline::callsite::MAX_FIELDS`.
pub(crate) const MAX_FIELDS: usize = 15;

/// A field of a span, an event or a `record!`.
#[derive(Clone)]
pub(crate) struct Field {
    pub(crate) key: String,
    pub(crate) span: Span,
    pub(crate) sigil: Option<Sigil>,
    pub(crate) value: Expr,
    /// The formats in which the message shows the field.
    pub(crate) shown: Vec<Spec>,
    /// Whether the field is an argument of an instrumented function that was not named explicitly. If it
    /// cannot be recorded, that is not an error.
    pub(crate) is_argument: bool,
    /// Whether the field was written as a variable, so that its name is the variable's.
    pub(crate) is_its_own_name: bool,
}

/// `%` or `?`, and its position.
#[derive(Clone, Copy)]
pub(crate) enum Sigil {
    Display(Span),
    Debug(Span),
}

/// An element of a field list.
pub(crate) enum Item {
    /// A field with its key.
    Named(Field),
    /// A value without a key: neither `key = value` nor a variable.
    Unnamed(Option<Sigil>, Expr),
}

impl Item {
    pub(crate) fn parse(input: ParseStream<'_>) -> Result<Item> {
        if let Some(sigil) = Sigil::parse(input)? {
            return Ok(Item::of(Some(sigil), input.parse()?));
        }
        if input.peek(LitStr) && input.peek2(Token![=]) && !input.peek2(Token![==]) {
            let key: LitStr = input.parse()?;
            return Item::named(key.value(), key.span(), input);
        }
        if let Some((key, span)) = dotted_key(input)? {
            return Item::named(key, span, input);
        }
        Ok(Item::of(None, input.parse()?))
    }

    fn named(key: String, span: Span, input: ParseStream<'_>) -> Result<Item> {
        input.parse::<Token![=]>()?;
        let sigil = Sigil::parse(input)?;
        Ok(Item::Named(Field {
            key,
            span,
            sigil,
            value: input.parse()?,
            shown: Vec::new(),
            is_argument: false,
            is_its_own_name: false,
        }))
    }

    /// A variable, or a field of one, is a field with its own name; any other value has no name.
    fn of(sigil: Option<Sigil>, value: Expr) -> Item {
        match name_of(&value) {
            Some(key) => {
                let span = value.span();
                Item::Named(Field {
                    key,
                    span,
                    sigil,
                    value,
                    shown: Vec::new(),
                    is_argument: false,
                    is_its_own_name: true,
                })
            }
            None => Item::Unnamed(sigil, value),
        }
    }
}

impl Sigil {
    pub(crate) fn parse(input: ParseStream<'_>) -> Result<Option<Sigil>> {
        let span = input.span();
        Ok(if input.parse::<Option<Token![%]>>()?.is_some() {
            Some(Sigil::Display(span))
        } else if input.parse::<Option<Token![?]>>()?.is_some() {
            Some(Sigil::Debug(span))
        } else {
            None
        })
    }
}

/// Parses the `a.b.c` of `a.b.c = …`. Its parts may be keywords, such as the `type` of `error.type`, and
/// numbers. Consumes nothing if no `=` follows.
fn dotted_key(input: ParseStream<'_>) -> Result<Option<(String, Span)>> {
    let read = |input: ParseStream<'_>| -> Result<(String, Span)> {
        let first = Ident::parse_any(input)?;
        let mut key = first.unraw().to_string();
        while input.parse::<Option<Token![.]>>()?.is_some() {
            let part = if input.peek(Ident::peek_any) {
                Ident::parse_any(input)?.unraw().to_string()
            } else {
                // `0`, or the `0.1` of `pair.0.1`.
                input.parse::<Lit>()?.to_token_stream().to_string()
            };
            key = format!("{key}.{part}");
        }
        Ok((key, first.span()))
    };
    let ahead = input.fork();
    let is_key =
        read(&ahead).is_ok() && ahead.peek(Token![=]) && !ahead.peek(Token![==]) && !ahead.peek(Token![=>]);
    if is_key { read(input).map(Some) } else { Ok(None) }
}

/// The name of a variable or of a field of one: `value`, `self.id`, `pair.0`.
fn name_of(value: &Expr) -> Option<String> {
    match value {
        Expr::Path(path) if path.qself.is_none() => Some(path.path.get_ident()?.unraw().to_string()),
        Expr::Field(ExprField { base, member, .. }) => {
            let base = name_of(base)?;
            Some(match member {
                Member::Named(name) => format!("{base}.{}", name.unraw()),
                Member::Unnamed(index) => format!("{base}.{}", index.index),
            })
        }
        Expr::Group(group) => name_of(&group.expr),
        _ => None,
    }
}

/// The fields of one record, in order. Their keys are unique.
#[derive(Default)]
pub(crate) struct Fields(pub(crate) Vec<Field>);

impl Fields {
    pub(crate) fn push(&mut self, field: Field) -> Result<()> {
        if self.index_of(&field.key).is_some() {
            let message =
                format!("the field `{}` is given twice: the keys of a record are unique", field.key);
            return Err(Error::new(field.span, message));
        }
        if self.0.len() == MAX_FIELDS {
            return Err(Error::new(field.span, format!("a record has at most {MAX_FIELDS} fields")));
        }
        self.0.push(field);
        Ok(())
    }

    pub(crate) fn index_of(&self, key: &str) -> Option<usize> {
        self.0.iter().position(|field| field.key == key)
    }

    /// Parses a list in which every field must have a name.
    pub(crate) fn parse_named(input: ParseStream<'_>) -> Result<Fields> {
        let mut fields = Fields::default();
        while !input.is_empty() {
            match Item::parse(input)? {
                Item::Named(field) => fields.push(field)?,
                Item::Unnamed(_, value) => return Err(no_name(&value)),
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(fields)
    }

    /// The array for the callsite's `fields`.
    pub(crate) fn names(&self) -> TokenStream {
        let keys = self.0.iter().map(|field| LitStr::new(&field.key, Span::mixed_site()));
        quote!(&[#(#keys),*])
    }

    /// `call`, which may use `values`, with the traits in scope that choose how each value is recorded.
    pub(crate) fn with_traits(&self, krate: &Path, call: TokenStream) -> TokenStream {
        if self.0.iter().all(|field| field.sigil.is_some()) {
            return call;
        }
        quote! {{
            #[allow(unused_imports)]
            use #krate::__private::values::{
                AsDebug as _, AsDeref as _, AsDerefTwice as _, AsField as _, AsFieldOrError as _, AsNothing as _, AsOptionDeref as _, AsOptionDerefTwice as _, AsRaw as _, AsText as _,
            };
            #call
        }}
    }

    /// A reference to the tuple of the values.
    pub(crate) fn values(&self, krate: &Path) -> TokenStream {
        let values = self.0.iter().map(|field| field.recorded(krate));
        quote!(&(#(#values,)*))
    }
}

/// The error for a value without a name.
pub(crate) fn no_name(value: &Expr) -> Error {
    Error::new(
        value.span(),
        "this value has no name: write `name = value`, or `{}` in the message to show it there",
    )
}

impl Field {
    /// The expression for the value in the record.
    fn recorded(&self, krate: &Path) -> TokenStream {
        let (value, span) = (&self.value, Span::mixed_site().located_at(self.value.span()));
        match self.sigil {
            Some(Sigil::Display(at)) => {
                let span = Span::mixed_site().located_at(at);
                let wrapper = quote_spanned!(span=> #krate::__private::Display);
                quote_spanned!(span=> #wrapper(&(#value)))
            }
            Some(Sigil::Debug(at)) => {
                let span = Span::mixed_site().located_at(at);
                let wrapper = quote_spanned!(span=> #krate::__private::Debug);
                quote_spanned!(span=> #wrapper(&(#value)))
            }
            None => match self.shown.split_first() {
                None => {
                    let wrapper = Ident::new(if self.is_argument { "Argument" } else { "Given" }, span);
                    quote_spanned! {span=>
                        (&&&&&&&#krate::__private::values::#wrapper(&(#value))).throughline_field()
                    }
                }
                Some((spec, [])) => self.shown_once(krate, spec, span),
                Some(_) => {
                    let check = Ident::new(self.check_of_several(), span);
                    quote_spanned!(span=> #krate::__private::values::#check(&(#value)))
                }
            },
        }
    }

    /// A value that the reader can format is recorded as it is; any other value is recorded as the text that
    /// the placeholder produces.
    fn shown_once(&self, krate: &Path, spec: &Spec, span: Span) -> TokenStream {
        let value = &self.value;
        let (value_name, formatter) =
            (Ident::new("__throughline_value", span), Ident::new("__throughline_formatter", span));
        let kind = Ident::new(spec.style.marker(), Span::mixed_site());
        let format = LitStr::new(&format!("{{:{}}}", spec.text), span);
        let body = match (spec.text.as_str(), spec.style) {
            ("", _) => quote_spanned!(span=> ::core::fmt::Display::fmt(#value_name, #formatter)),
            ("?", _) => quote_spanned!(span=> ::core::fmt::Debug::fmt(#value_name, #formatter)),
            (_, Style::Pointer) => {
                quote_spanned!(span=> ::core::fmt::Formatter::write_fmt(#formatter, ::core::format_args!(#format, *#value_name)))
            }
            _ => {
                quote_spanned!(span=> ::core::fmt::Formatter::write_fmt(#formatter, ::core::format_args!(#format, #value_name)))
            }
        };
        quote_spanned! {span=>
            (&&#krate::__private::values::Shown(&(#value), #krate::__private::values::#kind))
                .throughline_shown(|#value_name, #formatter| #body)
        }
    }

    /// The function that accepts only values that can be shown in all of the formats used.
    fn check_of_several(&self) -> &'static str {
        let has = |style| self.shown.iter().any(|spec| spec.style == style);
        if has(Style::Bits) || has(Style::HexDebug) {
            "in_several_formats_with_bits"
        } else if has(Style::Exponent) {
            "in_several_formats_with_exponent"
        } else {
            "in_several_formats"
        }
    }
}

impl Style {
    /// The marker type for this style in `throughline::__private::values`.
    fn marker(self) -> &'static str {
        match self {
            Style::Display => "InDisplay",
            Style::Debug => "InDebug",
            Style::HexDebug => "InHexDebug",
            Style::Bits => "InBits",
            Style::Exponent => "InExponent",
            Style::Pointer => "InPointer",
        }
    }
}
