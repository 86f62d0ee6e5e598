//! The function under the attribute. Its body is not parsed, so that the compiler reports mistakes in the
//! body at their place.

use proc_macro2::{Delimiter, Group, TokenStream};
use syn::parse::{Parse, ParseStream};
use syn::{AttrStyle, Attribute, Error, Result, Signature, Token, Visibility, braced};

pub(crate) struct Function {
    /// The attributes before the function and those at the start of its body, which apply to the function as
    /// well.
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    /// The body with its braces, without attributes.
    pub(crate) body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Function> {
        let start = input.span();
        let mut attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let sig: Signature = input.parse().map_err(|_| {
            Error::new(start, "expected a function: `#[instrument]` goes on a `fn` or an `async fn`")
        })?;
        if input.peek(Token![;]) {
            return Err(Error::new(
                sig.ident.span(),
                "expected a function with a body: put `#[instrument]` on its implementation",
            ));
        }
        if let Some(constness) = &sig.constness {
            return Err(Error::new(
                constness.span,
                "a `const fn` cannot be instrumented: it may run at compile time, where nothing can be recorded",
            ));
        }
        // A body that a macro received as `$body:block` is in an invisible group; `braced!` looks inside it.
        let content;
        let braces = braced!(content in input);
        let Body { attrs: inner, rest } = content.parse()?;
        attrs.extend(inner.into_iter().map(|attr| Attribute { style: AttrStyle::Outer, ..attr }));
        let mut body = Group::new(Delimiter::Brace, rest);
        body.set_span(braces.span.join());
        Ok(Function { attrs, vis, sig, body })
    }
}

struct Body {
    attrs: Vec<Attribute>,
    rest: TokenStream,
}

impl Parse for Body {
    fn parse(input: ParseStream<'_>) -> Result<Body> {
        Ok(Body { attrs: input.call(Attribute::parse_inner)?, rest: input.parse()? })
    }
}
