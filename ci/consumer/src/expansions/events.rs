//! `event!` and its five levels.

use throughline::{debug, error, event, info, trace, warn};

pub fn every_level() {
    trace!("trace");
    debug!("debug");
    info!("info");
    warn!("warn");
    error!("error");
    event!(Warn, "event");
}

pub fn levels_as_tracing_writes_them() {
    event!(Level::TRACE, "a");
    event!(Level::Debug, "b", x = 1);
    event!(throughline::Level::INFO, "c");
    event!(::throughline::Level::WARN, x = 1, "d");
    event!(ERROR, "e");
}

pub fn placeholders() {
    let (n, celsius) = (7, 21.5_f32);
    info!("{} and {}", n, celsius);
    info!("{n} and {celsius:.1}", n, celsius);
    info!("{{}} {}", n + 1);
    info!("{http.status}", http.status = 200);
    info!("{}", "text");
    info!("{}", -1);
    info!("{0}", "0" = 1);
}

pub fn fields_before_the_message() {
    let (x, y) = (1, [2]);
    info!(a = 1, "ident");
    info!(a.b = 1, a.c = %x, a.d = ?y, "dotted");
    info!("any key" = 1, "another" = %x, "third" = ?y, "literal");
    info!(x, ?y, "short");
    info!(a = 1, "both {b} {}", b = 2);
    info!(a = x + 1, "trailing",);
}

pub struct Pump {
    pub id: u8,
    pub state: Option<u8>,
}

impl Pump {
    pub fn of_self(&self) {
        info!("own {self.id}", self.id, ?self.state);
        info!(self.id, ?self.state, "own");
        info!(id = self.id, "own");
    }
}

pub fn without_a_message() {
    let x = 1;
    info!(a = 1);
    info!(x);
    info!(a = 1, b.c = %x, x,);
    event!(Error, "key" = x);
}

pub fn in_expressions(n: Result<u8, u8>) {
    match n {
        Ok(n) => info!("ok", n),
        Err(e) => error!("err", e),
    }
    let log = |n: u8| debug!("closure", n);
    log(3);
    if n.is_ok() {
        trace!("tail");
    }
}

pub fn in_a_loop() {
    for i in 0..3_u8 {
        info!("round {i}", i);
    }
}

pub fn in_a_generic<T: core::fmt::Debug>(value: &T) {
    info!("generic", ?value, size = size_of::<T>());
}
