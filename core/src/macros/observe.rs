//! The macro that makes several signals at once.

/// Several signals from one place in the code: an event in the current span or, with a body, a span; and metrics from
/// the fields that are marked. All of them carry the same ids: the metrics have exemplars of the span, and the samples
/// of a profile that hit the body have its trace and span.
///
/// The name comes first, a literal; before it may stand the options of [`span!`](crate::span!) (`level`, `target`,
/// `parent`, and with a body `kind` and `root`). Then come fields as in [`span!`](crate::span!), and last, if wanted, a
/// body: a block or `async { … }`.
///
/// ```
/// use throughline::observe;
///
/// // A log record with three fields, and two metrics: `burst.neurons_fired` and `burst.duration`.
/// observe!("burst", burst_id = 42, #[counter] neurons_fired = 1000_u32, #[histogram(unit = "ms")] duration = 3);
///
/// // A span around the body, which is the value.
/// let fired = observe!("burst", burst_id = 43, {
///     1200
/// });
/// # assert_eq!(fired, 1200);
/// ```
///
/// # Marked fields
///
/// A field becomes a metric by a mark before it, as fields get attributes elsewhere in Rust: `#[counter]`,
/// `#[up_down_counter]`, `#[gauge]` or `#[histogram]`. Its value is evaluated once, and counted whether or not the event
/// or span is recorded. The metric is called `<name>.<field>`. A mark takes these options:
///
/// | option | meaning |
/// |---|---|
/// | `name = "…"` | another name for the metric |
/// | `unit = "…"`, `description = "…"`, `scale = n` | as in [`histogram!`](crate::histogram!) |
/// | `f64` | a metric `as f64`, for fractions |
/// | `by(field, dotted.field)` | other fields of the call whose values are labels: text, or types with `Display` |
/// | `capacity = 16` | how many sets of these labels are kept apart; further ones are counted together |
///
/// ```
/// # use throughline::observe;
/// let (provider, tokens) = ("local", 311_u64);
/// observe!("llm.call", provider, #[counter(name = "llm.tokens", unit = "{token}", by(provider))] tokens);
/// ```
///
/// # The body
///
/// `return`, `?` and `break` in a block leave the surrounding function or loop, as without the macro; the span ends all
/// the same. `async { … }` makes a future that carries the span.
///
/// `#[metrics]` before the body measures it as [`red!`](crate::red!) does: `<name>.duration` and `<name>.errors`, with
/// the options in parentheses that [`instrument`](macro@crate::instrument) lists; a failed body gives the span the
/// status error and the field `error.type`. `return` and `?` then leave the body, as in `red!`.
///
/// ```
/// # use throughline::observe;
/// let loaded: Result<u32, std::num::ParseIntError> = observe!("load", shop = "oslo", #[metrics] { "7".parse::<u32>() });
/// # assert_eq!(loaded, Ok(7));
/// ```
///
/// # Cost
///
/// The sum of its parts: an event or a span, and an addition for each mark. On a microcontroller nothing is allocated,
/// and there are no samples to label.
#[macro_export]
macro_rules! observe {
    ($($input:tt)*) => { $crate::__private::__observe_call!([$crate] [] $($input)*) };
}
