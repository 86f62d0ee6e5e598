//! Every line of the tables in `core/docs/coming-from.md`: the code below compiles, and holds each piece of code that the page shows as ours, or as theirs
//! where it says that ours is the same. A line that is added there and not here fails.

#![allow(
    unused,
    dead_code,
    clippy::pedantic,
    clippy::needless_borrows_for_generic_args,
    reason = "that it compiles is the test"
)]

use std::pin::Pin;
use std::time::Duration;
use throughline::{
    Clock, Context, Instrument, Level, Recorder, Slots, Span, StaticStr, Status, TraceContext, counter,
    counter_family, debug, enabled, error, event, field, gauge, histogram, histogram_family, info, info_span,
    instrument, record, set_min_level, span, summary,
};
use throughline_std::{Config, observe};

trait Stream {
    type Item;
    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>>;
    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, None)
    }
}

struct Ids;

impl Stream for Ids {
    type Item = u32;
    fn poll_next(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Option<u32>> {
        std::task::Poll::Ready(None)
    }
}

mod tracing {
    use super::*;

    fn events(ms: u32, x: Option<u8>, y: &str, user: &str, span: Span) {
        info!("took {ms} ms");
        debug!(?x, %y, ms, "all of it");
        event!(Level::WARN, user, "slow");
        info!(target: "db", parent: &span, name: "query", "done");
        assert!(!enabled!(Level::DEBUG) || enabled!(Debug));
    }

    fn spans(span: Span, cause: Span) {
        drop(info_span!("job", id = 7));
        drop(span!(Level::DEBUG, "job"));
        let _guard = span.enter();
        span.in_scope(|| info!("within"));
        span.follows_from(&cause);
        span.follows_from(Span::current());
        let _: bool = !span.is_recorded();
        let _: Option<TraceContext> = span.context().trace_context();
        drop(Span::none());
        span.entered();
    }

    fn fields(span: Span, x: u8) {
        span.record("rows", 42);
        Span::current().record("rows", &42);
        record!(span, rows = 42);
        record!(current, rows = 42);
        drop(span!("declared", a = field::Empty, b = field::display(&x), c = field::debug(&x)));
    }

    fn polled<F: Future<Output = ()> + Send + 'static, S: Stream>(
        future: F,
        other: F,
        stream: S,
        span: Span,
    ) {
        drop(future.in_current_span());
        let future = other;
        drop(future.instrument(span));
        let span = Span::current();
        drop(stream.instrument(span));
    }

    #[instrument(follows_from = causes)]
    fn caused(causes: &[Context]) {}

    #[instrument(skip_all, fields(rows, n = 1), err, ret, level = "debug", parent = &span)]
    fn everything(span: &Span, n: u8) -> Result<u8, String> {
        Ok(n)
    }

    #[derive(Debug)]
    struct Shop;

    impl Shop {
        #[instrument(fields(?self))]
        fn of_self(&self) {}
    }

    #[instrument]
    async fn load() {}

    #[instrument]
    fn ids() -> impl Stream<Item = u32> {
        Ids
    }

    fn init() -> Result<(), Box<dyn std::error::Error>> {
        let _guard = throughline_std::init(&Config::new("shop"))?;
        Ok(())
    }
}

mod log {
    use super::*;

    fn all(done: u32, all: u32) {
        info!("{} of {}", done, all);
        error!(target: "db", "gone");
        assert!(enabled!(Debug) || !enabled!(Level::Debug));
        set_min_level(Some(Level::Warn));
    }
}

mod metrics {
    use super::*;

    fn all(user: &str, elapsed: Duration) {
        counter!("orders", "channel" => "web").increment(1);
        counter_family!("orders", labels = ["user"], capacity = 32).add([user], 1);
        observe::counter("orders").with(|| 7).keep();
        gauge!("open").increment(1);
        gauge!("open").decrement(1);
        gauge!("open").set(7);
        gauge!("load" as f64).set(0.5);
        histogram!("duration").record(elapsed);
        histogram!("duration", unit = "ms").record(elapsed);
        counter!("orders", unit = "{order}", description = "Orders taken").add(1);
    }
}

mod prometheus {
    use super::*;

    fn all() {
        counter!("orders", description = "help").add(1);
        counter_family!("requests", labels = ["route", "status"], capacity = 32).add(["/", "200"], 1);
        let _guard = gauge!("open").in_flight();
        gauge!("open").add(1);
        gauge!("open").sub(1);
        histogram!("duration", scale = 3).record(1);
        histogram_family!("query", labels = ["table"], capacity = 8, unit = "us").record(["users"], 320);
        summary!("job.duration").record(1);
    }
}

mod defmt {
    use super::*;

    static SLOTS: Slots<16> = Slots::new();

    fn now() -> usize {
        0
    }

    fn all(raw: u16) -> Recorder {
        info!("adc {raw}");
        info!("{:#x} {:02x} {} {:?}", raw, raw, 0.5_f32, StaticStr("text"));
        Recorder::new(&SLOTS, Clock::new(1_000_000, now))
    }
}

mod opentelemetry {
    use super::*;

    fn spans(key: &str, error: &dyn std::error::Error, context: TraceContext) {
        let mut span = span!(kind: Server, "GET /");
        record!(span, http.route = "/");
        span.record(key, "/");
        span.fail(&error);
        span.set_status(Status::Error);
        span.set_name("GET /users");
        span.link(context);
    }

    #[instrument(err)]
    fn failing() -> Result<(), String> {
        Ok(())
    }

    fn others(header: &str, user: &str) {
        info!(name: "user.login", "{user} came in");
        let _remote = TraceContext::parse(header).map(throughline::attach);
        let _header = throughline::current().map(|here| here.traceparent());
        counter!("orders", unit = "{order}").add(1);
        let _observer = observe::gauge("depth").with(|| Some(7));
        let _guard = throughline_std::init(&Config::new("shop"));
    }
}

/// Code without white space, which the formatter may put elsewhere, and without what it adds where it breaks a list.
fn squeezed(code: &str) -> String {
    code.split_whitespace().collect::<String>().replace(",)", ")").replace(",]", "]")
}

/// The pieces of code in a cell of a table.
fn code(cell: &str) -> Vec<String> {
    let all = cell.split('`').skip(1).step_by(2);
    // Single words name a type, a crate or a feature.
    let is_word = |text: &str| text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '&'));
    all.filter(|text| !is_word(text)).map(|text| text.replace("\\|", "|")).collect()
}

#[test]
fn every_line_of_the_tables_is_among_the_code_above() {
    let ours = include_str!("coming_from.rs").lines().filter(|line| !line.trim_start().starts_with("//"));
    let ours =
        squeezed(&ours.take_while(|line| !line.starts_with("fn squeezed")).collect::<Vec<_>>().join("\n"));
    let page = include_str!("../../core/docs/coming-from.md");
    let mut missing = Vec::new();
    let mut lines = 0;
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = row.replace("\\|", "\u{0}").split('|').map(|c| c.replace('\u{0}', "|")).collect();
        let [_, theirs, own, _] = &cells[..] else { panic!("two cells: {row}") };
        if own.trim() == "ours" {
            continue;
        }
        lines += 1;
        let mut wanted = code(own);
        if own.trim().starts_with("the same") {
            wanted.extend(code(theirs));
        }
        assert!(own.trim().starts_with("the same") || !wanted.is_empty(), "no code of ours: {row}");
        missing.extend(wanted.into_iter().filter(|code| !ours.contains(&squeezed(code))));
    }
    assert!(lines > 40, "the tables are there");
    assert!(missing.is_empty(), "on the page, but not compiled here: {missing:#?}");
}
