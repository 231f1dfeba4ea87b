// JSON lines, written by a thread of their own: whoever logs never waits for the terminal, pipe or disk
// behind it.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

namespace lambda::base {

enum class Level { debug, info, warning, error };

std::string_view to_string(Level level);

/// One more key of a line. Standard keys: event_id correlation_id third_party_id job_name trace_id error.
/// An empty value is left out.
struct LogField {
  std::string_view key;
  std::string_view value;
};

/// Writes {"time":…,"level":…,"msg":…,key:value…}, one line each. Values are cut at 1 KiB; control characters
/// and whatever is not ASCII are escaped, so a line is safe on any terminal. Bounded: beyond `max_lines`
/// waiting, lines are dropped and the number of dropped ones is written as a line of its own as soon as there
/// is room. Thread-safe. The destructor writes what waits, for at most a second.
class Log {
 public:
  static constexpr std::size_t default_max_lines = 8192;

  explicit Log(Level least, int file_descriptor = 2, std::size_t max_lines = default_max_lines);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  bool enabled(Level level) const { return level >= least_; }
  void write(Level level, std::string_view message, std::initializer_list<LogField> fields = {});

  void debug(std::string_view message, std::initializer_list<LogField> fields = {}) {
    write(Level::debug, message, fields);
  }
  void info(std::string_view message, std::initializer_list<LogField> fields = {}) {
    write(Level::info, message, fields);
  }
  void warning(std::string_view message, std::initializer_list<LogField> fields = {}) {
    write(Level::warning, message, fields);
  }
  void error(std::string_view message, std::initializer_list<LogField> fields = {}) {
    write(Level::error, message, fields);
  }

 private:
  class Writer;
  Level least_;
  std::unique_ptr<Writer> writer_;
};

}  // namespace lambda::base
