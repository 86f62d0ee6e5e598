//! OTLP profiles: the rules of their tables, checked by a validator of ours, and what a real Collector makes of them.

use crate::servers::Server;
use crate::support::free_address;
use crate::{Folder, price};
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::profiles::v1development::ProfilesDictionary;
use prost::Message;
use std::collections::HashSet;
use std::time::Duration;
use throughline_std::profiling::{CpuOptions, CpuProfiler, Report};

/// Asserts that a table has the zero value first, and each entry once.
fn check_table<T: Default + PartialEq + std::fmt::Debug>(
    name: &str,
    table: &[T],
    bytes: impl Fn(&T) -> Vec<u8>,
) {
    assert_eq!(table.first(), Some(&T::default()), "{name} does not begin with the zero value");
    let different: HashSet<Vec<u8>> = table.iter().map(bytes).collect();
    assert_eq!(different.len(), table.len(), "{name} has an entry twice");
}

/// Asserts the rules of the specification's profiles.proto: no index out of range, index 0 for nothing, the tables in order, samples with
/// one value each and none twice, ids.
fn validate(request: &ExportProfilesServiceRequest) {
    let dictionary = request.dictionary.as_ref().expect("a dictionary");
    let ProfilesDictionary {
        mapping_table,
        location_table,
        function_table,
        link_table,
        string_table,
        attribute_table,
        stack_table,
    } = dictionary;
    check_table("mapping_table", mapping_table, Message::encode_to_vec);
    check_table("location_table", location_table, Message::encode_to_vec);
    check_table("function_table", function_table, Message::encode_to_vec);
    check_table("link_table", link_table, Message::encode_to_vec);
    check_table("string_table", string_table, |text| text.clone().into_bytes());
    check_table("attribute_table", attribute_table, Message::encode_to_vec);
    check_table("stack_table", stack_table, Message::encode_to_vec);
    let within = |index: i32, length: usize, what: &str| {
        assert!(usize::try_from(index).is_ok_and(|index| index < length), "{what} {index} of {length}");
    };
    let is_string = |index| within(index, string_table.len(), "string");
    let attributes = |indices: &[i32]| {
        let mut keys = HashSet::new();
        for &index in indices {
            within(index, attribute_table.len(), "attribute");
            assert!(
                index != 0 && keys.insert(attribute_table[index as usize].key_strindex),
                "attribute {index}"
            );
        }
    };
    for attribute in &attribute_table[1..] {
        is_string(attribute.key_strindex);
        is_string(attribute.unit_strindex);
        assert!(attribute.key_strindex != 0 && attribute.value.as_ref().is_some_and(|it| it.value.is_some()));
    }
    for mapping in mapping_table {
        is_string(mapping.filename_strindex);
        attributes(&mapping.attribute_indices);
        assert!(mapping.memory_start <= mapping.memory_limit);
    }
    for function in function_table {
        let names = [function.name_strindex, function.system_name_strindex, function.filename_strindex];
        names.into_iter().for_each(is_string);
    }
    for location in location_table {
        within(location.mapping_index, mapping_table.len(), "mapping");
        attributes(&location.attribute_indices);
        location.lines.iter().for_each(|line| within(line.function_index, function_table.len(), "function"));
    }
    for stack in stack_table {
        stack.location_indices.iter().for_each(|&index| within(index, location_table.len(), "location"));
    }
    for link in &link_table[1..] {
        assert_eq!((link.trace_id.len(), link.span_id.len()), (16, 8));
    }
    let scopes = request.resource_profiles.iter().flat_map(|it| &it.scope_profiles);
    let mut ids = HashSet::new();
    for profile in scopes.flat_map(|it| &it.profiles) {
        assert!(
            profile.profile_id.len() == 16 && ids.insert(&profile.profile_id),
            "{:?}",
            profile.profile_id
        );
        assert_ne!(profile.profile_id, [0; 16]);
        attributes(&profile.attribute_indices);
        for kind in [&profile.sample_type, &profile.period_type].into_iter().flatten() {
            is_string(kind.type_strindex);
            is_string(kind.unit_strindex);
        }
        assert!(profile.sample_type.is_some() && profile.time_unix_nano > 0 && profile.duration_nano > 0);
        let mut places = HashSet::new();
        for sample in &profile.samples {
            within(sample.stack_index, stack_table.len(), "stack");
            within(sample.link_index, link_table.len(), "link");
            attributes(&sample.attribute_indices);
            let mut all = sample.attribute_indices.clone();
            all.sort_unstable();
            assert!(places.insert((sample.stack_index, sample.link_index, all)), "a sample is there twice");
            assert!(sample.values.len() == 1 && sample.values[0] > 0, "{:?}", sample.values);
        }
    }
}

/// A profile with a span, and the hexadecimal digits of its trace.
fn profile() -> (Report, String) {
    let profiler = CpuProfiler::start(CpuOptions::default().frequency(499)).unwrap();
    let trace = throughline_std::profile!("checkout", {
        price(Duration::from_millis(500));
        throughline::current().unwrap().trace_id.to_string()
    });
    let mut profile = profiler.stop();
    profile.label_spans(|_, _| vec![("agent_name".into(), "planner".into())]);
    (profile.symbolize(), trace)
}

fn resource() -> Vec<(String, String)> {
    vec![("service.name".into(), "shop".into())]
}

#[test]
fn the_tables_keep_the_rules_and_samples_link_to_their_spans() {
    let name = "otlp::the_tables_keep_the_rules_and_samples_link_to_their_spans";
    crate::support::in_own_process(name, || {
        let config = throughline_std::Config::new("shop").without_otlp().terminal(false);
        let _guard = throughline_std::init(&config).unwrap();
        let (report, trace) = profile();
        let request = ExportProfilesServiceRequest::decode(&*report.otlp(&resource())).unwrap();
        validate(&request);
        let dictionary = request.dictionary.unwrap();
        let profiles = &request.resource_profiles[0].scope_profiles[0].profiles;
        let kinds: Vec<_> = profiles
            .iter()
            .map(|it| &*dictionary.string_table[it.sample_type.unwrap().type_strindex as usize])
            .collect();
        assert_eq!(kinds, ["samples", "cpu"]);
        let of_trace = |sample: &&opentelemetry_proto::tonic::profiles::v1development::Sample| {
            let link = &dictionary.link_table[sample.link_index as usize];
            link.trace_id.iter().map(|byte| format!("{byte:02x}")).collect::<String>() == trace
        };
        let count: i64 = profiles[0].samples.iter().filter(of_trace).map(|sample| sample.values[0]).sum();
        let all: i64 = profiles[0].samples.iter().map(|sample| sample.values[0]).sum();
        assert_eq!((all as u64, count > 5), (report.samples(), true), "{count} of {all}");
        assert!(dictionary.string_table.iter().any(|text| text.contains("profiling::price")));
    });
}

#[test]
#[ignore = "needs a Collector: run `cargo xtask test --only collector`"]
fn a_real_collector_takes_the_profiles_over_http() {
    let name = "otlp::a_real_collector_takes_the_profiles_over_http";
    a_real_collector_takes_the_profiles(name, "http", "http/protobuf");
}

#[cfg(feature = "grpc")]
#[test]
#[ignore = "needs a Collector: run `cargo xtask test --only collector`"]
fn a_real_collector_takes_the_profiles_over_grpc() {
    let name = "otlp::a_real_collector_takes_the_profiles_over_grpc";
    a_real_collector_takes_the_profiles(name, "grpc", "grpc");
}

/// Sends a profile as the keys say, with this protocol, and reads what the Collector writes about it.
fn a_real_collector_takes_the_profiles(name: &str, receiver: &str, protocol: &str) {
    crate::support::in_own_process(name, || {
        let folder = Folder::new(&format!("otlp-profiles-{receiver}"));
        let (output, address) = (folder.0.join("profiles.json"), free_address());
        let collector =
            Server::profile_collector(&format!("otlp-{receiver}-collector"), receiver, address, &output);
        let file = folder.0.join("shop.toml");
        let keys = format!(
            "service.name = \"shop\"\n\
            [profiling]\nenabled = true\ncpu.frequency = 499\n\
            exporter = {{ type = \"otlp\", endpoint = \"http://{address}\", protocol = {protocol:?}, file_output_dir = {:?} }}\n",
            folder.0.join("profiles")
        );
        std::fs::write(&file, keys).unwrap();
        let config = throughline_std::Config::load(&file).unwrap().without_otlp().terminal(false);
        let guard = throughline_std::init(&config).unwrap();
        let trace = throughline_std::profile!("checkout", {
            price(Duration::from_millis(200));
            throughline::current().unwrap().trace_id.to_string()
        });
        let ledger = guard.shutdown(Duration::from_secs(60)).ledger;
        let hop = ledger.exporter("profiles.otlp");
        assert_eq!((hop.input, hop.output), (1, 1), "{ledger}");
        let written = || std::fs::read_to_string(&output).unwrap_or_default();
        crate::support::until("the Collector writes", || written().contains('\n'));
        drop(collector);
        let text = written();
        let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        let dictionary = &line["dictionary"];
        let links = dictionary["linkTable"].as_array().unwrap();
        assert!(links.iter().any(|link| link["traceId"] == trace.as_str()), "{trace} in {text}");
        assert!(text.contains("profiling::price") && text.contains("shop"), "{text}");
    });
}
