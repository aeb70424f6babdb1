//! Network interfaces and socket options.

use std::ffi::CString;

/// The number of the network interface called `name` (`if_nametoindex`), if there is one.
pub(crate) fn interface_index(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    // SAFETY: `name` is a string that ends in NUL and lives through the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index != 0).then_some(index)
}

/// Makes `listener` hand a connection out when bytes have come, or after about `seconds`
/// (`TCP_DEFER_ACCEPT`).
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn set_defer_accept(
    listener: &impl std::os::fd::AsRawFd,
    seconds: libc::c_int,
) -> std::io::Result<()> {
    // SAFETY: the option's value is one C int, which lives through the call, and the size is its own.
    let result = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            (&seconds as *const libc::c_int).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}
