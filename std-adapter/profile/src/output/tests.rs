use super::*;
use crate::profile::Sampling;
use crate::stack::End;
use std::sync::Arc;

/// A profile of three stacks without modules, so that addresses stand for names.
fn report() -> Report {
    let stack = |addresses: &[u64], end| {
        let frames = addresses.iter().map(|&address| Frame { module: None, address }).collect();
        Arc::new(Stack { frames, end })
    };
    let sample = |stack, milliseconds: u64, thread| Sample {
        stack,
        labels: Labels { thread: Some(thread), ..Labels::default() },
        values: [milliseconds / 10, milliseconds * 1_000_000, 0, 0],
    };
    let profile = Profile {
        kind: Kind::Cpu(Sampling { frequency: 100, signals: 11, untimed_threads: 0 }),
        duration: std::time::Duration::from_secs(1),
        delivered: 10,
        stacks: vec![
            stack(&[0xa, 0xb, 0xb, 0xc], End::Complete),
            stack(&[0xd, 0xc], End::Complete),
            stack(&[0xa], End::UnknownCode),
        ],
        samples: vec![sample(0, 60, 0), sample(1, 30, 0), sample(2, 10, 1)],
        threads: vec![(7, "main; <first>".into()), (8, "other".into())],
        losses: crate::Losses { ring_full: 1, ..Default::default() },
        ..Profile::default()
    };
    profile.symbolize()
}

#[test]
fn folded_stacks_begin_with_the_thread_and_keep_the_separator_for_themselves() {
    let expected = "main, <first>;0xc;0xb;0xb;0xa 60000\nmain, <first>;0xc;0xd 30000\nother;[cut: unknown code];0xa 10000\n";
    assert_eq!(report().folded(), expected);
    let counts =
        "main, <first>;0xc;0xb;0xb;0xa 6\nmain, <first>;0xc;0xd 3\nother;[cut: unknown code];0xa 1\n";
    assert_eq!(report().measure("samples").folded(), counts);
}

#[test]
fn the_table_counts_a_function_that_calls_itself_once() {
    let expected = "\
100.000 ms of CPU time in 1.0 s: 10 samples, 100 per second of CPU time of 100 asked for, 1 lost

        self   self%        total  total%  function
   70.000 ms   70.0%    70.000 ms   70.0%  0xa
   30.000 ms   30.0%    30.000 ms   30.0%  0xd
        0 ns    0.0%    90.000 ms   90.0%  0xc
        0 ns    0.0%    60.000 ms   60.0%  0xb
        0 ns    0.0%    10.000 ms   10.0%  [cut: unknown code]
";
    assert_eq!(report().text(), expected);
}

#[test]
fn the_flame_graph_has_a_frame_for_each_function_with_its_share_and_escapes_names() {
    let picture = report().flame_graph("a < b & c");
    assert!(picture.contains("a &lt; b &amp; c"));
    let frame = |x: u64, value: u64, depth: u32, title: &str| {
        format!("<g data-x=\"{x}\" data-w=\"{value}\" data-d=\"{depth}\"><title>{title}</title>")
    };
    for expected in [
        frame(0, 100_000_000, 0, "all (100.000 ms, 100.00 %)"),
        frame(0, 90_000_000, 1, "thread main; &lt;first&gt; (90.000 ms, 90.00 %)"),
        frame(0, 60_000_000, 3, "0xb (60.000 ms, 60.00 %)"),
        frame(60_000_000, 30_000_000, 3, "0xd (30.000 ms, 30.00 %)"),
        frame(90_000_000, 10_000_000, 2, "[cut: unknown code] (10.000 ms, 10.00 %)"),
    ] {
        assert!(picture.contains(&expected), "{expected}\nin {picture}");
    }
}

#[test]
fn what_pprof_has_comes_back_and_becomes_the_same_pictures() {
    let mut profile = report().profile;
    let (trace, span) = (TraceId::from_bytes([7; 16]).unwrap(), SpanId::from_bytes([9; 8]).unwrap());
    profile.samples[1].labels.place = Some((trace, span));
    profile.label_spans(|_, _| vec![("agent_name".into(), "planner".into())]);
    profile.losses = crate::Losses::default();
    let report = profile.symbolize();
    let back = Report::read_pprof(&report.pprof()).unwrap();
    assert_eq!(back.pprof(), report.pprof());
    assert_eq!((back.folded(), back.text()), (report.folded(), report.text()));
    assert_eq!(back.flame_graph("x"), report.flame_graph("x"));
    let of_trace = back.of_trace(trace);
    assert_eq!((of_trace.samples(), of_trace.folded()), (3, "main, <first>;0xc;0xd 30000\n".to_owned()));
    assert_eq!(of_trace.label_set(of_trace.profile.samples[0].labels)[0].1, "planner");
    assert_eq!(report.profile.symbolize().of_label("agent_name", "planner").samples(), 3);
    assert_eq!(report.profile.symbolize().of_label("agent_name", "writer").samples(), 0);
    // Another window of the same program.
    let mut sum = report.profile.symbolize();
    assert!(sum.add(Report::read_pprof(&report.pprof()).unwrap()));
    assert_eq!(
        sum.folded(),
        report
            .folded()
            .replace("60000", "120000")
            .replace(" 30000", " 60000")
            .replace("10000", "20000")
            .replace("220000", "120000")
    );
    assert_eq!(sum.profile.threads.len(), 2);
}

#[test]
fn damaged_files_are_refused_and_do_no_harm() {
    let whole = report().uncompressed_pprof();
    let pack = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, bytes).unwrap();
        encoder.finish().unwrap()
    };
    assert!(matches!(Report::read_pprof(&whole), Err(ReadError::Gzip(_))));
    assert!(matches!(Report::read_pprof(&pack(b"")), Err(ReadError::Measures(_))));
    for length in 1..whole.len() {
        let _ = Report::read_pprof(&pack(&whole[..length]));
    }
    for index in 0..whole.len() {
        let mut other = whole.clone();
        other[index] ^= 0x55;
        if let Ok(report) = Report::read_pprof(&pack(&other)) {
            let _ = (
                report.pprof(),
                report.flame_graph("x"),
                report.text(),
                report.chrome(),
                report.speedscope("x"),
            );
        }
    }
}

#[test]
fn the_difference_scales_what_was_before_and_tells_more_from_less() {
    let now = report();
    let mut profile = now.profile.clone();
    // Twice as long, and 0xd took three times as much of it.
    profile.samples[0].values[1] = 20_000_000;
    profile.samples[1].values[1] = 180_000_000;
    profile.samples[2].values[1] = 0;
    let before = profile.symbolize();
    let expected = "0xc;0xb;0xb;0xa 10000 60000\n0xc;0xd 90000 30000\n[cut: unknown code];0xa 0 10000\n";
    assert_eq!(now.folded_difference(&before), expected);
    let picture = now.difference(&before, "faster");
    assert!(picture.contains("0xd (30.000 ms, 30.00 %, -60.00 points)"), "{picture}");
    let color_of = |name: &str| {
        let frame = picture.split(&format!("<title>{name} (")).nth(1).unwrap();
        frame.split("fill=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    assert_eq!((color_of("0xd"), color_of("0xa")), ("rgb(80,80,245)".into(), "rgb(245,108,108)".into()));
    // The sum of its children, which is larger by 10 % of the whole and smaller by the same elsewhere.
    assert_eq!(color_of("0xc"), "rgb(218,218,245)");
}

#[test]
fn other_viewers_get_every_stack_with_its_time() {
    let chrome = report().chrome();
    let expected = "\"samples\":[6,7,10,1],\"timeDeltas\":[0,60000,30000,10000]}\n";
    assert!(chrome.ends_with(expected), "{chrome}");
    assert!(chrome.contains("{\"id\":2,\"callFrame\":{\"functionName\":\"main; <first>\""), "{chrome}");
    let speedscope = report().speedscope("a \"name\"\n");
    assert!(speedscope.contains("\"name\":\"a \\\"name\\\"\\u000a\""), "{speedscope}");
    let thread = "\"name\":\"main; <first>\",\"unit\":\"nanoseconds\",\"startValue\":0,\"endValue\":90000000,\
        \"samples\":[[0,1,1,2],[0,3]],\"weights\":[60000000,30000000]}";
    assert!(speedscope.contains(thread), "{speedscope}");
}
