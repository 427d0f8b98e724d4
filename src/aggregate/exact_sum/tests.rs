//! Against whole numbers of any size: a double times 2^1074 is one.

use num_bigint::{BigInt, Sign};
use proptest::prelude::*;

use super::*;

/// A double in units of 2^-1074.
pub(in crate::aggregate) fn whole(value: f64) -> BigInt {
    let bits = value.to_bits();
    let (exponent, fraction) = ((bits >> 52 & 0x7ff) as u32, bits & ((1 << 52) - 1));
    let magnitude =
        if exponent == 0 { BigInt::from(fraction) } else { BigInt::from(fraction | 1 << 52) << (exponent - 1) };
    if value.is_sign_negative() { -magnitude } else { magnitude }
}

/// The nearest double, found by bisection over all of them.
pub(in crate::aggregate) fn nearest(number: &BigInt) -> Option<f64> {
    let magnitude = BigInt::from(number.magnitude().clone());
    let (mut low, mut high) = (0_u64, f64::MAX.to_bits() + 1);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        // One past the largest double stands for 2^1024.
        if whole(f64::from_bits(middle)) <= magnitude { low = middle } else { high = middle }
    }
    let below = whole(f64::from_bits(low));
    let above =
        if high > f64::MAX.to_bits() { BigInt::from(1) << (1_024 + 1_074) } else { whole(f64::from_bits(high)) };
    let (down, up) = (&magnitude - &below, &above - &magnitude);
    let bits = if down < up || (down == up && low % 2 == 0) { low } else { high };
    let value = f64::from_bits(bits);
    let value = if number.sign() == Sign::Minus { -value } else { value };
    value.is_finite().then_some(value)
}

/// Finite doubles of every kind.
pub(in crate::aggregate) fn finite() -> impl Strategy<Value = f64> {
    let any_bits = any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |value| value.is_finite());
    let corner = prop::sample::select(vec![
        0.0,
        -0.0,
        f64::MAX,
        -f64::MAX,
        f64::MIN_POSITIVE,
        BEYOND,
        -BEYOND,
        5e-324,
        -5e-324,
        1.0,
        -1.0,
        1e308,
        -1e308,
        1e-300,
        0.1,
        -0.3,
        f64::from_bits(1 << 52),
        9_007_199_254_740_993.0,
    ]);
    prop_oneof![3 => any_bits, 2 => corner, 5 => -1e6..1e6]
}

fn sum_of(values: &[f64]) -> ExactSum {
    let mut sum = ExactSum::zero();
    values.iter().for_each(|value| sum.add(*value));
    sum
}

proptest! {
    #[test]
    fn a_sum_is_the_exact_one_rounded_once(values in prop::collection::vec(finite(), 0..40)) {
        let exact: BigInt = values.iter().map(|value| whole(*value)).sum();
        prop_assert_eq!(sum_of(&values).value().map(f64::to_bits), nearest(&exact).map(|v| (v + 0.0).to_bits()));
    }

    #[test]
    fn order_and_grouping_change_nothing(
        values in prop::collection::vec(finite(), 0..30), cut: prop::sample::Index, seed: u64,
    ) {
        let whole = sum_of(&values);
        let mut shuffled = values.clone();
        shuffled.sort_by_key(|value| value.to_bits().wrapping_mul(seed | 1).rotate_left(29));
        let (left, right) = shuffled.split_at(cut.index(values.len() + 1));
        let mut merged = sum_of(right);
        merged.merge(&sum_of(left));
        prop_assert_eq!(&merged, &whole);
        let bits = |parts: Vec<f64>| parts.into_iter().map(f64::to_bits).collect::<Vec<_>>();
        prop_assert_eq!(bits(merged.to_parts()), bits(whole.to_parts()));
        prop_assert_eq!(merged.value().map(f64::to_bits), whole.value().map(f64::to_bits));
        prop_assert_eq!(merged.as_pair(), whole.as_pair());
    }

    #[test]
    fn parts_give_the_sum_again(values in prop::collection::vec(finite(), 0..30)) {
        let sum = sum_of(&values);
        let parts = sum.to_parts();
        prop_assert_eq!(ExactSum::from_parts(&parts), Some(sum.clone()));
        if let Some((hi, lo)) = sum.as_pair() {
            prop_assert_eq!(ExactSum::from_pair(hi, lo), sum);
        }
    }

    #[test]
    fn a_pair_never_lies(hi in finite(), lo in finite(), value in finite()) {
        let mut pair = Pair { hi, lo };
        let before = whole(hi) + whole(lo);
        if pair.add(value) {
            prop_assert_eq!(whole(pair.hi) + whole(pair.lo), before + whole(value));
        } else {
            prop_assert_eq!((pair.hi.to_bits(), pair.lo.to_bits()), (hi.to_bits(), lo.to_bits()));
        }
    }
}

#[test]
fn a_sum_may_leave_the_range_and_come_back() {
    let sum = sum_of(&[1e308, 1e308]);
    assert_eq!(sum.value(), None);
    assert_eq!(ExactSum::from_parts(&sum.to_parts()), Some(sum));
    assert_eq!(sum_of(&[1e308, 1e308, -1e308]).value(), Some(1e308));
    let mut many = ExactSum::zero();
    (0..1_000).for_each(|_| many.add(-f64::MAX));
    assert_eq!(ExactSum::from_parts(&many.to_parts()), Some(many.clone()));
    (0..1_000).for_each(|_| many.add(f64::MAX));
    assert_eq!((many.value(), many.as_pair()), (Some(0.0), Some((0.0, 0.0))));
}

#[test]
fn a_whole_multiple_of_the_largest_power_is_no_pair() {
    for times in [1, 2, 3] {
        let sum = sum_of(&vec![BEYOND; times]);
        assert_eq!(sum.as_pair(), None, "{times}");
        let mut back = ExactSum::from_parts(&sum.to_parts()).expect("its own parts");
        assert_eq!(back, sum);
        (0..times).for_each(|_| back.add(-BEYOND));
        assert_eq!((back.value(), back.as_pair()), (Some(0.0), Some((0.0, 0.0))));
    }
}

#[test]
fn parts_that_are_no_sum_are_refused() {
    for parts in [&[f64::NAN][..], &[1.0, f64::INFINITY], &[f64::INFINITY], &[f64::INFINITY, 0.5]] {
        assert_eq!(ExactSum::from_parts(parts), None);
    }
}

#[test]
fn a_sum_of_nothing_and_of_negative_zeros_is_zero() {
    assert_eq!(sum_of(&[]).value().map(f64::to_bits), Some(0));
    assert_eq!(sum_of(&[-0.0, -0.0]).value().map(f64::to_bits), Some(0));
}

#[test]
fn readings_of_like_size_stay_in_a_pair() {
    let mut pair = Pair::default();
    assert!((0..100_000).all(|n| pair.add(20.0 + f64::from(n % 100) / 100.0)));
}
