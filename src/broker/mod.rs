//! (broker: being laid out)
