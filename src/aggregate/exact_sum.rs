//! Exact sums of doubles, so that the order of adding cannot matter.

/// An exact sum of finite doubles.
#[derive(Clone, Debug, PartialEq)]
pub struct ExactSum {
    // helper H2 fills in
}
