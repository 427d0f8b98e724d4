//! A hint to the processor: these cache lines will be needed soon.

/// Words of a cache line.
#[cfg(target_arch = "x86_64")]
const LINE_WORDS: usize = 8;

/// Asks for all lines of a run of words.
#[inline]
#[allow(unsafe_code)]
pub(super) fn lines(words: &[u64]) {
    #[cfg(target_arch = "x86_64")]
    for line in words.chunks(LINE_WORDS) {
        // SAFETY: a prefetch reads nothing that a program can see, whatever the address; this one lies in a slice.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = words;
}
