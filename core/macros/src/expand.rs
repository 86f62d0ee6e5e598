//! The expansion of `#[instrument]`. Generated code refers only to `::core` and to the crate itself.

use crate::args::{Args, Emit, Format};
use crate::call::{Field, Fields, MAX_FIELDS, begin};
use crate::function::Function;
use crate::params;
use crate::red::class_of;
use crate::returned;
use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::visit_mut::{self, VisitMut};
use syn::{
    AssocType, Block, Error, Expr, ExprAsync, ExprCall, ExprLit, Lit, LitStr, Result, ReturnType, Stmt, Type,
    parse_quote,
};

const NO_RESULT: &str = "`err` needs a function that returns a `Result`";

/// The complete expansion. On a mistake it is the error and the unchanged function, so that its callers still
/// compile.
pub(crate) fn instrument(args: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = syn::parse2(args).and_then(|args| expand(&args, syn::parse2(item.clone())?));
    expanded.unwrap_or_else(|error| {
        let error = error.into_compile_error();
        quote!(#error #item)
    })
}

fn expand(args: &Args, function: Function) -> Result<TokenStream> {
    let Function { attrs, vis, sig, body } = &function;
    let begin = begin_both(args, &function, &TokenStream::new())?;
    let begin_mut = begin_both(args, &function, &quote!(mut))?;
    if let (Some(err), ReturnType::Default) = (&args.err, &sig.output) {
        let (Format::Display(at) | Format::Debug(at)) = err.format;
        return Err(Error::new(at, NO_RESULT));
    }
    let statements = if sig.asyncness.is_some() {
        let hint = match &sig.output {
            ReturnType::Default => hint(&parse_quote!(())),
            ReturnType::Type(_, ty) => hint(ty),
        };
        in_future(args, &begin, &hint, body)
    } else if let Some((before, call, future)) = boxed_future(body) {
        let hint = future_output(&sig.output).as_ref().map(hint).unwrap_or_default();
        let inner = in_future(args, &begin, &hint, &syn::parse2(future.block.into_token_stream())?);
        let pin = call.func;
        quote!(#(#before)* #pin(async move { #inner }))
    } else if let Some(statements) = returned::polled(args, &begin, &sig.output, body)? {
        statements
    } else if let Some(statements) = in_closure(args, &begin_mut, &function) {
        statements
    } else {
        quote!(#begin #body)
    };
    let mut braces = Group::new(Delimiter::Brace, statements);
    braces.set_span(body.span());
    // The user's own macro may have written braces around the body; the compiler must not warn about them.
    Ok(quote!(#(#attrs)* #[allow(unused_braces)] #vis #sig #braces))
}

/// The statements that begin the span and, if there are metrics, the measured call.
fn begin_both(args: &Args, function: &Function, mutable: &TokenStream) -> Result<TokenStream> {
    let (guard, span) = (local("span"), span(args, function)?);
    let Some(metrics) = &args.metrics else { return Ok(quote!(let #mutable #guard = #span;)) };
    let name = match (&metrics.name, &args.name) {
        (Some(name), _) => name.clone(),
        (None, None) => name_of(function),
        (None, Some(Expr::Lit(ExprLit { lit: Lit::Str(name), .. }))) => name.clone(),
        (None, Some(other)) => {
            let message = "the name of metrics must be a literal: write `metrics(name = \"…\")`";
            return Err(Error::new_spanned(other, message));
        }
    };
    let (call, prepare) = (local("call"), metrics.prepare(&args.krate, &name));
    Ok(quote!(let #mutable #guard = #span; let #call = #prepare.begin();))
}

fn name_of(function: &Function) -> LitStr {
    LitStr::new(&function.sig.ident.unraw().to_string(), Span::mixed_site())
}

/// The expression that begins the span.
fn span(args: &Args, function: &Function) -> Result<TokenStream> {
    let params = params::of(&function.sig);
    check_skipped(args, &params)?;
    let recorded: Vec<Field> = params.iter().filter_map(|param| argument(args, param)).collect();
    let count = recorded.len() + args.fields.0.len();
    if count > MAX_FIELDS {
        let message = format!(
            "this span would have {count} fields, but the limit is {MAX_FIELDS}: name arguments in `skip(…)`"
        );
        return Err(Error::new(function.sig.ident.span(), message));
    }
    let mut fields = Fields::default();
    for mut field in recorded.into_iter().chain(args.fields.0.iter().cloned()) {
        if is_declaration(&field, &params) {
            let krate = &args.krate;
            field.value = parse_quote!(#krate::Empty);
        }
        fields.push(field)?;
    }
    let name = match &args.name {
        Some(name) => name.clone(),
        None => {
            let name = name_of(function);
            parse_quote!(#name)
        }
    };
    let span = begin(&args.krate, &args.options, &name, &fields)?;
    let (Some(causes), krate) = (&args.follows_from, &args.krate) else { return Ok(span) };
    let (guard, cause) = (local("span"), local("cause"));
    Ok(quote!({
        let #guard = #span;
        // Call the method by its path, so that iterating over an `Option` raises no lint at the callsite.
        for #cause in ::core::iter::IntoIterator::into_iter(#causes) {
            #krate::__private::Span::follows_from(&#guard, #cause);
        }
        #guard
    }))
}

/// Whether a field has a name but no value yet, as `fields(rows)` means in `tracing`: the name is not an
/// argument of the function and is not written like a constant.
fn is_declaration(field: &Field, params: &[Ident]) -> bool {
    let Expr::Path(path) = &field.value else { return false };
    let Some(name) = path.path.get_ident().filter(|_| field.is_its_own_name && field.sigil.is_none()) else {
        return false;
    };
    let is_constant = name.to_string().chars().all(|c| !c.is_lowercase());
    !is_constant && *name != "self" && !params.contains(name)
}

fn check_skipped(args: &Args, params: &[Ident]) -> Result<()> {
    let unknown = args.skip.iter().find(|name| *name != "self" && !params.contains(name));
    let Some(name) = unknown else { return Ok(()) };
    let known: Vec<String> = params.iter().map(|param| format!("`{param}`")).collect();
    let known = if known.is_empty() {
        "it has no arguments".into()
    } else {
        format!("its arguments are {}", known.join(", "))
    };
    Err(Error::new(name.span(), format!("`{name}` is not an argument of this function; {known}")))
}

/// The field for an argument; `None` when the argument is not recorded.
fn argument(args: &Args, ident: &Ident) -> Option<Field> {
    let key = ident.unraw().to_string();
    let is_replaced = args.fields.index_of(&key).is_some();
    if args.skip_all || args.skip.contains(ident) || is_replaced || key.starts_with('_') {
        return None;
    }
    let value = parse_quote!(#ident);
    Some(Field {
        key,
        span: ident.span(),
        sigil: None,
        value,
        shown: Vec::new(),
        is_argument: true,
        is_its_own_name: true,
    })
}

/// The body as a future that carries the span. The span is made before the future, because the future takes
/// the arguments with it. It is made in its own block, because the guard is bound to its thread and must not
/// be kept across the `await`.
fn in_future(args: &Args, begin: &TokenStream, hint: &TokenStream, body: &Group) -> TokenStream {
    let (guard, output) = (local("span"), local("output"));
    // Give the body its own block, so that its declarations and imports do not affect the hint.
    let future = quote_spanned!(body.span()=> async move { #hint #body });
    let instrumented = instrumented(args, &future, &guard, &output);
    quote! {
        ({
            #begin
            #instrumented
        })
        .await
    }
}

/// `future` in the span `guard`, with its result recorded if `err`, `ret` or `metrics` asks for it.
pub(crate) fn instrumented(args: &Args, future: &TokenStream, guard: &Ident, output: &Ident) -> TokenStream {
    let krate = &args.krate;
    let measured = args.metrics.as_ref().map(|_| {
        let (call, class) = (local("call"), class_of(krate, &quote!(&#output)));
        quote! {
            async move {
                let #call = #call;
                let #output = #future.await;
                #call.finish(#class);
                #output
            }
        }
    });
    let future = measured.as_ref().unwrap_or(future);
    match record_result(args, output, &quote!(current)) {
        Some(status) => quote!(#krate::__private::instrument_result(#future, #guard, |#output| #status)),
        None => quote!(#krate::__private::Instrument::instrument(#future, #guard)),
    }
}

/// The body as a closure whose result is recorded. Passing the closure to a function makes the compiler infer
/// `FnOnce`, so the body may return what it has captured.
///
/// Inside a closure `#[track_caller]` would report the closure's location, so such a function's body becomes
/// a labelled block instead.
fn in_closure(args: &Args, begin: &TokenStream, function: &Function) -> Option<TokenStream> {
    let krate = &args.krate;
    let (guard, output, result) = (local("span"), local("output"), local("result"));
    let status = record_result(args, &result, &quote!(#guard))?;
    let Function { attrs, sig, body, .. } = function;
    let returns = match &sig.output {
        ReturnType::Default => None,
        ReturnType::Type(_, ty) => Some(without_impl(ty)),
    };
    let block = attrs
        .iter()
        .any(|attr| attr.path().is_ident("track_caller"))
        .then(|| returned::block(krate, returns.as_ref(), body))
        .flatten();
    let value = block.unwrap_or_else(|| {
        let returns = returns.map(|ty| quote!(-> #ty));
        quote!(#krate::__private::call(move || #returns #body))
    });
    let count = args.metrics.as_ref().map(|_| {
        let (call, class) = (local("call"), class_of(krate, &quote!(&#output)));
        quote!(#call.finish(#class);)
    });
    Some(quote! {
        #begin
        let #output = #value;
        let #result = &#output;
        let #result = #status;
        #guard.set_status(#result);
        #count
        #output
    })
}

/// An expression that records from `*output` what `err`, `ret` and `metrics` ask for, in the span `place`, and
/// evaluates to the span's status. `None` when none of them is given.
fn record_result(args: &Args, output: &Ident, place: &TokenStream) -> Option<TokenStream> {
    let (krate, rest) = (&args.krate, record_err_and_ret(args, output, place));
    if args.metrics.is_none() {
        return rest;
    }
    let (class, status) = (local("class"), local("status"));
    let rest = rest.unwrap_or_else(|| quote!(#krate::__private::Status::Unset));
    let class_of = class_of(krate, &output.to_token_stream());
    let key = LitStr::new("error.type", Span::mixed_site());
    Some(quote! {{
        let #class: ::core::option::Option<&'static ::core::primitive::str> = #class_of;
        let #status = #rest;
        match #class {
            ::core::option::Option::Some(#class) => {
                #krate::record!(#place, #key = #class);
                #krate::__private::Status::Error
            }
            ::core::option::Option::None => #status,
        }
    }})
}

fn record_err_and_ret(args: &Args, output: &Ident, place: &TokenStream) -> Option<TokenStream> {
    let krate = &args.krate;
    let Some(err) = &args.err else {
        let record = args.ret.as_ref().map(|ret| returned_value(args, ret, output, place))?;
        return Some(quote!({ #record #krate::__private::Status::Unset }));
    };
    let (returned, error) = (local("returned"), local("error"));
    let (ok, record_returned) = match &args.ret {
        Some(ret) => (returned.to_token_stream(), returned_value(args, ret, &returned, place)),
        None => (quote!(_), TokenStream::new()),
    };
    let mut record_error = record(args, err.format, "error.message", &error, &quote!(record), place);
    if let Some(level) = &err.level {
        record_error.extend(record(
            args,
            err.format,
            "error.message",
            &error,
            &quote!(event),
            &quote!(#level),
        ));
    }
    let at = err.format.span();
    let (ok, err) = (
        quote_spanned!(at=> ::core::result::Result::Ok(#ok)),
        quote_spanned!(at=> ::core::result::Result::Err(#error)),
    );
    Some(quote! {
        match #output {
            #ok => { #record_returned #krate::__private::Status::Unset }
            #err => { #record_error #krate::__private::Status::Error }
        }
    })
}

/// Records the returned value: in the function's span or, if a level is given, as an event.
fn returned_value(args: &Args, ret: &Emit, value: &Ident, place: &TokenStream) -> TokenStream {
    match &ret.level {
        None => record(args, ret.format, "return", value, &quote!(record), place),
        Some(level) => record(args, ret.format, "return", value, &quote!(event), &quote!(#level)),
    }
}

/// Records `*value` under `key` with the macro `record!` or `event!`, whose first argument is the span or the
/// level. The value is passed as a trait object, so that the compiler reports a missing implementation as
/// such, and one copy of the formatting code serves all types.
fn record(
    args: &Args,
    format: Format,
    key: &str,
    value: &Ident,
    with: &TokenStream,
    first: &TokenStream,
) -> TokenStream {
    let krate = &args.krate;
    let (bound, sigil) = match format {
        Format::Display(_) => (quote!(Display), quote!(%)),
        Format::Debug(_) => (quote!(Debug), quote!(?)),
    };
    quote_spanned! {format.span()=>
        let #value: &dyn ::core::fmt::#bound = #value;
        #krate::#with!(#first, #key = #sigil #value);
    }
}

/// If the body ends with `Box::pin(async move { … })`: the statements before it, the call, and the async
/// block.
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

/// Tells the compiler the output type of a future's block. Otherwise it infers the type only after the block,
/// too late for `?` and for coercions.
fn hint(output: &Type) -> TokenStream {
    if matches!(output, Type::Never(_)) {
        return TokenStream::new();
    }
    let (ty, value) = (without_impl(output), local("output"));
    quote! {
        if let ::core::option::Option::Some(#value) = ::core::option::Option::None::<#ty> {
            return #value;
        }
    }
}

/// The `T` of `Output = T` in a type such as `Pin<Box<dyn Future<Output = T>>>`.
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

/// The type with `_` in place of every `impl Trait`, which is allowed only in signatures.
pub(crate) fn without_impl(ty: &Type) -> Type {
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

/// A local variable that no name in the body can refer to. A constant or static with the same name would turn
/// the pattern into a comparison, so the prefix is one that nobody else uses.
pub(crate) fn local(name: &str) -> Ident {
    Ident::new(&format!("__throughline_{name}"), Span::mixed_site())
}

impl Format {
    /// The position where the format was requested, for error messages.
    pub(crate) fn span(self) -> Span {
        let (Format::Display(span) | Format::Debug(span)) = self;
        Span::mixed_site().located_at(span)
    }
}
