//! `span!`, its variants for each level, and `record!`.

use super::field::Fields;
use super::input::Input;
use super::options::{Macro, Options, Parent};
use super::or_error;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Error, Expr, Path, Result, Token};

/// The complete expansion of `span!`.
pub(crate) fn span(input: TokenStream) -> TokenStream {
    let Input { krate, level, rest } = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    let expanded = (|input: ParseStream<'_>| expand_span(input, &krate, level.clone())).parse2(rest);
    or_error(expanded, || quote!(#krate::__private::Span::none()))
}

fn expand_span(input: ParseStream<'_>, krate: &Path, level: Option<Ident>) -> Result<TokenStream> {
    let mut options = Options::parse(input, Macro::Span)?;
    if let Some(level) = level {
        options.level = Some(level);
    }
    if input.is_empty() {
        let message = "a span needs a name: a literal or a constant, as in `span!(\"read_sensor\")`";
        return Err(Error::new(Span::call_site(), message));
    }
    let name: Expr = input.parse()?;
    if !input.is_empty() {
        input.parse::<Token![,]>()?;
    }
    let fields = Fields::parse_named(input)?;
    begin(krate, &options, &name, &fields)
}

/// The expression that begins a span.
pub(crate) fn begin(krate: &Path, options: &Options, name: &Expr, fields: &Fields) -> Result<TokenStream> {
    let level = options.level();
    let kind = options.kind.clone().unwrap_or_else(|| Ident::new("Internal", Span::mixed_site()));
    let target = target(options.target.as_ref());
    let names = fields.names();
    let callsite = callsite();
    let (root, parent) = match (&options.root, &options.parent) {
        (Some(_), Some(Parent::Given(place))) => {
            return Err(Error::new_spanned(
                place,
                "a root span has no parent: give either `root` or `parent`",
            ));
        }
        (_, Some(Parent::None)) => (quote!(true), None),
        (Some(root), None) => (root.to_token_stream(), None),
        (None, Some(Parent::Given(place))) => (quote!(false), Some(place)),
        (None, None) => (quote!(false), None),
    };
    let values = fields.values(krate);
    let mut begin = quote!(#krate::__private::Span::begin(#callsite, #root, #values));
    if let Some(place) = parent {
        begin = quote!(#krate::__private::below(#place, || #begin));
    }
    let begin = fields.with_traits(krate, begin);
    Ok(quote! {
        match #krate::__enabled!(#level, #krate::__private::Meta {
            kind: #krate::__private::Kind::Span,
            level: #krate::__private::Level::#level as ::core::primitive::u8,
            span_kind: #krate::__private::SpanKind::#kind,
            name: #name,
            target: #target,
            file: ::core::file!(),
            line: ::core::line!(),
            fields: #names,
            ..#krate::__private::Meta::EMPTY
        }) {
            ::core::option::Option::Some(#callsite) => #begin,
            ::core::option::Option::None => #krate::__private::Span::none(),
        }
    })
}

/// The complete expansion of `record!`.
pub(crate) fn record(input: TokenStream) -> TokenStream {
    let Input { krate, rest, .. } = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    or_error((|input: ParseStream<'_>| expand_record(input, &krate)).parse2(rest), TokenStream::new)
}

fn expand_record(input: ParseStream<'_>, krate: &Path) -> Result<TokenStream> {
    let ahead = input.fork();
    let is_current =
        ahead.call(Ident::parse_any).is_ok_and(|word| word == "current") && ahead.peek(Token![,]);
    let span: Expr = input.parse()?;
    input.parse::<Token![,]>()?;
    let fields = Fields::parse_named(input)?;
    let (names, values, callsite) = (fields.names(), fields.values(krate), callsite());
    let add = if is_current {
        quote!(#krate::__private::add_to_current(#callsite, #values))
    } else {
        quote!(#krate::__private::Span::add(&#span, #callsite, #values))
    };
    let add = fields.with_traits(krate, add);
    // The fields belong to a span that is already recorded, so they have no level of their own that could
    // turn them off.
    Ok(quote! {
        if let ::core::option::Option::Some(#callsite) = #krate::__enabled!(Error, #krate::__private::Meta {
            kind: #krate::__private::Kind::Fields,
            level: #krate::__private::Level::Error as ::core::primitive::u8,
            target: ::core::module_path!(),
            file: ::core::file!(),
            line: ::core::line!(),
            fields: #names,
            ..#krate::__private::Meta::EMPTY
        }) {
            #add
        }
    })
}

/// The given target, or the module's path.
pub(super) fn target(given: Option<&Expr>) -> TokenStream {
    match given {
        Some(target) => target.to_token_stream(),
        None => quote!(::core::module_path!()),
    }
}

/// The variable that holds the callsite's id. Hygiene hides a macro's local variables from the user's code,
/// but a constant with the same name in the user's scope would turn the pattern into a comparison, so the
/// prefix is one that nobody else uses.
pub(super) fn callsite() -> Ident {
    Ident::new("__throughline_callsite", Span::mixed_site())
}
