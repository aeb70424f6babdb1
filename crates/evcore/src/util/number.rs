//! Numbers at the start of a text.

/// A text does not start with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseNumberError {
    /// The base is neither 0 nor from 2 to 36.
    #[error("the base of a number is 0 or from 2 to 36")]
    Base,
    /// There is no digit where a number could start.
    #[error("the text does not start with a number")]
    NoDigits,
    /// The number is less than the least or more than the greatest 64-bit number.
    #[error("the number does not fit in 64 bits")]
    Overflow,
}

/// Reads the number that `text` starts with and returns it with the text after it
/// (`evutil_strtoll`).
///
/// As in C, white space and a sign may come first; base 16 allows `0x`; and base 0 tells by the
/// prefix: `0x` is hexadecimal, `0` octal and all else decimal. Unlike C it makes an error of a text
/// without a number and of a number that does not fit. Where the text is all number,
/// [`str::parse`] and [`i64::from_str_radix`] are enough.
///
/// ```
/// use evcore::util::strtoll;
///
/// assert_eq!(strtoll("  -42 bytes", 10)?, (-42, " bytes"));
/// assert_eq!(strtoll("0x1F", 0)?, (31, ""));
/// # Ok::<(), evcore::util::ParseNumberError>(())
/// ```
///
/// # Errors
///
/// [`ParseNumberError`] says what is wrong.
#[doc(alias = "evutil_strtoll")]
pub fn strtoll(text: &str, base: u32) -> Result<(i64, &str), ParseNumberError> {
    if base == 1 || base > 36 {
        return Err(ParseNumberError::Base);
    }
    // C's `isspace`, which has the vertical tab as well.
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0B', '\x0C', '\r']);
    let (negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (base, digits) = base_and_digits(text, base);
    let end = digits.find(|digit: char| !digit.is_digit(base)).unwrap_or(digits.len());
    if end == 0 {
        return Err(ParseNumberError::NoDigits);
    }
    let number = digits[..end].chars().try_fold(0_i64, |number, digit| {
        let digit = i64::from(digit.to_digit(base)?);
        let number = number.checked_mul(i64::from(base))?;
        // Downwards, since the least number has no counterpart.
        if negative {
            number.checked_sub(digit)
        } else {
            number.checked_add(digit)
        }
    });
    Ok((number.ok_or(ParseNumberError::Overflow)?, &digits[end..]))
}

/// The base that a prefix gives, and the text after the prefix.
fn base_and_digits(text: &str, base: u32) -> (u32, &str) {
    if base == 0 || base == 16 {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        // Without a digit after it, the zero is the number and the `x` is text.
        if let Some(digits) =
            digits.filter(|digits| digits.starts_with(|digit: char| digit.is_ascii_hexdigit()))
        {
            return (16, digits);
        }
    }
    match base {
        0 if text.starts_with('0') => (8, text),
        0 => (10, text),
        base => (base, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_ends_where_its_digits_end() {
        for (text, base, expected) in [
            ("0", 10, (0, "")),
            ("12abc", 10, (12, "abc")),
            ("12abc", 16, (0x12abc, "")),
            (" \t\n\x0B\x0C\r+7", 10, (7, "")),
            ("-z", 36, (-35, "")),
            ("0x1fg", 0, (31, "g")),
            ("0X1F", 16, (31, "")),
            ("0x", 16, (0, "x")),
            ("0xg", 0, (0, "xg")),
            ("0x10", 10, (0, "x10")),
            ("0789", 0, (7, "89")),
            ("101201", 2, (5, "201")),
            ("1٣", 10, (1, "٣")),
        ] {
            assert_eq!(strtoll(text, base), Ok(expected), "{text:?} in base {base}");
        }
    }

    #[test]
    fn what_is_no_number_is_an_error() {
        use ParseNumberError::{Base, NoDigits};
        for text in ["", " ", "-", "+", "--1", "+-1", "- 1", "x", "٣"] {
            assert_eq!(strtoll(text, 10), Err(NoDigits), "{text:?}");
        }
        for base in [1, 37, u32::MAX] {
            assert_eq!(strtoll("1", base), Err(Base));
        }
    }

    #[test]
    fn the_least_and_the_greatest_number_are_read_and_none_beyond() {
        assert_eq!(strtoll("9223372036854775807", 10), Ok((i64::MAX, "")));
        assert_eq!(strtoll("-9223372036854775808", 10), Ok((i64::MIN, "")));
        for text in ["9223372036854775808", "-9223372036854775809", &"9".repeat(1000)] {
            assert_eq!(strtoll(text, 10), Err(ParseNumberError::Overflow));
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(number: i64, rest in "([^0-9].*)?") {
            let decimal = format!("{number}{rest}");
            prop_assert_eq!(strtoll(&decimal, 10), Ok((number, &*rest)));
            let hexadecimal = format!("{:#x}", number.unsigned_abs() >> 1);
            let expected = (number.unsigned_abs() >> 1) as i64;
            prop_assert_eq!(strtoll(&hexadecimal, 0), Ok((expected, "")));
        }

        #[test]
        fn any_text_is_a_number_and_a_rest_or_an_error(text: String, base in 0_u32..40) {
            if let Ok((_, rest)) = strtoll(&text, base) {
                prop_assert!(text.ends_with(rest) && rest.len() < text.len());
            }
        }
    }
}
