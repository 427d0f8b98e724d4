//! The text format of Prometheus, version 0.0.4, as it is written: families with help and type, samples with labels.

use std::fmt::Write;

use super::super::histogram::{BOUNDS, Times};

/// What kind of number a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only rises, until the process ends.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Times by class.
    Histogram,
}

/// Labels of a sample: name and value.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// A text under way.
#[derive(Default)]
pub(super) struct Text(String);

impl Text {
    /// Begins a family; its samples follow at once.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let name = format!("minuet_{name}");
        self.line(format_args!("# HELP {name} {}", escaped(help, false)));
        self.line(format_args!("# TYPE {name} {kind}"));
        Family { text: self, name }
    }

    /// The whole text.
    pub(super) fn finish(self) -> String {
        self.0
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing into a String cannot fail.
        let _ = writeln!(self.0, "{line}");
    }
}

/// A family under way.
pub(super) struct Family<'a> {
    text: &'a mut Text,
    name: String,
}

impl Family<'_> {
    /// A sample.
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: f64) -> &mut Self {
        self.put("", labels, value);
        self
    }

    /// All samples of a histogram, in seconds.
    pub(super) fn times(&mut self, times: &Times) -> &mut Self {
        for (bound, count) in BOUNDS.iter().zip(&times.within) {
            let bound = (*bound as f64 / 1_000.0).to_string();
            self.put("_bucket", &[("le", &bound)], *count as f64);
        }
        self.put("_bucket", &[("le", "+Inf")], times.count as f64);
        self.put("_sum", &[], times.sum_ms as f64 / 1_000.0);
        self.put("_count", &[], times.count as f64);
        self
    }

    fn put(&mut self, suffix: &str, labels: Labels<'_>, value: f64) {
        let name = &self.name;
        if labels.is_empty() {
            return self.text.line(format_args!("{name}{suffix} {value}"));
        }
        let labels: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value, true))).collect();
        self.text.line(format_args!("{name}{suffix}{{{}}} {value}", labels.join(",")));
    }
}

/// A text as the format wants it; quotes are escaped in labels alone.
fn escaped(text: &str, label: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if label { text.replace('"', "\\\"") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_written_as_the_format_has_it() {
        let mut text = Text::default();
        text.family("a_total", Kind::Counter, "what \"it\" is\nand \\ not")
            .sample(&[("partition", "a\"b\\c\nd"), ("why", "x")], 3.0)
            .sample(&[], 0.5);
        assert_eq!(
            text.finish(),
            "# HELP minuet_a_total what \"it\" is\\nand \\\\ not\n# TYPE minuet_a_total counter\n\
             minuet_a_total{partition=\"a\\\"b\\\\c\\nd\",why=\"x\"} 3\nminuet_a_total 0.5\n"
        );
    }

    #[test]
    fn times_are_in_seconds() {
        let mut text = Text::default();
        let times = Times { count: 3, sum_ms: 1_500, longest_ms: 1_400, within: vec![1; BOUNDS.len()] };
        text.family("f_seconds", Kind::Histogram, "how long").times(&times);
        let text = text.finish();
        assert!(text.contains("minuet_f_seconds_bucket{le=\"0.005\"} 1\n"), "{text}");
        assert!(
            text.ends_with(
                "minuet_f_seconds_bucket{le=\"+Inf\"} 3\nminuet_f_seconds_sum 1.5\nminuet_f_seconds_count 3\n"
            )
        );
    }
}
