//! `observe!`: an event or a span, and metrics from its marked fields.

use crate::call::{Field, Fields, Input, Item, Macro, Options, begin, or_error, record_event};
use crate::expand::local;
use crate::red::{Metrics, class_of, label, text};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprAsync, LitStr, Path, Result, Token, bracketed, parenthesized, parse_quote};

/// The complete expansion of `observe!`.
pub(crate) fn observe(input: TokenStream) -> TokenStream {
    let Input { krate, rest, .. } = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    or_error((|input: ParseStream<'_>| expand(input, &krate)).parse2(rest), TokenStream::new)
}

/// What a field is measured as.
struct Mark {
    kind: Ident,
    name: Option<LitStr>,
    is_float: bool,
    /// Options that the metric's macro takes as they are.
    options: Vec<TokenStream>,
    /// The fields whose values are the labels.
    by: Vec<LitStr>,
    capacity: Option<Expr>,
}

const KINDS: [(&str, &str); 4] =
    [("counter", "add"), ("up_down_counter", "add"), ("gauge", "set"), ("histogram", "record")];

/// Parses `#[word]` or `#[word(…)]`, and gives the content of the parentheses.
fn attribute<T>(input: ParseStream<'_>, read: impl FnOnce(Ident, ParseStream<'_>) -> Result<T>) -> Result<T> {
    input.parse::<Token![#]>()?;
    let content;
    bracketed!(content in input);
    let word = Ident::parse_any(&content)?;
    if content.is_empty() {
        let nothing = |input: ParseStream<'_>| read(word, input);
        return nothing.parse2(TokenStream::new());
    }
    let options;
    parenthesized!(options in content);
    read(word, &options)
}

impl Mark {
    fn parse(kind: Ident, input: ParseStream<'_>) -> Result<Mark> {
        if !KINDS.iter().any(|(known, _)| kind == known) {
            let message = format!(
                "unknown mark `{kind}`; a field is marked as `#[counter]`, `#[up_down_counter]`, `#[gauge]` or `#[histogram]`, and a body as `#[metrics]`"
            );
            return Err(Error::new(kind.span(), message));
        }
        let (mut by, mut options) = (Vec::new(), Vec::new());
        let (mut name, mut capacity, mut is_float) = (None, None, false);
        while !input.is_empty() {
            let word = Ident::parse_any(input)?;
            match word.to_string().as_str() {
                "f64" | "f32" => is_float = true,
                "by" => {
                    let keys;
                    parenthesized!(keys in input);
                    by = Punctuated::<LitStr, Token![,]>::parse_terminated_with(&keys, key)?
                        .into_iter()
                        .collect();
                }
                known => {
                    input.parse::<Token![=]>()?;
                    match known {
                        "name" => name = Some(text(input, "name")?),
                        "capacity" => capacity = Some(input.parse()?),
                        "unit" | "description" => {
                            let value = text(input, known)?;
                            options.push(quote!(#word = #value));
                        }
                        "scale" => {
                            let value: Expr = input.parse()?;
                            options.push(quote!(scale = #value));
                        }
                        _ => {
                            let message = format!(
                                "unknown option `{word}`; the options of a mark are `name`, `unit`, `description`, `scale`, `f64`, `by(…)` and `capacity`"
                            );
                            return Err(Error::new(word.span(), message));
                        }
                    }
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(Mark { kind, name, is_float, options, by, capacity })
    }

    /// The statement that counts `value` under `name`, or under the name that the mark gives.
    fn count(&self, krate: &Path, name: &str, value: &Ident, fields: &[Observed]) -> Result<TokenStream> {
        let Mark { kind, options, by, .. } = self;
        let name = match &self.name {
            Some(name) => name.clone(),
            None => LitStr::new(name, Span::mixed_site()),
        };
        let method = KINDS.iter().find(|(known, _)| kind == known).map_or("add", |(_, method)| method);
        let method = Ident::new(method, Span::mixed_site());
        let float = self.is_float.then(|| quote!(as f64));
        if self.is_float && (kind == "up_down_counter" || !by.is_empty() && kind != "histogram") {
            let message = "`f64` is for counters, gauges and histograms; with `by(…)`, for histograms only";
            return Err(Error::new(kind.span(), message));
        }
        if by.is_empty() {
            if let Some(capacity) = &self.capacity {
                return Err(Error::new_spanned(
                    capacity,
                    "`capacity` bounds the label sets of a metric with labels: add `by(…)`",
                ));
            }
            return Ok(quote!(#krate::#kind!(#name #float #(, #options)*).#method(#value);));
        }
        let mut values = Vec::new();
        for key in by {
            let field = fields.iter().find(|observed| observed.field.key == key.value());
            let Some(field) = field else {
                let message = format!("`{}` is not a field of this call", key.value());
                return Err(Error::new(key.span(), message));
            };
            values.push(label(krate, &field.field));
        }
        let family = format_ident!("{kind}_family");
        let capacity = self.capacity.as_ref().map_or_else(|| quote!(16), ToTokens::to_token_stream);
        Ok(quote! {{
            #[allow(unused_imports)]
            use #krate::__private::labels::{AsDisplay as _, AsLabelOrError as _, AsText as _};
            #krate::#family!(#name #float, labels = [#(#by),*], capacity = #capacity #(, #options)*)
                .#method([#(&*#values),*], #value);
        }})
    }
}

/// The key of a field: `word`, `dotted.words` or `"any text"`.
fn key(input: ParseStream<'_>) -> Result<LitStr> {
    if input.peek(LitStr) {
        return input.parse();
    }
    let words = Punctuated::<Ident, Token![.]>::parse_separated_nonempty_with(input, Ident::parse_any)?;
    let span = words.first().map_or_else(Span::mixed_site, Ident::span);
    let words: Vec<String> = words.iter().map(|word| word.unraw().to_string()).collect();
    Ok(LitStr::new(&words.join("."), span))
}

/// A field and its mark.
struct Observed {
    field: Field,
    mark: Option<Mark>,
}

/// What runs in the span.
enum Body {
    Block(TokenStream),
    Future(ExprAsync),
}

/// The arguments after the options.
struct Call {
    name: LitStr,
    fields: Vec<Observed>,
    body: Option<Body>,
    metrics: Option<Metrics>,
}

impl Parse for Call {
    fn parse(input: ParseStream<'_>) -> Result<Call> {
        if !input.peek(LitStr) {
            let message = "an observation needs a name, a literal: `observe!(\"burst\", burst_id = 42)`";
            return Err(Error::new(input.span(), message));
        }
        let name: LitStr = input.parse()?;
        if name.value().contains(['{', '}']) {
            let message = "a name has no placeholders: give the value as a field, `key = value`";
            return Err(Error::new(name.span(), message));
        }
        let mut call = Call { name, fields: Vec::new(), body: None, metrics: None };
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            call.parse_one(input)?;
            if call.body.is_some() {
                input.parse::<Option<Token![,]>>()?;
                if !input.is_empty() {
                    return Err(input.error("the body is the last argument: put the fields before it"));
                }
            }
        }
        Ok(call)
    }
}

impl Call {
    /// Parses a field or the body.
    fn parse_one(&mut self, input: ParseStream<'_>) -> Result<()> {
        let mut mark = None;
        if input.peek(Token![#]) {
            mark = attribute(input, |word, options| {
                if word == "metrics" {
                    self.metrics = Some(Metrics::parse(options)?);
                    return Ok(None);
                }
                Mark::parse(word, options).map(Some)
            })?;
        }
        if mark.is_none() && input.peek(syn::token::Brace) {
            let block: syn::Block = input.parse()?;
            let statements = block.stmts;
            // Braces of our own, which the compiler does not call unnecessary.
            self.body = Some(Body::Block(quote!({ #(#statements)* })));
            return Ok(());
        }
        if mark.is_none() && input.peek(Token![async]) {
            self.body = Some(Body::Future(input.parse()?));
            return Ok(());
        }
        if self.metrics.is_some() {
            return Err(input.error("`#[metrics]` marks the body: `#[metrics] { … }`"));
        }
        let field = match Item::parse(input)? {
            Item::Named(field) => field,
            Item::Unnamed(_, value) => return Err(crate::call::no_name(&value)),
        };
        if mark.is_some() && field.sigil.is_some() {
            return Err(Error::new(field.span, "a metric takes a number: leave out the `%` or `?`"));
        }
        self.fields.push(Observed { field, mark });
        Ok(())
    }

    /// Evaluates the values that are used twice, once: what is counted, and what is a label. Gives the statements.
    fn bind(&mut self) -> Vec<TokenStream> {
        let labels: Vec<String> = self
            .fields
            .iter()
            .filter_map(|observed| observed.mark.as_ref())
            .flat_map(|mark| mark.by.iter().map(LitStr::value))
            .collect();
        let mut statements = Vec::new();
        for (index, Observed { field, mark }) in self.fields.iter_mut().enumerate() {
            let (value, name) = (&field.value, local(&format!("value_{index}")));
            if mark.is_some() {
                statements.push(quote!(let #name = #value;));
            } else if labels.contains(&field.key) {
                statements.push(quote!(let #name = &(#value);));
            } else {
                continue;
            }
            field.value = parse_quote!(#name);
        }
        statements
    }
}

fn expand(input: ParseStream<'_>, krate: &Path) -> Result<TokenStream> {
    let options = Options::parse(input, Macro::Span)?;
    let mut call: Call = input.parse()?;
    let bound = call.bind();
    let mut counted = Vec::new();
    for Observed { field, mark } in &call.fields {
        let (Some(mark), Expr::Path(value)) = (mark, &field.value) else { continue };
        let Some(value) = value.path.get_ident() else { continue };
        let name = format!("{}.{}", call.name.value(), field.key);
        counted.push(mark.count(krate, &name, value, &call.fields)?);
    }
    let mut fields = Fields::default();
    for Observed { field, .. } in call.fields {
        fields.push(field)?;
    }
    let name = &call.name;
    let Some(body) = call.body else {
        let of_spans = options.kind.as_ref().map(Ident::span);
        if let Some(at) = of_spans.or_else(|| options.root.as_ref().map(Spanned::span)) {
            return Err(Error::new(at, "`kind` and `root` are for spans: add a body, `{ … }`"));
        }
        let event = Options { name: Some(parse_quote!(#name)), ..options };
        let event = record_event(krate, event, name, &fields);
        return Ok(quote!({ #(#bound)* #(#counted)* #event }));
    };
    let expr: Expr = parse_quote!(#name);
    let span = begin(krate, &options, &expr, &fields)?;
    let metrics = call.metrics.as_ref().map(|metrics| {
        let name = metrics.name.as_ref().unwrap_or(name);
        metrics.prepare(krate, name)
    });
    Ok(in_span(krate, &bound, &span, &counted, metrics.as_ref(), &body))
}

/// The body in its span, measured if there are metrics.
fn in_span(
    krate: &Path,
    bound: &[TokenStream],
    span: &TokenStream,
    counted: &[TokenStream],
    metrics: Option<&TokenStream>,
    body: &Body,
) -> TokenStream {
    let (guard, call, output, class) = (local("span"), local("call"), local("output"), local("class"));
    let (class_of, class_of_reference) =
        (class_of(krate, &quote!(&#output)), class_of(krate, &output.to_token_stream()));
    let key = LitStr::new("error.type", Span::mixed_site());
    let (status, future) = (quote!(#krate::__private::Status), local("future"));
    match (body, metrics) {
        (Body::Block(block), None) => quote! {{
            #(#bound)*
            let #guard = #span;
            #(#counted)*
            #block
        }},
        (Body::Block(block), Some(prepare)) => quote! {{
            #(#bound)*
            let mut #guard = #span;
            #(#counted)*
            let #call = #prepare.begin();
            let #output = #krate::__private::call(|| #block);
            let #class: ::core::option::Option<&'static ::core::primitive::str> = #class_of;
            if let ::core::option::Option::Some(#class) = #class {
                #krate::record!(#guard, #key = #class);
                #guard.set_status(#status::Error);
            }
            #call.finish(#class);
            #output
        }},
        (Body::Future(block), None) => quote! {{
            #(#bound)*
            let #guard = #span;
            #(#counted)*
            #krate::__private::Instrument::instrument(#block, #guard)
        }},
        (Body::Future(block), Some(prepare)) => quote! {{
            #(#bound)*
            let #guard = #span;
            #(#counted)*
            let (#call, #future) = (#prepare, #block);
            #krate::__private::instrument_result(
                async move {
                    let #call = #call.begin();
                    let #output = #future.await;
                    #call.finish(#class_of);
                    #output
                },
                #guard,
                |#output| match #class_of_reference {
                    ::core::option::Option::Some(#class) => {
                        #krate::record!(current, #key = #class);
                        #status::Error
                    }
                    ::core::option::Option::None => #status::Unset,
                },
            )
        }},
    }
}
