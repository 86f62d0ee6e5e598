//! The arguments of a function: what they are called, and which of them are recorded without being asked for.

use syn::{FnArg, Ident, Pat, PathArguments, Signature, Type};

/// A name that a function's arguments bind.
pub(crate) struct Param {
    pub(crate) ident: Ident,
    /// How often to dereference it to come to a value that can be a field; `None` when its type is not known to be one.
    pub(crate) derefs: Option<usize>,
}

/// All of them, in order, without `self`.
pub(crate) fn of(sig: &Signature) -> Vec<Param> {
    let mut params = Vec::new();
    for input in &sig.inputs {
        match input {
            // Whether it is there is decided after this macro has run.
            FnArg::Typed(typed) if typed.attrs.iter().any(|attr| attr.path().is_ident("cfg")) => {}
            FnArg::Typed(typed) => bind(&typed.pat, Some(&typed.ty), &mut params),
            FnArg::Receiver(_) => {}
        }
    }
    params
}

/// Adds what `pat` binds when it is matched with a value of type `ty`, if that is known.
fn bind(pat: &Pat, ty: Option<&Type>, params: &mut Vec<Param>) {
    match pat {
        Pat::Ident(name) => {
            let derefs = ty.and_then(scalar).map(|n| n + usize::from(name.by_ref.is_some()));
            params.push(Param { ident: name.ident.clone(), derefs });
            if let Some((_, inner)) = &name.subpat {
                bind(inner, ty, params);
            }
        }
        Pat::Paren(inner) => bind(&inner.pat, ty, params),
        Pat::Type(inner) => bind(&inner.pat, Some(&inner.ty), params),
        Pat::Reference(inner) => {
            let ty = match ty {
                Some(Type::Reference(reference)) => Some(&*reference.elem),
                _ => None,
            };
            bind(&inner.pat, ty, params);
        }
        Pat::Tuple(inner) => {
            let types = match ty {
                Some(Type::Tuple(tuple))
                    if tuple.elems.len() == inner.elems.len()
                        && !inner.elems.iter().any(|pat| matches!(pat, Pat::Rest(_))) =>
                {
                    Some(&tuple.elems)
                }
                _ => None,
            };
            for (i, pat) in inner.elems.iter().enumerate() {
                bind(pat, types.map(|types| &types[i]), params);
            }
        }
        Pat::TupleStruct(inner) => inner.elems.iter().for_each(|pat| bind(pat, None, params)),
        Pat::Slice(inner) => inner.elems.iter().for_each(|pat| bind(pat, None, params)),
        Pat::Struct(inner) => inner.fields.iter().for_each(|field| bind(&field.pat, None, params)),
        // Arguments are matched by patterns that cannot fail, whose alternatives all bind the same names.
        Pat::Or(inner) => bind(&inner.cases[0], ty, params),
        _ => {}
    }
}

const SCALARS: [&str; 14] =
    ["bool", "u8", "u16", "u32", "u64", "usize", "i8", "i16", "i32", "i64", "isize", "f32", "f64", "str"];

/// How many dereferences a value of this type is away from one that can be a field; `None` when nobody can say from the name alone.
fn scalar(ty: &Type) -> Option<usize> {
    match ty {
        Type::Reference(reference) => Some(scalar(&reference.elem)? + 1),
        Type::Paren(inner) => scalar(&inner.elem),
        Type::Group(inner) => scalar(&inner.elem),
        Type::Path(path) if path.qself.is_none() => {
            if path.path.segments.iter().any(|segment| !matches!(segment.arguments, PathArguments::None)) {
                return None;
            }
            let names: Vec<String> =
                path.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            match names[..] {
                [name] | ["core" | "std", "primitive", name] if SCALARS.contains(&name) => Some(0),
                // `String` itself is a field only with std; the `str` in it is one everywhere.
                ["String"] | ["std" | "alloc", "string", "String"] => Some(1),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn scalars_are_known_by_the_name_of_their_type() {
        let derefs = |ty: Type| scalar(&ty);
        assert_eq!(derefs(parse_quote!(u32)), Some(0));
        assert_eq!(derefs(parse_quote!(core::primitive::f32)), Some(0));
        assert_eq!(derefs(parse_quote!(&'a mut &i64)), Some(2));
        assert_eq!(derefs(parse_quote!(&str)), Some(1));
        assert_eq!(derefs(parse_quote!(String)), Some(1));
        assert_eq!(derefs(parse_quote!(&std::string::String)), Some(2));
        let unknown: [Type; 8] = [
            parse_quote!(u128),
            parse_quote!(char),
            parse_quote!(&[u8]),
            parse_quote!(Option<u32>),
            parse_quote!(heapless::String<32>),
            parse_quote!(my::u32),
            parse_quote!(impl Into<u32>),
            parse_quote!(T::u32),
        ];
        for ty in unknown {
            assert_eq!(scalar(&ty), None, "{}", quote::quote!(#ty));
        }
    }

    #[test]
    fn patterns_are_taken_apart() {
        let sig: Signature = parse_quote! {
            fn f(
                &self, mut a: u8, (b, (c, _)): (&str, (Vec<u8>, u8)), &d: &u32, P { x, y: e }: P, [g, ..]: [u8; 4],
                ref h: i8, #[cfg(any())] gone: u8, (i, ..): (u8, u8),
            )
        };
        let shown: Vec<String> = of(&sig).iter().map(|p| format!("{} {:?}", p.ident, p.derefs)).collect();
        let expected = [
            "a Some(0)",
            "b Some(1)",
            "c None",
            "d Some(0)",
            "x None",
            "e None",
            "g None",
            "h Some(1)",
            "i None",
        ];
        assert_eq!(shown, expected);
    }
}
