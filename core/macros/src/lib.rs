//! Procedural macros of `throughline`, which re-exports them: the attribute `#[instrument]`, also called
//! `#[traced]`, and the parts of `event!`, `span!` and their relatives that read messages and fields.

mod args;
mod call;
mod expand;
mod function;
mod observe;
mod params;
mod red;
mod returned;

use proc_macro::TokenStream;

/// Runs a function in its own span. The span begins when the function is called, is current while the
/// function runs, and ends when it returns. The span of an `async fn` begins at the first poll of its future,
/// is current during each poll, and ends when the future completes. The future stays `Send`.
///
/// ```
/// use throughline::instrument;
///
/// #[instrument(level = "debug", skip(payload), fields(len = payload.len()), err)]
/// fn send(channel: u8, payload: &[u8]) -> Result<usize, SendError> {
///     if payload.is_empty() { Err(SendError) } else { Ok(payload.len()) }
/// }
/// # #[derive(Debug)]
/// # struct SendError;
/// # impl core::fmt::Display for SendError {
/// #     fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result { f.write_str("nothing to send") }
/// # }
/// assert_eq!(send(3, b"abc").unwrap(), 3);
/// ```
///
/// # Arguments
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `name = "…"` | the span's name: a literal or a constant `&'static str` | the function's name |
/// | `level = "debug"` | the level; also `Debug`, `Level::Debug`, `Level::DEBUG` | `Info` |
/// | `target = "…"` | the target: a literal or a constant | the module's path |
/// | `kind = Server` | the span's role: `Internal`, `Server`, `Client`, `Producer` or `Consumer` | `Internal` |
/// | `parent = &span` | the parent, a `&Span` or a `Context`; any expression, which may use the function's arguments | the current span |
/// | `follows_from = [&span]` | links to the spans that caused this one: anything that iterates over `&Span` or `Context`; it may use the function's arguments | no links |
/// | `root`, `parent = None` | begins a new trace, whatever span is current | child of the current span |
/// | `skip(a, b)` | arguments that are not recorded | |
/// | `skip_all` | no argument is recorded | |
/// | `fields(…)` | additional fields, written as in `span!`: `key = value`, `dotted.key = %display`, `"any key" = ?debug`, `%x`, `?x`, `x`. They are evaluated before the body and may use the function's arguments. A field with the name of an argument replaces that argument. A lower-case name by itself that is no argument, such as `rows`, is declared `Empty`, for `record!` to fill in. | |
/// | `err` | a returned `Err` sets the span's status to error and is recorded as the field `error.message` with its `Display`; `err(Debug)` uses its `Debug`; `err(level = "warn")` also records an event | |
/// | `ret` | the returned value (with `err`, the value in `Ok`) is recorded as the field `return` with its `Debug`; `ret(Display)` uses its `Display`; `ret(level = "debug")` records an event instead | |
/// | `metrics` | counts calls, their duration in seconds and their errors by class: see below | |
/// | `crate = path` | the path of `throughline`, for crates that re-export it | `::throughline` |
///
/// When the function panics, the span's status is error as well; on a server the panic's message becomes `error.message`.
///
/// # Metrics of a function
///
/// `metrics` makes rate, errors and duration (RED) of the function: a histogram `<name>.duration` in seconds, whose
/// count is the number of calls, with exemplars of the span; and a counter `<name>.errors` with the attribute
/// `error.type`. A call fails when it returns an `Err`, whose class comes from
/// [`ErrorClass`](https://docs.rs/throughline/latest/throughline/trait.ErrorClass.html) or else is the name of its
/// type; when it panics (`panic`); and when its future is dropped early (`cancelled`). The span of a failed call has
/// the status error and the field `error.type`. All calls are counted, also those whose span is not sampled or is below
/// the level. Options go in parentheses:
///
/// | option | meaning | default |
/// |---|---|---|
/// | `name = "…"` | the name of the metrics | the span's name |
/// | `attribute`, `key = value`, `dotted.key = ?value` | at most three attributes that divide the calls, evaluated before the body; text, or any type with `Display` | none |
/// | `capacity = 16` | the number of attribute sets that are kept apart; further ones are counted together (`otel.metric.overflow`) | 16 |
/// | `scale = 2` | the resolution of the histogram, as for `histogram!` | 2 |
/// | `description = "…"` | what the duration is | |
///
/// ```
/// use throughline::instrument;
///
/// #[instrument(skip_all, metrics(name = "orders.load", shop))]
/// async fn load(shop: &str, id: u64) -> Result<u64, std::io::Error> {
///     Ok(id)
/// }
/// ```
///
/// Cost: two readings of the clock and what a histogram costs; an attribute adds the lookup in a family. Memory: one
/// histogram, or one for each of `capacity + 1` attribute sets (at scale 2 each takes 2 KiB per thread that uses it, 528
/// bytes on a microcontroller, where a small `capacity` and `scale = 0` are advisable).
///
/// # How arguments are recorded
///
/// An argument is recorded as it is if its type is a
/// [field](https://docs.rs/throughline/latest/throughline/trait.Field.html), or dereferences to one as
/// `String` does. The cost is then that of its words. Of any other argument the `Debug` text is recorded,
/// which costs more than the span itself and, on a microcontroller, some flash for formatting code: `skip`
/// the arguments that you do not need. An argument with neither is not recorded. `self`, and names that begin
/// with `_`, are never recorded by default; name them in `fields(…)`, as in `fields(?self)`. A span has at
/// most 15 fields.
///
/// ```
/// # use throughline::instrument;
/// # #[derive(Debug)] struct Request { path: String }
/// # struct Server { port: u16 }
/// impl Server {
///     // Fields: `attempt` (an integer), `request` (its `Debug`), `port`, `http.route`.
///     #[instrument(name = "handle", kind = Server, fields(port = self.port, http.route = %request.path))]
///     async fn handle(&self, request: Request, attempt: u32) {}
/// }
/// ```
///
/// # Which functions can be instrumented
///
/// The attribute works on functions and methods, including generic, `unsafe`, `extern` and `async` ones,
/// trait methods, functions with `#[track_caller]`, and functions that return `impl Trait`. It does not work
/// on a `const fn`, which may run at compile time, where nothing can be recorded.
///
/// When a function that is not `async` ends with `Box::pin(async move { … })`, as `async_trait` generates,
/// the span is that of the future. In a function that returns `impl Future` or `Pin<Box<dyn Future>>`, the
/// span begins at the call, is current while the function makes the future, and ends when the future
/// completes. The same holds for `impl Stream` and `Pin<Box<dyn Stream>>`, whichever crate defines that
/// `Stream`: the span ends when the stream returns `None`. If the return type hides what it is, as
/// `BoxFuture` and `BoxStream` do, the span covers only the making of it: use `Instrument::instrument` there.
#[proc_macro_attribute]
pub fn instrument(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::instrument(args.into(), item.into()).into()
}

/// The same as [`macro@instrument`].
///
/// ```
/// #[throughline::traced(ret)]
/// fn double(n: u32) -> u32 {
///     2 * n
/// }
/// assert_eq!(double(4), 8);
/// ```
#[proc_macro_attribute]
pub fn traced(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::instrument(args.into(), item.into()).into()
}

/// The expansion of `event!` and its levels. Only `throughline`'s own macros call it.
#[doc(hidden)]
#[proc_macro]
pub fn __event_call(input: TokenStream) -> TokenStream {
    call::event(input.into()).into()
}

/// The expansion of `span!` and its levels. Only `throughline`'s own macros call it.
#[doc(hidden)]
#[proc_macro]
pub fn __span_call(input: TokenStream) -> TokenStream {
    call::span(input.into()).into()
}

/// The expansion of `observe!`. Only `throughline`'s own macros call it.
#[doc(hidden)]
#[proc_macro]
pub fn __observe_call(input: TokenStream) -> TokenStream {
    observe::observe(input.into()).into()
}

/// The expansion of `red!`. Only `throughline`'s own macros call it.
#[doc(hidden)]
#[proc_macro]
pub fn __red_call(input: TokenStream) -> TokenStream {
    red::red(input.into()).into()
}

/// The expansion of `record!`. Only `throughline`'s own macros call it.
#[doc(hidden)]
#[proc_macro]
pub fn __record_call(input: TokenStream) -> TokenStream {
    call::record(input.into()).into()
}

/// The expansion of `enabled!`. Only `throughline`'s own macros call it.
#[doc(hidden)]
#[proc_macro]
pub fn __enabled_call(input: TokenStream) -> TokenStream {
    call::enabled(input.into()).into()
}
