// An HTTP imposter on a real socket, for the faults that a real API server can't be made to show: answers of
// our choice, none at all, a connection that breaks in between.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/message.h"
#include "kube/cluster.h"

namespace lambda::support {

/// One answer that is written piece by piece, with faults of the test's choice. Writing to a client that has
/// gone is not told.
class Wire {
 public:
  Wire() = default;
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;
  virtual ~Wire() = default;

  /// The header of a chunked answer.
  virtual void begin(unsigned status = 200) = 0;
  virtual void chunk(const std::string& bytes) = 0;
  /// The end of the body, as it should be; without it the connection just closes.
  virtual void end() = 0;
  /// Until the client (or the imposter's end) closes the connection.
  virtual void wait_for_the_end() = 0;
};

class Imposter {
 public:
  /// Gives the answer to a request, or nothing: then the connection is closed without one. Called on a thread
  /// per connection; it may block.
  using Script = std::function<std::optional<http::Response>(const http::Request&)>;

  explicit Imposter(Script script);

  /// Writes the answer itself and returns true, or returns false and leaves it to the script.
  using WireScript = std::function<bool(const http::Request&, Wire&)>;
  Imposter(WireScript wires, Script script);
  ~Imposter();
  Imposter(const Imposter&) = delete;
  Imposter& operator=(const Imposter&) = delete;

  std::uint16_t port() const;
  /// As a Kubernetes API without TLS.
  kube::Cluster cluster() const;
  /// "METHOD target" of all requests so far.
  std::vector<std::string> requests() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A script that goes through the steps, one a request, and repeats the last.
Imposter::Script in_order(std::vector<std::optional<http::Response>> steps);

/// A metav1.Status with that reason.
http::Response status_answer(unsigned status, const std::string& reason, http::Headers headers = {});

/// A Job's metadata as PartialObjectMetadata.
http::Response job_metadata_answer(const std::string& event_source, const std::string& event_id,
                                   const std::string& more_metadata = "");

}  // namespace lambda::support
