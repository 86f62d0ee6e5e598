//! `#[instrument]` and `#[traced]`, with every argument and on every kind of function.

use core::fmt::{self, Debug, Display};
use core::future::Future;
use throughline::{instrument, traced};

/// An error with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure(pub &'static str);

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[instrument]
pub fn plain() {}

#[traced]
pub fn alias(n: u8) -> u8 {
    n
}

#[throughline::instrument()]
pub fn by_path() {}

#[instrument(name = "renamed")]
pub fn name() {}

#[instrument("renamed")]
pub fn bare_name() {}

#[instrument(name = super::spans::NAME)]
pub fn constant_name() {}

pub fn every_level() {
    #[instrument(level = "trace")]
    fn trace() {}
    #[instrument(level = Debug)]
    fn debug() {}
    #[instrument(level = Level::INFO)]
    fn info() {}
    #[instrument(level = throughline::Level::Warn)]
    fn warn() {}
    #[instrument(level = "ERROR")]
    fn error() {}
    trace();
    debug();
    info();
    warn();
    error();
}

#[instrument(kind = Server, root)]
pub fn kind_and_root() {}

#[instrument(kind = "client")]
pub fn kind_as_text() {}

#[instrument]
pub fn scalars(a: bool, b: u8, c: i64, d: f32, e: &str, f: &mut u32, g: &&usize) {
    *f += 1;
}

#[instrument]
pub fn not_scalars(a: u128, b: char, c: &[u8], d: Option<u8>, _e: u8, f: impl Debug) {
    _ = (a, b, c, d, f);
}

#[instrument(skip(b), fields(c = ?c, sum = a + b, "any key" = %b, d.len = d.len(), d.0 = d[0]))]
pub fn skip_and_fields(a: u8, b: u8, c: Option<u8>, d: [u8; 3]) {}

#[instrument(skip_all, fields(%b,),)]
pub fn skip_all(a: u8, b: u8) {
    _ = a;
}

#[instrument]
#[allow(clippy::needless_pass_by_value)]
pub fn patterns(
    mut a: u8,
    (b, _): (u8, u8),
    &c: &u8,
    [d, ..]: [u8; 4],
    Failure(e): Failure,
    r#type: u8,
) -> u8 {
    a += b + c + d;
    a + r#type + u8::from(e.is_empty())
}

#[instrument]
pub fn cfg_of_an_argument(a: u8, #[cfg(any())] b: u8) -> u8 {
    a
}

#[instrument(err)]
pub fn err(fail: bool) -> Result<u8, Failure> {
    inner(fail)?;
    if fail { Err(Failure("late")) } else { Ok(1) }
}

fn inner(fail: bool) -> Result<(), Failure> {
    if fail { Err(Failure("early")) } else { Ok(()) }
}

#[instrument(err(Debug))]
pub fn err_debug() -> Result<(), Failure> {
    Err(Failure("debug"))
}

#[instrument(ret)]
pub fn ret() -> Option<u8> {
    Some(3)
}

#[instrument(ret(Display))]
pub fn ret_display() -> &'static str {
    "shown"
}

#[instrument(err, ret)]
pub fn err_and_ret(fail: bool) -> Result<u8, Failure> {
    if fail { Err(Failure("both")) } else { Ok(5) }
}

#[instrument(crate = throughline)]
pub fn crate_path() {}

/// A crate that re-exports another.
pub mod reexport {
    pub use throughline as renamed;
}

#[instrument(crate = crate::expansions::functions::reexport::renamed, err, ret)]
pub async fn reexported(n: u8) -> Result<u8, Failure> {
    Ok(n)
}

/// A receiver of methods.
#[derive(Debug)]
pub struct Pump {
    pub id: u8,
}

impl Pump {
    #[instrument(skip(self), fields(self.id))]
    pub fn by_reference(&self) -> u8 {
        self.id
    }

    #[instrument(err)]
    pub fn borrowed_result(&mut self) -> Result<&mut u8, Failure> {
        Ok(&mut self.id)
    }

    #[instrument(ret)]
    pub fn by_value(self) -> Self {
        self
    }

    #[instrument(fields(?self))]
    pub async fn in_future(&mut self, n: u8) -> &mut u8 {
        self.id += n;
        &mut self.id
    }
}

/// A trait with instrumented methods, one of them provided.
pub trait Run {
    #[instrument]
    fn provided(&self, n: u8) -> u8 {
        n
    }
    fn required(&self) -> impl Future<Output = Result<u8, Failure>>;
}

impl Run for Pump {
    #[instrument(err)]
    async fn required(&self) -> Result<u8, Failure> {
        Err(Failure("required"))
    }
}

#[instrument(skip(value), fields(%value))]
pub fn generic<T: Display, const N: usize>(value: T, n: u8) -> [u8; N]
where
    [T; N]: Sized,
{
    [n; N]
}

#[instrument(err)]
pub fn lifetimes<'a, 'b: 'a>(a: &'a str, b: &'b str) -> Result<&'a str, Failure> {
    if a.is_empty() { Ok(b) } else { Ok(a) }
}

#[instrument(err)]
pub fn impl_trait(n: u8) -> Result<impl Iterator<Item = u8>, Failure> {
    inner(false)?;
    Ok(0..n)
}

#[instrument]
pub fn impl_trait_borrowed(values: &[u8]) -> impl Iterator<Item = u8> + use<'_> {
    values.iter().copied()
}

#[instrument]
pub extern "C" fn foreign(n: u8) -> u8 {
    n
}

#[instrument]
pub fn diverges(stop: bool) -> ! {
    loop {
        assert!(!stop, "stopped");
    }
}

#[instrument]
pub fn inner_attributes() {
    #![allow(unused_variables)]
    let unused = 1;
}

#[instrument(ret)]
pub fn early_return(n: u8) -> u8 {
    if n > 1 {
        return n;
    }
    0
}

#[instrument]
pub async fn future(a: u8, b: &str) {
    core::future::ready(()).await;
    assert!(b.len() > usize::from(a));
}

#[instrument(err, ret, level = "debug", fields(twice = 2 * a))]
pub async fn future_result(a: u8) -> Result<u8, Failure> {
    core::future::ready(Ok::<_, Failure>(())).await?;
    if a == 0 { Err(Failure("zero")) } else { Ok(a) }
}

#[instrument(ret)]
pub async fn future_of_trait_object(n: &u8) -> &dyn Debug {
    n
}

#[instrument]
pub async fn future_of_impl(n: u8) -> impl Iterator<Item = u8> {
    0..n
}

#[instrument]
pub async fn future_of_generic<T: Send>(value: T, mut n: u8) -> (T, u8) {
    n += 1;
    core::future::ready(()).await;
    (value, n)
}

#[instrument]
pub fn made_future(n: u8) -> impl Future<Output = u8> {
    async move { n }
}

#[instrument(metrics)]
pub fn measured(n: u8) -> Result<u8, Failure> {
    if n > 0 { Ok(n) } else { Err(Failure("zero")) }
}

#[instrument(skip_all, err, metrics(name = "measured.by", shop, n = n, "name" = ?n, capacity = 2, scale = 1, description = "d"))]
pub async fn measured_by(shop: &str, n: u8) -> Result<u8, Failure> {
    measured(n)
}

#[instrument(skip_all, metrics(shop = %shop))]
pub fn measured_future(shop: &str) -> impl Future<Output = ()> {
    let _ = shop;
    async {}
}

pub fn measured_code(shop: &str) -> Result<u8, Failure> {
    let piece = throughline::red!("measured.piece", shop, || -> Result<u8, Failure> { Ok(measured(1)? + 1) });
    throughline::red!("measured.closure", http.route = "/", capacity = 2, || piece)?;
    let _future = throughline::red!("measured.future", scale = 0, async move { piece });
    piece
}

pub fn observed(shop: &str) -> Result<u8, Failure> {
    use throughline::observe;
    let n = 3;
    observe!("observed");
    observe!(level: Debug, target: "t", "observed", shop, %n, a.b = ?shop, #[counter] calls = 1_u8);
    observe!(
        "observed",
        shop,
        #[histogram(name = "h", unit = "ms", scale = 1, by(shop))]
        took = 3
    );
    observe!(
        "observed",
        shop,
        #[histogram(f64, by(shop), capacity = 2)]
        joules = 0.5
    );
    observe!(
        "observed",
        #[counter(f64)]
        watts = 0.5
    );
    let _future = observe!(root: true, "observed.future", #[gauge] depth = 3, async move { shop.len() });
    let _future = observe!(
        "observed.future",
        #[metrics]
        async {
            1
        }
    );
    let n = observe!(kind: Client, "observed.body", #[up_down_counter] open = -1, { measured(1)? });
    observe!(
        "observed.measured",
        #[metrics(shop)]
        {
            measured(n)
        }
    )
}
