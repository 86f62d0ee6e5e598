//! The names of a function's arguments.

use syn::{FnArg, Ident, Pat, Signature};

/// All names that the arguments bind, in order, without `self`.
pub(crate) fn of(sig: &Signature) -> Vec<Ident> {
    let mut names = Vec::new();
    for input in &sig.inputs {
        match input {
            // Whether the argument exists is decided after this macro has run.
            FnArg::Typed(typed) if typed.attrs.iter().any(|attr| attr.path().is_ident("cfg")) => {}
            FnArg::Typed(typed) => bind(&typed.pat, &mut names),
            FnArg::Receiver(_) => {}
        }
    }
    names
}

/// Adds the names that `pat` binds.
fn bind(pat: &Pat, names: &mut Vec<Ident>) {
    match pat {
        Pat::Ident(name) => {
            names.push(name.ident.clone());
            if let Some((_, inner)) = &name.subpat {
                bind(inner, names);
            }
        }
        Pat::Paren(inner) => bind(&inner.pat, names),
        Pat::Type(inner) => bind(&inner.pat, names),
        Pat::Reference(inner) => bind(&inner.pat, names),
        Pat::Tuple(inner) => inner.elems.iter().for_each(|pat| bind(pat, names)),
        Pat::TupleStruct(inner) => inner.elems.iter().for_each(|pat| bind(pat, names)),
        Pat::Slice(inner) => inner.elems.iter().for_each(|pat| bind(pat, names)),
        Pat::Struct(inner) => inner.fields.iter().for_each(|field| bind(&field.pat, names)),
        // Argument patterns cannot fail, and all alternatives of a pattern bind the same names.
        Pat::Or(inner) => bind(&inner.cases[0], names),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn patterns_are_taken_apart() {
        let sig: Signature = parse_quote! {
            fn f(
                &self, mut a: u8, (b, (c, _)): (&str, (Vec<u8>, u8)), &d: &u32, P { x, y: e }: P, [g, ..]: [u8; 4],
                ref h: i8, #[cfg(any())] gone: u8, (i, ..): (u8, u8),
            )
        };
        let shown: Vec<String> = of(&sig).iter().map(Ident::to_string).collect();
        assert_eq!(shown, ["a", "b", "c", "d", "x", "e", "g", "h", "i"]);
    }
}
