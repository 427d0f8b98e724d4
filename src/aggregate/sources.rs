//! Interned sources.
