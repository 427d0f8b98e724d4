//! One table of partials.
