//! Functions that need more than a closure around the body to handle the returned value: those that return a
//! future without being `async`, or a stream, and those with `#[track_caller]`.

use crate::args::Args;
use crate::expand::{instrumented, local, without_impl};
use proc_macro2::{Group, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Block, Error, Expr, ExprAsync, ExprClosure, GenericArgument, Item, Lifetime, Path, PathArguments, Result,
    ReturnType, Type, TypeParamBound, parse_quote,
};

/// The body of a function that returns `impl Future` or `Pin<Box<dyn Future>>`, or the same with `Stream`.
/// The body runs in the span, and the future or stream that it returns carries the span on.
pub(crate) fn polled(
    args: &Args,
    begin: &TokenStream,
    returns: &ReturnType,
    body: &Group,
) -> Result<Option<TokenStream>> {
    let ReturnType::Type(_, ty) = returns else { return Ok(None) };
    let (polled, pinned_in) = match &**ty {
        Type::ImplTrait(of) => (Polled::of(&of.bounds), None),
        Type::Path(path) => match box_of(&path.path) {
            Some((path, polled)) => (Some(polled), Some(path)),
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    let Some(polled) = polled else { return Ok(None) };
    let krate = &args.krate;
    let (guard, output, made) = (local("span"), local("output"), local("made"));
    let ty = without_impl(ty);
    let instrumented = match &polled {
        Polled::Future => instrumented(args, &made.to_token_stream(), &guard, &output),
        Polled::Stream(stream) => {
            if let Some(at) = args.err.as_ref().or(args.ret.as_ref()).map(|emit| emit.format.span()) {
                let message = "`err` and `ret` look at what a function returns, and a stream has many items: record them where the stream makes them";
                return Err(Error::new(at, message));
            }
            if args.metrics.is_some() {
                let message = "`metrics` counts calls that return, and a stream has many items: measure them where the stream makes them";
                return Err(Error::new_spanned(ty, message));
            }
            let name = local("Stream");
            quote!({
                #krate::__stream!(#name #stream);
                #name(#krate::__private::Instrument::instrument(#made, #guard))
            })
        }
    };
    let returned = match pinned_in {
        Some(path) => quote!(#path::pin(#instrumented)),
        None => instrumented,
    };
    Ok(Some(quote! {
        #begin
        let #made = #krate::__private::call(move || -> #ty #body);
        #returned
    }))
}

/// A returned type that does its work when it is polled.
enum Polled {
    Future,
    /// The path of the trait, without arguments.
    Stream(Path),
}

impl Polled {
    fn of<'a>(bounds: impl IntoIterator<Item = &'a TypeParamBound>) -> Option<Polled> {
        bounds.into_iter().find_map(|bound| {
            let TypeParamBound::Trait(bound) = bound else { return None };
            let mut path = bound.path.clone();
            let last = path.segments.last_mut()?;
            if last.ident == "Future" {
                return Some(Polled::Future);
            }
            last.arguments = PathArguments::None;
            (last.ident == "Stream").then_some(Polled::Stream(path))
        })
    }
}

/// The path of the `Box` in a `Pin<Box<dyn Future>>`, and which of the two traits it is.
fn box_of(pin: &Path) -> Option<(Path, Polled)> {
    let last = pin.segments.last().filter(|last| last.ident == "Pin")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    let Some(GenericArgument::Type(Type::Path(inner))) = arguments.args.first() else { return None };
    let mut path = inner.path.clone();
    let last = path.segments.last_mut().filter(|last| last.ident == "Box")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    let Some(GenericArgument::Type(Type::TraitObject(object))) = arguments.args.first() else { return None };
    let polled = Polled::of(&object.bounds)?;
    last.arguments = PathArguments::None;
    Some((path, polled))
}

/// The body as a block whose value is the function's return value: `return` and `?` leave the block. `None`
/// when the body does not parse; the compiler then reports why.
///
/// A `return` in the expansion of a macro inside the body is not rewritten: it leaves the function as usual,
/// and its value is not recorded.
pub(crate) fn block(krate: &Path, returns: Option<&Type>, body: &Group) -> Option<TokenStream> {
    let mut block: Block = syn::parse2(body.to_token_stream()).ok()?;
    let label = Lifetime::new("'throughline_body", Span::mixed_site());
    Leave { krate, label: &label }.visit_block_mut(&mut block);
    let value = local("value");
    let ty = match returns {
        Some(ty) => ty.clone(),
        None => parse_quote!(()),
    };
    Some(quote! {{
        #[allow(unreachable_code, clippy::never_loop)]
        let #value: #ty = #label: #block;
        #value
    }})
}

/// Rewrites `return` and `?` so that they leave the labelled block.
struct Leave<'a> {
    krate: &'a Path,
    label: &'a Lifetime,
}

impl VisitMut for Leave<'_> {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        visit_mut::visit_expr_mut(self, expr);
        let Leave { krate, label } = self;
        match expr {
            Expr::Return(leaving) => {
                let value = leaving.expr.take().map_or_else(|| parse_quote!(()), |value| *value);
                *expr = parse_quote!(break #label #value);
            }
            Expr::Try(tried) => {
                let (value, left) = (local("value"), local("left"));
                let tried = &tried.expr;
                *expr = parse_quote! {
                    match #krate::__private::Branch::branch(#tried) {
                        ::core::ops::ControlFlow::Continue(#value) => #value,
                        ::core::ops::ControlFlow::Break(#left) => break #label #left,
                    }
                };
            }
            _ => {}
        }
    }

    // A `return` or `?` in a closure, an async block or an item does not leave the function.
    fn visit_expr_closure_mut(&mut self, _: &mut ExprClosure) {}
    fn visit_expr_async_mut(&mut self, _: &mut ExprAsync) {}
    fn visit_item_mut(&mut self, _: &mut Item) {}
}
