//! Node.js bindings of evcore.
