//! Classes of errors, by which failed calls are counted, and how the macros find the class of what a function
//! returned.

use core::fmt;

/// The class of an error that belongs to no better one, as OpenTelemetry names it.
const OTHER: &str = "_OTHER";

/// An error that tells its class. `#[instrument(metrics)]` and [`red!`](crate::red!) count failed calls by class, as
/// the attribute `error.type`.
///
/// A class is a short name from a small, fixed set, such as `timeout` or `not_found`: it becomes a label of a metric,
/// so it must not contain ids, paths or messages. An error without this trait counts under the name of its type
/// without the module, such as `ParseConfigError`.
///
/// ```
/// use throughline::ErrorClass;
///
/// enum ReadError {
///     Timeout,
///     Checksum { expected: u16, found: u16 },
/// }
///
/// impl ErrorClass for ReadError {
///     fn class(&self) -> &'static str {
///         match self {
///             ReadError::Timeout => "timeout",
///             ReadError::Checksum { .. } => "checksum",
///         }
///     }
/// }
/// # assert_eq!(ReadError::Checksum { expected: 1, found: 2 }.class(), "checksum");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` tells no class by which the error can be counted",
    note = "implement `throughline::ErrorClass` for it, or, to count it under the name of its type, write the type of the result at the body of `red!`: `|| -> Result<_, {Self}> {{ … }}`"
)]
pub trait ErrorClass {
    /// The class of this error, in `snake_case`. At most 24 bytes of it leave room for an attribute beside it on every
    /// target.
    fn class(&self) -> &'static str;
}

impl<E: ErrorClass + ?Sized> ErrorClass for &E {
    fn class(&self) -> &'static str {
        (**self).class()
    }
}

impl ErrorClass for core::convert::Infallible {
    fn class(&self) -> &'static str {
        match *self {}
    }
}

macro_rules! classes {
    ($($(#[$cfg:meta])* $error:ty => $class:literal;)*) => {$(
        $(#[$cfg])*
        impl ErrorClass for $error {
            fn class(&self) -> &'static str {
                $class
            }
        }
    )*};
}

classes! {
    () => "_OTHER";
    str => "_OTHER";
    fmt::Error => "format";
    core::cell::BorrowError => "already_borrowed";
    core::cell::BorrowMutError => "already_borrowed";
    core::char::ParseCharError => "invalid_character";
    core::num::TryFromIntError => "out_of_range";
    core::num::ParseFloatError => "invalid_number";
    core::str::ParseBoolError => "invalid_bool";
    core::str::Utf8Error => "invalid_utf8";
    core::array::TryFromSliceError => "wrong_length";
    core::net::AddrParseError => "invalid_address";
    #[cfg(feature = "std")] std::string::String => "_OTHER";
    #[cfg(feature = "std")] std::string::FromUtf8Error => "invalid_utf8";
    #[cfg(feature = "std")] std::env::VarError => "variable_missing";
    #[cfg(feature = "std")] std::time::SystemTimeError => "clock_went_back";
    #[cfg(feature = "std")] std::sync::mpsc::RecvError => "disconnected";
}

impl ErrorClass for core::num::ParseIntError {
    fn class(&self) -> &'static str {
        use core::num::IntErrorKind::{NegOverflow, PosOverflow};
        match self.kind() {
            NegOverflow | PosOverflow => "out_of_range",
            _ => "invalid_number",
        }
    }
}

#[cfg(feature = "std")]
mod with_std {
    use super::{ErrorClass, OTHER};
    use std::boxed::Box;
    use std::error::Error;
    use std::io::{self, ErrorKind};
    use std::sync::{PoisonError, mpsc};

    impl ErrorClass for ErrorKind {
        fn class(&self) -> &'static str {
            match self {
                ErrorKind::NotFound => "not_found",
                ErrorKind::PermissionDenied => "permission_denied",
                ErrorKind::ConnectionRefused => "connection_refused",
                ErrorKind::ConnectionReset => "connection_reset",
                ErrorKind::ConnectionAborted => "connection_aborted",
                ErrorKind::HostUnreachable => "host_unreachable",
                ErrorKind::NetworkUnreachable => "network_unreachable",
                ErrorKind::NotConnected => "not_connected",
                ErrorKind::AddrInUse => "address_in_use",
                ErrorKind::AddrNotAvailable => "address_not_available",
                ErrorKind::NetworkDown => "network_down",
                ErrorKind::BrokenPipe => "broken_pipe",
                ErrorKind::AlreadyExists => "already_exists",
                ErrorKind::WouldBlock => "would_block",
                ErrorKind::NotADirectory => "not_a_directory",
                ErrorKind::IsADirectory => "is_a_directory",
                ErrorKind::DirectoryNotEmpty => "directory_not_empty",
                ErrorKind::ReadOnlyFilesystem => "read_only",
                ErrorKind::InvalidInput => "invalid_input",
                ErrorKind::InvalidData => "invalid_data",
                ErrorKind::TimedOut => "timeout",
                ErrorKind::WriteZero => "write_zero",
                ErrorKind::StorageFull => "storage_full",
                ErrorKind::QuotaExceeded => "quota_exceeded",
                ErrorKind::FileTooLarge => "file_too_large",
                ErrorKind::ResourceBusy => "resource_busy",
                ErrorKind::Deadlock => "deadlock",
                ErrorKind::Interrupted => "interrupted",
                ErrorKind::Unsupported => "unsupported",
                ErrorKind::UnexpectedEof => "unexpected_eof",
                ErrorKind::OutOfMemory => "out_of_memory",
                _ => OTHER,
            }
        }
    }

    impl ErrorClass for io::Error {
        fn class(&self) -> &'static str {
            self.kind().class()
        }
    }

    impl<T> ErrorClass for PoisonError<T> {
        fn class(&self) -> &'static str {
            "poisoned"
        }
    }

    impl<T> ErrorClass for mpsc::SendError<T> {
        fn class(&self) -> &'static str {
            "disconnected"
        }
    }

    impl ErrorClass for mpsc::RecvTimeoutError {
        fn class(&self) -> &'static str {
            match self {
                mpsc::RecvTimeoutError::Timeout => "timeout",
                mpsc::RecvTimeoutError::Disconnected => "disconnected",
            }
        }
    }

    /// The class of an error whose type is hidden: that of the first `std::io::Error` in its chain.
    fn of_hidden(error: &(dyn Error + 'static)) -> &'static str {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                return error.class();
            }
            next = error.source();
        }
        OTHER
    }

    macro_rules! hidden {
        ($($error:ty),*) => {$(
            impl ErrorClass for $error {
                fn class(&self) -> &'static str {
                    of_hidden(&**self)
                }
            }
        )*};
    }
    hidden!(Box<dyn Error>, Box<dyn Error + Send>, Box<dyn Error + Send + Sync>);
}

/// What a measured call evaluated to. The macros call `throughline_class` on several references to it, so that the
/// first of the traits below applies whose bounds hold; see [`via`](crate::fields::via).
#[derive(Debug)]
pub struct Outcome<'a, T: ?Sized>(pub &'a T);

/// First choice: a `Result` whose error tells its class.
pub trait AsClassified {
    /// The class of the error, if there is one.
    fn throughline_class(&self) -> Option<&'static str>;
}

/// Second choice: any other `Result`.
pub trait AsResult {
    /// The class of the error, if there is one: the name of its type.
    fn throughline_class(&self) -> Option<&'static str>;
}

/// Last choice: a value that cannot be an error.
pub trait AsValue {
    /// No class.
    fn throughline_class(&self) -> Option<&'static str>;
}

impl<T, E: ErrorClass> AsClassified for &&Outcome<'_, Result<T, E>> {
    #[inline]
    fn throughline_class(&self) -> Option<&'static str> {
        self.0.as_ref().err().map(ErrorClass::class)
    }
}

impl<T, E> AsResult for &Outcome<'_, Result<T, E>> {
    #[inline]
    fn throughline_class(&self) -> Option<&'static str> {
        match self.0 {
            Ok(_) => None,
            Err(_) => Some(short_name(core::any::type_name::<E>())),
        }
    }
}

impl<T: ?Sized> AsValue for Outcome<'_, T> {
    #[inline(always)]
    fn throughline_class(&self) -> Option<&'static str> {
        None
    }
}

/// The last part of a type's path, without generic arguments: `Missing` of `crate::load::Missing<u8>`.
fn short_name(path: &'static str) -> &'static str {
    let path = path.split('<').next().unwrap_or_default();
    let name = path.rsplit("::").next().unwrap_or_default();
    if name.starts_with(|first: char| first.is_alphabetic()) { name } else { OTHER }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_without_a_class_has_the_last_part_of_its_name() {
        let names = ["a::b::Missing", "a::Full<b::Item>", "Plain", "&a::Missing", "()", "[u8; 4]"];
        let short = names.map(short_name);
        assert_eq!(short, ["Missing", "Full", "Plain", "Missing", OTHER, OTHER]);
    }

    #[cfg(feature = "std")]
    #[test]
    fn a_hidden_error_has_the_class_of_the_io_error_in_it() {
        use std::boxed::Box;
        use std::io::{Error, ErrorKind};
        let hidden: Box<dyn core::error::Error + Send + Sync> = Error::from(ErrorKind::TimedOut).into();
        assert_eq!((hidden.class(), Box::<dyn core::error::Error>::from("why").class()), ("timeout", OTHER));
    }
}
