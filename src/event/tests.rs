//! The read plan against apache-avro, which decodes a whole event into a tree of values: slow, and somebody else's.

mod bad_input;
mod evolution;
mod generated;
mod oracle;
mod random;
mod shapes;
