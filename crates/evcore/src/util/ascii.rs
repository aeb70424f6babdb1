//! Text that is compared without a locale: only the 26 letters of ASCII have two cases.

use std::cmp::Ordering;

/// Compares two texts byte by byte, taking `A` to `Z` for `a` to `z` (`evutil_ascii_strcasecmp`).
///
/// Where only equality matters, [`str::eq_ignore_ascii_case`] says the same.
///
/// ```
/// use std::cmp::Ordering;
/// use evcore::util::ascii_strcasecmp;
///
/// assert_eq!(ascii_strcasecmp("Content-Length", "content-length"), Ordering::Equal);
/// assert_eq!(ascii_strcasecmp("Connection", "content-length"), Ordering::Less);
/// ```
#[doc(alias = "evutil_ascii_strcasecmp")]
pub fn ascii_strcasecmp(left: impl AsRef<[u8]>, right: impl AsRef<[u8]>) -> Ordering {
    let lower = |text: &u8| text.to_ascii_lowercase();
    left.as_ref().iter().map(lower).cmp(right.as_ref().iter().map(lower))
}

/// Compares the first `count` bytes of two texts, or as many as they have, as
/// [`ascii_strcasecmp`] does (`evutil_ascii_strncasecmp`).
#[doc(alias = "evutil_ascii_strncasecmp")]
pub fn ascii_strncasecmp(
    left: impl AsRef<[u8]>,
    right: impl AsRef<[u8]>,
    count: usize,
) -> Ordering {
    let (left, right) = (left.as_ref(), right.as_ref());
    ascii_strcasecmp(&left[..left.len().min(count)], &right[..right.len().min(count)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_ascii_letters_have_two_cases() {
        assert_eq!(ascii_strcasecmp("aZ9[", "Az9["), Ordering::Equal);
        // The neighbours of the letters: `@` and `[`, `` ` `` and `{`.
        assert_eq!(ascii_strcasecmp("@", "`"), Ordering::Less);
        assert_eq!(ascii_strcasecmp("[", "{"), Ordering::Less);
        assert_eq!(ascii_strcasecmp("é", "É"), Ordering::Greater);
        assert_eq!(ascii_strcasecmp([0xE9], [0xC9]), Ordering::Greater);
    }

    #[test]
    fn a_text_comes_after_its_beginning() {
        assert_eq!(ascii_strcasecmp("", "a"), Ordering::Less);
        assert_eq!(ascii_strcasecmp("AB", "abc"), Ordering::Less);
        assert_eq!(ascii_strncasecmp("AB", "abc", 2), Ordering::Equal);
        assert_eq!(ascii_strncasecmp("AB", "abc", 3), Ordering::Less);
        assert_eq!(ascii_strncasecmp("x", "y", 0), Ordering::Equal);
        assert_eq!(ascii_strncasecmp("x", "X", usize::MAX), Ordering::Equal);
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_the_lower_case(left: Vec<u8>, right: Vec<u8>, count in 0_usize..20) {
            let expected = left.to_ascii_lowercase().cmp(&right.to_ascii_lowercase());
            prop_assert_eq!(ascii_strcasecmp(&left, &right), expected);
            let (left_start, right_start) =
                (&left[..count.min(left.len())], &right[..count.min(right.len())]);
            prop_assert_eq!(
                ascii_strncasecmp(&left, &right, count),
                ascii_strcasecmp(left_start, right_start)
            );
        }
    }
}
