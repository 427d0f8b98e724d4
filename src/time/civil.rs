//! The calendar: milliseconds since the Unix epoch as a date and a time of day.

use super::Millis;

/// `YYYY-MM-DD HH:MM:SS` in UTC, as ClickHouse writes a `DateTime`. Years before 0 and after 9999 do not occur: event times end
/// in 2106.
pub fn utc(time: Millis) -> String {
    let seconds = time.div_euclid(1_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
}

/// The proleptic Gregorian date of a day counted from 1970-01-01. Years are counted from March, so that the leap day is the
/// last of its year, in eras of 400 years, which all have the same number of days.
fn civil(days: i64) -> (i64, i64, i64) {
    const DAYS_FROM_MARCH_0000: i64 = 719_468;
    const DAYS_OF_ERA: i64 = 146_097;
    let since = days + DAYS_FROM_MARCH_0000;
    let (era, of_era) = (since.div_euclid(DAYS_OF_ERA), since.rem_euclid(DAYS_OF_ERA));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// The instant that [`utc`] writes so; also with a `T` between date and time, without seconds, and with a `Z` at the end. `None` for
/// any other text, and for what is on no calendar.
pub fn from_utc(text: &str) -> Option<Millis> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, clock) = text.split_once([' ', 'T'])?;
    let mut date = date.split('-').zip([4, 2, 2]).map(|(part, digits)| number(part, digits));
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut clock = clock.split(':').map(|part| number(part, 2));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next().unwrap_or(Some(0))?);
    let in_day = hour < 24 && minute < 60 && second < 60;
    let time = (days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000;
    let written = utc(time);
    // Only a date of the calendar is written as it was read; and what has more parts than a date or a time is neither.
    let parts = text.split(['-', ' ', 'T', ':']).count();
    let same = written.get(..10) == text.get(..10) && (parts == 6 || parts == 5);
    (in_day && same).then_some(time)
}

/// A number of so many digits.
fn number(text: &str, digits: usize) -> Option<i64> {
    text.parse().ok().filter(|_| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The day of a proleptic Gregorian date, counted from 1970-01-01: the way of [`civil`], back.
fn days(year: i64, month: i64, day: i64) -> i64 {
    const DAYS_FROM_MARCH_0000: i64 = 719_468;
    const DAYS_OF_ERA: i64 = 146_097;
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = (month + 9) % 12;
    let of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * DAYS_OF_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - DAYS_FROM_MARCH_0000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_nothing_else_is() {
        for days in 0..50_000 {
            let time = (days * 86_400 + days % 86_400) * 1_000;
            assert_eq!(from_utc(&utc(time)), Some(time));
        }
        let noon = Some(1_357_041_600_000);
        for text in ["2013-01-01 12:00:00", "2013-01-01T12:00:00Z", "2013-01-01T12:00", "2013-01-01 12:00"] {
            assert_eq!(from_utc(text), noon, "{text}");
        }
        for text in [
            "",
            "2013-01-01",
            "2013-02-29 00:00:00",
            "2013-13-01 00:00:00",
            "2013-01-01 24:00:00",
            "2013-01-01 12:60:00",
            "13-01-01 12:00:00",
            "2013-01-01 12",
            "2013-01-01 12:00:00:00",
            "2013-01-01-01 12:00:00",
            "2013-01-01 12:00:0x",
            "2013-01-01  12:00:00",
            "2013-1-01 12:00:00",
            "+013-01-01 12:00:00",
            "2013-00-10 12:00:00",
            "2013-01-00 12:00:00",
        ] {
            assert_eq!(from_utc(text), None, "{text}");
        }
    }

    #[test]
    fn known_instants() {
        for (time, text) in [
            (0, "1970-01-01 00:00:00"),
            (-1, "1969-12-31 23:59:59"),
            (951_782_399_999, "2000-02-28 23:59:59"),
            (951_782_400_000, "2000-02-29 00:00:00"),
            (1_357_017_420_000, "2013-01-01 05:17:00"),
            (4_294_967_295_000, "2106-02-07 06:28:15"),
        ] {
            assert_eq!(utc(time), text);
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..50_000 {
            assert_eq!(civil(days), (year, month, day));
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 if leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (year, month, day) = match (month, day == last) {
                (12, true) => (year + 1, 1, 1),
                (_, true) => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
    }
}
