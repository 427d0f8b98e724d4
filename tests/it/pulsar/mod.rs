//! Reading from a real broker: what the broker, its operator and other clients do, and the rows that must come of it.

mod admin;
pub(crate) mod broker;
mod changes;
mod clients;
mod double;
mod faults;
pub(crate) mod follower;
mod frozen;
mod generated;
pub(crate) mod input;
mod issuer;
mod probe;
mod reading;
mod rounds;
mod secure;
pub(crate) mod sender;
mod setup;
mod source;
mod swelling;
pub(crate) mod topic;
