//! The input that the core's `macro_rules!` pass on: the path of the crate, the level if the macro implies
//! one, and the user's tokens.

use proc_macro2::{Group, Ident, TokenStream};
use syn::parse::{Parse, ParseStream};
use syn::{Path, Result};

pub(crate) struct Input {
    /// `$crate`, or the path given with `crate = …`.
    pub(crate) krate: Path,
    /// The level that the macro implies, such as `Warn` for `warn!`.
    pub(crate) level: Option<Ident>,
    pub(crate) rest: TokenStream,
}

impl Parse for Input {
    fn parse(input: ParseStream<'_>) -> Result<Input> {
        let krate: Group = input.parse()?;
        let level: Group = input.parse()?;
        let level = if level.stream().is_empty() { None } else { Some(syn::parse2(level.stream())?) };
        Ok(Input { krate: syn::parse2(krate.stream())?, level, rest: input.parse()? })
    }
}
