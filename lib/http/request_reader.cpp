#include "http/request_reader.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>

#include "base/text.h"

namespace lambda::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using beast::http::error;
using beast::http::field;
using boost::system::error_code;

constexpr std::size_t headers_max = 128;  // each costs memory of its own, however short it is

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

// RFC 9112, 3.2.2: a server accepts the absolute form, which names the host once more.
std::string_view without_authority(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!base::equals_ignoring_case(target.substr(0, scheme.size()), scheme)) continue;
    target.remove_prefix(scheme.size());
    const auto path = target.find_first_of("/?");
    return path == std::string_view::npos ? "/" : target.substr(path);
  }
  return target;
}

}  // namespace

Refused refused(unsigned status, base::ErrorKind kind, std::string message) {
  return {status, base::Error{kind, std::move(message), ""}};
}

// What Beast reads, straight into the request that the handler gets.
class RequestReader::Parser : public beast::http::basic_parser<true> {
 public:
  explicit Parser(std::size_t max_body_bytes) : max_body_bytes_(max_body_bytes) {
    eager(true);
    header_limit(std::numeric_limits<std::uint32_t>::max());  // the reader has counted
    body_limit(max_body_bytes);
  }

  Request request;
  std::size_t header_bytes = 0;  // the memory that the texts of `request` take without the body
  bool continue_expected = false;
  bool http_1_0 = false;

 private:
  void on_request_impl(beast::http::verb /*verb*/, beast::string_view method, beast::string_view target,
                       int version, error_code& /*error*/) override {
    request.method = view(method);
    const std::string_view path_and_query = without_authority(view(target));
    const auto question = path_and_query.find('?');
    request.path = path_and_query.substr(0, question);
    if (request.path.empty()) request.path = "/";
    if (question != std::string_view::npos) request.query = path_and_query.substr(question + 1);
    request.headers.reserve(16);
    header_bytes = target.size();
    http_1_0 = version < 11;
  }

  void on_response_impl(int /*status*/, beast::string_view /*reason*/, int /*version*/,
                        error_code& /*error*/) override {}  // never: we read requests

  void on_field_impl(field name, beast::string_view name_text, beast::string_view value,
                     error_code& problem) override {
    if (is_header_done()) return;  // a trailer: RFC 9110, 6.5.1 forbids to merge it with the header
    if (request.headers.size() == headers_max)
      problem = error::header_limit;
    else
      check(name, view(value), problem);
    if (problem) return;
    request.headers.emplace_back(view(name_text), view(value));
    header_bytes += sizeof(Headers::value_type) + name_text.size() + value.size();
  }

  // Beyond what Beast checks: each of these has been used to make two readers disagree.
  void check(field name, std::string_view value, error_code& problem) {
    if (name == field::transfer_encoding) {
      if (http_1_0 || !base::equals_ignoring_case(value, "chunked")) problem = error::bad_transfer_encoding;
    } else if (name == field::content_length) {
      if (std::exchange(has_length_, true) || value.find(',') != std::string_view::npos)
        problem = error::bad_content_length;
    } else if (name == field::host) {
      if (std::exchange(has_host_, true)) problem = error::bad_field;
    } else if (name == field::expect) {
      continue_expected = base::equals_ignoring_case(value, "100-continue");
    }
  }

  void on_header_impl(error_code& problem) override {
    if (!has_host_ && !http_1_0) problem = error::bad_field;
  }

  void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code& /*error*/) override {
    const std::size_t expected = length ? static_cast<std::size_t>(*length) : max_body_bytes_;
    body_max_bytes_ = std::min(expected, max_body_bytes_);
  }

  // Never more than twice of what has come: a length that is only declared takes no memory. Grown by a string
  // of its own, as reserve() would round up.
  void append(beast::string_view piece) {
    std::string& body = request.body;
    const std::size_t needed = body.size() + piece.size();
    if (needed > body.capacity()) {
      std::string larger;
      larger.reserve(std::max(needed, std::min(2 * body.capacity(), body_max_bytes_)));
      body.swap(larger.append(body));
    }
    body.append(view(piece));
  }

  std::size_t on_body_impl(beast::string_view piece, error_code& /*error*/) override {
    append(piece);
    return piece.size();
  }
  void on_chunk_header_impl(std::uint64_t /*size*/, beast::string_view /*extensions*/,
                            error_code& /*error*/) override {}
  std::size_t on_chunk_body_impl(std::uint64_t /*remain*/, beast::string_view piece,
                                 error_code& /*error*/) override {
    append(piece);
    return piece.size();
  }
  void on_finish_impl(error_code& /*error*/) override {}

  const std::size_t max_body_bytes_;
  std::size_t body_max_bytes_ = 0;
  bool has_length_ = false;
  bool has_host_ = false;
};

RequestReader::RequestReader(std::size_t max_header_bytes, std::size_t max_body_bytes)
    : max_header_bytes_(max_header_bytes), max_body_bytes_(max_body_bytes) {}

RequestReader::~RequestReader() = default;

void RequestReader::feed(std::string_view bytes) {
  if (rest_.empty()) {  // as good as always
    const std::size_t used = parse(bytes);
    rest_ = bytes.substr(used);
  } else {
    rest_ += bytes;
    const std::size_t used = parse(rest_);
    rest_.erase(0, used);
  }
  if (phase_ == Phase::body && rest_.size() > max_header_bytes_)
    refuse("the header or trailer of a chunk is too large");
}

void RequestReader::end() {
  if (phase_ != Phase::idle) refuse("it was cut off");
}

const Headers& RequestReader::headers() const {
  static const Headers none;
  return parser_ ? parser_->request.headers : none;
}

bool RequestReader::expects_continue() const {
  return phase_ == Phase::body && parser_->continue_expected && parser_->request.body.empty();
}

bool RequestReader::keep_alive() const {
  return parser_->keep_alive() && !parser_->http_1_0;
}

Request RequestReader::take() {
  return std::move(parser_->request);
}

void RequestReader::next() {
  parser_.reset();
  line_begins_ = scanned_ = 0;
  phase_ = Phase::idle;
  if (rest_.empty()) return;
  rest_.erase(0, parse(rest_));
}

void RequestReader::clear() {
  parser_.reset();
  std::string().swap(rest_);
}

std::size_t RequestReader::held_bytes() const {
  const std::size_t of_request = parser_ ? parser_->header_bytes + parser_->request.body.capacity() : 0;
  return rest_.capacity() + of_request;
}

// Returns how many of the bytes are done with.
std::size_t RequestReader::parse(std::string_view bytes) {
  if (phase_ == Phase::idle && !bytes.empty()) phase_ = Phase::header;
  if (phase_ == Phase::header) {
    const auto end = find_header_end(bytes);
    if (phase_ == Phase::refused) return 0;
    if (end.value_or(bytes.size()) > max_header_bytes_) {
      refuse(431, base::ErrorKind::too_large,
             "the header is larger than " + std::to_string(max_header_bytes_) + " bytes");
      return 0;
    }
    if (!end) return 0;
    parser_ = std::make_unique<Parser>(max_body_bytes_);
  } else if (phase_ != Phase::body) {
    return 0;
  }
  error_code problem;
  const std::size_t used = parser_->put(asio::const_buffer(bytes.data(), bytes.size()), problem);
  if (problem && problem != error::need_more) {
    refuse(problem);
  } else {
    phase_ = parser_->is_done() ? Phase::whole : Phase::body;
  }
  return used;
}

// Where the header ends, once all of it is there. Called again with more, it goes on where it was.
std::optional<std::size_t> RequestReader::find_header_end(std::string_view bytes) {
  for (auto end = bytes.find('\n', scanned_); end != std::string_view::npos;
       end = bytes.find('\n', scanned_)) {
    scanned_ = end + 1;
    const std::string_view line = bytes.substr(line_begins_, scanned_ - line_begins_);
    if (line == "\r\n" && line_begins_ > 0) return scanned_;
    if (!check_line(line)) return std::nullopt;
    line_begins_ = scanned_;
  }
  scanned_ = bytes.size();
  return std::nullopt;
}

// What Beast takes too lightly, or waits on to no end.
bool RequestReader::check_line(std::string_view line) {
  constexpr std::string_view version = " HTTP/1.x\r\n";
  if (!line.ends_with("\r\n")) {
    refuse("a line ends without CR");
  } else if (line_begins_ == 0 && (line.size() <= version.size() ||
                                   line.substr(line.size() - version.size(), 8) != version.substr(0, 8))) {
    refuse("the first line does not end with HTTP/1.1");
  } else if (line.front() == ' ' || line.front() == '\t') {
    refuse("a header line is folded");
  }
  return phase_ != Phase::refused;
}

void RequestReader::refuse(const error_code& problem) {
  if (problem == error::header_limit) {
    refuse(431, base::ErrorKind::too_large, "more than " + std::to_string(headers_max) + " headers");
  } else if (problem == error::body_limit) {
    refuse(413, base::ErrorKind::too_large,
           "the body is larger than " + std::to_string(max_body_bytes_) + " bytes");
  } else {
    refuse(problem.message());
  }
}

void RequestReader::refuse(const std::string& malformed) {
  refuse(400, base::ErrorKind::invalid, "no valid HTTP/1.1 request: " + malformed);
}

void RequestReader::refuse(unsigned status, base::ErrorKind kind, std::string message) {
  phase_ = Phase::refused;
  refused_ = refused(status, kind, std::move(message));
}

}  // namespace lambda::http
