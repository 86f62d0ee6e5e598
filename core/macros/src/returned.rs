//! Functions that need more than a closure around the body to handle the returned value: those that return a
//! future without being `async`, and those with `#[track_caller]`.

use crate::args::Args;
use crate::expand::{instrumented, local, without_impl};
use proc_macro2::{Group, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Block, Expr, ExprAsync, ExprClosure, GenericArgument, Item, Lifetime, Path, PathArguments, ReturnType,
    Type, TypeParamBound, parse_quote,
};

/// The body of a function that returns `impl Future` or `Pin<Box<dyn Future>>`. The body runs in the span,
/// and the future that it returns carries the span on.
pub(crate) fn future(
    args: &Args,
    span: &TokenStream,
    returns: &ReturnType,
    body: &Group,
) -> Option<TokenStream> {
    let ReturnType::Type(_, ty) = returns else { return None };
    let pinned_in = match &**ty {
        Type::ImplTrait(of) if of.bounds.iter().any(is_future) => None,
        Type::Path(path) => Some(box_of(&path.path)?),
        _ => return None,
    };
    let krate = &args.krate;
    let (guard, output, made) = (local("span"), local("output"), local("future"));
    let ty = without_impl(ty);
    let instrumented = instrumented(args, &made.to_token_stream(), &guard, &output);
    let returned = match pinned_in {
        Some(path) => quote!(#path::pin(#instrumented)),
        None => instrumented,
    };
    Some(quote! {
        let #guard = #span;
        let #made = #krate::__private::call(move || -> #ty #body);
        #returned
    })
}

fn is_future(bound: &TypeParamBound) -> bool {
    match bound {
        TypeParamBound::Trait(bound) => bound.path.segments.last().is_some_and(|last| last.ident == "Future"),
        _ => false,
    }
}

/// The path of the `Box` in a `Pin<Box<dyn Future>>`.
fn box_of(pin: &Path) -> Option<Path> {
    let last = pin.segments.last().filter(|last| last.ident == "Pin")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    let Some(GenericArgument::Type(Type::Path(inner))) = arguments.args.first() else { return None };
    let mut path = inner.path.clone();
    let last = path.segments.last_mut().filter(|last| last.ident == "Box")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    let Some(GenericArgument::Type(Type::TraitObject(object))) = arguments.args.first() else { return None };
    let is_future = object.bounds.iter().any(is_future);
    last.arguments = PathArguments::None;
    is_future.then_some(path)
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
