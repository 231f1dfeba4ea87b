#include "base/log.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include <nlohmann/json.hpp>
#include <poll.h>
#include <unistd.h>

#include "base/text.h"
#include "base/time.h"

namespace lambda::base {
namespace {

constexpr std::size_t value_max_bytes = 1024;
constexpr milliseconds flush_at_end_max{1000};
// A pipe says that it is writable when PIPE_BUF bytes fit; a longer write could block.
constexpr std::size_t write_max_bytes = 4096;
// Lines gather for so long before they are written: waking the writer for each costs more than the line.
constexpr milliseconds gather_time{10};

bool is_plain(char c) {
  return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

void append_string(std::string& line, std::string_view text) {
  if (text.size() <= value_max_bytes && std::ranges::all_of(text, is_plain)) {  // as good as always
    line.append("\"").append(text).append("\"");
    return;
  }
  // ensure_ascii also escapes DEL and the C1 controls, which some terminals obey.
  line += nlohmann::json(cut(text, value_max_bytes))
              .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

std::string json_line(Level level, std::string_view message, std::initializer_list<LogField> fields) {
  constexpr std::size_t usual_bytes = 512;
  std::string line;
  line.reserve(usual_bytes);
  line.append(R"({"time":")").append(format_rfc3339(std::chrono::system_clock::now()));
  line.append(R"(","level":")").append(to_string(level)).append(R"(","msg":)");
  append_string(line, message);
  for (const LogField& field : fields) {
    if (field.value.empty()) continue;
    line.append(",\"").append(field.key).append("\":");
    append_string(line, field.value);
  }
  return line + "}\n";
}

}  // namespace

std::string_view to_string(Level level) {
  switch (level) {
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warning:
      return "warning";
    case Level::error:
      return "error";
  }
  return "error";
}

class Log::Writer {
 public:
  Writer(int file_descriptor, std::size_t max_lines)
      : file_descriptor_(file_descriptor), max_lines_(max_lines), thread_([this] { run(); }) {}

  ~Writer() {
    {
      const std::lock_guard lock(mutex_);
      stop_at_ = Clock::now() + flush_at_end_max;
    }
    changed_.notify_one();
    thread_.join();
  }

  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void push(std::string line) {
    bool wake = false;
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.size() >= max_lines_) {
        ++dropped_;
        return;
      }
      waiting_.push_back(std::move(line));
      wake = waiting_.size() == 1 || is_enough();
    }
    if (wake) changed_.notify_one();
  }

 private:
  void run() {
    while (true) {
      std::deque<std::string> lines;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return !waiting_.empty() || stop_at_.has_value(); });
        changed_.wait_for(lock, gather_time, [this] { return is_enough() || stop_at_.has_value(); });
        if (waiting_.empty()) return;
        lines.swap(waiting_);
        if (dropped_ > 0) {
          lines.push_back(json_line(Level::warning,
                                    "log lines were dropped: the reader of stderr is too slow",
                                    {{"dropped", std::to_string(dropped_)}}));
          dropped_ = 0;
        }
      }
      if (!write_all(lines)) return;
    }
  }

  bool is_enough() const { return waiting_.size() >= max_lines_ / 2; }

  // As many lines at a time as one write takes.
  bool write_all(const std::deque<std::string>& lines) {
    std::string bytes;
    for (const std::string& line : lines) {
      if (bytes.size() + line.size() > write_max_bytes) {
        if (!write_whole(bytes)) return false;
        bytes.clear();
      }
      bytes += line;
    }
    return write_whole(bytes);
  }

  // False when the end has come and the descriptor still takes nothing, or is gone.
  bool write_whole(std::string_view bytes) {
    while (!bytes.empty()) {
      pollfd ready{file_descriptor_, POLLOUT, 0};
      const int count = ::poll(&ready, 1, 100);
      if (count <= 0) {
        if (too_late()) return false;
        continue;
      }
      const ssize_t written =
          ::write(file_descriptor_, bytes.data(), std::min(bytes.size(), write_max_bytes));
      if (written < 0) {
        if (errno == EINTR || errno == EAGAIN) continue;
        return false;
      }
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
  }

  bool too_late() {
    const std::lock_guard lock(mutex_);
    return stop_at_.has_value() && Clock::now() >= *stop_at_;
  }

  const int file_descriptor_;
  const std::size_t max_lines_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> waiting_;
  std::size_t dropped_ = 0;
  std::optional<TimePoint> stop_at_;
  std::thread thread_;
};

Log::Log(Level least, int file_descriptor, std::size_t max_lines)
    : least_(least), writer_(std::make_unique<Writer>(file_descriptor, max_lines)) {}

Log::~Log() = default;

void Log::write(Level level, std::string_view message, std::initializer_list<LogField> fields) {
  if (enabled(level)) writer_->push(json_line(level, message, fields));
}

}  // namespace lambda::base
