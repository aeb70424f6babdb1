//! How to listen.

/// How a listener's socket is made and used (`LEV_OPT_…`).
///
/// ```
/// use evcore::listener::ListenerOptions;
///
/// let options = ListenerOptions { backlog: 1024, reuseable_port: true, ..Default::default() };
/// assert!(options.reuseable);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerOptions {
    /// How many connections may wait to be accepted; -1 for as many as the system allows.
    pub backlog: i32,
    /// Bind though connections of an earlier listener linger (`LEV_OPT_REUSEABLE`).
    pub reuseable: bool,
    /// Let several sockets share the port, each with a part of the connections
    /// (`LEV_OPT_REUSEABLE_PORT`).
    pub reuseable_port: bool,
    /// Do not take IPv4 connections on an IPv6 address (`LEV_OPT_BIND_IPV6ONLY`).
    pub ipv6_only: bool,
    /// Close the socket when the listener is freed, and remove a Unix socket's path that it made
    /// (`LEV_OPT_CLOSE_ON_FREE`).
    pub close_on_free: bool,
    /// Do not accept until [`enable`](super::ConnListener::enable) (`LEV_OPT_DISABLED`).
    pub disabled: bool,
    /// Accept a connection only when its first bytes are there, where the system can
    /// (`LEV_OPT_DEFERRED_ACCEPT`).
    pub deferred_accept: bool,
    /// Hand out accepted sockets in blocking mode (`LEV_OPT_LEAVE_SOCKETS_BLOCKING`).
    pub leave_sockets_blocking: bool,
}

impl Default for ListenerOptions {
    /// What a server usually wants: reuseable, closed when freed, a backlog of the system's.
    fn default() -> Self {
        Self {
            backlog: -1,
            reuseable: true,
            reuseable_port: false,
            ipv6_only: false,
            close_on_free: true,
            disabled: false,
            deferred_accept: false,
            leave_sockets_blocking: false,
        }
    }
}
