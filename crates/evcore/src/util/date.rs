//! Dates as HTTP has them.

use std::time::{SystemTime, UNIX_EPOCH};

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const SECONDS_A_DAY: u64 = 24 * 60 * 60;
const DAYS_IN_400_YEARS: u64 = 146_097;
/// The last second of the year 9999: later years have more than four digits.
const LAST_SECOND: u64 = 253_402_300_799;

/// A point in time as RFC 1123 writes it, in Greenwich's time: `Sun, 06 Nov 1994 08:49:37 GMT`
/// (`evutil_date_rfc1123`).
///
/// What is before 1970 or after 9999 is written as the first or the last second of that time.
#[doc(alias = "evutil_date_rfc1123")]
pub fn date_rfc1123(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs().min(LAST_SECOND);
    let (days, second) = (seconds / SECONDS_A_DAY, seconds % SECONDS_A_DAY);
    let (year, month, day) = civil(days);
    format!(
        "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        DAYS[(days % 7) as usize],
        MONTHS[month],
        second / 3600,
        second / 60 % 60,
        second % 60,
    )
}

/// The year, the month from 0 and the day from 1 of so many days after 1 January 1970.
fn civil(days: u64) -> (u64, usize, u64) {
    // Years that start with March have the leap day at their end, and 400 of them, the first of
    // which starts on 1 March 2000, repeat for ever. 1600-03-01 was 135,080 days before 1970.
    let days = days + 135_080;
    let (cycles, day) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    // Every fourth year has a day more, but not the hundredth, but every four hundredth.
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // From March on, five months have 153 days, again and again.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = 1600 + 400 * cycles + year + month / 10;
    (year, ((month + 2) % 12) as usize, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn date(seconds: u64) -> String {
        date_rfc1123(UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn known_dates_are_written_as_the_standard_writes_them() {
        assert_eq!(date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(date(951_868_800), "Wed, 01 Mar 2000 00:00:00 GMT");
        assert_eq!(date(4_107_542_399), "Sun, 28 Feb 2100 23:59:59 GMT");
        assert_eq!(date(4_107_542_400), "Mon, 01 Mar 2100 00:00:00 GMT");
        assert_eq!(date(LAST_SECOND), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn times_that_have_no_such_date_are_brought_to_the_nearest() {
        assert_eq!(date(LAST_SECOND + 1), date(LAST_SECOND));
        assert_eq!(date_rfc1123(UNIX_EPOCH - Duration::from_secs(1)), date(0));
    }

    #[test]
    fn every_day_of_the_calendar_follows_the_one_before() {
        let (mut year, mut month, mut day) = (1970, 0, 1);
        for days in 0..=LAST_SECOND / SECONDS_A_DAY {
            assert_eq!(civil(days), (year, month, day), "{days} days after the start");
            let leap = year % 4 == 0 && year % 100 != 0 || year % 400 == 0;
            let length = match month {
                1 => 28 + u64::from(leap),
                3 | 5 | 8 | 10 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (month, day) = (month + 1, 1);
            }
            if month == 12 {
                (year, month) = (year + 1, 0);
            }
        }
    }
}
