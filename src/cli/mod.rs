//! (cli: being laid out)
