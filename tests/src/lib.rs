//! What every black-box test and the demo share: the product started as real processes, and a real client.
//!
//! Nothing here is part of the product. It is also what `deploy/run` starts the product with, so that the tests, the
//! demo and a newcomer all start it in the same way.

pub mod appliance;
pub mod bench;
pub mod client;
pub mod demo;
pub mod disk;
pub mod gathering;
pub mod publisher;
pub mod scenario;
pub mod tee;
pub mod tiny_model;
pub mod tools;
pub mod tsm;
