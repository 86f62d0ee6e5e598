//! The macro that measures a piece of code.

/// Rate, errors and duration (RED) of a piece of code: a histogram `<name>.duration` in seconds, whose count is the
/// number of calls and whose exemplars are in the current span, and a counter `<name>.errors` with the attribute
/// `error.type`. Evaluates to the value of its body.
///
/// The arguments are the name, a literal; at most three attributes, `key = value`, `dotted.key = ?value` or a variable
/// alone, whose values are text or any type with `Display`; the options `capacity` (how many sets of attributes are
/// kept apart, default 16), `scale` and `description`, as for [`histogram_family!`](crate::histogram_family!); and
/// last the body: a block, a closure without arguments, or `async { … }`, which makes a future. A key in quotes is
/// always an attribute, whatever its name. A `return` or `?` in the body leaves the body.
///
/// The body fails when it evaluates to an `Err`, whose class comes from [`ErrorClass`](crate::ErrorClass) or else is
/// the name of its type; when it panics (`panic`); and when its future is dropped early (`cancelled`).
///
/// ```
/// use throughline::red;
///
/// fn rows(table: &str) -> Result<u32, std::num::ParseIntError> {
///     red!("db.query", table, {
///         let rows: u32 = "42".parse()?;
///         Ok(rows)
///     })
/// }
/// assert_eq!(rows("users"), Ok(42));
///
/// let request = red!("http.request", http.request.method = "GET", async { Ok::<u16, std::io::Error>(200) });
/// # drop(request);
/// ```
///
/// Where the type of the error follows only from what comes after the macro, the compiler takes it for one that
/// has an [`ErrorClass`](crate::ErrorClass); for another one write its type, as in
/// `red!("load", || -> Result<_, LoadError> { … })`.
///
/// Cost: two readings of the clock, two divisions, and what a histogram costs; attributes add the lookup in a family.
/// Sets of attributes beyond `capacity` are counted together, as `otel.metric.overflow`; a set takes the memory of a
/// histogram. While the program has no recorder, the body alone runs. On a 32-bit device a duration is exact below 2^32
/// ticks of its clock.
#[macro_export]
macro_rules! red {
    ($($input:tt)*) => { $crate::__private::__red_call!([$crate] [] $($input)*) };
}
