//! Attribute macros of `throughline`, which re-exports them: `#[instrument]`, also called `#[traced]`.

mod args;
mod call;
mod expand;
mod function;
mod params;
mod returned;

use proc_macro::TokenStream;

/// Runs a function in a span of its own: the span begins when the function is called, is current while it runs, and ends when it returns. The span
/// of an `async fn` begins when its future is first polled, is current whenever it is polled, and ends when it is done; the future stays `Send`.
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
/// | argument | meaning | else |
/// |---|---|---|
/// | `name = "…"` | the span's name: a literal or a constant `&'static str` | the function's name |
/// | `level = "debug"` | its level; also `Debug`, `Level::Debug`, `Level::DEBUG` | `Info` |
/// | `target = "…"` | its target: a literal or a constant | the module's path |
/// | `kind = Server` | its role: `Internal`, `Server`, `Client`, `Producer` or `Consumer` | `Internal` |
/// | `parent = &span` | its parent, a `&Span` or a `Context`; any expression, with the arguments in scope | the current span |
/// | `follows_from = [&span]` | links to the spans that caused it: anything that iterates over `&Span` or `Context`, with the arguments in scope | |
/// | `root`, `parent = None` | begins a trace of its own, whatever is current | child of the current span |
/// | `skip(a, b)` | arguments not to record | |
/// | `skip_all` | records no argument | |
/// | `fields(…)` | fields besides, as in `span!`: `key = value`, `dotted.key = %display`, `"any key" = ?debug`, `%x`, `?x`, `x`; evaluated before the body, with the arguments in scope; a field named as an argument is recorded in its place | |
/// | `err` | a returned `Err` makes the span's status an error, and its `Display` the field `error.message`; `err(Debug)` for its `Debug`; `err(level = "warn")` records an event besides | |
/// | `ret` | records what is returned (with `err`: what is in `Ok`) as field `return`: its `Debug`, or its `Display` with `ret(Display)`; as an event with `ret(level = "debug")` | |
/// | `crate = path` | where `throughline` is, for crates that re-export it | `::throughline` |
///
/// A function that panics makes its span's status an error, too; on a server with the panic's message as `error.message`.
///
/// # How arguments are recorded
///
/// One whose type is a [field](https://docs.rs/throughline/latest/throughline/trait.Field.html), or dereferences to one as `String` does, is recorded
/// as it is, for the price of its words. Of any other the `Debug` is recorded: that costs more than the span does, and on a microcontroller some flash for
/// the formatting code, so `skip` what you do not need. One that has neither is not recorded. `self`, and names that begin with `_`, never are; name
/// them in `fields(…)`, as in `fields(?self)`. A span has at most 15 fields.
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
/// # What a function may be
///
/// A function or method: generic, `unsafe`, `extern`, `async`, of a trait, with `#[track_caller]`, returning `impl Trait`; not a `const fn`, which may run
/// where nothing is recorded. When a function that is not `async` ends with `Box::pin(async move { … })`, as those made by `async_trait` do, the span is that
/// of the future. A function that returns `impl Future` or `Pin<Box<dyn Future>>` begins its span when it is called, makes the future within it, and ends
/// it when the future is done. Of a function whose type hides that it returns a future, as `BoxFuture` does, the span covers making the future alone:
/// use `Instrument::instrument` there.
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

/// What `event!` and its levels expand to; called by `throughline`'s own macros alone.
#[doc(hidden)]
#[proc_macro]
pub fn __event_call(input: TokenStream) -> TokenStream {
    call::event(input.into()).into()
}

/// What `span!` and its levels expand to; called by `throughline`'s own macros alone.
#[doc(hidden)]
#[proc_macro]
pub fn __span_call(input: TokenStream) -> TokenStream {
    call::span(input.into()).into()
}

/// What `record!` expand to; called by `throughline`'s own macros alone.
#[doc(hidden)]
#[proc_macro]
pub fn __record_call(input: TokenStream) -> TokenStream {
    call::record(input.into()).into()
}

/// What `enabled!` expand to; called by `throughline`'s own macros alone.
#[doc(hidden)]
#[proc_macro]
pub fn __enabled_call(input: TokenStream) -> TokenStream {
    call::enabled(input.into()).into()
}
