//! Invalid calls of `observe!`.

use throughline::observe;

fn main() {
    observe!(burst_id = 42);
    observe!("burst {id}", id = 42);
    observe!("burst", #[sum] fired = 1);
    observe!("burst", #[counter(units = "1")] fired = 1);
    observe!("burst", #[counter(by(route))] fired = 1);
    observe!("burst", #[counter(capacity = 3)] fired = 1);
    observe!("burst", #[up_down_counter(f64)] fired = 1.5);
    observe!("burst", #[counter] fired = ?1);
    observe!("burst", #[metrics] fired = 1);
    observe!("burst", {}, fired = 1);
    observe!(kind: Client, "burst", fired = 1);
    observe!("burst", #[counter] fired = -1.5);
}
