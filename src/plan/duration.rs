//! Durations with a unit: `500ms`, `30s`, `5m`, `1h`, `1d`.

use crate::time::Millis;

/// The units and their milliseconds, smallest first.
const UNITS: [(&str, Millis); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The milliseconds of a whole number with a unit; `None` where it is anything else or too long to count.
pub(super) fn parse(text: &str) -> Option<Millis> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<Millis>().ok()?.checked_mul(*millis)
}

/// The shortest way to write a duration with one unit.
pub(super) fn written(millis: Millis) -> String {
    let whole = |(_, unit): &&(&str, Millis)| millis != 0 && millis % unit == 0;
    let (name, unit) = UNITS.iter().rev().find(whole).unwrap_or(&UNITS[1]);
    format!("{}{name}", millis / unit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{parse, written};

    #[test]
    fn every_unit_is_read() {
        let all = [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("1h", 3_600_000), ("1d", 86_400_000), ("0s", 0)];
        for (text, millis) in all {
            assert_eq!(parse(text), Some(millis), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "5", "s", "-5s", "+5s", "5 s", "5S", "5sec", "1.5s", "5s ", "5m30s", "٥s", "99999999999999999999s"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&format!("{}d", i64::MAX)), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(millis in 0..i64::MAX) {
            prop_assert_eq!(parse(&written(millis)), Some(millis));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = parse(&text);
        }
    }
}
