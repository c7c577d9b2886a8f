//! (config: being laid out)
