//! Mistakes in metrics. Each message says what to write instead.

use throughline::{counter, counter_family, gauge, histogram, histogram_family, up_down_counter};

fn main() {
    let route = "/login";
    let name = "requests";
    counter!(name).add(1);
    counter!("").add(1);
    counter!("requests", route = route).add(1);
    counter!("requests", "http.route" = route).add(1);
    counter!("requests", scale = 3).add(1);
    counter!("requests", fraction_bits = 3).add(1);
    counter!("requests", unit = route).add(1);
    counter!("requests", unit = "1", unit = "1").add(1);
    counter!("requests", capacity = 3).add(1);
    counter!("requests", labels = ["route"]).add(["/"], 1);
    counter!("requests", labels = ["route"], capacity = 3).add(["/"], 1);
    counter!("requests", route).add(1);
    counter!("requests", route = "/", zone = "1", route = "/x").add(1);
    counter!("requests").add(0.5);
    counter!("requests").add(-1_i64);
    gauge!("depth", scale = 3).set(1);
    up_down_counter!("open").add(0.5);
    histogram!("size", scale = 9).record(1);
    histogram!("size").record("large");
    histogram!("size", fraction_bits = 2).record(1);
    counter_family!("requests").add(["/"], 1);
    counter_family!("requests", labels = ["route"]).add(["/"], 1);
    counter_family!("requests", labels = ["route"], capacity = 0).add(["/"], 1);
    counter_family!("requests", labels = ["route", "route"], capacity = 4).add(["/", "/"], 1);
    counter_family!("requests", labels = ["route"], capacity = 4).add(["/", "200"], 1);
    histogram_family!("size", labels = ["route", "status"], capacity = 4).record(["/"], 1);
    counter_family!("requests", labels = ["route"], capacity = 4, scale = 2).add(["/"], 1);
    histogram_family!("size", labels = ["route"], capacity = 4, zone = "1").record(["/"], 1);
}
