//! Segmented byte buffers.
