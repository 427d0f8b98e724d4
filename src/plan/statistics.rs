//! The words for statistics, and which statistic can be taken of what a field holds.

use crate::aggregate::Statistic;
use crate::event::FieldKind;

/// The words of dataflow.toml.
pub(super) const STATISTICS: [(&str, Statistic); 8] = [
    ("count", Statistic::Count),
    ("sum", Statistic::Sum),
    ("min", Statistic::Min),
    ("max", Statistic::Max),
    ("avg", Statistic::Avg),
    ("first", Statistic::First),
    ("last", Statistic::Last),
    ("share", Statistic::Share),
];

/// The statistic for a word.
pub(super) fn named(word: &str) -> Option<Statistic> {
    STATISTICS.iter().find(|(known, _)| *known == word).map(|(_, statistic)| *statistic)
}

/// The word for a statistic.
pub(super) fn word(statistic: Statistic) -> &'static str {
    match statistic {
        Statistic::Count => "count",
        Statistic::Sum => "sum",
        Statistic::Min => "min",
        Statistic::Max => "max",
        Statistic::Avg => "avg",
        Statistic::First => "first",
        Statistic::Last => "last",
        Statistic::Share => "share",
    }
}

/// The statistics that can be taken of a kind of field.
///
/// Times have no sum that means anything; the order of a boolean or an enum says nothing either; a text is only ever picked.
pub(super) fn allowed(kind: &FieldKind) -> &'static [Statistic] {
    use Statistic::{Avg, Count, First, Last, Max, Min, Share, Sum};
    match kind {
        FieldKind::Float | FieldKind::Integer | FieldKind::Decimal { .. } => {
            &[Count, Sum, Min, Max, Avg, First, Last, Share]
        }
        FieldKind::Time => &[Count, Min, Max, First, Last],
        FieldKind::Boolean => &[Count, Sum, Share, First, Last],
        FieldKind::Text | FieldKind::Enum { .. } => &[First, Last],
    }
}

/// What a kind of field holds, with its article.
pub(super) fn noun(kind: &FieldKind) -> &'static str {
    match kind {
        FieldKind::Float => "a float",
        FieldKind::Integer => "an integer",
        FieldKind::Time => "a time",
        FieldKind::Boolean => "a boolean",
        FieldKind::Decimal { .. } => "a decimal",
        FieldKind::Text => "a text",
        FieldKind::Enum { .. } => "an enum",
    }
}

#[cfg(test)]
mod tests {
    use super::{STATISTICS, named, word};

    #[test]
    fn words_and_statistics_belong_together() {
        for (name, statistic) in STATISTICS {
            assert_eq!(word(statistic), name);
            assert_eq!(named(name), Some(statistic));
        }
        assert_eq!(named("median"), None);
    }
}
