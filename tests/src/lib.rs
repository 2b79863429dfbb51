//! Remora.
