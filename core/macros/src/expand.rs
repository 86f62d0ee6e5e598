//! What `#[instrument]` makes of a function. Generated code names only `::core` and the crate itself.

use crate::args::{Args, Field, Format};
use crate::function::Function;
use crate::params::{self, Param};
use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::visit_mut::{self, VisitMut};
use syn::{AssocType, Block, Error, Expr, ExprAsync, ExprCall, Result, ReturnType, Stmt, Type, parse_quote};

/// As many as a record holds; the same as `throughline::adapter::callsite::MAX_FIELDS`.
const MAX_FIELDS: usize = 15;
const NO_RESULT: &str = "`err` needs a function that returns a `Result`";

/// The whole of the macro: on a mistake, its message and the function as it was, so that its callers still find it.
pub(crate) fn instrument(args: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = syn::parse2(args).and_then(|args| expand(&args, syn::parse2(item.clone())?));
    expanded.unwrap_or_else(|error| {
        let error = error.into_compile_error();
        quote!(#error #item)
    })
}

fn expand(args: &Args, function: Function) -> Result<TokenStream> {
    let Function { attrs, vis, sig, body } = &function;
    let span = span(args, &function)?;
    if let (Some(err), ReturnType::Default) = (args.err, &sig.output) {
        let (Format::Display(at) | Format::Debug(at)) = err;
        return Err(Error::new(at, NO_RESULT));
    }
    let statements = if sig.asyncness.is_some() {
        let hint = match &sig.output {
            ReturnType::Default => hint(&parse_quote!(())),
            ReturnType::Type(_, ty) => hint(ty),
        };
        in_future(args, &span, &hint, body)
    } else if let Some((before, call, future)) = boxed_future(body) {
        let hint = future_output(&sig.output).as_ref().map(hint).unwrap_or_default();
        let inner = in_future(args, &span, &hint, &syn::parse2(future.block.into_token_stream())?);
        let pin = call.func;
        quote!(#(#before)* #pin(async move { #inner }))
    } else if let Some(statements) = in_closure(args, &span, &sig.output, body) {
        statements
    } else {
        let (guard, statements) = (local("_throughline_span"), body.stream());
        quote!(let #guard = #span; #statements)
    };
    let mut braces = Group::new(Delimiter::Brace, statements);
    braces.set_span(body.span());
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
        None => function.sig.ident.unraw().to_string().into_token_stream(),
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
    let known =
        if known.is_empty() { "it has none".into() } else { format!("there are {}", known.join(", ")) };
    Err(Error::new(name.span(), format!("`{name}` is no argument of this function; {known}")))
}

/// The field that an argument makes by itself.
fn argument(args: &Args, Param { ident, derefs }: &Param) -> Option<TokenStream> {
    let name = ident.unraw().to_string();
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
    let (guard, output) = (local("throughline_span"), local("throughline_output"));
    let statements = body.stream();
    let future = quote_spanned!(body.span()=> async move { #hint #statements });
    let instrumented = match look(args, &output, &quote!(current)) {
        Some(status) => quote!(#krate::__private::instrument_result(#future, #guard, |#output| #status)),
        None => quote!(#krate::Instrument::instrument(#future, #guard)),
    };
    quote! {
        ({
            let #guard = #span;
            #instrumented
        })
        .await
    }
}

/// The body as a closure, whose result is looked at. It is called through a function, which makes it a closure that is called once: one
/// that may return what it has captured.
fn in_closure(args: &Args, span: &TokenStream, returns: &ReturnType, body: &Group) -> Option<TokenStream> {
    let (guard, output, result) =
        (local("throughline_span"), local("throughline_output"), local("throughline_result"));
    let status = look(args, &result, &quote!(#guard))?;
    let returns = match returns {
        ReturnType::Default => TokenStream::new(),
        ReturnType::Type(arrow, ty) => {
            let ty = without_impl(ty);
            quote!(#arrow #ty)
        }
    };
    Some(quote! {
        #[inline(always)]
        fn throughline_call<R>(body: impl ::core::ops::FnOnce() -> R) -> R {
            body()
        }
        let mut #guard = #span;
        let #output = throughline_call(move || #returns #body);
        let #result = &#output;
        let #result = #status;
        #guard.set_status(#result);
        #output
    })
}

/// An expression that records what `err` and `ret` ask for of `*output` in the span called `place`, and says how it went; `None` when nothing
/// is asked.
fn look(args: &Args, output: &Ident, place: &TokenStream) -> Option<TokenStream> {
    let krate = &args.krate;
    let Some(err) = args.err else {
        let record = args.ret.map(|ret| record(args, ret, "return", output, place))?;
        return Some(quote!({ #record #krate::Status::Unset }));
    };
    let (returned, error) = (local("throughline_returned"), local("throughline_error"));
    let (ok, record_returned) = match args.ret {
        Some(ret) => (returned.to_token_stream(), record(args, ret, "return", &returned, place)),
        None => (quote!(_), TokenStream::new()),
    };
    let record_error = record(args, err, "error.message", &error, place);
    let at = err.span();
    let (ok, err) = (
        quote_spanned!(at=> ::core::result::Result::Ok(#ok)),
        quote_spanned!(at=> ::core::result::Result::Err(#error)),
    );
    Some(quote! {
        match #output {
            #ok => { #record_returned #krate::Status::Unset }
            #err => { #record_error #krate::Status::Error }
        }
    })
}

/// Records `*value` as `key`. Through a trait object: a missing implementation is then reported as just that, and the code that writes
/// text is there once for all types.
fn record(args: &Args, format: Format, key: &str, value: &Ident, place: &TokenStream) -> TokenStream {
    let krate = &args.krate;
    let (bound, sigil) = match format {
        Format::Display(_) => (quote!(Display), quote!(%)),
        Format::Debug(_) => (quote!(Debug), quote!(?)),
    };
    quote_spanned! {format.span()=>
        let #value: &dyn ::core::fmt::#bound = #value;
        #krate::record!(#place, #key = #sigil #value);
    }
}

/// When a body ends with `Box::pin(async move { … })`: the statements before, and the call.
fn boxed_future(body: &Group) -> Option<(Vec<Stmt>, ExprCall, ExprAsync)> {
    let mut statements = Block::parse_within.parse2(body.stream()).ok()?;
    let Some(Stmt::Expr(Expr::Call(call), None)) = statements.pop() else { return None };
    let Expr::Path(function) = &*call.func else { return None };
    let names: Vec<String> = function.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    let Some(Expr::Async(future)) = call.args.first() else { return None };
    let is_it =
        names.ends_with(&["Box".into(), "pin".into()]) && call.args.len() == 1 && future.capture.is_some();
    is_it.then(|| (statements, call.clone(), future.clone()))
}

/// Tells the compiler what a future's block returns, which it otherwise learns only after the block, too late for `?` and for coercions.
fn hint(output: &Type) -> TokenStream {
    if matches!(output, Type::Never(_)) {
        return TokenStream::new();
    }
    let (ty, value) = (without_impl(output), local("throughline_output"));
    quote! {
        if let ::core::option::Option::Some(#value) = ::core::option::Option::None::<#ty> {
            return #value;
        }
    }
}

/// The `T` of the `Output = T` in a type such as `Pin<Box<dyn Future<Output = T>>>`.
fn future_output(returns: &ReturnType) -> Option<Type> {
    struct Find(Option<Type>);
    impl VisitMut for Find {
        fn visit_assoc_type_mut(&mut self, found: &mut AssocType) {
            if found.ident == "Output" && self.0.is_none() {
                self.0 = Some(found.ty.clone());
            }
        }
    }
    let mut find = Find(None);
    find.visit_return_type_mut(&mut returns.clone());
    find.0
}

/// The type with `_` for every `impl Trait`, which may be written only in signatures.
fn without_impl(ty: &Type) -> Type {
    struct Erase;
    impl VisitMut for Erase {
        fn visit_type_mut(&mut self, ty: &mut Type) {
            if matches!(ty, Type::ImplTrait(_)) {
                *ty = parse_quote!(_);
            } else {
                visit_mut::visit_type_mut(self, ty);
            }
        }
    }
    let mut ty = ty.clone();
    Erase.visit_type_mut(&mut ty);
    ty
}

/// A local variable that no name in the body can mean.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

impl Format {
    /// Where it was asked for, to report mistakes there.
    fn span(self) -> Span {
        let (Format::Display(span) | Format::Debug(span)) = self;
        Span::mixed_site().located_at(span)
    }
}
