//! The timely graph. Pure: no network, no file, no wall clock; everything outside is behind the traits of [`edges`].

pub mod edges;
