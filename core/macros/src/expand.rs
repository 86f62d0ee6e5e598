//! What `#[instrument]` makes of a function. Generated code names only `::core` and the crate itself.

use crate::args::{Args, Field, Format};
use crate::function::Function;
use crate::params::{self, Param};
use proc_macro2::{Group, Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Error, Expr, ExprAsync, Result, ReturnType, Stmt, Type, parse_quote};

/// As many as a record holds; the same as `throughline::callsite::MAX_FIELDS`.
const MAX_FIELDS: usize = 15;

/// The whole of the macro: on a mistake, its message and the function as it was, so that its callers still find it.
pub(crate) fn instrument(args: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = syn::parse2(args).and_then(|args| expand(&args, syn::parse2(item.clone())?));
    expanded.unwrap_or_else(|error| {
        let error = error.into_compile_error();
        quote!(#error #item)
    })
}

fn expand(args: &Args, function: Function) -> Result<TokenStream> {
    let span = span(args, &function)?;
    if let (Some(Format::Display(at) | Format::Debug(at)), ReturnType::Default) = (args.err, &function.sig.output) {
        return Err(Error::new(at, "`err` needs a function that returns a `Result`"));
    }
    let Function { attrs, vis, sig, body } = &function;
    let body = if sig.asyncness.is_some() {
        let output = match &sig.output {
            ReturnType::Default => parse_quote!(()),
            ReturnType::Type(_, ty) => (**ty).clone(),
        };
        in_future(args, &span, &output_hint(&output), body)
    } else if let Some((before, future)) = boxed_future(body) {
        let hint = future_output(&sig.output).map(output_hint).unwrap_or_default();
        let block = future.block.to_token_stream();
        let block = syn::parse2(block)?;
        let inner = in_future(args, &span, &hint, &block);
        let outer = in_box(&future, &inner, body);
        quote!(#(#before)* #outer)
    } else if args.err.is_some() || args.ret.is_some() {
        in_closure(args, &span, &sig.output, body)
    } else {
        let statements = body.stream();
        quote! {
            let _throughline_span = #span;
            #statements
        }
    };
    let braces = braced(&function.body, body);
    Ok(quote!(#(#attrs)* #vis #sig #braces))
}

/// The expression that begins the span.
fn span(args: &Args, function: &Function) -> Result<TokenStream> {
    let Args { krate, .. } = args;
    let params = params::of(&function.sig);
    check_skipped(args, &params)?;
    let recorded = params.iter().filter_map(|param| argument(args, param));
    let named = args.fields.iter().map(|Field { key, format, value }| {
        let format = sigil(*format);
        quote_spanned!(key.span()=> #key = #format #value)
    });
    let fields: Vec<TokenStream> = recorded.chain(named).collect();
    if fields.len() > MAX_FIELDS {
        let message = format!(
            "this span would have {} fields, and one has at most {MAX_FIELDS}: name arguments in `skip(…)`",
            fields.len()
        );
        return Err(Error::new(function.sig.ident.span(), message));
    }
    let name = match &args.name {
        Some(name) => name.to_token_stream(),
        None => syn::ext::IdentExt::unraw(&function.sig.ident).to_string().into_token_stream(),
    };
    let mut options = TokenStream::new();
    if let Some(level) = &args.level {
        options.extend(quote!(level: #level,));
    }
    if let Some(kind) = &args.kind {
        options.extend(quote!(kind: #kind,));
    }
    if args.root {
        options.extend(quote!(root: true,));
    }
    Ok(quote!(#krate::span!(#options #name #(, #fields)*)))
}

fn check_skipped(args: &Args, params: &[Param]) -> Result<()> {
    let unknown = args.skip.iter().find(|name| *name != "self" && !params.iter().any(|p| p.ident == **name));
    let Some(name) = unknown else { return Ok(()) };
    let known: Vec<String> = params.iter().map(|p| format!("`{}`", p.ident)).collect();
    let known = if known.is_empty() { "it has none".into() } else { format!("there are {}", known.join(", ")) };
    Err(Error::new(name.span(), format!("`{name}` is no argument of this function; {known}")))
}

/// The field that an argument makes by itself.
fn argument(args: &Args, Param { ident, derefs }: &Param) -> Option<TokenStream> {
    let name = syn::ext::IdentExt::unraw(ident).to_string();
    let replaced = args.fields.iter().any(|field| field.key.value() == name);
    if args.skip_all || args.skip.contains(ident) || replaced || name.starts_with('_') {
        return None;
    }
    let stars = (0..(*derefs)?).map(|_| quote_spanned!(ident.span()=> *));
    Some(quote!(#name = #(#stars)* #ident))
}

fn sigil(format: Option<Format>) -> TokenStream {
    match format {
        Some(Format::Display(span)) => quote_spanned!(span=> %),
        Some(Format::Debug(span)) => quote_spanned!(span=> ?),
        None => TokenStream::new(),
    }
}

/// The body as a future that carries the span. The span is made before the future, which takes the arguments with it, and within a block of
/// its own, so that nothing of it, which is bound to its thread, is kept across the `await`.
fn in_future(args: &Args, span: &TokenStream, hint: &TokenStream, body: &Group) -> TokenStream {
    let krate = &args.krate;
    let statements = body.stream();
    let future = quote_spanned!(body.span()=> async move { #hint #statements });
    let result = quote_spanned!(Span::mixed_site()=> throughline_result);
    let instrumented = match look(args, &result, &quote!(current)) {
        Some(Look { seen, status }) => quote! {
            #krate::__private::instrument_result(#future, throughline_span, |#result| { #seen #status })
        },
        None => quote!(#krate::Instrument::instrument(#future, throughline_span)),
    };
    quote! {
        ({
            let throughline_span = #span;
            #instrumented
        })
        .await
    }
}

/// The body as a closure, whose result is looked at. It is called through a function, which makes it a closure that is called once: one
/// that may return what it has captured.
fn in_closure(args: &Args, span: &TokenStream, output: &ReturnType, body: &Group) -> TokenStream {
    let result = quote_spanned!(Span::mixed_site()=> throughline_result);
    let Some(Look { seen, status }) = look(args, &result, &quote!(throughline_span)) else { return body.stream() };
    let krate = &args.krate;
    let output = match output {
        ReturnType::Default => TokenStream::new(),
        ReturnType::Type(arrow, ty) => {
            let ty = without_impl(ty);
            quote!(#arrow #ty)
        }
    };
    let finish = if args.err.is_some() {
        quote! {
            match { let #result = &throughline_output; #seen #status } {
                #krate::Status::Unset => {}
                throughline_status => throughline_span.set_status(throughline_status),
            }
        }
    } else {
        quote! { { let #result = &throughline_output; #seen } }
    };
    let mutable = args.err.is_some().then(|| quote!(mut));
    quote! {
        #[inline(always)]
        fn throughline_call<R>(body: impl ::core::ops::FnOnce() -> R) -> R {
            body()
        }
        let #mutable throughline_span = #span;
        let throughline_output = throughline_call(move || #output #body);
        #finish
        throughline_output
    }
}
