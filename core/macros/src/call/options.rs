//! The options before the name of a span or the message of an event, such as `target: …` and `parent: …`.

use super::level::{KINDS, LEVELS, is_level, variant};
use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Error, Expr, Path, Result, Token};

/// The options of one call.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) level: Option<Ident>,
    pub(crate) target: Option<Expr>,
    pub(crate) name: Option<Expr>,
    pub(crate) parent: Option<Parent>,
    pub(crate) kind: Option<Ident>,
    pub(crate) root: Option<Expr>,
}

/// The parent of a span or an event.
pub(crate) enum Parent {
    /// `parent: None`: no parent.
    None,
    /// The given span or context.
    Given(Expr),
}

/// The macro that the options belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Macro {
    Span,
    Event,
}

impl Macro {
    fn options(self) -> &'static str {
        match self {
            Macro::Span => "`level`, `target`, `parent`, `kind` and `root`",
            Macro::Event => "`level`, `target`, `parent` and `name`",
        }
    }
}

impl Options {
    /// Parses all options. A level may also stand among them without a keyword; in an event, also without
    /// `Level::`.
    pub(crate) fn parse(input: ParseStream<'_>, of: Macro) -> Result<Options> {
        let mut options = Options::default();
        loop {
            if input.peek(Ident::peek_any) && input.peek2(Token![:]) && !input.peek2(Token![::]) {
                let word = Ident::parse_any(input)?;
                input.parse::<Token![:]>()?;
                options.parse_one(input, of, &word)?;
            } else if options.level.is_none() && is_level(input, of == Macro::Event) {
                options.level = Some(variant(input, "level", &LEVELS)?);
            } else {
                return Ok(options);
            }
            if input.is_empty() {
                return Ok(options);
            }
            input.parse::<Token![,]>()?;
        }
    }

    fn parse_one(&mut self, input: ParseStream<'_>, of: Macro, word: &Ident) -> Result<()> {
        let is_twice = match (word.to_string().as_str(), of) {
            ("level", _) => self.level.replace(variant(input, "level", &LEVELS)?).is_some(),
            ("target", _) => self.target.replace(input.parse()?).is_some(),
            ("parent", _) => self.parent.replace(Parent::parse(input)?).is_some(),
            ("name", Macro::Event) => self.name.replace(input.parse()?).is_some(),
            ("kind", Macro::Span) => self.kind.replace(variant(input, "kind", &KINDS)?).is_some(),
            ("root", Macro::Span) => self.root.replace(input.parse()?).is_some(),
            (other, _) => {
                let hint = match other {
                    "name" => "; give a span's name as the first argument, without a keyword",
                    "kind" | "root" => "; it is for spans only",
                    _ => "",
                };
                let message = format!("unknown option `{other}`{hint}; the options are {}", of.options());
                return Err(Error::new(word.span(), message));
            }
        };
        if is_twice { Err(Error::new(word.span(), format!("`{word}` is given twice"))) } else { Ok(()) }
    }

    /// The level; `Info` if none is given.
    pub(crate) fn level(&self) -> Ident {
        self.level.clone().unwrap_or_else(|| Ident::new("Info", Span::mixed_site()))
    }
}

impl Parent {
    pub(crate) fn parse(input: ParseStream<'_>) -> Result<Parent> {
        let value: Expr = input.parse()?;
        let is_none = |path: &Path| path.segments.last().is_some_and(|last| last.ident == "None");
        Ok(match &value {
            Expr::Path(path) if is_none(&path.path) => Parent::None,
            _ => Parent::Given(value),
        })
    }
}
