//! Partitions are those of a Pulsar topic.
mod order;
