//! The input and the expansion of `event!`, `span!`, their variants for each level, `record!` and `enabled!`.

mod event;
mod field;
mod input;
mod level;
mod message;
mod options;
mod span;

use proc_macro2::TokenStream;
use quote::quote;
use syn::Result;

pub(crate) use event::{enabled, event, record_event};
pub(crate) use field::{Field, Fields, Item, MAX_FIELDS, Sigil, no_name};
pub(crate) use input::Input;
pub(crate) use level::{KINDS, LEVELS, variant};
pub(crate) use options::{Macro, Options, Parent};
pub(crate) use span::{begin, record, span};

/// The expansion; on a mistake, the error and `instead`, so that the compiler reports nothing else.
pub(crate) fn or_error(expanded: Result<TokenStream>, instead: impl FnOnce() -> TokenStream) -> TokenStream {
    expanded.unwrap_or_else(|error| {
        let (error, instead) = (error.into_compile_error(), instead());
        quote!({ #error #instead })
    })
}
