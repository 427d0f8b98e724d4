//! Against the protocol double: what no real broker can be made to do. That it is a faithful double is shown first.

mod reading;
mod story;
