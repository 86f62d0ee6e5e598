//! Rate, errors and duration of a function or of a piece of code: `#[instrument(metrics)]` and `red!`.

use crate::call::{Field, Input, Item, Sigil, or_error};
use crate::expand::local;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprAsync, Lit, LitStr, Path, Result, Token};

/// The most attributes. A label set has four labels on a 32-bit machine, and the class of an error is one of them.
const MAX_ATTRIBUTES: usize = 3;

/// The metrics of one place in the code.
#[derive(Default)]
pub(crate) struct Metrics {
    /// The metrics are called `<name>.duration` and `<name>.errors`.
    pub(crate) name: Option<LitStr>,
    description: Option<LitStr>,
    /// How many sets of attributes are kept apart.
    capacity: Option<Expr>,
    scale: Option<Expr>,
    attributes: Vec<Field>,
}

impl Metrics {
    /// Parses the content of `metrics(…)`.
    pub(crate) fn parse(input: ParseStream<'_>) -> Result<Metrics> {
        let mut metrics = Metrics::default();
        while !input.is_empty() {
            if !metrics.parse_option(input)? {
                let item = Item::parse(input)?;
                metrics.push(item)?;
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(metrics)
    }

    /// Parses one option; false, and nothing consumed, when none follows.
    fn parse_option(&mut self, input: ParseStream<'_>) -> Result<bool> {
        if !(input.peek(Ident::peek_any) && input.peek2(Token![=]) && !input.peek2(Token![==])) {
            return Ok(false);
        }
        let word = input.fork().call(Ident::parse_any)?;
        let assign = || -> Result<()> {
            Ident::parse_any(input)?;
            input.parse::<Token![=]>().map(drop)
        };
        let is_twice = match word.to_string().as_str() {
            "name" => {
                assign()?;
                self.name.replace(text(input, "name")?).is_some()
            }
            "description" => {
                assign()?;
                self.description.replace(text(input, "description")?).is_some()
            }
            "capacity" => {
                assign()?;
                self.capacity.replace(input.parse()?).is_some()
            }
            "scale" => {
                assign()?;
                self.scale.replace(input.parse()?).is_some()
            }
            _ => return Ok(false),
        };
        if is_twice { Err(Error::new(word.span(), format!("`{word}` is given twice"))) } else { Ok(true) }
    }

    fn push(&mut self, item: Item) -> Result<()> {
        let field = match item {
            Item::Named(field) => field,
            Item::Unnamed(_, value) => {
                let message = "an attribute needs a name: write `name = value`, or the name of a variable";
                return Err(Error::new(value.span(), message));
            }
        };
        if field.key == "error.type" || self.attributes.iter().any(|other| other.key == field.key) {
            return Err(Error::new(field.span, format!("the attribute `{}` is already there", field.key)));
        }
        if self.attributes.len() == MAX_ATTRIBUTES {
            let message = format!(
                "there can be at most {MAX_ATTRIBUTES} attributes: each of them multiplies the series"
            );
            return Err(Error::new(field.span, message));
        }
        self.attributes.push(field);
        Ok(())
    }

    /// The expression that finds the series; `begin()` on it begins a call.
    pub(crate) fn prepare(&self, krate: &Path, name: &LitStr) -> TokenStream {
        let named = |suffix: &str| LitStr::new(&format!("{}.{suffix}", name.value()), name.span());
        let (duration, errors) = (named("duration"), named("errors"));
        let class = LitStr::new("error.type", Span::mixed_site());
        let scale = self.scale.as_ref().map_or_else(|| quote!(2), ToTokens::to_token_stream);
        let description = self.description.iter();
        let options = quote! {
            unit = "s", fraction_bits = #krate::__private::RED_FRACTION, scale = #scale #(, description = #description)*
        };
        let keys: Vec<LitStr> =
            self.attributes.iter().map(|field| LitStr::new(&field.key, Span::mixed_site())).collect();
        let labels = keys.len() + 1;
        let capacity = self.capacity.as_ref().map_or_else(|| quote!(16), ToTokens::to_token_stream);
        let new = if keys.is_empty() {
            quote! {
                alone(
                    #krate::histogram!(#duration as f64, #options),
                    #krate::counter_family!(#errors, labels = [#class], capacity = #capacity, unit = "{error}"),
                )
            }
        } else {
            quote! {
                by(
                    #krate::histogram_family!(#duration as f64, labels = [#(#keys),*], capacity = #capacity, #options),
                    #krate::counter_family!(#errors, labels = [#(#keys,)* #class], capacity = 4 * (#capacity), unit = "{error}"),
                )
            }
        };
        let values = self.attributes.iter().map(|field| label(krate, field));
        quote! {{
            static __TL_RED: #krate::__private::Red<{ #scale }, #labels> = #krate::__private::Red::#new;
            #[allow(unused_imports)]
            use #krate::__private::labels::{AsDisplay as _, AsLabelOrError as _, AsText as _};
            __TL_RED.prepare([#(&*#values),*])
        }}
    }
}

pub(crate) fn text(input: ParseStream<'_>, what: &str) -> Result<LitStr> {
    let value: Expr = input.parse()?;
    match value {
        Expr::Lit(syn::ExprLit { lit: Lit::Str(text), .. }) => Ok(text),
        other => Err(Error::new(other.span(), format!("`{what}` must be a literal: `{what} = \"…\"`"))),
    }
}

/// The text of an attribute's value.
pub(crate) fn label(krate: &Path, field: &Field) -> TokenStream {
    let (value, span) = (&field.value, Span::mixed_site().located_at(field.value.span()));
    match field.sigil {
        None => quote_spanned! {span=>
            (&&&#krate::__private::labels::Given(&(#value))).throughline_label()
        },
        Some(Sigil::Display(_)) => quote_spanned! {span=>
            #krate::__private::labels::Text::of(::core::format_args!("{}", #value))
        },
        Some(Sigil::Debug(_)) => quote_spanned! {span=>
            #krate::__private::labels::Text::of(::core::format_args!("{:?}", #value))
        },
    }
}

/// The class of the error in `*output`, as an `Option`.
pub(crate) fn class_of(krate: &Path, output: &TokenStream) -> TokenStream {
    quote! {{
        #[allow(unused_imports)]
        use #krate::__private::{AsClassified as _, AsResult as _, AsValue as _};
        (&&&#krate::__private::Outcome(#output)).throughline_class()
    }}
}

/// The body of a `red!`.
enum Body {
    /// An expression for a closure.
    Called(TokenStream),
    Future(ExprAsync),
}

/// The complete expansion of `red!`.
pub(crate) fn red(input: TokenStream) -> TokenStream {
    let Input { krate, rest, .. } = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    or_error((|input: ParseStream<'_>| expand(input, &krate)).parse2(rest), || quote!(::core::panic!()))
}

fn expand(input: ParseStream<'_>, krate: &Path) -> Result<TokenStream> {
    if !input.peek(LitStr) {
        let message = "the first argument is the name of the metrics, a literal: `red!(\"db.query\", { … })`";
        return Err(Error::new(input.span(), message));
    }
    let name: LitStr = input.parse()?;
    let mut metrics = Metrics::default();
    let mut body = None;
    while !input.is_empty() {
        input.parse::<Token![,]>()?;
        if input.is_empty() {
            break;
        }
        if let Some(found) = parse_body(input)? {
            body = Some(found);
            input.parse::<Option<Token![,]>>()?;
            break;
        }
        if !metrics.parse_option(input)? {
            let item = Item::parse(input)?;
            metrics.push(item)?;
        }
    }
    if let Some(name) = metrics.name {
        return Err(Error::new(name.span(), "`red!` has its name already, as the first argument"));
    }
    let Some(body) = body.filter(|_| input.is_empty()) else {
        let message = "the last argument is what is measured: a block `{ … }`, `async { … }` or a closure";
        return Err(Error::new(input.span(), message));
    };
    let prepare = metrics.prepare(krate, &name);
    let (call, output) = (local("call"), local("output"));
    let class = class_of(krate, &quote!(&#output));
    Ok(match body {
        Body::Called(closure) => quote! {{
            let #call = #prepare.begin();
            let #output = #krate::__private::call(#closure);
            #call.finish(#class);
            #output
        }},
        Body::Future(future) => {
            let inner = local("future");
            quote! {{
                let (#call, #inner) = (#prepare, #future);
                async move {
                    let #call = #call.begin();
                    let #output = #inner.await;
                    #call.finish(#class);
                    #output
                }
            }}
        }
    })
}

/// Parses the body of a `red!`; `None`, and nothing consumed, when something else follows.
fn parse_body(input: ParseStream<'_>) -> Result<Option<Body>> {
    if input.peek(syn::token::Brace) {
        let block: syn::Block = input.parse()?;
        return Ok(Some(Body::Called(quote!(|| #block))));
    }
    if input.peek(Token![async]) && !input.peek2(Token![|]) && !input.peek3(Token![|]) {
        return Ok(Some(Body::Future(input.parse()?)));
    }
    if input.peek(Token![|]) || input.peek(Token![||]) || input.peek(Token![move]) {
        let closure: syn::ExprClosure = input.parse()?;
        return Ok(Some(Body::Called(closure.into_token_stream())));
    }
    Ok(None)
}
