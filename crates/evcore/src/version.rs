//! Which version of the library this is.

/// The version as text, `major.minor.patch` (`LIBEVENT_VERSION`).
#[doc(alias = "LIBEVENT_VERSION")]
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version as a number, a byte each for major, minor and patch, then one that is 0
/// (`LIBEVENT_VERSION_NUMBER`): versions compare as their numbers do.
#[doc(alias = "LIBEVENT_VERSION_NUMBER")]
pub const VERSION_NUMBER: u32 = part(env!("CARGO_PKG_VERSION_MAJOR")) << 24
    | part(env!("CARGO_PKG_VERSION_MINOR")) << 16
    | part(env!("CARGO_PKG_VERSION_PATCH")) << 8;

/// The version that the program runs with (`event_get_version`), which for a crate is the one that
/// it was compiled with.
#[doc(alias = "event_get_version")]
pub fn version() -> &'static str {
    VERSION
}

/// The same as a number (`event_get_version_number`).
#[doc(alias = "event_get_version_number")]
pub fn version_number() -> u32 {
    VERSION_NUMBER
}

const fn part(digits: &str) -> u32 {
    let (digits, mut value, mut index) = (digits.as_bytes(), 0, 0);
    while index < digits.len() {
        value = value * 10 + (digits[index] - b'0') as u32;
        index += 1;
    }
    value
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_number_has_the_parts_of_the_text() {
        let number = super::version_number();
        let text = format!("{}.{}.{}", number >> 24, number >> 16 & 255, number >> 8 & 255);
        assert_eq!(super::version(), text);
    }
}
