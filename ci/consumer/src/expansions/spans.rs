//! `span!` and `record!`.

use throughline::{Instrument, Level, Span, Status, record, span};

pub fn bare() {
    let _span = span!("bare");
}

pub fn trailing_comma() {
    let _span = span!("trailing", a = 1,);
    let _empty = span!("empty",);
}

pub fn options_in_any_order() {
    let _a = span!(level: Trace, "level");
    let _b = span!(kind: Server, "kind");
    let _c = span!(root: true, "root");
    let _d = span!(root: true, kind: Consumer, level: Error, "all", x = 1);
    let _e = span!(kind: SpanKind::Client, level: Level::DEBUG, "paths");
}

pub fn levels_as_tracing_writes_them() {
    let _a = span!(Level::WARN, "warn", x = 1);
    let _b = span!(throughline::Level::ERROR, "error");
    let _c = span!(::throughline::Level::Debug, "debug");
}

pub const NAME: &str = "named by a constant";

pub fn constant_name() {
    let _span = span!(NAME);
    let _fields = span!(NAME, x = 1);
}

pub fn nested() {
    let _outer = span!("outer");
    let inner = span!("inner", depth = 2);
    record!(inner, late = 3, text = "t",);
    record!(current, shard = 4);
}

pub fn statuses() {
    let mut ok = span!("ok");
    ok.set_status(Status::Ok);
    drop(ok);
    let mut failed = span!("failed");
    failed.fail("no room");
}

pub fn without_name_for_it() -> bool {
    span!("short").is_recorded() && span!(level: Warn, "short", x = 1).context().trace_context().is_some()
}

pub fn in_a_generic<T: Copy + Into<u64>, const N: usize>(value: [T; N]) {
    let _span = span!("generic", len = N, first = value[0].into());
}

pub fn given_away() -> Span {
    span!("given away", x = 1)
}

pub fn kept_in_a_closure() -> impl Fn(u32) {
    |n| {
        let span = span!("closure", n);
        record!(span, twice = 2 * n);
    }
}

pub async fn of_a_future(n: u32) -> u32 {
    async {
        record!(current, within = true);
        n + 1
    }
    .instrument(span!(level: Level::Info, "future", n))
    .await
}

pub fn in_a_match(n: u8) -> Level {
    let _span = match n {
        0 => Span::none(),
        1 => span!("one"),
        n => span!("many", n),
    };
    Level::INFO
}
