//! The knobs: bounds and spelling.

use super::*;
use crate::connect::generate::{parse_duration, parse_time};
use crate::limits::GENERATED_SOURCES_MAX;

#[test]
fn knobs_out_of_bounds_are_refused_by_name() {
    type Turn = fn(&mut Spec);
    let turns: [(&str, Turn); 14] = [
        ("rate", |s| s.rate = 0.0),
        ("rate", |s| s.rate = f64::NAN),
        ("skew", |s| s.skew = -1.0),
        ("sources", |s| s.sources = 0),
        ("sources", |s| s.sources = GENERATED_SOURCES_MAX + 1),
        ("partitions", |s| s.partitions = 0),
        ("late", |s| s.late = 1.1),
        ("nulls", |s| s.nulls = -0.1),
        ("idle", |s| s.idle = 2.0),
        ("together", |s| (s.late, s.malformed) = (0.6, 0.6)),
        ("jitter", |s| s.jitter = Some(OUT_OF_ORDER + 1)),
        ("duration", |s| s.extent = Extent::Duration(0)),
        ("1970", |s| (s.start, s.late) = (0, 0.1)),
        ("start", |s| s.start = -1),
    ];
    assert!(Spec::default().check(OUT_OF_ORDER).is_ok());
    for (name, turn) in turns {
        let mut spec = Spec::default();
        turn(&mut spec);
        let error = spec.check(OUT_OF_ORDER).unwrap_err().to_string();
        assert!(error.contains(name), "{name}: {error}");
    }
}

#[test]
fn event_time_may_not_run_out() {
    for spec in [
        Spec { extent: Extent::Events(u64::MAX), ..Spec::default() },
        Spec { extent: Extent::Duration(3_000_000_000_000), ..Spec::default() },
        Spec { extent: Extent::Events(1_000_000), rate: 1e-6, ..Spec::default() },
    ] {
        let made = Generator::new(&schema(SENSORS), "event_source_id", Some("event_time"), OUT_OF_ORDER, spec);
        assert!(made.unwrap_err().to_string().contains("2106"));
    }
}

#[test]
fn durations_have_units() {
    let good = [("0ms", 0), ("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000), ("1d", 86_400_000)];
    for (text, millis) in good {
        assert_eq!(parse_duration(text), Ok(millis));
    }
    for text in ["", "5", "m", "5 m", "-5m", "1.5h", "5min", "99999999999999999999s", "9223372036854775807d", "５m"] {
        assert!(parse_duration(text).is_err(), "{text}");
    }
}

#[test]
fn times_are_utc_or_millis() {
    let good = [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-01-01T00:00:00Z", Spec::default().start),
        ("2024-02-29T23:59:59Z", 1_709_251_199_000),
        ("2000-03-01T00:00:00Z", 951_868_800_000),
        ("1234", 1_234),
    ];
    for (text, millis) in good {
        assert_eq!(parse_time(text), Ok(millis), "{text}");
    }
    for text in [
        "2026-01-01",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01 00:00:00Z",
        "2026-01-01T00:00:00é",
        "+026-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "",
    ] {
        assert!(parse_time(text).is_err(), "{text}");
    }
}
