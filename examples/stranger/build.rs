//! Makes client and server of the service `shop.Warehouse`, without `protoc`: its messages are in `src/warehouse.rs`.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let reserve = Method::builder()
        .name("reserve")
        .route_name("Reserve")
        .input_type("crate::warehouse::Reservation")
        .output_type("crate::warehouse::Shelf")
        .codec_path("tonic_prost::ProstCodec")
        .build();
    let service = Service::builder().name("Warehouse").package("shop").method(reserve).build();
    Builder::new().compile(&[service]);
}
