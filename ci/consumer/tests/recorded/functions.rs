//! What `#[instrument]` records for functions that are not futures.

use consumer::expansions::functions::{self, Failure, Pump, Run as _};

use crate::harness::recorded;

#[test]
fn names_levels_and_kinds_are_as_asked() {
    let lines = recorded(|| {
        functions::plain();
        functions::alias(1);
        functions::by_path();
        functions::name();
        functions::bare_name();
        functions::constant_name();
        functions::every_level();
        functions::kind_as_text();
        functions::crate_path();
    });
    let expected = [
        "span plain",
        "span alias n=1u",
        "span by_path",
        "span renamed",
        "span renamed",
        "span named by a constant",
        "span trace TRACE",
        "span debug DEBUG",
        "span info",
        "span warn WARN",
        "span error ERROR",
        "span kind_as_text Client",
        "span crate_path",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_root_is_in_no_span() {
    let lines = recorded(|| {
        let _outer = throughline::span!("outer");
        functions::kind_and_root();
        functions::plain();
    });
    assert_eq!(lines, ["span kind_and_root Server", "span plain in outer", "span outer"]);
}

#[test]
fn arguments_are_recorded_as_they_are_or_by_their_debug() {
    let lines = recorded(|| {
        let mut f = 6;
        functions::scalars(true, 1, -2, 0.5, "e", &mut f, &&7);
        assert_eq!(f, 7);
        functions::not_scalars(1, 'b', b"c", None, 5, 6);
        assert_eq!(functions::patterns(1, (2, 3), &4, [5, 6, 7, 8], Failure("e"), 9), 21);
        functions::cfg_of_an_argument(1);
    });
    let expected = [
        "fields a=true b=1u c=-2 d=0.5f32 e=\"e\" f=6u g=7u in scalars",
        "span scalars",
        "fields a=1u b='b' c=[99] f=\"6\" in not_scalars",
        "span not_scalars",
        "fields a=1u b=2u c=4u d=5u e=\"e\" type=9u in patterns",
        "span patterns",
        "span cfg_of_an_argument a=1u",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn fields_are_added_and_arguments_skipped() {
    let lines = recorded(|| {
        functions::skip_and_fields(1, 2, Some(3), [4, 5, 6]);
        functions::skip_all(1, 2);
    });
    let expected = [
        "fields a=1u d=[4, 5, 6] c=\"Some(3)\" sum=3u any key=\"2\" d.len=3u d.0=4u in skip_and_fields",
        "span skip_and_fields",
        "fields b=\"2\" in skip_all",
        "span skip_all",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn errors_and_what_is_returned_are_recorded() {
    let lines = recorded(|| {
        assert_eq!(functions::err(true), Err(Failure("early")));
        assert_eq!(functions::err(false), Ok(1));
        assert!(functions::err_debug().is_err());
        assert_eq!(functions::ret(), Some(3));
        assert_eq!(functions::ret_display(), "shown");
        assert!(functions::err_and_ret(true).is_err());
        assert_eq!(functions::err_and_ret(false), Ok(5));
        assert_eq!(functions::early_return(3), 3);
        assert_eq!(functions::early_return(0), 0);
    });
    let expected = [
        "fields error.message=\"early\" in err",
        "span err fail=true Error",
        "span err fail=false",
        "fields error.message=\"Failure(\\\"debug\\\")\" in err_debug",
        "span err_debug Error",
        "fields return=\"Some(3)\" in ret",
        "span ret",
        "fields return=\"shown\" in ret_display",
        "span ret_display",
        "fields error.message=\"both\" in err_and_ret",
        "span err_and_ret fail=true Error",
        "fields return=\"5\" in err_and_ret",
        "span err_and_ret fail=false",
        "fields return=\"3\" in early_return",
        "span early_return n=3u",
        "fields return=\"0\" in early_return",
        "span early_return n=0u",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn methods_may_borrow_and_return_what_they_borrow() {
    let lines = recorded(|| {
        let mut pump = Pump { id: 1 };
        assert_eq!(pump.by_reference(), 1);
        *pump.borrowed_result().expect("it never fails") += 1;
        assert_eq!(pump.provided(3), 3);
        assert_eq!(pump.by_value().id, 2);
    });
    let expected = [
        "span by_reference self.id=1u",
        "span borrowed_result",
        "span provided n=3u",
        "fields return=\"Pump { id: 2 }\" in by_value",
        "span by_value",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn any_kind_of_function_may_be_instrumented() {
    let lines = recorded(|| {
        assert_eq!(functions::generic::<_, 3>("v", 1), [1; 3]);
        assert_eq!(functions::lifetimes("", "b"), Ok("b"));
        assert_eq!(functions::impl_trait(3).map(Iterator::count), Ok(3));
        assert_eq!(functions::impl_trait_borrowed(&[1]).count(), 1);
        assert_eq!(functions::foreign(1), 1);
        functions::inner_attributes();
    });
    let expected = [
        "fields n=1u value=\"v\" in generic",
        "span generic",
        "fields a=\"\" b=\"b\" in lifetimes",
        "span lifetimes",
        "span impl_trait n=3u",
        "fields values=[1] in impl_trait_borrowed",
        "span impl_trait_borrowed",
        "span foreign n=1u",
        "span inner_attributes",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_span_of_a_function_that_panics_ends_as_an_error_37() {
    let lines = recorded(|| {
        let stopped: std::thread::Result<()> = std::panic::catch_unwind(|| functions::diverges(true));
        assert!(stopped.is_err());
        functions::plain();
    });
    // Without std, a panic cannot be detected. Another package of the same build may have turned std on.
    let told = lines.first().is_some_and(|line| line.ends_with(" Error"));
    assert!(told || !cfg!(feature = "std"), "{lines:?}");
    let error = if told { " Error" } else { "" };
    assert_eq!(lines, [format!("span diverges stop=true{error}"), "span plain".into()]);
}
