//! Exact arithmetic on doubles: whole numbers of 2^-1074, the smallest double, divided and rounded once (to nearest, ties to even).

use num_bigint::{BigInt, Sign};

/// One in units of 2^-1074.
const UNIT_SHIFT: u64 = 1_074;

/// A finite double as a whole number of units.
pub(super) fn units(value: f64) -> BigInt {
    let bits = value.to_bits();
    let exponent = (bits >> 52) & 0x7ff;
    let fraction = bits & ((1 << 52) - 1);
    let (mantissa, shift) = if exponent == 0 { (fraction, 0) } else { (fraction | 1 << 52, exponent - 1) };
    let magnitude = BigInt::from(mantissa) << shift;
    if value.is_sign_negative() { -magnitude } else { magnitude }
}

/// A whole number as units.
pub(super) fn whole(value: &BigInt) -> BigInt {
    value << UNIT_SHIFT
}

/// The double nearest to `units / divisor` (a positive divisor); infinite where it is past the largest.
pub(super) fn nearest(units: &BigInt, divisor: &BigInt) -> f64 {
    let magnitude = units.magnitude();
    let divisor = divisor.magnitude();
    let shift = (magnitude / divisor).bits().saturating_sub(53);
    let divisor = divisor << shift;
    let (quotient, rest) = (magnitude / &divisor, magnitude % &divisor);
    let twice = rest << 1_u32;
    let mut quotient: u64 = quotient.try_into().expect("53 bits");
    if twice > divisor || (twice == divisor && quotient % 2 == 1) {
        quotient += 1;
    }
    // The doubles' bits count up through all of them, from one exponent into the next.
    let value = if shift >= 0x7fe { f64::INFINITY } else { f64::from_bits((shift << 52) + quotient) };
    if units.sign() == Sign::Minus { -value } else { value }
}

#[test]
fn one_double_is_itself() {
    for value in [0.0, 1.0, -1.0, 0.1, f64::MIN_POSITIVE, f64::MAX, f64::MIN, 5e-324, -2.5e-310, 1e22, 123_456.789] {
        assert_eq!(nearest(&units(value), &BigInt::from(1)), value);
    }
}

#[test]
fn two_doubles_are_added_and_divided_as_the_processor_does() {
    let samples = [0.1, 0.2, 0.3, 1e16, 1.0, -1e16, 3.0, 7.0, 1e-300, f64::MAX, 5e-324, 2.2e-308];
    for a in samples {
        for b in samples {
            assert_eq!(nearest(&(units(a) + units(b)), &BigInt::from(1)), a + b, "{a} + {b}");
        }
        for divisor in [2_u32, 3, 7, 10, 1_000] {
            assert_eq!(nearest(&units(a), &BigInt::from(divisor)), a / f64::from(divisor), "{a} / {divisor}");
        }
    }
}
