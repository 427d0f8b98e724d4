//! A hint to the processor: these cache lines will be needed soon.

/// Words of a cache line.
const LINE_WORDS: usize = 8;

/// Asks for the line in which something begins.
#[inline]
#[allow(unsafe_code)]
pub(super) fn line_of<T>(item: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing that a program can see, whatever the address; this one is that of a reference.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(item).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = item;
}

/// Asks for all lines of a run of words.
#[inline]
pub(super) fn lines(words: &[u64]) {
    words.chunks(LINE_WORDS).for_each(|line| line_of(&line[0]));
}
