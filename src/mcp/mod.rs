//! (mcp: being laid out)
