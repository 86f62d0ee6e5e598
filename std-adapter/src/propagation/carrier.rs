//! Carriers: what holds the headers of a request, a message or a child process.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::process::Command;

/// Headers that can be read. Implemented for maps and lists of pairs, for `http::HeaderMap` with the feature `http`,
/// and for closures by [`from_fn`]; gRPC metadata is a `HeaderMap` too.
pub trait Extractor {
    /// Calls `found` with each value of the header `name`, in order. The case of names is ignored. A value that is
    /// not text is left out.
    fn values(&self, name: &str, found: &mut dyn FnMut(&str));

    /// Calls `found` with the name of each header. Only a format whose headers have a common prefix needs it, which
    /// is Jaeger's for baggage; the default is none.
    fn names(&self, found: &mut dyn FnMut(&str)) {
        let _ = found;
    }
}

/// Headers that can be set.
pub trait Injector {
    /// Sets the header `name`, replacing earlier values. Both have only characters that HTTP allows.
    fn set(&mut self, name: &str, value: &str);
}

impl<K: AsRef<str>, V: AsRef<str>> Extractor for [(K, V)] {
    fn values(&self, name: &str, found: &mut dyn FnMut(&str)) {
        let same = self.iter().filter(|(known, _)| known.as_ref().eq_ignore_ascii_case(name));
        same.for_each(|(_, value)| found(value.as_ref()));
    }

    fn names(&self, found: &mut dyn FnMut(&str)) {
        self.iter().for_each(|(name, _)| found(name.as_ref()));
    }
}

impl<T: Extractor + ?Sized> Extractor for &T {
    fn values(&self, name: &str, found: &mut dyn FnMut(&str)) {
        (**self).values(name, found);
    }

    fn names(&self, found: &mut dyn FnMut(&str)) {
        (**self).names(found);
    }
}

impl<K: AsRef<str>, V: AsRef<str>> Extractor for Vec<(K, V)> {
    fn values(&self, name: &str, found: &mut dyn FnMut(&str)) {
        self.as_slice().values(name, found);
    }

    fn names(&self, found: &mut dyn FnMut(&str)) {
        self.as_slice().names(found);
    }
}

impl<K: AsRef<str> + for<'a> From<&'a str>, V: for<'a> From<&'a str>> Injector for Vec<(K, V)> {
    fn set(&mut self, name: &str, value: &str) {
        self.retain(|(known, _)| !known.as_ref().eq_ignore_ascii_case(name));
        self.push((name.into(), value.into()));
    }
}

macro_rules! map {
    ($map:ident $(, $hasher:ident)?) => {
        impl<$($hasher)?> Extractor for $map<String, String $(, $hasher)?> {
            fn values(&self, name: &str, found: &mut dyn FnMut(&str)) {
                let same = self.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
                same.for_each(|(_, value)| found(value));
            }

            fn names(&self, found: &mut dyn FnMut(&str)) {
                self.keys().for_each(|name| found(name));
            }
        }

        impl<$($hasher: std::hash::BuildHasher)?> Injector for $map<String, String $(, $hasher)?> {
            fn set(&mut self, name: &str, value: &str) {
                self.retain(|known, _| !known.eq_ignore_ascii_case(name));
                self.insert(name.into(), value.into());
            }
        }
    };
}
map!(BTreeMap);
map!(HashMap, S);

#[cfg(feature = "http")]
impl Extractor for http::HeaderMap {
    fn values(&self, name: &str, found: &mut dyn FnMut(&str)) {
        self.get_all(name).iter().filter_map(|value| value.to_str().ok()).for_each(found);
    }

    fn names(&self, found: &mut dyn FnMut(&str)) {
        self.keys().for_each(|name| found(name.as_str()));
    }
}

#[cfg(feature = "http")]
impl Injector for http::HeaderMap {
    fn set(&mut self, name: &str, value: &str) {
        let name = http::HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, http::HeaderValue::from_str(value)) {
            self.insert(name, value);
        }
    }
}

/// The environment of this process, in which a parent process left its context: `TRACEPARENT`, `TRACESTATE`,
/// `BAGGAGE` and so on. Letters of a header's name are capitals there, and all other characters `_`.
///
/// ```
/// use throughline_std::propagation::{Environment, extract};
/// let started_by = extract(&Environment);
/// let _guard = started_by.enter();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Environment;

fn variable(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.chars().map(letter).collect()
}

impl Extractor for Environment {
    fn values(&self, name: &str, found: &mut dyn FnMut(&str)) {
        if let Ok(value) = std::env::var(variable(name)) {
            found(&value);
        }
    }
}

/// Sets variables of a child process, which reads them with [`Environment`].
impl Injector for Command {
    fn set(&mut self, name: &str, value: &str) {
        self.env(variable(name), OsString::from(value));
    }
}

/// A carrier of another type, read by a closure that calls its second argument with each value of a header.
///
/// ```
/// use throughline_std::propagation::{extract, from_fn};
/// struct Message {
///     traceparent: Option<String>,
/// }
/// let message = Message { traceparent: None };
/// let carried = extract(&from_fn(|name, found| {
///     if name == "traceparent" && let Some(value) = &message.traceparent {
///         found(value);
///     }
/// }));
/// assert_eq!(carried.parent, None);
/// ```
pub fn from_fn(values: impl Fn(&str, &mut dyn FnMut(&str))) -> impl Extractor {
    struct By<F>(F);
    impl<F: Fn(&str, &mut dyn FnMut(&str))> Extractor for By<F> {
        fn values(&self, name: &str, found: &mut dyn FnMut(&str)) {
            (self.0)(name, found);
        }
    }
    By(values)
}

/// A carrier of another type, written by a closure that is called with the name and value of each header.
///
/// ```
/// use throughline_std::propagation::{inject, into_fn};
/// let mut lines = String::new();
/// inject(&mut into_fn(|name, value| lines += &format!("{name}: {value}\r\n")));
/// ```
pub fn into_fn(set: impl FnMut(&str, &str)) -> impl Injector {
    struct By<F>(F);
    impl<F: FnMut(&str, &str)> Injector for By<F> {
        fn set(&mut self, name: &str, value: &str) {
            (self.0)(name, value);
        }
    }
    By(set)
}

/// The first value of a header, if there is exactly one.
pub(super) fn only(carrier: &dyn Extractor, name: &str) -> Option<String> {
    let (mut value, mut count) = (None, 0);
    carrier.values(name, &mut |found| {
        count += 1;
        if value.is_none() && found.len() <= MOST {
            value = Some(found.trim_matches([' ', '\t']).to_owned());
        }
    });
    value.filter(|_| count == 1)
}

/// Most bytes of a header that are looked at. It is twice the largest header that any of the formats defines.
pub(super) const MOST: usize = 16 * 1024;
