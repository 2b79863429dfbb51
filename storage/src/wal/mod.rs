//! The log. (Stub.)
