//! What `span!`, `record!` and `event!` record.

use consumer::expansions::{events, features, fields, hygiene, spans};

use crate::harness::{recorded, run};

#[test]
fn spans_have_their_options_and_fields() {
    let lines = recorded(|| {
        spans::bare();
        spans::trailing_comma();
        spans::options_in_any_order();
        spans::levels_as_tracing_writes_them();
        spans::constant_name();
    });
    let expected = [
        "span bare",
        "span empty in trailing",
        "span trailing a=1",
        "span paths DEBUG Client in all",
        "span all ERROR Consumer x=1",
        "span root",
        "span kind Server in level",
        "span level TRACE",
        "span debug DEBUG in error",
        "span error ERROR in warn",
        "span warn WARN x=1",
        "span named by a constant x=1 in named by a constant",
        "span named by a constant",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn fields_and_status_reach_the_span_they_are_given_to() {
    let lines = recorded(|| {
        spans::nested();
        spans::statuses();
        spans::kept_in_a_closure()(3);
    });
    let expected = [
        "fields late=3 text=\"t\" in inner",
        "fields shard=4 in inner",
        "span inner depth=2 in outer",
        "span outer",
        "span ok Ok",
        "fields error.message=\"no room\" in failed",
        "span failed Error",
        "fields twice=6u in closure",
        "span closure n=3u",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn spans_are_values() {
    let lines = recorded(|| {
        assert!(spans::without_name_for_it());
        spans::in_a_generic([5_u32]);
        drop(spans::given_away());
        run(spans::of_a_future(3));
        spans::in_a_match(0);
        spans::in_a_match(2);
    });
    let expected = [
        "span short",
        "span short WARN x=1",
        "span generic len=1u first=5u",
        "span given away x=1",
        "fields within=true in future",
        "span future n=3u",
        "span many n=2u",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn events_have_their_level() {
    let lines = recorded(|| {
        events::every_level();
        events::levels_as_tracing_writes_them();
    });
    let expected = [
        "event \"trace\" TRACE",
        "event \"debug\" DEBUG",
        "event \"info\"",
        "event \"warn\" WARN",
        "event \"error\" ERROR",
        "event \"event\" WARN",
        "event \"a\" TRACE",
        "event \"b\" DEBUG x=1",
        "event \"c\"",
        "event \"d\" WARN x=1",
        "event \"e\" ERROR",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn messages_are_kept_as_they_are_and_fields_beside_them() {
    let lines = recorded(|| {
        events::placeholders();
        events::fields_before_the_message();
        events::Pump { id: 1, state: Some(2) }.of_self();
        events::without_a_message();
    });
    let expected = [
        "event \"{n} and {celsius}\" n=7 celsius=21.5f32",
        "event \"{n} and {celsius:.1}\" n=7 celsius=21.5f32",
        "event \"{{}} {arg0}\" arg0=8",
        "event \"{http.status}\" http.status=200",
        "event \"{arg0}\" arg0=\"text\"",
        "event \"{arg0}\" arg0=-1",
        "event \"{0}\" 0=1",
        "event \"ident\" a=1",
        "event \"dotted\" a.b=1 a.c=\"1\" a.d=\"[2]\"",
        "event \"literal\" any key=1 another=\"1\" third=\"[2]\"",
        "event \"short\" x=1 y=\"[2]\"",
        "event \"both {b} {b}\" a=1 b=2",
        "event \"trailing\" a=2",
        "event \"own {self.id}\" self.id=1u self.state=\"Some(2)\"",
        "event \"own\" self.id=1u self.state=\"Some(2)\"",
        "event \"own\" id=1u",
        "event \"\" a=1",
        "event \"\" x=1",
        "event \"\" a=1 b.c=\"1\" x=1",
        "event \"\" ERROR key=1",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn events_stand_wherever_an_expression_may() {
    let lines = recorded(|| {
        events::in_expressions(Ok(1));
        events::in_expressions(Err(2));
        events::in_a_loop();
        events::in_a_generic(&Some(1));
    });
    let expected = [
        "event \"ok\" n=1u",
        "event \"closure\" DEBUG n=3u",
        "event \"tail\" TRACE",
        "event \"err\" ERROR e=2u",
        "event \"closure\" DEBUG n=3u",
        "event \"round {i}\" i=0u",
        "event \"round {i}\" i=1u",
        "event \"round {i}\" i=2u",
        "event \"generic\" value=\"Some(1)\" size=8u",
    ];
    assert_eq!(lines, expected);
}

/// `a=1 b=2 …`, `count` of them.
fn numbered(count: usize) -> String {
    ('a'..).zip(1..=count).map(|(name, n)| format!(" {name}={n}")).collect()
}

#[test]
fn there_may_be_any_number_of_fields_up_to_fifteen() {
    let expected: Vec<String> = (0..=15).map(|n| format!("event \"{n}\"{}", numbered(n))).collect();
    assert_eq!(recorded(fields::every_count), expected);
    let fifteen = numbered(15);
    let expected = [
        format!("event \"15\"{fifteen}"),
        format!("fields{fifteen} in 15"),
        format!("fields{fifteen} in 15"),
        "span 15".into(),
    ];
    assert_eq!(recorded(fields::most_everywhere), expected);
}

#[test]
fn values_keep_their_type() {
    let expected = [
        "event \"bool\" a=true b=false",
        "event \"unsigned\" a=1u b=2u c=3u d=18446744073709551615u e=5u",
        "event \"signed\" a=-1 b=-2 c=-3 d=-9223372036854775808 e=-5",
        "event \"float\" a=0.5f32 b=-0.25f64",
        "event \"text\" a=\"text\" b=\"static\" c=\"unsized\" d=\"\"",
        "event \"bytes\" a=[1, 2, 3] b=[4, 5] c=[115, 105, 120]",
        "event \"mutable\" n=3",
        "event \"borrowed\" a=1 b=\"twice\" c=4",
        "event \"formatted\" a=\"shown\" b=\"\\\"quoted\\\"\" c=\"Some(1)\" d=\"1-2\"",
    ];
    assert_eq!(recorded(fields::every_type), expected);
}

#[test]
fn fields_are_called_what_the_user_calls_them() {
    let lines = recorded(|| {
        fields::every_name();
        fields::expressions();
        fields::of_any_type(&1, 2);
    });
    let expected = [
        "event \"names\" type=3",
        "event \"names\" match=1 error.type=2 a.b.c.d=3 with space=4 =5",
        "event \"names\" value=4",
        "event \"names\" value=\"4\"",
        "event \"names\" value=\"4\"",
        "event \"names\" value=4 v.x=\"4\" v.y=\"4\"",
        "event \"names {arg0} {arg1}\" arg0=2 arg1=5",
        "event \"names\" pair.0=5 pair.1.x=6u",
        "fields sum=6u is=true in expr",
        "event \"expr\" block=2u cond=4 cast=1u in expr",
        "event \"closure\" a=6 b=0u in expr",
        "span expr len=3u last=3u",
        "event \"any\" value=\"1\" other=\"2\"",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn the_users_names_are_the_users() {
    let lines = recorded(|| {
        hygiene::variables();
        hygiene::constants();
        assert_eq!(hygiene::attribute(1, 2, 3), Ok(6));
        assert_eq!(run(hygiene::attribute_async(200, 100)), Err(()));
    });
    let expected = [
        "fields callsite=1 values=2 recorder=3 in variables",
        "event \"variables\" callsite=1 values=2 result=4 entry=5 level=6 current=7 in variables",
        "event \"{callsite}\" callsite=1 in variables",
        "span variables callsite=1 values=2",
        "span callsite capacity=2u in blob",
        "span blob in meta",
        "span meta",
        "fields return=\"6\" in attribute",
        "span attribute throughline_span=1u throughline_output=2u throughline_result=3u",
        "fields error.message=\"()\" in attribute_async",
        "span attribute_async current=200u throughline_span=100u Error",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn features_add_what_they_say() {
    assert_eq!(recorded(features::always), ["event \"here\" traced=false"]);
    assert_eq!(
        recorded(features::with_alloc),
        ["fields text=\"owned\" empty=\"\" in owned_argument", "span owned_argument"]
    );
    #[cfg(feature = "std")]
    assert_eq!(recorded(features::with_std), ["event \"owned\" owned=\"owned\" borrowed=\"owned\""]);
    #[cfg(feature = "postcard")]
    assert_eq!(
        recorded(features::with_postcard),
        ["event \"reading\" reading=Postcard { bytes: [3, 1, 120], truncated: false } \
          borrowed=Postcard { bytes: [1, 2], truncated: false }"]
    );
    #[cfg(feature = "tracing-core")]
    features::with_tracing_core();
    #[cfg(feature = "serde")]
    features::with_serde();
    #[cfg(feature = "defmt")]
    features::with_defmt();
    #[cfg(feature = "embassy-time")]
    assert!(features::EMBASSY.hz() > 0);
    assert_eq!(features::CLOCK.hz(), 1_000_000_000);
}
