#include "base/date_time.h"

#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <optional>

namespace onceflow {
namespace {

constexpr std::int64_t kMicrosPerSecond = 1'000'000;
constexpr std::int64_t kMicrosPerDay = 86'400 * kMicrosPerSecond;
constexpr std::size_t kFractionDigitsMax = 6;
/// PostgreSQL's: it takes no offset of 16 hours.
constexpr std::int64_t kOffsetHoursMax = 15;

constexpr std::string_view kNoDate = "a date is written YYYY-MM-DD";
constexpr std::string_view kNoTime = "a time is written HH:MM:SS or HH:MM:SS.ffffff";

using std::chrono::day;
using std::chrono::days;
using std::chrono::month;
using std::chrono::sys_days;
using std::chrono::year;
using std::chrono::year_month_day;

bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }

// The text from left to right.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}

  bool is_at_end() const { return rest_.empty(); }
  char next() const { return rest_.empty() ? '\0' : rest_.front(); }
  bool take(char letter) {
    if (rest_.empty() || rest_.front() != letter) {
      return false;
    }
    rest_.remove_prefix(1);
    return true;
  }
  /// Exactly so many digits.
  std::optional<std::int64_t> number(std::size_t digit_count) {
    if (rest_.size() < digit_count) {
      return std::nullopt;
    }
    std::int64_t number = 0;
    for (const char letter : rest_.substr(0, digit_count)) {
      if (!is_digit(letter)) {
        return std::nullopt;
      }
      number = number * 10 + (letter - '0');
    }
    rest_.remove_prefix(digit_count);
    return number;
  }
  std::string_view digits() {
    std::size_t count = 0;
    while (count < rest_.size() && is_digit(rest_[count])) {
      ++count;
    }
    const std::string_view digits = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return digits;
  }

 private:
  std::string_view rest_;
};

DateTimeRead take_date(Cursor& cursor) {
  const auto years = cursor.number(4);
  if (!years || !cursor.take('-')) {
    return std::unexpected(kNoDate);
  }
  const auto months = cursor.number(2);
  if (!months || !cursor.take('-')) {
    return std::unexpected(kNoDate);
  }
  const auto days_of_month = cursor.number(2);
  if (!days_of_month) {
    return std::unexpected(kNoDate);
  }
  const year_month_day date(year(static_cast<int>(*years)), month(static_cast<unsigned>(*months)),
                            day(static_cast<unsigned>(*days_of_month)));
  if (*years == 0) {
    return std::unexpected("years are 0001 to 9999");
  }
  if (!date.ok()) {
    return std::unexpected("there is no such day");
  }
  return sys_days(date).time_since_epoch().count();
}

DateTimeRead take_fraction(Cursor& cursor) {
  const std::string_view digits = cursor.digits();
  if (digits.empty()) {
    return std::unexpected(kNoTime);
  }
  if (digits.find_first_not_of('0', kFractionDigitsMax) != std::string_view::npos) {
    return std::unexpected("it has more than 6 digits after the point, which would be rounded");
  }
  std::int64_t micros = 0;
  for (std::size_t index = 0; index < kFractionDigitsMax; ++index) {
    micros = micros * 10 + (index < digits.size() ? digits[index] - '0' : 0);
  }
  return micros;
}

DateTimeRead take_time(Cursor& cursor) {
  const auto hours = cursor.number(2);
  if (!hours || !cursor.take(':')) {
    return std::unexpected(kNoTime);
  }
  const auto minutes = cursor.number(2);
  if (!minutes) {
    return std::unexpected(kNoTime);
  }
  std::int64_t seconds = 0;
  std::int64_t fraction = 0;
  if (cursor.take(':')) {
    const auto read = cursor.number(2);
    if (!read) {
      return std::unexpected(kNoTime);
    }
    seconds = *read;
    if (cursor.take('.')) {
      const DateTimeRead micros = take_fraction(cursor);
      if (!micros) {
        return micros;
      }
      fraction = *micros;
    }
  }
  if (seconds == 60) {
    return std::unexpected("second 60 is a leap second, which no column tells from the next");
  }
  if (*hours > 23 || *minutes > 59 || seconds > 59) {
    return std::unexpected("there is no such time: hours are 00 to 23, minutes, seconds 00 to 59");
  }
  return ((*hours * 60 + *minutes) * 60 + seconds) * kMicrosPerSecond + fraction;
}

// Microseconds east of UTC.
DateTimeRead take_offset(Cursor& cursor) {
  constexpr std::string_view kNoOffset = "an offset is written +HH:MM, to 15:59 at most";
  if (cursor.take('Z') || cursor.take('z')) {
    return 0;
  }
  const bool is_west = cursor.next() == '-';
  if (!cursor.take('-') && !cursor.take('+')) {
    return std::unexpected(kNoTime);
  }
  const auto hours = cursor.number(2);
  if (!hours || *hours > kOffsetHoursMax) {
    return std::unexpected(kNoOffset);
  }
  std::int64_t minutes = 0;
  if (!cursor.is_at_end()) {
    cursor.take(':');
    const auto read = cursor.number(2);
    if (!read || *read > 59) {
      return std::unexpected(kNoOffset);
    }
    minutes = *read;
  }
  return (*hours * 60 + minutes) * 60 * kMicrosPerSecond * (is_west ? -1 : 1);
}

DateTimeRead take_date_and_time(Cursor& cursor) {
  const DateTimeRead date = take_date(cursor);
  if (!date) {
    return date;
  }
  if (!cursor.take('T') && !cursor.take('t') && !cursor.take(' ')) {
    return std::unexpected(cursor.is_at_end() ? "it has no time of day" : kNoDate);
  }
  const DateTimeRead time = take_time(cursor);
  if (!time) {
    return time;
  }
  return *date * kMicrosPerDay + *time;
}

std::int64_t floor_days(std::int64_t micros) {
  return micros / kMicrosPerDay - (micros % kMicrosPerDay < 0 ? 1 : 0);
}

bool is_in_years(std::int64_t day_number) {
  constexpr sys_days kFirst = year(1) / 1 / 1;
  constexpr sys_days kLast = year(9999) / 12 / 31;
  return day_number >= kFirst.time_since_epoch().count() &&
         day_number <= kLast.time_since_epoch().count();
}

}  // namespace

DateTimeRead read_timestamptz(std::string_view text) {
  Cursor cursor(text);
  const DateTimeRead local = take_date_and_time(cursor);
  if (!local) {
    return local;
  }
  if (cursor.is_at_end()) {
    return std::unexpected("it has no zone, so no one knows which point in time it is");
  }
  const DateTimeRead offset = take_offset(cursor);
  if (!offset) {
    return offset;
  }
  if (!cursor.is_at_end()) {
    return std::unexpected("something follows its zone");
  }
  if (!is_in_years(floor_days(*local - *offset))) {
    return std::unexpected("years are 0001 to 9999, in UTC");
  }
  return *local - *offset;
}

DateTimeRead read_timestamp(std::string_view text) {
  Cursor cursor(text);
  const DateTimeRead local = take_date_and_time(cursor);
  if (!local || cursor.is_at_end()) {
    return local;
  }
  return std::unexpected(take_offset(cursor) ? "it has a zone, which would be lost" : kNoTime);
}

DateTimeRead read_date(std::string_view text) {
  Cursor cursor(text);
  const DateTimeRead date = take_date(cursor);
  if (!date || cursor.is_at_end()) {
    return date;
  }
  return std::unexpected("something follows the day, which would be lost");
}

std::string date_text(std::int64_t day_number) {
  const year_month_day date{sys_days(days(day_number))};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

std::string timestamp_text(std::int64_t micros) {
  const std::int64_t day_number = floor_days(micros);
  const std::int64_t of_day = micros - day_number * kMicrosPerDay;
  const std::int64_t seconds = of_day / kMicrosPerSecond;
  std::string text = fmt::format("{}T{:02}:{:02}:{:02}", date_text(day_number), seconds / 3600,
                                 seconds / 60 % 60, seconds % 60);
  if (const std::int64_t fraction = of_day % kMicrosPerSecond; fraction != 0) {
    text += fmt::format(".{:06}", fraction);
    text.resize(text.find_last_not_of('0') + 1);
  }
  return text;
}

std::string timestamptz_text(std::int64_t micros) { return timestamp_text(micros) + "Z"; }

}  // namespace onceflow
