//! Names of functions for addresses, from debug information or, without it, from tables of symbols.

use crate::stack::{Frame, Module};
use addr2line::Loader;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// A function that an address is in. An address has several if some were inlined into others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Function {
    /// Its name, demangled.
    pub(crate) name: Rc<str>,
    /// Its name in the file, if it is known.
    pub(crate) system_name: Option<Rc<str>>,
    /// The source file.
    pub(crate) file: Option<Rc<str>>,
    /// The line in it that the address belongs to.
    pub(crate) line: u32,
}

impl Function {
    pub(crate) fn named(name: &str) -> Function {
        Function { name: name.into(), system_name: None, file: None, line: 0 }
    }
}

/// Looks up names; every address once.
pub(crate) struct Symbols<'a> {
    modules: &'a [Arc<Module>],
    /// `None` for a file that cannot be read.
    loaders: HashMap<u32, Option<Loader>>,
    known: HashMap<Frame, Rc<[Function]>>,
}

impl Symbols<'_> {
    pub(crate) fn new(modules: &[Arc<Module>]) -> Symbols<'_> {
        Symbols { modules, loaders: HashMap::new(), known: HashMap::new() }
    }

    /// The functions at an address, the innermost first; at least one.
    pub(crate) fn look_up(&mut self, frame: Frame) -> Rc<[Function]> {
        if let Some(known) = self.known.get(&frame) {
            return Rc::clone(known);
        }
        let functions: Rc<[Function]> = self.find(frame).into();
        self.known.insert(frame, Rc::clone(&functions));
        functions
    }

    fn find(&mut self, frame: Frame) -> Vec<Function> {
        let Some(index) = frame.module else {
            return vec![Function::named(&format!("{:#x}", frame.address))];
        };
        let module = &self.modules[index as usize];
        let open = || Loader::new(&module.path).ok().filter(|_| !module.path.is_empty());
        let loader = self.loaders.entry(index).or_insert_with(open);
        let found = loader.as_ref().and_then(|loader| names(loader, frame.address));
        found.unwrap_or_else(|| {
            let name = module.name.rsplit('/').next().unwrap_or(&module.name);
            vec![Function::named(&format!("[{}]", name.trim_matches(['[', ']'])))]
        })
    }
}

/// The functions at an address of a file.
fn names(loader: &Loader, address: u64) -> Option<Vec<Function>> {
    let mut functions = Vec::new();
    if let Ok(mut frames) = loader.find_frames(address) {
        while let Ok(Some(frame)) = frames.next() {
            let Some(name) = frame.function.as_ref().and_then(|name| name.raw_name().ok()) else { continue };
            let location = frame.location.as_ref();
            functions.push(Function {
                name: demangled(&name).into(),
                system_name: Some(name.as_ref().into()),
                file: location.and_then(|location| location.file).map(Rc::from),
                line: location.and_then(|location| location.line).unwrap_or(0),
            });
        }
    }
    let symbol = loader.find_symbol(address);
    match (functions.last_mut(), symbol) {
        // Debug information of lines only has names without their paths; the table of symbols has the path of the
        // outermost function.
        (Some(outermost), Some(symbol)) => {
            (outermost.name, outermost.system_name) = (demangled(symbol).into(), Some(symbol.into()));
        }
        (None, Some(symbol)) => {
            let (name, system_name) = (demangled(symbol).into(), Some(symbol.into()));
            functions.push(Function { name, system_name, file: None, line: 0 });
        }
        (_, None) => {}
    }
    (!functions.is_empty()).then_some(functions)
}

/// The name without its hash.
fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}
