//! The text format of Prometheus, read as strictly as it is specified: nothing is skipped, nothing may come twice.

use std::collections::{BTreeMap, BTreeSet};

/// One sample.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) value: f64,
}

/// All samples by the name of their family; panics on whatever does not belong.
pub(super) fn parse(text: &str) -> BTreeMap<String, Vec<Sample>> {
    assert!(text.ends_with('\n'), "the last line has no end");
    let mut families: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let (mut family, mut kind) = (String::new(), "");
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').unwrap_or_else(|| panic!("no words: {line}"));
            let kind_line = lines.next().unwrap_or_default();
            let typed = kind_line.strip_prefix(&format!("# TYPE {name} ")[..]);
            kind = typed.unwrap_or_else(|| panic!("no type after {line}: {kind_line}"));
            assert!(["counter", "gauge", "histogram"].contains(&kind) && !words.is_empty(), "{line}");
            assert!(is_name(name) && name.starts_with("minuet_"), "{name}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
            assert!(families.insert(name.to_owned(), Vec::new()).is_none(), "{name} comes twice");
            name.clone_into(&mut family);
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
        assert!(seen.insert(series.to_owned()), "{series} comes twice");
        let name = series.split('{').next().unwrap_or_default();
        let fits = match kind {
            "histogram" => ["_bucket", "_sum", "_count"].iter().any(|end| name == format!("{family}{end}")),
            _ => name == family,
        };
        assert!(fits, "{line} is not of {family}");
        labels(&series[name.len()..]);
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        families.get_mut(&family).unwrap_or_else(|| panic!("{line} has no family")).push(Sample { value });
    }
    families
}

fn is_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// `{name="value",...}`, or nothing.
fn labels(text: &str) {
    let Some(inside) = text.strip_prefix('{') else { return assert!(text.is_empty(), "{text}") };
    let mut rest = inside.strip_suffix('}').unwrap_or_else(|| panic!("no end: {text}"));
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"").unwrap_or_else(|| panic!("no value: {text}"));
        assert!(is_name(name) && !name.is_empty(), "{text}");
        let mut escaped = false;
        let end = value.find(|c| {
            let ends = c == '"' && !escaped;
            assert!(!escaped || ['\\', '"', 'n'].contains(&c), "{text}");
            escaped = c == '\\' && !escaped;
            ends
        });
        rest = &value[end.unwrap_or_else(|| panic!("no quote: {text}")) + 1..];
        rest = match rest.strip_prefix(',') {
            Some(more) => more,
            None => return assert!(rest.is_empty(), "{text}"),
        };
    }
}

#[test]
fn what_is_not_the_format_is_noticed() {
    let head = "# HELP minuet_a a b\n# TYPE minuet_a gauge\n";
    assert_eq!(parse(&format!("{head}minuet_a{{b=\"c\\\"d\"}} 1\nminuet_a 2.5\n"))["minuet_a"].len(), 2);
    for bad in [
        "minuet_a x",
        "minuet_b 1",
        "minuet_a{b=\"c} 1",
        "minuet_a{b=c} 1",
        "minuet_a 1\nminuet_a 2",
        "",
        "minuet_a{b=\"\\x\"} 1",
    ] {
        let text = format!("{head}{bad}\n");
        assert!(std::panic::catch_unwind(|| parse(&text)).is_err(), "{bad:?} was taken");
    }
}
